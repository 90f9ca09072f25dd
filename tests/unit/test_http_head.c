#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "transport/http_head.h"
#include <aorta/buf.h>
#include <cmocka.h>
#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))
/* A request with these header lines. */
#define GET(lines) STR("GET / HTTP/1.1\r\nHost: h\r\n" lines "\r\n")

/* From memory that ends where the text ends; the views of `out` are dead then. */
static enum http_head_result read_copy(struct str data, struct http_head *out, int *status)
{
    char *copy = malloc(data.len > 0 ? data.len : 1);
    assert_non_null(copy);
    if (data.len > 0)
        memcpy(copy, data.ptr, data.len);
    enum http_head_result result = http_head_read((struct str){copy, data.len}, out, status);
    free(copy);
    return result;
}

static void refuses(void **state)
{
    (void)state;
    const struct {
        struct str head;
        int status;
        const char *why;
    } row[] = {
        {STR("\r\n\r\n"),                                                  400, "nothing"                    },
        {STR("GET\r\n\r\n"),                                               400, "a method alone"             },
        {STR("GET /\r\n\r\n"),                                             400, "HTTP/0.9"                   },
        {STR("GET / \r\n\r\n"),                                            400, "an empty version"           },
        {STR("GET  / HTTP/1.1\r\nHost: h\r\n\r\n"),                        400, "two spaces: an empty target"},
        {STR("GET / HTTP/1.1 \r\nHost: h\r\n\r\n"),                        505, "a space behind the version" },
        {STR("GET / x HTTP/1.1\r\nHost: h\r\n\r\n"),                       400, "a space in the target"      },
        {STR(" GET / HTTP/1.1\r\nHost: h\r\n\r\n"),                        400, "an empty method"            },
        {STR("G\"T / HTTP/1.1\r\nHost: h\r\n\r\n"),                        400, "a method that is no token"  },
        {STR("GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n"),                 400, "we are no proxy"            },
        {STR("CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n"),                 400, "nor a tunnel"               },
        {STR("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"),                     400, "a target that is no path"   },
        {STR("GET / HTTP/1.10\r\nHost: h\r\n\r\n"),                        505, "another version"            },
        {STR("GET / HTTP/2.0\r\nHost: h\r\n\r\n"),                         505, "another version"            },
        {STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),                          400, "HTTP/2 without asking"      },
        {STR("REGISTER sip:h SIP/2.0\r\n\r\n"),                            400, "SIP on the wrong port"      },
        {STR("GET / SIP/2.0\r\n\r\n"),                                     400, "SIP on the wrong port"      },
        {STR("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n"),              400, "TLS on the plain port"      },
        {STR("GET / HTTP/1.1\r\n\r\n"),                                    400, "no Host"                    },
        {STR("GET / HTTP/1.1\nHost: h\r\n\r\n"),                           505, "a bare LF ends no line"     },
        {GET("X\r\n"),                                                     400, "no colon"                   },
        {GET("X : y\r\n"),                                                 400, "a space before the colon"   },
        {GET(": y\r\n"),                                                   400, "no name"                    },
        {GET("X: y\r\n z\r\n"),                                            400, "a folded line"              },
        {GET("X: y\r\n\tz: z\r\n"),                                        400, "a folded line"              },
        {GET("X: y\nAuthorization: z\r\n"),                                400, "a bare LF inside a value"   },
        {GET("X: \nAuthorization: z\r\n"),                                 400, "a bare LF before the value" },
        {GET("X: y\n\r\n"),                                                400, "a bare LF behind the value" },
        {GET("X: y\r\r\n"),                                                400, "a bare CR behind the value" },
        {GET("X: \ry\r\n"),                                                400, "a bare CR before the value" },
        {GET("X: y\0z\r\n"),                                               400, "a zero"                     },
        {GET("Host: i\r\n"),                                               400, "Host twice"                 },
        {GET("host: h\r\n"),                                               400, "Host twice, the same"       },
        {GET("Authorization: a\r\nAuthorization: b\r\n"),                  400, "Authorization twice"        },
        {GET("Authorization:\r\nAUTHORIZATION: b\r\n"),                    400, "twice, the first one empty" },
        {GET("Origin: https://a\r\norigin: https://b\r\n"),                400, "Origin twice"               },
        {GET("Sec-WebSocket-Key: a\r\nSec-WebSocket-Key: a\r\n"),          400, "twice"                      },
        {GET("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 8\r\n"), 400, "twice"                      },
        {GET("Content-Length: \r\n"),                                      400, "an empty length"            },
        {GET("Content-Length: -1\r\n"),                                    400, "a negative length"          },
        {GET("Content-Length: +1\r\n"),                                    400, "a signed length"            },
        {GET("Content-Length: 0x10\r\n"),                                  400, "a hexadecimal length"       },
        {GET("Content-Length: 1, 1\r\n"),                                  400, "a list of lengths"          },
        {GET("Content-Length: 1 1\r\n"),                                   400, "two numbers"                },
        {GET("Content-Length: 18446744073709551616\r\n"),                  400, "2^64"                       },
        {GET("Content-Length: 0\r\nContent-Length: x\r\n"),                400, "the second one is bad"      },
        {GET("Content-Length: 1\r\nContent-Length: 0\r\n"),                400, "two lengths"                },
        {GET("Content-Length: 0\r\nContent-Length: 1\r\n"),                400, "two lengths"                },
        {GET("Content-Type: a/b\r\nContent-Type: c/d\r\n"),                400, "two types"                  },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct http_head head;
        int status = 0;
        if (read_copy(row[i].head, &head, &status) != HTTP_HEAD_BAD || status != row[i].status)
            fail_msg("row %zu: %s: status %d", i, row[i].why, status);
    }
}

