#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "contract/register_steps.h"
#include "contract/store_contract.h"
#include "store/aor_table.h"
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static struct store *open_for_two(void)
{
    return store_memory_open(2, REGISTER_GRACE_MS);
}

/* ---- The table ----------------------------------------------------------------------------- */

static struct aor *add(struct aor_table *t, const char *name, uint64_t hash)
{
    struct aor *aor = aor_new(str_from(name), hash);
    assert_non_null(aor);
    aor_table_insert(t, aor);
    return aor;
}

static void walks_in_the_order_of_hashes(void **state)
{
    (void)state;
    enum { MANY = 5000 };
    struct aor_table t;
    assert_int_equal(aor_table_init(&t), 0);
    uint64_t hash = 1;
    for (unsigned i = 0; i < MANY; i++) { /* any constant with well mixed top bits */
        hash = hash * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        add(&t, "x", hash >> AOR_SHARD_BITS);
    }
    assert_int_equal(t.count, MANY);
    assert_true(t.slot_bits > 10);
    unsigned met = 0;
    uint64_t last = 0;
    for (struct aor *a = aor_table_from(&t, 0); a; a = aor_table_after(&t, a)) {
        assert_true(a->hash >= last);
        assert_ptr_equal(aor_table_from(&t, a->hash), a);
        assert_ptr_equal(aor_table_find(&t, STR("x"), a->hash), a);
        assert_null(aor_table_find(&t, STR("y"), a->hash));
        last = a->hash;
        met++;
    }
    assert_int_equal(met, MANY);
    assert_null(aor_table_from(&t, last + 1));
    aor_table_fini(&t);
    aor_table_fini(&t); /* once more does no harm */
}

static void tells_equal_hashes_apart(void **state)
{
    (void)state;
    struct aor_table t;
    assert_int_equal(aor_table_init(&t), 0);
    struct aor *low = add(&t, "low", 41);
    struct aor *a = add(&t, "a", 42);
    struct aor *b = add(&t, "b", 42);
    struct aor *high = add(&t, "high", 43);
    assert_ptr_equal(aor_table_find(&t, STR("a"), 42), a);
    assert_ptr_equal(aor_table_find(&t, STR("b"), 42), b);
    assert_null(aor_table_find(&t, STR("c"), 42));
    assert_null(aor_table_find(&t, STR("low"), 42));
    assert_ptr_equal(aor_table_after(&t, low), aor_table_from(&t, 42));
    aor_table_remove(&t, a);
    assert_null(aor_table_find(&t, STR("a"), 42));
    assert_ptr_equal(aor_table_from(&t, 42), b);
    assert_ptr_equal(aor_table_after(&t, b), high);
    aor_table_fini(&t);
}

/* ---- Without memory ------------------------------------------------------------------------ */

static void take_error(void *arg, const struct store_outcome *outcome)
{
    *(int *)arg = outcome->error;
    assert_true(outcome->error == 0 || outcome->count == 0);
}

static int apply_with(struct store *s, const struct binding_request *request, size_t bytes)
{
    struct arena tight;
    int error = 1;
    assert_int_equal(arena_init(&tight, 16, bytes), 0);
    s->ops->apply(s, request, &tight, take_error, &error);
    arena_fini(&tight);
    return error;
}

struct listed {
    int error;
    size_t bindings, calls;
};

static void count_page(void *arg, int error, uint64_t next_cursor, const struct store_aor *aors,
                       size_t count)
{
    struct listed *listed = arg;
    listed->error = error;
    listed->calls++;
    assert_int_equal(next_cursor, 0);
    for (size_t i = 0; i < count; i++)
        listed->bindings += aors[i].count;
}

static void count_found(void *arg, int error, const struct binding *bindings, size_t count)
{
    (void)bindings;
    struct listed *listed = arg;
    *listed = (struct listed){error, count, listed->calls + 1};
}

static void count_new(void *arg, int error, const struct binding *bindings, size_t count)
{
    assert_int_equal(error, 0);
    for (size_t i = 0; i < count; i++)
        *(size_t *)arg += str_eq(bindings[i].contact, STR("sip:c@h"));
}

