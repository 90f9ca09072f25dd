/* A REGISTER against Redis: decided here on what is remembered of the AOR, stored there if that is
 * still how it stands (redis_save.lua), else decided anew on what stands there. So the usual
 * refresh and the first binding of an AOR take one round trip. Requests about one AOR go one after
 * the other within a worker; those of other workers and nodes meet at the revision. */
#include "redis_save.h"
#include <errno.h>
#include <stdlib.h>

enum {
    MOST_ATTEMPTS = 64,   /* others were quicker so often: 503 */
    MOST_WAITING = 20000, /* requests of one worker at a time */
};

static void free_fresh(struct redis_apply *op)
{
    while (op->fresh) {
        struct binding_record *next = op->fresh->next;
        free(op->fresh);
        op->fresh = next;
    }
}

/* ---- The end of a request ------------------------------------------------------------------ */

/* The last thing that happens to a request. `op` is in the caller's arena. */
static void finish(struct redis_apply *op, const struct store_outcome *outcome)
{
    free_fresh(op);
    op->r->applies_in_flight--;
    op->done(op->arg, outcome);
}

static void finish_with_error(struct redis_apply *op, int error)
{
    finish(op, &(struct store_outcome){.error = error});
}

static void finish_with_verdict(struct redis_apply *op, enum binding_verdict verdict)
{
    finish(op, &(struct store_outcome){.verdict = verdict,
                                       .min_expires_s = op->decision.min_expires_s});
}

/* Those of the request first, then the others, newest first; before the decision is carried out. */
static int list_outcome(const struct redis_apply *op, struct store_outcome *outcome)
{
    const struct binding_decision *d = &op->decision;
    struct binding *list = arena_alloc(op->arena, (op->count + d->add_count) * sizeof *list);
    if (!list)
        return -ENOMEM;
    size_t n = 0;
    for (; n < d->add_count; n++)
        list[n] = d->add[n];
    for (size_t k = 0; k < op->count; k++)
        if (!d->drop[k])
            list[n++] = op->current[k];
    *outcome = (struct store_outcome){.verdict = BINDING_OK,
                                      .bindings = list,
                                      .count = n,
                                      .own_count = d->add_count};
    return 0;
}

/* ---- What is remembered -------------------------------------------------------------------- */

/* Who else holds a binding has to hear that it is gone, or has come here. */
static void tell_holders(struct redis_apply *op)
{
    for (size_t k = 0; k < op->count; k++)
        if (op->decision.drop[k] && !op->is_own[k])
            redis_gone_tell(op->r, op->request->aor, op->ids[k], op->current[k].refreshed_ms);
}

static void drop_ids(struct redis_apply *op)
{
    for (size_t k = 0; k < op->count; k++) {
        if (!op->decision.drop[k])
            continue;
        struct binding_record *r = redis_aor_find_record(op->a, op->ids[k]);
        op->is_gone[k] = op->is_own[k] && !r;
        if (r)
            redis_forget_record(op->r, op->a, r);
    }
}

/* After what went was dropped; the decision is about copies. */
static void tell_change(const struct redis_apply *op)
{
    if (op->decision.is_change && store_is_watched(&op->r->base))
        store_tell_decision(&op->r->base, op->request->aor, op->current, op->count, &op->decision,
                            op->is_gone);
}

/* A contact that comes back after its time has expired first; and who removes one that has just
 * expired is not told that it is gone while it waits for its timer. */
static void expire_past(struct redis_apply *op)
{
    struct redis_aor *a = op->a;
    for (struct binding_record *r = a->aor.first, *next; r; r = next) {
        next = r->next;
        if (r->expires_ms + op->r->aors->grace_ms <= op->request->now_ms)
            redis_expire_record(op->r, a, r);
    }
}

/* The decision becomes what is remembered here. */
static void commit(struct redis_apply *op)
{
    expire_past(op);
    drop_ids(op);
    tell_change(op);
    redis_remember_records(op->r, op->a, op->fresh);
    op->fresh = NULL;
}

static int make_fresh(struct redis_apply *op)
{
    free_fresh(op);
    struct binding_record **end = &op->fresh;
    for (size_t i = 0; i < op->decision.add_count; i++) {
        *end = binding_record_new(&op->decision.add[i]);
        if (!*end)
            return -ENOMEM;
        (*end)->is_own = true;
        end = &(*end)->next;
    }
    return 0;
}

/* Copies of the bindings of the AOR as they are remembered: connections may close, and bindings
 * expire, while the request is on its way. */
