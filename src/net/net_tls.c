/* TLS for the streams: libwebsockets owns the handshake, and hands out its OpenSSL context once,
 * for the settings that it has no words for. */
#include "net_internal.h"
#include <errno.h>
#include <openssl/ssl.h>
#include <stdlib.h>

/* AES-128 is the cheapest to seal with, and brings SHA-256, for which CPUs have instructions, in
 * place of SHA-384. TLS 1.2 has the longer list. */
static const char suites[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
static const char ciphers[] = "ECDHE+AES128+AESGCM:ECDHE+AESGCM:ECDHE+CHACHA20";

static void tune_openssl(SSL_CTX *ctx, const struct net_tls_ticket_key *ticket_key)
{
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_ciphersuites(ctx, suites);
    SSL_CTX_set_cipher_list(ctx, ciphers);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    /* An idle client's read and write buffers are given back: 34 kB each. */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    /* What the file holds is sent, and no chain looked for at each handshake: we trust nobody, so
     * none would be found. */
    SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN);
    /* One read for a record, or several, instead of two for each. */
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_info_callback(ctx, net_stream_on_tls);
    /* Sessions live in the client's ticket, never in a cache of ours. In TLS 1.3 resuming saves no
     * round trip, and us hardly more than the ticket costs: none is sent. In 1.2 it does. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 0); /* of TLS 1.3 */
    struct net_tls_ticket_key key = *ticket_key;
    SSL_CTX_set_tlsext_ticket_keys(ctx, key.bytes, sizeof key.bytes);
    OPENSSL_cleanse(&key, sizeof key);
}

static int stream_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                           size_t len)
{
    if (reason == LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS) {
        struct net_loop *loop = lws_get_vhost_user(lws_get_vhost(wsi));
        loop->server_ctx = user;
        tune_openssl(user, loop->ticket_key);
        return 0;
    }
    return net_stream_callback(wsi, reason, user, in, len);
}

static const struct lws_protocols protocols[] = {
    {.name = "stream", .callback = stream_callback},
    {0               },
};

static struct lws_vhost *open_vhost(struct net_loop *loop, const char *name, const char *cert_file,
                                    const char *key_file)
{
    struct lws_context_creation_info info = {0};
    info.vhost_name = name;
    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info.protocols = protocols;
    info.user = loop;
    info.provided_client_ssl_ctx = loop->client_ctx;
    if (cert_file) {
        info.options =
            LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX;
        info.ssl_cert_filepath = cert_file;
        info.ssl_private_key_filepath = key_file;
        info.alpn = "http/1.1"; /* else Chromium would speak h2 */
    }
    return lws_create_vhost(loop->lws, &info);
}

int net_tls_open_vhosts(struct net_loop *loop, const char *cert_file, const char *key_file,
                        const struct net_tls_ticket_key *ticket_key, struct buf *error)
{
    /* We are no TLS client. Without one of ours the library would make a client context for each
     * virtual host, with all of the system's CA certificates, and leak it. */
    loop->client_ctx = SSL_CTX_new(TLS_client_method());
    if (!loop->client_ctx)
        return -ENOMEM;
    loop->plain = open_vhost(loop, "plain", NULL, NULL);
    if (!loop->plain) {
        buf_put_text(error, "libwebsockets cannot make a virtual host");
        return -ENOMEM;
    }
    if (!cert_file)
        return 0;
    loop->ticket_key = ticket_key;
    loop->secure = open_vhost(loop, "secure", cert_file, key_file);
    loop->ticket_key = NULL;
    if (!loop->secure) {
        buf_printf(error, "TLS cannot start with certificate %s and key %s", cert_file, key_file);
        return -EINVAL;
    }
    return 0;
}

void net_tls_close(struct net_loop *loop)
{
    net_certificate_release(loop->certificate);
    SSL_CTX_free(loop->client_ctx);
}
