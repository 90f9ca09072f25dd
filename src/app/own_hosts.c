#include "own_hosts.h"
#include <errno.h>
#include <ifaddrs.h>
#include <stdlib.h>

static int add(struct own_hosts *hosts, struct str host)
{
    for (size_t i = 0; i < hosts->count; i++)
        if (str_eq_nocase(hosts->host[i], host))
            return 0;
    if (hosts->count == hosts->capacity) {
        size_t capacity = hosts->capacity ? hosts->capacity * 2 : 16;
        struct str *bigger = realloc(hosts->host, capacity * sizeof *bigger);
        if (!bigger)
            return -ENOMEM;
        hosts->host = bigger;
        hosts->capacity = capacity;
    }
    char *copy = strndup(host.ptr, host.len);
    if (!copy)
        return -ENOMEM;
    hosts->host[hosts->count++] = (struct str){copy, host.len};
    return 0;
}

static int add_address(struct own_hosts *hosts, const struct net_address *address)
{
    char text[NET_ADDRESS_TEXT];
    int rc = add(hosts, net_address_ip(address, text));
    if (rc == 0 && net_address_is_loopback(address))
        rc = add(hosts, STR("localhost"));
    return rc;
}

static int add_machine_addresses(struct own_hosts *hosts)
{
    struct ifaddrs *first;
    if (getifaddrs(&first) < 0)
        return -errno;
    int rc = 0;
    for (struct ifaddrs *i = first; rc == 0 && i; i = i->ifa_next) {
        struct net_address address = {0};
        if (!i->ifa_addr ||
            (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
            continue;
        memcpy(&address, i->ifa_addr,
               i->ifa_addr->sa_family == AF_INET ? sizeof address.v4 : sizeof address.v6);
        rc = add_address(hosts, &address);
    }
    freeifaddrs(first);
    return rc;
}

/* "sip.example.com:5060", "[2001:db8::1]:5060", or without a port. */
static struct str host_part(struct str host_port)
{
    if (host_port.len > 0 && host_port.ptr[0] == '[')
        return str_slice(host_port, 1, str_find(host_port, ']'));
    return str_slice(host_port, 0, str_find(host_port, ':'));
}

int own_hosts_collect(const struct config *config, struct own_hosts *out)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < config->listen_count; i++) {
        const struct net_address *address = &config->listen[i].address;
        rc = net_address_is_wildcard(address) ? add_machine_addresses(out)
                                              : add_address(out, address);
    }
    if (rc == 0 && config->advertise)
        rc = add(out, host_part(str_from(config->advertise)));
    return rc;
}

void own_hosts_fini(struct own_hosts *hosts)
{
    for (size_t i = 0; i < hosts->count; i++)
        free((char *)hosts->host[i].ptr);
    free(hosts->host);
    *hosts = (struct own_hosts){0};
}
