/* A self-signed certificate for a server on this machine. */
#include "cert_internal.h"
#include <errno.h>
#include <mbedtls/ecp.h>
#include <mbedtls/error.h>
#include <mbedtls/oid.h>
#include <mbedtls/platform_util.h>
#include <mbedtls_compat.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { DAY_S = 86400, CERT_PEM_MAX = 4096, KEY_PEM_MAX = 1024, SERIAL_BYTES = 16 };
enum { HOST_NAME_MAX_BYTES = 64, LABEL_MAX = 63, ALT_NAMES_MAX = 128 };

/* ---- Randomness and errors ------------------------------------------------------------------- */

int cert_random_init(struct cert_random *random)
{
    mbedtls_entropy_init(&random->entropy);
    mbedtls_ctr_drbg_init(&random->drbg);
    return mbedtls_ctr_drbg_seed(&random->drbg, mbedtls_entropy_func, &random->entropy,
                                 (const unsigned char *)"aorta", 5);
}

void cert_random_fini(struct cert_random *random)
{
    mbedtls_ctr_drbg_free(&random->drbg);
    mbedtls_entropy_free(&random->entropy);
}

void cert_put_cause(struct buf *error, int r)
{
    char text[128];
    mbedtls_strerror(r, text, sizeof text);
    buf_printf(error, ": %s", text);
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* RFC 5280 4.2.1.6: GeneralName's tags, context-specific and primitive. */
enum { TAG_DNS_NAME = 0x82, TAG_IP_ADDRESS = 0x87, TAG_SEQUENCE = 0x30, SHORT_LENGTH_MAX = 127 };

static void put_der(struct buf *out, unsigned char tag, struct str value)
{
    unsigned char head[] = {tag, (unsigned char)value.len};
    buf_put(out, head, sizeof head);
    buf_put_str(out, value);
}

static bool is_label(struct str label)
{
    if (label.len == 0 || label.len > LABEL_MAX)
        return false;
    if (label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++) {
        char c = label.ptr[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && c != '-')
            return false;
    }
    return true;
}

/* RFC 1123 2.1. A last label of digits only would make it look like an IP address. */
static bool is_dns_name(struct str name)
{
    uint64_t ignored;
    struct str label = STR_NONE;
    if (name.len == 0 || name.len > HOST_NAME_MAX_BYTES || name.ptr[name.len - 1] == '.')
        return false;
    for (struct str rest = name; str_split(&rest, '.', &label);)
        if (!is_label(label))
            return false;
    return str_to_u64(label, UINT64_MAX, &ignored) == -EINVAL;
}

void cert_put_alt_names(struct buf *out, struct str host)
{
    static const char ipv4[4] = {127, 0, 0, 1};
    static const char ipv6[16] = {[15] = 1};
    char memory[SHORT_LENGTH_MAX]; /* all names fit: no long form of length is needed */
    struct buf names;
    buf_init_fixed(&names, memory, sizeof memory);
    put_der(&names, TAG_DNS_NAME, STR("localhost"));
    if (is_dns_name(host) && !str_eq_nocase(host, STR("localhost")))
        put_der(&names, TAG_DNS_NAME, host);
    put_der(&names, TAG_IP_ADDRESS, (struct str){ipv4, sizeof ipv4});
    put_der(&names, TAG_IP_ADDRESS, (struct str){ipv6, sizeof ipv6});
    put_der(out, TAG_SEQUENCE, buf_str(&names));
}

static int set_alt_names(mbedtls_x509write_cert *crt)
{
    char host[HOST_NAME_MAX_BYTES + 1] = "", memory[ALT_NAMES_MAX + 1];
    struct buf names;
    if (gethostname(host, sizeof host) < 0)
        host[0] = 0; /* too long a name is no name */
    host[sizeof host - 1] = 0;
    buf_init_fixed(&names, memory, sizeof memory);
    cert_put_alt_names(&names, str_from(host));
    return mbedtls_x509write_crt_set_extension(crt, MBEDTLS_OID_SUBJECT_ALT_NAME,
                                               MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME), 0,
                                               (const unsigned char *)memory, names.len);
}

/* ---- The certificate ------------------------------------------------------------------------- */

static int set_server_usage(mbedtls_x509write_cert *crt)
{
    /* RFC 5280 4.2.1.12: SEQUENCE { OBJECT IDENTIFIER id-kp-serverAuth } */
    static const unsigned char server_auth[] = {0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06,
                                                0x01, 0x05, 0x05, 0x07, 0x03, 0x01};
    return mbedtls_x509write_crt_set_extension(crt, MBEDTLS_OID_EXTENDED_KEY_USAGE,
                                               MBEDTLS_OID_SIZE(MBEDTLS_OID_EXTENDED_KEY_USAGE), 0,
                                               server_auth, sizeof server_auth);
}

