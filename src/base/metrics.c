#include <aorta/metrics.h>

const struct metric_family_row metric_families[METRIC_FAMILIES] = {
#define FAMILY_ROW(name, own, type, labels, help) {own, METRIC_##type, labels, help},
    METRIC_FAMILY_TABLE(FAMILY_ROW)
#undef FAMILY_ROW
};

const struct metric_row metric_rows[METRICS] = {
#define METRIC_ROW(name, family, label) {family, label},
    METRIC_TABLE(METRIC_ROW)
#undef METRIC_ROW
};

const char *const register_outcomes[REGISTER_OUTCOMES] = {"",
#define OUTCOME_ROW(name, label) label,
                                                          REGISTER_OUTCOME_TABLE(OUTCOME_ROW)
#undef OUTCOME_ROW
};

const struct metric_gauge_row metric_gauges[METRIC_GAUGES] = {
#define GAUGE_ROW(name, family, divisor) {family, divisor},
    METRIC_GAUGE_TABLE(GAUGE_ROW)
#undef GAUGE_ROW
};

/* Of one counter that lies in all blocks at the place where it lies in the first. */
static uint64_t sum_up(const _Atomic uint64_t *first, unsigned workers)
{
    const char *at = (const char *)first;
    uint64_t sum = 0;
    for (unsigned i = 0; i < workers; i++, at += sizeof(struct metrics))
        sum +=
            atomic_load_explicit((const _Atomic uint64_t *)(const void *)at, memory_order_relaxed);
    return sum;
}

uint64_t metrics_sum(const struct metrics *blocks, unsigned workers, enum metric which)
{
    return sum_up(&blocks->count[which], workers);
}

uint64_t metrics_registers(const struct metrics *blocks, unsigned workers, enum transport_kind kind,
                           enum register_outcome outcome)
{
    return sum_up(&blocks->registers[kind][outcome], workers);
}

uint64_t metrics_limit_reached(const struct metrics *blocks, unsigned workers, enum limit which)
{
    return sum_up(&blocks->limit_reached[which], workers);
}

uint64_t metrics_connections(const struct metrics *blocks, unsigned workers,
                             enum transport_kind kind)
{
    return sum_up(&blocks->connections[kind], workers);
}

void metrics_duration(const struct metrics *blocks, unsigned workers, enum metric_duration which,
                      struct histogram_sum *out)
{
    *out = (struct histogram_sum){0};
    for (unsigned i = 0; i < workers; i++)
        histogram_collect(out, &blocks[i].duration[which]);
}
