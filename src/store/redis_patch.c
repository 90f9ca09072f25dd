/* What Redis must still be told about an AOR, beside the requests: what closed or expired, what was
 * refreshed or removed while it was away, what it has lost. One command for each AOR carries all of
 * it (redis_patch.lua), and is tried until it succeeds. */
#include "redis_args.h"
#include <aorta/clock.h>
#include <aorta/log.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    WINDOW = 256,       /* patches under way that the pump sends; requests come in between */
    MAX_ARGS = 4400,    /* of one command: as many bindings as registrar.maxContacts may allow */
    FIRST_BYTES = 4096, /* of the arena that a command is put together in */
    MOST_BYTES = 8 << 20,
    PAUSE_MS = 1000, /* after Redis refused one */
};

/* ---- The command --------------------------------------------------------------------------- */

enum { KEYS = 8, FIXED_ARGS = KEYS + 8, ARGS_A_REMOVAL = 6, ARGS_A_RECORD = 4 };

static struct str flows_key(const struct redis_store *r, struct str epoch, struct str node,
                            struct arena *arena)
{
    const char *prefix = r->cluster->flows_prefix;
    size_t most = strlen(prefix) + epoch.len + 1 + node.len;
    char *memory = arena_alloc(arena, most);
    struct buf b;
    buf_init_fixed(&b, memory, memory ? most : 0);
    buf_put_text(&b, prefix);
    buf_put_str(&b, epoch);
    buf_put_char(&b, ':');
    buf_put_str(&b, node);
    return b.error ? STR_NONE : buf_str(&b);
}

static uint64_t draw_revision(void)
{
    uint64_t revision = 0;
    (void)net_random(&revision, sizeof revision);
    return revision ? revision : 1;
}

/* Keys and the first arguments; whose connections are meant is `node` with `epoch`. */
static void begin(struct redis_args *c, struct redis_store *r, struct str aor, struct str node,
                  struct str epoch, size_t more_args)
{
    redis_args_init(c, c->arena, FIXED_ARGS + more_args);
    redis_args_put(c, redis_aor_key(r, aor, c->arena));
    redis_args_put(c, redis_realm_key(r, aor, c->arena));
    redis_args_put(c, flows_key(r, epoch, node, c->arena));
    redis_args_printf(c, "%s%.*s", r->cluster->lease_prefix, STR_ARG(node));
    redis_args_put(c, STR("active-user"));
    redis_args_put(c, redis_revision_key(r, aor, c->arena));
    redis_args_put(c, str_from(r->cluster->nodes_key));
    redis_args_put(c, redis_removed_key(r, aor, c->arena));
    redis_args_put_hex(c, draw_revision());
    redis_args_put_number(c, r->now_ms);
    redis_args_put_number(c, r->aors->grace_ms);
    redis_args_put(c, aor);
    redis_args_put(c, node);
    redis_args_put(c, epoch);
    redis_args_put(c, str_from(r->cluster->close_removes));
    redis_args_put(c, str_from(r->cluster->gone_prefix));
}

static int send_command(struct redis_args *c, struct redis_store *r, redis_replied_fn *done,
                        void *arg)
{
    return redis_args_eval(c, r->client, &r->cluster->patch, KEYS, done, arg);
}

static struct str own_node(const struct redis_store *r)
{
    return str_from(r->cluster->config->node);
}

static struct str own_epoch(const struct redis_store *r)
{
    return str_from(r->cluster->epoch);
}

/* ---- What waits at an AOR ------------------------------------------------------------------ */

struct patch {
    struct redis_store *r;
    struct redis_aor *a;
    size_t removals;
    bool has_own; /* own bindings are in it */
};

static void put_tell(struct redis_args *c, const struct redis_removal *removal)
{
    redis_args_put(c, STR("tell"));
    if (removal->kind == REDIS_REMOVE_ALL)
        redis_args_put(c, STR("*"));
    else
        redis_args_put_hex(c, removal->id);
    redis_args_put_number(c, removal->upto_ms);
}

