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

enum { GIVE_UP_TICKS = 80 };

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
    n->store = store_redis_open(n->cluster, n->loop, 0);
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

int main(void)
{
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
    redis_server_free(server);
    return failed;
}
