#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <aorta/sip.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))
#define LABEL_63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static bool is(struct str s, const char *expected)
{
    return str_eq(s, str_from(expected ? expected : ""));
}

static void takes_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *user, *password, *host, *params, *headers;
        uint16_t port;
        bool is_sips, is_ip;
    } row[] = {
        {"sip:h",                                                                 "",                         "",       "h",             "",                          "",                 0,     false, false},
        {"sip:alice@example.com",                                                 "alice",                    "",       "example.com",   "",                          "",                 0,     false, false},
        {"SIPS:Alice@Example.COM",                                                "Alice",                    "",       "Example.COM",   "",                          "",                 0,     true,  false},
        {"sip:a:secret@h:5070",                                                   "a",                        "secret", "h",             "",                          "",                 5070,  false, false},
        {"sip:a:@h",                                                              "a",                        "",       "h",             "",                          "",                 0,     false, false},
        {"sip:192.0.2.1:65535",                                                   "",                         "",       "192.0.2.1",     "",                          "",                 65535, false, true },
        {"sip:a@[2001:db8::1]:1;ob",                                              "a",                        "",       "2001:db8::1",   "ob",                        "",                 1,     false, true },
        {"sip:a@h;transport=ws;lr;x=[:]/&+$",                                     "a",                        "",       "h",             "transport=ws;lr;x=[:]/&+$", "",                 0,
         false,                                                                                                                                                                                         false},
        {"sip:a@h?Subject=x%20y&a=",                                              "a",                        "",       "h",             "",                          "Subject=x%20y&a=", 0,     false, false},
        {"sip:a@h;lr?b=?:[]/+$",                                                  "a",                        "",       "h",             "lr",                        "b=?:[]/+$",        0,     false, false},
        {"sip:+1-212;ext=1?x/y&=$,@h",                                            "+1-212;ext=1?x/y&=$,",     "",       "h",             "",                          "",                 0,     false, false},
        {"sip:%23%00%c3%A4%f0%9F%98%80@h",                                        "%23%00%c3%A4%f0%9F%98%80", "",       "h",             "",                          "",                 0,     false,
         false                                                                                                                                                                                               },
        {"sip:my-box--1.a-b",                                                     "",                         "",       "my-box--1.a-b", "",                          "",                 0,     false, false},
        {"sip:h;transport=TLS;user=dialstring;method=INVITE;ttl=255;maddr=[::1]", "",                         "",       "h",
         "transport=TLS;user=dialstring;method=INVITE;ttl=255;maddr=[::1]",                                                                                           "",                 0,     false, false},
        {"sip:h;transport;lr=on",                                                 "",                         "",       "h",             "transport;lr=on",           "",                 0,     false, false},
        {"sip:a@my_phone.lan",                                                    "a",                        "",       "my_phone.lan",  "",                          "",                 0,     false, false},
        {"sip:1.2.3.a4",                                                          "",                         "",       "1.2.3.a4",      "",                          "",                 0,     false, false},
        {"sip:a@h;pn-prid=x:y;%6cr",                                              "a",                        "",       "h",             "pn-prid=x:y;%6cr",          "",                 0,     false, false},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct sip_uri uri;
        if (sip_uri_parse(str_from(row[i].text), &uri))
            fail_msg("%s: refused", row[i].text);
        if (!is(uri.text, row[i].text) || !is(uri.user, row[i].user) ||
            !is(uri.password, row[i].password) || !is(uri.host, row[i].host) ||
            !is(uri.params, row[i].params) || !is(uri.headers, row[i].headers) ||
            uri.port != row[i].port || uri.is_sips != row[i].is_sips ||
            uri.host_is_ip != row[i].is_ip)
            fail_msg("%s: taken apart otherwise", row[i].text);
    }
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum sip_uri_error error;
        const char *why;
    } row[] = {
        {"",                                                       SIP_URI_BAD_SYNTAX, "nothing"                                             },
        {"sip",                                                    SIP_URI_BAD_SYNTAX, "no colon"                                            },
        {"sip:",                                                   SIP_URI_BAD_SYNTAX, "no host"                                             },
        {"sip:a@",                                                 SIP_URI_BAD_SYNTAX, "no host behind the user"                             },
        {"sip:@h",                                                 SIP_URI_BAD_SYNTAX, "an '@' without a user"                               },
        {"sip::x@h",                                               SIP_URI_BAD_SYNTAX, "a password without a user"                           },
        {"sip:a@b@h",                                              SIP_URI_BAD_SYNTAX, "two '@'"                                             },
        {"sip:a@my_phone",                                         SIP_URI_BAD_SYNTAX, "'_' in the last label: SIP.js drops the message"     },
        {"sip:a b@h",                                              SIP_URI_BAD_SYNTAX, "raw space in the user"                               },
        {"sip:a#b@h",                                              SIP_URI_BAD_SYNTAX, "raw '#': SIP.js drops the message"                   },
        {"sip:\xc3\xa4@h",                                         SIP_URI_BAD_SYNTAX, "raw UTF-8"                                           },
        {"sip:\"a\"@h",                                            SIP_URI_BAD_SYNTAX, "quotes"                                              },
        {"sip:a%2@h",                                              SIP_URI_BAD_SYNTAX, "half an escape"                                      },
        {"sip:a%zz@h",                                             SIP_URI_BAD_SYNTAX, "no escape"                                           },
        {"sip:a%ff@h",                                             SIP_URI_BAD_SYNTAX,
         "escapes that are no UTF-8: decodeURIComponent() throws"                                                                            },
        {"sip:a%C3b@h",                                            SIP_URI_BAD_SYNTAX, "half a character"                                    },
        {"sip:a%C0%80@h",                                          SIP_URI_BAD_SYNTAX, "overlong"                                            },
        {"sip:a%E0%80%80@h",                                       SIP_URI_BAD_SYNTAX, "overlong in three"                                   },
        {"sip:a%ED%A0%80@h",                                       SIP_URI_BAD_SYNTAX, "surrogate"                                           },
        {"sip:a%F4%90%80%80@h",                                    SIP_URI_BAD_SYNTAX, "above U+10FFFF"                                      },
        {"sip:a:%80@h",                                            SIP_URI_BAD_SYNTAX, "no UTF-8 in the password"                            },
        {"sip:a@h%41",                                             SIP_URI_BAD_SYNTAX, "escape in the host"                                  },
        {"sip:a@h:",                                               SIP_URI_BAD_SYNTAX, "no port behind the colon"                            },
        {"sip:a@h:0",                                              SIP_URI_BAD_SYNTAX, "port 0"                                              },
        {"sip:a@h:005060",                                         SIP_URI_BAD_SYNTAX, "port of six digits"                                  },
        {"sip:a@h:65536",                                          SIP_URI_BAD_SYNTAX, "port too large"                                      },
        {"sip:a@h:5x",                                             SIP_URI_BAD_SYNTAX, "port no number"                                      },
        {"sip:a@host.123",                                         SIP_URI_BAD_SYNTAX, "numeric last label"                                  },
        {"sip:a@1.2.3",                                            SIP_URI_BAD_SYNTAX, "three quarters of an address"                        },
        {"sip:a@1.2.3.256",                                        SIP_URI_BAD_SYNTAX, "256 in an address"                                   },
        {"sip:a@.h",                                               SIP_URI_BAD_SYNTAX, "empty label"                                         },
        {"sip:a@g..h",                                             SIP_URI_BAD_SYNTAX, "empty label inside"                                  },
        {"sip:a@h.",                                               SIP_URI_BAD_SYNTAX, "a dot at the end: both browser libraries stop there" },
        {"sip:a@my_box",                                           SIP_URI_BAD_SYNTAX, "'_' in the host: SIP.js drops the message"           },
        {"sip:a@[::]",                                             SIP_URI_BAD_SYNTAX, "no address, and unreadable to both browser libraries"},
        {"sip:a@[0::0]",                                           SIP_URI_BAD_SYNTAX, "the same in another spelling"                        },
        {"sip:a@h;transport=a:b",                                  SIP_URI_BAD_SYNTAX, "transport is a token"                                },
        {"sip:a@h;transport=tls-sctp",                             SIP_URI_BAD_SYNTAX, "browser libraries stop behind tls"                   },
        {"sip:a@h;user=phones",                                    SIP_URI_BAD_SYNTAX, "and behind phone"                                    },
        {"sip:a@h;method=INVITED",                                 SIP_URI_BAD_SYNTAX, "and behind INVITE"                                   },
        {"sip:a@h;lrx=1",                                          SIP_URI_BAD_SYNTAX, "and behind lr"                                       },
        {"sip:a@h;lr=[1]",                                         SIP_URI_BAD_SYNTAX, "lr has a token for a value, if any"                  },
        {"sip:a@h;ttl=256",                                        SIP_URI_BAD_SYNTAX, "ttl is a byte"                                       },
        {"sip:a@h;ttl=0001",                                       SIP_URI_BAD_SYNTAX, "of three digits at most"                             },
        {"sip:a@h;maddr=a%41",                                     SIP_URI_BAD_SYNTAX, "maddr is a host"                                     },
        {"sip:a@h;maddr=1.2.3.4:5",                                SIP_URI_BAD_SYNTAX, "and nothing more"                                    },
        {"sip:a@-h",                                               SIP_URI_BAD_SYNTAX, "label starts with a hyphen"                          },
        {"sip:a@h-.x",                                             SIP_URI_BAD_SYNTAX, "label ends with a hyphen"                            },
        {"sip:a@" LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63, SIP_URI_BAD_SYNTAX,
         "254 bytes of host"                                                                                                                 },
        {"sip:a@2001:db8::1",                                      SIP_URI_BAD_SYNTAX, "IPv6 without brackets"                               },
        {"sip:a@[2001:db8::1",                                     SIP_URI_BAD_SYNTAX, "bracket never closes"                                },
        {"sip:a@[2001:db8::1]x",                                   SIP_URI_BAD_SYNTAX, "text behind the bracket"                             },
        {"sip:a@[fe80::1%eth0]",                                   SIP_URI_BAD_SYNTAX, "zone id"                                             },
        {"sip:a@[fe80::1%25eth0]",                                 SIP_URI_BAD_SYNTAX, "escaped zone id"                                     },
        {"sip:a@[192.0.2.1]",                                      SIP_URI_BAD_SYNTAX, "IPv4 in brackets"                                    },
        {"sip:a@[h]",                                              SIP_URI_BAD_SYNTAX, "name in brackets"                                    },
        {"sip:a@[]",                                               SIP_URI_BAD_SYNTAX, "nothing in brackets"                                 },
        {"sip:a@h;",                                               SIP_URI_BAD_SYNTAX, "empty parameter"                                     },
        {"sip:a@h;;lr",                                            SIP_URI_BAD_SYNTAX, "empty parameter first"                               },
        {"sip:a@h;lr;",                                            SIP_URI_BAD_SYNTAX, "empty parameter last"                                },
        {"sip:a@h;x=",                                             SIP_URI_BAD_SYNTAX, "parameter without its value"                         },
        {"sip:a@h;=x",                                             SIP_URI_BAD_SYNTAX, "value without its parameter"                         },
        {"sip:a@h;x=y=z",                                          SIP_URI_BAD_SYNTAX, "two equals signs"                                    },
        {"sip:a@h;x=\"y\"",                                        SIP_URI_BAD_SYNTAX, "quoted value: SIP.js drops the message"              },
        {"sip:a@h;lr;x=1;LR",                                      SIP_URI_BAD_SYNTAX, "parameter twice"                                     },
        {"sip:a@h;%72;r=1",                                        SIP_URI_BAD_SYNTAX, "parameter twice, once escaped"                       },
        {"sip:a@h?",                                               SIP_URI_BAD_SYNTAX, "no header"                                           },
        {"sip:a@h?x",                                              SIP_URI_BAD_SYNTAX, "header without equals sign"                          },
        {"sip:a@h?x=1&",                                           SIP_URI_BAD_SYNTAX, "empty header last"                                   },
        {"sip:a@h?=1",                                             SIP_URI_BAD_SYNTAX, "header without name"                                 },
        {" sip:a@h",                                               SIP_URI_BAD_SYNTAX, "space in front"                                      },
        {"sip:a@h ",                                               SIP_URI_BAD_SYNTAX, "space behind"                                        },
        {"<sip:a@h>",                                              SIP_URI_BAD_SYNTAX, "brackets are not part of it"                         },
        {"*",                                                      SIP_URI_BAD_SYNTAX, "no URI"                                              },
        {"1x:y",                                                   SIP_URI_BAD_SYNTAX, "a scheme starts with a letter"                       },
        {"tel:",                                                   SIP_URI_BAD_SYNTAX, "scheme alone"                                        },
        {"tel:+49301234",                                          SIP_URI_BAD_SCHEME, "tel"                                                 },
        {"mailto:a@h",                                             SIP_URI_BAD_SCHEME, "mailto"                                              },
        {"urn:service:sos",                                        SIP_URI_BAD_SCHEME, "urn"                                                 },
        {"sipx:a@h",                                               SIP_URI_BAD_SCHEME, "nearly sip"                                          },
        {"http://h/?a=%20",                                        SIP_URI_BAD_SCHEME, "http"                                                },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct sip_uri uri = {.port = 7};
        enum sip_uri_error error = sip_uri_parse(str_from(row[i].text), &uri);
        if (error != row[i].error || uri.port != 7)
            fail_msg("%s: %s: got %d", row[i].text, row[i].why, (int)error);
    }
}

