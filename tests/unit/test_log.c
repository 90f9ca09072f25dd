#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <aorta/clock.h>
#include <aorta/json_text.h>
#include <aorta/log.h>
#include <base/log_internal.h>
#include <cjson/cJSON.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

enum { AT_MS = 123 }; /* past WHEN */
#define WHEN UINT64_C(1795361978000)
#define TEXT_HEAD "2026-11-22T15:39:38.123Z INFO  event words"
#define JSON_HEAD \
    "{\"time\":\"2026-11-22T15:39:38.123Z\",\"level\":\"info\",\"event\":\"event words\""

static struct str line_of(enum log_format format, conn_id conn, const struct log_field *fields,
                          char memory[LOG_LINE_BYTES])
{
    struct log_event event = {WHEN + AT_MS, LOG_LEVEL_INFO, conn, "event words", fields};
    return log_line(format, &event, memory);
}

static void writes_both_formats(void **state)
{
    (void)state;
    const struct {
        conn_id conn;
        struct log_field field[3];
        const char *text, *json;
    } row[] = {
        {0,                                              {{.key = NULL}}, "", ""             },
        {conn_id_make(1,                                 0x2a,            3), {{.key = NULL}}, " conn=1.2a.3", ",\"conn\":\"1.2a.3\""},
        {0,
         {LOG_NUM("expires", 600), LOG_NUM("n", INT64_MIN)},
         " expires=600 n=-9223372036854775808",                                         ",\"expires\":600,\"n\":-9223372036854775808"                                  },
        {UINT64_MAX,
         {LOG_STR("aor", STR("alice@example.com"))},
         " conn=ff.ffffff.ffffffff aor=alice@example.com",",\"conn\":\"ff.ffffff.ffffffff\",\"aor\":\"alice@example.com\""                                          },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        char memory[LOG_LINE_BYTES], expected[400];
        struct str line = line_of(LOG_FORMAT_TEXT, row[i].conn, row[i].field, memory);
        snprintf(expected, sizeof expected, TEXT_HEAD "%s\n", row[i].text);
        if (!str_eq(line, str_from(expected)))
            fail_msg("row %zu: %.*s", i, STR_ARG(line));
        line = line_of(LOG_FORMAT_JSON, row[i].conn, row[i].field, memory);
        snprintf(expected, sizeof expected, JSON_HEAD "%s}\n", row[i].json);
        if (!str_eq(line, str_from(expected)))
            fail_msg("row %zu: %s %.*s", i, expected, STR_ARG(line));
    }
}

