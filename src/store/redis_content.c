/* Bindings as they stand in Redis: written by us, read by other nodes, by call servers, and perhaps
 * changed by people. So what is read is checked like anything else from the network: it ends up in
 * answers to clients. */
#include "store_redis_internal.h"
#include <aorta/binding_json.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>

enum { ID_TEXT = 16, MOST_TEXT = 8192 };

/* ---- Keys ---------------------------------------------------------------------------------- */

static struct str join(struct str a, struct str b, struct arena *arena)
{
    char *memory = arena_alloc(arena, a.len + b.len);
    if (!memory)
        return STR_NONE;
    memcpy(memory, a.ptr, a.len);
    memcpy(memory + a.len, b.ptr, b.len);
    return (struct str){memory, a.len + b.len};
}

struct str redis_aor_key(const struct redis_store *r, struct str aor, struct arena *arena)
{
    return join(str_from(r->cluster->config->redis_prefix), aor, arena);
}

struct str redis_realm_key(const struct redis_store *r, struct str aor, struct arena *arena)
{
    struct str realm = str_slice(aor, str_find(aor, '@') + 1, aor.len);
    return join(str_from(r->cluster->realm_prefix), realm, arena);
}

struct str redis_revision_key(const struct redis_store *r, struct str aor, struct arena *arena)
{
    return join(str_from(r->cluster->revision_prefix), aor, arena);
}

struct str redis_removed_key(const struct redis_store *r, struct str aor, struct arena *arena)
{
    return join(str_from(r->cluster->removed_prefix), aor, arena);
}

/* ---- Writing ------------------------------------------------------------------------------- */

/* What the predecessor's readers look for in its own layout: the hooks at the top. */
static void put_hook(struct buf *b, const cJSON *grant, const char *from, const char *to)
{
    const cJSON *hook = cJSON_GetObjectItemCaseSensitive(grant, from);
    char *text = hook ? cJSON_PrintUnformatted(hook) : NULL;
    if (text)
        buf_printf(b, ",\"%s\":%s", to, text);
    cJSON_free(text);
}

static void put_hooks(struct buf *b, struct str grant_text)
{
    cJSON *grant = cJSON_ParseWithLength(grant_text.ptr, grant_text.len);
    put_hook(b, grant, "call_hook", "callHook");
    put_hook(b, grant, "call_status_hook", "callStatusHook");
    cJSON_Delete(grant);
}

void redis_put_binding(const struct redis_store *r, struct buf *b, const struct binding *binding)
{
    const struct redis_cluster *c = r->cluster;
    const struct binding_json_context ctx = {
        .sbc_address = str_from(c->sbc_address),
        .node = str_from(c->config->node),
    };
    buf_put_char(b, '{');
    binding_put_members(b, binding, &ctx);
    buf_put_text(b, ",\"epoch\":\"");
    buf_put_text(b, c->epoch);
    buf_put_text(b, "\",\"refreshedTime\":");
    buf_put_u64(b, binding->refreshed_ms);
    buf_put_text(b, binding->is_outbound ? ",\"outbound\":true" : ",\"outbound\":false");
    if (redis_is_jambonz(r)) {
        if (!str_is_empty(binding->grant))
            put_hooks(b, binding->grant);
        buf_printf(b, ",\"id\":\"%016llx\"", (unsigned long long)redis_binding_id(binding));
    }
    buf_put_char(b, '}');
}

/* ---- Reading one binding ------------------------------------------------------------------- */

static bool read_hex(struct str text, uint64_t *out)
{
    if (text.len == 0 || text.len > ID_TEXT)
        return false;
    uint64_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool is_digit = c >= '0' && c <= '9', is_letter = c >= 'a' && c <= 'f';
        if (!is_digit && !is_letter)
            return false;
        n = n << 4 | (uint64_t)(is_digit ? c - '0' : c - 'a' + 10);
    }
    *out = n;
    return true;
}

uint64_t redis_read_revision(struct str text)
{
    uint64_t revision = 0;
    return read_hex(text, &revision) ? revision : 0;
}

/* A member that is a string of harmless length; empty when it is not there or is something else. */
static struct str text_of(const cJSON *json, const char *name)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(json, name);
    struct str text = cJSON_IsString(member) ? str_from(member->valuestring) : STR_NONE;
    return text.len <= MOST_TEXT ? text : STR_NONE;
}

/* A whole number from 0 to `max`. */
static bool read_number(const cJSON *json, const char *name, uint64_t max, uint64_t *out)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(json, name);
    if (!cJSON_IsNumber(member) || !(member->valuedouble >= 0) ||
        !(member->valuedouble <= (double)max))
        return false;
    *out = (uint64_t)member->valuedouble;
    return (double)*out == member->valuedouble;
}

static bool is_true(const cJSON *json, const char *name)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, name));
}

