#include "ws_frame.h"
#include <string.h>

enum { FIN = 0x80, RESERVED = 0x70, MASKED = 0x80, MASK_BYTES = 4, CONTROL_MAX = 125 };

static bool is_control(unsigned opcode)
{
    return opcode & 8;
}

static bool is_known(unsigned opcode)
{
    return opcode <= WS_BINARY || (opcode >= WS_CLOSE && opcode <= WS_PONG);
}

static uint64_t read_big_endian(const unsigned char *p, size_t bytes)
{
    uint64_t n = 0;
    while (bytes--)
        n = n << 8 | *p++;
    return n;
}

/* The length of the length, and whether what it says needed that much. */
static bool read_length(const unsigned char *head, size_t length_bytes, uint64_t *length)
{
    if (length_bytes == 0) {
        *length = head[1] & 0x7f;
        return true;
    }
    *length = read_big_endian(head + 2, length_bytes);
    return *length > (length_bytes == 2 ? 125 : 0xffff) && *length >> 63 == 0;
}

static void unmask(char *data, size_t len, const unsigned char mask[MASK_BYTES])
{
    uint64_t wide;
    memcpy(&wide, mask, MASK_BYTES);
    memcpy((char *)&wide + MASK_BYTES, mask, MASK_BYTES);
    size_t i = 0;
    for (; i + sizeof wide <= len; i += sizeof wide) {
        uint64_t chunk;
        memcpy(&chunk, data + i, sizeof chunk);
        chunk ^= wide;
        memcpy(data + i, &chunk, sizeof chunk);
    }
    for (; i < len; i++)
        data[i] = (char)((unsigned char)data[i] ^ mask[i % MASK_BYTES]);
}

enum ws_frame_result ws_frame_read(char *data, size_t len, size_t max_payload, struct ws_frame *out,
                                   uint16_t *close_code)
{
    const unsigned char *head = (const unsigned char *)data;
    if (len < 2)
        return WS_FRAME_MORE;
    unsigned opcode = head[0] & 0x0f, short_length = head[1] & 0x7f;
    *close_code = WS_CLOSE_PROTOCOL_ERROR;
    if (head[0] & RESERVED || !is_known(opcode) || !(head[1] & MASKED))
        return WS_FRAME_BAD;
    if (is_control(opcode) && (short_length > CONTROL_MAX || !(head[0] & FIN)))
        return WS_FRAME_BAD;

    size_t length_bytes = short_length == 126 ? 2 : short_length == 127 ? 8 : 0;
    size_t header = 2 + length_bytes + MASK_BYTES;
    if (len < 2 + length_bytes)
        return WS_FRAME_MORE;
    uint64_t length;
    if (!read_length(head, length_bytes, &length))
        return WS_FRAME_BAD;
    if (length > max_payload) {
        *close_code = WS_CLOSE_TOO_BIG;
        return WS_FRAME_BAD;
    }
    if (len < header || len - header < length)
        return WS_FRAME_MORE;
    unmask(data + header, length, head + header - MASK_BYTES);
    *out = (struct ws_frame){opcode, head[0] & FIN, data + header, length, header + length};
    return WS_FRAME_OK;
}

size_t ws_frame_put_header(char *payload, enum ws_opcode opcode, size_t payload_bytes)
{
    size_t length_bytes = payload_bytes < 126 ? 0 : payload_bytes <= 0xffff ? 2 : 8;
    size_t header = 2 + length_bytes;
    unsigned char *p = (unsigned char *)payload - header;
    p[0] = (unsigned char)(FIN | opcode);
    p[1] = length_bytes == 0 ? (unsigned char)payload_bytes : length_bytes == 2 ? 126 : 127;
    for (size_t i = 0; i < length_bytes; i++)
        p[2 + i] = (unsigned char)(payload_bytes >> 8 * (length_bytes - 1 - i));
    return header;
}

bool ws_close_code_is_valid(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}
