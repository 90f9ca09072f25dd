/* hiredis looks names up on the thread that connects, which would stop the loop. */
#include "redis_internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct redis_lookup {
    uv_getaddrinfo_t request;
    redis_found_fn *found; /* NULL: abandoned */
    void *arg;
};

static size_t copy_addresses(struct net_address *to, const struct addrinfo *list)
{
    size_t count = 0;
    for (; list && count < REDIS_MAX_ADDRESSES; list = list->ai_next)
        if (list->ai_family == AF_INET || list->ai_family == AF_INET6)
            memcpy(&to[count++], list->ai_addr, list->ai_addrlen);
    return count;
}

static void on_answer(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    struct redis_lookup *lookup = request->data;
    struct net_address addresses[REDIS_MAX_ADDRESSES] = {0};
    size_t count = status == 0 ? copy_addresses(addresses, list) : 0;
    uv_freeaddrinfo(list);
    if (lookup->found)
        lookup->found(lookup->arg, addresses, count,
                      status == 0 ? "the name has no address" : uv_strerror(status));
    free(lookup);
}

int redis_lookup_start(struct net_loop *loop, const char *host, uint16_t port,
                       redis_found_fn *found, void *arg, struct redis_lookup **out)
{
    struct redis_lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup)
        return -ENOMEM;
    *lookup = (struct redis_lookup){.request.data = lookup, .found = found, .arg = arg};
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int rc = uv_getaddrinfo(&loop->uv, &lookup->request, on_answer, host, service, &hints);
    if (rc < 0) {
        free(lookup);
        return rc;
    }
    *out = lookup;
    return 0;
}

void redis_lookup_abandon(struct redis_lookup *lookup)
{
    lookup->found = NULL;
    (void)uv_cancel((uv_req_t *)&lookup->request); /* it may be too late for that */
}
