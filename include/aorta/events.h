/* aorta/events.h - what happens to registrations, as lines of JSON: composed by the worker on which
 * it happens, kept for a moment in a ring of that worker, and read by whoever listens. Nobody who
 * writes waits for one who reads: who is too slow is told that he has missed something. While
 * nobody listens and nothing is published, nothing is composed. */
#ifndef AORTA_EVENTS_H
#define AORTA_EVENTS_H
#include <aorta/bans.h>
#include <aorta/metrics.h>
#include <aorta/store.h>

enum event_type {
    EVENT_REGISTERED,
    EVENT_REFRESHED,
    EVENT_UNREGISTERED,
    EVENT_EXPIRED,
    EVENT_FLOW_CLOSED,
    EVENT_BANNED,
    EVENT_TYPES
};
/* As in the JSON: "flow-closed". */
struct str event_type_name(enum event_type type);

enum {
    EVENT_LISTENERS_MAX = 32,
    EVENT_RING_BYTES =
        1 << 20, /* a worker; taken when it first has something to say to a listener */
    EVENT_MAX_BYTES = 32 << 10, /* a longer one is dropped */
    EVENT_BATCH = 256,          /* as many are published at once */
};

struct events;       /* of the process */
struct event_writer; /* a worker's part of it */

/* `node` is borrowed. `ring_bytes` is a power of two, above EVENT_MAX_BYTES. NULL when out of
 * memory. */
struct events *events_new(unsigned workers, const char *node, size_t ring_bytes);
/* After all that use it. NULL is fine. */
void events_free(struct events *e);

/* ---- Writing: on the worker's thread --------------------------------------------------------- */

struct event_writer *events_writer(struct events *e, unsigned worker);
/* The worker's, for what is dropped; before it runs. */
void event_writer_set_metrics(struct event_writer *w, struct metrics *metrics);
/* Every event goes to `publish` too, from now on: 0, or a negative errno when they are dropped.
 * Each at once where there are few of them, else many together, by the next tick at the latest. */
typedef int event_publish_fn(void *arg, const struct str *json, size_t count);
void event_writer_set_publisher(struct event_writer *w, event_publish_fn *publish, void *arg);
/* So many that a publisher had taken have got lost on the way. */
void event_writer_lost(struct event_writer *w, size_t count);
/* On every tick, and before the end: publishes what waits. */
void event_writer_flush(struct event_writer *w);

/* `changed` of a struct store_watcher, whose `arg` is the writer. */
void event_writer_changed(void *writer, enum store_change change, struct str aor,
                          const struct binding *binding, const struct binding *by);
/* An address was banned by this worker, for so many seconds (-1: for ever). */
void event_writer_banned(struct event_writer *w, const struct ban *ban, int64_t seconds);

/* ---- Reading: any thread, each reader on its own ----------------------------------------------
 */

/* One more listens, so that events are composed. False when EVENT_LISTENERS_MAX do already. */
bool events_add_listener(struct events *e);
void events_remove_listener(struct events *e);

struct event_reader;
/* For what happens from now on. NULL when out of memory. */
struct event_reader *event_reader_new(struct events *e);
void event_reader_free(struct event_reader *r);
/* Calls `each` for all that has happened since the last call, over all workers, in its order: what
 * happened to one AOR in one process comes as it happened. `json` is one line, without its end, and
 * valid during the call. -EOVERFLOW: some of it was overwritten before; -ENOMEM: there is no room
 * to read it. Then nothing is handed out, and reading goes on with what happens from now on. */
typedef void event_fn(void *arg, enum event_type type, struct str json);
int event_reader_read(struct event_reader *r, event_fn *each, void *arg);
#endif
