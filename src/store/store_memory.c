#include "aor_table.h"
#include "binding_record.h"
#include "realm_counts.h"
#include "store_watch.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum { SHARDS = 1 << AOR_SHARD_BITS, TICK_MS = 1000, CACHE_LINE = 64 };

/* A part of all AORs, chosen by hash. Everything in it is looked at under its lock only, which is
 * held for one AOR's business (or one tick's) and never while somebody else's code runs. */
struct shard {
    _Alignas(CACHE_LINE) pthread_mutex_t lock;
    struct aor_table aors;
    struct timer_wheel wheel; /* one timer for each binding */
    uint64_t now_ms;          /* latest time heard of, for calls that bring none */
    uint64_t bindings[TRANSPORT_KINDS];
    uint64_t expired_total;
};

/* A worker's way in. */
struct memory_view {
    struct store base;
    struct memory_store *memory;
};

struct memory_store {
    struct memory_view own; /* of who opened it */
    unsigned workers;
    uint64_t grace_ms;
    struct realm_counts *realms;
    struct shard shard[SHARDS];
};

static struct memory_store *memory_store(struct store *s)
{
    return ((struct memory_view *)s)->memory; /* `base` comes first */
}

static struct shard *lock_shard_of(struct memory_store *m, uint64_t hash)
{
    struct shard *shard = &m->shard[hash >> (64 - AOR_SHARD_BITS)];
    pthread_mutex_lock(&shard->lock);
    return shard;
}

static void unlock(struct shard *shard)
{
    pthread_mutex_unlock(&shard->lock);
}

/* Times come from several threads, which may overtake each other. */
static void hear_time(struct shard *shard, uint64_t now_ms)
{
    if (now_ms > shard->now_ms)
        shard->now_ms = now_ms;
}

static uint64_t ends_ms(const struct memory_store *m, const struct binding_record *r)
{
    return r->expires_ms + m->grace_ms;
}

/* ---- Records in and out of a shard --------------------------------------------------------- */

/* Its domain has one less, but for one that a request replaces: apply() counts the difference. */
static void uncount(struct memory_store *m, const struct aor *aor)
{
    _Atomic int64_t *count = realm_counts_of(m->realms, (struct str){aor->name, aor->name_len});
    if (count) /* it was there when the binding came */
        realm_count_change(count, -1, 0);
}

static void unlink_record(struct shard *shard, struct binding_record *r)
{
    struct binding_record **link = &r->aor->first;
    while (*link != r)
        link = &(*link)->next;
    *link = r->next;
    timer_stop(&r->expiry);
    shard->bindings[r->protocol]--;
}

static void remove_if_empty(struct shard *shard, struct aor *aor)
{
    if (aor->first)
        return;
    aor_table_remove(&shard->aors, aor);
    free(aor);
}

/* Whatever takes it out: what is past its time has expired. The AOR stays, empty or not. */
static void take_out(struct store *s, struct shard *shard, struct binding_record *r,
                     enum store_change change)
{
    struct memory_store *m = memory_store(s);
    if (ends_ms(m, r) <= shard->now_ms) {
        change = STORE_EXPIRED;
        shard->expired_total++;
    }
    if (store_is_watched(s)) {
        struct binding view = binding_record_view(r);
        store_tell(s, change, (struct str){r->aor->name, r->aor->name_len}, &view);
    }
    uncount(m, r->aor);
    unlink_record(shard, r);
    free(r);
}

struct expiry {
    struct store *store;
    struct shard *shard;
};

static void expire(struct timer *timer, void *arg)
{
    const struct expiry *expiry = arg;
    struct binding_record *r = (struct binding_record *)timer;
    struct aor *aor = r->aor;
    take_out(expiry->store, expiry->shard, r, STORE_EXPIRED);
    remove_if_empty(expiry->shard, aor);
}

static void free_records(struct binding_record *list)
{
    while (list) {
        struct binding_record *next = list->next;
        free(list);
        list = next;
    }
}

/* ---- apply --------------------------------------------------------------------------------- */

/* One REGISTER on its way. Arrays are in the arena. */
struct change {
    struct store *view;
    struct memory_store *store;
    struct shard *shard;
    const struct binding_request *request;
    struct arena *arena;
    uint64_t hash;
    struct aor *aor; /* NULL: not there yet */
    struct binding_record **record;
    struct binding *current; /* views of `record` */
    size_t count;
    struct binding_decision decision;
    struct binding_record *fresh; /* what `decision.add` becomes, in its order */
};