static void names_levels(void **state)
{
    (void)state;
    static const struct {
        enum log_level level;
        const char *text;
    } row[] = {
        {LOG_LEVEL_ERROR, "1970-01-01T00:00:00.000Z ERROR x\n"},
        {LOG_LEVEL_WARN,  "1970-01-01T00:00:00.000Z WARN  x\n"},
        {LOG_LEVEL_INFO,  "1970-01-01T00:00:00.000Z INFO  x\n"},
        {LOG_LEVEL_DEBUG, "1970-01-01T00:00:00.000Z DEBUG x\n"},
        {LOG_LEVEL_TRACE, "1970-01-01T00:00:00.000Z TRACE x\n"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        char memory[LOG_LINE_BYTES];
        struct log_event event = {0, row[i].level, 0, "x", NULL};
        struct str line = log_line(LOG_FORMAT_TEXT, &event, memory);
        if (!str_eq(line, str_from(row[i].text)))
            fail_msg("%.*s", STR_ARG(line));
    }
}

static void escapes_what_peers_send(void **state)
{
    (void)state;
    static const struct {
        struct str value;
        const char *text, *why;
    } row[] = {
        {{"sip:a@b;c", 9},    "sip:a@b;c",            "a word needs no quotes"   },
        {{"J\xc3\xa4ger", 6}, "J\xc3\xa4ger",         "of any language"          },
        {{"", 0},             "\"\"",                 "nothing is shown"         },
        {{NULL, 0},           "\"\"",                 "nothing at all, too"      },
        {{"a b", 3},          "\"a b\"",              "space"                    },
        {{"a=b", 3},          "\"a=b\"",              "looks like a field"       },
        {{"a\"b", 3},         "\"a\\\"b\"",           "quote"                    },
        {{"a\\b", 3},         "\"a\\\\b\"",           "or an escape is ambiguous"},
        {{"a\r\n2026 X", 9},  "\"a\\r\\n2026 X\"",    "no second line"           },
        {{"\t\0\x1b[2J", 6},  "\"\\t\\x00\\x1b[2J\"", "no terminal commands"     },
        {{"\x7f", 1},         "\"\\x7f\"",            "DEL"                      },
        {{"\xc2\x9b"
          "2J",
          4},
         "\"\\xc2\\x9b2J\"",                          "nor the 8-bit ones"       },
        {{"\x9b"
          "2J",
          3},
         "\"\\x9b2J\"",                               "not UTF-8"                },
        {{"\xc0\x8a", 2},     "\"\\xc0\\x8a\"",       "an overlong line feed"    },
        {{"\xe2\x80\xa8", 3}, "\"\\xe2\\x80\\xa8\"",  "a line end of Unicode"    },
        {{"\xe2\x80\xae", 3}, "\"\\xe2\\x80\\xae\"",  "turns the text around"    },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        char memory[LOG_LINE_BYTES], expected[200];
        const struct log_field field[] = {LOG_STR("key", row[i].value), {.key = NULL}};
        struct str line = line_of(LOG_FORMAT_TEXT, 0, field, memory);
        snprintf(expected, sizeof expected, TEXT_HEAD " key=%s\n", row[i].text);
        if (!str_eq(line, str_from(expected)))
            fail_msg("row %zu: %s: %.*s", i, row[i].why, STR_ARG(line));
    }
}

static void assert_whole_line(struct str line)
{
    assert_true(line.len <= LOG_LINE_BYTES);
    assert_int_equal(str_find(line, '\n'), line.len - 1);
}

static void assert_cut_json(struct str line, bool is_cut)
{
    struct json_position where;
    const char *what;
    cJSON *json = json_text_parse(line, &where, &what);
    if (!json)
        fail_msg("%u: %s: %.*s", where.column, what, STR_ARG(line));
    assert_int_equal(cJSON_IsTrue(cJSON_GetObjectItem(json, "truncated")), is_cut);
    assert_string_equal(cJSON_GetObjectItem(json, "event")->valuestring, "event words");
    cJSON_Delete(json);
}

static void cuts_long_lines(void **state)
{
    (void)state;
    static const char *const filling[] = {"x", "\"", "\x1b", "\xe2\x82\xac", "\xff", "\x80"};
    enum { MOST = 6000 };
    char *value = malloc(MOST);
    for (size_t i = 0; i < COUNT(filling); i++) {
        size_t unit = strlen(filling[i]);
        for (size_t at = 0; at < MOST; at++)
            value[at] = filling[i][at % unit];
        for (size_t len = 0; len <= MOST;
             len += len < 100 || (len > 1900 && len < 2000) ? 1 : 197) {
            char memory[LOG_LINE_BYTES];
            const struct log_field field[] = {LOG_STR("key", ((struct str){value, len})),
                                              LOG_NUM("last", 1),
                                              {.key = NULL}};
            struct str text = line_of(LOG_FORMAT_TEXT, 7, field, memory);
            assert_whole_line(text);
            bool has_last = str_ends_nocase(text, STR(" last=1\n"));
            assert_true(has_last || str_ends_nocase(text, STR(" truncated=true\n")));
            if (len > LOG_LINE_BYTES && (has_last || text.len < LOG_LINE_BYTES * 7 / 8))
                fail_msg("filling %zu, %zu bytes: %.*s", i, len, STR_ARG(text));

            struct str json = line_of(LOG_FORMAT_JSON, 7, field, memory);
            assert_whole_line(json);
            assert_cut_json(json, !str_ends_nocase(json, STR(",\"last\":1}\n")));
        }
    }
    free(value);
}

static void leaves_out_fields_past_the_end(void **state)
{
    (void)state;
    for (size_t len = 1900; len < 2048; len++) {
        char filling[2048], memory[LOG_LINE_BYTES];
        memset(filling, 'x', sizeof filling);
        const struct log_field field[] = {LOG_STR("a", ((struct str){filling, len})),
                                          LOG_NUM("number", -1234567890),
                                          LOG_TEXT("text", ""),
                                          LOG_STR("b", ((struct str){filling, len})),
                                          {.key = NULL}};
        struct str json = line_of(LOG_FORMAT_JSON, 0, field, memory);
        assert_whole_line(json);
        assert_cut_json(json, true);
    }
}

/* What `write_lines` puts on standard error. */
static struct str captured(void (*write_lines)(void), char *memory, size_t size)
{
    int ends[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    dup2(ends[1], STDERR_FILENO);
    write_lines();
    dup2(saved, STDERR_FILENO);
    ssize_t got = read(ends[0], memory, size);
    close(saved);
    close(ends[0]);
    close(ends[1]);
    return (struct str){memory, got > 0 ? (size_t)got : 0};
}

static void write_some_lines(void)
{
    log_configure(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    LOG_INFO("not shown");
    LOG_WARN("one");
    log_set_level(LOG_LEVEL_DEBUG);
    log_set_conn(conn_id_make(0, 1, 2));
    errno = EBADF;
    LOG_DEBUG("two", LOG_TEXT("from", "test"), LOG_NUM("n", -2));
    assert_int_equal(errno, EBADF);
    log_set_conn(0);
    LOG_TRACE("not shown");
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_JSON);
    LOG_WARN("not shown");
    LOG_ERROR("three", LOG_STR("x", STR("y")));
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
}

static void writes_what_the_level_lets_through(void **state)
{
    (void)state;
    static const char *const expected[] = {
        " WARN  one", " DEBUG two conn=0.1.2 from=test n=-2",
        "\",\"level\":\"error\",\"event\":\"three\",\"x\":\"y\"}"};
    char memory[4096];
    struct str rest = captured(write_some_lines, memory, sizeof memory), line;
    size_t n = 0;
    for (; str_split(&rest, '\n', &line); n++)
        assert_true(n < COUNT(expected) && str_ends_nocase(line, str_from(expected[n])));
    assert_int_equal(n, COUNT(expected));
}

static void clock_goes_on(void **state)
{
    (void)state;
    uint64_t last_ms = clock_now_ms();
    assert_true(last_ms > UINT64_C(1577836800000)); /* 2020 */
    for (int i = 0; i < 1000; i++) {
        uint64_t now_ms = clock_now_ms();
        assert_true(now_ms >= last_ms);
        last_ms = now_ms;
    }
}

static void parses_levels(void **state)
{
    (void)state;
    enum log_level level;
    for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_TRACE; i++) {
        const char *name = log_level_name((enum log_level)i);
        assert_int_equal(log_level_parse(str_from(name), &level), 0);
        assert_int_equal(level, i);
    }
    static const char *const bad[] = {"", "INFO", "inf", "infos", "none", "2"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(log_level_parse(str_from(bad[i]), &level), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_both_formats),
        cmocka_unit_test(names_levels),
        cmocka_unit_test(parses_levels),
        cmocka_unit_test(escapes_what_peers_send),
        cmocka_unit_test(cuts_long_lines),
        cmocka_unit_test(leaves_out_fields_past_the_end),
        cmocka_unit_test(writes_what_the_level_lets_through),
        cmocka_unit_test(clock_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
