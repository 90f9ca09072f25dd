#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/digest_internal.h"
#include "auth/hex_internal.h"
#include <aorta/buf.h>
#include <errno.h>

static const char *hex_of(char text[DIGEST_MAX_HEX + 1], const uint8_t *bytes, size_t n)
{
    struct buf b;
    buf_init_fixed(&b, text, DIGEST_MAX_HEX + 1);
    buf_put_hex(&b, bytes, n);
    buf_put_char(&b, '\0');
    return text;
}

/* Sixteen digits are read at once: so each length that a nonce may have, and a byte that is no
 * digit at each place. */
static void reads_hex(void **state)
{
    (void)state;
    enum { LONGEST = 41 };
    static const char digit[] = "0123456789abcdefABCDEF";
    for (size_t n = 0; n <= LONGEST; n++) {
        char text[2 * LONGEST];
        uint8_t bytes[LONGEST], right[LONGEST];
        for (size_t i = 0; i < 2 * n; i++) {
            size_t which = (7 * i + n) % strlen(digit);
            uint8_t value = (uint8_t)(which < 16 ? which : which - 6);
            text[i] = digit[which];
            right[i / 2] = (uint8_t)(i % 2 == 0 ? value << 4 : right[i / 2] | value);
        }
        assert_true(hex_read((struct str){text, 2 * n}, bytes, n));
        assert_memory_equal(bytes, right, n);
        assert_false(hex_read((struct str){text, 2 * n}, bytes, n + 1));
        for (size_t i = 0; i < 2 * n; i++) {
            char whole = text[i];
            for (int c = 0; c < 256; c++) {
                text[i] = (char)c;
                bool is_digit = c != 0 && strchr(digit, c) != NULL;
                if (hex_read((struct str){text, 2 * n}, bytes, n) != is_digit)
                    fail_msg("byte %d at %zu of %zu", c, i, 2 * n);
            }
            text[i] = whole;
        }
    }
}

struct exchange {
    const char *user, *realm, *password, *method, *uri, *nonce, *nc, *cnonce, *qop;
};

/* RFC 2617 3.5 */
static const struct exchange rfc2617 = {
    .user = "Mufasa",
    .realm = "testrealm@host.com",
    .password = "Circle Of Life",
    .method = "GET",
    .uri = "/dir/index.html",
    .nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093",
    .nc = "00000001",
    .cnonce = "0a4f113b",
    .qop = "auth",
};
/* RFC 2069 2.4, with the response of its erratum 749 */
static const struct exchange rfc2069 = {
    .user = "Mufasa",
    .realm = "testrealm@host.com",
    .password = "CircleOfLife",
    .method = "GET",
    .uri = "/dir/index.html",
    .nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093",
};
/* RFC 7616 3.9.1 */
static const struct exchange mufasa = {
    .user = "Mufasa",
    .realm = "http-auth@example.org",
    .password = "Circle of Life",
    .method = "GET",
    .uri = "/dir/index.html",
    .nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    .nc = "00000001",
    .cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    .qop = "auth",
};
/* RFC 7616 3.9.2, with the response of its erratum 4897: the one printed is no SHA-512/256 */
static const struct exchange jason = {
    .user = "J\xc3\xa4s\xc3\xb8n Doe",
    .realm = "api@example.org",
    .password = "Secret, or not?",
    .method = "GET",
    .uri = "/doe.json",
    .nonce = "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
    .nc = "00000001",
    .cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
    .qop = "auth",
};
/* RFC 8760 has no example of a REGISTER: worked out by another program */
static const struct exchange bob = {
    .user = "bob",
    .realm = "biloxi.com",
    .password = "zanzibar",
    .method = "REGISTER",
    .uri = "sip:biloxi.com",
    .nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093",
    .nc = "00000001",
    .cnonce = "0a4f113b",
    .qop = "auth",
};

