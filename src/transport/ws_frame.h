/* ws_frame.h - WebSocket frames of a client (RFC 6455 5), one at a time. Pure. */
#ifndef AORTA_WS_FRAME_H
#define AORTA_WS_FRAME_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10
};

/* RFC 6455 7.4.1 */
enum ws_close_code {
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL_ERROR = 1002,
    WS_CLOSE_BAD_DATA = 1007,
    WS_CLOSE_POLICY = 1008,
    WS_CLOSE_TOO_BIG = 1009,
    WS_CLOSE_INTERNAL = 1011,
    WS_CLOSE_TRY_LATER = 1013, /* of the IANA registry */
};

struct ws_frame {
    enum ws_opcode opcode;
    bool is_final;
    char *payload; /* unmasked in place */
    size_t payload_bytes;
    size_t total_bytes; /* header and payload, to skip */
};

enum ws_frame_result { WS_FRAME_OK, WS_FRAME_MORE, WS_FRAME_BAD };

/* Reads the frame that starts at `data`. Bad frames are known from their first bytes: *close_code
 * then says how to close (1002 for an unmasked frame, reserved bits or opcodes, a fragmented or
 * long control frame, a length not in its shortest form; 1009 for a payload over `max_payload`,
 * before it has come). Unmasks the payload, so call it once for each whole frame. */
enum ws_frame_result ws_frame_read(char *data, size_t len, size_t max_payload, struct ws_frame *out,
                                   uint16_t *close_code);

/* Header of an unfragmented frame without mask, for a payload of `payload_bytes`: written to the
 * bytes that end at `payload`. Returns its length, at most WS_FRAME_HEADER. */
enum { WS_FRAME_HEADER = 10 };
size_t ws_frame_put_header(char *payload, enum ws_opcode opcode, size_t payload_bytes);

/* May a peer send this close code (RFC 6455 7.4)? */
bool ws_close_code_is_valid(unsigned code);
#endif