/* What is past its time but not ticked away yet is as good as gone. */
static int load_current(struct change *c)
{
    size_t most = 0;
    struct binding_record *first = c->aor ? c->aor->first : NULL;
    for (const struct binding_record *r = first; r; r = r->next)
        most++;
    c->record = arena_alloc(c->arena, most * sizeof(struct binding_record *));
    c->current = arena_alloc(c->arena, most * sizeof *c->current);
    if (!c->record || !c->current)
        return -ENOMEM;
    for (struct binding_record *r = first; r; r = r->next) {
        if (ends_ms(c->store, r) <= c->request->now_ms)
            continue;
        c->record[c->count] = r;
        c->current[c->count++] = binding_record_view(r);
    }
    return 0;
}

/* Copies what others may free once the lock is open; what is added borrows from the request. */
static int list_outcome(const struct change *c, struct store_outcome *outcome)
{
    const struct binding_decision *d = &c->decision;
    struct binding *list = arena_alloc(c->arena, (c->count + d->add_count) * sizeof *list);
    if (!list)
        return -ENOMEM;
    size_t n = 0;
    while (n < d->add_count) {
        list[n] = d->add[n];
        n++;
    }
    for (size_t k = 0; k < c->count; k++) {
        if (d->drop[k])
            continue;
        int rc = binding_record_copy(c->record[k], c->arena, &list[n]);
        if (rc < 0)
            return rc;
        n++;
    }
    outcome->bindings = list;
    outcome->count = n;
    outcome->own_count = d->add_count;
    return 0;
}

/* -EDQUOT: the domain has its most bindings. */
static int count_change(const struct change *c)
{
    int64_t change = (int64_t)c->decision.add_count;
    for (size_t k = 0; k < c->count; k++)
        change -= c->decision.drop[k];
    if (change == 0)
        return 0; /* a refresh: workers need not fight for the domain's counter */
    _Atomic int64_t *count = realm_counts_of(c->store->realms, c->request->aor);
    if (!count)
        return -ENOMEM;
    return realm_count_change(count, change, c->request->max_registrations) ? 0 : -EDQUOT;
}

/* All that may fail comes before the first thing that changes. */
static int prepare(struct change *c)
{
    struct binding_record **end = &c->fresh;
    for (size_t i = 0; i < c->decision.add_count; i++) {
        *end = binding_record_new(&c->decision.add[i]);
        if (!*end)
            goto fail;
        end = &(*end)->next;
    }
    if (c->fresh && !c->aor) {
        struct aor *aor = aor_new(c->request->aor, c->hash);
        if (!aor)
            goto fail;
        aor_table_insert(&c->shard->aors, aor);
        c->aor = aor;
    }
    int rc = count_change(c);
    if (rc == 0)
        return 0;
    if (c->aor)
        remove_if_empty(c->shard, c->aor);
    free_records(c->fresh);
    return rc;

fail:
    free_records(c->fresh);
    return -ENOMEM;
}

/* A contact that comes back after its time has expired first. */
static void take_out_past(struct change *c)
{
    struct binding_record *next = c->aor->first;
    for (struct binding_record *r; (r = next);) {
        next = r->next;
        if (ends_ms(c->store, r) <= c->request->now_ms)
            take_out(c->view, c->shard, r, STORE_EXPIRED);
    }
}

static void commit(struct change *c)
{
    take_out_past(c);
    if (store_is_watched(c->view))
        store_tell_decision(c->view, c->request->aor, c->current, c->count, &c->decision, NULL);
    for (size_t k = 0; k < c->count; k++) {
        if (!c->decision.drop[k])
            continue;
        unlink_record(c->shard, c->record[k]);
        free(c->record[k]);
    }
    struct binding_record **end = &c->fresh;
    for (struct binding_record *r; (r = *end); end = &r->next) {
        r->aor = c->aor;
        timer_start(&c->shard->wheel, &r->expiry, ends_ms(c->store, r));
        c->shard->bindings[r->protocol]++;
    }
    *end = c->aor->first;
    c->aor->first = c->fresh;
    remove_if_empty(c->shard, c->aor);
}

