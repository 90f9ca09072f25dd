#include "sip_internal.h"
#include <errno.h>

/* ---- Parsing ------------------------------------------------------------------------------- */

static struct str from(struct str s, size_t at)
{
    return str_slice(s, at, s.len);
}

/* "sip:" and "sips:" in any case; another scheme is told from no URI at all. */
static enum sip_uri_error cut_scheme(struct str text, bool *is_sips, struct str *rest)
{
    size_t colon = str_find(text, ':');
    struct str scheme = str_slice(text, 0, colon);
    *rest = from(text, colon + 1);
    *is_sips = str_eq_nocase(scheme, STR("sips"));
    if (*is_sips || str_eq_nocase(scheme, STR("sip")))
        return colon < text.len ? SIP_URI_OK : SIP_URI_BAD_SYNTAX;
    bool is_scheme = sip_is_all(scheme, SIP_SCHEME) && sip_is(scheme.ptr[0], SIP_ALPHA);
    return is_scheme && sip_is_escaped(*rest, SIP_URIC) ? SIP_URI_BAD_SCHEME : SIP_URI_BAD_SYNTAX;
}

static bool cut_user(struct str *rest, struct sip_uri *out)
{
    size_t at = str_find(*rest, '@');
    if (at == rest->len)
        return true;
    struct str info = str_slice(*rest, 0, at);
    *rest = from(*rest, at + 1);
    size_t colon = str_find(info, ':');
    out->user = str_slice(info, 0, colon);
    out->password = from(info, colon + 1);
    return sip_is_escaped(out->user, SIP_USER) &&
           (out->password.len == 0 || sip_is_escaped(out->password, SIP_PASSWORD));
}

static bool cut_ipv6(struct str *rest, struct sip_uri *out)
{
    size_t close = str_find(*rest, ']');
    out->host = str_slice(*rest, 1, close);
    if (close == rest->len || str_find(out->host, ':') == out->host.len)
        return false; /* brackets are for IPv6 only */
    *rest = from(*rest, close + 1);
    out->host_is_ip = net_address_parse(&out->address, out->host, 0) == 0;
    return out->host_is_ip;
}

static bool cut_host(struct str *rest, struct sip_uri *out)
{
    if (rest->len > 0 && rest->ptr[0] == '[')
        return cut_ipv6(rest, out);
    size_t end = sip_span(*rest, 0, SIP_HOST);
    out->host = str_slice(*rest, 0, end);
    *rest = from(*rest, end);
    out->host_is_ip = net_address_parse(&out->address, out->host, 0) == 0;
    return out->host_is_ip || sip_is_hostname(out->host);
}

static bool cut_port(struct str *rest, struct sip_uri *out)
{
    if (rest->len == 0 || rest->ptr[0] != ':')
        return true;
    size_t end = sip_span(*rest, 1, SIP_DIGIT);
    uint64_t port;
    if (str_to_u64(str_slice(*rest, 1, end), UINT16_MAX, &port) || port == 0)
        return false;
    out->port = (uint16_t)port;
    *rest = from(*rest, end);
    return true;
}

/* One "name=value" of the parameters or headers. */
static void cut_pair(struct str pair, struct str *name, struct str *value)
{
    size_t equals = str_find(pair, '=');
    *name = str_slice(pair, 0, equals);
    *value = from(pair, equals + 1);
}

static bool is_param(struct str pair)
{
    struct str name, value;
    cut_pair(pair, &name, &value);
    return sip_is_escaped(name, SIP_PARAM) &&
           (name.len == pair.len || sip_is_escaped(value, SIP_PARAM));
}

/* RFC 3261 19.1.1: no parameter name twice. */
static bool are_params(struct str params)
{
    struct str seen[SIP_MAX_PARAMS], pair, value;
    size_t count = 0;
    if (params.len == 0 || params.ptr[params.len - 1] == ';')
        return false;
    while (str_split(&params, ';', &pair)) {
        if (count == SIP_MAX_PARAMS || !is_param(pair))
            return false;
        cut_pair(pair, &seen[count], &value);
        for (size_t i = 0; i < count; i++)
            if (str_eq_nocase(seen[i], seen[count]))
                return false;
        count++;
    }
    return true;
}

static bool are_headers(struct str headers)
{
    struct str pair, name, value;
    size_t count = 0;
    if (headers.len == 0 || headers.ptr[headers.len - 1] == '&')
        return false;
    while (str_split(&headers, '&', &pair)) {
        cut_pair(pair, &name, &value);
        if (++count > SIP_MAX_PARAMS || name.len == pair.len || !sip_is_escaped(name, SIP_HEADER))
            return false;
        if (value.len > 0 && !sip_is_escaped(value, SIP_HEADER))
            return false;
    }
    return true;
}

static bool cut_params_and_headers(struct str rest, struct sip_uri *out)
{
    size_t question = str_find(rest, '?');
    out->headers = from(rest, question + 1);
    if (question < rest.len && !are_headers(out->headers))
        return false;
    struct str params = str_slice(rest, 0, question);
    if (params.len == 0)
        return true;
    out->params = from(params, 1);
    return params.ptr[0] == ';' && are_params(out->params);
}

enum sip_uri_error sip_uri_parse(struct str text, struct sip_uri *out)
{
    struct sip_uri uri = {.text = text};
    struct str rest;
    enum sip_uri_error error = cut_scheme(text, &uri.is_sips, &rest);
    if (error)
        return error;
    if (!cut_user(&rest, &uri) || !cut_host(&rest, &uri) || !cut_port(&rest, &uri) ||
        !cut_params_and_headers(rest, &uri))
        return SIP_URI_BAD_SYNTAX;
    *out = uri;
    return SIP_URI_OK;
}

