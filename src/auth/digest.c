#include "digest_internal.h"
#include <aorta/buf.h>
#include <errno.h>
#include <mbedtls_compat.h>

enum { SHA_512_BYTES = 64 };

static const struct {
    const char *name;
    size_t size;
} algorithms[DIGEST_ALGORITHMS] = {
    [DIGEST_MD5] = {"MD5",         16},
    [DIGEST_SHA_256] = {"SHA-256",     32},
    [DIGEST_SHA_512_256] = {"SHA-512-256", 32},
};

const char *digest_name(enum digest_algorithm algorithm)
{
    return algorithms[algorithm].name;
}

size_t digest_size(enum digest_algorithm algorithm)
{
    return algorithms[algorithm].size;
}

int digest_parse_name(struct str name, enum digest_algorithm *out)
{
    for (size_t i = 0; i < DIGEST_ALGORITHMS; i++)
        if (str_eq_nocase(name, str_from(algorithms[i].name))) {
            *out = (enum digest_algorithm)i;
            return 0;
        }
    return -EINVAL;
}

uint8_t *digest_ha1_of(struct digest_ha1s *ha1s, enum digest_algorithm algorithm)
{
    switch (algorithm) {
    case DIGEST_MD5:
        return ha1s->md5;
    case DIGEST_SHA_256:
        return ha1s->sha_256;
    default:
        return ha1s->sha_512_256;
    }
}

/* ---- One hash, whichever it is ------------------------------------------------------------- */

/* The library is called for much at once, not for each of a digest's dozen short parts. */
struct hash {
    enum digest_algorithm algorithm;
    int error; /* the first one; then nothing more happens */
    size_t waiting;
    unsigned char part[256]; /* `waiting` bytes of it are not hashed yet */
    union {
        mbedtls_md5_context md5;
        mbedtls_sha256_context sha256;
        mbedtls_sha512_context sha512;
    };
};

/* FIPS 180-4 5.3.6.2: SHA-512/256 is SHA-512 cut short, from a start of its own. */
static int start_sha512_256(mbedtls_sha512_context *sha512)
{
    static const uint64_t start[8] = {
        0x22312194fc2bf72c, 0x9f555fa3c84c64c2, 0x2393b86b6f53b151, 0x963877195940eabd,
        0x96283ee2a88effe3, 0xbe5e1e2553863992, 0x2b0199fc2c85b8aa, 0x0eb72ddc81c52ca2,
    };
    int error = mbedtls_sha512_starts(sha512, 0);
    memcpy(sha512->MBEDTLS_PRIVATE(state), start, sizeof start);
    return error;
}

static void hash_start(struct hash *h, enum digest_algorithm algorithm)
{
    h->algorithm = algorithm;
    h->waiting = 0;
    switch (algorithm) {
    case DIGEST_MD5:
        mbedtls_md5_init(&h->md5);
        h->error = mbedtls_md5_starts(&h->md5);
        return;
    case DIGEST_SHA_256:
        mbedtls_sha256_init(&h->sha256);
        h->error = mbedtls_sha256_starts(&h->sha256, 0);
        return;
    default:
        mbedtls_sha512_init(&h->sha512);
        h->error = start_sha512_256(&h->sha512);
        return;
    }
}

static void absorb(struct hash *h, const unsigned char *bytes, size_t n)
{
    if (h->error != 0 || n == 0)
        return;
    switch (h->algorithm) {
    case DIGEST_MD5:
        h->error = mbedtls_md5_update(&h->md5, bytes, n);
        return;
    case DIGEST_SHA_256:
        h->error = mbedtls_sha256_update(&h->sha256, bytes, n);
        return;
    default:
        h->error = mbedtls_sha512_update(&h->sha512, bytes, n);
        return;
    }
}

