/* Connections through a balancer that passes bytes through and says who its client is, by the PROXY
 * protocol, before anything else. Until then there is no connection of a client's: only a socket
 * that waits for its header, a short while. */
#include "proxy_header.h"
#include "transport_internal.h"
#include <aorta/log.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    WAITING_MAX = 4096, /* a worker: a balancer sends its header with its first packet */
};

struct proxied {
    struct transport_listener *listener;
    struct net_address balancer;
    struct net_prelude *prelude;
    uint64_t due_ms;
    struct proxied *next, *previous; /* in the order of their coming */
    size_t len;
    char data[PROXY_HEADER_MAX_BYTES];
};

static void link_last(struct proxied_list *all, struct proxied *p)
{
    p->previous = all->last;
    p->next = NULL;
    if (p->previous)
        p->previous->next = p;
    else
        all->first = p;
    all->last = p;
    all->count++;
}

static void unlink_and_free(struct proxied *p)
{
    struct proxied_list *all = &p->listener->t->proxied;
    if (p->previous)
        p->previous->next = p->next;
    else
        all->first = p->next;
    if (p->next)
        p->next->previous = p->previous;
    else
        all->last = p->previous;
    all->count--;
    free(p);
}

/* Anybody who reaches the port can cause it: not more than so many lines. */
static void log_refusal(struct transport *t, const struct net_address *balancer, const char *why)
{
    char text[NET_ADDRESS_TEXT];
    if (ratelimit_take(&t->proxied.log_limit, t->now_ms))
        LOG_WARN("connection refused", LOG_TEXT("why", why),
                 LOG_STR("from", net_address_ip(balancer, text)));
}

static void refuse(struct proxied *p, const char *why)
{
    log_refusal(p->listener->t, &p->balancer, why);
    net_prelude_close(p->prelude);
    unlink_and_free(p);
}

static void begin_connection(struct proxied *p, const struct proxy_header *header)
{
    struct transport_listener *listener = p->listener;
    struct net_address remote = header->has_client ? header->client : p->balancer;
    int fd = net_prelude_release(p->prelude);
    unlink_and_free(p);
    conn_on_accepted(listener, fd, &remote);
}

/* Looks before it takes: what stands behind the header is TLS's, or the stream's. */
static void on_readable(void *arg)
{
    struct proxied *p = arg;
    ssize_t n = net_prelude_peek(p->prelude, p->data + p->len, sizeof p->data - p->len);
    if (n == 0)
        return;
    if (n < 0) {
        net_prelude_close(p->prelude); /* a balancer that only tries the port */
        unlink_and_free(p);
        return;
    }
    struct proxy_header header;
    switch (proxy_header_read((struct str){p->data, p->len + (size_t)n}, &header)) {
    case PROXY_HEADER_BAD:
        refuse(p, "no PROXY protocol header, which the listener expects (?proxy=v1v2)");
        break;
    case PROXY_HEADER_MORE:
        if (net_prelude_take(p->prelude, (size_t)n) < 0)
            refuse(p, "the PROXY protocol header cannot be read");
        else
            p->len += (size_t)n;
        break;
    case PROXY_HEADER_WHOLE:
        if (net_prelude_take(p->prelude, header.total_bytes - p->len) < 0)
            refuse(p, "the PROXY protocol header cannot be read");
        else
            begin_connection(p, &header);
        break;
    }
}

void proxied_on_accepted(void *arg, int fd, const struct net_address *remote)
{
    struct transport_listener *listener = arg;
    struct transport *t = listener->t;
    if (fd < 0) {
        transport_limit_reached(t, LIMIT_FILES, NULL);
        return;
    }
    if (!net_networks_have(&t->deps.config->trusted_proxies, remote)) {
        log_refusal(t, remote, "a listener with ?proxy=v1v2 serves trustedProxies only");
        close(fd);
        return;
    }
    struct proxied *p = t->proxied.count < WAITING_MAX ? malloc(sizeof *p) : NULL;
    if (!p) {
        close(fd);
        return;
    }
    p->listener = listener;
    p->balancer = *remote;
    p->due_ms = t->now_ms + t->deps.config->handshake_s * 1000ull;
    p->len = 0;
    if (net_prelude_open(t->deps.loop, fd, on_readable, p, &p->prelude) < 0)
        free(p);
    else
        link_last(&t->proxied, p);
}

/* A deadline that a reload has shortened may wait for one before it that is longer. */
void proxied_check(struct transport *t)
{
    while (t->proxied.first && t->proxied.first->due_ms <= t->now_ms) {
        transport_limit_reached(t, LIMIT_HANDSHAKE_S, &t->proxied.first->balancer);
        refuse(t->proxied.first, "no whole PROXY protocol header within limits.handshakeSeconds");
    }
}

void proxied_close_all(struct transport *t)
{
    while (t->proxied.first) {
        net_prelude_close(t->proxied.first->prelude);
        unlink_and_free(t->proxied.first);
    }
}
