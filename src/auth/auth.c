#include "callback_internal.h"
#include "hex_internal.h"
#include "users_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

static unsigned slot_bits_of(size_t replay_bytes)
{
    unsigned bits = 0;
    while ((size_t)NONCE_SLOT_BYTES << (bits + 1) <= replay_bytes)
        bits++;
    return bits;
}

struct auth *auth_new(unsigned workers, size_t replay_bytes)
{
    struct auth *auth = calloc(1, sizeof *auth);
    if (auth == NULL)
        return NULL;
    in_flight_init(&auth->in_flight);
    auth->nonces = nonces_new(workers, slot_bits_of(replay_bytes));
    ssize_t drawn = getrandom(auth->nobodys_ha1, sizeof auth->nobodys_ha1, 0);
    if (auth->nonces != NULL && drawn == (ssize_t)sizeof auth->nobodys_ha1)
        return auth;
    auth_free(auth);
    return NULL;
}

void auth_free(struct auth *auth)
{
    if (auth == NULL)
        return;
    nonces_free(auth->nonces);
    in_flight_fini(&auth->in_flight);
    free(auth);
}

/* ---- One answer to a challenge, looked at step by step ------------------------------------- */

/* AUTH_OK: on to the next step. */
typedef struct auth_result step_fn(struct attempt *a);

struct auth_result auth_outcome(enum auth_verdict verdict, const char *cause)
{
    return (struct auth_result){
        .verdict = verdict,
        .cause = cause,
        .retry_after_s = verdict == AUTH_UNAVAILABLE ? AUTH_RETRY_AFTER_S : 0,
    };
}

struct auth_result auth_ask_again(enum auth_reason reason)
{
    static const struct {
        enum auth_verdict verdict;
        const char *cause;
    } row[AUTH_REASONS] = {
        [AUTH_NO_CREDENTIALS] = {AUTH_CHALLENGE, "no credentials for this realm"    },
        [AUTH_OTHER_ALGORITHM] = {AUTH_CHALLENGE, "an algorithm that was not offered"},
        [AUTH_NONCE_FOREIGN] = {AUTH_CHALLENGE, "not a nonce of ours"              },
        [AUTH_NONCE_OLD_START] = {AUTH_STALE,     "nonce from before a restart"      },
        [AUTH_NONCE_EXPIRED] = {AUTH_STALE,     "nonce too old"                    },
        [AUTH_NONCE_OTHER_FLOW] = {AUTH_STALE,     "nonce of another connection"      },
        [AUTH_NONCE_USED] = {AUTH_STALE,     "nonce used up"                    },
    };
    struct auth_result result = auth_outcome(row[reason].verdict, row[reason].cause);
    result.reason = reason;
    return result;
}

static struct auth_result pass(void)
{
    return auth_outcome(AUTH_OK, "authenticated");
}

/* The first Digest answer for our realm; a proxy or another server may have asked for others. */
static struct auth_result pick_credentials(struct attempt *a)
{
    const struct sip_request *sip = a->request->sip;
    for (size_t i = 0; i < sip->authorization_count; i++) {
        int rc = sip_credentials_parse(sip->authorizations[i], a->arena, &a->sent);
        if (rc == -ENOMEM)
            return auth_outcome(AUTH_UNAVAILABLE, "out of memory");
        if (rc != 0)
            return auth_outcome(AUTH_MALFORMED, "unreadable credentials");
        if (a->sent.is_digest && str_eq(a->sent.realm, a->request->realm))
            return pass();
    }
    return auth_ask_again(AUTH_NO_CREDENTIALS);
}

/* RFC 7616 3.4: with a qop come cnonce and nc, 8 hex digits. */
static bool read_nc(struct str text, uint32_t *nc)
{
    uint8_t byte[4];
    if (!hex_read(text, byte, sizeof byte))
        return false;
    *nc = (uint32_t)byte[0] << 24 | (uint32_t)byte[1] << 16 | (uint32_t)byte[2] << 8 | byte[3];
    return true;
}

