#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <aorta/sip.h>
#include <cmocka.h>

static void shows_only_what_anybody_may_know(void **state)
{
    (void)state;
    static const struct {
        const char *message, *shown, *why;
    } row[] = {
        {"REGISTER sip:b SIP/2.0\r\nTo: <sip:a@b>\r\n\r\n",
         "REGISTER sip:b SIP/2.0\r\nTo: <sip:a@b>\r\n\r\n",                                                                                                                                      "nothing to hide"         },
        {"R\r\nAuthorization: Digest username=\"a\", realm=\"b\", nonce=\"n1\",uri=\"sip:b\", "
         "response=\"r1\", cnonce=\"c1\", nc=00000002, qop=auth, opaque=\"o1\"\r\nX: y\r\n\r\n", "R\r\nAuthorization: Digest username=\"a\", realm=\"b\", nonce=***, uri=\"sip:b\", "
         "response=***, cnonce=***, nc=00000002, qop=auth, opaque=***\r\nX: y\r\n\r\n", "credentials"             },
        {"R\r\nauthorization  : digest RESPONSE=\"r1\"\r\n\r\n",
         "R\r\nauthorization: Digest RESPONSE=***\r\n\r\n",                                                                                                                                      "in any case, with blanks"},
        {"R\r\nAuthorization: Digest realm=\"b\",\r\n response=\"r1\"\r\nX: y\r\n\r\n",
         "R\r\nAuthorization: Digest realm=\"b\", response=***\r\nX: y\r\n\r\n",                                                                                                                 "a continuation line"     },
        {"R\r\nAuthorization: Basic YTpi\r\n\r\n",                                                        "R\r\nAuthorization: ***\r\n\r\n",
         "another scheme"                                                                                                                                                                                                  },
        {"R\r\nAuthorization: Digest realm=\"b, response=r1\r\n\r\n",
         "R\r\nAuthorization: Digest ***\r\n\r\n",                                                                                                                                               "a quote that never ends" },
        {"R\r\nAuthorization: Digest realm=\"a\\\", nonce=\", response=\"r1\"\r\n\r\n",
         "R\r\nAuthorization: Digest realm=\"a\\\", nonce=\", response=***\r\n\r\n",                                                                                                             "an escaped quote"        },
        {"R\r\nAuthorization: Digest ,,=,a\r\n\r\n",
         "R\r\nAuthorization: Digest , , ***, ***\r\n\r\n",                                                                                                                                      "nothing between commas"  },
        {"R\r\nAuthorization Digest response=\"r1\"\r\nX: y\r\n\r\n",
         "R\r\nAuthorization: Digest response=***\r\nX: y\r\n\r\n",                                                                                                                              "no colon"                },
        {"R\r\nAuthorization: Digest r1\r\n\r\n",                                                         "R\r\nAuthorization: Digest ***\r\n\r\n",
         "no parameter"                                                                                                                                                                                                    },
        {"R\r\nAuthorization: Digest nonce = \"n1\"\r\n\r\n",
         "R\r\nAuthorization: Digest nonce=***\r\n\r\n",                                                                                                                                         "blanks around ="         },
        {"R\r\nProxy-Authorization: Digest response=\"r1\"\r\n\r\n",
         "R\r\nProxy-Authorization: Digest response=***\r\n\r\n",                                                                                                                                "for a proxy"             },
        {"SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"b\", nonce=\"n\", "
         "algorithm=MD5, qop=\"auth\", stale=true\r\n\r\n",                                      "SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"b\", nonce=***, "
         "algorithm=MD5, qop=\"auth\", stale=true\r\n\r\n",                                                                  "a challenge"             },
        {"R\nAuthorization: Digest response=\"r1\"\nX: y\n\n",
         "R\nAuthorization: Digest response=***\r\nX: y\n\n",                                                                                                                                    "bare line ends"          },
        {"R\r\nAuthorization: Digest response=\"r1\"",
         "R\r\nAuthorization: Digest response=***\r\n",                                                                                                                                          "cut off"                 },
        {"R\r\n\r\nAuthorization: Digest response=\"of a body\"\r\n",
         "R\r\n\r\nAuthorization: Digest response=\"of a body\"\r\n",                                                                                                                            "a body stays"            },
        {" \r\n\t\n\rR\r\nAuthorization: Digest response=\"r1\"\r\n\r\n",
         " \r\n\t\n\rR\r\nAuthorization: Digest response=***\r\n\r\n",                                                                                                                           "line ends before it"     },
        {"",                                                                                              "",                                                                                    "nothing"                 },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char memory[1024];
        struct buf b;
        buf_init_fixed(&b, memory, sizeof memory - 1);
        sip_put_masked(&b, str_from(row[i].message));
        buf_put_char(&b, 0);
        assert_int_equal(b.error, 0);
        if (strcmp(memory, row[i].shown) != 0)
            fail_msg("%s: %s", row[i].why, memory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shows_only_what_anybody_may_know)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
