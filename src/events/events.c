/* Events from their composing to the ring and the publisher. */
#include "event_json.h"
#include "events_internal.h"
#include <aorta/clock.h>
#include <aorta/log.h>
#include <errno.h>
#include <stdlib.h>

enum {
    BATCH_BYTES = 64 << 10, /* of what waits to be published */
    AT_ONCE_PER_S = 50,     /* a worker; what is more waits for the tick */
    AT_ONCE_BURST = 20,
    NODE_BYTES = 4096,
    DROPPED_LOG_MS = 10000,
};

/* ---- Life ----------------------------------------------------------------------------------- */

static void init_writer(struct events *e, struct event_writer *w, size_t ring_bytes)
{
    w->events = e;
    event_ring_init(&w->ring, ring_bytes);
    buf_init_heap(&w->lines, BATCH_BYTES + EVENT_MAX_BYTES);
    /* A rate is a whole number a second, so the clock that it is given counts tens of seconds. */
    (void)ratelimit_init(&w->log_limit, 1, 1, 0);
    (void)ratelimit_init(&w->at_once, AT_ONCE_PER_S, AT_ONCE_BURST, 0);
}

struct events *events_new(unsigned workers, const char *node, size_t ring_bytes)
{
    size_t bytes = sizeof(struct events) + workers * sizeof(struct event_writer);
    struct events *e = aligned_alloc(_Alignof(struct events), (bytes + 63) / 64 * 64);
    if (!e)
        return NULL;
    memset(e, 0, bytes);
    e->workers = workers;
    buf_init_heap(&e->node, NODE_BYTES);
    buf_put_json_text(&e->node, JSON_MEMBER("node"), str_from(node));
    for (unsigned i = 0; i < workers; i++)
        init_writer(e, &e->writer[i], ring_bytes);
    if (!e->node.error)
        return e;
    events_free(e);
    return NULL;
}

void events_free(struct events *e)
{
    if (!e)
        return;
    for (unsigned i = 0; i < e->workers; i++) {
        event_ring_fini(&e->writer[i].ring);
        buf_fini(&e->writer[i].lines);
    }
    buf_fini(&e->node);
    free(e);
}

struct event_writer *events_writer(struct events *e, unsigned worker)
{
    return &e->writer[worker];
}

void event_writer_set_metrics(struct event_writer *w, struct metrics *metrics)
{
    w->metrics = metrics;
}

void event_writer_set_publisher(struct event_writer *w, event_publish_fn *publish, void *arg)
{
    w->publish = publish;
    w->publish_arg = arg;
}

/* ---- Listeners ------------------------------------------------------------------------------ */

bool events_add_listener(struct events *e)
{
    unsigned n = atomic_load(&e->listeners);
    do
        if (n >= EVENT_LISTENERS_MAX)
            return false;
    while (!atomic_compare_exchange_weak(&e->listeners, &n, n + 1));
    return true;
}

void events_remove_listener(struct events *e)
{
    atomic_fetch_sub(&e->listeners, 1);
}

/* ---- Dropping ------------------------------------------------------------------------------- */

static void drop(struct event_writer *w, const char *why, size_t count)
{
    w->dropped += count;
    for (size_t i = 0; w->metrics && i < count; i++)
        metrics_add(w->metrics, METRIC_EVENTS_DROPPED);
    if (!ratelimit_take(&w->log_limit, clock_now_ms() * 1000 / DROPPED_LOG_MS))
        return;
    LOG_WARN("events dropped", LOG_TEXT("why", why), LOG_NUM("events", w->dropped));
    w->dropped = 0;
}

void event_writer_lost(struct event_writer *w, size_t count)
{
    drop(w, "Redis did not take them", count);
}

/* ---- Publishing ----------------------------------------------------------------------------- */

static void clear_lines(struct event_writer *w)
{
    w->waiting = 0;
    if (w->lines.error || w->lines.cap > BATCH_BYTES)
        buf_fini(&w->lines);
    buf_clear(&w->lines);
}

void event_writer_flush(struct event_writer *w)
{
    struct str json[EVENT_BATCH];
    if (w->waiting == 0)
        return;
    size_t end = w->lines.len;
    for (size_t i = w->waiting; i-- > 0; end = w->begin[i])
        json[i] = str_slice(buf_str(&w->lines), w->begin[i], end);
    if (w->publish(w->publish_arg, json, w->waiting) < 0)
        drop(w, "Redis is away or too busy", w->waiting);
    clear_lines(w);
}

/* A few go at once, so that they come as they happen, also those of different workers. Many would
 * cost too much one by one. */
static void publish_soon(struct event_writer *w, size_t begin, uint64_t now_ms)
{
    w->begin[w->waiting++] = begin;
    bool is_full = w->waiting == EVENT_BATCH || w->lines.len >= BATCH_BYTES;
    if (is_full || ratelimit_take(&w->at_once, now_ms))
        event_writer_flush(w);
}

/* ---- Writing -------------------------------------------------------------------------------- */

static bool has_listener(const struct event_writer *w)
{
    return atomic_load_explicit(&w->events->listeners, memory_order_relaxed) > 0;
}

static bool is_wanted(const struct event_writer *w)
{
    return w->publish || has_listener(w);
}

/* The event that was composed from `begin` on. */
static void send_event(struct event_writer *w, enum event_type type, size_t begin, uint64_t now_ms)
{
    struct str json = str_slice(buf_str(&w->lines), begin, w->lines.len);
    if (has_listener(w) && event_ring_put(&w->ring, &w->events->next, type, json) < 0)
        drop(w, "no memory", 1);
    if (w->publish)
        publish_soon(w, begin, now_ms);
    else
        clear_lines(w);
}

/* Then what waits before it goes, and it is dropped. */
static bool is_too_much(struct event_writer *w, size_t begin)
{
    if (!w->lines.error && w->lines.len - begin <= EVENT_MAX_BYTES)
        return false;
    w->lines.len = begin;
    w->lines.error = 0;
    event_writer_flush(w);
    clear_lines(w);
    drop(w, "too long, or no memory", 1);
    return true;
}

void event_writer_changed(void *writer, enum store_change change, struct str aor,
                          const struct binding *binding, const struct binding *by)
{
    (void)by;
    struct event_writer *w = writer;
    enum event_type type;
    if (!is_wanted(w) || !event_of_change(change, &type))
        return;
    bool is_now = change == STORE_ADDED || change == STORE_RENEWED;
    uint64_t now_ms = is_now ? binding->refreshed_ms : clock_now_ms();
    size_t begin = w->lines.len;
    event_put_change(&w->lines, change, buf_str(&w->events->node), aor, binding, now_ms);
    if (!is_too_much(w, begin))
        send_event(w, type, begin, now_ms);
}

void event_writer_banned(struct event_writer *w, const struct ban *ban, int64_t seconds)
{
    if (!is_wanted(w))
        return;
    uint64_t now_ms = clock_now_ms();
    size_t begin = w->lines.len;
    event_put_ban(&w->lines, buf_str(&w->events->node), ban, seconds, now_ms);
    if (!is_too_much(w, begin))
        send_event(w, EVENT_BANNED, begin, now_ms);
}
