/* redis_save.h - one REGISTER on its way to Redis, and the command that stores what was decided
 * (redis_save.lua). */
#ifndef AORTA_REDIS_SAVE_H
#define AORTA_REDIS_SAVE_H
#include "store_redis_internal.h"

struct redis_apply {
    struct redis_apply *next;
    struct redis_store *r;
    struct redis_aor *a;
    const struct binding_request *request;
    struct arena *arena;
    store_applied_fn *done;
    void *arg;
    unsigned attempts;
    /* What the decision was made on, and the decision. Arrays in the arena. */
    struct binding *current;
    uint64_t *ids;
    bool *is_own;
    bool *is_deleted; /* in Redis, by the command */
    bool *
        is_gone; /* when the answer came: it had closed or expired meanwhile, which was told then */
    size_t count;
    uint64_t *stale; /* ids of bindings that stand in Redis past their end */
    size_t stale_count;
    struct binding_decision decision;
    bool is_decided;              /* on what is remembered now */
    struct binding_record *fresh; /* what `decision.add` becomes here, in its order */
    uint64_t next_revision;
};

/* When the AOR ends once the decision is carried out; 0: nothing is left of it. */
uint64_t redis_save_end(const struct redis_apply *op);
/* Draws op->next_revision and sends, and sets op->is_deleted; with a decision that changes nothing
 * it only asks whether the revision still holds. As redis_client_eval(); `done` gets the op. */
int redis_save_send(struct redis_apply *op, redis_replied_fn *done);
#endif
