#include "results.h"

void results_merge(struct results *sum, const struct results *other)
{
    sum->registrations += other->registrations;
    sum->challenged += other->challenged;
    sum->retransmissions += other->retransmissions;
    sum->late += other->late;
    sum->registered += other->registered;
    for (int i = 0; i < FAULTS; i++)
        sum->fault[i] += other->fault[i];
    for (int i = 0; i < STATUSES; i++)
        sum->status[i] += other->status[i];
    if (other->first_ns != 0 && (sum->first_ns == 0 || other->first_ns < sum->first_ns))
        sum->first_ns = other->first_ns;
    if (other->last_ns > sum->last_ns)
        sum->last_ns = other->last_ns;
    histogram_merge(&sum->latency, &other->latency);
}

uint64_t results_failures(const struct results *r)
{
    uint64_t n = 0;
    for (int i = 0; i < FAULTS; i++)
        n += r->fault[i];
    for (int i = 0; i < STATUSES; i++)
        n += r->status[i];
    return n;
}
