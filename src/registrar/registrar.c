#include "registrar_internal.h"
#include "trace.h"
#include <aorta/clock.h>
#include <aorta/log.h>
#include <stdlib.h>

enum {
    REFUSALS_LOGGED_PER_S = 10,
    TRACED_PER_S = 100,
    FLOOD_RETRY_AFTER_S = 1,
};

#define ALLOWED_METHODS STR("REGISTER, OPTIONS")
#define SUPPORTED_EXTENSIONS STR("path, outbound")

/* ---- Life ---------------------------------------------------------------------------------- */

static void note_change(void *arg, enum store_change change, struct str aor,
                        const struct binding *binding, const struct binding *by)
{
    static const struct {
        bool is_noted;
        enum fact_kind kind;
    } row[STORE_CHANGES] = {
        [STORE_EVICTED] = {true, FACT_EVICTED},
        [STORE_EXPIRED] = {true, FACT_EXPIRED},
        [STORE_REMOVED_BY_ADMIN] = {true, FACT_REMOVED},
        [STORE_REPLACED_ELSEWHERE] = {true, FACT_MOVED  },
    };
    const struct registrar *r = arg;
    if (!row[change].is_noted)
        return;
    const struct fact fact = {.kind = row[change].kind,
                              .protocol = binding->protocol,
                              .time_ms = clock_now_ms(),
                              .conn = binding->conn,
                              .source = by ? by->source : binding->source};
    journal_note(r->deps.journal, r->deps.worker, aor, &fact);
}

struct registrar *registrar_new(const struct registrar_deps *deps, struct settings *settings)
{
    struct registrar *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->deps = *deps;
    r->replies = reply_cache_new(settings->config->reply_bytes);
    r->flows = flow_set_new();
    ratelimit_init(&r->refusal_log, REFUSALS_LOGGED_PER_S, REFUSALS_LOGGED_PER_S, clock_now_ms());
    ratelimit_init(&r->trouble_log, REFUSALS_LOGGED_PER_S, REFUSALS_LOGGED_PER_S, clock_now_ms());
    ratelimit_init(&r->trace_log, TRACED_PER_S, TRACED_PER_S, clock_now_ms());
    if (!r->replies || !r->flows || registrar_set_settings(r, settings) < 0) {
        registrar_free(r);
        return NULL;
    }
    r->watcher = (struct store_watcher){.changed = note_change, .arg = r};
    store_watch(deps->store, &r->watcher);
    return r;
}

void registrar_cancel(struct registrar *r)
{
    for (struct policy *policy = r ? r->policies : NULL; policy; policy = policy->next) {
        policy->transactions++; /* it stays when its last request ends */
        callback_lanes_free(policy->lanes);
        policy->lanes = NULL;
        policy->transactions--;
    }
}

void registrar_free(struct registrar *r)
{
    if (!r)
        return;
    registrar_cancel(r);
    while (r->policies)
        policy_free(r->policies);
    for (struct transaction *txn = r->free_transactions, *next; txn; txn = next) {
        next = txn->next_free;
        arena_fini(&txn->arena);
        free(txn);
    }
    reply_cache_free(r->replies);
    flow_set_free(r->flows);
    free(r->reply_memory);
    free(r);
}

bool registrar_is_idle(const struct registrar *r)
{
    return r->transactions == 0;
}

uint32_t registrar_load_percent(const struct registrar *r)
{
    return r->transactions * 100 / r->policy->settings->config->transactions;
}

uint32_t registrar_count_transactions(const struct registrar *r)
{
    return r->transactions;
}

void registrar_callback_load(const struct registrar *r, struct http_lane_load *callbacks)
{
    for (const struct policy *policy = r->policies; policy; policy = policy->next)
        callback_lanes_load(policy->lanes, callbacks);
}

void registrar_set_overload(struct registrar *r, enum overload_level level)
{
    r->overload = level;
}

/* ---- Methods ------------------------------------------------------------------------------- */

static void serve_options(struct transaction *txn)
{
    struct buf b = txn_reply_begin(txn, 200, "OK");
    sip_reply_header(&b, "Allow", ALLOWED_METHODS);
    sip_reply_header(&b, "Accept", STR("application/sdp"));
    sip_reply_header(&b, "Supported", SUPPORTED_EXTENSIONS);
    txn_reply_send(txn, &b);
}

/* RFC 3261 17.1.1.3: an ACK is never answered. */
static void serve_ack(struct transaction *txn)
{
    txn_end(txn);
}

/* RFC 3261 9.1: a REGISTER cannot be cancelled, and everything else is answered at once. */
static void serve_cancel(struct transaction *txn)
{
    metrics_add(txn->r->deps.metrics, METRIC_REFUSED_METHOD);
    txn_reply(txn, 481, sip_reason(481));
}

