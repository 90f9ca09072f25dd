#include "web_internal.h"
#include <aorta/binding_json.h>
#include <aorta/clock.h>
#include <errno.h>
#include <stdlib.h>

enum {
    DEFAULT_LIMIT = 100,
    MAX_LIMIT = 1000,
    PARAM_BYTES = 512,
    AOR_BYTES = 3 * PARAM_BYTES, /* escapes may make it so much longer */
    ARENA_FIRST_BYTES = 64 << 10,
    ARENA_MAX_BYTES = 64 << 20,
    PAGES_A_REQUEST = 64, /* looked through for one answer; its cursor goes on from there */
};

struct listing {
    struct buf *b;
    struct binding_json_context ctx;
    struct str realm; /* only these; empty: all */
    size_t count;
};

static bool is_in_realm(struct str aor, struct str realm)
{
    struct str host = str_slice(aor, str_find(aor, '@') + 1, aor.len);
    return realm.len == 0 || str_eq_nocase(host, realm);
}

static void put_aor(void *arg, struct str aor, const struct binding *bindings, size_t count)
{
    struct listing *listing = arg;
    if (!is_in_realm(aor, listing->realm))
        return;
    for (size_t i = 0; i < count; i++) {
        if (listing->count++ > 0)
            buf_put_char(listing->b, ',');
        binding_put_json(listing->b, aor, &bindings[i], &listing->ctx);
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int decode(struct str text, char *memory, size_t max, struct str *out)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex_value(text.ptr[i + 1]) : -1;
            int low = high >= 0 ? hex_value(text.ptr[i + 2]) : -1;
            if (low < 0)
                return -EINVAL;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (n == max)
            return -EINVAL;
        memory[n++] = c;
    }
    *out = (struct str){memory, n};
    return 0;
}

int web_query_param(struct str query, const char *name, char *memory, size_t max, struct str *out)
{
    *out = STR_NONE;
    struct str pair;
    while (str_split(&query, '&', &pair)) {
        size_t equals = str_find(pair, '=');
        if (str_eq(str_slice(pair, 0, equals), str_from(name)))
            return decode(str_slice(pair, equals + 1, pair.len), memory, max, out);
    }
    return 0;
}

struct list_query {
    char realm_memory[PARAM_BYTES], aor_memory[PARAM_BYTES];
    char number_memory[2][24];
    struct str realm, aor;
    uint64_t limit, cursor;
};

static int read_number(struct str query, const char *name, char memory[24], uint64_t min,
                       uint64_t max, uint64_t *value)
{
    struct str text;
    int rc = web_query_param(query, name, memory, 24, &text);
    if (rc < 0 || !text.ptr)
        return rc;
    rc = str_to_u64(text, max, value);
    return rc == 0 && *value < min ? -ERANGE : rc;
}

/* NULL, or what is wrong with the query. */
static const char *read_query(struct str text, struct list_query *q)
{
    q->limit = DEFAULT_LIMIT;
    q->cursor = 0;
    if (web_query_param(text, "realm", q->realm_memory, PARAM_BYTES, &q->realm) < 0)
        return "realm is badly escaped or too long";
    if (web_query_param(text, "aor", q->aor_memory, PARAM_BYTES, &q->aor) < 0)
        return "aor is badly escaped or too long";
    if (read_number(text, "limit", q->number_memory[0], 1, MAX_LIMIT, &q->limit) < 0)
        return "limit must be a number from 1 to 1000";
    if (read_number(text, "cursor", q->number_memory[1], 1, UINT64_MAX, &q->cursor) < 0)
        return "cursor must be the one of the page before";
    return NULL;
}

/* The AOR as it is stored, whether it was asked for as alice@Example.com or sip:alice@example.com.
 * As it came when it is none: then it is not found either. */
static struct str canonical_aor(struct str text, struct arena *arena)
{
    struct str uri_text = text;
    if (!str_starts_nocase(text, STR("sip:")) && !str_starts_nocase(text, STR("sips:"))) {
        char *memory = arena_alloc(arena, text.len + 4);
        if (!memory)
            return text;
        memcpy(memory, "sip:", 4);
        memcpy(memory + 4, text.ptr, text.len);
        uri_text = (struct str){memory, text.len + 4};
    }
    struct sip_uri uri;
    struct buf b;
    char *memory = arena_alloc(arena, AOR_BYTES);
    if (!memory || sip_uri_parse(uri_text, &uri) != SIP_URI_OK)
        return text;
    buf_init_fixed(&b, memory, AOR_BYTES);
    return sip_uri_write_aor(&uri, &b) == 0 && !b.error ? buf_str(&b) : text;
}

static int list_pages(struct web *web, struct list_query *q, struct arena *arena,
                      struct listing *listing)
{
    struct store *store = web->info.store;
    for (int page = 0; page < PAGES_A_REQUEST && listing->count < q->limit; page++) {
        int rc =
            store->ops->list(store, &q->cursor, q->limit - listing->count, arena, put_aor, listing);
        if (rc < 0 || q->cursor == 0)
            return rc;
        arena_reset(arena);
    }
    return 0;
}

static int put_listing(struct web *web, struct list_query *q, struct buf *b)
{
    struct arena arena;
    if (arena_init(&arena, ARENA_FIRST_BYTES, ARENA_MAX_BYTES) < 0)
        return -ENOMEM;
    struct listing listing = {
        .b = b,
        .ctx = {str_from(web->sbc_address), str_from(web->info.config->node), clock_now_ms()},
        .realm = q->realm,
    };
    int rc = 0;
    buf_put_text(b, "{\"registrations\":[");
    if (q->aor.ptr) {
        web->info.store->ops->find(web->info.store, canonical_aor(q->aor, &arena), &arena, put_aor,
                                   &listing);
        q->cursor = 0;
    } else {
        rc = list_pages(web, q, &arena, &listing);
    }
    if (q->cursor)
        buf_printf(b, "],\"cursor\":\"%llu\"}", (unsigned long long)q->cursor);
    else
        buf_put_text(b, "],\"cursor\":null}");
    arena_fini(&arena);
    return rc;
}

void web_list_registrations(struct web *web, const struct http_request *request,
                            struct http_reply *reply)
{
    struct list_query q;
    const char *wrong = read_query(request->query, &q);
    if (wrong) {
        web_put_error(reply, 400, "bad_query", wrong);
        return;
    }
    if (put_listing(web, &q, &reply->body) < 0 || reply->body.error) {
        buf_clear(&reply->body);
        web_put_error(reply, 503, "unavailable",
                      "no memory for so much now: ask with a lower limit");
        return;
    }
    reply->status = 200;
    reply->content_type = "application/json";
}
