#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/nonce_internal.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { TTL_S = 300, FLOW = 42, SLOT_BITS = 4 };
#define NOW_MS UINT64_C(1800000000000)

static struct str make(struct nonces *n, unsigned worker, char text[NONCE_TEXT])
{
    assert_int_equal(nonces_make(n, worker, FLOW, NOW_MS, text), 0);
    return (struct str){text, NONCE_TEXT};
}

static void ages_and_flows(void **state)
{
    (void)state;
    static const struct {
        int64_t after_ms;
        uint64_t flow;
        enum nonce_verdict verdict;
        const char *why;
    } row[] = {
        {0,            FLOW,     NONCE_GOOD,       "fresh"                              },
        {TTL_S * 1000, FLOW,     NONCE_GOOD,       "just within its time"               },
        {301 * 1000,   FLOW,     NONCE_EXPIRED,    "a second too old"                   },
        {86400 * 1000, FLOW,     NONCE_EXPIRED,    "a day too old"                      },
        {-5 * 1000,    FLOW,     NONCE_GOOD,       "another thread's clock may be ahead"},
        {-6 * 1000,    FLOW,     NONCE_EXPIRED,    "from the future"                    },
        {0,            FLOW + 1, NONCE_OTHER_FLOW, "ours, but not this connection's"    },
        {301 * 1000,   FLOW + 1, NONCE_EXPIRED,    "both"                               },
    };
    struct nonces *n = nonces_new(1, SLOT_BITS);
    char text[NONCE_TEXT];
    struct str nonce = make(n, 0, text);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        uint64_t serial;
        uint64_t now_ms = NOW_MS + (uint64_t)row[i].after_ms;
        if (nonces_check(n, nonce, row[i].flow, now_ms, TTL_S, &serial) != row[i].verdict)
            fail_msg("row %zu: %s", i, row[i].why);
    }
    nonces_free(n);
}

/* Where the tag (2 digits) and the start (8) stand is known here only. */
static void no_digit_can_be_changed(void **state)
{
    (void)state;
    struct nonces *n = nonces_new(1, SLOT_BITS);
    char text[NONCE_TEXT];
    struct str nonce = make(n, 0, text);
    for (size_t i = 0; i < NONCE_TEXT; i++) {
        uint64_t serial;
        char was = text[i];
        text[i] = was == '0' ? '1' : '0';
        bool is_start = i >= 2 && i < 10;
        enum nonce_verdict expected = is_start ? NONCE_OLD_START : NONCE_FOREIGN;
        if (nonces_check(n, nonce, FLOW, NOW_MS, TTL_S, &serial) != expected)
            fail_msg("digit %zu", i);
        text[i] = was;
    }
    nonces_free(n);
}

static void strange_shapes_are_foreign(void **state)
{
    (void)state;
    struct nonces *n = nonces_new(1, SLOT_BITS);
    char text[NONCE_TEXT + 1];
    uint64_t serial;
    struct str nonce = make(n, 0, text);
    text[NONCE_TEXT] = '0';
    struct str longer = {text, NONCE_TEXT + 1};
    struct str shorter = {text, NONCE_TEXT - 1};
    assert_int_equal(nonces_check(n, longer, FLOW, NOW_MS, TTL_S, &serial), NONCE_FOREIGN);
    assert_int_equal(nonces_check(n, shorter, FLOW, NOW_MS, TTL_S, &serial), NONCE_FOREIGN);
    assert_int_equal(nonces_check(n, STR_NONE, FLOW, NOW_MS, TTL_S, &serial), NONCE_FOREIGN);
    assert_int_equal(nonces_check(n, STR("1636362000:abc"), FLOW, NOW_MS, TTL_S, &serial),
                     NONCE_FOREIGN);

    assert_int_equal(text[0], 'a');
    text[0] = 'A';
    assert_int_equal(nonces_check(n, nonce, FLOW, NOW_MS, TTL_S, &serial), NONCE_FOREIGN);
    text[0] = 'g';
    assert_int_equal(nonces_check(n, nonce, FLOW, NOW_MS, TTL_S, &serial), NONCE_FOREIGN);
    nonces_free(n);
}

static void restart_makes_them_old(void **state)
{
    (void)state;
    struct nonces *before = nonces_new(1, SLOT_BITS);
    struct nonces *after = nonces_new(1, SLOT_BITS);
    char text[NONCE_TEXT];
    uint64_t serial;
    struct str nonce = make(before, 0, text);
    assert_int_equal(nonces_check(after, nonce, FLOW, NOW_MS, TTL_S, &serial), NONCE_OLD_START);
    nonces_free(before);
    nonces_free(after);
}

