#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <aorta/str.h>
#include <aorta/transport_kind.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static void compares(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool eq, eq_nocase, starts, ends;
        const char *why;
    } row[] = {
        {"Via",     "Via",  true,  true,  true,  true,  "the same"                             },
        {"Via",     "vIA",  false, true,  true,  true,  "but for the case"                     },
        {"",        "",     true,  true,  true,  true,  "nothing"                              },
        {"Via",     "",     false, false, true,  true,  "everything starts and ends in nothing"},
        {"",        "Via",  false, false, false, false, "but not the other way round"          },
        {"SIP/2.0", "sip",  false, false, true,  false, "a start"                              },
        {"x.SIP",   "sip",  false, false, false, true,  "an end"                               },
        {"[",       "{",    false, false, false, false, "only letters have a case"             },
        {"\xc0",    "\xe0", false, false, false, false, "and only those of ASCII"              },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct str a = str_from(row[i].a), b = str_from(row[i].b);
        if (str_eq(a, b) != row[i].eq || str_eq_constant_time(a, b) != row[i].eq ||
            str_eq_nocase(a, b) != row[i].eq_nocase || str_starts_nocase(a, b) != row[i].starts ||
            str_ends_nocase(a, b) != row[i].ends)
            fail_msg("row %zu: %s", i, row[i].why);
    }
    assert_true(str_eq(STR_NONE, STR("")));
    assert_true(str_eq_constant_time(STR_NONE, STR("")));
    assert_true(str_is_empty(str_from(NULL)));
    assert_false(str_eq(STR("a\0b"), STR("a\0c"))); /* a zero ends nothing */
}

/* Eight bytes are compared at once: so each length up to 40, and a difference at each place. */
static void compares_long_texts(void **state)
{
    (void)state;
    char a[40], b[40];
    for (size_t len = 1; len <= sizeof a; len++)
        for (size_t at = 0; at < len; at++) {
            memset(a, 'n', sizeof a);
            memset(b, 'n', sizeof b);
            struct str x = {a, len}, y = {b, len};
            assert_true(str_eq_constant_time(x, y) && str_eq_nocase(x, y));
            b[at] = 'N';
            assert_false(str_eq_constant_time(x, y));
            assert_true(str_eq_nocase(x, y));
            b[at] = 'o';
            assert_false(str_eq_constant_time(x, y) || str_eq_nocase(x, y));
        }
}

static void finds_and_slices(void **state)
{
    (void)state;
    struct str s = STR("alice@example.com");
    assert_int_equal(str_find(s, '@'), 5);
    assert_int_equal(str_find(s, ':'), s.len);
    assert_int_equal(str_find(STR_NONE, '@'), 0);

    static const struct {
        size_t from, to;
        const char *slice;
    } row[] = {
        {0,  5,        "alice"            },
        {6,  13,       "example"          },
        {0,  SIZE_MAX, "alice@example.com"},
        {17, 17,       ""                 },
        {18, 99,       ""                 },
        {5,  2,        ""                 },
    };
    for (size_t i = 0; i < COUNT(row); i++)
        if (!str_eq(str_slice(s, row[i].from, row[i].to), str_from(row[i].slice)))
            fail_msg("row %zu: %s", i, row[i].slice);
    assert_null(str_slice(STR_NONE, 0, 1).ptr);
}

static void trims(void **state)
{
    (void)state;
    static const struct {
        const char *text, *trimmed;
    } row[] = {
        {" \t a b\r\n", "a b"  },
        {"a",           "a"    },
        {" \r\n\t",     ""     },
        {"",            ""     },
        {"\va\f",       "\va\f"},
    };
    for (size_t i = 0; i < COUNT(row); i++)
        if (!str_eq(str_trim(str_from(row[i].text)), str_from(row[i].trimmed)))
            fail_msg("row %zu", i);
}

