#include "realms_internal.h"
#include <aorta/clock.h>
#include <aorta/log.h>
#include <aorta/ratelimit.h>
#include <errno.h>
#include <mbedtls_compat.h>
#include <stdlib.h>

enum {
    MAX_QUEUED = 1024,
    MAX_ANSWER_BYTES = 65536,
    MAX_BODY_BYTES = 16384, /* real ones have a twentieth of it */
    AWAY_RETRY_S = 5,       /* and up to */
    AWAY_RETRY_JITTER_S = 11,
    BUSY_RETRY_S = 1,
    LINES_PER_S = 10,
};

struct callback_lanes {
    /* Strangers can cause lines of both kinds. */
    struct ratelimit message_log, outage_log;
    size_t count;
    struct http_lane *lane[]; /* by the index of the callback */
};

/* ---- Life ---------------------------------------------------------------------------------- */

/* "https://host:port" of a URI that may hold a password before and a token behind it. */
static char *origin_of(const char *uri)
{
    const char *host = strstr(uri, "://");
    host = host ? host + 3 : uri;
    size_t scheme = (size_t)(host - uri);
    size_t len = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', len);
    if (at) {
        len -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    char *origin = malloc(scheme + len + 1);
    if (!origin)
        return NULL;
    memcpy(origin, uri, scheme);
    memcpy(origin + scheme, host, len);
    origin[scheme + len] = '\0';
    return origin;
}

struct callback *callback_new(const struct config_callback *config, size_t index)
{
    struct callback *callback = calloc(1, sizeof *callback);
    if (!callback)
        return NULL;
    callback->config = config;
    callback->index = index;
    callback->origin = origin_of(config->uri);
    callback->kept = kept_new();
    if (callback->origin && callback->kept)
        return callback;
    callback_free(callback);
    return NULL;
}

void callback_free(struct callback *callback)
{
    if (!callback)
        return;
    kept_free(callback->kept);
    free(callback->origin);
    free(callback);
}

static struct http_lane *open_lane(struct http_client *client, const struct config_callback *config,
                                   unsigned workers)
{
    unsigned share = config->max_connections / workers;
    const struct http_lane_options options = {
        .url = config->uri,
        .username = config->username,
        .password = config->password,
        .ca_file = config->ca_file,
        .timeout_ms = config->timeout_ms,
        .max_in_flight = share > 0 ? share : 1,
        .max_queued = MAX_QUEUED,
        .max_answer_bytes = MAX_ANSWER_BYTES,
    };
    return http_lane_open(client, &options);
}

struct callback_lanes *callback_lanes_new(const struct realms *realms, struct http_client *client,
                                          unsigned workers)
{
    size_t count = realms->callback_count;
    struct callback_lanes *lanes = calloc(1, sizeof *lanes + count * sizeof *lanes->lane);
    if (!lanes)
        return NULL;
    ratelimit_init(&lanes->message_log, LINES_PER_S, LINES_PER_S, 0);
    ratelimit_init(&lanes->outage_log, LINES_PER_S, LINES_PER_S, 0);
    for (lanes->count = 0; lanes->count < count; lanes->count++) {
        const struct callback *callback = realms->callback[lanes->count];
        lanes->lane[lanes->count] = open_lane(client, callback->config, workers);
        if (!lanes->lane[lanes->count]) {
            callback_lanes_free(lanes);
            return NULL;
        }
    }
    return lanes;
}

void callback_lanes_free(struct callback_lanes *lanes)
{
    if (!lanes)
        return;
    for (size_t i = 0; i < lanes->count; i++)
        http_lane_close(lanes->lane[i]);
    free(lanes);
}

void callback_lanes_load(const struct callback_lanes *lanes, struct http_lane_load *sum)
{
    for (size_t i = 0; lanes && i < lanes->count; i++) {
        struct http_lane_load load = http_lane_load(lanes->lane[i]);
        sum->waiting += load.waiting;
        sum->connections += load.connections;
    }
}

bool callback_is_answering(const struct callback *callback)
{
    return atomic_load(&callback->breaker.outages) == 0;
}

bool callback_is_away(const struct callback *callback)
{
    return breaker_is_open(&callback->breaker);
}

/* ---- What is known without asking ----------------------------------------------------------- */

static struct callback *callback_of(const struct attempt *a)
{
    return a->request->policy->callback;
}

static struct kept_key key_of(const struct attempt *a)
{
    return (struct kept_key){a->request->aor, a->sent.username};
}

static struct auth_result grant(struct attempt *a, const struct kept_answer *kept)
{
    struct auth_result result = auth_use_nonce(a);
    if (result.verdict == AUTH_OK) {
        result.expires_limit_s = kept->expires_limit_s;
        result.grant = kept->grant;
    }
    return result;
}

/* True, and the attempt is over, if an HA1 that the callback let us keep says that the answer is
 * right. If it says otherwise, whoever has changed his password must get through: the callback is
 * asked. */
static bool decide_by_kept(struct attempt *a)
{
    struct kept_key key = key_of(a);
    struct kept_answer kept;
    if (kept_find(callback_of(a)->kept, &key, a->request->now_ms, a->arena, &kept) < 0)
        return false;
    bool is_right = false;
    if (kept.algorithms & 1u << a->algorithm) {
        int rc = auth_compare(a, digest_ha1_of(&kept.ha1s, a->algorithm), &is_right);
        a->has_failed_kept = rc == 0 && !is_right;
    }
    mbedtls_platform_zeroize(&kept.ha1s, sizeof kept.ha1s);
    if (!is_right)
        return false;
    struct auth_result result = grant(a, &kept);
    auth_finish(a, &result);
    return true;
}

/* ---- The answer ----------------------------------------------------------------------------- */

/* Each waits for a time of its own, so that not all of a fleet come back in one instant. */
static uint32_t jittered_retry_s(const struct attempt *a)
{
    return AWAY_RETRY_S + (uint32_t)(str_hash(a->sent.nonce) % AWAY_RETRY_JITTER_S);
}

static struct auth_result away(const struct attempt *a, const char *cause)
{
    struct auth_result result = auth_outcome(AUTH_UNAVAILABLE, cause);
    result.retry_after_s = jittered_retry_s(a);
    result.is_source_away = breaker_is_open(&callback_of(a)->breaker);
    result.is_likely_wrong = a->has_failed_kept;
    return result;
}

static struct auth_result busy(const struct attempt *a, const char *cause)
{
    struct auth_result result = away(a, cause);
    result.is_source_busy = true;
    return result;
}

static void report_outage(const struct attempt *a, const struct http_answer *http,
                          const char *cause, uint64_t now_ms)
{
    struct callback *callback = callback_of(a);
    if (ratelimit_take(&a->request->lanes->outage_log, now_ms))
        LOG_WARN("the callback decided nothing", LOG_TEXT("callback", callback->origin),
                 LOG_TEXT("why", cause), LOG_TEXT("detail", http->error ? http->why : ""),
                 LOG_NUM("status", http->status), LOG_NUM("took_ms", http->took_ms));
    if (breaker_report_outage(&callback->breaker, now_ms))
        LOG_WARN("callback away: from now on it is asked once a second",
                 LOG_TEXT("callback", callback->origin), LOG_TEXT("why", cause));
}

static void report_success(const struct attempt *a)
{
    struct callback *callback = callback_of(a);
    if (breaker_report_success(&callback->breaker))
        LOG_INFO("callback back", LOG_TEXT("callback", callback->origin));
}

static void log_answer(const struct attempt *a, const struct callback_answer *answer,
                       uint64_t now_ms)
{
    bool has_message = answer->message.len > 0;
    if ((!has_message && !answer->odd) || !ratelimit_take(&a->request->lanes->message_log, now_ms))
        return;
    struct str aor = a->request->aor, call_id = a->request->sip->call_id;
    if (has_message)
        LOG_INFO("the callback says",
                 LOG_TEXT("status", answer->said == CALLBACK_SAID_OK ? "ok" : "fail"),
                 LOG_STR("msg", answer->message), LOG_STR("aor", aor), LOG_STR("call_id", call_id));
    if (answer->odd) {
        char memory[64];
        struct buf b;
        buf_init_fixed(&b, memory, sizeof memory);
        callback_put_odd(&b, answer->odd);
        LOG_WARN("members of the callback's answer ignored: their values mean nothing",
                 LOG_STR("members", buf_str(&b)), LOG_STR("aor", aor),
                 LOG_TEXT("callback", callback_of(a)->origin));
    }
}

/* The last word about what was kept before, and what is to be kept from now on. */
static void keep(const struct attempt *a, const struct callback_answer *answer, uint64_t now_ms)
{
    struct kept *kept = callback_of(a)->kept;
    struct kept_key key = key_of(a);
    if (answer->kept.algorithms != 0)
        kept_put(kept, &key, &answer->kept, now_ms + UINT64_C(1000) * answer->ttl_s, now_ms);
    else if (a->has_failed_kept || answer->said == CALLBACK_SAID_NO)
        kept_drop(kept, &key);
}

static struct auth_result conclude(struct attempt *a, const struct http_answer *http,
                                   const struct callback_answer *answer, uint64_t now_ms)
{
    struct auth_result result;
    if (answer->said == CALLBACK_SAID_NOTHING) {
        if (answer->is_outage)
            report_outage(a, http, answer->cause, now_ms);
        return http->error == -ENOBUFS ? busy(a, answer->cause) : away(a, answer->cause);
    }
    report_success(a);
    log_answer(a, answer, now_ms);
    keep(a, answer, now_ms);
    if (answer->said == CALLBACK_SAID_OK) {
        result = grant(a, &answer->kept);
    } else {
        result = auth_outcome(AUTH_REFUSED, answer->cause);
        result.ban_s = answer->ban_s;
    }
    result.message = answer->message;
    return result;
}

static void on_answered(void *arg, const struct http_answer *http)
{
    struct attempt *a = arg;
    struct callback_answer answer;
    callback_read_answer(http, a->arena, &answer);
    struct auth_result result = conclude(a, http, &answer, a->request->now_ms + http->took_ms);
    mbedtls_platform_zeroize(&answer.kept.ha1s, sizeof answer.kept.ha1s);
    mbedtls_platform_zeroize((char *)a->body.ptr, a->body.len);
    result.was_asked = true;
    result.has_decided = answer.said != CALLBACK_SAID_NOTHING;
    result.took_us = clock_now_us() - a->asked_us;
    in_flight_leave(&a->auth->in_flight, &a->in_flight);
    auth_finish(a, &result);
}

/* ---- The question --------------------------------------------------------------------------- */

static struct auth_result write_body(struct attempt *a)
{
    char memory[MAX_BODY_BYTES];
    struct buf b;
    buf_init_fixed(&b, memory, sizeof memory);
    callback_put_question(&b, a->request, &a->sent);
    if (b.error)
        return auth_outcome(AUTH_MALFORMED, "credentials too long");
    a->body = arena_copy(a->arena, buf_str(&b));
    mbedtls_platform_zeroize(memory, b.len);
    return a->body.ptr ? auth_outcome(AUTH_OK, "")
                       : auth_outcome(AUTH_UNAVAILABLE, "out of memory");
}

/* Half of its time a question may wait for its turn, and of a client that is registered already
 * three quarters: then there is time left for the answer. Who would wait longer is told so at once,
 * and the callback is not asked about clients that have given up. */
static bool would_wait_too_long(const struct attempt *a)
{
    const struct auth_request *request = a->request;
    const struct callback *callback = callback_of(a);
    uint64_t wait_ms = http_lane_wait_ms(request->lanes->lane[callback->index]);
    uint64_t most_ms = callback->config->timeout_ms;
    if (wait_ms <= most_ms / 2)
        return false;
    bool may_wait_longer = request->is_refresh && request->is_refresh(request->refresh_arg);
    return !may_wait_longer || wait_ms > most_ms / 4 * 3;
}

/* AUTH_OK: the callback may be asked. */
static struct auth_result prepare(struct attempt *a)
{
    /* Once more: an equal answer may have been right, and over, since it was looked at. */
    if (!nonces_is_unused(a->auth->nonces, &a->use))
        return auth_ask_again(AUTH_NONCE_USED);
    struct auth_result result = write_body(a);
    if (result.verdict == AUTH_OK && !breaker_admit(&callback_of(a)->breaker, a->request->now_ms))
        return away(a, "the callback is away");
    if (result.verdict == AUTH_OK && would_wait_too_long(a))
        return busy(a, "too many wait for the callback");
    return result;
}

void callback_decide(struct attempt *a)
{
    if (decide_by_kept(a))
        return;
    a->in_flight = (struct in_flight_entry){.nonce = a->use.serial, .username = a->sent.username};
    if (!in_flight_enter(&a->auth->in_flight, &a->in_flight)) {
        struct auth_result busy = away(a, "the same credentials are being decided already");
        busy.retry_after_s = BUSY_RETRY_S;
        auth_finish(a, &busy);
        return;
    }
    struct auth_result result = prepare(a);
    if (result.verdict != AUTH_OK) {
        in_flight_leave(&a->auth->in_flight, &a->in_flight);
        result.is_likely_wrong = a->has_failed_kept;
        auth_finish(a, &result);
        return;
    }
    a->asked_us = clock_now_us();
    http_lane_post(a->request->lanes->lane[callback_of(a)->index], a->body, on_answered, a);
}
