/* The Redis store against a real redis-server: the contract of all stores in both layouts, and what
 * only happens with a server that others share and that may go away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "contract/redis_server.h"
#include "contract/register_steps.h"
#include "contract/store_contract.h"
#include <aorta/net.h>
#include <aorta/store_redis.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define A "Contact: <sip:a@h>\n"
#define B "Contact: <sip:b@h>\n"
#define INSTANCE(user) "Contact: <sip:" user "@h>;+sip.instance=\"<urn:uuid:1>\"\n"

enum { GIVE_UP_TICKS = 150 };

static struct redis_server *server;

/* ---- Nodes --------------------------------------------------------------------------------- */

/* One process of aorta, as far as its store goes: one worker. */
struct node {
    struct net_loop *loop;
    struct config config;
    struct redis_cluster *cluster;
    struct store *store;
    const bool *is_done; /* what is waited for */
    bool (*is_true)(struct node *n);
    unsigned ticks;
    uint64_t now_ms; /* given to the store's tick; 0: none */
};

static bool is_over(struct node *n)
{
    return (n->is_done && *n->is_done) || (n->is_true && n->is_true(n));
}

static void on_tick(void *arg)
{
    struct node *n = arg;
    if (n->store && n->now_ms)
        n->store->ops->tick(n->store, 0, n->now_ms += NET_LOOP_TICK_MS);
    if (is_over(n) || ++n->ticks >= GIVE_UP_TICKS)
        net_loop_stop(n->loop);
}

/* Wakes itself as long as something is waited for: a tick is too long for thousands of answers. */
static void on_woken(void *arg)
{
    struct node *n = arg;
    if (is_over(n))
        net_loop_stop(n->loop);
    else
        net_loop_wake(n->loop);
}

static void run_until(struct node *n, const bool *is_done, bool (*is_true)(struct node *n))
{
    n->is_done = is_done;
    n->is_true = is_true;
    n->ticks = 0;
    net_loop_wake(n->loop);
    net_loop_run(n->loop);
    if (!is_over(n))
        fail_msg("not so within %d s", GIVE_UP_TICKS * NET_LOOP_TICK_MS / 1000);
}

static bool is_ready(struct node *n)
{
    return n->store->ops->is_ready(n->store);
}

static void open_node(struct node *n, const char *name, enum redis_layout layout)
{
    static const struct net_stream_events no_streams;
    static char host[] = "127.0.0.1", prefix[] = "user:";
    const struct net_loop_events events = {on_tick, on_woken, n};
    char memory[256];
    struct buf error;
    buf_init_fixed(&error, memory, sizeof memory);
    *n = (struct node){.config = register_config()};
    n->config.workers = 1;
    n->config.node = (char *)name;
    n->config.close_removes = ~1u;
    n->config.redis_host = host;
    n->config.redis_prefix = prefix;
    n->config.redis_port = redis_server_port(server);
    n->config.redis_layout = layout;
    if (layout == REDIS_LAYOUT_JAMBONZ)
        n->config.max_contacts = 1;
    assert_int_equal(net_loop_open(&events, &no_streams, NULL, NULL, NULL, &n->loop, &error), 0);
    n->cluster = redis_cluster_new(&n->config, NULL);
    assert_non_null(n->cluster);
    assert_int_equal(redis_cluster_set_address(n->cluster, "192.0.2.9:5060"), 0);
    n->store = store_redis_open(n->cluster, n->loop, 0, NULL);
    assert_non_null(n->store);
}

static void close_node(struct node *n)
{
    store_close(n->store);
    net_loop_close(n->loop);
    redis_cluster_free(n->cluster);
}

static char *ask(const char *command)
{
    static char answer[8192];
    return redis_server_ask(server, command, answer, sizeof answer);
}

/* Two nodes on one empty Redis, both ready. */
static void open_pair(struct node *one, struct node *two)
{
    ask("FLUSHALL");
    open_node(one, "one", REDIS_LAYOUT_HASH);
    open_node(two, "two", REDIS_LAYOUT_HASH);
    run_until(one, NULL, is_ready);
    run_until(two, NULL, is_ready);
}

static void close_pair(struct node *one, struct node *two)
{
    close_node(one);
    close_node(two);
}

/* ---- The contract -------------------------------------------------------------------------- */

static struct node contract_node;

static struct store *open_for_contract(void)
{
    ask("FLUSHALL");
    open_node(&contract_node, "one", REDIS_LAYOUT_HASH);
    run_until(&contract_node, NULL, is_ready);
    return contract_node.store;
}

