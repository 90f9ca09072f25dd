#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <aorta/json_text.h>
#include <cjson/cJSON.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))
/* Rows are literals, so that zeros may stand in them. */
#define TEXT(literal)                   \
    {                                   \
        "" literal, sizeof(literal) - 1 \
    }

/* Parsed from memory of just its size, so that a sanitizer sees a step over its end. */
static cJSON *parse(struct str text, struct json_position *where, const char **what)
{
    char *copy = malloc(text.len);
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    cJSON *json = json_text_parse((struct str){copy, text.len}, where, what);
    free(copy);
    return json;
}

static void accepts_json(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        const char *as_cjson_prints;
    } row[] = {
        {TEXT("{}"),                                                               "{}"                                      },
        {TEXT(" \t\r\n[ ]\n"),                                                     "[]"                                      },
        {TEXT("{\"a\": {\"b\": [1, -2.5e+1, 0, -0.5, 1E2]}, \"c\" :null}"),
         "{\"a\":{\"b\":[1,-25,0,-0.5,100]},\"c\":null}"                                                                     },
        {TEXT("[true,false,null]"),                                                "[true,false,null]"                       },
        {TEXT("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\""),                           "\"a\\\"\\\\/\\b\\f\\n\\r\\tA\""          },
        {TEXT("\"\\ud83d\\uDE00\\u20ac\\u00e4\""),                                 "\"\xf0\x9f\x98\x80\xe2\x82\xac\xc3\xa4\""},
        {TEXT("\"\xc3\xa4\x7f\""),                                                 "\"\xc3\xa4\x7f\""                        },
        {TEXT("42"),                                                               "42"                                      },
        {TEXT("{\"a\":1,\"A\":2,\"b\":{\"a\":3},\"\":4}"),
         "{\"a\":1,\"A\":2,\"b\":{\"a\":3},\"\":4}"                                                                          },
        {TEXT("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"),
         "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"                                                  },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct json_position where = {0, 0};
        const char *what = NULL;
        cJSON *json = parse(row[i].text, &where, &what);
        if (!json)
            fail_msg("row %zu: %u:%u: %s", i, where.line, where.column, what);
        char *printed = cJSON_PrintUnformatted(json);
        assert_string_equal(printed, row[i].as_cjson_prints);
        free(printed);
        cJSON_Delete(json);
    }
}

