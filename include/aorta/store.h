/* aorta/store.h - where bindings are kept. A store applies the binding rules to one AOR at a time,
 * atomically, and answers through a callback, since a store may be another machine's. Each worker
 * has a struct store of its own, whose watchers hear of what changes through it. */
#ifndef AORTA_STORE_H
#define AORTA_STORE_H
#include <aorta/binding.h>

struct store;

struct store_outcome {
    int error; /* 0; -EAGAIN: the store cannot be reached, nothing changed; -ENOMEM: likewise */
    enum binding_verdict verdict;
    uint32_t min_expires_s;
    /* With BINDING_OK all bindings of the AOR as they now are: the first `own_count` are those
     * of the request in its order (removed ones left out), then the others, newest first. */
    const struct binding *bindings;
    size_t count, own_count;
};
/* Runs exactly once, perhaps before the call returns; `outcome` is valid only during it. */
typedef void store_applied_fn(void *arg, const struct store_outcome *outcome);

/* What is registered for one AOR. Runs exactly once, perhaps before the call returns; valid only
 * during it. `error`: 0; -EAGAIN: the store is away; -ENOMEM. */
typedef void store_found_fn(void *arg, int error, const struct binding *bindings, size_t count);

/* One AOR of a listing. */
struct store_aor {
    struct str aor;
    const struct binding *bindings;
    size_t count;
};
/* A page of it, and where to go on; 0 at the end. As store_found_fn. */
typedef void store_listed_fn(void *arg, int error, uint64_t next_cursor,
                             const struct store_aor *aors, size_t count);

struct store_counts {
    uint64_t aors;
    uint64_t bindings[TRANSPORT_KINDS];
    uint64_t expired_total;
};

/* `done` may already reset or free the arena that came with its call: nothing in it is looked at
 * after that.
 * Bindings past their grant and grace are as good as gone, ticked away or not: apply() goes by its
 * request's time, calls without one by the latest time that the store has heard of. */
struct store_ops {
    const char *name;
    /* One atomic load, decide, save. A request without contacts and without "*" only fetches.
     * `arena` is scratch until `done` has run. */
    void (*apply)(struct store *s, const struct binding_request *request, struct arena *arena,
                  store_applied_fn *done, void *arg);
    /* The connection is gone: its bindings of this AOR are removed, or (remove false) marked
     * is_flow_dead. Bindings that moved to another connection meanwhile stay untouched. */
    void (*close_flow)(struct store *s, struct str aor, conn_id conn, bool remove);
    /* Is any binding of this AOR carried by this connection? */
    bool (*has_flow)(struct store *s, struct str aor, conn_id conn);
    /* Is any binding of this AOR, as far as this worker knows, of this Call-ID? */
    bool (*has_call)(struct store *s, struct str aor, struct str call_id);
    /* One AOR, newest first. `arena` is scratch until `done` has run. */
    void (*find)(struct store *s, struct str aor, struct arena *arena, store_found_fn *done,
                 void *arg);
    /* Every AOR from `cursor` (0 to begin) on, until about `limit` bindings were listed. AORs that
     * stay throughout are listed; a store outside of this process may list one twice. `arena` as
     * with find(). */
    void (*list)(struct store *s, uint64_t cursor, size_t limit, struct arena *arena,
                 store_listed_fn *done, void *arg);
    /* Removes all bindings of an AOR, whoever holds them; tells only how many there were. */
    void (*remove)(struct store *s, struct str aor, struct arena *arena, store_found_fn *done,
                   void *arg);
    void (*count)(struct store *s, struct store_counts *out);
    /* Removes what is past its time. Each worker calls it every NET_LOOP_TICK_MS or so with its
     * number. */
    void (*tick)(struct store *s, unsigned worker, uint64_t now_ms);
    bool (*is_ready)(struct store *s);
    /* For how long it has owed an answer to this worker, in ms. */
    uint32_t (*lag_ms)(struct store *s);
    /* Is nothing on its way any more that others should still see? */
    bool (*is_idle)(struct store *s);
    /* The node is about to end: tells the others. */
    void (*leave)(struct store *s);
    void (*close)(struct store *s);
};

/* ---- Who is told of changes ---------------------------------------------------------------- */

enum store_change {
    STORE_ADDED,
    STORE_RENEWED,
    STORE_REMOVED,     /* by its client */
    STORE_EVICTED,     /* for another one (registrar.overflow) */
    STORE_EXPIRED,     /* its grant and grace are over */
    STORE_FLOW_CLOSED, /* it went with its connection; or stays, if it is_flow_dead now */
    STORE_REMOVED_BY_ADMIN,
    STORE_REPLACED_ELSEWHERE, /* another worker or node has it now, or has removed it, and told */
    STORE_CHANGES
};

/* Hears of each binding that changes, once, as soon as the change is true: of a request, before its
 * `done` runs; of what one request did, first what went and then what came, in its order. A refused
 * or failed request changes nothing. While a shared store is away: a removal that was put off is
 * told when it is noted. What a dead node leaves behind, nobody is told of. */
struct store_watcher {
    /* On the thread of the worker whose store it is, perhaps under a lock: it takes note, and
     * neither waits nor calls the store. `binding` is as it is now, or was; `by` is the one for
     * which it was evicted, else NULL; valid during the call. */
    void (*changed)(void *arg, enum store_change change, struct str aor,
                    const struct binding *binding, const struct binding *by);
    void *arg;
    struct store_watcher *next; /* the store's */
};

struct store {
    const struct store_ops *ops;
    struct store_watcher *watchers; /* NULL: nothing is told */
};

/* From now on `watcher`, which is borrowed, is told, after those that are there. On the thread that
 * calls the store, or before there is any. */
void store_watch(struct store *s, struct store_watcher *watcher);

/* In this process's memory. `workers` (at least 1) share the ticking. Returns NULL when out of
 * memory; free with store_close(). `grace_ms` is how long a binding outlives its grant. */
struct store *store_memory_open(unsigned workers, uint32_t grace_ms);
/* The bindings of such a store once more, with watchers of its own, for one worker. NULL when out
 * of memory; store_close() it before `memory`. */
struct store *store_memory_view(struct store *memory);
static inline void store_close(struct store *s)
{
    if (s)
        s->ops->close(s);
}
#endif
