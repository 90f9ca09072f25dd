#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "transport/ws_frame.h"
#include <aorta/str.h>
#include <cmocka.h>
#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

enum { FIN = 0x80, MASKED = 0x80, ROOMY = 1 << 20, UNTOUCHED = 7 };

/* A copy that ends where the text ends, so that the sanitizer sees every byte read too many. */
static char *copy_exactly(struct str s)
{
    char *copy = malloc(s.len > 0 ? s.len : 1);
    assert_non_null(copy);
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    return copy;
}

static enum ws_frame_result read_copy(struct str wire, size_t max_payload, uint16_t *close_code)
{
    struct ws_frame frame = {.total_bytes = UNTOUCHED};
    char *data = copy_exactly(wire);
    *close_code = 0;
    enum ws_frame_result result = ws_frame_read(data, wire.len, max_payload, &frame, close_code);
    if (result != WS_FRAME_OK)
        assert_int_equal(frame.total_bytes, UNTOUCHED);
    if (result == WS_FRAME_MORE && wire.len > 0)
        assert_memory_equal(data, wire.ptr, wire.len); /* not yet unmasked */
    free(data);
    return result;
}

static void first_bytes(void **state)
{
    (void)state;
    static const bool is_known[16] = {
        [WS_CONTINUATION] = true, [WS_TEXT] = true, [WS_BINARY] = true,
        [WS_CLOSE] = true,        [WS_PING] = true, [WS_PONG] = true,
    };
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            char wire[2 + 4 + 125] = {(char)first, (char)second};
            unsigned opcode = first & 0x0f, length = second & 0x7f;
            bool is_control = opcode >= 8;
            bool is_good = !(first & 0x70) && is_known[opcode] && (second & MASKED);
            if (is_control && (!(first & FIN) || length > 125))
                is_good = false;
            if (length > 125) /* the longer length that follows is 0, so not in its shortest form */
                is_good = false;
            uint16_t code;
            enum ws_frame_result result = read_copy((struct str){wire, sizeof wire}, ROOMY, &code);
            if (result != (is_good ? WS_FRAME_OK : WS_FRAME_BAD))
                fail_msg("%02x %02x: %d", first, second, result);
            if (!is_good && code != WS_CLOSE_PROTOCOL_ERROR)
                fail_msg("%02x %02x: closes with %u", first, second, code);
        }
    }
}

