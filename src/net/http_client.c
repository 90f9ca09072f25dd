/* Lanes: what is sent at once, what waits, what has waited too long, and what came of it. A lane
 * has a wire of its own, so that a connection is never shared by lanes with other ideas of whom to
 * trust, and one lane's idle connections never push out another's. */
#include "http_internal.h"
#include "net_internal.h"
#include <aorta/http_client.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum { MAX_IDLE_MS = 118000 }; /* libcurl's own number */

struct http_client {
    struct net_loop *loop;
    struct http_lane *lanes;
};

struct exchanges {
    struct http_exchange *first, *last;
};

struct http_lane {
    struct http_client *client;
    struct http_lane *next, *previous;
    struct http_target target;
    bool is_closed;     /* freed on the loop's next turn; until then it may be on the stack */
    bool is_name_amiss; /* the last lookup of the server's name failed or did not end in time */
    struct http_wire *wire;
    struct exchanges busy; /* those that were posted first come first */
    struct exchanges idle; /* connected; the one used last comes first */
    unsigned in_flight;
    uint32_t answer_us;           /* how long an answer takes, smoothed; 0: none has come yet */
    struct http_request *waiting; /* a ring of max_queued */
    size_t first_waiting, waiting_count;
    uv_timer_t expiry; /* of the first request of all, or of one that has ended since */
    struct buf body;   /* of the answer that is being told */
};

/* ---- Lists --------------------------------------------------------------------------------- */

static void push_front(struct exchanges *list, struct http_exchange *x)
{
    x->previous = NULL;
    x->next = list->first;
    *(x->next ? &x->next->previous : &list->last) = x;
    list->first = x;
}

static void push_back(struct exchanges *list, struct http_exchange *x)
{
    x->next = NULL;
    x->previous = list->last;
    *(x->previous ? &x->previous->next : &list->first) = x;
    list->last = x;
}

static void unlink_from(struct exchanges *list, struct http_exchange *x)
{
    *(x->previous ? &x->previous->next : &list->first) = x->next;
    *(x->next ? &x->next->previous : &list->last) = x->previous;
}

/* ---- Sending ------------------------------------------------------------------------------- */

static int64_t left_ms(const struct http_lane *lane, const struct http_request *r, uint64_t now)
{
    return http_request_left_ms(r, &lane->target, now);
}

/* The one used last: the others may rest until their server closes them. What has been silent for
 * long some box on the way may have forgotten. */
static struct http_exchange *take_exchange(struct http_lane *lane, uint64_t now)
{
    struct http_exchange *x = lane->idle.first;
    while (x && now - x->since_ms > MAX_IDLE_MS) {
        unlink_from(&lane->idle, x);
        http_exchange_free(x);
        x = lane->idle.first;
    }
    if (!x)
        return http_exchange_new(&lane->target, lane->wire);
    unlink_from(&lane->idle, x);
    return x;
}

static void arm_expiry(struct http_lane *lane, const struct http_request *first, uint64_t now);

