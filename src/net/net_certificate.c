/* A certificate that takes the place of another one while the loops run. */
#include "net_internal.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdlib.h>

struct net_certificate {
    _Atomic unsigned references;
    X509 *leaf;
    STACK_OF(X509) * chain; /* without the leaf */
    EVP_PKEY *key;
};

static int complain(struct buf *error, const char *file, const char *what)
{
    buf_printf(error, "%s: %s", file, what);
    ERR_clear_error();
    return -EINVAL;
}

/* All certificates of the file, the server's own first. */
static int read_chain(struct net_certificate *c, const char *file, struct buf *error)
{
    BIO *bio = BIO_new_file(file, "r");
    if (!bio)
        return complain(error, file, "cannot be read");
    c->leaf = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
    c->chain = sk_X509_new_null();
    X509 *next;
    while (c->leaf && c->chain && (next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
        if (sk_X509_push(c->chain, next) == 0) {
            X509_free(next);
            break;
        }
    ERR_clear_error(); /* the end of the file is one */
    BIO_free(bio);
    return c->leaf && c->chain ? 0 : complain(error, file, "holds no certificate");
}

/* A key with a passphrase is none: nobody is there to type it. */
static int refuse_passphrase(char *memory, int size, int is_writing, void *arg)
{
    (void)memory;
    (void)size;
    (void)is_writing;
    (void)arg;
    return -1;
}

static int read_key(struct net_certificate *c, const char *file, struct buf *error)
{
    BIO *bio = BIO_new_file(file, "r");
    if (!bio)
        return complain(error, file, "cannot be read");
    c->key = PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, NULL);
    BIO_free(bio);
    return c->key ? 0 : complain(error, file, "holds no private key, or an encrypted one");
}

int net_certificate_load(const char *cert_file, const char *key_file, struct net_certificate **out,
                         struct buf *error)
{
    struct net_certificate *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->references = 1;
    int rc = read_chain(c, cert_file, error);
    if (rc == 0)
        rc = read_key(c, key_file, error);
    if (rc == 0 && X509_check_private_key(c->leaf, c->key) != 1)
        rc = complain(error, key_file, "does not belong to the certificate");
    if (rc == 0)
        *out = c;
    else
        net_certificate_release(c);
    return rc;
}

void net_certificate_hold(struct net_certificate *certificate)
{
    atomic_fetch_add(&certificate->references, 1);
}

void net_certificate_release(struct net_certificate *certificate)
{
    if (!certificate || atomic_fetch_sub(&certificate->references, 1) != 1)
        return;
    X509_free(certificate->leaf);
    sk_X509_pop_free(certificate->chain, X509_free);
    EVP_PKEY_free(certificate->key);
    free(certificate);
}

/* An SSL_CTX keeps one certificate for each type of key, and would go on to show the old one where
 * the new one has another type. So each handshake gets its certificate by itself. */
static int show_certificate(SSL *ssl, void *arg)
{
    const int overrides = 1;
    const struct net_certificate *c = ((struct net_loop *)arg)->certificate;
    SSL_certs_clear(ssl);
    return SSL_use_cert_and_key(ssl, c->leaf, c->key, c->chain, overrides);
}

/* Tried out on a handshake that nobody makes. */
static bool is_usable(SSL_CTX *ctx, const struct net_certificate *c)
{
    const int overrides = 1;
    SSL *ssl = SSL_new(ctx);
    bool is_good = ssl && SSL_use_cert_and_key(ssl, c->leaf, c->key, c->chain, overrides) == 1;
    SSL_free(ssl);
    ERR_clear_error();
    return is_good;
}

int net_loop_set_certificate(struct net_loop *loop, struct net_certificate *certificate)
{
    if (!loop->server_ctx)
        return -EINVAL;
    if (!is_usable(loop->server_ctx, certificate))
        return -EIO;
    net_certificate_hold(certificate);
    net_certificate_release(loop->certificate);
    loop->certificate = certificate;
    SSL_CTX_set_cert_cb(loop->server_ctx, show_certificate, loop);
    return 0;
}
