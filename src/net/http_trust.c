/* The certificates that HTTPS servers must be vouched for by. They are loaded once and given to
 * each connection: libcurl by itself would parse the system's whole bundle for every handshake. */
#include "http_internal.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

static int load_file(X509_STORE *store, const char *ca_file, struct buf *error)
{
    if (X509_STORE_load_file(store, ca_file) == 1)
        return 0;
    unsigned long code = ERR_peek_last_error();
    const char *cause =
        ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
    buf_printf(error, "%s: no certificate can be read: %s", ca_file, cause ? cause : "unknown");
    return -EINVAL;
}

int http_trust_load(const char *ca_file, X509_STORE **out, struct buf *error)
{
    X509_STORE *store = X509_STORE_new();
    if (!store)
        return -ENOMEM;
    /* As libcurl has it: a server's own or its issuer's certificate in the file is enough. */
    X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
    /* It fails without memory only; a machine without CAs trusts what the file brings. */
    int rc = X509_STORE_set_default_paths(store) == 1 ? 0 : -ENOMEM;
    if (rc == 0 && ca_file)
        rc = load_file(store, ca_file, error);
    ERR_clear_error(); /* the thread's queue belongs to whoever uses OpenSSL next */
    if (rc < 0) {
        X509_STORE_free(store);
        return rc;
    }
    *out = store;
    return 0;
}

static CURLcode on_context(CURL *easy, void *context, void *store)
{
    (void)easy;
    SSL_CTX_set1_cert_store(context, store);
    return CURLE_OK;
}

CURLcode http_trust_set_options(X509_STORE *store, CURL *easy)
{
    unsigned rc = 0;
    rc |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    rc |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    rc |= curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
    rc |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    rc |= curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_context);
    rc |= curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, store);
    return rc == 0 ? CURLE_OK : CURLE_FAILED_INIT;
}
