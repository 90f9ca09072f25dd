/* conn_pieces.h - a connection to the real transport, on which bytes come in pieces. */
#ifndef CONN_PIECES_H
#define CONN_PIECES_H
#include <aorta/transport.h>

/* The first byte of the input says how the rest is cut, which comes on a connection of that kind
 * behind `before`. What the connection does must be the same as if all of it had come in one piece,
 * or this aborts. */
void conn_pieces_try(enum transport_kind kind, struct str before, const uint8_t *data, size_t size);

/* A request that makes a connection a WebSocket. */
#define UPGRADE_REQUEST                                                                \
    STR("GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" \
        "Sec-WebSocket-Protocol: sip\r\n\r\n")
#endif
