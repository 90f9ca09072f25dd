#include <aorta/buf.h>
#include <aorta/net_address.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

enum { V4_PARTS = 4 };

/* What inet_pton() takes, read without a terminated copy: each message has several of these. */
static bool read_v4(struct str ip, uint8_t part[V4_PARTS])
{
    size_t at = 0;
    for (size_t i = 0; i < V4_PARTS; i++) {
        unsigned value = 0, digits = 0, digit;
        if (i > 0 && (at == ip.len || ip.ptr[at++] != '.'))
            return false;
        for (; at < ip.len && (digit = (unsigned char)ip.ptr[at] - '0') <= 9; at++, digits++) {
            if (digits > 0 && value == 0)
                return false; /* "01" is octal to some */
            value = value * 10 + digit;
            if (value > UINT8_MAX)
                return false;
        }
        if (digits == 0)
            return false;
        part[i] = (uint8_t)value;
    }
    return at == ip.len;
}

static int parse_v4(struct net_address *a, struct str ip, uint16_t port)
{
    uint8_t part[V4_PARTS];
    if (!read_v4(ip, part))
        return -EINVAL;
    *a = (struct net_address){
        .v4 = {.sin_family = AF_INET, .sin_port = htons(port)}
    };
    memcpy(&a->v4.sin_addr, part, sizeof part);
    return 0;
}

static int parse_v6(struct net_address *a, const char *ip, uint16_t port)
{
    struct net_address parsed = {
        .v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)}
    };
    if (inet_pton(AF_INET6, ip, &parsed.v6.sin6_addr) != 1)
        return -EINVAL;
    *a = parsed;
    return 0;
}

int net_address_parse(struct net_address *a, struct str ip, uint16_t port)
{
    bool has_brackets = ip.len >= 2 && ip.ptr[0] == '[' && ip.ptr[ip.len - 1] == ']';
    if (has_brackets)
        ip = str_slice(ip, 1, ip.len - 1);
    char text[INET6_ADDRSTRLEN];
    if (ip.len == 0 || ip.len >= sizeof text)
        return -EINVAL;
    if (!has_brackets && parse_v4(a, ip, port) == 0)
        return 0;
    if ((!has_brackets && str_find(ip, ':') == ip.len) || str_find(ip, '\0') < ip.len)
        return -EINVAL;
    memcpy(text, ip.ptr, ip.len);
    text[ip.len] = '\0';
    return parse_v6(a, text, port);
}

socklen_t net_address_size(const struct net_address *a)
{
    return a->any.sa_family == AF_INET6 ? sizeof a->v6 : sizeof a->v4;
}

uint16_t net_address_port(const struct net_address *a)
{
    return ntohs(a->any.sa_family == AF_INET6 ? a->v6.sin6_port : a->v4.sin_port);
}

void net_address_unmap(struct net_address *a)
{
    if (a->any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr))
        return;
    struct net_address plain = {
        .v4 = {.sin_family = AF_INET, .sin_port = a->v6.sin6_port}
    };
    memcpy(&plain.v4.sin_addr, &a->v6.sin6_addr.s6_addr[12], sizeof plain.v4.sin_addr);
    *a = plain;
}

static struct net_address unmapped(const struct net_address *a)
{
    struct net_address plain = *a;
    net_address_unmap(&plain);
    return plain;
}

/* The IP as the bytes of the network. */
static struct str ip_bytes(const struct net_address *a)
{
    if (a->any.sa_family == AF_INET6)
        return (struct str){(const char *)&a->v6.sin6_addr, sizeof a->v6.sin6_addr};
    return (struct str){(const char *)&a->v4.sin_addr, sizeof a->v4.sin_addr};
}

static struct str write_v4(const struct net_address *a, char text[NET_ADDRESS_TEXT])
{
    const uint8_t *part = (const uint8_t *)&a->v4.sin_addr;
    size_t len = 0;
    for (size_t i = 0; i < V4_PARTS; i++) {
        if (i > 0)
            text[len++] = '.';
        if (part[i] >= 100)
            text[len++] = (char)('0' + part[i] / 100);
        if (part[i] >= 10)
            text[len++] = (char)('0' + part[i] / 10 % 10);
        text[len++] = (char)('0' + part[i] % 10);
    }
    text[len] = '\0';
    return (struct str){text, len};
}

struct str net_address_ip(const struct net_address *a, char text[NET_ADDRESS_TEXT])
{
    if (a->any.sa_family != AF_INET6)
        return write_v4(a, text);
    inet_ntop(AF_INET6, &a->v6.sin6_addr, text, NET_ADDRESS_TEXT);
    return str_from(text);
}

