/* The Redis store: its life, its connection, and what it is asked beside REGISTERs. */
#include "store_redis_internal.h"
#include <aorta/log.h>
#include <errno.h>
#include <redis_binding_lua.h>
#include <redis_lease_lua.h> /* made by CMake of redis_*.lua */
#include <redis_patch_lua.h>
#include <redis_publish_lua.h>
#include <redis_save_lua.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CONNECT_TIMEOUT_MS = 1000,
    COMMAND_TIMEOUT_MS = 1000, /* a SIP client shall have its answer within two seconds */
    MAX_PENDING = 100000,
    WRITES_PER_S = 20000, /* of AORs that are written again, in each worker */
    WRITES_AT_ONCE = 2000,
    TROUBLES_LOGGED_PER_S = 1,
    CACHE_LINE = 64,
    REPAIR_MS = 5000, /* the others have connected by then, and written what they hold */
};

/* ---- What all workers share ---------------------------------------------------------------- */

static char *print(const char *format, ...) __attribute__((format(printf, 1, 2)));
static char *print(const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    int rc = vasprintf(&text, format, arguments);
    va_end(arguments);
    return rc < 0 ? NULL : text;
}

/* Keys of our own stand apart from the AORs, which others list by their prefix. */
static int make_keys(struct redis_cluster *c)
{
    const char *prefix = c->config->redis_prefix, *node = c->config->node;
    c->lease_prefix = print("aorta:%snode:", prefix);
    c->lease_key = print("aorta:%snode:%s", prefix, node);
    c->nodes_key = print("aorta:%snodes", prefix);
    c->flows_prefix = print("aorta:%sflows:", prefix);
    c->flows_key = print("aorta:%sflows:%s:%s", prefix, c->epoch, node);
    c->realm_prefix = print("aorta:%srealm:", prefix);
    c->revision_prefix = print("aorta:%srev:", prefix);
    c->removed_prefix = print("aorta:%sremoved:", prefix);
    c->bans_key = print("aorta:%sbans", prefix);
    c->bans_version_key = print("aorta:%sbans:version", prefix);
    c->events_channel = print("%sevents", prefix);
    c->gone_prefix = print("aorta:%sgone:", prefix);
    c->gone_key = print("aorta:%sgone:%s", prefix, node);
    c->member = print("%s %s", c->epoch, node);
    bool is_made = c->lease_prefix && c->lease_key && c->nodes_key && c->flows_prefix &&
                   c->flows_key && c->realm_prefix && c->revision_prefix && c->bans_key &&
                   c->bans_version_key && c->member && c->gone_prefix && c->gone_key &&
                   c->events_channel && c->removed_prefix;
    return is_made ? 0 : -ENOMEM;
}

static int make_close_removes(struct redis_cluster *c)
{
    struct buf b;
    buf_init_heap(&b, 256);
    for (unsigned kind = 0; kind < TRANSPORT_KINDS; kind++)
        if (c->config->close_removes & 1u << kind)
            buf_printf(&b, " %s ", transport_kind_name(kind));
    buf_put_char(&b, 0);
    c->close_removes = b.error ? NULL : strdup(buf_str(&b).ptr);
    buf_fini(&b);
    return c->close_removes ? 0 : -ENOMEM;
}

static int make_scripts(struct redis_cluster *c)
{
    const char *layout = c->config->redis_layout == REDIS_LAYOUT_JAMBONZ ? "jambonz" : "hash";
    static const char text[] = "local LAYOUT = '%s'\n%s%s";
    c->save_text = print(text, layout, redis_binding_lua, redis_save_lua);
    c->patch_text = print(text, layout, redis_binding_lua, redis_patch_lua);
    if (!c->save_text || !c->patch_text)
        return -ENOMEM;
    redis_script_init(&c->save, c->save_text);
    redis_script_init(&c->patch, c->patch_text);
    redis_script_init(&c->lease, redis_lease_lua);
    redis_script_init(&c->publish, redis_publish_lua);
    return 0;
}

static int make_gone(struct redis_cluster *c)
{
    c->gone = calloc(c->workers, sizeof *c->gone);
    return c->gone ? 0 : -ENOMEM;
}

static int make_counts(struct redis_cluster *c)
{
    size_t bytes = c->workers * sizeof *c->counts;
    c->counts = aligned_alloc(CACHE_LINE, bytes);
    if (!c->counts)
        return -ENOMEM;
    memset(c->counts, 0, bytes);
    return 0;
}

static int make_realms(struct redis_cluster *c)
{
    c->realms = calloc(c->workers, sizeof(struct realm_counts *));
    for (unsigned i = 0; c->realms && i < c->workers; i++)
        if (!(c->realms[i] = realm_counts_new()))
            return -ENOMEM;
    return c->realms ? 0 : -ENOMEM;
}