static int apply_locked(struct change *c, struct store_outcome *outcome)
{
    hear_time(c->shard, c->request->now_ms);
    c->aor = aor_table_find(&c->shard->aors, c->request->aor, c->hash);
    int rc = load_current(c);
    if (rc < 0)
        return rc;
    rc = binding_rules_decide(c->current, c->count, c->request, c->arena, &c->decision);
    if (rc < 0)
        return rc;
    outcome->verdict = c->decision.verdict;
    outcome->min_expires_s = c->decision.min_expires_s;
    if (outcome->verdict != BINDING_OK)
        return 0;
    rc = list_outcome(c, outcome);
    if (rc < 0 || !c->decision.is_change)
        return rc;
    rc = prepare(c);
    if (rc == -EDQUOT) {
        *outcome = (struct store_outcome){.verdict = BINDING_REALM_FULL};
        return 0;
    }
    if (rc < 0)
        return rc;
    commit(c);
    return 0;
}

static void memory_apply(struct store *s, const struct binding_request *request,
                         struct arena *arena, store_applied_fn *done, void *arg)
{
    struct change c = {.view = s, .store = memory_store(s), .request = request, .arena = arena};
    c.hash = str_hash(request->aor);
    struct store_outcome outcome = {0};
    c.shard = lock_shard_of(c.store, c.hash);
    int rc = apply_locked(&c, &outcome);
    unlock(c.shard);
    if (rc < 0)
        outcome = (struct store_outcome){.error = rc};
    done(arg, &outcome);
}

/* ---- Flows --------------------------------------------------------------------------------- */

static void mark_dead(struct store *s, struct binding_record *r)
{
    bool was_dead = r->is_flow_dead;
    r->is_flow_dead = true;
    if (was_dead || !store_is_watched(s))
        return;
    struct binding view = binding_record_view(r);
    store_tell(s, STORE_FLOW_CLOSED, (struct str){r->aor->name, r->aor->name_len}, &view);
}

static void memory_close_flow(struct store *s, struct str name, conn_id conn, bool remove)
{
    if (conn == 0)
        return;
    struct memory_store *m = memory_store(s);
    uint64_t hash = str_hash(name);
    struct shard *shard = lock_shard_of(m, hash);
    struct aor *aor = aor_table_find(&shard->aors, name, hash);
    struct binding_record *next = aor ? aor->first : NULL;
    for (struct binding_record *r; (r = next);) {
        next = r->next;
        if (r->conn != conn)
            continue;
        if (remove)
            take_out(s, shard, r, STORE_FLOW_CLOSED);
        else
            mark_dead(s, r);
    }
    if (aor)
        remove_if_empty(shard, aor);
    unlock(shard);
}

static bool memory_has_flow(struct store *s, struct str name, conn_id conn)
{
    struct memory_store *m = memory_store(s);
    uint64_t hash = str_hash(name);
    struct shard *shard = lock_shard_of(m, hash);
    const struct aor *aor = aor_table_find(&shard->aors, name, hash);
    const struct binding_record *r = conn != 0 && aor ? aor->first : NULL;
    while (r && (r->conn != conn || ends_ms(m, r) <= shard->now_ms))
        r = r->next;
    unlock(shard);
    return r != NULL;
}

static bool memory_has_call(struct store *s, struct str name, struct str call_id)
{
    struct memory_store *m = memory_store(s);
    uint64_t hash = str_hash(name);
    struct shard *shard = lock_shard_of(m, hash);
    const struct aor *aor = aor_table_find(&shard->aors, name, hash);
    const struct binding_record *r = aor ? aor->first : NULL;
    while (r &&
           (!str_eq(binding_record_view(r).call_id, call_id) || ends_ms(m, r) <= shard->now_ms))
        r = r->next;
    unlock(shard);
    return r != NULL;
}

/* ---- Reading ------------------------------------------------------------------------------- */

/* An AOR as it was under the lock, copied to the arena. */
struct copied_aor {
    struct copied_aor *next;
    struct str name;
    struct binding *bindings;
    size_t count; /* 0: all past their time */
};

static int copy_aor(const struct memory_store *m, const struct shard *shard, const struct aor *aor,
                    struct arena *arena, struct copied_aor *out)
{
    size_t most = 0;
    for (const struct binding_record *r = aor->first; r; r = r->next)
        most++;
    *out = (struct copied_aor){
        .name = {aor->name, aor->name_len}
    };
    out->name = arena_copy(arena, out->name);
    out->bindings = arena_alloc(arena, most * sizeof *out->bindings);
    if (!out->name.ptr || !out->bindings)
        return -ENOMEM;
    for (const struct binding_record *r = aor->first; r; r = r->next) {
        if (ends_ms(m, r) <= shard->now_ms)
            continue;
        int rc = binding_record_copy(r, arena, &out->bindings[out->count]);
        if (rc < 0)
            return rc;
        out->count++;
    }
    return 0;
}

