#include <aorta/clock.h>

enum { DAYS_OF_400_YEARS = 146097, DAYS_OF_100_YEARS = 36524, DAYS_OF_4_YEARS = 1461 };

/* Years are counted from March, so that the odd day of a leap year is the last one; then months
 * have 153 days in every five. Day 0 is 0000-03-01. */
static void split_days(uint64_t days, struct clock_date *out)
{
    uint64_t era = days / DAYS_OF_400_YEARS;
    unsigned rest = (unsigned)(days % DAYS_OF_400_YEARS);
    unsigned century = rest / DAYS_OF_100_YEARS;
    century -= century / 4; /* the 400th year's own leap day belongs to the fourth century */
    rest -= century * DAYS_OF_100_YEARS;
    unsigned four = rest / DAYS_OF_4_YEARS;
    rest %= DAYS_OF_4_YEARS;
    unsigned year = rest / 365;
    year -= year / 4;
    rest -= year * 365;
    unsigned month = (5 * rest + 2) / 153; /* 0 is March */
    out->day = rest - (153 * month + 2) / 5 + 1;
    out->month = month < 10 ? month + 3 : month - 9;
    out->year = (unsigned)(era * 400) + century * 100 + four * 4 + year + (month >= 10);
}

void clock_split(uint64_t time_ms, struct clock_date *out)
{
    enum { DAYS_BEFORE_1970 = 719468, THURSDAY = 4, SECONDS_A_DAY = 86400 };
    uint64_t seconds = time_ms / 1000, days = seconds / SECONDS_A_DAY;
    unsigned second = (unsigned)(seconds % SECONDS_A_DAY);
    *out = (struct clock_date){.hour = second / 3600,
                               .minute = second / 60 % 60,
                               .second = second % 60,
                               .weekday = (unsigned)((days + THURSDAY) % 7)};
    split_days(days + DAYS_BEFORE_1970, out);
}
