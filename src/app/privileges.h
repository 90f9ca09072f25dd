/* privileges.h - what the process may do: an ordinary user once its ports are bound, no way to gain
 * rights again, no memory in files. */
#ifndef AORTA_PRIVILEGES_H
#define AORTA_PRIVILEGES_H
#include <aorta/config.h>

/* For every start, before a secret is read: nothing that is executed gains rights
 * (PR_SET_NO_NEW_PRIVS), and a crash leaves no core file, which would hold the TLS key and the
 * users' digest hashes. */
void privileges_limit(void);
/* Is there such a user as `user` (NULL is fine)? -EINVAL with a sentence in `error`. */
int privileges_check_user(const struct config *config, struct buf *error);
/* 0 where this process can become the configured user, or is that user, or none is configured. A
 * negative errno with a sentence in `error`. */
int privileges_can_become_user(const struct config *config, struct buf *error);
/* Gives a file that root has just made to the configured user, who is to read it again. */
int privileges_give_file(const struct config *config, const char *file, struct buf *error);
/* Becomes the configured user for good, with that user's groups, in all threads; then says by
 * warnings which of the files that SIGHUP reads cannot be read any more, or that this is still
 * root. A negative errno with a sentence in `error`: the process must not go on. */
int privileges_drop(const struct config *config, const char *config_file, struct buf *error);
#endif
