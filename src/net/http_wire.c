/* libcurl's multi_socket interface on a libuv loop, until a connection is there; from then on its
 * bytes are moved here, and libcurl is asked only to encrypt them and to disconnect. A connection's
 * handle stays in the multi all the time, for with it libcurl closes the connection. Each has one
 * uv_poll for life: when libcurl asks to stop watching, that is remembered only. */
#include "http_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUCKETS = 64 };

/* A descriptor that is watched. */
struct http_link {
    uv_poll_t poll;
    struct http_wire *wire;
    struct http_link *next; /* in its bucket */
    curl_socket_t fd;
    bool is_connection; /* else the pipe by which a resolver thread wakes us */
    bool is_plain;      /* once connected: no TLS */
    CURL *easy;         /* once connected; until then events are libcurl's */
    int wanted;         /* UV_READABLE, UV_WRITABLE: what is waited for */
    int polled;         /* what the loop looks for; perhaps more than wanted */
};

struct http_wire {
    CURLM *multi;
    uv_loop_t *uv;
    uv_timer_t timer;
    uv_idle_t turn;   /* in place of a timer that is due at once */
    unsigned handles; /* of these two, not yet closed */
    bool is_closed;
    struct http_wire_events events;
    struct http_link *bucket[BUCKETS];
};

/* ---- Connecting ---------------------------------------------------------------------------- */

static struct http_link **find_place(struct http_wire *wire, curl_socket_t fd)
{
    struct http_link **place = &wire->bucket[(unsigned)fd % BUCKETS];
    while (*place && (*place)->fd != fd)
        place = &(*place)->next;
    return place;
}

static void watch(struct http_link *w, int wanted);

/* The connection is ours now. NULL if libcurl knows none. */
static struct http_link *take_over(struct http_wire *wire, CURL *easy)
{
    curl_socket_t fd = CURL_SOCKET_BAD;
    char *scheme = NULL;
    curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd);
    curl_easy_getinfo(easy, CURLINFO_SCHEME, &scheme);
    struct http_link *link = fd == CURL_SOCKET_BAD ? NULL : *find_place(wire, fd);
    if (!link)
        return NULL;
    link->easy = easy;
    link->is_plain = scheme && strcasecmp(scheme, "http") == 0;
    watch(link, UV_READABLE);
    return link;
}

static void tell(struct http_wire *wire, CURL *easy, CURLcode result)
{
    struct http_link *link = result == CURLE_OK ? take_over(wire, easy) : NULL;
    if (!link)
        curl_multi_remove_handle(wire->multi, easy);
    wire->events.connected(wire->events.arg, easy, link, result);
}

static void run(struct http_wire *wire, curl_socket_t fd, int events)
{
    int ignored;
    CURLMsg *message;
    curl_multi_socket_action(wire->multi, fd, events, &ignored);
    while (!wire->is_closed && (message = curl_multi_info_read(wire->multi, &ignored)))
        tell(wire, message->easy_handle, message->data.result);
}

