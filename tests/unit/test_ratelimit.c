#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <aorta/ratelimit.h>
#include <cmocka.h>
#include <errno.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static void takes_and_refills(void **state)
{
    (void)state;
    static const struct {
        uint64_t at_ms;
        bool pass;
        const char *why;
    } row[] = {
        {0,              true,  "starts full"                 },
        {0,              true,  "burst of two"                },
        {0,              false, "and no more"                 },
        {499,            false, "earned 0.998 at 2/s"         },
        {500,            true,  "and now one"                 },
        {400,            false, "clock stepped back"          },
        {999,            false, "which earned nothing"        },
        {1000,           true,  "half a second since the last"},
        {3000,           true,  "a long gap fills"            },
        {3000,           true,  "to two"                      },
        {3000,           false, "and no more"                 },
        {UINT64_MAX - 1, true,  "the longest gap fills"       },
        {UINT64_MAX - 1, true,  "to two"                      },
        {UINT64_MAX,     false, "and no more"                 },
    };
    struct ratelimit rl;
    assert_int_equal(ratelimit_init(&rl, 2, 2, 0), 0);
    for (size_t i = 0; i < COUNT(row); i++)
        if (ratelimit_take(&rl, row[i].at_ms) != row[i].pass)
            fail_msg("row %zu: %s", i, row[i].why);
}

static unsigned take_all(struct ratelimit *rl, uint64_t now_ms, unsigned most)
{
    unsigned n = 0;
    while (n < most && ratelimit_take(rl, now_ms))
        n++;
    return n;
}

static void extremes(void **state)
{
    (void)state;
    enum { MOST = 5000 };
    static const struct {
        uint32_t rate_per_s, burst;
        uint64_t start_ms, later_ms;
        unsigned at_once, then; /* how many pass, looked at up to MOST */
        const char *why;
    } row[] = {
        {0,          1,          0,          UINT64_MAX, 1,    0,    "rate 0 never refills"          },
        {1,          1,          0,          999,        1,    0,    "just before the first token"   },
        {1,          1,          0,          1000,       1,    1,    "one a second"                  },
        {1,          3,          5,          2004,       3,    1,    "1.999 tokens"                  },
        {1000,       1,          0,          1,          1,    1,    "one a millisecond"             },
        {UINT32_MAX, 1,          0,          1,          1,    1,    "the highest rate, capped"      },
        {UINT32_MAX, UINT32_MAX, 0,          UINT64_MAX, MOST, MOST, "nothing overflows"             },
        {1,          UINT32_MAX, UINT64_MAX, UINT64_MAX, MOST, MOST, "started at the end of all time"},
        {1,          1,          UINT64_MAX, 0,          1,    0,    "the clock starts over"         },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct ratelimit rl;
        assert_int_equal(ratelimit_init(&rl, row[i].rate_per_s, row[i].burst, row[i].start_ms), 0);
        unsigned at_once = take_all(&rl, row[i].start_ms, MOST);
        unsigned then = take_all(&rl, row[i].later_ms, MOST);
        if (at_once != row[i].at_once || then != row[i].then)
            fail_msg("row %zu: %s: %u, %u", i, row[i].why, at_once, then);
        assert_true(rl.millitokens <= (uint64_t)row[i].burst * 1000);
    }
}

static void asked_often_or_seldom(void **state)
{
    (void)state;
    struct ratelimit often, seldom;
    unsigned passed = 0;
    assert_int_equal(ratelimit_init(&often, 7, 1, 0), 0);
    assert_int_equal(ratelimit_init(&seldom, 7, 1000, 0), 0);
    for (uint64_t ms = 0; ms <= 100000; ms++)
        passed += ratelimit_take(&often, ms);
    assert_in_range(passed, 693, 701); /* nothing is lost by asking every millisecond */
    take_all(&seldom, 0, 5000);
    assert_int_equal(take_all(&seldom, 100000, 5000), 700);
}

static void refuses_what_never_passes(void **state)
{
    (void)state;
    struct ratelimit rl = {.burst = 42};
    assert_int_equal(ratelimit_init(&rl, 5, 0, 0), -EINVAL);
    assert_int_equal(rl.burst, 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_and_refills),
        cmocka_unit_test(extremes),
        cmocka_unit_test(asked_often_or_seldom),
        cmocka_unit_test(refuses_what_never_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
