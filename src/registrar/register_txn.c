/* A REGISTER from its AOR to its answer (RFC 3261 10.3). Each step that may have to wait is the
 * last thing that its function does. */
#include "registrar_internal.h"
#include <aorta/clock.h>
#include <aorta/log.h>
#include <aorta/nat.h>
#include <errno.h>

/* What a client may have us keep, by what real ones send times four and more. */
enum {
    MAX_AOR_BYTES = 512,
    MAX_CALL_ID_BYTES = 512,
    MAX_PATH_BYTES = 4096,
    MAX_USER_AGENT_BYTES = 128, /* cut there: it is only for people to read */
};

enum { MINUTE_MS = 60000 };

/* ---- The 200 ------------------------------------------------------------------------------- */

/* Browser libraries find their own contact by URI user and instance, and take the expires parameter
 * only: both must be there, the first byte for byte (RFC 3261 10.3 step 8). */
static void put_contact(struct buf *b, const struct binding *binding, uint64_t now_ms)
{
    uint64_t left_ms = binding->expires_ms > now_ms ? binding->expires_ms - now_ms : 0;
    buf_put_text(b, "Contact: <");
    buf_put_str(b, binding->contact);
    buf_put_text(b, ">;expires=");
    buf_put_u64(b, (left_ms + 999) / 1000);
    if (binding->q_milli >= 0)
        buf_printf(b, ";q=%d.%03d", binding->q_milli / 1000, binding->q_milli % 1000);
    if (binding->instance.len > 0) {
        buf_put_text(b, ";+sip.instance=");
        buf_put_str(b, binding->instance);
    }
    if (binding->reg_id > 0) {
        buf_put_text(b, ";reg-id=");
        buf_put_u64(b, binding->reg_id);
    }
    buf_put_text(b, "\r\n");
}

static bool is_outbound_used(const struct store_outcome *outcome)
{
    for (size_t i = 0; i < outcome->own_count; i++)
        if (outcome->bindings[i].is_outbound)
            return true;
    return false;
}

static void put_date(struct buf *b, uint64_t now_ms)
{
    buf_put_text(b, "Date: ");
    sip_put_date(b, now_ms);
    buf_put_text(b, "\r\n");
}

static void reply_granted(struct transaction *txn, const struct store_outcome *outcome)
{
    struct buf b = txn_reply_begin(txn, 200, "OK");
    for (size_t i = 0; i < outcome->count; i++)
        put_contact(&b, &outcome->bindings[i], txn->now_ms);
    for (size_t i = 0; i < txn->request.path_count; i++)
        sip_reply_header(&b, "Path", txn->request.paths[i]); /* RFC 3327 5.3 */
    if (is_outbound_used(outcome))
        sip_reply_header(&b, "Require", STR("outbound")); /* RFC 5626 6 */
    sip_reply_header(&b, "Supported", STR("path, outbound"));
    put_date(&b, txn->now_ms);
    txn_reply_send(txn, &b);
}

static void log_granted(const struct transaction *txn, const struct store_outcome *outcome)
{
    LOG_DEBUG("register granted", LOG_NUM("own", outcome->own_count),
              LOG_NUM("bindings", outcome->count), LOG_CALLER(txn));
    if (txn->binding.is_proof_away && ratelimit_take(&txn->r->trouble_log, txn->now_ms))
        LOG_WARN("refresh granted while the callback is away", LOG_CALLER(txn));
}

static bool is_flow_gone(const struct transaction *txn)
{
    return transport_kind_is_stream(txn->source.kind) &&
           !transport_is_open(txn->r->deps.transport, txn->source.conn);
}

/* The connection closed while others were asked: what was stored for it must not stay. */
static void close_flow(struct transaction *txn)
{
    struct registrar *r = txn->r;
    bool removes = txn->config->close_removes & 1u << txn->source.kind;
    r->deps.store->ops->close_flow(r->deps.store, txn->aor, txn->source.conn, removes);
}

