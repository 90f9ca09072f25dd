#include <aorta/ratelimit.h>
#include <errno.h>

enum { TOKEN = 1000 }; /* millitokens, because a rate per second earns that many per ms */

int ratelimit_init(struct ratelimit *rl, uint32_t rate_per_s, uint32_t burst, uint64_t now_ms)
{
    if (burst == 0)
        return -EINVAL;
    *rl = (struct ratelimit){rate_per_s, burst, (uint64_t)burst * TOKEN, now_ms};
    return 0;
}

static void refill(struct ratelimit *rl, uint64_t now_ms)
{
    if (rl->rate_per_s == 0 || now_ms <= rl->refilled_ms)
        return;
    uint64_t elapsed_ms = now_ms - rl->refilled_ms;
    uint64_t room = (uint64_t)rl->burst * TOKEN - rl->millitokens;
    bool fills = elapsed_ms > room / rl->rate_per_s; /* asked by division: no overflow */
    rl->millitokens += fills ? room : elapsed_ms * rl->rate_per_s;
    rl->refilled_ms = now_ms;
}

bool ratelimit_take(struct ratelimit *rl, uint64_t now_ms)
{
    refill(rl, now_ms);
    if (rl->millitokens < TOKEN)
        return false;
    rl->millitokens -= TOKEN;
    return true;
}
