/* store_redis_internal.h - the Redis store as its files share it. One struct redis_store a worker:
 * its connection, and the AORs of which it holds bindings (redis_aors.h). What the workers share is
 * in struct redis_cluster. Redis holds the truth; what is remembered here saves asking, answers
 * refreshes while Redis is away, and is written again when Redis has lost it. */
#ifndef AORTA_STORE_REDIS_INTERNAL_H
#define AORTA_STORE_REDIS_INTERNAL_H
#include "realm_counts.h"
#include "redis_aors.h"
#include "store_watch.h"
#include <aorta/bans.h>
#include <aorta/ratelimit.h>
#include <aorta/redis_client.h>
#include <aorta/store_redis.h>
#include <stdatomic.h>

enum { REDIS_EPOCH_TEXT = 16 };

/* Counters of one worker; only it writes them. */
struct redis_counts {
    _Alignas(64) _Atomic uint64_t bindings[TRANSPORT_KINDS];
    _Atomic uint64_t aors, expired_total;
};

struct redis_cluster {
    const struct config *config; /* of the start: its redis.* and node do not change */
    unsigned workers;
    struct bans *bans; /* NULL: not shared */
    char *sbc_address;
    char epoch[REDIS_EPOCH_TEXT + 1]; /* of this process, in hex */
    char *lease_prefix, *lease_key, *nodes_key, *flows_prefix, *flows_key, *realm_prefix;
    char *revision_prefix, *removed_prefix;
    char *member;        /* "epoch node" */
    char *close_removes; /* names of transports: " ws wss " */
    char *bans_key, *bans_version_key;
    char *events_channel;
    struct redis_script save, patch, lease, publish;
    char *save_text, *patch_text;
    struct redis_counts *counts;  /* one a worker */
    struct realm_counts **realms; /* likewise: own bindings by domain */
    _Atomic unsigned workers_up;  /* whose connection is up */
    _Atomic bool has_lease;       /* renewed, and so Redis takes what is written */
    char *gone_prefix, *gone_key;
    _Atomic(struct redis_gone *) *gone; /* for each worker: what it holds no more */
    _Atomic uint64_t losses;            /* rises when Redis is found to have lost what it had */
};

struct redis_gone; /* redis_gone.c: what others have removed */
struct redis_told; /* redis_told.c: what Redis was told to remove lately, the oldest first */
struct redis_told_list {
    struct redis_told *first, **end;
    size_t count;
};
struct redis_node; /* redis_node.c: lease, death of others, bans; worker 0 only */

struct redis_store {
    struct store base;
    struct redis_cluster *cluster;
    unsigned worker;
    struct redis_client *client;
    struct redis_aors *aors;
    struct redis_node *node; /* NULL but in worker 0 */
    char run_id[48];         /* of the server that was up last */
    bool is_new_server;      /* another one than before is up: all is written again anyway */
    uint64_t now_ms;         /* latest heard of */
    uint64_t losses_seen;
    bool is_write_all;       /* everything held here is being written again, */
    uint64_t write_from;     /* from this hash on */
    uint64_t repaired_ms;    /* by when all workers and nodes will have written theirs again */
    uint64_t pause_until_ms; /* Redis refused a patch: the next ones wait */
    struct ratelimit write_rate;
    struct redis_told_list told;
    unsigned patches_in_flight;
    unsigned applies_in_flight; /* sent or waiting for their turn */
    struct ratelimit trouble_log;
    store_unpublished_fn *unpublished; /* NULL: nobody asks */
    void *unpublished_arg;
    uint64_t drawn[64]; /* random numbers for revisions, of which these */
    unsigned drawn_left;
};

static inline struct redis_store *redis_store(struct store *s)
{
    return (struct redis_store *)s; /* `base` comes first */
}
static inline bool redis_is_jambonz(const struct redis_store *r)
{
    return r->cluster->config->redis_layout == REDIS_LAYOUT_JAMBONZ;
}
static inline struct redis_counts *redis_counts(const struct redis_store *r)
{
    return &r->cluster->counts[r->worker];
}

/* ---- store_redis.c ------------------------------------------------------------------------- */

/* Times come with the requests; the latest counts for what brings none. */
void redis_hear_time(struct redis_store *r, uint64_t now_ms);
/* Records in and out of what is remembered, counted if they are own. */
void redis_remember_records(struct redis_store *r, struct redis_aor *a,
                            struct binding_record *list);
void redis_forget_record(struct redis_store *r, struct redis_aor *a, struct binding_record *record);
/* Forgets it, and tells if it was own: what is past its time has expired, whatever takes it out. */
void redis_take_out(struct redis_store *r, struct redis_aor *a, struct binding_record *record,
                    enum store_change change);
/* Takes out what is past its time, in Redis too: the key goes by itself with its last binding, but
 * not if another node has given it a longer life. redis_patch_aor() or redis_aors_wait() follows.
 */
