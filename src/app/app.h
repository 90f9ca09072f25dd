/* app.h - the whole program: opened in order, run until a signal, closed in reverse. */
#ifndef AORTA_APP_H
#define AORTA_APP_H
#include <aorta/config.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_UNUSABLE = 2 };

/* Serves until SIGTERM or SIGINT; drains; returns the exit status. What goes wrong is said on
 * standard error. Takes `config`; SIGHUP reads `source`, which is borrowed, again. */
int app_run(struct config *config, const struct config_source *source);
/* What --check does beyond config_load(): the files that the configuration names. Exit status. */
int app_check(const struct config *config);
#endif
