/* web_internal.h - the routes' shared parts. */
#ifndef AORTA_WEB_INTERNAL_H
#define AORTA_WEB_INTERNAL_H
#include "assets.h"
#include <aorta/web.h>

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

void web_put_status(struct web *web, struct buf *b);     /* status.c */
void web_put_node(const struct web *web, struct buf *b); /* status.c */
void web_put_demo(const struct web *web, struct buf *b); /* status.c */
/* `reply` gets the page of registrations that the query asks for, or 400. registrations.c */
void web_list_registrations(struct web *web, const struct http_request *request,
                            struct http_reply *reply);
/* {"error":{"code","message"}} with that HTTP status. */
void web_put_error(struct http_reply *reply, int status, const char *code, const char *message);
/* The value of a query parameter, decoded into `memory`; .ptr NULL when absent, -EINVAL when it is
 * badly escaped or longer than `max`. */
int web_query_param(struct str query, const char *name, char *memory, size_t max, struct str *out);
#endif
