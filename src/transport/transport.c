/* Connections of one worker: their table, their deadlines, and what leads in and out. */
#include "conn_limit.h"
#include "stun.h"
#include "transport_internal.h"
#include <aorta/clock.h>
#include <aorta/log.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    FIRST_MESSAGE_MS = 15000, /* from upgrade or handshake to the first SIP message */
    AUTHENTICATE_MS = 30000,  /* and to the first granted REGISTER */
    LINGER_MS = 2000,         /* for the peer to read our last words */
    READ_SLACK = 65536,       /* unread bytes that may wait beside one message */
    MISSED_PINGS = 2,
};
#define NEVER UINT64_MAX

/* ---- Table --------------------------------------------------------------------------------- */

static struct conn *find_conn(const struct transport *t, conn_id id)
{
    uint32_t slot = conn_id_slot(id);
    if (conn_id_worker(id) != t->deps.worker || slot == 0 || slot >= t->slot_count)
        return NULL;
    struct conn *c = t->slots[slot].conn;
    return c && c->id == id ? c : NULL;
}

static int grow_slots(struct transport *t)
{
    uint32_t count = t->slot_count ? t->slot_count * 2 : 64;
    if (count > 1 << 24)
        return -ENOMEM;
    struct conn_slot *slots = realloc(t->slots, count * sizeof *slots);
    if (!slots)
        return -ENOMEM;
    for (uint32_t i = count; i-- > t->slot_count;) {
        slots[i] = (struct conn_slot){.next_free = t->free_slot};
        if (i > 0)
            t->free_slot = i;
    }
    t->slots = slots;
    t->slot_count = count;
    return 0;
}

static int name_conn(struct conn *c)
{
    struct transport *t = c->t;
    if (t->free_slot == 0 && grow_slots(t) < 0)
        return -ENOMEM;
    uint32_t slot = t->free_slot;
    t->free_slot = t->slots[slot].next_free;
    t->slots[slot].conn = c;
    c->id = conn_id_make(t->deps.worker, slot, ++t->slots[slot].generation);
    return 0;
}

static void forget_name(struct conn *c)
{
    uint32_t slot = conn_id_slot(c->id);
    c->t->slots[slot].conn = NULL;
    c->t->slots[slot].next_free = c->t->free_slot;
    c->t->free_slot = slot;
    c->id = 0;
}

/* ---- Life of a connection ------------------------------------------------------------------ */

static void check_sip(struct conn *c);

void conn_set_timer(struct conn *c, uint64_t due_ms)
{
    timer_start(&c->t->wheel, &c->timer, due_ms);
}

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
    check_sip(c);
    LOG_DEBUG("connection open", LOG_TEXT("protocol", transport_kind_name(c->kind)));
}

/* Its user hears of the end only once, and before anything that the user does because of it. */
static void retire(struct conn *c)
{
    if (c->id == 0)
        return;
    conn_id id = c->id;
    forget_name(c);
    if (c->is_counted)
        metrics_add_connection(c->t->deps.metrics, c->kind, -1);
    c->t->events.closed(c->t->events.arg, c->kind, id, c->user);
    c->user = NULL;
}

void conn_close(struct conn *c)
{
    retire(c);
    c->is_doomed = true;
    if (!c->is_in_event)
        net_stream_close(c->stream); /* frees it, by on_closed() */
}

/* Between these two a connection may be closed by anybody and is still there; then it goes. */
static bool enter(struct conn *c)
{
    bool is_outermost = !c->is_in_event;
    c->is_in_event = true;
    log_set_conn(c->id);
    return is_outermost;
}

static void leave(struct conn *c, bool is_outermost)
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