/* "sip:192.0.2.1:5060", "sip:[2001:db8::1]:5060" */
static bool read_proxy(struct str text, struct net_address *out)
{
    if (!str_starts_nocase(text, STR("sip:")))
        return false;
    text = str_slice(text, strlen("sip:"), text.len);
    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    uint64_t port;
    return colon > 0 && str_to_u64(str_slice(text, colon, text.len), UINT16_MAX, &port) == 0 &&
           net_address_parse(out, str_slice(text, 0, colon - 1), (uint16_t)port) == 0;
}

/* "1.2f.7", as it is logged; 0 for null. */
static conn_id read_flow(struct str text)
{
    uint64_t part[3] = {0};
    struct str piece;
    for (size_t i = 0; i < 3; i++)
        if (!str_split(&text, '.', &piece) || !read_hex(piece, &part[i]))
            return 0;
    if (part[0] > UINT8_MAX || part[1] > 0xffffff || part[2] > UINT32_MAX)
        return 0;
    return conn_id_make((uint8_t)part[0], (uint32_t)part[1], (uint32_t)part[2]);
}

/* What may stand between the quotes of a quoted string (RFC 3261 25.1), in ASCII: its end would let
 * the rest become parameters of their own in answers. */
static bool is_quotable(struct str inner)
{
    for (size_t i = 0; i < inner.len; i++) {
        bool is_escaped = inner.ptr[i] == '\\';
        i += is_escaped;
        if (i == inner.len || inner.ptr[i] < ' ' || inner.ptr[i] > '~' ||
            (inner.ptr[i] == '"' && !is_escaped))
            return false;
    }
    return true;
}

/* With its quotes again, as it was registered. */
static int read_instance(const cJSON *json, struct arena *arena, struct str *out)
{
    struct str inner = text_of(json, "instance");
    *out = STR_NONE;
    if (inner.len == 0 || !is_quotable(inner))
        return 0;
    char *memory = arena_alloc(arena, inner.len + 2);
    if (!memory)
        return -ENOMEM;
    memory[0] = memory[inner.len + 1] = '"';
    memcpy(memory + 1, inner.ptr, inner.len);
    *out = (struct str){memory, inner.len + 2};
    return 0;
}

static int read_path(const cJSON *json, struct arena *arena, struct str *out)
{
    struct buf b;
    const cJSON *value;
    buf_init_heap(&b, MOST_TEXT);
    cJSON_ArrayForEach(value, cJSON_GetObjectItemCaseSensitive(json, "path"))
    {
        if (!cJSON_IsString(value))
            continue;
        buf_put_text(&b, b.len > 0 ? ", " : "");
        buf_put_text(&b, value->valuestring);
    }
    *out = b.len > 0 && !b.error ? arena_copy(arena, buf_str(&b)) : STR_NONE;
    bool is_lost = b.len > 0 && !b.error && !out->ptr;
    buf_fini(&b);
    return is_lost ? -ENOMEM : 0;
}

static int read_grant(const cJSON *json, struct arena *arena, struct str *out)
{
    const cJSON *grant = cJSON_GetObjectItemCaseSensitive(json, "grant");
    *out = STR_NONE;
    if (!cJSON_IsObject(grant))
        return 0;
    char *text = cJSON_PrintUnformatted(grant);
    if (!text)
        return -ENOMEM;
    *out = arena_copy(arena, str_from(text));
    cJSON_free(text);
    return out->ptr ? 0 : -ENOMEM;
}

/* What must be right for a binding to be one at all. */
static bool read_essentials(const cJSON *json, struct binding *b)
{
    struct sip_uri uri;
    return transport_kind_parse(text_of(json, "protocol"), &b->protocol) == 0 &&
           sip_uri_parse(text_of(json, "contact"), &uri) == SIP_URI_OK &&
           read_proxy(text_of(json, "proxy"), &b->source) &&
           read_number(json, "expiryTime", UINT64_C(1) << 52, &b->expires_ms) &&
           read_number(json, "refreshedTime", UINT64_C(1) << 52, &b->refreshed_ms);
}

static void read_numbers(const cJSON *json, struct binding *b)
{
    uint64_t n;
    const cJSON *q = cJSON_GetObjectItemCaseSensitive(json, "q");
    bool is_q = cJSON_IsNumber(q) && q->valuedouble >= 0 && q->valuedouble <= 1;
    b->q_milli = is_q ? (int32_t)(q->valuedouble * 1000 + 0.5) : -1;
    b->cseq = read_number(json, "cseq", UINT32_MAX, &n) ? (uint32_t)n : 0;
    b->reg_id = read_number(json, "regId", UINT32_MAX, &n) ? (uint32_t)n : 0;
}

