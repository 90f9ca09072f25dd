#include "stun.h"
#include <arpa/inet.h>

enum {
    HEADER_BYTES = 20,
    ATTRIBUTE_HEADER_BYTES = 4,
    PADDING_BYTES = 4, /* all attributes are filled up to a multiple of it: RFC 8489 5 */
    BINDING_REQUEST = 0x0001,
    BINDING_SUCCESS = 0x0101,
    XOR_MAPPED_ADDRESS = 0x0020,
    MAGIC_COOKIE = 0x2112A442,
    FAMILY_IPV4 = 1,
    FAMILY_IPV6 = 2,
};

static uint16_t read_u16(const char *p)
{
    uint16_t n;
    memcpy(&n, p, sizeof n);
    return ntohs(n);
}

static void put_u16(char *p, unsigned n)
{
    uint16_t wire = htons((uint16_t)n);
    memcpy(p, &wire, sizeof wire);
}

bool stun_is_message(struct str datagram)
{
    uint32_t cookie;
    if (datagram.len < HEADER_BYTES || (datagram.ptr[0] & 0xc0) != 0)
        return false;
    memcpy(&cookie, datagram.ptr + 4, sizeof cookie);
    return ntohl(cookie) == MAGIC_COOKIE;
}

/* RFC 8489 14.2: the port is XORed with the cookie's first half, the address with cookie and
 * transaction id, which stand side by side in the header. */
static size_t put_xor_address(char *value, const char *header, const struct net_address *remote)
{
    bool is_v6 = remote->any.sa_family == AF_INET6;
    const void *address = is_v6 ? (const void *)&remote->v6.sin6_addr : &remote->v4.sin_addr;
    size_t address_bytes = is_v6 ? 16 : 4;
    value[0] = 0;
    value[1] = is_v6 ? FAMILY_IPV6 : FAMILY_IPV4;
    put_u16(value + 2, net_address_port(remote) ^ (MAGIC_COOKIE >> 16));
    memcpy(value + 4, address, address_bytes);
    for (size_t i = 0; i < address_bytes; i++)
        value[4 + i] = (char)(value[4 + i] ^ header[4 + i]);
    return 4 + address_bytes;
}

size_t stun_answer(struct str datagram, const struct net_address *remote,
                   char reply[STUN_REPLY_BYTES])
{
    if (!stun_is_message(datagram) || read_u16(datagram.ptr) != BINDING_REQUEST ||
        read_u16(datagram.ptr + 2) != datagram.len - HEADER_BYTES ||
        datagram.len % PADDING_BYTES != 0)
        return 0;
    memcpy(reply, datagram.ptr, HEADER_BYTES);
    char *attribute = reply + HEADER_BYTES;
    size_t value_bytes = put_xor_address(attribute + ATTRIBUTE_HEADER_BYTES, reply, remote);
    put_u16(attribute, XOR_MAPPED_ADDRESS);
    put_u16(attribute + 2, (unsigned)value_bytes);
    put_u16(reply, BINDING_SUCCESS);
    put_u16(reply + 2, (unsigned)(ATTRIBUTE_HEADER_BYTES + value_bytes));
    return HEADER_BYTES + ATTRIBUTE_HEADER_BYTES + value_bytes;
}
