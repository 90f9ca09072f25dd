#include "net_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct net_prelude {
    uv_poll_t poll;
    int fd;
    net_prelude_fn *readable;
    void *arg;
};

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status; /* an error shows in the next peek */
    (void)events;
    struct net_prelude *p = poll->data;
    p->readable(p->arg);
}

int net_prelude_open(struct net_loop *loop, int fd, net_prelude_fn *readable, void *arg,
                     struct net_prelude **out)
{
    struct net_prelude *p = calloc(1, sizeof *p);
    int rc = p ? uv_poll_init(&loop->uv, &p->poll, fd) : -ENOMEM;
    if (rc < 0) {
        free(p);
        close(fd);
        return rc;
    }
    p->fd = fd;
    p->readable = readable;
    p->arg = arg;
    p->poll.data = p;
    uv_poll_start(&p->poll, UV_READABLE, on_readable);
    *out = p;
    return 0;
}

ssize_t net_prelude_peek(struct net_prelude *p, char *into, size_t size)
{
    ssize_t n = recv(p->fd, into, size, MSG_PEEK | MSG_DONTWAIT);
    if (n > 0)
        return n;
    bool is_early = n < 0 && (errno == EAGAIN || errno == EINTR);
    return is_early ? 0 : -EPIPE;
}

int net_prelude_take(struct net_prelude *p, size_t n)
{
    char thrown_away[2048];
    while (n > 0) {
        size_t part = n < sizeof thrown_away ? n : sizeof thrown_away;
        ssize_t got = recv(p->fd, thrown_away, part, MSG_DONTWAIT);
        if (got <= 0)
            return -EPIPE;
        n -= (size_t)got;
    }
    return 0;
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle->data);
}

int net_prelude_release(struct net_prelude *p)
{
    int fd = p->fd;
    uv_close((uv_handle_t *)&p->poll, on_poll_closed); /* stops watching before it returns */
    return fd;
}

void net_prelude_close(struct net_prelude *p)
{
    if (p)
        close(net_prelude_release(p));
}
