#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <aorta/buf.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static void assert_text(const struct buf *b, const char *text)
{
    if (b->error != 0 || !str_eq(buf_str(b), str_from(text)))
        fail_msg("error %d, \"%.*s\" instead of \"%s\"", b->error, STR_ARG(buf_str(b)), text);
}

static void appends(void **state)
{
    (void)state;
    struct buf b;
    buf_init_heap(&b, 1000);
    buf_put(&b, NULL, 0);
    assert_text(&b, "");
    buf_put_text(&b, "a");
    buf_put_text(&b, NULL);
    buf_put_str(&b, STR("bc"));
    buf_put_str(&b, STR_NONE);
    buf_put_char(&b, ' ');
    buf_put_u64(&b, 0);
    buf_put_char(&b, ' ');
    buf_put_u64(&b, UINT64_MAX);
    buf_put_char(&b, ' ');
    buf_put_hex(&b, (const uint8_t[]){0x00, 0xab, 0xff}, 3);
    buf_printf(&b, " %s=%d", "x", -1);
    assert_text(&b, "abc 0 18446744073709551615 00abff x=-1");
    buf_clear(&b);
    assert_text(&b, "");
    buf_put_text(&b, "again");
    assert_text(&b, "again");
    buf_fini(&b);
    assert_null(b.data);
    buf_put_text(&b, "and again"); /* as the header says: an empty heap buffer */
    assert_text(&b, "and again");
    buf_fini(&b);
}

static void fills_fixed_memory_to_the_last_byte(void **state)
{
    (void)state;
    static const struct {
        size_t cap;
        int error;
        const char *text, *why;
    } row[] = {
        {8, 0,       "12345678", "printf needs no room for a zero"          },
        {7, -ENOSPC, "1234",     "nor does it leave half of a text"         },
        {3, -ENOSPC, "",         "and what comes later is not put in either"},
        {0, -ENOSPC, "",         "no memory at all"                         },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        char *memory = malloc(row[i].cap); /* of that size, so that a sanitizer sees a step over */
        struct buf b;
        buf_init_fixed(&b, memory, row[i].cap);
        buf_put_text(&b, "1234");
        buf_printf(&b, "%d", 5678);
        buf_put_text(&b, row[i].error != 0 ? "x" : "");
        if (b.error != row[i].error || !str_eq(buf_str(&b), str_from(row[i].text)))
            fail_msg("row %zu: %s", i, row[i].why);
        buf_clear(&b);
        assert_int_equal(b.error, 0);
        buf_fini(&b); /* frees nothing that is not its own */
        free(memory);
    }
}

static void grows_to_its_limit(void **state)
{
    (void)state;
    struct buf b;
    buf_init_heap(&b, 1000);
    for (int i = 0; i < 1000; i++)
        buf_put_char(&b, (char)('a' + i % 26));
    assert_int_equal(b.error, 0);
    assert_int_equal(b.len, 1000);
    assert_int_equal(b.cap, 1000);
    assert_int_equal(b.data[999], 'a' + 999 % 26);
    buf_put_char(&b, '!');
    assert_int_equal(b.error, -ENOSPC);
    assert_int_equal(b.len, 1000);
    buf_fini(&b);

    buf_init_heap(&b, 1000);
    buf_put_char(&b, 'x');
    buf_put_hex(&b, (const uint8_t[]){0}, SIZE_MAX); /* twice that is no number */
    assert_int_equal(b.error, -ENOSPC);
    assert_int_equal(b.len, 1);
    buf_fini(&b);
}

static void prints_long_texts(void **state)
{
    (void)state;
    static const size_t length[] = {255, 256, 257, 5000};
    for (size_t i = 0; i < COUNT(length); i++) {
        struct buf b;
        buf_init_heap(&b, length[i]);
        buf_printf(&b, "%0*d", (int)length[i], 7);
        assert_int_equal(b.error, 0);
        assert_int_equal(b.len, length[i]);
        assert_int_equal(b.data[b.len - 1], '7');
        buf_fini(&b);

        buf_init_heap(&b, length[i] - 1);
        buf_printf(&b, "%0*d", (int)length[i], 7);
        assert_int_equal(b.error, -ENOSPC);
        assert_int_equal(b.len, 0);
        buf_fini(&b);
    }
}

