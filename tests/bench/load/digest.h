/* digest.h - Digest answers (RFC 7616), without an allocation. */
#ifndef LOAD_DIGEST_H
#define LOAD_DIGEST_H
#include <aorta/str.h>

enum digest_algorithm { DIGEST_MD5, DIGEST_SHA256 };
enum { DIGEST_MAX_BYTES = 32, DIGEST_MAX_HEX = 64, DIGEST_MAX_INPUT = 1024 };

static inline size_t digest_bytes(enum digest_algorithm a)
{
    return a == DIGEST_MD5 ? 16 : 32;
}

/* user:realm:password */
void digest_ha1(enum digest_algorithm a, struct str user, struct str realm, struct str password,
                uint8_t ha1[DIGEST_MAX_BYTES]);
/* method:uri, in hex */
void digest_ha2(enum digest_algorithm a, struct str method, struct str uri,
                char ha2[DIGEST_MAX_HEX]);
/* The response in hex, for qop=auth; without `nc` as RFC 2069 has it. */
void digest_response(enum digest_algorithm a, const uint8_t ha1[DIGEST_MAX_BYTES], struct str nonce,
                     struct str nc, struct str cnonce, const char ha2[DIGEST_MAX_HEX],
                     char response[DIGEST_MAX_HEX]);
#endif
