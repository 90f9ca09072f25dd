#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "transport/conn_limit.h"
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static struct net_address address(const char *ip, uint16_t port)
{
    struct net_address a;
    assert_int_equal(net_address_parse(&a, str_from(ip), port), 0);
    return a;
}

static bool take(struct conn_limit *limit, const struct net_address *remote)
{
    return conn_limit_take(limit, remote) == LIMIT_NONE;
}

static void counts(void **state)
{
    (void)state;
    enum { MAX_TOTAL = 4, MAX_PER_IP = 2 };
    static const struct {
        char what; /* '+' takes, '-' gives back */
        const char *ip;
        bool is_taken;
        const char *why;
    } row[] = {
        {'+', "192.0.2.1",        true,  "first"                             },
        {'+', "192.0.2.1",        true,  "second of this address"            },
        {'+', "192.0.2.1",        false, "limit of this address"             },
        {'+', "::ffff:192.0.2.1", false, "the same address in an IPv6 socket"},
        {'+', "192.0.2.2",        true,  "another address"                   },
        {'+', "2001:db8::1",      true,  "the fourth: refusals did not count"},
        {'+', "2001:db8::2",      false, "limit of all"                      },
        {'-', "192.0.2.2",        true,  ""                                  },
        {'+', "192.0.2.1",        false, "still its own limit"               },
        {'+', "2001:db8::2",      true,  "room again"                        },
        {'-', "192.0.2.1",        true,  ""                                  },
        {'+', "2001:db8::f:3",    false, "two of its /64 are there"          },
        {'+', "::ffff:192.0.2.1", true,  "one of the same address"           },
        {'+', "192.0.2.1",        false, "both limits"                       },
        {'-', "192.0.2.1",        true,  ""                                  },
        {'-', "::ffff:192.0.2.1", true,  ""                                  },
        {'-', "2001:db8::1",      true,  ""                                  },
        {'-', "2001:db8::2",      true,  ""                                  },
        {'+', "192.0.2.2",        true,  "all is as at the beginning"        },
        {'+', "192.0.2.2",        true,  ""                                  },
        {'+', "192.0.2.2",        false, ""                                  },
    };
    struct conn_limit *limit = conn_limit_new(MAX_TOTAL, MAX_PER_IP);
    assert_non_null(limit);
    for (size_t i = 0; i < COUNT(row); i++) {
        struct net_address remote = address(row[i].ip, (uint16_t)(1024 + i));
        if (row[i].what == '-')
            conn_limit_give(limit, &remote);
        else if (take(limit, &remote) != row[i].is_taken)
            fail_msg("row %zu: %s", i, row[i].why);
    }
    conn_limit_free(limit);
    conn_limit_free(NULL);
}

static void tells_which_limit(void **state)
{
    (void)state;
    struct net_address a = address("192.0.2.1", 1), b = address("192.0.2.2", 1);
    struct conn_limit *limit = conn_limit_new(2, 1);
    assert_non_null(limit);
    assert_int_equal(conn_limit_take(limit, &a), LIMIT_NONE);
    assert_int_equal(conn_limit_take(limit, &a), LIMIT_PER_IP);
    assert_int_equal(conn_limit_take(limit, &b), LIMIT_NONE);
    assert_int_equal(conn_limit_take(limit, &a), LIMIT_CONNECTIONS);
    conn_limit_free(limit);
}

static void limits_change(void **state)
{
    (void)state;
    struct net_address a = address("192.0.2.1", 1), b = address("192.0.2.2", 1);
    struct conn_limit *limit = conn_limit_new(2, 1);
    assert_non_null(limit);
    assert_true(take(limit, &a));
    assert_false(take(limit, &a));
    conn_limit_set(limit, 2, 2);
    assert_true(take(limit, &a));
    assert_false(take(limit, &b)); /* of all */
    conn_limit_set(limit, 1, 2);   /* below what is there: nobody goes, nobody comes */
    assert_false(take(limit, &b));
    conn_limit_give(limit, &a);
    assert_false(take(limit, &b));
    conn_limit_give(limit, &a);
    assert_true(take(limit, &b));
    conn_limit_free(limit);
}

