#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "bench/load/ws.h"
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define STATUS "HTTP/1.1 101 Switching Protocols\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define PROTOCOL "Sec-WebSocket-Protocol: sip\r\n"

static void keys(void **state)
{
    (void)state;
    char key[WS_KEY_LEN], accept[WS_ACCEPT_LEN];
    ws_key((const uint8_t *)"the sample nonce", key);
    assert_memory_equal(key, KEY, WS_KEY_LEN);
    ws_accept(key, accept); /* RFC 6455 1.3 */
    assert_memory_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", WS_ACCEPT_LEN);
}

static void upgrades(void **state)
{
    (void)state;
    static const char good[] = STATUS UPGRADE ACCEPT PROTOCOL "\r\n";
    static const struct {
        const char *answer;
        long bytes;
        const char *why;
    } row[] = {
        {STATUS UPGRADE ACCEPT PROTOCOL "\r\n\x81",                                               sizeof good - 1, "good"               },
        {STATUS UPGRADE ACCEPT PROTOCOL,                                                          0,               "half"               },
        {"HTTP/1.1 503 Busy\r\n" UPGRADE ACCEPT PROTOCOL "\r\n",                                  -EPROTO,         "503"                },
        {STATUS ACCEPT PROTOCOL "\r\n",                                                           -EPROTO,         "no Upgrade"         },
        {STATUS UPGRADE PROTOCOL "\r\n",                                                          -EPROTO,         "no accept"          },
        {STATUS UPGRADE "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" PROTOCOL "\r\n",
         -EPROTO,                                                                                                  "another accept"     },
        {STATUS UPGRADE ACCEPT "\r\n",                                                            -EPROTO,         "no subprotocol"     },
        {STATUS UPGRADE ACCEPT "Sec-WebSocket-Protocol: msrp\r\n\r\n",                            -EPROTO,
         "another subprotocol"                                                                                                          },
        {STATUS UPGRADE ACCEPT PROTOCOL "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
         -EPROTO,                                                                                                  "nobody asked for it"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        long got = ws_check_upgrade(str_from(row[i].answer), KEY);
        if (got != row[i].bytes)
            fail_msg("%s: %ld", row[i].why, got);
    }
}

static void frames(void **state)
{
    (void)state;
    static const struct {
        struct str wire;
        long bytes;
        enum ws_opcode opcode;
        struct str payload;
        const char *why;
    } row[] = {
        {STR("\x81\x02hiX"),                              4,       WS_TEXT,   STR("hi"),       "text, and more behind"},
        {STR("\x82\x00"),                                 2,       WS_BINARY, STR(""),         "empty"                },
        {STR("\x89\x01p"),                                3,       WS_PING,   STR("p"),        "ping"                 },
        {STR("\x88\x02\x03\xe9"),                         4,       WS_CLOSE,  STR("\x03\xe9"), "close"                },
        {STR("\x81\x7e\x00\x02hi"),                       6,       WS_TEXT,   STR("hi"),       "length of two bytes"  },
        {STR("\x81"),                                     0,       WS_TEXT,   STR_NONE,        "half a header"        },
        {STR("\x81\x7e\x00"),                             0,       WS_TEXT,   STR_NONE,        "half a length"        },
        {STR("\x81\x02h"),                                0,       WS_TEXT,   STR_NONE,        "half a payload"       },
        {STR("\x81\x82\x00\x00\x00\x00hi"),               -EPROTO, WS_TEXT,   STR_NONE,        "masked"               },
        {STR("\x01\x02hi"),                               -EPROTO, WS_TEXT,   STR_NONE,        "goes on"              },
        {STR("\xc1\x02hi"),                               -EPROTO, WS_TEXT,   STR_NONE,        "compressed"           },
        {STR("\x83\x02hi"),                               -EPROTO, WS_TEXT,   STR_NONE,        "unknown"              },
        {STR("\x89\x7e\x00\x7e"),                         -EPROTO, WS_TEXT,   STR_NONE,        "long ping"            },
        {STR("\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff"), -EPROTO, WS_TEXT,   STR_NONE,        "endless"              },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct ws_frame frame = {WS_TEXT, STR_NONE};
        char *bytes = malloc(row[i].wire.len);
        assert_non_null(bytes);
        memcpy(bytes, row[i].wire.ptr, row[i].wire.len);
        long got = ws_read_frame((struct str){bytes, row[i].wire.len}, &frame);
        bool is_same =
            got == row[i].bytes &&
            (got <= 0 || (frame.opcode == row[i].opcode && str_eq(frame.payload, row[i].payload)));
        free(bytes);
        if (!is_same)
            fail_msg("%s: %ld", row[i].why, got);
    }
}

static void own_frames_are_masked(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 7, 8, 9, 125, 126, 1000, 65535};
    static char payload[65535], wire[sizeof payload + WS_MAX_HEADER];
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (char)(i * 7);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t len = lengths[i], header = len > 125 ? 8 : 6;
        size_t n = ws_write_frame(wire, WS_TEXT, (struct str){payload, len}, 0x04030201);
        assert_int_equal(n, header + len);
        assert_int_equal((uint8_t)wire[0], 0x81);
        assert_int_equal((uint8_t)wire[1], 0x80 | (len > 125 ? 126 : len));
        if (len > 125)
            assert_int_equal((uint8_t)wire[2] << 8 | (uint8_t)wire[3], len);
        assert_memory_equal(wire + header - 4, "\x01\x02\x03\x04", 4);
        for (size_t k = 0; k < len; k++)
            if ((wire[header + k] ^ wire[header - 4 + k % 4]) != payload[k])
                fail_msg("%zu bytes: byte %zu", len, k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys),
        cmocka_unit_test(upgrades),
        cmocka_unit_test(frames),
        cmocka_unit_test(own_frames_are_masked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