static void serve_other(struct transaction *txn)
{
    metrics_add(txn->r->deps.metrics, METRIC_REFUSED_METHOD);
    txn_reply_with(txn, 405, sip_reason(405), "Allow", ALLOWED_METHODS);
}

struct method_row {
    enum sip_method method;
    void (*serve)(struct transaction *txn);
    bool heeds_require; /* RFC 3261 8.2.2.3: neither ACK nor CANCEL may be refused for Require */
};

static const struct method_row methods[] = {
    {SIP_METHOD_REGISTER, register_begin, true },
    {SIP_METHOD_OPTIONS,  serve_options,  true },
    {SIP_METHOD_ACK,      serve_ack,      false},
    {SIP_METHOD_CANCEL,   serve_cancel,   false},
    {SIP_METHOD_OTHER,    serve_other,    false}, /* the last: whatever else it is */
};

static const struct method_row *find_method(enum sip_method method)
{
    const struct method_row *row = methods;
    while (row->method != method && row->method != SIP_METHOD_OTHER)
        row++;
    return row;
}

static bool is_scanner(const struct transaction *txn)
{
    const struct config_list *scanners = &txn->config->scanners;
    for (size_t i = 0; i < scanners->count; i++)
        if (str_starts_nocase(txn->request.user_agent, str_from(scanners->item[i])))
            return true;
    return false;
}

/* Not a word, or it knows that there is something to attack. */
static void drop_scanner(struct transaction *txn)
{
    struct transport *transport = txn->r->deps.transport;
    conn_id conn = txn->source.conn;
    metrics_add(txn->r->deps.metrics, METRIC_DROPPED);
    txn_limit_reached(txn, LIMIT_SCANNERS);
    txn_end(txn);
    transport_turn_away(transport, conn);
}

static enum metric metric_of(const struct sip_fault *fault)
{
    switch (fault->status) {
    case 503:
        return METRIC_REFUSED_NO_MEMORY;
    case 513:
        return METRIC_REFUSED_TOO_LONG;
    default:
        return METRIC_REFUSED_MALFORMED;
    }
}

static void serve_fault(struct transaction *txn, const struct sip_fault *fault)
{
    if (fault->limit != LIMIT_NONE)
        txn_limit_reached(txn, fault->limit);
    if (fault->status == 0) {
        metrics_add(txn->r->deps.metrics, METRIC_DROPPED);
        LOG_DEBUG("message dropped", LOG_TEXT("why", fault->reason));
        txn_end(txn);
        return;
    }
    metrics_add(txn->r->deps.metrics, metric_of(fault));
    LOG_DEBUG("message refused", LOG_NUM("status", fault->status), LOG_TEXT("why", fault->reason),
              LOG_STR("call_id", txn->request.call_id));
    if (fault->status == 503)
        txn_reply_with(txn, fault->status, fault->reason, "Retry-After", STR("1"));
    else
        txn_reply(txn, fault->status, fault->reason);
}

static bool parse(struct transaction *txn, struct str message, struct sip_fault *fault)
{
    const struct config *config = txn->config;
    const struct sip_limits limits = {
        .header_lines = config->header_lines,
        .vias = config->vias,
        .contacts = config->contacts,
        .paths = config->paths,
    };
    return sip_parse_within(&limits, message, &txn->arena, &txn->request, fault);
}

static void serve(struct transaction *txn, struct str message)
{
    struct str copy = txn->message = arena_copy(&txn->arena, message);
    if (!copy.ptr) {
        transport_give_up(txn->r->deps.transport, &txn->source);
        txn_end(txn);
        return;
    }
    struct sip_fault fault;
    bool is_parsed = parse(txn, copy, &fault);
    txn->is_traced = trace_is_wanted(txn, is_parsed);
    if (txn->is_traced)
        trace_request(txn, message);
    if (is_scanner(txn)) {
        drop_scanner(txn);
        return;
    }
    if (!is_parsed) {
        serve_fault(txn, &fault);
        return;
    }
    LOG_TRACE("request", LOG_STR("method", txn->request.method_text),
              LOG_STR("call_id", txn->request.call_id), LOG_NUM("cseq", txn->request.cseq));
    const struct method_row *row = find_method(txn->request.method);
    if (row->heeds_require && txn->request.unsupported.len > 0) {
        metrics_add(txn->r->deps.metrics, METRIC_REFUSED_EXTENSION);
        txn_reply_with(txn, 420, sip_reason(420), "Unsupported", txn->request.unsupported);
        return;
    }
    row->serve(txn);
}

/* ---- What the transport calls -------------------------------------------------------------- */

