#include <aorta/limits.h>
#include <aorta/log.h>
#include <aorta/metrics.h>

const struct limit_row limit_rows[LIMITS] = {
#define LIMIT_ROW(name, key, effect) [name] = {key, effect},
    LIMIT_TABLE(LIMIT_ROW)
#undef LIMIT_ROW
};

static void log_reached(struct limit_log *log, enum limit which, const struct net_address *source)
{
    char text[NET_ADDRESS_TEXT];
    LOG_WARN("limit reached", LOG_TEXT("key", limit_rows[which].key),
             LOG_STR("source", source ? net_address_host_port(source, text) : STR("-")),
             LOG_NUM("times", log->times));
    log->times = 0;
}

void limit_reached(struct metrics *m, enum limit which, const struct net_address *source,
                   uint64_t now_ms)
{
    if (!m)
        return;
    metrics_raise(&m->limit_reached[which]);
    struct limit_log *log = &m->limit_log[which];
    log->times++;
    if (now_ms < log->next_ms && log->next_ms - now_ms <= LIMIT_LOG_MS)
        return;
    log->next_ms = now_ms + LIMIT_LOG_MS;
    log_reached(log, which, source);
}
