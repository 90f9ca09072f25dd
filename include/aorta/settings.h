/* aorta/settings.h - what a reload swaps as one: a configuration and what was read because of it.
 * Nobody changes it once it is made. Workers share it; the last one to let go frees it. */
#ifndef AORTA_SETTINGS_H
#define AORTA_SETTINGS_H
#include <aorta/config.h>
#include <stdatomic.h>

struct realms;

struct settings {
    const struct config *config;
    const struct realms *realms;
    void (*free)(struct settings *settings); /* of whoever made it, for when the last lets go */
    _Atomic unsigned references;             /* starts at 1, its maker's */
};

static inline void settings_hold(struct settings *s)
{
    atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
}
/* NULL is fine. */
static inline void settings_release(struct settings *s)
{
    if (s && atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) == 1)
        s->free(s);
}
#endif
