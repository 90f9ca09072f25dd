/* What the callback's answers mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/callback_internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MD5_HEX "0123456789abcdefABCDEF0123456789"
#define SHA_HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

#define OK CALLBACK_SAID_OK
#define REFUSES CALLBACK_SAID_NO
#define NOTHING CALLBACK_SAID_NOTHING

static void read_json(struct str json, struct arena *arena, struct callback_answer *out)
{
    struct http_answer http = {.why = "", .status = 200, .body = json};
    callback_read_answer(&http, arena, out);
}

static const char *cause_of(const struct http_answer *http, bool *is_outage)
{
    struct arena arena;
    struct callback_answer answer;
    assert_int_equal(arena_init(&arena, 4096, 65536), 0);
    callback_read_answer(http, &arena, &answer);
    assert_int_equal(answer.said, NOTHING);
    *is_outage = answer.is_outage;
    arena_fini(&arena);
    return answer.cause;
}

static void no_answer_at_all(void **state)
{
    (void)state;
    static const struct {
        int error, status;
        bool is_outage;
        const char *cause;
    } row[] = {
        {-ETIMEDOUT,    0,   true,  "the callback did not answer in time"              },
        {-ECONNREFUSED, 0,   true,  "the callback refuses connections"                 },
        {-EMSGSIZE,     200, true,  "the answer of the callback is too long"           },
        {-EIO,          0,   true,  "the callback cannot be reached"                   },
        {-ENOBUFS,      0,   false, "too many wait for the callback"                   },
        {-ECANCELED,    0,   false, "the callback is no longer waited for"             },
        {-ENOMEM,       0,   false, "out of memory"                                    },
        {0,             302, true,  "the callback answers with a redirect"             },
        {0,             500, true,  "the callback answers with another status than 200"},
        {0,             401, true,  "the callback answers with another status than 200"},
        {0,             201, true,  "the callback answers with another status than 200"},
        {0,             0,   true,  "the callback answers with another status than 200"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct http_answer http = {row[i].error, "", row[i].status, STR("{\"status\":\"ok\"}"), 0};
        bool is_outage;
        const char *cause = cause_of(&http, &is_outage);
        if (strcmp(cause, row[i].cause) != 0 || is_outage != row[i].is_outage)
            fail_msg("row %zu: %s", i, cause);
    }
}

static void only_ok_admits(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        enum callback_said said;
        const char *why;
    } row[] = {
        {"{\"status\":\"ok\"}",                           OK,      "as documented"              },
        {"{\"status\":\"OK\"}",                           OK,      "as the predecessor compared"},
        {" { \"a\" : [ 1 ] , \"status\" : \"Ok\" } \r\n", OK,      "white space"                },
        {"{\"st\\u0061tus\":\"\\u006fk\"}",               OK,      "escapes are the same text"  },
        {"{\"status\":\"fail\"}",                         REFUSES, "as documented"              },
        {"{\"status\":\"okay\"}",                         REFUSES, "another text"               },
        {"{\"status\":\"\"}",                             REFUSES, "no text"                    },
        {"{\"status\":\" ok\"}",                          REFUSES, "not quite"                  },
        {"{\"Status\":\"ok\"}",                           NOTHING, "names have a case"          },
        {"{}",                                            NOTHING, "no status"                  },
        {"{\"status\":true}",                             NOTHING, "no string"                  },
        {"{\"status\":null}",                             NOTHING, "null"                       },
        {"{\"status\":{\"status\":\"ok\"}}",              NOTHING, "deeper"                     },
        {"{\"a\":{\"status\":\"ok\"}}",                   NOTHING, "elsewhere"                  },
        {"[{\"status\":\"ok\"}]",                         NOTHING, "no object"                  },
        {"\"ok\"",                                        NOTHING, "a string"                   },
        {"ok",                                            NOTHING, "no JSON"                    },
        {"",                                              NOTHING, "nothing"                    },
        {"{\"status\":\"ok\"",                            NOTHING, "cut off"                    },
        {"{\"status\":\"ok\"}x",                          NOTHING, "and more"                   },
        {"{\"status\":\"fail\",\"status\":\"ok\"}",       NOTHING, "says both"                  },
        {"{\"status\":\"ok\",\"m\":\"\xff\"}",            NOTHING, "no UTF-8"                   },
        {"{'status':'ok'}",                               NOTHING, "no JSON either"             },
        {"<html>ok</html>",                               NOTHING, "a page"                     },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct arena arena;
        struct callback_answer answer;
        assert_int_equal(arena_init(&arena, 4096, 65536), 0);
        read_json(str_from(row[i].json), &arena, &answer);
        if (answer.said != row[i].said)
            fail_msg("%s (%s): %d, %s", row[i].why, row[i].json, (int)answer.said, answer.cause);
        assert_int_equal(answer.is_outage, answer.said == NOTHING);
        assert_non_null(answer.cause);
        arena_fini(&arena);
    }
}

static void nesting_has_an_end(void **state)
{
    (void)state;
    struct buf b;
    buf_init_heap(&b, 1 << 17);
    buf_put_text(&b, "{\"status\":\"ok\",\"a\":");
    for (int i = 0; i < 30000; i++)
        buf_put_char(&b, '[');
    for (int i = 0; i < 30000; i++)
        buf_put_char(&b, ']');
    buf_put_char(&b, '}');
    bool is_outage;
    struct http_answer http = {.why = "", .status = 200, .body = buf_str(&b)};
    cause_of(&http, &is_outage);
    assert_true(is_outage);
    buf_fini(&b);
}

/* ---- Numbers -------------------------------------------------------------------------------- */

