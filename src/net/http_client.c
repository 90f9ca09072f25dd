/* Lanes: what is sent at once, what waits, what has waited too long, and what came of it. A lane
 * has a wire of its own, so that a connection is never shared by lanes with other ideas of whom to
 * trust, and one lane's idle connections never push out another's. */
#include "http_internal.h"
#include "net_internal.h"
#include <aorta/http_client.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct http_client {
    struct net_loop *loop;
    struct http_lane *lanes;
};

struct http_lane {
    struct http_client *client;
    struct http_lane *next, *previous;
    struct http_target target;
    bool is_closed;     /* freed on the loop's next turn; until then it may be on the stack */
    bool is_name_amiss; /* the last lookup of the server's name failed or did not end in time */
    struct http_wire *wire;
    struct http_exchange *busy, *idle;
    unsigned in_flight;
    struct http_request *waiting; /* a ring of max_queued */
    size_t first_waiting, waiting_count;
    uv_timer_t expiry; /* of the first that waits */
};

/* ---- Exchanges ----------------------------------------------------------------------------- */

static struct http_exchange *take_exchange(struct http_lane *lane)
{
    struct http_exchange *x = lane->idle;
    if (!x)
        return http_exchange_new(&lane->target, lane->wire);
    lane->idle = x->next;
    return x;
}

static void give_back(struct http_lane *lane, struct http_exchange *x, CURLcode result)
{
    if (lane->is_closed || !http_exchange_renew(x, result)) {
        http_exchange_free(x);
        return;
    }
    x->next = lane->idle;
    lane->idle = x;
}

static void link_busy(struct http_lane *lane, struct http_exchange *x)
{
    x->previous = NULL;
    x->next = lane->busy;
    if (lane->busy)
        lane->busy->previous = x;
    lane->busy = x;
    lane->in_flight++;
}

static void unlink_busy(struct http_lane *lane, struct http_exchange *x)
{
    *(x->previous ? &x->previous->next : &lane->busy) = x->next;
    if (x->next)
        x->next->previous = x->previous;
    lane->in_flight--;
}

/* ---- Sending ------------------------------------------------------------------------------- */

static int64_t left_ms(const struct http_lane *lane, const struct http_request *r, uint64_t now)
{
    return (int64_t)(r->posted_ms + lane->target.options.timeout_ms) - (int64_t)now;
}

static void send_now(struct http_lane *lane, const struct http_request *r)
{
    int64_t timeout_ms = left_ms(lane, r, http_now_ms());
    if (timeout_ms <= 0) {
        http_request_fail(r, -ETIMEDOUT, "no connection was free in time");
        return;
    }
    struct http_exchange *x = take_exchange(lane);
    if (x && http_exchange_start(x, r, timeout_ms) == 0) {
        link_busy(lane, x);
        return;
    }
    if (x)
        http_exchange_free(x);
    http_request_fail(r, -ENOMEM, "out of memory");
}

/* A lookup that is given up leaves its thread behind: while the name is amiss, one at a time. */
static bool has_free_way(const struct http_lane *lane)
{
    return lane->in_flight < (lane->is_name_amiss ? 1 : lane->target.options.max_in_flight);
}

/* ---- Waiting ------------------------------------------------------------------------------- */

static struct http_request take_first(struct http_lane *lane)
{
    struct http_request r = lane->waiting[lane->first_waiting];
    lane->first_waiting = (lane->first_waiting + 1) % lane->target.options.max_queued;
    lane->waiting_count--;
    return r;
}

static void send_waiting(struct http_lane *lane)
{
    while (lane->waiting_count > 0 && has_free_way(lane)) {
        struct http_request r = take_first(lane);
        send_now(lane, &r);
    }
}

static void on_expiry(uv_timer_t *timer);

/* All have the same time, so the first that waits is the first that has waited too long. */
static void arm_expiry(struct http_lane *lane, uint64_t now)
{
    int64_t delay_ms = left_ms(lane, &lane->waiting[lane->first_waiting], now);
    uv_timer_start(&lane->expiry, on_expiry, delay_ms > 0 ? (uint64_t)delay_ms : 0, 0);
}

static void on_expiry(uv_timer_t *timer)
{
    struct http_lane *lane = timer->data;
    uint64_t now = http_now_ms();
    while (lane->waiting_count > 0 &&
           left_ms(lane, &lane->waiting[lane->first_waiting], now) <= 0) {
        struct http_request r = take_first(lane);
        http_request_fail(&r, -ETIMEDOUT, "no connection was free in time");
    }
    if (lane->waiting_count > 0)
        arm_expiry(lane, now);
}

