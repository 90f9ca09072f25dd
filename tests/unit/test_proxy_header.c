#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "transport/proxy_header.h"
#include <cmocka.h>
#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4 "\xcb\x00\x71\x07" /* 203.0.113.7 */
#define V4_TO "\x7f\0\0\1"
#define PORTS "\xdc\x04\x01\xbb" /* 56324, 443 */
#define V6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7"
#define MAPPED "\0\0\0\0\0\0\0\0\0\0\xff\xff" V4

enum { MORE = PROXY_HEADER_MORE, BAD = PROXY_HEADER_BAD, WHOLE = PROXY_HEADER_WHOLE };

/* From memory that ends where the text ends. */
static enum proxy_header_result read_copy(struct str data, struct proxy_header *out)
{
    char *copy = malloc(data.len > 0 ? data.len : 1);
    assert_non_null(copy);
    if (data.len > 0)
        memcpy(copy, data.ptr, data.len);
    enum proxy_header_result result = proxy_header_read((struct str){copy, data.len}, out);
    free(copy);
    return result;
}

static const struct {
    struct str data;
    int result;
    const char *client; /* NULL: the balancer's own */
    const char *why;
} row[] = {
    {STR("PROXY TCP4 203.0.113.7 127.0.0.1 56324 443\r\n"),    WHOLE, "203.0.113.7:56324",   "v1"                         },
    {STR("PROXY TCP6 2001:db8::7 ::1 56324 443\r\n"),          WHOLE, "[2001:db8::7]:56324", "v1, IPv6"                   },
    {STR("PROXY TCP6 ::ffff:203.0.113.7 ::1 1 2\r\n"),         WHOLE, "203.0.113.7:1",       "IPv4 in IPv6"               },
    {STR("PROXY UNKNOWN\r\n"),                                 WHOLE, NULL,                  "v1, no address"             },
    {STR("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"),             WHOLE, NULL,                  "v1, what follows is ignored"},
    {STR("PROXY TCP4 203.0.113.7 127.0.0.1 56324 443\n"),      BAD,   NULL,                  "no CR"                      },
    {STR("PROXY TCP4 203.0.113.7 127.0.0.1 56324\r\n"),        BAD,   NULL,                  "no second port"             },
    {STR("PROXY TCP4 203.0.113.7 127.0.0.1 56324 443 \r\n"),   BAD,   NULL,                  "a space too much"           },
    {STR("PROXY TCP4 203.0.113.7 127.0.0.1 56324 443 1\r\n"),  BAD,   NULL,                  "a word too much"            },
    {STR("PROXY  TCP4 203.0.113.7 127.0.0.1 56324 443\r\n"),   BAD,   NULL,                  "two spaces"                 },
    {STR("PROXY TCP4 2001:db8::7 127.0.0.1 56324 443\r\n"),    BAD,   NULL,                  "the other family"           },
    {STR("PROXY TCP6 203.0.113.7 ::1 56324 443\r\n"),          BAD,   NULL,                  "the other family"           },
    {STR("PROXY TCP6 [2001:db8::7] ::1 56324 443\r\n"),        BAD,   NULL,                  "brackets"                   },
    {STR("PROXY TCP4 203.0.113.700 127.0.0.1 56324 443\r\n"),  BAD,   NULL,                  "no address"                 },
    {STR("PROXY TCP4 203.0.113.7 localhost 56324 443\r\n"),    BAD,   NULL,                  "no address"                 },
    {STR("PROXY TCP4 203.0.113.7 127.0.0.1 65536 443\r\n"),    BAD,   NULL,                  "no port"                    },
    {STR("PROXY TCP4 203.0.113.7 127.0.0.1 -1 443\r\n"),       BAD,   NULL,                  "no port"                    },
    {STR("PROXY TCP4 203.0.113.7 127.0.0.1 000001 443\r\n"),   BAD,   NULL,                  "no port"                    },
    {STR("PROXY UDP4 203.0.113.7 127.0.0.1 56324 443\r\n"),    BAD,   NULL,                  "not in version 1"           },
    {STR("PROXY \r\n"),                                        BAD,   NULL,                  "nothing"                    },
    {STR("PROXY\r\n"),                                         BAD,   NULL,                  "nothing"                    },
    {STR("proxy TCP4 203.0.113.7 127.0.0.1 56324 443\r\n"),    BAD,   NULL,                  "capitals"                   },
    {STR("REGISTER sip:example.com SIP/2.0\r\n"),              BAD,   NULL,                  "SIP"                        },
    {STR("GET / HTTP/1.1\r\n"),                                BAD,   NULL,                  "HTTP"                       },
    {STR("\x16\x03\x01\x02\x00\x01\x00"),                      BAD,   NULL,                  "TLS"                        },
    {STR(""),                                                  MORE,  NULL,                  "nothing yet"                },
    {STR("PROX"),                                              MORE,  NULL,                  "v1 begins"                  },
    {STR("\r\n\r\n"),                                          MORE,  NULL,                  "v2 begins"                  },

    {STR(SIGNATURE "\x21\x11\0\x0c" V4 V4_TO PORTS),           WHOLE, "203.0.113.7:56324",   "v2"                         },
    {STR(SIGNATURE "\x21\x21\0\x24" V6 V6 PORTS),              WHOLE, "[2001:db8::7]:56324", "v2, IPv6"                   },
    {STR(SIGNATURE "\x21\x21\0\x24" MAPPED V6 PORTS),          WHOLE, "203.0.113.7:56324",
     "v2, IPv4 in IPv6"                                                                                                   },
    {STR(SIGNATURE "\x21\x11\0\x10" V4 V4_TO PORTS "\4\0\1x"), WHOLE, "203.0.113.7:56324",   "a TLV"                      },
    {STR(SIGNATURE "\x20\x11\0\x0c" V4 V4_TO PORTS),           WHOLE, NULL,                  "LOCAL: a health check"      },
    {STR(SIGNATURE "\x20\0\0\0"),                              WHOLE, NULL,                  "LOCAL without addresses"    },
    {STR(SIGNATURE "\x21\0\0\0"),                              WHOLE, NULL,                  "UNSPEC"                     },
    {STR(SIGNATURE "\x21\x12\0\x0c" V4 V4_TO PORTS),           WHOLE, NULL,                  "a datagram's cannot be"     },
    {STR(SIGNATURE "\x21\x11\0\x0b" V4 V4_TO "\1\2\3"),        BAD,   NULL,                  "too short for its family"   },
    {STR(SIGNATURE "\x21\x21\0\x0c" V4 V4_TO PORTS),           BAD,   NULL,                  "too short for its family"   },
    {STR(SIGNATURE "\x11\x11\0\x0c" V4 V4_TO PORTS),           BAD,   NULL,                  "version 1 in binary"        },
    {STR(SIGNATURE "\x22\x11\0\x0c" V4 V4_TO PORTS),           BAD,   NULL,                  "no such command"            },
    {STR(SIGNATURE "\x21\x11\xff\xff" V4 V4_TO PORTS),         BAD,   NULL,                  "longer than any"            },
    {STR("\r\n\r\n\0\r\nQUIT\r\x21\x11\0\x0c"),                BAD,   NULL,                  "not the signature"          },
};

