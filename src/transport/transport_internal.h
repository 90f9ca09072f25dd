/* transport_internal.h - connections, as the files of src/transport share them. */
#ifndef AORTA_TRANSPORT_INTERNAL_H
#define AORTA_TRANSPORT_INTERNAL_H
#include "http_head.h"
#include "ws_frame.h"
#include <aorta/overload.h>
#include <aorta/ratelimit.h>
#include <aorta/timer_wheel.h>
#include <aorta/transport.h>

/* What a connection speaks. Each phase has its reader in a file of its own. */
enum conn_phase {
    CONN_STREAM, /* SIP over TCP or TLS (stream_conn.c); over TLS also the handshake */
    CONN_HTTP,   /* on ws and wss ports, until the upgrade (http_conn.c) */
    CONN_WS,     /* SIP over WebSocket (ws_conn.c) */
    CONN_LINGER, /* our last word is said; bytes are thrown away until the peer closes */
};

struct conn {
    conn_id id;
    enum transport_kind kind;
    enum conn_phase phase;
    bool is_admin;
    bool is_counted;  /* in metrics as a SIP connection */
    bool is_in_event; /* a stream event of this connection is on the stack */
    bool is_doomed;   /* to be closed when that event returns */
    bool has_sip;     /* a SIP message has come */
    bool has_asked;   /* HTTP: a request was answered */
    bool is_authenticated;
    bool is_ip_counted;     /* `remote`, in limits.connectionsPerIp */
    bool closes_after_body; /* HTTP: no keep-alive */
    bool is_head;           /* HTTP: the answer to this request has no body */
    bool is_answer_due;     /* HTTP: a handler will answer later; nothing is read meanwhile */
    bool is_streaming;      /* HTTP: the answer has begun and has no end yet; likewise */
    uint8_t pings;          /* sent since the peer was last heard */
    uint16_t opening_place; /* one more than its index in `opening`; 0: in none */
    struct transport *t;
    struct net_stream *stream;
    struct net_address remote; /* the client; of an upgrade through a trusted proxy, behind it */
    uint64_t opened_ms;        /* accepted or upgraded: the start of its deadlines */
    uint64_t heard_ms;
    struct timer timer; /* the next deadline or ping */
    void *user;
    uint32_t awaited;         /* requests that will be answered later */
    struct transport_end end; /* as far as it is known why it ends */
    struct buf input;         /* what is not whole yet; empty for an idle connection */
    struct buf *message;      /* WebSocket: fragments so far; NULL outside a fragmented message */
    bool message_is_text;
    struct str body;      /* HTTP: what is left of a file to send */
    size_t awaited_bytes; /* HTTP: head and body of a request that is not whole yet; else 0 */
};

struct conn_slot {
    struct conn *conn;
    uint32_t generation;
    uint32_t next_free;
};

struct transport_udp {
    struct transport *t;
    struct net_udp *socket;
    uint32_t index;
    size_t max_bytes; /* of what it receives: longer datagrams come cut */
};

struct transport_listener {
    struct transport *t;
    struct net_listener *socket;
    enum transport_kind kind;
    bool is_admin;
};

/* Sockets that wait for their PROXY protocol header. */
struct proxied;
struct proxied_list {
    struct proxied *first, *last;
    uint32_t count;
    struct ratelimit log_limit;
};

/* Connections that have been accepted and not yet heard of: TLS and HTTP connections until their
 * first plain byte, which ends the handshake. */
enum { OPENING_PLACES = 512 };
struct opening {
    struct conn *conn[OPENING_PLACES]; /* in no order */
    uint32_t count;
    uint32_t turn;
    bool is_paused; /* all places are taken, or not enough of them free again */
    enum overload_level level;
};

struct transport {
    struct transport_deps deps;
    struct transport_events events;
    uint64_t now_ms; /* of the last tick: good enough for deadlines */
    struct timer_wheel wheel;
    struct conn_slot *slots; /* [0] is not used, so that no conn_id is 0 */
    uint32_t slot_count, free_slot;
    struct transport_udp udp[64];
    size_t udp_count;
    struct transport_listener listener[65];
    size_t listener_count;
    struct proxied_list proxied;
    struct opening opening;
    bool is_draining;
};

static inline bool transport_has_banned(const struct transport *t, const struct net_address *client)
{
    return t->deps.bans && bans_has(t->deps.bans, client, t->now_ms);
}

static inline void transport_limit_reached(const struct transport *t, enum limit which,
                                           const struct net_address *source)
{
    limit_reached(t->deps.metrics, which, source, t->now_ms);
}

/* ---- transport.c --------------------------------------------------------------------------- */

/* Hands the message to whoever serves it, unless it is above limits.headerBytes or
 * limits.requestsPerSecondPerIp, which is said instead. */