static struct auth_result check_form(struct attempt *a)
{
    const struct sip_credentials *sent = &a->sent;
    if (str_is_empty(sent->username) || str_is_empty(sent->nonce) || str_is_empty(sent->uri) ||
        str_is_empty(sent->response))
        return auth_outcome(AUTH_MALFORMED, "credentials without username, nonce, uri or response");
    a->use.is_whole = !sent->has_qop;
    if (!sent->has_qop)
        return pass();
    if (!str_eq_nocase(sent->qop, STR("auth")))
        return auth_outcome(AUTH_MALFORMED, "a qop that was not offered");
    if (str_is_empty(sent->cnonce) || !read_nc(sent->nc, &a->use.nc))
        return auth_outcome(AUTH_MALFORMED, "qop without cnonce or a right nc");
    return pass();
}

static bool is_configured(const struct config *config, enum digest_algorithm algorithm)
{
    for (size_t i = 0; i < config->algorithm_count; i++)
        if (config->algorithms[i] == algorithm)
            return true;
    return false;
}

static struct auth_result check_algorithm(struct attempt *a)
{
    /* RFC 7616 3.4: none given means MD5. */
    a->algorithm = DIGEST_MD5;
    if ((!str_is_empty(a->sent.algorithm) &&
         digest_parse_name(a->sent.algorithm, &a->algorithm) != 0) ||
        !is_configured(a->request->config, a->algorithm))
        return auth_ask_again(AUTH_OTHER_ALGORITHM);
    return pass();
}

static uint64_t flow_of(const struct auth *auth, const struct auth_request *request)
{
    return nonces_flow(auth->nonces, request->protocol, request->conn, &request->source);
}

static struct auth_result check_nonce(struct attempt *a)
{
    const struct nonces *nonces = a->auth->nonces;
    switch (nonces_check(nonces, a->sent.nonce, flow_of(a->auth, a->request), a->request->now_ms,
                         a->request->config->nonce_ttl_s, &a->use.serial)) {
    case NONCE_FOREIGN:
        return auth_ask_again(AUTH_NONCE_FOREIGN);
    case NONCE_OLD_START:
        return auth_ask_again(AUTH_NONCE_OLD_START);
    case NONCE_EXPIRED:
        return auth_ask_again(AUTH_NONCE_EXPIRED);
    case NONCE_OTHER_FLOW:
        return auth_ask_again(AUTH_NONCE_OTHER_FLOW);
    case NONCE_GOOD:
        break;
    }
    /* Looked at before the digest, so that a replayed answer cannot be used to try passwords. */
    if (nonces_is_unused(nonces, &a->use))
        return pass();
    struct auth_result result = auth_ask_again(AUTH_NONCE_USED);
    result.is_nonce_forgotten = nonces_is_forgotten(nonces, &a->use);
    return result;
}

/* Hosts are compared as names, or by value where they are addresses. */
static bool is_host(const struct sip_uri *uri, struct str host)
{
    struct net_address address;
    if (str_eq_nocase(uri->host, host))
        return true;
    return uri->host_is_ip && net_address_parse(&address, host, 0) == 0 &&
           net_address_same_ip(&uri->address, &address);
}

static bool is_own_host(const struct auth_request *request, const struct sip_uri *uri)
{
    for (size_t i = 0; i < request->own_host_count; i++)
        if (is_host(uri, request->own_hosts[i]))
            return true;
    return false;
}

/* An answer given to another server is worth nothing here, but phones write the Request-URI, the
 * realm or the address that they send to. */
static struct auth_result check_uri(struct attempt *a)
{
    const struct auth_request *request = a->request;
    struct sip_uri uri;
    if (str_eq(a->sent.uri, request->sip->request_uri.text))
        return pass(); /* as RFC 7616 3.4 wants it, and parsed before */
    if (sip_uri_parse(a->sent.uri, &uri) != SIP_URI_OK)
        return auth_outcome(AUTH_REFUSED, "digest uri is no SIP URI");
    if (!is_host(&uri, request->sip->request_uri.host) && !is_host(&uri, request->realm) &&
        !is_own_host(request, &uri))
        return auth_outcome(AUTH_REFUSED, "digest uri is for another host");
    return pass();
}

