/* What a connection may be waited for, how long, and the pings that find out whether its peer is
 * still there. One timer for each connection; whoever sets it knows the next thing that is due. */
#include "transport_internal.h"
#include <aorta/log.h>

enum { MISSED_PINGS = 2 };
#define NEVER UINT64_MAX

void conn_set_timer(struct conn *c, uint64_t due_ms)
{
    timer_start(&c->t->wheel, &c->timer, due_ms);
}

static void close_late(struct conn *c, enum limit deadline)
{
    LOG_DEBUG("deadline passed", LOG_TEXT("key", limit_rows[deadline].key));
    transport_limit_reached(c->t, deadline, &c->remote);
    conn_set_end(c, limit_rows[deadline].key);
    conn_turn_away(c);
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
        conn_set_end(c, "the client answered no ping (ws.pingSeconds)");
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
        close_late(c, LIMIT_IDLE_S);
    return c->t->now_ms + idle_ms;
}

/* Until when an unauthenticated connection may be waited for, and by which key. */
static uint64_t find_deadline(const struct conn *c, enum limit *which)
{
    const struct config *config = c->t->deps.config;
    if (c->is_authenticated)
        return NEVER;
    *which = LIMIT_HANDSHAKE_S;
    if (!c->has_sip && c->kind == TRANSPORT_TLS && !net_stream_is_ready(c->stream))
        return c->opened_ms + config->handshake_s * 1000ull;
    *which = LIMIT_FIRST_MESSAGE_S;
    if (!c->has_sip && config->first_message_s < config->authenticate_s)
        return c->opened_ms + config->first_message_s * 1000ull;
    *which = LIMIT_AUTHENTICATE_S;
    return c->opened_ms + config->authenticate_s * 1000ull;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* A handshake may be over before its deadline, and nobody looks at the connection then: so the
 * deadline that follows it is kept in any case. */
static uint64_t find_next_look(const struct conn *c, uint64_t due_ms)
{
    uint64_t first_message_ms = c->opened_ms + c->t->deps.config->first_message_s * 1000ull;
    return c->t->now_ms < first_message_ms ? earlier(due_ms, first_message_ms) : due_ms;
}

/* What is due for a SIP connection by now, and when to look again. */
void conn_check(struct conn *c)
{
    enum limit which = LIMIT_NONE;
    uint64_t due_ms = find_deadline(c, &which);
    if (c->t->now_ms >= due_ms) {
        close_late(c, which);
        return;
    }
    if (which == LIMIT_HANDSHAKE_S)
        due_ms = find_next_look(c, due_ms);
    if (c->phase == CONN_WS)
        due_ms = earlier(due_ms, ping(c));
    else if (c->is_authenticated)
        due_ms = check_idle(c);
    if (conn_is_sip(c) && !c->is_doomed && due_ms != NEVER)
        conn_set_timer(c, due_ms);
}

static void end_drained_stream(struct conn *c)
{
    conn_set_end(c, "this node was shutting down");
    conn_linger(c);
}

void conn_on_timer(struct timer *timer, void *arg)
{
    (void)arg;
    struct conn *c = (struct conn *)((char *)timer - offsetof(struct conn, timer));
    bool is_outermost = conn_enter(c);
    if (c->phase == CONN_HTTP)
        http_conn_give_up(c);
    else if (c->phase == CONN_LINGER)
        conn_close(c); /* long enough */
    else if (!c->t->is_draining)
        conn_check(c);
    else if (c->awaited > 0)
        conn_set_timer(c, c->t->now_ms + NET_LOOP_TICK_MS); /* its answer first */
    else if (c->phase == CONN_WS)
        ws_conn_close(c, WS_CLOSE_GOING_AWAY);
    else
        end_drained_stream(c);
    conn_leave(c, is_outermost);
}
