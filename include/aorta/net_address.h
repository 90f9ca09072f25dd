/* aorta/net_address.h - IP addresses as values: parse, print, compare, classify. Pure. */
#ifndef AORTA_NET_ADDRESS_H
#define AORTA_NET_ADDRESS_H
#include <aorta/str.h>
#include <netinet/in.h>
#include <sys/socket.h>

struct net_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
};

enum { NET_ADDRESS_TEXT = 64 }; /* "[ffff:...]:65535" and its end, with room */

/* `ip` without a port; IPv6 with or without brackets, no zone id. -EINVAL if it is no IP. */
int net_address_parse(struct net_address *a, struct str ip, uint16_t port);
socklen_t net_address_size(const struct net_address *a);
uint16_t net_address_port(const struct net_address *a);
/* An IPv4 address that came in an IPv6 socket becomes plain IPv4. */
void net_address_unmap(struct net_address *a);
/* "192.0.2.1" or "2001:db8::1", without port and brackets. Returns `text`'s used part. */
struct str net_address_ip(const struct net_address *a, char text[NET_ADDRESS_TEXT]);
/* "192.0.2.1:5060" or "[2001:db8::1]:5060". */
struct str net_address_host_port(const struct net_address *a, char text[NET_ADDRESS_TEXT]);
bool net_address_same_ip(const struct net_address *a, const struct net_address *b);
bool net_address_same(const struct net_address *a, const struct net_address *b); /* and port */
bool net_address_is_loopback(const struct net_address *a);
bool net_address_is_wildcard(const struct net_address *a);
/* RFC 1918, RFC 6598, RFC 4193 and link-local addresses: never reachable from elsewhere. */
bool net_address_is_private(const struct net_address *a);
/* Hash of the IP only. */
uint64_t net_address_hash_ip(const struct net_address *a);

/* ---- Networks ------------------------------------------------------------------------------ */

enum {
    NET_IPV4_BITS = 32,
    NET_IPV6_BITS = 128,
    NET_CUSTOMER_IPV6_BITS = 64, /* each customer has at least so much */
};

struct net_network {
    struct net_address address; /* with zeros behind its prefix */
    unsigned prefix_bits;
};
struct net_networks {
    struct net_network *item;
    size_t count;
};

/* "192.0.2.0/24", "2001:db8::/32", or a single address. -EINVAL if it is none, or has bits set
 * behind its prefix. */
int net_network_parse(struct net_network *network, struct str text);
/* "192.0.2.0/24"; a single address without its prefix. */
struct str net_network_text(const struct net_network *network, char text[NET_ADDRESS_TEXT]);
/* `a` alone, but of IPv6 the network of its first `ipv6_bits` (1 to 128). Without port and zone. */
struct net_network net_network_of(const struct net_address *a, unsigned ipv6_bits);
/* What `a` counts as where each customer is to count once: of IPv6 the /64, but it alone where
 * translators make addresses of IPv4 ones (RFC 6052, 8215, 4380), and in private networks, where
 * the neighbours share the /64. */
struct net_network net_customer_of(const struct net_address *a);
bool net_network_same(const struct net_network *a, const struct net_network *b);
bool net_networks_have(const struct net_networks *networks, const struct net_address *a);
/* Is there an address that is in `network` and in one of them? */
bool net_networks_overlap(const struct net_networks *networks, const struct net_network *network);
#endif
