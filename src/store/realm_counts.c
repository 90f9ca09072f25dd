#include "realm_counts.h"
#include <stdlib.h>

enum { BUCKETS = 4096 };

struct realm_count {
    struct realm_count *next; /* never changes once it is listed */
    _Atomic int64_t bindings;
    uint32_t name_len;
    char name[];
};

struct realm_counts {
    _Atomic(struct realm_count *) bucket[BUCKETS];
};

struct realm_counts *realm_counts_new(void)
{
    return calloc(1, sizeof(struct realm_counts));
}

void realm_counts_free(struct realm_counts *counts)
{
    for (size_t i = 0; counts && i < BUCKETS; i++) {
        struct realm_count *r = atomic_load(&counts->bucket[i]);
        while (r) {
            struct realm_count *next = r->next;
            free(r);
            r = next;
        }
    }
    free(counts);
}

static struct realm_count *find(struct realm_count *r, struct str name)
{
    while (r && !str_eq(name, (struct str){r->name, r->name_len}))
        r = r->next;
    return r;
}

static struct realm_count *make(struct str name)
{
    struct realm_count *r = calloc(1, sizeof *r + name.len);
    if (!r)
        return NULL;
    r->name_len = (uint32_t)name.len;
    memcpy(r->name, name.ptr, name.len);
    return r;
}

/* Another thread may list the same name first: then that one counts. */
static struct realm_count *list(_Atomic(struct realm_count *) *bucket, struct realm_count *made)
{
    struct str name = {made->name, made->name_len};
    struct realm_count *first = atomic_load(bucket);
    do {
        struct realm_count *found = find(first, name);
        if (found) {
            free(made);
            return found;
        }
        made->next = first;
    } while (!atomic_compare_exchange_weak(bucket, &first, made));
    return made;
}

_Atomic int64_t *realm_counts_of(struct realm_counts *counts, struct str aor)
{
    struct str name = str_slice(aor, str_find(aor, '@') + 1, aor.len);
    _Atomic(struct realm_count *) *bucket = &counts->bucket[str_hash(name) % BUCKETS];
    struct realm_count *r = find(atomic_load(bucket), name);
    if (!r && (r = make(name)) != NULL)
        r = list(bucket, r);
    return r ? &r->bindings : NULL;
}

int64_t realm_counts_read(const struct realm_counts *counts, struct str realm)
{
    const struct realm_count *r =
        find(atomic_load(&counts->bucket[str_hash(realm) % BUCKETS]), realm);
    return r ? atomic_load_explicit(&r->bindings, memory_order_relaxed) : 0;
}

bool realm_count_change(_Atomic int64_t *count, int64_t change, uint32_t most)
{
    int64_t before = atomic_fetch_add_explicit(count, change, memory_order_relaxed);
    if (most == 0 || change <= 0 || before + change <= (int64_t)most)
        return true;
    atomic_fetch_sub_explicit(count, change, memory_order_relaxed);
    return false;
}
