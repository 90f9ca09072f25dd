/* aorta/timer_wheel.h - hierarchical timing wheel: adding, moving and removing a timer is O(1),
 * whatever their number. No thread, no clock, no heap: embed the timers, pass the time in. */
#ifndef AORTA_TIMER_WHEEL_H
#define AORTA_TIMER_WHEEL_H
#include <stdbool.h>
#include <stdint.h>

enum { TIMER_WHEEL_LEVELS = 4, TIMER_WHEEL_SLOTS = 64 };

struct timer {
    struct timer *next;
    struct timer **link; /* what points at this timer; NULL when it is not running */
    uint64_t due_tick;
};

struct timer_wheel {
    uint64_t start_ms;
    uint32_t tick_ms;
    uint64_t now_tick;
    struct timer *slot[TIMER_WHEEL_LEVELS][TIMER_WHEEL_SLOTS];
};

/* The timer is stopped before this runs, which may start it again, or start and stop others. */
typedef void timer_fired_fn(struct timer *timer, void *arg);

void timer_wheel_init(struct timer_wheel *w, uint32_t tick_ms, uint64_t now_ms);
/* Fires at the first advance to `due_ms` or later, rounded up to a tick; a past time fires at the
 * next tick. A running timer is moved. */
void timer_start(struct timer_wheel *w, struct timer *t, uint64_t due_ms);
/* Nothing happens to a timer that is not running. A zeroed struct timer is one. */
void timer_stop(struct timer *t);
static inline bool timer_is_running(const struct timer *t)
{
    return t->link != 0;
}
/* Fires all that is due by `now_ms`, earlier ticks first. Time that steps back does nothing.
 * Timers started by `fired` for the past wait for the next call, so this always ends.
 * Costs as much as there is to fire, however long the gap since the last call. */
void timer_wheel_advance(struct timer_wheel *w, uint64_t now_ms, timer_fired_fn *fired, void *arg);
#endif
