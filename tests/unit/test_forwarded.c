#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "transport/forwarded.h"
#include <cmocka.h>
#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static struct net_address address(const char *ip, uint16_t port)
{
    struct net_address a;
    assert_int_equal(net_address_parse(&a, str_from(ip), port), 0);
    return a;
}

/* Asked by the proxy 10.0.0.1:4000; 10.0.0.0/8 and fd00::/8 are trusted. */
static void expect(struct str fields, const char *expected, const char *why)
{
    struct net_network network[] = {
        {address("10.0.0.0", 0), 8},
        {address("fd00::",   0), 8}
    };
    struct net_networks trusted = {network, COUNT(network)};
    struct net_address peer = address("10.0.0.1", 4000);
    char text[NET_ADDRESS_TEXT],
        *copy = malloc(fields.len > 0 ? fields.len : 1); /* ends where they end */
    assert_non_null(copy);
    if (fields.len > 0)
        memcpy(copy, fields.ptr, fields.len);
    struct net_address client = forwarded_client((struct str){copy, fields.len}, &trusted, &peer);
    free(copy);
    net_address_host_port(&client, text);
    if (strcmp(text, expected) != 0)
        fail_msg("%s: %s, not %s", why, text, expected);
}

#define PROXY "10.0.0.1:4000"
#define CLIENT "192.0.2.1:4000"
#define F(value) STR("Host: h\r\nForwarded: " value "\r\nX: y\r\n")
#define X(value) STR("Host: h\r\nX-Forwarded-For: " value "\r\nX: y\r\n")

static void x_forwarded_for(void **state)
{
    (void)state;
    const struct {
        struct str fields;
        const char *client, *why;
    } row[] = {
        {STR(""),                                             PROXY,                "no header at all"            },
        {STR("Host: h\r\n"),                                  PROXY,                "not this one"                },
        {X(""),                                               PROXY,                "empty"                       },
        {X(" ,, "),                                           PROXY,                "an empty list"               },
        {X("192.0.2.1"),                                      CLIENT,               "one hop"                     },
        {X("\t192.0.2.1 "),                                   CLIENT,               "white space"                 },
        {X("2001:db8::1"),                                    "[2001:db8::1]:4000", "IPv6"                        },
        {X("[2001:db8::1]"),                                  "[2001:db8::1]:4000", "in brackets"                 },
        {X("[2001:db8::1]:70"),                               "[2001:db8::1]:70",   "with a port"                 },
        {X("192.0.2.1:70"),                                   "192.0.2.1:70",       "with a port"                 },
        {X("::ffff:192.0.2.1"),                               CLIENT,               "IPv4 in IPv6"                },
        {X("198.51.100.9, 192.0.2.1"),                        CLIENT,               "the client wrote the first"  },
        {X("192.0.2.1, 10.9.9.9"),                            CLIENT,               "through two proxies"         },
        {X("192.0.2.1,10.9.9.9,fd00::7"),                     CLIENT,               "through three"               },
        {X("198.51.100.9, 192.0.2.1, 10.9.9.9, "),            CLIENT,               "and it wrote one itself"     },
        {X("10.8.8.8, 10.9.9.9"),                             "10.8.8.8:4000",      "a client within our networks"},
        {X("unknown"),                                        PROXY,                "no address"                  },
        {X("192.0.2.1, nonsense"),                            PROXY,                "what we read first is none"  },
        {X("192.0.2.1, nonsense, 10.9.9.9"),                  "10.9.9.9:4000",      "the last good one"           },
        {X("nonsense, 192.0.2.1, 10.9.9.9"),                  CLIENT,               "it is not looked at"         },
        {X("192.0.2.1:"),                                     PROXY,                "a colon, and no port"        },
        {X("192.0.2.1:x"),                                    PROXY,                "no port"                     },
        {X("192.0.2.1:65536"),                                PROXY,                "no port"                     },
        {X("[192.0.2.1]"),                                    PROXY,                "no IPv6"                     },
        {X("[2001:db8::1"),                                   PROXY,                "no end"                      },
        {X("[2001:db8::1]70"),                                PROXY,                "no colon"                    },
        {X("192.0.2.1.evil.example"),                         PROXY,                "a name"                      },
        {X("\"192.0.2.1\""),                                  PROXY,                "quoted is Forwarded's way"   },
        {X("192.0.2.1\0"),                                    PROXY,                "a zero"                      },
        {X("198.51.100.9\r\nX-Forwarded-For: 192.0.2.1"),     CLIENT,               "two lines are one list"      },
        {X("192.0.2.1\r\nA: b\r\nx-forwarded-FOR: 10.9.9.9"), CLIENT,               "in any case"                 },
        {X("192.0.2.1\r\nX-Forwarded-For-Not: 1.1.1.1"),      CLIENT,               "another header"              },
        {STR("X-Forwarded-For: 192.0.2.1"),                   CLIENT,               "without a line end"          },
    };
    for (size_t i = 0; i < COUNT(row); i++)
        expect(row[i].fields, row[i].client, row[i].why);
}