static void lengths(void **state)
{
    (void)state;
    enum { OK = WS_FRAME_OK, MORE = WS_FRAME_MORE, BAD = WS_FRAME_BAD };
    const struct {
        struct str head; /* and no byte more has come */
        size_t max_payload;
        int result;
        uint16_t close_code;
        const char *why;
    } row[] = {
        {STR("\x82\x80"),                                 ROOMY,    MORE, 0,    "empty, its mask is to come"        },
        {STR("\x82\x80mask"),                             0,        OK,   0,    "empty fits any limit"              },
        {STR("\x82\x81"),                                 0,        BAD,  1009, "known from the second byte"        },
        {STR("\x82\xfd"),                                 125,      MORE, 0,    "just within the limit"             },
        {STR("\x82\xfd"),                                 124,      BAD,  1009, "just over it"                      },
        {STR("\x82\xfe\x00"),                             ROOMY,    MORE, 0,    "half of a length"                  },
        {STR("\x82\xfe\x00\x00"),                         ROOMY,    BAD,  1002, "0 in 16 bits"                      },
        {STR("\x82\xfe\x00\x7d"),                         ROOMY,    BAD,  1002, "125 in 16 bits"                    },
        {STR("\x82\xfe\x00\x7e"),                         ROOMY,    MORE, 0,    "126 needs 16 bits"                 },
        {STR("\x82\xfe\x00\x7d"),                         10,       BAD,  1002, "malformed comes before too long"   },
        {STR("\x82\xfe\xff\xff"),                         65535,    MORE, 0,    "65535 fits 16 bits"                },
        {STR("\x82\xfe\xff\xff"),                         65534,    BAD,  1009, "limit in 16 bits"                  },
        {STR("\x82\xff\0\0\0\0\0\0\0"),                   ROOMY,    MORE, 0,    "seven bytes of eight"              },
        {STR("\x82\xff\0\0\0\0\0\0\0\0"),                 ROOMY,    BAD,  1002, "0 in 64 bits"                      },
        {STR("\x82\xff\0\0\0\0\0\0\0\x7e"),               ROOMY,    BAD,  1002, "126 in 64 bits"                    },
        {STR("\x82\xff\0\0\0\0\0\0\xff\xff"),             ROOMY,    BAD,  1002, "65535 in 64 bits"                  },
        {STR("\x82\xff\0\0\0\0\0\x01\0\0"),               65536,    MORE, 0,    "65536 needs 64 bits"               },
        {STR("\x82\xff\0\0\0\0\0\x01\0\0"),               65535,    BAD,  1009, "limit in 64 bits"                  },
        {STR("\x82\xff\0\0\0\x01\0\0\0\x05"),             ROOMY,    BAD,  1009, "4 GB and 5: not taken for 5"       },
        {STR("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff"), ROOMY,    BAD,  1009, "2^63 - 1"                          },
        {STR("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff"), SIZE_MAX, MORE, 0,
         "without a limit nothing overflows"                                                                        },
        {STR("\x82\xff\x80\0\0\0\0\0\0\0"),               SIZE_MAX, BAD,  1002, "the top bit must be 0"             },
        {STR("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xf1"), SIZE_MAX, BAD,  1002,
         "with its header just 2^64 - 1"                                                                            },
        {STR("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xf2"), SIZE_MAX, BAD,  1002,
         "with its header 2^64"                                                                                     },
        {STR("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff"), SIZE_MAX, BAD,  1002, "2^64 - 1"                          },
        {STR("\x88\xfd"),                                 ROOMY,    MORE, 0,    "the longest control frame"         },
        {STR("\x89\xfe"),                                 ROOMY,    BAD,  1002, "a control frame with a long length"},
        {STR("\x09\x80"),                                 ROOMY,    BAD,  1002, "a fragmented ping"                 },
        {STR("\x82\x05hello"),                            ROOMY,    BAD,  1002, "not masked"                        },
        {STR("\xc1\x85"),                                 ROOMY,    BAD,  1002, "compressed, which we never offer"  },
        {STR(""),                                         ROOMY,    MORE, 0,    "nothing yet"                       },
        {STR("\x82"),                                     ROOMY,    MORE, 0,    "one byte"                          },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        uint16_t code;
        int result = (int)read_copy(row[i].head, row[i].max_payload, &code);
        if (result != row[i].result || (result == BAD && code != row[i].close_code))
            fail_msg("row %zu: %s: result %d, code %u", i, row[i].why, result, code);
    }
}

/* The client's side of RFC 6455 5.3. Returns the length of the whole frame. */
static size_t write_frame(char *wire, const char *payload, size_t n)
{
    static const unsigned char mask[] = {0x37, 0xfa, 0x00, 0xff};
    char head[WS_FRAME_HEADER];
    size_t header = ws_frame_put_header(head + sizeof head, WS_BINARY, n);
    memcpy(wire, head + sizeof head - header, header);
    wire[1] = (char)((unsigned char)wire[1] | MASKED);
    memcpy(wire + header, mask, sizeof mask);
    for (size_t i = 0; i < n; i++)
        wire[header + 4 + i] = (char)((unsigned char)payload[i] ^ mask[i % 4]);
    return header + 4 + n;
}

static void every_truncation_waits(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 3, 4, 7, 8, 9, 125, 126, 127, 255, 256, 65535, 65536};
    for (size_t s = 0; s < COUNT(sizes); s++) {
        size_t n = sizes[s];
        char *payload = malloc(n + 1), *wire = malloc(n + 32);
        assert_non_null(payload);
        assert_non_null(wire);
        for (size_t i = 0; i < n; i++)
            payload[i] = (char)(i * 31 + 7);
        size_t total = write_frame(wire, payload, n);
        for (size_t cut = 0; cut<total; cut += cut> 300 && cut + 5000 < total ? 4999 : 1) {
            uint16_t code;
            if (read_copy((struct str){wire, cut}, n, &code) != WS_FRAME_MORE)
                fail_msg("payload of %zu: cut at %zu", n, cut);
        }
        free(wire);
        free(payload);
    }
}

