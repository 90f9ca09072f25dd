/* aorta/cert.h - the certificate that TLS listeners show. Called while starting, one thread. */
#ifndef AORTA_CERT_H
#define AORTA_CERT_H
#include <aorta/buf.h>

enum { CERT_DAYS = 397 }; /* what browsers take at most */

/* Neither file exists: writes a P-256 key (mode 0600) and a self-signed certificate with the names
 * localhost, 127.0.0.1, ::1 and this host's; creates the folder if need be. Never overwrites
 * anything: both exist: 0, as another process may just have made them; one: -ENOENT. 0, or a
 * negative errno with a sentence (without a line end) in `error`. */
int cert_make_self_signed(const char *cert_file, const char *key_file, struct buf *error);
/* Can a server use this pair: readable, PEM, not expired, key belongs to certificate? -EINVAL with
 * a sentence (without a line end) in `error` that names the file and the cause. */
int cert_check_pair(const char *cert_file, const char *key_file, struct buf *error);
#endif
