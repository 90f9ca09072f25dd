/* TCP, TLS, WS and WSS: a connection for each client. */
#include "worker.h"
#include "ws.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { INPUT_MAX = 128 * 1024, READ_MIN = 32 * 1024, OUTPUT_MAX = 4096, UPGRADE_MAX = 1024 };

#define BROWSER_SIGNATURES                                                                   \
    "ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256:ECDSA+SHA384:RSA-PSS+SHA384:RSA+SHA384:RSA-PSS+" \
    "SHA512:"                                                                                \
    "RSA+SHA512"
#define BROWSER_CIPHERS                                                                        \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:" \
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"   \
    "AES128-GCM-SHA256:AES256-GCM-SHA384"

enum stage { STAGE_CLOSED, STAGE_CONNECTS, STAGE_SHAKES_HANDS, STAGE_UPGRADES, STAGE_UP };

struct stream {
    int fd;
    uint8_t stage;
    bool wants_out; /* epoll is asked for room to write */
    uint16_t port;
    uint32_t held_len, unsent_len;
    SSL *ssl;
    char *held;   /* beginning of what is not whole yet */
    char *unsent; /* rest of what the connection did not take at once */
    SSL_SESSION *session;
    char key[WS_KEY_LEN];
};

bool stream_is_up(const struct worker *w, uint32_t i)
{
    return w->stream[i].stage == STAGE_UP;
}

uint16_t stream_port(const struct worker *w, uint32_t i)
{
    return w->stream[i].port;
}

static uint64_t draw(struct worker *w)
{
    w->random ^= w->random << 13; /* xorshift64: masks and keys, nothing secret */
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random;
}

/* ---- Opening and closing ------------------------------------------------------------------- */

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct stream *s = SSL_get_app_data(ssl);
    SSL_SESSION_free(s->session);
    s->session = session;
    return 1; /* ours now */
}

static int make_tls(struct worker *w)
{
    const struct options *o = w->options;
    w->tls = SSL_CTX_new(TLS_client_method());
    if (w->tls == NULL)
        return -ENOMEM;
    SSL_CTX_set_mode(w->tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(w->tls, 1); /* record and header in one read */
    /* What Chrome offers; OpenSSL's own lists are longer, and dear to build for each connection. */
    if (SSL_CTX_set1_groups_list(w->tls, "X25519:P-256:P-384") != 1 ||
        SSL_CTX_set1_sigalgs_list(w->tls, BROWSER_SIGNATURES) != 1 ||
        SSL_CTX_set_cipher_list(w->tls, BROWSER_CIPHERS) != 1)
        return -EINVAL;
    SSL_CTX_set_session_cache_mode(w->tls, o->resume
                                               ? SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL
                                               : SSL_SESS_CACHE_OFF);
    if (o->resume)
        SSL_CTX_sess_set_new_cb(w->tls, keep_session);
    if (is_websocket(o->transport))
        SSL_CTX_set_alpn_protos(w->tls, (const unsigned char *)"\x08http/1.1", 9);
    if (o->ca == NULL)
        return 0;
    SSL_CTX_set_verify(w->tls, SSL_VERIFY_PEER, NULL);
    return SSL_CTX_load_verify_locations(w->tls, o->ca, NULL) == 1 ? 0 : -ENOENT;
}

/* The address of ours that leads to the target. */
static int find_host(struct worker *w)
{
    const struct options *o = w->options;
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    int fd = socket(o->address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int rc = connect(fd, (const struct sockaddr *)&o->address, o->address_len) == 0 &&
                     getsockname(fd, (struct sockaddr *)&sa, &len) == 0
                 ? 0
                 : -errno;
    close(fd);
    if (rc != 0)
        return rc;
    char text[INET6_ADDRSTRLEN];
    if (sa.ss_family == AF_INET)
        inet_ntop(AF_INET, &((struct sockaddr_in *)&sa)->sin_addr, text, sizeof text);
    else
        inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&sa)->sin6_addr, text, sizeof text);
    snprintf(w->host, sizeof w->host, sa.ss_family == AF_INET ? "%s" : "[%s]", text);
    return 0;
}

int streams_open(struct worker *w)
{
    w->stream = calloc(w->clients, sizeof *w->stream);
    w->input = malloc(INPUT_MAX);
    w->output = malloc(OUTPUT_MAX);
    if (!w->stream || !w->input || !w->output)
        return -ENOMEM;
    for (uint32_t i = 0; i < w->clients; i++)
        w->stream[i].fd = -1;
    int rc = find_host(w);
    if (rc == 0)
        rc = requests_init(&w->requests, w->options, w->run, str_from(w->host));
    if (rc == 0 && is_tls(w->options->transport))
        rc = make_tls(w);
    return rc;
}

