#include <aorta/timer_wheel.h>
#include <stddef.h>

/* Slot (due >> 6 * level) % 64 of a level holds the timers of one block of 64^level ticks, which
 * come down when time enters that block. Level 0 is exact; what lies beyond the top level waits in
 * its farthest slot and is placed again from there. */
enum { SLOT_BITS = 6, TOP_LEVEL = TIMER_WHEEL_LEVELS - 1 };

_Static_assert(TIMER_WHEEL_SLOTS == 1 << SLOT_BITS, "slots are found by shifting");

/* More ticks than anybody waits for, few enough that adding to them cannot overflow. */
static const uint64_t LAST_TICK = UINT64_C(1) << 62;

void timer_wheel_init(struct timer_wheel *w, uint32_t tick_ms, uint64_t now_ms)
{
    *w = (struct timer_wheel){.start_ms = now_ms, .tick_ms = tick_ms};
}

static uint64_t full_ticks(const struct timer_wheel *w, uint64_t at_ms)
{
    if (at_ms <= w->start_ms)
        return 0;
    uint64_t ticks = (at_ms - w->start_ms) / w->tick_ms;
    return ticks < LAST_TICK ? ticks : LAST_TICK;
}

static uint64_t first_tick_not_before(const struct timer_wheel *w, uint64_t due_ms)
{
    if (due_ms <= w->start_ms)
        return 0;
    bool is_between = (due_ms - w->start_ms) % w->tick_ms != 0;
    return full_ticks(w, due_ms) + is_between;
}

static void link_timer(struct timer **list, struct timer *t)
{
    t->next = *list;
    t->link = list;
    if (t->next)
        t->next->link = &t->next;
    *list = t;
}

static void place(struct timer_wheel *w, struct timer *t)
{
    uint64_t ahead = t->due_tick - w->now_tick;
    unsigned level = 0;
    while (level < TOP_LEVEL && ahead >> SLOT_BITS * (level + 1) != 0)
        level++;
    const uint64_t horizon = UINT64_C(1) << SLOT_BITS * TIMER_WHEEL_LEVELS;
    uint64_t tick = ahead < horizon ? t->due_tick : w->now_tick + horizon - 1;
    link_timer(&w->slot[level][tick >> SLOT_BITS * level & (TIMER_WHEEL_SLOTS - 1)], t);
}

void timer_start(struct timer_wheel *w, struct timer *t, uint64_t due_ms)
{
    timer_stop(t);
    uint64_t due_tick = first_tick_not_before(w, due_ms);
    t->due_tick = due_tick > w->now_tick ? due_tick : w->now_tick + 1;
    place(w, t);
}

void timer_stop(struct timer *t)
{
    if (!timer_is_running(t))
        return;
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    t->next = NULL;
    t->link = NULL;
}

/* Puts each timer of a slot where it belongs now: to those that are due, or into a nearer slot. */
static void empty_slot(struct timer_wheel *w, struct timer **slot, struct timer **due)
{
    struct timer *t = *slot;
    *slot = NULL;
    while (t) {
        struct timer *next = t->next;
        if (t->due_tick <= w->now_tick)
            link_timer(due, t);
        else
            place(w, t);
        t = next;
    }
}

/* Moves time to `now_tick` and takes out what is due by then. No tick is stepped through: a slot is
 * looked at once, if time entered its block, and each level has but 64 of them. */
static struct timer *take_due(struct timer_wheel *w, uint64_t now_tick)
{
    struct timer *due = NULL;
    uint64_t was_tick = w->now_tick;
    w->now_tick = now_tick;
    for (int level = TOP_LEVEL; level >= 0; level--) {
        uint64_t block = now_tick >> SLOT_BITS * level;
        uint64_t entered = block - (was_tick >> SLOT_BITS * level);
        if (entered > TIMER_WHEEL_SLOTS)
            entered = TIMER_WHEEL_SLOTS;
        for (; entered > 0; entered--, block--) /* late ones first, for they go to the end */
            empty_slot(w, &w->slot[level][block & (TIMER_WHEEL_SLOTS - 1)], &due);
    }
    return due;
}

static bool is_sorted(const struct timer *list)
{
    while (list && list->next && list->due_tick <= list->next->due_tick)
        list = list->next;
    return !list || !list->next;
}

static struct timer *cut_in_half(struct timer *list)
{
    struct timer *middle = list;
    for (struct timer *end = list->next; end && end->next; end = end->next->next)
        middle = middle->next;
    struct timer *half = middle->next;
    middle->next = NULL;
    return half;
}

/* Merge sort by `next` alone. Most lists are of one tick, or in order already. */
static struct timer *sorted(struct timer *list)
{
    if (is_sorted(list))
        return list;
    struct timer *half = sorted(cut_in_half(list));
    list = sorted(list);
    struct timer *first = NULL;
    struct timer **end = &first;
    while (list && half) {
        struct timer **earlier = half->due_tick < list->due_tick ? &half : &list;
        *end = *earlier;
        end = &(*earlier)->next;
        *earlier = (*earlier)->next;
    }
    *end = list ? list : half;
    return first;
}

static void relink(struct timer **list)
{
    for (struct timer **link = list; *link; link = &(*link)->next)
        (*link)->link = link;
}

void timer_wheel_advance(struct timer_wheel *w, uint64_t now_ms, timer_fired_fn *fired, void *arg)
{
    uint64_t now_tick = full_ticks(w, now_ms);
    if (now_tick <= w->now_tick)
        return;
    struct timer *due = sorted(take_due(w, now_tick));
    relink(&due);
    while (due) { /* a callback may stop or move any of them */
        struct timer *t = due;
        timer_stop(t);
        fired(t, arg);
    }
}
