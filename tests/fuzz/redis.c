#include "redis.h"
#include "fuzz.h"
#include "net/redis_internal.h"
#include "store/store_redis_internal.h"
#include <aorta/binding_json.h>
#include <cjson/cJSON.h>

enum { NOW_MS = 1000000, GRACE_MS = 10000 };

static char prefix[] = "user:", node[] = "node", address[] = "192.0.2.9:5060";
static struct config config = {.redis_prefix = prefix, .node = node};
static struct redis_cluster cluster = {.config = &config, .sbc_address = address};

/* ---- Answers -------------------------------------------------------------------------------- */

struct server {
    redisAsyncContext context;
    redisCallback asked;
    struct redis_reply_builder builder;
};

static void open_server(struct server *s)
{
    memset(s, 0, sizeof *s);
    s->context.c.reader = redisReaderCreate();
    s->context.replies.head = &s->asked; /* something always waits for an answer */
    FUZZ_CHECK(s->context.c.reader && redis_reply_builder_init(&s->builder, &s->context) == 0);
}

static void close_server(struct server *s)
{
    redisReaderFree(s->context.c.reader);
    redis_reply_builder_fini(&s->builder);
}

/* ---- One binding ---------------------------------------------------------------------------- */

/* One quoted string and nothing behind it. */
static bool is_quoted(struct str text)
{
    size_t i = 1;
    while (i < text.len && text.ptr[i] != '"')
        i += text.ptr[i] == '\\' ? 2 : 1;
    return text.len >= 2 && text.ptr[0] == '"' && i + 1 == text.len;
}

static void check_text(const struct binding *b)
{
    struct sip_uri uri;
    FUZZ_CHECK(sip_uri_parse(b->contact, &uri) == SIP_URI_OK);
    FUZZ_CHECK(b->instance.len == 0 || is_quoted(b->instance));
    FUZZ_CHECK(fuzz_is_one_line(b->instance));
    FUZZ_CHECK(b->q_milli >= -1 && b->q_milli <= 1000);
    const struct str text[] = {b->call_id, b->path, b->user_agent,
                               b->grant,   b->node, b->sbc_address};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        fuzz_touch(text[i]);
}

static void check_json(const struct binding *b)
{
    const struct binding_json_context ctx = {STR("h:5060"), STR("n"), NOW_MS};
    struct buf json;
    buf_init_heap(&json, 16 << 20);
    binding_put_json(&json, STR("a@h"), b, &ctx);
    FUZZ_CHECK(json.error == 0);
    cJSON *tree = cJSON_ParseWithLength(json.data, json.len);
    FUZZ_CHECK(cJSON_IsObject(tree));
    cJSON_Delete(tree);
    buf_fini(&json);
}

/* ---- What a key holds ----------------------------------------------------------------------- */

static void put_bulk(struct buf *b, struct str text)
{
    buf_printf(b, "$%zu\r\n", text.len);
    buf_put_str(b, text);
    buf_put_text(b, "\r\n");
}

/* What is no UTF-8 cannot be written as it is. */
static bool is_same_text(struct str a, struct str b)
{
    return str_eq(a, b) || !str_is_utf8(a);
}

static bool is_same(const struct binding *a, const struct binding *b)
{
    int32_t q_milli = a->q_milli < 0 ? 1000 : a->q_milli; /* as it is written */
    return str_eq(a->contact, b->contact) && str_eq(a->instance, b->instance) &&
           is_same_text(a->call_id, b->call_id) && is_same_text(a->user_agent, b->user_agent) &&
           a->reg_id == b->reg_id && a->cseq == b->cseq && q_milli == b->q_milli &&
           a->protocol == b->protocol && a->expires_ms == b->expires_ms &&
           a->refreshed_ms == b->refreshed_ms && a->is_nat == b->is_nat &&
           a->is_outbound == b->is_outbound && net_address_same(&a->source, &b->source) &&
           a->conn == b->conn;
}

static void check_again(const struct redis_store *store, const struct binding *b, uint64_t id)
{
    struct buf json, resp;
    struct server server;
    struct arena arena;
    struct redis_content again;
    void *reply = NULL;
    buf_init_heap(&json, 16 << 20);
    buf_init_heap(&resp, 32 << 20);
    redis_put_binding(store, &json, b);
    buf_printf(&resp, "*2\r\n$24\r\nbinding:%016llx\r\n", (unsigned long long)id);
    put_bulk(&resp, buf_str(&json));
    FUZZ_CHECK(json.error == 0 && resp.error == 0);
    open_server(&server);
    redisReaderFeed(server.context.c.reader, resp.data, resp.len);
    FUZZ_CHECK(redisReaderGetReply(server.context.c.reader, &reply) == REDIS_OK && reply);
    FUZZ_CHECK(arena_init(&arena, 4096, 64 << 20) == 0);
    FUZZ_CHECK(redis_read_content(store, reply, 0, NOW_MS, &arena, &again) == 0);
    FUZZ_CHECK(again.count == 1 && again.ids[0] == id && is_same(b, &again.bindings[0]));
    arena_fini(&arena);
    close_server(&server);
    buf_fini(&json);
    buf_fini(&resp);
}

static void check_content(struct redis_store *store, const struct redis_reply *reply)
{
    struct arena arena;
    struct redis_content content;
    FUZZ_CHECK(arena_init(&arena, 4096, 64 << 20) == 0);
    if (redis_read_content(store, reply, 0, NOW_MS, &arena, &content) == 0) {
        for (size_t i = 0; i < content.count; i++) {
            const struct binding *b = &content.bindings[i];
            FUZZ_CHECK(b->expires_ms + GRACE_MS > NOW_MS);
            FUZZ_CHECK(i == 0 || b[-1].refreshed_ms >= b->refreshed_ms);
            check_text(b);
            check_json(b);
            if (config.redis_layout == REDIS_LAYOUT_HASH)
                check_again(store, b, content.ids[i]);
        }
    }
    arena_fini(&arena);
}

void redis_try(struct str resp, size_t step, bool is_jambonz)
{
    struct redis_aors aors = {.grace_ms = GRACE_MS};
    struct redis_store store = {.cluster = &cluster, .aors = &aors};
    struct server server;
    config.redis_layout = is_jambonz ? REDIS_LAYOUT_JAMBONZ : REDIS_LAYOUT_HASH;
    open_server(&server);
    int rc = REDIS_OK;
    while (rc == REDIS_OK && resp.len > 0) {
        struct str piece = str_slice(resp, 0, step);
        resp = str_slice(resp, piece.len, resp.len);
        rc = redisReaderFeed(server.context.c.reader, piece.ptr, piece.len);
        void *reply = NULL;
        while (rc == REDIS_OK &&
               (rc = redisReaderGetReply(server.context.c.reader, &reply)) == REDIS_OK && reply) {
            check_content(&store, reply);
            reply = NULL;
        }
    }
    close_server(&server);
}
