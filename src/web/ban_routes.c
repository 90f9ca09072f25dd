#include "web_internal.h"
#include <aorta/bans.h>
#include <aorta/clock.h>
#include <aorta/events.h>
#include <aorta/log.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>

enum {
    MAX_SECONDS = 10 * 365 * 24 * 3600,
    FOR_EVER = -1, /* as its `seconds` */
};

/* ---- Showing ------------------------------------------------------------------------------- */

struct shown {
    struct buf *b;
    uint64_t now_ms;
    size_t count;
    const struct net_network *only; /* NULL: all */
};

static void put_ban(struct buf *b, const struct ban *ban, uint64_t now_ms)
{
    char text[NET_ADDRESS_TEXT];
    buf_put_text(b, "{\"ip\":\"");
    buf_put_str(b, net_network_text(&ban->net, text));
    if (ban->until_ms == BAN_FOR_EVER)
        buf_put_text(b, "\",\"expiresIn\":null");
    else
        buf_printf(b, "\",\"expiresIn\":%llu",
                   (unsigned long long)(ban->until_ms - now_ms + 999) / 1000);
    buf_put_text(b, ",\"reason\":");
    buf_put_json(b, ban->reason);
    buf_put_char(b, '}');
}

static void show(void *arg, const struct ban *ban)
{
    struct shown *shown = arg;
    if (shown->only && !net_network_same(shown->only, &ban->net))
        return;
    if (shown->count++ > 0)
        buf_put_char(shown->b, ',');
    put_ban(shown->b, ban, shown->now_ms);
}

void web_list_bans(const struct web_call *call, struct http_reply *reply)
{
    struct shown shown = {.b = &reply->body, .now_ms = clock_now_ms()};
    web_begin_json(reply);
    buf_put_text(&reply->body, "{\"bans\":[");
    bans_each(call->worker->bans, shown.now_ms, show, &shown);
    buf_put_text(&reply->body, "]}");
    if (reply->body.error)
        web_put_error(reply, 503, "unavailable", "more bans than fit into one answer");
}

/* False when just that is not banned. */
static bool put_one(const struct web_call *call, const struct net_network *net,
                    struct http_reply *reply)
{
    struct shown shown = {.b = &reply->body, .now_ms = clock_now_ms(), .only = net};
    bans_each(call->worker->bans, shown.now_ms, show, &shown);
    return shown.count > 0;
}

/* The network that an IPv6 address is banned with. False when there is no such ban. */
static bool find_wider(const struct web_call *call, const struct net_network *net,
                       struct net_network *wider)
{
    *wider = net_network_of(&net->address, NET_CUSTOMER_IPV6_BITS);
    return wider->prefix_bits < net->prefix_bits &&
           bans_has(call->worker->bans, &net->address, clock_now_ms());
}

static void put_not_banned(const struct web_call *call, const struct net_network *net,
                           struct http_reply *reply)
{
    char text[NET_ADDRESS_TEXT], message[128];
    struct net_network wider;
    if (!net || !find_wider(call, net, &wider)) {
        web_put_error(reply, 404, "not_found", "this address is not banned");
        return;
    }
    snprintf(message, sizeof message, "this address is not banned alone, but with all of %.*s",
             STR_ARG(net_network_text(&wider, text)));
    web_put_error(reply, 404, "not_found", message);
}

static int parse_net(struct str text, struct net_network *net)
{
    struct net_address ip;
    if (net_address_parse(&ip, text, 0) == 0) /* as in a URI too: with brackets */
        *net = net_network_of(&ip, NET_IPV6_BITS);
    else if (net_network_parse(net, text) < 0 || !ban_is_possible(net))
        return -EINVAL;
    return 0;
}

/* The address, or network, in the path. */
static int read_net(const struct web_call *call, struct net_network *net)
{
    char memory[NET_ADDRESS_TEXT];
    struct str text;
    int rc = web_decode(call->param, memory, sizeof memory, &text);
    return rc < 0 ? rc : parse_net(text, net);
}