static void put_removal(struct redis_args *c, const struct redis_removal *removal)
{
    switch (removal->kind) {
    case REDIS_REMOVE_ID:
        redis_args_put(c, STR("id"));
        redis_args_put_hex(c, removal->id);
        redis_args_put_number(c, removal->upto_ms);
        break;
    case REDIS_REMOVE_UNDO:
        redis_args_put(c, STR("undo"));
        redis_args_put_hex(c, removal->id);
        redis_args_put_number(c, removal->upto_ms);
        break;
    case REDIS_REMOVE_ALL:
        redis_args_put(c, STR("all"));
        redis_args_put_number(c, removal->upto_ms);
        break;
    case REDIS_REMOVE_FLOW:
        redis_args_put(c, STR("flow"));
        redis_args_printf(c, "%x.%x.%x", conn_id_worker(removal->conn), conn_id_slot(removal->conn),
                          conn_id_generation(removal->conn));
        break;
    }
    if (removal->is_wanted)
        put_tell(c, removal);
}

static void put_record(struct redis_args *c, const struct redis_store *r,
                       const struct binding_record *record)
{
    struct binding b = binding_record_view(record);
    struct buf json;
    buf_init_heap(&json, MOST_BYTES);
    redis_put_binding(r, &json, &b);
    struct str copy = json.error ? STR_NONE : arena_copy(c->arena, buf_str(&json));
    buf_fini(&json);
    redis_args_put(c, STR("set"));
    redis_args_put_hex(c, redis_binding_id(&b));
    redis_args_put(c, copy);
    redis_args_put_number(c, b.refreshed_ms);
}

static size_t count_records(const struct redis_aor *a)
{
    size_t count = 0;
    for (const struct binding_record *b = a->aor.first; b; b = b->next)
        count++;
    return count;
}

/* Oldest first: where only one has room, the newest stays. */
static void put_own_records(struct redis_args *c, const struct redis_store *r,
                            const struct redis_aor *a)
{
    size_t count = 0;
    const struct binding_record **own =
        arena_alloc(c->arena, count_records(a) * sizeof(const struct binding_record *));
    c->is_out_of_memory |= !own;
    for (const struct binding_record *b = a->aor.first; own && b; b = b->next)
        if (b->is_own)
            own[count++] = b;
    while (count > 0)
        put_record(c, r, own[--count]);
}

static void note_told(const struct patch *p)
{
    const struct redis_removal *removal = p->a->removals;
    for (size_t i = 0; i < p->removals && removal; i++, removal = removal->next)
        redis_told_note(p->r, redis_aor_name(p->a), removal);
}

/* A key of somebody else is left alone; whatever else it is, it may pass. */
static void on_refused(const struct patch *p, const struct redis_reply *reply)
{
    struct str why = reply ? redis_reply_text(reply) : STR_NONE;
    if (reply)
        redis_report_trouble(p->r, "patch", why);
    if (why.len > 0 && memmem(why.ptr, why.len, "WRONGTYPE", strlen("WRONGTYPE"))) {
        redis_aor_drop_removals(p->a, p->removals);
        return;
    }
    p->a->is_dirty |= p->has_own;
    if (reply)
        p->r->pause_until_ms = p->r->now_ms + PAUSE_MS;
}

static void on_patched(void *arg, const struct redis_reply *reply)
{
    struct patch *p = arg;
    struct redis_store *r = p->r;
    struct redis_aor *a = p->a;
    a->is_busy = false;
    r->patches_in_flight--;
    if (reply && redis_reply_type(reply) == REDIS_TYPE_INTEGER) {
        note_told(p);
        redis_aor_drop_removals(a, p->removals);
        a->is_known = false; /* others may have bindings in it that nobody here knows of */
    } else {
        on_refused(p, reply);
    }
    free(p);
    redis_apply_next(r, a);
    redis_patch_pump(r);
}

static int send_patch(struct redis_store *r, struct redis_aor *a)
{
    struct arena arena;
    struct redis_args c = {.arena = &arena};
    struct patch *p = malloc(sizeof *p);
    if (!p || arena_init(&arena, FIRST_BYTES, MOST_BYTES) < 0) {
        free(p);
        return -ENOMEM;
    }
    *p = (struct patch){.r = r, .a = a, .has_own = a->is_dirty};
    for (const struct redis_removal *m = a->removals; m; m = m->next)
        p->removals++;
    begin(&c, r, redis_aor_name(a), own_node(r), own_epoch(r),
          ARGS_A_REMOVAL * p->removals + ARGS_A_RECORD * count_records(a));
    for (const struct redis_removal *m = a->removals; m; m = m->next)
        put_removal(&c, m);
    if (a->is_dirty)
        put_own_records(&c, r, a);
    int rc = send_command(&c, r, on_patched, p);
    arena_fini(&arena);
    if (rc < 0)
        free(p);
    return rc;
}