static void says_what_is_wrong_and_where(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        unsigned line, column;
        const char *what;
    } row[] = {
        {TEXT(""),                                                                   1, 1,  "the text ends before its value is complete"     },
        {TEXT(" \n "),                                                               2, 2,  "the text ends before its value is complete"     },
        {TEXT("{"),                                                                  1, 2,  "the text ends before its value is complete"     },
        {TEXT("{\"a\":1"),                                                           1, 7,  "the text ends before its value is complete"     },
        {TEXT("[1,"),                                                                1, 4,  "the text ends before its value is complete"     },
        {TEXT("-"),                                                                  1, 2,  "the text ends before its value is complete"     },
        {TEXT("\xef\xbb\xbf{}"),                                                     1, 1,  "a byte order mark is not JSON"                  },

        {TEXT("{\n  \"a\": 1\n  \"b\": 2\n}"),                                       3, 3,  "expected ',' or '}' after a member"             },
        {TEXT("{\r\n \"a\": 1 ]"),                                                   2, 9,  "expected ',' or '}' after a member"             },
        {TEXT("[1 2]"),                                                              1, 4,  "expected ',' or ']' after an element"           },
        {TEXT("[1\0]"),                                                              1, 3,  "expected ',' or ']' after an element"           },
        {TEXT("{\"a\" 1}"),                                                          1, 6,  "expected ':' after a member's name"             },
        {TEXT("{a: 1}"),                                                             1, 2,  "expected a member's name in double quotes"      },
        {TEXT("{1: 1}"),                                                             1, 2,  "expected a member's name in double quotes"      },
        {TEXT("{\"a\":}"),                                                           1, 6,  "expected a value"                               },
        {TEXT("[,]"),                                                                1, 2,  "expected a value"                               },
        {TEXT("[nul]"),                                                              1, 2,  "expected a value"                               },
        {TEXT("[NaN]"),                                                              1, 2,  "expected a value"                               },
        {TEXT("\f{}"),                                                               1, 1,  "expected a value"                               },
        {TEXT("{} {}"),                                                              1, 4,  "expected nothing more after the value"          },
        {TEXT("{}\0"),                                                               1, 3,  "expected nothing more after the value"          },
        {TEXT("truer"),                                                              1, 5,  "expected nothing more after the value"          },

        {TEXT("{\"a\":1,}"),                                                         1, 7,  "trailing comma"                                 },
        {TEXT("[1,\n2,\n]"),                                                         2, 2,  "trailing comma"                                 },
        {TEXT("{\n// why\n\"a\":1}"),                                                2, 1,  "a comment is not JSON"                          },
        {TEXT("{\"a\":1 /* why */}"),                                                1, 8,  "a comment is not JSON"                          },
        {TEXT("{}\n# why"),                                                          2, 1,  "a comment is not JSON"                          },
        {TEXT("{'a':1}"),                                                            1, 2,  "a string stands in double quotes"               },
        {TEXT("[True]"),                                                             1, 2,  "true, false and null are in lower case"         },

        {TEXT("[01]"),                                                               1, 2,  "a number does not start with 0"                 },
        {TEXT("[-00]"),                                                              1, 3,  "a number does not start with 0"                 },
        {TEXT("[+1]"),                                                               1, 2,  "a number starts with a digit or '-'"            },
        {TEXT("[.5]"),                                                               1, 2,  "a number starts with a digit or '-'"            },
        {TEXT("[-x]"),                                                               1, 3,  "expected a digit"                               },
        {TEXT("[1.]"),                                                               1, 4,  "expected a digit after the point"               },
        {TEXT("[1.e2]"),                                                             1, 4,  "expected a digit after the point"               },
        {TEXT("[1e]"),                                                               1, 4,  "expected a digit in the exponent"               },
        {TEXT("[1e+-2]"),                                                            1, 5,  "expected a digit in the exponent"               },
        {TEXT("[0x10]"),                                                             1, 3,  "expected ',' or ']' after an element"           },
        {TEXT("[1e999]"),                                                            1, 2,  "this number is too large"                       },
        {TEXT("[1234567890123456789012345678901234567890123456789012345678901234]"), 1, 2,
         "this number has too many digits"                                                                                                   },

        {TEXT("{\"a\": \"b\n\"}"),                                                   1, 7,  "this string is not closed on its line"          },
        {TEXT("{\"a\": \"b"),                                                        1, 7,  "this string is not closed on its line"          },
        {TEXT("[\"a\tb\"]"),                                                         1, 4,  "a control character in a string must be escaped"},
        {TEXT("[\"a\0b\"]"),                                                         1, 4,  "a control character in a string must be escaped"},
        {TEXT("[\"a\\x41\"]"),                                                       1, 4,  "unknown escape in a string"                     },
        {TEXT("[\"a\\\0\"]"),                                                        1, 4,  "unknown escape in a string"                     },
        {TEXT("\"\\"),                                                               1, 2,  "unknown escape in a string"                     },
        {TEXT("[\"a\\u12g4\"]"),                                                     1, 4,  "expected four hexadecimal digits after \\u"     },
        {TEXT("\"\\u123"),                                                           1, 2,  "expected four hexadecimal digits after \\u"     },
        {TEXT("[\"a\\u0000\"]"),                                                     1, 4,  "\\u0000 is not accepted"                        },
        {TEXT("[\"\\ud83d\"]"),                                                      1, 3,  "half of a surrogate pair"                       },
        {TEXT("[\"\\ud83dx\\ude00\"]"),                                              1, 3,  "half of a surrogate pair"                       },
        {TEXT("[\"\\ud83d\\u0041\"]"),                                               1, 3,  "half of a surrogate pair"                       },
        {TEXT("[\"\\ude00\\ud83d\"]"),                                               1, 3,  "half of a surrogate pair"                       },
        {TEXT("[\"\xe4\"]"),                                                         1, 3,  "not UTF-8"                                      },
        {TEXT("[\"\xed\xa0\x80\"]"),                                                 1, 3,  "not UTF-8"                                      },

        {TEXT("{\"a\":1,\n \"b\":2,\n \"a\":3}"),                                    3, 2,  "this name is already in the object"             },
        {TEXT("{\"a\":1,\"\\u0061\":2,\"a\":3}"),                                    1, 8,  "this name is already in the object"             },
        {TEXT("{\"a\":{\"b\":1,\"c\":2,\"b\":3}}"),                                  1, 19, "this name is already in the object"             },
        {TEXT("{\"\":1,\"\":2}"),                                                    1, 7,  "this name is already in the object"             },
        {TEXT("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"), 1, 33,
         "nested too deeply"                                                                                                                 },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct json_position where = {0, 0};
        const char *what = "nothing";
        if (parse(row[i].text, &where, &what))
            fail_msg("row %zu: accepted %.*s", i, STR_ARG(row[i].text));
        if (where.line != row[i].line || where.column != row[i].column ||
            strcmp(what, row[i].what) != 0)
            fail_msg("row %zu: %.*s: %u:%u: %s", i, STR_ARG(row[i].text), where.line, where.column,
                     what);
    }
}

static void finds_one_repeated_name_of_many(void **state)
{
    (void)state;
    enum { MANY = 50000 };
    for (int repeats = 0; repeats < 2; repeats++) {
        struct buf text;
        buf_init_heap(&text, 4 << 20);
        buf_put_char(&text, '{');
        for (unsigned i = 0; i < MANY; i++)
            buf_printf(&text, "\"%u\":%u,\n", i, i);
        buf_printf(&text, "\"%s\":0}", repeats ? "25000" : "other");
        struct json_position where;
        const char *what;
        cJSON *json = json_text_parse(buf_str(&text), &where, &what);
        assert_int_equal(json == NULL, repeats);
        if (!json)
            assert_int_equal(where.line, MANY + 1);
        cJSON_Delete(json);
        buf_fini(&text);
    }
}

