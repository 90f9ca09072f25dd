/* All answers live equally long, so a queue in order of time is all there is to expiry. */
#include "reply_cache.h"
#include <stdlib.h>

/* A bucket for every hundred bytes: a full cache then has four or more for each answer, and a new
 * request mostly finds its bucket empty without looking at any answer, which would be far from the
 * processor's caches. */
enum { LIFE_MS = 32000, BYTES_A_BUCKET = 128 };

struct entry {
    struct entry *next_in_bucket;
    struct entry *newer;
    uint64_t key;
    uint64_t answered_ms;
    struct net_address destination;
    uint32_t reply_bytes;
    char reply[];
};

struct reply_cache {
    struct entry *oldest, **end; /* queue by time */
    size_t bytes, max_bytes;
    size_t bucket_mask;
    struct entry *bucket[];
};

struct reply_cache *reply_cache_new(size_t max_bytes)
{
    size_t buckets = 64;
    while (buckets < max_bytes / BYTES_A_BUCKET)
        buckets *= 2;
    struct reply_cache *cache = calloc(1, sizeof *cache + buckets * sizeof(struct entry *));
    if (!cache)
        return NULL;
    cache->end = &cache->oldest;
    cache->max_bytes = max_bytes;
    cache->bucket_mask = buckets - 1;
    return cache;
}

static struct entry **find_link(struct reply_cache *cache, uint64_t key)
{
    struct entry **link = &cache->bucket[key & cache->bucket_mask];
    while (*link && (*link)->key != key)
        link = &(*link)->next_in_bucket;
    return link;
}

static void drop_oldest(struct reply_cache *cache)
{
    struct entry *e = cache->oldest;
    struct entry **link = &cache->bucket[e->key & cache->bucket_mask];
    while (*link != e) /* not by key: two answers to one may be remembered for a moment */
        link = &(*link)->next_in_bucket;
    *link = e->next_in_bucket;
    cache->oldest = e->newer;
    if (!cache->oldest)
        cache->end = &cache->oldest;
    __builtin_prefetch(cache->oldest); /* for the next time */
    cache->bytes -= sizeof *e + e->reply_bytes;
    free(e);
}

void reply_cache_free(struct reply_cache *cache)
{
    if (!cache)
        return;
    while (cache->oldest)
        drop_oldest(cache);
    free(cache);
}

uint64_t reply_cache_key(const struct net_address *source, struct str datagram)
{
    uint64_t address = net_address_hash_ip(source) + net_address_port(source);
    return str_hash(datagram) ^ address * 0x9e3779b97f4a7c15u; /* spread: 2^64 / golden ratio */
}

enum reply_cache_state reply_cache_find(struct reply_cache *cache, uint64_t key, uint64_t now_ms,
                                        struct net_address *destination, struct str *reply)
{
    while (cache->oldest && cache->oldest->answered_ms + LIFE_MS <= now_ms)
        drop_oldest(cache);
    const struct entry *e = *find_link(cache, key); /* the newest of that key */
    if (!e)
        return REPLY_CACHE_NEW;
    if (e->reply_bytes == 0)
        return REPLY_CACHE_WAITING;
    *destination = e->destination;
    *reply = (struct str){e->reply, e->reply_bytes};
    return REPLY_CACHE_ANSWERED;
}

void reply_cache_wait(struct reply_cache *cache, uint64_t key, uint64_t now_ms)
{
    static const struct net_address nowhere;
    reply_cache_put(cache, key, now_ms, &nowhere, STR(""));
}

void reply_cache_put(struct reply_cache *cache, uint64_t key, uint64_t now_ms,
                     const struct net_address *destination, struct str reply)
{
    size_t bytes = sizeof(struct entry) + reply.len;
    if (bytes > cache->max_bytes)
        return;
    while (cache->bytes + bytes > cache->max_bytes)
        drop_oldest(cache);
    struct entry *e = malloc(bytes);
    if (!e)
        return;
    *e = (struct entry){.key = key,
                        .answered_ms = now_ms,
                        .destination = *destination,
                        .reply_bytes = (uint32_t)reply.len};
    memcpy(e->reply, reply.ptr, reply.len);
    struct entry **link = &cache->bucket[key & cache->bucket_mask];
    e->next_in_bucket = *link;
    *link = e;
    *cache->end = e;
    cache->end = &e->newer;
    cache->bytes += bytes;
}
