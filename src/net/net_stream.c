/* TCP and TLS connections, in libwebsockets' raw role. Its WebSocket role is not used: release
 * 4.1.6 takes unmasked client frames without a word to us, drops a request that asks for an unknown
 * subprotocol instead of answering it, and drops long headers in silence. */
#include "net_internal.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

struct net_stream {
    struct lws *wsi; /* NULL until adopted, and after the end */
    struct net_loop *loop;
    void *owner;
    struct net_stream *next, **link;
    struct net_stream *next_unread;
    bool is_tls;
    bool is_adopting; /* net_stream_adopt() is on the stack: no events yet */
    bool has_received;
    bool is_unread;   /* in the loop's list of those */
    bool is_shaken;   /* the handshake's end has been told */
    bool is_given_up; /* we closed it */
    bool has_failed;  /* the handshake, as `failure` says */
    enum net_tls_end failure;
};

static void unlink_stream(struct net_stream *s)
{
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
}

static void link_stream(struct net_loop *loop, struct net_stream *s)
{
    s->next = loop->first_stream;
    s->link = &loop->first_stream;
    if (s->next)
        s->next->link = &s->next;
    loop->first_stream = s;
}

/* The library keeps timeouts in a sorted list, whose inserts get slow with thousands of
 * connections; every deadline is kept on the transport's timer wheel instead. */
static void clear_library_timeout(struct lws *wsi)
{
    lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
}

static bool hand_out(struct net_stream *s, char *data, size_t len)
{
    if (!s->has_received) {
        s->has_received = true;
        clear_library_timeout(s->wsi); /* the one for "after the handshake" */
    }
    bool is_good = s->loop->streams.received(s->owner, data, len);
    explicit_bzero(data, len); /* credentials, perhaps; the next read may take long to come */
    return is_good;
}

/* ---- How handshakes end --------------------------------------------------------------------- */

/* The library begins the handshake before it hands out the connection. */
static _Thread_local struct net_stream *adopting;

static void tell_shaken(struct net_stream *s, enum net_tls_end how)
{
    if (s->is_shaken)
        return;
    s->is_shaken = true;
    s->loop->streams.shaken(s->owner, how);
}

static void tell_success(struct net_stream *s, const SSL *ssl)
{
    tell_shaken(s, SSL_session_reused(ssl) ? NET_TLS_RESUMED : NET_TLS_FULL);
}

/* OpenSSL takes the end of the connection for an error of the peer's, and alerts it. */
static void note_alert(struct net_stream *s, int where)
{
    if (!s || s->is_shaken || s->has_failed)
        return;
    bool is_at_end = ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    s->has_failed = true;
    s->failure = where & SSL_CB_READ ? NET_TLS_ALERT
                 : is_at_end         ? NET_TLS_CLOSED
                                     : NET_TLS_PROTOCOL;
}

/* What was no TLS at all is not worth an alert to OpenSSL. */
static void tell_failure(struct net_stream *s, const SSL *ssl)
{
    bool is_refused = ssl && strcmp(SSL_state_string(ssl), "SSLERR") == 0;
    if (s->is_given_up)
        tell_shaken(s, NET_TLS_GIVEN_UP);
    else if (s->has_failed)
        tell_shaken(s, s->failure);
    else
        tell_shaken(s, is_refused ? NET_TLS_PROTOCOL : NET_TLS_CLOSED);
}

/* ---- What OpenSSL has read ahead ----------------------------------------------------------- */

/* Hands out the records that OpenSSL holds: no poll tells of them. Meanwhile it reads no further
 * than to the end of a record, or a peer that is quick enough would keep us here. */
static bool hand_out_held(struct net_stream *s, char room[NET_READ_BYTES])
{
    SSL *ssl = lws_get_ssl(s->wsi);
    bool is_good = true;
    SSL_set_read_ahead(ssl, 0);
    while (is_good && SSL_has_pending(ssl)) {
        ERR_clear_error();
        int n = SSL_read(ssl, room, NET_READ_BYTES);
        if (n > 0) {
            is_good = hand_out(s, room, (size_t)n);
            continue;
        }
        is_good = SSL_get_error(ssl, n) == SSL_ERROR_WANT_READ;
        break;
    }
    SSL_set_read_ahead(ssl, 1);
    return is_good;
}

/* What came with the peer's last word of the handshake is handed out before the loop sleeps. */
static void note_unread(struct net_stream *s, const SSL *ssl)
{
    if (s->is_unread || !SSL_has_pending(ssl))
        return;
    s->is_unread = true;
    s->next_unread = s->loop->first_unread;
    s->loop->first_unread = s;
}

void net_stream_on_tls(const SSL *ssl, int where, int value)
{
    (void)value;
    struct net_stream *s = SSL_get_app_data(ssl);
    if (where & SSL_CB_ALERT)
        note_alert(s ? s : adopting, where);
    if (!(where & SSL_CB_HANDSHAKE_DONE) || !s)
        return;
    tell_success(s, ssl);
    if (!s->has_received)
        note_unread(s, ssl);
}