/* ---- Comparing (RFC 3261 19.1.4) ----------------------------------------------------------- */

static bool is_reserved(char c)
{
    return c != 0 && strchr(";/?:@&=+$,", c) != NULL;
}

enum { ESCAPED = 0x100 };

/* The next character: an escape counts as what it stands for, unless that one is reserved. */
static int next_char(struct str *s)
{
    char c = s->ptr[0];
    bool is_escape = c == '%' && s->len >= 3;
    if (is_escape)
        c = (char)(sip_hex_value(s->ptr[1]) << 4 | sip_hex_value(s->ptr[2]));
    *s = from(*s, is_escape ? 3 : 1);
    return (unsigned char)c | (is_escape && is_reserved(c) ? ESCAPED : 0);
}

static int fold_case(int c)
{
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static bool text_equal(struct str a, struct str b, bool any_case)
{
    while (a.len > 0 && b.len > 0) {
        int x = next_char(&a), y = next_char(&b);
        if (any_case ? fold_case(x) != fold_case(y) : x != y)
            return false;
    }
    return a.len == b.len;
}

static bool host_equal(const struct sip_uri *a, const struct sip_uri *b)
{
    if (a->host_is_ip && b->host_is_ip) /* RFC 5954 4.2: IPv6 has many spellings */
        return net_address_same_ip(&a->address, &b->address);
    return str_eq_nocase(a->host, b->host);
}

static bool find_param(struct str params, struct str wanted, struct str *value)
{
    struct str pair, name;
    while (str_split(&params, ';', &pair)) {
        cut_pair(pair, &name, value);
        if (text_equal(name, wanted, true))
            return true;
    }
    return false;
}

/* These say where a request goes even when only one side has them. */
static bool counts_alone(struct str name)
{
    static const char *const alone[] = {"user", "ttl", "method", "maddr", "transport"};
    for (size_t i = 0; i < sizeof alone / sizeof *alone; i++)
        if (text_equal(name, str_from(alone[i]), true))
            return true;
    return false;
}

static bool params_agree(struct str params, struct str others)
{
    struct str pair, name, value, other;
    while (str_split(&params, ';', &pair)) {
        cut_pair(pair, &name, &value);
        bool is_shared = find_param(others, name, &other);
        if (is_shared ? !text_equal(value, other, true) : counts_alone(name))
            return false;
    }
    return true;
}

static size_t count_header(struct str headers, struct str wanted)
{
    struct str pair, wanted_name, wanted_value, name, value;
    cut_pair(wanted, &wanted_name, &wanted_value);
    size_t count = 0;
    while (str_split(&headers, '&', &pair)) {
        cut_pair(pair, &name, &value);
        count += text_equal(name, wanted_name, true) && text_equal(value, wanted_value, false);
    }
    return count;
}

/* Each header as often on the one side as on the other, in any order. */
static bool headers_agree(struct str headers, struct str others)
{
    struct str all = headers, pair;
    while (str_split(&headers, '&', &pair))
        if (count_header(all, pair) != count_header(others, pair))
            return false;
    return true;
}

bool sip_uri_equal(const struct sip_uri *a, const struct sip_uri *b)
{
    return a->is_sips == b->is_sips && a->port == b->port && host_equal(a, b) &&
           text_equal(a->user, b->user, false) && text_equal(a->password, b->password, false) &&
           params_agree(a->params, b->params) && params_agree(b->params, a->params) &&
           headers_agree(a->headers, b->headers) && headers_agree(b->headers, a->headers);
}

bool sip_uri_param(const struct sip_uri *uri, struct str name, struct str *value)
{
    struct str found;
    if (!find_param(uri->params, name, &found))
        return false;
    *value = found;
    return true;
}

/* ---- Address of record --------------------------------------------------------------------- */

/* RFC 3261 10.3 step 5: escapes are undone. Those that the grammar needs stay, in upper case. */
static void write_user(struct str user, struct buf *b)
{
    static const char hex[] = "0123456789ABCDEF";
    while (user.len > 0) {
        unsigned char c = (unsigned char)next_char(&user);
        if (sip_is((char)c, SIP_USER)) {
            buf_put_char(b, (char)c);
        } else {
            char escape[] = {'%', hex[c >> 4], hex[c & 15]};
            buf_put(b, escape, sizeof escape);
        }
    }
}

static void write_host(const struct sip_uri *uri, struct buf *b)
{
    if (uri->host_is_ip) {
        char text[NET_ADDRESS_TEXT];
        bool is_ipv6 = uri->address.any.sa_family == AF_INET6;
        buf_put_text(b, is_ipv6 ? "[" : "");
        buf_put_str(b, net_address_ip(&uri->address, text));
        buf_put_text(b, is_ipv6 ? "]" : "");
        return;
    }
    size_t len = uri->host.len;
    len -= uri->host.ptr[len - 1] == '.'; /* the root's dot names the same domain */
    for (size_t i = 0; i < len; i++)
        buf_put_char(b, (char)fold_case(uri->host.ptr[i]));
}

int sip_uri_write_aor(const struct sip_uri *uri, struct buf *b)
{
    if (str_is_empty(uri->user))
        return -EINVAL;
    write_user(uri->user, b);
    buf_put_char(b, '@');
    write_host(uri, b);
    return b->error;
}
