#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/breaker_internal.h"
#include <pthread.h>

enum { ASK, FAIL, SUCCEED, OPEN };

static void opens_probes_and_closes(void **state)
{
    (void)state;
    static const struct {
        uint64_t at_ms;
        int what;
        bool expected;
        const char *why;
    } row[] = {
        {0,     ASK,     true,  "closed at first"                        },
        {0,     FAIL,    false, "one"                                    },
        {0,     FAIL,    false, "two"                                    },
        {0,     FAIL,    false, "three"                                  },
        {0,     FAIL,    false, "four"                                   },
        {0,     SUCCEED, false, "was not open"                           },
        {0,     FAIL,    false, "counted from one again"                 },
        {0,     FAIL,    false, "two"                                    },
        {0,     FAIL,    false, "three"                                  },
        {0,     FAIL,    false, "four"                                   },
        {0,     OPEN,    false, "not yet"                                },
        {0,     ASK,     true,  "nor refused"                            },
        {5000,  FAIL,    true,  "five in a row"                          },
        {5000,  OPEN,    true,  "now"                                    },
        {5000,  ASK,     false, "at once"                                },
        {5999,  ASK,     false, "for a second"                           },
        {6000,  ASK,     true,  "a probe"                                },
        {6000,  ASK,     false, "and only one"                           },
        {6500,  FAIL,    false, "it failed: open already"                },
        {6999,  ASK,     false, "within its second"                      },
        {7000,  ASK,     true,  "the next one, whatever became of others"},
        {7000,  ASK,     false, "one a second"                           },
        {4000,  ASK,     false, "another worker's clock"                 },
        {90000, ASK,     true,  "much later"                             },
        {90000, ASK,     false, "none was saved up"                      },
        {90500, SUCCEED, true,  "it closes"                              },
        {90500, OPEN,    false, "for all"                                },
        {90500, ASK,     true,  "again"                                  },
        {90500, ASK,     true,  "and again"                              },
        {90500, SUCCEED, false, "closed already"                         },
        {90500, FAIL,    false, "one"                                    },
    };
    struct breaker breaker = {0};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        bool is = row[i].what == ASK    ? breaker_admit(&breaker, row[i].at_ms)
                  : row[i].what == FAIL ? breaker_report_outage(&breaker, row[i].at_ms)
                  : row[i].what == OPEN ? breaker_is_open(&breaker)
                                        : breaker_report_success(&breaker);
        if (is != row[i].expected)
            fail_msg("row %zu: %s", i, row[i].why);
    }
}

/* ---- Many at once --------------------------------------------------------------------------- */

enum { THREADS = 8, ROUNDS = 20000 };

struct racer {
    struct breaker *breaker;
    unsigned opened, admitted;
    pthread_t thread;
};

static void *fail_and_ask(void *arg)
{
    struct racer *racer = arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        racer->opened += breaker_report_outage(racer->breaker, 1000);
        racer->admitted += breaker_is_open(racer->breaker) && breaker_admit(racer->breaker, 2500);
    }
    return NULL;
}

static void one_opens_it_and_one_probes(void **state)
{
    (void)state;
    struct breaker breaker = {0};
    struct racer racer[THREADS];
    unsigned opened = 0, admitted = 0;
    for (int i = 0; i < THREADS; i++) {
        racer[i] = (struct racer){.breaker = &breaker};
        assert_int_equal(pthread_create(&racer[i].thread, NULL, fail_and_ask, &racer[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(racer[i].thread, NULL);
        opened += racer[i].opened;
        admitted += racer[i].admitted;
    }
    assert_int_equal(opened, 1);
    assert_int_equal(admitted, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_probes_and_closes),
        cmocka_unit_test(one_opens_it_and_one_probes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