struct redis_cluster *redis_cluster_new(const struct config *config, struct bans *bans)
{
    struct redis_cluster *c = calloc(1, sizeof *c);
    uint64_t epoch;
    if (!c || net_random(&epoch, sizeof epoch) < 0) {
        free(c);
        return NULL;
    }
    c->config = config;
    c->workers = config->workers;
    c->bans = bans;
    snprintf(c->epoch, sizeof c->epoch, "%016llx", (unsigned long long)epoch);
    if (make_keys(c) == 0 && make_close_removes(c) == 0 && make_scripts(c) == 0 &&
        make_gone(c) == 0 && make_counts(c) == 0 && make_realms(c) == 0 &&
        redis_cluster_set_address(c, "") == 0)
        return c;
    redis_cluster_free(c);
    return NULL;
}

void redis_cluster_free(struct redis_cluster *c)
{
    if (!c)
        return;
    char *const text[] = {c->lease_prefix,    c->lease_key,      c->nodes_key,
                          c->flows_prefix,    c->flows_key,      c->realm_prefix,
                          c->revision_prefix, c->bans_key,       c->bans_version_key,
                          c->save_text,       c->patch_text,     c->sbc_address,
                          c->member,          c->close_removes,  c->gone_prefix,
                          c->gone_key,        c->events_channel, c->removed_prefix};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        free(text[i]);
    for (unsigned i = 0; c->gone && i < c->workers; i++)
        redis_gone_free_notes(atomic_load(&c->gone[i]));
    for (unsigned i = 0; c->realms && i < c->workers; i++)
        realm_counts_free(c->realms[i]);
    free(c->gone);
    free(c->counts);
    free(c->realms);
    free(c);
}

int redis_cluster_set_address(struct redis_cluster *c, const char *sbc_address)
{
    char *copy = strdup(sbc_address);
    if (!copy)
        return -ENOMEM;
    free(c->sbc_address);
    c->sbc_address = copy;
    return 0;
}

/* ---- What is remembered -------------------------------------------------------------------- */

static void add(_Atomic uint64_t *count, int64_t change)
{
    /* One writer: a plain add, made visible without a locked instruction. */
    uint64_t n = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, n + (uint64_t)change, memory_order_relaxed);
}

void redis_hear_time(struct redis_store *r, uint64_t now_ms)
{
    if (now_ms > r->now_ms)
        r->now_ms = now_ms;
}

/* Without memory for its domain an AOR is not counted there. */
static void count_own(struct redis_store *r, struct redis_aor *a, enum transport_kind protocol,
                      int change)
{
    add(&redis_counts(r)->bindings[protocol], change);
    if (!a->realm_count)
        a->realm_count = realm_counts_of(r->cluster->realms[r->worker], redis_aor_name(a));
    if (a->realm_count)
        realm_count_change(a->realm_count, change, 0);
}

void redis_remember_records(struct redis_store *r, struct redis_aor *a, struct binding_record *list)
{
    bool had_own = redis_aor_has_own(a);
    for (const struct binding_record *record = list; record; record = record->next)
        if (record->is_own)
            count_own(r, a, record->protocol, 1);
    redis_aor_add_records(r->aors, a, list);
    if (!had_own && redis_aor_has_own(a))
        add(&redis_counts(r)->aors, 1);
}

void redis_forget_record(struct redis_store *r, struct redis_aor *a, struct binding_record *record)
{
    bool was_own = record->is_own;
    if (was_own)
        count_own(r, a, record->protocol, -1);
    redis_aor_drop_record(a, record);
    if (was_own && !redis_aor_has_own(a))
        add(&redis_counts(r)->aors, -1);
}

static bool is_past(const struct redis_store *r, const struct binding_record *record)
{
    return record->expires_ms + r->aors->grace_ms <= r->now_ms;
}

void redis_take_out(struct redis_store *r, struct redis_aor *a, struct binding_record *record,
                    enum store_change change)
{
    if (record->is_own && is_past(r, record)) {
        change = STORE_EXPIRED;
        add(&redis_counts(r)->expired_total, 1);
    }
    if (record->is_own && store_is_watched(&r->base)) {
        struct binding view = binding_record_view(record);
        store_tell(&r->base, change, redis_aor_name(a), &view);
    }
    redis_forget_record(r, a, record);
}

void redis_expire_record(struct redis_store *r, struct redis_aor *a, struct binding_record *record)
{
    const struct redis_removal removal = {.kind = REDIS_REMOVE_ID,
                                          .id = redis_record_id(record),
                                          .upto_ms = record->refreshed_ms};
    redis_take_out(r, a, record, STORE_EXPIRED);
    (void)redis_aor_add_removal(a, &removal);
}

