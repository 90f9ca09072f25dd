/* settings_load.h - settings from a configuration: realms with their users and callbacks. */
#ifndef AORTA_SETTINGS_LOAD_H
#define AORTA_SETTINGS_LOAD_H
#include <aorta/auth.h>
#include <aorta/settings.h>

/* Takes `config` and `demo_users` (NULL: none), whatever comes of it. 0, with one reference; or a
 * negative errno with all that is wrong in `errors`, a line each. */
int settings_load(struct config *config, struct users *demo_users, struct settings **out,
                  struct buf *errors);
/* Lets the caller keep the configuration: it frees it, after the settings. When these go, at a
 * reload, the secrets go that the reload may have replaced. */
struct config *settings_share_config(struct settings *settings);
#endif
