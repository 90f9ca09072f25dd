/* aorta/registrar.h - what happens to a SIP request: the method table, authentication, the
 * binding rules, the answer. One struct registrar a worker thread; called on that thread only. */
#ifndef AORTA_REGISTRAR_H
#define AORTA_REGISTRAR_H
#include <aorta/auth.h>
#include <aorta/metrics.h>
#include <aorta/store.h>
#include <aorta/transport.h>

struct registrar;

/* All borrowed; must outlive the registrar. */
struct registrar_deps {
    const struct config *config;
    struct auth *auth;
    const struct realms *realms;
    struct callback_lanes *lanes; /* this worker's */
    struct store *store;
    struct transport *transport; /* this worker's */
    struct metrics *metrics;     /* this worker's block */
    unsigned worker;
    const struct str *own_hosts; /* names and addresses of this node, for the digest uri */
    size_t own_host_count;
};

struct registrar *registrar_new(const struct registrar_deps *deps);
void registrar_free(struct registrar *r);

/* The handlers for struct transport_events; `arg` is the struct registrar. */
void registrar_on_message(void *arg, const struct sip_source *source, struct str message);
void registrar_on_broken(void *arg, const struct sip_source *source, struct str head, int status);
void registrar_on_closed(void *arg, enum transport_kind kind, conn_id conn, void *user);
bool registrar_is_in_use(void *arg, conn_id conn, void *user);
#endif
