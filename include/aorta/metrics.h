/* aorta/metrics.h - counters that the workers keep, each its own, and anybody may sum up.
 * Only a worker's own thread adds to its block; reading is safe from any thread. */
#ifndef AORTA_METRICS_H
#define AORTA_METRICS_H
#include <aorta/transport_kind.h>
#include <stdatomic.h>

enum metric {
    METRIC_MESSAGES,         /* SIP messages in */
    METRIC_DROPPED,          /* of them, not answerable */
    METRIC_RETRANSMISSIONS,  /* answered from the cache */
    METRIC_REGISTERS,        /* REGISTER requests run, retransmissions not counted */
    METRIC_GRANTED,          /* 200 that stored or removed something */
    METRIC_GRANTED_CACHED,   /* of them, by the refresh cache */
    METRIC_CHALLENGED,       /* 401 */
    METRIC_REFUSED,          /* 403 */
    METRIC_INVALID,          /* other 4xx and 5xx */
    METRIC_CALLBACKS,        /* authentication callbacks that were asked */
    METRIC_UNAVAILABLE,      /* 503: callback, store or room is missing */
    METRIC_GRANTED_AWAY,     /* refreshes granted while the callback was away */
    METRIC_BANS,             /* addresses banned by the callback */
    METRIC_OVERLOAD_REFUSED, /* 503 because of too much to do; of METRIC_UNAVAILABLE */
    METRIC_OVERLOAD_DELAY,   /* times that a worker went up to each level of overload */
    METRIC_OVERLOAD_REFUSE_NEW,
    METRIC_OVERLOAD_REFUSE_ALL,
    METRICS
};

struct metrics {
    _Alignas(64) _Atomic uint64_t count[METRICS];
    _Atomic uint64_t connections[TRANSPORT_KINDS]; /* open now */
};

/* One block for each worker, zeroed. */
static inline void metrics_add(struct metrics *m, enum metric which)
{
    /* One writer: a plain add, made visible without a locked instruction. */
    uint64_t n = atomic_load_explicit(&m->count[which], memory_order_relaxed);
    atomic_store_explicit(&m->count[which], n + 1, memory_order_relaxed);
}
static inline void metrics_add_connection(struct metrics *m, enum transport_kind kind, int change)
{
    uint64_t n = atomic_load_explicit(&m->connections[kind], memory_order_relaxed);
    atomic_store_explicit(&m->connections[kind], n + (uint64_t)change, memory_order_relaxed);
}
static inline uint64_t metrics_sum(const struct metrics *blocks, unsigned workers,
                                   enum metric which)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < workers; i++)
        sum += atomic_load_explicit(&blocks[i].count[which], memory_order_relaxed);
    return sum;
}
static inline uint64_t metrics_connections(const struct metrics *blocks, unsigned workers,
                                           enum transport_kind kind)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < workers; i++)
        sum += atomic_load_explicit(&blocks[i].connections[kind], memory_order_relaxed);
    return sum;
}
#endif
