/* The EVP functions allocate and look the algorithm up for every text; these do not. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "digest.h"
#include <openssl/md5.h>
#include <openssl/sha.h>

struct text {
    char data[DIGEST_MAX_INPUT];
    size_t len;
};

/* What would not fit is cut off: the answer is then wrong, and the server says so. */
static void put(struct text *t, const void *bytes, size_t n)
{
    if (n > sizeof t->data - t->len)
        n = sizeof t->data - t->len;
    memcpy(t->data + t->len, bytes, n);
    t->len += n;
}

static void put_part(struct text *t, struct str part)
{
    put(t, part.ptr, part.len);
    put(t, ":", 1);
}

static void hash(enum digest_algorithm a, const struct text *t, uint8_t out[DIGEST_MAX_BYTES])
{
    if (a == DIGEST_MD5) {
        MD5_CTX md5;
        MD5_Init(&md5);
        MD5_Update(&md5, t->data, t->len);
        MD5_Final(out, &md5);
    } else {
        SHA256_CTX sha256;
        SHA256_Init(&sha256);
        SHA256_Update(&sha256, t->data, t->len);
        SHA256_Final(out, &sha256);
    }
}

static void write_hex(char *out, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}

void digest_ha1(enum digest_algorithm a, struct str user, struct str realm, struct str password,
                uint8_t ha1[DIGEST_MAX_BYTES])
{
    struct text t;
    t.len = 0;
    put_part(&t, user);
    put_part(&t, realm);
    put(&t, password.ptr, password.len);
    hash(a, &t, ha1);
}

void digest_ha2(enum digest_algorithm a, struct str method, struct str uri,
                char ha2[DIGEST_MAX_HEX])
{
    struct text t;
    t.len = 0;
    put_part(&t, method);
    put(&t, uri.ptr, uri.len);
    uint8_t bytes[DIGEST_MAX_BYTES];
    hash(a, &t, bytes);
    write_hex(ha2, bytes, digest_bytes(a));
}

void digest_response(enum digest_algorithm a, const uint8_t ha1[DIGEST_MAX_BYTES], struct str nonce,
                     struct str nc, struct str cnonce, const char ha2[DIGEST_MAX_HEX],
                     char response[DIGEST_MAX_HEX])
{
    struct text t;
    size_t n = digest_bytes(a);
    write_hex(t.data, ha1, n);
    t.len = 2 * n;
    put(&t, ":", 1);
    put_part(&t, nonce);
    if (!str_is_empty(nc)) {
        put_part(&t, nc);
        put_part(&t, cnonce);
        put_part(&t, STR("auth"));
    }
    put(&t, ha2, 2 * n);
    uint8_t bytes[DIGEST_MAX_BYTES];
    hash(a, &t, bytes);
    write_hex(response, bytes, n);
}