/* Is `sent` the user of an AOR, whichever of its characters are escaped? */
static bool is_user(struct str sent, struct str user)
{
    while (!str_is_empty(sent) && !str_is_empty(user))
        if (users_take_char(&sent) != users_take_char(&user))
            return false;
    return str_is_empty(sent) && str_is_empty(user);
}

/* As is_user(), for a client that escapes nothing in its username. */
static bool is_unescaped_user(struct str sent, struct str user)
{
    size_t i = 0;
    while (i < sent.len && !str_is_empty(user))
        if (sent.ptr[i++] != users_take_char(&user))
            return false;
    return i == sent.len && str_is_empty(user);
}

static bool is_spelling_of(struct str sent, struct str user, unsigned *spelling)
{
    if (!is_user(sent, user) && !is_unescaped_user(sent, user))
        return false;
    if (!str_eq(sent, user))
        *spelling |= SPELLING_UNESCAPED;
    return true;
}

/* `username` less an @realm at its end; as it is when there is none. */
static struct str without_realm(struct str username, struct str realm)
{
    if (username.len <= realm.len || !str_ends_nocase(username, realm) ||
        username.ptr[username.len - realm.len - 1] != '@')
        return username;
    return str_slice(username, 0, username.len - realm.len - 1);
}

/* Nobody registers somebody else's AOR. */
static struct auth_result check_owner(struct attempt *a)
{
    const struct auth_request *request = a->request;
    struct str user = str_slice(request->aor, 0, str_find(request->aor, '@'));
    struct str sent = a->sent.username;
    if (is_spelling_of(sent, user, &a->spelling))
        return pass();
    struct str bare = without_realm(sent, request->realm);
    a->spelling = SPELLING_AT_REALM;
    if (bare.len < sent.len && is_spelling_of(bare, user, &a->spelling))
        return pass();
    return auth_outcome(AUTH_REFUSED, "username is not the user to be registered");
}

static bool is_response(const struct attempt *a, const uint8_t *right)
{
    uint8_t sent[DIGEST_MAX_BYTES];
    size_t size = digest_size(a->algorithm);
    return hex_read(a->sent.response, sent, size) &&
           str_eq_constant_time((struct str){(const char *)sent, size},
                                (struct str){(const char *)right, size});
}

int auth_compare(const struct attempt *a, const uint8_t *ha1, bool *is_right)
{
    const struct sip_credentials *sent = &a->sent;
    struct digest_question question = {
        .method = a->request->sip->method_text,
        .uri = sent->uri,
        .nonce = sent->nonce,
        .nc = sent->nc,
        .cnonce = sent->cnonce,
        .qop = sent->qop,
    };
    uint8_t right[DIGEST_MAX_BYTES];
    int rc = digest_response(a->algorithm, ha1, &question, right);
    if (rc == 0)
        *is_right = is_response(a, right);
    return rc;
}

static struct auth_result check_digest(struct attempt *a)
{
    const struct auth_request *request = a->request;
    const uint8_t *ha1 = a->auth->nobodys_ha1;
    enum users_answer found =
        users_find_ha1(request->policy->users, request->aor, a->spelling, a->algorithm, &ha1);
    bool is_right;
    if (auth_compare(a, ha1, &is_right) != 0)
        return auth_outcome(AUTH_UNAVAILABLE, "the digest cannot be computed");
    /* Only now: whoever is unknown has cost as much as whoever mistyped. */
    if (found == USERS_UNKNOWN)
        return auth_outcome(AUTH_REFUSED, "unknown user");
    if (found == USERS_NO_HA1)
        return auth_outcome(AUTH_REFUSED, "no HA1 of this algorithm in the users file");
    return is_right ? pass() : auth_outcome(AUTH_REFUSED, "wrong password");
}

struct auth_result auth_use_nonce(struct attempt *a)
{
    if (!nonces_use(a->auth->nonces, &a->use))
        return auth_ask_again(AUTH_NONCE_USED);
    return pass();
}

/* ---- The steps, in order -------------------------------------------------------------------- */

static bool is_for_file(const struct auth_request *request)
{
    const uint8_t *ha1;
    const struct realm *policy = request->policy;
    return policy->callback == NULL || users_find_ha1(policy->users, request->aor, SPELLING_PLAIN,
                                                      DIGEST_MD5, &ha1) != USERS_UNKNOWN;
}

