/* mbedtls_compat.h - the differences between mbedtls 2.28 and 3, all in this one place. Our code
 * says the names of 3; in 2.28 the functions that return an error have `_ret` at the end, and
 * members are not private. 3 wants randomness where it works with a private key, to blind it; 2.28
 * takes none. */
#ifndef AORTA_MBEDTLS_COMPAT_H
#define AORTA_MBEDTLS_COMPAT_H
#include <mbedtls/aes.h>
#include <mbedtls/md5.h>
#include <mbedtls/pk.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/sha256.h>
#include <mbedtls/sha512.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#if MBEDTLS_VERSION_MAJOR < 3
#define MBEDTLS_PRIVATE(member) member
#define mbedtls_md5_starts mbedtls_md5_starts_ret
#define mbedtls_md5_update mbedtls_md5_update_ret
#define mbedtls_md5_finish mbedtls_md5_finish_ret
#define mbedtls_sha256_starts mbedtls_sha256_starts_ret
#define mbedtls_sha256_update mbedtls_sha256_update_ret
#define mbedtls_sha256_finish mbedtls_sha256_finish_ret
#define mbedtls_sha512_starts mbedtls_sha512_starts_ret
#define mbedtls_sha512_update mbedtls_sha512_update_ret
#define mbedtls_sha512_finish mbedtls_sha512_finish_ret
#endif

typedef int compat_random_fn(void *arg, unsigned char *out, size_t n);

/* `pem_size` counts the zero at the end. */
static inline int compat_pk_parse_key(mbedtls_pk_context *key, const unsigned char *pem,
                                      size_t pem_size, compat_random_fn *random, void *arg)
{
#if MBEDTLS_VERSION_MAJOR < 3
    (void)random;
    (void)arg;
    return mbedtls_pk_parse_key(key, pem, pem_size, NULL, 0);
#else
    return mbedtls_pk_parse_key(key, pem, pem_size, NULL, 0, random, arg);
#endif
}

static inline int compat_pk_check_pair(const mbedtls_pk_context *public_key,
                                       const mbedtls_pk_context *private_key,
                                       compat_random_fn *random, void *arg)
{
#if MBEDTLS_VERSION_MAJOR < 3
    (void)random;
    (void)arg;
    return mbedtls_pk_check_pair(public_key, private_key);
#else
    return mbedtls_pk_check_pair(public_key, private_key, random, arg);
#endif
}

static inline int compat_crt_set_serial(mbedtls_x509write_cert *crt, unsigned char *serial,
                                        size_t n)
{
#if MBEDTLS_VERSION_NUMBER < 0x03040000
    mbedtls_mpi number;
    mbedtls_mpi_init(&number);
    int r = mbedtls_mpi_read_binary(&number, serial, n);
    if (r == 0)
        r = mbedtls_x509write_crt_set_serial(crt, &number);
    mbedtls_mpi_free(&number);
    return r;
#else
    return mbedtls_x509write_crt_set_serial_raw(crt, serial, n);
#endif
}
#endif