static void note_granted(const struct transaction *txn, const struct store_outcome *outcome)
{
    const struct sip_request *request = &txn->request;
    if (request->contact_count == 0 && !request->contact_is_wildcard) {
        register_note(txn, FACT_FETCHED, NULL, 0);
    } else if (outcome->own_count == 0) {
        register_note(txn, FACT_UNREGISTERED, NULL, 0);
    } else {
        uint64_t left_ms = outcome->bindings[0].expires_ms - txn->now_ms;
        register_note(txn, txn->verdict.verdict == AUTH_OK ? FACT_GRANTED : FACT_REFRESHED, NULL,
                      (uint32_t)(left_ms / 1000));
    }
}

static void on_granted(struct transaction *txn, const struct store_outcome *outcome)
{
    bool is_cached = txn->verdict.verdict != AUTH_OK;
    note_granted(txn, outcome);
    txn->outcome = txn->binding.is_proof_away ? REGISTER_GRANTED_AWAY
                   : is_cached                ? REGISTER_GRANTED_CACHED
                                              : REGISTER_GRANTED;
    log_granted(txn, outcome);
    if (is_flow_gone(txn))
        close_flow(txn);
    else
        transport_set_authenticated(txn->r->deps.transport, txn->source.conn);
    reply_granted(txn, outcome);
}

static void on_applied(void *arg, const struct store_outcome *outcome)
{
    struct transaction *txn = arg;
    if (outcome->error < 0) {
        register_refuse_unavailable(txn, "the store did not take it");
        return;
    }
    switch (outcome->verdict) {
    case BINDING_OK:
        on_granted(txn, outcome);
        return;
    case BINDING_NEEDS_AUTH:
        if (txn->binding.is_proof_away)
            register_refuse_for_now(txn, txn->verdict.cause, txn->verdict.retry_after_s);
        else
            register_challenge(txn);
        return;
    case BINDING_INTERVAL_BRIEF: {
        char text[16];
        struct buf number;
        buf_init_fixed(&number, text, sizeof text);
        buf_put_u64(&number, outcome->min_expires_s);
        txn->outcome = REGISTER_INVALID;
        register_note(txn, FACT_INVALID, sip_reason(423), 423);
        txn_reply_with(txn, 423, sip_reason(423), "Min-Expires", buf_str(&number));
        return;
    }
    case BINDING_OUT_OF_ORDER:
        register_refuse_invalid(txn, 500, "CSeq not above the one of the binding");
        return;
    case BINDING_BAD_WILDCARD:
        register_refuse_invalid(txn, 400, "Contact wildcard needs Expires 0 and no other contact");
        return;
    case BINDING_TOO_MANY:
        register_refuse(txn, "more contacts than registrar.maxContacts");
        return;
    case BINDING_REALM_FULL:
        register_refuse_unavailable(txn, "the realm has its maxRegistrations");
        return;
    case BINDING_NO_OUTBOUND_PATH:
        register_refuse_invalid(txn, 439, sip_reason(439));
        return;
    }
}

/* ---- To the store -------------------------------------------------------------------------- */

static bool is_behind_nat(const struct transaction *txn)
{
    const struct config *config = txn->config;
    return config->nat_transports & 1u << txn->source.kind &&
           nat_is_behind(&txn->request, &txn->source.remote);
}

/* The AOR's first REGISTER on its connection that was let in. */
static void note_connected(const struct transaction *txn)
{
    struct registrar *r = txn->r;
    struct transport_flow flow;
    if (transport_flow(r->deps.transport, txn->source.conn, &flow) < 0)
        return;
    const struct fact fact = {.kind = FACT_CONNECTED,
                              .protocol = txn->source.kind,
                              .time_ms = flow.opened_ms,
                              .conn = txn->source.conn,
                              .source = txn->source.remote};
    journal_note(r->deps.journal, r->deps.worker, txn->aor, &fact);
}

/* Lists the AOR at its connection, before anything is stored for it. */
static int bind_flow(struct transaction *txn)
{
    struct registrar *r = txn->r;
    void **list = transport_user(r->deps.transport, txn->source.conn);
    int rc = list ? flow_add(r->flows, list, txn->source.conn, txn->aor) : -ENOTCONN;
    if (rc == 1)
        note_connected(txn);
    return rc;
}

