/* The generic cell rate algorithm: of each address only the time is kept at which it has had its
 * share of everything so far. Four addresses to a line of the processor's cache; where a fifth is
 * to go, it takes the place of the one whose time is the earliest. */
#include <aorta/address_rates.h>
#include <pthread.h>
#include <stdlib.h>

enum { WAYS = 4, SETS = 1 << 14, LOCKS = 256 };

struct entry {
    uint64_t due_us; /* 0: nobody */
    uint32_t tag;    /* of the address, beside the set that it is in */
    uint32_t told_s; /* when it was told last */
};

struct address_rates {
    pthread_mutex_t lock[LOCKS];
    struct entry set[SETS][WAYS];
};

struct address_rates *address_rates_new(void)
{
    struct address_rates *rates = calloc(1, sizeof *rates); /* untouched while nobody asks */
    for (size_t i = 0; rates && i < LOCKS; i++)
        pthread_mutex_init(&rates->lock[i], NULL); /* cannot fail without attributes */
    return rates;
}

void address_rates_free(struct address_rates *rates)
{
    for (size_t i = 0; rates && i < LOCKS; i++)
        pthread_mutex_destroy(&rates->lock[i]);
    free(rates);
}

static uint64_t hash_of(const struct net_address *address)
{
    struct net_network customer = net_customer_of(address);
    return net_address_hash_ip(&customer.address);
}

static struct entry *find(struct entry set[WAYS], uint32_t tag)
{
    struct entry *oldest = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].due_us != 0 && set[i].tag == tag)
            return &set[i];
        if (set[i].due_us < oldest->due_us)
            oldest = &set[i];
    }
    *oldest = (struct entry){.tag = tag};
    return oldest;
}

static enum address_rate_verdict refuse(struct entry *e, uint32_t now_s)
{
    if (e->told_s == now_s)
        return ADDRESS_RATE_DROP;
    e->told_s = now_s;
    return ADDRESS_RATE_TELL;
}

static enum address_rate_verdict take(struct entry *e, uint64_t share_us, uint64_t period_us,
                                      uint64_t now_us)
{
    uint64_t due_us = e->due_us > now_us ? e->due_us : now_us;
    if (due_us > now_us + period_us)
        due_us = now_us + period_us; /* the clock stepped back */
    if (due_us + share_us > now_us + period_us) {
        e->due_us = due_us;
        return refuse(e, (uint32_t)(now_us / 1000000));
    }
    e->due_us = due_us + share_us;
    return ADDRESS_RATE_PASS;
}

enum address_rate_verdict address_rates_take(struct address_rates *rates,
                                             const struct net_address *address, uint32_t times,
                                             uint32_t period_ms, uint64_t now_ms)
{
    uint64_t hash = hash_of(address), period_us = period_ms * UINT64_C(1000);
    size_t set = hash % SETS;
    pthread_mutex_t *lock = &rates->lock[set % LOCKS];
    pthread_mutex_lock(lock);
    enum address_rate_verdict verdict = take(find(rates->set[set], (uint32_t)(hash >> 32)),
                                             period_us / times, period_us, now_ms * 1000);
    pthread_mutex_unlock(lock);
    return verdict;
}
