/* worker.h - a thread and what it owns: loop, connections to others, transport, registrar. */
#ifndef AORTA_WORKER_H
#define AORTA_WORKER_H
#include <aorta/auth.h>
#include <aorta/bans.h>
#include <aorta/events.h>
#include <aorta/http_client.h>
#include <aorta/net.h>
#include <aorta/overload.h>
#include <aorta/registrar.h>
#include <aorta/settings.h>
#include <aorta/store_redis.h>
#include <aorta/transport.h>
#include <aorta/web.h>
#include <pthread.h>

/* What all workers share. Borrowed; must outlive them. */
struct worker_shared {
    unsigned workers;
    struct auth *auth;
    struct store *memory_store;    /* or */
    struct redis_cluster *cluster; /* of the store that is Redis */
    struct events *events;
    struct bans *bans;
    struct web *web;
    struct conn_limit *limit;
    struct address_rates *request_rates, *failure_rates;
    struct metrics *metrics; /* one block a worker */
    struct journal *journal;
    struct sip_traces *traces;
    const _Atomic int *node_state;
    const char *cert_file, *key_file; /* NULL: no TLS */
    struct net_tls_ticket_key ticket_key;
    const struct str *own_hosts;
    size_t own_host_count;
    struct worker *all; /* `workers` of them */
};

/* A running worker ends in steps: what is to be told to others goes first. */
enum worker_stage { WORKER_SERVING, WORKER_FLUSHING, WORKER_LEAVING };

/* The most that a figure has been lately: since a time, and in the same time before it. */
struct worker_peak {
    uint64_t since_ms;
    uint32_t now, before;
};

struct worker {
    unsigned index;
    const struct worker_shared *shared;
    const struct config *config; /* of the settings in force here */
    const struct realms *realms; /* likewise */
    struct net_loop *loop;
    struct http_client *http;
    struct store *store; /* its own, or its view of the one in memory */
    struct event_writer *events;
    struct store_watcher event_watcher;
    struct transport *transport;
    struct registrar *registrar;
    struct web_worker web;
    pthread_t thread;
    bool is_started;
    enum worker_stage stage;
    uint64_t stop_by_ms; /* flushing or not */
    uint64_t next_second_ms;
    uint64_t bans_seen; /* bans_generation() */
    struct overload overload;
    struct worker_peak lag;
    /* Set by the main thread: */
    _Atomic unsigned commands;                          /* bits of enum worker_command */
    _Atomic(struct settings *) next;                    /* held; NULL: none */
    _Atomic(struct net_certificate *) next_certificate; /* held; NULL: none */
    /* Set by any worker: */
    _Atomic(struct web_errand *) errands; /* the latest first */
};

enum worker_command { WORKER_DRAIN = 1, WORKER_STOP = 2, WORKER_RELOAD = 4 };

/* Main thread, one worker after the other, before any is started. 0, or a negative errno with a
 * sentence in `error`. */
int worker_open(struct worker *w, unsigned index, const struct worker_shared *shared,
                struct settings *settings, struct buf *error);
/* 0 or a negative errno. */
int worker_start(struct worker *w);
/* From the main thread to a running worker. */
void worker_command(struct worker *w, enum worker_command command);
/* From the main thread: these settings, and where it is not NULL this certificate for handshakes to
 * come, hold as soon as the worker gets to it. Both are held. */
void worker_reload(struct worker *w, struct settings *settings,
                   struct net_certificate *certificate);
/* Waits for the thread of a worker that was told to stop. */
void worker_join(struct worker *w);
/* Closes and frees everything; the thread has been joined, or never started. One worker after the
 * other, as they were opened. NULL members are fine. */
void worker_close(struct worker *w);
#endif
