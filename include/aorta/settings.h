/* aorta/settings.h - what a reload swaps as one: a configuration and what was read because of it.
 * Nobody changes it once it is made. Workers share it; the last one to let go frees it. */
#ifndef AORTA_SETTINGS_H
#define AORTA_SETTINGS_H
#include <aorta/config.h>
#include <stdatomic.h>

struct realms;

struct settings {
    struct config *config; /* owned */
    struct realms *realms; /* owned */
    _Atomic unsigned references;
};
#endif
