#include "worker.h"
#include <aorta/clock.h>
#include <aorta/log.h>
#include <errno.h>
#include <stddef.h>

enum {
    SECOND_MS = 1000,
    PEAK_MS = 30000,
    FLUSH_MS = 3000, /* the end waits so long for the store to take what closed connections left */
};

/* ---- What happens by itself ---------------------------------------------------------------- */

/* Steps on its way to the end; the last one stops the loop. */
static void go_on_stopping(struct worker *w, uint64_t now_ms)
{
    const struct store_ops *store = w->store->ops;
    bool is_over = now_ms >= w->stop_by_ms;
    bool is_idle = registrar_is_idle(w->registrar) && store->is_idle(w->store);
    if (w->stage == WORKER_FLUSHING && (is_idle || is_over)) {
        if (!is_idle)
            LOG_WARN("ending although requests wait, or the store has not taken all removals");
        store->leave(w->store);
        w->stage = WORKER_LEAVING;
    }
    if (w->stage == WORKER_LEAVING && (store->is_idle(w->store) || is_over))
        net_loop_stop(w->loop);
}

static void close_banned(struct worker *w)
{
    uint64_t generation = bans_generation(w->shared->bans);
    if (generation == w->bans_seen)
        return;
    w->bans_seen = generation;
    transport_close_banned(w->transport);
}

/* ---- Too much to do ------------------------------------------------------------------------- */

static void log_level_change(const struct worker *w)
{
    static const char *const now[OVERLOAD_LEVELS] = {
        "load is normal again",
        "overload: newcomers wait outside",
        "overload: new registrations are refused",
        "overload: all registrations are refused",
    };
    static const struct {
        const char *late, *advice;
    } cause[OVERLOAD_CAUSES] = {
        [OVERLOAD_BY_LOOP] = {"worker, ms",          "more CPUs or nodes; or something else takes the CPU"},
        [OVERLOAD_BY_STORE] = {"Redis, ms",           "look at its CPU and its SLOWLOG"                    },
        [OVERLOAD_BY_REQUESTS] = {"requests waiting, %",
                              "look at what the callback and Redis take"                                  },
        [OVERLOAD_BY_DATAGRAMS] = {"datagrams unread, %", "more CPUs or nodes, or it is a flood"               },
    };
    const struct overload *o = &w->overload;
    if (o->level == OVERLOAD_NONE) {
        LOG_INFO(now[o->level], LOG_NUM("worker", w->index));
        return;
    }
    LOG_WARN(now[o->level], LOG_NUM("worker", w->index), LOG_TEXT("late", cause[o->cause].late),
             LOG_NUM("figure", overload_figure(o, o->cause)),
             LOG_NUM("mark", overload_mark(o->cause, o->level, w->config->lag_ms)),
             LOG_TEXT("advice", cause[o->cause].advice));
}

/* Prometheus looks once in many ticks, and a stall is short: so it is told of for PEAK_MS at least,
 * and twice that at most. */
static uint32_t take_peak(struct worker_peak *peak, uint32_t figure, uint64_t now_ms)
{
    if (now_ms - peak->since_ms >= PEAK_MS)
        *peak = (struct worker_peak){.since_ms = now_ms, .before = peak->now};
    if (figure > peak->now)
        peak->now = figure;
    return peak->now > peak->before ? peak->now : peak->before;
}

/* For GET /metrics, which another thread may be asked for. */
static void publish_load(struct worker *w, const uint32_t figure[OVERLOAD_CAUSES], uint64_t now_ms)
{
    struct metrics *m = &w->shared->metrics[w->index];
    struct http_lane_load callbacks = {0};
    registrar_callback_load(w->registrar, &callbacks);
    metrics_set(m, GAUGE_LOOP_LAG_MS, take_peak(&w->lag, figure[OVERLOAD_BY_LOOP], now_ms));
    metrics_set(m, GAUGE_STORE_LAG_MS, figure[OVERLOAD_BY_STORE]);
    metrics_set(m, GAUGE_BACKLOG_PERCENT, figure[OVERLOAD_BY_DATAGRAMS]);
    metrics_set(m, GAUGE_OVERLOAD_LEVEL, w->overload.level);
    metrics_set(m, GAUGE_TRANSACTIONS, registrar_count_transactions(w->registrar));
    metrics_set(m, GAUGE_CALLBACK_WAITING, callbacks.waiting);
    metrics_set(m, GAUGE_CALLBACK_CONNECTIONS, callbacks.connections);
    metrics_set(m, GAUGE_STORE_PENDING, w->store->ops->pending(w->store));
    metrics_set(m, GAUGE_HANDSHAKES, transport_count_handshakes(w->transport));
}

