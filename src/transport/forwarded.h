/* forwarded.h - who is behind a trusted proxy, as Forwarded (RFC 7239) and X-Forwarded-For tell.
 * Pure. */
#ifndef AORTA_FORWARDED_H
#define AORTA_FORWARDED_H
#include <aorta/net_address.h>

/* The client of a request that came from `peer`, which must be a trusted proxy. `fields` are the
 * request's header lines, each with its CRLF. Forwarded counts if there is any, else
 * X-Forwarded-For; several lines of one name are one list.
 * Each proxy adds the address that it was called from at the end, so the list is believed from
 * there: up to the first address that is no trusted proxy's, which is the client. Where a hop
 * cannot be read, hides itself or is missing, it is the last address before that; `peer` if there
 * is none. The port is the hop's, or else the peer's. */
struct net_address forwarded_client(struct str fields, const struct net_networks *trusted,
                                    const struct net_address *peer);

/* Did the client come over TLS, which a proxy took off? By the first proto= of Forwarded, or if
 * there is none by the first word of X-Forwarded-Proto: https or wss. Decides no more than what a
 * registration is said to have come over. */
bool forwarded_is_secure(struct str fields);
#endif
