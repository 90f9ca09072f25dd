#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "bench/load/histogram.h"
#include <cmocka.h>

static void percentiles(void **state)
{
    (void)state;
    static struct histogram h;
    for (uint64_t us = 1; us <= 1000; us++)
        histogram_add(&h, us * 1000);
    static const struct {
        double share;
        uint64_t us;
    } row[] = {
        {0,     1   },
        {0.001, 1   },
        {0.5,   500 },
        {0.9,   900 },
        {0.99,  990 },
        {0.999, 999 },
        {1,     1000},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        uint64_t ns = histogram_percentile(&h, row[i].share), wanted = row[i].us * 1000;
        if (ns < wanted || ns > wanted + wanted / 100)
            fail_msg("%g: %lu ns", row[i].share, ns);
    }
    assert_int_equal(histogram_percentile(&h, 1), 1000000); /* never above the highest */
}

static void any_value_is_within_one_percent(void **state)
{
    (void)state;
    for (uint64_t ns = 1; ns < UINT64_C(1) << 40; ns = ns * 9 / 8 + 1) {
        static struct histogram h;
        h = (struct histogram){.count = 0};
        histogram_add(&h, ns);
        h.max_ns = UINT64_MAX; /* the bucket itself */
        uint64_t got = histogram_percentile(&h, 0.5);
        if (got < ns || got > ns + ns / 100)
            fail_msg("%lu: %lu", ns, got);
    }
}

static void merging_and_extremes(void **state)
{
    (void)state;
    static struct histogram a, b, empty;
    assert_int_equal(histogram_percentile(&empty, 0.99), 0);
    histogram_add(&a, 0);
    histogram_add(&b, UINT64_MAX);
    histogram_merge(&a, &b);
    assert_int_equal(a.count, 2);
    assert_int_equal(histogram_percentile(&a, 0.5), 0);
    assert_true(a.max_ns == UINT64_MAX);
    assert_true(histogram_percentile(&a, 1) > UINT64_C(1) << 39);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles),
        cmocka_unit_test(any_value_is_within_one_percent),
        cmocka_unit_test(merging_and_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
