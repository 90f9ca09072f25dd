/* A connection from its accept to its end: bytes in to the reader of its phase, bytes out. */
#include "conn_limit.h"
#include "transport_internal.h"
#include <aorta/log.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    LINGER_MS = 2000,   /* for the peer to read our last words */
    READ_SLACK = 65536, /* unread bytes that may wait beside one message */
};

/* ---- Life of a connection ------------------------------------------------------------------ */

bool conn_is_sip(const struct conn *c)
{
    return c->phase == CONN_STREAM || c->phase == CONN_WS;
}

void conn_begin_sip(struct conn *c, enum conn_phase phase)
{
    c->phase = phase;
    c->opened_ms = c->t->now_ms;
    c->is_counted = true;
    metrics_add_connection(c->t->deps.metrics, c->kind, 1);
    conn_check(c);
    LOG_DEBUG("connection open", LOG_TEXT("protocol", transport_kind_name(c->kind)));
}

/* Its user hears of the end only once, and before anything that the user does because of it. */
static void retire(struct conn *c)
{
    if (c->id == 0)
        return;
    conn_id id = c->id;
    conn_forget_name(c);
    if (c->is_counted)
        metrics_add_connection(c->t->deps.metrics, c->kind, -1);
    conn_set_end(c, "ended by the client without a goodbye, or broken");
    c->t->events.closed(c->t->events.arg, c->kind, id, c->user, &c->end);
    c->user = NULL;
}

void conn_set_end(struct conn *c, const char *why)
{
    if (!c->end.why)
        c->end.why = why;
}

void conn_close(struct conn *c)
{
    retire(c);
    c->is_doomed = true;
    if (!c->is_in_event)
        net_stream_close(c->stream); /* frees it, by on_closed() */
}

bool conn_enter(struct conn *c)
{
    bool is_outermost = !c->is_in_event;
    c->is_in_event = true;
    log_set_conn(c->id);
    return is_outermost;
}

void conn_leave(struct conn *c, bool is_outermost)
{
    if (!is_outermost)
        return;
    log_set_conn(0);
    c->is_in_event = false;
    if (c->is_doomed)
        net_stream_close(c->stream);
}

void conn_linger(struct conn *c)
{
    if (c->is_doomed || c->phase == CONN_LINGER)
        return;
    retire(c);
    c->phase = CONN_LINGER;
    net_stream_shutdown(c->stream);
    conn_set_timer(c, c->t->now_ms + LINGER_MS);
}

void conn_turn_away(struct conn *c)
{
    if (c->phase == CONN_WS)
        ws_conn_close(c, WS_CLOSE_POLICY);
    else
        conn_close(c);
}

int conn_write(struct conn *c, char *data, size_t len)
{
    if (c->is_doomed)
        return -ENOTCONN;
    int rc = net_stream_write(c->stream, data, len);
    if (rc == -ENOBUFS)
        transport_limit_reached(c->t, LIMIT_UNREAD_BYTES, &c->remote);
    if (rc < 0) {
        LOG_DEBUG("connection does not take what is sent", LOG_NUM("error", rc));
        conn_set_end(c, rc == -ENOBUFS ? "the client did not read (limits.unreadBytes)" : "broken");
        conn_close(c);
    }
    return rc;
}

struct sip_source conn_source(const struct conn *c)
{
    return (struct sip_source){.kind = c->kind, .conn = c->id, .remote = c->remote};
}

void conn_deliver(struct conn *c, struct str message)
{
    c->has_sip = true;
    struct sip_source source = conn_source(c);
    transport_deliver(c->t, &source, message);
}

/* LIMIT_NONE, or which one is reached. */
static enum limit take_limit(const struct transport_listener *l, const struct net_address *remote,
                             bool is_ip_counted)
{
    struct conn_limit *limit = l->t->deps.limit;
    if (is_ip_counted)
        return conn_limit_take(limit, remote);
    bool has_room = l->is_admin ? conn_limit_take_admin(limit) : conn_limit_take_total(limit);
    return has_room ? LIMIT_NONE : LIMIT_CONNECTIONS;
}

static void give_limit(struct transport *t, const struct net_address *remote, bool is_ip_counted)
{
    if (is_ip_counted)
        conn_limit_give(t->deps.limit, remote);
    else
        conn_limit_give_total(t->deps.limit);
}

static void free_conn(struct conn *c)
{
    timer_stop(&c->timer);
    opening_remove(c);
    give_limit(c->t, &c->remote, c->is_ip_counted);
    buf_fini(&c->input);
    ws_conn_free(c);
    free(c);
}

static void on_closed(void *owner)
{
    struct conn *c = owner;
    log_set_conn(c->id);
    LOG_DEBUG("connection closed");
    retire(c);
    log_set_conn(0);
    free_conn(c);
}

/* ---- Bytes in ------------------------------------------------------------------------------ */

static size_t read_phase(struct conn *c, char *data, size_t len)
{
    switch (c->phase) {
    case CONN_STREAM:
        return stream_conn_read(c, data, len);
    case CONN_HTTP:
        return http_conn_read(c, data, len);
    case CONN_WS:
        return ws_conn_read(c, data, len);
    case CONN_LINGER:
        break;
    }
    return len;
}

/* A reader may end one phase in the middle of the bytes (the upgrade): the next one goes on. */
static size_t read_all(struct conn *c, char *data, size_t len)
{
    size_t used = 0;
    enum conn_phase phase;
    do {
        phase = c->phase;
        used += read_phase(c, data + used, len - used);
    } while (c->phase != phase && used < len);
    return used;
}

/* The most that may wait: one whole message, or request, and a read. It never shrinks, since what
 * came under another configuration may be there still. */