static void on_timer(uv_timer_t *timer)
{
    run(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static void on_turn(uv_idle_t *turn)
{
    uv_idle_stop(turn);
    run(turn->data, CURL_SOCKET_TIMEOUT, 0);
}

/* A timer of 0 ms that is started again each time it fires would fire again and again within one
 * turn of the loop; with a quick server and a long queue nobody else would get a turn. */
static int on_new_timeout(CURLM *multi, long timeout_ms, void *arg)
{
    (void)multi;
    struct http_wire *wire = arg;
    uv_timer_stop(&wire->timer);
    uv_idle_stop(&wire->turn);
    if (timeout_ms == 0)
        uv_idle_start(&wire->turn, on_turn);
    else if (timeout_ms > 0)
        uv_timer_start(&wire->timer, on_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

/* ---- Watching ------------------------------------------------------------------------------ */

static struct http_link *add_watched(struct http_wire *wire, curl_socket_t fd, bool is_connection)
{
    struct http_link *w = calloc(1, sizeof *w);
    if (!w || uv_poll_init(wire->uv, &w->poll, fd) < 0) {
        free(w);
        return NULL;
    }
    w->poll.data = w;
    w->wire = wire;
    w->fd = fd;
    w->is_connection = is_connection;
    struct http_link **place = &wire->bucket[(unsigned)fd % BUCKETS];
    w->next = *place;
    *place = w;
    return w;
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* Before its descriptor is closed, which a later socket may have again. */
static void remove_watched(struct http_link **place)
{
    struct http_link *w = *place;
    *place = w->next;
    uv_close((uv_handle_t *)&w->poll, on_poll_closed);
}

/* What failed is for libcurl to find out, by the read or write that it waits for. */
static int events_to_curl(const struct http_link *w, int status, int events)
{
    int happened = status < 0 ? w->wanted : events;
    return (happened & UV_READABLE ? CURL_CSELECT_IN : 0) |
           (happened & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
    struct http_link *w = poll->data;
    if (status < 0)
        w->polled = 0; /* libuv has stopped it */
    if (w->easy) {
        const struct http_wire_events *to = &w->wire->events;
        int happened = status < 0 ? w->wanted : events;
        watch(w, w->wanted); /* what came before an error may be read only in part now */
        to->ready(to->arg, w->easy, happened);
    } else if (w->wanted != 0) {
        run(w->wire, w->fd, events_to_curl(w, status, events));
    } else {
        uv_poll_stop(poll);
        w->polled = 0;
    }
}

static void watch(struct http_link *w, int wanted)
{
    w->wanted = wanted;
    if (wanted == 0 || wanted == w->polled)
        return;
    w->polled = wanted;
    uv_poll_start(&w->poll, wanted, on_event);
}

/* Of libcurl's own descriptors one hears here first. Without memory for one nothing is lost but
 * time: libcurl also looks at it when its timer fires. */
static int on_interest(CURL *easy, curl_socket_t fd, int what, void *arg, void *assigned)
{
    (void)easy;
    (void)assigned;
    struct http_wire *wire = arg;
    struct http_link **place = find_place(wire, fd);
    struct http_link *w = *place;
    int wanted = what == CURL_POLL_REMOVE ? 0
                                          : (what & CURL_POLL_IN ? UV_READABLE : 0) |
                                                (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    if (!w && wanted != 0)
        w = add_watched(wire, fd, false);
    if (w && wanted == 0 && !w->is_connection)
        remove_watched(place);
    else if (w && !w->easy)
        watch(w, wanted);
    return 0;
}

/* ---- Connections --------------------------------------------------------------------------- */

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    int type = address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK;
    int fd = socket(address->family, type, address->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    if (!add_watched(arg, fd, true)) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    return fd;
}

static int on_close_socket(void *arg, curl_socket_t fd)
{
    struct http_link **place = find_place(arg, fd);
    if (*place)
        remove_watched(place);
    return close(fd);
}

CURLcode http_wire_set_options(struct http_wire *wire, CURL *easy)
{
    unsigned rc = 0;
    rc |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    rc |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, wire);
    rc |= curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
    rc |= curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, wire);
    return rc == 0 ? CURLE_OK : CURLE_FAILED_INIT;
}

/* ---- Bytes --------------------------------------------------------------------------------- */

/* Always by libcurl: having sent by a handle, it does not take the connection for an idle one that
 * it may close. */
ssize_t http_link_send(struct http_link *link, struct str bytes)
{
    size_t n = 0;
    CURLcode rc = curl_easy_send(link->easy, bytes.ptr, bytes.len, &n);
    if (rc == CURLE_AGAIN || (rc == CURLE_OK && n == 0))
        return -EAGAIN;
    return rc == CURLE_OK ? (ssize_t)n : -EIO;
}

ssize_t http_link_receive(struct http_link *link, void *bytes, size_t most)
{
    size_t got = 0;
    if (link->is_plain) {
        ssize_t n = recv(link->fd, bytes, most, 0);
        bool is_early = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
        return n >= 0 ? n : is_early ? -EAGAIN : -EIO;
    }
    CURLcode rc = curl_easy_recv(link->easy, bytes, most, &got);
    if (rc == CURLE_AGAIN)
        return -EAGAIN;
    return rc == CURLE_OK ? (ssize_t)got : -EIO;
}

void http_link_await_room(struct http_link *link, bool wanted)
{
    watch(link, UV_READABLE | (wanted ? UV_WRITABLE : 0));
}

/* ---- Life ---------------------------------------------------------------------------------- */

struct http_wire *http_wire_open(uv_loop_t *uv, const struct http_wire_events *events)
{
    struct http_wire *wire = calloc(1, sizeof *wire);
    CURLM *multi = wire ? curl_multi_init() : NULL;
    if (!multi) {
        free(wire);
        return NULL;
    }
    *wire = (struct http_wire){.multi = multi, .uv = uv, .events = *events, .handles = 2};
    uv_timer_init(uv, &wire->timer);
    uv_idle_init(uv, &wire->turn);
    wire->timer.data = wire->turn.data = wire;
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_interest);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, wire);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_new_timeout);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, wire);
    return wire;
}

int http_wire_start(struct http_wire *wire, CURL *easy)
{
    return curl_multi_add_handle(wire->multi, easy) == CURLM_OK ? 0 : -ENOMEM;
}

void http_wire_stop(struct http_wire *wire, CURL *easy)
{
    curl_multi_remove_handle(wire->multi, easy);
}

static void on_closed(uv_handle_t *handle)
{
    struct http_wire *wire = handle->data;
    if (--wire->handles == 0)
        free(wire);
}

void http_wire_close(struct http_wire *wire)
{
    if (!wire)
        return;
    wire->is_closed = true;
    curl_multi_cleanup(wire->multi);
    uv_close((uv_handle_t *)&wire->timer, on_closed);
    uv_close((uv_handle_t *)&wire->turn, on_closed);
}
