#include <aorta/histogram.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

static void each_goes_into_its_bucket(void **state)
{
    (void)state;
    static const struct {
        uint64_t us;
        unsigned bucket;
        const char *why;
    } row[] = {
        {0,          0,  "nothing is short"             },
        {100,        0,  "a bound belongs to its bucket"},
        {101,        1,  "above it is the next one"     },
        {250,        1,  ""                             },
        {999,        3,  "below a millisecond"          },
        {1000,       3,  "a millisecond"                },
        {1001,       4,  ""                             },
        {10000000,   15, "the last bound"               },
        {10000001,   16, "above all of them"            },
        {UINT64_MAX, 16, "as long as can be"            },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct histogram h = {0};
        struct histogram_sum sum = {0};
        histogram_add(&h, row[i].us);
        histogram_collect(&sum, &h);
        for (unsigned k = 0; k <= HISTOGRAM_BOUNDS; k++)
            if (sum.bucket[k] != (k == row[i].bucket))
                fail_msg("row %zu: %s: bucket %u", i, row[i].why, k);
        assert_int_equal(sum.sum_us, row[i].us);
    }
}

static void bounds_rise(void **state)
{
    (void)state;
    for (unsigned i = 1; i < HISTOGRAM_BOUNDS; i++)
        assert_true(histogram_bounds_us[i] > histogram_bounds_us[i - 1]);
}

/* Buckets are cumulative, and the last one is the count. */
static void is_written_as_prometheus_reads_it(void **state)
{
    (void)state;
    struct histogram a = {0}, b = {0};
    struct histogram_sum sum = {0};
    histogram_add(&a, 40);
    histogram_add(&a, 700);
    histogram_add(&b, 700);
    histogram_add(&b, 12000000);
    histogram_collect(&sum, &a);
    histogram_collect(&sum, &b);
    char memory[2048];
    struct buf text;
    buf_init_fixed(&text, memory, sizeof memory);
    histogram_put(&text, "x_seconds", &sum);
    static const char expected[] = "x_seconds_bucket{le=\"0.0001\"} 1\n"
                                   "x_seconds_bucket{le=\"0.00025\"} 1\n"
                                   "x_seconds_bucket{le=\"0.0005\"} 1\n"
                                   "x_seconds_bucket{le=\"0.001\"} 3\n"
                                   "x_seconds_bucket{le=\"0.0025\"} 3\n"
                                   "x_seconds_bucket{le=\"0.005\"} 3\n"
                                   "x_seconds_bucket{le=\"0.01\"} 3\n"
                                   "x_seconds_bucket{le=\"0.025\"} 3\n"
                                   "x_seconds_bucket{le=\"0.05\"} 3\n"
                                   "x_seconds_bucket{le=\"0.1\"} 3\n"
                                   "x_seconds_bucket{le=\"0.25\"} 3\n"
                                   "x_seconds_bucket{le=\"0.5\"} 3\n"
                                   "x_seconds_bucket{le=\"1\"} 3\n"
                                   "x_seconds_bucket{le=\"2.5\"} 3\n"
                                   "x_seconds_bucket{le=\"5\"} 3\n"
                                   "x_seconds_bucket{le=\"10\"} 3\n"
                                   "x_seconds_bucket{le=\"+Inf\"} 4\n"
                                   "x_seconds_sum 12.001440\n"
                                   "x_seconds_count 4\n";
    assert_int_equal(text.error, 0);
    buf_put_char(&text, 0);
    assert_string_equal(text.data, expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_goes_into_its_bucket),
        cmocka_unit_test(bounds_rise),
        cmocka_unit_test(is_written_as_prometheus_reads_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
