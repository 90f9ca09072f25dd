#include <aorta/histogram.h>

const uint32_t histogram_bounds_us[HISTOGRAM_BOUNDS] = {
    100,   250,    500,    1000,   2500,    5000,    10000,   25000,
    50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000,
};

/* One writer: a plain add, made visible without a locked instruction. */
static void raise(_Atomic uint64_t *count, uint64_t by)
{
    uint64_t n = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, n + by, memory_order_relaxed);
}

void histogram_add(struct histogram *h, uint64_t us)
{
    unsigned i = 0; /* from the shortest: most are, and the machine is busiest with those */
    while (i < HISTOGRAM_BOUNDS && us > histogram_bounds_us[i])
        i++;
    raise(&h->bucket[i], 1);
    raise(&h->sum_us, us);
}

void histogram_collect(struct histogram_sum *sum, const struct histogram *h)
{
    for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++)
        sum->bucket[i] += atomic_load_explicit(&h->bucket[i], memory_order_relaxed);
    sum->sum_us += atomic_load_explicit(&h->sum_us, memory_order_relaxed);
}

/* The count is what the buckets hold, and not counted beside them: they never contradict it. */
void histogram_put(struct buf *b, const char *name, const struct histogram_sum *sum)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++) {
        count += sum->bucket[i];
        buf_printf(b, "%s_bucket{le=\"%g\"} %llu\n", name, histogram_bounds_us[i] / 1e6,
                   (unsigned long long)count);
    }
    count += sum->bucket[HISTOGRAM_BOUNDS];
    buf_printf(b, "%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)count);
    buf_printf(b, "%s_sum %llu.%06llu\n", name, (unsigned long long)(sum->sum_us / 1000000),
               (unsigned long long)(sum->sum_us % 1000000));
    buf_printf(b, "%s_count %llu\n", name, (unsigned long long)count);
}