static void allow_input(struct conn *c)
{
    size_t whole = c->t->deps.config->message_bytes;
    if (whole < HTTP_HEAD_MAX_BYTES + HTTP_BODY_MAX_BYTES)
        whole = HTTP_HEAD_MAX_BYTES + HTTP_BODY_MAX_BYTES;
    if (c->input.max < whole + READ_SLACK)
        c->input.max = whole + READ_SLACK;
}

static void keep_rest(struct conn *c, const char *rest, size_t len)
{
    allow_input(c);
    if (len > 0)
        buf_put(&c->input, rest, len);
    if (c->input.error)
        conn_close(c); /* more than one message and a read: it cannot be whole yet */
}

static void read_with_kept(struct conn *c, const char *data, size_t len)
{
    keep_rest(c, data, len);
    if (c->is_doomed)
        return;
    size_t used = read_all(c, c->input.data, c->input.len);
    size_t left = c->input.len - used;
    if (left == 0) {
        buf_fini(&c->input); /* an idle connection holds no memory for input */
        return;
    }
    memmove(c->input.data, c->input.data + used, left);
    c->input.len = left;
}

void conn_read_kept(struct conn *c)
{
    if (c->input.len > 0)
        read_with_kept(c, NULL, 0);
}

static bool on_received(void *owner, char *data, size_t len)
{
    struct conn *c = owner;
    c->is_in_event = true;
    log_set_conn(c->id);
    opening_remove(c);
    c->heard_ms = c->t->now_ms;
    c->pings = 0;
    if (c->input.len > 0) {
        read_with_kept(c, data, len);
    } else {
        size_t used = read_all(c, data, len);
        if (used < len && !c->is_doomed)
            keep_rest(c, data + used, len - used);
    }
    log_set_conn(0);
    c->is_in_event = false;
    return !c->is_doomed;
}

static bool on_writable(void *owner)
{
    struct conn *c = owner;
    if (c->phase != CONN_HTTP)
        return true;
    c->is_in_event = true;
    log_set_conn(c->id);
    if (http_answer_writable(c) && http_conn_is_idle(c))
        conn_read_kept(c); /* the request that came while the file was sent */
    log_set_conn(0);
    c->is_in_event = false;
    return !c->is_doomed;
}

/* We close in the middle of a handshake when it takes too long, and seldom for another reason: the
 * peer was banned, or we end. */
static void on_shaken(void *owner, enum net_tls_end how)
{
    static const enum metric counted[] = {
        [NET_TLS_FULL] = METRIC_TLS_FULL,         [NET_TLS_RESUMED] = METRIC_TLS_RESUMED,
        [NET_TLS_PROTOCOL] = METRIC_TLS_PROTOCOL, [NET_TLS_ALERT] = METRIC_TLS_ALERT,
        [NET_TLS_CLOSED] = METRIC_TLS_CLOSED,     [NET_TLS_GIVEN_UP] = METRIC_TLS_TIMEOUT,
    };
    const struct conn *c = owner;
    metrics_add(c->t->deps.metrics, counted[how]);
    if (how != NET_TLS_FULL && how != NET_TLS_RESUMED)
        metrics_add(c->t->deps.metrics, METRIC_TLS_FAILED);
}

const struct net_stream_events transport_stream_events = {on_received, on_writable, on_closed,
                                                          on_shaken};

/* ---- Connections in ------------------------------------------------------------------------ */

static void begin_conn(struct conn *c)
{
    c->heard_ms = c->t->now_ms;
    opening_add(c);
    if (c->phase == CONN_STREAM)
        conn_begin_sip(c, CONN_STREAM);
    else
        conn_set_timer(c, c->t->now_ms + c->t->deps.config->handshake_s * 1000ull);
}

/* A proxy's clients are counted in its place, once they are known; and whoever looks after the node
 * gets in when one address has more than its share. */
static bool counts_for_ip(const struct transport_listener *l, const struct net_address *remote)
{
    return !l->is_admin && !net_networks_have(&l->t->deps.config->trusted_proxies, remote);
}

void conn_on_accepted(void *arg, int fd, const struct net_address *remote)
{
    struct transport_listener *l = arg;
    struct transport *t = l->t;
    if (fd < 0) {
        transport_limit_reached(t, LIMIT_FILES, NULL);
        return;
    }
    if (!l->is_admin && transport_has_banned(t, remote)) {
        LOG_DEBUG("connection refused: banned");
        close(fd);
        return;
    }
    bool is_ip_counted = counts_for_ip(l, remote);
    enum limit full = take_limit(l, remote, is_ip_counted);
    if (full != LIMIT_NONE) {
        transport_limit_reached(t, full, remote);
        close(fd);
        return;
    }
    struct conn *c = calloc(1, sizeof *c);
    if (!c || (c->t = t, conn_name(c)) < 0) {
        free(c);
        give_limit(t, remote, is_ip_counted);
        close(fd);
        return;
    }
    c->kind = l->kind;
    c->is_admin = l->is_admin;
    c->phase = transport_kind_is_websocket(l->kind) ? CONN_HTTP : CONN_STREAM;
    c->remote = *remote;
    c->is_ip_counted = is_ip_counted;
    if (t->deps.config->unread_bytes > 0)
        net_limit_unread(fd, t->deps.config->unread_bytes);
    buf_init_secret(&c->input, 0); /* until something is to be kept */
    if (net_stream_adopt(t->deps.loop, fd, transport_kind_is_secure(l->kind), c, &c->stream) < 0) {
        conn_forget_name(c);
        free_conn(c);
        return;
    }
    log_set_conn(c->id);
    begin_conn(c);
    log_set_conn(0);
}
