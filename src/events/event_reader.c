/* Reads the rings of all workers as one row of events. An event draws its number under its ring's
 * lock, so each one with a number below that which is next before the rings are looked at, one
 * after the other, will be met there: up to it there are no gaps, and what comes after it waits. */
#include "events_internal.h"
#include <errno.h>
#include <stdlib.h>

struct event_reader {
    struct events *events;
    uint64_t at[]; /* for each ring */
};

struct event_reader *event_reader_new(struct events *e)
{
    struct event_reader *r = malloc(sizeof *r + e->workers * sizeof *r->at);
    if (!r)
        return NULL;
    r->events = e;
    for (unsigned i = 0; i < e->workers; i++)
        r->at[i] = event_ring_end(&e->writer[i].ring);
    return r;
}

void event_reader_free(struct event_reader *r)
{
    free(r);
}

/* A copy of what one ring had; what is left of it. */
struct part {
    struct buf copy;
    struct str rest;
};

static int copy_rings(struct event_reader *r, struct part *part)
{
    uint64_t before = atomic_load(&r->events->next);
    int first_error = 0;
    for (unsigned i = 0; i < r->events->workers; i++) {
        struct event_ring *ring = &r->events->writer[i].ring;
        buf_init_heap(&part[i].copy, ring->size);
        int rc = event_ring_read(ring, &r->at[i], before, &part[i].copy);
        part[i].rest = buf_str(&part[i].copy);
        first_error = first_error ? first_error : rc;
    }
    return first_error;
}

/* False when nothing is left. Parts are copies, whose heads stand anywhere. */
static bool first_head(const struct part *part, struct event_head *head)
{
    if (part->rest.len == 0)
        return false;
    memcpy(head, part->rest.ptr, sizeof *head);
    return true;
}

/* The part with the next event; NULL at the end. */
static struct part *next_part(struct part *part, unsigned count, struct event_head *head)
{
    struct part *next = NULL;
    struct event_head other;
    for (unsigned i = 0; i < count; i++) {
        if (!first_head(&part[i], &other) || (next && other.number > head->number))
            continue;
        next = &part[i];
        *head = other;
    }
    return next;
}

static void hand_out(struct part *part, unsigned count, event_fn *each, void *arg)
{
    struct event_head head;
    for (struct part *next; (next = next_part(part, count, &head));) {
        struct str rest = str_slice(next->rest, sizeof head, next->rest.len);
        next->rest = str_slice(rest, head.len, rest.len);
        each(arg, (enum event_type)head.type, str_slice(rest, 0, head.len));
    }
}

int event_reader_read(struct event_reader *r, event_fn *each, void *arg)
{
    unsigned count = r->events->workers;
    struct part *part = calloc(count, sizeof *part);
    if (!part)
        return -ENOMEM; /* once more, with the next call */
    int rc = copy_rings(r, part);
    if (rc == 0)
        hand_out(part, count, each, arg);
    for (unsigned i = 0; i < count; i++)
        buf_fini(&part[i].copy);
    free(part);
    return rc;
}
