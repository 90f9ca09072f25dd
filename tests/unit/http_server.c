#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "http_server.h"
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 128, QUIET_MS = 20, PATIENCE_S = 5 };

struct connection {
    int fd; /* -1: free */
    char in[HTTP_SERVER_REQUEST_BYTES];
    size_t len;
    unsigned answered;
    bool is_asking;
};

struct http_server {
    struct http_server_script script;
    int listener, stop[2];
    unsigned port;
    pthread_t thread;
    SSL_CTX *tls;
    unsigned asking;
    struct http_server_counts counts;
    struct connection connection[CONNECTIONS];
};

/* ---- Requests ------------------------------------------------------------------------------ */

/* 0 while it is not whole. */
static size_t whole_request(const char *data, size_t len)
{
    const char *end = memmem(data, len, "\r\n\r\n", 4);
    const char *length = memmem(data, len, "Content-Length: ", 16);
    if (!end || !length)
        return 0;
    size_t whole = (size_t)(end - data) + 4 + strtoul(length + 16, NULL, 10);
    return len >= whole ? whole : 0;
}

static void note_request(struct http_server *s, const char *data, size_t len)
{
    memcpy(s->counts.last, data, len);
    s->counts.last_len = len;
    s->counts.requests++;
    if (++s->asking > s->counts.most_at_once)
        s->counts.most_at_once = s->asking;
}

/* ---- Plain connections --------------------------------------------------------------------- */

static void drop(struct http_server *s, struct connection *c, enum http_server_then how)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    if (how == RESET)
        (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(c->fd);
    s->asking -= c->is_asking;
    *c = (struct connection){.fd = -1};
}

static bool send_all(int fd, const char *text)
{
    size_t len = text ? strlen(text) : 0;
    for (size_t sent = 0; sent < len;) {
        ssize_t n = send(fd, text + sent, len - sent, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        sent += (size_t)n;
    }
    return true;
}

static void give_answer(struct http_server *s, struct connection *c)
{
    const struct http_server_script *script = &s->script;
    if (script->answers > 0 && s->counts.answered == script->answers)
        return;
    bool is_silent = !script->answer && !script->endless;
    if (is_silent && script->then == KEEP_OPEN)
        return;
    bool is_read = send_all(c->fd, script->answer);
    while (is_read && script->endless)
        is_read = send_all(c->fd, script->endless);
    s->counts.answered++;
    s->asking--;
    c->is_asking = false;
    c->answered++;
    if (!is_read || script->then != KEEP_OPEN)
        drop(s, c, script->then);
}

static void take_request(struct http_server *s, struct connection *c, size_t len)
{
    note_request(s, c->in, len);
    c->is_asking = true;
    c->len -= len;
    memmove(c->in, c->in + len, c->len);
    if (s->script.answers_a_connection > 0 && c->answered == s->script.answers_a_connection) {
        send_all(c->fd, s->script.last_words);
        drop(s, c, CLOSE);
    } else if (!s->script.waits_for_quiet)
        give_answer(s, c);
}

static void read_connection(struct http_server *s, struct connection *c)
{
    ssize_t n = recv(c->fd, c->in + c->len, sizeof c->in - c->len, MSG_DONTWAIT);
    if (n <= 0) {
        drop(s, c, CLOSE);
        return;
    }
    c->len += (size_t)n;
    size_t whole = whole_request(c->in, c->len);
    if (whole > 0)
        take_request(s, c, whole);
}

static void accept_connection(struct http_server *s)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    int fd = accept(s->listener, NULL, NULL);
    if (fd < 0)
        return;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    struct connection *c = s->connection;
    while (c < s->connection + CONNECTIONS && c->fd >= 0)
        c++;
    if (c == s->connection + CONNECTIONS) {
        close(fd);
        return;
    }
    c->fd = fd;
    s->counts.connections++;
}

static void answer_all(struct http_server *s)
{
    for (size_t i = 0; i < CONNECTIONS; i++)
        if (s->connection[i].is_asking)
            give_answer(s, &s->connection[i]);
}