static void reads_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(row); i++) {
        struct proxy_header header;
        char text[NET_ADDRESS_TEXT];
        print_message("%zu: %s\n", i, row[i].why);
        assert_int_equal(read_copy(row[i].data, &header), row[i].result);
        if (row[i].result != WHOLE)
            continue;
        assert_int_equal(header.total_bytes, row[i].data.len);
        assert_int_equal(header.has_client, row[i].client != NULL);
        if (row[i].client)
            assert_true(
                str_eq(net_address_host_port(&header.client, text), str_from(row[i].client)));
    }
}

/* Whatever part of a good header has come, the rest is waited for; what follows is not touched. */
static void reads_headers_in_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(row); i++) {
        struct proxy_header header;
        if (row[i].result != WHOLE)
            continue;
        for (size_t n = 0; n < row[i].data.len; n++)
            assert_int_equal(read_copy(str_slice(row[i].data, 0, n), &header), MORE);
        char longer[PROXY_HEADER_MAX_BYTES];
        memcpy(longer, row[i].data.ptr, row[i].data.len);
        memcpy(longer + row[i].data.len, "\x16\x03\x01\n", 4);
        assert_int_equal(read_copy((struct str){longer, row[i].data.len + 4}, &header), WHOLE);
        assert_int_equal(header.total_bytes, row[i].data.len);
    }
}

static void caps_lengths(void **state)
{
    (void)state;
    struct proxy_header header;
    char data[PROXY_HEADER_MAX_BYTES + 1];
    memset(data, 'x', sizeof data);
    memcpy(data, "PROXY UNKNOWN ", 14);
    assert_int_equal(read_copy((struct str){data, 106}, &header), MORE);
    assert_int_equal(read_copy((struct str){data, 107}, &header), BAD);
    memcpy(data + 105, "\r\n", 2);
    assert_int_equal(read_copy((struct str){data, 107}, &header), WHOLE);

    memcpy(data, SIGNATURE "\x20\0", 14);
    for (size_t whole = PROXY_HEADER_MAX_BYTES; whole <= PROXY_HEADER_MAX_BYTES + 1; whole++) {
        data[14] = (char)((whole - 16) >> 8);
        data[15] = (char)((whole - 16) & 255);
        assert_int_equal(read_copy((struct str){data, whole}, &header),
                         whole > PROXY_HEADER_MAX_BYTES ? BAD : WHOLE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_headers),
        cmocka_unit_test(reads_headers_in_pieces),
        cmocka_unit_test(caps_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
