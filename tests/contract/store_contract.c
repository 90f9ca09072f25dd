#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "contract/register_steps.h"
#include "contract/store_contract.h"
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define A "Contact: <sip:a@h>\n"
#define B "Contact: <sip:b@h>\n"

static const struct store_contract *backend; /* cmocka passes one pointer, which is the fixture's */

enum { HEARD_BYTES = 4096 };

struct fixture {
    struct store *store;
    struct store_watcher watcher;
    struct buf heard; /* of changes: "added sip:a@h, " and so on */
    char heard_memory[HEARD_BYTES];
    struct config config;
    struct arena arena; /* for what a test keeps, not for the store */
};

static void hear(void *arg, enum store_change change, struct str aor, const struct binding *b,
                 const struct binding *by)
{
    static const char *const name[STORE_CHANGES] = {
        [STORE_ADDED] = "added",
        [STORE_RENEWED] = "renewed",
        [STORE_REMOVED] = "removed",
        [STORE_EVICTED] = "evicted",
        [STORE_EXPIRED] = "expired",
        [STORE_FLOW_CLOSED] = "closed",
        [STORE_REMOVED_BY_ADMIN] = "removed by admin",
        [STORE_REPLACED_ELSEWHERE] = "replaced elsewhere",
    };
    struct fixture *f = arg;
    assert_int_equal(by != NULL, change == STORE_EVICTED);
    buf_printf(&f->heard, "%s %.*s %.*s%s, ", name[change], STR_ARG(str_slice(aor, 0, 1)),
               STR_ARG(b->contact), b->is_flow_dead ? " (dead)" : "");
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    *state = f;
    f->config = register_config();
    f->store = backend->open();
    f->watcher = (struct store_watcher){.changed = hear, .arg = f};
    buf_init_fixed(&f->heard, f->heard_memory, HEARD_BYTES);
    if (f->store)
        store_watch(f->store, &f->watcher);
    return f->store ? arena_init(&f->arena, 65536, 16 << 20) : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (backend->close)
        backend->close(f->store);
    else
        store_close(f->store);
    arena_fini(&f->arena);
    free(f);
    return 0;
}

/* ---- Calls as functions -------------------------------------------------------------------- */

struct waited {
    bool is_done;
    struct arena *arena;
    struct register_result result;
};

static void take_outcome(void *arg, const struct store_outcome *outcome)
{
    struct waited *w = arg;
    assert_false(w->is_done);
    assert_true(outcome->own_count <= outcome->count);
    w->is_done = true;
    struct binding *copy = arena_alloc(w->arena, outcome->count * sizeof *copy);
    assert_non_null(copy);
    for (size_t i = 0; i < outcome->count; i++) {
        copy[i] = outcome->bindings[i];
        copy[i].contact = arena_copy(w->arena, copy[i].contact);
    }
    w->result = (struct register_result){outcome->error, outcome->verdict, outcome->min_expires_s,
                                         copy,           outcome->count,   outcome->own_count};
}

static void wait_for(struct fixture *f, const bool *is_done)
{
    if (!*is_done && backend->wait)
        backend->wait(f->store, is_done);
    assert_true(*is_done);
}

static struct register_result apply(void *arg, const struct binding_request *request,
                                    struct arena *arena)
{
    struct fixture *f = arg;
    struct waited w = {.arena = arena};
    f->store->ops->apply(f->store, request, arena, take_outcome, &w);
    wait_for(f, &w.is_done);
    return w.result;
}

static void play(struct fixture *f, const struct register_step *steps, size_t count)
{
    register_steps_play(&f->config, steps, count, apply, f);
}
#define PLAY(f, steps) play((f), (steps), sizeof(steps) / sizeof *(steps))

static void settle(struct fixture *f)
{
    if (backend->settle)
        backend->settle(f->store);
}

static void tick(struct fixture *f, uint64_t at_s)
{
    for (unsigned worker = 0; worker < 2; worker++)
        f->store->ops->tick(f->store, worker, REGISTER_EPOCH_MS + 1000 * at_s);
    settle(f);
}

struct listing {
    char text[4096];
    struct buf b;
    bool is_done;
};

static void take_found(void *arg, int error, const struct binding *bindings, size_t count)
{
    struct listing *l = arg;
    assert_false(l->is_done);
    assert_int_equal(error, 0);
    l->is_done = true;
    for (size_t i = 0; i < count; i++)
        buf_printf(&l->b, "%s%.*s%s", i > 0 ? " " : "", STR_ARG(bindings[i].contact),
                   bindings[i].is_flow_dead ? "(dead)" : "");
}

