/* aorta/nat.h - is the sender of a request behind a NAT? Pure; any thread. */
#ifndef AORTA_NAT_H
#define AORTA_NAT_H
#include <aorta/sip.h>

/* True when the topmost Via's sent-by or the host of any Contact cannot be where `source` is seen
 * from here: an IP address other than the source's, a private one (even if it is the source's: the
 * way to it may close), or a name in .invalid, which browsers make up. Whether that shortens the
 * granted time is up to `nat.transports`. */
bool nat_is_behind(const struct sip_request *sip, const struct net_address *source);
#endif
