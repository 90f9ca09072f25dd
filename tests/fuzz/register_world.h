/* register_world.h - a whole server in one thread: transport, registrar, authentication, store in
 * memory; below it sockets that are played, beside it a callback that is. It watches each message
 * through the registrar, and aborts when one of these does not hold:
 * - one answer, or none where none may be: never two;
 * - the answer is well-formed, holds headers of aorta's only, and echoes what was sent;
 * - unless it is a 2xx to a REGISTER, nothing that is stored has changed;
 * - after such a 2xx the store holds what the answer lists, other AORs are as before, and if nobody
 *   proved who he is, so is everything but times;
 * - a connection that is gone has left no bindings. */
#ifndef REGISTER_WORLD_H
#define REGISTER_WORLD_H
#include "answer_check.h"
#include "fake_net.h"
#include "fuzz.h"
#include <aorta/registrar.h>

#define WORLD_PASSWORD "wonder" /* of alice and bob */

enum { WORLD_CLIENTS = 5, WORLD_NONCE = 128, WORLD_HOLDS = 8 };

/* Where messages come from: two phones over UDP, one of them behind NAT, two connections over TCP,
 * and a browser. */
struct world_client {
    enum transport_kind kind;
    struct net_address remote;
    struct net_stream *stream; /* NULL: not connected */
    char nonce[WORLD_NONCE];   /* of the last challenge that came here; empty: none */
    unsigned nc;               /* used with it */
    unsigned cseq;
};

/* A request that waits for the callback. */
struct world_held {
    http_answered_fn *done;
    void *arg;
    struct buf message;
    struct sip_source source;
    bool has_proof;
    uint64_t since_ms;
};

struct world {
    struct config *config;
    struct settings settings;
    struct auth *auth;
    struct store *store;
    struct bans *bans;
    struct metrics metrics;
    _Atomic int node_state;
    struct transport *transport;
    struct registrar *registrar;
    struct world_client client[WORLD_CLIENTS];
    struct world_client *speaking; /* whose message is on its way */
    /* The message on its way holds credentials of its AOR's own user. */
    bool has_proof;
    /* How the callback answers: one of world_callback_says, or nothing yet. */
    unsigned callback_says;
    bool callback_waits;
    bool callback_agreed; /* during the message on its way */
    struct world_held held[WORLD_HOLDS];
    size_t held_count;
    uint64_t messages; /* through the registrar */
};

void world_open(struct world *w);
void world_close(struct world *w);
/* Lets everything come to its end, an hour later: then it is as new, for the next input. */
void world_settle(struct world *w);
/* Sends bytes as that client would: a datagram, a TCP stream's bytes, a WebSocket frame. */
void world_send(struct world *w, size_t client, struct str message, bool has_proof);
void world_hang_up(struct world *w, size_t client);
void world_advance(struct world *w, uint64_t ms);
/* The callback answers the request that waits longest. */
void world_answer_held(struct world *w);
#endif
