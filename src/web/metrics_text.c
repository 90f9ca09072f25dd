/* GET /metrics in Prometheus' text format 0.0.4: each family as its table says, and from where it
 * comes. Whoever reads it twice must find all series the first time, so zeros are written too. */
#include "web_internal.h"
#include <aorta/bans.h>
#include <aorta/clock.h>
#include <aorta/realms.h>

/* One reading. */
struct reading {
    struct buf *b;
    const struct web_worker *worker;
    const struct metrics *metrics;
    unsigned workers;
    struct store_counts counts;
};
typedef void put_fn(const struct reading *r, enum metric_family family);

/* ---- Lines ---------------------------------------------------------------------------------- */

static void put_head(struct buf *b, enum metric_family family)
{
    static const char *const type[] = {"counter", "gauge", "histogram"};
    const struct metric_family_row *row = &metric_families[family];
    buf_printf(b, "# HELP %s %s.\n# TYPE %s %s\n", row->name, row->help, row->name,
               type[row->type]);
}

static void put_plain(const struct reading *r, enum metric_family family, uint64_t value)
{
    buf_printf(r->b, "%s %llu\n", metric_families[family].name, (unsigned long long)value);
}

static void put_labelled(const struct reading *r, enum metric_family family, const char *label,
                         const char *label_value, uint64_t value)
{
    buf_printf(r->b, "%s{%s=\"%s\"} %llu\n", metric_families[family].name, label, label_value,
               (unsigned long long)value);
}

static void put_label_value(struct buf *b, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '"' || c == '\\')
            buf_put_char(b, '\\');
        if (c == '\n')
            buf_put_text(b, "\\n");
        else
            buf_put_char(b, c);
    }
}

static void put_realm(const struct reading *r, enum metric_family family, struct str realm,
                      uint64_t value)
{
    buf_printf(r->b, "%s{realm=\"", metric_families[family].name);
    put_label_value(r->b, realm);
    buf_printf(r->b, "\"} %llu\n", (unsigned long long)value);
}

/* ---- What the workers count and tell -------------------------------------------------------- */

static void put_counters(const struct reading *r, enum metric_family family)
{
    for (size_t i = 0; i < METRICS; i++) {
        const struct metric_row *row = &metric_rows[i];
        if (row->family != family)
            continue;
        bool has_label = *row->label;
        buf_printf(r->b, "%s%s%s%s %llu\n", metric_families[family].name, has_label ? "{" : "",
                   row->label, has_label ? "}" : "",
                   (unsigned long long)metrics_sum(r->metrics, r->workers, (enum metric)i));
    }
}

static void put_by_worker(const struct reading *r, enum metric_family family, size_t gauge)
{
    for (unsigned i = 0; i < r->workers; i++) {
        uint64_t value = atomic_load_explicit(&r->metrics[i].gauge[gauge], memory_order_relaxed);
        buf_printf(r->b, "%s{worker=\"%u\"} %.10g\n", metric_families[family].name, i,
                   (double)value / metric_gauges[gauge].divisor);
    }
}

static void put_from_tables(const struct reading *r, enum metric_family family)
{
    put_counters(r, family);
    for (size_t i = 0; i < METRIC_GAUGES; i++)
        if (metric_gauges[i].family == family)
            put_by_worker(r, family, i);
}

static void put_registers(const struct reading *r, enum metric_family family)
{
    for (int kind = 0; kind < TRANSPORT_KINDS; kind++)
        for (int outcome = REGISTER_NONE + 1; outcome < REGISTER_OUTCOMES; outcome++)
            buf_printf(r->b, "%s{transport=\"%s\",outcome=\"%s\"} %llu\n",
                       metric_families[family].name, transport_kind_name((enum transport_kind)kind),
                       register_outcomes[outcome],
                       (unsigned long long)metrics_registers(r->metrics, r->workers,
                                                             (enum transport_kind)kind,
                                                             (enum register_outcome)outcome));
}

static void put_limits(const struct reading *r, enum metric_family family)
{
    for (int i = LIMIT_NONE + 1; i < LIMITS; i++)
        put_labelled(r, family, "key", limit_rows[i].key,
                     metrics_limit_reached(r->metrics, r->workers, (enum limit)i));
}

static void put_connections(const struct reading *r, enum metric_family family)
{
    for (int kind = TRANSPORT_TCP; kind < TRANSPORT_KINDS; kind++) /* UDP has none */
        put_labelled(r, family, "transport", transport_kind_name((enum transport_kind)kind),
                     metrics_connections(r->metrics, r->workers, (enum transport_kind)kind));
}

static void put_duration(const struct reading *r, enum metric_family family)
{
    enum metric_duration which = family == FAMILY_REGISTER_S   ? DURATION_REGISTER
                                 : family == FAMILY_CALLBACK_S ? DURATION_CALLBACK
                                                               : DURATION_REDIS;
    struct histogram_sum sum;
    metrics_duration(r->metrics, r->workers, which, &sum);
    histogram_put(r->b, metric_families[family].name, &sum);
}

