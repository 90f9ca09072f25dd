/* aorta/transport.h - whole SIP messages in, bytes out, over UDP, TCP, TLS, WS and WSS; and plain
 * HTTP on the WebSocket ports. One struct transport a worker thread; everything here is called on
 * that thread. A connection is named by its conn_id, which is never used again, so that whoever
 * kept one after the peer left gets -ENOTCONN and nothing worse. */
#ifndef AORTA_TRANSPORT_H
#define AORTA_TRANSPORT_H
#include <aorta/address_rates.h>
#include <aorta/bans.h>
#include <aorta/config.h>
#include <aorta/http.h>
#include <aorta/metrics.h>
#include <aorta/net.h>
#include <aorta/overload.h>
#include <aorta/transport_kind.h>

/* Where a message came from, and so where its answer goes. Copy it to keep it. */
struct sip_source {
    enum transport_kind kind;
    conn_id conn;              /* 0 over UDP */
    struct net_address remote; /* the client's address */
    uint32_t udp_socket;       /* over UDP: which of this worker's sockets */
    struct net_address local;  /* over UDP on a wildcard socket: the address it was sent to */
};

/* What a buffer given to transport_send() must have free in front of the data. */
enum { TRANSPORT_HEADROOM = 32 };

/* How a connection ended. */
struct transport_end {
    const char *why;  /* constant text, what follows "its connection closed: " */
    uint16_t ws_code; /* of the first WebSocket close frame, whoever sent it; 0: there was none */
};

struct transport; /* one worker's */

struct transport_events {
    /* One whole message, at most limits.messageBytes; `message` is gone when this returns. Over UDP
     * and WS also what is no SIP, for the parser to refuse. */
    void (*message)(void *arg, const struct sip_source *source, struct str message);
    /* A message that is not to be served: too long (513), on a stream without a usable length
     * (400), or one too many from its address (503). `head` is what there is of it. */
    void (*broken)(void *arg, const struct sip_source *source, struct str head, int status);
    /* After the last word of a connection; its conn_id is dead. `user` as *transport_user(). */
    void (*closed)(void *arg, enum transport_kind kind, conn_id conn, void *user,
                   const struct transport_end *end);
    /* Does this connection carry bindings? Asked before an idle one is closed. */
    bool (*is_in_use)(void *arg, conn_id conn, void *user);
    void *arg;
};

/* Connections by client address and in all: shared by the workers, who open and close them. */
struct conn_limit;
struct conn_limit *conn_limit_new(uint32_t max_total, uint32_t max_per_ip);
/* Other limits from now on; connections that are over them stay. Any thread. */
void conn_limit_set(struct conn_limit *limit, uint32_t max_total, uint32_t max_per_ip);
void conn_limit_free(struct conn_limit *limit);

/* All borrowed; must outlive the transport. */
struct transport_deps {
    const struct config *config; /* until transport_set_config() */
    struct net_loop *loop;
    struct conn_limit *limit;
    struct bans *bans;                   /* NULL: nobody is banned */
    struct address_rates *request_rates; /* for limits.requestsPerSecondPerIp */
    struct metrics *metrics;             /* this worker's block */
    unsigned worker;
    const _Atomic int *node_state; /* enum node_state: upgrades are refused while draining */
    http_handler_fn *public_http, *admin_http;
    void *http_arg;
};

/* The loop must have been opened with transport_stream_events. NULL when out of memory. */
struct transport *transport_new(const struct transport_deps *deps);
extern const struct net_stream_events transport_stream_events;
/* Who gets the messages; before the first transport_listen(). */
void transport_set_events(struct transport *t, const struct transport_events *events);
/* Another configuration from now on; the one before is not looked at any more. Listeners stay as
 * they are. */
void transport_set_config(struct transport *t, const struct config *config);
/* After transport_close(), and after the loop was closed (which ends the connections). */
void transport_free(struct transport *t);

/* Who comes in at a listener. */
enum transport_door {
    TRANSPORT_CLIENTS,
    TRANSPORT_BEHIND_PROXY, /* clients through a balancer that sends the PROXY protocol's header */
    TRANSPORT_ADMIN,
};
/* Binds one listener. `address` gets the port that was picked. 0 or a negative errno. */
int transport_listen(struct transport *t, enum transport_kind kind, enum transport_door door,
                     struct net_address *address);
