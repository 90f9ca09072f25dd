/* aorta/ratelimit.h - token bucket: `burst` at once, then `rate_per_s` on average.
 * No clock and no heap: embed it, and pass monotonic time in. */
#ifndef AORTA_RATELIMIT_H
#define AORTA_RATELIMIT_H
#include <stdbool.h>
#include <stdint.h>

struct ratelimit {
    uint32_t rate_per_s;  /* tokens earned per second; 0 never refills */
    uint32_t burst;       /* most tokens ever held */
    uint64_t millitokens; /* held now */
    uint64_t refilled_ms; /* when that was worked out */
};

/* Starts full. -EINVAL if nothing could ever pass. */
int ratelimit_init(struct ratelimit *rl, uint32_t rate_per_s, uint32_t burst, uint64_t now_ms);
/* True, and one token less, if the event may pass. A clock that steps back earns nothing. */
bool ratelimit_take(struct ratelimit *rl, uint64_t now_ms);
#endif
