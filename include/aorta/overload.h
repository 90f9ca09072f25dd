/* aorta/overload.h - how much a worker must leave undone to keep up with the rest. Pure: figures
 * and time in, a level out. No clock and no heap: embed it, zeroed. */
#ifndef AORTA_OVERLOAD_H
#define AORTA_OVERLOAD_H
#include <stdbool.h>
#include <stdint.h>

/* Each leaves undone what the one before does, and more. */
enum overload_level {
    OVERLOAD_NONE,
    OVERLOAD_DELAY, /* fewer newcomers are in their handshakes at a time; the others wait outside */
    OVERLOAD_REFUSE_NEW, /* new registrations are refused */
    OVERLOAD_REFUSE_ALL, /* refreshes and removals too */
    OVERLOAD_LEVELS
};

/* What may be too much. */
enum overload_cause {
    OVERLOAD_BY_LOOP,      /* ms by which the worker is late */
    OVERLOAD_BY_STORE,     /* ms for which the store owes an answer */
    OVERLOAD_BY_REQUESTS,  /* percent of the requests that may wait for others at a time */
    OVERLOAD_BY_DATAGRAMS, /* percent of the room for datagrams that nobody has read yet */
    OVERLOAD_CAUSES
};

/* A figure counts by the median of so many: a single stall, however long, is none. */
enum { OVERLOAD_SAMPLES = 7 };
/* A level is left, to the one below, when for so long all figures were below half of its marks. */
enum { OVERLOAD_CALM_MS = 1000 };

struct overload {
    uint32_t recent[OVERLOAD_CAUSES][OVERLOAD_SAMPLES];
    unsigned next; /* of `recent` to be overwritten */
    enum overload_level level;
    enum overload_cause cause; /* why it is not lower; of no meaning at OVERLOAD_NONE */
    bool is_calming;
    uint64_t calm_since_ms; /* when is_calming */
};

/* From which figure on a cause asks for a level; 0: it never does. `lag_ms` is limits.lagMs; 0:
 * none ever does. */
uint32_t overload_mark(enum overload_cause cause, enum overload_level level, uint32_t lag_ms);
/* The next figures, taken about every NET_LOOP_TICK_MS. True if the level changes. */
bool overload_update(struct overload *o, const uint32_t figure[OVERLOAD_CAUSES], uint32_t lag_ms,
                     uint64_t now_ms);
/* The figure that counts for a cause. */
uint32_t overload_figure(const struct overload *o, enum overload_cause cause);
#endif