static void a_flow_is_a_connection_or_an_address(void **state)
{
    (void)state;
    static const struct {
        enum transport_kind protocol;
        conn_id conn;
        const char *ip;
        uint16_t port;
        bool is_same;
        const char *why;
    } row[] = {
        {TRANSPORT_WSS, 7, "192.0.2.1", 1000, true,  "the connection itself"              },
        {TRANSPORT_WSS, 8, "192.0.2.1", 1000, false, "another one"                        },
        {TRANSPORT_WSS, 7, "192.0.2.2", 1000, true,  "only its id counts"                 },
        {TRANSPORT_UDP, 7, "192.0.2.1", 1000, false, "no datagram has a connection"       },
        {TRANSPORT_UDP, 0, "192.0.2.9", 1000, true,  "first over UDP"                     },
        {TRANSPORT_UDP, 0, "192.0.2.9", 2000, true,  "NAT may give a new port at any time"},
        {TRANSPORT_UDP, 0, "192.0.2.8", 1000, false, "another address"                    },
    };
    struct nonces *n = nonces_new(1, SLOT_BITS);
    uint64_t first = 0;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct net_address source;
        assert_int_equal(net_address_parse(&source, str_from(row[i].ip), row[i].port), 0);
        uint64_t flow = nonces_flow(n, row[i].protocol, row[i].conn, &source);
        if (i == 0 || i == 4)
            first = flow;
        if ((flow == first) != row[i].is_same)
            fail_msg("row %zu: %s", i, row[i].why);
    }
    nonces_free(n);
}

/* The serial of a nonce made now. */
static uint64_t next_serial(struct nonces *n, unsigned worker)
{
    char text[NONCE_TEXT];
    uint64_t serial;
    struct str nonce = make(n, worker, text);
    assert_int_equal(nonces_check(n, nonce, FLOW, NOW_MS, TTL_S, &serial), NONCE_GOOD);
    return serial;
}

static void nc_must_rise(void **state)
{
    (void)state;
    enum { A, B };
    static const struct {
        int nonce;
        uint32_t nc;
        bool is_whole, pass;
        const char *why;
    } row[] = {
        {A, 2,          false, true,  "browsers begin a nonce with 2"      },
        {A, 2,          false, false, "the same again"                     },
        {A, 1,          false, false, "lower"                              },
        {A, 9,          false, true,  "gaps are fine"                      },
        {A, 0,          true,  false, "RFC 2069 only on an untouched nonce"},
        {A, UINT32_MAX, false, true,  "the last one"                       },
        {A, UINT32_MAX, false, false, "nothing after it"                   },
        {B, 0,          true,  true,  "another nonce, RFC 2069"            },
        {B, 0,          true,  false, "good for one use"                   },
        {B, UINT32_MAX, false, false, "and for no other"                   },
    };
    struct nonces *n = nonces_new(1, SLOT_BITS);
    uint64_t serial[] = {next_serial(n, 0), next_serial(n, 0)};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct nonce_use use = {serial[row[i].nonce], row[i].nc, row[i].is_whole};
        if (nonces_is_unused(n, &use) != row[i].pass || nonces_use(n, &use) != row[i].pass)
            fail_msg("row %zu: %s", i, row[i].why);
    }
    nonces_free(n);
}

static void newer_nonces_push_older_out(void **state)
{
    (void)state;
    struct nonces *n = nonces_new(1, SLOT_BITS);
    uint64_t old = next_serial(n, 0);
    uint64_t neighbour = next_serial(n, 0);
    for (int i = 0; i < (1 << SLOT_BITS) - 2; i++)
        next_serial(n, 0);
    uint64_t fresh = next_serial(n, 0); /* in the slot of `old` */

    struct nonce_use of_old = {old, 1, false};
    assert_true(nonces_use(n, &of_old)); /* handing out alone pushes nothing out */
    struct nonce_use of_fresh = {fresh, 1, false};
    assert_true(nonces_use(n, &of_fresh));
    of_old.nc = 2;
    assert_false(nonces_use(n, &of_old));
    struct nonce_use of_neighbour = {neighbour, 1, false};
    assert_true(nonces_use(n, &of_neighbour));
    nonces_free(n);
}

static void tells_forgotten_from_used(void **state)
{
    (void)state;
    struct nonces *n = nonces_new(1, SLOT_BITS);
    struct nonce_use first = {next_serial(n, 0), 1, false}, later = first;
    assert_true(nonces_use(n, &first));
    assert_false(nonces_is_forgotten(n, &first)); /* only used */
    for (unsigned i = 0; i < 1u << SLOT_BITS; i++)
        later.serial = next_serial(n, 0);
    assert_false(nonces_is_forgotten(n, &first)); /* who has a newer one has not used it yet */
    assert_true(nonces_use(n, &later));
    assert_true(nonces_is_forgotten(n, &first));
    assert_false(nonces_is_forgotten(n, &later));
    nonces_free(n);
}