/* `authenticated_ms` as in struct binding_request. */
static void apply(struct transaction *txn, uint64_t authenticated_ms)
{
    struct store *store = txn->r->deps.store;
    txn->binding = (struct binding_request){
        .aor = txn->aor,
        .sip = &txn->request,
        .protocol = txn->source.kind,
        .source = txn->source.remote,
        .conn = txn->source.conn,
        .is_nat = is_behind_nat(txn),
        .authenticated_ms = authenticated_ms,
        .expires_limit_s = txn->verdict.expires_limit_s,
        .grant = txn->verdict.grant,
        .is_proof_away = txn->verdict.is_source_away,
        .max_registrations = txn->realm->max_registrations,
        .config = txn->config,
        .now_ms = txn->now_ms,
    };
    store->ops->apply(store, &txn->binding, &txn->arena, on_applied, txn);
}

/* ---- From authentication ------------------------------------------------------------------- */

/* Without credentials that count there is still the refresh that changes nothing (SPEC 3.5). */
static bool may_be_cached_refresh(const struct transaction *txn)
{
    return txn->config->refresh_cache && txn->request.contact_count > 0;
}

static int add_ban(struct transaction *txn, const struct net_network *net, int64_t seconds,
                   struct str reason, enum metric counted)
{
    const struct ban ban = {
        .net = *net,
        .until_ms = seconds < 0 ? BAN_FOR_EVER : txn->now_ms + (uint64_t)seconds * 1000,
        .reason = reason,
    };
    int rc = bans_add(txn->r->deps.bans, &ban, txn->now_ms);
    if (rc == 0)
        metrics_add(txn->r->deps.metrics, counted);
    if (rc == 0 && txn->r->deps.events)
        event_writer_banned(txn->r->deps.events, &ban, seconds);
    return rc;
}

static void ban_as_told(struct transaction *txn)
{
    int64_t seconds = txn->verdict.ban_s;
    char text[NET_ADDRESS_TEXT];
    struct net_network alone = net_network_of(&txn->source.remote, NET_IPV6_BITS);
    int rc = add_ban(txn, &alone, seconds, STR("blacklisted by the authentication callback"),
                     METRIC_BANNED_BY_CALLBACK);
    if (!ratelimit_take(&txn->r->refusal_log, txn->now_ms))
        return;
    LOG_WARN(rc >= 0 ? "address banned" : "address not banned",
             LOG_STR("ip", net_address_ip(&txn->source.remote, text)), LOG_NUM("seconds", seconds),
             LOG_STR("aor", txn->aor),
             LOG_TEXT("why", rc == -EPERM ? "limits.neverBan" : "callback"));
}

/* As failures are counted: or he who has a /64 would go on from its next address. Unless somebody
 * in it is exempt. */
static int ban_for_failures(struct transaction *txn)
{
    const struct str reason = STR("more than limits.failedAuthPerMinute");
    int64_t seconds = txn->config->ban_s;
    struct net_network customer = net_customer_of(&txn->source.remote);
    struct net_network alone = net_network_of(&txn->source.remote, NET_IPV6_BITS);
    int rc = add_ban(txn, &customer, seconds, reason, METRIC_BANNED_FOR_FAILURES);
    if (rc == -EPERM && !net_network_same(&customer, &alone))
        rc = add_ban(txn, &alone, seconds, reason, METRIC_BANNED_FOR_FAILURES);
    return rc;
}

/* Wrong credentials, whoever found that out. Who has none yet, or old ones, only begins. */
static void count_failure(struct transaction *txn)
{
    const struct config *config = txn->config;
    if (config->failed_auth_per_minute == 0 ||
        address_rates_take(txn->r->deps.failure_rates, &txn->source.remote,
                           config->failed_auth_per_minute, MINUTE_MS,
                           txn->now_ms) == ADDRESS_RATE_PASS)
        return;
    if (ban_for_failures(txn) == 0)
        txn_limit_reached(txn, LIMIT_FAILED_AUTH);
}