static void unmasks_in_place(void **state)
{
    (void)state;
    enum { NEXT = 9 }; /* bytes of what follows, which stay as they are */
    for (size_t n = 0; n < 300; n++) {
        for (size_t offset = 0; offset < 8; offset++) {
            char payload[300], wire[300 + 16];
            for (size_t i = 0; i < n; i++)
                payload[i] = (char)(i ^ offset << 4);
            size_t total = write_frame(wire, payload, n);
            char *memory = malloc(offset + total + NEXT);
            assert_non_null(memory);
            memcpy(memory + offset, wire, total);
            memset(memory + offset + total, 'n', NEXT);
            struct ws_frame frame;
            uint16_t code;
            assert_int_equal(ws_frame_read(memory + offset, total + NEXT, n, &frame, &code),
                             WS_FRAME_OK);
            assert_true(frame.is_final);
            assert_int_equal(frame.opcode, WS_BINARY);
            assert_int_equal(frame.payload_bytes, n);
            assert_int_equal(frame.total_bytes, total);
            assert_ptr_equal(frame.payload, memory + offset + total - n);
            assert_memory_equal(frame.payload, payload, n);
            assert_memory_equal(memory + offset + total, "nnnnnnnnn", NEXT);
            free(memory);
        }
    }
}

static void reads_the_examples_of_rfc_6455_5_7(void **state)
{
    (void)state;
    const struct {
        struct str wire;
        enum ws_opcode opcode;
        bool is_final;
        struct str payload;
    } row[] = {
        {STR("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), WS_TEXT,         true,  STR("Hello")},
        {STR("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), WS_PONG,         true,  STR("Hello")},
        {STR("\x01\x83\0\0\0\0Hel"),                          WS_TEXT,         false, STR("Hel")  },
        {STR("\x80\x82\0\0\0\0lo"),                           WS_CONTINUATION, true,  STR("lo")   },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        char *data = copy_exactly(row[i].wire);
        struct ws_frame frame;
        uint16_t code;
        assert_int_equal(ws_frame_read(data, row[i].wire.len, 5, &frame, &code), WS_FRAME_OK);
        assert_int_equal(frame.opcode, row[i].opcode);
        assert_int_equal(frame.is_final, row[i].is_final);
        assert_true(str_eq((struct str){frame.payload, frame.payload_bytes}, row[i].payload));
        free(data);
    }
}

static void writes_the_shortest_header(void **state)
{
    (void)state;
    const struct {
        size_t payload_bytes;
        struct str header;
    } row[] = {
        {0,                  STR("\x81\x00")                                },
        {125,                STR("\x81\x7d")                                },
        {126,                STR("\x81\x7e\x00\x7e")                        },
        {65535,              STR("\x81\x7e\xff\xff")                        },
        {65536,              STR("\x81\x7f\0\0\0\0\0\x01\0\0")              },
        {0x0102030405060708, STR("\x81\x7f\x01\x02\x03\x04\x05\x06\x07\x08")},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        char memory[WS_FRAME_HEADER + 1];
        memset(memory, '#', sizeof memory);
        char *payload = memory + WS_FRAME_HEADER;
        size_t n = ws_frame_put_header(payload, WS_TEXT, row[i].payload_bytes);
        assert_int_equal(n, row[i].header.len);
        assert_memory_equal(payload - n, row[i].header.ptr, n);
        assert_int_equal(*payload, '#');
        if (n < WS_FRAME_HEADER)
            assert_int_equal(payload[-(ptrdiff_t)n - 1], '#');
    }
}

static void close_codes(void **state)
{
    (void)state;
    static const struct {
        unsigned from, to;
        bool is_valid;
        const char *why;
    } row[] = {
        {0,    999,   false, "never used"                             },
        {1000, 1003,  true,  "RFC 6455 7.4.1"                         },
        {1004, 1006,  false, "reserved; 1005 and 1006 never on a wire"},
        {1007, 1014,  true,  "RFC 6455, and registered since"         },
        {1015, 1015,  false, "never on a wire: TLS failed"            },
        {1016, 2999,  false, "for later revisions of the protocol"    },
        {3000, 4999,  true,  "registered and private ones"            },
        {5000, 65535, false, "not defined"                            },
    };
    for (size_t i = 0; i < COUNT(row); i++)
        for (unsigned code = row[i].from; code <= row[i].to; code++)
            if (ws_close_code_is_valid(code) != row[i].is_valid)
                fail_msg("%u: %s", code, row[i].why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_bytes),
        cmocka_unit_test(lengths),
        cmocka_unit_test(every_truncation_waits),
        cmocka_unit_test(unmasks_in_place),
        cmocka_unit_test(reads_the_examples_of_rfc_6455_5_7),
        cmocka_unit_test(writes_the_shortest_header),
        cmocka_unit_test(close_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