static void assert_found(struct fixture *f, const char *aor, const char *expected)
{
    struct listing l = {.is_done = false};
    buf_init_fixed(&l.b, l.text, sizeof l.text);
    struct arena arena;
    assert_int_equal(arena_init(&arena, 4096, 1 << 20), 0);
    f->store->ops->find(f->store, str_from(aor), &arena, take_found, &l);
    wait_for(f, &l.is_done);
    arena_fini(&arena);
    if (!str_eq(buf_str(&l.b), str_from(expected)))
        fail_msg("found \"%.*s\", not \"%s\"", STR_ARG(buf_str(&l.b)), expected);
}

struct removal {
    bool is_done;
    size_t count;
};

static void take_removed(void *arg, int error, const struct binding *bindings, size_t count)
{
    (void)bindings;
    struct removal *removal = arg;
    assert_int_equal(error, 0);
    removal->is_done = true;
    removal->count = count;
}

static size_t remove_aor(struct fixture *f, const char *aor)
{
    struct removal removal = {.is_done = false};
    struct arena arena;
    assert_int_equal(arena_init(&arena, 4096, 1 << 20), 0);
    f->store->ops->remove(f->store, str_from(aor), &arena, take_removed, &removal);
    wait_for(f, &removal.is_done);
    arena_fini(&arena);
    return removal.count;
}

/* ---- apply --------------------------------------------------------------------------------- */

static void lists_own_bindings_first_then_the_newest(void **state)
{
    static const struct register_step step[] = {
        STEP(0, "1", 1, "", BINDING_OK, "", "nothing there"),
        STEP(1, "1", 2, A, BINDING_OK, "sip:a@h=3600", "one"),
        STEP(2, "2", 1, B, BINDING_OK, "sip:b@h=3600 sip:a@h=3599", "two"),
        STEP(3, "3", 1, "Contact: <sip:d@h>, <sip:c@h>;expires=60\n", BINDING_OK,
             "sip:d@h=3600 sip:c@h=60 sip:b@h=3599 sip:a@h=3598", "in the request's order"),
        STEP(4, "1", 3, A, BINDING_OK, "sip:a@h=3600 sip:d@h=3599 sip:c@h=59 sip:b@h=3598",
             "a refresh makes it the newest"),
        STEP(5, "3", 2, "", BINDING_OK, "sip:a@h=3599 sip:d@h=3598 sip:c@h=58 sip:b@h=3597",
             "as the next fetch shows"),
        STEP(6, "3", 3, "Contact: <sip:d@h>;expires=0, <sip:c@h>\n", BINDING_OK,
             "sip:c@h=3600 sip:a@h=3598 sip:b@h=3596", "without the one removed"),
        STEP(7, "9", 1, "Contact: *\nExpires: 0\n", BINDING_OK, "", "all gone"),
        STEP(7, "9", 2, "", BINDING_OK, "", "for good"),
    };
    PLAY(*state, step);
}

static void changes_nothing_when_refused(void **state)
{
    struct fixture *f = *state;
    f->config.max_contacts = 2;
    f->config.overflow = OVERFLOW_REJECT;
    static const struct register_step step[] = {
        STEP(0, "1", 5, A B, BINDING_OK, "sip:a@h=3600 sip:b@h=3600", "two"),
        STEP(1, "1", 4, A, BINDING_OUT_OF_ORDER, "", "CSeq"),
        STEP(1, "1", 6, A "Expires: 5\n", BINDING_INTERVAL_BRIEF, "", "time", .brief_s = 60),
        STEP(1, "1", 6, "Contact: <sip:a@h>;expires=0, <sip:b@h>;expires=1\n",
             BINDING_INTERVAL_BRIEF, "", "half of it", .brief_s = 60),
        STEP(1, "2", 1, "Contact: <sip:c@h>\n", BINDING_TOO_MANY, "", "room"),
        STEP(1, "2", 1, "Contact: *\n", BINDING_BAD_WILDCARD, "", "wildcard"),
        STEP(1, "2", 1, "", BINDING_NEEDS_AUTH, "", "proof", .is_stranger = true),
        STEP(1, "2", 1, "", BINDING_OK, "sip:a@h=3599 sip:b@h=3599", "still two"),
    };
    PLAY(f, step);
}

static void keeps_aors_apart(void **state)
{
    static const struct register_step step[] = {
        STEP(0, "1", 1, A, BINDING_OK, "sip:a@h=3600", "one"),
        STEP(0, "1", 1, A, BINDING_OK, "sip:a@h=3600", "same Call-ID and CSeq",
             .aor = "A@example.com"),
        STEP(0, "1", 2, A "Expires: 0\n", BINDING_OK, "", "removed here", .aor = "a@example.com"),
        STEP(0, "1", 2, "", BINDING_OK, "sip:a@h=3600", "not there", .aor = "A@example.com"),
    };
    PLAY(*state, step);
    assert_found(*state, "a@example.com", "");
    assert_found(*state, "A@example.com", "sip:a@h");
}