static void watch_handshake(struct net_stream *s, SSL *ssl)
{
    SSL_set_app_data(ssl, s);
    if (!SSL_is_init_finished(ssl))
        return;
    tell_success(s, ssl); /* a quick peer: it is over already */
    note_unread(s, ssl);
}

static void forget_unread(struct net_stream *s)
{
    if (!s->is_unread)
        return;
    struct net_stream **link = &s->loop->first_unread;
    while (*link != s)
        link = &(*link)->next_unread;
    *link = s->next_unread;
    s->is_unread = false;
}

void net_stream_read_unread(struct net_loop *loop)
{
    static _Thread_local char room[NET_READ_BYTES];
    while (loop->first_unread) {
        struct net_stream *s = loop->first_unread;
        forget_unread(s);
        if (!hand_out_held(s, room))
            net_stream_close(s);
    }
}

/* ---- libwebsockets' events ----------------------------------------------------------------- */

static int on_received(struct net_stream *s, char *data, size_t len)
{
    bool is_good = hand_out(s, data, len);
    if (is_good && s->is_tls)
        is_good = hand_out_held(s, data);
    return is_good ? 0 : -1;
}

static void on_closed(struct net_stream *s, struct lws *wsi)
{
    if (s->is_tls)
        tell_failure(s, lws_get_ssl(wsi));
    s->wsi = NULL;
    if (s->is_adopting)
        return; /* net_stream_adopt() tells its caller by its result */
    unlink_stream(s);
    forget_unread(s);
    s->loop->streams.closed(s->owner);
    free(s);
}

int net_stream_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                        size_t len)
{
    (void)user;
    struct net_stream *s;
    switch (reason) {
    case LWS_CALLBACK_RAW_RX:
        s = lws_get_opaque_user_data(wsi);
        return s ? on_received(s, in, len) : -1;
    case LWS_CALLBACK_RAW_WRITEABLE:
        s = lws_get_opaque_user_data(wsi);
        if (!s)
            return -1;
        return s->loop->streams.writable(s->owner) ? 0 : -1;
    case LWS_CALLBACK_RAW_CLOSE:
        s = lws_get_opaque_user_data(wsi);
        lws_set_opaque_user_data(wsi, NULL);
        if (s)
            on_closed(s, wsi);
        return 0;
    default:
        return 0;
    }
}

int net_stream_adopt(struct net_loop *loop, int fd, bool is_tls, void *owner,
                     struct net_stream **out)
{
    struct net_stream *s = calloc(1, sizeof *s);
    if (!s) {
        close(fd);
        return -ENOMEM;
    }
    *s = (struct net_stream){.loop = loop, .owner = owner, .is_tls = is_tls, .is_adopting = true};
    lws_adopt_desc_t info = {
        .vh = is_tls ? loop->secure : loop->plain,
        .type = LWS_ADOPT_SOCKET | (is_tls ? LWS_ADOPT_ALLOW_SSL : 0),
        .fd = {.sockfd = fd},
        .vh_prot_name = "stream",
        .opaque = s,
    };
    adopting = s;
    struct lws *wsi = lws_adopt_descriptor_vhost_via_info(&info);
    adopting = NULL;
    s->is_adopting = false;
    if (!wsi) {
        if (is_tls)
            tell_shaken(s, s->has_failed ? s->failure : NET_TLS_CLOSED);
        free(s);
        return -EIO;
    }
    s->wsi = wsi;
    clear_library_timeout(wsi);
    link_stream(loop, s);
    if (is_tls)
        watch_handshake(s, lws_get_ssl(wsi));
    *out = s;
    return 0;
}

int net_stream_write(struct net_stream *s, char *data, size_t len)
{
    if (!s->wsi)
        return -EPIPE;
    if (lws_partial_buffered(s->wsi))
        return -ENOBUFS;
    int n = lws_write(s->wsi, (unsigned char *)data, len, LWS_WRITE_RAW);
    return n < 0 ? -EPIPE : 0;
}

bool net_stream_has_backlog(const struct net_stream *s)
{
    return s->wsi && lws_partial_buffered(s->wsi);
}

void net_stream_want_write(struct net_stream *s)
{
    lws_callback_on_writable(s->wsi);
}

void net_stream_close(struct net_stream *s)
{
    s->is_given_up = true;
    lws_set_timeout(s->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
}

bool net_stream_is_ready(const struct net_stream *s)
{
    return !s->is_tls || SSL_is_init_finished(lws_get_ssl(s->wsi));
}

bool net_stream_is_silent(const struct net_stream *s)
{
    if (s->has_received || (s->is_tls && SSL_get_state(lws_get_ssl(s->wsi)) != TLS_ST_BEFORE))
        return false;
    int unread = 0;
    return ioctl(lws_get_socket_fd(s->wsi), FIONREAD, &unread) == 0 && unread == 0;
}

void net_stream_shutdown(struct net_stream *s)
{
    if (!lws_partial_buffered(s->wsi))
        shutdown(lws_get_socket_fd(s->wsi), SHUT_WR);
}

void net_loop_close_streams(struct net_loop *loop)
{
    while (loop->first_stream)
        net_stream_close(loop->first_stream);
}
