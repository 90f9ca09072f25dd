#include "why.h"

enum { MINUTE_S = 60, HOUR_S = 3600, DAY_S = 86400 };

const char *flow_state_name(enum flow_state state)
{
    static const char *const names[] = {
        [FLOW_DATAGRAM] = "datagram",
        [FLOW_OPEN] = "open",
        [FLOW_CLOSED] = "closed",
        [FLOW_ELSEWHERE] = "elsewhere",
    };
    return names[state];
}

/* ---- Facts --------------------------------------------------------------------------------- */

struct fact_row {
    const char *name;
    void (*put)(struct buf *b, const struct fact *fact);
    /* What it says about an AOR that has no binding now; NULL: nothing. */
    const char *leaves;
};

static void put_cause(struct buf *b, const struct fact *fact)
{
    if (fact->cause && *fact->cause)
        buf_printf(b, ": %s", fact->cause);
}

static void put_connected(struct buf *b, const struct fact *fact)
{
    buf_printf(b, "connected over %s", transport_kind_name(fact->protocol));
}

static void put_challenged(struct buf *b, const struct fact *fact)
{
    buf_put_text(b, "challenged (401)");
    put_cause(b, fact);
}

static void put_refused(struct buf *b, const struct fact *fact)
{
    buf_put_text(b, "refused (403)");
    put_cause(b, fact);
}

static void put_invalid(struct buf *b, const struct fact *fact)
{
    buf_printf(b, "not served (%u)", fact->number);
    put_cause(b, fact);
}

static void put_unavailable(struct buf *b, const struct fact *fact)
{
    buf_printf(b, "told to come again in %u s (503)", fact->number);
    put_cause(b, fact);
}

static void put_callback(struct buf *b, const struct fact *fact)
{
    buf_printf(b, "the callback was asked, %u ms", fact->number);
    put_cause(b, fact);
}

static void put_granted(struct buf *b, const struct fact *fact)
{
    buf_printf(b, "granted for %u s", fact->number);
}

static void put_refreshed(struct buf *b, const struct fact *fact)
{
    buf_printf(b, "refreshed for %u s, without a new challenge", fact->number);
    if (fact->times > 1)
        buf_printf(b, "; so %u times in a row", fact->times);
}

static void put_unregistered(struct buf *b, const struct fact *fact)
{
    (void)fact;
    buf_put_text(b, "unregistered by its client");
}

static void put_fetched(struct buf *b, const struct fact *fact)
{
    (void)fact;
    buf_put_text(b, "its client asked what is registered");
}

static void put_evicted(struct buf *b, const struct fact *fact)
{
    char text[NET_ADDRESS_TEXT];
    buf_put_text(b, "a contact had to make room for a newer one (registrar.maxContacts)");
    if (fact->source.any.sa_family != AF_UNSPEC) {
        buf_put_text(b, " from ");
        buf_put_str(b, net_address_host_port(&fact->source, text));
    }
}

static void put_expired(struct buf *b, const struct fact *fact)
{
    (void)fact;
    buf_put_text(b, "expired: it was not refreshed in time");
}

static void put_flow_closed(struct buf *b, const struct fact *fact)
{
    buf_put_text(b, "its connection closed");
    put_cause(b, fact);
    if (fact->number > 0)
        buf_printf(b, " (close code %u)", fact->number);
}

static void put_removed(struct buf *b, const struct fact *fact)
{
    (void)fact;
    buf_put_text(b, "removed through the admin API");
}

static void put_moved(struct buf *b, const struct fact *fact)
{
    (void)fact;
    buf_put_text(b, "taken over by another thread or node, where its client registered again");
}

static const struct fact_row rows[FACT_KINDS] = {
    [FACT_CONNECTED] = {"connected",    put_connected,    NULL                                   },
    [FACT_CHALLENGED] = {"challenged",   put_challenged,   "no REGISTER with credentials followed"},
    [FACT_REFUSED] = {"refused",      put_refused,      ""                                     },
    [FACT_INVALID] = {"invalid",      put_invalid,      ""                                     },
    [FACT_UNAVAILABLE] = {"unavailable",  put_unavailable,  "it has not come back since"           },
    [FACT_CALLBACK] = {"callback",     put_callback,     NULL                                   },
    [FACT_GRANTED] = {"granted",      put_granted,      "but the binding is gone"              },
    [FACT_REFRESHED] = {"refreshed",    put_refreshed,    "but the binding is gone"              },
    [FACT_UNREGISTERED] = {"unregistered", put_unregistered, ""                                     },
    [FACT_FETCHED] = {"fetched",      put_fetched,      NULL                                   },
    [FACT_EVICTED] = {"evicted",      put_evicted,      ""                                     },
    [FACT_EXPIRED] = {"expired",      put_expired,      ""                                     },
    [FACT_FLOW_CLOSED] = {"flow-closed",  put_flow_closed,  "and took its binding along"           },
    [FACT_REMOVED] = {"removed",      put_removed,      ""                                     },
    [FACT_MOVED] = {"moved",        put_moved,        "and it is gone there too"             },
};

