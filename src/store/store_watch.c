#include "store_watch.h"

void store_watch(struct store *s, struct store_watcher *watcher)
{
    struct store_watcher **end = &s->watchers;
    while (*end)
        end = &(*end)->next;
    watcher->next = NULL;
    *end = watcher;
}

static void tell(const struct store *s, enum store_change change, struct str aor,
                 const struct binding *binding, const struct binding *by)
{
    for (const struct store_watcher *w = s->watchers; w; w = w->next)
        w->changed(w->arg, change, aor, binding, by);
}

void store_tell(const struct store *s, enum store_change change, struct str aor,
                const struct binding *binding)
{
    tell(s, change, aor, binding, NULL);
}

/* One goes, since its client says so, or to make room for what is added. */
static void tell_drop(const struct store *s, struct str aor, const struct binding *binding,
                      bool is_evicted, const struct binding *by)
{
    if (is_evicted)
        tell(s, STORE_EVICTED, aor, binding, by);
    else
        store_tell(s, STORE_REMOVED, aor, binding);
}

static bool is_continued(const struct binding_decision *d, size_t k)
{
    for (size_t i = 0; i < d->add_count; i++)
        if (d->replaces[i] == (int)k)
            return true;
    return false;
}

void store_tell_decision(const struct store *s, struct str aor, const struct binding *current,
                         size_t count, const struct binding_decision *d, const bool *is_gone)
{
    for (size_t k = 0; k < count; k++)
        if (d->drop[k] && !is_continued(d, k) && !(is_gone && is_gone[k]))
            tell_drop(s, aor, &current[k], d->is_evicted[k], &d->add[0]);
    for (size_t i = 0; i < d->add_count; i++) {
        int was = d->replaces[i];
        bool is_new = was == BINDING_NO_CONTACT || (is_gone && is_gone[was]);
        store_tell(s, is_new ? STORE_ADDED : STORE_RENEWED, aor, &d->add[i]);
    }
}
