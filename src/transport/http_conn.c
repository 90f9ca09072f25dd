/* HTTP on the WebSocket ports and the admin port: one request after the other, and the upgrade. */
#include "conn_limit.h"
#include "forwarded.h"
#include "transport_internal.h"
#include <aorta/log.h>
#include <aorta/node_state.h>
#include <errno.h>

enum {
    UPGRADE_HEAD_BYTES = 1024,
    ANSWER_MS = 30000, /* for a handler that answers later */
};

/* ---- Clients behind proxies ---------------------------------------------------------------- */

static bool is_proxy(const struct conn *c, const struct net_address *address)
{
    return net_networks_have(&c->t->deps.config->trusted_proxies, address);
}

static struct net_address client_of(const struct conn *c, const struct http_head *head)
{
    if (!is_proxy(c, &c->remote))
        return c->remote;
    return forwarded_client(head->fields, &c->t->deps.config->trusted_proxies, &c->remote);
}

static bool is_refused_client(const struct conn *c, const struct net_address *client)
{
    return !c->is_admin && transport_has_banned(c->t, client);
}

/* Its client counts in place of the proxy, which does not. False when it has too many connections.
 */
static bool become_client(struct conn *c, const struct net_address *client)
{
    if (!c->is_ip_counted || !net_address_same_ip(&c->remote, client)) {
        bool counts = !is_proxy(c, client);
        if (counts && !conn_limit_take_ip(c->t->deps.limit, client)) {
            transport_limit_reached(c->t, LIMIT_PER_IP, client);
            return false;
        }
        if (c->is_ip_counted) /* it became a trusted one after it had connected */
            conn_limit_give_ip(c->t->deps.limit, &c->remote);
        c->is_ip_counted = counts;
    }
    c->remote = *client;
    return true;
}

/* A proxy that took the TLS off says so: what is stored is how the client can be reached. */
static enum transport_kind kind_of(const struct conn *c, const struct http_head *head,
                                   const struct net_address *peer)
{
    return is_proxy(c, peer) && forwarded_is_secure(head->fields) ? TRANSPORT_WSS : c->kind;
}

/* ---- Upgrades ------------------------------------------------------------------------------ */

/* What an upgrade is answered: 101, or another status and *why*; and as what it is counted. */
struct upgrade_answer {
    int status;
    const char *why;
    enum metric counted;
};

static struct upgrade_answer check_upgrade(struct conn *c, const struct http_head *head,
                                           const struct net_address *client)
{
    if (is_refused_client(c, client))
        return (struct upgrade_answer){403, "This address is banned.", METRIC_UPGRADE_BANNED};
    if (c->is_admin)
        return (struct upgrade_answer){400, "No SIP is spoken on the admin port.",
                                       METRIC_UPGRADE_BAD};
    const char *why;
    int status = http_head_check_upgrade(head, &c->t->deps.config->ws_origins, &why);
    if (status != 101)
        return (struct upgrade_answer){status, why,
                                       status == 403 ? METRIC_UPGRADE_ORIGIN : METRIC_UPGRADE_BAD};
    if (atomic_load(c->t->deps.node_state) == NODE_DRAINING)
        return (struct upgrade_answer){503, "This server is shutting down.",
                                       METRIC_UPGRADE_DRAINING};
    if (!become_client(c, client))
        return (struct upgrade_answer){
            503, "Too many connections from this address (limits.connectionsPerIp).",
            METRIC_UPGRADE_TOO_MANY};
    return (struct upgrade_answer){101, "", METRIC_UPGRADE_OK};
}

