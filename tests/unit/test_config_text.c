/* The pure helpers: hosts and origins, and what a typing error was meant to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config_internal.h"
#include <cmocka.h>
#include <stdio.h>

static void knows_hosts_and_ports(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_valid;
        const char *why;
    } row[] = {
        {"sip.example.com",         true,  "a name"                                    },
        {"sip.example.com:5060",    true,  "and port"                                  },
        {"edge_1",                  true,  "names in private networks have underscores"},
        {"192.0.2.1:5060",          true,  "IPv4"                                      },
        {"[2001:db8::1]",           true,  "IPv6"                                      },
        {"[2001:db8::1]:65535",     true,  "and port"                                  },
        {"",                        false, "nothing"                                   },
        {":5060",                   false, "no host"                                   },
        {"a:",                      false, "no port"                                   },
        {"a:0",                     false, "a port to be reached at"                   },
        {"a:65536",                 false, "too large"                                 },
        {"a:123456789012345678901", false, "far too large"                             },
        {"a:50x",                   false, "no number"                                 },
        {"2001:db8::1",             false, "IPv6 without brackets"                     },
        {"[2001:db8::1",            false, "half a bracket"                            },
        {"[2001:db8::1]5060",       false, "no colon"                                  },
        {"[192.0.2.1]",             false, "no IPv6"                                   },
        {"192.0.2.300",             false, "looks like an address, but is none"        },
        {"a..b",                    false, "empty label"                               },
        {"a.",                      false, "names for SIP have no dot at the end"      },
        {"-a",                      false, "hyphen at the edge"                        },
        {"a b",                     false, "space"                                     },
        {"a/b",                     false, "path"                                      },
        {"sip:a",                   false, "scheme"                                    },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (config_host_port_is_valid(str_from(row[i].text)) != row[i].is_valid)
            fail_msg("\"%s\": %s", row[i].text, row[i].why);
}

static void knows_origins(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *kept; /* NULL: refused */
    } row[] = {
        {"*",                          "*"                         },
        {"https://example.com",        "https://example.com"       },
        {"https://*.example.com",      "https://*.example.com"     },
        {"https://*.example.com:8443", "https://*.example.com:8443"},
        {"HTTPS://Example.COM:443",    "https://example.com"       },
        {"http://localhost:80",        "http://localhost"          },
        {"http://localhost:443",       "http://localhost:443"      },
        {"http://127.0.0.1:3000",      "http://127.0.0.1:3000"     },
        {"https://[::1]:8443",         "https://[::1]:8443"        },
        {"",                           NULL                        },
        {"**",                         NULL                        },
        {"null",                       NULL                        },
        {"example.com",                NULL                        },
        {"wss://example.com",          NULL                        },
        {"https://",                   NULL                        },
        {"https://*",                  NULL                        },
        {"https://*.",                 NULL                        },
        {"https://*example.com",       NULL                        },
        {"https://a.*.com",            NULL                        },
        {"https://example.com/",       NULL                        },
        {"https://example.com:",       NULL                        },
        {"https://example.com:*",      NULL                        },
        {"https://user@example.com",   NULL                        },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char text[100];
        struct buf b;
        buf_init_fixed(&b, text, sizeof text);
        int r = config_origin_parse(str_from(row[i].pattern), &b);
        bool is_as_expected =
            row[i].kept ? r == 0 && str_eq(buf_str(&b), str_from(row[i].kept)) : r < 0;
        if (!is_as_expected)
            fail_msg("\"%s\": %d, \"%.*s\"", row[i].pattern, r, STR_ARG(buf_str(&b)));
    }
}

static void guesses_what_was_meant(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        const char *key;
        const char *meant; /* NULL: no idea */
        const char *why;
    } row[] = {
        {"lsiten", "listen", "two letters swapped are one slip"},
        {"Listen", "listen", "case is none"},
        {"listens", "listen", "one too many"},
        {"wokers", "workers", "one too few"},
        {"tsl", "tls", "a group"},
        {"tls.crt", "tls.cert", "in a group"},
        {"logging.lvel", "logging.level", "in a group"},
        {"registar.minExpires", "registrar.minExpires", "the group itself"},
        {"adminToken", "http.adminToken", "the group is missing"},
        {"tls.adminToken", "http.adminToken", "the wrong group"},
        {"zebra", NULL, "like nothing"},
        {"redis", NULL, "nor this"},
        {"", NULL, "nothing"},
        {"x", NULL, "one letter is like anything"},
        {"registrar.minExpiresregistrar.minExpiresregistrar.minExpires", NULL, "over-long"},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char text[CONFIG_KEY];
        const char *meant = config_suggest(str_from(row[i].key), text);
        bool is_same =
            meant && row[i].meant ? strcmp(meant, row[i].meant) == 0 : meant == row[i].meant;
        if (!is_same)
            fail_msg("\"%s\" gives %s: %s", row[i].key, meant ? meant : "nothing", row[i].why);
    }
}

static void quotes_in_one_line(void **state)
{
    (void)state;
    char text[CONFIG_QUOTE];
    char control[200];
    memset(control, 1, sizeof control);
    assert_string_equal(config_quote(text, STR("a\"b\nc")), "\"a\\\"b\\nc\"");
    config_quote(text, (struct str){control, sizeof control}); /* six bytes for each */
    assert_true(str_ends_nocase(str_from(text), STR("\\u0001\"...")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_hosts_and_ports),
        cmocka_unit_test(knows_origins),
        cmocka_unit_test(guesses_what_was_meant),
        cmocka_unit_test(quotes_in_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