static void memory_find(struct store *s, struct str name, struct arena *arena, store_found_fn *done,
                        void *arg)
{
    struct memory_store *m = memory_store(s);
    uint64_t hash = str_hash(name);
    struct copied_aor copy = {0};
    struct shard *shard = lock_shard_of(m, hash);
    const struct aor *aor = aor_table_find(&shard->aors, name, hash);
    int rc = aor ? copy_aor(m, shard, aor, arena, &copy) : 0;
    unlock(shard);
    done(arg, rc, copy.bindings, rc == 0 ? copy.count : 0);
}

static void memory_remove(struct store *s, struct str name, struct arena *arena,
                          store_found_fn *done, void *arg)
{
    (void)arena;
    struct memory_store *m = memory_store(s);
    uint64_t hash = str_hash(name);
    size_t count = 0;
    struct shard *shard = lock_shard_of(m, hash);
    struct aor *aor = aor_table_find(&shard->aors, name, hash);
    for (; aor && aor->first; count++)
        take_out(s, shard, aor->first, STORE_REMOVED_BY_ADMIN);
    if (aor)
        remove_if_empty(shard, aor);
    unlock(shard);
    done(arg, 0, NULL, count);
}

/* A page of the listing. AORs are visited in the order of their hashes, shard after shard, and the
 * cursor is the hash to go on from: whatever comes and goes meanwhile, nobody who stays is met
 * twice or missed. AORs of one hash share a page. */
struct page {
    struct arena *arena;
    size_t limit; /* of bindings */
    size_t count;
    struct copied_aor *first, **end;
    uint64_t last_hash;
};

static int add_to_page(struct page *page, const struct memory_store *m, const struct shard *shard,
                       const struct aor *aor)
{
    struct copied_aor *copy = arena_alloc(page->arena, sizeof *copy);
    if (!copy)
        return -ENOMEM;
    int rc = copy_aor(m, shard, aor, page->arena, copy);
    if (rc < 0)
        return rc;
    *page->end = copy;
    page->end = &copy->next;
    page->count += copy->count;
    page->last_hash = aor->hash;
    return 0;
}

/* *from moves to the first AOR left out, or else to the next shard; 0 after the last. */
static int add_shard_to_page(struct page *page, struct memory_store *m, uint64_t *from)
{
    const unsigned shift = 64 - AOR_SHARD_BITS;
    uint64_t next = ((*from >> shift) + 1) << shift;
    int rc = 0;
    struct shard *shard = lock_shard_of(m, *from);
    const struct aor *aor = aor_table_from(&shard->aors, *from);
    for (; aor && rc == 0; aor = aor_table_after(&shard->aors, aor)) {
        if (page->count >= page->limit && aor->hash != page->last_hash) {
            next = aor->hash;
            break;
        }
        rc = add_to_page(page, m, shard, aor);
    }
    unlock(shard);
    *from = next;
    return rc;
}

/* What a page shows: without the AORs that are all past their time. */
static int show_page(const struct page *page, struct store_aor **aors, size_t *count)
{
    size_t most = 0;
    for (const struct copied_aor *aor = page->first; aor; aor = aor->next)
        most++;
    *aors = arena_alloc(page->arena, most * sizeof **aors);
    *count = 0;
    if (!*aors)
        return -ENOMEM;
    for (const struct copied_aor *aor = page->first; aor; aor = aor->next)
        if (aor->count > 0)
            (*aors)[(*count)++] = (struct store_aor){aor->name, aor->bindings, aor->count};
    return 0;
}

static void memory_list(struct store *s, uint64_t cursor, size_t limit, struct arena *arena,
                        store_listed_fn *done, void *arg)
{
    struct page page = {.arena = arena, .limit = limit > 0 ? limit : 1};
    struct store_aor *aors = NULL;
    size_t count = 0;
    page.end = &page.first;
    uint64_t from = cursor;
    int rc;
    do
        rc = add_shard_to_page(&page, memory_store(s), &from);
    while (rc == 0 && from != 0 && page.count < page.limit);
    if (rc == 0)
        rc = show_page(&page, &aors, &count);
    done(arg, rc, rc == 0 ? from : 0, aors, rc == 0 ? count : 0);
}

