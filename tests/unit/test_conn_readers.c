/* The readers of WebSocket and TCP connections over a connection that only writes down what they
 * do. Bytes arrive here in pieces of any size, each in memory that ends where they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "transport/transport_internal.h"
#include <cmocka.h>
#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

enum { MESSAGE_BYTES = 1024, SHOWN_BYTES = 60 };

/* ---- What conn.c would do ------------------------------------------------------------- */

static struct buf events; /* "message(…) write(…) linger close" */

static void put_readable(struct buf *b, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] >= ' ' && data[i] <= '~')
            buf_put_char(b, data[i]);
        else
            buf_printf(b, "\\%02x", (unsigned char)data[i]);
    }
}

static void note(const char *event, const char *data, size_t len)
{
    buf_printf(&events, "%s%s(", events.len > 0 ? " " : "", event);
    put_readable(&events, data, len < SHOWN_BYTES ? len : SHOWN_BYTES);
    if (len > SHOWN_BYTES)
        buf_printf(&events, "...%zu", len);
    buf_put_char(&events, ')');
}

int conn_write(struct conn *c, char *data, size_t len)
{
    (void)c;
    note("write", data, len);
    return 0;
}

void conn_deliver(struct conn *c, struct str message)
{
    note("message", message.ptr, message.len);
    if (str_eq(message, STR("close me")))
        conn_close(c);
}

void conn_close(struct conn *c)
{
    note("close", "", 0);
    c->is_doomed = true;
}

void conn_linger(struct conn *c)
{
    note("linger", "", 0);
    c->phase = CONN_LINGER;
}

void conn_set_end(struct conn *c, const char *why)
{
    if (!c->end.why)
        c->end.why = why;
}

struct sip_source conn_source(const struct conn *c)
{
    return (struct sip_source){.kind = c->kind};
}

static void on_broken(void *arg, const struct sip_source *source, struct str head, int status)
{
    (void)arg;
    (void)source;
    note(status == 513 ? "broken513" : "broken400", head.ptr, head.len);
}

/* Feeds `wire` by `piece` bytes at a time and returns what happened. */
static struct str feed(enum conn_phase phase, struct str wire, size_t piece)
{
    static const struct config config = {.message_bytes = MESSAGE_BYTES,
                                         .header_bytes = MESSAGE_BYTES};
    struct transport t = {.deps = {.config = &config}, .events = {.broken = on_broken}};
    struct conn c = {.t = &t, .phase = phase};
    char *kept = NULL;
    size_t kept_bytes = 0;
    buf_clear(&events);
    while (wire.len > 0 && !c.is_doomed && c.phase == phase) {
        struct str next = str_slice(wire, 0, piece);
        wire = str_slice(wire, piece, wire.len);
        char *data = malloc(kept_bytes + next.len);
        assert_non_null(data);
        if (kept_bytes > 0)
            memcpy(data, kept, kept_bytes);
        memcpy(data + kept_bytes, next.ptr, next.len);
        size_t len = kept_bytes + next.len;
        size_t used = (phase == CONN_WS ? ws_conn_read : stream_conn_read)(&c, data, len);
        assert_true(used <= len);
        free(kept);
        kept_bytes = len - used;
        kept = malloc(kept_bytes + 1);
        assert_non_null(kept);
        memcpy(kept, data + used, kept_bytes);
        free(data);
    }
    free(kept);
    ws_conn_free(&c);
    assert_int_equal(events.error, 0);
    return buf_str(&events);
}

static void expect(enum conn_phase phase, struct str wire, const char *expected, const char *why)
{
    static const size_t pieces[] = {SIZE_MAX, 1, 2, 3, 7, 64};
    for (size_t i = 0; i < COUNT(pieces); i++) {
        struct str got = feed(phase, wire, pieces[i]);
        if (!str_eq(got, str_from(expected)))
            fail_msg("%s, %zu bytes at a time:\n  %.*s\nexpected\n  %s", why, pieces[i],
                     STR_ARG(got), expected);
    }
}

/* ---- WebSocket ----------------------------------------------------------------------------- */

/* Frames with a mask of zeros, so that they can be read here. */
#define M "\0\0\0\0"
#define CLOSED(code) "write(\\88\\02" code ") linger()"
#define PROTOCOL_ERROR CLOSED("\\03\\ea")
#define BAD_DATA CLOSED("\\03\\ef")

