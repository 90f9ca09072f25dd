/* auth_world.h - a server with users and a callback, and a client that answers its challenges. The
 * callback is played by the test: these http_lane functions take the place of the real ones. */
#ifndef AUTH_WORLD_H
#define AUTH_WORLD_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/digest_internal.h"
#include "auth/nonce_internal.h"
#include <aorta/auth.h>
#include <aorta/http_client.h>

#define NOW_MS UINT64_C(1800000000000)
#define NO "-" /* this parameter is left out */

/* ---- The callback, one for each thread ------------------------------------------------------ */

enum { FAKE_POSTS = 64, FAKE_BODY = 4096 };

struct fake_post {
    struct http_lane *lane;
    char body[FAKE_BODY];
    http_answered_fn *done; /* NULL: answered */
    void *arg;
};

struct fake_http {
    struct http_answer answer; /* given at once, unless is_deferred */
    bool is_deferred;
    uint32_t wait_ms; /* for who posts now */
    unsigned count;   /* posts so far; the first FAKE_POSTS of them are in `post` */
    struct fake_post post[FAKE_POSTS];
    int open_lanes;
    struct http_lane_options options; /* of the lane opened last */
};
extern _Thread_local struct fake_http fake;

struct http_answer fake_json(const char *json); /* 200 */
struct http_answer fake_status(int status, const char *body);
struct http_answer fake_error(int error);
/* Gives the answer to a deferred post. */
void fake_give(unsigned post, struct http_answer answer);

/* ---- The server ----------------------------------------------------------------------------- */

struct world {
    struct config config;
    char users_file[64];
    struct realms *realms;
    struct callback_lanes *lanes;
    struct auth *auth;
};

/* Users from the text of a file, or NULL; with a callback, or without. */
void world_open(struct world *w, const char *users_json, bool has_callback);
void world_close(struct world *w);
/* A file with that text under a name of its own, to be unlinked. */
void write_temporary(char path[64], const char *text);

/* ---- A client ------------------------------------------------------------------------------- */

struct client {
    struct world *w;
    struct arena arena;
    struct sip_request sip;
    struct auth_request request;
    struct str own_host[2];
    char aor[128];
    /* The last answer; its text is copied. */
    struct auth_result result;
    char grant[AUTH_GRANT_BYTES + 1], message[AUTH_MESSAGE_BYTES + 1];
    unsigned done; /* how often it came */
};

/* alice@example.com over WSS from 192.0.2.1:5060. */
void client_open(struct client *c, struct world *w);
void client_close(struct client *c);
void set_aor(struct client *c, const char *user, const char *host);
void take_nonce(struct client *c, char nonce[NONCE_TEXT + 1]);

/* What a client sends; NULL stands for what a good one would send. */
struct answer {
    const char *username, *realm, *nonce, *uri, *qop, *nc, *cnonce, *algorithm, *response;
    const char *password;
    bool is_upper_case; /* the response */
};
const char *given(const char *value, const char *usual);
const char *write_answer(const struct answer *a, char text[1024]);

/* Sends a request with these Authorization values, NULL for none. It may have to wait: `done`. */
void begin(struct client *c, const char *first, const char *second);
void begin_answer(struct client *c, const struct answer *a);
/* The same, and the verdict is there at once. */
enum auth_verdict ask(struct client *c, const char *first, const char *second);
enum auth_verdict try_answer(struct client *c, const struct answer *a);
/* A right answer, or one with another password, to a fresh nonce. */
enum auth_verdict try_fresh(struct client *c, const char *password);
#endif
