/* UDP: many clients share a few connected sockets; an answer's Call-ID tells whose it is. */
#include "worker.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { BATCH = 64, DATAGRAM_MAX = 4096, SOCKET_BUFFER = 8 * 1024 * 1024 };

struct udp_socket {
    int fd;
    uint16_t port;
    struct requests requests;
    unsigned queued;
    struct mmsghdr out[BATCH], in[BATCH];
    struct iovec out_part[BATCH], in_part[BATCH];
    char out_bytes[BATCH][TEMPLATE_MAX];
    char in_bytes[BATCH][DATAGRAM_MAX];
};

static struct udp_socket *socket_of(struct worker *w, uint32_t i)
{
    return &w->socket[i % w->options->sockets];
}

struct requests *udp_requests(struct worker *w, uint32_t i)
{
    return &socket_of(w, i)->requests;
}

uint16_t udp_port(struct worker *w, uint32_t i)
{
    return socket_of(w, i)->port;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static void set_buffer(int fd, int forced, int plain)
{
    int bytes = SOCKET_BUFFER;
    if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof bytes) != 0)
        setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof bytes);
}

/* Own address as `host` (brackets round IPv6) and port. */
static int read_name(int fd, char host[64], uint16_t *port)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    char text[INET6_ADDRSTRLEN];
    if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
        return -errno;
    if (sa.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&sa;
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
        snprintf(host, 64, "%s", text);
        *port = ntohs(in->sin_port);
    } else {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&sa;
        inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text);
        snprintf(host, 64, "[%s]", text);
        *port = ntohs(in6->sin6_port);
    }
    return 0;
}

static int open_socket(struct worker *w, struct udp_socket *s, uint32_t number)
{
    const struct options *o = w->options;
    s->fd = socket(o->address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        return -errno;
    set_buffer(s->fd, SO_RCVBUFFORCE, SO_RCVBUF);
    set_buffer(s->fd, SO_SNDBUFFORCE, SO_SNDBUF);
    if (connect(s->fd, (const struct sockaddr *)&o->address, o->address_len) != 0)
        return -errno;
    int rc = read_name(s->fd, w->host, &s->port);
    if (rc == 0)
        rc = requests_init(&s->requests, o, w->run, str_from(w->host));
    if (rc != 0)
        return rc;
    for (int i = 0; i < BATCH; i++) {
        s->in_part[i] = (struct iovec){s->in_bytes[i], DATAGRAM_MAX};
        s->in[i].msg_hdr = (struct msghdr){.msg_iov = &s->in_part[i], .msg_iovlen = 1};
        s->out_part[i].iov_base = s->out_bytes[i];
        s->out[i].msg_hdr = (struct msghdr){.msg_iov = &s->out_part[i], .msg_iovlen = 1};
    }
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = number};
    return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, s->fd, &event) == 0 ? 0 : -errno;
}

int udp_open(struct worker *w)
{
    w->socket = calloc(w->options->sockets, sizeof *w->socket);
    if (w->socket == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < w->options->sockets; i++)
        w->socket[i].fd = -1;
    int rc = 0;
    for (uint32_t i = 0; i < w->options->sockets && rc == 0; i++)
        rc = open_socket(w, &w->socket[i], i);
    return rc;
}

void udp_close(struct worker *w)
{
    for (uint32_t i = 0; w->socket && i < w->options->sockets; i++)
        if (w->socket[i].fd >= 0)
            close(w->socket[i].fd);
    free(w->socket);
}

/* ---- Messages -------------------------------------------------------------------------------- */

/* What the socket's buffer does not take is lost, as on any network: it is sent again later. */
static void flush(struct udp_socket *s)
{
    unsigned sent = 0;
    while (sent < s->queued) {
        int n = sendmmsg(s->fd, s->out + sent, s->queued - sent, 0);
        if (n > 0)
            sent += (unsigned)n;
        else if (errno != EINTR && errno != ECONNREFUSED)
            break;
        else if (errno == ECONNREFUSED)
            sent++; /* told of an earlier one; nobody is there */
    }
    s->queued = 0;
}

void udp_flush(struct worker *w)
{
    for (uint32_t i = 0; i < w->options->sockets; i++)
        if (w->socket[i].queued > 0)
            flush(&w->socket[i]);
}

void udp_send(struct worker *w, uint32_t i)
{
    struct udp_socket *s = socket_of(w, i);
    struct identity id = worker_identity(w, i, s->port);
    struct str text = w->client[i].is_authorized ? requests_authorized(&s->requests, &id)
                                                 : requests_plain(&s->requests, &id);
    memcpy(s->out_bytes[s->queued], text.ptr, text.len);
    s->out_part[s->queued++].iov_len = text.len;
    if (s->queued == BATCH)
        flush(s);
}

void udp_receive(struct worker *w, uint32_t number)
{
    struct udp_socket *s = &w->socket[number];
    int n = recvmmsg(s->fd, s->in, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++)
        worker_take_message(w, (struct str){s->in_bytes[i], s->in[i].msg_len}, NOBODY);
}
