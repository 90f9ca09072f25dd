/* A request from its arrival to its answer. */
#include "registrar_internal.h"
#include "trace.h"
#include <aorta/clock.h>
#include <aorta/log.h>
#include <stdlib.h>

enum {
    ARENA_BYTES = 16 << 10,    /* first chunk: a usual REGISTER with all its parts */
    ARENA_MAX_BYTES = 8 << 20, /* the largest message, parsed into its smallest parts */
    SIP_PORT = 5060,
};

/* ---- Beginning and end --------------------------------------------------------------------- */

static struct transaction *txn_new(void)
{
    struct transaction *txn = malloc(sizeof *txn);
    if (txn && arena_init(&txn->arena, ARENA_BYTES, ARENA_MAX_BYTES) < 0) {
        free(txn);
        return NULL;
    }
    return txn;
}

struct transaction *txn_begin(struct registrar *r, const struct sip_source *source)
{
    struct transaction *txn = r->free_transactions;
    if (txn)
        r->free_transactions = txn->next_free;
    else if (!(txn = txn_new()))
        return NULL;
    txn->r = r;
    txn->policy = r->policy;
    txn->policy->transactions++;
    txn->config = txn->policy->settings->config;
    txn->serial = ++r->serial;
    txn->source = *source;
    txn->reply_key = 0;
    txn->message = STR_NONE;
    txn->is_awaited = txn->is_traced = false;
    txn->began_us = clock_now_us();
    txn->now_ms = txn->began_us / 1000;
    txn->outcome = REGISTER_NONE;
    r->transactions++;
    return txn;
}

void txn_await(struct transaction *txn)
{
    struct registrar *r = txn->r;
    if (txn->reply_key != 0 && reply_cache_wait(r->replies, txn->reply_key, txn->now_ms))
        txn_limit_reached(txn, LIMIT_REPLY_BYTES);
    txn->is_awaited = transport_kind_is_stream(txn->source.kind);
    if (txn->is_awaited)
        transport_add_awaited(r->deps.transport, txn->source.conn, 1);
}

void txn_end(struct transaction *txn)
{
    if (txn->is_awaited)
        transport_add_awaited(txn->r->deps.transport, txn->source.conn, -1);
    txn->serial = 0;
    txn->r->transactions--;
    policy_release(txn->policy);
    if (txn->message.ptr)
        explicit_bzero((char *)txn->message.ptr, txn->message.len); /* Authorization is in it */
    arena_reset(&txn->arena);
    txn->next_free = txn->r->free_transactions;
    txn->r->free_transactions = txn;
}

void txn_limit_reached(const struct transaction *txn, enum limit which)
{
    limit_reached(txn->r->deps.metrics, which, &txn->source.remote, txn->now_ms);
}

/* ---- Answers ------------------------------------------------------------------------------- */

/* RFC 3261 8.2.6.2: the same request gets the same tag, even if we forgot that it came before. */
static struct str make_to_tag(const struct transaction *txn, char memory[16])
{
    const struct sip_request *request = &txn->request;
    uint64_t hash = str_hash(request->call_id) ^ str_hash(request->cseq_text) * 3;
    if (request->via_count > 0)
        hash ^= str_hash(request->via[0].branch) * 5;
    struct buf b;
    buf_init_fixed(&b, memory, 16);
    buf_put_hex(&b, (const uint8_t *)&hash, sizeof hash);
    return buf_str(&b);
}

struct buf txn_reply_begin(struct transaction *txn, int status, const char *reason)
{
    char tag[16];
    struct sip_reply_context ctx = {.request = &txn->request,
                                    .source = &txn->source.remote,
                                    .to_tag = make_to_tag(txn, tag)};
    struct buf b;
    buf_init_fixed(&b, txn->r->reply_memory + TRANSPORT_HEADROOM, txn->r->reply_bytes);
    sip_reply_begin(&b, &ctx, status, reason);
    return b;
}

/* Over UDP an answer goes to the address that the request came from; to its port with rport
 * (RFC 3581 4), else to the port that the client named in Via (RFC 3261 18.2.2). */
static struct net_address reply_destination(const struct transaction *txn)
{
    struct net_address to = txn->source.remote;
    const struct sip_via *via = &txn->request.via[0];
    if (txn->request.via_count == 0 || via->has_rport)
        return to;
    uint16_t port = htons(via->port ? via->port : SIP_PORT);
    if (to.any.sa_family == AF_INET6)
        to.v6.sin6_port = port;
    else
        to.v4.sin_port = port;
    return to;
}

/* Before the answer goes: who has it finds it counted. */
static void count_register(const struct transaction *txn)
{
    struct metrics *m = txn->r->deps.metrics;
    if (txn->outcome == REGISTER_NONE)
        return;
    metrics_add_register(m, txn->source.kind, txn->outcome);
    histogram_add(&m->duration[DURATION_REGISTER], clock_now_us() - txn->began_us);
}

void txn_reply_send(struct transaction *txn, struct buf *reply)
{
    struct registrar *r = txn->r;
    sip_reply_end(reply);
    if (reply->error) {
        if (ratelimit_take(&r->trouble_log, txn->now_ms))
            LOG_WARN("answer too long", LOG_STR("call_id", txn->request.call_id));
        txn_end(txn);
        return;
    }
    count_register(txn);
    struct net_address to = reply_destination(txn);
    if (txn->reply_key != 0 &&
        reply_cache_put(r->replies, txn->reply_key, txn->now_ms, &to, buf_str(reply)))
        txn_limit_reached(txn, LIMIT_REPLY_BYTES);
    if (txn->is_traced)
        trace_answer(txn, &to, buf_str(reply));
    int rc = transport_send(r->deps.transport, &txn->source, &to, reply->data, reply->len);
    if (rc < 0)
        LOG_DEBUG("answer not sent", LOG_NUM("error", rc));
    txn_end(txn);
}

void txn_reply(struct transaction *txn, int status, const char *reason)
{
    struct buf b = txn_reply_begin(txn, status, reason);
    txn_reply_send(txn, &b);
}

void txn_reply_with(struct transaction *txn, int status, const char *reason, const char *header,
                    struct str value)
{
    struct buf b = txn_reply_begin(txn, status, reason);
    sip_reply_header(&b, header, value);
    txn_reply_send(txn, &b);
}