static void say_goodbye(struct worker *w, struct stream *s)
{
    if (w->options->close_by_reset) {
        const struct linger linger = {.l_onoff = 1};
        setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    } else if (s->ssl && s->stage > STAGE_SHAKES_HANDS) {
        SSL_shutdown(s->ssl);
    }
}

static void drop(struct worker *w, uint32_t i, bool is_polite)
{
    struct stream *s = &w->stream[i];
    if (s->fd < 0)
        return;
    if (is_polite)
        say_goodbye(w, s);
    if (s->ssl) {
        SSL_free(s->ssl);
        ERR_clear_error();
    }
    close(s->fd);
    free(s->held);
    free(s->unsent);
    SSL_SESSION *session = s->session;
    *s = (struct stream){.fd = -1, .session = session};
}

void stream_drop(struct worker *w, uint32_t i)
{
    drop(w, i, true);
}

void streams_close(struct worker *w)
{
    for (uint32_t i = 0; w->stream && i < w->clients; i++) {
        drop(w, i, true);
        SSL_SESSION_free(w->stream[i].session);
    }
    SSL_CTX_free(w->tls);
    free(w->stream);
    free(w->input);
    free(w->output);
}

/* The server has ended it, or what it sent cannot be. */
static void lose(struct worker *w, uint32_t i, enum fault fault)
{
    drop(w, i, fault != FAULT_NONE);
    worker_lost(w, i, fault);
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

static void want_out(struct worker *w, uint32_t i, bool wants)
{
    struct stream *s = &w->stream[i];
    if (s->wants_out == wants)
        return;
    s->wants_out = wants;
    struct epoll_event event = {.events = EPOLLIN | (wants ? EPOLLOUT : 0), .data.u32 = i};
    epoll_ctl(w->epoll_fd, EPOLL_CTL_MOD, s->fd, &event);
}

/* Bytes that went, 0 when there is no room now, or a negative errno. */
static long write_some(struct stream *s, const char *data, size_t len)
{
    if (s->ssl == NULL) {
        ssize_t n = send(s->fd, data, len, MSG_NOSIGNAL);
        return n >= 0 ? n : errno == EAGAIN || errno == EINTR ? 0 : -errno;
    }
    int n = SSL_write(s->ssl, data, (int)len);
    if (n > 0)
        return n;
    int error = SSL_get_error(s->ssl, n);
    return error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ ? 0 : -EPIPE;
}

/* Same, for reading; -EPIPE: the other side has closed. */
static long read_some(struct stream *s, char *data, size_t room)
{
    if (s->ssl == NULL) {
        ssize_t n = recv(s->fd, data, room, 0);
        return n > 0 ? n : n == 0 ? -EPIPE : errno == EAGAIN || errno == EINTR ? 0 : -errno;
    }
    int n = SSL_read(s->ssl, data, (int)room);
    if (n > 0)
        return n;
    int error = SSL_get_error(s->ssl, n);
    return error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ ? 0 : -EPIPE;
}

static bool keep_unsent(struct stream *s, const char *data, size_t len)
{
    char *all = realloc(s->unsent, s->unsent_len + len);
    if (all == NULL || s->unsent_len + len > INPUT_MAX)
        return false;
    memcpy(all + s->unsent_len, data, len);
    s->unsent = all;
    s->unsent_len += (uint32_t)len;
    return true;
}

/* A connection that fails here is noticed when it is read. */
static void write_all(struct worker *w, uint32_t i, const char *data, size_t len)
{
    struct stream *s = &w->stream[i];
    long sent = s->unsent_len > 0 ? 0 : write_some(s, data, len);
    if (sent < 0 || (size_t)sent == len)
        return;
    if (keep_unsent(s, data + sent, len - (size_t)sent))
        want_out(w, i, true);
}

static void write_unsent(struct worker *w, uint32_t i)
{
    struct stream *s = &w->stream[i];
    while (s->unsent_len > 0) {
        long sent = write_some(s, s->unsent, s->unsent_len);
        if (sent == 0)
            return;
        if (sent < 0)
            sent = s->unsent_len;
        s->unsent_len -= (uint32_t)sent;
        memmove(s->unsent, s->unsent + sent, s->unsent_len);
    }
    free(s->unsent);
    s->unsent = NULL;
    want_out(w, i, false);
}

static void write_frame(struct worker *w, uint32_t i, enum ws_opcode opcode, struct str payload)
{
    if (payload.len + WS_MAX_HEADER > OUTPUT_MAX)
        payload.len = 0;
    size_t len = ws_write_frame(w->output, opcode, payload, (uint32_t)draw(w));
    write_all(w, i, w->output, len);
}

void stream_send(struct worker *w, uint32_t i)
{
    struct identity id = worker_identity(w, i, w->stream[i].port);
    struct str text = w->client[i].is_authorized ? requests_authorized(&w->requests, &id)
                                                 : requests_plain(&w->requests, &id);
    if (is_websocket(w->options->transport))
        write_frame(w, i, WS_TEXT, text);
    else
        write_all(w, i, text.ptr, text.len);
}

/* ---- Becoming ready -------------------------------------------------------------------------- */

static void be_up(struct worker *w, uint32_t i)
{
    w->stream[i].stage = STAGE_UP;
    worker_connected(w, i);
}

static void ask_for_upgrade(struct worker *w, uint32_t i)
{
    const struct options *o = w->options;
    struct stream *s = &w->stream[i];
    uint64_t random[2] = {draw(w), draw(w)};
    ws_key((const uint8_t *)random, s->key);
    char text[UPGRADE_MAX];
    int len = snprintf(text, sizeof text,
                       "GET %s HTTP/1.1\r\nHost: %s\r\n%s%s%sUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: %.*s\r\nSec-WebSocket-Protocol: sip\r\n\r\n",
                       o->path, o->domain, o->origin ? "Origin: " : "", o->origin ? o->origin : "",
                       o->origin ? "\r\n" : "", WS_KEY_LEN, s->key);
    s->stage = STAGE_UPGRADES;
    write_all(w, i, text, (size_t)len);
}

static void be_secure(struct worker *w, uint32_t i)
{
    if (is_websocket(w->options->transport))
        ask_for_upgrade(w, i);
    else
        be_up(w, i);
}

static void shake_hands(struct worker *w, uint32_t i)
{
    struct stream *s = &w->stream[i];
    int n = SSL_connect(s->ssl);
    if (n == 1) {
        want_out(w, i, false);
        be_secure(w, i);
        return;
    }
    int error = SSL_get_error(s->ssl, n);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        want_out(w, i, error == SSL_ERROR_WANT_WRITE);
    else
        lose(w, i, FAULT_TLS);
}

static bool start_tls(struct worker *w, uint32_t i)
{
    struct stream *s = &w->stream[i];
    s->ssl = SSL_new(w->tls);
    if (s->ssl == NULL || SSL_set_fd(s->ssl, s->fd) != 1)
        return false;
    SSL_set_app_data(s->ssl, s);
    SSL_set_tlsext_host_name(s->ssl, w->options->domain);
    if (w->options->ca)
        SSL_set1_host(s->ssl, w->options->domain);
    if (s->session)
        SSL_set_session(s->ssl, s->session);
    s->stage = STAGE_SHAKES_HANDS;
    return true;
}

static void be_connected(struct worker *w, uint32_t i)
{
    struct stream *s = &w->stream[i];
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
        lose(w, i, FAULT_REFUSED);
        return;
    }
    if (!is_tls(w->options->transport)) {
        want_out(w, i, false);
        be_secure(w, i);
    } else if (start_tls(w, i)) {
        shake_hands(w, i);
    } else {
        lose(w, i, FAULT_SYSTEM);
    }
}

