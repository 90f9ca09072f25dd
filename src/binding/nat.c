#include <aorta/nat.h>

static bool is_elsewhere(const struct net_address *address, const struct net_address *source)
{
    return !net_address_same_ip(address, source) || net_address_is_private(address);
}

/* RFC 2606 2; RFC 7118 5 has browsers use it, since they do not know their own address. */
static bool is_invalid_name(struct str host)
{
    if (host.len > 0 && host.ptr[host.len - 1] == '.') /* RFC 3261 25.1 allows a final dot */
        host.len--;
    return str_ends_nocase(host, STR(".invalid"));
}

bool nat_is_behind(const struct sip_request *sip, const struct net_address *source)
{
    if (sip->via_count > 0) {
        const struct sip_via *via = &sip->via[0];
        if (via->host_is_ip ? is_elsewhere(&via->address, source) : is_invalid_name(via->host))
            return true;
    }
    for (size_t i = 0; i < sip->contact_count; i++) {
        const struct sip_uri *uri = &sip->contacts[i].uri;
        if (uri->host_is_ip ? is_elsewhere(&uri->address, source) : is_invalid_name(uri->host))
            return true;
    }
    return false;
}
