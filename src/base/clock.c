#include <aorta/clock.h>
#include <pthread.h>
#include <time.h>

static pthread_once_t started = PTHREAD_ONCE_INIT;
static uint64_t wall_minus_monotonic_ns; /* modulo 2^64 */

static uint64_t read_ns(clockid_t which)
{
    struct timespec now;
    clock_gettime(which, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void read_wall_clock(void)
{
    wall_minus_monotonic_ns = read_ns(CLOCK_REALTIME) - read_ns(CLOCK_MONOTONIC);
}

uint64_t clock_now_us(void)
{
    pthread_once(&started, read_wall_clock);
    return (read_ns(CLOCK_MONOTONIC) + wall_minus_monotonic_ns) / 1000;
}

uint64_t clock_now_ms(void)
{
    return clock_now_us() / 1000;
}