static const char *respond(enum digest_algorithm algorithm, const struct exchange *x,
                           char text[DIGEST_MAX_HEX + 1])
{
    const struct digest_question question = {
        .method = str_from(x->method),
        .uri = str_from(x->uri),
        .nonce = str_from(x->nonce),
        .nc = str_from(x->nc),
        .cnonce = str_from(x->cnonce),
        .qop = str_from(x->qop),
    };
    uint8_t ha1[DIGEST_MAX_BYTES], response[DIGEST_MAX_BYTES];
    assert_int_equal(digest_ha1(algorithm, str_from(x->user), str_from(x->realm),
                                str_from(x->password), ha1),
                     0);
    assert_int_equal(digest_response(algorithm, ha1, &question, response), 0);
    return hex_of(text, response, digest_size(algorithm));
}

static void agrees_with_the_rfcs(void **state)
{
    (void)state;
    static const struct {
        enum digest_algorithm algorithm;
        const struct exchange *exchange;
        const char *response;
    } row[] = {
        {DIGEST_MD5,         &rfc2617, "6629fae49393a05397450978507c4ef1"                                },
        {DIGEST_MD5,         &rfc2069, "1949323746fe6a43ef61f9606e7febea"                                },
        {DIGEST_MD5,         &mufasa,  "8ca523f5e9506fed4657c9700eebdbec"                                },
        {DIGEST_SHA_256,     &mufasa,
         "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"                              },
        {DIGEST_SHA_512_256, &jason,
         "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"                              },
        {DIGEST_MD5,         &bob,     "9e2d1006810044fd79f39476209ae31a"                                },
        {DIGEST_SHA_256,     &bob,     "93e0e23c30bf2e3b139a3410a7edc9a5b15b1cfd8fd557ca8ee303e4372339a1"},
        {DIGEST_SHA_512_256, &bob,
         "4bf969d821d66b375c5b96ab92a04ea44a9f7a2a259b9351753b177ccd0cd062"                              },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char text[DIGEST_MAX_HEX + 1];
        assert_string_equal(respond(row[i].algorithm, row[i].exchange, text), row[i].response);
    }
}

static void ha1_is_the_usual_one(void **state)
{
    (void)state;
    static const struct {
        enum digest_algorithm algorithm;
        const char *ha1;
    } row[] = {
        {DIGEST_MD5,         "12af60467a33e8518da5c68bbff12b11"                                },
        {DIGEST_SHA_256,     "e65db393e748c5228939a6b4b2879e9ea5625cd79fd5267868cb568d69f6b97e"},
        {DIGEST_SHA_512_256, "a969680ab364e333ec5c93ff823d570a79841c8d40270655dd42f37b755dfc38"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        uint8_t ha1[DIGEST_MAX_BYTES];
        char hex[DIGEST_MAX_HEX + 1];
        assert_int_equal(digest_ha1(row[i].algorithm, STR("bob"), STR("biloxi.com"),
                                    STR("zanzibar"), ha1),
                         0);
        assert_string_equal(hex_of(hex, ha1, digest_size(row[i].algorithm)), row[i].ha1);
    }
}

static void names_in_any_case(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int rc;
        enum digest_algorithm algorithm;
    } row[] = {
        {"MD5",         0,       DIGEST_MD5        },
        {"md5",         0,       DIGEST_MD5        },
        {"sha-256",     0,       DIGEST_SHA_256    },
        {"SHA-512-256", 0,       DIGEST_SHA_512_256},
        {"MD5-sess",    -EINVAL, DIGEST_MD5        },
        {"SHA256",      -EINVAL, DIGEST_MD5        },
        {"",            -EINVAL, DIGEST_MD5        },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        enum digest_algorithm algorithm = DIGEST_MD5;
        assert_int_equal(digest_parse_name(str_from(row[i].name), &algorithm), row[i].rc);
        assert_int_equal(algorithm, row[i].algorithm);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_hex),
        cmocka_unit_test(agrees_with_the_rfcs),
        cmocka_unit_test(ha1_is_the_usual_one),
        cmocka_unit_test(names_in_any_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
