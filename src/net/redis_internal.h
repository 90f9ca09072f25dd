/* redis_internal.h - the parts of the Redis client: how commands are written and remembered
 * (redis_command.c), how a connection lives on the loop (redis_link.c), how answers are built
 * (redis_reply.c), how the server's name is looked up (redis_lookup.c). redis_client.c puts them
 * together and is the only one that knows of states and deadlines. */
#ifndef AORTA_REDIS_INTERNAL_H
#define AORTA_REDIS_INTERNAL_H
#include "net_internal.h"
#include <aorta/arena.h>
#include <aorta/redis_client.h>
#include <hiredis/async.h>

/* ---- Commands: redis_command.c --------------------------------------------------------------- */

/* Appends the head of a command of `count` arguments; then each argument. */
void redis_command_begin(struct buf *b, size_t count);
void redis_command_put(struct buf *b, struct str arg);

/* What it takes to send an EVALSHA once more as EVAL. */
struct redis_evaluation {
    const struct redis_script *script;
    size_t arg_count; /* of the whole command */
    size_t len;
    char tail[]; /* as sent, from the number of keys on */
};

/* Commands in the order of their answers: a ring. */
struct redis_sent {
    redis_replied_fn *done; /* NULL: nobody asks */
    void *arg;
    uint64_t sent_ms;                    /* by the loop's clock */
    uint64_t sent_us;                    /* clock_now_us(); 0: not measured */
    struct redis_evaluation *evaluation; /* owned; NULL for all but EVALSHA */
};
struct redis_queue {
    struct redis_sent *ring;
    size_t size, first, count;
};
/* `size` is the most it will ever hold. -ENOMEM. */
int redis_queue_init(struct redis_queue *q, size_t size);
void redis_queue_fini(struct redis_queue *q); /* when empty */
void redis_queue_push(struct redis_queue *q, const struct redis_sent *sent);
/* The oldest; NULL when empty. */
const struct redis_sent *redis_queue_first(const struct redis_queue *q);
/* The oldest, which leaves the queue. Not when empty. */
struct redis_sent redis_queue_pop(struct redis_queue *q);

/* ---- Answers: redis_reply.c ------------------------------------------------------------------ */

enum {
    REDIS_REPLY_MAX_BYTES = 16 << 20, /* one answer with all that it holds */
    REDIS_TEXT_MAX_BYTES = 1 << 20,   /* one text in it */
};

/* Builds the answers of one connection, one at a time, each in the place of the one before. */
struct redis_reply_builder {
    struct arena arena;
    const redisAsyncContext *context;
    const char *fault; /* why it refused to go on; else NULL */
};
/* From now on `context` has its answers built here. -ENOMEM. */
int redis_reply_builder_init(struct redis_reply_builder *b, redisAsyncContext *context);
void redis_reply_builder_fini(struct redis_reply_builder *b);

/* ---- A connection: redis_link.c -------------------------------------------------------------- */

enum { REDIS_WHY_BYTES = 160 };

struct redis_link;
struct redis_link_events {
    /* The answer to the oldest command. False closes the link when this has returned: `closed`
     * comes, and no further answer. */
    bool (*replied)(void *arg, const struct redis_reply *reply);
    /* The last event. The link is gone. */
    void (*closed)(void *arg, const char *why);
    void *arg;
};
/* Begins to connect; commands may be sent at once. Bytes that are not acknowledged for `unacked_ms`
 * end the link. NULL, and a text in `why`, when that failed at once; then no event comes. */
struct redis_link *redis_link_open(struct net_loop *loop, const struct net_address *address,
                                   uint32_t unacked_ms, const struct redis_link_events *events,
                                   char why[REDIS_WHY_BYTES]);
/* Takes one whole command, and a zero byte behind it which is not counted. All commands of one turn
 * of the loop are written together when it ends. Never calls back. -ENOMEM: the link will close. */
int redis_link_send(struct redis_link *link, struct str command);
/* No event comes. Not from within an event. */
void redis_link_close(struct redis_link *link);

/* ---- Names: redis_lookup.c ------------------------------------------------------------------- */

struct redis_lookup;
/* `count` 0: not found, `why` tells. The lookup is over. */
typedef void redis_found_fn(void *arg, const struct net_address *addresses, size_t count,
                            const char *why);
enum { REDIS_MAX_ADDRESSES = 8 }; /* more are left out */
/* On a thread of libuv's pool; `found` runs on the loop, never before this returns. A negative
 * errno: it will not run. */
int redis_lookup_start(struct net_loop *loop, const char *host, uint16_t port,
                       redis_found_fn *found, void *arg, struct redis_lookup **out);
/* `found` will not run. The loop lives on until the system's resolver has come back. */
void redis_lookup_abandon(struct redis_lookup *lookup);
#endif
