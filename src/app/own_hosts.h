/* own_hosts.h - the names and addresses by which clients may call this node. */
#ifndef AORTA_OWN_HOSTS_H
#define AORTA_OWN_HOSTS_H
#include <aorta/config.h>

struct own_hosts {
    struct str *host;
    size_t count, capacity;
};

/* The listeners' addresses (all of the machine's for a wildcard), localhost when one of them is
 * loopback, and the host of `advertise`. -ENOMEM, or 0. */
int own_hosts_collect(const struct config *config, struct own_hosts *out);
void own_hosts_fini(struct own_hosts *hosts);
#endif