static bool answer_retransmission(struct registrar *r, const struct sip_source *source,
                                  uint64_t key)
{
    struct net_address to;
    struct str reply;
    enum reply_cache_state state = reply_cache_find(r->replies, key, clock_now_ms(), &to, &reply);
    if (state == REPLY_CACHE_NEW)
        return false;
    metrics_add(r->deps.metrics, METRIC_RETRANSMISSIONS);
    if (state == REPLY_CACHE_WAITING)
        return true; /* one answer for all of them, when it comes */
    memcpy(r->reply_memory + TRANSPORT_HEADROOM, reply.ptr, reply.len);
    transport_send(r->deps.transport, source, &to, r->reply_memory + TRANSPORT_HEADROOM, reply.len);
    return true;
}

void registrar_on_message(void *arg, const struct sip_source *source, struct str message)
{
    struct registrar *r = arg;
    metrics_add(r->deps.metrics, METRIC_MESSAGES);
    uint64_t key = 0;
    if (source->kind == TRANSPORT_UDP) {
        key = reply_cache_key(&source->remote, message);
        if (answer_retransmission(r, source, key))
            return;
    }
    struct transaction *txn = txn_begin(r, source);
    if (!txn) {
        transport_give_up(r->deps.transport, source);
        return;
    }
    txn->reply_key = key;
    uint64_t serial = txn->serial;
    serve(txn, message);
    if (txn->serial == serial)
        txn_await(txn);
}

static void refuse_broken(struct transaction *txn, int status)
{
    if (status == 503) {
        char text[16];
        struct buf number;
        buf_init_fixed(&number, text, sizeof text);
        buf_put_u64(&number, FLOOD_RETRY_AFTER_S);
        metrics_add(txn->r->deps.metrics, METRIC_REFUSED_RATE);
        txn_reply_with(txn, 503, sip_reason(503), "Retry-After", buf_str(&number));
        return;
    }
    const char *reason = status == 513 ? sip_reason(513) : "Missing or bad Content-Length header";
    serve_fault(txn, &(struct sip_fault){.status = status, .reason = reason});
}

void registrar_on_broken(void *arg, const struct sip_source *source, struct str head, int status)
{
    struct registrar *r = arg;
    metrics_add(r->deps.metrics, METRIC_MESSAGES);
    struct transaction *txn = txn_begin(r, source);
    if (!txn)
        return;
    struct str copy = txn->message = arena_copy(&txn->arena, head);
    struct sip_fault fault = {.reason = "out of memory"};
    bool is_parsed = copy.ptr && parse(txn, copy, &fault);
    txn->is_traced = copy.ptr && trace_is_wanted(txn, is_parsed);
    if (txn->is_traced)
        trace_request(txn, head);
    if (copy.ptr && is_scanner(txn))
        drop_scanner(txn);
    else if (txn->request.method != SIP_METHOD_ACK && (is_parsed || fault.status != 0))
        refuse_broken(txn, status);
    else
        serve_fault(txn, &(struct sip_fault){.reason = "broken, and not to be answered"});
}

struct close_context {
    struct registrar *r;
    conn_id conn;
    bool removes;
    struct fact fact;
};

static void close_one_aor(void *arg, struct str aor)
{
    struct close_context *ctx = arg;
    struct store *store = ctx->r->deps.store;
    bool is_in_use = store->ops->has_flow(store, aor, ctx->conn);
    ctx->fact.kind = is_in_use ? FACT_FLOW_CLOSED : FACT_DISCONNECTED;
    journal_note(ctx->r->deps.journal, ctx->r->deps.worker, aor, &ctx->fact);
    store->ops->close_flow(store, aor, ctx->conn, ctx->removes);
}

void registrar_on_closed(void *arg, enum transport_kind kind, conn_id conn, void *user,
                         const struct transport_end *end)
{
    struct registrar *r = arg;
    const struct config *config = r->policy->settings->config;
    struct close_context ctx = {
        .r = r,
        .conn = conn,
        .removes = config->close_removes & 1u << kind,
        .fact = {.protocol = kind,
                 .time_ms = clock_now_ms(),
                 .conn = conn,
                 .cause = end->why,
                 .number = end->ws_code},
    };
    flow_each(user, close_one_aor, &ctx);
    flow_drop(r->flows, user);
}

struct use_context {
    struct registrar *r;
    conn_id conn;
    bool is_in_use;
};

static void ask_one_aor(void *arg, struct str aor)
{
    struct use_context *ctx = arg;
    struct store *store = ctx->r->deps.store;
    ctx->is_in_use = ctx->is_in_use || store->ops->has_flow(store, aor, ctx->conn);
}

bool registrar_is_in_use(void *arg, conn_id conn, void *user)
{
    struct use_context ctx = {arg, conn, false};
    flow_each(user, ask_one_aor, &ctx);
    return ctx.is_in_use;
}