static int load_remembered(struct redis_apply *op)
{
    size_t most = 0;
    struct binding_record *first = op->a ? op->a->aor.first : NULL;
    for (const struct binding_record *r = first; r; r = r->next)
        most++;
    op->current = arena_alloc(op->arena, most * sizeof *op->current);
    op->ids = arena_alloc(op->arena, most * sizeof *op->ids);
    op->is_own = arena_zalloc(op->arena, 3 * most * sizeof *op->is_own);
    if (!op->current || !op->ids || !op->is_own)
        return -ENOMEM;
    op->is_gone = op->is_own + most;
    op->is_deleted = op->is_gone + most;
    op->count = 0;
    for (const struct binding_record *r = first; r; r = r->next) {
        struct binding b;
        if (r->expires_ms + op->r->aors->grace_ms <= op->request->now_ms)
            continue;
        if (binding_record_copy(r, op->arena, &b) < 0)
            return -ENOMEM;
        op->current[op->count] = b;
        op->ids[op->count] = redis_binding_id(&b);
        op->is_own[op->count++] = r->is_own;
    }
    return 0;
}

/* What another node holds is nothing that this one can vouch for. */
static struct binding_record *remember_foreign(const struct binding *found)
{
    struct binding b = *found;
    b.conn = 0;
    b.authenticated_ms = 0;
    return binding_record_new(&b);
}

/* Refreshed here while Redis was away, or lost by it: it is about to be written again. */
static bool is_unwritten(const struct redis_apply *op, const struct binding_record *r,
                         const struct redis_content *content)
{
    bool is_found = false;
    for (size_t i = 0; i < content->count; i++)
        is_found |= content->ids[i] == redis_record_id(r);
    return r->is_own && !is_found && (op->a->is_dirty || redis_must_write(op->r, op->a));
}

static bool is_kept(const struct binding_record *r, const struct binding_record *keep)
{
    uint64_t id = redis_record_id(r);
    while (keep && (!keep->is_own || redis_record_id(keep) != id))
        keep = keep->next;
    return r->is_own && keep;
}

/* Makes what stands in Redis what is remembered: own bindings stay if they stand there as they are
 * here, or older, having been refreshed here meanwhile. */
static int remember_content(struct redis_apply *op, const struct redis_content *content)
{
    struct redis_aor *a = op->a;
    struct binding_record *keep = NULL, **end = &keep;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < content->count; i++) {
        const struct binding *found = &content->bindings[i];
        struct binding_record *own = redis_aor_find_record(a, content->ids[i]);
        bool stays = own && own->is_own && own->refreshed_ms >= found->refreshed_ms;
        struct binding view = stays ? binding_record_view(own) : (struct binding){0};
        struct binding_record *r = stays ? binding_record_new(&view) : remember_foreign(found);
        if (!r) {
            rc = -ENOMEM;
            break;
        }
        r->is_own = stays;
        *end = r;
        end = &r->next;
    }
    for (struct binding_record *r = a->aor.first, *next; r; r = next) {
        next = r->next;
        if (is_unwritten(op, r, content))
            continue;
        if (is_kept(r, keep))
            redis_forget_record(op->r, a, r); /* for its copy */
        else
            redis_take_out(op->r, a, r, STORE_REPLACED_ELSEWHERE);
    }
    redis_remember_records(op->r, a, keep);
    a->is_known = rc == 0;
    op->stale = content->stale;
    op->stale_count = content->stale_count;
    return rc;
}

/* ---- While Redis is away ------------------------------------------------------------------- */

static bool renews_own_only(const struct redis_apply *op)
{
    if (!op->decision.is_refresh) /* then all continue something */
        return false;
    for (size_t i = 0; i < op->decision.add_count; i++)
        if (!op->is_own[op->decision.replaces[i]])
            return false;
    return true;
}

static bool is_removal(const struct redis_apply *op)
{
    const struct sip_request *sip = op->request->sip;
    return op->decision.verdict == BINDING_OK && op->decision.add_count == 0 &&
           (sip->contact_is_wildcard || sip->contact_count > 0);
}

static void note_wanted(struct redis_apply *op, enum redis_removal_kind kind, uint64_t id)
{
    struct redis_removal removal = {.kind = kind,
                                    .id = id,
                                    .upto_ms = op->request->now_ms,
                                    .is_wanted = true};
    (void)redis_aor_add_removal(op->a, &removal);
    redis_gone_tell_removal(op->r, op->request->aor, &removal);
}

/* To be carried out on what Redis holds, or is given again, by the time that it is there. */
static void note_removals(struct redis_apply *op)
{
    const struct sip_request *sip = op->request->sip;
    if (sip->contact_is_wildcard)
        note_wanted(op, REDIS_REMOVE_ALL, 0);
    for (size_t i = 0; i < sip->contact_count; i++) {
        const struct sip_contact *contact = &sip->contacts[i];
        struct binding b = {.contact = contact->uri.text,
                            .instance = contact->instance,
                            .reg_id = contact->reg_id,
                            .is_outbound = sip->supports_outbound && contact->reg_id != 0};
        note_wanted(op, REDIS_REMOVE_ID, redis_binding_id(&b));
    }
    for (size_t k = 0; k < op->count; k++) /* equal URIs that are written differently */
        if (op->decision.drop[k])
            note_wanted(op, REDIS_REMOVE_ID, op->ids[k]);
}