static void changes_nothing_without_memory(void **state)
{
    (void)state;
    struct store *s = open_for_two();
    struct arena arena;
    struct config config = register_config();
    assert_non_null(s);
    assert_int_equal(arena_init(&arena, 65536, 1 << 20), 0);
    const struct register_step first = {0, "1", 1, "Contact: <sip:a@h>, <sip:b@h>\n"};
    const struct register_step second = {0, "1", 2, "Contact: <sip:a@h>;expires=0, <sip:c@h>\n"};
    struct binding_request request =
        register_binding_request(&config, &first, register_request(&arena, &first));
    assert_int_equal(apply_with(s, &request, 65536), 0);

    request.sip = register_request(&arena, &second);
    struct store_counts counts;
    size_t bytes = 16, failures = 0;
    for (; apply_with(s, &request, bytes) == -ENOMEM; bytes += 16, failures++) {
        s->ops->count(s, &counts);
        assert_int_equal(counts.bindings[TRANSPORT_UDP], 2);
    }
    assert_true(failures > 10);
    s->ops->count(s, &counts);
    assert_int_equal(counts.bindings[TRANSPORT_UDP], 2);
    size_t found = 0;
    s->ops->find(s, STR("a@example.com"), &arena, count_new, &found);
    assert_int_equal(found, 1); /* of two, the new one: granted at last */

    size_t page_failures = 0;
    for (size_t most = 16;; most += 16, page_failures++) {
        struct arena tight;
        struct listed page = {0}, one = {0};
        assert_int_equal(arena_init(&tight, 16, most), 0);
        s->ops->list(s, 0, 9, &tight, count_page, &page);
        arena_reset(&tight);
        s->ops->find(s, STR("a@example.com"), &tight, count_found, &one);
        arena_fini(&tight);
        assert_int_equal(page.calls + one.calls, 2);
        assert_int_equal(page.bindings, page.error ? 0 : 2);
        assert_int_equal(one.bindings, one.error ? 0 : 2);
        if (page.error == 0 && one.error == 0)
            break;
        assert_true(page.error == -ENOMEM || one.error == -ENOMEM);
    }
    assert_true(page_failures > 3);
    arena_fini(&arena);
    store_close(s);
}

/* ---- Threads ------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 1500, SHARED_AORS = 3 };

struct hammer {
    struct store *store;
    const struct config *config;
    unsigned number;
    atomic_uint *now_s;
    unsigned faults; /* cmocka's asserts belong to the main thread */
};

struct seen {
    struct str own;
    unsigned faults;
    unsigned answers;
};

/* Reads all text, so that a sanitizer sees what another thread has freed. */
static unsigned bad_texts(const struct binding *bindings, size_t count)
{
    unsigned bad = 0;
    for (size_t i = 0; i < count; i++)
        bad += !str_starts_nocase(bindings[i].contact, STR("sip:")) ||
               str_find(bindings[i].call_id, 'c') != 0 || bindings[i].user_agent.len != 5;
    return bad;
}

static void see_outcome(void *arg, const struct store_outcome *outcome)
{
    struct seen *seen = arg;
    seen->answers++;
    if (outcome->error || outcome->verdict != BINDING_OK || outcome->own_count != 1 ||
        outcome->count > 10 || !str_eq(outcome->bindings[0].contact, seen->own))
        seen->faults++;
    else
        seen->faults += bad_texts(outcome->bindings, outcome->count);
}

static void see_found(void *arg, int error, const struct binding *bindings, size_t count)
{
    struct seen *seen = arg;
    seen->faults += error != 0 || bad_texts(bindings, count);
}

static void see_page(void *arg, int error, uint64_t next_cursor, const struct store_aor *aors,
                     size_t count)
{
    struct seen *seen = arg;
    seen->faults += error != 0 || next_cursor != 0;
    for (size_t i = 0; i < count; i++)
        seen->faults +=
            aors[i].aor.len < 2 || aors[i].count == 0 || bad_texts(aors[i].bindings, aors[i].count);
}

static void see_removed(void *arg, int error, const struct binding *bindings, size_t count)
{
    struct seen *seen = arg;
    seen->faults += error != 0 || bindings || count > 10;
}

