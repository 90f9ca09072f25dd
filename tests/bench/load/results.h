/* results.h - what one process has seen, in memory that the first one reads. */
#ifndef LOAD_RESULTS_H
#define LOAD_RESULTS_H
#include "answer.h"
#include "histogram.h"
#include <stdatomic.h>

enum { STATUSES = 700 };

struct results {
    uint64_t registrations; /* measured */
    uint64_t challenged;    /* measured refreshes that were asked for credentials */
    uint64_t retransmissions;
    uint64_t late; /* second answers to what was retransmitted */
    uint64_t fault[FAULTS];
    uint64_t status[STATUSES];  /* refusals */
    uint64_t first_ns, last_ns; /* reconnect: server seen again, last one registered */
    struct histogram latency;
    /* While it runs. */
    _Atomic uint32_t registered; /* clients, in the set-up or since the server came back */
    _Atomic uint32_t lost;       /* reconnect: connections that the server closed */
    _Atomic bool is_done;        /* has what it was to do; only the end is waited for */
};

/* What the first process tells the others. */
enum phase { PHASE_WAIT, PHASE_SETUP, PHASE_READY, PHASE_RUN, PHASE_END };
struct shared {
    _Atomic int phase;
    _Atomic bool come_back;                /* reconnect: close all and begin */
    uint64_t start_ns, measure_ns, end_ns; /* set before PHASE_RUN */
    struct results results[];
};

void results_merge(struct results *sum, const struct results *other);
uint64_t results_failures(const struct results *r);
#endif