static void splits(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *piece[4]; /* NULL after the last */
        const char *why;
    } row[] = {
        {"a,b,c", {"a", "b", "c"}, "three"                              },
        {"a",     {"a"},           "no separator"                       },
        {"a,,b",  {"a", "", "b"},  "an empty piece between is a piece"  },
        {",a",    {"", "a"},       "and so is one in front"             },
        {"a,",    {"a"},           "but behind the last nothing is left"},
        {"",      {NULL},          "nothing to cut"                     },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct str rest = str_from(row[i].text), head;
        size_t n = 0;
        for (; str_split(&rest, ',', &head); n++)
            if (!row[i].piece[n] || !str_eq(head, str_from(row[i].piece[n])))
                fail_msg("row %zu: %s", i, row[i].why);
        if (row[i].piece[n])
            fail_msg("row %zu: %s", i, row[i].why);
    }
}

static void reads_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t max;
        int result;
        uint64_t number;
        const char *why;
    } row[] = {
        {"0",                    10,         0,       0,          "smallest"              },
        {"007",                  10,         0,       7,          "leading zeros are fine"},
        {"10",                   10,         0,       10,         "the limit itself"      },
        {"11",                   10,         -ERANGE, 0,          "one above"             },
        {"18446744073709551615", UINT64_MAX, 0,       UINT64_MAX, "largest of all"        },
        {"18446744073709551616", UINT64_MAX, -ERANGE, 0,          "does not wrap around"  },
        {"99999999999999999999", UINT64_MAX, -ERANGE, 0,          "nor here"              },
        {"1",                    0,          -ERANGE, 0,          "only 0 allowed"        },
        {"",                     10,         -EINVAL, 0,          "empty"                 },
        {"+1",                   10,         -EINVAL, 0,          "no signs"              },
        {"-1",                   10,         -EINVAL, 0,          "no signs"              },
        {" 1",                   10,         -EINVAL, 0,          "no space"              },
        {"1x",                   10,         -EINVAL, 0,          "no rest"               },
        {"99x",                  10,         -EINVAL, 0,          "no number, so no range"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        uint64_t number = 12345;
        int result = str_to_u64(str_from(row[i].text), row[i].max, &number);
        if (result != row[i].result || number != (result == 0 ? row[i].number : 12345))
            fail_msg("row %zu: %s", i, row[i].why);
    }
}

/* Whatever differs in a bit or in length hashes apart, and all buckets get their share. */
static void hashes_quickly(void **state)
{
    (void)state;
    enum { LONGEST = 100, BUCKETS = 64, TEXTS = BUCKETS * 1000 };
    char text[LONGEST] = {0};
    for (size_t len = 0; len <= LONGEST; len++) {
        uint64_t hash = str_quick_hash((struct str){text, len});
        assert_true(str_quick_hash((struct str){text, len}) == hash);
        if (len > 0 && str_quick_hash((struct str){text, len - 1}) == hash)
            fail_msg("%zu zeros, and one less", len);
        for (size_t bit = 0; bit < 8 * len; bit++) {
            text[bit / 8] = (char)(1u << bit % 8);
            if (str_quick_hash((struct str){text, len}) == hash)
                fail_msg("bit %zu of %zu bytes", bit, len);
            text[bit / 8] = 0;
        }
    }
    static unsigned low[BUCKETS], high[BUCKETS];
    for (uint32_t i = 0; i < TEXTS; i++) {
        memcpy(text + 40, &i, sizeof i);
        uint64_t hash = str_quick_hash((struct str){text, LONGEST});
        low[hash % BUCKETS]++;
        high[hash >> 58]++;
    }
    for (size_t i = 0; i < BUCKETS; i++) /* 1000 and some: six standard deviations are 190 */
        if (low[i] < 810 || low[i] > 1190 || high[i] < 810 || high[i] > 1190)
            fail_msg("bucket %zu: %u and %u of 1000", i, low[i], high[i]);
}

