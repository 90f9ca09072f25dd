/* aorta/sip_traces.h - whose SIP messages are to be logged, and until when: a few AORs and
 * addresses that the admin API named. Shared by all workers, any thread; as long as nobody is
 * traced, asking costs one load. */
#ifndef AORTA_SIP_TRACES_H
#define AORTA_SIP_TRACES_H
#include <aorta/net_address.h>
#include <stdatomic.h>

enum { SIP_TRACES_MAX = 16, SIP_TRACE_AOR_BYTES = 512 };

struct sip_traces {
    _Atomic unsigned count; /* of all that may not have ended yet */
    struct sip_trace_list *list;
};

/* One trace: an AOR, or when that is empty an address. */
struct sip_trace {
    struct str aor; /* canonical */
    struct net_address ip;
    uint64_t until_ms;
};

/* -ENOMEM. */
int sip_traces_init(struct sip_traces *traces);
void sip_traces_fini(struct sip_traces *traces);
static inline bool sip_traces_any(const struct sip_traces *traces)
{
    return atomic_load_explicit(&traces->count, memory_order_relaxed) > 0;
}
bool sip_traces_have_ip(struct sip_traces *traces, const struct net_address *ip, uint64_t now_ms);
bool sip_traces_have_aor(struct sip_traces *traces, struct str aor, uint64_t now_ms);
/* Copies; of one AOR or address the latest counts. -ENOSPC: SIP_TRACES_MAX are under way; -EINVAL:
 * the AOR is too long. */
int sip_traces_add(struct sip_traces *traces, const struct sip_trace *trace, uint64_t now_ms);
/* Ends them all; tells how many there were. */
unsigned sip_traces_end_all(struct sip_traces *traces, uint64_t now_ms);
/* Calls `each` for those under way, under a lock. */
typedef void sip_trace_fn(void *arg, const struct sip_trace *trace);
void sip_traces_each(struct sip_traces *traces, uint64_t now_ms, sip_trace_fn *each, void *arg);
#endif
