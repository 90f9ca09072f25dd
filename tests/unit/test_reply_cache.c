#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "registrar/reply_cache.h"
#include <cmocka.h>
#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

enum { LIFE_MS = 32000, ROOMY = 1 << 20 };
static const uint64_t start_ms = 1800000000000;

static struct net_address address(const char *ip, uint16_t port)
{
    struct net_address a;
    assert_int_equal(net_address_parse(&a, str_from(ip), port), 0);
    return a;
}

static void put(struct reply_cache *cache, uint64_t key, uint64_t at_ms, struct str reply)
{
    struct net_address to = address("192.0.2.1", (uint16_t)key);
    reply_cache_put(cache, key, start_ms + at_ms, &to, reply);
}

/* What is remembered for `key`; empty when nothing is. */
static struct str find(struct reply_cache *cache, uint64_t key, uint64_t at_ms)
{
    struct net_address to = {0}, expected = address("192.0.2.1", (uint16_t)key);
    struct str reply = STR_NONE;
    if (reply_cache_find(cache, key, start_ms + at_ms, &to, &reply))
        assert_true(net_address_same(&to, &expected));
    return reply;
}

static void remembers_for_32_seconds(void **state)
{
    (void)state;
    static const struct {
        uint64_t put_ms, find_ms;
        bool is_found;
    } row[] = {
        {0,    0,                 true },
        {0,    LIFE_MS - 1,       true },
        {0,    LIFE_MS,           false},
        {0,    LIFE_MS + 1,       false},
        {0,    UINT64_C(1) << 60, false},
        {1000, LIFE_MS + 999,     true },
        {1000, LIFE_MS + 1000,    false},
        {1000, 0,                 true }, /* another thread's clock need not be ours */
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct reply_cache *cache = reply_cache_new(ROOMY);
        assert_non_null(cache);
        assert_true(str_is_empty(find(cache, 7, 0)));
        put(cache, 7, row[i].put_ms, STR("SIP/2.0 200 OK"));
        if (str_eq(find(cache, 7, row[i].find_ms), STR("SIP/2.0 200 OK")) != row[i].is_found)
            fail_msg("row %zu", i);
        assert_true(str_is_empty(find(cache, 8, row[i].find_ms)));
        reply_cache_free(cache);
    }
    reply_cache_free(NULL);
}

static void expires_in_order(void **state)
{
    (void)state;
    enum { MANY = 500 };
    struct reply_cache *cache = reply_cache_new(ROOMY);
    for (uint64_t i = 0; i < MANY; i++)
        put(cache, i, i * 10, STR("x"));
    for (uint64_t i = 0; i < MANY; i++) {
        assert_false(str_is_empty(find(cache, i, LIFE_MS + i * 10 - 1)));
        assert_true(str_is_empty(find(cache, i, LIFE_MS + i * 10)));
    }
    put(cache, 1, UINT64_C(2) * LIFE_MS, STR("y")); /* empty, and used again */
    assert_true(str_eq(find(cache, 1, UINT64_C(2) * LIFE_MS), STR("y")));
    reply_cache_free(cache);
}

static void oldest_make_room(void **state)
{
    (void)state;
    enum { MAX_BYTES = 10000, REPLY_BYTES = 1000, FIT = 9, MANY = 50 };
    static char reply[MAX_BYTES];
    struct reply_cache *cache = reply_cache_new(MAX_BYTES);
    for (uint64_t i = 0; i < MANY; i++) {
        put(cache, i, i, (struct str){reply, REPLY_BYTES});
        for (uint64_t k = 0; k <= i; k++)
            if ((find(cache, k, i).len == REPLY_BYTES) != (k + FIT > i))
                fail_msg("%d of %d after %d", (int)k, FIT, (int)i);
    }

    put(cache, MANY, MANY, (struct str){reply, sizeof reply});
    assert_true(str_is_empty(find(cache, MANY, MANY))); /* with its administration it is too long */
    assert_int_equal(find(cache, MANY - FIT, MANY).len, REPLY_BYTES); /* nothing went for it */

    put(cache, MANY, MANY, (struct str){reply, MAX_BYTES - 200});
    assert_int_equal(find(cache, MANY, MANY).len, MAX_BYTES - 200);
    assert_true(str_is_empty(find(cache, MANY - 1, MANY))); /* all went for it */
    reply_cache_free(cache);
}

