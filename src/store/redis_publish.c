/* Messages for whoever has subscribed to them. */
#include "store_redis_internal.h"
#include <errno.h>
#include <stdlib.h>

enum {
    MOST_PENDING = 20000, /* commands under way: then REGISTERs have to wait as it is */
    MOST_AT_ONCE = 256,
};

/* Messages on their way. */
struct publication {
    struct redis_store *r;
    size_t count;
};

static void on_published(void *arg, const struct redis_reply *reply)
{
    struct publication *p = arg;
    struct redis_store *r = p->r;
    bool is_published = reply && redis_reply_type(reply) == REDIS_TYPE_INTEGER;
    if (reply && !is_published)
        redis_report_trouble(r, "publish", redis_reply_text(reply));
    if (!is_published && r->unpublished)
        r->unpublished(r->unpublished_arg, p->count);
    free(p);
}

/* Many cost one answer. */
static int send_all(struct redis_store *r, const struct str *messages, size_t count, void *arg)
{
    struct str args[2 + MOST_AT_ONCE] = {STR("PUBLISH"), str_from(r->cluster->events_channel)};
    memcpy(&args[2], messages, count * sizeof *messages);
    if (count == 1)
        return redis_client_send(r->client, args, 3, on_published, arg);
    return redis_client_eval(r->client, &r->cluster->publish, 0, &args[1], 1 + count, on_published,
                             arg);
}

int store_redis_publish(struct store *s, const struct str *messages, size_t count)
{
    struct redis_store *r = redis_store(s);
    if (redis_client_pending(r->client) >= MOST_PENDING || count > MOST_AT_ONCE)
        return -ENOBUFS;
    struct publication *p = malloc(sizeof *p);
    if (!p)
        return -ENOMEM;
    *p = (struct publication){r, count};
    int rc = send_all(r, messages, count, p);
    if (rc < 0)
        free(p);
    return rc;
}

void store_redis_set_unpublished(struct store *s, store_unpublished_fn *unpublished, void *arg)
{
    struct redis_store *r = redis_store(s);
    r->unpublished = unpublished;
    r->unpublished_arg = arg;
}