static void upgrade(struct conn *c, const struct http_head *head)
{
    struct net_address client = client_of(c, head);
    enum transport_kind kind = kind_of(c, head, &c->remote);
    struct upgrade_answer answer = check_upgrade(c, head, &client);
    metrics_add(c->t->deps.metrics, answer.counted);
    if (answer.status != 101) {
        LOG_DEBUG("websocket refused", LOG_NUM("status", answer.status),
                  LOG_TEXT("why", answer.why), LOG_STR("origin", head->origin));
        http_answer_refusal(c, answer.status, answer.why);
        return;
    }
    char accept[NET_WEBSOCKET_ACCEPT_TEXT], memory[TRANSPORT_HEADROOM + UPGRADE_HEAD_BYTES];
    net_websocket_accept(head->websocket_key, accept);
    struct buf b;
    buf_init_fixed(&b, memory + TRANSPORT_HEADROOM, UPGRADE_HEAD_BYTES);
    buf_printf(&b,
               "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: sip\r\n\r\n",
               accept);
    c->kind = kind;
    if (conn_write(c, b.data, b.len) == 0)
        conn_begin_sip(c, CONN_WS);
}

/* ---- Requests ------------------------------------------------------------------------------ */

static void await_answer(struct conn *c)
{
    c->is_answer_due = true;
    conn_set_timer(c, c->t->now_ms + ANSWER_MS);
}

static void call_handler(struct conn *c, const struct http_request *request)
{
    const struct transport_deps *deps = &c->t->deps;
    struct http_reply reply = {.status = 404};
    buf_init_heap(&reply.body, HTTP_REPLY_MAX_BYTES);
    (c->is_admin ? deps->admin_http : deps->public_http)(deps->http_arg, request, &reply);
    if (reply.is_later)
        await_answer(c);
    else
        http_answer(c, &reply);
    buf_fini(&reply.body);
}

static void serve(struct conn *c, const struct http_head *head, struct str body)
{
    struct http_request request = {
        .method = c->is_head ? STR("GET") : head->method,
        .path = head->path,
        .query = head->query,
        .host = head->host,
        .authorization = head->authorization,
        .if_none_match = head->if_none_match,
        .content_type = head->content_type,
        .origin = head->origin,
        .body = body,
        .remote = client_of(c, head),
        .conn = c->id,
    };
    if (is_refused_client(c, &request.remote))
        http_answer_refusal(c, 403, "This address is banned.");
    else
        call_handler(c, &request);
}

/* ---- Bodies -------------------------------------------------------------------------------- */

/* 0, or how a request with such a body is refused and *why. */
static int check_body(const struct http_head *head, const char **why)
{
    *why = "Send a body with its Content-Length.";
    if (head->is_chunked)
        return 411;
    *why = "No request here needs so long a body.";
    return head->body_bytes > HTTP_BODY_MAX_BYTES ? 413 : 0;
}

/* RFC 9110 10.1.1 */
static void ask_for_body(struct conn *c)
{
    struct str line = STR("HTTP/1.1 100 Continue\r\n\r\n");
    char memory[TRANSPORT_HEADROOM + 32];
    memcpy(memory + TRANSPORT_HEADROOM, line.ptr, line.len);
    conn_write(c, memory + TRANSPORT_HEADROOM, line.len);
}

/* Its head is read again when the rest is there. */
static void await_body(struct conn *c, const struct http_head *head, bool has_begun)
{
    bool is_new = c->awaited_bytes == 0;
    c->awaited_bytes = head->head_bytes + (size_t)head->body_bytes;
    if (is_new && head->expects_continue && !has_begun)
        ask_for_body(c);
}

/* ---- One after the other ------------------------------------------------------------------- */

static size_t refuse_rest(struct conn *c, int status, const char *why, struct str data)
{
    http_answer_refusal(c, status, why);
    return data.len;
}

