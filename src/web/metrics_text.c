/* GET /metrics in Prometheus' text format 0.0.4: counters from their table, and what is now. */
#include "web_internal.h"

static void put_head(struct buf *b, const char *family, const char *type, const char *help)
{
    buf_printf(b, "# HELP aorta_%s%s %s.\n# TYPE aorta_%s%s %s\n", family,
               *type == 'c' ? "_total" : "", help, family, *type == 'c' ? "_total" : "", type);
}

static void put_counters(struct buf *b, const struct web *web)
{
    for (size_t i = 0; i < METRICS; i++) {
        const struct metric_row *row = &metric_rows[i];
        if (i == 0 || strcmp(row->family, row[-1].family) != 0)
            put_head(b, row->family, "counter", row->help);
        bool has_label = *row->label;
        uint64_t n = metrics_sum(web->info.metrics, web->info.workers, (enum metric)i);
        buf_printf(b, "aorta_%s_total%s%s%s %llu\n", row->family, has_label ? "{" : "", row->label,
                   has_label ? "}" : "", (unsigned long long)n);
    }
}

static void put_limits(struct buf *b, const struct web *web)
{
    put_head(b, "limit_reached", "counter", "How often a limit was reached, by its key");
    for (int i = LIMIT_NONE + 1; i < LIMITS; i++)
        buf_printf(b, "aorta_limit_reached_total{key=\"%s\"} %llu\n", limit_rows[i].key,
                   (unsigned long long)metrics_limit_reached(web->info.metrics, web->info.workers,
                                                             (enum limit)i));
}

static void put_by_transport(struct buf *b, const char *family,
                             const uint64_t count[TRANSPORT_KINDS], enum transport_kind first)
{
    for (int kind = first; kind < TRANSPORT_KINDS; kind++)
        buf_printf(b, "aorta_%s{transport=\"%s\"} %llu\n", family,
                   transport_kind_name((enum transport_kind)kind), (unsigned long long)count[kind]);
}

static void put_connections(struct buf *b, const struct web *web)
{
    uint64_t count[TRANSPORT_KINDS];
    for (int kind = 0; kind < TRANSPORT_KINDS; kind++)
        count[kind] =
            metrics_connections(web->info.metrics, web->info.workers, (enum transport_kind)kind);
    put_head(b, "connections", "gauge", "SIP connections open");
    put_by_transport(b, "connections", count, TRANSPORT_TCP);
}

static void put_registrations(struct buf *b, struct store *store)
{
    struct store_counts counts = {0};
    store->ops->count(store, &counts);
    put_head(b, "registrations", "gauge", "Bindings kept");
    put_by_transport(b, "registrations", counts.bindings, TRANSPORT_UDP);
}

void web_serve_metrics(const struct web_call *call, struct http_reply *reply)
{
    const struct web *web = call->worker->web;
    reply->status = 200;
    reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
    put_counters(&reply->body, web);
    put_limits(&reply->body, web);
    put_connections(&reply->body, web);
    put_registrations(&reply->body, call->worker->store);
}