static void wait_for_contract(struct store *s, const bool *is_done)
{
    assert_ptr_equal(s, contract_node.store);
    run_until(&contract_node, is_done, NULL);
}

static bool is_idle(struct node *n)
{
    return n->store->ops->is_idle(n->store);
}

static void settle_contract(struct store *s)
{
    (void)s;
    run_until(&contract_node, NULL, is_idle);
}

static void close_contract(struct store *s)
{
    assert_ptr_equal(s, contract_node.store);
    close_node(&contract_node);
}

/* ---- One request to one node ---------------------------------------------------------------- */

struct answer {
    bool is_done;
    int error;
    enum binding_verdict verdict;
    size_t count;
};

static void take_answer(void *arg, const struct store_outcome *outcome)
{
    struct answer *answer = arg;
    assert_false(answer->is_done);
    *answer = (struct answer){true, outcome->error, outcome->verdict, outcome->count};
}

static struct answer ask_node(struct node *n, const struct register_step *step)
{
    struct answer answer = {.is_done = false};
    struct arena arena;
    assert_int_equal(arena_init(&arena, 65536, 1 << 20), 0);
    struct binding_request request =
        register_binding_request(&n->config, step, register_request(&arena, step));
    n->store->ops->apply(n->store, &request, &arena, take_answer, &answer);
    if (!answer.is_done)
        run_until(n, &answer.is_done, NULL);
    arena_fini(&arena);
    return answer;
}

static void expect(struct node *n, const struct register_step *step, int error)
{
    struct answer answer = ask_node(n, step);
    if (answer.error != error || (error == 0 && answer.verdict != step->verdict))
        fail_msg("%s: error %d, verdict %d", step->why, answer.error, (int)answer.verdict);
}

static const char *count_bindings(void)
{
    return ask("EVAL \"local n = 0; for _, f in ipairs(redis.call('HKEYS', KEYS[1])) do if "
               "string.sub(f, 1, 8) == 'binding:' then n = n + 1 end end; return n\" 1 "
               "user:a@example.com");
}

static bool is_settled(struct node *n)
{
    return is_ready(n) && is_idle(n);
}

static bool is_away(struct node *n)
{
    return !is_ready(n);
}

static void tell(struct node *n)
{
    n->now_ms = REGISTER_EPOCH_MS + 1000;
}

/* Both know that it is away: who did not would be back later than the other one. */
static void kill_redis_of(struct node *one, struct node *two)
{
    redis_server_kill(server);
    tell(one);
    run_until(one, NULL, is_away);
    tell(two);
    run_until(two, NULL, is_away);
}

/* ---- What is told ----------------------------------------------------------------------------
 */

struct ears {
    struct store_watcher watcher;
    struct buf heard; /* "1 sip:a@h, ": number of the change */
    char memory[512];
};

static void hear(void *arg, enum store_change change, struct str aor, const struct binding *b,
                 const struct binding *by)
{
    (void)by;
    struct ears *ears = arg;
    assert_true(str_eq(aor, STR("a@example.com")));
    buf_printf(&ears->heard, "%d %.*s, ", (int)change, STR_ARG(b->contact));
}

static void listen_to(struct node *n, struct ears *ears)
{
    ears->watcher = (struct store_watcher){.changed = hear, .arg = ears};
    buf_init_fixed(&ears->heard, ears->memory, sizeof ears->memory);
    store_watch(n->store, &ears->watcher);
}

static void assert_heard(struct ears *ears, enum store_change change, const char *contact)
{
    char expected[128] = "";
    if (contact)
        snprintf(expected, sizeof expected, "%d %s, ", (int)change, contact);
    if (!str_eq(buf_str(&ears->heard), str_from(expected)))
        fail_msg("heard \"%.*s\", not \"%s\"", STR_ARG(buf_str(&ears->heard)), expected);
    buf_clear(&ears->heard);
}

static void take_removed(void *arg, int error, const struct binding *bindings, size_t count)
{
    (void)bindings, (void)count;
    assert_int_equal(error, 0);
    *(bool *)arg = true;
}

static void remove_all(struct node *n)
{
    bool is_done = false;
    struct arena arena;
    assert_int_equal(arena_init(&arena, 4096, 1 << 20), 0);
    n->store->ops->remove(n->store, STR("a@example.com"), &arena, take_removed, &is_done);
    run_until(n, &is_done, NULL);
    arena_fini(&arena);
}

static bool has_read_notes(struct node *n)
{
    return is_ready(n) && n->store->ops->is_idle(n->store) &&
           strcmp(ask("LLEN aorta:user:gone:one"), "0") == 0;
}

