/* contract/redis_server.h - a real redis-server for one test, on a port of its own on loopback,
 * with nothing saved and a temporary folder. Whatever becomes of the test, even SIGKILL, the server
 * ends with it and the folder goes. Everything fails the test (cmocka) when it does not work. */
#ifndef AORTA_REDIS_SERVER_H
#define AORTA_REDIS_SERVER_H
#include <stddef.h>
#include <stdint.h>

struct redis_server;

/* Returns when it answers. `args` are further arguments ("--requirepass", "x"), ended by NULL and
 * borrowed as long as the server; NULL: none. */
struct redis_server *redis_server_new(const char *const *args);
/* Ends it if it runs. NULL is fine. */
void redis_server_free(struct redis_server *server);
uint16_t redis_server_port(const struct redis_server *server);

void redis_server_stop(struct redis_server *server); /* SIGTERM, and waits for its end */
void redis_server_kill(struct redis_server *server); /* SIGKILL, likewise */
/* Again, on the same port, empty; returns when it answers. After stop or kill. */
void redis_server_start(struct redis_server *server);
void redis_server_pause(
    struct redis_server *server); /* SIGSTOP: it takes connections, and is mute */
void redis_server_resume(struct redis_server *server);

/* Commands of another client: one a line, words as in redis-cli ("AUTH x\nSET k 'a b'"). Writes the
 * last answer into `answer`: text as it is, an integer in digits, an error with "-" before it,
 * "(nil)"; no arrays. Returns `answer`. */
char *redis_server_ask(struct redis_server *server, const char *commands, char *answer,
                       size_t size);

/* A port on which nobody listens, outside the range from which the system gives ports away. */
uint16_t redis_server_free_port(void);
#endif
