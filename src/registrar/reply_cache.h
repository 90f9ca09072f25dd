/* reply_cache.h - what was answered to each datagram of the last 32 s (RFC 3261 17.2.2, timer J),
 * so that a retransmission gets the same bytes again and runs nothing twice. Of limited size: when
 * it is full the oldest answers go early. One thread. */
#ifndef AORTA_REPLY_CACHE_H
#define AORTA_REPLY_CACHE_H
#include <aorta/net_address.h>
#include <aorta/str.h>

struct reply_cache;

/* `max_bytes` for the answers and their administration. NULL when out of memory. */
struct reply_cache *reply_cache_new(size_t max_bytes);
void reply_cache_free(struct reply_cache *cache);

/* A retransmission is the same bytes from the same address and port. */
uint64_t reply_cache_key(const struct net_address *source, struct str datagram);
enum reply_cache_state {
    REPLY_CACHE_NEW,      /* nothing is known of it */
    REPLY_CACHE_WAITING,  /* reply_cache_wait() was called: the answer will come */
    REPLY_CACHE_ANSWERED, /* the answer and where it went are set; valid until the next put */
};
enum reply_cache_state reply_cache_find(struct reply_cache *cache, uint64_t key, uint64_t now_ms,
                                        struct net_address *destination, struct str *reply);
/* The datagram of that key is being worked on. As reply_cache_put(). */
bool reply_cache_wait(struct reply_cache *cache, uint64_t key, uint64_t now_ms);
/* Copies; without memory for that the answer is just not remembered. True when answers had to go
 * for it that a retransmission might still ask for. */
bool reply_cache_put(struct reply_cache *cache, uint64_t key, uint64_t now_ms,
                     const struct net_address *destination, struct str reply);
#endif
