/* options.h - the command line of aorta-load. */
#ifndef LOAD_OPTIONS_H
#define LOAD_OPTIONS_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum transport {
    TRANSPORT_UDP,
    TRANSPORT_TCP,
    TRANSPORT_TLS,
    TRANSPORT_WS,
    TRANSPORT_WSS,
    TRANSPORTS
};
enum mode {
    MODE_STORM,
    MODE_REFRESH,
    MODE_CACHED,
    MODE_CHALLENGE,
    MODE_IDLE,
    MODE_RECONNECT,
    MODES
};
extern const char *const transport_names[TRANSPORTS];
extern const char *const mode_names[MODES];

enum { MAX_PROCESSES = 64, MAX_SERVER_PIDS = 64, MAX_USERS = 10000000 };

struct options {
    enum transport transport;
    enum mode mode;
    double rate; /* registrations a second over all clients; 0: closed loop */
    const char *target;
    bool allow_remote;
    uint32_t clients, aors, processes;
    uint32_t sockets; /* over UDP, for each process */
    uint32_t width;   /* clients that connect at once; 0: the mode's own */
    double seconds, warmup_s;
    uint64_t count; /* 0: until the time is up */
    const char *domain, *user_prefix, *password;
    uint32_t expires_s;
    const char *path, *origin, *ca;
    uint32_t timeout_ms;
    bool resume, close_by_reset, json_only;
    int server_pids[MAX_SERVER_PIDS];
    uint32_t server_pid_count;
    const char *users_file; /* writes it and does nothing else */
    uint32_t users_count;

    struct sockaddr_storage address; /* of `target` */
    socklen_t address_len;
};

enum options_result { OPTIONS_GO, OPTIONS_HELP, OPTIONS_BAD };
/* Borrows the texts of `argv`. Help goes to standard output, a complaint to standard error. */
enum options_result options_read(struct options *o, int argc, char **argv);

static inline bool is_stream(enum transport t)
{
    return t != TRANSPORT_UDP;
}
static inline bool is_websocket(enum transport t)
{
    return t == TRANSPORT_WS || t == TRANSPORT_WSS;
}
static inline bool is_tls(enum transport t)
{
    return t == TRANSPORT_TLS || t == TRANSPORT_WSS;
}
#endif