/* How many bytes the first request of `data` took; 0 when it is not whole. */
static size_t read_request(struct conn *c, struct str data)
{
    if (data.len < c->awaited_bytes)
        return 0;
    struct http_head head;
    int status;
    enum http_head_result result = http_head_read(data, &head, &status);
    if (result == HTTP_HEAD_MORE)
        return 0;
    c->is_head = false;
    if (result == HTTP_HEAD_BAD)
        return refuse_rest(c, status, "This is no HTTP/1.1 request that can be served.", data);
    if (head.is_upgrade) {
        upgrade(c, &head);
        return head.head_bytes;
    }
    c->is_head = str_eq(head.method, STR("HEAD"));
    const char *why;
    status = check_body(&head, &why);
    if (status != 0)
        return refuse_rest(c, status, why, data);
    struct str body = str_slice(data, head.head_bytes, head.head_bytes + (size_t)head.body_bytes);
    if (body.len < head.body_bytes) {
        await_body(c, &head, body.len > 0);
        return 0;
    }
    c->awaited_bytes = 0;
    c->closes_after_body = head.wants_close;
    serve(c, &head, body);
    return head.head_bytes + body.len;
}

bool http_conn_is_idle(const struct conn *c)
{
    return c->phase == CONN_HTTP && !c->is_doomed && c->body.len == 0 && !c->is_answer_due &&
           !c->is_streaming;
}

size_t http_conn_read(struct conn *c, char *data, size_t len)
{
    size_t used = 0, n = 1;
    while (used < len && n > 0 && http_conn_is_idle(c)) {
        n = read_request(c, (struct str){data + used, len - used});
        used += n;
    }
    return used;
}

/* ---- Answers that come later --------------------------------------------------------------- */

int transport_http_reply(struct transport *t, conn_id conn, struct http_reply *reply)
{
    struct conn *c = conn_find(t, conn);
    int rc = -ENOTCONN;
    if (c && c->is_answer_due) {
        bool is_outermost = conn_enter(c);
        c->is_answer_due = false;
        http_answer(c, reply);
        rc = c->is_doomed ? -ENOTCONN : 0;
        if (http_conn_is_idle(c))
            conn_read_kept(c);
        conn_leave(c, is_outermost);
    }
    buf_fini(&reply->body);
    return rc;
}

/* ---- Answers that go on ---------------------------------------------------------------------- */

static struct conn *find_streaming(const struct transport *t, conn_id conn)
{
    struct conn *c = conn_find(t, conn);
    return c && c->is_streaming ? c : NULL;
}

int transport_http_stream(struct transport *t, conn_id conn, char *data, size_t len)
{
    struct conn *c = find_streaming(t, conn);
    if (!c)
        return -ENOTCONN;
    if (net_stream_has_backlog(c->stream))
        return -EAGAIN;
    bool is_outermost = conn_enter(c);
    int rc = conn_write(c, data, len);
    conn_leave(c, is_outermost);
    return rc < 0 ? -ENOTCONN : 0;
}

void transport_http_end(struct transport *t, conn_id conn)
{
    struct conn *c = find_streaming(t, conn);
    if (!c)
        return;
    bool is_outermost = conn_enter(c);
    c->is_streaming = false;
    conn_linger(c);
    conn_leave(c, is_outermost);
}

void transport_http_drop(struct transport *t, conn_id conn)
{
    struct conn *c = find_streaming(t, conn);
    if (!c)
        return;
    bool is_outermost = conn_enter(c);
    transport_limit_reached(t, LIMIT_UNREAD_BYTES, &c->remote);
    conn_close(c);
    conn_leave(c, is_outermost);
}

void http_conn_give_up(struct conn *c)
{
    if (!c->is_answer_due) {
        LOG_DEBUG("deadline passed", LOG_TEXT("waited_for", "a handshake or an HTTP request"));
        if (!c->has_asked && !c->is_admin)
            transport_limit_reached(c->t, LIMIT_HANDSHAKE_S, &c->remote);
        conn_close(c);
        return;
    }
    LOG_DEBUG("deadline passed", LOG_TEXT("waited_for", "an answer to an HTTP request"));
    c->is_answer_due = false;
    http_answer_refusal(c, 503, "This took too long.");
}
