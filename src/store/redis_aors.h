/* redis_aors.h - what one worker remembers of the AORs in Redis: all bindings of those of which it
 * holds some itself, which revision that was, and what is still to be said to Redis. One thread. */
#ifndef AORTA_REDIS_AORS_H
#define AORTA_REDIS_AORS_H
#include "aor_table.h"
#include "binding_record.h"
#include <stdatomic.h>

struct redis_apply; /* redis_apply.c: a request on its way */

/* What is to go from Redis as soon as that is possible; see redis_patch.lua. */
enum redis_removal_kind {
    REDIS_REMOVE_ID,   /* one binding, as old as `upto_ms` */
    REDIS_REMOVE_ALL,  /* all that are as old as that */
    REDIS_REMOVE_FLOW, /* those of connection `conn` */
    REDIS_REMOVE_UNDO, /* one binding, if this node has written it, refreshed just at `upto_ms` */
};
struct redis_removal {
    struct redis_removal *next;
    enum redis_removal_kind kind;
    uint64_t id;
    conn_id conn;
    uint64_t upto_ms;
    bool is_wanted; /* by a client: other nodes, which may hold them, have to be told */
};
enum { REDIS_REMOVALS_MAX = 64 }; /* of one AOR; the oldest are forgotten first */

struct redis_aor {
    struct redis_aor *next_waiting, **waiting_link; /* has something to send, and it could not go */
    struct redis_apply *first_apply, **end_apply;   /* requests that wait for their turn */
    struct redis_removal *removals;                 /* the oldest first */
    uint64_t revision;                              /* 0: there is no key */
    _Atomic int64_t *realm_count; /* of its domain, in this worker; NULL: not looked up yet */
    bool is_known;                /* the revision, and with it the bindings that others hold */
    bool is_busy;                 /* a command about this AOR is under way */
    bool is_held;                 /* somebody is just dealing with it: not to be forgotten */
    bool is_dirty;                /* own bindings are to be written again */
    struct aor aor;               /* the last: its name follows */
};

struct redis_aors {
    struct aor_table table;
    struct timer_wheel wheel; /* one timer for each binding */
    uint64_t grace_ms;
    struct redis_aor *waiting, **waiting_end;
};

/* NULL when out of memory. */
struct redis_aors *redis_aors_new(uint64_t grace_ms);
void redis_aors_free(struct redis_aors *t);

static inline struct redis_aor *redis_aor_of(struct aor *aor)
{
    return (struct redis_aor *)((char *)aor - offsetof(struct redis_aor, aor));
}
static inline struct str redis_aor_name(const struct redis_aor *a)
{
    return (struct str){a->aor.name, a->aor.name_len};
}
/* NULL when nothing is remembered of it. */
struct redis_aor *redis_aors_find(const struct redis_aors *t, struct str name);
/* Finds or makes it; NULL when out of memory. */
struct redis_aor *redis_aors_take(struct redis_aors *t, struct str name);
/* Forgets it, unless it still holds own bindings, waits for something or is busy. */
void redis_aors_release(struct redis_aors *t, struct redis_aor *a);
/* The first AOR whose hash is not below `hash`; NULL after the last. */
struct redis_aor *redis_aors_from(const struct redis_aors *t, uint64_t hash);

/* The name of a binding in Redis: the same for every node, so that a device that moves from one to
 * the other renews its binding there. */
uint64_t redis_binding_id(const struct binding *b);
uint64_t redis_record_id(const struct binding_record *r);

/* Puts `list` (linked by next, newest first) in front; takes the records. */
void redis_aor_add_records(struct redis_aors *t, struct redis_aor *a, struct binding_record *list);
/* Unlinks and frees. */
void redis_aor_drop_record(struct redis_aor *a, struct binding_record *r);
struct binding_record *redis_aor_find_record(const struct redis_aor *a, uint64_t id);
bool redis_aor_has_own(const struct redis_aor *a);

/* Notes a removal, once for each target. -ENOMEM or -ENOSPC when it cannot; then the binding stays
 * in Redis until it expires. */
int redis_aor_add_removal(struct redis_aor *a, const struct redis_removal *removal);
/* Forgets the first `count` removals. */
void redis_aor_drop_removals(struct redis_aor *a, size_t count);

/* The queue of those that have something to send. Nothing happens to one that is in it already. */
void redis_aors_wait(struct redis_aors *t, struct redis_aor *a);
struct redis_aor *redis_aors_next_waiting(struct redis_aors *t); /* takes it out; NULL: none */
#endif