static void remembers_the_proof_over_refreshes(void **state)
{
    static const struct register_step step[] = {
        STEP(0, "1", 1, A, BINDING_OK, "sip:a@h=3600", "proven"),
        STEP(3599, "1", 2, A, BINDING_OK, "sip:a@h=3600", "cached", .is_stranger = true),
        STEP(3600, "1", 3, A, BINDING_NEEDS_AUTH, "", "old now", .is_stranger = true),
    };
    PLAY(*state, step);
}

static void forgets_what_is_past_its_grace(void **state)
{
    struct fixture *f = *state;
    static const struct register_step before[] = {
        STEP(0, "1", 1, "Contact: <sip:a@h>;expires=60, <sip:b@h>;expires=100\n", BINDING_OK,
             "sip:a@h=60 sip:b@h=100", "two"),
        STEP(69, "2", 1, "", BINDING_OK, "sip:a@h=-9 sip:b@h=31", "in its grace"),
        STEP(70, "2", 1, "", BINDING_OK, "sip:b@h=30", "past it, ticked away or not"),
    };
    PLAY(f, before);
    assert_found(f, "a@example.com", "sip:b@h");
    tick(f, 71);
    tick(f, 70); /* clocks of threads differ */
    assert_found(f, "a@example.com", "sip:b@h");
    static const struct register_step after[] = {
        STEP(72, "3", 1, "Contact: <sip:b@h>;expires=100\n", BINDING_OK, "sip:b@h=100",
             "moves its end"),
    };
    PLAY(f, after);
    tick(f, 111);
    assert_found(f, "a@example.com", "sip:b@h");
    tick(f, 183);
    assert_found(f, "a@example.com", "");
    struct store_counts counts;
    f->store->ops->count(f->store, &counts);
    assert_int_equal(counts.aors, 0);
    assert_int_equal(counts.bindings[TRANSPORT_UDP], 0);
    assert_int_equal(counts.expired_total, 2);
}

static void counts_by_transport(void **state)
{
    struct fixture *f = *state;
    static const struct register_step step[] = {
        STEP(0, "1", 1, A B, BINDING_OK, "sip:a@h=3600 sip:b@h=3600", "two"),
        STEP(0, "2", 1, A, BINDING_OK, "sip:a@h=3600", "one", .conn = 5, .aor = "b@example.com"),
        STEP(1, "1", 2, A, BINDING_OK, "sip:a@h=3600 sip:b@h=3599", "moves to WSS", .conn = 6),
        STEP(1, "1", 3, B "Expires: 0\n", BINDING_OK, "sip:a@h=3600", "leaves"),
    };
    PLAY(f, step);
    struct store_counts counts;
    f->store->ops->count(f->store, &counts);
    assert_int_equal(counts.aors, 2);
    assert_int_equal(counts.bindings[TRANSPORT_UDP], 0);
    assert_int_equal(counts.bindings[TRANSPORT_WSS], 2);
    assert_int_equal(counts.expired_total, 0);
    assert_true(f->store->ops->is_ready(f->store));
}

/* ---- Room in a realm ----------------------------------------------------------------------- */

static void counts_the_bindings_of_a_realm(void **state)
{
    struct fixture *f = *state;
    static const struct register_step step[] = {
        STEP(0, "1", 1, A B, BINDING_OK, "sip:a@h=3600 sip:b@h=3600", "two", .room = 3),
        STEP(0, "1", 1, A B, BINDING_REALM_FULL, "", "two more", .room = 3, .aor = "b@example.com"),
        STEP(0, "1", 2, "", BINDING_OK, "", "none of them", .room = 3, .aor = "b@example.com"),
        STEP(0, "1", 3, A B, BINDING_OK, "sip:a@h=3600 sip:b@h=3600", "in another realm", .room = 3,
             .aor = "b@example.org"),
        STEP(1, "1", 4, A "Expires: 70\n", BINDING_OK, "sip:a@h=70", "one more", .room = 3,
             .aor = "b@example.com", .conn = 5),
        STEP(2, "1", 2, A B, BINDING_OK, "sip:a@h=3600 sip:b@h=3600", "refreshes", .room = 3),
        STEP(2, "1", 3, A B, BINDING_OK, "sip:a@h=3600 sip:b@h=3600", "whatever the limit",
             .room = 1),
        STEP(3, "1", 4, "Contact: <sip:c@h>, <sip:b@h>;expires=0\n", BINDING_OK,
             "sip:c@h=3600 sip:a@h=3599", "one for another", .room = 3),
        STEP(4, "1", 5, B, BINDING_REALM_FULL, "", "full again", .room = 3),
        STEP(5, "1", 6, "Contact: <sip:c@h>;expires=0\n", BINDING_OK, "sip:a@h=3597", "removal",
             .room = 3),
        STEP(5, "1", 7, B, BINDING_OK, "sip:b@h=3600 sip:a@h=3597", "makes room", .room = 3),
        STEP(79, "2", 1, A, BINDING_REALM_FULL, "", "none expired", .room = 3,
             .aor = "c@example.com"),
    };
    PLAY(f, step);
    tick(f, 82);
    static const struct register_step after[] = {
        STEP(82, "2", 2, A, BINDING_OK, "sip:a@h=3600", "expiry makes room", .room = 3,
             .aor = "c@example.com", .conn = 6),
        STEP(83, "2", 3, B, BINDING_REALM_FULL, "", "for one", .room = 3, .aor = "c@example.com"),
    };
    PLAY(f, after);
    f->store->ops->close_flow(f->store, STR("c@example.com"), 6, true);
    settle(f);
    static const struct register_step closed[] = {
        STEP(84, "2", 4, B, BINDING_OK, "sip:b@h=3600", "so does a closed connection", .room = 3,
             .aor = "c@example.com"),
    };
    PLAY(f, closed);
    assert_int_equal(remove_aor(f, "c@example.com"), 1);
    static const struct register_step removed[] = {
        STEP(85, "2", 5, B, BINDING_OK, "sip:b@h=3600", "and a removed address", .room = 3,
             .aor = "d@example.com"),
    };
    PLAY(f, removed);
}

