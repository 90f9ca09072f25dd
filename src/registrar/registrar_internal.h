/* registrar_internal.h - a request on its way through the registrar. */
#ifndef AORTA_REGISTRAR_INTERNAL_H
#define AORTA_REGISTRAR_INTERNAL_H
#include "flow.h"
#include "reply_cache.h"
#include <aorta/arena.h>
#include <aorta/ratelimit.h>
#include <aorta/registrar.h>

/* The longest contact that a client may have us keep and list; real ones are a tenth of it. */
enum { MAX_CONTACT_BYTES = 2048, MAX_INSTANCE_BYTES = 256 };

/* Settings in use: the current ones, and older ones as long as a request lasts that began with
 * them. */
struct policy {
    struct policy *next;
    struct registrar *r;
    struct settings *settings;
    struct callback_lanes *lanes;
    unsigned transactions;
};

struct registrar {
    struct registrar_deps deps;
    struct policy *policy; /* the current one */
    struct policy *policies;
    struct reply_cache *replies;
    struct flow_set *flows;
    struct store_watcher watcher; /* notes in the journal what no request of this AOR says */
    struct transaction *free_transactions;
    unsigned transactions; /* on their way */
    uint64_t serial;       /* of the last one that began */
    enum overload_level overload;
    /* A stranger can cause these lines. */
    struct ratelimit refusal_log, trouble_log;
    struct ratelimit trace_log; /* requests that are traced, with their answers */
    size_t traces_left_out;     /* since the last one */
    size_t reply_bytes;
    char *reply_memory; /* headroom and one answer; a worker writes one at a time */
};

/* One request from its arrival to its answer: it may have to wait for others in between, so it
 * owns copies of all that it needs. Taken from a pool, given back by its one exit, txn_end(). */
struct transaction {
    struct registrar *r;
    struct policy *policy;
    const struct config *config; /* of the policy */
    struct transaction *next_free;
    uint64_t serial;    /* 0: it has ended */
    bool is_awaited;    /* its connection has been told that the answer comes later */
    bool is_traced;     /* it and its answer are logged */
    struct arena arena; /* message, parsed parts, scratch */
    struct str message; /* the copy of it that is parsed */
    struct sip_source source;
    uint64_t reply_key;            /* UDP: finds the answer to retransmissions; 0: not kept */
    uint64_t began_us;             /* when the message came */
    uint64_t now_ms;               /* the same */
    enum register_outcome outcome; /* how it is being answered */
    struct sip_request request;
    struct str aor, domain;
    const struct realm *realm; /* whose domain it is */
    struct auth_request auth;
    struct auth_result verdict;
    struct binding_request binding;
};

/* ---- policy.c, which also has registrar_set_settings() ------------------------------------- */

/* Of which no transaction is left; with its callback lanes, and its hold on the settings. */
void policy_free(struct policy *policy);
/* One transaction fewer lasts that began with it. */
void policy_release(struct policy *policy);

/* ---- transaction.c ------------------------------------------------------------------------- */

/* NULL when out of memory. */
struct transaction *txn_begin(struct registrar *r, const struct sip_source *source);
/* It waits for somebody: retransmissions get no answer till then, and its connection stays. */
void txn_await(struct transaction *txn);
/* The answer under construction: status line and the copied headers are in it. */
struct buf txn_reply_begin(struct transaction *txn, int status, const char *reason);
/* Completes and sends the answer, remembers it for retransmissions, ends the transaction. */
void txn_reply_send(struct transaction *txn, struct buf *reply);
/* An answer without headers of its own. */
void txn_reply(struct transaction *txn, int status, const char *reason);
/* An answer with one header of its own. */
void txn_reply_with(struct transaction *txn, int status, const char *reason, const char *header,
                    struct str value);
/* Counts and logs that this request is above a limit. */
void txn_limit_reached(const struct transaction *txn, enum limit which);
/* No answer. */
void txn_end(struct transaction *txn);

/* ---- refusal.c ----------------------------------------------------------------------------- */

/* Who asks; printed only where the line is. */
#define LOG_CALLER(txn)                                                                     \
    LOG_STR("aor", (txn)->aor),                                                             \
        LOG_STR("source",                                                                   \
                net_address_host_port(&(txn)->source.remote, (char[NET_ADDRESS_TEXT]){0})), \
        LOG_STR("call_id", (txn)->request.call_id)

/* In all of these `cause` is constant text. */

/* Into the journal; nothing as long as the AOR is not known. */
void register_note(const struct transaction *txn, enum fact_kind kind, const char *cause,
                   uint32_t number);
/* What is wrong with the request: `status` is 4xx or 500. */
void register_refuse_invalid(struct transaction *txn, int status, const char *reason);
/* 403. */
void register_refuse(struct transaction *txn, const char *cause);
/* 401, as txn->verdict says. */
void register_challenge(struct transaction *txn);
/* 503, after a time of the caller's choice or of ours. */
void register_refuse_for_now(struct transaction *txn, const char *cause, uint32_t retry_after_s);
void register_refuse_unavailable(struct transaction *txn, const char *cause);
/* 503, and the connection is closed unless it carries others. */
void register_refuse_overloaded(struct transaction *txn, const char *cause);

/* ---- register_txn.c ------------------------------------------------------------------------ */

/* Serves a REGISTER: to authentication, to the store, to the answer. */
void register_begin(struct transaction *txn);
#endif
