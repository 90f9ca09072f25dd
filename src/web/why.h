/* why.h - facts about an AOR in words, and the one sentence that says why it is, or is not,
 * reachable. Pure. */
#ifndef AORTA_WHY_H
#define AORTA_WHY_H
#include <aorta/buf.h>
#include <aorta/journal.h>

enum flow_state {
    FLOW_DATAGRAM,  /* registered over UDP: nobody knows but by calling */
    FLOW_OPEN,      /* its connection is there */
    FLOW_CLOSED,    /* it is gone, and the binding stays (registrar.closeRemoves) */
    FLOW_ELSEWHERE, /* another node has it */
};
/* "datagram", "open", "closed", "elsewhere". */
const char *flow_state_name(enum flow_state state);

/* What counts of a binding here. */
struct why_binding {
    enum flow_state state;
    enum transport_kind protocol;
    struct net_address source;
    uint64_t expires_ms;
    uint64_t heard_ms; /* FLOW_OPEN: when something came over its connection */
    uint32_t unanswered_pings;
    struct str node; /* FLOW_ELSEWHERE: whose */
};

struct why {
    const struct why_binding *bindings;
    size_t binding_count;
    const struct fact *facts; /* oldest first */
    size_t fact_count;
    uint64_t begins_ms; /* since when this node knows facts */
    uint64_t now_ms;
};

/* Can somebody call it, as far as this node knows? */
bool why_is_reachable(const struct why *why);
void why_put_sentence(struct buf *b, const struct why *why);
/* "granted", "flow-closed" …; for programs. */
const char *why_fact_kind_name(enum fact_kind kind);
/* One fact in words, without its time. */
void why_put_fact(struct buf *b, const struct fact *fact);
#endif
