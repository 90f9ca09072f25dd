/* aorta/web.h - plain HTTP: requests and replies as values, and the routes behind them.
 * The transport parses and writes; routes only decide. Called on worker threads. */
#ifndef AORTA_WEB_H
#define AORTA_WEB_H
#include <aorta/config.h>
#include <aorta/http.h>
#include <aorta/metrics.h>
#include <aorta/node_state.h>
#include <aorta/store.h>

struct bans;
struct events;
struct event_writer;
struct journal;
struct realms;
struct sip_traces;
struct transport;
struct web_streams; /* a worker's clients of /api/v1/events */
struct web_worker;

struct web_demo_user {
    const char *aor, *password;
};

/* What the routes show of the whole process. All borrowed; must outlive the web. */
struct web_info {
    const struct config *config;
    const struct metrics *metrics; /* one block a worker */
    unsigned workers;
    const _Atomic int *state; /* enum node_state */
    const char *www;          /* folder to serve; NULL: none */
    const struct web_demo_user *demo_users;
    size_t demo_user_count;
    uint64_t started_ms;
    struct journal *journal;
    struct sip_traces *traces;
    /* Ends the process as SIGTERM does. Any thread; as often as you like. */
    void (*drain)(void *drain_arg);
    void *drain_arg;
};

struct web; /* shared by all workers; nothing in it changes after web_new() but the rates */

/* Reads the page's files into memory. NULL, with a sentence in `error`, when they cannot be had. */
struct web *web_new(const struct web_info *info, struct buf *error);
void web_free(struct web *web);
/* Once the sockets are bound, before any request: the listeners ("udp://127.0.0.1:5060") and the
 * host:port that others are told. Borrowed. */
void web_set_addresses(struct web *web, const char *const *listeners, size_t listener_count,
                       const char *sbc_address);

/* Something to be done on another worker's thread, and perhaps brought back from there. `there` is
 * that worker's; NULL: the process ends, and all that is left to do is to free. */
struct web_errand {
    struct web_errand *next; /* for whoever carries it */
    void (*run)(struct web_worker *there, struct web_errand *errand);
};

/* A worker's way to what the routes show and change: the `arg` of its handlers. All borrowed. */
struct web_worker {
    struct web *web;
    unsigned index;
    /* Takes the errand to that worker, as soon as it comes to it. */
    void (*send)(struct web_worker *from, unsigned worker, struct web_errand *errand);
    const struct config *config; /* in force now; a reload brings another one */
    struct store *store;
    struct transport *transport; /* through which answers come that are not there at once */
    struct bans *bans;
    const struct realms *realms; /* in force now, as `config`; NULL: none */
    struct event_writer *events; /* that hears of bans; NULL: nobody does */
    struct web_streams *streams; /* NULL: no events to be had */
};
/* The public part, on the ws and wss ports. An http_handler_fn; `arg` is the struct web_worker. */
void web_handle_public(void *arg, const struct http_request *request, struct http_reply *reply);
/* The admin part. An http_handler_fn; `arg` is the struct web_worker. */
void web_handle_admin(void *arg, const struct http_request *request, struct http_reply *reply);
/* NULL when out of memory. `events` and `transport` are borrowed. */
struct web_streams *web_streams_new(struct events *events, struct transport *transport);
/* NULL is fine. */
void web_streams_free(struct web_streams *s);
/* On every tick: sends what has happened. Whoever does not read it is closed, never waited for. */
void web_streams_tick(struct web_streams *s, uint64_t now_ms);
/* The last tick: each stream gets what there is, and ends. */
void web_streams_end(struct web_streams *s, uint64_t now_ms);
/* Takes a sample for the rates of /api/v1/status. One thread, about once a second. */
void web_sample_rates(struct web *web, uint64_t now_ms);
#endif