/* Of two nodes that share an AOR, each change is told once; who held it hears that it is elsewhere.
 */
static void tells_one_node_only(void **state)
{
    (void)state;
    static const struct register_step here = STEP(0, "1", 1, A, BINDING_OK, "", "a here");
    static const struct register_step there = STEP(1, "1", 2, A, BINDING_OK, "", "a there");
    static const struct register_step away = STEP(2, "1", 3, A "Expires: 0\n", BINDING_OK, "", "");
    static const struct register_step back = STEP(3, "2", 1, A, BINDING_OK, "", "a here again");
    static const enum redis_layout layouts[] = {REDIS_LAYOUT_HASH, REDIS_LAYOUT_JAMBONZ};
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        struct node one, two;
        struct ears first, second;
        ask("FLUSHALL");
        open_node(&one, "one", layouts[i]);
        open_node(&two, "two", layouts[i]);
        listen_to(&one, &first);
        listen_to(&two, &second);
        run_until(&one, NULL, is_ready);
        run_until(&two, NULL, is_ready);
        expect(&one, &here, 0);
        assert_heard(&first, STORE_ADDED, "sip:a@h");
        expect(&two, &there, 0);
        assert_heard(&second, STORE_RENEWED, "sip:a@h");
        tell(&one);
        run_until(&one, NULL, has_read_notes);
        assert_heard(&first, STORE_REPLACED_ELSEWHERE, "sip:a@h");
        expect(&two, &away, 0);
        assert_heard(&second, STORE_REMOVED, "sip:a@h");
        run_until(&one, NULL, has_read_notes);
        assert_heard(&first, STORE_ADDED, NULL);

        expect(&one, &back, 0);
        assert_heard(&first, STORE_ADDED, "sip:a@h");
        remove_all(&two); /* which does not hold it */
        assert_heard(&second, STORE_REMOVED_BY_ADMIN, "sip:a@h");
        run_until(&one, NULL, has_read_notes);
        assert_heard(&first, STORE_REPLACED_ELSEWHERE, "sip:a@h");
        close_pair(&one, &two);
    }
}

static void tells_what_it_grants_while_redis_is_away(void **state)
{
    (void)state;
    static const struct register_step first =
        STEP(0, "1", 1, A, BINDING_OK, "", "while it is there");
    static const struct register_step refresh = STEP(1, "1", 2, A, BINDING_OK, "", "a refresh");
    static const struct register_step fresh = STEP(1, "2", 1, B, BINDING_OK, "", "a new one");
    static const struct register_step removal =
        STEP(2, "1", 3, A "Expires: 0\n", BINDING_OK, "", "a removal");
    struct node n;
    struct ears ears;
    ask("FLUSHALL");
    open_node(&n, "one", REDIS_LAYOUT_HASH);
    listen_to(&n, &ears);
    run_until(&n, NULL, is_ready);
    expect(&n, &first, 0);
    assert_heard(&ears, STORE_ADDED, "sip:a@h");
    redis_server_kill(server);
    tell(&n);
    run_until(&n, NULL, is_away);
    expect(&n, &refresh, 0);
    assert_heard(&ears, STORE_RENEWED, "sip:a@h");
    expect(&n, &fresh, -EAGAIN);
    assert_heard(&ears, STORE_ADDED, NULL);
    expect(&n, &removal, -EAGAIN);
    assert_heard(&ears, STORE_REMOVED, "sip:a@h");
    redis_server_start(server);
    run_until(&n, NULL, is_settled);
    assert_string_equal(count_bindings(), "0");
    assert_heard(&ears, STORE_ADDED, NULL); /* nothing once more */
    close_node(&n);
}

/* ---- Redis away, and back without anything ----------------------------------------------------
 */

static void keeps_what_it_holds_while_redis_is_away(void **state)
{
    (void)state;
    static const struct register_step first[] = {
        STEP(0, "1", 1, A, BINDING_OK, "", "a while it is there"),
        STEP(0, "2", 1, B, BINDING_OK, "", "b as well", .conn = 7),
    };
    static const struct register_step refresh = STEP(1, "1", 2, A, BINDING_OK, "", "a refresh");
    static const struct register_step fresh =
        STEP(1, "3", 1, "Contact: <sip:c@h>\n", BINDING_OK, "", "a new one");
    static const struct register_step removal =
        STEP(2, "2", 2, B "Expires: 0\n", BINDING_OK, "", "a removal", .conn = 7);
    struct node n;
    ask("FLUSHALL");
    open_node(&n, "one", REDIS_LAYOUT_HASH);
    run_until(&n, NULL, is_ready);
    expect(&n, &first[0], 0);
    expect(&n, &first[1], 0);
    assert_string_equal(count_bindings(), "2");

    redis_server_kill(server);
    tell(&n);
    run_until(&n, NULL, is_away);
    expect(&n, &refresh, 0);
    expect(&n, &fresh, -EAGAIN);
    expect(&n, &removal, -EAGAIN);

    redis_server_start(server);
    run_until(&n, NULL, is_settled);
    assert_string_equal(count_bindings(), "1"); /* the refreshed one; the removal was carried out */
    assert_string_equal(ask("HGET user:a@example.com contact"), "sip:a@h");
    close_node(&n);
}

