/* breaker_internal.h - circuit breaker: after BREAKER_OUTAGES outages in a row nobody is let
 * through but one probe a second, until one succeeds. No clock; any thread, without a lock. */
#ifndef AORTA_BREAKER_INTERNAL_H
#define AORTA_BREAKER_INTERNAL_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { BREAKER_OUTAGES = 5, BREAKER_PROBE_MS = 1000 };

/* All zeros: closed. */
struct breaker {
    _Atomic uint32_t outages;  /* in a row; open when it has reached BREAKER_OUTAGES */
    _Atomic uint64_t probe_ms; /* while open: when the next one may pass */
};

bool breaker_is_open(const struct breaker *breaker);
/* May one request pass? It is then to be reported as one of the two below, unless it never got as
 * far as the server. */
bool breaker_admit(struct breaker *breaker, uint64_t now_ms);
/* True if this opened it. */
bool breaker_report_outage(struct breaker *breaker, uint64_t now_ms);
/* True if this closed it. */
bool breaker_report_success(struct breaker *breaker);
#endif
