/* HTTP answers: head and body, files in pieces. */
#include "transport_internal.h"

enum {
    PIECE_BYTES = 16384,  /* of a file at once: what a slow reader makes us hold */
    KEEPALIVE_MS = 15000, /* between two requests */
    HEAD_BYTES = 1024,
};

static const char *status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } row[] = {
        {101, "Switching Protocols"            },
        {200, "OK"                             },
        {201, "Created"                        },
        {202, "Accepted"                       },
        {204, "No Content"                     },
        {304, "Not Modified"                   },
        {400, "Bad Request"                    },
        {401, "Unauthorized"                   },
        {403, "Forbidden"                      },
        {404, "Not Found"                      },
        {405, "Method Not Allowed"             },
        {409, "Conflict"                       },
        {411, "Length Required"                },
        {413, "Content Too Large"              },
        {415, "Unsupported Media Type"         },
        {426, "Upgrade Required"               },
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"          },
        {502, "Bad Gateway"                    },
        {503, "Service Unavailable"            },
        {505, "HTTP Version Not Supported"     },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (row[i].status == status)
            return row[i].text;
    return "Unknown";
}

static void put_head(struct buf *b, const struct http_reply *reply, size_t body_bytes, bool closes)
{
    buf_printf(b, "HTTP/1.1 %d %s\r\n", reply->status, status_text(reply->status));
    if (reply->content_type)
        buf_printf(b, "Content-Type: %s\r\n", reply->content_type);
    if (reply->status != 204 && reply->status != 304 && !reply->is_stream)
        buf_printf(b, "Content-Length: %zu\r\n", body_bytes);
    buf_printf(b, "Cache-Control: %s\r\n",
               reply->cache_control ? reply->cache_control : "no-store");
    if (reply->etag)
        buf_printf(b, "ETag: %s\r\n", reply->etag);
    if (reply->allow[0])
        buf_printf(b, "Allow: %s\r\n", reply->allow);
    if (reply->status == 426) /* RFC 9110 15.5.22, RFC 6455 4.2.2 */
        buf_put_text(b, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
    if (reply->www_authenticate)
        buf_printf(b, "WWW-Authenticate: %s\r\n", reply->www_authenticate);
    buf_put_text(b, "Content-Security-Policy: default-src 'none'; script-src 'self'; "
                    "style-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; "
                    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
                    "X-Content-Type-Options: nosniff\r\n"
                    "Referrer-Policy: no-referrer\r\n"
                    "Cross-Origin-Resource-Policy: same-origin\r\n");
    buf_printf(b, "Connection: %s\r\n\r\n", closes ? "close" : "keep-alive");
}

/* Its writer sees to it that the client reads. */
static void begin_stream(struct conn *c)
{
    c->is_streaming = true;
    timer_stop(&c->timer);
}

static void end_reply(struct conn *c)
{
    if (c->closes_after_body)
        conn_linger(c);
    else
        conn_set_timer(c, c->t->now_ms + KEEPALIVE_MS);
}

/* Head and body in one write; but a file's pieces follow as the peer takes them. */
void http_answer(struct conn *c, const struct http_reply *reply)
{
    static const char headroom[TRANSPORT_HEADROOM];
    c->has_asked = true;
    bool is_file = reply->file.ptr != NULL;
    c->closes_after_body |= reply->is_stream; /* that is how the client sees the end */
    struct str body = is_file ? reply->file : buf_str(&reply->body);
    struct buf b;
    buf_init_heap(&b, TRANSPORT_HEADROOM + HEAD_BYTES + reply->body.len);
    buf_put(&b, headroom, sizeof headroom);
    put_head(&b, reply, body.len, c->closes_after_body);
    if (!c->is_head && !is_file)
        buf_put_str(&b, body);
    int rc = b.error ? b.error : reply->body.error;
    if (rc < 0)
        conn_close(c);
    else
        rc = conn_write(c, b.data + TRANSPORT_HEADROOM, b.len - TRANSPORT_HEADROOM);
    buf_fini(&b);
    if (rc < 0)
        return;
    if (is_file && !c->is_head && body.len > 0) {
        c->body = body;
        net_stream_want_write(c->stream);
    } else if (reply->is_stream && !c->is_head) {
        begin_stream(c);
    } else {
        end_reply(c);
    }
}

bool http_answer_writable(struct conn *c)
{
    if (c->body.len == 0)
        return true;
    char memory[TRANSPORT_HEADROOM + PIECE_BYTES];
    size_t n = c->body.len < PIECE_BYTES ? c->body.len : PIECE_BYTES;
    memcpy(memory + TRANSPORT_HEADROOM, c->body.ptr, n);
    c->body = str_slice(c->body, n, c->body.len);
    if (conn_write(c, memory + TRANSPORT_HEADROOM, n) < 0)
        return false;
    if (c->body.len > 0) {
        net_stream_want_write(c->stream);
        conn_set_timer(c, c->t->now_ms + KEEPALIVE_MS); /* it is taking it: not stuck */
    } else {
        end_reply(c);
    }
    return true;
}

void http_answer_refusal(struct conn *c, int status, const char *why)
{
    struct http_reply reply = {.status = status, .content_type = "text/plain; charset=utf-8"};
    buf_init_heap(&reply.body, 256);
    buf_printf(&reply.body, "%s\n", why);
    if (status == 405)
        memcpy(reply.allow, "GET", sizeof "GET");
    c->closes_after_body = true;
    http_answer(c, &reply);
    buf_fini(&reply.body);
}