static bool has_two(struct node *n)
{
    (void)n;
    return strcmp(count_bindings(), "2") == 0;
}

static void writes_again_what_was_flushed(void **state)
{
    (void)state;
    static const struct register_step step[] = {
        STEP(0, "1", 1, A B, BINDING_OK, "", "two"),
        STEP(1, "1", 2, A, BINDING_OK, "", "a refresh of what Redis has lost"),
    };
    struct node n;
    ask("FLUSHALL");
    open_node(&n, "one", REDIS_LAYOUT_HASH);
    run_until(&n, NULL, is_ready);
    expect(&n, &step[0], 0);
    ask("FLUSHALL");
    expect(&n, &step[1], 0); /* sees it, the lease being gone too */
    tell(&n);
    run_until(&n, NULL, has_two);
    close_node(&n);
}

/* Flushed twice within seconds; and another node has been there first. */
static void keeps_what_was_flushed_again(void **state)
{
    (void)state;
    static const struct register_step here[] = {
        STEP(0, "1", 1, A, BINDING_OK, "", "a here"),
        STEP(1, "1", 2, A, BINDING_OK, "", "again, which sees the first loss"),
        STEP(3, "3", 1, "Contact: <sip:c@h>\n", BINDING_OK, "", "c here"),
    };
    static const struct register_step there = STEP(2, "2", 1, B, BINDING_OK, "", "b there");
    struct node one, two;
    open_pair(&one, &two);
    expect(&one, &here[0], 0);
    ask("FLUSHALL");
    expect(&one, &here[1], 0);
    ask("FLUSHALL");
    expect(&two, &there, 0);
    assert_int_equal(ask_node(&one, &here[2]).count, 3);
    run_until(&one, NULL, is_idle);
    assert_string_equal(count_bindings(), "3");
    close_pair(&one, &two);
}

/* ---- Two nodes --------------------------------------------------------------------------------
 */

static void shares_an_aor(void **state)
{
    (void)state;
    static const struct register_step here[] = {
        STEP(0, "1", 5, A, BINDING_OK, "", "a here"),
        STEP(2, "1", 6, A, BINDING_OK, "", "once more, not knowing of b"),
        STEP(4, "1", 7, A, BINDING_OUT_OF_ORDER, "", "older than what the other has"),
    };
    static const struct register_step there[] = {
        STEP(1, "2", 1, B, BINDING_OK, "", "b there"),
        STEP(1, "1", 5, A, BINDING_OUT_OF_ORDER, "", "the CSeq of the other node"),
        STEP(3, "1", 7, A, BINDING_OK, "", "a moves there"),
    };
    struct node one, two;
    open_pair(&one, &two);
    expect(&one, &here[0], 0);
    assert_int_equal(ask_node(&two, &there[0]).count, 2);
    expect(&two, &there[1], 0);
    assert_int_equal(ask_node(&one, &here[1]).count, 2);
    expect(&two, &there[2], 0);
    expect(&one, &here[2], 0);
    assert_string_equal(count_bindings(), "2");
    close_pair(&one, &two);
}

static bool is_gone(struct node *n)
{
    return is_settled(n) && strcmp(ask("LLEN aorta:user:gone:one"), "0") == 0 &&
           strcmp(count_bindings(), "0") == 0;
}

static bool has_one(struct node *n)
{
    return is_settled(n) && strcmp(count_bindings(), "1") == 0;
}

static bool knows_of_the_removal(struct node *n)
{
    return is_settled(n) && strcmp(ask("EXISTS aorta:user:removed:a@example.com"), "1") == 0;
}

static bool holds_nothing(struct node *n)
{
    struct store_counts counts;
    n->store->ops->count(n->store, &counts);
    return is_settled(n) && counts.aors == 0;
}

static bool has_none(struct node *n)
{
    return is_settled(n) && strcmp(count_bindings(), "0") == 0;
}

