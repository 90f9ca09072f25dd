#include "net_internal.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    BACKLOG = 65535,     /* the system makes net.core.somaxconn of it, which is less */
    ACCEPTS_A_TURN = 16, /* then the others get their turn: a handshake costs much */
    RETRY_MS = 100,      /* pause when the process has no file or memory left for an accept */
    KEEPALIVE_S = 60,
    UNACKED_MS = 30000, /* bytes that a vanished peer never acknowledges end the connection */
};

struct net_listener {
    uv_poll_t poll;
    uv_timer_t retry;
    struct net_loop *loop;
    int fd;
    unsigned open_handles;
    bool is_paused;
    net_accepted_fn *accepted;
    void *arg;
};

static void on_readable(uv_poll_t *handle, int status, int events);

static void set_int(int fd, int level, int name, int value)
{
    /* Best effort: a kernel without one of these options still serves. */
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

/* Accepted sockets inherit all of these from the listening one. */
static void set_stream_options(int fd)
{
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_S);
    set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKED_MS);
}

static int bind_socket(int fd, struct net_address *address)
{
    set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (address->any.sa_family == AF_INET6)
        set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    set_stream_options(fd);
    if (bind(fd, &address->any, net_address_size(address)) < 0 || listen(fd, BACKLOG) < 0)
        return -errno;
    socklen_t size = sizeof *address;
    return getsockname(fd, &address->any, &size) < 0 ? -errno : 0;
}

static void watch(struct net_listener *l)
{
    if (!l->is_paused)
        uv_poll_start(&l->poll, UV_READABLE, on_readable);
}

static void on_retry(uv_timer_t *timer)
{
    watch(timer->data);
}

/* Without a file to spare the waiting connection stays readable for ever: look again later instead
 * of spinning on it. */
static void pause_accepting(struct net_listener *l)
{
    uv_poll_stop(&l->poll);
    uv_timer_start(&l->retry, on_retry, RETRY_MS, 0);
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
    (void)events;
    struct net_listener *l = handle->data;
    for (int i = 0; status == 0 && i < ACCEPTS_A_TURN && !l->is_paused; i++) {
        struct net_address remote;
        socklen_t size = sizeof remote;
        int fd = accept4(l->fd, &remote.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            net_address_unmap(&remote);
            l->accepted(l->arg, fd, &remote);
            continue;
        }
        int error = errno;
        if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
            pause_accepting(l);
            l->accepted(l->arg, -error, NULL);
        }
        if (error != ECONNABORTED && error != EINTR)
            return;
    }
}

int net_listener_open(struct net_loop *loop, struct net_address *address, net_accepted_fn *accepted,
                      void *arg, struct net_listener **out)
{
    struct net_listener *l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    *l = (struct net_listener){.loop = loop, .accepted = accepted, .arg = arg};
    l->fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int rc = l->fd < 0 ? -errno : bind_socket(l->fd, address);
    if (rc == 0)
        rc = uv_poll_init(&loop->uv, &l->poll, l->fd);
    if (rc < 0) {
        if (l->fd >= 0)
            close(l->fd);
        free(l);
        return rc;
    }
    uv_timer_init(&loop->uv, &l->retry);
    l->poll.data = l->retry.data = l;
    l->open_handles = 2;
    uv_poll_start(&l->poll, UV_READABLE, on_readable);
    *out = l;
    return 0;
}

void net_listener_pause(struct net_listener *l)
{
    l->is_paused = true;
    uv_poll_stop(&l->poll);
}

void net_listener_resume(struct net_listener *l)
{
    l->is_paused = false;
    if (!uv_is_active((uv_handle_t *)&l->retry))
        watch(l);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct net_listener *l = handle->data;
    if (--l->open_handles == 0)
        free(l);
}

void net_listener_close(struct net_listener *l)
{
    if (!l)
        return;
    uv_poll_stop(&l->poll);
    close(l->fd);
    uv_close((uv_handle_t *)&l->poll, on_handle_closed);
    uv_close((uv_handle_t *)&l->retry, on_handle_closed);
}