static int set_serial(mbedtls_x509write_cert *crt, struct cert_random *random)
{
    unsigned char serial[SERIAL_BYTES];
    int r = mbedtls_ctr_drbg_random(&random->drbg, serial, sizeof serial);
    if (r != 0)
        return r;
    serial[0] = (serial[0] & 0x7f) | 0x40; /* RFC 5280 4.1.2.2: positive; and always as long */
    return compat_crt_set_serial(crt, serial, sizeof serial);
}

static void put_time(char text[16], time_t at)
{
    struct tm tm = {0};
    gmtime_r(&at, &tm);
    strftime(text, 16, "%Y%m%d%H%M%S", &tm);
}

/* Begins a day ago, for clients whose clock is behind. */
static int set_validity(mbedtls_x509write_cert *crt, time_t now)
{
    char from[16], to[16];
    put_time(from, now - DAY_S);
    put_time(to, now - DAY_S + (time_t)CERT_DAYS * DAY_S);
    return mbedtls_x509write_crt_set_validity(crt, from, to);
}

static int describe(mbedtls_x509write_cert *crt, mbedtls_pk_context *key,
                    struct cert_random *random)
{
    int r;
    mbedtls_x509write_crt_set_version(crt, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(crt, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(crt, key);
    mbedtls_x509write_crt_set_issuer_key(crt, key);
    if ((r = mbedtls_x509write_crt_set_subject_name(crt, "CN=aorta")) != 0 ||
        (r = mbedtls_x509write_crt_set_issuer_name(crt, "CN=aorta")) != 0 ||
        (r = set_serial(crt, random)) != 0 || (r = set_validity(crt, time(NULL))) != 0 ||
        (r = mbedtls_x509write_crt_set_basic_constraints(crt, 0, -1)) != 0 ||
        (r = mbedtls_x509write_crt_set_key_usage(crt, MBEDTLS_X509_KU_DIGITAL_SIGNATURE)) != 0 ||
        (r = set_server_usage(crt)) != 0 || (r = set_alt_names(crt)) != 0)
        return r;
    return 0;
}

static int sign(mbedtls_pk_context *key, struct cert_random *random, char pem[CERT_PEM_MAX])
{
    mbedtls_x509write_cert crt;
    mbedtls_x509write_crt_init(&crt);
    int r = describe(&crt, key, random);
    if (r == 0)
        r = mbedtls_x509write_crt_pem(&crt, (unsigned char *)pem, CERT_PEM_MAX,
                                      mbedtls_ctr_drbg_random, &random->drbg);
    mbedtls_x509write_crt_free(&crt);
    return r;
}

static int make_key(mbedtls_pk_context *key, struct cert_random *random, char pem[KEY_PEM_MAX])
{
    int r = mbedtls_pk_setup(key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (r == 0)
        r = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*key),
                                mbedtls_ctr_drbg_random, &random->drbg);
    if (r == 0)
        r = mbedtls_pk_write_key_pem(key, (unsigned char *)pem, KEY_PEM_MAX);
    return r;
}

static int make_pems(char cert_pem[CERT_PEM_MAX], char key_pem[KEY_PEM_MAX])
{
    struct cert_random random;
    mbedtls_pk_context key;
    mbedtls_pk_init(&key);
    int r = cert_random_init(&random);
    if (r == 0)
        r = make_key(&key, &random, key_pem);
    if (r == 0)
        r = sign(&key, &random, cert_pem);
    mbedtls_pk_free(&key);
    cert_random_fini(&random);
    return r;
}

static int make_files(const char *cert_file, const char *key_file, struct buf *error)
{
    char cert_pem[CERT_PEM_MAX], key_pem[KEY_PEM_MAX];
    int r = make_pems(cert_pem, key_pem);
    if (r != 0) {
        buf_printf(error, "%s: the certificate cannot be made", cert_file);
        cert_put_cause(error, r);
        r = -EIO;
    } else {
        struct cert_pair pair = {cert_file, key_file, str_from(cert_pem), str_from(key_pem)};
        r = cert_files_place(&pair, error);
    }
    mbedtls_platform_zeroize(key_pem, sizeof key_pem);
    return r;
}

static int make_unless_there(const char *cert_file, const char *key_file, struct buf *error)
{
    bool has_cert = access(cert_file, F_OK) == 0, has_key = access(key_file, F_OK) == 0;
    if (has_cert && has_key)
        return 0; /* another process was faster */
    if (!has_cert && !has_key)
        return make_files(cert_file, key_file, error);
    buf_printf(error,
               "%s is missing, while %s is there: put it back, or remove the other one to have a "
               "new pair made",
               has_cert ? key_file : cert_file, has_cert ? cert_file : key_file);
    return -ENOENT;
}

int cert_make_self_signed(const char *cert_file, const char *key_file, struct buf *error)
{
    int r = cert_files_make_folder(cert_file, error);
    if (r == 0)
        r = cert_files_make_folder(key_file, error);
    if (r < 0)
        return r;
    int lock = cert_files_lock(cert_file);
    r = make_unless_there(cert_file, key_file, error);
    if (lock >= 0)
        close(lock);
    return r;
}
