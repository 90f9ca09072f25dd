#include "event_ring.h"
#include <errno.h>
#include <stdlib.h>

void event_ring_init(struct event_ring *ring, size_t size)
{
    *ring = (struct event_ring){.size = size};
    pthread_mutex_init(&ring->lock, NULL); /* cannot fail without attributes */
}

void event_ring_fini(struct event_ring *ring)
{
    free(ring->data);
    pthread_mutex_destroy(&ring->lock);
}

/* What does not fit before the end goes on at the beginning. */
static void copy_in(struct event_ring *ring, const void *bytes, size_t n)
{
    size_t at = ring->end & (ring->size - 1), first = ring->size - at < n ? ring->size - at : n;
    memcpy(ring->data + at, bytes, first);
    memcpy(ring->data, (const char *)bytes + first, n - first);
    ring->end += n;
}

static void copy_out(const struct event_ring *ring, uint64_t from, char *bytes, size_t n)
{
    size_t at = from & (ring->size - 1), first = ring->size - at < n ? ring->size - at : n;
    memcpy(bytes, ring->data + at, first);
    memcpy(bytes + first, ring->data, n - first);
}

int event_ring_put(struct event_ring *ring, _Atomic uint64_t *next, enum event_type type,
                   struct str json)
{
    pthread_mutex_lock(&ring->lock);
    if (!ring->data)
        ring->data = malloc(ring->size);
    int rc = ring->data ? 0 : -ENOMEM;
    if (rc == 0) {
        const struct event_head head = {atomic_fetch_add(next, 1), (uint32_t)json.len, type};
        copy_in(ring, &head, sizeof head);
        copy_in(ring, json.ptr, json.len);
    }
    pthread_mutex_unlock(&ring->lock);
    return rc;
}

/* Where the first event with a number that is not below `before` stands, or the end. */
static uint64_t find_end(const struct event_ring *ring, uint64_t at, uint64_t before)
{
    struct event_head head;
    for (; at < ring->end; at += sizeof head + head.len) {
        copy_out(ring, at, (char *)&head, sizeof head);
        if (head.number >= before)
            break;
    }
    return at;
}

static int read_locked(struct event_ring *ring, uint64_t *at, uint64_t before, struct buf *out)
{
    if (ring->end - *at > ring->size)
        return -EOVERFLOW;
    uint64_t end = find_end(ring, *at, before);
    size_t n = (size_t)(end - *at);
    if (n == 0)
        return 0;
    if (!buf_reserve(out, n))
        return -ENOMEM;
    copy_out(ring, *at, out->data + out->len, n);
    out->len += n;
    *at = end;
    return 0;
}

int event_ring_read(struct event_ring *ring, uint64_t *at, uint64_t before, struct buf *out)
{
    pthread_mutex_lock(&ring->lock);
    int rc = read_locked(ring, at, before, out);
    if (rc < 0)
        *at = ring->end;
    pthread_mutex_unlock(&ring->lock);
    return rc;
}

uint64_t event_ring_end(struct event_ring *ring)
{
    pthread_mutex_lock(&ring->lock);
    uint64_t end = ring->end;
    pthread_mutex_unlock(&ring->lock);
    return end;
}
