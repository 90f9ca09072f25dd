#include "http_head.h"

static bool is_token_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_token_char(s.ptr[i]))
            return false;
    return s.len > 0;
}

static bool has_control_char(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (((unsigned char)s.ptr[i] < 0x20 && s.ptr[i] != '\t') || s.ptr[i] == 0x7f)
            return true;
    return false;
}

/* Is `word` one of a comma-separated list (RFC 9110 5.6.1)? */
static bool list_has(struct str list, struct str word)
{
    struct str item;
    while (str_split(&list, ',', &item))
        if (str_eq_nocase(str_trim(item), word))
            return true;
    return false;
}

/* What the lines say one by one, to be weighed up when all are read. */
struct seen {
    bool is_http_1_0;
    bool has_length;
    bool says_close, says_keep_alive, says_upgrade; /* Connection */
    bool names_websocket;                           /* Upgrade */
};

/* "GET /path?query HTTP/1.1" */
static int read_request_line(struct str line, struct http_head *out, struct seen *seen)
{
    struct str target;
    if (!str_split(&line, ' ', &out->method) || !str_split(&line, ' ', &target))
        return 400;
    if (!is_token(out->method) || target.len == 0 || target.ptr[0] != '/' ||
        has_control_char(target))
        return 400;
    seen->is_http_1_0 = str_eq(line, STR("HTTP/1.0"));
    if (!seen->is_http_1_0 && !str_eq(line, STR("HTTP/1.1")))
        return str_starts_nocase(line, STR("HTTP/")) ? 505 : 400;
    size_t query = str_find(target, '?');
    out->path = str_slice(target, 0, query);
    out->query = str_slice(target, query + 1, target.len);
    return 0;
}

static void read_connection(struct seen *seen, struct str value)
{
    seen->says_close |= list_has(value, STR("close"));
    seen->says_keep_alive |= list_has(value, STR("keep-alive"));
    seen->says_upgrade |= list_has(value, STR("upgrade"));
}

/* Two lengths that differ: whoever stands between us and the client may have taken the other one.
 */
static int read_length(struct seen *seen, struct str value, uint64_t *bytes)
{
    uint64_t length;
    if (str_to_u64(value, UINT64_MAX, &length) < 0 || (seen->has_length && length != *bytes))
        return 400;
    seen->has_length = true;
    *bytes = length;
    return 0;
}

static int read_header(struct str line, struct http_head *out, struct seen *seen)
{
    size_t colon = str_find(line, ':');
    struct str name = str_slice(line, 0, colon);
    struct str value = str_slice(line, colon + 1, line.len);
    if (colon == line.len || !is_token(name) || has_control_char(value))
        return 400;
    value = str_trim(value); /* not before: a CR or LF on its own may end a line for others */
    struct {
        struct str name;
        struct str *into;
    } const single[] = {
        {STR("Host"),                  &out->host             },
        {STR("Authorization"),         &out->authorization    },
        {STR("If-None-Match"),         &out->if_none_match    },
        {STR("Origin"),                &out->origin           },
        {STR("Content-Type"),          &out->content_type     },
        {STR("Sec-WebSocket-Key"),     &out->websocket_key    },
        {STR("Sec-WebSocket-Version"), &out->websocket_version},
    };
    for (size_t i = 0; i < sizeof single / sizeof *single; i++) {
        if (!str_eq_nocase(name, single[i].name))
            continue;
        if (single[i].into->ptr)
            return 400; /* twice: whichever we took, somebody before us may have taken the other */
        *single[i].into = value;
        return 0;
    }
    if (str_eq_nocase(name, STR("Sec-WebSocket-Protocol"))) {
        if (!list_has(out->websocket_protocols, STR("sip"))) /* the line that has it counts */
            out->websocket_protocols = value;
    } else if (str_eq_nocase(name, STR("Connection"))) {
        read_connection(seen, value);
    } else if (str_eq_nocase(name, STR("Upgrade"))) {
        seen->names_websocket |= list_has(value, STR("websocket"));
    } else if (str_eq_nocase(name, STR("Content-Length"))) {
        return read_length(seen, value, &out->body_bytes);
    } else if (str_eq_nocase(name, STR("Transfer-Encoding"))) {
        out->is_chunked = true;
    } else if (str_eq_nocase(name, STR("Expect"))) {
        out->expects_continue |= list_has(value, STR("100-continue"));
    }
    return 0;
}