static void counts_clients_behind_a_proxy(void **state)
{
    (void)state;
    struct net_address client = address("192.0.2.1", 1);
    struct conn_limit *limit = conn_limit_new(3, 1);
    assert_non_null(limit);
    assert_true(conn_limit_take_total(limit)); /* the proxy's connections */
    assert_true(conn_limit_take_total(limit));
    assert_true(conn_limit_take_ip(limit, &client)); /* who has come through the first */
    assert_false(conn_limit_take_ip(limit, &client));
    assert_false(take(limit, &client)); /* nor directly */
    conn_limit_give_ip(limit, &client);
    assert_true(take(limit, &client));
    assert_false(conn_limit_take_total(limit));
    conn_limit_give_total(limit);
    assert_true(conn_limit_take_total(limit));
    conn_limit_free(limit);
}

static void admin_gets_in_when_it_is_full(void **state)
{
    (void)state;
    struct conn_limit *limit = conn_limit_new(1, 1);
    assert_non_null(limit);
    assert_true(conn_limit_take_total(limit));
    assert_false(conn_limit_take_total(limit));
    for (int i = 0; i < 64; i++)
        assert_true(conn_limit_take_admin(limit));
    assert_false(conn_limit_take_admin(limit)); /* but not without end */
    conn_limit_give_total(limit);
    assert_false(conn_limit_take_total(limit));
    assert_true(conn_limit_take_admin(limit));
    conn_limit_free(limit);
}

/* ---- Threads ------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 20000, TOTAL = 5, PER_IP = 3 };

struct crowd {
    struct conn_limit *limit;
    struct net_address remote[2];
    atomic_int held[2], held_in_all, most_of_one, most;
    atomic_uint next;
};

static void raise_to(atomic_int *most, int n)
{
    int was = atomic_load(most);
    while (n > was && !atomic_compare_exchange_weak(most, &was, n))
        ;
}

static void *come_and_go(void *arg)
{
    struct crowd *crowd = arg;
    unsigned which = atomic_fetch_add(&crowd->next, 1) % 2;
    for (int i = 0; i < ROUNDS; i++, which ^= i % 7 == 0) {
        if (!take(crowd->limit, &crowd->remote[which]))
            continue;
        raise_to(&crowd->most_of_one, atomic_fetch_add(&crowd->held[which], 1) + 1);
        raise_to(&crowd->most, atomic_fetch_add(&crowd->held_in_all, 1) + 1);
        atomic_fetch_sub(&crowd->held_in_all, 1); /* before it is given: never one too many here */
        atomic_fetch_sub(&crowd->held[which], 1);
        conn_limit_give(crowd->limit, &crowd->remote[which]);
    }
    return NULL;
}

static unsigned take_all(struct conn_limit *limit, const struct net_address *remote)
{
    unsigned n = 0;
    while (take(limit, remote))
        n++;
    return n;
}

static void threads_never_pass_the_limits(void **state)
{
    (void)state;
    struct crowd crowd = {
        .limit = conn_limit_new(TOTAL, PER_IP),
        .remote = {address("192.0.2.1", 1), address("2001:db8::1", 2)},
    };
    assert_non_null(crowd.limit);
    /* One each is held throughout, so that the threads meet at the limits. */
    assert_true(take(crowd.limit, &crowd.remote[0]));
    assert_true(take(crowd.limit, &crowd.remote[1]));
    pthread_t thread[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, come_and_go, &crowd), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    assert_true(atomic_load(&crowd.most_of_one) <= PER_IP - 1);
    assert_true(atomic_load(&crowd.most) <= TOTAL - 2);
    assert_int_equal(take_all(crowd.limit, &crowd.remote[0]), PER_IP - 1);
    assert_int_equal(take_all(crowd.limit, &crowd.remote[1]), TOTAL - 2 - (PER_IP - 1));
    conn_limit_free(crowd.limit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts),
        cmocka_unit_test(tells_which_limit),
        cmocka_unit_test(limits_change),
        cmocka_unit_test(counts_clients_behind_a_proxy),
        cmocka_unit_test(admin_gets_in_when_it_is_full),
        cmocka_unit_test(threads_never_pass_the_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