static void on_authenticated(struct transaction *txn)
{
    if (transport_kind_is_stream(txn->source.kind) && bind_flow(txn) < 0)
        register_refuse_unavailable(txn, "the connection is gone, or no memory");
    else
        apply(txn, txn->now_ms);
}

static void on_unavailable(struct transaction *txn)
{
    /* Who was proved to be there before, and whose connection lives on, may stay. */
    if (txn->verdict.is_source_away && txn->request.contact_count > 0)
        apply(txn, 0);
    else if (txn->verdict.is_source_busy)
        register_refuse_overloaded(txn, txn->verdict.cause);
    else
        register_refuse_for_now(txn, txn->verdict.cause, txn->verdict.retry_after_s);
}

/* Its text lives on only with the transaction. */
static int keep_verdict(struct transaction *txn, const struct auth_result *result)
{
    txn->verdict = *result;
    txn->verdict.grant = arena_copy(&txn->arena, result->grant);
    txn->verdict.message = arena_copy(&txn->arena, result->message);
    return txn->verdict.grant.ptr && txn->verdict.message.ptr ? 0 : -ENOMEM;
}

static void count_callback(const struct transaction *txn, const struct auth_result *result)
{
    struct metrics *m = txn->r->deps.metrics;
    metrics_add(m, !result->has_decided              ? METRIC_CALLBACK_OUTAGE
                   : result->verdict == AUTH_REFUSED ? METRIC_CALLBACK_FAIL
                                                     : METRIC_CALLBACK_OK);
    histogram_add(&m->duration[DURATION_CALLBACK], result->took_us);
}

/* Since it came, the source may have been banned for others of its requests: of many guesses that
 * wait at the callback together, none after the last that is allowed may be told to be right. */
static bool is_banned(const struct transaction *txn, const struct auth_result *result)
{
    uint64_t now_ms = result->was_asked ? clock_now_ms() : txn->now_ms;
    return txn->r->deps.bans && bans_has(txn->r->deps.bans, &txn->source.remote, now_ms);
}

static void on_checked(void *arg, const struct auth_result *result)
{
    struct transaction *txn = arg;
    if (result->was_asked) {
        count_callback(txn, result);
        register_note(txn, FACT_CALLBACK, result->cause, (uint32_t)(result->took_us / 1000));
    }
    if (keep_verdict(txn, result) < 0) {
        register_refuse_unavailable(txn, "out of memory");
        return;
    }
    if (is_banned(txn, result)) {
        txn_end(txn);
        return;
    }
    if (result->is_likely_wrong)
        count_failure(txn);
    switch (result->verdict) {
    case AUTH_OK:
        on_authenticated(txn);
        return;
    case AUTH_CHALLENGE:
    case AUTH_STALE:
        if (result->is_nonce_forgotten)
            txn_limit_reached(txn, LIMIT_REPLAY_BYTES);
        if (may_be_cached_refresh(txn))
            apply(txn, 0);
        else
            register_challenge(txn);
        return;
    case AUTH_REFUSED:
        if (result->ban_s != 0)
            ban_as_told(txn);
        count_failure(txn);
        register_refuse(txn, result->cause);
        return;
    case AUTH_MALFORMED:
        register_refuse_invalid(txn, 400, "Bad Authorization header");
        return;
    case AUTH_UNAVAILABLE:
        on_unavailable(txn);
        return;
    }
}

/* ---- Before anybody is asked --------------------------------------------------------------- */

static size_t path_bytes(const struct sip_request *request)
{
    size_t sum = 0;
    for (size_t i = 0; i < request->path_count; i++)
        sum += request->paths[i].len + 2;
    return sum;
}

