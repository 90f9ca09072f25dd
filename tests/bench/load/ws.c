#include "ws.h"
#include <errno.h>
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

enum { FIN = 0x80, RESERVED = 0x70, MASKED = 0x80, MAX_PAYLOAD = 65536, MAX_HEAD = 8192 };

/* ---- Upgrade ------------------------------------------------------------------------------- */

static void write_base64(char *out, const uint8_t *in, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        uint32_t bits = (uint32_t)in[i] << 16;
        if (i + 1 < n)
            bits |= (uint32_t)in[i + 1] << 8;
        if (i + 2 < n)
            bits |= in[i + 2];
        *out++ = digits[bits >> 18];
        *out++ = digits[bits >> 12 & 63];
        *out++ = i + 1 < n ? digits[bits >> 6 & 63] : '=';
        *out++ = i + 2 < n ? digits[bits & 63] : '=';
    }
}

void ws_key(const uint8_t random[16], char key[WS_KEY_LEN])
{
    write_base64(key, random, 16);
}

void ws_accept(const char key[WS_KEY_LEN], char accept[WS_ACCEPT_LEN])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    SHA_CTX sha1;
    uint8_t hash[20];
    SHA1_Init(&sha1);
    SHA1_Update(&sha1, key, WS_KEY_LEN);
    SHA1_Update(&sha1, guid, sizeof guid - 1);
    SHA1_Final(hash, &sha1);
    write_base64(accept, hash, sizeof hash);
}

long ws_check_upgrade(struct str data, const char key[WS_KEY_LEN])
{
    const char *end = memmem(data.ptr, data.len, "\r\n\r\n", 4);
    if (end == NULL)
        return data.len > MAX_HEAD ? -EPROTO : 0;
    struct str rest = {data.ptr, (size_t)(end - data.ptr)}, line;
    if (!str_starts_nocase(rest, STR("HTTP/1.1 101")))
        return -EPROTO;
    char accept[WS_ACCEPT_LEN];
    ws_accept(key, accept);
    const struct {
        struct str name, value;
        bool is_exact;
    } wanted[] = {
        {STR("Upgrade"),                STR("websocket"),        false},
        {STR("Connection"),             STR("Upgrade"),          false},
        {STR("Sec-WebSocket-Accept"),   {accept, sizeof accept}, true },
        {STR("Sec-WebSocket-Protocol"), STR("sip"),              true },
    };
    unsigned seen = 0;
    while (str_split(&rest, '\n', &line)) {
        size_t colon = str_find(line, ':');
        struct str name = str_slice(line, 0, colon),
                   value = str_trim(str_slice(line, colon + 1, line.len));
        if (str_eq_nocase(name, STR("Sec-WebSocket-Extensions")))
            return -EPROTO; /* none was offered */
        for (unsigned i = 0; i < sizeof wanted / sizeof *wanted; i++)
            if (str_eq_nocase(name, wanted[i].name)) {
                if (!(wanted[i].is_exact ? str_eq(value, wanted[i].value)
                                         : str_eq_nocase(value, wanted[i].value)))
                    return -EPROTO;
                seen |= 1u << i;
            }
    }
    return seen == 15 ? end + 4 - data.ptr : -EPROTO;
}

/* ---- Frames -------------------------------------------------------------------------------- */

static uint64_t read_big_endian(const uint8_t *p, size_t n)
{
    uint64_t value = 0;
    while (n-- > 0)
        value = value << 8 | *p++;
    return value;
}

long ws_read_frame(struct str data, struct ws_frame *out)
{
    const uint8_t *p = (const uint8_t *)data.ptr;
    if (data.len < 2)
        return 0;
    unsigned opcode = p[0] & 15;
    bool is_control = opcode >= WS_CLOSE && opcode <= WS_PONG;
    bool is_data = opcode == WS_TEXT || opcode == WS_BINARY;
    if ((p[0] & (FIN | RESERVED)) != FIN || p[1] & MASKED || !(is_control || is_data) ||
        (is_control && p[1] > 125))
        return -EPROTO;
    size_t extra = p[1] == 126 ? 2 : p[1] == 127 ? 8 : 0;
    if (data.len < 2 + extra)
        return 0;
    uint64_t length = extra ? read_big_endian(p + 2, extra) : p[1];
    if (length > MAX_PAYLOAD)
        return -EPROTO;
    if (data.len - 2 - extra < length)
        return 0;
    *out = (struct ws_frame){
        (enum ws_opcode)opcode, {data.ptr + 2 + extra, (size_t)length}
    };
    return (long)(2 + extra + length);
}

size_t ws_write_frame(char *out, enum ws_opcode opcode, struct str payload, uint32_t mask)
{
    uint8_t *p = (uint8_t *)out;
    size_t header = 2;
    p[0] = (uint8_t)(FIN | opcode);
    if (payload.len <= 125) {
        p[1] = (uint8_t)(MASKED | payload.len);
    } else {
        p[1] = MASKED | 126; /* ours never reach 64 KiB */
        p[2] = (uint8_t)(payload.len >> 8);
        p[3] = (uint8_t)payload.len;
        header = 4;
    }
    memcpy(p + header, &mask, sizeof mask);
    header += sizeof mask;
    uint64_t wide = (uint64_t)mask << 32 | mask;
    size_t i = 0;
    for (; i + sizeof wide <= payload.len; i += sizeof wide) {
        uint64_t chunk;
        memcpy(&chunk, payload.ptr + i, sizeof chunk);
        chunk ^= wide;
        memcpy(p + header + i, &chunk, sizeof chunk);
    }
    const uint8_t *bytes = (const uint8_t *)&wide;
    for (; i < payload.len; i++)
        p[header + i] = (uint8_t)payload.ptr[i] ^ bytes[i % sizeof wide];
    return header + payload.len;
}