static void send_now(struct http_lane *lane, const struct http_request *r)
{
    uint64_t now = http_now_ms();
    if (left_ms(lane, r, now) <= 0) {
        http_request_fail(r, -ETIMEDOUT, "no connection was free in time");
        return;
    }
    struct http_exchange *x = take_exchange(lane, now);
    if (x && http_exchange_start(x, r) == 0) {
        x->since_ms = now;
        push_back(&lane->busy, x);
        lane->in_flight++;
        arm_expiry(lane, r, now);
        return;
    }
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

/* What would be given up before its answer can have come is work for nothing there; and when many
 * wait, each that is sent in spite of it makes the next one as late. */
static bool is_hopeless(const struct http_lane *lane, const struct http_request *r)
{
    return lane->answer_us > 0 && left_ms(lane, r, http_now_ms()) < lane->answer_us / 1000;
}

static void send_waiting(struct http_lane *lane)
{
    while (lane->waiting_count > 0 && has_free_way(lane)) {
        struct http_request r = take_first(lane);
        if (is_hopeless(lane, &r))
            http_request_fail(&r, -ENOBUFS, "too many requests wait for this server");
        else
            send_now(lane, &r);
    }
}

uint32_t http_lane_wait_ms(const struct http_lane *lane)
{
    if (lane->waiting_count == 0 && has_free_way(lane))
        return 0;
    uint64_t answers = lane->waiting_count + 1;
    return (uint32_t)(answers * lane->answer_us / lane->target.options.max_in_flight / 1000);
}

struct http_lane_load http_lane_load(const struct http_lane *lane)
{
    struct http_lane_load load = {lane->waiting_count, lane->in_flight};
    for (const struct http_exchange *x = lane->idle.first; x; x = x->next)
        load.connections++;
    return load;
}

static void line_up(struct http_lane *lane, const struct http_request *r)
{
    size_t end = (lane->first_waiting + lane->waiting_count++) % lane->target.options.max_queued;
    lane->waiting[end] = *r;
    arm_expiry(lane, r, r->posted_ms);
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

enum { ANSWERS_SMOOTHED = 16 };

/* Of answers only: an outage says nothing about how long they take. */
static void learn_time(struct http_lane *lane, const struct http_answer *answer, uint64_t took_ms)
{
    if (answer->error != 0)
        return;
    int64_t us = (int64_t)took_ms * 1000;
    int64_t old_us = lane->answer_us > 0 ? lane->answer_us : us;
    lane->answer_us = (uint32_t)(old_us + (us - old_us) / ANSWERS_SMOOTHED);
}

/* Those that wait come first: what `done` may post queues up behind them. */
static void end(struct http_lane *lane, struct http_exchange *x)
{
    const struct http_request r = x->request;
    struct http_answer answer;
    lane->is_name_amiss = x->lacks_address;
    unlink_from(&lane->busy, x);
    lane->in_flight--;
    http_exchange_take_answer(x, &lane->body, &answer);
    uint64_t now = r.posted_ms + answer.took_ms;
    learn_time(lane, &answer, now - x->since_ms);
    bool is_kept = http_exchange_keep(x);
    if (is_kept) {
        x->since_ms = now;
        push_front(&lane->idle, x);
    }
    send_waiting(lane);
    r.done(r.arg, &answer);
    if (lane->body.len > 0)
        explicit_bzero(lane->body.data, lane->body.len);
    if (!is_kept)
        http_exchange_free(x);
}

/* ---- What happens --------------------------------------------------------------------------- */

static void on_connected(void *arg, CURL *easy, struct http_link *link, CURLcode result)
{
    struct http_lane *lane = arg;
    struct http_exchange *x = http_exchange_of(easy);
    if (http_exchange_connected(x, link, result) == HTTP_ENDED)
        end(lane, x);
}

/* Its server has nothing to say between two questions, but that it closes. */
static void drop_if_dead(struct http_lane *lane, struct http_exchange *x)
{
    if (http_exchange_is_alive(x))
        return;
    unlink_from(&lane->idle, x);
    http_exchange_free(x);
}

static void on_ready(void *arg, CURL *easy, int events)
{
    struct http_lane *lane = arg;
    struct http_exchange *x = http_exchange_of(easy);
    if (!x->is_busy)
        drop_if_dead(lane, x);
    else if (http_exchange_go_on(x, events) == HTTP_ENDED)
        end(lane, x);
}

/* ---- Expiry -------------------------------------------------------------------------------- */

static void on_expiry(uv_timer_t *timer);

/* Requests have all the same time, so the first is the first to have no more of it. A timer that
 * runs for an earlier one is left alone. */
static void arm_expiry(struct http_lane *lane, const struct http_request *first, uint64_t now)
{
    if (lane->is_closed || uv_is_active((uv_handle_t *)&lane->expiry))
        return;
    int64_t delay_ms = left_ms(lane, first, now);
    uv_timer_start(&lane->expiry, on_expiry, delay_ms > 0 ? (uint64_t)delay_ms : 0, 0);
}

/* Those that wait were posted after those that are busy. */
static void on_expiry(uv_timer_t *timer)
{
    struct http_lane *lane = timer->data;
    uint64_t now = http_now_ms();
    while (lane->busy.first && left_ms(lane, &lane->busy.first->request, now) <= 0) {
        struct http_exchange *x = lane->busy.first;
        (void)http_exchange_time_out(x);
        end(lane, x);
    }
    while (lane->waiting_count > 0 &&
           left_ms(lane, &lane->waiting[lane->first_waiting], now) <= 0) {
        struct http_request r = take_first(lane);
        http_request_fail(&r, -ETIMEDOUT, "no connection was free in time");
    }
    if (lane->busy.first)
        arm_expiry(lane, &lane->busy.first->request, now);
    else if (lane->waiting_count > 0)
        arm_expiry(lane, &lane->waiting[lane->first_waiting], now);
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
    const struct http_wire_events events = {on_connected, on_ready, lane};
    lane->wire = http_wire_open(&lane->client->loop->uv, &events);
    return lane->waiting && lane->wire ? 0 : -ENOMEM;
}

struct http_lane *http_lane_open(struct http_client *client,
                                 const struct http_lane_options *options)
{
    struct http_lane *lane = calloc(1, sizeof *lane);
    if (!lane)
        return NULL;
    lane->client = client;
    buf_init_heap(&lane->body, options->max_answer_bytes);
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
    /* What closed the lane may have been told by its flaw or the body. */
    http_target_fini(&lane->target);
    buf_fini(&lane->body);
    free(lane);
}

static void cancel(const struct http_request *r)
{
    http_request_fail(r, -ECANCELED, "the HTTP client is closing");
}

static void cancel_all(struct http_lane *lane)
{
    while (lane->busy.first) {
        struct http_exchange *x = lane->busy.first;
        struct http_request r = x->request;
        unlink_from(&lane->busy, x);
        lane->in_flight--;
        http_exchange_free(x);
        cancel(&r);
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
    while (lane->idle.first) {
        struct http_exchange *x = lane->idle.first;
        unlink_from(&lane->idle, x);
        http_exchange_free(x);
    }
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
