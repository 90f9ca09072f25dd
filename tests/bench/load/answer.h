/* answer.h - what a server answered, and whether that is an answer to what was asked. Pure. */
#ifndef LOAD_ANSWER_H
#define LOAD_ANSWER_H
#include "digest.h"

/* What can be wrong with a registration. Answers other than 200 and 401 are counted by status. */
enum fault {
    FAULT_NONE,
    FAULT_MALFORMED,  /* no SIP answer, or without what each must have */
    FAULT_UNEXPECTED, /* an answer that nobody waits for, or a request */
    FAULT_CALL_ID,
    FAULT_CSEQ,
    FAULT_BRANCH,
    FAULT_FROM_TAG,
    FAULT_CONTACT,         /* the 200 does not list the own one */
    FAULT_CONTACT_EXPIRES, /* not granted, 0, or longer than asked */
    FAULT_CHALLENGE,       /* a 401 that cannot be answered */
    FAULT_TIMEOUT,
    FAULT_REFUSED, /* no connection */
    FAULT_TLS,
    FAULT_UPGRADE,
    FAULT_FRAME,  /* WebSocket */
    FAULT_CLOSED, /* by the server, while it was waited for */
    FAULT_SYSTEM, /* this machine's limits: files, ports, memory */
    FAULTS
};
extern const char *const fault_names[FAULTS];

enum { CHALLENGE_MAX_NONCE = 160, CHALLENGE_MAX_OPAQUE = 64, CHALLENGE_MAX_REALM = 200 };

struct answer {
    int status;
    struct str branch, from_tag, call_id;
    uint32_t cseq;
    bool is_register; /* by its CSeq */
    struct str head;  /* header lines, after the status line */
    struct str body;
};
/* `message` is one whole message. Everything borrows it. */
enum fault answer_parse(struct str message, struct answer *out);

/* What the answer must give back. */
struct expected {
    struct str branch, from_tag, call_id;
    uint32_t cseq;
    struct str contact; /* URI */
    uint32_t expires_s;
};
/* Contacts are looked at in a 200 only. */
enum fault answer_check(const struct answer *a, const struct expected *expected);

struct challenge {
    struct str realm, nonce, opaque;
    enum digest_algorithm algorithm;
    bool has_qop, is_stale;
};
/* The MD5 challenge if there is one, else that for SHA-256. */
enum fault answer_challenge(const struct answer *a, struct challenge *out);

/* Whole messages of a stream: bytes of the first, 0 if it is not whole yet, -EINVAL if it never
 * will be. Line ends between messages are a "message" of their own (a pong). */
long answer_frame(struct str data);
#endif