int conn_write(struct conn *c, char *data, size_t len)
{
    if (c->is_doomed)
        return -ENOTCONN;
    int rc = net_stream_write(c->stream, data, len);
    if (rc < 0) {
        LOG_DEBUG("connection does not take what is sent", LOG_NUM("error", rc));
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
    c->t->events.message(c->t->events.arg, &source, message);
}

static void free_conn(struct conn *c)
{
    timer_stop(&c->timer);
    conn_limit_give(c->t->deps.limit, &c->remote);
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

static void keep_rest(struct conn *c, const char *rest, size_t len)
{
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

static bool on_received(void *owner, char *data, size_t len)
{
    struct conn *c = owner;
    c->is_in_event = true;
    log_set_conn(c->id);
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
    bool is_alive = http_conn_writable(c);
    if (is_alive && c->body.len == 0 && c->input.len > 0 && c->phase == CONN_HTTP)
        read_with_kept(c, NULL, 0); /* the request that came while the file was sent */
    c->is_in_event = false;
    return !c->is_doomed;
}

const struct net_stream_events transport_stream_events = {on_received, on_writable, on_closed};

/* ---- Deadlines ----------------------------------------------------------------------------- */

static void close_late(struct conn *c, const char *what)
{
    LOG_DEBUG("deadline passed", LOG_TEXT("waited_for", what));
    if (c->phase == CONN_WS)
        ws_conn_close(c, WS_CLOSE_POLICY);
    else
        conn_close(c);
}

/* Pings a silent WebSocket. One that stayed silent for as long as two pings should have been
 * answered in has no peer any more. Returns when to look again. */
static uint64_t ping(struct conn *c)
{
    uint64_t interval_ms = c->t->deps.config->ws_ping_s * 1000ull;
    if (interval_ms == 0)
        return NEVER;
    uint64_t due_ms = c->heard_ms + (c->pings + 1) * interval_ms;
    if (c->t->now_ms < due_ms)
        return due_ms;
    if (c->pings == MISSED_PINGS) {
        LOG_DEBUG("websocket silent", LOG_NUM("pings", c->pings));
        conn_close(c);
        return NEVER;
    }
    char memory[TRANSPORT_HEADROOM + 1];
    c->pings++;
    ws_conn_send(c, WS_PING, memory + TRANSPORT_HEADROOM, 0);
    return due_ms + interval_ms;
}

/* Closes an idle connection without bindings. Returns when to look again. */
static uint64_t check_idle(struct conn *c)
{
    uint64_t idle_ms = c->t->deps.config->idle_s * 1000ull;
    if (idle_ms == 0)
        return NEVER;
    uint64_t due_ms = c->heard_ms + idle_ms;
    if (c->t->now_ms < due_ms)
        return due_ms;
    if (!c->t->events.is_in_use(c->t->events.arg, c->id, c->user))
        close_late(c, "traffic or bindings");
    return c->t->now_ms + idle_ms;
}

/* Until when, and for what, an unauthenticated connection may be waited for. */
static uint64_t find_deadline(const struct conn *c, const char **what)
{
    if (c->is_authenticated)
        return NEVER;
    *what = "authentication";
    if (c->has_sip)
        return c->opened_ms + AUTHENTICATE_MS;
    *what = "the TLS handshake";
    if (c->kind == TRANSPORT_TLS && !net_stream_is_ready(c->stream))
        return c->opened_ms + c->t->deps.config->handshake_s * 1000ull;
    *what = "a SIP message";
    return c->opened_ms + FIRST_MESSAGE_MS;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What is due for a SIP connection by now, and when to look again. */
static void check_sip(struct conn *c)
{
    const char *what = NULL;
    uint64_t due_ms = find_deadline(c, &what);
    if (c->t->now_ms >= due_ms) {
        close_late(c, what);
        return;
    }
    if (c->phase == CONN_WS)
        due_ms = earlier(due_ms, ping(c));
    else if (c->is_authenticated)
        due_ms = check_idle(c);
    if (conn_is_sip(c) && !c->is_doomed && due_ms != NEVER)
        conn_set_timer(c, due_ms);
}

static void on_timer(struct timer *timer, void *arg)
{
    (void)arg;
    struct conn *c = (struct conn *)((char *)timer - offsetof(struct conn, timer));
    bool is_outermost = enter(c);
    if (!conn_is_sip(c))
        conn_close(c); /* no request in time, or lingering long enough */
    else if (!c->t->is_draining)
        check_sip(c);
    else if (c->phase == CONN_WS)
        ws_conn_close(c, WS_CLOSE_GOING_AWAY);
    else
        conn_linger(c);
    leave(c, is_outermost);
}

/* ---- Connections in ------------------------------------------------------------------------ */

static void begin_conn(struct conn *c)
{
    c->heard_ms = c->t->now_ms;
    if (c->phase == CONN_STREAM)
        conn_begin_sip(c, CONN_STREAM);
    else
        conn_set_timer(c, c->t->now_ms + c->t->deps.config->handshake_s * 1000ull);
}

static void on_accepted(void *arg, int fd, const struct net_address *remote)
{
    struct transport_listener *l = arg;
    struct transport *t = l->t;
    if (!conn_limit_take(t->deps.limit, remote)) {
        LOG_DEBUG("connection refused: limits.connections or limits.connectionsPerIp");
        close(fd);
        return;
    }
    struct conn *c = calloc(1, sizeof *c);
    if (!c || (c->t = t, name_conn(c)) < 0) {
        free(c);
        conn_limit_give(t->deps.limit, remote);
        close(fd);
        return;
    }
    c->kind = l->kind;
    c->is_admin = l->is_admin;
    c->phase = transport_kind_is_websocket(l->kind) ? CONN_HTTP : CONN_STREAM;
    c->remote = *remote;
    buf_init_heap(&c->input, (size_t)t->deps.config->message_bytes + READ_SLACK);
    if (net_stream_adopt(t->deps.loop, fd, transport_kind_is_secure(l->kind), c, &c->stream) < 0) {
        forget_name(c);
        free_conn(c);
        return;
    }
    log_set_conn(c->id);
    begin_conn(c);
    log_set_conn(0);
}

/* ---- Datagrams ----------------------------------------------------------------------------- */

static void on_datagram(void *arg, const struct net_datagram *datagram)
{
    struct transport_udp *u = arg;
    struct transport *t = u->t;
    struct sip_source source = {.kind = TRANSPORT_UDP,
                                .remote = datagram->remote,
                                .udp_socket = u->index,
                                .local = datagram->local};
    struct str data = {datagram->data, datagram->len};
    if (data.len > t->deps.config->message_bytes) {
        data.len = t->deps.config->message_bytes;
        t->events.broken(t->events.arg, &source, data, 513);
        return;
    }
    char reply[STUN_REPLY_BYTES];
    if (stun_is_message(data)) {
        size_t n = stun_answer(data, &datagram->remote, reply);
        if (n > 0)
            net_udp_send(u->socket, &datagram->remote, &datagram->local, reply, n);
        return;
    }
    if (str_trim(data).len > 0 && data.ptr[0] != 0) /* else a keep-alive that wants no answer */
        t->events.message(t->events.arg, &source, data);
}

/* ---- What others call ---------------------------------------------------------------------- */

struct transport *transport_new(const struct transport_deps *deps)
{
    struct transport *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->deps = *deps;
    t->now_ms = clock_now_ms();
    timer_wheel_init(&t->wheel, NET_LOOP_TICK_MS, t->now_ms);
    if (grow_slots(t) < 0) {
        free(t);
        return NULL;
    }
    return t;
}

void transport_set_events(struct transport *t, const struct transport_events *events)
{
    t->events = *events;
}

void transport_free(struct transport *t)
{
    if (!t)
        return;
    free(t->slots);
    free(t);
}

static int listen_udp(struct transport *t, struct net_address *address)
{
    struct transport_udp *u = &t->udp[t->udp_count];
    *u = (struct transport_udp){.t = t, .index = (uint32_t)t->udp_count};
    int rc = net_udp_open(t->deps.loop, address, t->deps.config->message_bytes, on_datagram, u,
                          &u->socket);
    if (rc == 0)
        t->udp_count++;
    return rc;
}

int transport_listen(struct transport *t, enum transport_kind kind, bool is_admin,
                     struct net_address *address)
{
    if (kind == TRANSPORT_UDP)
        return t->udp_count < sizeof t->udp / sizeof *t->udp ? listen_udp(t, address) : -ENOSPC;
    if (t->listener_count == sizeof t->listener / sizeof *t->listener)
        return -ENOSPC;
    struct transport_listener *l = &t->listener[t->listener_count];
    *l = (struct transport_listener){.t = t, .kind = kind, .is_admin = is_admin};
    int rc = net_listener_open(t->deps.loop, address, on_accepted, l, &l->socket);
    if (rc == 0)
        t->listener_count++;
    return rc;
}

void transport_tick(struct transport *t, uint64_t now_ms)
{
    t->now_ms = now_ms;
    timer_wheel_advance(&t->wheel, now_ms, on_timer, NULL);
}

/* The WebSocket ports stay open for health probes; upgrades are refused there. */
static void close_sip_listeners(struct transport *t)
{
    for (size_t i = 0; i < t->listener_count; i++) {
        if (transport_kind_is_websocket(t->listener[i].kind))
            continue;
        net_listener_close(t->listener[i].socket);
        t->listener[i].socket = NULL;
    }
}

/* Not random(): all nodes of a fleet would draw the same numbers. */
static uint64_t draw_below(uint64_t limit)
{
    uint32_t random = 0;
    (void)net_random(&random, sizeof random); /* without it, all close at once */
    return limit * random >> 32;
}

void transport_drain(struct transport *t, uint64_t now_ms, uint32_t spread_ms)
{
    t->now_ms = now_ms;
    t->is_draining = true;
    close_sip_listeners(t);
    for (uint32_t i = 1; i < t->slot_count; i++) {
        struct conn *c = t->slots[i].conn;
        if (c && conn_is_sip(c))
            conn_set_timer(c, now_ms + draw_below(spread_ms));
    }
}

void transport_finish(struct transport *t)
{
    for (uint32_t i = 1; i < t->slot_count; i++) {
        struct conn *c = t->slots[i].conn;
        if (!c || c->phase != CONN_WS)
            continue;
        bool is_outermost = enter(c);
        ws_conn_close(c, WS_CLOSE_GOING_AWAY);
        leave(c, is_outermost);
    }
}

void transport_close(struct transport *t)
{
    for (size_t i = 0; i < t->listener_count; i++)
        net_listener_close(t->listener[i].socket);
    for (size_t i = 0; i < t->udp_count; i++)
        net_udp_close(t->udp[i].socket);
    t->listener_count = t->udp_count = 0;
}

static int send_on_connection(struct conn *c, char *data, size_t len)
{
    switch (c->phase) {
    case CONN_STREAM:
        return conn_write(c, data, len);
    case CONN_WS:
        return ws_conn_send(c, str_is_utf8((struct str){data, len}) ? WS_TEXT : WS_BINARY, data,
                            len);
    default:
        return -ENOTCONN;
    }
}

int transport_send(struct transport *t, const struct sip_source *to,
                   const struct net_address *udp_remote, char *data, size_t len)
{
    if (to->kind == TRANSPORT_UDP)
        return net_udp_send(t->udp[to->udp_socket].socket, udp_remote, &to->local, data, len);
    struct conn *c = find_conn(t, to->conn);
    if (!c)
        return -ENOTCONN;
    bool is_outermost = enter(c);
    int rc = send_on_connection(c, data, len);
    leave(c, is_outermost);
    return rc;
}

bool transport_is_open(const struct transport *t, conn_id conn)
{
    return find_conn(t, conn) != NULL;
}

void transport_set_authenticated(struct transport *t, conn_id conn)
{
    struct conn *c = find_conn(t, conn);
    if (!c || c->is_authenticated)
        return;
    c->is_authenticated = true;
    if (t->is_draining)
        return; /* its timer says when it is to go */
    bool is_outermost = enter(c);
    check_sip(c); /* from deadlines to pings */
    leave(c, is_outermost);
}

void **transport_user(struct transport *t, conn_id conn)
{
    struct conn *c = find_conn(t, conn);
    return c ? &c->user : NULL;
}