static void forwarded(void **state)
{
    (void)state;
    const struct {
        struct str fields;
        const char *client, *why;
    } row[] = {
        {F("for=192.0.2.1"),                                  CLIENT,               "one hop"                    },
        {F("For=192.0.2.1"),                                  CLIENT,               "names have no case"         },
        {F("for=\"192.0.2.1\""),                              CLIENT,               "quoted"                     },
        {F("for=\"192.0.2.1:70\""),                           "192.0.2.1:70",       "with a port"                },
        {F("for=192.0.2.1:70"),                               "192.0.2.1:70",       "as many write it"           },
        {F("for=\"192.0.2.1:_hidden\""),                      CLIENT,               "an obfuscated port"         },
        {F("for=\"[2001:db8::1]\""),                          "[2001:db8::1]:4000", "IPv6"                       },
        {F("for=\"[2001:db8::1]:70\""),                       "[2001:db8::1]:70",   "with a port"                },
        {F("for=\"[2001:db8::1]:_p\""),                       "[2001:db8::1]:4000", "an obfuscated port"         },
        {F("for=\"\\1\\92.0.2.1\""),                          CLIENT,               "escapes"                    },
        {F("proto=https;for=192.0.2.1;by=10.0.0.1"),          CLIENT,               "among others"               },
        {F("for=192.0.2.1;host=\"a;b,c\\\"d\""),              CLIENT,               "separators in quotes"       },
        {F(" for=192.0.2.1 ; proto=http "),                   CLIENT,               "white space"                },
        {F(";for=192.0.2.1;;"),                               CLIENT,               "empty pairs"                },
        {F("for=198.51.100.9, for=192.0.2.1"),                CLIENT,               "the client wrote the first" },
        {F("for=192.0.2.1, for=10.9.9.9"),                    CLIENT,               "through two proxies"        },
        {F("for=192.0.2.1,for=\"[fd00::7]\";proto=http"),     CLIENT,               "through two proxies"        },
        {F("for=unknown"),                                    PROXY,                "RFC 7239 6.2"               },
        {F("for=_hidden"),                                    PROXY,                "RFC 7239 6.3"               },
        {F("for=unknown, for=10.9.9.9"),                      "10.9.9.9:4000",      "the last good one"          },
        {F("for=192.0.2.1, for=_hidden, for=10.9.9.9"),       "10.9.9.9:4000",      "the last good one"          },
        {F("proto=https"),                                    PROXY,                "does not say"               },
        {F("for=192.0.2.1, proto=https"),                     PROXY,                "nor that one"               },
        {F(""),                                               PROXY,                "empty"                      },
        {F(" , "),                                            PROXY,                "an empty list"              },
        {F("for="),                                           PROXY,                "no value"                   },
        {F("for"),                                            PROXY,                "no value"                   },
        {F("for=\"\""),                                       PROXY,                "an empty value"             },
        {F("for=192.0.2.1;for=192.0.2.1"),                    PROXY,                "twice"                      },
        {F("for=192.0.2.1;by"),                               PROXY,                "half a pair"                },
        {F("for=192.0.2.1;by=a\"b"),                          PROXY,                "a quote within"             },
        {F("for=\"192.0.2.1"),                                PROXY,                "a quote without end"        },
        {F("for=\"192.0.2.1\\"),                              PROXY,                "half an escape"             },
        {F("for=\"192.0.2.1\"x"),                             PROXY,                "more behind the quote"      },
        {F("for=198.51.100.9;x=\", for=192.0.2.1"),           PROXY,                "a quote that swallows a hop"},
        {F("for=198.51.100.9;x=\", for=\"[2001:db8::1]\""),   PROXY,                "and one that it would close"},
        {F("for=\", for=\"[2001:db8::1]\""),                  PROXY,                "likewise"                   },
        {F("for="
           "1111111111111111111111111111111111111111111111111111111111111111111111111111111111111"
           "1"),
         PROXY,                                                                     "too long for any address"   },
        {F("for=192.0.2.1\r\nForwarded: for=10.9.9.9"),       CLIENT,               "two lines are one list"     },
        {F("for=\"198.51.100.9\r\nForwarded: for=192.0.2.1"), CLIENT,               "a quote ends with its line" },
        {F("for=192.0.2.1\r\nX-Forwarded-For: 1.1.1.1"),      CLIENT,               "goes before the other"      },
        {F("for=unknown\r\nX-Forwarded-For: 1.1.1.1"),        PROXY,                "whatever it says"           },
        {X("1.1.1.1\r\nForwarded: for=192.0.2.1"),            CLIENT,               "wherever it stands"         },
    };
    for (size_t i = 0; i < COUNT(row); i++)
        expect(row[i].fields, row[i].client, row[i].why);
}

static void proto(void **state)
{
    (void)state;
#define V(value) "Forwarded: " value "\r\n"
#define P(value) "X-Forwarded-Proto: " value "\r\n"
    const struct {
        const char *fields;
        bool is_secure;
    } row[] = {
        {P("https"),                                              true },
        {P("wss"),                                                true },
        {P("HTTPS"),                                              true },
        {P("https, http"),                                        true },
        {P("http"),                                               false},
        {P("http, https"),                                        false},
        {P("ws"),                                                 false},
        {P(""),                                                   false},
        {P("httpsx"),                                             false},
        {"Host: https\r\n",                                       false},
        {"",                                                      false},
        {V("for=192.0.2.1;proto=https"),                          true },
        {V("for=192.0.2.1; Proto=\"wss\""),                       true },
        {V("for=192.0.2.1;proto=http, for=10.9.9.9;proto=https"), false},
        {V("for=192.0.2.1, for=10.9.9.9;proto=https"),            true },
        {V("for=\"a;proto=https\""),                              false},
        {V("proto=http") P("https"),                              false},
        {P("https") V("proto=http"),                              false},
        {V("for=192.0.2.1") P("https"),                           true },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        print_message("%zu\n", i);
        assert_int_equal(forwarded_is_secure(str_from(row[i].fields)), row[i].is_secure);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(x_forwarded_for),
        cmocka_unit_test(forwarded),
        cmocka_unit_test(proto),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