/* ---- Flows --------------------------------------------------------------------------------- */

static void close_flow(struct fixture *f, conn_id conn, bool remove)
{
    f->store->ops->close_flow(f->store, STR("a@example.com"), conn, remove);
    settle(f);
}

static bool has_flow(struct fixture *f, conn_id conn)
{
    return f->store->ops->has_flow(f->store, STR("a@example.com"), conn);
}

static void closes_flows(void **state)
{
    struct fixture *f = *state;
    static const struct register_step step[] = {
        STEP(0, "1", 1, A, BINDING_OK, "sip:a@h=3600", "by WSS", .conn = 5),
        STEP(1, "2", 1, B, BINDING_OK, "sip:b@h=3600 sip:a@h=3599", "by another", .conn = 6),
        STEP(2, "3", 1, "Contact: <sip:c@h>\n", BINDING_OK,
             "sip:c@h=3600 sip:b@h=3599 sip:a@h=3598", "by UDP"),
    };
    PLAY(f, step);
    assert_true(has_flow(f, 5) && has_flow(f, 6));
    assert_false(has_flow(f, 7) || has_flow(f, 0));

    close_flow(f, 0, true); /* UDP has no connection to close */
    close_flow(f, 7, true);
    f->store->ops->close_flow(f->store, STR("nobody@example.com"), 5, true);
    assert_found(f, "a@example.com", "sip:c@h sip:b@h sip:a@h");
    close_flow(f, 5, false);
    assert_found(f, "a@example.com", "sip:c@h sip:b@h sip:a@h(dead)");

    static const struct register_step moved[] = {
        STEP(3, "1", 2, A, BINDING_OK, "sip:a@h=3600 sip:c@h=3599 sip:b@h=3598",
             "comes back on a third", .conn = 8),
    };
    PLAY(f, moved);
    close_flow(f, 5, true); /* the first one is of the past */
    assert_found(f, "a@example.com", "sip:a@h sip:c@h sip:b@h");
    close_flow(f, 6, true);
    close_flow(f, 8, true);
    assert_false(has_flow(f, 6) || has_flow(f, 8));
    assert_found(f, "a@example.com", "sip:c@h");
}

static void knows_the_calls_of_living_bindings(void **state)
{
    struct fixture *f = *state;
    static const struct register_step step[] = {
        STEP(0, "1", 1, A, BINDING_OK, "sip:a@h=3600", "by WSS", .conn = 5),
        STEP(1, "2", 1, "Contact: <sip:b@h>;expires=60\n", BINDING_OK, "sip:b@h=60 sip:a@h=3599",
             "by UDP"),
    };
    static const struct {
        const char *aor, *call_id;
        bool is_known;
    } row[] = {
        {"a@example.com", "1", true },
        {"a@example.com", "2", true },
        {"a@example.com", "3", false},
        {"a@example.com", "",  false},
        {"b@example.com", "1", false},
    };
    PLAY(f, step);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (f->store->ops->has_call(f->store, str_from(row[i].aor), str_from(row[i].call_id)) !=
            row[i].is_known)
            fail_msg("row %zu", i);
    close_flow(f, 5, true);
    assert_false(f->store->ops->has_call(f->store, STR("a@example.com"), STR("1")));
    assert_true(f->store->ops->has_call(f->store, STR("a@example.com"), STR("2")));
}