static struct str next_line(struct str *rest)
{
    size_t end = 0;
    while (end + 1 < rest->len && !(rest->ptr[end] == '\r' && rest->ptr[end + 1] == '\n'))
        end++;
    struct str line = str_slice(*rest, 0, end);
    *rest = str_slice(*rest, end + 2, rest->len);
    return line;
}

static int weigh_up(struct http_head *out, const struct seen *seen)
{
    if (!seen->is_http_1_0 && !out->host.ptr)
        return 400; /* RFC 9112 3.2 */
    /* RFC 9112 9.3: close wins; HTTP/1.0 closes unless asked not to. */
    out->wants_close = seen->says_close || (seen->is_http_1_0 && !seen->says_keep_alive);
    /* RFC 9110 7.8 and 10.1.1: an HTTP/1.0 client knows of neither, its proxy passed them on. */
    out->is_upgrade = !seen->is_http_1_0 && seen->says_upgrade && seen->names_websocket;
    out->expects_continue &= !seen->is_http_1_0;
    return 0;
}

enum http_head_result http_head_read(struct str data, struct http_head *out, int *status)
{
    const char *end = data.len ? memmem(data.ptr, data.len, "\r\n\r\n", 4) : NULL;
    size_t head_bytes = end ? (size_t)(end - data.ptr) + 4 : data.len;
    if (head_bytes > HTTP_HEAD_MAX_BYTES) {
        *status = 431;
        return HTTP_HEAD_BAD;
    }
    if (!end)
        return HTTP_HEAD_MORE;
    *out = (struct http_head){.head_bytes = head_bytes};
    struct str rest = str_slice(data, 0, head_bytes - 2);
    struct seen seen = {0};
    *status = read_request_line(next_line(&rest), out, &seen);
    out->fields = rest;
    for (size_t lines = 0; *status == 0 && rest.len > 0; lines++)
        *status = lines == HTTP_HEAD_MAX_LINES ? 431 : read_header(next_line(&rest), out, &seen);
    if (*status == 0)
        *status = weigh_up(out, &seen);
    return *status == 0 ? HTTP_HEAD_OK : HTTP_HEAD_BAD;
}

/* A star stands for one or more characters: it admits the names below a domain, not the domain. */
static bool origin_matches(struct str pattern, struct str origin)
{
    if (str_eq(pattern, STR("*")))
        return true;
    size_t star = str_find(pattern, '*');
    if (star == pattern.len)
        return str_eq_nocase(pattern, origin);
    struct str before = str_slice(pattern, 0, star);
    struct str after = str_slice(pattern, star + 1, pattern.len);
    return origin.len > before.len + after.len && str_starts_nocase(origin, before) &&
           str_ends_nocase(origin, after);
}

static bool origin_is_allowed(const struct http_head *head, const struct config_list *origins)
{
    if (!head->origin.ptr)
        return true;
    for (size_t i = 0; i < origins->count; i++)
        if (origin_matches(str_from(origins->item[i]), head->origin))
            return true;
    return false;
}

/* A base64 text of 16 bytes: 22 characters and "==". */
static bool is_websocket_key(struct str key)
{
    return key.len == 24 && key.ptr[22] == '=' && key.ptr[23] == '=';
}

int http_head_check_upgrade(const struct http_head *head, const struct config_list *origins,
                            const char **why)
{
    if (!str_eq(head->method, STR("GET"))) {
        *why = "A WebSocket upgrade is a GET.";
        return 405;
    }
    if (head->is_chunked ||
        head->body_bytes > 0) { /* RFC 9110 7.8: it would come before the first frame */
        *why = "A WebSocket upgrade has no body.";
        return 400;
    }
    if (!str_eq(head->websocket_version, STR("13"))) {
        *why = "Sec-WebSocket-Version must be 13.";
        return 426;
    }
    if (!is_websocket_key(head->websocket_key)) {
        *why = "Sec-WebSocket-Key is missing or is not 16 bytes in base64.";
        return 400;
    }
    if (!list_has(head->websocket_protocols, STR("sip"))) {
        *why = "This is SIP over WebSocket (RFC 7118): ask for the subprotocol \"sip\".";
        return 400;
    }
    if (!origin_is_allowed(head, origins)) {
        *why = "Pages of this Origin may not connect here (ws.origins).";
        return 403;
    }
    return 101;
}
