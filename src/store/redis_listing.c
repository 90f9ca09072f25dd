/* Reading what is registered, over all nodes. */
#include "store_redis_internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SCANS_A_PAGE = 64, /* keys of others may lie between ours: then a page is short */
    MOST_AOR_BYTES = 1024,
};

static bool is_right_type(const struct redis_store *r, const struct redis_reply *reply)
{
    enum redis_type type = redis_reply_type(reply);
    return redis_is_jambonz(r) ? type == REDIS_TYPE_TEXT || type == REDIS_TYPE_NIL
                               : type == REDIS_TYPE_ARRAY;
}

static int send_get(struct redis_store *r, struct str key, redis_replied_fn *done, void *arg)
{
    const struct str get[] = {redis_is_jambonz(r) ? STR("GET") : STR("HGETALL"), key};
    return redis_client_send(r->client, get, 2, done, arg);
}

/* What this worker holds itself it knows best, down to the connection. */
static void know_own(const struct redis_store *r, struct str aor, struct redis_content *content)
{
    const struct redis_aor *a = redis_aors_find(r->aors, aor);
    for (size_t i = 0; a && i < content->count; i++) {
        const struct binding_record *own = redis_aor_find_record(a, content->ids[i]);
        if (own && own->is_own && own->refreshed_ms == content->bindings[i].refreshed_ms)
            content->bindings[i] = binding_record_view(own);
    }
}

/* ---- One AOR ------------------------------------------------------------------------------- */

struct finding {
    struct redis_store *r;
    struct str aor;
    struct arena *arena;
    store_found_fn *done;
    void *arg;
};

static void on_found(void *arg, const struct redis_reply *reply)
{
    const struct finding *f = arg;
    struct redis_content content = {0};
    int rc = !reply ? -EAGAIN
             : !is_right_type(f->r, reply)
                 ? -EAGAIN
                 : redis_read_content(f->r, reply, 0, f->r->now_ms, f->arena, &content);
    if (rc == 0)
        know_own(f->r, f->aor, &content);
    f->done(f->arg, rc, content.bindings, rc == 0 ? content.count : 0);
}

static struct finding *begin(struct redis_store *r, struct str aor, struct arena *arena,
                             store_found_fn *done, void *arg)
{
    struct finding *f = arena_alloc(arena, sizeof *f);
    struct str copy = f ? arena_copy(arena, aor) : STR_NONE;
    if (!copy.ptr)
        return NULL;
    *f = (struct finding){r, copy, arena, done, arg};
    return f;
}

void redis_find(struct store *s, struct str aor, struct arena *arena, store_found_fn *done,
                void *arg)
{
    struct redis_store *r = redis_store(s);
    struct finding *f = begin(r, aor, arena, done, arg);
    struct str key = f ? redis_aor_key(r, f->aor, arena) : STR_NONE;
    int rc = key.ptr ? send_get(r, key, on_found, f) : -ENOMEM;
    if (rc < 0)
        done(arg, rc == -ENOMEM ? rc : -EAGAIN, NULL, 0);
}

/* What was held by whomever: nobody else tells of it. */
static void tell_removed(const struct finding *f, struct redis_content *content)
{
    know_own(f->r, f->aor, content);
    for (size_t i = 0; i < content->count; i++)
        store_tell(&f->r->base, STORE_REMOVED_BY_ADMIN, f->aor, &content->bindings[i]);
}

/* Those that were removed, which have been told. */
static void forget_removed(const struct finding *f, struct redis_aor *a,
                           const struct redis_content *content)
{
    for (size_t i = 0; i < content->count; i++) {
        struct binding_record *record = redis_aor_find_record(a, content->ids[i]);
        if (record && record->refreshed_ms <= content->bindings[i].refreshed_ms)
            redis_forget_record(f->r, a, record);
    }
    while (!a->is_busy && a->aor.first) /* and what Redis did not have (any more) */
        redis_take_out(f->r, a, a->aor.first, STORE_REMOVED_BY_ADMIN);
    a->is_known = false;
    redis_aors_release(f->r->aors, a);
}

static void on_removed(void *arg, const struct redis_reply *reply)
{
    const struct finding *f = arg;
    bool is_done = reply && redis_reply_type(reply) == REDIS_TYPE_ARRAY;
    struct redis_content content = {0};
    if (is_done && redis_read_content(f->r, reply, 1, f->r->now_ms, f->arena, &content) == 0)
        tell_removed(f, &content);
    struct redis_aor *a = is_done ? redis_aors_find(f->r->aors, f->aor) : NULL;
    if (a)
        forget_removed(f, a, &content);
    size_t count = is_done ? (size_t)redis_reply_integer(redis_reply_item(reply, 0)) : 0;
    f->done(f->arg, is_done ? 0 : -EAGAIN, NULL, count);
}

void redis_remove(struct store *s, struct str aor, struct arena *arena, store_found_fn *done,
                  void *arg)
{
    struct redis_store *r = redis_store(s);
    struct finding *f = begin(r, aor, arena, done, arg);
    int rc = f ? redis_patch_remove_all(r, f->aor, on_removed, f) : -ENOMEM;
    if (rc < 0)
        done(arg, rc == -ENOMEM ? rc : -EAGAIN, NULL, 0);
}

