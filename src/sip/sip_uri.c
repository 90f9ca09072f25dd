#include "sip_internal.h"
#include <errno.h>

/* ---- Escapes (RFC 3261 19.1.4) -------------------------------------------------------------- */

static struct str from(struct str s, size_t at)
{
    return str_slice(s, at, s.len);
}

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
        c = (char)(str_hex_value(s->ptr[1]) << 4 | str_hex_value(s->ptr[2]));
    *s = from(*s, is_escape ? 3 : 1);
    return (unsigned char)c | (is_escape && is_reserved(c) ? ESCAPED : 0);
}

/* Does all that is escaped make UTF-8 (RFC 3629 4)? The browser libraries' decodeURIComponent()
 * throws at anything else. */
static bool is_utf8(struct str s)
{
    if (str_find(s, '%') == s.len)
        return true; /* what needs no escape is ASCII */
    while (s.len > 0) {
        unsigned first = next_char(&s) & 0xff;
        if (first < 0x80)
            continue;
        if (first < 0xc2 || first > 0xf4)
            return false;
        unsigned low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
        unsigned high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
        unsigned more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
        for (; more > 0; more--, low = 0x80, high = 0xbf) {
            unsigned next = s.len > 0 ? next_char(&s) & 0xff : 0;
            if (next < low || next > high)
                return false;
        }
    }
    return true;
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

/* ---- Parameters and headers ----------------------------------------------------------------- */

/* One "name=value" of the parameters or headers. */
static void cut_pair(struct str pair, struct str *name, struct str *value)
{
    size_t equals = str_find(pair, '=');
    *name = str_slice(pair, 0, equals);
    *value = from(pair, equals + 1);
}

/* Cut once, and known by numbers: so comparing each with each costs little, however long and alike
 * the names are that somebody thought out. */
struct pairs {
    size_t count;
    struct {
        struct str name, value;
        uint64_t hash; /* of the name; equal names have equal ones */
    } at[SIP_MAX_PARAMS];
};

/* FNV-1a of what text_equal() compares. */
static uint64_t hash_name(struct str name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    while (name.len > 0)
        hash = (hash ^ (uint64_t)fold_case(next_char(&name))) * UINT64_C(0x100000001b3);
    return hash;
}

/* From `from` on; pairs->count when there is none. */
static size_t find_pair(const struct pairs *pairs, size_t from, struct str name, uint64_t hash)
{
    for (; from < pairs->count; from++)
        if (pairs->at[from].hash == hash && text_equal(pairs->at[from].name, name, true))
            break;
    return from;
}

/* There is room. */
static void add_pair(struct pairs *pairs, struct str pair)
{
    size_t i = pairs->count++;
    cut_pair(pair, &pairs->at[i].name, &pairs->at[i].value);
    pairs->at[i].hash = hash_name(pairs->at[i].name);
}

static void cut_pairs(struct str text, char separator, struct pairs *out)
{
    struct str pair;
    out->count = 0;
    while (out->count < SIP_MAX_PARAMS && str_split(&text, separator, &pair))
        add_pair(out, pair);
}

/* ---- Parsing ------------------------------------------------------------------------------- */

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
           (out->password.len == 0 || sip_is_escaped(out->password, SIP_PASSWORD)) &&
           is_utf8(out->user) && is_utf8(out->password);
}

static bool cut_ipv6(struct str *rest, struct sip_uri *out)
{
    size_t close = str_find(*rest, ']');
    out->host = str_slice(*rest, 1, close);
    if (close == rest->len || str_find(out->host, ':') == out->host.len)
        return false; /* brackets are for IPv6 only */
    *rest = from(*rest, close + 1);
    out->host_is_ip = net_address_parse(&out->address, out->host, 0) == 0;
    return out->host_is_ip &&
           !net_address_is_wildcard(&out->address); /* no browser library reads [::] */
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
    if (end > strlen(":65535") || str_to_u64(str_slice(*rest, 1, end), UINT16_MAX, &port) ||
        port == 0)
        return false;
    out->port = (uint16_t)port;
    *rest = from(*rest, end);
    return true;
}

/* The parameters that RFC 3261 gives a grammar of their own. The browser libraries commit to a word
 * of it as soon as they have read it and then fail on what follows ("transport=tcp2", "lrx"). */
static bool is_word(struct str value, const char *const *known)
{
    for (; *known; known++)
        if (str_starts_nocase(value, str_from(*known)) && value.len > strlen(*known))
            return false;
    return sip_is_all(value, SIP_TOKEN);
}

static bool is_transport(struct str value)
{
    static const char *const known[] = {"udp", "tcp", "sctp", "tls", NULL};
    return is_word(value, known);
}

static bool is_user(struct str value)
{
    static const char *const known[] = {"phone", "ip", NULL};
    return is_word(value, known);
}

static bool is_method(struct str value)
{
    static const char *const known[] = {"INVITE",   "ACK",       "OPTIONS", "BYE",   "CANCEL",
                                        "REGISTER", "SUBSCRIBE", "NOTIFY",  "REFER", "PUBLISH",
                                        "MESSAGE",  "UPDATE",    "INFO",    "PRACK", NULL};
    return is_word(value, known);
}

