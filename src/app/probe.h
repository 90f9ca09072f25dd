/* probe.h - aorta --probe: asks an aorta that runs on this machine whether it is well. */
#ifndef AORTA_PROBE_H
#define AORTA_PROBE_H
#include <aorta/config.h>

/* Asks the aorta that was started with this configuration for /healthz, or with `is_ready_asked`
 * for /readyz. Prints what is wrong. EXIT_OK, EXIT_FAILED, or EXIT_UNUSABLE when it has nothing
 * that could be asked. */
int probe(const struct config *config, bool is_ready_asked);
#endif
