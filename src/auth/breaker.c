#include "breaker_internal.h"

bool breaker_is_open(const struct breaker *breaker)
{
    return atomic_load(&breaker->outages) >= BREAKER_OUTAGES;
}

bool breaker_admit(struct breaker *breaker, uint64_t now_ms)
{
    if (!breaker_is_open(breaker))
        return true;
    uint64_t probe_ms = atomic_load(&breaker->probe_ms);
    return now_ms >= probe_ms &&
           atomic_compare_exchange_strong(&breaker->probe_ms, &probe_ms, now_ms + BREAKER_PROBE_MS);
}

bool breaker_report_outage(struct breaker *breaker, uint64_t now_ms)
{
    uint32_t outages = atomic_load(&breaker->outages);
    do {
        if (outages >= BREAKER_OUTAGES)
            return false;
        /* Before it opens, so that no probe slips through at once. */
        if (outages + 1 == BREAKER_OUTAGES)
            atomic_store(&breaker->probe_ms, now_ms + BREAKER_PROBE_MS);
    } while (!atomic_compare_exchange_weak(&breaker->outages, &outages, outages + 1));
    return outages + 1 == BREAKER_OUTAGES;
}

bool breaker_report_success(struct breaker *breaker)
{
    /* Asked first: while all is well the workers only read the line that they share. */
    return atomic_load(&breaker->outages) > 0 &&
           atomic_exchange(&breaker->outages, 0) >= BREAKER_OUTAGES;
}
