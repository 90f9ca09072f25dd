#include "worker.h"
#include <aorta/clock.h>
#include <errno.h>

enum { SECOND_MS = 1000 };

static void each_second(struct worker *w, uint64_t now_ms)
{
    struct store *store = w->shared->store;
    store->ops->tick(store, w->index, now_ms);
    if (w->index == 0)
        web_sample_rates(w->shared->web, now_ms);
}

static void heed_bans(struct worker *w)
{
    uint64_t generation = bans_generation(w->shared->bans);
    if (generation == w->bans_seen)
        return;
    w->bans_seen = generation;
    transport_close_banned(w->transport);
}

static void on_tick(void *arg)
{
    struct worker *w = arg;
    uint64_t now_ms = clock_now_ms();
    transport_tick(w->transport, now_ms);
    heed_bans(w);
    if (now_ms < w->next_second_ms)
        return;
    w->next_second_ms = now_ms + SECOND_MS;
    each_second(w, now_ms);
}

/* The last ones shall still be able to answer our close. */
static uint32_t spread_ms(const struct config *config)
{
    uint32_t drain_ms = config->drain_s * SECOND_MS;
    return drain_ms - (drain_ms / 4 < SECOND_MS ? drain_ms / 4 : SECOND_MS);
}

static void on_woken(void *arg)
{
    struct worker *w = arg;
    unsigned commands = atomic_exchange(&w->commands, 0);
    if (commands & WORKER_DRAIN)
        transport_drain(w->transport, clock_now_ms(), spread_ms(w->shared->config));
    if (commands & WORKER_STOP) {
        transport_finish(w->transport);
        net_loop_stop(w->loop);
    }
}

static int open_loop(struct worker *w, struct buf *error)
{
    const struct net_loop_events events = {on_tick, on_woken, w};
    const struct worker_shared *shared = w->shared;
    return net_loop_open(&events, &transport_stream_events, shared->cert_file, shared->key_file,
                         &shared->ticket_key, &w->loop, error);
}

/* The two know each other: the transport calls the registrar for each message, which answers
 * through the transport. */
static int open_transport(struct worker *w)
{
    const struct worker_shared *shared = w->shared;
    struct transport_deps transport = {
        .config = shared->config,
        .loop = w->loop,
        .limit = shared->limit,
        .bans = shared->bans,
        .metrics = &shared->metrics[w->index],
        .worker = w->index,
        .node_state = shared->node_state,
        .public_http = web_handle_public,
        .admin_http = web_handle_admin,
        .http_arg = &w->web,
    };
    w->transport = transport_new(&transport);
    w->web = (struct web_worker){shared->web, shared->store, w->transport, shared->bans};
    struct registrar_deps registrar = {
        .config = shared->config,
        .auth = shared->auth,
        .store = shared->store,
        .transport = w->transport,
        .metrics = &shared->metrics[w->index],
        .worker = w->index,
        .own_hosts = shared->own_hosts,
        .own_host_count = shared->own_host_count,
    };
    w->registrar = w->transport ? registrar_new(&registrar) : NULL;
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
                struct buf *error)
{
    *w = (struct worker){.index = index, .shared = shared};
    int rc = open_loop(w, error);
    if (rc < 0)
        return rc;
    rc = open_transport(w);
    if (rc < 0)
        buf_put_text(error, "out of memory");
    return rc;
}

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

void worker_join(struct worker *w)
{
    if (w->is_started)
        pthread_join(w->thread, NULL);
    w->is_started = false;
}

void worker_close(struct worker *w)
{
    if (w->transport)
        transport_close(w->transport);
    net_loop_close(w->loop);
    w->loop = NULL;
    registrar_free(w->registrar);
    transport_free(w->transport);
    w->registrar = NULL;
    w->transport = NULL;
}