static void says_when_answers_had_to_go(void **state)
{
    (void)state;
    enum { MAX_BYTES = 10000, REPLY_BYTES = 1000, FIT = 9 };
    static char memory[REPLY_BYTES];
    struct str reply = {memory, REPLY_BYTES};
    struct net_address to = {0};
    struct reply_cache *cache = reply_cache_new(MAX_BYTES);
    for (uint64_t i = 0; i < FIT; i++)
        assert_false(reply_cache_put(cache, i, 1, &to, reply));
    assert_true(reply_cache_put(cache, FIT, 1, &to, reply));
    find(cache, 0, LIFE_MS + 1); /* all have had their time */
    assert_false(reply_cache_put(cache, 0, LIFE_MS + 1, &to, reply));
    reply_cache_free(cache);
}

static void without_room(void **state)
{
    (void)state;
    struct reply_cache *cache = reply_cache_new(0);
    assert_non_null(cache);
    put(cache, 1, 0, STR("x"));
    assert_true(str_is_empty(find(cache, 1, 0)));
    reply_cache_free(cache);
}

static void last_answer_counts(void **state)
{
    (void)state;
    struct reply_cache *cache = reply_cache_new(ROOMY);
    put(cache, 7, 0, STR("first"));
    put(cache, 7, 1000, STR("second"));
    assert_true(str_eq(find(cache, 7, 1000), STR("second")));
    assert_true(str_eq(find(cache, 7, LIFE_MS), STR("second"))); /* the first has gone */
    assert_true(str_is_empty(find(cache, 7, LIFE_MS + 1000)));
    reply_cache_free(cache);
}

/* Keys that differ in their high bits only are in one bucket, however many buckets there are. */
static void shared_buckets(void **state)
{
    (void)state;
    enum { MANY = 100, SHIFT = 40 };
    struct reply_cache *cache = reply_cache_new(ROOMY);
    for (uint64_t i = 0; i < MANY; i++)
        put(cache, i << SHIFT, i, (struct str){"answer", i % 6 + 1});
    for (uint64_t i = 0; i < MANY; i++)
        assert_int_equal(find(cache, i << SHIFT, MANY).len, i % 6 + 1);
    assert_true(str_is_empty(find(cache, (uint64_t)MANY << SHIFT, MANY)));
    for (uint64_t i = 0; i < MANY; i++) { /* they go from the far end of the bucket */
        assert_true(str_is_empty(find(cache, i << SHIFT, LIFE_MS + i)));
        if (i + 1 < MANY)
            assert_false(str_is_empty(find(cache, (i + 1) << SHIFT, LIFE_MS + i)));
    }
    reply_cache_free(cache);
}

/* All at once: equal keys, shared buckets, no room, old age. */
static void churns(void **state)
{
    (void)state;
    enum { ROUNDS = 20000 };
    static char reply[5000];
    struct reply_cache *cache = reply_cache_new(50000);
    uint64_t random = 1;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t key = random >> 33 & 0x70003f; /* 512 keys in 64 buckets */
        size_t n = (size_t)(random >> 50 & 0xfff) + 1;
        put(cache, key, i * 700, (struct str){reply, n});
        assert_int_equal(find(cache, key, i * 700).len, n);
    }
    reply_cache_free(cache);
}

static void keys(void **state)
{
    (void)state;
    static const struct {
        const char *ip;
        uint16_t port;
        const char *datagram;
        bool is_same; /* as the first row */
        const char *why;
    } row[] = {
        {"192.0.2.1",        5060, "REGISTER 1", true,  "itself"                         },
        {"::ffff:192.0.2.1", 5060, "REGISTER 1", true,  "as an IPv6 socket would have it"},
        {"192.0.2.1",        5061, "REGISTER 1", false, "another port"                   },
        {"192.0.2.2",        5060, "REGISTER 1", false, "another address"                },
        {"192.0.2.2",        5059, "REGISTER 1", false, "both"                           },
        {"2001:db8::1",      5060, "REGISTER 1", false, "another family"                 },
        {"192.0.2.1",        5060, "REGISTER 2", false, "another request"                },
        {"192.0.2.1",        5060, "REGISTER ",  false, "a shorter one"                  },
        {"192.0.2.1",        5060, "",           false, "nothing"                        },
    };
    struct net_address first = address(row[0].ip, row[0].port);
    uint64_t key = reply_cache_key(&first, str_from(row[0].datagram));
    for (size_t i = 0; i < COUNT(row); i++) {
        struct net_address source = address(row[i].ip, row[i].port);
        if ((reply_cache_key(&source, str_from(row[i].datagram)) == key) != row[i].is_same)
            fail_msg("row %zu: %s", i, row[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remembers_for_32_seconds),
        cmocka_unit_test(expires_in_order),
        cmocka_unit_test(oldest_make_room),
        cmocka_unit_test(says_when_answers_had_to_go),
        cmocka_unit_test(without_room),
        cmocka_unit_test(last_answer_counts),
        cmocka_unit_test(shared_buckets),
        cmocka_unit_test(churns),
        cmocka_unit_test(keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
