#include "aor_table.h"
#include <errno.h>
#include <stdlib.h>

enum { FIRST_SLOT_BITS = 4, MOST_SLOT_BITS = 32 };

int aor_table_init(struct aor_table *t)
{
    struct aor **slot = calloc((size_t)1 << FIRST_SLOT_BITS, sizeof(struct aor *));
    if (!slot)
        return -ENOMEM;
    *t = (struct aor_table){slot, FIRST_SLOT_BITS, 0};
    return 0;
}

static size_t slot_count(const struct aor_table *t)
{
    return (size_t)1 << t->slot_bits;
}

void aor_table_fini(struct aor_table *t)
{
    free(t->slot);
    *t = (struct aor_table){0};
}

struct aor *aor_new(struct str name, uint64_t hash)
{
    struct aor *aor = name.len <= UINT32_MAX ? malloc(sizeof *aor + name.len) : NULL;
    if (!aor)
        return NULL;
    *aor = (struct aor){.hash = hash, .name_len = (uint32_t)name.len};
    memcpy(aor->name, name.ptr, name.len);
    return aor;
}

static size_t slot_of(const struct aor_table *t, uint64_t hash)
{
    return (size_t)(hash << AOR_SHARD_BITS >> (64 - t->slot_bits));
}

/* The high bits choose the slot, so old slot i becomes new slots 2i and 2i+1, order kept. */
static void split(struct aor *chain, uint64_t hash_bit, struct aor **low, struct aor **high)
{
    *low = chain;
    while (*low && !((*low)->hash & hash_bit))
        low = &(*low)->next;
    *high = *low;
    *low = NULL;
}

static void grow(struct aor_table *t)
{
    if (t->slot_bits == MOST_SLOT_BITS)
        return;
    size_t old_count = slot_count(t);
    struct aor **slot = calloc(2 * old_count, sizeof(struct aor *));
    if (!slot)
        return;
    uint64_t hash_bit = UINT64_C(1) << (63 - AOR_SHARD_BITS - t->slot_bits);
    for (size_t i = 0; i < old_count; i++)
        split(t->slot[i], hash_bit, &slot[2 * i], &slot[2 * i + 1]);
    free(t->slot);
    t->slot = slot;
    t->slot_bits++;
}

static struct aor **place_of(const struct aor_table *t, uint64_t hash)
{
    struct aor **link = &t->slot[slot_of(t, hash)];
    while (*link && (*link)->hash < hash)
        link = &(*link)->next;
    return link;
}

void aor_table_insert(struct aor_table *t, struct aor *aor)
{
    if (t->count >= slot_count(t))
        grow(t);
    struct aor **link = place_of(t, aor->hash);
    aor->next = *link;
    *link = aor;
    t->count++;
}

void aor_table_remove(struct aor_table *t, struct aor *aor)
{
    struct aor **link = place_of(t, aor->hash);
    while (*link != aor)
        link = &(*link)->next;
    *link = aor->next;
    t->count--;
}

struct aor *aor_table_find(const struct aor_table *t, struct str name, uint64_t hash)
{
    for (struct aor *aor = *place_of(t, hash); aor && aor->hash == hash; aor = aor->next)
        if (str_eq((struct str){aor->name, aor->name_len}, name))
            return aor;
    return NULL;
}

static struct aor *first_since_slot(const struct aor_table *t, size_t i)
{
    for (; i < slot_count(t); i++)
        if (t->slot[i])
            return t->slot[i];
    return NULL;
}

struct aor *aor_table_from(const struct aor_table *t, uint64_t hash)
{
    struct aor *aor = *place_of(t, hash);
    return aor ? aor : first_since_slot(t, slot_of(t, hash) + 1);
}

struct aor *aor_table_after(const struct aor_table *t, const struct aor *aor)
{
    return aor->next ? aor->next : first_since_slot(t, slot_of(t, aor->hash) + 1);
}
