#include "net_internal.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

/* libwebsockets gives a handshake this long. Ours are shorter (limits.handshakeSeconds). */
enum { LIBRARY_TIMEOUT_S = 300 };

static void drop_library_log(int level, const char *line)
{
    (void)level;
    (void)line;
}

void net_init(void)
{
    lws_set_log_level(LLL_ERR, drop_library_log);
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static void on_wake(uv_async_t *handle)
{
    struct net_loop *loop = handle->data;
    loop->events.woken(loop->events.arg);
}

/* A tick comes at the head of a turn. It is late because the turn before took so long, or because
 * nobody let us run while we waited. All by the times that the loop has read anyway. */
static void measure_lag(struct net_loop *loop)
{
    uint64_t now_ms = uv_now(&loop->uv);
    uint64_t turn_ms = loop->polled_ms > 0 ? now_ms - loop->polled_ms : 0;
    uint64_t late_ms =
        loop->tick_due_ms > 0 && now_ms > loop->tick_due_ms ? now_ms - loop->tick_due_ms : 0;
    uint64_t lag_ms = turn_ms > late_ms ? turn_ms : late_ms;
    loop->lag_ms = lag_ms < UINT32_MAX ? (uint32_t)lag_ms : UINT32_MAX;
    loop->tick_due_ms = now_ms + NET_LOOP_TICK_MS;
}

static void on_tick(uv_timer_t *handle)
{
    struct net_loop *loop = handle->data;
    measure_lag(loop);
    loop->events.tick(loop->events.arg);
}

static void on_polled(uv_check_t *handle)
{
    struct net_loop *loop = handle->data;
    loop->polled_ms = uv_now(&loop->uv);
    net_stream_read_unread(loop);
}

static int open_uv(struct net_loop *loop)
{
    int rc = uv_loop_init(&loop->uv);
    if (rc < 0)
        return rc;
    rc = uv_async_init(&loop->uv, &loop->wake, on_wake);
    if (rc < 0) {
        uv_loop_close(&loop->uv);
        return rc;
    }
    loop->wake.data = loop;
    uv_timer_init(&loop->uv, &loop->tick);
    loop->tick.data = loop;
    uv_timer_start(&loop->tick, on_tick, NET_LOOP_TICK_MS, NET_LOOP_TICK_MS);
    uv_check_init(&loop->uv, &loop->check);
    loop->check.data = loop;
    uv_check_start(&loop->check, on_polled);
    return 0;
}

static int open_lws(struct net_loop *loop)
{
    void *foreign_loops[1] = {&loop->uv};
    struct lws_context_creation_info info = {0};
    info.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
                   LWS_SERVER_OPTION_UV_NO_SIGSEGV_SIGFPE_SPIN;
    info.foreign_loops = foreign_loops;
    info.pt_serv_buf_size = NET_READ_BYTES;
    info.timeout_secs = LIBRARY_TIMEOUT_S;
    loop->lws = lws_create_context(&info);
    return loop->lws ? 0 : -ENOMEM;
}

/* libwebsockets lets go of a loop that is not its own in two steps: it closes its handles, which
 * takes turns of the loop, and then frees what they used. */
static void close_all(struct net_loop *loop)
{
    if (loop->lws)
        lws_context_destroy(loop->lws);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->tick, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    if (loop->lws)
        lws_context_destroy(loop->lws);
    net_tls_close(loop);
    uv_loop_close(&loop->uv);
}

int net_loop_open(const struct net_loop_events *events, const struct net_stream_events *streams,
                  const char *cert_file, const char *key_file,
                  const struct net_tls_ticket_key *ticket_key, struct net_loop **out,
                  struct buf *error)
{
    struct net_loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return -ENOMEM;
    loop->events = *events;
    loop->streams = *streams;
    int rc = open_uv(loop);
    if (rc < 0) {
        buf_printf(error, "the event loop cannot start: %s", uv_strerror(rc));
        free(loop);
        return rc;
    }
    rc = open_lws(loop);
    if (rc < 0)
        buf_put_text(error, "libwebsockets cannot start (is libwebsockets-evlib-uv installed?)");
    else
        rc = net_tls_open_vhosts(loop, cert_file, key_file, ticket_key, error);
    if (rc < 0) {
        net_loop_close(loop);
        return rc;
    }
    *out = loop;
    return 0;
}

void net_loop_run(struct net_loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

uint32_t net_loop_lag_ms(const struct net_loop *loop)
{
    return loop->lag_ms;
}

void net_loop_stop(struct net_loop *loop)
{
    uv_stop(&loop->uv);
}

void net_loop_wake(struct net_loop *loop)
{
    uv_async_send(&loop->wake);
}

void net_loop_close(struct net_loop *loop)
{
    if (!loop)
        return;
    net_loop_close_streams(loop);
    close_all(loop);
    free(loop);
}
