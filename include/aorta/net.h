/* aorta/net.h - sockets of one worker: streams (TCP, TLS), datagrams, listeners, the loop and its
 * clock, with libuv, libwebsockets and OpenSSL behind it. Everything is called on the loop's own
 * thread, but net_loop_wake(). */
#ifndef AORTA_NET_H
#define AORTA_NET_H
#include <aorta/buf.h>
#include <aorta/net_address.h>

/* ---- Loop ---------------------------------------------------------------------------------- */

struct net_loop;
struct net_stream; /* one connection; valid until its `closed` event */

struct net_loop_events {
    /* About every NET_LOOP_TICK_MS. */
    void (*tick)(void *arg);
    /* After net_loop_wake(), on the loop's thread; several wakes may come as one. */
    void (*woken)(void *arg);
    void *arg;
};
enum { NET_LOOP_TICK_MS = 100 };

/* How a TLS handshake ended. */
enum net_tls_end {
    NET_TLS_FULL,
    NET_TLS_RESUMED,  /* with a ticket of an earlier one */
    NET_TLS_PROTOCOL, /* what the peer sent or offered was refused here */
    NET_TLS_ALERT,    /* the peer refused: our certificate, say */
    NET_TLS_CLOSED,   /* the peer went away */
    NET_TLS_GIVEN_UP, /* net_stream_close() */
};

struct net_stream_events {
    /* Plain bytes have come; they may be changed in place and are gone afterwards. False closes
     * the stream when this returns. */
    bool (*received)(void *owner, char *data, size_t len);
    /* The stream can take more, after net_stream_want_write(). False closes it. */
    bool (*writable)(void *owner);
    /* The last call for this stream. */
    void (*closed)(void *owner);
    /* Once for each TLS stream, also for one that net_stream_adopt() then has no success with: from
     * there, or before `closed`. Nothing may be asked of the stream. */
    void (*shaken)(void *owner, enum net_tls_end how);
};

struct net_tls_ticket_key {
    uint8_t bytes[80];
};

/* Loops are opened and closed one after the other: libwebsockets' own set-up is not thread-safe.
 * `cert_file` NULL: no TLS. `ticket_key` is the same for all workers, so that a client of TLS 1.2
 * may resume at any of them. 0, or a negative errno with a sentence in `error`. */
int net_loop_open(const struct net_loop_events *events, const struct net_stream_events *streams,
                  const char *cert_file, const char *key_file,
                  const struct net_tls_ticket_key *ticket_key, struct net_loop **out,
                  struct buf *error);
/* Runs until net_loop_stop(). */
void net_loop_run(struct net_loop *loop);
/* By how much the loop was late at its last tick, in ms: what happened then had to wait so long for
 * the loop to get there. On the loop's thread. */
uint32_t net_loop_lag_ms(const struct net_loop *loop);
void net_loop_stop(struct net_loop *loop);
/* Any thread, also from a signal handler. */
void net_loop_wake(struct net_loop *loop);
/* Ends every stream now: each gets its `closed`. Not from within a stream event. */
void net_loop_close_streams(struct net_loop *loop);
/* Closes what is still open, streams included, and frees the loop, which no thread may be running.
 * NULL is fine. */
void net_loop_close(struct net_loop *loop);

/* ---- Another certificate for a loop that runs ------------------------------------------------ */

/* A certificate with its chain and key, read and checked; any thread. */
struct net_certificate;
/* 0, with one reference; or a negative errno with a sentence in `error` that names the file. */
int net_certificate_load(const char *cert_file, const char *key_file, struct net_certificate **out,
                         struct buf *error);
void net_certificate_hold(struct net_certificate *certificate);
/* NULL is fine. */
void net_certificate_release(struct net_certificate *certificate);
/* For handshakes that begin from now on; streams that are open keep theirs. -EIO when it cannot be
 * used, -EINVAL when the loop has no TLS; then nothing changes. */
int net_loop_set_certificate(struct net_loop *loop, struct net_certificate *certificate);

/* ---- Streams ------------------------------------------------------------------------------- */

/* Takes the connected socket `fd`, in every case. -EIO when it failed at once; then no event comes,
 * but for `shaken`.
 * With `is_tls` the handshake goes first, and bytes come after it. */
int net_stream_adopt(struct net_loop *loop, int fd, bool is_tls, void *owner,
                     struct net_stream **out);
/* Sends or queues all of it. `data` needs NET_STREAM_HEADROOM writable bytes before it. -EPIPE: the
 * stream is broken; -ENOBUFS: the peer has not yet taken what was sent before, nothing queued. */
enum { NET_STREAM_HEADROOM = 16 };
int net_stream_write(struct net_stream *s, char *data, size_t len);
/* Has the peer not yet taken what was written? */
bool net_stream_has_backlog(const struct net_stream *s);
/* Asks for one `writable` event. */
void net_stream_want_write(struct net_stream *s);
/* Closes now; `closed` runs before this returns. Not from within a stream event of this very
 * stream: there, return false. */