static void removes_the_aor_with_its_last_flow(void **state)
{
    struct fixture *f = *state;
    static const struct register_step step[] = {
        STEP(0, "1", 1, A B, BINDING_OK, "sip:a@h=3600 sip:b@h=3600", "two", .conn = 5),
    };
    PLAY(f, step);
    close_flow(f, 5, true);
    struct store_counts counts;
    f->store->ops->count(f->store, &counts);
    assert_int_equal(counts.aors, 0);
    assert_int_equal(counts.bindings[TRANSPORT_WSS], 0);
    assert_int_equal(counts.expired_total, 0);
}

/* ---- What is told -------------------------------------------------------------------------- */

static void assert_heard(struct fixture *f, const char *expected)
{
    settle(f);
    if (!str_eq(buf_str(&f->heard), str_from(expected)))
        fail_msg("heard \"%.*s\", not \"%s\"", STR_ARG(buf_str(&f->heard)), expected);
    buf_clear(&f->heard);
}

static void tells_what_requests_change(void **state)
{
    struct fixture *f = *state;
    f->config.max_contacts = 2;
    static const struct {
        struct register_step step;
        const char *heard;
    } row[] = {
        {STEP(0,                                 "1", 1,     A B,                                  BINDING_OK,             "sip:a@h=3600 sip:b@h=3600",                         "new"),
         "added a sip:a@h, added a sip:b@h, "                                                                                                                                                                                                                                                               },
        {STEP(1,                                 "1", 2,     A,                                    BINDING_OK,             "sip:a@h=3600 sip:b@h=3599",                         "refresh"),
         "renewed a sip:a@h, "                                                                                                                                                                                                                                                                              },
        {STEP(1,                                 "1", 2,     A,                                    BINDING_OUT_OF_ORDER,   "",                                                  "CSeq"),                                        ""                                                                          },
        {STEP(1,                                 "1", 3,     A "Expires: 5\n",                     BINDING_INTERVAL_BRIEF, "",                                                  "time",                                         .brief_s = 60),                                                               ""},
        {STEP(1,                                      "2",                                    1, A, BINDING_NEEDS_AUTH,                      "",                                                       "proof",                                                                              .is_stranger = true),                                                                                             ""},
        {STEP(2,                                    "1",                                       4,                                       "",                                     BINDING_OK,                    "sip:a@h=3599 sip:b@h=3598",                               "fetch"),                               ""},
        {STEP(2,                                    "1",                                       5,                                       "Contact: <sip:x@h>;expires=0\n",                                     BINDING_OK,                    "sip:a@h=3599 sip:b@h=3598",
         "of nothing"),
         ""                                },
        {STEP(3,                                     "3",                                        1,                                        "Contact: <sip:c@h>\n",                                     BINDING_OK,                   "sip:c@h=3600 sip:a@h=3598",
         "one too many"),
         "evicted a sip:b@h, added a sip:c@h, "       },
        {STEP(4, "1",    6,    A "Expires: 0\n",                                     BINDING_OK,                                                       "sip:c@h=3599",                                                                                       "removal"),
         "removed a sip:a@h, "                                                                                       },
        {STEP(5,                  "3",                     2,                     B "Contact: <sip:c@h>;expires=0\n",                                     BINDING_OK,                                      "sip:b@h=3600",                                   "both"),
         "removed a sip:c@h, added a sip:b@h, "},
        {STEP(6, "4",    1,    A,                                     BINDING_OK,                                                       "sip:a@h=3600 sip:b@h=3599",                                                                                                      "one more"),
         "added a sip:a@h, "                                                                                                                            },
        {STEP(7,                    "1",                       1,                       A,                                     BINDING_REALM_FULL,                                    "",                                                                "room",                                                        .room = 2,.aor = "b@example.com"), ""},
        {STEP(7,                             "5",         1,            "Contact: *\nExpires: 0\n",                                                BINDING_OK,                                                                 "",                                                                                     "all"),
         "removed a sip:a@h, removed a sip:b@h, "                                                                                                                                       },
        {STEP(7,                                    "5",                                 2,           "Contact: *\nExpires: 0\n",                                               BINDING_OK,                                                                "",                                                                             "none"),                                                                                          ""},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        play(f, &row[i].step, 1);
        assert_heard(f, row[i].heard);
    }
}

