/* cert_internal.h - what the three files about certificates share. */
#ifndef CERT_INTERNAL_H
#define CERT_INTERNAL_H
#include <aorta/cert.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>

/* Where keys get their randomness from. */
struct cert_random {
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context drbg;
};

/* 0 or mbedtls's error. Call cert_random_fini() in either case. */
int cert_random_init(struct cert_random *random);
void cert_random_fini(struct cert_random *random);
/* Appends ": " and mbedtls's own words for its error `r`. */
void cert_put_cause(struct buf *error, int r);

/* The DER value of a subjectAltName: localhost, 127.0.0.1, ::1 and `host`, if that is a DNS name
 * of its own. */
void cert_put_alt_names(struct buf *out, struct str host);

/* A certificate and its key on their way into files. */
struct cert_pair {
    const char *cert_file, *key_file;
    struct str cert_pem, key_pem;
};

/* Both new files or none, whole or not at all, and nothing that is there already replaced. 0, or a
 * negative errno with a sentence in `error`. */
int cert_files_place(const struct cert_pair *pair, struct buf *error);
/* Makes the folders in which the file will stand. */
int cert_files_make_folder(const char *file, struct buf *error);
/* Waits until no other process makes certificates in the folder of `file`. Returns what to close
 * afterwards, or -1 where a folder cannot be locked. */
int cert_files_lock(const char *file);
#endif
