/* nonce_internal.h - nonces that carry their own proof, and the memory of which nc were used.
 * A nonce is lower-case hex: tag, start of the program, time, serial, flow, AES-CMAC over all that.
 * Nothing is kept for one that is only handed out; the first use takes a slot in a table of fixed
 * size, and a newer nonce may push it out again. Pure but for that table; any thread. */
#ifndef AORTA_NONCE_INTERNAL_H
#define AORTA_NONCE_INTERNAL_H
#include <aorta/net_address.h>
#include <aorta/transport_kind.h>

enum {
    NONCE_BYTES = 41,
    NONCE_TEXT = 2 * NONCE_BYTES, /* not terminated */
    NONCE_MAX_WORKERS = 256,
    NONCE_SLOT_BYTES = 8, /* of the memory of uses */
};

struct nonces;

/* `workers` threads will make nonces; 2^slot_bits are remembered. NULL when out of memory, without
 * randomness, or when there are more workers than slots or than NONCE_MAX_WORKERS. */
struct nonces *nonces_new(unsigned workers, unsigned slot_bits);
void nonces_free(struct nonces *nonces);

/* Whom a nonce is for: the connection, or over UDP the source IP. */
uint64_t nonces_flow(const struct nonces *nonces, enum transport_kind protocol, conn_id conn,
                     const struct net_address *source);

/* Thread `worker` only. 0, or -EIO when the library fails. */
int nonces_make(struct nonces *nonces, unsigned worker, uint64_t flow, uint64_t now_ms,
                char text[NONCE_TEXT]);

enum nonce_verdict {
    NONCE_GOOD,
    NONCE_FOREIGN,    /* not made here, or tampered with */
    NONCE_OLD_START,  /* says that it was made before a restart: nobody can tell any more */
    NONCE_EXPIRED,    /* ours, but older than the ttl or from the future */
    NONCE_OTHER_FLOW, /* ours, but handed to another connection or address */
};
/* *serial names the nonce below; set with NONCE_GOOD only. Uses up nothing. */
enum nonce_verdict nonces_check(const struct nonces *nonces, struct str text, uint64_t flow,
                                uint64_t now_ms, uint32_t ttl_s, uint64_t *serial);

/* One use of a nonce. */
struct nonce_use {
    uint64_t serial;
    uint32_t nc;
    bool is_whole; /* an answer without nc (RFC 2069): only as the first, and nothing after it */
};
/* Has a newer nonce taken the place where this one's use was kept? */
bool nonces_is_forgotten(const struct nonces *nonces, const struct nonce_use *use);
/* True if nonces_use() would let it pass now. */
bool nonces_is_unused(const struct nonces *nonces, const struct nonce_use *use);
/* Uses it up. False when that, or anything not below it, has happened before: of equal uses on
 * several threads exactly one is told true. */
bool nonces_use(struct nonces *nonces, const struct nonce_use *use);
#endif