/* ---- Bindings and their store --------------------------------------------------------------- */

static void put_registrations(const struct reading *r, enum metric_family family)
{
    for (int kind = 0; kind < TRANSPORT_KINDS; kind++)
        put_labelled(r, family, "transport", transport_kind_name((enum transport_kind)kind),
                     r->counts.bindings[kind]);
}

static bool is_any_other(const struct realm *realm)
{
    return str_eq(realm->name, STR("*"));
}

/* Clients choose their domain where "*" is served: those are not told apart. */
static void put_realms(const struct reading *r, enum metric_family family)
{
    struct store *store = r->worker->store;
    const struct realms *realms = r->worker->realms;
    uint64_t others = 0, named = 0;
    for (int kind = 0; kind < TRANSPORT_KINDS; kind++)
        others += r->counts.bindings[kind];
    for (size_t i = 0; realms && i < realms_count(realms); i++) {
        const struct realm *realm = realms_at(realms, i);
        if (is_any_other(realm))
            continue;
        uint64_t count = store->ops->count_realm(store, realm->name);
        put_realm(r, family, realm->name, count);
        named += count;
    }
    put_realm(r, family, STR("other"), others > named ? others - named : 0);
}

static void put_expired(const struct reading *r, enum metric_family family)
{
    put_plain(r, family, r->counts.expired_total);
}

static void put_store_up(const struct reading *r, enum metric_family family)
{
    struct store *store = r->worker->store;
    put_plain(r, family, store->ops->is_ready(store));
}

/* ---- Callbacks ------------------------------------------------------------------------------ */

static void put_callbacks(const struct reading *r, enum metric_family family)
{
    const struct realms *realms = r->worker->realms;
    for (size_t i = 0; realms && i < realms_count(realms); i++) {
        const struct realm *realm = realms_at(realms, i);
        if (!realm->callback)
            continue;
        bool is = family == FAMILY_CALLBACK_UP ? callback_is_answering(realm->callback)
                                               : callback_is_away(realm->callback);
        put_realm(r, family, is_any_other(realm) ? STR("other") : realm->name, is);
    }
}

/* ---- The node ------------------------------------------------------------------------------- */

static void put_build_info(const struct reading *r, enum metric_family family)
{
    buf_printf(r->b, "%s{version=\"%s\",node=\"", metric_families[family].name, AORTA_VERSION);
    put_label_value(r->b, str_from(r->worker->config->node));
    buf_put_text(r->b, "\"} 1\n");
}

static void put_bans(const struct reading *r, enum metric_family family)
{
    put_plain(r, family, bans_count(r->worker->bans, clock_now_ms()));
}

static void put_process(const struct reading *r, enum metric_family family)
{
    web_put_process_metric(r->b, family, r->worker->web->info.started_ms);
}

/* ---- The route ------------------------------------------------------------------------------ */

/* NULL: from the tables. */
static put_fn *const families[METRIC_FAMILIES] = {
    [FAMILY_BUILD_INFO] = put_build_info,
    [FAMILY_REGISTERS] = put_registers,
    [FAMILY_REGISTER_S] = put_duration,
    [FAMILY_REGISTRATIONS] = put_registrations,
    [FAMILY_REALMS] = put_realms,
    [FAMILY_EXPIRED] = put_expired,
    [FAMILY_CONNECTIONS] = put_connections,
    [FAMILY_CALLBACK_S] = put_duration,
    [FAMILY_CALLBACK_UP] = put_callbacks,
    [FAMILY_CALLBACK_OPEN] = put_callbacks,
    [FAMILY_STORE_UP] = put_store_up,
    [FAMILY_REDIS_S] = put_duration,
    [FAMILY_LIMITS] = put_limits,
    [FAMILY_BANS] = put_bans,
    [FAMILY_CPU] = put_process,
    [FAMILY_RESIDENT] = put_process,
    [FAMILY_VIRTUAL] = put_process,
    [FAMILY_OPEN_FDS] = put_process,
    [FAMILY_MAX_FDS] = put_process,
    [FAMILY_START] = put_process,
};

void web_serve_metrics(const struct web_call *call, struct http_reply *reply)
{
    const struct web_worker *worker = call->worker;
    struct reading r = {
        .b = &reply->body,
        .worker = worker,
        .metrics = worker->web->info.metrics,
        .workers = worker->web->info.workers,
    };
    worker->store->ops->count(worker->store, &r.counts);
    reply->status = 200;
    reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
    for (int family = 0; family < METRIC_FAMILIES; family++) {
        put_head(r.b, (enum metric_family)family);
        (families[family] ? families[family] : put_from_tables)(&r, (enum metric_family)family);
    }
}
