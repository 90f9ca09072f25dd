/* aorta/histogram.h - how long things take, as Prometheus counts it: in buckets, with their sum.
 * One thread adds, without a lock; any thread reads. No heap: embed it, zeroed. */
#ifndef AORTA_HISTOGRAM_H
#define AORTA_HISTOGRAM_H
#include <aorta/buf.h>
#include <stdatomic.h>

/* The same bounds for all, so that they can be laid over each other: from an answer out of memory
 * (0.1 ms) to one whose client has given up (10 s). */
enum { HISTOGRAM_BOUNDS = 16 };
extern const uint32_t histogram_bounds_us[HISTOGRAM_BOUNDS]; /* each belongs to its bucket */

struct histogram {
    _Atomic uint64_t bucket[HISTOGRAM_BOUNDS + 1]; /* the last: above all bounds */
    _Atomic uint64_t sum_us;
};

/* One that took `us` microseconds. */
void histogram_add(struct histogram *h, uint64_t us);

/* What several of them have counted together; begins zeroed. */
struct histogram_sum {
    uint64_t bucket[HISTOGRAM_BOUNDS + 1];
    uint64_t sum_us;
};
void histogram_collect(struct histogram_sum *sum, const struct histogram *h);
/* Appends the lines of the family `name`, in seconds. */
void histogram_put(struct buf *b, const char *name, const struct histogram_sum *sum);
#endif
