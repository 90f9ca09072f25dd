/* Datagrams in batches: one recvmmsg() for all that wait, their answers by one sendmmsg(). */
#include "net_internal.h"
#include <errno.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    BATCH = 64,
    BATCHES_A_TURN = 4,      /* then the other sockets get their turn */
    SOCKET_BUFFER = 4 << 20, /* rides out a burst of about 5,000 datagrams */
    OUT_BYTES = 256 << 10,   /* answers of one batch; sent earlier when this is full */
    MAX_DATAGRAM = 65507,
    CONTROL_BYTES = 64, /* one IP_PKTINFO or IPV6_PKTINFO */
};

struct slot {
    struct iovec vec;
    struct net_address remote;
    _Alignas(struct cmsghdr) char control[CONTROL_BYTES];
};

struct net_udp {
    struct net_loop *loop;
    struct net_udp *next, *previous; /* of the loop's */
    uv_poll_t poll;
    int fd;
    bool is_wildcard; /* answers must name the address that the request was sent to */
    size_t max_bytes;
    net_datagram_fn *received;
    void *arg;
    bool is_gathering; /* what is sent: while receiving, and when asked to */
    struct mmsghdr in_header[BATCH], out_header[BATCH];
    struct slot in[BATCH], out[BATCH];
    unsigned out_count;
    size_t out_bytes;
    char *in_memory, *out_memory;
};

static void set_int(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

static int bind_socket(struct net_udp *u, struct net_address *address)
{
    set_int(u->fd, SOL_SOCKET, SO_REUSEPORT, 1);
    set_int(u->fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER);
    set_int(u->fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER);
    u->is_wildcard = net_address_is_wildcard(address);
    if (address->any.sa_family == AF_INET6) {
        set_int(u->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        set_int(u->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, u->is_wildcard);
    } else {
        set_int(u->fd, IPPROTO_IP, IP_PKTINFO, u->is_wildcard);
    }
    if (bind(u->fd, &address->any, net_address_size(address)) < 0)
        return -errno;
    socklen_t size = sizeof *address;
    return getsockname(u->fd, &address->any, &size) < 0 ? -errno : 0;
}

static void read_local_address(struct msghdr *header, struct net_address *local)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            local->v4.sin_family = AF_INET;
            local->v4.sin_addr = info.ipi_addr;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            local->v6.sin6_family = AF_INET6;
            local->v6.sin6_addr = info.ipi6_addr;
        }
    }
}

static void put_control(struct msghdr *header, int level, int type, const void *info, size_t size)
{
    header->msg_controllen = CMSG_SPACE(size);
    struct cmsghdr *c = CMSG_FIRSTHDR(header);
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(c), info, size);
}