static void tells_what_comes_back_with_another_address(void **state)
{
    struct fixture *f = *state;
    static const struct register_step step[] = {
        STEP(0, "1", 1, "Contact: <sip:a@h>;+sip.instance=\"<urn:x>\"\n", BINDING_OK,
             "sip:a@h=3600", "a page", .conn = 5),
        STEP(1, "2", 1, "Contact: <sip:b@h>;+sip.instance=\"<urn:x>\"\n", BINDING_OK,
             "sip:b@h=3600", "reloaded", .conn = 6),
    };
    PLAY(f, step);
    assert_heard(f, "added a sip:a@h, renewed a sip:b@h, ");
    close_flow(f, 5, true);
    assert_heard(f, "");
    close_flow(f, 6, true);
    assert_heard(f, "closed a sip:b@h, ");
}

static void tells_what_expires(void **state)
{
    struct fixture *f = *state;
    static const struct register_step step[] = {
        STEP(0, "1", 1, "Contact: <sip:a@h>;expires=60, <sip:b@h>;expires=100\n", BINDING_OK,
             "sip:a@h=60 sip:b@h=100", "two"),
    };
    PLAY(f, step);
    assert_heard(f, "added a sip:a@h, added a sip:b@h, ");
    tick(f, 69);
    assert_heard(f, "");
    tick(f, 72);
    assert_heard(f, "expired a sip:a@h, ");
    tick(f, 73);
    assert_heard(f, "");
    static const struct register_step again[] = {
        STEP(110, "2", 1, B, BINDING_OK, "sip:b@h=3600", "back before it was ticked away"),
    };
    PLAY(f, again);
    tick(f, 113);
    assert_heard(f, "expired a sip:b@h, added a sip:b@h, ");
    assert_found(f, "a@example.com", "sip:b@h");
    struct store_counts counts;
    f->store->ops->count(f->store, &counts);
    assert_int_equal(counts.expired_total, 2);
}

static void tells_what_goes_with_its_connection(void **state)
{
    struct fixture *f = *state;
    static const struct register_step step[] = {
        STEP(0, "1", 1, A, BINDING_OK, "sip:a@h=3600", "by WSS", .conn = 5),
        STEP(1, "2", 1, B, BINDING_OK, "sip:b@h=3600 sip:a@h=3599", "by another", .conn = 6),
    };
    PLAY(f, step);
    assert_heard(f, "added a sip:a@h, added a sip:b@h, ");
    close_flow(f, 7, true);
    assert_heard(f, "");
    close_flow(f, 5, false);
    assert_heard(f, "closed a sip:a@h (dead), ");
    close_flow(f, 6, true);
    assert_heard(f, "closed a sip:b@h, ");
    close_flow(f, 6, true);
    assert_heard(f, "");
    static const struct register_step back[] = {
        STEP(2, "1", 2, A, BINDING_OK, "sip:a@h=3600", "by a third", .conn = 8),
    };
    PLAY(f, back);
    assert_heard(f, "renewed a sip:a@h, ");
}

static void tells_what_an_admin_removes(void **state)
{
    struct fixture *f = *state;
    static const struct register_step step[] = {
        STEP(0, "1", 1, A, BINDING_OK, "sip:a@h=3600", "one", .conn = 5),
        STEP(1, "1", 2, B, BINDING_OK, "sip:b@h=3600 sip:a@h=3599", "and another", .conn = 5),
    };
    PLAY(f, step);
    assert_heard(f, "added a sip:a@h, added a sip:b@h, ");
    assert_int_equal(remove_aor(f, "a@example.com"), 2);
    assert_heard(f, "removed by admin a sip:b@h, removed by admin a sip:a@h, ");
    assert_int_equal(remove_aor(f, "a@example.com"), 0);
    close_flow(f, 5, true);
    assert_heard(f, "");
}

static void count_call(void *arg, enum store_change change, struct str aor, const struct binding *b,
                       const struct binding *by)
{
    (void)change, (void)aor, (void)b, (void)by;
    ++*(int *)arg;
}

static void tells_all_watchers(void **state)
{
    struct fixture *f = *state;
    int calls = 0;
    struct store_watcher second = {.changed = count_call, .arg = &calls};
    store_watch(f->store, &second);
    static const struct register_step step[] = {
        STEP(0, "1", 1, A, BINDING_OK, "sip:a@h=3600", "one"),
    };
    PLAY(f, step);
    assert_heard(f, "added a sip:a@h, ");
    assert_int_equal(calls, 1);
    assert_int_equal(remove_aor(f, "a@example.com"), 1);
    assert_int_equal(calls, 2);
}

/* ---- What is kept -------------------------------------------------------------------------- */

struct copied {
    bool is_done;
    struct arena *arena;
    struct binding b;
};

static void take_copy(void *arg, int error, const struct binding *bindings, size_t count)
{
    struct copied *copied = arg;
    assert_int_equal(error, 0);
    assert_int_equal(count, 1);
    copied->is_done = true;
    copied->b = bindings[0];
    struct str *text[] = {&copied->b.contact, &copied->b.instance,   &copied->b.call_id,
                          &copied->b.path,    &copied->b.user_agent, &copied->b.grant};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        *text[i] = arena_copy(copied->arena, *text[i]);
}

