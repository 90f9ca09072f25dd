/* worker.h - one process with its share of the clients: when each begins, what an answer means,
 * what is measured. udp.c and stream.c carry its messages. */
#ifndef LOAD_WORKER_H
#define LOAD_WORKER_H
#include "request.h"
#include "results.h"
#include <openssl/ssl.h>
#include <time.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

static inline uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

enum client_state {
    CLIENT_NEW,    /* not yet registered */
    CLIENT_IDLE,   /* nothing under way */
    CLIENT_OPENS,  /* its connection is on the way */
    CLIENT_ASKED,  /* waits for an answer */
    CLIENT_PARKED, /* has failed: begins again when its timer fires */
};

enum { NOBODY = -1 };

struct client {
    uint64_t began_ns; /* latency counts from here */
    uint64_t due_ns;   /* when its timer fires */
    uint64_t deadline_ns;
    uint32_t user, serial, cseq, nc;
    int32_t previous, next; /* in its slot of the timer wheel */
    int32_t wheel_slot;     /* or NOBODY */
    uint16_t resend_ms;
    uint8_t state;
    uint8_t challenges;         /* in this registration */
    bool is_authorized;         /* what it asked last had credentials */
    bool has_nonce, is_counted; /* counted: is one of the registered */
    uint8_t nonce_len, opaque_len;
    uint8_t ha1[DIGEST_MAX_BYTES];
    uint32_t realm_epoch; /* its HA1 is for that realm */
    char nonce[CHALLENGE_MAX_NONCE];
    char opaque[CHALLENGE_MAX_OPAQUE];
};

enum { WHEEL_SLOTS = 4096, TICK_MS = 4 };
struct wheel {
    int32_t head[WHEEL_SLOTS];
    uint64_t tick; /* all before it have fired */
    size_t armed;
};

struct stream;
struct udp_socket;

struct worker {
    const struct options *options;
    struct shared *shared;
    struct results *results;
    uint32_t number, clients, first_slot;
    uint64_t share; /* of --count; 0: no limit */
    struct client *client;
    struct wheel wheel;
    char run[9];
    char host[64]; /* own address as messages name it */
    int epoll_fd;
    uint64_t now;
    bool is_ending;

    /* The set-up and coming back: who begins next, how many are on the way. */
    uint32_t next_new, under_way, width;
    bool is_back; /* reconnect: the server answers again */
    uint64_t lost_ns, probe_ns;
    /* The open loop: idle clients in a ring, and when the next registration is due. */
    int32_t *idle;
    size_t idle_first, idle_count;
    double interval_ns, next_due_ns;
    uint32_t next_user;

    char realm[CHALLENGE_MAX_REALM];
    size_t realm_len;
    uint32_t realm_epoch;
    enum digest_algorithm realm_algorithm;

    struct udp_socket *socket; /* udp */
    struct stream *stream;     /* one for each client */
    struct requests requests;  /* streams share it */
    SSL_CTX *tls;
    char *input; /* room for one read */
    char *output;
    uint64_t random;
};

/* Runs to the end of the shared phases; the exit status of the process. */
int worker_run(const struct options *o, struct shared *shared, uint32_t number);

/* For the transports. An answer, whole: */
void worker_take_message(struct worker *w, struct str message, int32_t only_client);
/* The client's connection is ready for its REGISTER. */
void worker_connected(struct worker *w, uint32_t i);
/* Its connection is gone: fault, or FAULT_NONE when the server closed it while nothing was asked.
 */
void worker_lost(struct worker *w, uint32_t i, enum fault fault);
void worker_count_fault(struct worker *w, enum fault fault);
struct identity worker_identity(struct worker *w, uint32_t i, uint16_t port);
struct requests *worker_requests(struct worker *w, uint32_t i);

int udp_open(struct worker *w);
void udp_close(struct worker *w);
/* Queues the client's current message. */
void udp_send(struct worker *w, uint32_t i);
void udp_flush(struct worker *w);
void udp_receive(struct worker *w, uint32_t socket);
struct requests *udp_requests(struct worker *w, uint32_t i);
uint16_t udp_port(struct worker *w, uint32_t i);

int streams_open(struct worker *w);
void streams_close(struct worker *w);
void stream_connect(struct worker *w, uint32_t i);
void stream_send(struct worker *w, uint32_t i);
void stream_event(struct worker *w, uint32_t i, uint32_t events);
void stream_drop(struct worker *w, uint32_t i);
bool stream_is_up(const struct worker *w, uint32_t i);
uint16_t stream_port(const struct worker *w, uint32_t i);
#endif
