/* aorta/metrics.h - counters that the workers keep, each its own, and anybody may sum up.
 * Only a worker's own thread adds to its block; reading is safe from any thread. */
#ifndef AORTA_METRICS_H
#define AORTA_METRICS_H
#include <aorta/limits.h>
#include <aorta/transport_kind.h>
#include <stdatomic.h>

/* One line a counter: its name here, that of its family in GET /metrics (aorta_NAME_total), a
 * label or "", and what it counts. Lines of one family stand together and share one text. */
/* clang-format off */
#define METRIC_TABLE(ROW)                                                                                      \
    ROW(METRIC_MESSAGES,        "messages",        "", "SIP messages received")                                \
    ROW(METRIC_DROPPED,         "dropped",         "", "SIP messages that could not be answered")              \
    ROW(METRIC_RETRANSMISSIONS, "retransmissions", "", "Requests answered again, as before")                   \
    ROW(METRIC_REGISTERS,       "registers",       "", "REGISTER requests, without retransmissions")           \
    ROW(METRIC_GRANTED,         "granted",         "", "REGISTER requests answered with 200")                  \
    ROW(METRIC_GRANTED_CACHED,  "granted_cached",  "", "Granted without a new authentication")                 \
    ROW(METRIC_GRANTED_AWAY,    "granted_away",    "", "Refreshes granted while the callback was away")        \
    ROW(METRIC_CHALLENGED,      "challenged",      "", "REGISTER requests answered with 401")                  \
    ROW(METRIC_REFUSED,         "refused",         "", "REGISTER requests answered with 403")                  \
    ROW(METRIC_INVALID,         "invalid",         "", "Requests answered with another 4xx or 5xx")            \
    ROW(METRIC_UNAVAILABLE,     "unavailable",     "", "Requests answered with 503")                           \
    ROW(METRIC_CALLBACKS,       "callbacks",       "", "Authentication callbacks asked")                       \
    ROW(METRIC_BANS,            "bans",            "", "Addresses banned by this node, the admin API aside")   \
    ROW(METRIC_OVERLOAD_REFUSED, "overload_refused", "", "Of the 503, because there was too much to do")       \
    ROW(METRIC_EVENTS_DROPPED,  "events_dropped",  "", "Events that were not published, or not kept for a listener") \
    ROW(METRIC_OVERLOAD_DELAY,      "overload", "level=\"delay\"",      "Times that a thread went up to a level of overload") \
    ROW(METRIC_OVERLOAD_REFUSE_NEW, "overload", "level=\"refuse_new\"", "Times that a thread went up to a level of overload") \
    ROW(METRIC_OVERLOAD_REFUSE_ALL, "overload", "level=\"refuse_all\"", "Times that a thread went up to a level of overload")
/* clang-format on */

enum metric {
#define METRIC_ENUM(name, family, label, help) name,
    METRIC_TABLE(METRIC_ENUM)
#undef METRIC_ENUM
        METRICS
};

struct metric_row {
    const char *family, *label, *help;
};
extern const struct metric_row metric_rows[METRICS];

/* What limit_reached() has not logged yet, and when it may. */
struct limit_log {
    uint64_t next_ms, times;
};

struct metrics {
    _Alignas(64) _Atomic uint64_t count[METRICS];
    _Atomic uint64_t connections[TRANSPORT_KINDS]; /* open now */
    _Atomic uint64_t limit_reached[LIMITS];
    struct limit_log limit_log[LIMITS]; /* for the worker's own thread only */
};

/* One writer: a plain add, made visible without a locked instruction. */
static inline void metrics_raise(_Atomic uint64_t *count)
{
    uint64_t n = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, n + 1, memory_order_relaxed);
}
/* One block for each worker, zeroed. */
static inline void metrics_add(struct metrics *m, enum metric which)
{
    metrics_raise(&m->count[which]);
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
static inline uint64_t metrics_limit_reached(const struct metrics *blocks, unsigned workers,
                                             enum limit which)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < workers; i++)
        sum += atomic_load_explicit(&blocks[i].limit_reached[which], memory_order_relaxed);
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