static void caps_parameters(void **state)
{
    (void)state;
    static const struct {
        size_t params;
        enum sip_uri_error error;
    } row[] = {
        {64, SIP_URI_OK        },
        {65, SIP_URI_BAD_SYNTAX}
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        char text[1024];
        int len = snprintf(text, sizeof text, "sip:h");
        for (size_t n = 0; n < row[i].params; n++)
            len += snprintf(text + len, sizeof text - (size_t)len, ";p%zu", n);
        struct sip_uri uri;
        assert_int_equal(sip_uri_parse((struct str){text, (size_t)len}, &uri), row[i].error);
    }
}

static void compares(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool equal;
        const char *why;
    } row[] = {
  /* RFC 3261 19.1.4's own */
        {"sip:%61lice@atlanta.com;transport=TCP",                                "sip:alice@AtLanTa.CoM;Transport=tcp",          true,
         "escape, case"                                                                                                                                                               },
        {"sip:carol@chicago.com",                                                "sip:carol@chicago.com;newparam=5",             true,  "unknown parameter"                           },
        {"sip:carol@chicago.com;security=on",                                    "sip:carol@chicago.com;newparam=5",             true,
         "two unknown ones"                                                                                                                                                           },
        {"sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
         "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",                                                 true,  "order"                                       },
        {"sip:alice@atlanta.com?subject=project%20x&priority=urgent",
         "sip:alice@atlanta.com?priority=urgent&subject=project%20x",                                                            true,  "order of headers"                            },
        {"SIP:ALICE@AtLanTa.CoM;Transport=udp",                                  "sip:alice@AtLanTa.CoM;Transport=UDP",          false,
         "case of the user"                                                                                                                                                           },
        {"sip:bob@biloxi.com",                                                   "sip:bob@biloxi.com:5060",                      false, "port said and not said"                      },
        {"sip:bob@biloxi.com",                                                   "sip:bob@biloxi.com;transport=udp",             false,
         "transport said and not said"                                                                                                                                                },
        {"sip:bob@biloxi.com",                                                   "sip:bob@biloxi.com:6000;transport=tcp",        false, "both"                                        },
        {"sip:carol@chicago.com",                                                "sip:carol@chicago.com?Subject=next%20meeting", false,
         "header on one side"                                                                                                                                                         },
        {"sip:bob@phone21.boxesbybob.com",                                       "sip:bob@192.0.2.4",                            false,
         "what DNS says does not count"                                                                                                                                               },
        {"sip:carol@chicago.com;security=on",                                    "sip:carol@chicago.com;security=off",           false,
         "differing value"                                                                                                                                                            },
 /* and ours */
        {"sip:a@h",                                                              "sips:a@h",                                     false, "scheme"                                      },
        {"sip:a@h;user=phone",                                                   "sip:a@h",                                      false, "user= on one side"                           },
        {"sip:a@h;ttl=1",                                                        "sip:a@h",                                      false, "ttl= on one side"                            },
        {"sip:a@h;method=INVITE",                                                "sip:a@h",                                      false, "method= on one side"                         },
        {"sip:a@h",                                                              "sip:a@h;maddr=192.0.2.1",                      false, "maddr= on one side"                          },
        {"sip:a@h;MADDR=192.0.2.1",                                              "sip:a@h;maddr=192.0.2.1",                      true,  "maddr= on both"                              },
        {"sip:a@h;%6Cr",                                                         "sip:a@h;lr",                                   true,  "escape in a parameter's name"                },
        {"sip:a%2Cb@h",                                                          "sip:a,b@h",                                    false, "an escaped reserved character is another one"},
        {"sip:a%2cb@h",                                                          "sip:a%2Cb@h",                                  true,  "case of hex digits"                          },
        {"sip:a%2d@h",                                                           "sip:a-@h",                                     true,  "'-' is not reserved"                         },
        {"sip:a:p@h",                                                            "sip:a@h",                                      false, "password on one side"                        },
        {"sip:a:p@h",                                                            "sip:a:%70@h",                                  true,  "password escaped"                            },
        {"sip:a@[2001:DB8::1]",                                                  "sip:a@[2001:db8:0::1]",                        true,  "one address, two spellings"                  },
        {"sip:a@[2001:db8::1]",                                                  "sip:a@[2001:db8::2]",                          false, "two addresses"                               },
        {"sip:a@h?x=1&x=2",                                                      "sip:a@h?x=2&x=1",                              true,  "one header twice"                            },
        {"sip:a@h?x=1&x=1",                                                      "sip:a@h?x=1&x=2",                              false, "one header twice, values differ"             },
        {"sip:a@h?x=1",                                                          "sip:a@h?x=1&x=1",                              false, "as often"                                    },
        {"sip:a@h?x=a",                                                          "sip:a@h?X=A",                                  false, "header values have a case"                   },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct sip_uri a, b;
        assert_int_equal(sip_uri_parse(str_from(row[i].a), &a), SIP_URI_OK);
        assert_int_equal(sip_uri_parse(str_from(row[i].b), &b), SIP_URI_OK);
        if (sip_uri_equal(&a, &b) != row[i].equal || sip_uri_equal(&b, &a) != row[i].equal)
            fail_msg("%s and %s: %s", row[i].a, row[i].b, row[i].why);
        assert_true(sip_uri_equal(&a, &a));
    }
}