static const char *find_too_long(const struct sip_request *request)
{
    if (request->call_id.len > MAX_CALL_ID_BYTES)
        return "Call-ID too long";
    if (path_bytes(request) > MAX_PATH_BYTES)
        return "Path too long";
    for (size_t i = 0; i < request->contact_count; i++) {
        if (request->contacts[i].uri.text.len > MAX_CONTACT_BYTES)
            return "Contact URI too long";
        if (request->contacts[i].instance.len > MAX_INSTANCE_BYTES)
            return "Contact instance too long";
    }
    return NULL;
}

static int read_aor(struct transaction *txn)
{
    char *memory = arena_alloc(&txn->arena, MAX_AOR_BYTES);
    if (!memory)
        return -ENOMEM;
    struct buf b;
    buf_init_fixed(&b, memory, MAX_AOR_BYTES);
    int rc = sip_uri_write_aor(&txn->request.to_uri, &b);
    if (rc == 0)
        rc = b.error;
    if (rc < 0)
        return rc;
    txn->aor = buf_str(&b);
    size_t at = str_find(txn->aor, '@'); /* the user's own '@' would be an escape */
    txn->domain = str_slice(txn->aor, at + 1, txn->aor.len);
    return 0;
}

static bool is_removal(const struct sip_request *request)
{
    for (size_t i = 0; i < request->contact_count; i++) {
        int64_t expires_s = request->contacts[i].expires_s;
        if (expires_s > 0 || (expires_s < 0 && !(request->has_expires && request->expires_s == 0)))
            return false;
    }
    return request->contact_is_wildcard || request->contact_count > 0;
}

/* Does it keep up, or end, what is registered? Nobody has proved anything yet; but who knows the
 * Call-ID of a living binding is most likely who registered it. */
static bool is_refresh(const void *arg)
{
    const struct transaction *txn = arg;
    struct store *store = txn->r->deps.store;
    return is_removal(&txn->request) || store->ops->has_call(store, txn->aor, txn->request.call_id);
}

static bool is_too_much(const struct transaction *txn)
{
    enum overload_level level = txn->r->overload;
    return level >= OVERLOAD_REFUSE_NEW && (level >= OVERLOAD_REFUSE_ALL || !is_refresh(txn));
}

static void authenticate(struct transaction *txn)
{
    struct registrar *r = txn->r;
    txn->auth = (struct auth_request){
        .config = txn->config,
        .policy = txn->realm,
        .lanes = txn->policy->lanes,
        .sip = &txn->request,
        .aor = txn->aor,
        .realm = txn->domain,
        .protocol = txn->source.kind,
        .conn = txn->source.conn,
        .source = txn->source.remote,
        .own_hosts = r->deps.own_hosts,
        .own_host_count = r->deps.own_host_count,
        .now_ms = txn->now_ms,
        .is_refresh = is_refresh,
        .refresh_arg = txn,
    };
    auth_check(r->deps.auth, &txn->auth, &txn->arena, on_checked, txn);
}

void register_begin(struct transaction *txn)
{
    txn->aor = STR_NONE;
    txn->verdict = (struct auth_result){.cause = ""};
    txn->binding = (struct binding_request){.config = txn->config};
    if (txn->r->transactions > txn->config->transactions) {
        txn_limit_reached(txn, LIMIT_TRANSACTIONS);
        register_refuse_overloaded(txn, "too many requests wait already");
        return;
    }
    const char *too_long = find_too_long(&txn->request);
    if (too_long) {
        register_refuse_invalid(txn, 400, too_long);
        return;
    }
    int rc = read_aor(txn);
    if (rc < 0) {
        register_refuse_invalid(txn, 400,
                                rc == -EINVAL ? "Missing user in To URI" : "To URI too long");
        return;
    }
    if (txn->request.user_agent.len > MAX_USER_AGENT_BYTES)
        txn->request.user_agent.len = MAX_USER_AGENT_BYTES;
    txn->realm = realms_find(txn->policy->settings->realms, txn->domain);
    if (!txn->realm)
        register_refuse(txn, "a domain that is not served");
    else if (is_too_much(txn))
        register_refuse_overloaded(txn, "the worker is overloaded");
    else
        authenticate(txn);
}
