#include <aorta/clock.h>
#include <aorta/net.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_BYTES = 64 }; /* "HTTP/1.1 200 " is all that is looked at */

/* Waits until `events` are there, or the time is over. 0 or a negative errno. */
static int wait_for(int fd, short events, uint64_t due_ms)
{
    uint64_t now_ms = clock_now_ms();
    struct pollfd one = {.fd = fd, .events = events};
    int n = now_ms < due_ms ? poll(&one, 1, (int)(due_ms - now_ms)) : 0;
    return n > 0 ? 0 : n == 0 ? -ETIMEDOUT : -errno;
}

static int connect_by(int fd, const struct net_address *address, uint64_t due_ms)
{
    if (connect(fd, &address->any, net_address_size(address)) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return -errno;
    int rc = wait_for(fd, POLLOUT, due_ms), error = 0;
    socklen_t size = sizeof error;
    if (rc == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        rc = -errno;
    return rc < 0 ? rc : -error;
}

static int read_status(const char *head)
{
    int status;
    return sscanf(head, "HTTP/1.%*1[01] %3d ", &status) == 1 ? status : -EPROTO;
}

static int ask(int fd, const char *path, uint64_t due_ms)
{
    char request[256], head[HEAD_BYTES + 1];
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    if (n < 0 || (size_t)n >= sizeof request)
        return -EINVAL;
    if (send(fd, request, (size_t)n, MSG_NOSIGNAL) != n)
        return -EPIPE; /* so few bytes go at once, or not at all */
    size_t len = 0;
    while (len < HEAD_BYTES) {
        int rc = wait_for(fd, POLLIN, due_ms);
        if (rc < 0)
            return rc;
        ssize_t got = recv(fd, head + len, HEAD_BYTES - len, 0);
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        len += (size_t)got;
    }
    head[len] = '\0';
    return read_status(head);
}

int net_http_get(const struct net_address *address, const char *path, uint32_t timeout_ms)
{
    uint64_t due_ms = clock_now_ms() + timeout_ms;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int rc = connect_by(fd, address, due_ms);
    if (rc == 0)
        rc = ask(fd, path, due_ms);
    close(fd);
    return rc;
}