static void expire(struct timer *timer, void *arg)
{
    struct redis_store *r = arg;
    struct binding_record *record = (struct binding_record *)timer;
    struct redis_aor *a = redis_aor_of(record->aor);
    redis_expire_record(r, a, record);
    redis_aors_wait(r->aors, a); /* many may expire at once: at the pump's rate */
    redis_aors_release(r->aors, a);
}

/* ---- Up and down --------------------------------------------------------------------------- */

void redis_report_trouble(struct redis_store *r, const char *what, struct str why)
{
    if (ratelimit_take(&r->trouble_log, r->now_ms))
        LOG_WARN("redis refused a command", LOG_TEXT("command", what), LOG_STR("why", why));
}

void redis_report_loss(struct redis_store *r, const char *how)
{
    LOG_WARN("redis has lost what it held: writing it again", LOG_TEXT("seen_by", how));
    atomic_fetch_add(&r->cluster->losses, 1);
}

static void write_all_again(struct redis_store *r)
{
    r->is_write_all = true;
    r->write_from = 0;
    r->repaired_ms = r->now_ms + REPAIR_MS;
    redis_told_repeat(r);
}

void redis_heed_losses(struct redis_store *r)
{
    uint64_t losses = atomic_load(&r->cluster->losses);
    if (losses == r->losses_seen)
        return;
    r->losses_seen = losses;
    write_all_again(r);
}

static void on_up(void *arg, struct str run_id)
{
    struct redis_store *r = arg;
    r->is_new_server = run_id.len == 0 || !str_eq(run_id, str_from(r->run_id));
    snprintf(r->run_id, sizeof r->run_id, "%.*s", STR_ARG(run_id));
    atomic_fetch_add(&r->cluster->workers_up, 1);
    r->pause_until_ms = 0;
    if (r->is_new_server)
        write_all_again(r);
    redis_patch_pump(r);
    if (r->node)
        redis_node_on_up(r->node);
}

static void on_down(void *arg, const char *why)
{
    (void)why;
    struct redis_store *r = arg;
    atomic_fetch_sub(&r->cluster->workers_up, 1);
    if (r->node)
        redis_node_on_down(r->node);
}

/* ---- Flows --------------------------------------------------------------------------------- */

static void mark_dead(struct redis_store *r, struct redis_aor *a, struct binding_record *record)
{
    bool was_dead = record->is_flow_dead;
    record->is_flow_dead = true;
    a->is_dirty = true;
    if (was_dead || !store_is_watched(&r->base))
        return;
    struct binding view = binding_record_view(record);
    store_tell(&r->base, STORE_FLOW_CLOSED, redis_aor_name(a), &view);
}

static void redis_close_flow(struct store *s, struct str name, conn_id conn, bool remove)
{
    struct redis_store *r = redis_store(s);
    struct redis_aor *a = conn ? redis_aors_take(r->aors, name) : NULL;
    if (!a)
        return;
    bool is_held = a->is_held;
    a->is_held = true;
    for (struct binding_record *record = a->aor.first, *next; record; record = next) {
        next = record->next;
        if (!record->is_own || record->conn != conn)
            continue;
        if (remove)
            redis_take_out(r, a, record, STORE_FLOW_CLOSED);
        else
            mark_dead(r, a, record);
    }
    /* Also when none is remembered: a command that nobody heard the answer of may have left one. */
    const struct redis_removal removal = {.kind = REDIS_REMOVE_FLOW, .conn = conn};
    if (remove)
        (void)redis_aor_add_removal(a, &removal);
    a->is_held = is_held;
    redis_patch_aor(r, a);
    redis_aors_release(r->aors, a);
}

static bool redis_has_flow(struct store *s, struct str name, conn_id conn)
{
    struct redis_store *r = redis_store(s);
    const struct redis_aor *a = conn ? redis_aors_find(r->aors, name) : NULL;
    for (const struct binding_record *record = a ? a->aor.first : NULL; record;
         record = record->next)
        if (record->is_own && record->conn == conn &&
            record->expires_ms + r->aors->grace_ms > r->now_ms)
            return true;
    return false;
}

static bool redis_has_call(struct store *s, struct str name, struct str call_id)
{
    struct redis_store *r = redis_store(s);
    const struct redis_aor *a = redis_aors_find(r->aors, name);
    for (const struct binding_record *record = a ? a->aor.first : NULL; record;
         record = record->next)
        if (str_eq(binding_record_view(record).call_id, call_id) &&
            record->expires_ms + r->aors->grace_ms > r->now_ms)
            return true;
    return false;
}

/* ---- Everything else ----------------------------------------------------------------------- */