static void put_local_address(struct slot *slot, struct msghdr *header,
                              const struct net_address *local)
{
    memset(slot->control, 0, sizeof slot->control);
    header->msg_control = slot->control;
    header->msg_controllen = sizeof slot->control;
    if (local->any.sa_family == AF_INET) {
        struct in_pktinfo info = {.ipi_spec_dst = local->v4.sin_addr};
        put_control(header, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    } else {
        struct in6_pktinfo info = {.ipi6_addr = local->v6.sin6_addr};
        put_control(header, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    }
}

/* What the system does not take now is lost, as datagrams may be: clients send again. */
static int flush(struct net_udp *u)
{
    unsigned sent = 0;
    int rc = 0;
    while (sent < u->out_count) {
        int n = sendmmsg(u->fd, u->out_header + sent, u->out_count - sent, MSG_DONTWAIT);
        if (n > 0) {
            sent += (unsigned)n;
            continue;
        }
        if (errno == EINTR)
            continue;
        rc = errno == EMSGSIZE ? -EMSGSIZE : -ENOBUFS;
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
            break;
        sent++; /* this one destination cannot be reached; the others can */
    }
    u->out_count = 0;
    u->out_bytes = 0;
    return rc;
}

int net_udp_send(struct net_udp *u, const struct net_address *remote,
                 const struct net_address *local, const char *data, size_t len)
{
    if (len > MAX_DATAGRAM)
        return -EMSGSIZE;
    if (u->out_count == BATCH || u->out_bytes + len > OUT_BYTES)
        flush(u);
    unsigned i = u->out_count++;
    struct slot *slot = &u->out[i];
    slot->vec = (struct iovec){u->out_memory + u->out_bytes, len};
    memcpy(slot->vec.iov_base, data, len);
    u->out_bytes += len;
    slot->remote = *remote;
    struct msghdr *header = &u->out_header[i].msg_hdr;
    *header = (struct msghdr){.msg_name = &slot->remote,
                              .msg_namelen = net_address_size(remote),
                              .msg_iov = &slot->vec,
                              .msg_iovlen = 1};
    if (u->is_wildcard && local->any.sa_family == remote->any.sa_family)
        put_local_address(slot, header, local);
    return u->is_gathering ? 0 : flush(u);
}

void net_udp_gather(struct net_loop *loop)
{
    for (struct net_udp *u = loop->first_udp; u; u = u->next)
        u->is_gathering = true;
}

void net_udp_send_gathered(struct net_loop *loop)
{
    for (struct net_udp *u = loop->first_udp; u; u = u->next) {
        u->is_gathering = false;
        if (u->out_count > 0)
            flush(u);
    }
}

static void deliver(struct net_udp *u, unsigned i)
{
    struct msghdr *header = &u->in_header[i].msg_hdr;
    struct net_datagram datagram = {.remote = u->in[i].remote,
                                    .data = u->in[i].vec.iov_base,
                                    .len = u->in_header[i].msg_len};
    if (header->msg_flags & MSG_TRUNC)
        datagram.len = u->max_bytes + 1;
    if (u->is_wildcard)
        read_local_address(header, &datagram.local);
    if (datagram.remote.any.sa_family == AF_INET || datagram.remote.any.sa_family == AF_INET6)
        u->received(u->arg, &datagram);
    size_t room = u->in[i].vec.iov_len;
    explicit_bzero(datagram.data, datagram.len < room ? datagram.len : room); /* as for streams */
}

static void reset_headers(struct net_udp *u, int count)
{
    for (int i = 0; i < count; i++) {
        struct msghdr *header = &u->in_header[i].msg_hdr;
        header->msg_namelen = sizeof u->in[i].remote;
        header->msg_controllen = u->is_wildcard ? CONTROL_BYTES : 0;
        header->msg_flags = 0;
    }
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
    (void)events;
    struct net_udp *u = handle->data;
    for (int turn = 0; status == 0 && turn < BATCHES_A_TURN; turn++) {
        int count = recvmmsg(u->fd, u->in_header, BATCH, MSG_DONTWAIT, NULL);
        if (count <= 0)
            return; /* also on an ICMP error of an earlier answer: nothing to do about it */
        u->is_gathering = true;
        for (int i = 0; i < count; i++)
            deliver(u, (unsigned)i);
        u->is_gathering = false;
        flush(u);
        reset_headers(u, count);
        if (count < BATCH)
            return;
    }
}

static int allocate(struct net_udp *u)
{
    size_t slot_bytes = u->max_bytes + 1; /* one more shows that it was longer */
    u->in_memory = malloc(slot_bytes * BATCH);
    u->out_memory = malloc(OUT_BYTES);
    if (!u->in_memory || !u->out_memory)
        return -ENOMEM;
    for (unsigned i = 0; i < BATCH; i++) {
        u->in[i].vec = (struct iovec){u->in_memory + i * slot_bytes, slot_bytes};
        u->in_header[i].msg_hdr = (struct msghdr){.msg_name = &u->in[i].remote,
                                                  .msg_iov = &u->in[i].vec,
                                                  .msg_iovlen = 1,
                                                  .msg_control = u->in[i].control};
    }
    reset_headers(u, BATCH);
    return 0;
}

static void link_udp(struct net_udp *u)
{
    u->next = u->loop->first_udp;
    if (u->next)
        u->next->previous = u;
    u->loop->first_udp = u;
}

static void unlink_udp(struct net_udp *u)
{
    *(u->previous ? &u->previous->next : &u->loop->first_udp) = u->next;
    if (u->next)
        u->next->previous = u->previous;
}

static void free_udp(struct net_udp *u)
{
    if (u->fd >= 0)
        close(u->fd);
    free(u->in_memory);
    free(u->out_memory);
    free(u);
}

int net_udp_open(struct net_loop *loop, struct net_address *address, size_t max_bytes,
                 net_datagram_fn *received, void *arg, struct net_udp **out)
{
    struct net_udp *u = calloc(1, sizeof *u);
    if (!u)
        return -ENOMEM;
    u->loop = loop;
    u->max_bytes = max_bytes;
    u->received = received;
    u->arg = arg;
    u->fd = socket(address->any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int rc = u->fd < 0 ? -errno : bind_socket(u, address);
    if (rc == 0)
        rc = allocate(u);
    if (rc == 0)
        rc = uv_poll_init(&loop->uv, &u->poll, u->fd);
    if (rc < 0) {
        free_udp(u);
        return rc;
    }
    u->poll.data = u;
    link_udp(u);
    uv_poll_start(&u->poll, UV_READABLE, on_readable);
    *out = u;
    return 0;
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct net_udp *u = handle->data;
    free_udp(u); /* the socket was closed before, so that the address is free at once */
}

void net_udp_close(struct net_udp *u)
{
    if (!u)
        return;
    flush(u);
    unlink_udp(u);
    uv_poll_stop(&u->poll);
    close(u->fd);
    u->fd = -1; /* whoever still sends hits no socket of others */
    uv_close((uv_handle_t *)&u->poll, on_poll_closed);
}

uint32_t net_udp_backlog_percent(const struct net_udp *u)
{
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t size = sizeof info;
    if (getsockopt(u->fd, SOL_SOCKET, SO_MEMINFO, info, &size) < 0 || info[SK_MEMINFO_RCVBUF] == 0)
        return 0;
    return (uint32_t)(info[SK_MEMINFO_RMEM_ALLOC] * UINT64_C(100) / info[SK_MEMINFO_RCVBUF]);
}