void redis_patch_aor(struct redis_store *r, struct redis_aor *a)
{
    if (a->is_busy || (!a->removals && !a->is_dirty))
        return;
    int rc = redis_client_is_up(r->client) && r->now_ms >= r->pause_until_ms ? send_patch(r, a)
                                                                             : -ENOTCONN;
    if (rc < 0) {
        if (rc != -ENOTCONN)
            r->pause_until_ms = r->now_ms + PAUSE_MS;
        redis_aors_wait(r->aors, a);
        return;
    }
    a->is_busy = true;
    a->is_dirty = false; /* again if this fails */
    r->patches_in_flight++;
}

/* ---- All that wait ------------------------------------------------------------------------- */

/* The next AOR of those that are all to be written again; NULL at the end. */
static struct redis_aor *next_to_write(struct redis_store *r)
{
    struct redis_aor *a = r->is_write_all ? redis_aors_from(r->aors, r->write_from) : NULL;
    if (!a || a->aor.hash == UINT64_MAX)
        r->is_write_all = false;
    else
        r->write_from = a->aor.hash + 1;
    return a;
}

static bool pump_one(struct redis_store *r)
{
    struct redis_aor *a = redis_aors_next_waiting(r->aors);
    if (!a) {
        a = next_to_write(r);
        if (!a)
            return false;
        /* AORs of one hash come together. */
        for (struct aor *same = &a->aor; same && same->hash == a->aor.hash;
             same = aor_table_after(&r->aors->table, same)) {
            struct redis_aor *other = redis_aor_of(same);
            other->is_dirty |= redis_aor_has_own(other);
            if (other != a && other->is_dirty)
                redis_aors_wait(r->aors, other);
        }
    }
    redis_patch_aor(r, a);
    return true;
}

void redis_patch_pump(struct redis_store *r)
{
    while (redis_client_is_up(r->client) && r->now_ms >= r->pause_until_ms &&
           r->patches_in_flight < WINDOW && (r->aors->waiting || r->is_write_all) &&
           ratelimit_take(&r->write_rate, r->now_ms) && pump_one(r))
        ;
}

/* ---- Others' bindings ---------------------------------------------------------------------- */

int redis_patch_dead(struct redis_store *r, struct str aor, struct str node, struct str epoch,
                     redis_replied_fn *done, void *arg)
{
    struct arena arena;
    struct redis_args c = {.arena = &arena};
    if (arena_init(&arena, FIRST_BYTES, MOST_BYTES) < 0)
        return -ENOMEM;
    begin(&c, r, aor, node, epoch, ARGS_A_REMOVAL);
    redis_args_put(&c, STR("dead"));
    redis_args_put_number(&c, r->now_ms);
    int rc = send_command(&c, r, done, arg);
    arena_fini(&arena);
    return rc;
}

int redis_patch_remove_all(struct redis_store *r, struct str aor, redis_replied_fn *done, void *arg)
{
    struct arena arena;
    struct redis_args c = {.arena = &arena};
    /* Also what came through another worker since this one last heard of the time. */
    uint64_t clock_ms = clock_now_ms();
    const struct redis_removal removal = {.kind = REDIS_REMOVE_ALL,
                                          .upto_ms = clock_ms > r->now_ms ? clock_ms : r->now_ms,
                                          .is_wanted = true};
    if (arena_init(&arena, FIRST_BYTES, MOST_BYTES) < 0)
        return -ENOMEM;
    begin(&c, r, aor, own_node(r), own_epoch(r), ARGS_A_REMOVAL);
    redis_args_put(&c, STR("show"));
    put_removal(&c, &removal);
    int rc = send_command(&c, r, done, arg);
    arena_fini(&arena);
    if (rc < 0)
        return rc;
    redis_told_note(r, aor, &removal);
    redis_gone_tell_removal(r, aor, &removal);
    return 0;
}