/* ---- All AORs ------------------------------------------------------------------------------ */

/* A page of the listing: SCAN for keys, then all that they hold in one go. SCAN may name a key
 * twice, and so may the listing. */
struct page {
    struct redis_store *r;
    struct arena *arena;
    size_t limit;
    store_listed_fn *done;
    void *arg;
    uint64_t cursor;
    unsigned scans;
    int error;
    struct store_aor *aors;
    size_t count, capacity, bindings;
    size_t under_way;
};

/* One key of a page. */
struct entry {
    struct page *page;
    struct str aor;
};

static void scan(struct page *p);

static void end_page(struct page *p)
{
    p->done(p->arg, p->error, p->error ? 0 : p->cursor, p->aors, p->error ? 0 : p->count);
}

static int add_aor(struct page *p, struct str aor, const struct redis_reply *reply)
{
    struct redis_content content;
    int rc = redis_read_content(p->r, reply, 0, p->r->now_ms, p->arena, &content);
    if (rc < 0 || content.count == 0)
        return rc;
    if (p->count == p->capacity) {
        size_t capacity = p->capacity ? 2 * p->capacity : 64;
        struct store_aor *bigger = arena_alloc(p->arena, capacity * sizeof *bigger);
        if (!bigger)
            return -ENOMEM;
        if (p->count > 0)
            memcpy(bigger, p->aors, p->count * sizeof *bigger);
        p->aors = bigger;
        p->capacity = capacity;
    }
    know_own(p->r, aor, &content);
    p->aors[p->count++] = (struct store_aor){aor, content.bindings, content.count};
    p->bindings += content.count;
    return 0;
}

static void end_scan(struct page *p)
{
    if (p->error || p->cursor == 0 || p->bindings >= p->limit || p->scans >= SCANS_A_PAGE)
        end_page(p);
    else
        scan(p);
}

static void on_entry(void *arg, const struct redis_reply *reply)
{
    struct entry *e = arg;
    struct page *p = e->page;
    if (!reply)
        p->error = -EAGAIN;
    else if (is_right_type(p->r, reply) && p->error == 0) /* other keys may begin alike */
        p->error = add_aor(p, e->aor, reply);
    if (--p->under_way == 0)
        end_scan(p);
}

static int ask_for(struct page *p, struct str key)
{
    size_t prefix = strlen(p->r->cluster->config->redis_prefix);
    struct entry *e = arena_alloc(p->arena, sizeof *e);
    struct str copy = e ? arena_copy(p->arena, key) : STR_NONE;
    if (!copy.ptr)
        return -ENOMEM;
    *e = (struct entry){p, str_slice(copy, prefix, copy.len)};
    int rc = send_get(p->r, copy, on_entry, e);
    if (rc == 0)
        p->under_way++;
    return rc == 0 || rc == -ENOMEM ? rc : -EAGAIN;
}

static void on_scanned(void *arg, const struct redis_reply *reply)
{
    struct page *p = arg;
    bool is_right =
        reply && redis_reply_type(reply) == REDIS_TYPE_ARRAY && redis_reply_count(reply) == 2 &&
        str_to_u64(redis_reply_text(redis_reply_item(reply, 0)), UINT64_MAX, &p->cursor) == 0;
    if (!is_right) {
        p->error = -EAGAIN;
        end_page(p);
        return;
    }
    const struct redis_reply *keys = redis_reply_item(reply, 1);
    p->under_way = 1; /* of this loop itself */
    for (size_t i = 0; i < redis_reply_count(keys) && p->error == 0; i++) {
        struct str key = redis_reply_text(redis_reply_item(keys, i));
        if (key.len <= MOST_AOR_BYTES && str_find(key, '@') < key.len)
            p->error = ask_for(p, key);
    }
    if (--p->under_way == 0)
        end_scan(p);
}

static void scan(struct page *p)
{
    char cursor[24], count[24], pattern[80];
    size_t missing = p->limit - p->bindings;
    snprintf(cursor, sizeof cursor, "%llu", (unsigned long long)p->cursor);
    snprintf(count, sizeof count, "%zu", missing < 1000 ? missing + 1 : 1000);
    snprintf(pattern, sizeof pattern, "%s*", p->r->cluster->config->redis_prefix);
    const struct str args[] = {STR("SCAN"),       str_from(cursor), STR("MATCH"),
                               str_from(pattern), STR("COUNT"),     str_from(count)};
    p->scans++;
    if (redis_client_send(p->r->client, args, 6, on_scanned, p) == 0)
        return;
    p->error = -EAGAIN;
    end_page(p);
}

void redis_list(struct store *s, uint64_t cursor, size_t limit, struct arena *arena,
                store_listed_fn *done, void *arg)
{
    struct page *p = arena_alloc(arena, sizeof *p);
    if (!p) {
        done(arg, -ENOMEM, 0, NULL, 0);
        return;
    }
    *p = (struct page){.r = redis_store(s),
                       .arena = arena,
                       .limit = limit > 0 ? limit : 1,
                       .done = done,
                       .arg = arg,
                       .cursor = cursor};
    scan(p);
}
