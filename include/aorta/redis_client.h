/* aorta/redis_client.h - one pipelined connection to a Redis server (hiredis on the worker's loop),
 * which comes back by itself after it was lost. Everything here is called on the worker's thread,
 * and every callback runs on it. Commands are answered in their order. */
#ifndef AORTA_REDIS_CLIENT_H
#define AORTA_REDIS_CLIENT_H
#include <aorta/net.h>
#include <aorta/str.h>

struct redis_client;
struct redis_reply; /* hiredis' own, read through the functions below; valid during its callback */

/* All borrowed; must outlive the client. */
struct redis_client_options {
    const char *host; /* name or address */
    uint16_t port;
    uint32_t db;
    const char *username, *password; /* NULL: none (ACL user; password alone: requirepass) */
    uint32_t connect_timeout_ms;     /* TCP, AUTH and SELECT together */
    uint32_t command_timeout_ms; /* a command unanswered for so long: the connection is given up */
    size_t max_pending;          /* commands unanswered at a time; more are refused */
};

struct redis_client_events {
    /* Connected, authenticated, database selected: commands are taken from now on. `run_id` is the
     * server's (INFO server): another one means another server, or one that started again; empty
     * where the ACL forbids to ask. */
    void (*up)(void *arg, struct str run_id);
    /* Lost or given up, after the callbacks of all commands that were under way. */
    void (*down)(void *arg, const char *why);
    void *arg;
};

/* Begins to connect, and tries again for ever: after 50 ms at first, up to 1 s, jittered. NULL when
 * out of memory. */
struct redis_client *redis_client_new(struct net_loop *loop,
                                      const struct redis_client_options *options,
                                      const struct redis_client_events *events);
/* Every command under way is answered by NULL first; no event comes. Before net_loop_close(). NULL
 * is fine. */
void redis_client_free(struct redis_client *client);
bool redis_client_is_up(const struct redis_client *client);
/* Commands that are not answered yet. */
size_t redis_client_pending(const struct redis_client *client);
/* Gives the connection up and starts anew: `down` comes, after the callbacks of all commands. Not
 * from within a callback of this client. */
void redis_client_reset(struct redis_client *client, const char *why);

/* Runs exactly once, never before the call that sent the command returns. `reply` NULL: the
 * connection was lost first; the command may have been carried out or not. */
typedef void redis_replied_fn(void *arg, const struct redis_reply *reply);
/* 0; -ENOTCONN: not up; -ENOBUFS: max_pending; -ENOMEM. Then `done` does not run. Copies `args`.
 * `done` may be NULL. */
int redis_client_send(struct redis_client *client, const struct str *args, size_t count,
                      redis_replied_fn *done, void *arg);

/* A Lua script, sent as EVALSHA; where the server does not know it, once more as EVAL. */
struct redis_script {
    const char *text;
    char sha1[41]; /* zero-terminated; filled by redis_script_init() */
};
void redis_script_init(struct redis_script *script, const char *text);
/* As redis_client_send(). `args` holds the keys first. */
int redis_client_eval(struct redis_client *client, const struct redis_script *script,
                      size_t key_count, const struct str *args, size_t count,
                      redis_replied_fn *done, void *arg);

/* ---- Reading a reply ------------------------------------------------------------------------- */

enum redis_type {
    REDIS_TYPE_NIL,
    REDIS_TYPE_TEXT, /* bulk string or status */
    REDIS_TYPE_INTEGER,
    REDIS_TYPE_ARRAY,
    REDIS_TYPE_ERROR /* redis_reply_text() says which */
};
enum redis_type redis_reply_type(const struct redis_reply *reply);
/* Of text and errors; empty for everything else. */
struct str redis_reply_text(const struct redis_reply *reply);
int64_t redis_reply_integer(const struct redis_reply *reply); /* 0 for everything else */
size_t redis_reply_count(const struct redis_reply *reply);    /* of an array; else 0 */
/* Item `i` below redis_reply_count(). */
const struct redis_reply *redis_reply_item(const struct redis_reply *reply, size_t i);
#endif
