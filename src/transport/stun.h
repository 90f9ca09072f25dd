/* stun.h - the STUN server that a SIP client behind NAT asks to keep its UDP binding open
 * (RFC 5626 4.4.2, RFC 8489). Pure. */
#ifndef AORTA_STUN_H
#define AORTA_STUN_H
#include <aorta/net_address.h>
#include <aorta/str.h>

enum { STUN_REPLY_BYTES = 44 };

/* Is this datagram STUN, and so no SIP? */
bool stun_is_message(struct str datagram);
/* The success response with XOR-MAPPED-ADDRESS to a well-formed binding request; 0 bytes to
 * anything else, which is not answered. Attributes of the request are not looked at. */
size_t stun_answer(struct str datagram, const struct net_address *remote,
                   char reply[STUN_REPLY_BYTES]);
#endif
