/* aorta/clock.h - the one time of the program: milliseconds since 1970, read once at start from
 * the wall clock and carried on by the monotonic one, so that it never steps back and no binding
 * dies because somebody set the clock. Any thread. */
#ifndef AORTA_CLOCK_H
#define AORTA_CLOCK_H
#include <stdint.h>

uint64_t clock_now_ms(void);
/* The same in microseconds, for how long something took. */
uint64_t clock_now_us(void);

/* A time as a date of the Gregorian calendar, in UTC. */
struct clock_date {
    unsigned year, month, day; /* month and day from 1 */
    unsigned hour, minute, second;
    unsigned weekday; /* 0 is Sunday */
};
/* Pure. gmtime_r() does the same under a lock that all threads of the process share. */
void clock_split(uint64_t time_ms, struct clock_date *out);
#endif