/* The nonce comes before whatever depends on who somebody is: only a live one of this flow gets a
 * 403 out of us, or as far as a customer's server. */
static step_fn *const steps_for_all[] = {
    pick_credentials, check_form, check_algorithm, check_nonce, check_uri,
};
/* The nonce is used up last, so that a wrong answer does not spoil the right one. */
static step_fn *const steps_by_file[] = {check_owner, check_digest, auth_use_nonce};

#define COUNT(steps) (sizeof(steps) / sizeof *(steps))

static struct auth_result take(struct attempt *a, step_fn *const *steps, size_t count)
{
    struct auth_result result = pass();
    for (size_t i = 0; i < count && result.verdict == AUTH_OK; i++)
        result = steps[i](a);
    return result;
}

void auth_finish(struct attempt *a, const struct auth_result *result)
{
    a->done(a->arg, result);
}

static void decide_by_file(struct attempt *a)
{
    struct auth_result result = take(a, steps_by_file, COUNT(steps_by_file));
    auth_finish(a, &result);
}

static void decide_by_callback(struct attempt *a)
{
    struct auth_result result = a->request->policy->allow_foreign_aor ? pass() : check_owner(a);
    if (result.verdict == AUTH_OK)
        callback_decide(a);
    else
        auth_finish(a, &result);
}

void auth_check(struct auth *auth, const struct auth_request *request, struct arena *arena,
                auth_checked_fn *done, void *arg)
{
    struct attempt *a = arena_zalloc(arena, sizeof *a);
    if (a == NULL) {
        struct auth_result result = auth_outcome(AUTH_UNAVAILABLE, "out of memory");
        done(arg, &result);
        return;
    }
    a->auth = auth;
    a->request = request;
    a->arena = arena;
    a->done = done;
    a->arg = arg;
    struct auth_result result = take(a, steps_for_all, COUNT(steps_for_all));
    if (result.verdict != AUTH_OK)
        auth_finish(a, &result);
    else if (is_for_file(request))
        decide_by_file(a);
    else
        decide_by_callback(a);
}

/* ---- Challenges ---------------------------------------------------------------------------- */

static void put_quoted(struct buf *b, struct str text)
{
    buf_put_char(b, '"');
    while (text.len > 0) {
        size_t plain = str_find(str_slice(text, 0, str_find(text, '\\')), '"');
        buf_put_str(b, str_slice(text, 0, plain));
        text = str_slice(text, plain, text.len);
        if (text.len > 0) {
            char escape[] = {'\\', text.ptr[0]};
            buf_put(b, escape, sizeof escape);
            text = str_slice(text, 1, text.len);
        }
    }
    buf_put_char(b, '"');
}

/* Each in a line of its own, qop="auth" quoted and stale not: the browser libraries read it in no
 * other way. */
static void put_challenge(struct buf *b, struct str realm, struct str nonce,
                          enum digest_algorithm algorithm, bool is_stale)
{
    buf_put_text(b, "WWW-Authenticate: Digest realm=");
    put_quoted(b, realm);
    buf_put_text(b, ", nonce=");
    put_quoted(b, nonce);
    buf_put_text(b, ", algorithm=");
    buf_put_text(b, digest_name(algorithm));
    buf_put_text(b, ", qop=\"auth\"");
    if (is_stale)
        buf_put_text(b, ", stale=true");
    buf_put_text(b, "\r\n");
}

void auth_put_challenges(struct auth *auth, struct buf *b, unsigned worker,
                         const struct auth_request *request, bool is_stale)
{
    char nonce[NONCE_TEXT];
    int rc = nonces_make(auth->nonces, worker, flow_of(auth, request), request->now_ms, nonce);
    if (rc != 0 && b->error == 0)
        b->error = rc;
    const struct config *config = request->config;
    for (size_t i = 0; i < config->algorithm_count && b->error == 0; i++)
        put_challenge(b, request->realm, (struct str){nonce, sizeof nonce}, config->algorithms[i],
                      is_stale);
}