static void finds_parameters(void **state)
{
    (void)state;
    static const struct {
        const char *text, *name, *value; /* NULL: absent */
    } row[] = {
        {"sip:h;transport=ws;lr", "Transport", "ws"},
        {"sip:h;transport=ws;lr", "lr",        ""  },
        {"sip:h;transport=ws;lr", "ob",        NULL},
        {"sip:h;%6f%62",          "ob",        ""  },
        {"sip:h",                 "ob",        NULL},
        {"sip:h?ob=1",            "ob",        NULL},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct sip_uri uri;
        struct str value = STR("untouched");
        assert_int_equal(sip_uri_parse(str_from(row[i].text), &uri), SIP_URI_OK);
        bool is_found = sip_uri_param(&uri, str_from(row[i].name), &value);
        if (is_found != (row[i].value != NULL) || !is(value, is_found ? row[i].value : "untouched"))
            fail_msg("%s in %s", row[i].name, row[i].text);
    }
}

static void writes_aor(void **state)
{
    (void)state;
    static const struct {
        const char *text, *aor; /* NULL: -EINVAL */
    } row[] = {
        {"sip:Alice@Example.COM:5070;transport=ws?a=b", "Alice@example.com"      },
        {"sips:alice:secret@example.com",               "alice@example.com"      },

        {"sip:%61%6C%69ce@h",                           "alice@h"                },
        {"sip:%2b49%3Bx@h",                             "+49;x@h"                },
        {"sip:a%40b%20c%23%00%c3%a4@h",                 "a%40b%20c%23%00%C3%A4@h"},
        {"sip:a%25b@h",                                 "a%25b@h"                },
        {"sip:a@192.0.2.1",                             "a@192.0.2.1"            },
        {"sip:a@[2001:DB8:0:0::1]:5060",                "a@[2001:db8::1]"        },
        {"sip:example.com",                             NULL                     },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct sip_uri uri;
        char memory[128];
        struct buf b;
        buf_init_fixed(&b, memory, sizeof memory);
        assert_int_equal(sip_uri_parse(str_from(row[i].text), &uri), SIP_URI_OK);
        int error = sip_uri_write_aor(&uri, &b);
        if (error != (row[i].aor ? 0 : -EINVAL) || !is(buf_str(&b), row[i].aor))
            fail_msg("%s: %.*s", row[i].text, STR_ARG(buf_str(&b)));
    }
    struct sip_uri uri;
    struct buf small;
    char memory[4];
    buf_init_fixed(&small, memory, sizeof memory);
    assert_int_equal(sip_uri_parse(STR("sip:alice@h"), &uri), SIP_URI_OK);
    assert_int_equal(sip_uri_write_aor(&uri, &small), -ENOSPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_apart),      cmocka_unit_test(refuses),
        cmocka_unit_test(caps_parameters),  cmocka_unit_test(compares),
        cmocka_unit_test(finds_parameters), cmocka_unit_test(writes_aor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