#define OK_WITH "{\"status\":\"ok\","
#define FAIL_WITH "{\"status\":\"fail\","

static void numbers_and_what_is_odd(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        uint32_t expires_s;
        int64_t ban_s;
        unsigned odd;
    } row[] = {
        {OK_WITH "\"expires\":60}",                         60,         0,          0            },
        {OK_WITH "\"expires\":1}",                          1,          0,          0            },
        {OK_WITH "\"expires\":6e1}",                        60,         0,          0            },
        {OK_WITH "\"expires\":60.0}",                       60,         0,          0            },
        {OK_WITH "\"expires\":4294967295}",                 UINT32_MAX, 0,          0            },
        {OK_WITH "\"expires\":4294967296}",                 UINT32_MAX, 0,          0            },
        {OK_WITH "\"expires\":1e300}",                      UINT32_MAX, 0,          0            },
        {OK_WITH "\"expires\":0}",                          0,          0,          ODD_EXPIRES  },
        {OK_WITH "\"expires\":-60}",                        0,          0,          ODD_EXPIRES  },
        {OK_WITH "\"expires\":-1e300}",                     0,          0,          ODD_EXPIRES  },
        {OK_WITH "\"expires\":0.5}",                        0,          0,          ODD_EXPIRES  },
        {OK_WITH "\"expires\":60.5}",                       0,          0,          ODD_EXPIRES  },
        {OK_WITH "\"expires\":\"60\"}",                     0,          0,          ODD_EXPIRES  },
        {OK_WITH "\"expires\":null}",                       0,          0,          ODD_EXPIRES  },
        {OK_WITH "\"blacklist\":60}",                       0,          0,          0            },
        {OK_WITH "\"blacklist\":\"x\"}",                    0,          0,          0            },
        {FAIL_WITH "\"expires\":60}",                       0,          0,          0            },
        {FAIL_WITH "\"blacklist\":60}",                     0,          60,         0            },
        {FAIL_WITH "\"blaclist\":60}",                      0,          60,         0            },
        {FAIL_WITH "\"blacklist\":-1}",                     0,          -1,         0            },
        {FAIL_WITH "\"blacklist\":0}",                      0,          0,          0            },
        {FAIL_WITH "\"blacklist\":1e20}",                   0,          UINT32_MAX, 0            },
        {FAIL_WITH "\"blacklist\":60,\"blaclist\":90}",     0,          90,         0            },
        {FAIL_WITH "\"blacklist\":-1,\"blaclist\":90}",     0,          -1,         0            },
        {FAIL_WITH "\"blacklist\":60,\"blaclist\":-1}",     0,          -1,         0            },
        {FAIL_WITH "\"blacklist\":\"60\",\"blaclist\":90}", 0,          90,         ODD_BLACKLIST},
        {FAIL_WITH "\"blacklist\":-2}",                     0,          0,          ODD_BLACKLIST},
        {FAIL_WITH "\"blacklist\":-0.5}",                   0,          0,          ODD_BLACKLIST},
        {FAIL_WITH "\"blacklist\":1.5}",                    0,          0,          ODD_BLACKLIST},
        {FAIL_WITH "\"blacklist\":true}",                   0,          0,          ODD_BLACKLIST},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct arena arena;
        struct callback_answer answer;
        assert_int_equal(arena_init(&arena, 4096, 65536), 0);
        read_json(str_from(row[i].json), &arena, &answer);
        assert_int_not_equal(answer.said, NOTHING);
        if (answer.kept.expires_limit_s != row[i].expires_s || answer.ban_s != row[i].ban_s ||
            answer.odd != row[i].odd)
            fail_msg("%s: %u, %d, odd %u", row[i].json, answer.kept.expires_limit_s,
                     (int)answer.ban_s, answer.odd);
        arena_fini(&arena);
    }
}

