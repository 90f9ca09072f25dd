/* realms_internal.h - what realms.c has collected. */
#ifndef AORTA_REALMS_INTERNAL_H
#define AORTA_REALMS_INTERNAL_H
#include "callback_internal.h"

struct users_source {
    const char *path; /* NULL: the demo users */
    struct users *users;
};

struct realms {
    struct realm *realm;
    size_t count;
    const struct realm *others; /* "*", or the only one when the configuration names none */
    struct users_source *source;
    size_t source_count;
    struct callback **callback; /* each at its index */
    size_t callback_count;
    uint32_t *slot; /* open addressing: index into `realm` + 1; 0: free */
    size_t slot_mask;
};
#endif