struct str net_address_host_port(const struct net_address *a, char text[NET_ADDRESS_TEXT])
{
    char ip[NET_ADDRESS_TEXT];
    bool is_v6 = a->any.sa_family == AF_INET6;
    struct buf b;
    buf_init_fixed(&b, text, NET_ADDRESS_TEXT - 1);
    if (is_v6)
        buf_put_char(&b, '[');
    buf_put_str(&b, net_address_ip(a, ip));
    buf_put_text(&b, is_v6 ? "]:" : ":");
    buf_put_u64(&b, net_address_port(a));
    text[b.len] = '\0';
    return buf_str(&b);
}

bool net_address_same_ip(const struct net_address *a, const struct net_address *b)
{
    if (a->any.sa_family != AF_INET6 && b->any.sa_family != AF_INET6)
        return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    struct net_address plain_a = unmapped(a), plain_b = unmapped(b);
    return str_eq(ip_bytes(&plain_a), ip_bytes(&plain_b));
}

bool net_address_same(const struct net_address *a, const struct net_address *b)
{
    return net_address_same_ip(a, b) && net_address_port(a) == net_address_port(b);
}

struct network {
    uint8_t prefix[16];
    uint8_t bits;
    bool is_v6;
};

static bool starts_with_bits(struct str bytes, const uint8_t *prefix, unsigned bits)
{
    if (memcmp(bytes.ptr, prefix, bits / 8) != 0)
        return false;
    unsigned left = bits % 8;
    return left == 0 || ((uint8_t)bytes.ptr[bits / 8] ^ prefix[bits / 8]) >> (8 - left) == 0;
}

static bool is_in(const struct net_address *a, const struct network *network, size_t count)
{
    struct net_address plain = unmapped(a);
    struct str bytes = ip_bytes(&plain);
    for (size_t i = 0; i < count; i++)
        if (network[i].is_v6 == (plain.any.sa_family == AF_INET6) &&
            starts_with_bits(bytes, network[i].prefix, network[i].bits))
            return true;
    return false;
}

bool net_address_is_loopback(const struct net_address *a)
{
    static const struct network loopback[] = {
        {{127},      8,   false},
        {{[15] = 1}, 128, true },
    };
    return is_in(a, loopback, sizeof loopback / sizeof *loopback);
}

bool net_address_is_wildcard(const struct net_address *a)
{
    static const struct network wildcard[] = {
        {{0}, 32,  false},
        {{0}, 128, true },
    };
    return is_in(a, wildcard, sizeof wildcard / sizeof *wildcard);
}

bool net_address_is_private(const struct net_address *a)
{
    static const struct network private[] = {
        {{10},         8,  false}, /* RFC 1918 */
        {{172, 16},    12, false},
        {{192, 168},   16, false},
        {{100, 64},    10, false}, /* RFC 6598, shared by carrier-grade NAT */
        {{169, 254},   16, false}, /* RFC 3927, link-local */
        {{0xfc},       7,  true }, /* RFC 4193 */
        {{0xfe, 0x80}, 10, true }, /* RFC 4291 2.5.6, link-local */
    };
    return is_in(a, private, sizeof private / sizeof *private);
}

uint64_t net_address_hash_ip(const struct net_address *a)
{
    struct net_address plain = unmapped(a);
    return str_hash(ip_bytes(&plain));
}

/* ---- Networks ------------------------------------------------------------------------------ */

enum { MAPPED_BITS = NET_IPV6_BITS - NET_IPV4_BITS };

static unsigned address_bits(const struct net_address *a)
{
    return a->any.sa_family == AF_INET6 ? NET_IPV6_BITS : NET_IPV4_BITS;
}

/* One way to write each: "08" might be meant as octal. */
static int prefix_parse(struct str text, unsigned max, unsigned *bits)
{
    uint64_t n;
    if (text.len > 1 && text.ptr[0] == '0')
        return -EINVAL;
    if (str_to_u64(text, max, &n) < 0)
        return -EINVAL;
    *bits = (unsigned)n;
    return 0;
}

static bool has_bits_behind(const struct net_address *a, unsigned bits)
{
    struct str bytes = ip_bytes(a);
    unsigned inside = bits % 8;
    if (inside != 0 && ((uint8_t)bytes.ptr[bits / 8] & (0xff >> inside)) != 0)
        return true;
    for (size_t i = (bits + 7) / 8; i < bytes.len; i++)
        if (bytes.ptr[i] != 0)
            return true;
    return false;
}