static void *serve_plain(void *arg)
{
    struct http_server *s = arg;
    struct pollfd polled[CONNECTIONS + 2] = {
        {.fd = s->stop[0],  .events = POLLIN},
        {.fd = s->listener, .events = POLLIN}
    };
    for (;;) {
        for (size_t i = 0; i < CONNECTIONS; i++)
            polled[i + 2] = (struct pollfd){.fd = s->connection[i].fd, .events = POLLIN};
        int count = poll(polled, CONNECTIONS + 2, s->script.waits_for_quiet ? QUIET_MS : -1);
        if (polled[0].revents)
            return NULL;
        if (count == 0)
            answer_all(s);
        for (size_t i = 0; i < CONNECTIONS; i++)
            if (polled[i + 2].revents)
                read_connection(s, &s->connection[i]);
        if (polled[1].revents)
            accept_connection(s);
    }
}

/* ---- TLS ----------------------------------------------------------------------------------- */

static bool serve_tls_request(struct http_server *s, SSL *ssl)
{
    char in[HTTP_SERVER_REQUEST_BYTES];
    size_t len = 0, n;
    while (whole_request(in, len) == 0) {
        if (SSL_read_ex(ssl, in + len, sizeof in - len, &n) != 1)
            return false;
        len += n;
    }
    note_request(s, in, len);
    SSL_write_ex(ssl, s->script.answer, strlen(s->script.answer), &n);
    s->asking--;
    s->counts.answered++;
    return true;
}

static void serve_tls_connection(struct http_server *s, SSL *ssl)
{
    unsigned left = s->script.tls_answers > 0 ? s->script.tls_answers : 1;
    if (SSL_accept(ssl) != 1)
        return;
    while (left > 0 && serve_tls_request(s, ssl))
        left--;
    if (left == 0)
        SSL_shutdown(ssl);
}

static void *serve_tls(void *arg)
{
    struct http_server *s = arg;
    struct pollfd polled[2] = {
        {.fd = s->stop[0],  .events = POLLIN},
        {.fd = s->listener, .events = POLLIN}
    };
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    for (;;) {
        poll(polled, 2, -1);
        if (polled[0].revents)
            return NULL;
        int fd = accept(s->listener, NULL, NULL);
        s->counts.connections++;
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        SSL *ssl = SSL_new(s->tls);
        SSL_set_fd(ssl, fd);
        serve_tls_connection(s, ssl);
        SSL_free(ssl);
        close(fd);
    }
}

static void open_tls(struct http_server *s)
{
    const struct http_server_script *script = &s->script;
    s->tls = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate_chain_file(s->tls, script->cert_file), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(s->tls, script->key_file, SSL_FILETYPE_PEM), 1);
}

/* ---- Life ---------------------------------------------------------------------------------- */

static void open_listener(struct http_server *s)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(s->listener >= 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(s->listener, CONNECTIONS), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&address, &size), 0);
    s->port = ntohs(address.sin_port);
}

struct http_server *http_server_start(const struct http_server_script *script)
{
    struct http_server *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->script = *script;
    for (size_t i = 0; i < CONNECTIONS; i++)
        s->connection[i].fd = -1;
    open_listener(s);
    if (script->cert_file)
        open_tls(s);
    assert_int_equal(pipe(s->stop), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, s->tls ? serve_tls : serve_plain, s), 0);
    return s;
}

unsigned http_server_port(const struct http_server *s)
{
    return s->port;
}

struct http_server_counts http_server_stop(struct http_server *s)
{
    assert_int_equal(write(s->stop[1], "", 1), 1);
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    for (size_t i = 0; i < CONNECTIONS; i++)
        if (s->connection[i].fd >= 0)
            drop(s, &s->connection[i], CLOSE);
    close(s->stop[0]);
    close(s->stop[1]);
    close(s->listener);
    SSL_CTX_free(s->tls);
    struct http_server_counts counts = s->counts;
    free(s);
    return counts;
}
