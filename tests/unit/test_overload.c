#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <aorta/overload.h>
#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

enum { LAG_MS = 100, TICK_MS = 100 };

static void marks(void **state)
{
    (void)state;
    static const struct {
        enum overload_cause cause;
        uint32_t lag_ms;
        uint32_t mark[OVERLOAD_LEVELS];
        const char *why;
    } row[] = {
        {OVERLOAD_BY_LOOP,      100, {0, 100, 300, 1000}, "multiples of limits.lagMs"          },
        {OVERLOAD_BY_LOOP,      20,  {0, 20, 60, 200},    "another one"                        },
        {OVERLOAD_BY_LOOP,      0,   {0, 0, 0, 0},        "switched off"                       },
        {OVERLOAD_BY_STORE,     100, {0, 100, 300, 0},    "refreshes are granted without it"   },
        {OVERLOAD_BY_REQUESTS,  100, {0, 50, 75, 95},     "percent"                            },
        {OVERLOAD_BY_REQUESTS,  20,  {0, 50, 75, 95},     "has nothing to do with limits.lagMs"},
        {OVERLOAD_BY_REQUESTS,  0,   {0, 0, 0, 0},        "but is switched off with it"        },
        {OVERLOAD_BY_DATAGRAMS, 100, {0, 50, 0, 0},       "a flood of them keeps nobody out"   },
    };
    for (size_t i = 0; i < COUNT(row); i++)
        for (enum overload_level level = 0; level < OVERLOAD_LEVELS; level++)
            if (overload_mark(row[i].cause, level, row[i].lag_ms) != row[i].mark[level])
                fail_msg("row %zu, level %d: %s", i, (int)level, row[i].why);
}

/* The same figure for some ticks, and the level after the last of them. */
struct phase {
    unsigned ticks;
    uint32_t ms; /* by which the loop is late */
    enum overload_level level;
    const char *why;
};

static void play(const struct phase *phase, size_t count, enum overload_cause cause)
{
    struct overload o = {0};
    uint64_t now_ms = 5000;
    for (size_t i = 0; i < count; i++) {
        uint32_t figure[OVERLOAD_CAUSES] = {0};
        figure[cause] = phase[i].ms;
        for (unsigned k = 0; k < phase[i].ticks; k++, now_ms += TICK_MS) {
            enum overload_level before = o.level;
            if (overload_update(&o, figure, LAG_MS, now_ms) != (o.level != before))
                fail_msg("phase %zu: a change that is none, or is not told", i);
        }
        if (o.level != phase[i].level)
            fail_msg("phase %zu: level %d, %s", i, (int)o.level, phase[i].why);
        if (o.level != OVERLOAD_NONE && o.cause != cause)
            fail_msg("phase %zu: another cause", i);
    }
}

static void levels_rise_and_fall(void **state)
{
    (void)state;
    static const struct phase phase[] = {
        {50, 99,    OVERLOAD_NONE,       "just below"                                  },
        {3,  100,   OVERLOAD_NONE,       "less than half of what counts"               },
        {1,  100,   OVERLOAD_DELAY,      "more than half of it"                        },
        {50, 50,    OVERLOAD_DELAY,      "half of the mark keeps it"                   },
        {3,  49,    OVERLOAD_DELAY,      "has not come through yet"                    },
        {10, 49,    OVERLOAD_DELAY,      "calm, but not for long enough"               },
        {1,  49,    OVERLOAD_NONE,       "calm for a second"                           },
        {4,  300,   OVERLOAD_REFUSE_NEW, "over the next one at once"                   },
        {4,  1000,  OVERLOAD_REFUSE_ALL, "and over the last"                           },
        {3,  0,     OVERLOAD_REFUSE_ALL, "not yet"                                     },
        {11, 0,     OVERLOAD_REFUSE_NEW, "down step by step"                           },
        {10, 0,     OVERLOAD_REFUSE_NEW, "a second each"                               },
        {1,  0,     OVERLOAD_DELAY,      ""                                            },
        {4,  60,    OVERLOAD_DELAY,      "lateness that keeps the level it has reached"},
        {99, 60,    OVERLOAD_DELAY,      ""                                            },
        {4,  30000, OVERLOAD_REFUSE_ALL, "several steps at once"                       },
    };
    play(phase, COUNT(phase), OVERLOAD_BY_LOOP);
}