static void keeps_every_member(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *source;
        size_t path_len;
        const char *why;
    } row[] = {
        {"192.0.2.1",            0,    "plain"               },
        {"::",                   1,    "short"               },
        {"2001:db8::1:2:3",      127,  "as long as one byte" },
        {"fe80::1",              128,  "longer"              },
        {"2001:db8:1:2:3:4:5:6", 9000, "as long as two bytes"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char path[9000];
        memset(path, 'p', sizeof path);
        struct sip_contact contact = {
            .uri = {.text = STR("sip:a@h")},
            .instance = STR("\"<urn:uuid:1>\""),
            .reg_id = 4000000000,
            .q_milli = (int32_t)i - 1,
            .expires_s = 60,
        };
        struct sip_request *sip = arena_zalloc(&f->arena, sizeof *sip);
        assert_non_null(sip);
        sip->contacts = &contact;
        sip->contact_count = 1;
        sip->call_id = STR("call");
        sip->cseq = UINT32_MAX - 100 + (uint32_t)i;
        sip->paths[0] = (struct str){path, row[i].path_len};
        sip->path_count = 1;
        sip->supports_outbound = true;
        sip->user_agent = STR("Phone 1");
        struct binding_request request = {
            .aor = STR("a@example.com"),
            .sip = sip,
            .protocol = TRANSPORT_TLS,
            .conn = UINT64_MAX - i,
            .is_nat = true,
            .grant = STR("{\"call_hook\":\"http://h/\"}"),
            .authenticated_ms = REGISTER_EPOCH_MS - 1,
            .expires_limit_s = 3000000000,
            .config = &f->config,
            .now_ms = REGISTER_EPOCH_MS,
        };
        assert_int_equal(net_address_parse(&request.source, str_from(row[i].source), 65535), 0);
        if (request.source.any.sa_family == AF_INET6)
            request.source.v6.sin6_scope_id = 3;
        assert_int_equal(apply(f, &request, &f->arena).verdict, BINDING_OK);

        struct copied copied = {.arena = &f->arena};
        f->store->ops->find(f->store, request.aor, &f->arena, take_copy, &copied);
        wait_for(f, &copied.is_done);
        struct binding b = copied.b;
        bool is_kept =
            str_eq(b.contact, contact.uri.text) && str_eq(b.instance, contact.instance) &&
            b.reg_id == contact.reg_id && b.is_outbound && b.is_nat && !b.is_flow_dead &&
            b.q_milli == contact.q_milli && str_eq(b.call_id, sip->call_id) &&
            b.cseq == sip->cseq && str_eq(b.path, sip->paths[0]) &&
            str_eq(b.user_agent, sip->user_agent) && str_eq(b.grant, request.grant) &&
            b.protocol == request.protocol && net_address_same(&b.source, &request.source) &&
            b.conn == request.conn && b.refreshed_ms == REGISTER_EPOCH_MS &&
            b.expires_ms == REGISTER_EPOCH_MS + 30000 &&
            b.authenticated_ms == REGISTER_EPOCH_MS - 1 && b.expires_limit_s == 3000000000;
        if (!is_kept)
            fail_msg("row %zu: %s", i, row[i].why);
        if (request.source.any.sa_family == AF_INET6)
            assert_int_equal(b.source.v6.sin6_scope_id, 3);
    }
}

/* ---- Listing ------------------------------------------------------------------------------- */

enum { AORS = 300 };

struct tally {
    unsigned seen[AORS];
    size_t bindings; /* of the page */
    uint64_t cursor; /* after it */
    bool is_done;
};

static void take_tally(void *arg, int error, uint64_t next_cursor, const struct store_aor *aors,
                       size_t count)
{
    struct tally *t = arg;
    assert_int_equal(error, 0);
    t->is_done = true;
    t->cursor = next_cursor;
    for (size_t i = 0; i < count; i++) {
        uint64_t n;
        struct str aor = aors[i].aor;
        assert_true(aor.len > 2);
        assert_int_equal(str_to_u64(str_slice(aor, 1, str_find(aor, '@')), AORS - 1, &n), 0);
        assert_int_equal(aors[i].count, n % 3 == 0 ? 2 : 1);
        t->seen[n]++;
        t->bindings += aors[i].count;
    }
}

