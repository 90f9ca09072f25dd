/* trim.h - when what departed clients have left is worth giving back to the system. glibc keeps it:
 * 3,000 WSS clients that are gone leave 45 MB, in holes between what lives on. To give it back
 * takes some 5 ms for each MB, for which the workers' allocations may have to wait: so it is done
 * long after they left, when little goes on, and not when they are about to come back. */
#ifndef AORTA_TRIM_H
#define AORTA_TRIM_H
#include <stdbool.h>
#include <stdint.h>

enum { TRIM_LOOK_MS = 1000 };

struct trim {
    uint64_t most;        /* connections at one time, since it was last done */
    uint64_t connections; /* at the last look, as `messages` */
    uint64_t messages;
    unsigned quiet_looks; /* one after the other, up to now */
};

/* To be asked every TRIM_LOOK_MS: `connections` are open, `messages` have come since the start.
 * Starts zeroed. When true, it is taken as done. */
bool trim_is_due(struct trim *trim, uint64_t connections, uint64_t messages);
#endif