static void hash_put(struct hash *h, struct str text)
{
    if (text.len > sizeof h->part - h->waiting) {
        absorb(h, h->part, h->waiting);
        h->waiting = 0;
    }
    if (text.len > sizeof h->part) {
        absorb(h, (const unsigned char *)text.ptr, text.len);
        return;
    }
    if (text.len > 0)
        memcpy(h->part + h->waiting, text.ptr, text.len);
    h->waiting += text.len;
}

static int hash_end(struct hash *h, uint8_t out[DIGEST_MAX_BYTES])
{
    uint8_t whole[SHA_512_BYTES];
    absorb(h, h->part, h->waiting);
    switch (h->algorithm) {
    case DIGEST_MD5:
        h->error = h->error ? h->error : mbedtls_md5_finish(&h->md5, whole);
        mbedtls_md5_free(&h->md5);
        break;
    case DIGEST_SHA_256:
        h->error = h->error ? h->error : mbedtls_sha256_finish(&h->sha256, whole);
        mbedtls_sha256_free(&h->sha256);
        break;
    default:
        h->error = h->error ? h->error : mbedtls_sha512_finish(&h->sha512, whole);
        mbedtls_sha512_free(&h->sha512);
        break;
    }
    if (h->error != 0)
        return -EIO;
    memcpy(out, whole, digest_size(h->algorithm));
    mbedtls_platform_zeroize(whole, sizeof whole);
    mbedtls_platform_zeroize(h->part, h->waiting); /* an HA1, or a password */
    return 0;
}

/* H(part:part:…), the shape of everything that RFC 7616 hashes. */
static int hash_joined(enum digest_algorithm algorithm, const struct str *part, size_t count,
                       uint8_t out[DIGEST_MAX_BYTES])
{
    struct hash h;
    hash_start(&h, algorithm);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            hash_put(&h, STR(":"));
        hash_put(&h, part[i]);
    }
    return hash_end(&h, out);
}

/* ---- RFC 7616 3.4 -------------------------------------------------------------------------- */

int digest_ha1(enum digest_algorithm algorithm, struct str user, struct str realm,
               struct str password, uint8_t ha1[DIGEST_MAX_BYTES])
{
    const struct str part[] = {user, realm, password};
    return hash_joined(algorithm, part, sizeof part / sizeof *part, ha1);
}

struct hex {
    char text[DIGEST_MAX_HEX];
};

static struct str to_hex(struct hex *hex, const uint8_t *bytes, size_t n)
{
    struct buf b;
    buf_init_fixed(&b, hex->text, sizeof hex->text);
    buf_put_hex(&b, bytes, n);
    return buf_str(&b);
}

static int answer(enum digest_algorithm algorithm, struct str ha1, struct str ha2,
                  const struct digest_question *q, uint8_t response[DIGEST_MAX_BYTES])
{
    const struct str with_qop[] = {ha1, q->nonce, q->nc, q->cnonce, q->qop, ha2};
    const struct str rfc2069[] = {ha1, q->nonce, ha2};
    if (str_is_empty(q->qop))
        return hash_joined(algorithm, rfc2069, sizeof rfc2069 / sizeof *rfc2069, response);
    return hash_joined(algorithm, with_qop, sizeof with_qop / sizeof *with_qop, response);
}

int digest_response(enum digest_algorithm algorithm, const uint8_t *ha1,
                    const struct digest_question *question, uint8_t response[DIGEST_MAX_BYTES])
{
    size_t size = digest_size(algorithm);
    const struct str a2[] = {question->method, question->uri};
    uint8_t ha2[DIGEST_MAX_BYTES];
    int rc = hash_joined(algorithm, a2, sizeof a2 / sizeof *a2, ha2);
    if (rc != 0)
        return rc;

    struct hex ha1_hex, ha2_hex;
    rc = answer(algorithm, to_hex(&ha1_hex, ha1, size), to_hex(&ha2_hex, ha2, size), question,
                response);
    mbedtls_platform_zeroize(&ha1_hex, sizeof ha1_hex);
    return rc;
}
