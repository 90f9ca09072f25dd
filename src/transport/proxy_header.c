#include "proxy_header.h"
#include <string.h>

enum {
    V1_MAX_BYTES = 107,
    V2_HEAD_BYTES = 16,
    V2_TCP4 = 0x11,
    V2_TCP6 = 0x21,
    V2_TCP4_BYTES = 12, /* two addresses, two ports */
    V2_TCP6_BYTES = 36,
};
static const struct str V1_START = {"PROXY ", 6};
static const struct str V2_START = {"\r\n\r\n\0\r\nQUIT\n", 12};

/* Is `data` the beginning of `start`, or does it begin with it? */
static bool could_start(struct str data, struct str start)
{
    size_t n = data.len < start.len ? data.len : start.len;
    return memcmp(data.ptr, start.ptr, n) == 0;
}

/* ---- Version 1: a line of text ------------------------------------------------------------- */

static bool next_word(struct str *line, struct str *word)
{
    size_t end = str_find(*line, ' ');
    *word = str_slice(*line, 0, end);
    *line = str_slice(*line, end + 1, line->len);
    return word->len > 0;
}

static bool read_port(struct str word, uint16_t *port)
{
    uint64_t number;
    if (word.len > 5 || str_to_u64(word, UINT16_MAX, &number) < 0)
        return false;
    *port = (uint16_t)number;
    return true;
}

static bool read_ip(struct str word, int family, uint16_t port, struct net_address *out)
{
    return net_address_parse(out, word, port) == 0 && out->any.sa_family == family &&
           word.ptr[0] != '[';
}

/* "TCP4 192.0.2.1 198.51.100.1 56324 443" */
static bool read_line(struct str line, struct proxy_header *out)
{
    struct str family, source, destination, source_port;
    struct net_address ignored;
    uint16_t port, ignored_port;
    if (!next_word(&line, &family))
        return false;
    if (str_eq(family, STR("UNKNOWN")))
        return true; /* whatever follows is to be ignored */
    bool is_v4 = str_eq(family, STR("TCP4"));
    if (!is_v4 && !str_eq(family, STR("TCP6")))
        return false;
    int af = is_v4 ? AF_INET : AF_INET6;
    if (!next_word(&line, &source) || !next_word(&line, &destination) ||
        !next_word(&line, &source_port) || !read_port(source_port, &port) ||
        !read_port(line, &ignored_port))
        return false;
    out->has_client =
        read_ip(source, af, port, &out->client) && read_ip(destination, af, 0, &ignored);
    return out->has_client;
}

static enum proxy_header_result read_v1(struct str data, struct proxy_header *out)
{
    struct str line = str_slice(data, 0, V1_MAX_BYTES);
    size_t end = str_find(line, '\n');
    if (end == line.len)
        return line.len == V1_MAX_BYTES ? PROXY_HEADER_BAD : PROXY_HEADER_MORE;
    if (line.ptr[end - 1] != '\r' || !read_line(str_slice(line, V1_START.len, end - 1), out))
        return PROXY_HEADER_BAD;
    out->total_bytes = end + 1;
    return PROXY_HEADER_WHOLE;
}

/* ---- Version 2: binary --------------------------------------------------------------------- */

static uint16_t read_u16(const char *p)
{
    return (uint16_t)((unsigned char)p[0] << 8 | (unsigned char)p[1]);
}

static void take_v4(struct proxy_header *out, const char *addresses)
{
    out->client.v4 = (struct sockaddr_in){.sin_family = AF_INET};
    memcpy(&out->client.v4.sin_addr, addresses, 4);
    memcpy(&out->client.v4.sin_port, addresses + 8, 2);
    out->has_client = true;
}

static void take_v6(struct proxy_header *out, const char *addresses)
{
    out->client.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6};
    memcpy(&out->client.v6.sin6_addr, addresses, 16);
    memcpy(&out->client.v6.sin6_port, addresses + 32, 2);
    out->has_client = true;
}

static enum proxy_header_result read_v2(struct str data, struct proxy_header *out)
{
    enum { LOCAL = 0x20, PROXY = 0x21 }; /* version and command */
    if (data.len < V2_HEAD_BYTES)
        return PROXY_HEADER_MORE;
    unsigned char command = (unsigned char)data.ptr[12], family = (unsigned char)data.ptr[13];
    size_t rest = read_u16(data.ptr + 14);
    out->total_bytes = V2_HEAD_BYTES + rest;
    bool is_proxied = command == PROXY;
    if ((!is_proxied && command != LOCAL) || out->total_bytes > PROXY_HEADER_MAX_BYTES)
        return PROXY_HEADER_BAD;
    if (is_proxied && ((family == V2_TCP4 && rest < V2_TCP4_BYTES) ||
                       (family == V2_TCP6 && rest < V2_TCP6_BYTES)))
        return PROXY_HEADER_BAD;
    if (data.len < out->total_bytes)
        return PROXY_HEADER_MORE;
    if (is_proxied && family == V2_TCP4)
        take_v4(out, data.ptr + V2_HEAD_BYTES);
    if (is_proxied && family == V2_TCP6)
        take_v6(out, data.ptr + V2_HEAD_BYTES);
    return PROXY_HEADER_WHOLE;
}

enum proxy_header_result proxy_header_read(struct str data, struct proxy_header *out)
{
    enum proxy_header_result result = PROXY_HEADER_BAD;
    *out = (struct proxy_header){0};
    if (could_start(data, V1_START))
        result = read_v1(data, out);
    else if (could_start(data, V2_START))
        result = read_v2(data, out);
    if (result == PROXY_HEADER_WHOLE && out->has_client)
        net_address_unmap(&out->client);
    return result;
}
