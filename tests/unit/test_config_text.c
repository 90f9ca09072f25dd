/* The pure helpers: hosts and origins, and what a typing error was meant to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config_internal.h"
#include <cmocka.h>
#include <errno.h>
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

static void knows_domains(void **state)
{
    (void)state;
    static const struct {
        const char *written;
        const char *kept; /* as it stands in an AOR; NULL: refused */
    } row[] = {
        {"example.com",       "example.com"    },
        {"SIP.Example.COM",   "sip.example.com"},
        {"localhost",         "localhost"      },
        {"*",                 "*"              },
        {"192.0.2.1",         "192.0.2.1"      },
        {"2001:DB8:0::1",     "[2001:db8::1]"  },
        {"[2001:db8::1]",     "[2001:db8::1]"  },
        {"",                  NULL             },
        {"*.example.com",     NULL             },
        {"**",                NULL             },
        {"example.com:5060",  NULL             },
        {"sip:example.com",   NULL             },
        {"alice@example.com", NULL             },
        {"exa mple.com",      NULL             },
        {"example.com.",      NULL             },
        {"192.0.2.256",       NULL             },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char text[100];
        struct buf b;
        buf_init_fixed(&b, text, sizeof text);
        int r = config_domain_parse(str_from(row[i].written), &b);
        bool is_as_expected =
            row[i].kept ? r == 0 && str_eq(buf_str(&b), str_from(row[i].kept)) : r == -EINVAL;
        if (!is_as_expected)
            fail_msg("\"%s\": %d, \"%.*s\"", row[i].written, r, STR_ARG(buf_str(&b)));
    }
}

static void knows_urls(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        const char *fault; /* its start; NULL: none */
    } row[] = {
        {"http://a",                        NULL                            },
        {"https://auth.example.com/",       NULL                            },
        {"HTTPS://192.0.2.1:65535/a?b=c#d", NULL                            },
        {"http://[2001:db8::1]:80/a",       NULL                            },
        {"http://a?b@c",                    NULL                            },
        {"http://a/b@c",                    NULL                            },
        {"",                                "must be a URL of at most 2048" },
        {"http://a/b c",                    "must be a URL of at most 2048" },
        {"http://a/\r\nX: y",               "must be a URL of at most 2048" },
        {"http://a/\x7f",                   "must be a URL of at most 2048" },
        {"http://a/\xc3\xa9",               "must be a URL of at most 2048" },
        {"a",                               "must be a URL that starts with"},
        {"a/b",                             "must be a URL that starts with"},
        {"http:/a",                         "must be a URL that starts with"},
        {"ws://a",                          "must be a URL that starts with"},
        {"http://u@a",                      "must be without user name"     },
        {"https://u:p@a:80/",               "must be without user name"     },
        {"http://@a",                       "must be without user name"     },
        {"http://",                         "must be a URL with a host"     },
        {"http:///a",                       "must be a URL with a host"     },
        {"http://:80",                      "must be a URL with a host"     },
        {"http://a:",                       "must be a URL with a host"     },
        {"http://a:0",                      "must be a URL with a host"     },
        {"http://a:65536",                  "must be a URL with a host"     },
        {"http://::1/",                     "must be a URL with a host"     },
        {"http://a\\b/",                    "must be a URL with a host"     },
        {"http://-a/",                      "must be a URL with a host"     },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        const char *fault = config_http_url_check(str_from(row[i].url));
        bool is_as_expected = row[i].fault
                                  ? str_starts_nocase(str_from(fault), str_from(row[i].fault))
                                  : fault == NULL;
        if (!is_as_expected)
            fail_msg("\"%s\": %s", row[i].url, fault ? fault : "no fault");
    }
    char url[2050] = "http://a/";
    memset(url + 9, 'x', sizeof url - 10);
    assert_non_null(config_http_url_check((struct str){url, 2049}));
    assert_null(config_http_url_check((struct str){url, 2048}));
}

static void joins_a_path(void **state)
{
    (void)state;
    char text[CONFIG_KEY], longest[2 * CONFIG_KEY];
    struct config_path path = {.depth = 0};
    assert_int_equal(config_path_key(&path, 0, text).len, 0);
    path = config_path_with(&path, "realms");
    path = config_path_with(&path, "example.com");
    path = config_path_with(&path, "users");
    assert_true(str_eq(config_path_key(&path, 0, text), STR("realms.example.com.users")));
    assert_true(str_eq(config_path_key(&path, 2, text), STR("users")));
    assert_string_equal(text, "users");

    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    path.name[1] = longest;
    assert_int_equal(config_path_key(&path, 0, text).len, CONFIG_KEY - 1);
    assert_int_equal(strlen(text), CONFIG_KEY - 1);
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
        {"mysql", NULL, "nor this"},
        {"authcallback.auth.pasword", "authCallback.auth.password", "in a group within one"},
        {"authCallback.aut", "authCallback.auth", "that group"},
        {"authCallback.pasword", NULL, "the wrong group and misspelt is too far away"},
        {"authCallback.timeout", "authCallback.timeoutMs", "the unit is missing"},
        {"", NULL, "nothing"},
        {"x", NULL, "one letter is like anything"},
        {"registrar.minExpiresregistrar.minExpiresregistrar.minExpires", NULL, "over-long"},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char text[CONFIG_KEY];
        const char *meant = config_suggest(&config_options, str_from(row[i].key), text);
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
        cmocka_unit_test(knows_hosts_and_ports), cmocka_unit_test(knows_origins),
        cmocka_unit_test(knows_domains),         cmocka_unit_test(knows_urls),
        cmocka_unit_test(joins_a_path),          cmocka_unit_test(guesses_what_was_meant),
        cmocka_unit_test(quotes_in_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
