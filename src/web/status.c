#include "web_internal.h"
#include <aorta/clock.h>
#include <unistd.h>

static const char *state_name(const struct web *web)
{
    switch (atomic_load(web->info.state)) {
    case NODE_RUNNING:
        return "running";
    case NODE_DRAINING:
        return "draining";
    default:
        return "starting";
    }
}

/* "name":{"total":3,"udp":1,…}; connections have no udp. */
static void put_by_transport(struct buf *b, const char *name, const uint64_t count[TRANSPORT_KINDS],
                             enum transport_kind first)
{
    uint64_t total = 0;
    for (int kind = first; kind < TRANSPORT_KINDS; kind++)
        total += count[kind];
    buf_printf(b, ",\"%s\":{\"total\":%llu", name, (unsigned long long)total);
    for (int kind = first; kind < TRANSPORT_KINDS; kind++)
        buf_printf(b, ",\"%s\":%llu", transport_kind_name((enum transport_kind)kind),
                   (unsigned long long)count[kind]);
    buf_put_char(b, '}');
}

static void put_registrations(struct store *store, struct buf *b)
{
    struct store_counts counts = {0};
    store->ops->count(store, &counts);
    put_by_transport(b, "registrations", counts.bindings, TRANSPORT_UDP);
}

static void put_connections(const struct web *web, struct buf *b)
{
    uint64_t count[TRANSPORT_KINDS];
    for (int kind = 0; kind < TRANSPORT_KINDS; kind++)
        count[kind] =
            metrics_connections(web->info.metrics, web->info.workers, (enum transport_kind)kind);
    put_by_transport(b, "connections", count, TRANSPORT_TCP);
}

static void put_rate(struct web *web, struct buf *b, const char *name, enum rate which)
{
    unsigned tenths = atomic_load_explicit(&web->rate_tenths[which], memory_order_relaxed);
    buf_printf(b, "\"%s\":%u.%u", name, tenths / 10, tenths % 10);
}

void web_serve_health(const struct web_call *call, struct http_reply *reply)
{
    (void)call;
    web_begin_json(reply);
    buf_put_text(&reply->body, "{\"status\":\"ok\"}");
}

static const char *find_not_ready_reason(const struct web_worker *worker)
{
    switch (atomic_load(worker->web->info.state)) {
    case NODE_STARTING:
        return "starting";
    case NODE_DRAINING:
        return "draining";
    default:
        return worker->store->ops->is_ready(worker->store) ? NULL : "store away";
    }
}

void web_serve_ready(const struct web_call *call, struct http_reply *reply)
{
    const char *reason = find_not_ready_reason(call->worker);
    web_begin_json(reply);
    if (!reason) {
        buf_put_text(&reply->body, "{\"status\":\"ready\"}");
        return;
    }
    reply->status = 503;
    buf_printf(&reply->body, "{\"reason\":\"%s\"}", reason);
}

void web_serve_status(const struct web_call *call, struct http_reply *reply)
{
    struct web *web = call->worker->web;
    struct store *store = call->worker->store;
    struct buf *b = &reply->body;
    web_begin_json(reply);
    buf_printf(b, "{\"version\":\"%s\",\"node\":", AORTA_VERSION);
    buf_put_json(b, str_from(call->worker->config->node));
    buf_printf(b, ",\"state\":\"%s\",\"uptimeSeconds\":%llu", state_name(web),
               (unsigned long long)(clock_now_ms() - web->info.started_ms) / 1000);
    put_registrations(store, b);
    put_connections(web, b);
    buf_put_text(b, ",\"rates\":{");
    put_rate(web, b, "registersPerSecond", RATE_REGISTERS);
    buf_put_char(b, ',');
    put_rate(web, b, "challengesPerSecond", RATE_CHALLENGES);
    buf_put_char(b, ',');
    put_rate(web, b, "refusedPerSecond", RATE_REFUSED);
    buf_printf(b, "},\"store\":{\"kind\":\"%s\",\"state\":\"%s\"}}", store->ops->name,
               store->ops->is_ready(store) ? "ready" : "away");
}

void web_serve_node(const struct web_call *call, struct http_reply *reply)
{
    const struct web *web = call->worker->web;
    struct buf *b = &reply->body;
    web_begin_json(reply);
    buf_put_text(b, "{\"node\":");
    buf_put_json(b, str_from(call->worker->config->node));
    buf_printf(b, ",\"version\":\"%s\",\"listen\":[", AORTA_VERSION);
    for (size_t i = 0; i < web->listener_count; i++) {
        if (i > 0)
            buf_put_char(b, ',');
        buf_put_json(b, str_from(web->listeners[i]));
    }
    buf_printf(b, "],\"pid\":%d}", (int)getpid());
}

/* No users without --demo, which is no error of whoever asks. */
void web_serve_demo(const struct web_call *call, struct http_reply *reply)
{
    const struct web_info *info = &call->worker->web->info;
    struct buf *b = &reply->body;
    web_begin_json(reply);
    buf_put_text(b, "{\"users\":[");
    for (size_t i = 0; i < info->demo_user_count; i++) {
        buf_put_text(b, i > 0 ? ",{\"aor\":" : "{\"aor\":");
        buf_put_json(b, str_from(info->demo_users[i].aor));
        buf_put_text(b, ",\"password\":");
        buf_put_json(b, str_from(info->demo_users[i].password));
        buf_put_char(b, '}');
    }
    buf_put_text(b, "]}");
}

static uint64_t count_registers(const struct web *web, enum register_outcome outcome)
{
    uint64_t sum = 0;
    for (int kind = 0; kind < TRANSPORT_KINDS; kind++)
        sum += metrics_registers(web->info.metrics, web->info.workers, (enum transport_kind)kind,
                                 outcome);
    return sum;
}

static void sample(const struct web *web, struct rate_sample *s, uint64_t now_ms)
{
    s->at_ms = now_ms;
    s->count[RATE_CHALLENGES] = count_registers(web, REGISTER_CHALLENGED);
    s->count[RATE_REFUSED] = count_registers(web, REGISTER_REFUSED);
    s->count[RATE_REGISTERS] = 0;
    for (int outcome = REGISTER_NONE + 1; outcome < REGISTER_OUTCOMES; outcome++)
        s->count[RATE_REGISTERS] += count_registers(web, (enum register_outcome)outcome);
}

void web_sample_rates(struct web *web, uint64_t now_ms)
{
    struct rate_sample *newest = &web->samples[web->sample_count % RATE_SAMPLES];
    sample(web, newest, now_ms);
    web->sample_count++;
    size_t oldest_index = web->sample_count < RATE_SAMPLES ? 0 : web->sample_count % RATE_SAMPLES;
    const struct rate_sample *oldest = &web->samples[oldest_index];
    uint64_t elapsed_ms = newest->at_ms - oldest->at_ms;
    for (int i = 0; elapsed_ms > 0 && i < RATES; i++) {
        uint64_t tenths = (newest->count[i] - oldest->count[i]) * 10000 / elapsed_ms;
        atomic_store_explicit(&web->rate_tenths[i], (uint32_t)tenths, memory_order_relaxed);
    }
}