static void line_up(struct http_lane *lane, const struct http_request *r)
{
    size_t end = (lane->first_waiting + lane->waiting_count++) % lane->target.options.max_queued;
    lane->waiting[end] = *r;
    if (!uv_is_active((uv_handle_t *)&lane->expiry))
        arm_expiry(lane, r->posted_ms);
}

void http_lane_post(struct http_lane *lane, struct str body, http_answered_fn *done, void *arg)
{
    const struct http_request r = {body, done, arg, http_now_ms()};
    if (lane->is_closed)
        http_request_fail(&r, -ECANCELED, "the HTTP client is closing");
    else if (lane->target.flaw)
        http_request_fail(&r, -EIO, lane->target.flaw);
    else if (lane->waiting_count == 0 && has_free_way(lane))
        send_now(lane, &r);
    else if (lane->waiting_count < lane->target.options.max_queued)
        line_up(lane, &r);
    else
        http_request_fail(&r, -ENOBUFS, "too many requests wait for this server");
}

/* ---- Ended --------------------------------------------------------------------------------- */

/* Those that wait come first: what `done` may post queues up behind them. */
static void on_ended(void *arg, CURL *easy, CURLcode result)
{
    struct http_lane *lane = arg;
    struct http_exchange *x = http_exchange_of(easy);
    lane->is_name_amiss = http_exchange_lacks_address(x, result);
    unlink_busy(lane, x);
    send_waiting(lane);
    http_exchange_answer(x, result);
    give_back(lane, x, result);
}

/* ---- Lanes --------------------------------------------------------------------------------- */

static void link_lane(struct http_lane *lane)
{
    struct http_client *client = lane->client;
    lane->next = client->lanes;
    if (client->lanes)
        client->lanes->previous = lane;
    client->lanes = lane;
}

static void unlink_lane(struct http_lane *lane)
{
    *(lane->previous ? &lane->previous->next : &lane->client->lanes) = lane->next;
    if (lane->next)
        lane->next->previous = lane->previous;
}

static int open_parts(struct http_lane *lane, const struct http_lane_options *options)
{
    if (http_target_init(&lane->target, options) < 0)
        return -ENOMEM;
    lane->waiting =
        calloc(options->max_queued > 0 ? options->max_queued : 1, sizeof *lane->waiting);
    lane->wire = http_wire_open(&lane->client->loop->uv, options->max_in_flight, on_ended, lane);
    return lane->waiting && lane->wire ? 0 : -ENOMEM;
}

struct http_lane *http_lane_open(struct http_client *client,
                                 const struct http_lane_options *options)
{
    struct http_lane *lane = calloc(1, sizeof *lane);
    if (!lane)
        return NULL;
    lane->client = client;
    uv_timer_init(&client->loop->uv, &lane->expiry);
    lane->expiry.data = lane;
    link_lane(lane);
    if (open_parts(lane, options) == 0)
        return lane;
    http_lane_close(lane);
    return NULL;
}

static void on_lane_closed(uv_handle_t *handle)
{
    struct http_lane *lane = handle->data;
    http_target_fini(&lane->target); /* the `done` that closed the lane may be reading its flaw */
    free(lane);
}

static void cancel(const struct http_request *r)
{
    http_request_fail(r, -ECANCELED, "the HTTP client is closing");
}

static void cancel_all(struct http_lane *lane)
{
    while (lane->busy) {
        struct http_exchange *x = lane->busy;
        unlink_busy(lane, x);
        http_wire_stop(lane->wire, x->easy);
        cancel(&x->request);
        http_exchange_free(x);
    }
    while (lane->waiting_count > 0) {
        struct http_request r = take_first(lane);
        cancel(&r);
    }
}

void http_lane_close(struct http_lane *lane)
{
    if (!lane || lane->is_closed)
        return;
    lane->is_closed = true;
    unlink_lane(lane);
    cancel_all(lane);
    while (lane->idle)
        http_exchange_free(take_exchange(lane));
    http_wire_close(lane->wire);
    free(lane->waiting);
    uv_close((uv_handle_t *)&lane->expiry, on_lane_closed);
}

/* ---- Client -------------------------------------------------------------------------------- */

static void init_library(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct http_client *http_client_new(struct net_loop *loop)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_library);
    struct http_client *client = calloc(1, sizeof *client);
    if (client)
        client->loop = loop;
    return client;
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    while (client->lanes)
        http_lane_close(client->lanes);
    free(client);
}
