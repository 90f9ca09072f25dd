/* One connection: hiredis' asynchronous context on our loop.
 *
 * hiredis brings an adapter for libuv, which is not used. It asks for writability before each
 * write, for which libuv takes the socket out of epoll and puts it in again, twice; and it looks
 * away from errors, so that a refused connection is never heard of. Here the socket is polled for
 * reading all the time, commands are written together just before the loop waits, and writability
 * is asked for while the socket is full.
 *
 * hiredis frees its context deep inside its own functions. We learn of it by `cleanup`, and act
 * when these functions have returned. */
#include "redis_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    KEEPALIVE_IDLE_S = 15,
    KEEPALIVE_PROBE_S = 5,
    KEEPALIVE_PROBES = 3,
    READ_BUFFER_KEPT = 256 << 10, /* hiredis gives an empty buffer back to the system above this */
};

struct redis_link {
    struct net_loop *loop;
    redisAsyncContext *context; /* NULL: freed by hiredis */
    uv_poll_t poll;
    uv_prepare_t flush; /* active while there are commands to write before the loop waits */
    unsigned open_handles;
    bool polls_writable; /* from the start until connected; then while the socket is full */
    bool is_ending;
    struct redis_link_events events;
    struct redis_reply_builder builder;
    char why[REDIS_WHY_BYTES];
};

static void on_handle_closed(uv_handle_t *handle)
{
    struct redis_link *link = handle->data;
    if (--link->open_handles > 0)
        return;
    redis_reply_builder_fini(&link->builder);
    free(link);
}

/* hiredis' last word before it closes the socket. */
static void on_cleanup(void *arg)
{
    struct redis_link *link = arg;
    const redisContext *c = &link->context->c;
    if (!link->why[0])
        snprintf(link->why, sizeof link->why, "%s",
                 link->builder.fault ? link->builder.fault
                 : c->err            ? c->errstr
                                     : "closed");
    link->context = NULL;
    uv_close((uv_handle_t *)&link->poll, on_handle_closed);
    uv_close((uv_handle_t *)&link->flush, on_handle_closed);
}

static void end(struct redis_link *link, const char *why)
{
    if (!link->is_ending)
        snprintf(link->why, sizeof link->why, "%s", why);
    link->is_ending = true;
}

/* After each call into hiredis. False when the link is gone. */
static bool settle(struct redis_link *link)
{
    if (link->context && link->context->c.reader->len > REDIS_TEXT_MAX_BYTES)
        end(link, "an answer is too long");
    if (link->context && link->is_ending)
        redisAsyncFree(link->context);
    if (link->context)
        return true;
    link->events.closed(link->events.arg, link->why);
    return false;
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void poll_writable(struct redis_link *link, bool wanted)
{
    if (link->polls_writable == wanted)
        return;
    link->polls_writable = wanted;
    uv_poll_start(&link->poll, UV_READABLE | (wanted ? UV_WRITABLE : 0), on_poll);
}

/* Many at once, each of which may have a phone told. */
static bool read_answers(struct redis_link *link)
{
    struct net_loop *loop = link->loop;
    net_udp_gather(loop);
    redisAsyncHandleRead(link->context);
    bool is_open = settle(link);
    net_udp_send_gathered(loop);
    return is_open;
}

static bool write_commands(struct redis_link *link)
{
    redisAsyncHandleWrite(link->context);
    if (!settle(link))
        return false;
    uv_prepare_stop(&link->flush);
    poll_writable(link, sdslen(link->context->c.obuf) > 0);
    return true;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct redis_link *link = poll->data;
    if (status < 0) { /* libuv no longer polls; reading tells what is wrong */
        if (read_answers(link)) {
            end(link, "the socket failed");
            settle(link);
        }
        return;
    }
    if ((events & UV_READABLE) && !read_answers(link))
        return;
    if (events & UV_WRITABLE)
        write_commands(link);
}

static void on_flush(uv_prepare_t *flush)
{
    write_commands(flush->data);
}

/* hiredis has something to write. */
static void on_add_write(void *arg)
{
    struct redis_link *link = arg;
    if (!link->polls_writable)
        uv_prepare_start(&link->flush, on_flush);
}

static void on_reply(redisAsyncContext *context, void *reply, void *arg)
{
    (void)context;
    struct redis_link *link = arg;
    if (!reply || link->is_ending)
        return;
    if (!link->events.replied(link->events.arg, reply))
        end(link, "closed");
}

static void set_int(int fd, int level, int name, int value)
{
    /* Best effort: a kernel without one of these options still serves. */
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

static void set_socket_options(int fd, uint32_t unacked_ms)
{
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_PROBE_S);
    set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
    set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)unacked_ms);
}

/* The address as hiredis wants it: text, which it need not look up. */
static redisAsyncContext *connect_to(const struct net_address *address)
{
    char ip[NI_MAXHOST];
    if (getnameinfo(&address->any, net_address_size(address), ip, sizeof ip, NULL, 0,
                    NI_NUMERICHOST) != 0)
        return NULL;
    return redisAsyncConnect(ip, net_address_port(address));
}

static int attach(struct redis_link *link, struct net_loop *loop, redisAsyncContext *context)
{
    int rc = redis_reply_builder_init(&link->builder, context);
    if (rc == 0)
        rc = uv_poll_init(&loop->uv, &link->poll, context->c.fd);
    if (rc < 0) {
        redis_reply_builder_fini(&link->builder);
        return rc;
    }
    link->loop = loop;
    uv_prepare_init(&loop->uv, &link->flush);
    link->poll.data = link->flush.data = link;
    link->open_handles = 2;
    link->context = context;
    context->c.reader->maxbuf = READ_BUFFER_KEPT;
    context->ev.data = link;
    context->ev.addWrite = on_add_write;
    context->ev.cleanup = on_cleanup;
    poll_writable(link, true);
    return 0;
}

struct redis_link *redis_link_open(struct net_loop *loop, const struct net_address *address,
                                   uint32_t unacked_ms, const struct redis_link_events *events,
                                   char why[REDIS_WHY_BYTES])
{
    struct redis_link *link = calloc(1, sizeof *link);
    redisAsyncContext *context = link ? connect_to(address) : NULL;
    if (!context || context->err) {
        snprintf(why, REDIS_WHY_BYTES, "%s", context ? context->errstr : "out of memory");
        goto fail;
    }
    set_socket_options(context->c.fd, unacked_ms);
    link->events = *events;
    int rc = attach(link, loop, context);
    if (rc == 0)
        return link;
    snprintf(why, REDIS_WHY_BYTES, "%s", uv_strerror(rc));
fail:
    if (context)
        redisAsyncFree(context);
    free(link);
    return NULL;
}

int redis_link_send(struct redis_link *link, struct str command)
{
    redisAsyncContext *context = link->context;
    const redisCallback *last = context->replies.tail;
    int rc = redisAsyncFormattedCommand(context, on_reply, link, command.ptr, command.len);
    /* Without memory to remember a command hiredis sends it nevertheless; its answer would then be
     * taken for that of another. */
    if (rc == REDIS_OK && context->replies.tail != last && !context->c.err)
        return 0;
    end(link, "out of memory");
    on_add_write(link);
    return -ENOMEM;
}

void redis_link_close(struct redis_link *link)
{
    redisAsyncFree(link->context);
}
