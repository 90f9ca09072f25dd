/* aorta/clock.h - the one time of the program: milliseconds since 1970, read once at start from
 * the wall clock and carried on by the monotonic one, so that it never steps back and no binding
 * dies because somebody set the clock. Any thread. */
#ifndef AORTA_CLOCK_H
#define AORTA_CLOCK_H
#include <stdint.h>

uint64_t clock_now_ms(void);
#endif
