/* callback_internal.h - a customer's server that decides who may register. */
#ifndef AORTA_CALLBACK_INTERNAL_H
#define AORTA_CALLBACK_INTERNAL_H
#include "auth_internal.h"
#include "breaker_internal.h"
#include "kept_internal.h"
#include <aorta/http_client.h>

/* ---- callback.c ---------------------------------------------------------------------------- */

struct callback {
    const struct config_callback *config; /* borrowed */
    size_t index;                         /* of its lane in callback_lanes */
    char *origin;                         /* scheme://host:port, for the log */
    struct breaker breaker;
    struct kept *kept;
};

/* NULL when out of memory. */
struct callback *callback_new(const struct config_callback *config, size_t index);
void callback_free(struct callback *callback);
/* The last step of an attempt whose nonce, realm and owner are right. */
void callback_decide(struct attempt *a);

/* ---- callback_question.c -------------------------------------------------------------------- */

/* The body of the request (SPEC 5). */
void callback_put_question(struct buf *b, const struct auth_request *request,
                           const struct sip_credentials *sent);

/* ---- callback_answer.c ---------------------------------------------------------------------- */

enum callback_said {
    CALLBACK_SAID_OK,
    CALLBACK_SAID_NO,
    CALLBACK_SAID_NOTHING, /* no usable answer, for `cause` */
};

/* Members with values that mean nothing, and are ignored. Bits, in the order of their names. */
enum callback_odd {
    ODD_EXPIRES = 1,
    ODD_BLACKLIST = 2,
    ODD_MSG = 4,
    ODD_HA1 = 8,
    ODD_TTL = 16,
    ODD_GRANT = 32, /* too long */
};

struct callback_answer {
    enum callback_said said;
    const char *cause; /* constant text */
    bool is_outage;    /* NOTHING, and the server is to blame for it */
    unsigned odd;
    struct str message;      /* OK and NO; in the arena, as `grant` */
    int64_t ban_s;           /* NO; 0: none */
    struct kept_answer kept; /* OK; no algorithms: nothing to keep */
    uint32_t ttl_s;
};

/* Pure. The caller wipes the HA1s. */
void callback_read_answer(const struct http_answer *http, struct arena *arena,
                          struct callback_answer *out);
/* "expires, ttl" for the log. */
void callback_put_odd(struct buf *b, unsigned odd);
#endif
