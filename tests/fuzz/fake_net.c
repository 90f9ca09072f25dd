#include "fake_net.h"
#include "fuzz.h"
#include <errno.h>

enum { SENT_MAX_BYTES = 64 << 20, NO_SUCH_FILE = 1 << 30 };

struct fake_net fake_net;

struct net_listener {
    size_t index;
};
static struct net_listener listener[FAKE_LISTENERS];

/* ---- What src/net would do ------------------------------------------------------------------ */

int net_listener_open(struct net_loop *loop, struct net_address *address, net_accepted_fn *accepted,
                      void *arg, struct net_listener **out)
{
    (void)loop, (void)address;
    size_t i = fake_net.listeners++;
    FUZZ_CHECK(i < FAKE_LISTENERS);
    fake_net.accepted[i] = accepted;
    fake_net.accepted_arg[i] = arg;
    listener[i].index = i;
    *out = &listener[i];
    return 0;
}

void net_listener_pause(struct net_listener *l)
{
    (void)l;
}

void net_listener_resume(struct net_listener *l)
{
    (void)l;
}

void net_listener_close(struct net_listener *l)
{
    (void)l;
}

int net_stream_adopt(struct net_loop *loop, int fd, bool is_tls, void *owner,
                     struct net_stream **out)
{
    (void)loop, (void)fd, (void)is_tls;
    struct net_stream *s = calloc(1, sizeof *s);
    FUZZ_CHECK(s);
    s->owner = owner;
    s->next = fake_net.streams;
    buf_init_heap(&s->sent, SENT_MAX_BYTES);
    fake_net.streams = *out = s;
    return 0;
}

int net_stream_write(struct net_stream *s, char *data, size_t len)
{
    FUZZ_CHECK(!s->is_closed && !s->is_shut);
    memset(data - NET_STREAM_HEADROOM, 0, NET_STREAM_HEADROOM); /* as lws may */
    if (s->refuses_writes)
        return -ENOBUFS;
    s->writes++;
    buf_put(&s->sent, data, len);
    FUZZ_CHECK(s->sent.error == 0);
    return 0;
}

void net_stream_want_write(struct net_stream *s)
{
    FUZZ_CHECK(!s->is_closed);
    s->wants_write = true;
}

static void end(struct net_stream *s)
{
    FUZZ_CHECK(!s->is_closed);
    s->is_closed = true;
    transport_stream_events.closed(s->owner);
}

void net_stream_close(struct net_stream *s)
{
    end(s);
}

bool net_stream_is_ready(const struct net_stream *s)
{
    (void)s;
    return true;
}

bool net_stream_has_backlog(const struct net_stream *s)
{
    return s->refuses_writes;
}

bool net_stream_is_silent(const struct net_stream *s)
{
    (void)s;
    return false;
}

void net_stream_shutdown(struct net_stream *s)
{
    FUZZ_CHECK(!s->is_closed && !s->is_shut);
    s->is_shut = true;
}

int net_prelude_open(struct net_loop *loop, int fd, net_prelude_fn *readable, void *arg,
                     struct net_prelude **out)
{
    (void)loop, (void)fd, (void)readable, (void)arg, (void)out;
    return -ENOSYS; /* no listener here is behind a proxy */
}

ssize_t net_prelude_peek(struct net_prelude *p, char *into, size_t size)
{
    (void)p, (void)into, (void)size;
    return -EPIPE;
}

int net_prelude_take(struct net_prelude *p, size_t n)
{
    (void)p, (void)n;
    return -EPIPE;
}

int net_prelude_release(struct net_prelude *p)
{
    (void)p;
    return -1;
}

void net_prelude_close(struct net_prelude *p)
{
    (void)p;
}

uint32_t net_udp_backlog_percent(const struct net_udp *u)
{
    (void)u;
    return 0;
}

int net_udp_open(struct net_loop *loop, struct net_address *address, size_t max_bytes,
                 net_datagram_fn *received, void *arg, struct net_udp **out)
{
    (void)loop, (void)address, (void)max_bytes;
    fake_net.on_datagram = received;
    fake_net.datagram_arg = arg;
    buf_init_heap(&fake_net.udp_sent, SENT_MAX_BYTES);
    *out = NULL;
    return 0;
}

int net_udp_send(struct net_udp *u, const struct net_address *remote,
                 const struct net_address *local, const char *data, size_t len)
{
    (void)u, (void)local;
    fake_net.udp_count++;
    fake_net.udp_to = *remote;
    buf_clear(&fake_net.udp_sent);
    buf_put(&fake_net.udp_sent, data, len);
    return 0;
}

void net_udp_close(struct net_udp *u)
{
    (void)u;
}

/* ---- What clients do ------------------------------------------------------------------------ */

struct net_stream *fake_connect(size_t index, const struct net_address *remote)
{
    struct net_stream *before = fake_net.streams;
    fake_net.accepted[index](fake_net.accepted_arg[index], NO_SUCH_FILE, remote);
    return fake_net.streams != before ? fake_net.streams : NULL;
}

void fake_receive(struct net_stream *s, struct str bytes)
{
    if (s->is_closed || bytes.len == 0)
        return;
    char *copy = fuzz_copy(bytes);
    if (!transport_stream_events.received(s->owner, copy, bytes.len))
        end(s);
    free(copy);
}

void fake_let_write(struct net_stream *s)
{
    while (!s->is_closed && s->wants_write) {
        s->wants_write = false;
        if (!transport_stream_events.writable(s->owner))
            end(s);
    }
}

void fake_hang_up(struct net_stream *s)
{
    if (!s->is_closed)
        end(s);
}

void fake_datagram(const struct net_address *remote, struct str bytes)
{
    char *copy = fuzz_copy(bytes);
    const struct net_datagram datagram = {.remote = *remote, .data = copy, .len = bytes.len};
    fake_net.on_datagram(fake_net.datagram_arg, &datagram);
    free(copy);
}

void fake_net_free_closed(void)
{
    for (struct net_stream **link = &fake_net.streams; *link;) {
        struct net_stream *s = *link;
        if (!s->is_closed) {
            link = &s->next;
            continue;
        }
        *link = s->next;
        buf_fini(&s->sent);
        free(s);
    }
}

void fake_net_end(void)
{
    for (struct net_stream *s = fake_net.streams; s; s = s->next)
        fake_hang_up(s);
    fake_net_free_closed();
    if (fake_net.on_datagram)
        buf_fini(&fake_net.udp_sent);
    fake_net = (struct fake_net){0};
}