static void hashes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t hash;
    } row[] = {
  /* SipHash-1-3 under the zero key, as CPython 3.11 computes it with PYTHONHASHSEED=0 */
        {"a",                     0x407448d2b89b1813},
        {"abcdefg",               0x6db12aae9070f506},
        {"abcdefgh",              0x3f7b849c0b8e35ea},
        {"abcdefghi",             0xf89b34a3d11eb6e5},
        {"abcdefghijklmno",       0x1fd27a29b0e9dc7a},
        {"abcdefghijklmnop",      0x94f60d3d29e6a312},
        {"sip:alice@example.com", 0x5a14f194bcd47dd4},
    };
    for (size_t i = 0; i < COUNT(row); i++)
        if (str_hash(str_from(row[i].text)) != row[i].hash)
            fail_msg("row %zu: %s", i, row[i].text);
    assert_true(str_hash(STR_NONE) == str_hash(STR("")));

    assert_int_equal(str_hash_seed(), 0);
    assert_true(str_hash(STR("a")) != row[0].hash);
    assert_true(str_hash(STR("a")) == str_hash(STR("a")));
    assert_true(str_hash(STR("a")) != str_hash(STR("a\0")));
}

/* At each place among ASCII, since ASCII is skipped in larger steps. */
static void checks_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_utf8;
        const char *why;
    } row[] = {
        {"",                 true,  "nothing but ASCII"                   },
        {"\xc3\xa4",         true,  "two bytes"                           },
        {"\xe2\x82\xac",     true,  "three"                               },
        {"\xf0\x9f\x98\x80", true,  "four"                                },
        {"\x80",             false, "no first byte"                       },
        {"\xc3",             false, "cut short, or ASCII where it goes on"},
        {"\xc0\xaf",         false, "not the shortest form"               },
        {"\xed\xa0\x80",     false, "half of a surrogate pair"            },
        {"\xf4\x90\x80\x80", false, "beyond Unicode"                      },
        {"\xff",             false, "never"                               },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        size_t len = strlen(row[i].text);
        for (size_t before = 0; before < 20; before++)
            for (size_t after = 0; after < 20; after++) {
                char text[64];
                memset(text, 'a', sizeof text);
                memcpy(text + before, row[i].text, len);
                if (str_is_utf8((struct str){text, before + len + after}) != row[i].is_utf8)
                    fail_msg("%s, %zu before, %zu after", row[i].why, before, after);
            }
    }
}

static void names_transports(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum transport_kind kind;
        bool is_stream, is_websocket, is_secure;
    } row[] = {
        {"udp", TRANSPORT_UDP, false, false, false},
        {"tcp", TRANSPORT_TCP, true,  false, false},
        {"tls", TRANSPORT_TLS, true,  false, true },
        {"ws",  TRANSPORT_WS,  true,  true,  false},
        {"wss", TRANSPORT_WSS, true,  true,  true },
    };
    assert_int_equal(COUNT(row), TRANSPORT_KINDS);
    for (size_t i = 0; i < COUNT(row); i++) {
        enum transport_kind kind = row[i].kind, parsed = TRANSPORT_KINDS;
        assert_int_equal(transport_kind_parse(str_from(row[i].name), &parsed), 0);
        assert_int_equal(parsed, kind);
        assert_string_equal(transport_kind_name(kind), row[i].name);
        assert_int_equal(transport_kind_is_stream(kind), row[i].is_stream);
        assert_int_equal(transport_kind_is_websocket(kind), row[i].is_websocket);
        assert_int_equal(transport_kind_is_secure(kind), row[i].is_secure);
    }
    enum transport_kind untouched = TRANSPORT_WS;
    assert_int_equal(transport_kind_parse(STR("UDP"), &untouched), -EINVAL);
    assert_int_equal(transport_kind_parse(STR(""), &untouched), -EINVAL);
    assert_int_equal(transport_kind_parse(STR("wsss"), &untouched), -EINVAL);
    assert_int_equal(untouched, TRANSPORT_WS);

    conn_id id = conn_id_make(0xff, 0xffffff, 0xfffffffe);
    assert_true(id == UINT64_C(0xfffffffffffffffe));
    assert_int_equal(conn_id_worker(id), 0xff);
    assert_int_equal(conn_id_slot(id), 0xffffff);
    assert_true(conn_id_generation(id) == 0xfffffffe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),         cmocka_unit_test(compares_long_texts),
        cmocka_unit_test(finds_and_slices), cmocka_unit_test(trims),
        cmocka_unit_test(splits),           cmocka_unit_test(reads_numbers),
        cmocka_unit_test(hashes),           cmocka_unit_test(hashes_quickly),
        cmocka_unit_test(checks_utf8),      cmocka_unit_test(names_transports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
