/* aorta/http.h - one HTTP/1.1 request and its reply, as values between the transport, which
 * reads and writes them, and the routes, which decide. */
#ifndef AORTA_HTTP_H
#define AORTA_HTTP_H
#include <aorta/buf.h>
#include <aorta/net_address.h>
#include <aorta/str.h>

/* Borrowed from the connection; valid during the handler. */
struct http_request {
    struct str method; /* "GET" */
    struct str path;   /* before the '?', not decoded */
    struct str query;  /* after it */
    struct str host;   /* and perhaps port, as the client names this server */
    struct str authorization, if_none_match;
    struct net_address remote;
};

/* Filled in by a handler; starts as 404 without a body. */
struct http_reply {
    int status;
    const char *content_type;     /* NULL: no body */
    const char *cache_control;    /* NULL: "no-store" */
    const char *etag;             /* with its quotes; NULL: none */
    const char *allow;            /* for 405 */
    const char *www_authenticate; /* for 401 */
    struct str file;              /* a body that outlives the connection; or */
    struct buf body;              /* a heap buffer, freed by the transport */
};

typedef void http_handler_fn(void *arg, const struct http_request *request,
                             struct http_reply *reply);
#endif
