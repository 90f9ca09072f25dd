/* What the rest of the program sees of a worker's sockets: listeners, datagrams, sending, the end.
 */
#include "stun.h"
#include "transport_internal.h"
#include <aorta/clock.h>
#include <aorta/log.h>
#include <errno.h>
#include <stdlib.h>

enum {
    SECOND_MS = 1000,
    SETTLE_MS = 20000, /* over which connections that were asleep begin to be looked after */
    REFUSALS_LOGGED_AT_ONCE = 10,
};

/* ---- Datagrams ----------------------------------------------------------------------------- */

bool transport_is_long_head(const struct transport *t, struct str message)
{
    size_t max_bytes = t->deps.config->header_bytes;
    if (message.len <= max_bytes)
        return false;
    const char *end = memmem(message.ptr, max_bytes, "\r\n\r\n", 4);
    return !end;
}

static enum address_rate_verdict take_rate(const struct transport *t,
                                           const struct net_address *client)
{
    const struct config *config = t->deps.config;
    uint32_t times = config->requests_per_second_per_ip;
    if (times == 0 || net_networks_have(&config->trusted_proxies, client))
        return ADDRESS_RATE_PASS;
    return address_rates_take(t->deps.request_rates, client, times, SECOND_MS, t->now_ms);
}

/* True: one too many; whoever sends it is told so once a second. */
static bool refuse_rate(struct transport *t, const struct sip_source *source, struct str message)
{
    enum address_rate_verdict verdict = take_rate(t, &source->remote);
    if (verdict == ADDRESS_RATE_PASS)
        return false;
    transport_limit_reached(t, LIMIT_REQUEST_RATE, &source->remote);
    if (verdict == ADDRESS_RATE_TELL)
        t->events.broken(t->events.arg, source, message, 503);
    return true;
}

/* Whoever is banned is looked at anew with each message: what a connection brings until it is
 * closed may be thousands of guesses. */
void transport_deliver(struct transport *t, const struct sip_source *source, struct str message)
{
    if (transport_has_banned(t, &source->remote) || refuse_rate(t, source, message))
        return;
    if (!transport_is_long_head(t, message)) {
        t->events.message(t->events.arg, source, message);
        return;
    }
    transport_limit_reached(t, LIMIT_HEADER_BYTES, &source->remote);
    t->events.broken(t->events.arg, source, str_slice(message, 0, t->deps.config->header_bytes),
                     513);
}

/* Longer than limits.messageBytes, and cut there. */
static void refuse_long_datagram(struct transport *t, const struct sip_source *source,
                                 struct str data)
{
    if (refuse_rate(t, source, data))
        return;
    transport_limit_reached(t, LIMIT_MESSAGE_BYTES, &source->remote);
    t->events.broken(t->events.arg, source, data, 513);
}

