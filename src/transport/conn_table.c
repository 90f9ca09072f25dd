/* A worker's connections by their names. Slots are used again, names never: each use of a slot is
 * another generation. */
#include "transport_internal.h"
#include <errno.h>
#include <stdlib.h>

struct conn *conn_find(const struct transport *t, conn_id id)
{
    uint32_t slot = conn_id_slot(id);
    if (conn_id_worker(id) != t->deps.worker || slot == 0 || slot >= t->slot_count)
        return NULL;
    struct conn *c = t->slots[slot].conn;
    return c && c->id == id ? c : NULL;
}

int conn_table_grow(struct transport *t)
{
    uint32_t count = t->slot_count ? t->slot_count * 2 : 64;
    if (count > 1 << 24)
        return -ENOMEM;
    struct conn_slot *slots = realloc(t->slots, count * sizeof *slots);
    if (!slots)
        return -ENOMEM;
    for (uint32_t i = count; i-- > t->slot_count;) {
        slots[i] = (struct conn_slot){.next_free = t->free_slot};
        if (i > 0)
            t->free_slot = i;
    }
    t->slots = slots;
    t->slot_count = count;
    return 0;
}

int conn_name(struct conn *c)
{
    struct transport *t = c->t;
    if (t->free_slot == 0 && conn_table_grow(t) < 0)
        return -ENOMEM;
    uint32_t slot = t->free_slot;
    t->free_slot = t->slots[slot].next_free;
    t->slots[slot].conn = c;
    c->id = conn_id_make(t->deps.worker, slot, ++t->slots[slot].generation);
    return 0;
}

void conn_forget_name(struct conn *c)
{
    uint32_t slot = conn_id_slot(c->id);
    c->t->slots[slot].conn = NULL;
    c->t->slots[slot].next_free = c->t->free_slot;
    c->t->free_slot = slot;
    c->id = 0;
}