const char *why_fact_kind_name(enum fact_kind kind)
{
    return rows[kind].name;
}

void why_put_fact(struct buf *b, const struct fact *fact)
{
    rows[fact->kind].put(b, fact);
}

/* ---- The sentence --------------------------------------------------------------------------- */

static bool is_callable(const struct why_binding *binding, uint64_t now_ms)
{
    return binding->state != FLOW_CLOSED && binding->expires_ms > now_ms;
}

static size_t count_callable(const struct why *why)
{
    size_t n = 0;
    for (size_t i = 0; i < why->binding_count; i++)
        n += is_callable(&why->bindings[i], why->now_ms);
    return n;
}

bool why_is_reachable(const struct why *why)
{
    return count_callable(why) > 0;
}

/* "3 s", "12 min", "5 h", "2 days". */
static void put_span(struct buf *b, uint64_t ms)
{
    unsigned long long s = ms / 1000;
    if (s < 2 * MINUTE_S)
        buf_printf(b, "%llu s", s);
    else if (s < 2 * HOUR_S)
        buf_printf(b, "%llu min", s / MINUTE_S);
    else if (s < 2 * DAY_S)
        buf_printf(b, "%llu h", s / HOUR_S);
    else
        buf_printf(b, "%llu days", s / DAY_S);
}

static uint64_t since(uint64_t then_ms, uint64_t now_ms)
{
    return now_ms > then_ms ? now_ms - then_ms : 0;
}

static void put_how(struct buf *b, const struct why_binding *binding, uint64_t now_ms)
{
    char text[NET_ADDRESS_TEXT];
    if (binding->state == FLOW_ELSEWHERE) {
        buf_put_text(b, "through node ");
        buf_put_str(b, binding->node);
        buf_printf(b, ", over %s", transport_kind_name(binding->protocol));
    } else {
        buf_printf(b, "over %s at ", transport_kind_name(binding->protocol));
        buf_put_str(b, net_address_host_port(&binding->source, text));
    }
    if (binding->state == FLOW_OPEN) {
        buf_put_text(b, ", heard ");
        put_span(b, since(binding->heard_ms, now_ms));
        buf_put_text(b, " ago");
    }
    if (binding->state == FLOW_OPEN && binding->unanswered_pings > 0)
        buf_printf(b, " (%u ping%s not answered yet)", binding->unanswered_pings,
                   binding->unanswered_pings > 1 ? "s" : "");
    buf_put_text(b, ", for another ");
    put_span(b, since(now_ms, binding->expires_ms));
}

static void put_reachable(struct buf *b, const struct why *why)
{
    bool is_first = true;
    buf_put_text(b, "Reachable: ");
    for (size_t i = 0; i < why->binding_count; i++) {
        if (!is_callable(&why->bindings[i], why->now_ms))
            continue;
        if (!is_first)
            buf_put_text(b, "; and ");
        is_first = false;
        put_how(b, &why->bindings[i], why->now_ms);
    }
    buf_put_char(b, '.');
}

static void put_unreachable_binding(struct buf *b, const struct why *why)
{
    const struct why_binding *newest = &why->bindings[0];
    if (newest->expires_ms <= why->now_ms) {
        buf_put_text(b, "Not reachable: its registration ran out ");
        put_span(b, since(newest->expires_ms, why->now_ms));
        buf_put_text(b, " ago and is kept a little for a late refresh (registrar.graceSeconds).");
        return;
    }
    buf_printf(b,
               "Not reachable: it is registered, but its %s connection is closed; it stays for "
               "another ",
               transport_kind_name(newest->protocol));
    put_span(b, since(why->now_ms, newest->expires_ms));
    buf_put_text(b, " (registrar.closeRemoves).");
}

/* The last fact that has to do with whether it is registered. */
static const struct fact *find_decisive(const struct why *why)
{
    for (size_t i = why->fact_count; i-- > 0;)
        if (rows[why->facts[i].kind].leaves)
            return &why->facts[i];
    return NULL;
}

static void put_unregistered_sentence(struct buf *b, const struct why *why)
{
    const struct fact *fact = find_decisive(why);
    buf_put_text(b, "Not registered: ");
    if (!fact) {
        buf_put_text(b, "in the ");
        put_span(b, since(why->begins_ms, why->now_ms));
        buf_put_text(b, " that this node remembers, it had nothing to do with this AOR.");
        return;
    }
    why_put_fact(b, fact);
    buf_put_text(b, ", ");
    put_span(b, since(fact->time_ms, why->now_ms));
    buf_put_text(b, " ago");
    if (*rows[fact->kind].leaves)
        buf_printf(b, "; %s", rows[fact->kind].leaves);
    buf_put_char(b, '.');
}

void why_put_sentence(struct buf *b, const struct why *why)
{
    if (why_is_reachable(why))
        put_reachable(b, why);
    else if (why->binding_count > 0)
        put_unreachable_binding(b, why);
    else
        put_unregistered_sentence(b, why);
}