static void single_stalls_are_nothing(void **state)
{
    (void)state;
    static const struct phase phase[] = {
        {1, 60000, OVERLOAD_NONE, "a machine that slept for a minute"},
        {4, 0,     OVERLOAD_NONE, ""                                 },
        {3, 60000, OVERLOAD_NONE, "three times"                      },
        {4, 0,     OVERLOAD_NONE, ""                                 },
        {3, 60000, OVERLOAD_NONE, "again and again"                  },
        {4, 0,     OVERLOAD_NONE, ""                                 },
    };
    play(phase, COUNT(phase), OVERLOAD_BY_LOOP);
}

static void each_cause_goes_as_far_as_it_may(void **state)
{
    (void)state;
    static const struct {
        enum overload_cause cause;
        enum overload_level level;
    } row[] = {
        {OVERLOAD_BY_LOOP,      OVERLOAD_REFUSE_ALL},
        {OVERLOAD_BY_STORE,     OVERLOAD_REFUSE_NEW},
        {OVERLOAD_BY_REQUESTS,  OVERLOAD_REFUSE_ALL},
        {OVERLOAD_BY_DATAGRAMS, OVERLOAD_DELAY     },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        const struct phase phase[] = {
            {9,  UINT32_MAX, row[i].level,  "as far as it may"},
            {40, 0,          OVERLOAD_NONE, "and back"        },
        };
        play(phase, COUNT(phase), row[i].cause);
    }
}

/* The worst decides; it may be another one that keeps the level. */
static void the_worst_cause_decides(void **state)
{
    (void)state;
    static const struct {
        unsigned ticks;
        uint32_t figure[OVERLOAD_CAUSES];
        enum overload_level level;
        enum overload_cause cause;
    } phase[] = {
        {4,  {150, 0, 60, 0},   OVERLOAD_DELAY,      OVERLOAD_BY_LOOP     },
        {4,  {150, 0, 80, 99},  OVERLOAD_REFUSE_NEW, OVERLOAD_BY_REQUESTS },
        {99, {150, 160, 0, 99}, OVERLOAD_REFUSE_NEW, OVERLOAD_BY_REQUESTS },
        {13, {0, 0, 0, 99},     OVERLOAD_REFUSE_NEW, OVERLOAD_BY_REQUESTS },
        {1,  {0, 0, 0, 99},     OVERLOAD_DELAY,      OVERLOAD_BY_DATAGRAMS},
        {99, {0, 0, 0, 99},     OVERLOAD_DELAY,      OVERLOAD_BY_DATAGRAMS},
    };
    struct overload o = {0};
    uint64_t now_ms = 0;
    for (size_t i = 0; i < COUNT(phase); i++) {
        for (unsigned k = 0; k < phase[i].ticks; k++, now_ms += TICK_MS)
            overload_update(&o, phase[i].figure, LAG_MS, now_ms);
        if (o.level != phase[i].level || o.cause != phase[i].cause)
            fail_msg("phase %zu: level %d by cause %d", i, (int)o.level, (int)o.cause);
    }
}

static void switched_off(void **state)
{
    (void)state;
    struct overload o = {0};
    const uint32_t figure[OVERLOAD_CAUSES] = {9999, 9999, 100, 100};
    for (unsigned i = 0; i < 50; i++)
        assert_false(overload_update(&o, figure, 0, i * TICK_MS));
    for (unsigned i = 50; i < 54; i++)
        overload_update(&o, figure, LAG_MS, i * TICK_MS);
    assert_int_equal(o.level, OVERLOAD_REFUSE_ALL);
    for (unsigned i = 54; i < 90; i++) /* by a reload */
        overload_update(&o, figure, 0, i * TICK_MS);
    assert_int_equal(o.level, OVERLOAD_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks),
        cmocka_unit_test(levels_rise_and_fall),
        cmocka_unit_test(single_stalls_are_nothing),
        cmocka_unit_test(each_cause_goes_as_far_as_it_may),
        cmocka_unit_test(the_worst_cause_decides),
        cmocka_unit_test(switched_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
