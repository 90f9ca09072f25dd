/* histogram.h - counts of times, in buckets that are less than 1 % wide. Shared memory will do. */
#ifndef LOAD_HISTOGRAM_H
#define LOAD_HISTOGRAM_H
#include <stdint.h>

enum {
    HISTOGRAM_STEPS = 128,    /* buckets for each doubling */
    HISTOGRAM_DOUBLINGS = 34, /* up to 2^40 ns, 18 minutes */
    HISTOGRAM_BUCKETS = HISTOGRAM_STEPS * HISTOGRAM_DOUBLINGS,
};
struct histogram {
    uint64_t count, max_ns;
    uint64_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t ns);
void histogram_merge(struct histogram *h, const struct histogram *other);
/* The time that `share` (0..1) of all stayed at or below, to the bucket's width; 0 of none. */
uint64_t histogram_percentile(const struct histogram *h, double share);
#endif
