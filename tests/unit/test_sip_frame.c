#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <aorta/sip.h>
#include <cmocka.h>
#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))
#define LINE "REGISTER sip:h SIP/2.0\r\n"
#define LINE_BYTES (sizeof LINE - 1)

static void frames(void **state)
{
    (void)state;
    enum { MAX = 200 };
    static const struct {
        struct str data;
        enum sip_frame_kind kind;
        size_t bytes, head_bytes;
        const char *why;
    } row[] = {
        {STR(""),                                                                                  SIP_FRAME_MORE,      0,               0,               "nothing yet"                            },
        {STR("\r"),                                                                                SIP_FRAME_MORE,      0,               0,               "quarter of a ping"                      },
        {STR("\r\n"),                                                                              SIP_FRAME_MORE,      0,               0,               "a pong, or half of a ping"              },
        {STR("\r\n\r"),                                                                            SIP_FRAME_MORE,      0,               0,               "most of a ping"                         },
        {STR("\r\n\r\n"),                                                                          SIP_FRAME_PING,      4,               0,               "a ping"                                 },
        {STR("\r\n\r\nREGISTER"),                                                                  SIP_FRAME_PING,      4,               0,               "a ping and what follows"                },
        {STR("\r\nREGISTER"),                                                                      SIP_FRAME_BLANK,     2,               0,               "a pong"                                 },
        {STR("\r\n\rX"),                                                                           SIP_FRAME_BLANK,     2,               0,               "a pong and a stray CR"                  },
        {STR("\rX"),                                                                               SIP_FRAME_BLANK,     1,               0,               "a stray CR"                             },
        {STR("\n"),                                                                                SIP_FRAME_BLANK,     1,               0,               "a stray LF"                             },
        {STR("REG"),                                                                               SIP_FRAME_MORE,      0,               0,               "may become a method"                    },
        {STR("SI"),                                                                                SIP_FRAME_MORE,      0,               0,               "may become a response"                  },
        {STR("SIP/2.0 200 OK\r\nl:0\r\n\r\n"),                                                     SIP_FRAME_MESSAGE,   23,              23,
         "a response is framed too"                                                                                                                                                                },
        {STR(LINE "l: 0\r\n\r"),                                                                   SIP_FRAME_MORE,      0,               0,               "one byte short"                         },
        {STR(LINE "l: 0\r\n\r\n"),                                                                 SIP_FRAME_MESSAGE,   LINE_BYTES + 8,  LINE_BYTES + 8,
         "compact name"                                                                                                                                                                            },
        {STR(LINE "Content-Length: 3\r\n\r\nab"),                                                  SIP_FRAME_MORE,      LINE_BYTES + 21, LINE_BYTES + 21,
         "body is short"                                                                                                                                                                           },
        {STR(LINE "Content-Length: 3\r\n\r\nabcX"),                                                SIP_FRAME_MESSAGE,   LINE_BYTES + 24,
         LINE_BYTES + 21,                                                                                                                                 "body, and the next message"             },
        {STR(LINE "cONTENT-lENGTH\t :\r\n\t 3 \r\n\r\nabc"),                                       SIP_FRAME_MESSAGE,   LINE_BYTES + 30,
         LINE_BYTES + 27,                                                                                                                                 "any case, blanks, folded"               },
        {STR(LINE "X: y\r\n l: 5\r\nl: 0\r\n\r\n"),                                                SIP_FRAME_MESSAGE,   LINE_BYTES + 21,
         LINE_BYTES + 21,                                                                                                                                 "a folded line is no header"             },
        {STR(LINE "l: 1\r\nContent-Length: 1\r\n\r\na"),                                           SIP_FRAME_MESSAGE,   LINE_BYTES + 28,
         LINE_BYTES + 27,                                                                                                                                 "twice the same"                         },
        {STR(LINE "l: 1\r\nContent-Length: 2\r\n\r\nab"),                                          SIP_FRAME_NO_LENGTH, LINE_BYTES + 27,
         LINE_BYTES + 27,                                                                                                                                 "two that differ"                        },
        {STR(LINE "X: y\r\n\r\n"),                                                                 SIP_FRAME_NO_LENGTH, LINE_BYTES + 8,  LINE_BYTES + 8,  "none"                                   },
        {STR(LINE "l:\r\n\r\n"),                                                                   SIP_FRAME_NO_LENGTH, LINE_BYTES + 6,  LINE_BYTES + 6,  "empty"                                  },
        {STR(LINE "l: -1\r\n\r\n"),                                                                SIP_FRAME_NO_LENGTH, LINE_BYTES + 9,  LINE_BYTES + 9,
         "negative"                                                                                                                                                                                },
        {STR(LINE "l: 1 1\r\n\r\n"),                                                               SIP_FRAME_NO_LENGTH, LINE_BYTES + 10, LINE_BYTES + 10,
         "no number"                                                                                                                                                                               },
        {STR(LINE "l: 200\r\n\r\n"),                                                               SIP_FRAME_TOO_LARGE, LINE_BYTES + 10, LINE_BYTES + 10,
         "head and body over the limit"                                                                                                                                                            },
        {STR(LINE "l: 99999999999999999999999\r\n\r\n"),                                           SIP_FRAME_TOO_LARGE, LINE_BYTES + 30,
         LINE_BYTES + 30,                                                                                                                                 "over any number"                        },
        {STR("\x16\x03\x01\x02"),                                                                  SIP_FRAME_GARBAGE,   0,               0,               "TLS on a plain port"                    },
        {STR("GET / HTTP/1.1\r"),                                                                  SIP_FRAME_GARBAGE,   0,               0,               "HTTP, known by its version"             },
        {STR("GET / HTTP/1.1"),                                                                    SIP_FRAME_MORE,      0,               0,               "but the line has to end first"          },
        {STR("REGISTER sip:h SIP/2.0  \r\nl:0\r\n\r\n"),                                           SIP_FRAME_MESSAGE,   33,              33,
         "blanks behind the first line: for the parser to refuse"                                                                                                                                  },
        {STR("REGISTER\r\n"),                                                                      SIP_FRAME_GARBAGE,   0,               0,               "a word alone"                           },
        {STR(" REGISTER sip:h"),                                                                   SIP_FRAME_GARBAGE,   0,               0,               "space in front"                         },
        {STR("REG\xff"),                                                                           SIP_FRAME_GARBAGE,   0,               0,               "no method"                              },
        {STR("SIPX/2.0 200 OK"),                                                                   SIP_FRAME_GARBAGE,   0,               0,               "no response"                            },
        {STR("\0\0\0\0"),                                                                          SIP_FRAME_GARBAGE,   0,               0,               "NULs"                                   },
        {STR("REGISTER sip:h SIP/2.0\nVia"),                                                       SIP_FRAME_GARBAGE,   0,               0,
         "a bare LF: the head would never end"                                                                                                                                                     },
        {STR("REGISTER sip:h SIP/2.0\rVia"),                                                       SIP_FRAME_GARBAGE,   0,               0,               "a bare CR"                              },
        {STR("REGISTER sip:\001h"),                                                                SIP_FRAME_GARBAGE,   0,               0,               "control character in the first line"    },
        {STR("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
         SIP_FRAME_GARBAGE,                                                                                             0,               0,               "65 bytes and still no end of the method"},
        {STR("MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM sip:h SIP/2.0\r"),
         SIP_FRAME_GARBAGE,                                                                                             0,               0,               "the same with its end"                  },
        {STR("MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM sip:h SIP/2.0\r"),
         SIP_FRAME_MORE,                                                                                                0,               0,               "64 bytes of method"                     },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct sip_frame f = sip_frame_next(row[i].data, MAX);
        if (f.kind != row[i].kind || f.bytes != row[i].bytes || f.head_bytes != row[i].head_bytes)
            fail_msg("row %zu, %s: kind %d bytes %zu head %zu", i, row[i].why, (int)f.kind, f.bytes,
                     f.head_bytes);
    }
}

static void caps_head(void **state)
{
    (void)state;
    static const struct {
        size_t len, max;
        enum sip_frame_kind kind;
        const char *why;
    } row[] = {
        {99,    100,   SIP_FRAME_MORE,    "may still end"                 },
        {100,   100,   SIP_FRAME_GARBAGE, "cannot end within the limit"   },
        {65535, 65536, SIP_FRAME_MORE,    "the default limit, just inside"},
        {65536, 65536, SIP_FRAME_GARBAGE, "and at it"                     },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        char *data = malloc(row[i].len);
        assert_non_null(data);
        memset(data, 'a', row[i].len);
        memcpy(data, LINE, LINE_BYTES);
        if (sip_frame_next((struct str){data, row[i].len}, row[i].max).kind != row[i].kind)
            fail_msg("%s", row[i].why);
        free(data);
    }
    char endless[5000];
    memset(endless, 'a', sizeof endless);
    memcpy(endless, "REGISTER ", 9);
    assert_int_equal(sip_frame_next((struct str){endless, 4095}, 65536).kind, SIP_FRAME_MORE);
    assert_int_equal(sip_frame_next((struct str){endless, 4096}, 65536).kind, SIP_FRAME_GARBAGE);
}

/* However the bytes arrive, the same frames come out. */
static void frames_byte_by_byte(void **state)
{
    (void)state;
    static const struct str stream = STR("\r\n\r\n" LINE "Content-Length: 3\r\n\r\nabc"
                                         "\r\n" LINE "l:0\r\n\r\n\r\n\r\n");
    static const enum sip_frame_kind expected[] = {SIP_FRAME_PING, SIP_FRAME_MESSAGE,
                                                   SIP_FRAME_BLANK, SIP_FRAME_MESSAGE,
                                                   SIP_FRAME_PING};
    size_t start = 0, count = 0;
    for (size_t end = 1; end <= stream.len; end++) {
        struct sip_frame f;
        while ((f = sip_frame_next(str_slice(stream, start, end), 1000)).kind != SIP_FRAME_MORE) {
            assert_true(count < COUNT(expected));
            assert_int_equal(f.kind, expected[count++]);
            start += f.bytes;
        }
    }
    assert_int_equal(count, COUNT(expected));
    assert_int_equal(start, stream.len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames),
        cmocka_unit_test(caps_head),
        cmocka_unit_test(frames_byte_by_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
