#include "flow.h"
#include <errno.h>
#include <stdlib.h>

struct flow_aor {
    struct flow_aor *next_of_conn;
    struct flow_aor *next_in_bucket;
    conn_id conn;
    uint64_t hash; /* of conn and AOR */
    uint32_t aor_bytes;
    char aor[];
};

struct flow_set {
    struct flow_aor **bucket;
    size_t bucket_count, count;
};

enum { FIRST_BUCKETS = 256 };

struct flow_set *flow_set_new(void)
{
    struct flow_set *set = calloc(1, sizeof *set);
    if (!set)
        return NULL;
    set->bucket_count = FIRST_BUCKETS;
    set->bucket = calloc(FIRST_BUCKETS, sizeof(struct flow_aor *));
    if (!set->bucket) {
        free(set);
        return NULL;
    }
    return set;
}

/* The entries belong to their connections' lists, which are all dropped before. */
void flow_set_free(struct flow_set *set)
{
    if (!set)
        return;
    free(set->bucket);
    free(set);
}

static struct flow_aor **bucket_of(struct flow_set *set, uint64_t hash)
{
    return &set->bucket[hash & (set->bucket_count - 1)];
}

static bool has(struct flow_set *set, conn_id conn, uint64_t hash, struct str aor)
{
    for (const struct flow_aor *f = *bucket_of(set, hash); f; f = f->next_in_bucket)
        if (f->hash == hash && f->conn == conn && str_eq(aor, (struct str){f->aor, f->aor_bytes}))
            return true;
    return false;
}

/* Without memory for it the buckets just stay longer. */
static void grow(struct flow_set *set)
{
    struct flow_set bigger = {.bucket_count = set->bucket_count * 2};
    bigger.bucket = calloc(bigger.bucket_count, sizeof(struct flow_aor *));
    if (!bigger.bucket)
        return;
    for (size_t i = 0; i < set->bucket_count; i++) {
        for (struct flow_aor *f = set->bucket[i], *next; f; f = next) {
            next = f->next_in_bucket;
            struct flow_aor **bucket = bucket_of(&bigger, f->hash);
            f->next_in_bucket = *bucket;
            *bucket = f;
        }
    }
    free(set->bucket);
    set->bucket = bigger.bucket;
    set->bucket_count = bigger.bucket_count;
}

int flow_add(struct flow_set *set, void **list, conn_id conn, struct str aor)
{
    uint64_t hash = str_hash(aor) ^ conn * 0x9e3779b97f4a7c15u;
    if (has(set, conn, hash, aor))
        return 0;
    struct flow_aor *f = malloc(sizeof *f + aor.len);
    if (!f)
        return -ENOMEM;
    if (set->count >= set->bucket_count)
        grow(set);
    struct flow_aor **bucket = bucket_of(set, hash);
    *f = (struct flow_aor){*list, *bucket, conn, hash, (uint32_t)aor.len};
    memcpy(f->aor, aor.ptr, aor.len);
    *bucket = f;
    *list = f;
    set->count++;
    return 1;
}

void flow_each(const void *list, flow_aor_fn *each, void *arg)
{
    for (const struct flow_aor *f = list; f; f = f->next_of_conn)
        each(arg, (struct str){f->aor, f->aor_bytes});
}

bool flow_has_other(const void *list, struct str aor)
{
    for (const struct flow_aor *f = list; f; f = f->next_of_conn)
        if (!str_eq(aor, (struct str){f->aor, f->aor_bytes}))
            return true;
    return false;
}

static void forget(struct flow_set *set, struct flow_aor *f)
{
    struct flow_aor **link = bucket_of(set, f->hash);
    while (*link != f)
        link = &(*link)->next_in_bucket;
    *link = f->next_in_bucket;
    set->count--;
    free(f);
}

void flow_drop(struct flow_set *set, void *list)
{
    for (struct flow_aor *f = list, *next; f; f = next) {
        next = f->next_of_conn;
        forget(set, f);
    }
}