/* "::ffff:192.0.2.0/120" is 192.0.2.0/24. */
static void network_unmap(struct net_network *network)
{
    if (network->prefix_bits < MAPPED_BITS)
        return;
    net_address_unmap(&network->address);
    if (address_bits(&network->address) == NET_IPV4_BITS)
        network->prefix_bits -= MAPPED_BITS;
}

int net_network_parse(struct net_network *network, struct str text)
{
    struct net_network parsed;
    size_t slash = str_find(text, '/');
    struct str ip = str_slice(text, 0, slash);
    bool has_brackets = ip.len > 0 && ip.ptr[0] == '[';
    if (has_brackets || net_address_parse(&parsed.address, ip, 0) < 0)
        return -EINVAL;
    parsed.prefix_bits = address_bits(&parsed.address);
    if (slash < text.len && prefix_parse(str_slice(text, slash + 1, text.len), parsed.prefix_bits,
                                         &parsed.prefix_bits) < 0)
        return -EINVAL;
    if (has_bits_behind(&parsed.address, parsed.prefix_bits))
        return -EINVAL;
    network_unmap(&parsed);
    *network = parsed;
    return 0;
}

struct str net_network_text(const struct net_network *network, char text[NET_ADDRESS_TEXT])
{
    struct str ip = net_address_ip(&network->address, text);
    if (network->prefix_bits == address_bits(&network->address))
        return ip;
    int n = snprintf(text + ip.len, NET_ADDRESS_TEXT - ip.len, "/%u", network->prefix_bits);
    return (struct str){text, ip.len + (size_t)n};
}

static bool network_has(const struct net_network *network, const struct net_address *plain)
{
    return network->address.any.sa_family == plain->any.sa_family &&
           starts_with_bits(ip_bytes(plain), (const uint8_t *)ip_bytes(&network->address).ptr,
                            network->prefix_bits);
}

struct net_network net_network_of(const struct net_address *a, unsigned ipv6_bits)
{
    struct net_address plain = unmapped(a);
    struct net_network out = {.prefix_bits = NET_IPV4_BITS};
    out.address.any.sa_family = plain.any.sa_family;
    if (plain.any.sa_family != AF_INET6) {
        out.address.v4.sin_addr = plain.v4.sin_addr;
        return out;
    }
    uint8_t *bytes = out.address.v6.sin6_addr.s6_addr;
    size_t whole = ipv6_bits / 8, inside = ipv6_bits % 8;
    memcpy(bytes, plain.v6.sin6_addr.s6_addr, whole);
    if (inside > 0)
        bytes[whole] = plain.v6.sin6_addr.s6_addr[whole] & (uint8_t)(0xff00 >> inside);
    out.prefix_bits = ipv6_bits;
    return out;
}

/* Addresses that are made of IPv4 addresses: strangers to each other share their first 64 bits. */
static bool is_translated(const struct net_address *a)
{
    static const struct network made_of_ipv4[] = {
        {{0x00, 0x64, 0xff, 0x9b},             96, true}, /* RFC 6052 */
        {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48, true}, /* RFC 8215 */
        {{0x20, 0x01, 0x00, 0x00},             32, true}, /* RFC 4380, Teredo */
    };
    return is_in(a, made_of_ipv4, sizeof made_of_ipv4 / sizeof *made_of_ipv4);
}

struct net_network net_customer_of(const struct net_address *a)
{
    bool counts_alone = is_translated(a) || net_address_is_private(a);
    return net_network_of(a, counts_alone ? NET_IPV6_BITS : NET_CUSTOMER_IPV6_BITS);
}

bool net_network_same(const struct net_network *a, const struct net_network *b)
{
    return a->prefix_bits == b->prefix_bits && net_address_same_ip(&a->address, &b->address);
}

bool net_networks_overlap(const struct net_networks *networks, const struct net_network *network)
{
    for (size_t i = 0; i < networks->count; i++) {
        const struct net_network *each = &networks->item[i];
        bool is_wider = each->prefix_bits <= network->prefix_bits;
        if (is_wider ? network_has(each, &network->address) : network_has(network, &each->address))
            return true;
    }
    return false;
}

bool net_networks_have(const struct net_networks *networks, const struct net_address *a)
{
    struct net_address plain = unmapped(a);
    for (size_t i = 0; i < networks->count; i++)
        if (network_has(&networks->item[i], &plain))
            return true;
    return false;
}