void transport_deliver(struct transport *t, const struct sip_source *source, struct str message);
/* Is the head of this message, as far as it is there, above limits.headerBytes? */
bool transport_is_long_head(const struct transport *t, struct str message);

/* ---- conn_table.c -------------------------------------------------------------------------- */

/* NULL when that connection is gone. */
struct conn *conn_find(const struct transport *t, conn_id id);
/* Gives `c` a name and lists it; -ENOMEM. */
int conn_name(struct conn *c);
void conn_forget_name(struct conn *c);
/* Makes the first slots, or twice as many; -ENOMEM. */
int conn_table_grow(struct transport *t);

/* ---- conn.c -------------------------------------------------------------------------------- */

/* A net_accepted_fn; `arg` is the struct transport_listener, and `remote` the client. */
void conn_on_accepted(void *arg, int fd, const struct net_address *remote);
/* Between these two a connection may be closed by anybody and is still there; then it goes. The
 * second gets what the first returned. */
bool conn_enter(struct conn *c);
void conn_leave(struct conn *c, bool is_outermost);
/* Says goodbye to the user of this connection (once) and closes it, now or when its event returns.
 * `c` may be gone afterwards, unless it is entered. */
void conn_close(struct conn *c);
/* Why it is about to end, in our or the peer's words; what was said first counts. */
void conn_set_end(struct conn *c, const char *why);
/* As conn_close(), but lets the peer read what was written: FIN, and reset only after a while. */
void conn_linger(struct conn *c);
/* Writes; closes the connection when it is broken or its peer does not read. */
int conn_write(struct conn *c, char *data, size_t len);
void conn_deliver(struct conn *c, struct str message);
/* Goes on with what came while a reader had to wait; the connection is entered. */
void conn_read_kept(struct conn *c);
/* Not to be waited for or served any longer: closes it, a WebSocket with 1008. */
void conn_turn_away(struct conn *c);
/* The source of messages from this connection. */
struct sip_source conn_source(const struct conn *c);
/* From here on it counts as a SIP connection: deadlines start. */
void conn_begin_sip(struct conn *c, enum conn_phase phase);
bool conn_is_sip(const struct conn *c);

/* ---- proxied.c ----------------------------------------------------------------------------- */

/* A net_accepted_fn for listeners with ?proxy=v1v2: conn_on_accepted() follows, with the client
 * that the header names. */
void proxied_on_accepted(void *arg, int fd, const struct net_address *remote);
/* On every tick: whose header is late goes. */
void proxied_check(struct transport *t);
void proxied_close_all(struct transport *t);

/* ---- opening.c ----------------------------------------------------------------------------- */

/* Whether the peers of such a port have a handshake to go through. */
static inline bool transport_has_opening(enum transport_kind kind)
{
    return transport_kind_is_secure(kind) || transport_kind_is_websocket(kind);
}

/* Takes a place, the last of which makes the listeners wait. */
void opening_add(struct conn *c);
/* Its peer has been heard, or is gone. As often as you like. */
void opening_remove(struct conn *c);
/* So busy is the worker, from now on: with more to do it has fewer places. */
void opening_set_level(struct transport *t, enum overload_level level);
/* On every tick: places that are taken for nothing become free. */
void opening_check(struct transport *t);

/* ---- conn_deadlines.c ---------------------------------------------------------------------- */

void conn_set_timer(struct conn *c, uint64_t due_ms);
/* Does what is due for a SIP connection by now, and sets its timer for what comes next. */
void conn_check(struct conn *c);
/* A timer_fired_fn for the timers of connections. */
void conn_on_timer(struct timer *timer, void *arg);

/* ---- One reader for each phase: how many bytes of `data` are used up; the rest is kept ------ */

size_t stream_conn_read(struct conn *c, char *data, size_t len);
size_t http_conn_read(struct conn *c, char *data, size_t len);
/* Neither a file to send nor an answer to wait for or to go on with: the next request may come. */
bool http_conn_is_idle(const struct conn *c);
/* Nothing more is to be waited for: no request in time, or no answer to one. */
void http_conn_give_up(struct conn *c);
size_t ws_conn_read(struct conn *c, char *data, size_t len);
/* Sends a close frame and lingers. */
void ws_conn_close(struct conn *c, uint16_t code);
int ws_conn_send(struct conn *c, enum ws_opcode opcode, char *payload, size_t len);
void ws_conn_free(struct conn *c);

/* ---- http_answer.c ------------------------------------------------------------------------- */

/* Sends the answer, or as much as goes at once; `reply` stays the caller's. */
void http_answer(struct conn *c, const struct http_reply *reply);
/* A status with a sentence; then the connection ends. */
void http_answer_refusal(struct conn *c, int status, const char *why);
/* More of a file. False when the connection is broken. */
bool http_answer_writable(struct conn *c);
#endif