/* Called by the worker about every NET_LOOP_TICK_MS: deadlines, pings. */
void transport_tick(struct transport *t, uint64_t now_ms);
/* Drain: takes no more SIP connections, and closes those it has (WebSockets with 1001) spread over
 * `spread_ms`. Plain HTTP and UDP are still served. */
void transport_drain(struct transport *t, uint64_t now_ms, uint32_t spread_ms);
/* Says goodbye (1001) to the WebSockets that are left, as the last thing before the loop stops. */
void transport_finish(struct transport *t);
/* Ends the connections of clients that are banned, WebSockets with 1008: to be called when
 * bans_generation() has moved. The admin part is for everybody, or who banned himself by mistake
 * could not lift it. */
void transport_close_banned(struct transport *t);
/* Closes all listeners and sockets, so that the loop may be closed. */
void transport_close(struct transport *t);

/* Sends `data` (with TRANSPORT_HEADROOM writable bytes before it, which are overwritten) to the
 * source of a request: on its connection, or for UDP to `udp_remote`. -ENOTCONN when that
 * connection is gone; -ENOBUFS when its peer does not read (it is closed then). */
int transport_send(struct transport *t, const struct sip_source *to,
                   const struct net_address *udp_remote, char *data, size_t len);
/* Ends the connection of a request that cannot be answered for want of memory, a WebSocket with
 * 1011: its client connects anew and asks again, as one over UDP does by itself. */
void transport_give_up(struct transport *t, const struct sip_source *source);
bool transport_is_open(const struct transport *t, conn_id conn);
/* What is known of an open connection. */
struct transport_flow {
    uint64_t opened_ms; /* accepted, or upgraded to WebSocket */
    uint64_t heard_ms;  /* when the last byte came from the peer, a pong for instance */
    uint32_t unanswered_pings;
};
/* -ENOTCONN when it is gone. */
int transport_flow(const struct transport *t, conn_id conn, struct transport_flow *out);
/* What a handler that set is_later has to say at last. -ENOTCONN: the client is gone, or was told
 * meanwhile that it took too long (after 30 s). The body is freed in any case. */
int transport_http_reply(struct transport *t, conn_id conn, struct http_reply *reply);
/* More of an answer that is_stream; `data` as for transport_send(). -EAGAIN: the client has not yet
 * taken what it was sent before, and nothing was sent now. -ENOTCONN: it is gone. */
int transport_http_stream(struct transport *t, conn_id conn, char *data, size_t len);
/* That was all: the connection ends once the client has it. */
void transport_http_end(struct transport *t, conn_id conn);
/* The client of such an answer does not read (limits.unreadBytes): it is not waited for. */
void transport_http_drop(struct transport *t, conn_id conn);
/* So busy is the worker, from now on: newcomers are let in accordingly. */
void transport_set_overload(struct transport *t, enum overload_level level);
/* Newcomers in the middle of their handshake, of limits.handshakes. */
uint32_t transport_count_handshakes(const struct transport *t);
/* Of all sockets for datagrams the fullest, in percent of its room. */
uint32_t transport_datagram_backlog(const struct transport *t);
/* A client that was refused because of too much to do: a WebSocket is closed with 1013, which makes
 * browser libraries try again later, as a 503 does not. Others hear of Retry-After. */
void transport_close_refused(struct transport *t, conn_id conn);
/* The peer has proved who it is: its authentication deadline ends. */
void transport_set_authenticated(struct transport *t, conn_id conn);
/* One more request from this connection will be answered later, or one has been: while any is
 * awaited, a drain does not close it. */
void transport_add_awaited(struct transport *t, conn_id conn, int change);
/* Whoever is at its other end is not served: closes it, a WebSocket with 1008. */
void transport_turn_away(struct transport *t, conn_id conn);
/* A place where the user of this transport keeps what it knows about a connection; starts NULL.
 * NULL when the connection is gone. */
void **transport_user(struct transport *t, conn_id conn);
#endif
