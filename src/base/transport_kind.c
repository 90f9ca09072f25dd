#include <aorta/transport_kind.h>
#include <errno.h>

static const char *const name_of[TRANSPORT_KINDS] = {
    [TRANSPORT_UDP] = "udp", [TRANSPORT_TCP] = "tcp", [TRANSPORT_TLS] = "tls",
    [TRANSPORT_WS] = "ws",   [TRANSPORT_WSS] = "wss",
};

const char *transport_kind_name(enum transport_kind kind)
{
    return name_of[kind];
}

int transport_kind_parse(struct str name, enum transport_kind *out)
{
    for (unsigned kind = 0; kind < TRANSPORT_KINDS; kind++)
        if (str_eq(name, str_from(name_of[kind]))) {
            *out = (enum transport_kind)kind;
            return 0;
        }
    return -EINVAL;
}
