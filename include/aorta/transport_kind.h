/* aorta/transport_kind.h - the five transports by name, and how a connection is named. */
#ifndef AORTA_TRANSPORT_KIND_H
#define AORTA_TRANSPORT_KIND_H
#include <aorta/str.h>

enum transport_kind {
    TRANSPORT_UDP,
    TRANSPORT_TCP,
    TRANSPORT_TLS,
    TRANSPORT_WS,
    TRANSPORT_WSS,
    TRANSPORT_KINDS
};

/* Worker (8 bits), slot (24), generation (32); 0 is no connection. */
typedef uint64_t conn_id;

static inline conn_id conn_id_make(uint8_t worker, uint32_t slot, uint32_t generation)
{
    return (conn_id)worker << 56 | (conn_id)(slot & 0xffffff) << 32 | generation;
}
static inline uint8_t conn_id_worker(conn_id id)
{
    return (uint8_t)(id >> 56);
}
static inline uint32_t conn_id_slot(conn_id id)
{
    return (uint32_t)(id >> 32) & 0xffffff;
}
static inline uint32_t conn_id_generation(conn_id id)
{
    return (uint32_t)id;
}

/* "udp", "tcp", "tls", "ws", "wss". */
const char *transport_kind_name(enum transport_kind kind);
/* -EINVAL when `name` (lower case) is none. */
int transport_kind_parse(struct str name, enum transport_kind *out);

static inline bool transport_kind_is_stream(enum transport_kind kind)
{
    return kind != TRANSPORT_UDP;
}
static inline bool transport_kind_is_websocket(enum transport_kind kind)
{
    return kind == TRANSPORT_WS || kind == TRANSPORT_WSS;
}
static inline bool transport_kind_is_secure(enum transport_kind kind)
{
    return kind == TRANSPORT_TLS || kind == TRANSPORT_WSS;
}
#endif
