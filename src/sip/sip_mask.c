/* SIP messages for people to read: without what would let a reader be somebody else. */
#include "sip_internal.h"

/* Headers with credentials, or with what they are made of. */
static const struct str masked_headers[] = {
    {"Authorization",             13},
    {"Proxy-Authorization",       19},
    {"WWW-Authenticate",          16},
    {"Proxy-Authenticate",        18},
    {"Authentication-Info",       19},
    {"Proxy-Authentication-Info", 25},
};

/* Their parameters that anybody may know. */
static const struct str open_params[] = {
    {"username",  8},
    {"realm",     5},
    {"uri",       3},
    {"algorithm", 9},
    {"qop",       3},
    {"nc",        2},
    {"stale",     5},
};

static bool is_one_of(struct str name, const struct str *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq_nocase(name, list[i]))
            return true;
    return false;
}

/* Of a header to be masked, where its name ends; else 0. Whoever forgets the colon is masked too.
 */
static size_t masked_name_end(struct str header)
{
    size_t end = sip_span(header, 0, SIP_TOKEN);
    bool is_masked = is_one_of(str_slice(header, 0, end), masked_headers,
                               sizeof masked_headers / sizeof *masked_headers);
    return is_masked ? end : 0;
}

static struct str value_behind(struct str header, size_t name_end)
{
    struct str value = str_trim(str_slice(header, name_end, header.len));
    bool has_colon = value.len > 0 && value.ptr[0] == ':';
    return has_colon ? str_trim(str_slice(value, 1, value.len)) : value;
}

/* Where the header that starts at `from` ends, its continuation lines and last line end included.
 */
static size_t header_end(struct str message, size_t from)
{
    size_t i = from;
    while (i < message.len) {
        while (i < message.len && message.ptr[i] != '\n')
            i++;
        if (i < message.len)
            i++;
        if (i == message.len || (message.ptr[i] != ' ' && message.ptr[i] != '\t'))
            break;
    }
    return i;
}

/* End of the parameter that starts at `from`: the comma outside of quotes. False when a quote never
 * ends. */
static bool find_param_end(struct str params, size_t from, size_t *end)
{
    bool is_quoted = false;
    size_t i = from;
    for (; i < params.len; i++) {
        char c = params.ptr[i];
        if (is_quoted && c == '\\')
            i++;
        else if (c == '"')
            is_quoted = !is_quoted;
        else if (c == ',' && !is_quoted)
            break;
    }
    *end = i < params.len ? i : params.len;
    return !is_quoted;
}

static void put_param(struct buf *b, struct str param)
{
    size_t equals = str_find(param, '=');
    struct str name = str_trim(str_slice(param, 0, equals));
    if (equals < param.len &&
        is_one_of(name, open_params, sizeof open_params / sizeof *open_params)) {
        buf_put_str(b, param);
        return;
    }
    if (equals < param.len && sip_is_all(name, SIP_TOKEN)) {
        buf_put_str(b, name);
        buf_put_text(b, "=***");
    } else if (param.len > 0) {
        buf_put_text(b, "***");
    }
}

/* Only Digest is known to have parameters that may be shown. */
static void put_masked_value(struct buf *b, struct str value)
{
    struct str scheme = STR("Digest ");
    if (!str_starts_nocase(value, scheme)) {
        buf_put_text(b, "***");
        return;
    }
    buf_put_str(b, scheme);
    struct str params = str_slice(value, scheme.len, value.len);
    for (size_t from = 0, end; from <= params.len; from = end + 1) {
        if (from > 0)
            buf_put_text(b, ", ");
        if (!find_param_end(params, from, &end)) {
            buf_put_text(b, "***");
            return;
        }
        put_param(b, str_trim(str_slice(params, from, end)));
    }
}

void sip_put_masked(struct buf *b, struct str message)
{
    /* RFC 3261 7.5: line ends before the start line are skipped. */
    size_t from = message.len > 0 ? (size_t)(str_trim(message).ptr - message.ptr) : 0;
    buf_put_str(b, str_slice(message, 0, from));
    while (from < message.len) {
        size_t end = header_end(message, from);
        struct str header = str_slice(message, from, end);
        if (str_trim(header).len == 0) { /* the head ends here */
            buf_put_str(b, str_slice(message, from, message.len));
            return;
        }
        size_t name_end = masked_name_end(header);
        if (name_end > 0) {
            buf_put_str(b, str_slice(header, 0, name_end));
            buf_put_text(b, ": ");
            put_masked_value(b, value_behind(header, name_end));
            buf_put_text(b, "\r\n");
        } else {
            buf_put_str(b, header);
        }
        from = end;
    }
}
