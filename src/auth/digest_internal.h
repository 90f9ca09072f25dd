/* digest_internal.h - the sums of HTTP Digest (RFC 7616 3.4) with the algorithms that RFC 8760
 * gives SIP. Pure; any thread. */
#ifndef AORTA_DIGEST_INTERNAL_H
#define AORTA_DIGEST_INTERNAL_H
#include <aorta/config.h>
#include <aorta/str.h>

enum { DIGEST_MAX_BYTES = 32, DIGEST_MAX_HEX = 2 * DIGEST_MAX_BYTES };

/* "MD5", "SHA-256", "SHA-512-256". */
const char *digest_name(enum digest_algorithm algorithm);
/* -EINVAL when `name` (any case) is none. */
int digest_parse_name(struct str name, enum digest_algorithm *out);
/* Bytes of a result: 16 or 32. */
size_t digest_size(enum digest_algorithm algorithm);

/* One user's HA1 for each algorithm. */
struct digest_ha1s {
    uint8_t md5[16];
    uint8_t sha_256[32];
    uint8_t sha_512_256[32];
};
/* digest_size() bytes. */
uint8_t *digest_ha1_of(struct digest_ha1s *ha1s, enum digest_algorithm algorithm);

/* H(user:realm:password), digest_size() bytes. 0, or -EIO when the library fails. */
int digest_ha1(enum digest_algorithm algorithm, struct str user, struct str realm,
               struct str password, uint8_t ha1[DIGEST_MAX_BYTES]);

/* What a response is made of, as it was sent. */
struct digest_question {
    struct str method, uri, nonce;
    struct str nc, cnonce, qop; /* qop empty: as RFC 2069, without these three */
};
/* The right response to it, digest_size() bytes. 0, or -EIO when the library fails. */
int digest_response(enum digest_algorithm algorithm, const uint8_t *ha1,
                    const struct digest_question *question, uint8_t response[DIGEST_MAX_BYTES]);
#endif