static void redis_count(struct store *s, struct store_counts *out)
{
    const struct redis_cluster *c = redis_store(s)->cluster;
    *out = (struct store_counts){0};
    for (unsigned i = 0; i < c->workers; i++) {
        const struct redis_counts *counts = &c->counts[i];
        out->aors += atomic_load_explicit(&counts->aors, memory_order_relaxed);
        out->expired_total += atomic_load_explicit(&counts->expired_total, memory_order_relaxed);
        for (size_t kind = 0; kind < TRANSPORT_KINDS; kind++)
            out->bindings[kind] +=
                atomic_load_explicit(&counts->bindings[kind], memory_order_relaxed);
    }
}

static uint64_t redis_count_realm(struct store *s, struct str realm)
{
    const struct redis_cluster *c = redis_store(s)->cluster;
    int64_t sum = 0;
    for (unsigned i = 0; i < c->workers; i++)
        sum += realm_counts_read(c->realms[i], realm);
    return sum > 0 ? (uint64_t)sum : 0; /* a change may be half counted */
}

static void redis_tick(struct store *s, unsigned worker, uint64_t now_ms)
{
    (void)worker;
    struct redis_store *r = redis_store(s);
    redis_hear_time(r, now_ms);
    timer_wheel_advance(&r->aors->wheel, r->now_ms, expire, r);
    redis_gone_heed(r);
    redis_heed_losses(r);
    redis_told_tick(r);
    redis_patch_pump(r);
    if (r->node)
        redis_node_tick(r->node, now_ms);
}

static uint32_t redis_lag_ms(struct store *s)
{
    return redis_client_lag_ms(redis_store(s)->client);
}

static size_t redis_pending(struct store *s)
{
    return redis_client_pending(redis_store(s)->client);
}

static bool redis_is_ready(struct store *s)
{
    const struct redis_cluster *c = redis_store(s)->cluster;
    return atomic_load(&c->workers_up) == c->workers && atomic_load(&c->has_lease);
}

static bool redis_is_idle(struct store *s)
{
    const struct redis_store *r = redis_store(s);
    return !redis_client_is_up(r->client) ||
           (redis_client_pending(r->client) == 0 && !r->aors->waiting);
}

static void redis_leave(struct store *s)
{
    struct redis_store *r = redis_store(s);
    if (r->node)
        redis_node_leave(r->node);
}

static void redis_close(struct store *s)
{
    struct redis_store *r = redis_store(s);
    if (r->client)
        redis_client_free(r->client);
    redis_node_free(r->node);
    redis_aors_free(r->aors);
    redis_told_fini(&r->told);
    free(r);
}

static const struct store_ops redis_ops = {
    .name = "redis",
    .apply = redis_apply,
    .close_flow = redis_close_flow,
    .has_flow = redis_has_flow,
    .has_call = redis_has_call,
    .find = redis_find,
    .list = redis_list,
    .remove = redis_remove,
    .count = redis_count,
    .count_realm = redis_count_realm,
    .tick = redis_tick,
    .is_ready = redis_is_ready,
    .lag_ms = redis_lag_ms,
    .pending = redis_pending,
    .is_idle = redis_is_idle,
    .leave = redis_leave,
    .close = redis_close,
};

static int open_client(struct redis_store *r, struct net_loop *loop, struct histogram *durations)
{
    const struct config *config = r->cluster->config;
    const struct redis_client_options options = {
        .host = config->redis_host,
        .port = (uint16_t)config->redis_port,
        .db = config->redis_db,
        .username = config->redis_username,
        .password = config->redis_password,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .command_timeout_ms = COMMAND_TIMEOUT_MS,
        .max_pending = MAX_PENDING,
        .durations = durations,
    };
    const struct redis_client_events events = {on_up, on_down, r};
    r->client = redis_client_new(loop, &options, &events);
    return r->client ? 0 : -ENOMEM;
}

struct store *store_redis_open(struct redis_cluster *cluster, struct net_loop *loop,
                               unsigned worker, struct histogram *durations)
{
    struct redis_store *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->base.ops = &redis_ops;
    r->cluster = cluster;
    r->worker = worker;
    redis_told_init(&r->told);
    ratelimit_init(&r->write_rate, WRITES_PER_S, WRITES_AT_ONCE, 0);
    ratelimit_init(&r->trouble_log, TROUBLES_LOGGED_PER_S, TROUBLES_LOGGED_PER_S, 0);
    r->aors = redis_aors_new(cluster->config->grace_s * UINT64_C(1000));
    r->node = worker == 0 ? redis_node_new(r) : NULL;
    if (!r->aors || (worker == 0 && !r->node) || open_client(r, loop, durations) < 0) {
        redis_close(&r->base);
        return NULL;
    }
    return &r->base;
}