static int read_texts(const cJSON *json, struct arena *arena, struct binding *b)
{
    const struct {
        const char *name;
        struct str *into;
    } row[] = {
        {"contact",    &b->contact    },
        {"callId",     &b->call_id    },
        {"userAgent",  &b->user_agent },
        {"node",       &b->node       },
        {"sbcAddress", &b->sbc_address},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        *row[i].into = arena_copy(arena, text_of(json, row[i].name));
        if (!row[i].into->ptr)
            return -ENOMEM;
    }
    int rc = read_instance(json, arena, &b->instance);
    if (rc == 0)
        rc = read_path(json, arena, &b->path);
    return rc == 0 ? read_grant(json, arena, &b->grant) : rc;
}

/* 1: a binding; 0: none; -ENOMEM. */
static int read_binding(const cJSON *json, struct arena *arena, struct binding *b)
{
    *b = (struct binding){0};
    if (!cJSON_IsObject(json) || !read_essentials(json, b))
        return 0;
    read_numbers(json, b);
    b->is_nat = is_true(json, "nat");
    b->is_outbound = is_true(json, "outbound");
    b->conn = read_flow(text_of(json, "flow"));
    b->is_flow_dead = transport_kind_is_stream(b->protocol) && b->conn == 0;
    int rc = read_texts(json, arena, b);
    return rc < 0 ? rc : 1;
}

/* ---- Reading a key ------------------------------------------------------------------------- */

struct reading {
    uint64_t grace_ms, now_ms;
    struct arena *arena;
    struct redis_content *out;
};

static int take_json(struct reading *rd, uint64_t id, const cJSON *json)
{
    struct redis_content *out = rd->out;
    struct binding *b = &out->bindings[out->count];
    int rc = read_binding(json, rd->arena, b);
    if (rc <= 0)
        return rc;
    if (b->expires_ms + rd->grace_ms <= rd->now_ms)
        out->stale[out->stale_count++] = id;
    else
        out->ids[out->count++] = id;
    return 0;
}

static int take_hash_field(struct reading *rd, struct str name, struct str value)
{
    static const struct str prefix = STR("binding:");
    uint64_t id;
    if (!str_starts_nocase(name, prefix) || !read_hex(str_slice(name, prefix.len, name.len), &id))
        return 0;
    cJSON *json = cJSON_ParseWithLength(value.ptr, value.len);
    int rc = take_json(rd, id, json);
    cJSON_Delete(json);
    return rc;
}

static int take_string(struct reading *rd, struct str value)
{
    uint64_t id = 0;
    cJSON *json = cJSON_ParseWithLength(value.ptr, value.len);
    int rc = read_hex(text_of(json, "id"), &id) ? take_json(rd, id, json) : 0;
    cJSON_Delete(json);
    return rc;
}

static void swap(struct redis_content *c, size_t i, size_t k)
{
    struct binding b = c->bindings[i];
    uint64_t id = c->ids[i];
    c->bindings[i] = c->bindings[k];
    c->ids[i] = c->ids[k];
    c->bindings[k] = b;
    c->ids[k] = id;
}

/* Newest first. There are as many as registrar.maxContacts. */
static void sort(struct redis_content *c)
{
    for (size_t i = 1; i < c->count; i++)
        for (size_t k = i; k > 0 && c->bindings[k].refreshed_ms > c->bindings[k - 1].refreshed_ms;
             k--)
            swap(c, k, k - 1);
}

static int allocate(struct reading *rd, size_t most)
{
    struct redis_content *out = rd->out;
    *out = (struct redis_content){
        .bindings = arena_alloc(rd->arena, most * sizeof *out->bindings),
        .ids = arena_alloc(rd->arena, most * sizeof *out->ids),
        .stale = arena_alloc(rd->arena, most * sizeof *out->stale),
    };
    return out->bindings && out->ids && out->stale ? 0 : -ENOMEM;
}

static const struct redis_reply *item(const struct redis_reply *reply, size_t i)
{
    return redis_reply_type(reply) == REDIS_TYPE_ARRAY ? redis_reply_item(reply, i) : reply;
}

int redis_read_content(const struct redis_store *r, const struct redis_reply *reply, size_t first,
                       uint64_t now_ms, struct arena *arena, struct redis_content *out)
{
    bool is_array = redis_reply_type(reply) == REDIS_TYPE_ARRAY;
    size_t items = is_array ? redis_reply_count(reply) : 1;
    struct reading rd = {r->aors->grace_ms, now_ms, arena, out};
    int rc = allocate(&rd, items);
    if (redis_is_jambonz(r)) {
        if (rc == 0 && first < items)
            rc = take_string(&rd, redis_reply_text(item(reply, first)));
        return rc;
    }
    for (size_t i = first; rc == 0 && i + 1 < items; i += 2)
        rc = take_hash_field(&rd, redis_reply_text(item(reply, i)),
                             redis_reply_text(item(reply, i + 1)));
    sort(out);
    return rc;
}