static const char sample[] = "{\n"
                             "  \"listen\": [\"udp://[::1]:5060\", \"ws\\u003a//h\"],\n"
                             "  \"tls\": {\"cert\": \"a\", \"key\" : \"b\"},\n"
                             "  \"hosts\": [{\"key\": 1}, {\"name\": -1.5e3}],\n"
                             "  \"l\\u006fg\": {\"level\": true}\n"
                             "}\n";

static void locates(void **state)
{
    (void)state;
    static const struct {
        const char *path[4]; /* NULL ends it */
        struct json_position key, value;
        const char *why;
    } row[] = {
        {{NULL},                 {1, 1},  {1, 1},  "the root"                          },
        {{"listen"},             {2, 3},  {2, 13}, "a member"                          },
        {{"listen", "0"},        {2, 14}, {2, 14}, "an element is its own key"         },
        {{"listen", "1"},        {2, 34}, {2, 34}, "the second"                        },
        {{"listen", "2"},        {2, 3},  {2, 13}, "past the end: the array"           },
        {{"tls", "key"},         {3, 24}, {3, 32}, "a member of a member"              },
        {{"tls", "name"},        {3, 3},  {3, 10}, "not there, and not in hosts either"},
        {{"hosts", "1", "name"}, {4, 26}, {4, 34}, "in an element"                     },
        {{"hosts", "0", "name"}, {4, 13}, {4, 13}, "not in the next one"               },
        {{"hosts", "x"},         {4, 3},  {4, 12}, "no index"                          },
        {{"log", "level"},       {5, 16}, {5, 25}, "written with an escape"            },
        {{"LISTEN"},             {1, 1},  {1, 1},  "names have a case"                 },
        {{"tls", "cert", "x"},   {3, 11}, {3, 19}, "a string holds nothing"            },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        size_t depth = 0;
        while (depth < 4 && row[i].path[depth])
            depth++;
        for (int of_value = 0; of_value < 2; of_value++) {
            struct json_position expected = of_value ? row[i].value : row[i].key;
            struct json_position is =
                json_text_locate(str_from(sample), row[i].path, depth, of_value);
            if (is.line != expected.line || is.column != expected.column)
                fail_msg("row %zu: %s: %u:%u", i, row[i].why, is.line, is.column);
        }
    }
}

/* Whatever bytes come: no crash, a place inside the text, and never more than cJSON can take. */
static void survives_broken_texts(void **state)
{
    (void)state;
    struct str whole = str_from(sample);
    uint64_t random = 88172645463325252u;
    for (size_t i = 0; i < 20000; i++) {
        char text[sizeof sample];
        memcpy(text, sample, sizeof text);
        size_t len = i < whole.len - 2 ? i : whole.len;
        for (size_t n = i < whole.len ? 0 : 1 + i % 4; n > 0; n--) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            static const char likely[] = "{}[]\",:\\u0-e. \n\t/\xc3";
            text[random % len] =
                random >> 32 & 1 ? likely[(random >> 33) % sizeof likely] : (char)(random >> 40);
        }
        struct json_position where = {0, 0};
        const char *what = NULL;
        cJSON *json = parse((struct str){text, len}, &where, &what);
        if (!json && (where.line < 1 || where.line > 12 || where.column < 1 || !what ||
                      strcmp(what, "not enough memory") == 0))
            fail_msg("%.*s: %u:%u %s", (int)len, text, where.line, where.column, what);
        if (i < whole.len - 2)
            assert_null(json);
        cJSON_Delete(json);
    }
}

static void reads_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/test_json_text.XXXXXX";
    assert_non_null(mkdtemp(folder));
    char file[64], fifo[64];
    snprintf(file, sizeof file, "%s/file", folder);
    snprintf(fifo, sizeof fifo, "%s/fifo", folder);
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    for (int i = 0; i < 50000; i++)
        fputc('a' + i % 26, f);
    fclose(f);
    assert_int_equal(mkfifo(fifo, 0600), 0);

    struct str text = STR_NONE;
    assert_int_equal(json_text_read_file(file, 49999, &text), -EFBIG);
    assert_int_equal(json_text_read_file(folder, 1000, &text), -EISDIR);
    assert_int_equal(json_text_read_file(fifo, 1000, &text), -EINVAL);
    assert_int_equal(json_text_read_file("/nowhere/at/all", 1000, &text), -ENOENT);
    assert_null(text.ptr);
    assert_int_equal(json_text_read_file(file, 50000, &text), 0);
    assert_int_equal(text.len, 50000);
    assert_int_equal(text.ptr[49999], 'a' + 49999 % 26);
    free((char *)text.ptr);

    assert_int_equal(truncate(file, 0), 0);
    assert_int_equal(json_text_read_file(file, 0, &text), 0);
    assert_int_equal(text.len, 0);
    free((char *)text.ptr);
    unlink(file);
    unlink(fifo);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_json),
        cmocka_unit_test(says_what_is_wrong_and_where),
        cmocka_unit_test(finds_one_repeated_name_of_many),
        cmocka_unit_test(locates),
        cmocka_unit_test(survives_broken_texts),
        cmocka_unit_test(reads_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
