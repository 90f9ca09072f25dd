/* flow.h - which AORs a connection has registered, so that their bindings can go when it closes.
 * The list hangs on the connection (transport_user()); a set finds what is listed already. */
#ifndef AORTA_FLOW_H
#define AORTA_FLOW_H
#include <aorta/str.h>
#include <aorta/transport_kind.h>

struct flow_set;
struct flow_aor; /* one AOR of one connection */

struct flow_set *flow_set_new(void);
void flow_set_free(struct flow_set *set);
/* Lists `aor` at `*list` once, however often it is called. 1 when it was not listed before, else 0;
 * or -ENOMEM. */
int flow_add(struct flow_set *set, void **list, conn_id conn, struct str aor);
typedef void flow_aor_fn(void *arg, struct str aor);
/* Calls `each` for all AORs of a list. */
void flow_each(const void *list, flow_aor_fn *each, void *arg);
/* Is anything else than `aor` listed? */
bool flow_has_other(const void *list, struct str aor);
/* Forgets a whole list. */
void flow_drop(struct flow_set *set, void *list);
#endif
