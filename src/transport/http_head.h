/* http_head.h - the head of an HTTP/1.1 request (RFC 9112), and WebSocket's use of it
 * (RFC 6455 4.2, RFC 7118 4). Pure. */
#ifndef AORTA_HTTP_HEAD_H
#define AORTA_HTTP_HEAD_H
#include <aorta/config.h>
#include <aorta/str.h>

enum { HTTP_HEAD_MAX_BYTES = 16384, HTTP_HEAD_MAX_LINES = 100 };

struct http_head {
    struct str method, path, query;
    struct str host, authorization, if_none_match, origin, content_type;
    struct str websocket_key, websocket_version, websocket_protocols;
    struct str fields;     /* all header lines, each with its CRLF */
    bool is_upgrade;       /* Upgrade: websocket and Connection: upgrade, over HTTP/1.1 */
    bool wants_close;      /* Connection: close, or HTTP/1.0 without keep-alive */
    bool expects_continue; /* waits for a 100 before it sends its body */
    bool is_chunked;       /* Transfer-Encoding, whichever: a body of unknown length */
    uint64_t body_bytes;   /* Content-Length */
    size_t head_bytes;     /* up to and with the empty line */
};

enum http_head_result { HTTP_HEAD_OK, HTTP_HEAD_MORE, HTTP_HEAD_BAD };

/* Reads the head that starts at `data`. Bad ones: *status is 400, 431 or 505. */
enum http_head_result http_head_read(struct str data, struct http_head *out, int *status);

/* What a WebSocket upgrade is to be answered: 101, or 400, 403 (Origin), 405, 426 (version), with
 * *why in a sentence. `origins` as ws.origins; a request without Origin is no browser's and fine.
 */
int http_head_check_upgrade(const struct http_head *head, const struct config_list *origins,
                            const char **why);
#endif
