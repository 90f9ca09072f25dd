/* aorta/redis_client.h - one pipelined connection to a Redis server (hiredis on the worker's loop),
 * which comes back by itself after it was lost. Everything here is called on the worker's thread,
 * and every callback runs on it. Commands are answered in their order; those of one turn of the
 * loop leave in one write, when it ends.
 *
 * What a server can make us hold is capped: a text of an answer at 1 MiB, one answer with all that
 * it holds at 16 MiB; beyond that, and after anything that is no answer, the connection is given
 * up. Not capped are the commands that wait to be written: those are `max_pending`, each as long as
 * its sender made it. */
#ifndef AORTA_REDIS_CLIENT_H
#define AORTA_REDIS_CLIENT_H
#include <aorta/histogram.h>
#include <aorta/net.h>
#include <aorta/str.h>

struct redis_client;
struct redis_reply; /* read through the functions below; valid during its callback */

/* All borrowed; must outlive the client. */
struct redis_client_options {
    const char *host; /* name or address */
    uint16_t port;
    uint32_t db;
    /* NULL or empty: none (ACL user; password alone: requirepass). Never logged. */
    const char *username, *password;
    uint32_t connect_timeout_ms; /* name, TCP, AUTH and SELECT together */
    /* A command unanswered for so long, and for 0.1 s more in case it was us who were held up: the
     * connection is given up. */
    uint32_t command_timeout_ms;
    size_t max_pending;          /* commands unanswered at a time; more are refused */
    struct histogram *durations; /* from a command to its answer; NULL: not measured */
};

struct redis_client_events {
    /* Connected, authenticated, database selected, and the server has its data: commands are taken
     * from now on. `run_id` is the server's (INFO server): another one means another server, or one
     * that started again; empty where the ACL forbids to ask. */
    void (*up)(void *arg, struct str run_id);
    /* Lost or given up, after the callbacks of all commands that were under way. */
    void (*down)(void *arg, const char *why);
    void *arg;
};

/* Begins to connect, and tries again for ever: after 50 ms at first, up to 1 s, jittered by half.
 * Each attempt goes to the next address of the name, which is looked up again after the last one.
 * Attempts that fail are logged when the reason changes, or every 10 s. NULL when out of memory. */
struct redis_client *redis_client_new(struct net_loop *loop,
                                      const struct redis_client_options *options,
                                      const struct redis_client_events *events);
/* Every command under way is answered by NULL first; no event comes. Before net_loop_close(), which
 * then waits for a name that is still being looked up. Not from within a callback of this client.
 * NULL is fine. */
void redis_client_free(struct redis_client *client);
bool redis_client_is_up(const struct redis_client *client);
/* Commands that are not answered yet. */
size_t redis_client_pending(const struct redis_client *client);
/* For how long the oldest of them has been waited for, in ms; 0 when there is none. */
uint32_t redis_client_lag_ms(const struct redis_client *client);
/* Gives the connection up and starts anew: `down` comes, after the callbacks of all commands.
 * Within a callback that happens when it has returned; commands are refused at once. Nothing while
 * there is no connection. */
void redis_client_reset(struct redis_client *client, const char *why);

/* Runs exactly once, never before the call that sent the command returns. `reply` NULL: the
 * connection was lost first; the command may have been carried out or not. */
typedef void redis_replied_fn(void *arg, const struct redis_reply *reply);
/* 0; -ENOTCONN: not up; -ENOBUFS: max_pending; -ENOMEM. Then `done` does not run. Copies `args`, of
 * which there is at least one. `done` may be NULL. Only commands with exactly one answer: no
 * SUBSCRIBE, MONITOR or CLIENT REPLY. */
int redis_client_send(struct redis_client *client, const struct str *args, size_t count,
                      redis_replied_fn *done, void *arg);

/* A Lua script, sent as EVALSHA; where the server does not know it, once more as EVAL. That one
 * runs after commands that were sent in the meantime: who needs an order waits for the answer. */
struct redis_script {
    const char *text;
    char sha1[41]; /* zero-terminated; filled by redis_script_init() */
};
void redis_script_init(struct redis_script *script, const char *text);
/* As redis_client_send(). `args` holds the keys first; there may be none. `script` is borrowed
 * until `done` has run. */
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
