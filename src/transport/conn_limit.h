/* conn_limit.h - limits.connections and limits.connectionsPerIp, over all workers. Any thread. */
#ifndef AORTA_CONN_LIMIT_H
#define AORTA_CONN_LIMIT_H
#include <aorta/transport.h>

/* LIMIT_NONE, to be given back when the connection ends; or which limit is reached, likewise false.
 * Of a trusted proxy's connection only the total counts, and from its upgrade on its client's
 * address. */
enum limit conn_limit_take(struct conn_limit *limit, const struct net_address *remote);
void conn_limit_give(struct conn_limit *limit, const struct net_address *remote);
bool conn_limit_take_total(struct conn_limit *limit);
/* Likewise, for the admin part: it gets some more when the total is reached. */
bool conn_limit_take_admin(struct conn_limit *limit);
void conn_limit_give_total(struct conn_limit *limit);
bool conn_limit_take_ip(struct conn_limit *limit, const struct net_address *remote);
void conn_limit_give_ip(struct conn_limit *limit, const struct net_address *remote);
#endif
