#include "event_json.h"

struct str event_type_name(enum event_type type)
{
    static const struct str name[EVENT_TYPES] = {
        [EVENT_REGISTERED] = STR("registered"),     [EVENT_REFRESHED] = STR("refreshed"),
        [EVENT_UNREGISTERED] = STR("unregistered"), [EVENT_EXPIRED] = STR("expired"),
        [EVENT_FLOW_CLOSED] = STR("flow-closed"),   [EVENT_BANNED] = STR("banned"),
    };
    return name[type];
}

#define AS(type, text, reason)                                                                    \
    {                                                                                             \
        true, type, STR("{\"type\":\"" text "\",\"time\":"), STR("\",\"reason\":\"" reason "\"}") \
    }

/* All of it that is known before: an event costs no more than a few copies. */
static const struct {
    bool is_event;
    enum event_type type;
    struct str head, tail;
} of_change[STORE_CHANGES] = {
    [STORE_ADDED] = AS(EVENT_REGISTERED, "registered", "new contact"),
    [STORE_RENEWED] = AS(EVENT_REFRESHED, "refreshed", "refreshed by its client"),
    [STORE_REMOVED] = AS(EVENT_UNREGISTERED, "unregistered", "removed by its client"),
    [STORE_EVICTED] = AS(EVENT_UNREGISTERED, "unregistered", "replaced: registrar.maxContacts"),
    [STORE_EXPIRED] = AS(EVENT_EXPIRED, "expired", "not refreshed in time"),
    [STORE_FLOW_CLOSED] = AS(EVENT_FLOW_CLOSED, "flow-closed", "its connection closed"),
    [STORE_REMOVED_BY_ADMIN] = AS(EVENT_UNREGISTERED, "unregistered", "removed by the admin API"),
    [STORE_REPLACED_ELSEWHERE] = {false, EVENT_TYPES, STR(""), STR("")},
};

bool event_of_change(enum store_change change, enum event_type *type)
{
    *type = of_change[change].type;
    return of_change[change].is_event;
}

static struct str tail_of(enum store_change change, const struct binding *binding)
{
    static const struct str stays =
        STR("\",\"reason\":\"its connection closed; it stays until it expires\"}");
    return change == STORE_FLOW_CLOSED && binding->is_flow_dead ? stays : of_change[change].tail;
}

void event_put_change(struct buf *b, enum store_change change, struct str node, struct str aor,
                      const struct binding *binding, uint64_t now_ms)
{
    char source[NET_ADDRESS_TEXT];
    buf_put_str(b, of_change[change].head);
    buf_put_u64(b, now_ms);
    buf_put_str(b, node);
    buf_put_json_text(b, JSON_MEMBER("aor"), aor);
    buf_put_json_text(b, JSON_MEMBER("contact"), binding->contact);
    buf_put_str(b, STR(",\"protocol\":\""));
    buf_put_text(b, transport_kind_name(binding->protocol));
    buf_put_str(b, STR("\",\"source\":\""));
    buf_put_str(b, net_address_host_port(&binding->source, source));
    buf_put_str(b, tail_of(change, binding));
}

void event_put_ban(struct buf *b, struct str node, const struct ban *ban, int64_t seconds,
                   uint64_t now_ms)
{
    char ip[NET_ADDRESS_TEXT];
    buf_put_str(b, STR("{\"type\":\"banned\",\"time\":"));
    buf_put_u64(b, now_ms);
    buf_put_str(b, node);
    buf_put_str(b, STR(",\"ip\":\""));
    buf_put_str(b, net_network_text(&ban->net, ip));
    buf_put_char(b, '"');
    if (seconds < 0)
        buf_put_str(b, STR(",\"seconds\":-1"));
    else
        buf_put_json_number(b, JSON_MEMBER("seconds"), (uint64_t)seconds);
    buf_put_json_text(b, JSON_MEMBER("reason"), ban->reason);
    buf_put_char(b, '}');
}