enum { CLOSE = 1, BODY = 2, UPGRADE = 4, CHUNKED = 8, CONTINUE = 16 };

static void understands(void **state)
{
    (void)state;
    const struct {
        struct str head;
        unsigned flags;
        const char *why;
    } row[] = {
        {GET(""),                                                                                0,               "plain"                        },
        {GET("X:\r\nY: \t \r\n"),                                                                0,               "empty values"                 },
        {GET("X: a\tb \xe2\x82\xac\r\n"),                                                        0,               "tab and UTF-8 in a value"     },
        {STR("GET / HTTP/1.0\r\n\r\n"),                                                          CLOSE,           "HTTP/1.0 needs no Host"       },
        {STR("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"),                                0,               "and may stay"                 },
        {GET("Connection: close\r\n"),                                                           CLOSE,           ""                             },
        {GET("Connection: x ,\tCLOSE\r\n"),                                                      CLOSE,           "in a list, in any case"       },
        {GET("Connection: closed\r\n"),                                                          0,               "another word"                 },
        {GET("Connection: close, keep-alive\r\n"),                                               CLOSE,           "close wins"                   },
        {GET("Connection: close\r\nConnection: keep-alive\r\n"),                                 CLOSE,
         "close wins over lines too"                                                                                                             },
        {STR("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"),                         CLOSE,
         "close wins in HTTP/1.0"                                                                                                                },
        {GET("Content-Length: 0\r\n"),                                                           0,               "no body"                      },
        {GET("Content-Length: 1\r\n"),                                                           BODY,            ""                             },
        {GET("Content-Length: 18446744073709551615\r\n"),                                        BODY,            "2^64 - 1, which we never read"},
        {GET("Content-Length: 1\r\nContent-Length: 01\r\n"),                                     BODY,            "the same twice"               },
        {GET("Content-Length: 1\r\nExpect: 100-Continue\r\n"),                                   BODY | CONTINUE, ""                             },
        {GET("Expect: x, 100-continue\r\n"),                                                     CONTINUE,        "in a list"                    },
        {GET("Expect: 200-ok\r\n"),                                                              0,               "something else: not heeded"   },
        {STR("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"),                                 CLOSE,           "HTTP/1.0 has none"            },
        {GET("Transfer-Encoding: chunked\r\n"),                                                  CHUNKED,         ""                             },
        {GET("Transfer-Encoding: identity\r\nContent-Length: 0\r\n"),                            CHUNKED,
         "whatever it is called"                                                                                                                 },
        {GET("Connection: Upgrade\r\nUpgrade: websocket\r\n"),                                   UPGRADE,         ""                             },
        {GET("Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"),                       UPGRADE,
         "as Firefox writes it"                                                                                                                  },
        {GET("Upgrade: h2c, websocket\r\nConnection: x\r\nConnection: upgrade\r\n"),             UPGRADE,
         "one of several"                                                                                                                        },
        {GET("Connection: Upgrade\r\nUpgrade: h2c\r\n"),                                         0,               "to something else: not heeded"},
        {GET("Upgrade: websocket\r\n"),                                                          0,               "not meant for this hop"       },
        {GET("Connection: Upgrade\r\nUpgrade: websockets\r\n"),                                  0,               "another word"                 },
        {STR("GET / HTTP/1.0\r\nConnection: upgrade, keep-alive\r\nUpgrade: websocket\r\n\r\n"), 0,
         "HTTP/1.0 has none"                                                                                                                     },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct http_head head;
        int status;
        if (read_copy(row[i].head, &head, &status) != HTTP_HEAD_OK)
            fail_msg("row %zu: %s: refused with %d", i, row[i].why, status);
        unsigned flags = (head.wants_close ? CLOSE : 0u) | (head.body_bytes > 0 ? BODY : 0u) |
                         (head.is_upgrade ? UPGRADE : 0u) | (head.is_chunked ? CHUNKED : 0u) |
                         (head.expects_continue ? CONTINUE : 0u);
        if (flags != row[i].flags)
            fail_msg("row %zu: %s: flags %u", i, row[i].why, flags);
        assert_int_equal(head.head_bytes, row[i].head.len);
    }
}

