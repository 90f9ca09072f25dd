/* http_internal.h - the parts of the HTTP client: http_client.c decides what is sent when,
 * http_exchange.c makes a transfer of a request and an answer of what came back, http_wire.c moves
 * it, http_trust.c says whom HTTPS servers must be vouched for by. */
#ifndef AORTA_HTTP_INTERNAL_H
#define AORTA_HTTP_INTERNAL_H
#include <aorta/buf.h>
#include <aorta/http_client.h>
#include <curl/curl.h>
#include <openssl/x509.h>
#include <uv.h>

/* ---- Wire ---------------------------------------------------------------------------------- */

struct http_wire; /* a curl multi that a libuv loop drives, with connections of its own */

/* A transfer is over, and its handle out of the wire. It may start others and close the wire. */
typedef void http_wire_ended_fn(void *arg, CURL *easy, CURLcode result);

/* Keeps at most `max_connections` idle ones. NULL when out of memory or descriptors. */
struct http_wire *http_wire_open(uv_loop_t *uv, unsigned max_connections, http_wire_ended_fn *ended,
                                 void *arg);
/* Every handle needs this once before it is started, and again after curl_easy_reset(). */
CURLcode http_wire_set_options(struct http_wire *wire, CURL *easy);
/* Begins on the loop's next turn. 0 or -ENOMEM. */
int http_wire_start(struct http_wire *wire, CURL *easy);
/* Gives up what was started; `ended` will not run for it. */
void http_wire_stop(struct http_wire *wire, CURL *easy);
/* After all that was started has ended or was stopped. Closes the connections; what is then left to
 * free is freed on the loop's next turn. NULL is fine. */
void http_wire_close(struct http_wire *wire);

/* ---- Trust --------------------------------------------------------------------------------- */

/* The system's CAs (OpenSSL's default paths), and besides them the certificates in the PEM file
 * `ca_file`, unless NULL. Free with X509_STORE_free(). 0, -ENOMEM, or -EINVAL with a sentence in
 * `error` that names the file. */
int http_trust_load(const char *ca_file, X509_STORE **out, struct buf *error);
/* Makes the handle trust `store` only, and check names. */
CURLcode http_trust_set_options(X509_STORE *store, CURL *easy);

/* ---- Exchange ------------------------------------------------------------------------------ */

struct http_request {
    struct str body;
    http_answered_fn *done;
    void *arg;
    uint64_t posted_ms; /* http_now_ms() */
};
uint64_t http_now_ms(void);
/* Runs its `done`. */
void http_request_fail(const struct http_request *r, int error, const char *why);

/* What all requests of a lane have in common. */
struct http_target {
    struct http_lane_options options; /* its texts are our own */
    CURLU *url;
    struct curl_slist *headers;
    X509_STORE *trust; /* NULL for http:// */
    char *flaw;        /* why nothing can be sent there; else NULL */
};
/* 0 or -ENOMEM; a flaw is none of its errors. */
int http_target_init(struct http_target *target, const struct http_lane_options *options);
/* Also after http_target_init() failed. */
void http_target_fini(struct http_target *target);

/* One transfer at a time. libcurl's handles are dear to make, so exchanges are used again. */
struct http_exchange {
    const struct http_target *target;
    struct http_wire *wire;
    CURL *easy;
    unsigned uses;
    struct http_exchange *next, *previous; /* for the owner's lists */
    struct http_request request;
    struct buf body;
    size_t header_bytes;
    bool has_whole_head;
    int error; /* why one of our callbacks broke the transfer off */
    char why[CURL_ERROR_SIZE];
};
/* Borrows both. NULL when out of memory. */
struct http_exchange *http_exchange_new(const struct http_target *target, struct http_wire *wire);
void http_exchange_free(struct http_exchange *x);
/* Of a handle that the wire says has ended. */
struct http_exchange *http_exchange_of(CURL *easy);
/* 0 or -ENOMEM; `timeout_ms` is above 0. */
int http_exchange_start(struct http_exchange *x, const struct http_request *r, int64_t timeout_ms);
/* The server's name was not found, or not in time. */
bool http_exchange_lacks_address(const struct http_exchange *x, CURLcode result);
/* Runs the request's `done`. */
void http_exchange_answer(struct http_exchange *x, CURLcode result);
/* Makes it ready for the next one. False: of no more use. */
bool http_exchange_renew(struct http_exchange *x, CURLcode result);
#endif
