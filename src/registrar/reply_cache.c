/* A log in pieces. Answers are written one behind the other into the newest piece, and go with the
 * oldest piece as a whole: all live equally long, so nobody has to be looked for to make room. What
 * is named by a place of a piece that went, in a bucket or by a newer answer, is told by the
 * piece's number to be gone. */
#include "reply_cache.h"
#include <stdlib.h>

enum {
    LIFE_MS = 32000,
    PIECES = 128,      /* a full cache loses its oldest 128th at a time */
    PIECE_SLOTS = 256, /* above PIECES: numbers of living pieces never share one */
    ALIGNMENT = 16,
    /* Four buckets and more for each usual answer: a new request mostly finds its bucket empty, and
     * looks at no answer, which would be far from the processor's caches. */
    BYTES_A_BUCKET = 128,
    OFFSET_BITS = 32,
};

/* Where an answer is: number of the piece, then offset in it. 0: nowhere. */
typedef uint64_t place;

struct entry {
    uint64_t key;
    uint64_t answered_ms;
    place older; /* of the same bucket */
    struct net_address destination;
    uint32_t reply_bytes;
    char reply[];
};

struct piece {
    struct piece *newer;
    size_t size; /* of `data` */
    size_t used;
    uint64_t last_ms; /* when its newest answer was written */
    _Alignas(ALIGNMENT) char data[];
};

struct reply_cache {
    struct piece *oldest, *newest;
    uint64_t oldest_number, newest_number; /* from 1; without a piece the newest is one less */
    size_t bytes, max_bytes;               /* of all pieces */
    bool is_pressed;                       /* a piece went before its time */
    struct piece *slot[PIECE_SLOTS];       /* by number */
    size_t bucket_mask;
    place bucket[];
};

struct reply_cache *reply_cache_new(size_t max_bytes)
{
    size_t buckets = 64;
    while (buckets < max_bytes / BYTES_A_BUCKET)
        buckets *= 2;
    struct reply_cache *cache = calloc(1, sizeof *cache + buckets * sizeof(place));
    if (!cache)
        return NULL;
    cache->oldest_number = 1;
    cache->max_bytes = max_bytes;
    cache->bucket_mask = buckets - 1;
    return cache;
}

/* ---- Pieces -------------------------------------------------------------------------------- */

static struct piece *take_oldest(struct reply_cache *cache)
{
    struct piece *piece = cache->oldest;
    cache->oldest = piece->newer;
    if (!cache->oldest)
        cache->newest = NULL;
    cache->oldest_number++;
    cache->bytes -= sizeof *piece + piece->size;
    return piece;
}

static void drop_expired(struct reply_cache *cache, uint64_t now_ms)
{
    while (cache->oldest && cache->oldest->last_ms + LIFE_MS <= now_ms)
        free(take_oldest(cache));
}

/* For `bytes` in one. The memory of one that has to go serves again. */
static struct piece *add_piece(struct reply_cache *cache, size_t bytes)
{
    size_t usual = cache->max_bytes / PIECES;
    usual = usual > sizeof(struct piece) ? usual - sizeof(struct piece) : 0;
    size_t size = bytes > usual ? bytes : usual;
    struct piece *piece = NULL;
    while (cache->oldest && cache->bytes + sizeof *piece + size > cache->max_bytes) {
        free(piece);
        piece = take_oldest(cache);
        cache->is_pressed = true;
    }
    if (piece && piece->size != size) {
        free(piece);
        piece = NULL;
    }
    if (!piece && !(piece = malloc(sizeof *piece + size)))
        return NULL;
    *piece = (struct piece){.size = size};
    if (cache->newest)
        cache->newest->newer = piece;
    else
        cache->oldest = piece;
    cache->newest = piece;
    cache->slot[++cache->newest_number % PIECE_SLOTS] = piece;
    cache->bytes += sizeof *piece + size;
    return piece;
}

void reply_cache_free(struct reply_cache *cache)
{
    if (!cache)
        return;
    while (cache->oldest)
        free(take_oldest(cache));
    free(cache);
}

/* ---- Answers ------------------------------------------------------------------------------- */

/* NULL: it is gone. */
static const struct entry *entry_at(const struct reply_cache *cache, place p)
{
    uint64_t number = p >> OFFSET_BITS;
    if (number < cache->oldest_number)
        return NULL;
    const struct piece *piece = cache->slot[number % PIECE_SLOTS];
    return (const struct entry *)(piece->data + (uint32_t)p);
}

uint64_t reply_cache_key(const struct net_address *source, struct str datagram)
{
    uint64_t address = net_address_hash_ip(source) + net_address_port(source);
    return str_quick_hash(datagram) ^ address * 0x9e3779b97f4a7c15u; /* 2^64 / golden ratio */
}

enum reply_cache_state reply_cache_find(struct reply_cache *cache, uint64_t key, uint64_t now_ms,
                                        struct net_address *destination, struct str *reply)
{
    drop_expired(cache, now_ms);
    const struct entry *e = entry_at(cache, cache->bucket[key & cache->bucket_mask]);
    while (e && e->key != key)
        e = entry_at(cache, e->older);
    if (!e || e->answered_ms + LIFE_MS <= now_ms)
        return REPLY_CACHE_NEW;
    if (e->reply_bytes == 0)
        return REPLY_CACHE_WAITING;
    *destination = e->destination;
    *reply = (struct str){e->reply, e->reply_bytes};
    return REPLY_CACHE_ANSWERED;
}

bool reply_cache_wait(struct reply_cache *cache, uint64_t key, uint64_t now_ms)
{
    static const struct net_address nowhere;
    return reply_cache_put(cache, key, now_ms, &nowhere, STR(""));
}

bool reply_cache_put(struct reply_cache *cache, uint64_t key, uint64_t now_ms,
                     const struct net_address *destination, struct str reply)
{
    size_t bytes = (sizeof(struct entry) + reply.len + (ALIGNMENT - 1)) & ~(size_t)(ALIGNMENT - 1);
    if (sizeof(struct piece) + bytes > cache->max_bytes || bytes > UINT32_MAX)
        return false;
    struct piece *piece = cache->newest;
    if (!piece || bytes > piece->size - piece->used)
        piece = add_piece(cache, bytes);
    if (!piece)
        return false;
    place *bucket = &cache->bucket[key & cache->bucket_mask];
    struct entry *e = (struct entry *)(piece->data + piece->used);
    *e = (struct entry){.key = key,
                        .answered_ms = now_ms,
                        .older = *bucket,
                        .destination = *destination,
                        .reply_bytes = (uint32_t)reply.len};
    memcpy(e->reply, reply.ptr, reply.len);
    *bucket = cache->newest_number << OFFSET_BITS | piece->used;
    piece->used += bytes;
    piece->last_ms = now_ms;
    bool was_pressed = cache->is_pressed;
    cache->is_pressed = false;
    return was_pressed;
}
