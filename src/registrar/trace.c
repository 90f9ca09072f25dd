#include "trace.h"
#include <aorta/log.h>

enum {
    PART_BYTES = 1200, /* of a message in one line of the log, where it grows by escapes */
    MAX_PARTS = 8,
    AOR_BYTES = SIP_TRACE_AOR_BYTES,
};

static bool is_traced(const struct transaction *txn, bool is_parsed)
{
    struct sip_traces *traces = txn->r->deps.traces;
    if (!sip_traces_any(traces))
        return false;
    if (sip_traces_have_ip(traces, &txn->source.remote, txn->now_ms))
        return true;
    char memory[AOR_BYTES];
    struct buf aor;
    buf_init_fixed(&aor, memory, sizeof memory);
    return is_parsed && sip_uri_write_aor(&txn->request.to_uri, &aor) == 0 && !aor.error &&
           sip_traces_have_aor(traces, buf_str(&aor), txn->now_ms);
}

/* A stranger may write to an AOR that is traced as often as he likes. */
static bool has_room(struct registrar *r, uint64_t now_ms)
{
    if (!ratelimit_take(&r->trace_log, now_ms)) {
        r->traces_left_out++;
        return false;
    }
    struct log_field fields[] = {LOG_NUM("count", r->traces_left_out), {.key = NULL}};
    if (r->traces_left_out > 0) /* whatever the level, as the messages themselves */
        log_write(LOG_LEVEL_INFO, "sip requests left out of the trace", fields);
    r->traces_left_out = 0;
    return true;
}

bool trace_is_wanted(const struct transaction *txn, bool is_parsed)
{
    return is_traced(txn, is_parsed) && has_room(txn->r, txn->now_ms);
}

/* Whatever the level: somebody has asked for it. A message too long for a line comes in parts. */
static void log_message(const struct transaction *txn, const char *event,
                        const struct net_address *peer, struct str message)
{
    char text[NET_ADDRESS_TEXT];
    struct str host_port = net_address_host_port(peer, text);
    size_t parts = (message.len + PART_BYTES - 1) / PART_BYTES;
    for (size_t i = 0; i < parts && i < MAX_PARTS; i++) {
        struct log_field fields[] = {
            LOG_STR("peer", host_port),
            LOG_TEXT("protocol", transport_kind_name(txn->source.kind)),
            LOG_STR("call_id", txn->request.call_id),
            LOG_NUM("part", i + 1),
            LOG_NUM("parts", parts),
            LOG_STR("message", str_slice(message, i * PART_BYTES, (i + 1) * PART_BYTES)),
            {.key = NULL},
        };
        log_write(LOG_LEVEL_INFO, event, fields);
    }
}

static void log_masked(const struct transaction *txn, const char *event,
                       const struct net_address *peer, struct str message)
{
    struct buf masked;
    buf_init_heap(&masked, SIP_MASKED_BYTES(message.len));
    sip_put_masked(&masked, message);
    if (!masked.error)
        log_message(txn, event, peer, buf_str(&masked));
    buf_fini(&masked);
}

void trace_request(const struct transaction *txn, struct str message)
{
    log_masked(txn, "sip in", &txn->source.remote, message);
}

void trace_answer(const struct transaction *txn, const struct net_address *to, struct str message)
{
    log_masked(txn, "sip out", to, message);
}
