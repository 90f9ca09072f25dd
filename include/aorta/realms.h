/* aorta/realms.h - who decides for which SIP domain: its users file, or the server that its
 * callback names. Made from one configuration and never changed afterwards, but for what callbacks
 * have learnt meanwhile; shared by all workers. */
#ifndef AORTA_REALMS_H
#define AORTA_REALMS_H
#include <aorta/config.h>

struct users;
struct callback; /* a customer's server: whether it is away, and the HA1s that it let us keep */
struct http_client;

/* An AOR that the users file has is decided by the file, every other one by the callback. */
struct realm {
    struct str name;           /* in lower case; "*": any domain that no other realm names */
    const struct users *users; /* NULL: none */
    struct callback *callback; /* NULL: none */
    uint32_t max_registrations;
    bool allow_foreign_aor; /* where the callback decides */
};

struct realms;

/* Reads all users files, each once. `config` is borrowed and must outlive the realms. `demo_users`
 * is taken, whatever comes of it (NULL: none): they are the users of a realm with neither users nor
 * callback. 0, or a negative errno with all that is wrong appended to `errors`, a line each. Call
 * str_hash_seed() before. */
int realms_load(const struct config *config, struct users *demo_users, struct realms **out,
                struct buf *errors);
/* After the callback_lanes of all workers. NULL is fine. */
void realms_free(struct realms *realms);
/* The realm of that name (any case), else "*"; NULL: the domain is not served. */
const struct realm *realms_find(const struct realms *realms, struct str domain);
/* All of them, in the configuration's order. */
size_t realms_count(const struct realms *realms);
const struct realm *realms_at(const struct realms *realms, size_t i);
/* Of all files together. */
size_t realms_user_count(const struct realms *realms);

/* Any thread: did it answer when it was asked last? Has it been away for so long that it is asked
 * only once a second? */
bool callback_is_answering(const struct callback *callback);
bool callback_is_away(const struct callback *callback);

/* ---- A worker's ways to the callbacks ------------------------------------------------------- */

struct callback_lanes;
/* One lane of `client` for each callback; `workers` share its maxConnections. Both are borrowed and
 * must outlive the lanes. On the worker's thread, or before it starts. NULL when out of memory. */
struct callback_lanes *callback_lanes_new(const struct realms *realms, struct http_client *client,
                                          unsigned workers);
/* What waits for a callback ends with AUTH_UNAVAILABLE. NULL is fine. */
void callback_lanes_free(struct callback_lanes *lanes);
/* Adds what there is in all of them. On the worker's thread. NULL is fine. */
struct http_lane_load;
void callback_lanes_load(const struct callback_lanes *lanes, struct http_lane_load *sum);
#endif