static void hammer_once(struct hammer *h, struct sip_request *sip, unsigned round,
                        struct arena *arena)
{
    char aor[32], contact[64];
    bool is_shared = round % 2 == 0;
    snprintf(aor, sizeof aor, "u%u@h", is_shared ? round % SHARED_AORS : 100 + 50 * h->number);
    snprintf(contact, sizeof contact, "sip:c%u-%u@h", h->number, round % 7);
    struct sip_contact c = {.uri = {.text = str_from(contact)}, .q_milli = -1, .expires_s = -1};
    (void)sip_uri_parse(c.uri.text, &c.uri);
    struct seen seen = {.own = c.uri.text};
    sip->contacts = &c;
    sip->contact_count = 1;
    sip->call_id = STR("call");
    sip->cseq = 1 + h->number * ROUNDS + round;
    sip->user_agent = STR("agent");
    uint64_t now_ms = REGISTER_EPOCH_MS + 1000 * (uint64_t)atomic_load(h->now_s);
    struct binding_request request = {
        .aor = str_from(aor),
        .sip = sip,
        .protocol = TRANSPORT_WSS,
        .conn = 1 + round % 5,
        .authenticated_ms = now_ms,
        .config = h->config,
        .now_ms = now_ms,
    };
    struct store *s = h->store;
    s->ops->apply(s, &request, arena, see_outcome, &seen);
    h->faults += seen.faults + (seen.answers != 1);
    seen.faults = 0;

    if (round % 11 == 0)
        s->ops->close_flow(s, request.aor, request.conn, round % 22 == 0);
    if (round % 13 == 0)
        s->ops->find(s, request.aor, arena, see_found, &seen);
    if (round % 50 == 0)
        s->ops->list(s, 0, 1000, arena, see_page, &seen);
    if (round % 70 == 0)
        s->ops->remove(s, request.aor, arena, see_removed, &seen);
    if (round % 100 == 0) /* now and then an hour passes */
        s->ops->tick(s, h->number % 2, now_ms + 1000 * (atomic_fetch_add(h->now_s, 900) & 1));
    (void)s->ops->has_flow(s, request.aor, request.conn);
    h->faults += seen.faults;
}

static void *hammer_thread(void *arg)
{
    struct hammer *h = arg;
    struct arena arena;
    struct sip_request *sip = calloc(1, sizeof *sip);
    if (!sip || arena_init(&arena, 65536, 1 << 20) < 0) {
        h->faults++;
        free(sip);
        return NULL;
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        hammer_once(h, sip, round, &arena);
        arena_reset(&arena);
    }
    arena_fini(&arena);
    free(sip);
    return NULL;
}

static void stands_many_threads(void **state)
{
    (void)state;
    struct config config = register_config();
    struct store *s = open_for_two();
    atomic_uint now_s = 0;
    struct hammer hammer[THREADS];
    pthread_t thread[THREADS];
    assert_non_null(s);
    for (unsigned i = 0; i < THREADS; i++) {
        hammer[i] = (struct hammer){s, &config, i, &now_s, 0};
        assert_int_equal(pthread_create(&thread[i], NULL, hammer_thread, &hammer[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
        assert_int_equal(hammer[i].faults, 0);
    }

    struct arena arena;
    assert_int_equal(arena_init(&arena, 65536, 1 << 20), 0);
    struct store_counts counts;
    struct listed listed = {0};
    s->ops->tick(s, 0, REGISTER_EPOCH_MS + 1000 * (uint64_t)now_s);
    s->ops->tick(s, 1, REGISTER_EPOCH_MS + 1000 * (uint64_t)now_s);
    s->ops->count(s, &counts);
    s->ops->list(s, 0, 100000, &arena, count_page, &listed);
    assert_int_equal(listed.error, 0);
    assert_true(listed.bindings > 0);
    assert_int_equal(counts.bindings[TRANSPORT_WSS], listed.bindings);

    for (unsigned worker = 0; worker < 2; worker++)
        s->ops->tick(s, worker, REGISTER_EPOCH_MS + UINT64_C(1000000000));
    s->ops->count(s, &counts);
    assert_int_equal(counts.aors, 0);
    assert_int_equal(counts.bindings[TRANSPORT_WSS], 0);
    arena_fini(&arena);
    store_close(s);
}

static void closes_what_is_no_store(void **state)
{
    (void)state;
    store_close(NULL);
}

int main(void)
{
    static const struct store_contract contract = {.name = "memory", .open = open_for_two};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walks_in_the_order_of_hashes),
        cmocka_unit_test(tells_equal_hashes_apart),
        cmocka_unit_test(changes_nothing_without_memory),
        cmocka_unit_test(stands_many_threads),
        cmocka_unit_test(closes_what_is_no_store),
    };
    if (str_hash_seed() < 0)
        return 1;
    int failed = store_contract_run(&contract);
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