static bool is_ttl(struct str value)
{
    uint64_t ttl;
    return value.len <= strlen("255") && str_to_u64(value, UINT8_MAX, &ttl) == 0;
}

static bool is_token(struct str value)
{
    return sip_is_all(value, SIP_TOKEN);
}

static bool is_host(struct str value)
{
    struct sip_uri uri = {0};
    return cut_host(&value, &uri) && value.len == 0;
}

static const struct {
    struct str name;
    bool (*is_value)(struct str value);
} strict[] = {
    {STR("transport"), is_transport},
    {STR("user"),      is_user     },
    {STR("method"),    is_method   },
    {STR("ttl"),       is_ttl      },
    {STR("maddr"),     is_host     },
    {STR("lr"),        is_token    },
};

static bool is_value_of(struct str name, struct str value)
{
    for (size_t i = 0; i < sizeof strict / sizeof *strict; i++)
        if (str_eq_nocase(name, strict[i].name))
            return strict[i].is_value(value);
    return true;
}

static bool is_param(struct str pair)
{
    struct str name, value;
    cut_pair(pair, &name, &value);
    if (!sip_is_escaped(name, SIP_PARAM) ||
        (str_starts_nocase(name, STR("lr")) && name.len > strlen("lr")))
        return false;
    return name.len == pair.len || (sip_is_escaped(value, SIP_PARAM) && is_value_of(name, value));
}

/* RFC 3261 19.1.1: no parameter name twice. */
static bool are_params(struct str params)
{
    struct pairs seen;
    struct str pair;
    seen.count = 0;
    if (params.len == 0 || params.ptr[params.len - 1] == ';')
        return false;
    if (str_find(params, ';') == params.len)
        return is_param(params); /* one, as mostly, is there once */
    while (str_split(&params, ';', &pair)) {
        if (seen.count == SIP_MAX_PARAMS || !is_param(pair))
            return false;
        add_pair(&seen, pair);
        size_t last = seen.count - 1;
        if (find_pair(&seen, 0, seen.at[last].name, seen.at[last].hash) < last)
            return false;
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

static bool host_equal(const struct sip_uri *a, const struct sip_uri *b)
{
    if (a->host_is_ip && b->host_is_ip) /* RFC 5954 4.2: IPv6 has many spellings */
        return net_address_same_ip(&a->address, &b->address);
    return str_eq_nocase(a->host, b->host);
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

static bool params_agree(const struct pairs *params, const struct pairs *others)
{
    for (size_t i = 0; i < params->count; i++) {
        struct str name = params->at[i].name;
        size_t k = find_pair(others, 0, name, params->at[i].hash);
        if (k < others->count ? !text_equal(params->at[i].value, others->at[k].value, true)
                              : counts_alone(name))
            return false;
    }
    return true;
}

static bool params_equal(struct str a, struct str b)
{
    struct pairs params, others;
    if (a.len == 0 && b.len == 0)
        return true;
    cut_pairs(a, ';', &params);
    cut_pairs(b, ';', &others);
    return params_agree(&params, &others) && params_agree(&others, &params);
}

static size_t count_header(const struct pairs *headers, const struct pairs *all, size_t wanted)
{
    struct str name = all->at[wanted].name, value = all->at[wanted].value;
    uint64_t hash = all->at[wanted].hash;
    size_t count = 0;
    for (size_t k = find_pair(headers, 0, name, hash); k < headers->count;
         k = find_pair(headers, k + 1, name, hash))
        count += text_equal(headers->at[k].value, value, false);
    return count;
}

/* Each header as often on the one side as on the other, in any order. */
static bool headers_agree(const struct pairs *headers, const struct pairs *others)
{
    for (size_t i = 0; i < headers->count; i++)
        if (count_header(headers, headers, i) != count_header(others, headers, i))
            return false;
    return true;
}

static bool headers_equal(struct str a, struct str b)
{
    struct pairs headers, others;
    if (a.len == 0 && b.len == 0)
        return true;
    cut_pairs(a, '&', &headers);
    cut_pairs(b, '&', &others);
    return headers_agree(&headers, &others) && headers_agree(&others, &headers);
}

bool sip_uri_equal(const struct sip_uri *a, const struct sip_uri *b)
{
    return a->is_sips == b->is_sips && a->port == b->port && host_equal(a, b) &&
           text_equal(a->user, b->user, false) && text_equal(a->password, b->password, false) &&
           params_equal(a->params, b->params) && headers_equal(a->headers, b->headers);
}

bool sip_uri_param(const struct sip_uri *uri, struct str name, struct str *value)
{
    struct str params = uri->params, pair, found, found_value;
    while (str_split(&params, ';', &pair)) {
        cut_pair(pair, &found, &found_value);
        if (text_equal(found, name, true)) {
            *value = found_value;
            return true;
        }
    }
    return false;
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
    for (size_t i = 0; i < uri->host.len; i++)
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