/* Redis has carried it out, and may lose that. While others may still be about to write what they
 * hold, it is told at once, and so are they. */
static void note_told(struct redis_apply *op)
{
    bool is_repairing = redis_is_repairing(op->r);
    for (size_t k = 0; k < op->count; k++) {
        bool is_taken = op->decision.drop[k] && !op->is_own[k]; /* over from another node */
        if (!op->is_deleted[k] && !is_taken)
            continue;
        const struct redis_removal removal = {.kind = REDIS_REMOVE_ID,
                                              .id = op->ids[k],
                                              .upto_ms = op->current[k].refreshed_ms,
                                              .is_wanted = !op->is_own[k]};
        redis_told_note(op->r, op->request->aor, &removal);
        if (is_repairing)
            (void)redis_aor_add_removal(op->a, &removal);
    }
    if (is_repairing && is_removal(op))
        note_removals(op);
}

/* The command may have been carried out all the same: what it added and nobody was told of goes
 * again, and what it replaced here is written again. */
static void undo_when_back(struct redis_apply *op)
{
    for (const struct binding_record *r = op->fresh; r; r = r->next) {
        const struct redis_removal removal = {.kind = REDIS_REMOVE_UNDO,
                                              .id = redis_record_id(r),
                                              .upto_ms = r->refreshed_ms};
        (void)redis_aor_add_removal(op->a, &removal);
    }
    op->a->is_dirty = true;
    op->a->is_known = false;
    redis_aors_wait(op->r->aors, op->a);
}

static void finish_away(struct redis_apply *op, bool was_sent)
{
    struct store_outcome outcome;
    if (op->decision.verdict == BINDING_OK && renews_own_only(op) &&
        (op->fresh || make_fresh(op) == 0) && list_outcome(op, &outcome) == 0) {
        commit(op);
        op->a->is_dirty = true;
        op->a->is_known &= !was_sent;
        redis_aors_wait(op->r->aors, op->a);
        finish(op, &outcome);
        return;
    }
    if (is_removal(op)) {
        note_removals(op);
        drop_ids(op);
        tell_change(op);
        redis_aors_wait(op->r->aors, op->a);
    } else if (was_sent && op->fresh)
        undo_when_back(op);
    finish_with_error(op, -EAGAIN);
}

/* ---- To Redis and back --------------------------------------------------------------------- */

static void decide_and_send(struct redis_apply *op);

static void on_stored(struct redis_apply *op)
{
    struct store_outcome outcome;
    int rc = list_outcome(op, &outcome);
    tell_holders(op);
    commit(op);
    note_told(op);
    if (op->decision.is_change || op->stale_count > 0)
        op->a->revision = redis_save_end(op) > 0 ? op->next_revision : 0;
    if (op->decision.verdict != BINDING_OK) /* only asked whether the decision still holds */
        finish_with_verdict(op, op->decision.verdict);
    else if (rc < 0)
        finish_with_error(op, rc); /* stored it is; the client will ask again */
    else
        finish(op, &outcome);
}

/* Redis holds something else: on with that. An AOR that is not there at all while this node's lease
 * is gone too was lost with everything else: then what is held here stands. */
static void on_other_revision(struct redis_apply *op, const struct redis_reply *reply)
{
    bool has_lease = redis_reply_integer(redis_reply_item(reply, 0)) != 0;
    bool is_lost = !has_lease && redis_aor_has_own(op->a);
    op->a->is_dirty |= is_lost;
    if (is_lost && !redis_is_repairing(op->r)) /* else it was reported just now */
        redis_report_loss(op->r, "the lease of this node is gone");
    redis_heed_losses(op->r);
    bool is_there = redis_reply_count(reply) > 2 &&
                    redis_reply_type(redis_reply_item(reply, 2)) != REDIS_TYPE_NIL;
    struct redis_content content;
    int rc = 0;
    if (!is_there && is_lost) {
        op->a->revision = 0;
        op->a->is_known = true;
    } else {
        rc = redis_read_content(op->r, reply, 2, op->request->now_ms, op->arena, &content);
        if (rc == 0)
            rc = remember_content(op, &content);
        op->a->revision = redis_read_revision(redis_reply_text(redis_reply_item(reply, 1)));
    }
    if (rc < 0)
        finish_with_error(op, rc);
    else if (++op->attempts >= MOST_ATTEMPTS)
        finish_with_error(op, -EAGAIN);
    else
        decide_and_send(op);
}

