/* users_internal.h - what auth.c asks the users file. */
#ifndef AORTA_USERS_INTERNAL_H
#define AORTA_USERS_INTERNAL_H
#include <aorta/auth.h>

/* How a client wrote the username of its answer, which is a part of HA1. Bits. */
enum {
    SPELLING_PLAIN = 0,     /* the user of the AOR */
    SPELLING_AT_REALM = 1,  /* user@realm */
    SPELLING_UNESCAPED = 2, /* without the URI's %-escapes, as JsSIP has it; same as the user when
                               that has none */
    SPELLINGS = 4,
};

enum users_answer { USERS_FOUND, USERS_UNKNOWN, USERS_NO_HA1 /* of this algorithm */ };
/* *ha1 is digest_size() bytes that live as long as `users`; set with USERS_FOUND only. `users` NULL
 * knows nobody. */
enum users_answer users_find_ha1(const struct users *users, struct str aor, unsigned spelling,
                                 enum digest_algorithm algorithm, const uint8_t **ha1);

/* Takes the first character off `*text`, which is not empty; a %-escape as the byte it stands for.
 */
char users_take_char(struct str *text);
#endif