/* What moved to the other node and was removed there is not written again by the first one. */
static void forgets_what_was_removed_elsewhere(void **state)
{
    (void)state;
    static const struct register_step here = STEP(0, "1", 1, A, BINDING_OK, "", "a here");
    static const struct register_step away = STEP(1, "1", 2, A "Expires: 0\n", BINDING_OK, "", "");
    static const struct {
        bool is_away;       /* Redis, when it is removed there */
        bool is_back_later; /* the holder, than the one who removed it */
        const char *why;
    } row[] = {
        {false, false, "removed"                                                    },
        {true,  false, "to be removed"                                              },
        {true,  true,  "to be removed, and nobody knows yet of the one who holds it"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct node one, two;
        struct store_counts counts;
        open_pair(&one, &two);
        expect(&one, &here, 0);
        if (row[i].is_away) {
            kill_redis_of(&one, &two);
        }
        expect(&two, &away, row[i].is_away ? -EAGAIN : 0);
        if (row[i].is_away) {
            redis_server_start(server);
            tell(&one);
            if (!row[i].is_back_later)
                run_until(&one, NULL, is_settled); /* has written it again */
            run_until(&two, NULL, is_settled);
            run_until(&one, NULL, is_settled);
        }
        tell(&one);
        run_until(&one, NULL, is_gone);
        one.store->ops->count(one.store, &counts);
        if (counts.aors != 0)
            fail_msg("%s: still held", row[i].why);
        close_pair(&one, &two);
    }
}

/* Redis loses everything before the first node has heard that the second one has removed it. */
static void removes_what_was_flushed_as_it_went(void **state)
{
    (void)state;
    static const struct register_step here = STEP(0, "1", 1, A, BINDING_OK, "", "a here");
    static const struct {
        struct register_step step[2];
        size_t count;
        const char *why;
    } away[] = {
        {{STEP(1, "1", 2, A "Expires: 0\n", BINDING_OK, "", "")},           1, "a"                                   },
        {{STEP(1, "2", 2, "Contact: *\nExpires: 0\n", BINDING_OK, "", "")}, 1, "all"                                 },
        {{STEP(1, "1", 2, A, BINDING_OK, "", ""),
          STEP(2, "1", 3, A "Expires: 0\n", BINDING_OK, "", "")},
         2,                                                                    "a, which has moved there just before"},
    };
    for (size_t i = 0; i < sizeof away / sizeof *away; i++) {
        struct node one, two;
        struct store_counts counts;
        open_pair(&one, &two);
        expect(&one, &here, 0);
        for (size_t k = 0; k < away[i].count; k++)
            expect(&two, &away[i].step[k], 0);
        ask("FLUSHALL");
        tell(&one);
        tell(&two);
        run_until(&one, NULL, has_one); /* has written it again */
        run_until(&two, NULL, has_none);
        run_until(&one, NULL, is_gone);
        one.store->ops->count(one.store, &counts);
        if (counts.aors != 0)
            fail_msg("%s: still held", away[i].why);
        close_pair(&one, &two);
    }
}

/* A device comes to another node, whose Redis does not answer. It may get to what was asked later.
 */
static void leaves_a_binding_where_it_is_unless_it_moved_it(void **state)
{
    (void)state;
    static const struct register_step here = STEP(0, "1", 1, INSTANCE("a"), BINDING_OK, "", "here");
    static const struct register_step there[] = {
        STEP(1, "2", 1, INSTANCE("b"), BINDING_OK, "", "there"),
        STEP(2, "2", 1, "", BINDING_OK, "", "afterwards"),
    };
    struct node one, two;
    open_pair(&one, &two);
    expect(&one, &here, 0);
    redis_server_pause(server);
    expect(&two, &there[0], -EAGAIN);
    redis_server_resume(server);
    tell(&two);
    run_until(&two, NULL, is_settled);
    assert_int_equal(ask_node(&two, &there[1]).count, 1);
    assert_string_equal(ask("HGET user:a@example.com contact"), "sip:a@h");
    close_pair(&one, &two);
}

/* What is told once more does not take the place of what was told later. */
static void tells_the_latest_removal(void **state)
{
    (void)state;
    static const struct register_step here[] = {
        STEP(0, "1", 1, A, BINDING_OK, "", "a here"),
        STEP(1, "1", 2, A "Expires: 0\n", BINDING_OK, "", "a goes while Redis is away"),
        STEP(2, "2", 1, A, BINDING_OK, "", "a here again"),
    };
    static const struct register_step there =
        STEP(3, "3", 1, A "Expires: 0\n", BINDING_OK, "", "a, there");
    struct node one, two;
    open_pair(&one, &two);
    expect(&one, &here[0], 0);
    kill_redis_of(&one, &two);
    expect(&one, &here[1], -EAGAIN);
    redis_server_start(server);
    run_until(&one, NULL, is_settled);
    run_until(&two, NULL, is_settled);
    expect(&one, &here[2], 0);
    expect(&two, &there, 0);
    ask("FLUSHALL");
    run_until(&two, NULL, knows_of_the_removal);
    run_until(&one, NULL, holds_nothing); /* having told its own removal again */
    assert_string_equal(count_bindings(), "0");
    close_pair(&one, &two);
}

/* Redis reads the question for what others have removed, and cannot be heard any more. */
static void hears_what_was_removed_while_it_was_deaf(void **state)
{
    (void)state;
    static const struct register_step here = STEP(0, "1", 1, A, BINDING_OK, "", "a here");
    static const struct register_step away = STEP(1, "1", 2, A "Expires: 0\n", BINDING_OK, "", "");
    struct node one, two;
    struct store_counts counts;
    open_pair(&one, &two);
    expect(&one, &here, 0);
    expect(&two, &away, 0);
    redis_server_pause(server);
    tell(&one);
    run_until(&one, NULL, is_away);
    redis_server_resume(server);
    run_until(&one, NULL, is_gone);
    one.store->ops->count(one.store, &counts);
    assert_int_equal(counts.aors, 0);
    close_pair(&one, &two);
}

/* Redis comes back with what it held some seconds ago. */
static void removes_again_what_an_older_redis_brings_back(void **state)
{
    (void)state;
    static const struct register_step step[] = {
        STEP(0, "1", 1, A B, BINDING_OK, "", "two"),
        STEP(0, "2", 1, "Contact: <sip:c@h>\n", BINDING_OK, "", "and one by WSS", .conn = 7),
        STEP(1, "1", 2, A "Expires: 0\n", BINDING_OK, "", "one goes"),
    };
    struct node n;
    ask("FLUSHALL");
    open_node(&n, "one", REDIS_LAYOUT_HASH);
    run_until(&n, NULL, is_ready);
    expect(&n, &step[0], 0);
    expect(&n, &step[1], 0);
    ask("SAVE");
    expect(&n, &step[2], 0);
    n.store->ops->close_flow(n.store, STR("a@example.com"), 7, true);
    run_until(&n, NULL, is_idle);
    assert_string_equal(count_bindings(), "1");
    redis_server_kill(server);
    tell(&n);
    run_until(&n, NULL, is_away);
    redis_server_start(server);
    assert_string_equal(count_bindings(), "3");
    run_until(&n, NULL, has_one);
    assert_string_equal(ask("HGET user:a@example.com contact"), "sip:b@h");
    close_node(&n);
    ask("FLUSHALL");
    ask("SAVE"); /* the next one that comes back is empty */
}

/* Two nodes have one binding each of an AOR, and neither knows of the other's. */
static void takes_out_what_expired_beside_others(void **state)
{
    (void)state;
    static const struct register_step here =
        STEP(0, "1", 1, A "Expires: 60\n", BINDING_OK, "", "a here");
    static const struct register_step there =
        STEP(1, "2", 1, B "Expires: 600\n", BINDING_OK, "", "b there");
    struct node one, two;
    open_pair(&one, &two);
    expect(&one, &here, 0);
    expect(&two, &there, 0);
    assert_string_equal(count_bindings(), "2");
    one.now_ms = REGISTER_EPOCH_MS + 60000 + REGISTER_GRACE_MS;
    run_until(&one, NULL, has_one);
    assert_string_equal(ask("HGET user:a@example.com contact"), "sip:b@h");
    close_pair(&one, &two);
}

/* Its time is over, and its timer has not fired yet. */
static void removes_what_has_just_expired(void **state)
{
    (void)state;
    static const struct register_step step[] = {
        STEP(0, "1", 1, A "Expires: 60\n", BINDING_OK, "", "a"),
        STEP(71, "1", 2, A "Expires: 0\n", BINDING_OK, "", "a goes"),
    };
    struct node n;
    ask("FLUSHALL");
    open_node(&n, "one", REDIS_LAYOUT_HASH);
    run_until(&n, NULL, is_ready);
    expect(&n, &step[0], 0);
    expect(&n, &step[1], 0);
    run_until(&n, NULL, is_idle);
    assert_string_equal(count_bindings(), "0");
    close_node(&n);
}

/* Thousands of clients have moved to another node at once. */
static void reads_all_notes(void **state)
{
    (void)state;
    struct node n;
    ask("FLUSHALL");
    open_node(&n, "one", REDIS_LAYOUT_HASH);
    run_until(&n, NULL, is_ready);
    ask("EVAL \"for i = 1, 40000 do redis.call('RPUSH', KEYS[1], '0000000000000001 1 u' .. i .. "
        "'@example.com') end\" 1 aorta:user:gone:one");
    tell(&n);
    run_until(&n, NULL, has_read_notes);
    close_node(&n);
}

static void remembers_so_many_removals(void **state)
{
    (void)state;
    static const struct {
        const char *fill, *left;
    } row[] = {
        {"1023", "1024"},
        {"1024", "1024"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct node n;
        char fill[256];
        ask("FLUSHALL");
        open_node(&n, "one", REDIS_LAYOUT_HASH);
        run_until(&n, NULL, is_ready);
        snprintf(fill, sizeof fill,
                 "EVAL \"for i = 1, %s do redis.call('HSET', KEYS[1], i, 1) end\" 1 "
                 "aorta:user:removed:a@example.com",
                 row[i].fill);
        ask(fill);
        remove_all(&n);
        assert_string_equal(ask("HLEN aorta:user:removed:a@example.com"), row[i].left);
        close_node(&n);
    }
}

static bool is_swept(struct node *n)
{
    return is_ready(n) && strcmp(count_bindings(), "1") == 0;
}

static void buries_the_connections_of_the_dead(void **state)
{
    (void)state;
    static const struct register_step step[] = {
        STEP(0, "1", 1, A, BINDING_OK, "", "by WSS", .conn = 7),
        STEP(0, "2", 1, B, BINDING_OK, "", "by UDP"),
    };
    struct node dead, other;
    ask("FLUSHALL");
    open_node(&dead, "dead", REDIS_LAYOUT_HASH);
    run_until(&dead, NULL, is_ready);
    expect(&dead, &step[0], 0);
    expect(&dead, &step[1], 0);
    close_node(&dead); /* without a word to anybody, as by SIGKILL */
    open_node(&other, "other", REDIS_LAYOUT_HASH);
    tell(&other);
    run_until(&other, NULL, is_swept);
    assert_string_equal(ask("HGET user:a@example.com contact"), "sip:b@h");
    assert_string_equal(ask("HGET user:a@example.com protocol"), "udp");
    close_node(&other);
}

/* Redis came back empty, and the node died before its lease was there again. */
static void buries_who_died_before_the_lease(void **state)
{
    (void)state;
    static const struct register_step step[] = {
        STEP(0, "1", 1, A, BINDING_OK, "", "by WSS", .conn = 7),
        STEP(0, "2", 1, B, BINDING_OK, "", "by UDP"),
    };
    struct node dead, other;
    ask("FLUSHALL");
    open_node(&dead, "dead", REDIS_LAYOUT_HASH);
    run_until(&dead, NULL, is_ready);
    ask("FLUSHALL");
    expect(&dead, &step[0], 0);
    expect(&dead, &step[1], 0);
    close_node(&dead);
    open_node(&other, "other", REDIS_LAYOUT_HASH);
    tell(&other);
    run_until(&other, NULL, is_swept);
    assert_string_equal(ask("HGET user:a@example.com contact"), "sip:b@h");
    close_node(&other);
}

/* ---- What happens meanwhile -------------------------------------------------------------------
 */

/* A page reloads: its new socket registers while the old one closes. */
static void stands_a_connection_that_closes_meanwhile(void **state)
{
    (void)state;
    static const struct register_step step[] = {
        STEP(0, "1", 1, A, BINDING_OK, "", "the old page", .conn = 7),
        STEP(1, "2", 1, B, BINDING_OK, "", "the new one", .conn = 8),
        STEP(2, "3", 1, "", BINDING_OK, "", "afterwards"),
    };
    struct node n;
    struct arena arena;
    struct answer answer = {.is_done = false};
    ask("FLUSHALL");
    open_node(&n, "one", REDIS_LAYOUT_HASH);
    run_until(&n, NULL, is_ready);
    expect(&n, &step[0], 0);
    assert_int_equal(arena_init(&arena, 65536, 1 << 20), 0);
    struct binding_request request =
        register_binding_request(&n.config, &step[1], register_request(&arena, &step[1]));
    n.store->ops->apply(n.store, &request, &arena, take_answer, &answer);
    assert_false(answer.is_done);
    n.store->ops->close_flow(n.store, STR("a@example.com"), 7, true);
    run_until(&n, &answer.is_done, NULL);
    assert_int_equal(answer.error, 0);
    arena_fini(&arena);
    run_until(&n, NULL, is_idle);
    assert_int_equal(ask_node(&n, &step[2]).count, 1);
    assert_string_equal(ask("HGET user:a@example.com contact"), "sip:b@h");
    close_node(&n);
}

static void sees_that_an_address_was_deleted(void **state)
{
    (void)state;
    static const struct register_step step[] = {
        STEP(0, "1", 1, A B, BINDING_OK, "", "two"),
        STEP(1, "2", 1, "", BINDING_OK, "", "none, after somebody's DEL"),
    };
    struct node n;
    ask("FLUSHALL");
    open_node(&n, "one", REDIS_LAYOUT_HASH);
    run_until(&n, NULL, is_ready);
    expect(&n, &step[0], 0);
    ask("DEL user:a@example.com");
    assert_int_equal(ask_node(&n, &step[1]).count, 0);
    close_node(&n);
}

/* ---- What others may have written --------------------------------------------------------------
 */

static void stands_junk(void **state)
{
    (void)state;
    static const char *const junk[] = {
        "HSET user:a@example.com contact sip:old@h protocol udp sbcAddress 192.0.2.1:5060",
        "HSET user:a@example.com binding:1 x binding:zz {} binding:0000000000000002 {",
        "HSET user:a@example.com binding:1 '{\"contact\":\"sip:a@h\\\\r\\\\nX: "
        "y\",\"protocol\":\"udp\","
        "\"proxy\":\"sip:192.0.2.1:1\",\"expiryTime\":1795000900000,\"refreshedTime\":1}'",
        "HSET user:a@example.com binding:1 "
        "'{\"contact\":5,\"expiryTime\":-1,\"refreshedTime\":[]}'",
    };
    static const struct register_step step = STEP(0, "1", 1, A, BINDING_OK, "", "beside junk");
    static const struct register_step again = STEP(1, "1", 2, A, BINDING_OK, "", "again");
    for (size_t i = 0; i < sizeof junk / sizeof *junk; i++) {
        struct node n;
        ask("FLUSHALL");
        ask(junk[i]);
        open_node(&n, "one", REDIS_LAYOUT_HASH);
        run_until(&n, NULL, is_ready);
        assert_int_equal(ask_node(&n, &step).count, 1);
        assert_int_equal(ask_node(&n, &again).count, 1);
        assert_string_equal(ask("HGET user:a@example.com contact"), "sip:a@h");
        n.store->ops->close_flow(n.store, STR("a@example.com"), 9, true);
        run_until(&n, NULL, is_idle);
        close_node(&n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_one_node_only),
        cmocka_unit_test(tells_what_it_grants_while_redis_is_away),
        cmocka_unit_test(keeps_what_it_holds_while_redis_is_away),
        cmocka_unit_test(writes_again_what_was_flushed),
        cmocka_unit_test(keeps_what_was_flushed_again),
        cmocka_unit_test(shares_an_aor),
        cmocka_unit_test(forgets_what_was_removed_elsewhere),
        cmocka_unit_test(removes_what_was_flushed_as_it_went),
        cmocka_unit_test(leaves_a_binding_where_it_is_unless_it_moved_it),
        cmocka_unit_test(tells_the_latest_removal),
        cmocka_unit_test(reads_all_notes),
        cmocka_unit_test(remembers_so_many_removals),
        cmocka_unit_test(hears_what_was_removed_while_it_was_deaf),
        cmocka_unit_test(removes_again_what_an_older_redis_brings_back),
        cmocka_unit_test(takes_out_what_expired_beside_others),
        cmocka_unit_test(removes_what_has_just_expired),
        cmocka_unit_test(buries_the_connections_of_the_dead),
        cmocka_unit_test(buries_who_died_before_the_lease),
        cmocka_unit_test(stands_junk),
        cmocka_unit_test(stands_a_connection_that_closes_meanwhile),
        cmocka_unit_test(sees_that_an_address_was_deleted),
    };
    static const struct store_contract hash = {.name = "redis",
                                               .is_shared = true,
                                               .open = open_for_contract,
                                               .wait = wait_for_contract,
                                               .settle = settle_contract,
                                               .close = close_contract};
    if (str_hash_seed() < 0)
        return 1;
    net_init();
    server = redis_server_new(NULL);
    int failed = store_contract_run(&hash);
    failed += cmocka_run_group_tests(tests, NULL, NULL);
    redis_server_free(server);
    return failed;
}