static void memory_count(struct store *s, struct store_counts *out)
{
    struct memory_store *m = memory_store(s);
    *out = (struct store_counts){0};
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &m->shard[i];
        pthread_mutex_lock(&shard->lock);
        out->aors += shard->aors.count;
        out->expired_total += shard->expired_total;
        for (size_t kind = 0; kind < TRANSPORT_KINDS; kind++)
            out->bindings[kind] += shard->bindings[kind];
        unlock(shard);
    }
}

static uint64_t memory_count_realm(struct store *s, struct str realm)
{
    int64_t count = realm_counts_read(memory_store(s)->realms, realm);
    return count > 0 ? (uint64_t)count : 0; /* a change may be half counted */
}

/* ---- Life ---------------------------------------------------------------------------------- */

static void memory_tick(struct store *s, unsigned worker, uint64_t now_ms)
{
    struct memory_store *m = memory_store(s);
    for (size_t i = worker; i < SHARDS; i += m->workers) {
        struct shard *shard = &m->shard[i];
        pthread_mutex_lock(&shard->lock);
        hear_time(shard, now_ms);
        timer_wheel_advance(&shard->wheel, now_ms, expire, &(struct expiry){s, shard});
        unlock(shard);
    }
}

static bool memory_is_ready(struct store *s)
{
    (void)s;
    return true;
}

static uint32_t memory_lag_ms(struct store *s)
{
    (void)s;
    return 0; /* it answers before the call returns */
}

static size_t memory_pending(struct store *s)
{
    (void)s;
    return 0;
}

static bool memory_is_idle(struct store *s)
{
    (void)s;
    return true; /* nobody else sees what is in here */
}

static void memory_leave(struct store *s)
{
    (void)s;
}

static void shard_fini(struct shard *shard)
{
    for (struct aor *aor; shard->aors.slot && (aor = aor_table_from(&shard->aors, 0));) {
        free_records(aor->first);
        aor_table_remove(&shard->aors, aor);
        free(aor);
    }
    aor_table_fini(&shard->aors);
    pthread_mutex_destroy(&shard->lock);
}

static void memory_close(struct store *s)
{
    struct memory_store *m = memory_store(s);
    if (s != &m->own.base) {
        free(s);
        return;
    }
    for (size_t i = 0; i < SHARDS; i++)
        shard_fini(&m->shard[i]);
    realm_counts_free(m->realms);
    free(m);
}

static const struct store_ops memory_ops = {
    .name = "memory",
    .apply = memory_apply,
    .close_flow = memory_close_flow,
    .has_flow = memory_has_flow,
    .has_call = memory_has_call,
    .find = memory_find,
    .list = memory_list,
    .remove = memory_remove,
    .count = memory_count,
    .count_realm = memory_count_realm,
    .tick = memory_tick,
    .is_ready = memory_is_ready,
    .lag_ms = memory_lag_ms,
    .pending = memory_pending,
    .is_idle = memory_is_idle,
    .leave = memory_leave,
    .close = memory_close,
};

struct store *store_memory_open(unsigned workers, uint32_t grace_ms)
{
    struct memory_store *m = aligned_alloc(CACHE_LINE, sizeof *m);
    if (!m)
        return NULL;
    memset(m, 0, sizeof *m);
    m->own = (struct memory_view){.base = {.ops = &memory_ops}, .memory = m};
    m->workers = workers;
    m->grace_ms = grace_ms;
    m->realms = realm_counts_new();
    int rc = m->realms ? 0 : -ENOMEM;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &m->shard[i];
        pthread_mutex_init(&shard->lock, NULL); /* cannot fail without attributes */
        timer_wheel_init(&shard->wheel, TICK_MS, 0);
        if (rc == 0)
            rc = aor_table_init(&shard->aors);
    }
    if (rc < 0) {
        memory_close(&m->own.base);
        return NULL;
    }
    return &m->own.base;
}

struct store *store_memory_view(struct store *memory)
{
    struct memory_view *view = malloc(sizeof *view);
    if (!view)
        return NULL;
    *view = (struct memory_view){.base = {.ops = &memory_ops}, .memory = memory_store(memory)};
    return &view->base;
}
