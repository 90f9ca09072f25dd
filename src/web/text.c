/* What comes in requests: escapes, queries, JSON bodies. */
#include "web_internal.h"
#include <aorta/json_text.h>
#include <cjson/cJSON.h>
#include <errno.h>

enum { MESSAGE_BYTES = 256, SHOWN_BYTES = 60 };

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int web_decode(struct str text, char *memory, size_t max, struct str *out)
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
            return web_decode(str_slice(pair, equals + 1, pair.len), memory, max, out);
    }
    return 0;
}

/* ---- JSON bodies --------------------------------------------------------------------------- */

static void put_fault(struct http_reply *reply, const char *code, struct buf *message)
{
    buf_put_char(message, 0);
    web_put_error(reply, 400, code, message->data);
}

static bool is_one_of(const char *name, const char *const *members, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, members[i]) == 0)
            return true;
    return false;
}

static const char *find_stranger(const cJSON *object, const char *const *members, size_t count)
{
    for (const cJSON *item = object->child; item; item = item->next)
        if (!is_one_of(item->string, members, count))
            return item->string;
    return NULL;
}

cJSON *web_parse_body(const struct http_request *request, const char *const *members, size_t count,
                      struct http_reply *reply)
{
    char memory[MESSAGE_BYTES];
    struct buf message;
    buf_init_fixed(&message, memory, sizeof memory);
    struct json_position where;
    const char *what;
    cJSON *root = json_text_parse(request->body, &where, &what);
    if (!root && what == json_text_no_memory) {
        web_put_error(reply, 503, "unavailable", "no memory for it now");
        return NULL;
    }
    if (!root) {
        buf_printf(&message, "line %u, column %u: %s", where.line, where.column, what);
        put_fault(reply, "bad_json", &message);
        return NULL;
    }
    const char *stranger = cJSON_IsObject(root) ? find_stranger(root, members, count) : NULL;
    if (cJSON_IsObject(root) && !stranger)
        return root;
    if (stranger) {
        buf_printf(&message, "unknown member \"%.*s\"", SHOWN_BYTES, stranger);
        put_fault(reply, "unknown_member", &message);
    } else {
        web_put_error(reply, 400, "bad_json", "the body must be a JSON object");
    }
    cJSON_Delete(root);
    return NULL;
}

bool web_take_string(const cJSON *object, const char *name, struct str *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsString(item))
        return false;
    *out = str_from(item->valuestring);
    return true;
}