static void websocket(void **state)
{
    (void)state;
    const struct {
        struct str wire;
        const char *events, *why;
    } row[] = {
        {STR("\x81\x82" M "hi"),                                      "message(hi)",                     "text"                         },
        {STR("\x82\x82" M "hi"),                                      "message(hi)",                     "binary"                       },
        {STR("\x81\x82" M "hi\x82\x82" M "ho"),                       "message(hi) message(ho)",         "two at once"                  },
        {STR("\x81\x80" M "\x82\x80" M "\x81\x82" M "  "),            "",                                "empty and blank ones"         },
        {STR("\x81\x84" M "\r\n\r\n"),                                "write(\\81\\02\\0d\\0a)",         "a ping of RFC 5626"           },
        {STR("\x01\x82" M "\r\n\x80\x82" M "\r\n"),                   "write(\\81\\02\\0d\\0a)",
         "the same in two fragments"                                                                                                    },
        {STR("\x81\x82" M "\r\n"),                                    "",                                "a pong"                       },
        {STR("\x01\x82" M "ab\0\x80" M "\0\x81" M "c\x80\x81" M "d"), "message(abcd)",
         "four fragments"                                                                                                               },
        {STR("\x01\x80" M "\0\x80" M "\x80\x80" M "\x81\x82" M "hi"), "message(hi)",
         "empty fragments"                                                                                                              },
        {STR("\x01\x82" M "ab\x89\x82" M "?!\x80\x82" M "cd"),        "write(\\8a\\02?!) message(abcd)",
         "a ping among fragments"                                                                                                       },
        {STR("\x01\x82" M "ab\x8a\x80" M "\x80\x82" M "cd"),          "message(abcd)",
         "a pong among fragments"                                                                                                       },
        {STR("\x89\x80" M "\x8a\x82" M "xx"),                         "write(\\8a\\00)",                 "an empty ping, a stray pong"  },
        {STR("\x80\x82" M "hi"),                                      PROTOCOL_ERROR,                    "nothing to continue"          },
        {STR("\x81\x82" M "hi\x80\x82" M "ho"),                       "message(hi) " PROTOCOL_ERROR,
         "nothing to continue any more"                                                                                                 },
        {STR("\x01\x82" M "ab\x81\x82" M "hi"),                       PROTOCOL_ERROR,                    "a message among fragments"    },
        {STR("\x01\x82" M "ab\x01\x82" M "hi"),                       PROTOCOL_ERROR,                    "a second first fragment"      },
        {STR("\x81\x02hi"),                                           PROTOCOL_ERROR,                    "not masked"                   },
        {STR("\x81\x82" M "\xc3\xa4"),                                "message(\\c3\\a4)",               "UTF-8"                        },
        {STR("\x01\x81" M "\xc3\x80\x81" M "\xa4"),                   "message(\\c3\\a4)",               "cut within a character"       },
        {STR("\x81\x81" M "\xc3"),                                    BAD_DATA,                          "half a character"             },
        {STR("\x01\x81" M "\xc3\x80\x80" M),                          BAD_DATA,                          "half a character in fragments"},
        {STR("\x81\x82" M "\xc0\x80"),                                BAD_DATA,                          "a zero in two bytes"          },
        {STR("\x81\x83" M "\xed\xa0\x80"),                            BAD_DATA,                          "a surrogate"                  },
        {STR("\x81\x84" M "\xf4\x90\x80\x80"),                        BAD_DATA,                          "above U+10FFFF"               },
        {STR("\x82\x82" M "\xff\xfe"),                                "message(\\ff\\fe)",               "binary need not be UTF-8"     },
        {STR("\x02\x81" M "\xff\x80\x81" M "\xfe"),                   "message(\\ff\\fe)",               "nor in fragments"             },
        {STR("\x88\x80" M),                                           "write(\\88\\00) linger()",        "closed without a code"        },
        {STR("\x88\x82" M "\x03\xe8"),                                CLOSED("\\03\\e8"),                "closed as usual"              },
        {STR("\x88\x85" M "\x03\xe9"
             "bye"),
         CLOSED("\\03\\e9"),                                                                             "closed with a reason"         },
        {STR("\x88\x81" M "\x03"),                                    PROTOCOL_ERROR,                    "half a code"                  },
        {STR("\x88\x82" M "\x03\xed"),                                PROTOCOL_ERROR,                    "1005 is never sent"           },
        {STR("\x88\x82" M "\0\0"),                                    PROTOCOL_ERROR,                    "code 0"                       },
        {STR("\x88\x83" M "\x03\xe8\xff"),                            BAD_DATA,                          "a reason that is not UTF-8"   },
        {STR("\x88\x80" M "\x81\x82" M "hi"),                         "write(\\88\\00) linger()",
         "nothing counts after it"                                                                                                      },
        {STR("\x81\x88" M "close me\x81\x82" M "hi"),                 "message(close me) close()",
         "nor after we have closed"                                                                                                     },
    };
    for (size_t i = 0; i < COUNT(row); i++)
        expect(CONN_WS, row[i].wire, row[i].events, row[i].why);
}

