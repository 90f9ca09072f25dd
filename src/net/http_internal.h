/* http_internal.h - the parts of the HTTP client: http_client.c decides what is sent when,
 * http_target.c says what stays the same, http_exchange.c sends a request and receives its answer,
 * which http_reader.c reads, http_wire.c connects, http_trust.c says whom HTTPS servers must be
 * vouched for by. libcurl does no more than connect: its transfers cost a multiple of ours. */
#ifndef AORTA_HTTP_INTERNAL_H
#define AORTA_HTTP_INTERNAL_H
#include "http_reader.h"
#include <aorta/buf.h>
#include <aorta/http_client.h>
#include <curl/curl.h>
#include <openssl/x509.h>
#include <uv.h>

/* ---- Wire ---------------------------------------------------------------------------------- */

struct http_wire; /* a curl multi that a libuv loop drives, with connections of its own */
struct http_link; /* one of them that is connected */

struct http_wire_events {
    /* A handle that was started is connected; or `link` is NULL, and it is out of the wire. */
    void (*connected)(void *arg, CURL *easy, struct http_link *link, CURLcode result);
    /* UV_READABLE, UV_WRITABLE. */
    void (*ready)(void *arg, CURL *easy, int events);
    void *arg;
};

/* Its events may start and stop handles, and close the wire. NULL when out of memory. */
struct http_wire *http_wire_open(uv_loop_t *uv, const struct http_wire_events *events);
/* Every handle needs this once before it is started. */
CURLcode http_wire_set_options(struct http_wire *wire, CURL *easy);
/* Begins to connect on the loop's next turn. 0 or -ENOMEM. */
int http_wire_start(struct http_wire *wire, CURL *easy);
/* Disconnects, or gives up what was started; no event comes from it afterwards. */
void http_wire_stop(struct http_wire *wire, CURL *easy);
/* After all that was started has been stopped or did not come about. What is then left to free is
 * freed on the loop's next turn. NULL is fine. */
void http_wire_close(struct http_wire *wire);

/* How many bytes went, at least one; -EAGAIN while there is no room, or -EIO. */
ssize_t http_link_send(struct http_link *link, struct str bytes);
/* How many came, 0 at the end, -EAGAIN or -EIO. */
ssize_t http_link_receive(struct http_link *link, void *bytes, size_t most);
/* Whether `ready` tells of room; it always tells of what came. */
void http_link_await_room(struct http_link *link, bool wanted);

/* ---- Trust --------------------------------------------------------------------------------- */

/* The system's CAs (OpenSSL's default paths), and besides them the certificates in the PEM file
 * `ca_file`, unless NULL. Free with X509_STORE_free(). 0, -ENOMEM, or -EINVAL with a sentence in
 * `error` that names the file. */
int http_trust_load(const char *ca_file, X509_STORE **out, struct buf *error);
/* Makes the handle trust `store` only, and check names. */
CURLcode http_trust_set_options(X509_STORE *store, CURL *easy);

/* ---- Request ------------------------------------------------------------------------------- */

struct http_request {
    struct str body;
    http_answered_fn *done;
    void *arg;
    uint64_t posted_ms; /* http_now_ms() */
};
uint64_t http_now_ms(void);
/* Runs its `done`. */
void http_request_fail(const struct http_request *r, int error, const char *why);

/* ---- Target -------------------------------------------------------------------------------- */

/* What all requests of a lane have in common. */
struct http_target {
    struct http_lane_options options; /* its texts are our own */
    CURLU *url;
    bool is_tls;
    struct buf head;   /* up to the number behind "Content-Length: " */
    X509_STORE *trust; /* NULL for http:// */
    char *flaw;        /* why nothing can be sent there; else NULL */
};
/* 0 or -ENOMEM; a flaw is none of its errors. */
int http_target_init(struct http_target *target, const struct http_lane_options *options);
/* Also after http_target_init() failed. */
void http_target_fini(struct http_target *target);

/* ---- Exchange ------------------------------------------------------------------------------ */

static inline int64_t http_request_left_ms(const struct http_request *r,
                                           const struct http_target *target, uint64_t now_ms)
{
    return (int64_t)(r->posted_ms + target->options.timeout_ms) - (int64_t)now_ms;
}

/* One request at a time on a connection of its own, which it keeps. */
struct http_exchange {
    const struct http_target *target;
    struct http_wire *wire;
    CURL *easy;
    bool is_started;        /* the handle is in the wire */
    struct http_link *link; /* NULL until it is connected */
    bool is_kept;           /* connected since an earlier request */
    bool is_busy;           /* with `request` */
    uint64_t since_ms;      /* idle or busy; for the owner, as are these two */
    struct http_exchange *next, *previous;
    struct http_request request;
    struct buf out; /* the request as it goes */
    size_t sent;    /* bytes of it */
    struct http_reader reader;
    int error;          /* of the request; 0: none yet */
    bool lacks_address; /* the server's name was not found, or not in time */
    char why[CURL_ERROR_SIZE];
};

enum http_progress { HTTP_GOES_ON, HTTP_ENDED }; /* with an answer or an error */

/* Borrows both. NULL when out of memory. */
struct http_exchange *http_exchange_new(const struct http_target *target, struct http_wire *wire);
/* Closes its connection. NULL is fine. */
void http_exchange_free(struct http_exchange *x);
struct http_exchange *http_exchange_of(CURL *easy);
/* 0 or -ENOMEM. */
int http_exchange_start(struct http_exchange *x, const struct http_request *r);
/* These follow the wire's events, and the clock. */
enum http_progress http_exchange_connected(struct http_exchange *x, struct http_link *link,
                                           CURLcode result);
enum http_progress http_exchange_go_on(struct http_exchange *x, int events);
enum http_progress http_exchange_time_out(struct http_exchange *x);
/* Of a request that has ended. The body's memory changes hands: that of `body` is used again. */
void http_exchange_take_answer(struct http_exchange *x, struct buf *body,
                               struct http_answer *answer);
/* True if another request can follow; else the connection is closed. */
bool http_exchange_keep(struct http_exchange *x);
/* Of one that is kept, when something happens there without a request. */
bool http_exchange_is_alive(struct http_exchange *x);
#endif
