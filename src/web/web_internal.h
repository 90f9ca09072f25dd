/* web_internal.h - the routes' shared parts. */
#ifndef AORTA_WEB_INTERNAL_H
#define AORTA_WEB_INTERNAL_H
#include "assets.h"
#include <aorta/arena.h>
#include <aorta/web.h>

struct cJSON;

enum rate { RATE_REGISTERS, RATE_CHALLENGES, RATE_REFUSED, RATES };
enum { RATE_SAMPLES = 11 }; /* a second apart: rates over the last ten */

struct rate_sample {
    uint64_t at_ms;
    uint64_t count[RATES];
};

struct web {
    struct web_info info;
    struct assets *assets; /* NULL: no page */
    const char *const *listeners;
    size_t listener_count;
    const char *sbc_address;
    struct rate_sample samples[RATE_SAMPLES]; /* only web_sample_rates() looks at them */
    size_t sample_count;
    _Atomic uint32_t rate_tenths[RATES]; /* per second, times ten */
};

/* ---- Routes -------------------------------------------------------------------------------- */

struct web_call {
    struct web_worker *worker;
    const struct http_request *request;
    struct str param; /* what stands for {…} in the route's path, not decoded; never empty there */
};
typedef void web_route_fn(const struct web_call *call, struct http_reply *reply);

/* status.c */
web_route_fn web_serve_health, web_serve_ready, web_serve_status, web_serve_node, web_serve_demo;
web_route_fn web_serve_metrics; /* metrics_text.c */
/* process_metrics.c: the line of one of the process's families; none where it cannot be had. */
void web_put_process_metric(struct buf *b, enum metric_family family, uint64_t started_ms);
web_route_fn web_list_registrations; /* registrations.c; this one and the next may answer later */
web_route_fn web_show_aor, web_show_why, web_remove_registrations;   /* aor_routes.c */
web_route_fn web_drain;                                              /* drain_route.c */
web_route_fn web_list_traces, web_begin_trace, web_end_traces;       /* trace_routes.c */
web_route_fn web_list_bans, web_show_ban, web_add_ban, web_lift_ban; /* ban_routes.c */
web_route_fn web_show_log_level, web_set_log_level;                  /* log_level.c */
web_route_fn web_stream_events;                                      /* events_stream.c */

/* ---- What they share ----------------------------------------------------------------------- */

/* 200, application/json; the route fills in the body. */
void web_begin_json(struct http_reply *reply);
/* {"error":{"code","message"}} with that HTTP status, in place of any body so far. */
void web_put_error(struct http_reply *reply, int status, const char *code, const char *message);

/* Without its %-escapes, in `memory`. -EINVAL when it is badly escaped or longer than `max`. */
int web_decode(struct str text, char *memory, size_t max, struct str *out);
/* The value of a query parameter, decoded into `memory`; .ptr NULL when absent, else as
 * web_decode(). */
int web_query_param(struct str query, const char *name, char *memory, size_t max, struct str *out);

/* The AOR as it is stored, whether it is given as alice@Example.com or sip:alice@example.com; in
 * `arena`. As it came when it is none: then it is not found either. */
struct str web_canonical_aor(struct str text, struct arena *arena);

/* The request's body, which must be an object with none but these members. NULL, and `reply` says
 * 400 and why. The caller frees with cJSON_Delete(). */
struct cJSON *web_parse_body(const struct http_request *request, const char *const *members,
                             size_t count, struct http_reply *reply);
/* A member that must be a string; else *out is untouched and false. */
bool web_take_string(const struct cJSON *object, const char *name, struct str *out);

/* An answer that may be there before its handler returns, or later:
 *     web_later_begin(&job->later, call, reply);
 *     store->ops->find(…, done, job);                 done() fills in job->later.answer and then
 *     if (web_later_leave(&job->later)) free_job(job);    if (web_later_send(…)) free_job(job); */
struct web_later {
    struct transport *transport;
    conn_id conn;
    struct http_reply *handlers; /* while the handler runs; NULL afterwards */
    struct http_reply answer;
    bool is_sent;
};
void web_later_begin(struct web_later *later, const struct web_call *call,
                     struct http_reply *reply);
/* At the handler's end: is the answer there? Else it will come later. */
bool web_later_leave(struct web_later *later);
/* The answer is there. True when the handler has returned: whoever calls this frees. */
bool web_later_send(struct web_later *later);
#endif
