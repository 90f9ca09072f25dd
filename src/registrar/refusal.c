/* The answers to a REGISTER that are no 200, each logged, counted and noted in the journal. */
#include "registrar_internal.h"
#include <aorta/log.h>

/* JsSIP and SIP.js take no notice of Retry-After; others wait so long, and not all equally. */
enum { RETRY_AFTER_S = 5, RETRY_AFTER_JITTER_S = 10 };

void register_note(const struct transaction *txn, enum fact_kind kind, const char *cause,
                   uint32_t number)
{
    struct registrar *r = txn->r;
    if (str_is_empty(txn->aor))
        return;
    const struct fact fact = {
        .kind = kind,
        .protocol = txn->source.kind,
        .time_ms = txn->now_ms,
        .conn = txn->source.conn,
        .cause = cause,
        .number = number,
        .source = txn->source.remote,
    };
    journal_note(r->deps.journal, r->deps.worker, txn->aor, &fact);
}

void register_refuse_invalid(struct transaction *txn, int status, const char *reason)
{
    txn->outcome = REGISTER_INVALID;
    register_note(txn, FACT_INVALID, reason, (uint32_t)status);
    LOG_DEBUG("register refused", LOG_NUM("status", status), LOG_TEXT("why", reason),
              LOG_CALLER(txn));
    txn_reply(txn, status, reason);
}

static void log_refusal(struct transaction *txn, const char *cause)
{
    if (ratelimit_take(&txn->r->refusal_log, txn->now_ms))
        LOG_INFO("register refused", LOG_TEXT("why", cause), LOG_CALLER(txn));
}

/* The callback's own words, which hold anything: a quoted string on one line (RFC 3261 20.43). */
static void put_warning(struct buf *b, struct str message)
{
    bool is_utf8 = str_is_utf8(message);
    buf_put_text(b, "Warning: 399 aorta \"");
    for (size_t i = 0; i < message.len; i++) {
        unsigned char c = (unsigned char)message.ptr[i];
        if (c == '"' || c == '\\')
            buf_put_char(b, '\\');
        bool is_harmless = c >= ' ' && c != 0x7f && (c < 0x80 || is_utf8);
        buf_put_char(b, is_harmless ? (char)c : '?');
    }
    buf_put_text(b, "\"\r\n");
}

void register_refuse(struct transaction *txn, const char *cause)
{
    txn->outcome = REGISTER_REFUSED;
    register_note(txn, FACT_REFUSED, cause, 0);
    log_refusal(txn, cause);
    struct buf b = txn_reply_begin(txn, 403, sip_reason(403));
    if (txn->config->expose_message && !str_is_empty(txn->verdict.message))
        put_warning(&b, txn->verdict.message);
    txn_reply_send(txn, &b);
}

static void reply_unavailable(struct transaction *txn, const char *cause, uint32_t retry_after_s)
{
    register_note(txn, FACT_UNAVAILABLE, cause, retry_after_s);
    char text[16];
    struct buf number;
    buf_init_fixed(&number, text, sizeof text);
    buf_put_u64(&number, retry_after_s);
    txn_reply_with(txn, 503, sip_reason(503), "Retry-After", buf_str(&number));
}

void register_refuse_for_now(struct transaction *txn, const char *cause, uint32_t retry_after_s)
{
    if (ratelimit_take(&txn->r->trouble_log, txn->now_ms))
        LOG_WARN("register not possible now", LOG_TEXT("why", cause), LOG_CALLER(txn));
    txn->outcome = REGISTER_UNAVAILABLE;
    reply_unavailable(txn, cause, retry_after_s);
}

static uint32_t draw_retry_after_s(void)
{
    uint32_t random = 0;
    (void)net_random(&random, sizeof random); /* without it all come back together */
    return RETRY_AFTER_S + random % (RETRY_AFTER_JITTER_S + 1);
}

void register_refuse_unavailable(struct transaction *txn, const char *cause)
{
    register_refuse_for_now(txn, cause, draw_retry_after_s());
}

/* Browser libraries do nothing more after a 503, but come back by and by when their connection
 * ends. It stays for the sake of others that it carries. That there is too much to do is logged
 * where it is found, not for each who is refused. */
void register_refuse_overloaded(struct transaction *txn, const char *cause)
{
    struct registrar *r = txn->r;
    conn_id conn = txn->source.conn;
    void **list = transport_user(r->deps.transport, conn);
    bool carries_others = list && flow_has_other(*list, txn->aor);
    LOG_DEBUG("register refused for load", LOG_TEXT("why", cause), LOG_CALLER(txn));
    txn->outcome = REGISTER_OVERLOADED;
    reply_unavailable(txn, cause, draw_retry_after_s());
    if (!carries_others)
        transport_close_refused(r->deps.transport, conn);
}

static void count_challenge(const struct transaction *txn)
{
    static const enum metric of_reason[AUTH_REASONS] = {
        [AUTH_NO_CREDENTIALS] = METRIC_NO_CREDENTIALS,
        [AUTH_OTHER_ALGORITHM] = METRIC_OTHER_ALGORITHM,
        [AUTH_NONCE_FOREIGN] = METRIC_NONCE_FOREIGN,
        [AUTH_NONCE_OLD_START] = METRIC_NONCE_OLD_START,
        [AUTH_NONCE_EXPIRED] = METRIC_NONCE_EXPIRED,
        [AUTH_NONCE_OTHER_FLOW] = METRIC_NONCE_OTHER_FLOW,
        [AUTH_NONCE_USED] = METRIC_NONCE_USED,
    };
    if (txn->verdict.reason != AUTH_NO_REASON)
        metrics_add(txn->r->deps.metrics, of_reason[txn->verdict.reason]);
}

void register_challenge(struct transaction *txn)
{
    struct registrar *r = txn->r;
    txn->outcome = REGISTER_CHALLENGED;
    count_challenge(txn);
    register_note(txn, FACT_CHALLENGED, txn->verdict.cause, 0);
    struct buf b = txn_reply_begin(txn, 401, sip_reason(401));
    auth_put_challenges(r->deps.auth, &b, r->deps.worker, &txn->auth,
                        txn->verdict.verdict == AUTH_STALE);
    txn_reply_send(txn, &b);
}
