/* ws.h - the client's side of WebSocket (RFC 6455, RFC 7118). Pure. */
#ifndef LOAD_WS_H
#define LOAD_WS_H
#include <aorta/str.h>

enum { WS_KEY_LEN = 24, WS_ACCEPT_LEN = 28, WS_MAX_HEADER = 14 };
enum ws_opcode { WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

/* 16 bytes in base64. */
void ws_key(const uint8_t random[16], char key[WS_KEY_LEN]);
void ws_accept(const char key[WS_KEY_LEN], char accept[WS_ACCEPT_LEN]);

/* Bytes of the answer to the upgrade; 0: not whole yet; -EPROTO: not what was asked for. */
long ws_check_upgrade(struct str data, const char key[WS_KEY_LEN]);

struct ws_frame {
    enum ws_opcode opcode;
    struct str payload;
};
/* Bytes of the first frame; 0: not whole yet; -EPROTO: nothing that a server may send. A message
 * in several frames is refused too: no server under test sends any. */
long ws_read_frame(struct str data, struct ws_frame *out);
/* Writes header and masked payload to `out`, which has room for WS_MAX_HEADER more than the
 * payload; returns how much that is. */
size_t ws_write_frame(char *out, enum ws_opcode opcode, struct str payload, uint32_t mask);
#endif