static void set_registered(struct fixture *f, unsigned n, bool is_registered)
{
    char aor[32];
    snprintf(aor, sizeof aor, "u%u@h", n);
    struct register_step step = {.call_id = "1", .cseq = 1, .headers = A, .aor = aor};
    if (!is_registered)
        step.headers = "Contact: *\nExpires: 0\n";
    else if (n % 3 == 0)
        step.headers = A B;
    if (!is_registered)
        step.cseq = 2;
    arena_reset(&f->arena);
    struct binding_request request =
        register_binding_request(&f->config, &step, register_request(&f->arena, &step));
    assert_int_equal(apply(f, &request, &f->arena).verdict, BINDING_OK);
}

/* The page from t->cursor on, which moves; how many bindings it has. */
static size_t list_page(struct fixture *f, size_t limit, struct tally *t)
{
    t->bindings = 0;
    t->is_done = false;
    arena_reset(&f->arena);
    f->store->ops->list(f->store, t->cursor, limit, &f->arena, take_tally, t);
    wait_for(f, &t->is_done);
    return t->bindings;
}

static bool is_often_enough(unsigned seen)
{
    return seen == 1 || (backend->is_shared && seen > 1);
}

static void lists_everything_once(void **state)
{
    struct fixture *f = *state;
    static const size_t limits[] = {0, 1, 2, 7, 100, 10000};
    for (unsigned n = 0; n < AORS; n++)
        set_registered(f, n, true);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct tally t = {.bindings = 0};
        do {
            size_t most = limits[i] + 2; /* an AOR's bindings stay together */
            assert_true(list_page(f, limits[i], &t) <= most || backend->is_shared);
        } while (t.cursor != 0);
        for (unsigned n = 0; n < AORS; n++)
            if (!is_often_enough(t.seen[n]))
                fail_msg("limit %zu: AOR %u listed %u times", limits[i], n, t.seen[n]);
    }
}

/* Even numbers stay; between pages odd ones come and go, a hundred at a time. */
static void lists_what_stays_while_others_come_and_go(void **state)
{
    struct fixture *f = *state;
    for (unsigned n = 0; n < AORS; n += 2)
        set_registered(f, n, true);
    struct tally t = {.bindings = 0};
    unsigned page = 0;
    do {
        list_page(f, 20, &t);
        unsigned first = page / 2 * 100 % AORS;
        for (unsigned n = first + 1; n < first + 100; n += 2)
            set_registered(f, n, page % 2 == 0);
        page++;
    } while (t.cursor != 0);
    assert_true(page > 5);
    for (unsigned n = 0; n < AORS; n++)
        if ((t.seen[n] > 1 && !backend->is_shared) || (n % 2 == 0 && t.seen[n] == 0))
            fail_msg("AOR %u listed %u times", n, t.seen[n]);
}

static void lists_nothing_of_an_empty_store(void **state)
{
    struct tally t = {.bindings = 0};
    assert_int_equal(list_page(*state, 10, &t), 0);
    assert_int_equal(t.cursor, 0);
}

static void removes_an_aor(void **state)
{
    struct fixture *f = *state;
    static const struct register_step step[] = {
        STEP(0, "1", 1, A B, BINDING_OK, "sip:a@h=3600 sip:b@h=3600", "two", .conn = 5),
    };
    PLAY(f, step);
    assert_int_equal(remove_aor(f, "b@example.com"), 0);
    assert_int_equal(remove_aor(f, "a@example.com"), 2);
    assert_found(f, "a@example.com", "");
    assert_int_equal(remove_aor(f, "a@example.com"), 0);
    struct store_counts counts;
    f->store->ops->count(f->store, &counts);
    assert_int_equal(counts.aors, 0);
    assert_int_equal(counts.bindings[TRANSPORT_WSS], 0);
    assert_int_equal(counts.expired_total, 0);
}

/* -------------------------------------------------------------------------------------------- */

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int store_contract_run(const struct store_contract *which)
{
    backend = which;
    const struct CMUnitTest tests[] = {
        TEST(lists_own_bindings_first_then_the_newest),
        TEST(changes_nothing_when_refused),
        TEST(keeps_aors_apart),
        TEST(remembers_the_proof_over_refreshes),
        TEST(forgets_what_is_past_its_grace),
        TEST(counts_by_transport),
        TEST(counts_the_bindings_of_a_realm),
        TEST(closes_flows),
        TEST(knows_the_calls_of_living_bindings),
        TEST(removes_the_aor_with_its_last_flow),
        TEST(tells_what_requests_change),
        TEST(tells_what_comes_back_with_another_address),
        TEST(tells_what_expires),
        TEST(tells_what_goes_with_its_connection),
        TEST(tells_what_an_admin_removes),
        TEST(tells_all_watchers),
        TEST(keeps_every_member),
        TEST(lists_everything_once),
        TEST(lists_what_stays_while_others_come_and_go),
        TEST(lists_nothing_of_an_empty_store),
        TEST(removes_an_aor),
    };
    return cmocka_run_group_tests_name(which->name, tests, NULL, NULL);
}