static void websocket_limits(void **state)
{
    (void)state;
    static const struct {
        size_t fragments[4]; /* bytes of each */
        bool fits;
    } row[] = {
        {{MESSAGE_BYTES},               true },
        {{MESSAGE_BYTES + 1},           false},
        {{MESSAGE_BYTES - 1, 1},        true },
        {{MESSAGE_BYTES, 1},            false},
        {{1, MESSAGE_BYTES},            false},
        {{1, MESSAGE_BYTES + 1},        false},
        {{500, 500, 24},                true },
        {{500, 500, 25},                false},
        {{500, 500, 24, MESSAGE_BYTES}, false},
    };
    char many_m[SHOWN_BYTES];
    memset(many_m, 'm', sizeof many_m);
    for (size_t i = 0; i < COUNT(row); i++) {
        struct buf wire, expected;
        buf_init_heap(&wire, 1 << 16);
        buf_init_heap(&expected, 256);
        size_t total = 0;
        for (size_t f = 0; f < 4 && row[i].fragments[f]; f++) {
            size_t n = row[i].fragments[f];
            bool is_last = f == 3 || row[i].fragments[f + 1] == 0;
            buf_put_char(&wire, (char)((f == 0 ? 1 : 0) | (is_last ? 0x80 : 0)));
            buf_put_char(&wire, (char)(0x80 | (n < 126 ? n : 126)));
            if (n >= 126) {
                buf_put_char(&wire, (char)(n >> 8));
                buf_put_char(&wire, (char)n);
            }
            buf_put(&wire, M, 4);
            for (size_t k = 0; k < n; k++)
                buf_put_char(&wire, 'm');
            total += n;
        }
        if (row[i].fits)
            buf_printf(&expected, "message(%.*s...%zu)", SHOWN_BYTES, many_m, total);
        else
            buf_put_text(&expected, CLOSED("\\03\\f1"));
        buf_put_char(&expected, 0);
        expect(CONN_WS, buf_str(&wire), expected.data, "limit");
        buf_fini(&wire);
        buf_fini(&expected);
    }
}

/* ---- TCP and TLS --------------------------------------------------------------------------- */

#define SIP(length) "OPTIONS sip:h SIP/2.0\r\nContent-Length:" length "\r\n\r\n"
#define SHOWN(length) "OPTIONS sip:h SIP/2.0\\0d\\0aContent-Length:" length "\\0d\\0a\\0d\\0a"

static void stream(void **state)
{
    (void)state;
    const struct {
        struct str wire;
        const char *events, *why;
    } row[] = {
        {STR(SIP("0")),                 "message(" SHOWN("0") ")",                          "a message"              },
        {STR(SIP("4") "body"),          "message(" SHOWN("4") "body)",                      "with a body"            },
        {STR(SIP("1") "b" SIP("0")),    "message(" SHOWN("1") "b) message(" SHOWN("0") ")", "two"                    },
        {STR("\r\n\r\n"),               "write(\\0d\\0a)",                                  "a ping of RFC 5626"     },
        {STR("\r\n\r\n" SIP("0")),      "write(\\0d\\0a) message(" SHOWN("0") ")",          "before a message"       },
        {STR(SIP("0") "\r\n\r\n"),      "message(" SHOWN("0") ") write(\\0d\\0a)",          "behind a message"       },
        {STR(SIP("1025")),              "broken513(" SHOWN("1025") ") linger()",            "over the limit"         },
        {STR(SIP("x")),                 "broken400(" SHOWN("x") ") linger()",               "no length"              },
        {STR(SIP("x") SIP("0")),        "broken400(" SHOWN("x") ") linger()",               "nothing counts after it"},
        {STR("GET / HTTP/1.1\r\n\r\n"), "close()",                                          "no SIP"                 },
        {STR("\x16\x03\x01\x02\0\x01"), "close()",                                          "TLS on the plain port"  },
    };
    for (size_t i = 0; i < COUNT(row); i++)
        expect(CONN_STREAM, row[i].wire, row[i].events, row[i].why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(websocket),
        cmocka_unit_test(websocket_limits),
        cmocka_unit_test(stream),
    };
    buf_init_heap(&events, 1 << 16);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_fini(&events);
    return failed;
}
