#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <aorta/clock.h>
#include <time.h>

static void assert_like_libc(uint64_t seconds)
{
    struct clock_date date;
    struct tm tm;
    time_t t = (time_t)seconds;
    clock_split(seconds * 1000 + 999, &date);
    gmtime_r(&t, &tm);
    if (date.year != (unsigned)tm.tm_year + 1900 || date.month != (unsigned)tm.tm_mon + 1 ||
        date.day != (unsigned)tm.tm_mday || date.hour != (unsigned)tm.tm_hour ||
        date.minute != (unsigned)tm.tm_min || date.second != (unsigned)tm.tm_sec ||
        date.weekday != (unsigned)tm.tm_wday)
        fail_msg("second %llu is %u-%u-%u", (unsigned long long)seconds, date.year, date.month,
                 date.day);
}

/* Each day of nine centuries, with leap years of every kind, at its first and last second. */
static void every_day_is_what_libc_says(void **state)
{
    (void)state;
    for (uint64_t day = 0; day < 900ull * 366; day++) {
        assert_like_libc(day * 86400);
        assert_like_libc(day * 86400 + 86399);
    }
}

static void does_not_step_back(void **state)
{
    (void)state;
    uint64_t before = clock_now_ms();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_now_ms();
        assert_true(now >= before);
        before = now;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day_is_what_libc_says),
        cmocka_unit_test(does_not_step_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
