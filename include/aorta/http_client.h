/* aorta/http_client.h - JSON posted to other people's servers (HTTP/1.1 keep-alive on the worker's
 * loop; libcurl connects). One client a worker; everything here is called on that worker's thread,
 * and every `done` runs on it. DNS and TLS never block the loop. Call net_init() before: it has
 * SIGPIPE ignored, which TLS may raise. */
#ifndef AORTA_HTTP_CLIENT_H
#define AORTA_HTTP_CLIENT_H
#include <aorta/net.h>
#include <aorta/str.h>

struct http_client;
struct http_lane; /* the way to one server: its own connections in flight, its own queue */

/* NULL when out of memory. The first one of the process sets libcurl up, whichever thread that is.
 */
struct http_client *http_client_new(struct net_loop *loop);
/* Closes the lanes that are left. Before net_loop_close(), and not from within a `done`. NULL is
 * fine. */
void http_client_free(struct http_client *client);

/* All text is copied. */
struct http_lane_options {
    const char *url;                 /* http:// or https:// */
    const char *username, *password; /* Basic authentication (RFC 7617), sent unasked; NULL: none */
    /* PEM, trusted besides the system's CAs; NULL: none. Read once; when it cannot be, every
     * request to an https:// URL ends with -EIO and a `why` that names it. */
    const char *ca_file;
    uint32_t
        timeout_ms; /* for the whole of a request, waiting for a free connection included; > 0 */
    unsigned max_in_flight;  /* > 0 */
    size_t max_queued;       /* waiting beyond that: refused at once */
    size_t max_answer_bytes; /* a longer body is an error */
};
/* Costs two descriptors, and one for each connection. NULL when it cannot have them, or no memory;
 * an unusable URL shows with the first request. */
struct http_lane *http_lane_open(struct http_client *client,
                                 const struct http_lane_options *options);
/* Each `done` of what is under way runs, with -ECANCELED, before this returns; what is posted from
 * within one ends likewise. Allowed from within any `done`, also of this lane, which is gone when
 * that returns. NULL is fine. */
void http_lane_close(struct http_lane *lane);

/* How long a request that is posted now is likely to wait for a connection, in ms, going by how
 * long answers took so far. */
uint32_t http_lane_wait_ms(const struct http_lane *lane);
/* Requests that wait for a connection, and connections, idle ones and those that are being made
 * included. */
struct http_lane_load {
    size_t waiting, connections;
};
struct http_lane_load http_lane_load(const struct http_lane *lane);

struct http_answer {
    /* 0: a whole answer came, whatever its status. Else a negative errno: -ETIMEDOUT, -ENOBUFS (too
     * many wait), -EMSGSIZE (body too long, or more than 64 KiB of headers), -ECONNREFUSED,
     * -ECANCELED, -ENOMEM, or -EIO for everything else: reset, cut short, TLS, DNS, no HTTP. */
    int error;
    const char *why; /* in words, for the log; never NULL, holds no secret */
    int status;      /* redirects are not followed: they are answers like others; 0 with an error */
    struct str body; /* empty with an error */
    uint32_t took_ms; /* since http_lane_post() */
};
/* Runs exactly once for each request, perhaps before http_lane_post() returns; `answer` is valid
 * only during it. It may post and close lanes. */
typedef void http_answered_fn(void *arg, const struct http_answer *answer);
/* Posts `body` as application/json. `body` must live until `done` has run. A request is sent once,
 * but for one case: when the server closes a kept connection without a byte of answer, nobody can
 * say whether it was read, and it is sent again on another. */
void http_lane_post(struct http_lane *lane, struct str body, http_answered_fn *done, void *arg);
#endif
