/* aorta/http.h - one HTTP/1.1 request and its reply, as values between the transport, which
 * reads and writes them, and the routes, which decide. */
#ifndef AORTA_HTTP_H
#define AORTA_HTTP_H
#include <aorta/buf.h>
#include <aorta/net_address.h>
#include <aorta/str.h>
#include <aorta/transport_kind.h>

enum { HTTP_BODY_MAX_BYTES = 65536, HTTP_REPLY_MAX_BYTES = 16 << 20, HTTP_ALLOW_BYTES = 48 };

/* Borrowed from the connection; valid during the handler. */
struct http_request {
    struct str method; /* "GET"; HEAD comes as GET */
    struct str path;   /* before the '?', not decoded */
    struct str query;  /* after it */
    struct str host;   /* and perhaps port, as the client names this server */
    struct str authorization, if_none_match, content_type, origin;
    struct str body;           /* the whole of it */
    struct net_address remote; /* the client, also behind a trusted proxy */
    conn_id conn;              /* for an answer that comes later */
};

/* Filled in by a handler; starts as 404 without a body. */
struct http_reply {
    int status;
    const char *content_type;     /* NULL: no body */
    const char *cache_control;    /* NULL: "no-store" */
    const char *etag;             /* with its quotes; NULL: none */
    const char *www_authenticate; /* for 401 */
    char allow[HTTP_ALLOW_BYTES]; /* for 405: "GET, HEAD"; empty: none */
    struct str file;              /* a body that outlives the connection; or */
    struct buf body;              /* a heap buffer, freed by the transport */
    /* The handler has nothing to say yet, but will by transport_http_reply(), on this thread. */
    bool is_later;
    /* The body has no end yet: more comes by transport_http_stream(), and at last
     * transport_http_end(), on this thread. */
    bool is_stream;
};

typedef void http_handler_fn(void *arg, const struct http_request *request,
                             struct http_reply *reply);
#endif
