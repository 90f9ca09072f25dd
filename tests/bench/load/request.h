/* request.h - the REGISTER that a client sends, with and without credentials. Shared by all clients
 * that send from one socket (UDP) or over one transport. */
#ifndef LOAD_REQUEST_H
#define LOAD_REQUEST_H
#include "answer.h"
#include "options.h"
#include "template.h"

/* Who sends. The digits that do not change are written once for each client's turn. */
struct identity {
    uint32_t user, slot, serial, cseq, nc;
    uint16_t port;
    struct str nonce, opaque;
    const uint8_t *ha1;
};

struct requests {
    const struct options *options;
    const char *run; /* 8 characters of this process and run */
    struct str local_host;
    struct template plain, authorized;
    /* The shape that `authorized` was compiled for. */
    bool has_shape, has_qop;
    enum digest_algorithm algorithm;
    char realm[CHALLENGE_MAX_REALM];
    size_t realm_len, nonce_len, opaque_len;
    char uri[256];
    size_t uri_len;
    char ha2[DIGEST_MAX_HEX];
};

/* Borrows all three. -ENOSPC: names are too long. */
int requests_init(struct requests *r, const struct options *o, const char *run,
                  struct str local_host);
/* Prepares for answers to challenges like this one. */
int requests_take_challenge(struct requests *r, const struct challenge *c);
struct str requests_realm(const struct requests *r);

/* The message; valid until the next call. */
struct str requests_plain(struct requests *r, const struct identity *id);
struct str requests_authorized(struct requests *r, const struct identity *id);
/* What an answer to the last message of `id` must give back; valid until the next call. */
struct expected requests_expected(struct requests *r, const struct identity *id);

/* "u0000001": the name of user number `n`. */
struct str requests_user_name(const struct options *o, uint32_t n, char out[256]);
/* Number of the client whose Call-ID this is; false when it is none of this process. */
bool requests_find_slot(const struct requests *r, struct str call_id, uint32_t *slot);
#endif
