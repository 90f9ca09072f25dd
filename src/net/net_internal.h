/* net_internal.h - what the files of src/net know of each other's loop. */
#ifndef AORTA_NET_INTERNAL_H
#define AORTA_NET_INTERNAL_H
#include <aorta/net.h>
#include <libwebsockets.h>
#include <uv.h>

/* One read of a stream. Above the 16 KB of a TLS record, so that it always takes a whole one. */
enum { NET_READ_BYTES = 32768 };

struct net_loop {
    uv_loop_t uv;
    uv_check_t check;
    uv_async_t wake;
    uv_timer_t tick;
    uint64_t polled_ms;   /* when the last poll returned */
    uint64_t tick_due_ms; /* the next one; 0: before the first */
    uint32_t lag_ms;      /* at the last tick */
    struct lws_context *lws;
    struct lws_vhost *plain, *secure;    /* secure: NULL without TLS */
    struct ssl_ctx_st *client_ctx;       /* given to the library, never used */
    struct ssl_ctx_st *server_ctx;       /* of `secure`, which owns it */
    struct net_certificate *certificate; /* took the place of the first one; NULL: none has */
    const struct net_tls_ticket_key *ticket_key; /* while the vhosts are opened */
    struct net_loop_events events;
    struct net_stream_events streams;
    struct net_udp *first_udp;       /* all that are open */
    struct net_stream *first_stream; /* all that are open, so that closing the loop can end them */
    struct net_stream *first_unread; /* just shaken hands, with bytes that came along */
};

/* From the first to the second, datagrams are gathered, to be sent together: for whoever is about
 * to learn many things at once. */
void net_udp_gather(struct net_loop *loop);
void net_udp_send_gathered(struct net_loop *loop);

/* The vhosts that streams are adopted into. Errors as net_loop_open(). */
int net_tls_open_vhosts(struct net_loop *loop, const char *cert_file, const char *key_file,
                        const struct net_tls_ticket_key *ticket_key, struct buf *error);
/* After the library has let go of the vhosts. */
void net_tls_close(struct net_loop *loop);
/* Hands out what the handshakes of this turn have left unread. */
void net_stream_read_unread(struct net_loop *loop);
/* For the contexts of TLS streams: OpenSSL's info callback. */
void net_stream_on_tls(const struct ssl_st *ssl, int where, int value);
/* The one libwebsockets callback of all streams. */
int net_stream_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                        size_t len);
#endif