static void take_level(struct worker *w, enum overload_level before)
{
    static const enum metric went_up_to[OVERLOAD_LEVELS] = {
        [OVERLOAD_DELAY] = METRIC_OVERLOAD_DELAY,
        [OVERLOAD_REFUSE_NEW] = METRIC_OVERLOAD_REFUSE_NEW,
        [OVERLOAD_REFUSE_ALL] = METRIC_OVERLOAD_REFUSE_ALL,
    };
    if (w->overload.level > before)
        metrics_add(&w->shared->metrics[w->index], went_up_to[w->overload.level]);
    registrar_set_overload(w->registrar, w->overload.level);
    transport_set_overload(w->transport, w->overload.level);
    log_level_change(w);
}

static void watch_load(struct worker *w, uint64_t now_ms)
{
    const uint32_t figure[OVERLOAD_CAUSES] = {
        [OVERLOAD_BY_LOOP] = net_loop_lag_ms(w->loop),
        [OVERLOAD_BY_STORE] = w->store->ops->lag_ms(w->store),
        [OVERLOAD_BY_REQUESTS] = registrar_load_percent(w->registrar),
        [OVERLOAD_BY_DATAGRAMS] = transport_datagram_backlog(w->transport),
    };
    enum overload_level before = w->overload.level;
    if (overload_update(&w->overload, figure, w->config->lag_ms, now_ms))
        take_level(w, before);
    publish_load(w, figure, now_ms);
}

/* ---- Commands ------------------------------------------------------------------------------ */

/* The last ones shall still be able to answer our close. */
static uint32_t spread_ms(const struct config *config)
{
    uint32_t drain_ms = config->drain_s * SECOND_MS;
    return drain_ms - (drain_ms / 4 < SECOND_MS ? drain_ms / 4 : SECOND_MS);
}

static void begin_stopping(struct worker *w)
{
    transport_finish(w->transport);
    web_streams_end(w->web.streams, clock_now_ms());
    net_loop_close_streams(w->loop);
    event_writer_flush(w->events);
    w->stage = WORKER_FLUSHING;
    w->stop_by_ms = clock_now_ms() + FLUSH_MS;
    go_on_stopping(w, clock_now_ms());
}

static void use_config(struct worker *w, const struct config *config, const struct realms *realms)
{
    w->config = w->web.config = config;
    w->realms = w->web.realms = realms;
    transport_set_config(w->transport, config);
}

/* In a second, unless there are newer ones by then. */
static void try_again(struct worker *w, struct settings *settings)
{
    struct settings *none = NULL;
    if (!atomic_compare_exchange_strong(&w->next, &none, settings))
        settings_release(settings);
}

static void take_settings(struct worker *w)
{
    struct settings *settings = atomic_exchange(&w->next, NULL);
    if (!settings)
        return;
    const struct config *old = w->config;
    const struct realms *old_realms = w->realms;
    use_config(w, settings->config, settings->realms); /* before the old ones may go */
    if (registrar_set_settings(w->registrar, settings) < 0) {
        LOG_ERROR("out of memory: this worker goes on with the old configuration, and tries again");
        use_config(w, old, old_realms);
        try_again(w, settings);
        return;
    }
    settings_release(settings);
}

static void take_certificate(struct worker *w)
{
    struct net_certificate *certificate = atomic_exchange(&w->next_certificate, NULL);
    if (certificate && net_loop_set_certificate(w->loop, certificate) < 0)
        LOG_ERROR("the new certificate cannot be used: this worker goes on with the old one");
    net_certificate_release(certificate);
}

/* ---- Every tick ------------------------------------------------------------------------------ */

