/* Whose SIP messages are logged, and for how long. */
#include "web_internal.h"
#include <aorta/clock.h>
#include <aorta/log.h>
#include <aorta/sip_traces.h>
#include <cjson/cJSON.h>
#include <errno.h>

enum { MAX_SECONDS = 3600, ARENA_BYTES = 4096 };

/* ---- Showing ------------------------------------------------------------------------------- */

struct shown {
    struct buf *b;
    uint64_t now_ms;
    size_t count;
};

static void put_trace(struct buf *b, const struct sip_trace *trace, uint64_t now_ms)
{
    char text[NET_ADDRESS_TEXT];
    buf_put_text(b, "{\"aor\":");
    if (str_is_empty(trace->aor))
        buf_put_text(b, "null");
    else
        buf_put_json(b, trace->aor);
    buf_put_text(b, ",\"ip\":");
    if (str_is_empty(trace->aor))
        buf_put_json(b, net_address_ip(&trace->ip, text));
    else
        buf_put_text(b, "null");
    buf_put_json_number(b, JSON_MEMBER("expiresIn"), (trace->until_ms - now_ms + 999) / 1000);
    buf_put_char(b, '}');
}

static void show(void *arg, const struct sip_trace *trace)
{
    struct shown *shown = arg;
    if (shown->count++ > 0)
        buf_put_char(shown->b, ',');
    put_trace(shown->b, trace, shown->now_ms);
}

void web_list_traces(const struct web_call *call, struct http_reply *reply)
{
    struct shown shown = {.b = &reply->body, .now_ms = clock_now_ms()};
    web_begin_json(reply);
    buf_put_text(&reply->body, "{\"traces\":[");
    sip_traces_each(call->worker->web->info.traces, shown.now_ms, show, &shown);
    buf_put_text(&reply->body, "]}");
}

void web_end_traces(const struct web_call *call, struct http_reply *reply)
{
    unsigned count = sip_traces_end_all(call->worker->web->info.traces, clock_now_ms());
    LOG_INFO("traces ended by admin", LOG_NUM("traces", count));
    reply->status = 204;
}

/* ---- Beginning ----------------------------------------------------------------------------- */

/* NULL, or the code of what is wrong, and *message in words. Texts are the JSON's, or in `arena`.
 */
static const char *read_order(const cJSON *root, struct arena *arena, struct sip_trace *trace,
                              unsigned *seconds, const char **message)
{
    struct str ip = STR_NONE, aor = STR_NONE;
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, "seconds");
    bool has_ip = web_take_string(root, "ip", &ip);
    bool has_aor = web_take_string(root, "aor", &aor);
    *message = "give either aor or ip, as a text";
    if (has_ip == has_aor || (has_aor && str_is_empty(aor)))
        return "bad_target";
    *message = "ip must be an IPv4 or IPv6 address";
    if (has_ip && net_address_parse(&trace->ip, ip, 0) < 0)
        return "bad_ip";
    *message = "seconds must be a whole number from 1 to 3600";
    double given = cJSON_IsNumber(item) ? item->valuedouble : 0;
    if (!(given >= 1 && given <= MAX_SECONDS) || given != (double)(int)given)
        return "bad_seconds";
    *seconds = (unsigned)given;
    if (has_ip)
        net_address_unmap(&trace->ip);
    else
        trace->aor = web_canonical_aor(aor, arena);
    return NULL;
}

static void begin(const struct web_call *call, const struct sip_trace *trace, uint64_t now_ms,
                  struct http_reply *reply)
{
    int rc = sip_traces_add(call->worker->web->info.traces, trace, now_ms);
    if (rc == -EINVAL) {
        web_put_error(reply, 400, "bad_target", "the AOR is too long");
        return;
    }
    if (rc < 0) {
        web_put_error(reply, 409, "full",
                      "16 traces are under way: DELETE /api/v1/trace ends them");
        return;
    }
    char text[NET_ADDRESS_TEXT];
    bool is_aor = !str_is_empty(trace->aor);
    LOG_INFO("trace begun by admin",
             LOG_STR("of", is_aor ? trace->aor : net_address_ip(&trace->ip, text)),
             LOG_NUM("seconds", (trace->until_ms - now_ms) / 1000));
    web_begin_json(reply);
    reply->status = 201;
    put_trace(&reply->body, trace, now_ms);
}

void web_begin_trace(const struct web_call *call, struct http_reply *reply)
{
    static const char *const members[] = {"aor", "ip", "seconds"};
    cJSON *root = web_parse_body(call->request, members, sizeof members / sizeof *members, reply);
    if (!root)
        return;
    struct arena arena;
    struct sip_trace trace = {.until_ms = 0};
    unsigned seconds;
    uint64_t now_ms = clock_now_ms();
    const char *message, *code;
    if (arena_init(&arena, ARENA_BYTES, 4 * HTTP_BODY_MAX_BYTES) < 0) {
        web_put_error(reply, 503, "unavailable", "no memory for it now");
        cJSON_Delete(root);
        return;
    }
    code = read_order(root, &arena, &trace, &seconds, &message);
    if (code) {
        web_put_error(reply, 400, code, message);
    } else {
        trace.until_ms = now_ms + seconds * 1000ull;
        begin(call, &trace, now_ms, reply);
    }
    arena_fini(&arena);
    cJSON_Delete(root);
}
