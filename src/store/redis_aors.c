#include "redis_aors.h"
#include <errno.h>
#include <stdlib.h>

enum { WHEEL_TICK_MS = 1000 };

struct redis_aors *redis_aors_new(uint64_t grace_ms)
{
    struct redis_aors *t = calloc(1, sizeof *t);
    if (!t || aor_table_init(&t->table) < 0) {
        free(t);
        return NULL;
    }
    timer_wheel_init(&t->wheel, WHEEL_TICK_MS, 0);
    t->grace_ms = grace_ms;
    t->waiting_end = &t->waiting;
    return t;
}

/* The table is made for the AORs of one shard, whose hashes begin alike. */
static uint64_t hash_of(struct str name)
{
    return str_hash(name) >> AOR_SHARD_BITS;
}

/* ---- AORs ---------------------------------------------------------------------------------- */

static void stop_waiting(struct redis_aors *t, struct redis_aor *a)
{
    if (!a->waiting_link)
        return;
    *a->waiting_link = a->next_waiting;
    if (a->next_waiting)
        a->next_waiting->waiting_link = a->waiting_link;
    else
        t->waiting_end = a->waiting_link;
    a->waiting_link = NULL;
    a->next_waiting = NULL;
}

static void forget(struct redis_aors *t, struct redis_aor *a)
{
    while (a->aor.first)
        redis_aor_drop_record(a, a->aor.first);
    redis_aor_drop_removals(a, SIZE_MAX);
    stop_waiting(t, a);
    aor_table_remove(&t->table, &a->aor);
    free(a);
}

void redis_aors_free(struct redis_aors *t)
{
    if (!t)
        return;
    for (struct aor *aor; (aor = aor_table_from(&t->table, 0));)
        forget(t, redis_aor_of(aor));
    aor_table_fini(&t->table);
    free(t);
}

struct redis_aor *redis_aors_find(const struct redis_aors *t, struct str name)
{
    struct aor *aor = aor_table_find(&t->table, name, hash_of(name));
    return aor ? redis_aor_of(aor) : NULL;
}

struct redis_aor *redis_aors_take(struct redis_aors *t, struct str name)
{
    uint64_t hash = hash_of(name);
    struct aor *aor = aor_table_find(&t->table, name, hash);
    if (aor)
        return redis_aor_of(aor);
    struct redis_aor *a = calloc(1, sizeof *a + name.len);
    if (!a)
        return NULL;
    a->is_known = true; /* as far as anybody here knows, there is no key */
    a->end_apply = &a->first_apply;
    a->aor.hash = hash;
    a->aor.name_len = (uint32_t)name.len;
    memcpy(a->aor.name, name.ptr, name.len);
    aor_table_insert(&t->table, &a->aor);
    return a;
}

void redis_aors_release(struct redis_aors *t, struct redis_aor *a)
{
    if (!a->is_busy && !a->is_held && !a->first_apply && !a->removals && !redis_aor_has_own(a))
        forget(t, a);
}

struct redis_aor *redis_aors_from(const struct redis_aors *t, uint64_t hash)
{
    struct aor *aor = aor_table_from(&t->table, hash);
    return aor ? redis_aor_of(aor) : NULL;
}

/* ---- Bindings ------------------------------------------------------------------------------ */

uint64_t redis_binding_id(const struct binding *b)
{
    static const uint64_t spread = 0x9e3779b97f4a7c15; /* 2^64 / golden ratio */
    if (str_is_empty(b->instance))
        return str_stable_hash(b->contact);
    return str_stable_hash(b->instance) + spread * (1 + (b->is_outbound ? b->reg_id : 0));
}

uint64_t redis_record_id(const struct binding_record *r)
{
    struct binding b = binding_record_view(r);
    return redis_binding_id(&b);
}

void redis_aor_add_records(struct redis_aors *t, struct redis_aor *a, struct binding_record *list)
{
    struct binding_record **end = &list;
    for (struct binding_record *r; (r = *end); end = &r->next) {
        r->aor = &a->aor;
        timer_start(&t->wheel, &r->expiry, r->expires_ms + t->grace_ms);
    }
    *end = a->aor.first;
    a->aor.first = list;
}

void redis_aor_drop_record(struct redis_aor *a, struct binding_record *r)
{
    struct binding_record **link = &a->aor.first;
    while (*link != r)
        link = &(*link)->next;
    *link = r->next;
    timer_stop(&r->expiry);
    free(r);
}

struct binding_record *redis_aor_find_record(const struct redis_aor *a, uint64_t id)
{
    struct binding_record *r = a->aor.first;
    while (r && redis_record_id(r) != id)
        r = r->next;
    return r;
}

bool redis_aor_has_own(const struct redis_aor *a)
{
    const struct binding_record *r = a->aor.first;
    while (r && !r->is_own)
        r = r->next;
    return r != NULL;
}

/* ---- What is still to be said -------------------------------------------------------------- */

static bool is_same_target(const struct redis_removal *a, const struct redis_removal *b)
{
    return a->kind == b->kind && a->id == b->id && a->conn == b->conn &&
           (a->kind != REDIS_REMOVE_UNDO || a->upto_ms == b->upto_ms);
}

int redis_aor_add_removal(struct redis_aor *a, const struct redis_removal *removal)
{
    size_t count = 0;
    struct redis_removal **link = &a->removals;
    for (; *link; link = &(*link)->next, count++) {
        if (a->is_busy || !is_same_target(*link, removal)) /* that one may be under way */
            continue;
        if (removal->upto_ms > (*link)->upto_ms)
            (*link)->upto_ms = removal->upto_ms;
        (*link)->is_wanted |= removal->is_wanted;
        return 0;
    }
    if (count >= 2 * REDIS_REMOVALS_MAX)
        return -ENOSPC;
    struct redis_removal *copy = malloc(sizeof *copy);
    if (!copy)
        return -ENOMEM;
    *copy = *removal;
    copy->next = NULL;
    *link = copy;
    if (count >= REDIS_REMOVALS_MAX && !a->is_busy) /* else the first are under way */
        redis_aor_drop_removals(a, 1);
    return 0;
}

void redis_aor_drop_removals(struct redis_aor *a, size_t count)
{
    for (; count > 0 && a->removals; count--) {
        struct redis_removal *first = a->removals;
        a->removals = first->next;
        free(first);
    }
}

void redis_aors_wait(struct redis_aors *t, struct redis_aor *a)
{
    if (a->waiting_link)
        return;
    a->next_waiting = NULL;
    a->waiting_link = t->waiting_end;
    *t->waiting_end = a;
    t->waiting_end = &a->next_waiting;
}

struct redis_aor *redis_aors_next_waiting(struct redis_aors *t)
{
    struct redis_aor *a = t->waiting;
    if (a)
        stop_waiting(t, a);
    return a;
}