static void on_tick(void *arg)
{
    struct worker *w = arg;
    uint64_t now_ms = clock_now_ms();
    transport_tick(w->transport, now_ms);
    w->store->ops->tick(w->store, w->index, now_ms);
    close_banned(w);
    watch_load(w, now_ms);
    event_writer_flush(w->events);
    web_streams_tick(w->web.streams, now_ms);
    go_on_stopping(w, now_ms);
    if (now_ms < w->next_second_ms)
        return;
    w->next_second_ms = now_ms + SECOND_MS;
    take_settings(w); /* left over, for want of memory */
    if (w->index == 0)
        web_sample_rates(w->shared->web, now_ms);
}

/* ---- Errands --------------------------------------------------------------------------------- */

static void take_errand(struct web_worker *from, unsigned worker, struct web_errand *errand)
{
    struct worker *w = (struct worker *)((char *)from - offsetof(struct worker, web));
    struct worker *to = &w->shared->all[worker];
    errand->next = atomic_load_explicit(&to->errands, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&to->errands, &errand->next, errand))
        ;
    net_loop_wake(to->loop);
}

/* `there` NULL: nobody is left to run them. */
static void run_errands(struct worker *w, struct web_worker *there)
{
    struct web_errand *errand = atomic_exchange(&w->errands, NULL);
    for (struct web_errand *next; errand; errand = next) {
        next = errand->next;
        errand->run(there, errand);
    }
}

static void on_woken(void *arg)
{
    struct worker *w = arg;
    run_errands(w, &w->web);
    unsigned commands = atomic_exchange(&w->commands, 0);
    if (commands & WORKER_RELOAD) {
        take_settings(w);
        take_certificate(w);
    }
    if (commands & WORKER_DRAIN)
        transport_drain(w->transport, clock_now_ms(), spread_ms(w->config));
    if (commands & WORKER_STOP && w->stage == WORKER_SERVING)
        begin_stopping(w);
}

/* ---- Opening ------------------------------------------------------------------------------- */

static int open_loop(struct worker *w, struct buf *error)
{
    const struct net_loop_events events = {on_tick, on_woken, w};
    const struct worker_shared *shared = w->shared;
    return net_loop_open(&events, &transport_stream_events, shared->cert_file, shared->key_file,
                         &shared->ticket_key, &w->loop, error);
}

static int publish(void *arg, const struct str *json, size_t count)
{
    return store_redis_publish(arg, json, count);
}

static void on_unpublished(void *arg, size_t count)
{
    event_writer_lost(arg, count);
}

/* Whoever is to know what changes in the store watches it here. */
static void watch_store(struct worker *w)
{
    const struct worker_shared *shared = w->shared;
    w->events = events_writer(shared->events, w->index);
    event_writer_set_metrics(w->events, &shared->metrics[w->index]);
    if (shared->cluster) {
        event_writer_set_publisher(w->events, publish, w->store);
        store_redis_set_unpublished(w->store, on_unpublished, w->events);
    }
    w->event_watcher = (struct store_watcher){.changed = event_writer_changed, .arg = w->events};
    store_watch(w->store, &w->event_watcher);
}

static int open_store(struct worker *w)
{
    const struct worker_shared *shared = w->shared;
    struct histogram *durations = &shared->metrics[w->index].duration[DURATION_REDIS];
    w->store = shared->cluster ? store_redis_open(shared->cluster, w->loop, w->index, durations)
                               : store_memory_view(shared->memory_store);
    if (!w->store)
        return -ENOMEM;
    watch_store(w);
    return 0;
}

static int open_transport(struct worker *w)
{
    const struct worker_shared *shared = w->shared;
    const struct transport_deps deps = {
        .config = w->config,
        .loop = w->loop,
        .limit = shared->limit,
        .bans = shared->bans,
        .request_rates = shared->request_rates,
        .metrics = &shared->metrics[w->index],
        .worker = w->index,
        .node_state = shared->node_state,
        .public_http = web_handle_public,
        .admin_http = web_handle_admin,
        .http_arg = &w->web,
    };
    w->transport = transport_new(&deps);
    w->web = (struct web_worker){
        .web = shared->web,
        .index = w->index,
        .send = take_errand,
        .config = w->config,
        .store = w->store,
        .transport = w->transport,
        .bans = shared->bans,
        .realms = w->realms,
        .events = w->events,
        .streams = web_streams_new(shared->events, w->transport),
    };
    return w->transport && w->web.streams ? 0 : -ENOMEM;
}

