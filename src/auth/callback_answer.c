#include "callback_internal.h"
#include "hex_internal.h"
#include <aorta/json_text.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <mbedtls_compat.h>

enum { MAX_TTL_S = 86400 };
#define MAX_WHOLE (INT64_C(1) << 53) /* up to here a double tells whole numbers apart */

struct reading {
    struct str text; /* the body, which is JSON */
    const struct cJSON *root;
    struct arena *arena;
    struct callback_answer *out;
};

/* ---- Whether there is an answer at all ----------------------------------------------------- */

static void say_nothing(struct callback_answer *out, bool is_outage, const char *cause)
{
    out->said = CALLBACK_SAID_NOTHING;
    out->is_outage = is_outage;
    out->cause = cause;
}

static void read_error(int error, struct callback_answer *out)
{
    static const struct {
        int error;
        bool is_outage;
        const char *cause;
    } row[] = {
        {-ETIMEDOUT,    true,  "the callback did not answer in time"   },
        {-ECONNREFUSED, true,  "the callback refuses connections"      },
        {-EMSGSIZE,     true,  "the answer of the callback is too long"},
        {-ENOBUFS,      false, "too many wait for the callback"        },
        {-ECANCELED,    false, "the callback is no longer waited for"  },
        {-ENOMEM,       false, "out of memory"                         },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (row[i].error == error) {
            say_nothing(out, row[i].is_outage, row[i].cause);
            return;
        }
    say_nothing(out, true, "the callback cannot be reached");
}

/* ---- Single members ------------------------------------------------------------------------ */

static const struct cJSON *member(const struct reading *r, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(r->root, name);
}

static bool read_whole(const struct cJSON *item, int64_t *out)
{
    if (!cJSON_IsNumber(item))
        return false;
    double value = item->valuedouble;
    if (value >= (double)MAX_WHOLE || value <= (double)-MAX_WHOLE) {
        *out = value > 0 ? MAX_WHOLE : -MAX_WHOLE;
        return true;
    }
    *out = (int64_t)value;
    return (double)*out == value;
}

/* A positive whole number, at most `max`; 0 when there is none. */
static uint32_t read_seconds(struct reading *r, const char *name, uint32_t max,
                             enum callback_odd odd)
{
    const struct cJSON *item = member(r, name);
    int64_t value;
    if (!item)
        return 0;
    if (!read_whole(item, &value) || value <= 0) {
        r->out->odd |= odd;
        return 0;
    }
    return value > max ? max : (uint32_t)value;
}

static int64_t read_ban(struct reading *r, const char *name)
{
    const struct cJSON *item = member(r, name);
    int64_t value;
    if (!item)
        return 0;
    if (!read_whole(item, &value) || value < AUTH_BAN_FOR_EVER) {
        r->out->odd |= ODD_BLACKLIST;
        return 0;
    }
    return value > UINT32_MAX ? UINT32_MAX : value;
}

static int64_t longer_ban(int64_t a, int64_t b)
{
    if (a == AUTH_BAN_FOR_EVER || b == AUTH_BAN_FOR_EVER)
        return AUTH_BAN_FOR_EVER;
    return a > b ? a : b;
}

static int read_message(struct reading *r)
{
    const struct cJSON *item = member(r, "msg");
    if (!item)
        return 0;
    if (!cJSON_IsString(item)) {
        r->out->odd |= ODD_MSG;
        return 0;
    }
    struct str text = str_from(item->valuestring);
    size_t n = text.len;
    if (n > AUTH_MESSAGE_BYTES)
        for (n = AUTH_MESSAGE_BYTES; ((uint8_t)text.ptr[n] & 0xc0) == 0x80;)
            n--; /* not in the middle of a character */
    r->out->message = arena_copy(r->arena, str_slice(text, 0, n));
    return r->out->message.ptr ? 0 : -ENOMEM;
}

/* ---- HA1s ---------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum digest_algorithm algorithm;
} ha1_members[] = {
    {"ha1",            DIGEST_MD5        },
    {"ha1-sha256",     DIGEST_SHA_256    },
    {"ha1-sha512-256", DIGEST_SHA_512_256},
};

static void read_ha1s(struct reading *r)
{
    struct kept_answer *kept = &r->out->kept;
    for (size_t i = 0; i < sizeof ha1_members / sizeof *ha1_members; i++) {
        const struct cJSON *item = member(r, ha1_members[i].name);
        enum digest_algorithm algorithm = ha1_members[i].algorithm;
        if (!item)
            continue;
        if (cJSON_IsString(item) &&
            hex_read(str_from(item->valuestring), digest_ha1_of(&kept->ha1s, algorithm),
                     digest_size(algorithm)))
            kept->algorithms |= 1u << algorithm;
        else
            r->out->odd |= ODD_HA1;
    }
    if (kept->algorithms == 0)
        return;
    r->out->ttl_s = read_seconds(r, "ttl", MAX_TTL_S, ODD_TTL);
    if (!member(r, "ttl"))
        r->out->odd |= ODD_TTL;
    if (r->out->ttl_s == 0)
        kept->algorithms = 0;
}

/* They are worth as much as passwords: none stays on the heap. */
static void wipe_ha1s(struct cJSON *root)
{
    for (size_t i = 0; i < sizeof ha1_members / sizeof *ha1_members; i++) {
        struct cJSON *item = cJSON_GetObjectItemCaseSensitive(root, ha1_members[i].name);
        if (cJSON_IsString(item))
            mbedtls_platform_zeroize(item->valuestring, strlen(item->valuestring));
    }
}

/* ---- The grant ----------------------------------------------------------------------------- */

static bool is_known(const char *name)
{
    static const char *const known[] = {"status", "msg", "expires",    "blacklist",     "blaclist",
                                        "ttl",    "ha1", "ha1-sha256", "ha1-sha512-256"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i]) == 0)
            return true;
    return false;
}

