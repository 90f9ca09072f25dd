#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/digest_internal.h"
#include "auth/users_internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MD5_HEX "0123456789abcdef0123456789ABCDEF"
#define SHA_HEX MD5_HEX MD5_HEX

/* The rows write ' for ", to be readable. */
static struct str to_json(const char *row)
{
    static char json[1024];
    size_t n = strlen(row);
    assert_true(n < sizeof json);
    for (size_t i = 0; i < n; i++)
        json[i] = row[i] == '\'' ? '"' : row[i];
    return (struct str){json, n};
}

static struct users *parse(const char *json)
{
    struct users *users = NULL;
    struct buf errors;
    buf_init_heap(&errors, 65536);
    int rc = users_parse("u.json", str_from(json), &users, &errors);
    if (rc != 0)
        fail_msg("%s: %.*s", json, STR_ARG(buf_str(&errors)));
    assert_int_equal(errors.len, 0);
    buf_fini(&errors);
    return users;
}

static void passwords_in_every_spelling(void **state)
{
    (void)state;
    static const struct {
        const char *key, *aor;
        unsigned spelling;
        const char *username; /* that HA1 is made with */
    } row[] = {
        {"alice@example.com",    "alice@example.com",    SPELLING_PLAIN,     "alice"               },
        {"alice@example.com",    "alice@example.com",    SPELLING_UNESCAPED, "alice"               },
        {"%61lice@Example.COM",  "alice@example.com",    SPELLING_PLAIN,     "alice"               },
        {"%61lice@Example.COM",  "alice@example.com",    SPELLING_AT_REALM,  "alice@example.com"   },
        {"zo%c3%ab@example.com", "zo%C3%AB@example.com", SPELLING_PLAIN,     "zo%C3%AB"            },
        {"zo%c3%ab@example.com", "zo%C3%AB@example.com", SPELLING_UNESCAPED, "zo\xc3\xab"          },
        {"zo%c3%ab@example.com", "zo%C3%AB@example.com", SPELLING_AT_REALM,  "zo%C3%AB@example.com"},
        {"alice@[2001:DB8::1]",  "alice@[2001:db8::1]",  SPELLING_PLAIN,     "alice"               },
        {"alice@[2001:DB8::1]",  "alice@[2001:db8::1]",  SPELLING_AT_REALM,  "alice@[2001:db8::1]" },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char json[256];
        snprintf(json, sizeof json, "{\"%s\":{\"password\":\"s3:cret\"}}", row[i].key);
        struct users *users = parse(json);
        struct str aor = str_from(row[i].aor);
        struct str realm = str_slice(aor, str_find(aor, '@') + 1, aor.len);
        for (int a = 0; a < DIGEST_ALGORITHMS; a++) {
            enum digest_algorithm algorithm = (enum digest_algorithm)a;
            const uint8_t *ha1 = NULL;
            uint8_t right[DIGEST_MAX_BYTES];
            digest_ha1(algorithm, str_from(row[i].username), realm, STR("s3:cret"), right);
            if (users_find_ha1(users, aor, row[i].spelling, algorithm, &ha1) != USERS_FOUND ||
                memcmp(ha1, right, digest_size(algorithm)) != 0)
                fail_msg("row %zu, algorithm %d: %s", i, a, row[i].username);
        }
        users_free(users);
    }
}

static void ha1_as_it_stands(void **state)
{
    (void)state;
    static const struct {
        const char *aor;
        enum digest_algorithm algorithm;
        enum users_answer answer;
        const char *why;
    } row[] = {
        {"bob@example.com",   DIGEST_MD5,         USERS_FOUND,   "has it"                      },
        {"bob@example.com",   DIGEST_SHA_512_256, USERS_FOUND,   "this too"                    },
        {"bob@example.com",   DIGEST_SHA_256,     USERS_NO_HA1,  "not given"                   },
        {"carol@example.com", DIGEST_SHA_256,     USERS_FOUND,   "only this"                   },
        {"carol@example.com", DIGEST_MD5,         USERS_NO_HA1,  "not given"                   },
        {"Bob@example.com",   DIGEST_MD5,         USERS_UNKNOWN, "users keep their case"       },
        {"bob@example.org",   DIGEST_MD5,         USERS_UNKNOWN, "the same name, another house"},
        {"",                  DIGEST_MD5,         USERS_UNKNOWN, "nobody"                      },
    };
    struct users *users =
        parse("{\"bob@example.com\":{\"ha1\":\"" MD5_HEX "\",\"ha1-sha512-256\":\"" SHA_HEX
              "\"},\"carol@example.com\":{\"ha1-sha256\":\"" SHA_HEX "\"}}");
    assert_int_equal(users_count(users), 2);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        for (unsigned spelling = 0; spelling < SPELLINGS; spelling++) {
            const uint8_t *ha1 = NULL;
            if (users_find_ha1(users, str_from(row[i].aor), spelling, row[i].algorithm, &ha1) !=
                    row[i].answer ||
                (row[i].answer == USERS_FOUND && (ha1[0] != 0x01 || ha1[15] != 0xef)))
                fail_msg("row %zu, spelling %u: %s", i, spelling, row[i].why);
        }
    users_free(users);
    assert_int_equal(users_find_ha1(NULL, STR("bob@example.com"), 0, DIGEST_MD5, NULL),
                     USERS_UNKNOWN);
}

