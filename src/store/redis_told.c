/* What Redis was told to remove lately. A Redis that then loses it - a flush, a replica that lagged
 * behind, an older file - would keep such a binding until it expires, or get it back from a node
 * that has not heard yet; so it is told once more. */
#include "store_redis_internal.h"
#include <stdlib.h>

enum {
    KEEP_MS = 5000, /* others read what they are told once a second, replicas lag less */
    KEPT = 16384,   /* of each worker; the oldest are forgotten first */
};

struct redis_told {
    struct redis_told *next;
    uint64_t at_ms;
    struct redis_removal removal;
    size_t name_len;
    char name[];
};

void redis_told_init(struct redis_told_list *list)
{
    *list = (struct redis_told_list){.end = &list->first};
}

static void forget_first(struct redis_told_list *list)
{
    struct redis_told *first = list->first;
    list->first = first->next;
    if (!list->first)
        list->end = &list->first;
    list->count--;
    free(first);
}

void redis_told_fini(struct redis_told_list *list)
{
    while (list->first)
        forget_first(list);
}

void redis_told_tick(struct redis_store *r)
{
    if (!redis_client_is_up(r->client)) /* who knows what it will hold when it is back */
        return;
    while (r->told.first && r->told.first->at_ms + KEEP_MS < r->now_ms)
        forget_first(&r->told);
}

/* Without memory for it, it is told once only. */
void redis_told_note(struct redis_store *r, struct str aor, const struct redis_removal *removal)
{
    struct redis_told *note = malloc(sizeof *note + aor.len);
    if (!note)
        return;
    *note = (struct redis_told){.at_ms = r->now_ms, .removal = *removal, .name_len = aor.len};
    memcpy(note->name, aor.ptr, aor.len);
    *r->told.end = note;
    r->told.end = &note->next;
    if (++r->told.count > KEPT)
        forget_first(&r->told);
}

void redis_told_repeat(struct redis_store *r)
{
    for (; r->told.first; forget_first(&r->told)) {
        const struct redis_told *note = r->told.first;
        struct redis_aor *a = redis_aors_take(r->aors, (struct str){note->name, note->name_len});
        if (!a)
            continue;
        (void)redis_aor_add_removal(a, &note->removal);
        redis_aors_wait(r->aors, a);
        redis_aors_release(r->aors, a);
    }
}