#define NONE "\xef\xbf\xbd" /* U+FFFD in place of one byte */

static void writes_json_strings(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        const char *json, *why;
    } row[] = {
        {{NULL, 0},                                        "\"\"",                             "nothing"                        },
        {{"a b", 3},                                       "\"a b\"",                          "plain"                          },
        {{"a\"\\b", 4},                                    "\"a\\\"\\\\b\"",                   "quote and backslash"            },
        {{"\b\f\n\r\t", 5},                                "\"\\b\\f\\n\\r\\t\"",              "those with a letter"            },
        {{"\0\x01\x1b\x1f", 4},                            "\"\\u0000\\u0001\\u001b\\u001f\"", "other control characters"       },
        {{"\x7f", 1},                                      "\"\x7f\"",                         "DEL may stand"                  },
        {{"\xe2\x80\xa8\xe2\x80\xa9", 6},                  "\"\\u2028\\u2029\"",               "line ends of JavaScript"        },
        {{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9},
         "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"",                                           "two, three and four bytes"      },
        {{"\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf", 10},
         "\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\"",                                       "first and last of two and three"},
        {{"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8},
         "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"",                                               "first and last of four"         },
        {{"a\x80z", 3},                                    "\"a" NONE "z\"",                   "no first byte"                  },
        {{"a\xc3z", 3},                                    "\"a" NONE "z\"",                   "second byte missing"            },
        {{"\xe2\x82", 2},                                  "\"" NONE NONE "\"",                "cut off at the end"             },
        {{"\xc0\xaf", 2},                                  "\"" NONE NONE "\"",                "overlong, two bytes"            },
        {{"\xc1\xbf", 2},                                  "\"" NONE NONE "\"",                "overlong, two bytes"            },
        {{"\xe0\x9f\xbf", 3},                              "\"" NONE NONE NONE "\"",           "overlong, three"                },
        {{"\xf0\x8f\xbf\xbf", 4},                          "\"" NONE NONE NONE NONE "\"",      "overlong, four"                 },
        {{"\xed\xa0\x80", 3},                              "\"" NONE NONE NONE "\"",           "first surrogate"                },
        {{"\xed\xbf\xbf", 3},                              "\"" NONE NONE NONE "\"",           "last surrogate"                 },
        {{"\xed\x9f\xbf\xee\x80\x80", 6},                  "\"\xed\x9f\xbf\xee\x80\x80\"",     "and those around them"          },
        {{"\xf4\x90\x80\x80", 4},                          "\"" NONE NONE NONE NONE "\"",      "above U+10FFFF"                 },
        {{"\xf8\x88\x80\x80\x80", 5},                      "\"" NONE NONE NONE NONE NONE "\"", "five bytes"                     },
        {{"\xff\xfe", 2},                                  "\"" NONE NONE "\"",                "never in UTF-8"                 },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct buf b;
        buf_init_heap(&b, 100);
        buf_put_json(&b, row[i].text);
        if (b.error != 0 || !str_eq(buf_str(&b), str_from(row[i].json)))
            fail_msg("row %zu: %s: %.*s", i, row[i].why, STR_ARG(buf_str(&b)));
        buf_fini(&b);
    }
}

static void a_secret_grows_and_stays_one(void **state)
{
    (void)state;
    char text[1000];
    struct buf b;
    buf_init_secret(&b, sizeof text);
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (char)('a' + i % 26);
        buf_put_char(&b, text[i]);
    }
    assert_int_equal(b.error, 0);
    assert_memory_equal(b.data, text, sizeof text);
    buf_put_char(&b, '!');
    assert_int_equal(b.error, -ENOSPC);
    buf_fini(&b);
    assert_true(b.is_secret);
    assert_int_equal(b.max, sizeof text);
    assert_null(b.data);

    buf_init_fixed(&b, text, sizeof text);
    buf_put_text(&b, "password");
    buf_wipe(&b);
    assert_memory_equal(text, "\0\0\0\0\0\0\0\0", 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends),
        cmocka_unit_test(fills_fixed_memory_to_the_last_byte),
        cmocka_unit_test(grows_to_its_limit),
        cmocka_unit_test(prints_long_texts),
        cmocka_unit_test(writes_json_strings),
        cmocka_unit_test(a_secret_grows_and_stays_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
