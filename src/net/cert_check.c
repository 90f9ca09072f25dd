/* What is wrong with a certificate or its key, said in a sentence before a TLS library says it in
 * numbers. */
#include "cert_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <mbedtls/platform_util.h>
#include <mbedtls_compat.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILE_MAX_BYTES = 256 * 1024 };

struct pem {
    char *text;  /* zero-terminated */
    size_t size; /* with that zero */
};

static void pem_free(struct pem *pem)
{
    if (pem->text)
        mbedtls_platform_zeroize(pem->text, pem->size);
    free(pem->text);
}

static int read_all(int fd, struct pem *pem)
{
    size_t used = 0;
    while (used <= FILE_MAX_BYTES) {
        ssize_t n = read(fd, pem->text + used, FILE_MAX_BYTES + 1 - used);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            break;
        if (n > 0)
            used += (size_t)n;
    }
    if (used > FILE_MAX_BYTES)
        return -EFBIG;
    pem->text[used] = 0;
    pem->size = used + 1;
    return 0;
}

static int pem_read(const char *file, struct pem *pem, struct buf *error)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* not waiting for a FIFO's writer */
    if (fd < 0) {
        buf_printf(error, "%s: cannot be opened: %s", file, strerror(errno));
        return -EINVAL;
    }
    *pem = (struct pem){calloc(1, FILE_MAX_BYTES + 1), FILE_MAX_BYTES + 1};
    int r = pem->text ? read_all(fd, pem) : -ENOMEM;
    close(fd);
    if (r == 0)
        return 0;
    buf_printf(error, "%s: cannot be read: %s", file, strerror(-r));
    return -EINVAL;
}

static bool has_certificate(const struct pem *pem)
{
    return strstr(pem->text, "-----BEGIN CERTIFICATE-----");
}

static bool has_key(const struct pem *pem)
{
    return strstr(pem->text, " PRIVATE KEY-----"); /* PKCS #8's, EC's, RSA's */
}

static bool has_encrypted_key(const struct pem *pem)
{
    return strstr(pem->text, "-----BEGIN ENCRYPTED PRIVATE KEY-----") ||
           strstr(pem->text, "Proc-Type: 4,ENCRYPTED");
}

static void put_date(struct buf *out, const mbedtls_x509_time *at)
{
    buf_printf(out, "%04d-%02d-%02d %02d:%02d:%02d UTC", at->year, at->mon, at->day, at->hour,
               at->min, at->sec);
}

/* Of the first one, the server's own: that others of the chain have expired is often intended. */
static int check_dates(const char *file, const mbedtls_x509_crt *crt, struct buf *error)
{
    if (mbedtls_x509_time_is_past(&crt->valid_to)) {
        buf_printf(error, "%s: the certificate expired on ", file);
        put_date(error, &crt->valid_to);
        return -EINVAL;
    }
    if (mbedtls_x509_time_is_future(&crt->valid_from)) {
        buf_printf(error, "%s: the certificate is not valid before ", file);
        put_date(error, &crt->valid_from);
        return -EINVAL;
    }
    return 0;
}

static int parse_certificate(const char *file, const struct pem *pem, mbedtls_x509_crt *crt,
                             struct buf *error)
{
    if (!has_certificate(pem)) {
        if (has_key(pem))
            buf_printf(error,
                       "%s: holds a private key where the certificate belongs; are tls.cert and "
                       "tls.key swapped?",
                       file);
        else
            buf_printf(error, "%s: is not PEM: no line reads -----BEGIN CERTIFICATE-----", file);
        return -EINVAL;
    }
    int r = mbedtls_x509_crt_parse(crt, (const unsigned char *)pem->text, pem->size);
    if (r > 0)
        buf_printf(error, "%s: %d of the certificates in it cannot be understood", file, r);
    if (r < 0) {
        buf_printf(error, "%s: the certificate cannot be understood", file);
        cert_put_cause(error, r);
    }
    return r == 0 ? check_dates(file, crt, error) : -EINVAL;
}

static int parse_key(const char *file, const struct pem *pem, mbedtls_pk_context *key,
                     struct cert_random *random, struct buf *error)
{
    if (!has_key(pem)) {
        if (has_certificate(pem))
            buf_printf(error,
                       "%s: holds a certificate where its private key belongs; are tls.cert and "
                       "tls.key swapped?",
                       file);
        else
            buf_printf(error, "%s: is not PEM: no line reads -----BEGIN PRIVATE KEY-----", file);
        return -EINVAL;
    }
    if (has_encrypted_key(pem)) {
        buf_printf(error,
                   "%s: the private key is encrypted; store it without a passphrase, readable by "
                   "aorta only",
                   file);
        return -EINVAL;
    }
    int r = compat_pk_parse_key(key, (const unsigned char *)pem->text, pem->size,
                                mbedtls_ctr_drbg_random, &random->drbg);
    if (r == 0)
        return 0;
    buf_printf(error, "%s: the private key cannot be understood", file);
    cert_put_cause(error, r);
    return -EINVAL;
}

struct check {
    const char *cert_file, *key_file;
    struct pem cert_pem, key_pem;
    mbedtls_x509_crt crt;
    mbedtls_pk_context key;
    struct cert_random random;
};

static int check_pair(struct check *c, struct buf *error)
{
    int r;
    if ((r = pem_read(c->cert_file, &c->cert_pem, error)) < 0 ||
        (r = parse_certificate(c->cert_file, &c->cert_pem, &c->crt, error)) < 0 ||
        (r = pem_read(c->key_file, &c->key_pem, error)) < 0 ||
        (r = parse_key(c->key_file, &c->key_pem, &c->key, &c->random, error)) < 0)
        return r;
    if (compat_pk_check_pair(&c->crt.pk, &c->key, mbedtls_ctr_drbg_random, &c->random.drbg) == 0)
        return 0;
    buf_printf(error, "%s: the private key does not belong to the certificate in %s", c->key_file,
               c->cert_file);
    return -EINVAL;
}

int cert_check_pair(const char *cert_file, const char *key_file, struct buf *error)
{
    struct check c = {.cert_file = cert_file, .key_file = key_file};
    mbedtls_x509_crt_init(&c.crt);
    mbedtls_pk_init(&c.key);
    int r = cert_random_init(&c.random);
    if (r == 0) {
        r = check_pair(&c, error);
    } else {
        buf_printf(error, "%s: cannot be checked", cert_file);
        cert_put_cause(error, r);
        r = -EINVAL;
    }
    cert_random_fini(&c.random);
    mbedtls_pk_free(&c.key);
    mbedtls_x509_crt_free(&c.crt);
    pem_free(&c.key_pem);
    pem_free(&c.cert_pem);
    return r;
}