/* The two know each other: the transport calls the registrar for each message, which answers
 * through the transport. */
static int open_registrar(struct worker *w, struct settings *settings)
{
    const struct worker_shared *shared = w->shared;
    const struct registrar_deps deps = {
        .auth = shared->auth,
        .http = w->http,
        .bans = shared->bans,
        .failure_rates = shared->failure_rates,
        .store = w->store,
        .workers = shared->workers,
        .transport = w->transport,
        .metrics = &shared->metrics[w->index],
        .events = w->events,
        .journal = shared->journal,
        .traces = shared->traces,
        .worker = w->index,
        .own_hosts = shared->own_hosts,
        .own_host_count = shared->own_host_count,
    };
    w->registrar = registrar_new(&deps, settings);
    if (!w->registrar)
        return -ENOMEM;
    const struct transport_events events = {
        .message = registrar_on_message,
        .broken = registrar_on_broken,
        .closed = registrar_on_closed,
        .is_in_use = registrar_is_in_use,
        .arg = w->registrar,
    };
    transport_set_events(w->transport, &events);
    return 0;
}

int worker_open(struct worker *w, unsigned index, const struct worker_shared *shared,
                struct settings *settings, struct buf *error)
{
    *w = (struct worker){.index = index,
                         .shared = shared,
                         .config = settings->config,
                         .realms = settings->realms};
    int rc = open_loop(w, error);
    if (rc < 0)
        return rc;
    w->http = http_client_new(w->loop);
    rc = w->http ? open_store(w) : -ENOMEM;
    if (rc == 0)
        rc = open_transport(w);
    if (rc == 0)
        rc = open_registrar(w, settings);
    if (rc < 0)
        buf_put_text(error, "out of memory");
    return rc;
}

/* ---- The thread ---------------------------------------------------------------------------- */

static void *run(void *arg)
{
    struct worker *w = arg;
    net_loop_run(w->loop);
    return NULL;
}

int worker_start(struct worker *w)
{
    char name[16];
    struct buf b;
    buf_init_fixed(&b, name, sizeof name - 1);
    buf_printf(&b, "worker %u", w->index);
    name[b.len] = 0;
    int rc = pthread_create(&w->thread, NULL, run, w);
    if (rc != 0)
        return -rc;
    w->is_started = true;
    pthread_setname_np(w->thread, name);
    return 0;
}

void worker_command(struct worker *w, enum worker_command command)
{
    if (!w->is_started)
        return;
    atomic_fetch_or(&w->commands, command);
    net_loop_wake(w->loop);
}

void worker_reload(struct worker *w, struct settings *settings, struct net_certificate *certificate)
{
    settings_hold(settings);
    settings_release(atomic_exchange(&w->next, settings));
    if (certificate) {
        net_certificate_hold(certificate);
        net_certificate_release(atomic_exchange(&w->next_certificate, certificate));
    }
    worker_command(w, WORKER_RELOAD);
}

void worker_join(struct worker *w)
{
    if (w->is_started)
        pthread_join(w->thread, NULL);
    w->is_started = false;
}

/* Whoever may still call others goes before them: callbacks, connections, the store. Requests that
 * wait for one of them are answered through what is left. */
void worker_close(struct worker *w)
{
    registrar_cancel(w->registrar);
    if (w->loop)
        net_loop_close_streams(w->loop);
    store_close(w->store);
    if (w->transport)
        transport_close(w->transport);
    registrar_free(w->registrar);
    web_streams_free(w->web.streams);
    http_client_free(w->http);
    net_loop_close(w->loop);
    transport_free(w->transport);
    settings_release(atomic_exchange(&w->next, NULL));
    net_certificate_release(atomic_exchange(&w->next_certificate, NULL));
    run_errands(w, NULL);
    w->loop = NULL;
    w->store = NULL;
    w->http = NULL;
    w->registrar = NULL;
    w->transport = NULL;
    w->web.streams = NULL;
}
