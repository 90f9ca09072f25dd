/* What this worker holds, and somebody else has removed or taken over: a client that came back
 * through another worker or another node. Nobody asks here about it any more, so it has to be told;
 * else the next Redis that has lost its data would get it from here again. A note travels to the
 * other workers of this process directly, to other nodes through a list in Redis that each reads
 * when it renews its lease. */
#include "store_redis_internal.h"
#include <stdio.h>
#include <stdlib.h>

enum { ID_DIGITS = 16, UPTO_DIGITS = 24 };
#define EVERY_ID "*"

struct redis_gone {
    struct redis_gone *next;
    bool is_all; /* whatever is bound, not only `id` */
    uint64_t id;
    uint64_t upto_ms; /* as it was refreshed then, or before */
    size_t name_len;
    char name[];
};

/* ---- To the workers of this process -------------------------------------------------------- */

static void push(_Atomic(struct redis_gone *) *head, struct redis_gone *note)
{
    note->next = atomic_load(head);
    while (!atomic_compare_exchange_weak(head, &note->next, note))
        ;
}

/* Without memory for it the binding is held here until its time is over. */
static void tell_worker(struct redis_cluster *c, unsigned worker, struct str aor,
                        const struct redis_gone *what)
{
    struct redis_gone *note = malloc(sizeof *note + aor.len);
    if (!note)
        return;
    *note = *what;
    note->name_len = aor.len;
    memcpy(note->name, aor.ptr, aor.len);
    push(&c->gone[worker], note);
}

static void tell_siblings(struct redis_store *r, struct str aor, const struct redis_gone *what)
{
    for (unsigned i = 0; i < r->cluster->workers; i++)
        if (i != r->worker)
            tell_worker(r->cluster, i, aor, what);
}

void redis_gone_free_notes(struct redis_gone *note)
{
    while (note) {
        struct redis_gone *next = note->next;
        free(note);
        note = next;
    }
}

void redis_gone_tell(struct redis_store *r, struct str aor, uint64_t id, uint64_t upto_ms)
{
    const struct redis_gone what = {.id = id, .upto_ms = upto_ms};
    tell_siblings(r, aor, &what);
}

void redis_gone_tell_removal(struct redis_store *r, struct str aor,
                             const struct redis_removal *removal)
{
    const struct redis_gone what = {.is_all = removal->kind == REDIS_REMOVE_ALL,
                                    .id = removal->id,
                                    .upto_ms = removal->upto_ms};
    tell_siblings(r, aor, &what);
}

/* ---- Being told ---------------------------------------------------------------------------- */

/* "ID UPTO AOR", ID being "*" for all. */
static bool read_note(struct str text, struct redis_gone *out, struct str *aor)
{
    size_t first = str_find(text, ' ');
    struct str id = str_slice(text, 0, first), rest = str_slice(text, first + 1, text.len);
    size_t second = str_find(rest, ' ');
    struct str upto = str_slice(rest, 0, second);
    char number[UPTO_DIGITS];
    if (upto.len == 0 || upto.len >= sizeof number)
        return false;
    snprintf(number, sizeof number, "%.*s", STR_ARG(upto));
    *out = (struct redis_gone){.is_all = str_eq(id, STR(EVERY_ID)),
                               .id = id.len == ID_DIGITS ? redis_read_revision(id) : 0,
                               .upto_ms = strtoull(number, NULL, 10)};
    *aor = str_slice(rest, second + 1, rest.len);
    return aor->len > 0;
}

static void forget(struct redis_store *r, struct str aor, const struct redis_gone *what)
{
    struct redis_aor *a = redis_aors_find(r->aors, aor);
    if (!a)
        return;
    bool is_held = a->is_held;
    a->is_held = true;
    for (struct binding_record *record = a->aor.first, *next; record; record = next) {
        next = record->next;
        uint64_t id = redis_record_id(record);
        if (!record->is_own || record->refreshed_ms > what->upto_ms ||
            (!what->is_all && id != what->id))
            continue;
        /* It may have been written again meanwhile. */
        const struct redis_removal removal = {.kind = REDIS_REMOVE_ID,
                                              .id = id,
                                              .upto_ms = what->upto_ms};
        redis_take_out(r, a, record, STORE_REPLACED_ELSEWHERE);
        (void)redis_aor_add_removal(a, &removal);
    }
    a->is_held = is_held;
    redis_patch_aor(r, a);
    redis_aors_release(r->aors, a);
}

void redis_gone_hear(struct redis_store *r, struct str text)
{
    struct redis_gone what;
    struct str aor;
    if (!read_note(text, &what, &aor))
        return;
    tell_siblings(r, aor, &what);
    forget(r, aor, &what);
}

void redis_gone_heed(struct redis_store *r)
{
    if (!atomic_load(&r->cluster->gone[r->worker]))
        return; /* as nearly always */
    struct redis_gone *notes = atomic_exchange(&r->cluster->gone[r->worker], NULL);
    for (struct redis_gone *note = notes; note; note = note->next)
        forget(r, (struct str){note->name, note->name_len}, note);
    redis_gone_free_notes(notes);
}
