/* Hosts, ports, domains, origins and URLs as people write them. Pure. */
#include "config_internal.h"
#include <errno.h>

enum { HOST_MAX = 253, LABEL_MAX = 63, PORT_MAX = 65535, URL_MAX = 2048 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int port_parse(struct str text, uint64_t *out)
{
    return text.len > 5 ? -ERANGE : str_to_u64(text, PORT_MAX, out);
}

/* Cuts "host:port" at the colon that is not inside brackets; without a port `port` is empty. */
static bool host_port_split(struct str s, struct str *host, struct str *port, bool *has_port)
{
    bool is_bracketed = s.len && s.ptr[0] == '[';
    size_t end = is_bracketed ? str_find(s, ']') + 1 : str_find(s, ':');
    if (end > s.len)
        return false;
    *host = str_slice(s, 0, end);
    *port = str_slice(s, end + 1, s.len);
    *has_port = end < s.len;
    return !*has_port || s.ptr[end] == ':';
}

bool config_url_split(struct str url, struct str *scheme, struct str *rest)
{
    size_t colon = str_find(url, ':');
    if (!str_starts_nocase(str_slice(url, colon, url.len), STR("://")))
        return false;
    *scheme = str_slice(url, 0, colon);
    *rest = str_slice(url, colon + 3, url.len);
    return true;
}

static bool is_bare_ipv6(struct str s)
{
    size_t colon = str_find(s, ':');
    return s.len && s.ptr[0] != '[' &&
           str_find(str_slice(s, colon + 1, s.len), ':') + colon + 1 < s.len;
}

const char *config_socket_parse(struct str text, struct net_address *out)
{
    struct str host, port;
    bool has_port;
    uint64_t number;
    if (is_bare_ipv6(text))
        return "an IPv6 address needs brackets";
    if (!host_port_split(text, &host, &port, &has_port))
        return "an IP address and a port are needed";
    if (net_address_parse(out, host, 0) < 0)
        return "an IP address is needed";
    if (!has_port || str_is_empty(port))
        return "a port is needed";
    if (port_parse(port, &number) < 0)
        return "the port must be a number from 0 to 65535, and nothing may follow it";
    (void)net_address_parse(out, host, (uint16_t)number);
    return NULL;
}

static bool label_is_valid(struct str label)
{
    if (label.len == 0 || label.len > LABEL_MAX)
        return false;
    if (label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++)
        if (!is_letter(label.ptr[i]) && !is_digit(label.ptr[i]) && label.ptr[i] != '-' &&
            label.ptr[i] != '_')
            return false;
    return true;
}

bool config_host_is_valid(struct str host)
{
    struct net_address ignored;
    /* RFC 3986 3.2.2, RFC 1123 2.1: what ends in a digits-only label can only be an address. */
    bool is_address = host.len && (host.ptr[0] == '[' || is_digit(host.ptr[host.len - 1]));
    if (is_address && net_address_parse(&ignored, host, 0) == 0)
        return true;
    struct str label = STR_NONE;
    bool has_letter = false;
    for (struct str rest = host; str_split(&rest, '.', &label);) {
        if (!label_is_valid(label))
            return false;
        has_letter = false;
        for (size_t i = 0; i < label.len; i++)
            has_letter |= !is_digit(label.ptr[i]);
    }
    return host.len <= HOST_MAX && has_letter && host.ptr[host.len - 1] != '.';
}

bool config_host_port_is_valid(struct str s)
{
    struct str host, port;
    bool has_port;
    uint64_t number;
    if (!host_port_split(s, &host, &port, &has_port) || !config_host_is_valid(host))
        return false;
    return !has_port || (port_parse(port, &number) == 0 && number > 0);
}

static void put_lower(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        buf_put_char(out, c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c);
    }
}

int config_origin_parse(struct str pattern, struct buf *out)
{
    struct str scheme, rest, host, port;
    bool has_port;
    uint64_t number = 0;
    if (str_eq(pattern, STR("*"))) {
        buf_put_str(out, pattern);
        return 0;
    }
    if (!config_url_split(pattern, &scheme, &rest))
        return -EINVAL;
    bool is_https = str_eq_nocase(scheme, STR("https"));
    if (!is_https && !str_eq_nocase(scheme, STR("http")))
        return -EINVAL;
    if (!host_port_split(rest, &host, &port, &has_port))
        return -EINVAL;
    bool is_wild = str_starts_nocase(host, STR("*."));
    if (!config_host_is_valid(str_slice(host, is_wild ? 2 : 0, host.len)))
        return -EINVAL;
    if (has_port && (port_parse(port, &number) < 0 || number == 0))
        return -EINVAL;

    put_lower(out, scheme);
    buf_put_text(out, "://");
    put_lower(out, host);
    /* RFC 6454 6.2: an origin is written without the port that its scheme implies */
    if (has_port && number != (is_https ? 443 : 80)) {
        buf_put_char(out, ':');
        buf_put_u64(out, number);
    }
    return 0;
}

int config_domain_parse(struct str text, struct buf *out)
{
    char ip[NET_ADDRESS_TEXT];
    struct net_address address;
    if (net_address_parse(&address, text, 0) == 0) {
        bool is_v6 = address.any.sa_family == AF_INET6;
        buf_put_text(out, is_v6 ? "[" : "");
        buf_put_str(out, net_address_ip(&address, ip));
        buf_put_text(out, is_v6 ? "]" : "");
        return 0;
    }
    if (!str_eq(text, STR("*")) && !config_host_is_valid(text))
        return -EINVAL;
    put_lower(out, text);
    return 0;
}

static bool is_url_text(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
            return false;
    return s.len > 0 && s.len <= URL_MAX;
}

static struct str authority_of(struct str behind_scheme)
{
    size_t end = 0;
    while (end < behind_scheme.len && !strchr("/?#", behind_scheme.ptr[end]))
        end++;
    return str_slice(behind_scheme, 0, end);
}

const char *config_http_url_check(struct str url)
{
    struct str scheme, rest;
    if (!is_url_text(url))
        return "must be a URL of at most 2048 characters, with spaces and all that is not ASCII "
               "written as %XX";
    if (!config_url_split(url, &scheme, &rest) ||
        (!str_eq_nocase(scheme, STR("http")) && !str_eq_nocase(scheme, STR("https"))))
        return "must be a URL that starts with http:// or https://";
    struct str authority = authority_of(rest);
    if (str_find(authority, '@') < authority.len)
        return "must be without user name and password: these are given as "
               "authCallback.auth.username and authCallback.auth.password";
    if (!config_host_port_is_valid(authority))
        return "must be a URL with a host, and a port from 1 to 65535 if any, e.g. "
               "https://example.com:8443/auth";
    return NULL;
}
