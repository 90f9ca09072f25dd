#include <aorta/net_address.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

static int parse_v4(struct net_address *a, const char *ip, uint16_t port)
{
    struct net_address parsed = {
        .v4 = {.sin_family = AF_INET, .sin_port = htons(port)}
    };
    if (inet_pton(AF_INET, ip, &parsed.v4.sin_addr) != 1)
        return -EINVAL;
    *a = parsed;
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
    if (ip.len == 0 || ip.len >= sizeof text || str_find(ip, '\0') < ip.len)
        return -EINVAL;
    memcpy(text, ip.ptr, ip.len);
    text[ip.len] = '\0';
    if (has_brackets || str_find(ip, ':') < ip.len)
        return parse_v6(a, text, port);
    return parse_v4(a, text, port);
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

struct str net_address_ip(const struct net_address *a, char text[NET_ADDRESS_TEXT])
{
    int family = a->any.sa_family == AF_INET6 ? AF_INET6 : AF_INET;
    inet_ntop(family, ip_bytes(a).ptr, text, NET_ADDRESS_TEXT);
    return str_from(text);
}

struct str net_address_host_port(const struct net_address *a, char text[NET_ADDRESS_TEXT])
{
    char ip[NET_ADDRESS_TEXT];
    net_address_ip(a, ip);
    bool is_v6 = a->any.sa_family == AF_INET6;
    int n = snprintf(text, NET_ADDRESS_TEXT, "%s%.45s%s:%u", is_v6 ? "[" : "", ip, is_v6 ? "]" : "",
                     (unsigned)net_address_port(a));
    return (struct str){text, (size_t)n};
}

bool net_address_same_ip(const struct net_address *a, const struct net_address *b)
{
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

static bool has_bits_behind(struct str bytes, unsigned bits)
{
    for (unsigned i = bits; i < bytes.len * 8; i++)
        if ((unsigned char)bytes.ptr[i / 8] >> (7 - i % 8) & 1)
            return true;
    return false;
}

int net_network_parse(struct net_network *network, struct str text)
{
    struct net_network parsed;
    size_t slash = str_find(text, '/');
    int rc = net_address_parse(&parsed.address, str_slice(text, 0, slash), 0);
    if (rc < 0)
        return rc;
    struct str bytes = ip_bytes(&parsed.address);
    uint64_t bits = bytes.len * 8;
    if (slash < text.len && str_to_u64(str_slice(text, slash + 1, text.len), bits, &bits) < 0)
        return -EINVAL;
    parsed.prefix_bits = (unsigned)bits;
    if (has_bits_behind(bytes, parsed.prefix_bits))
        return -EINVAL;
    *network = parsed;
    return 0;
}

bool net_networks_have(const struct net_networks *networks, const struct net_address *a)
{
    struct net_address plain = unmapped(a);
    for (size_t i = 0; i < networks->count; i++) {
        const struct net_network *n = &networks->item[i];
        if (n->address.any.sa_family == plain.any.sa_family &&
            starts_with_bits(ip_bytes(&plain), (const uint8_t *)ip_bytes(&n->address).ptr,
                             n->prefix_bits))
            return true;
    }
    return false;
}
