/* aorta/auth.h - who may register: digest (RFC 7616, RFC 8760) against a users file, or against
 * what a customer's server says (SPEC: README, "HTTP callback"). Nonces are stateless (time,
 * serial, AES-CMAC); what is remembered is only the highest nc of nonces in use, in a table of
 * fixed size that all workers share without a lock. */
#ifndef AORTA_AUTH_H
#define AORTA_AUTH_H
#include <aorta/config.h>
#include <aorta/realms.h>
#include <aorta/sip.h>
#include <aorta/transport_kind.h>

/* ---- Users file ---------------------------------------------------------------------------- */

struct users;
/* Reads SPEC section 4's JSON. -EINVAL with all that is wrong appended to `errors`, a line each,
 * `FILE:LINE:COLUMN: user: what is wrong`. Passwords are hashed and forgotten here. The values are
 * never printed. Call str_hash_seed() before. Free with users_free(). */
int users_load(const char *file, struct users **out, struct buf *errors);
int users_parse(const char *file_name, struct str json, struct users **out, struct buf *errors);
void users_free(struct users *users);
size_t users_count(const struct users *users);

/* ---- Checking ------------------------------------------------------------------------------ */

/* What lives as long as the process, whatever is configured anew: nonces, and who is being decided.
 * Shared by all workers. */
struct auth;

/* `workers` is the number of threads that will call auth_put_challenges(); `replay_bytes` is for
 * what was used of the latest nonces. NULL when out of memory, without randomness, for more than
 * 256 workers or none, or when these have not 8 bytes each. */
struct auth *auth_new(unsigned workers, size_t replay_bytes);
/* After the callback_lanes of all workers: nothing may wait any more. NULL is fine. */
void auth_free(struct auth *auth);

enum auth_verdict {
    AUTH_OK,
    AUTH_CHALLENGE, /* no credentials that count: 401 */
    AUTH_STALE, /* a nonce of ours that is too old, of another flow, or used up: 401, stale=true */
    AUTH_REFUSED,     /* wrong, unknown, or not allowed to register this AOR: 403 */
    AUTH_MALFORMED,   /* an Authorization that cannot be parsed: 400 */
    AUTH_UNAVAILABLE, /* whoever decides cannot be asked: 503 */
};

/* Why somebody is challenged, with AUTH_CHALLENGE or AUTH_STALE. */
enum auth_reason {
    AUTH_NO_REASON,
    AUTH_NO_CREDENTIALS,   /* or none for this realm */
    AUTH_OTHER_ALGORITHM,  /* one that was not offered */
    AUTH_NONCE_FOREIGN,    /* not one of ours */
    AUTH_NONCE_OLD_START,  /* from before a restart */
    AUTH_NONCE_EXPIRED,    /* older than auth.nonceTtl */
    AUTH_NONCE_OTHER_FLOW, /* handed to another connection or address */
    AUTH_NONCE_USED,       /* with this nc, or one above it */
    AUTH_REASONS
};

enum { AUTH_GRANT_BYTES = 4096, AUTH_MESSAGE_BYTES = 256 };
#define AUTH_BAN_FOR_EVER (-1)

struct auth_result {
    enum auth_verdict verdict;
    const char *cause;       /* for the log; constant text, never secret, never NULL */
    enum auth_reason reason; /* AUTH_CHALLENGE and AUTH_STALE, for the metrics */

    /* AUTH_OK by a callback: */
    uint32_t expires_limit_s; /* 0: none */
    struct str grant;         /* a JSON object; empty: none; at most AUTH_GRANT_BYTES */

    /* AUTH_REFUSED by a callback: the source is to be banned for so long; 0: not at all. */
    int64_t ban_s;

    /* Nobody was asked, but an HA1 that the callback let us keep says that the credentials are
     * wrong. */
    bool is_likely_wrong;

    /* AUTH_STALE: newer nonces have taken the place where the use of this one was kept. */
    bool is_nonce_forgotten;

    uint32_t retry_after_s; /* AUTH_UNAVAILABLE: 1 and more, for the Retry-After header */
    bool is_source_away;    /* AUTH_UNAVAILABLE: the callback has been away for some time */
    bool is_source_busy;    /* AUTH_UNAVAILABLE: more wait for the callback than it can answer */

    /* What the callback says, cut to AUTH_MESSAGE_BYTES: text from outside, or empty. */
    struct str message;
    bool was_asked;   /* the callback was, for this very request */
    bool has_decided; /* and said yes or no */
    uint64_t took_us; /* was_asked: so long, waiting for a free connection included */
};
/* Runs exactly once, perhaps before auth_check() returns. `result` is valid only during it; the
 * texts in it are in the arena of the request. */
typedef void auth_checked_fn(void *arg, const struct auth_result *result);

/* It and all that it points to must live until `done` has run. */
struct auth_request {
    const struct config *config;  /* algorithms, nonce_ttl_s, default_expires_s */
    const struct realm *policy;   /* whose domain `realm` is */
    struct callback_lanes *lanes; /* this worker's, of the realms that `policy` is from; NULL where
                                     these have no callbacks */
    const struct sip_request *sip;
    struct str aor;   /* canonical user@host */
    struct str realm; /* its host */
    enum transport_kind protocol;
    conn_id conn; /* nonces are bound to it; over UDP to the source IP */
    struct net_address source;
    /* Hosts that the digest uri may name besides Request-URI and realm: this node's own. */
    const struct str *own_hosts;
    size_t own_host_count;
    uint64_t now_ms;
    /* Does it keep up, or end, what is registered? Asked only while so many wait for the callback
     * that others are refused. NULL: it does not. */
    bool (*is_refresh)(const void *refresh_arg);
    const void *refresh_arg;
};
/* SPEC 3 steps 4 and 6. A right answer uses up its nc; a wrong one does not. Any worker thread;
 * `done` runs on it too. `arena` is scratch until then. */
void auth_check(struct auth *auth, const struct auth_request *request, struct arena *arena,
                auth_checked_fn *done, void *arg);
/* One WWW-Authenticate line for each algorithm, in their order, all with one fresh nonce. `worker`
 * is the calling thread's number. */
void auth_put_challenges(struct auth *auth, struct buf *b, unsigned worker,
                         const struct auth_request *request, bool is_stale);
#endif