/* Behind the string that starts at `at`. */
static size_t skip_string(struct str text, size_t at)
{
    for (at++; text.ptr[at] != '"'; at++)
        if (text.ptr[at] == '\\')
            at++;
    return at + 1;
}

/* The next `"name":value` of the object, byte for byte but for the white space around its tokens,
 * goes to `b`, which may be NULL. *at is behind the object's '{', or where this function left it.
 * Numbers keep all their digits that way. */
static void take_member(struct str text, size_t *at, struct buf *b)
{
    unsigned depth = 0;
    size_t i = *at;
    for (; depth > 0 || (text.ptr[i] != ',' && text.ptr[i] != '}'); i++) {
        char c = text.ptr[i];
        size_t end = c == '"' ? skip_string(text, i) : i + 1;
        bool is_blank = c == ' ' || c == '\t' || c == '\r' || c == '\n';
        if (b && !is_blank)
            buf_put(b, text.ptr + i, end - i);
        if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']')
            depth--;
        i = end - 1;
    }
    *at = i + 1;
}

/* All members that mean something to others, as one object. */
static int read_grant(struct reading *r)
{
    char memory[AUTH_GRANT_BYTES];
    struct buf b;
    size_t at = str_find(r->text, '{') + 1;
    buf_init_fixed(&b, memory, sizeof memory);
    for (const struct cJSON *item = r->root->child; item; item = item->next) {
        bool is_ours = is_known(item->string);
        if (!is_ours)
            buf_put_char(&b, b.len == 0 ? '{' : ',');
        take_member(r->text, &at, is_ours ? NULL : &b);
    }
    if (b.len == 0)
        return 0;
    buf_put_char(&b, '}');
    if (b.error) {
        r->out->odd |= ODD_GRANT;
        return 0;
    }
    r->out->kept.grant = arena_copy(r->arena, buf_str(&b));
    return r->out->kept.grant.ptr ? 0 : -ENOMEM;
}

/* ---- The whole ----------------------------------------------------------------------------- */

static int read_ok(struct reading *r)
{
    r->out->said = CALLBACK_SAID_OK;
    r->out->cause = "authenticated";
    r->out->kept.expires_limit_s = read_seconds(r, "expires", UINT32_MAX, ODD_EXPIRES);
    read_ha1s(r);
    return read_grant(r);
}

static void read_no(struct reading *r)
{
    r->out->said = CALLBACK_SAID_NO;
    r->out->cause = "the callback refuses";
    r->out->ban_s = longer_ban(read_ban(r, "blacklist"), read_ban(r, "blaclist"));
}

static void read_object(struct reading *r)
{
    const struct cJSON *status = member(r, "status");
    if (!cJSON_IsString(status)) {
        say_nothing(r->out, true, "the answer of the callback has no status");
        return;
    }
    int rc = read_message(r);
    if (str_eq_nocase(str_from(status->valuestring), STR("ok")))
        rc = rc < 0 ? rc : read_ok(r);
    else
        read_no(r);
    if (rc < 0)
        read_error(rc, r->out);
}

static void read_body(struct str body, struct arena *arena, struct callback_answer *out)
{
    if (str_eq(body, STR("{\"status\":\"ok\"}"))) { /* what is said most of the time */
        out->said = CALLBACK_SAID_OK;
        out->cause = "authenticated";
        return;
    }
    struct json_position where;
    const char *what;
    struct cJSON *root = json_text_parse(body, &where, &what);
    struct reading r = {body, root, arena, out};
    if (cJSON_IsObject(root))
        read_object(&r);
    else
        say_nothing(out, true, "the answer of the callback is no JSON object");
    wipe_ha1s(root);
    cJSON_Delete(root);
}

void callback_read_answer(const struct http_answer *http, struct arena *arena,
                          struct callback_answer *out)
{
    memset(out, 0, sizeof *out);
    if (http->error != 0)
        read_error(http->error, out);
    else if (http->status >= 300 && http->status < 400)
        say_nothing(out, true, "the callback answers with a redirect");
    else if (http->status != 200)
        say_nothing(out, true, "the callback answers with another status than 200");
    else
        read_body(http->body, arena, out);
}

void callback_put_odd(struct buf *b, unsigned odd)
{
    static const char *const names[] = {"expires", "blacklist", "msg", "ha1", "ttl", "grant"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (odd & 1u << i)
            buf_printf(b, "%s%s", b->len > 0 ? ", " : "", names[i]);
}