static void targets(void **state)
{
    (void)state;
    const struct {
        const char *target, *path, *query;
    } row[] = {
        {"/",                        "/",                    ""     },
        {"/?",                       "/",                    ""     },
        {"/a/b?c=d&e",               "/a/b",                 "c=d&e"},
        {"/a?b?c",                   "/a",                   "b?c"  },
        {"/../../etc/passwd",        "/../../etc/passwd",    ""     },
        {"/%2e%2e/%0d%0aX:%20y?%00", "/%2e%2e/%0d%0aX:%20y", "%00"  },
        {"//h/",                     "//h/",                 ""     },
        {"/a#b",                     "/a#b",                 ""     },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        char memory[256];
        struct buf b;
        struct http_head head;
        int status;
        buf_init_fixed(&b, memory, sizeof memory);
        buf_printf(&b, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", row[i].target);
        assert_int_equal(http_head_read(buf_str(&b), &head, &status), HTTP_HEAD_OK);
        assert_true(str_eq(head.method, STR("GET")));
        assert_true(str_eq(head.path, str_from(row[i].path)));
        assert_true(str_eq(head.query, str_from(row[i].query)));
    }
}

static void every_byte(void **state)
{
    (void)state;
    static const char token[] = "!#$%&'*+-.^_`|~"
                                "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (unsigned byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        char target[] = "GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n";
        char name[] = "GET / HTTP/1.1\r\nHost: h\r\nX?X: y\r\n\r\n";
        char value[] = "GET / HTTP/1.1\r\nHost: h\r\nX: y?y\r\n\r\n";
        *strchr(target, '?') = c;
        *strchr(name, '?') = c;
        *strchr(value, '?') = c;
        bool is_control = (byte < 0x20 && c != '\t') || byte == 0x7f;
        bool is_token = c != 0 && strchr(token, c);
        const struct {
            struct str head;
            bool is_good;
            const char *where;
        } row[] = {
            {{target, sizeof target - 1}, !is_control && c != ' ', "target"},
            {{name, sizeof name - 1},     is_token || c == ':',    "name"  },
            {{value, sizeof value - 1},   !is_control,             "value" },
        };
        for (size_t i = 0; i < COUNT(row); i++) {
            struct http_head head;
            int status;
            if ((read_copy(row[i].head, &head, &status) == HTTP_HEAD_OK) != row[i].is_good)
                fail_msg("%02x in a %s", byte, row[i].where);
        }
    }
}