static uint16_t local_port(int fd)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
        return 0;
    return ntohs(sa.ss_family == AF_INET ? ((struct sockaddr_in *)&sa)->sin_port
                                         : ((struct sockaddr_in6 *)&sa)->sin6_port);
}

void stream_connect(struct worker *w, uint32_t i)
{
    const struct options *o = w->options;
    struct stream *s = &w->stream[i];
    drop(w, i, true);
    s->fd = socket(o->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0) {
        worker_lost(w, i, FAULT_SYSTEM);
        return;
    }
    const int on = 1;
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    s->stage = STAGE_CONNECTS;
    s->wants_out = true;
    int rc = connect(s->fd, (const struct sockaddr *)&o->address, o->address_len);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.u32 = i};
    if (rc != 0 && errno != EINPROGRESS) {
        lose(w, i, errno == EADDRNOTAVAIL ? FAULT_SYSTEM : FAULT_REFUSED);
        return;
    }
    s->port = local_port(s->fd);
    if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, s->fd, &event) != 0)
        lose(w, i, FAULT_SYSTEM);
}

/* ---- What comes ------------------------------------------------------------------------------ */

/* Each of these takes one unit off `data`: its bytes, 0 for "not whole yet", or below 0: it has
 * closed the connection. */
static long take_upgrade(struct worker *w, uint32_t i, struct str data)
{
    long n = ws_check_upgrade(data, w->stream[i].key);
    if (n < 0)
        lose(w, i, FAULT_UPGRADE);
    else if (n > 0)
        be_up(w, i);
    return n;
}

