/* How many connections there are, in all and from each address. The addresses are in a table of
 * counters without keys: two that share a slot share its limit, so the table is large. */
#include "conn_limit.h"
#include <stdatomic.h>
#include <stdlib.h>

enum { SLOTS = 1 << 18 };

struct conn_limit {
    uint32_t max_total, max_per_ip;
    _Atomic uint32_t total;
    _Atomic uint32_t by_ip[SLOTS];
};

struct conn_limit *conn_limit_new(uint32_t max_total, uint32_t max_per_ip)
{
    struct conn_limit *limit = calloc(1, sizeof *limit);
    if (!limit)
        return NULL;
    limit->max_total = max_total;
    limit->max_per_ip = max_per_ip;
    return limit;
}

void conn_limit_free(struct conn_limit *limit)
{
    free(limit);
}

static _Atomic uint32_t *slot_of(struct conn_limit *limit, const struct net_address *remote)
{
    return &limit->by_ip[net_address_hash_ip(remote) % SLOTS];
}

static bool take(_Atomic uint32_t *count, uint32_t max)
{
    if (atomic_fetch_add_explicit(count, 1, memory_order_relaxed) < max)
        return true;
    atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);
    return false;
}

bool conn_limit_take(struct conn_limit *limit, const struct net_address *remote)
{
    if (!take(&limit->total, limit->max_total))
        return false;
    if (take(slot_of(limit, remote), limit->max_per_ip))
        return true;
    atomic_fetch_sub_explicit(&limit->total, 1, memory_order_relaxed);
    return false;
}

void conn_limit_give(struct conn_limit *limit, const struct net_address *remote)
{
    atomic_fetch_sub_explicit(slot_of(limit, remote), 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&limit->total, 1, memory_order_relaxed);
}
