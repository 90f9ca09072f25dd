/* aorta/http_client.h - JSON posted to other people's servers (HTTP/1.1 keep-alive, libcurl's multi
 * interface on the worker's loop). One client a worker; everything here is called on that worker's
 * thread, and every `done` runs on it. DNS and TLS never block the loop. */
#ifndef AORTA_HTTP_CLIENT_H
#define AORTA_HTTP_CLIENT_H
#include <aorta/net.h>
#include <aorta/str.h>

struct http_client;
struct http_lane; /* the way to one server: its own connections in flight, its own queue */

/* NULL when out of memory. */
struct http_client *http_client_new(struct net_loop *loop);
/* Ends what is under way: each `done` runs with -ECANCELED. After all lanes were closed; before
 * net_loop_close(). NULL is fine. */
void http_client_free(struct http_client *client);

/* All text is copied. */
struct http_lane_options {
    const char *url;                 /* http:// or https:// */
    const char *username, *password; /* Basic authentication (RFC 7617); NULL: none */
    const char *ca_file;             /* PEM, trusted besides the system's CAs; NULL: none */
    uint32_t timeout_ms; /* for the whole of a request, waiting for a free connection included */
    unsigned max_in_flight;
    size_t max_queued;       /* waiting beyond that: refused at once */
    size_t max_answer_bytes; /* a longer body is an error */
};
/* NULL when out of memory. */
struct http_lane *http_lane_open(struct http_client *client,
                                 const struct http_lane_options *options);
/* What is under way ends with -ECANCELED. NULL is fine. */
void http_lane_close(struct http_lane *lane);

struct http_answer {
    /* 0: a whole answer came, whatever its status. Else a negative errno: -ETIMEDOUT, -ENOBUFS (too
     * many wait), -EMSGSIZE (answer too long), -ECONNREFUSED, -ECANCELED, -ENOMEM, or -EIO for
     * everything else: reset, TLS, DNS, no HTTP. */
    int error;
    const char *why; /* in words, for the log; never NULL, holds no secret */
    int status;      /* redirects are not followed: they are answers like others */
    struct str body;
    uint32_t took_ms;
};
/* Runs exactly once for each request, perhaps before http_lane_post() returns; `answer` is valid
 * only during it. */
typedef void http_answered_fn(void *arg, const struct http_answer *answer);
/* Posts `body` as application/json. `body` must live until `done` has run. */
void http_lane_post(struct http_lane *lane, struct str body, http_answered_fn *done, void *arg);
#endif