static long take_frame(struct worker *w, uint32_t i, struct str data)
{
    struct ws_frame frame;
    long n = ws_read_frame(data, &frame);
    if (n == 0)
        return 0;
    if (n < 0) {
        lose(w, i, FAULT_FRAME);
        return n;
    }
    if (frame.opcode == WS_PING) {
        write_frame(w, i, WS_PONG, frame.payload);
    } else if (frame.opcode == WS_CLOSE) {
        write_frame(w, i, WS_CLOSE,
                    (struct str){frame.payload.ptr, frame.payload.len >= 2 ? 2 : 0});
        lose(w, i, FAULT_NONE);
        return -EPIPE;
    } else if (frame.opcode != WS_PONG && !str_is_empty(str_trim(frame.payload))) {
        worker_take_message(w, frame.payload, (int32_t)i);
    }
    return n;
}

static long take_sip(struct worker *w, uint32_t i, struct str data)
{
    long n = answer_frame(data);
    if (n < 0)
        lose(w, i, FAULT_MALFORMED);
    else if (n > 2 && !str_is_empty(str_trim((struct str){data.ptr, (size_t)n})))
        worker_take_message(w, (struct str){data.ptr, (size_t)n}, (int32_t)i);
    return n;
}

static long take_unit(struct worker *w, uint32_t i, struct str data)
{
    if (w->stream[i].stage == STAGE_UPGRADES)
        return take_upgrade(w, i, data);
    return is_websocket(w->options->transport) ? take_frame(w, i, data) : take_sip(w, i, data);
}

/* What is not whole stays until more comes. False: the connection is gone. */
static bool take_all(struct worker *w, uint32_t i, struct str data)
{
    struct stream *s = &w->stream[i];
    while (data.len > 0) {
        int fd = s->fd;
        uint32_t serial = w->client[i].serial;
        long n = take_unit(w, i, data);
        if (n < 0 || s->fd < 0 || s->fd != fd || s->stage < STAGE_UPGRADES ||
            w->client[i].serial != serial)
            return false; /* closed, perhaps opened again for the next client */
        if (n == 0)
            break;
        data = (struct str){data.ptr + n, data.len - (size_t)n};
    }
    if (data.len > INPUT_MAX - READ_MIN) {
        lose(w, i, FAULT_MALFORMED);
        return false;
    }
    free(s->held);
    s->held = NULL;
    s->held_len = 0;
    if (data.len == 0)
        return true;
    s->held = malloc(data.len);
    if (s->held == NULL) {
        lose(w, i, FAULT_SYSTEM);
        return false;
    }
    memcpy(s->held, data.ptr, data.len);
    s->held_len = (uint32_t)data.len;
    return true;
}

static void take_input(struct worker *w, uint32_t i)
{
    struct stream *s = &w->stream[i];
    for (;;) {
        size_t held = s->held_len;
        if (held > 0)
            memcpy(w->input, s->held, held);
        long n = read_some(s, w->input + held, INPUT_MAX - held);
        if (n < 0) {
            lose(w, i, FAULT_NONE);
            return;
        }
        if (n == 0 || !take_all(w, i, (struct str){w->input, held + (size_t)n}))
            return;
        if (s->ssl == NULL || !SSL_has_pending(s->ssl))
            return;
    }
}

void stream_event(struct worker *w, uint32_t i, uint32_t events)
{
    struct stream *s = &w->stream[i];
    if (s->stage == STAGE_CONNECTS) {
        be_connected(w, i);
        return;
    }
    if (s->stage == STAGE_SHAKES_HANDS) {
        shake_hands(w, i);
        return;
    }
    if (s->stage == STAGE_CLOSED)
        return;
    if (events & EPOLLOUT && s->unsent_len > 0)
        write_unsent(w, i);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        take_input(w, i);
}
