#include "probe.h"
#include "app.h"
#include <aorta/net.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { TIMEOUT_MS = 3000 };

static bool can_ask(const struct net_address *address)
{
    return net_address_port(address) != 0;
}

/* Whoever listens everywhere listens on loopback too. */
static struct net_address from_here(const struct net_address *address)
{
    struct net_address near = *address;
    if (net_address_is_wildcard(address))
        (void)net_address_parse(&near,
                                address->any.sa_family == AF_INET ? STR("127.0.0.1") : STR("::1"),
                                net_address_port(address));
    return near;
}

/* The admin listener, or else a plain WebSocket port that speaks to everybody. */
static bool find_address(const struct config *config, struct net_address *out)
{
    if (config->has_admin && can_ask(&config->admin)) {
        *out = from_here(&config->admin);
        return true;
    }
    for (size_t i = 0; i < config->listen_count; i++) {
        const struct config_listener *listener = &config->listen[i];
        if (listener->kind == TRANSPORT_WS && !listener->is_behind_proxy &&
            can_ask(&listener->address)) {
            *out = from_here(&listener->address);
            return true;
        }
    }
    return false;
}

int probe(const struct config *config, bool is_ready_asked)
{
    const char *path = is_ready_asked ? "/readyz" : "/healthz";
    char text[NET_ADDRESS_TEXT];
    struct net_address address;
    if (!find_address(config, &address)) {
        fputs("aorta: --probe asks http.admin, or a ws listener without ?proxy, with a port other "
              "than 0: the configuration has none\n",
              stderr);
        return EXIT_UNUSABLE;
    }
    int status = net_http_get(&address, path, TIMEOUT_MS);
    if (status == 200)
        return EXIT_OK;
    fprintf(stderr, "aorta: http://%.*s%s: ", STR_ARG(net_address_host_port(&address, text)), path);
    if (status < 0)
        fprintf(stderr, "%s\n", strerror(-status));
    else
        fprintf(stderr, "status %d\n", status);
    return EXIT_FAILED;
}
