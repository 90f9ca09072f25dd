/* events/event_ring.h - the last events of one worker, in a fixed piece of memory. */
#ifndef AORTA_EVENT_RING_H
#define AORTA_EVENT_RING_H
#include <aorta/events.h>
#include <pthread.h>
#include <stdatomic.h>

struct event_head {
    uint64_t number; /* over all rings: the order of events */
    uint32_t len;    /* of the JSON that follows */
    uint32_t type;
};

struct event_ring {
    pthread_mutex_t lock; /* held for one event, or to copy what a reader has not read yet */
    char *data;           /* NULL until the first event; `size` bytes, a power of two */
    size_t size;
    uint64_t end; /* bytes ever written */
};

void event_ring_init(struct event_ring *ring, size_t size);
void event_ring_fini(struct event_ring *ring);
/* Draws the event's number from *next. -ENOMEM when there is no memory for the ring. */
int event_ring_put(struct event_ring *ring, _Atomic uint64_t *next, enum event_type type,
                   struct str json);
/* Appends the events from *at on whose number is below `before` to `out`, heads and all, and moves
 * *at behind them. -EOVERFLOW: what stood at *at is overwritten; -ENOMEM. Then *at is the end. */
int event_ring_read(struct event_ring *ring, uint64_t *at, uint64_t before, struct buf *out);
uint64_t event_ring_end(struct event_ring *ring);
#endif
