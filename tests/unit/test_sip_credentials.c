#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <aorta/sip.h>
#include <cmocka.h>
#include <errno.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static bool is(struct str s, const char *expected)
{
    return str_eq(s, str_from(expected ? expected : ""));
}

static void reads(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *username, *realm, *uri, *algorithm, *qop, *nc, *opaque;
        const char *why;
    } row[] = {
        {"Digest algorithm=MD5, username=\"alice\", realm=\"example.com\", nonce=\"x\", "
         "uri=\"sip:example.com\", response=\"0\", qop=auth, cnonce=\"c\", nc=00000001",    "alice",       "example.com", "sip:example.com", "MD5",     "auth", "00000001", NULL,
         "as JsSIP and SIP.js order it: nc last, unquoted"                                                                                                                                                                     },
        {"Digest username=\"a\",realm=\"r\",nonce=\"x\",uri=\"u\",response=\"0\",algorithm=SHA-256",
         "a",                                                                                                       "r",           "u",               "SHA-256", NULL,   NULL,       NULL, "algorithm last, unquoted"          },
        {"digest\tUserName = \"a\" ,\tREALM= \"r\",uri =\"u\" , nonce=\"x\"",                        "a",           "r",           "u",               NULL,
         NULL,                                                                                                                                                           NULL,       NULL, "names in any case, blanks anywhere"},
        {"Digest username=\"a,b=c\", realm=\"x, y\"",                                                "a,b=c",       "x, y",        NULL,              NULL,      NULL,   NULL,       NULL,
         "commas and equals signs inside quotes"                                                                                                                                                                               },
        {"Digest username=\"a\\\"b\\\\c\", realm=\"\\r\"",                                           "a\"b\\c",     "r",           NULL,              NULL,      NULL,   NULL,
         NULL,                                                                                                                                                                             "escapes are resolved"              },
        {"Digest username=\"J\xc3\xb6rg\", opaque=\"\"",                                             "J\xc3\xb6rg", NULL,          NULL,              NULL,      NULL,
         NULL,                                                                                                                                                                       "",   "UTF-8; empty value"                },
        {"Digest uri=sip:a@example.com:5060, qop=\"auth\", username=a,",                             "a",           NULL,
         "sip:a@example.com:5060",                                                                                                                    NULL,      "auth", NULL,       NULL, "unquoted uri; a comma too many"    },
        {"Digest userhash=false, username=\"a\", x=\"y\", x=\"z\"",                                  "a",           NULL,          NULL,              NULL,      NULL,
         NULL,                                                                                                                                                                       NULL, "parameters that nobody asks for"   },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct arena arena;
        struct sip_credentials c;
        assert_int_equal(arena_init(&arena, 1024, 1024), 0);
        int error = sip_credentials_parse(str_from(row[i].value), &arena, &c);
        if (error || !c.is_digest || !is(c.username, row[i].username) ||
            !is(c.realm, row[i].realm) || !is(c.uri, row[i].uri) ||
            !is(c.algorithm, row[i].algorithm) || !is(c.qop, row[i].qop) || !is(c.nc, row[i].nc) ||
            !is(c.opaque, row[i].opaque) || c.has_qop != (row[i].qop != NULL))
            fail_msg("row %zu: %s", i, row[i].why);
        arena_fini(&arena);
    }
}

static void tells_other_schemes(void **state)
{
    (void)state;
    static const char *const value[] = {"Basic YWxpY2U6c2VjcmV0", "Bearer a.b.c", "Bearer x=\"y"};
    for (size_t i = 0; i < COUNT(value); i++) {
        struct sip_credentials c = {.is_digest = true};
        assert_int_equal(sip_credentials_parse(str_from(value[i]), NULL, &c), 0);
        assert_false(c.is_digest);
    }
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        struct str value;
        const char *why;
    } row[] = {
        {STR(""),                                      "nothing"                     },
        {STR("Digest"),                                "a scheme alone"              },
        {STR("Digest "),                               "and a blank"                 },
        {STR("Digest,username=\"a\""),                 "no blank behind the scheme"  },
        {STR("Digest username"),                       "no '='"                      },
        {STR("Digest username="),                      "no value"                    },
        {STR("Digest username=, realm=\"r\""),         "no value before the comma"   },
        {STR("Digest =\"a\""),                         "no name"                     },
        {STR("Digest username=\"a"),                   "the quote never closes"      },
        {STR("Digest username=\"a\\\""),               "the closing quote is escaped"},
        {STR("Digest username=\"a\" realm=\"r\""),     "no comma"                    },
        {STR("Digest username=\"a\"x, realm=\"r\""),   "text behind the quote"       },
        {STR("Digest username=a b"),                   "space in an unquoted value"  },
        {STR("Digest uri=sip:h;x=1"),                  "';' in an unquoted value"    },
        {STR("Digest username=\"a\",,realm=\"r\""),    "an empty parameter"          },
        {STR("Digest username=\"a\", Username=\"b\""), "twice"                       },
        {STR("Digest opaque=\"\", opaque=\"x\""),      "twice, the first one empty"  },
        {STR("Digest username=\"a\0b\""),              "NUL"                         },
        {STR("Digest username=\"a\r\nb\""),            "line end"                    },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct arena arena;
        struct sip_credentials c = {.has_qop = true};
        assert_int_equal(arena_init(&arena, 1024, 1024), 0);
        if (sip_credentials_parse(row[i].value, &arena, &c) != -EINVAL || !c.has_qop)
            fail_msg("%s", row[i].why);
        arena_fini(&arena);
    }
}

static void runs_out_of_memory(void **state)
{
    (void)state;
    struct arena arena;
    struct sip_credentials c;
    assert_int_equal(arena_init(&arena, 16, 16), 0);
    assert_int_equal(sip_credentials_parse(STR("Digest username=\"\\a234567890123456789\""), &arena,
                                           &c),
                     -ENOMEM);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(tells_other_schemes),
        cmocka_unit_test(refuses),
        cmocka_unit_test(runs_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