static void nobody_is_fine_too(void **state)
{
    (void)state;
    const uint8_t *ha1;
    struct users *users = parse(" {} \n");
    assert_int_equal(users_count(users), 0);
    assert_int_equal(users_find_ha1(users, STR("a@b"), 0, DIGEST_MD5, &ha1), USERS_UNKNOWN);
    users_free(users);
    users_free(NULL);
}

#define AN_OBJECT "must be an object with a password or an ha1\n"
#define MEMBERS "unknown member; password, ha1, ha1-sha256 and ha1-sha512-256 are known\n"
#define NO_URI "is no user@domain that SIP allows; escape what is special as %hex\n"
#define BARE "must be user@domain without scheme, password, port and parameters\n"
#define BOTH "has a password and an ha1: only one can be right\n"
#define SAME "is the same address as a user before it\n"

static void says_what_is_wrong_and_where(void **state)
{
    (void)state;
    static const struct {
        const char *json, *errors;
    } row[] = {
        {"[]",                                                  "u.json:1:1: must be an object of users\n"     },
        {"{'alice':{'password':'s'}}",                          "u.json:1:2: alice: must be user@domain\n"     },
        {"{'@b':{'password':'s'}}",                             "u.json:1:2: @b: " NO_URI                      },
        {"{'al ice@b':{'password':'s'}}",                       "u.json:1:2: al ice@b: " NO_URI                },
        {"{'a\\nx@b':{'password':'s'}}",                        "u.json:1:2: a?x@b: " NO_URI                   },
        {"{'a@b:5060':{'password':'s'}}",                       "u.json:1:2: a@b:5060: " BARE                  },
        {"{'sip:a@b':{'password':'s'}}",                        "u.json:1:2: sip:a@b: " BARE                   },
        {"{'a@b;x=y':{'password':'s'}}",                        "u.json:1:2: a@b;x=y: " BARE                   },
        {"{'a@b':'s3cret'}",                                    "u.json:1:8: a@b: " AN_OBJECT                  },
        {"{'a@b':{}}",                                          "u.json:1:8: a@b: needs a password or an ha1\n"},
        {"{'a@b':{'password':''}}",                             "u.json:1:20: a@b: an empty password\n"        },
        {"{'a@b':{'password':12345}}",                          "u.json:1:20: a@b: must be a string\n"         },
        {"{'a@b':\n {'pasword':'s3cret'}}",                     "u.json:2:3: a@b: " MEMBERS                    },
        {"{'a@b':{'ha1':'s3cret'}}",                            "u.json:1:15: a@b: must be 32 hex digits\n"    },
        {"{'a@b':{'ha1':'" SHA_HEX "'}}",                       "u.json:1:15: a@b: must be 32 hex digits\n"    },
        {"{'a@b':{'ha1-sha256':'" MD5_HEX "'}}",                "u.json:1:22: a@b: must be 64 hex digits\n"    },
        {"{'a@b':{'password':'s','ha1':'" MD5_HEX "'}}",        "u.json:1:8: a@b: " BOTH                       },
        {"{'a@b':{'password':'s'},\n'%61@B':{'password':'t'}}", "u.json:2:1: %61@B: " SAME                     },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char memory[1024];
        struct buf errors;
        struct users *users = NULL;
        buf_init_fixed(&errors, memory, sizeof memory);
        assert_int_equal(users_parse("u.json", to_json(row[i].json), &users, &errors), -EINVAL);
        assert_null(users);
        if (!str_eq(buf_str(&errors), str_from(row[i].errors)))
            fail_msg("row %zu: %.*s", i, STR_ARG(buf_str(&errors)));
    }
}

static void lists_all_that_is_wrong(void **state)
{
    (void)state;
    char memory[1024];
    struct buf errors;
    struct users *users = NULL;
    buf_init_fixed(&errors, memory, sizeof memory);
    struct str json = to_json("{'a':{'password':''},\n\n  'c@d':{'password':'s'},\n  'e@f':[1]}");
    assert_int_equal(users_parse("u.json", json, &users, &errors), -EINVAL);
    assert_true(str_eq(buf_str(&errors), STR("u.json:1:2: a: must be user@domain\n"
                                             "u.json:1:18: a: an empty password\n"
                                             "u.json:4:9: e@f: " AN_OBJECT)));
}