static void odd_members_by_name(void **state)
{
    (void)state;
    static const struct {
        unsigned odd;
        const char *text;
    } row[] = {
        {0,                   ""                                        },
        {ODD_EXPIRES,         "expires"                                 },
        {ODD_BLACKLIST,       "blacklist"                               },
        {ODD_MSG | ODD_GRANT, "msg, grant"                              },
        {0x3f,                "expires, blacklist, msg, ha1, ttl, grant"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char memory[64];
        struct buf b;
        buf_init_fixed(&b, memory, sizeof memory);
        callback_put_odd(&b, row[i].odd);
        buf_put_char(&b, '\0');
        assert_int_equal(b.error, 0);
        assert_string_equal(memory, row[i].text);
    }
}

/* ---- Texts ---------------------------------------------------------------------------------- */

static void grants_byte_for_byte(void **state)
{
    (void)state;
    static const struct {
        const char *json, *grant;
    } row[] = {
        {OK_WITH "\"msg\":\"hi\",\"expires\":1,\"blacklist\":1,\"blaclist\":1,\"ttl\":1}", ""                                  },
        {OK_WITH "\"call_hook\":\"https://a/?x=1\"}",                                      "{\"call_hook\":\"https://a/?x=1\"}"},
        {"{\"a\":1,\"status\":\"ok\",\"b\":2}",                                            "{\"a\":1,\"b\":2}"                 },
        {"{ \"a\" : { \"b\" : [ 1 , \"x , } y\" ] } ,\n\t\"status\":\"ok\"\n}",
         "{\"a\":{\"b\":[1,\"x , } y\"]}}"                                                                                     },
        {OK_WITH "\"n\":12345678901234567890,\"f\":1.50E+2}",
         "{\"n\":12345678901234567890,\"f\":1.50E+2}"                                                                          },
        {OK_WITH "\"q\\\"\\\\\":\"\\\\\\\"}\",\"e\":{},\"l\":[],\"\":null}",
         "{\"q\\\"\\\\\":\"\\\\\\\"}\",\"e\":{},\"l\":[],\"\":null}"                                                           },
        {"{\"expir\\u0065s\":1,\"status\":\"ok\",\"x\":\"\\u00eb\xc3\xab\"}",
         "{\"x\":\"\\u00eb\xc3\xab\"}"                                                                                         },
        {OK_WITH "\"ha1\":\"" MD5_HEX "\",\"ttl\":5,\"ha1-sha256\":\"" SHA_HEX
                 "\",\"x\":[{\"ha1\":1}]}",                                       "{\"x\":[{\"ha1\":1}]}"             },
        {FAIL_WITH "\"x\":1}",                                                             ""                                  },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char text[512];
        struct arena arena;
        struct callback_answer answer;
        assert_int_equal(arena_init(&arena, 4096, 65536), 0);
        read_json(str_from(row[i].json), &arena, &answer);
        assert_int_not_equal(answer.said, NOTHING);
        snprintf(text, sizeof text, "%.*s", STR_ARG(answer.kept.grant));
        assert_string_equal(text, row[i].grant);
        arena_fini(&arena);
    }
}

/* {"status":"ok","x":"aaa…"} whose grant has so many bytes. */
static void long_grants_are_left_out(void **state)
{
    (void)state;
    static const struct {
        int bytes;
        size_t kept;
        unsigned odd;
    } row[] = {
        {AUTH_GRANT_BYTES,     AUTH_GRANT_BYTES, 0        },
        {AUTH_GRANT_BYTES + 1, 0,                ODD_GRANT},
        {60000,                0,                ODD_GRANT},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct arena arena;
        struct callback_answer answer;
        struct buf b;
        buf_init_heap(&b, 65536);
        buf_put_text(&b, OK_WITH "\"x\":\"");
        for (int n = row[i].bytes - 8; n > 0; n--)
            buf_put_char(&b, 'a');
        buf_put_text(&b, "\",\"expires\":60}");
        assert_int_equal(arena_init(&arena, 4096, 65536), 0);
        read_json(buf_str(&b), &arena, &answer);
        assert_int_equal(answer.said, OK);
        assert_int_equal(answer.kept.expires_limit_s, 60);
        assert_int_equal(answer.kept.grant.len, row[i].kept);
        assert_int_equal(answer.odd, row[i].odd);
        arena_fini(&arena);
        buf_fini(&b);
    }
}

static void messages_are_cut(void **state)
{
    (void)state;
    static const struct {
        const char *filler, *end; /* 254 times the first, then the second */
        size_t len;
        unsigned odd;
    } row[] = {
        {"",  "",                  0,   0},
        {"",  "no such user",      12,  0},
        {"a", "bc",                256, 0},
        {"a", "bcd",               256, 0},
        {"a", "b\xc3\xab",         255, 0},
        {"a", "\xe2\x82\xac",      254, 0},
        {"a", "\xf0\x9f\x98\x80x", 254, 0},
        {"a", "\xc3\xab",          256, 0},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct arena arena;
        struct callback_answer answer;
        struct buf b;
        buf_init_heap(&b, 65536);
        buf_put_text(&b, FAIL_WITH "\"msg\":\"");
        for (int n = 0; n < 254; n++)
            buf_put_text(&b, row[i].filler);
        buf_put_text(&b, row[i].end);
        buf_put_text(&b, "\"}");
        assert_int_equal(arena_init(&arena, 4096, 65536), 0);
        read_json(buf_str(&b), &arena, &answer);
        assert_int_equal(answer.said, REFUSES);
        assert_int_equal(answer.message.len, row[i].len);
        assert_true(str_is_utf8(answer.message));
        assert_int_equal(answer.odd, 0);
        arena_fini(&arena);
        buf_fini(&b);
    }
    struct arena arena;
    struct callback_answer answer;
    assert_int_equal(arena_init(&arena, 4096, 65536), 0);
    read_json(STR(OK_WITH "\"msg\":7}"), &arena, &answer);
    assert_int_equal(answer.said, OK);
    assert_int_equal(answer.message.len, 0);
    assert_int_equal(answer.odd, ODD_MSG);
    arena_fini(&arena);
}

/* ---- HA1s ----------------------------------------------------------------------------------- */

#define MD5_BIT (1u << DIGEST_MD5)
#define SHA_BIT (1u << DIGEST_SHA_256)
#define SHA_512_BIT (1u << DIGEST_SHA_512_256)

static void what_may_be_kept(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        unsigned algorithms;
        uint32_t ttl_s;
        unsigned odd;
    } row[] = {
        {OK_WITH "\"ttl\":60}",                                                       0,           0,     0      },
        {OK_WITH "\"ha1\":\"" MD5_HEX "\",\"ttl\":60}",                               MD5_BIT,     60,    0      },
        {OK_WITH "\"ttl\":60,\"ha1-sha256\":\"" SHA_HEX "\"}",                        SHA_BIT,     60,    0      },
        {OK_WITH "\"ttl\":60,\"ha1-sha512-256\":\"" SHA_HEX "\"}",                    SHA_512_BIT, 60,    0      },
        {OK_WITH "\"ttl\":1,\"ha1\":\"" MD5_HEX "\",\"ha1-sha256\":\"" SHA_HEX "\"}",
         MD5_BIT | SHA_BIT,                                                                        1,     0      },
        {OK_WITH "\"ttl\":1,\"ha1\":\"" SHA_HEX "\",\"ha1-sha256\":\"" SHA_HEX "\"}", SHA_BIT,     1,
         ODD_HA1                                                                                                 },
        {OK_WITH "\"ttl\":86400,\"ha1\":\"" MD5_HEX "\"}",                            MD5_BIT,     86400, 0      },
        {OK_WITH "\"ttl\":1e9,\"ha1\":\"" MD5_HEX "\"}",                              MD5_BIT,     86400, 0      },
        {OK_WITH "\"ha1\":\"" MD5_HEX "\"}",                                          0,           0,     ODD_TTL},
        {OK_WITH "\"ttl\":0,\"ha1\":\"" MD5_HEX "\"}",                                0,           0,     ODD_TTL},
        {OK_WITH "\"ttl\":-1,\"ha1\":\"" MD5_HEX "\"}",                               0,           0,     ODD_TTL},
        {OK_WITH "\"ttl\":\"60\",\"ha1\":\"" MD5_HEX "\"}",                           0,           0,     ODD_TTL},
        {OK_WITH "\"ttl\":60,\"ha1\":\"x" MD5_HEX "\"}",                              0,           0,     ODD_HA1},
        {OK_WITH "\"ttl\":60,\"ha1\":\"\"}",                                          0,           0,     ODD_HA1},
        {OK_WITH "\"ttl\":60,\"ha1\":7}",                                             0,           0,     ODD_HA1},
        {FAIL_WITH "\"ttl\":60,\"ha1\":\"" MD5_HEX "\"}",                             0,           0,     0      },
    };
    static const uint8_t md5[4] = {0x01, 0x23, 0x45, 0x67};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct arena arena;
        struct callback_answer answer;
        assert_int_equal(arena_init(&arena, 4096, 65536), 0);
        read_json(str_from(row[i].json), &arena, &answer);
        assert_int_not_equal(answer.said, NOTHING);
        if (answer.kept.algorithms != row[i].algorithms || answer.ttl_s != row[i].ttl_s ||
            answer.odd != row[i].odd)
            fail_msg("%s: algorithms %x, ttl %u, odd %u", row[i].json, answer.kept.algorithms,
                     answer.ttl_s, answer.odd);
        assert_int_equal(answer.kept.grant.len, 0);
        if (answer.kept.algorithms & MD5_BIT)
            assert_memory_equal(answer.kept.ha1s.md5, md5, sizeof md5);
        arena_fini(&arena);
    }
}

static void no_memory_is_no_outage(void **state)
{
    (void)state;
    static const char *const json[] = {
        FAIL_WITH "\"msg\":\"no such user\"}",
        OK_WITH "\"msg\":\"welcome\"}",
        OK_WITH "\"call_hook\":\"x\"}",
    };
    for (size_t i = 0; i < sizeof json / sizeof *json; i++) {
        struct arena arena;
        struct callback_answer answer;
        assert_int_equal(arena_init(&arena, 64, 64), 0);
        while (arena_alloc(&arena, 1))
            ;
        read_json(str_from(json[i]), &arena, &answer);
        assert_int_equal(answer.said, NOTHING);
        assert_false(answer.is_outage);
        arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_answer_at_all),         cmocka_unit_test(only_ok_admits),
        cmocka_unit_test(nesting_has_an_end),       cmocka_unit_test(numbers_and_what_is_odd),
        cmocka_unit_test(odd_members_by_name),      cmocka_unit_test(grants_byte_for_byte),
        cmocka_unit_test(long_grants_are_left_out), cmocka_unit_test(messages_are_cut),
        cmocka_unit_test(what_may_be_kept),         cmocka_unit_test(no_memory_is_no_outage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