static void every_truncation_waits(void **state)
{
    (void)state;
    struct str whole = STR("GET /api/v1/status?x HTTP/1.1\r\n"
                           "Host: sip.example.com\r\n"
                           "Authorization: Bearer abc\r\n"
                           "If-None-Match: \"1\"\r\n"
                           "Origin:\thttps://example.com \r\n\r\n"
                           "GET /next");
    size_t head_bytes = whole.len - strlen("GET /next");
    struct http_head head;
    int status;
    for (size_t n = 0; n < head_bytes; n++)
        if (read_copy(str_slice(whole, 0, n), &head, &status) != HTTP_HEAD_MORE)
            fail_msg("cut at %zu", n);
    assert_int_equal(http_head_read(STR_NONE, &head, &status), HTTP_HEAD_MORE);
    assert_int_equal(http_head_read(whole, &head, &status), HTTP_HEAD_OK);
    assert_int_equal(head.head_bytes, head_bytes);
    assert_true(str_eq(head.host, STR("sip.example.com")));
    assert_true(str_eq(head.authorization, STR("Bearer abc")));
    assert_true(str_eq(head.if_none_match, STR("\"1\"")));
    assert_true(str_eq(head.origin, STR("https://example.com")));
    assert_true(str_starts_nocase(head.fields, STR("Host: sip.example.com\r\n")));
    assert_true(str_ends_nocase(head.fields, STR("Origin:\thttps://example.com \r\n")));
    assert_null(head.websocket_key.ptr);
}

/* A head of `bytes` in all, with `lines` header lines. */
static void put_head_of(struct buf *b, size_t bytes, size_t lines)
{
    struct str start = STR("GET / HTTP/1.1\r\nHost: h\r\n");
    buf_clear(b);
    buf_put_str(b, start);
    for (size_t i = 2; i < lines; i++)
        buf_put_text(b, "X:\r\n");
    buf_put_text(b, "X:");
    while (b->len + 4 < bytes)
        buf_put_char(b, 'x');
    buf_put_text(b, "\r\n\r\n");
}

static void limits(void **state)
{
    (void)state;
    enum { LINES = HTTP_HEAD_MAX_LINES };
    const size_t bytes = HTTP_HEAD_MAX_BYTES;
    const struct {
        size_t bytes, lines;
        int status; /* 200: fine */
    } row[] = {
        {bytes,     2,         200},
        {bytes + 1, 2,         431},
        {bytes * 4, 2,         431},
        {bytes,     LINES,     200},
        {0,         LINES + 1, 431},
        {0,         3000,      431},
    };
    struct buf b;
    buf_init_heap(&b, 1 << 20);
    for (size_t i = 0; i < COUNT(row); i++) {
        struct http_head head;
        int status = 200;
        put_head_of(&b, row[i].bytes, row[i].lines);
        enum http_head_result result = read_copy(buf_str(&b), &head, &status);
        if (result != (row[i].status == 200 ? HTTP_HEAD_OK : HTTP_HEAD_BAD) ||
            (result == HTTP_HEAD_BAD && status != row[i].status))
            fail_msg("row %zu: status %d", i, status);
    }

    struct http_head head;
    int status = 0;
    put_head_of(&b, bytes * 2, 2);
    assert_int_equal(read_copy(str_slice(buf_str(&b), 0, bytes), &head, &status), HTTP_HEAD_MORE);
    assert_int_equal(read_copy(str_slice(buf_str(&b), 0, bytes + 1), &head, &status),
                     HTTP_HEAD_BAD); /* no need to wait for its end */
    assert_int_equal(status, 431);

    put_head_of(&b, 100, 2); /* what follows a head does not count */
    for (size_t i = 0; i < bytes; i++)
        buf_put_char(&b, '\n');
    assert_int_equal(read_copy(buf_str(&b), &head, &status), HTTP_HEAD_OK);
    buf_fini(&b);
}

