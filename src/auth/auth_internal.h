/* auth_internal.h - one request on its way through authentication. */
#ifndef AORTA_AUTH_INTERNAL_H
#define AORTA_AUTH_INTERNAL_H
#include "digest_internal.h"
#include "in_flight_internal.h"
#include "nonce_internal.h"
#include <aorta/auth.h>

struct auth {
    struct nonces *nonces;
    struct in_flight in_flight;
    uint8_t nobodys_ha1[DIGEST_MAX_BYTES]; /* unknown users cost the same hashes as known ones */
};

/* In the arena of its request, until `done` has run. */
struct attempt {
    struct auth *auth;
    const struct auth_request *request;
    struct arena *arena;
    auth_checked_fn *done;
    void *arg;
    struct sip_credentials sent;
    enum digest_algorithm algorithm;
    struct nonce_use use;
    unsigned spelling; /* of the username, SPELLING bits */

    /* Where a callback decides: */
    struct in_flight_entry in_flight;
    struct str body;
    uint64_t asked_us;    /* clock_now_us() */
    bool has_failed_kept; /* an HA1 that we kept says that the answer is wrong */
};

enum { AUTH_RETRY_AFTER_S = 5 }; /* where nothing is known about when it will be better */

/* A result with nothing but a verdict. */
struct auth_result auth_outcome(enum auth_verdict verdict, const char *cause);
/* AUTH_CHALLENGE or AUTH_STALE, as the reason has it. */
struct auth_result auth_ask_again(enum auth_reason reason);
/* Is the response that was sent the right one for `ha1`? -EIO when the library fails. */
int auth_compare(const struct attempt *a, const uint8_t *ha1, bool *is_right);
/* Uses up the nonce: AUTH_OK, or AUTH_STALE when somebody else was faster. */
struct auth_result auth_use_nonce(struct attempt *a);
/* The one exit; the attempt is gone afterwards. */
void auth_finish(struct attempt *a, const struct auth_result *result);
#endif
