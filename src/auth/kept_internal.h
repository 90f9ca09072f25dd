/* kept_internal.h - HA1s that a callback let us keep for a time, with what it granted, so that this
 * user's next credentials can be checked here. A table of fixed size, in which the entry that is
 * the next to end gives way; any thread. */
#ifndef AORTA_KEPT_INTERNAL_H
#define AORTA_KEPT_INTERNAL_H
#include "digest_internal.h"
#include <aorta/arena.h>

enum {
    KEPT_ENTRIES = 65536,
    KEPT_NAME_BYTES = 1024, /* AOR and username together; longer ones are not kept */
};

struct kept;

/* One user of one AOR, as he spells himself in his credentials. */
struct kept_key {
    struct str aor, username;
};

struct kept_answer {
    unsigned algorithms; /* bit (1 << enum digest_algorithm): has that HA1 */
    struct digest_ha1s ha1s;
    uint32_t expires_limit_s;
    struct str grant;
};

/* NULL when out of memory. */
struct kept *kept_new(void);
void kept_free(struct kept *kept);
/* A copy into *out, its grant into `arena`; the caller wipes the HA1s. -ENOENT, or -ENOMEM. */
int kept_find(struct kept *kept, const struct kept_key *key, uint64_t now_ms, struct arena *arena,
              struct kept_answer *out);
/* Copies, in place of what there was. Without memory nothing is kept. */
void kept_put(struct kept *kept, const struct kept_key *key, const struct kept_answer *answer,
              uint64_t ends_ms, uint64_t now_ms);
void kept_drop(struct kept *kept, const struct kept_key *key);
#endif