/* ---- Upgrades ------------------------------------------------------------------------------ */

static int upgrade_status(struct str request, const struct config_list *origins)
{
    struct http_head head;
    int status;
    const char *why = NULL;
    assert_int_equal(http_head_read(request, &head, &status), HTTP_HEAD_OK);
    assert_true(head.is_upgrade);
    status = http_head_check_upgrade(&head, origins, &why);
    assert_true((status == 101) == (why == NULL));
    return status;
}

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define PROTOCOL "Sec-WebSocket-Protocol: sip\r\n"
#define WEBSOCKET "Host: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
#define WITH(lines) STR("GET / HTTP/1.1\r\n" WEBSOCKET lines "\r\n")

static void upgrades(void **state)
{
    (void)state;
    const struct {
        struct str request;
        int status;
        const char *why;
    } row[] = {
        {WITH(KEY VERSION PROTOCOL),                                                    101, "as it should be"             },
        {STR("GET /any/path?x HTTP/1.1\r\n" WEBSOCKET KEY VERSION PROTOCOL "\r\n"),     101,
         "any path"                                                                                                        },
        {STR("POST / HTTP/1.1\r\n" WEBSOCKET KEY VERSION PROTOCOL "\r\n"),              405, "a POST"                      },
        {STR("get / HTTP/1.1\r\n" WEBSOCKET KEY VERSION PROTOCOL "\r\n"),               405,
         "methods have a case"                                                                                             },
        {WITH(KEY PROTOCOL),                                                            426, "no version"                  },
        {WITH(KEY "Sec-WebSocket-Version: 8\r\n" PROTOCOL),                             426, "an old version"              },
        {WITH(KEY "Sec-WebSocket-Version: 13, 8\r\n" PROTOCOL),                         426, "a client names one"          },
        {WITH(VERSION PROTOCOL),                                                        400, "no key"                      },
        {WITH("Sec-WebSocket-Key:\r\n" VERSION PROTOCOL),                               400, "an empty key"                },
        {WITH("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ===\r\n" VERSION PROTOCOL),      101,
         "not decoded, only measured"                                                                                      },
        {WITH("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n" VERSION PROTOCOL),       400,
         "a short key"                                                                                                     },
        {WITH("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQABCD==\r\n" VERSION PROTOCOL),  400,
         "a long key"                                                                                                      },
        {WITH("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n" VERSION PROTOCOL),      400, "18 bytes"                    },
        {WITH(KEY VERSION),                                                             400, "no subprotocol"              },
        {WITH(KEY VERSION "Sec-WebSocket-Protocol: xmpp\r\n"),                          400, "another one"                 },
        {WITH(KEY VERSION "Sec-WebSocket-Protocol: sips, sip2\r\n"),                    400,
         "others that look like it"                                                                                        },
        {WITH(KEY VERSION "Sec-WebSocket-Protocol: xmpp , sip,\r\n"),                   101, "in a list"                   },
        {WITH(KEY VERSION "Sec-WebSocket-Protocol: xmpp\r\n" PROTOCOL),                 101, "in the second line"          },
        {WITH(KEY VERSION PROTOCOL "Sec-WebSocket-Protocol: xmpp\r\n"),                 101, "in the first line"           },
        {WITH(KEY VERSION PROTOCOL "Content-Length: 5\r\n"),                            400, "a body would pass for frames"},
        {WITH(KEY VERSION PROTOCOL "Transfer-Encoding: chunked\r\n"),                   400,
         "a body would pass for frames"                                                                                    },
        {WITH(KEY VERSION PROTOCOL "Content-Length: 0\r\n"),                            101, "no body"                     },
        {WITH(KEY VERSION PROTOCOL "Sec-WebSocket-Extensions: permessage-deflate\r\n"), 101,
         "offers need not be taken"                                                                                        },
    };
    static char *any[] = {"*"};
    const struct config_list origins = {any, 1};
    for (size_t i = 0; i < COUNT(row); i++) {
        int status = upgrade_status(row[i].request, &origins);
        if (status != row[i].status)
            fail_msg("row %zu: %s: status %d", i, row[i].why, status);
    }
}

