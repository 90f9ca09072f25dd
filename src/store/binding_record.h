/* store/binding_record.h - a binding as it lies in memory: one allocation, small integers in front,
 * all text packed behind them. A million of them have to fit. */
#ifndef AORTA_BINDING_RECORD_H
#define AORTA_BINDING_RECORD_H
#include <aorta/binding.h>
#include <aorta/timer_wheel.h>

struct aor;

struct binding_record {
    struct timer expiry; /* first, so that a timer that fires is its record */
    struct binding_record *next;
    struct aor *aor;
    uint64_t refreshed_ms, expires_ms, authenticated_ms;
    conn_id conn;
    uint32_t reg_id, cseq, expires_limit_s;
    int16_t q_milli;
    uint8_t protocol;
    bool is_outbound : 1, is_nat : 1, is_flow_dead : 1;
    bool is_own : 1; /* for a store that also remembers what others hold */
    uint8_t
        tail[]; /* the source address, then contact, instance, call_id, path, user_agent, grant */
};

/* The caller frees with free(). NULL when out of memory. */
struct binding_record *binding_record_new(const struct binding *b);
/* The text of the view is the record's. */
struct binding binding_record_view(const struct binding_record *r);
/* The same with its text copied to `arena`. -ENOMEM, or 0. */
int binding_record_copy(const struct binding_record *r, struct arena *arena, struct binding *out);
#endif