void net_stream_close(struct net_stream *s);
/* False while the TLS handshake is under way. */
bool net_stream_is_ready(const struct net_stream *s);
/* Nothing has come from the peer so far, not even something that is still unread; over TLS, no
 * whole ClientHello. */
bool net_stream_is_silent(const struct net_stream *s);
/* Sends FIN after what was written, unless a backlog is left. Bytes of the peer still come; reading
 * them to its end keeps the system from answering them by a reset, which would take our last words
 * from the peer. */
void net_stream_shutdown(struct net_stream *s);

/* ---- Listeners ----------------------------------------------------------------------------- */

struct net_listener;
/* A connected socket, non-blocking; the callee takes it. Negative: one waits, but the process has
 * no file or memory left for it (a negative errno; `remote` is NULL); it is tried again. */
typedef void net_accepted_fn(void *arg, int fd, const struct net_address *remote);

/* Binds with SO_REUSEPORT, so that every worker has its own; `address` gets the port that the
 * system picked when it was 0. A negative errno when it cannot be had. */
int net_listener_open(struct net_loop *loop, struct net_address *address, net_accepted_fn *accepted,
                      void *arg, struct net_listener **out);
/* Between these two, who connects waits in the system's queue, which is as long as the system lets
 * it be. Also from within `accepted`; twice is as once. */
void net_listener_pause(struct net_listener *l);
void net_listener_resume(struct net_listener *l);
/* Stops listening and frees. NULL is fine. */
void net_listener_close(struct net_listener *l);

/* ---- What a peer says before its stream begins ----------------------------------------------- */

/* A connected socket whose first bytes are for us: not TLS yet, and not the stream's. */
struct net_prelude;
/* Bytes have come, or the peer has gone; again and again until they are taken. */
typedef void net_prelude_fn(void *arg);

/* Takes the non-blocking socket `fd`, in every case. 0 or a negative errno. */
int net_prelude_open(struct net_loop *loop, int fd, net_prelude_fn *readable, void *arg,
                     struct net_prelude **out);
/* What waits in the socket, at most `size` bytes of it, without taking it. 0: nothing just now.
 * -EPIPE: nothing will come any more. */
ssize_t net_prelude_peek(struct net_prelude *p, char *into, size_t size);
/* Takes `n` bytes that net_prelude_peek() has shown. -EPIPE when the system will not. */
int net_prelude_take(struct net_prelude *p, size_t n);
/* Ends it and gives the socket back, for net_stream_adopt(). Also from within `readable`. */
int net_prelude_release(struct net_prelude *p);
/* Ends it and closes the socket. NULL is fine. */
void net_prelude_close(struct net_prelude *p);

/* ---- Datagrams ----------------------------------------------------------------------------- */

struct net_udp;
struct net_datagram {
    struct net_address remote;
    struct net_address local; /* destination address, when the socket is bound to a wildcard */
    char *data;
    size_t len;
};
typedef void net_datagram_fn(void *arg, const struct net_datagram *datagram);

/* As net_listener_open(). Datagrams longer than `max_bytes` arrive with len max_bytes + 1. */
int net_udp_open(struct net_loop *loop, struct net_address *address, size_t max_bytes,
                 net_datagram_fn *received, void *arg, struct net_udp **out);
/* Copies; sent at the latest when the batch of received datagrams is done. `local` as it came with
 * the request. -ENOBUFS: dropped, the system takes no more. -EMSGSIZE: no datagram is that long. */
int net_udp_send(struct net_udp *u, const struct net_address *remote,
                 const struct net_address *local, const char *data, size_t len);
void net_udp_close(struct net_udp *u);
/* How much of its receive buffer is taken by datagrams that wait there, in percent; 0 where the
 * system does not say. Costs a system call. */
uint32_t net_udp_backlog_percent(const struct net_udp *u);

/* ---- Small things that the libraries bring ------------------------------------------------- */

/* RFC 6455 4.2.2: the Sec-WebSocket-Accept of a key, zero-terminated. */
enum { NET_WEBSOCKET_ACCEPT_TEXT = 29 };
void net_websocket_accept(struct str key, char out[NET_WEBSOCKET_ACCEPT_TEXT]);
/* Can this address be bound, and by nobody else at the same time? Sockets with SO_REUSEPORT, as our
 * workers share, would be let in beside another running aorta; this asks without it. -EADDRINUSE,
 * or whatever bind() says. */
int net_probe_address(const struct net_address *address, bool is_datagram);
/* How much of what a connected socket sends may wait for its peer to take it. */
void net_limit_unread(int fd, uint32_t max_bytes);
/* How many files this process has open, and how many more it may open. */
uint64_t net_files_open(void);
uint64_t net_files_left(void);
/* One GET, and waits for its answer: not on a loop's thread. The status, or a negative errno. */
int net_http_get(const struct net_address *address, const char *path, uint32_t timeout_ms);
/* True randomness; 0 or a negative errno. */
int net_random(void *bytes, size_t n);
/* Once, before the first loop: library logs off, SIGPIPE ignored, file limit raised. */
void net_init(void);
#endif