static void on_refused(struct redis_apply *op, struct str why)
{
    redis_report_trouble(op->r, "save", why);
    if (memmem(why.ptr, why.len, "WRONGTYPE", strlen("WRONGTYPE")))
        finish_with_error(op, -EAGAIN); /* somebody else's key: no reason to go without Redis */
    else
        finish_away(op, false);
}

static void on_replied(void *arg, const struct redis_reply *reply)
{
    struct redis_apply *op = arg;
    struct redis_store *r = op->r;
    struct redis_aor *a = op->a;
    a->is_busy = false;
    a->is_held = true;
    if (!reply)
        finish_away(op, true);
    else if (redis_reply_type(reply) == REDIS_TYPE_ARRAY && redis_reply_count(reply) >= 2)
        on_other_revision(op, reply);
    else if (redis_reply_type(reply) != REDIS_TYPE_INTEGER)
        on_refused(op, redis_reply_text(reply));
    else if (redis_reply_integer(reply) == 0)
        finish_with_verdict(op, BINDING_REALM_FULL);
    else
        on_stored(op);
    a->is_held = false;
    redis_apply_next(r, a);
}

/* ---- Decisions ----------------------------------------------------------------------------- */

/* Refusals that stand whatever other nodes may have stored. */
static bool is_final(const struct redis_apply *op)
{
    switch (op->decision.verdict) {
    case BINDING_OUT_OF_ORDER:
    case BINDING_TOO_MANY:
        return false;
    case BINDING_OK:
        return false;
    default:
        return true;
    }
}

static int decide(struct redis_apply *op)
{
    int rc = load_remembered(op);
    if (rc == 0)
        rc = binding_rules_decide(op->current, op->count, op->request, op->arena, &op->decision);
    return rc;
}

static void decide_and_send(struct redis_apply *op)
{
    int rc = op->is_decided ? 0 : decide(op);
    op->is_decided = false; /* it may come again, when Redis holds something else */
    if (rc == 0 && is_final(op)) {
        finish_with_verdict(op, op->decision.verdict);
        return;
    }
    if (rc == 0)
        rc = make_fresh(op);
    if (rc == 0)
        rc = redis_client_is_up(op->r->client) ? redis_save_send(op, on_replied) : -ENOTCONN;
    if (rc == 0)
        op->a->is_busy = true;
    else if (rc == -ENOMEM)
        finish_with_error(op, rc);
    else
        finish_away(op, false);
}

/* ---- Entry --------------------------------------------------------------------------------- */

void redis_apply_next(struct redis_store *r, struct redis_aor *a)
{
    redis_patch_aor(r, a);
    while (!a->is_busy && a->first_apply) {
        struct redis_apply *op = a->first_apply;
        a->first_apply = op->next;
        if (!a->first_apply)
            a->end_apply = &a->first_apply;
        a->is_held = true; /* whoever is told now may come back here */
        decide_and_send(op);
        a->is_held = false;
    }
    redis_aors_release(r->aors, a);
}

/* A stranger gets no work done but what needs no asking. What is decided then stands, if its turn
 * comes at once. */
static bool refuse_stranger(struct redis_apply *op)
{
    if (op->request->authenticated_ms != 0)
        return false;
    op->a = redis_aors_find(op->r->aors, op->request->aor);
    int rc = decide(op);
    op->is_decided = rc == 0 && op->decision.verdict == BINDING_OK;
    if (op->is_decided)
        return false;
    if (rc < 0)
        finish_with_error(op, rc);
    else
        finish_with_verdict(op, op->decision.verdict);
    return true;
}

/* Nothing comes before the next request about it. */
static bool is_quiet(const struct redis_aor *a)
{
    return !a->is_busy && !a->is_held && !a->first_apply && !a->is_dirty && !a->removals;
}

void redis_apply(struct store *s, const struct binding_request *request, struct arena *arena,
                 store_applied_fn *done, void *arg)
{
    struct redis_store *r = redis_store(s);
    struct redis_apply *op = arena_zalloc(arena, sizeof *op);
    redis_hear_time(r, request->now_ms);
    redis_gone_heed(r);
    if (!op || r->applies_in_flight >= MOST_WAITING) {
        done(arg, &(struct store_outcome){.error = op ? -EAGAIN : -ENOMEM});
        return;
    }
    *op =
        (struct redis_apply){.r = r, .request = request, .arena = arena, .done = done, .arg = arg};
    r->applies_in_flight++;
    if (refuse_stranger(op))
        return;
    op->a = redis_aors_take(r->aors, request->aor);
    if (!op->a) {
        finish_with_error(op, -ENOMEM);
        return;
    }
    op->is_decided &= is_quiet(op->a);
    *op->a->end_apply = op;
    op->a->end_apply = &op->next;
    if (!op->a->is_busy && !op->a->is_held)
        redis_apply_next(r, op->a);
}
