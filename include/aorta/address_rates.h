/* aorta/address_rates.h - how often each client address may do something: so many times at once,
 * and on average so many in a period. Of IPv6 a /64 counts as one address, since each customer has
 * at least that. Shared by all workers; any thread. Of bounded size: the address that was quiet for
 * longest is forgotten, and starts anew. */
#ifndef AORTA_ADDRESS_RATES_H
#define AORTA_ADDRESS_RATES_H
#include <aorta/net_address.h>

struct address_rates;

/* NULL when out of memory. Call str_hash_seed() before. */
struct address_rates *address_rates_new(void);
void address_rates_free(struct address_rates *rates);

enum address_rate_verdict {
    ADDRESS_RATE_PASS,
    ADDRESS_RATE_TELL, /* too often: the first time within a second */
    ADDRESS_RATE_DROP, /* too often, and told so already */
};
/* At most `times` (1 to 1,000,000) in `period_ms`, over any such stretch of time twice that. A
 * clock that steps back costs an address no more than one period. */
enum address_rate_verdict address_rates_take(struct address_rates *rates,
                                             const struct net_address *address, uint32_t times,
                                             uint32_t period_ms, uint64_t now_ms);
#endif