void redis_expire_record(struct redis_store *r, struct redis_aor *a, struct binding_record *record);
/* Redis was found to have lost everything: whoever holds bindings writes them again. */
void redis_report_loss(struct redis_store *r, const char *how);
/* Begins to write everything again if somebody has reported a loss. */
void redis_heed_losses(struct redis_store *r);
/* Redis has lost everything, and this AOR's turn to be written again is still to come. */
static inline bool redis_must_write(const struct redis_store *r, const struct redis_aor *a)
{
    return r->is_write_all && a->aor.hash >= r->write_from;
}
/* Redis has lost something lately, which others may only now write again. */
static inline bool redis_is_repairing(const struct redis_store *r)
{
    return r->is_write_all || r->now_ms < r->repaired_ms;
}
/* A command was refused: logs it, at a bounded rate. */
void redis_report_trouble(struct redis_store *r, const char *what, struct str why);

/* ---- redis_patch.c ------------------------------------------------------------------------- */

/* Sends what waits at this AOR to be removed or written again, if anything and if it can go now. */
void redis_patch_aor(struct redis_store *r, struct redis_aor *a);
/* Goes on with the AORs that have something to send, at the permitted rate. */
void redis_patch_pump(struct redis_store *r);
/* Removes whatever bindings the connections of a dead node left at `aor`. */
int redis_patch_dead(struct redis_store *r, struct str aor, struct str node, struct str epoch,
                     redis_replied_fn *done, void *arg);
/* Removes all bindings of `aor` that were refreshed until now. The reply is an array: how many
 * there were, and then what they were, as redis_read_content() reads it. */
int redis_patch_remove_all(struct redis_store *r, struct str aor, redis_replied_fn *done,
                           void *arg);

/* ---- redis_apply.c, redis_listing.c -------------------------------------------------------- */

void redis_apply(struct store *s, const struct binding_request *request, struct arena *arena,
                 store_applied_fn *done, void *arg);
/* The request at the head of the AOR's queue, when nothing of this AOR is under way. */
void redis_apply_next(struct redis_store *r, struct redis_aor *a);
void redis_find(struct store *s, struct str aor, struct arena *arena, store_found_fn *done,
                void *arg);
void redis_list(struct store *s, uint64_t cursor, size_t limit, struct arena *arena,
                store_listed_fn *done, void *arg);
void redis_remove(struct store *s, struct str aor, struct arena *arena, store_found_fn *done,
                  void *arg);

/* ---- redis_gone.c -------------------------------------------------------------------------- */

/* The other workers hear that a binding is no more as it was at `upto_ms`. Other nodes hear of it
 * by redis_save.lua. */
void redis_gone_tell(struct redis_store *r, struct str aor, uint64_t id, uint64_t upto_ms);
/* Likewise of a removal that Redis does not know of yet; other nodes by redis_patch.lua. */
void redis_gone_tell_removal(struct redis_store *r, struct str aor,
                             const struct redis_removal *removal);
/* What another node wrote. Worker 0. */
void redis_gone_hear(struct redis_store *r, struct str text);
/* Forgets what this worker was told of; each tick, and before each request. */
void redis_gone_heed(struct redis_store *r);
void redis_gone_free_notes(struct redis_gone *note);

/* ---- redis_told.c -------------------------------------------------------------------------- */

void redis_told_init(struct redis_told_list *list);
void redis_told_fini(struct redis_told_list *list);
/* Redis was told `removal`, which is copied. */
void redis_told_note(struct redis_store *r, struct str aor, const struct redis_removal *removal);
/* Redis may have lost it: what was noted lately waits at its AOR to be told again. */
void redis_told_repeat(struct redis_store *r);
/* Forgets what is old; each tick. */
void redis_told_tick(struct redis_store *r);

/* ---- redis_content.c: what stands in Redis, written and read ------------------------------- */

/* "user:alice@example.com", in `arena`; .ptr NULL when out of memory. */
struct str redis_aor_key(const struct redis_store *r, struct str aor, struct arena *arena);
struct str redis_realm_key(const struct redis_store *r, struct str aor, struct arena *arena);
struct str redis_revision_key(const struct redis_store *r, struct str aor, struct arena *arena);
struct str redis_removed_key(const struct redis_store *r, struct str aor, struct arena *arena);
/* "00000000deadbeef" to a number; 0 for anything else. */
uint64_t redis_read_revision(struct str text);
/* The JSON of a binding of this node. */
void redis_put_binding(const struct redis_store *r, struct buf *b, const struct binding *binding);
/* Reads what a key holds: items from `first` on of `reply`, which is HGETALL's, or one GET's.
 * Bindings past their end by `now_ms` and what is no binding are left out, but the ids of the
 * former go to `stale`. All in the arena. 0, -ENOMEM. */
struct redis_content {
    struct binding *bindings;
    size_t count;
    uint64_t *ids; /* of each */
    uint64_t *stale;
    size_t stale_count;
};
int redis_read_content(const struct redis_store *r, const struct redis_reply *reply, size_t first,
                       uint64_t now_ms, struct arena *arena, struct redis_content *out);

/* ---- redis_node.c -------------------------------------------------------------------------- */

struct redis_node *redis_node_new(struct redis_store *r);
void redis_node_free(struct redis_node *n);
void redis_node_on_up(struct redis_node *n);
void redis_node_on_down(struct redis_node *n);
/* About every 100 ms. */
void redis_node_tick(struct redis_node *n, uint64_t now_ms);
/* Gives the lease back, as the last thing. */
void redis_node_leave(struct redis_node *n);
#endif
