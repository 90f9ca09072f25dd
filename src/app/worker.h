/* worker.h - a thread and what it owns: loop, transport, registrar. */
#ifndef AORTA_WORKER_H
#define AORTA_WORKER_H
#include <aorta/auth.h>
#include <aorta/net.h>
#include <aorta/registrar.h>
#include <aorta/store.h>
#include <aorta/transport.h>
#include <aorta/web.h>
#include <pthread.h>

/* What all workers share. Borrowed; must outlive them. */
struct worker_shared {
    const struct config *config;
    struct auth *auth;
    struct store *store;
    struct web *web;
    struct conn_limit *limit;
    struct bans *bans;
    struct metrics *metrics; /* one block a worker */
    const _Atomic int *node_state;
    const char *cert_file, *key_file; /* NULL: no TLS */
    struct net_tls_ticket_key ticket_key;
    const struct str *own_hosts;
    size_t own_host_count;
};

struct worker {
    unsigned index;
    const struct worker_shared *shared;
    struct net_loop *loop;
    struct transport *transport;
    struct registrar *registrar;
    struct web_worker web; /* what its routes go by */
    uint64_t bans_seen;    /* bans_generation() whose connections are closed */
    pthread_t thread;
    bool is_started;
    _Atomic unsigned commands; /* bits of enum worker_command, set by the main thread */
    uint64_t next_second_ms;
};

enum worker_command { WORKER_DRAIN = 1, WORKER_STOP = 2 };

/* Main thread, one worker after the other, before any is started. 0, or a negative errno with a
 * sentence in `error`. */
int worker_open(struct worker *w, unsigned index, const struct worker_shared *shared,
                struct buf *error);
/* 0 or a negative errno. */
int worker_start(struct worker *w);
/* From the main thread to a running worker. */
void worker_command(struct worker *w, enum worker_command command);
/* Waits for the thread of a worker that was told to stop. */
void worker_join(struct worker *w);
/* Closes and frees everything; the thread has been joined, or never started. One worker after the
 * other, as they were opened. NULL members are fine. */
void worker_close(struct worker *w);
#endif