static void on_datagram(void *arg, const struct net_datagram *datagram)
{
    struct transport_udp *u = arg;
    struct transport *t = u->t;
    if (transport_has_banned(t, &datagram->remote))
        return;
    struct sip_source source = {.kind = TRANSPORT_UDP,
                                .remote = datagram->remote,
                                .udp_socket = u->index,
                                .local = datagram->local};
    struct str data = {datagram->data, datagram->len};
    size_t max_bytes = t->deps.config->message_bytes;
    if (max_bytes > u->max_bytes)
        max_bytes = u->max_bytes;
    if (data.len > max_bytes) {
        refuse_long_datagram(t, &source, str_slice(data, 0, max_bytes));
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
        transport_deliver(t, &source, data);
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
    (void)ratelimit_init(&t->proxied.log_limit, 1, REFUSALS_LOGGED_AT_ONCE, t->now_ms);
    if (conn_table_grow(t) < 0) {
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
    *u = (struct transport_udp){.t = t,
                                .index = (uint32_t)t->udp_count,
                                .max_bytes = t->deps.config->message_bytes};
    int rc = net_udp_open(t->deps.loop, address, u->max_bytes, on_datagram, u, &u->socket);
    if (rc == 0)
        t->udp_count++;
    return rc;
}

int transport_listen(struct transport *t, enum transport_kind kind, enum transport_door door,
                     struct net_address *address)
{
    if (kind == TRANSPORT_UDP)
        return t->udp_count < sizeof t->udp / sizeof *t->udp ? listen_udp(t, address) : -ENOSPC;
    if (t->listener_count == sizeof t->listener / sizeof *t->listener)
        return -ENOSPC;
    struct transport_listener *l = &t->listener[t->listener_count];
    *l = (struct transport_listener){.t = t, .kind = kind, .is_admin = door == TRANSPORT_ADMIN};
    net_accepted_fn *accepted =
        door == TRANSPORT_BEHIND_PROXY ? proxied_on_accepted : conn_on_accepted;
    int rc = net_listener_open(t->deps.loop, address, accepted, l, &l->socket);
    if (rc == 0)
        t->listener_count++;
    return rc;
}

void transport_tick(struct transport *t, uint64_t now_ms)
{
    t->now_ms = now_ms;
    timer_wheel_advance(&t->wheel, now_ms, conn_on_timer, NULL);
    opening_check(t);
    proxied_check(t);
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

/* Connections for which nothing was ever due (pings were off, say) are looked at anew. */
void transport_set_config(struct transport *t, const struct config *config)
{
    t->deps.config = config;
    for (uint32_t i = 1; i < t->slot_count; i++) {
        struct conn *c = t->slots[i].conn;
        if (c && conn_is_sip(c) && !timer_is_running(&c->timer))
            conn_set_timer(c, t->now_ms + draw_below(SETTLE_MS));
    }
}

static void end(struct conn *c, enum ws_close_code ws_code, const char *why)
{
    bool is_outermost = conn_enter(c);
    LOG_DEBUG("connection ends", LOG_TEXT("why", why));
    conn_set_end(c, why);
    if (c->phase == CONN_WS)
        ws_conn_close(c, ws_code);
    else
        conn_close(c);
    conn_leave(c, is_outermost);
}

void transport_close_banned(struct transport *t)
{
    for (uint32_t i = 1; i < t->slot_count; i++) {
        struct conn *c = t->slots[i].conn;
        if (c && !c->is_admin && transport_has_banned(t, &c->remote))
            end(c, WS_CLOSE_POLICY, "the client's address was banned");
    }
}

void transport_finish(struct transport *t)
{
    for (uint32_t i = 1; i < t->slot_count; i++) {
        struct conn *c = t->slots[i].conn;
        if (!c || c->phase != CONN_WS)
            continue;
        bool is_outermost = conn_enter(c);
        ws_conn_close(c, WS_CLOSE_GOING_AWAY);
        conn_leave(c, is_outermost);
    }
}

void transport_close(struct transport *t)
{
    for (size_t i = 0; i < t->listener_count; i++)
        net_listener_close(t->listener[i].socket);
    for (size_t i = 0; i < t->udp_count; i++)
        net_udp_close(t->udp[i].socket);
    proxied_close_all(t);
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
    struct conn *c = conn_find(t, to->conn);
    if (!c)
        return -ENOTCONN;
    bool is_outermost = conn_enter(c);
    int rc = send_on_connection(c, data, len);
    conn_leave(c, is_outermost);
    return rc;
}

void transport_give_up(struct transport *t, const struct sip_source *source)
{
    struct conn *c = source->kind == TRANSPORT_UDP ? NULL : conn_find(t, source->conn);
    if (c)
        end(c, WS_CLOSE_INTERNAL, "this node was out of memory");
}

void transport_set_overload(struct transport *t, enum overload_level level)
{
    opening_set_level(t, level);
}

uint32_t transport_count_handshakes(const struct transport *t)
{
    return t->opening.count;
}

uint32_t transport_datagram_backlog(const struct transport *t)
{
    uint32_t most = 0;
    for (size_t i = 0; i < t->udp_count; i++) {
        uint32_t percent = net_udp_backlog_percent(t->udp[i].socket);
        most = percent > most ? percent : most;
    }
    return most;
}

void transport_close_refused(struct transport *t, conn_id conn)
{
    struct conn *c = conn_find(t, conn);
    if (!c || c->phase != CONN_WS)
        return;
    bool is_outermost = conn_enter(c);
    ws_conn_close(c, WS_CLOSE_TRY_LATER);
    conn_leave(c, is_outermost);
}

bool transport_is_open(const struct transport *t, conn_id conn)
{
    return conn_find(t, conn) != NULL;
}

int transport_flow(const struct transport *t, conn_id conn, struct transport_flow *out)
{
    const struct conn *c = conn_find(t, conn);
    if (!c)
        return -ENOTCONN;
    *out = (struct transport_flow){c->opened_ms, c->heard_ms, c->pings};
    return 0;
}

void transport_set_authenticated(struct transport *t, conn_id conn)
{
    struct conn *c = conn_find(t, conn);
    if (!c || c->is_authenticated)
        return;
    c->is_authenticated = true;
    if (t->is_draining)
        return; /* its timer says when it is to go */
    bool is_outermost = conn_enter(c);
    conn_check(c); /* from deadlines to pings */
    conn_leave(c, is_outermost);
}

void transport_add_awaited(struct transport *t, conn_id conn, int change)
{
    struct conn *c = conn_find(t, conn);
    if (c)
        c->awaited += (uint32_t)change;
}

void transport_turn_away(struct transport *t, conn_id conn)
{
    struct conn *c = conn_find(t, conn);
    if (!c)
        return;
    bool is_outermost = conn_enter(c);
    conn_turn_away(c);
    conn_leave(c, is_outermost);
}

void **transport_user(struct transport *t, conn_id conn)
{
    struct conn *c = conn_find(t, conn);
    return c ? &c->user : NULL;
}
