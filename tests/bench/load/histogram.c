#include "histogram.h"
#include <math.h>
#include <stddef.h>

/* The first HISTOGRAM_STEPS buckets are 1 ns wide, the next ones too, then each doubling's twice as
 * wide as those before. */
static size_t bucket_of(uint64_t ns)
{
    if (ns < HISTOGRAM_STEPS)
        return ns;
    unsigned shift = 63 - 7 - (unsigned)__builtin_clzll(ns);
    size_t i = (size_t)(shift + 1) * HISTOGRAM_STEPS + (ns >> shift) - HISTOGRAM_STEPS;
    return i < HISTOGRAM_BUCKETS ? i : HISTOGRAM_BUCKETS - 1;
}

static uint64_t highest_of(size_t bucket)
{
    if (bucket < HISTOGRAM_STEPS)
        return bucket;
    unsigned shift = (unsigned)(bucket / HISTOGRAM_STEPS) - 1;
    uint64_t step = bucket % HISTOGRAM_STEPS + HISTOGRAM_STEPS;
    return ((step + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t ns)
{
    h->count++;
    h->bucket[bucket_of(ns)]++;
    if (ns > h->max_ns)
        h->max_ns = ns;
}

void histogram_merge(struct histogram *h, const struct histogram *other)
{
    h->count += other->count;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        h->bucket[i] += other->bucket[i];
    if (other->max_ns > h->max_ns)
        h->max_ns = other->max_ns;
}

uint64_t histogram_percentile(const struct histogram *h, double share)
{
    uint64_t wanted = (uint64_t)ceil(share * (double)h->count), seen = 0;
    if (wanted == 0)
        wanted = 1;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen >= wanted)
            return highest_of(i) < h->max_ns ? highest_of(i) : h->max_ns;
    }
    return h->max_ns;
}
