#include <aorta/overload.h>

/* Marks from level OVERLOAD_DELAY on; 0: never. What strangers can bring about by themselves, or
 * what would be no better for refusing, goes no further than it must: a full buffer of datagrams
 * keeps nobody out, and while the store is late refreshes still are granted. */
static const struct {
    bool is_in_lags; /* multiples of limits.lagMs */
    uint32_t mark[OVERLOAD_LEVELS];
} causes[OVERLOAD_CAUSES] = {
    [OVERLOAD_BY_LOOP] = {true,  {0, 1, 3, 10}  },
    [OVERLOAD_BY_STORE] = {true,  {0, 1, 3, 0}   },
    [OVERLOAD_BY_REQUESTS] = {false, {0, 50, 75, 95}},
    [OVERLOAD_BY_DATAGRAMS] = {false, {0, 50, 0, 0}  },
};

uint32_t overload_mark(enum overload_cause cause, enum overload_level level, uint32_t lag_ms)
{
    if (lag_ms == 0)
        return 0;
    uint32_t mark = causes[cause].mark[level];
    return causes[cause].is_in_lags ? mark * lag_ms : mark;
}

uint32_t overload_figure(const struct overload *o, enum overload_cause cause)
{
    uint32_t sorted[OVERLOAD_SAMPLES];
    for (unsigned i = 0; i < OVERLOAD_SAMPLES; i++) {
        unsigned k = i;
        for (; k > 0 && sorted[k - 1] > o->recent[cause][i]; k--)
            sorted[k] = sorted[k - 1];
        sorted[k] = o->recent[cause][i];
    }
    return sorted[OVERLOAD_SAMPLES / 2];
}

/* The highest level that `times` a figure asks for, and in *cause which one it is. */
static enum overload_level find_level(const struct overload *o, uint64_t times, uint32_t lag_ms,
                                      enum overload_cause *cause)
{
    enum overload_level highest = OVERLOAD_NONE;
    for (enum overload_cause c = 0; c < OVERLOAD_CAUSES; c++) {
        uint64_t figure = overload_figure(o, c) * times;
        for (enum overload_level level = highest + 1; level < OVERLOAD_LEVELS; level++) {
            uint32_t mark = overload_mark(c, level, lag_ms);
            if (mark == 0 || figure < mark)
                continue;
            highest = level;
            *cause = c;
        }
    }
    return highest;
}

/* Is it time to leave the level? */
static bool has_calmed(struct overload *o, enum overload_level kept_by, uint64_t now_ms)
{
    bool was_calming = o->is_calming;
    o->is_calming = kept_by < o->level;
    if (!o->is_calming)
        return false;
    if (!was_calming)
        o->calm_since_ms = now_ms;
    return now_ms >= o->calm_since_ms + OVERLOAD_CALM_MS;
}

bool overload_update(struct overload *o, const uint32_t figure[OVERLOAD_CAUSES], uint32_t lag_ms,
                     uint64_t now_ms)
{
    for (enum overload_cause c = 0; c < OVERLOAD_CAUSES; c++)
        o->recent[c][o->next] = figure[c];
    o->next = (o->next + 1) % OVERLOAD_SAMPLES;

    enum overload_cause cause, keeper = o->cause;
    enum overload_level asked = find_level(o, 1, lag_ms, &cause);
    if (asked > o->level) {
        o->level = asked;
        o->cause = cause;
        o->is_calming = false;
        return true;
    }
    if (!has_calmed(o, find_level(o, 2, lag_ms, &keeper), now_ms))
        return false;
    o->level--;
    o->cause = keeper;
    o->is_calming = false;
    return true;
}