void web_show_ban(const struct web_call *call, struct http_reply *reply)
{
    struct net_network net, wider;
    web_begin_json(reply);
    if (read_net(call, &net) < 0)
        put_not_banned(call, NULL, reply);
    else if (!put_one(call, &net, reply) &&
             !(find_wider(call, &net, &wider) && put_one(call, &wider, reply)))
        put_not_banned(call, &net, reply);
}

/* ---- Lifting ------------------------------------------------------------------------------- */

void web_lift_ban(const struct web_call *call, struct http_reply *reply)
{
    struct bans *bans = call->worker->bans;
    struct net_network net;
    char text[NET_ADDRESS_TEXT];
    if (read_net(call, &net) < 0) {
        put_not_banned(call, NULL, reply);
        return;
    }
    if (!bans_has(bans, &net.address, clock_now_ms()) || bans_lift(bans, &net) < 0) {
        put_not_banned(call, &net, reply);
        return;
    }
    LOG_INFO("ban lifted", LOG_STR("ip", net_network_text(&net, text)));
    reply->status = 204;
}

/* ---- Banning ------------------------------------------------------------------------------- */

struct order {
    struct net_network net;
    int64_t seconds; /* or FOR_EVER */
    struct str reason;
};

static bool read_seconds(const cJSON *item, int64_t *seconds)
{
    if (!cJSON_IsNumber(item))
        return false;
    double n = item->valuedouble;
    if (n != FOR_EVER && !(n >= 1 && n <= MAX_SECONDS))
        return false;
    *seconds = (int64_t)n;
    return (double)*seconds == n;
}

/* NULL, or the code of what is wrong, and *message in words. The reason is the JSON's. */
static const char *read_order(const cJSON *root, struct order *order, const char **message)
{
    struct str ip = STR_NONE;
    *message = "ip must be an IPv4 or IPv6 address, or an IPv6 network of 64 bits";
    if (!web_take_string(root, "ip", &ip) || parse_net(ip, &order->net) < 0)
        return "bad_ip";
    *message = "seconds must be a whole number from 1 to 315360000, or -1 for ever";
    if (!read_seconds(cJSON_GetObjectItemCaseSensitive(root, "seconds"), &order->seconds))
        return "bad_seconds";
    *message = "reason must be a text";
    if (cJSON_HasObjectItem(root, "reason") && !web_take_string(root, "reason", &order->reason))
        return "bad_reason";
    return NULL;
}

static void put_refused(struct http_reply *reply, int rc)
{
    if (rc == -EPERM)
        web_put_error(reply, 409, "exempt",
                      "this address is never banned (limits.neverBan, trustedProxies)");
    else if (rc == -ENOSPC)
        web_put_error(reply, 503, "full", "too many addresses are banned for longer than that");
    else
        web_put_error(reply, 503, "unavailable", "no memory for it now");
}

static void carry_out(const struct web_call *call, const struct order *order,
                      struct http_reply *reply)
{
    uint64_t now_ms = clock_now_ms();
    struct ban ban = {order->net, BAN_FOR_EVER, order->reason};
    char text[NET_ADDRESS_TEXT];
    if (order->seconds != FOR_EVER)
        ban.until_ms = now_ms + (uint64_t)order->seconds * 1000;
    int rc = bans_add(call->worker->bans, &ban, now_ms);
    if (rc < 0) {
        put_refused(reply, rc);
        return;
    }
    if (call->worker->events)
        event_writer_banned(call->worker->events, &ban, order->seconds);
    LOG_INFO("address banned", LOG_STR("ip", net_network_text(&ban.net, text)),
             LOG_NUM("seconds", order->seconds), LOG_STR("reason", ban.reason));
    web_begin_json(reply);
    reply->status = 201;
    if (!put_one(call, &ban.net, reply))
        put_ban(&reply->body, &ban, now_ms); /* lifted again meanwhile; it was so */
}

void web_add_ban(const struct web_call *call, struct http_reply *reply)
{
    static const char *const members[] = {"ip", "seconds", "reason"};
    cJSON *root = web_parse_body(call->request, members, sizeof members / sizeof *members, reply);
    if (!root)
        return;
    struct order order = {.seconds = 0};
    const char *message, *code = read_order(root, &order, &message);
    if (code)
        web_put_error(reply, 400, code, message);
    else
        carry_out(call, &order, reply);
    cJSON_Delete(root);
}
