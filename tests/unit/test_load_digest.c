#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "bench/load/digest.h"
#include <cmocka.h>

static void known_answers(void **state)
{
    (void)state;
    static const struct {
        enum digest_algorithm algorithm;
        struct str user, realm, password, method, uri, nonce, nc, cnonce;
        const char *response, *why;
    } row[] = {
        {DIGEST_MD5,    STR("Mufasa"), STR("http-auth@example.org"), STR("Circle of Life"), STR("GET"),
         STR("/dir/index.html"),                                                                                                   STR("7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"),
         STR("00000001"),                                                                                                                                                                         STR("f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"),
         "8ca523f5e9506fed4657c9700eebdbec",                                 "RFC 7616 3.9.1"             },
        {DIGEST_SHA256, STR("Mufasa"), STR("http-auth@example.org"), STR("Circle of Life"),
         STR("GET"),                                                                                       STR("/dir/index.html"), STR("7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"),
         STR("00000001"),                                                                                                                                                                         STR("f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"),
         "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1", "RFC 7616 3.9.1"             },
        {DIGEST_MD5,    STR("bob"),    STR("biloxi.com"),            STR("zanzibar"),       STR("INVITE"),
         STR("sip:bob@biloxi.com"),                                                                                                STR("dcd98b7102dd2f0e8b11d0f600bfb0c093"),           STR_NONE, STR_NONE,
         "bf57e4e0d0bffc0fbaedce64d59add5e",                                 "without qop, as in RFC 2069"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        uint8_t ha1[DIGEST_MAX_BYTES];
        char ha2[DIGEST_MAX_HEX], response[DIGEST_MAX_HEX];
        digest_ha1(row[i].algorithm, row[i].user, row[i].realm, row[i].password, ha1);
        digest_ha2(row[i].algorithm, row[i].method, row[i].uri, ha2);
        digest_response(row[i].algorithm, ha1, row[i].nonce, row[i].nc, row[i].cnonce, ha2,
                        response);
        struct str got = {response, 2 * digest_bytes(row[i].algorithm)};
        if (!str_eq(got, str_from(row[i].response)))
            fail_msg("%s: %.*s", row[i].why, STR_ARG(got));
    }
}

static void too_long_is_cut(void **state)
{
    (void)state;
    static char nonce[2 * DIGEST_MAX_INPUT];
    uint8_t ha1[DIGEST_MAX_BYTES] = {0};
    char ha2[DIGEST_MAX_HEX] = {0}, response[DIGEST_MAX_HEX];
    digest_response(DIGEST_MD5, ha1, (struct str){nonce, sizeof nonce}, STR("00000001"), STR("c"),
                    ha2, response); /* the sanitizer looks on */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(too_long_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