static void workers_have_slots_of_their_own(void **state)
{
    (void)state;
    enum { WORKERS = 3, EACH = 4 }; /* 16 slots, 4 for each of what could be 4 workers */
    struct nonces *n = nonces_new(WORKERS, SLOT_BITS);
    struct nonce_use use[WORKERS * EACH];
    for (unsigned i = 0; i < WORKERS * EACH; i++) {
        use[i] = (struct nonce_use){next_serial(n, i % WORKERS), 1, false};
        assert_true(nonces_use(n, &use[i]));
    }
    for (unsigned i = 0; i < WORKERS * EACH; i++) {
        use[i].nc = 2;
        assert_true(nonces_use(n, &use[i]));
    }
    nonces_free(n);
}

static void impossible_sizes(void **state)
{
    (void)state;
    assert_null(nonces_new(0, SLOT_BITS));
    assert_null(nonces_new(NONCE_MAX_WORKERS + 1, 20));
    assert_null(nonces_new(3, 1));
    struct nonces *n = nonces_new(NONCE_MAX_WORKERS, 20);
    struct nonce_use use = {next_serial(n, NONCE_MAX_WORKERS - 1), 1, false};
    assert_true(nonces_use(n, &use));
    nonces_free(n);
    nonces_free(NULL);
}

/* ---- Threads ------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 2000, NCS = 3 };

struct race {
    struct nonces *nonces;
    uint64_t serial[ROUNDS];
    _Atomic unsigned passed[ROUNDS][NCS + 1];
    _Atomic unsigned ready;
};

static void *use_all(void *arg)
{
    struct race *race = arg;
    atomic_fetch_add(&race->ready, 1);
    while (atomic_load(&race->ready) < THREADS)
        ;
    for (size_t i = 0; i < ROUNDS; i++)
        for (uint32_t nc = 1; nc <= NCS; nc++) {
            struct nonce_use use = {race->serial[i], nc, false};
            if (nonces_use(race->nonces, &use))
                atomic_fetch_add(&race->passed[i][nc], 1);
        }
    return NULL;
}

static void of_equal_uses_one_wins(void **state)
{
    (void)state;
    static struct race race;
    race.nonces = nonces_new(1, 12);
    for (size_t i = 0; i < ROUNDS; i++)
        race.serial[i] = next_serial(race.nonces, 0);
    pthread_t thread[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, use_all, &race), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    for (size_t i = 0; i < ROUNDS; i++) {
        for (size_t nc = 1; nc <= NCS; nc++)
            assert_true(race.passed[i][nc] <= 1);
        assert_int_equal(race.passed[i][NCS], 1); /* nothing above it can have come first */
    }
    nonces_free(race.nonces);
}

struct maker {
    struct nonces *nonces;
    unsigned worker;
    unsigned good;
};

static void *make_and_use(void *arg)
{
    struct maker *maker = arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        char text[NONCE_TEXT];
        struct nonce_use use = {0, 1, false};
        if (nonces_make(maker->nonces, maker->worker, FLOW, NOW_MS, text) == 0 &&
            nonces_check(maker->nonces, (struct str){text, NONCE_TEXT}, FLOW, NOW_MS, TTL_S,
                         &use.serial) == NONCE_GOOD)
            maker->good += nonces_use(maker->nonces, &use);
    }
    return NULL;
}

static void workers_make_at_once(void **state)
{
    (void)state;
    struct nonces *n = nonces_new(THREADS, 8);
    pthread_t thread[THREADS];
    struct maker maker[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        maker[i] = (struct maker){n, i, 0};
        assert_int_equal(pthread_create(&thread[i], NULL, make_and_use, &maker[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(maker[i].good, ROUNDS);
    }
    nonces_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ages_and_flows),
        cmocka_unit_test(no_digit_can_be_changed),
        cmocka_unit_test(strange_shapes_are_foreign),
        cmocka_unit_test(restart_makes_them_old),
        cmocka_unit_test(a_flow_is_a_connection_or_an_address),
        cmocka_unit_test(nc_must_rise),
        cmocka_unit_test(newer_nonces_push_older_out),
        cmocka_unit_test(tells_forgotten_from_used),
        cmocka_unit_test(workers_have_slots_of_their_own),
        cmocka_unit_test(impossible_sizes),
        cmocka_unit_test(of_equal_uses_one_wins),
        cmocka_unit_test(workers_make_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
