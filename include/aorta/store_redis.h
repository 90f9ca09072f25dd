/* aorta/store_redis.h - bindings in Redis, shared by all nodes that use the same one (SPEC section
 * 6). Each worker has a struct store of its own, with its own connection, called on the worker's
 * thread only; what they share is the struct redis_cluster. */
#ifndef AORTA_STORE_REDIS_H
#define AORTA_STORE_REDIS_H
#include <aorta/bans.h>
#include <aorta/histogram.h>
#include <aorta/net.h>
#include <aorta/store.h>

struct redis_cluster;

/* `config` (redis.*, node, graceSeconds, workers of the start) and `bans`, which are shared with
 * the other nodes (NULL: not), are borrowed. NULL when out of memory. */
struct redis_cluster *redis_cluster_new(const struct config *config, struct bans *bans);
/* After all its stores were closed. NULL is fine. */
void redis_cluster_free(struct redis_cluster *c);
/* The host:port by which others reach this node; before the workers run. Copies. -ENOMEM, or 0. */
int redis_cluster_set_address(struct redis_cluster *c, const char *sbc_address);

/* Connects in the background, for ever. `durations` counts how long commands take; NULL: nobody
 * does. NULL when out of memory. store_close() before net_loop_close(): requests that still wait
 * are answered with -EAGAIN then. */
struct store *store_redis_open(struct redis_cluster *cluster, struct net_loop *loop,
                               unsigned worker, struct histogram *durations);

/* PUBLISHes on the channel redis.prefix + "events", each message on its own. 0, or nothing is sent:
 * -ENOTCONN, Redis is away; -ENOBUFS, too much is under way; -ENOMEM. Also from within a watcher.
 */
int store_redis_publish(struct store *s, const struct str *messages, size_t count);
/* Told of messages that were sent, but of which Redis has not said that they were published. */
typedef void store_unpublished_fn(void *arg, size_t count);
void store_redis_set_unpublished(struct store *s, store_unpublished_fn *unpublished, void *arg);
#endif
