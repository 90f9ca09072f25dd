/* store/store_watch.h - how stores tell their watchers. */
#ifndef AORTA_STORE_WATCH_H
#define AORTA_STORE_WATCH_H
#include <aorta/store.h>

static inline bool store_is_watched(const struct store *s)
{
    return s->watchers != NULL;
}
void store_tell(const struct store *s, enum store_change change, struct str aor,
                const struct binding *binding);
/* What a decision on the `count` bindings in `current` has changed, now that it is carried out.
 * `is_gone`, of each, says which had gone by themselves in between, and were told; NULL: none. */
void store_tell_decision(const struct store *s, struct str aor, const struct binding *current,
                         size_t count, const struct binding_decision *decision,
                         const bool *is_gone);
#endif