static void origins(void **state)
{
    (void)state;
    static char wild[] = "https://*.example.com", exact[] = "https://example.com";
    static char port[] = "https://*.example.com:8443", any[] = "*",
                plain[] = "http://localhost:8080";
    static const struct {
        char *pattern;
        const char *origin; /* NULL: no such header */
        bool is_allowed;
        const char *why;
    } row[] = {
        {wild,  "https://a.example.com",          true,  "below the domain"              },
        {wild,  "https://a.b.example.com",        true,  "further below"                 },
        {wild,  "HTTPS://A.Example.COM",          true,  "hosts have no case"            },
        {wild,  "https://example.com",            false, "the domain itself"             },
        {wild,  "https://.example.com",           false, "nothing for the star"          },
        {wild,  "https://evilexample.com",        false, "the dot counts"                },
        {wild,  "https://a.example.com.evil.com", false, "only begins like it"           },
        {wild,  "https://a.example.com.",         false, "the root's dot is another name"},
        {wild,  "http://a.example.com",           false, "another scheme"                },
        {wild,  "https://a.example.com:8443",     false, "another port"                  },
        {wild,  "xhttps://a.example.com",         false, "another scheme"                },
        {wild,  "a.example.com",                  false, "no scheme"                     },
        {wild,  "null",                           false, "a sandboxed page"              },
        {wild,  "",                               false, "empty is not absent"           },
        {wild,  NULL,                             true,  "no browser"                    },
        {wild,  "https://*.example.com",          true,  "no browser says that"          },
        {port,  "https://a.example.com:8443",     true,  "the same port"                 },
        {port,  "https://a.example.com",          false, "another port"                  },
        {port,  "https://a.example.com:84431",    false, "another port"                  },
        {exact, "https://example.com",            true,  "the same"                      },
        {exact, "https://EXAMPLE.com",            true,  "hosts have no case"            },
        {exact, "https://a.example.com",          false, "below it"                      },
        {exact, "https://example.com.evil.com",   false, "only begins like it"           },
        {exact, "https://example.co",             false, "only a part of it"             },
        {exact, "",                               false, "empty"                         },
        {plain, "http://localhost:8080",          true,  "the same"                      },
        {plain, "http://localhost",               false, "another port"                  },
        {any,   "null",                           true,  "a star admits all"             },
        {any,   "",                               true,  "a star admits all"             },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        char memory[512], *pattern = row[i].pattern;
        struct buf b;
        buf_init_fixed(&b, memory, sizeof memory);
        buf_put_text(&b, "GET / HTTP/1.1\r\n" WEBSOCKET KEY VERSION PROTOCOL);
        if (row[i].origin)
            buf_printf(&b, "Origin: %s\r\n", row[i].origin);
        buf_put_text(&b, "\r\n");
        const struct config_list list = {&pattern, 1};
        if (upgrade_status(buf_str(&b), &list) != (row[i].is_allowed ? 101 : 403))
            fail_msg("row %zu: %s %s: %s", i, pattern, row[i].origin, row[i].why);
    }

    char *both[] = {exact, wild};
    struct str request = WITH(KEY VERSION PROTOCOL "Origin: https://a.example.com\r\n");
    assert_int_equal(upgrade_status(request, &(struct config_list){both, 2}), 101);
    assert_int_equal(upgrade_status(request, &(struct config_list){both, 1}), 403);
    assert_int_equal(upgrade_status(request, &(struct config_list){NULL, 0}), 403);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses),
        cmocka_unit_test(understands),
        cmocka_unit_test(targets),
        cmocka_unit_test(every_byte),
        cmocka_unit_test(every_truncation_waits),
        cmocka_unit_test(limits),
        cmocka_unit_test(upgrades),
        cmocka_unit_test(origins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
