/* proxy_header.h - the PROXY protocol's header, by which a balancer that passes bytes through tells
 * who its client is (haproxy.org, "The PROXY protocol", versions 1 and 2). Pure. */
#ifndef AORTA_PROXY_HEADER_H
#define AORTA_PROXY_HEADER_H
#include <aorta/net_address.h>

/* Version 1 has at most 107 bytes. In version 2 what follows the addresses (TLVs) is read over;
 * real ones are some hundred bytes. */
enum { PROXY_HEADER_MAX_BYTES = 2048 };

enum proxy_header_result {
    PROXY_HEADER_MORE, /* not whole yet: all of `data` belongs to it */
    PROXY_HEADER_BAD,
    PROXY_HEADER_WHOLE,
};

struct proxy_header {
    size_t total_bytes; /* WHOLE: of the header */
    /* WHOLE: the balancer names its client. Otherwise the connection is its own (a health check:
     * LOCAL), or from somewhere without an IP address over TCP (UNKNOWN). */
    bool has_client;
    struct net_address client;
};

/* Reads a header at the start of `data`, which may have more behind it. */
enum proxy_header_result proxy_header_read(struct str data, struct proxy_header *out);
#endif