static void no_json_at_all(void **state)
{
    (void)state;
    static const char *const row[] = {
        "",
        "s3cret",
        "{'a@b':{'password':'s3cret}}",
        "{'a@b':{'password':'s3cret'}",
        "{'a@b':{'password':'s3cret\\u0000'}}",
        "{'a@b':{'password':'s3cret','password':'s3cret'}}",
        "{'a@b':{'password':'s3cret'},'a@b':{'password':'s3cret'}}",
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char memory[1024];
        struct buf errors;
        struct users *users = NULL;
        buf_init_fixed(&errors, memory, sizeof memory);
        assert_int_equal(users_parse("u.json", to_json(row[i]), &users, &errors), -EINVAL);
        buf_put_char(&errors, '\0');
        assert_memory_equal(memory, "u.json:", 7);
        if (strstr(memory, "s3cret") != NULL)
            fail_msg("row %zu shows a secret: %s", i, memory);
    }
}

static void long_lists_are_cut(void **state)
{
    (void)state;
    struct buf json, errors;
    buf_init_heap(&json, 65536);
    buf_init_heap(&errors, 65536);
    for (int i = 0; i < 150; i++)
        buf_printf(&json, "%c\"user%d\":{\"password\":\"s\"}", i == 0 ? '{' : ',', i);
    buf_put_char(&json, '}');
    struct users *users = NULL;
    assert_int_equal(users_parse("u.json", buf_str(&json), &users, &errors), -EINVAL);
    assert_true(str_ends_nocase(buf_str(&errors), STR("\nu.json: and 50 more\n")));
    buf_fini(&json);
    buf_fini(&errors);
}

static void finds_each_of_many(void **state)
{
    (void)state;
    enum { USERS = 2000 };
    struct buf json;
    buf_init_heap(&json, 1 << 20);
    for (int i = 0; i < USERS; i++)
        buf_printf(&json, "%c\"user%d@example.com\":{\"ha1\":\"%032x\"}", i == 0 ? '{' : ',', i, i);
    buf_put(&json, "}", 2);
    struct users *users = parse(json.data);
    assert_int_equal(users_count(users), USERS);
    for (int i = 0; i < USERS; i++) {
        char aor[64];
        const uint8_t *ha1;
        snprintf(aor, sizeof aor, "user%d@example.com", i);
        assert_int_equal(users_find_ha1(users, str_from(aor), 0, DIGEST_MD5, &ha1), USERS_FOUND);
        assert_int_equal(ha1[14] << 8 | ha1[15], i);
    }
    users_free(users);
    buf_fini(&json);
}

static void from_a_file(void **state)
{
    (void)state;
    char file[] = "/tmp/aorta-users-XXXXXX";
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    static const char json[] = "{\"alice@example.com\":{\"password\":\"s3cret\"}}\n";
    assert_int_equal(write(fd, json, sizeof json - 1), (ssize_t)sizeof json - 1);
    close(fd);

    struct users *users = NULL;
    char memory[256];
    struct buf errors;
    buf_init_fixed(&errors, memory, sizeof memory);
    assert_int_equal(users_load(file, &users, &errors), 0);
    assert_int_equal(users_count(users), 1);
    users_free(users);
    unlink(file);

    assert_int_equal(users_load("/nowhere/users.json", &users, &errors), -ENOENT);
    assert_true(str_eq(buf_str(&errors),
                       STR("/nowhere/users.json: cannot be read: No such file or directory\n")));
}

static void characters_and_escapes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *out;
    } row[] = {
        {"abc",    "abc"     },
        {"%61%62", "ab"      },
        {"%c3%AB", "\xc3\xab"},
        {"100%",   "100%"    },
        {"%6",     "%6"      },
        {"%zz%41", "%zzA"    },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char memory[16];
        struct buf b;
        buf_init_fixed(&b, memory, sizeof memory);
        struct str rest = str_from(row[i].text);
        while (!str_is_empty(rest))
            buf_put_char(&b, users_take_char(&rest));
        assert_true(str_eq(buf_str(&b), str_from(row[i].out)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passwords_in_every_spelling),
        cmocka_unit_test(ha1_as_it_stands),
        cmocka_unit_test(nobody_is_fine_too),
        cmocka_unit_test(says_what_is_wrong_and_where),
        cmocka_unit_test(lists_all_that_is_wrong),
        cmocka_unit_test(no_json_at_all),
        cmocka_unit_test(long_lists_are_cut),
        cmocka_unit_test(finds_each_of_many),
        cmocka_unit_test(from_a_file),
        cmocka_unit_test(characters_and_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
