/* How many connections there are, in all and from each address. The addresses are in a table of
 * counters without keys: two that share a slot share its limit, so the table is large. */
#include "conn_limit.h"
#include <stdatomic.h>
#include <stdlib.h>

enum { SLOTS = 1 << 18, ADMIN_ROOM = 64 };

struct conn_limit {
    _Atomic uint32_t max_total, max_per_ip;
    _Atomic uint32_t total;
    _Atomic uint32_t by_ip[SLOTS];
};

struct conn_limit *conn_limit_new(uint32_t max_total, uint32_t max_per_ip)
{
    struct conn_limit *limit = calloc(1, sizeof *limit);
    if (!limit)
        return NULL;
    conn_limit_set(limit, max_total, max_per_ip);
    return limit;
}

void conn_limit_set(struct conn_limit *limit, uint32_t max_total, uint32_t max_per_ip)
{
    atomic_store_explicit(&limit->max_total, max_total, memory_order_relaxed);
    atomic_store_explicit(&limit->max_per_ip, max_per_ip, memory_order_relaxed);
}

void conn_limit_free(struct conn_limit *limit)
{
    free(limit);
}

static _Atomic uint32_t *slot_of(struct conn_limit *limit, const struct net_address *remote)
{
    struct net_network customer = net_customer_of(remote);
    return &limit->by_ip[net_address_hash_ip(&customer.address) % SLOTS];
}

static bool take(_Atomic uint32_t *count, const _Atomic uint32_t *max, uint32_t room)
{
    uint32_t most = atomic_load_explicit(max, memory_order_relaxed) + room;
    if (atomic_fetch_add_explicit(count, 1, memory_order_relaxed) < most)
        return true;
    atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);
    return false;
}

bool conn_limit_take_total(struct conn_limit *limit)
{
    return take(&limit->total, &limit->max_total, 0);
}

bool conn_limit_take_admin(struct conn_limit *limit)
{
    return take(&limit->total, &limit->max_total, ADMIN_ROOM);
}

void conn_limit_give_total(struct conn_limit *limit)
{
    atomic_fetch_sub_explicit(&limit->total, 1, memory_order_relaxed);
}

bool conn_limit_take_ip(struct conn_limit *limit, const struct net_address *remote)
{
    return take(slot_of(limit, remote), &limit->max_per_ip, 0);
}

void conn_limit_give_ip(struct conn_limit *limit, const struct net_address *remote)
{
    atomic_fetch_sub_explicit(slot_of(limit, remote), 1, memory_order_relaxed);
}

enum limit conn_limit_take(struct conn_limit *limit, const struct net_address *remote)
{
    if (!conn_limit_take_total(limit))
        return LIMIT_CONNECTIONS;
    if (conn_limit_take_ip(limit, remote))
        return LIMIT_NONE;
    conn_limit_give_total(limit);
    return LIMIT_PER_IP;
}

void conn_limit_give(struct conn_limit *limit, const struct net_address *remote)
{
    conn_limit_give_ip(limit, remote);
    conn_limit_give_total(limit);
}
