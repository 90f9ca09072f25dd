/* aorta/registrar.h - what happens to a SIP request: the method table, authentication, the
 * binding rules, the answer. One struct registrar a worker thread; called on that thread only. */
#ifndef AORTA_REGISTRAR_H
#define AORTA_REGISTRAR_H
#include <aorta/address_rates.h>
#include <aorta/auth.h>
#include <aorta/bans.h>
#include <aorta/events.h>
#include <aorta/http_client.h>
#include <aorta/journal.h>
#include <aorta/metrics.h>
#include <aorta/overload.h>
#include <aorta/settings.h>
#include <aorta/sip_traces.h>
#include <aorta/store.h>
#include <aorta/transport.h>

struct registrar;

/* All borrowed; must outlive the registrar. */
struct registrar_deps {
    struct auth *auth;
    struct http_client *http; /* this worker's, for the callbacks */
    struct bans *bans;
    struct address_rates *failure_rates; /* for limits.failedAuthPerMinute */
    struct store *store;                 /* this worker's way to it */
    unsigned workers;                    /* of the process */
    struct transport *transport;         /* this worker's */
    struct metrics *metrics;             /* this worker's block */
    struct event_writer *events;         /* this worker's, for bans; NULL: nobody is told */
    struct journal *journal;
    struct sip_traces *traces;
    unsigned worker;
    const struct str *own_hosts; /* names and addresses of this node, for the digest uri */
    size_t own_host_count;
};

/* NULL when out of memory. */
struct registrar *registrar_new(const struct registrar_deps *deps, struct settings *settings);
/* The end, in this order: requests that wait for a callback are answered with 503, for which store
 * and transport must be there; then the store is closed, which answers those that wait for it; then
 * the registrar is freed. No request may come in between. NULL is fine. */
void registrar_cancel(struct registrar *r);
void registrar_free(struct registrar *r);
/* Does no request wait for anybody? */
bool registrar_is_idle(const struct registrar *r);
/* Requests that wait for others, in percent of the most that may. */
uint32_t registrar_load_percent(const struct registrar *r);
/* What waits, for whom; *callbacks begins zeroed. */
uint32_t registrar_count_transactions(const struct registrar *r);
void registrar_callback_load(const struct registrar *r, struct http_lane_load *callbacks);
/* So busy is the worker, from now on: REGISTERs are refused accordingly. */
void registrar_set_overload(struct registrar *r, enum overload_level level);
/* From now on these settings hold, for requests that begin. Holds them as long as one of its
 * requests lasts. -ENOMEM: the old ones go on. */
int registrar_set_settings(struct registrar *r, struct settings *settings);

/* The handlers for struct transport_events; `arg` is the struct registrar. */
void registrar_on_message(void *arg, const struct sip_source *source, struct str message);
void registrar_on_broken(void *arg, const struct sip_source *source, struct str head, int status);
void registrar_on_closed(void *arg, enum transport_kind kind, conn_id conn, void *user,
                         const struct transport_end *end);
bool registrar_is_in_use(void *arg, conn_id conn, void *user);
#endif
