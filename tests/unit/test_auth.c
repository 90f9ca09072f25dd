#include "unit/auth_world.h"
#include <dlfcn.h>
#include <mbedtls_compat.h>
#include <stdio.h>

#define BOBS_HA1 "cd3f0acc90f1ea0b4a8a9b1c6c5a9e1d" /* of nothing in particular */
static const char users_json[] = "{\"alice@example.com\":{\"password\":\"wonder\"},"
                                 "\"bob@example.com\":{\"ha1\":\"" BOBS_HA1 "\"},"
                                 "\"zo%C3%AB@example.com\":{\"password\":\"wonder\"},"
                                 "\"alice@[2001:db8::1]\":{\"password\":\"wonder\"}}";

static void open_both(struct world *w, struct client *c)
{
    world_open(w, users_json, false);
    client_open(c, w);
}

static void close_both(struct world *w, struct client *c)
{
    client_close(c);
    world_close(w);
}

/* ---- Verdicts ------------------------------------------------------------------------------ */

static void every_answer_has_its_verdict(void **state)
{
    (void)state;
    static const struct {
        struct answer answer; /* to a fresh nonce, unless it brings one */
        enum auth_verdict verdict;
        const char *why;
    } row[] = {
        {{0},                                           AUTH_OK,        "as it should be"                           },
        {{.is_upper_case = true},                       AUTH_OK,        "hex in upper case"                         },
        {{.algorithm = NO},                             AUTH_OK,        "MD5 goes without saying"                   },
        {{.algorithm = "md5"},                          AUTH_OK,        "tokens in any case"                        },
        {{.algorithm = "SHA-512-256"},                  AUTH_OK,        "the stronger one"                          },
        {{.algorithm = "SHA-256"},                      AUTH_CHALLENGE, "not configured"                            },
        {{.algorithm = "MD5-sess"},                     AUTH_CHALLENGE, "not offered"                               },
        {{.nc = "00000002"},                            AUTH_OK,        "browser libraries begin so"                },
        {{.nc = "ffffffff"},                            AUTH_OK,        "the last one"                              },
        {{.nc = "0000000A"},                            AUTH_OK,        "upper case"                                },
        {{.nc = "1"},                                   AUTH_MALFORMED, "not 8 digits"                              },
        {{.nc = "000000001"},                           AUTH_MALFORMED, "9 digits"                                  },
        {{.nc = "0000000x"},                            AUTH_MALFORMED, "no hex"                                    },
        {{.nc = NO},                                    AUTH_MALFORMED, "qop needs nc"                              },
        {{.cnonce = NO},                                AUTH_MALFORMED, "qop needs cnonce"                          },
        {{.cnonce = ""},                                AUTH_MALFORMED, "an empty one"                              },
        {{.qop = "AUTH"},                               AUTH_OK,        "tokens in any case"                        },
        {{.qop = "auth-int"},                           AUTH_MALFORMED, "not offered"                               },
        {{.qop = NO, .nc = NO, .cnonce = NO},           AUTH_OK,        "RFC 2069"                                  },
        {{.username = NO},                              AUTH_MALFORMED, "nobody"                                    },
        {{.username = ""},                              AUTH_MALFORMED, "nobody, in quotes"                         },
        {{.nonce = NO},                                 AUTH_MALFORMED, "no nonce"                                  },
        {{.uri = NO},                                   AUTH_MALFORMED, "no uri"                                    },
        {{.realm = NO},                                 AUTH_CHALLENGE, "for no realm"                              },
        {{.realm = "example.org"},                      AUTH_CHALLENGE, "for another realm"                         },
        {{.realm = "EXAMPLE.com"},                      AUTH_CHALLENGE, "we wrote it in lower case"                 },
        {{.nonce = "1636362000:c0ffee"},                AUTH_CHALLENGE, "another server's nonce"                    },
        {{.username = "alice@example.com"},             AUTH_OK,        "with its realm"                            },
        {{.username = "Alice"},                         AUTH_REFUSED,   "users have a case"                         },
        {{.username = "bob"},                           AUTH_REFUSED,   "somebody else"                             },
        {{.username = "alice@example.org"},             AUTH_REFUSED,   "of another house"                          },
        {{.username = "@example.com"},                  AUTH_REFUSED,   "of nobody's"                               },
        {{.username = "%61lice"},                       AUTH_REFUSED,   "the same user, but its HA1 is of that text"},
        {{.password = "wunder"},                        AUTH_REFUSED,   "wrong password"                            },
        {{.password = ""},                              AUTH_REFUSED,   "no password"                               },
        {{.uri = "sip:example.com:5061;transport=tls"}, AUTH_OK,        "port and parameters"                       },
        {{.uri = "sips:EXAMPLE.COM"},                   AUTH_OK,        "hosts have no case"                        },
        {{.uri = "sip:alice@example.com"},              AUTH_OK,        "some write the AOR"                        },
        {{.uri = "sip:sip.example.net"},                AUTH_OK,        "this node's name"                          },
        {{.uri = "sip:[2001:db8:0:0::5]:5060"},         AUTH_OK,        "this node's address"                       },
        {{.uri = "sip:[2001:db8::6]"},                  AUTH_REFUSED,   "another address"                           },
        {{.uri = "sip:example.org"},                    AUTH_REFUSED,   "another server"                            },
        {{.uri = "tel:+15551212"},                      AUTH_REFUSED,   "not SIP"                                   },
        {{.uri = "*"},                                  AUTH_REFUSED,   "no URI"                                    },
    };
    struct world w;
    struct client c;
    open_both(&w, &c);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char nonce[NONCE_TEXT + 1];
        struct answer answer = row[i].answer;
        take_nonce(&c, nonce);
        answer.nonce = given(answer.nonce, nonce);
        if (try_answer(&c, &answer) != row[i].verdict)
            fail_msg("row %zu, %s: %d, %s", i, row[i].why, (int)c.result.verdict, c.result.cause);
    }
    close_both(&w, &c);
}

static void other_users_and_realms(void **state)
{
    (void)state;
    static const struct {
        const char *user, *host, *username, *algorithm;
        enum auth_verdict verdict;
        const char *why;
    } row[] = {
        {"zo%C3%AB", "example.com",   "zo%C3%AB",               NULL,          AUTH_OK,      "as in the URI"         },
        {"zo%C3%AB", "example.com",   "zo\xc3\xab",             NULL,          AUTH_OK,      "as JsSIP has it"       },
        {"zo%C3%AB", "example.com",   "zo\xc3\xab@example.com", NULL,          AUTH_OK,      "and with its realm"    },
        {"alice",    "[2001:db8::1]", "alice",                  NULL,          AUTH_OK,      "an address for a realm"},
        {"alice",    "[2001:db8::1]", "alice@[2001:db8::1]",    NULL,          AUTH_OK,      "both"                  },
        {"alice",    "example.org",   "alice",                  NULL,          AUTH_REFUSED, "unknown there"         },
        {"nobody",   "example.com",   "nobody",                 NULL,          AUTH_REFUSED, "unknown"               },
        {"bob",      "example.com",   "bob",                    NULL,          AUTH_REFUSED, "not that password"     },
        {"bob",      "example.com",   "bob",                    "SHA-512-256", AUTH_REFUSED, "an HA1 for MD5 only"   },
    };
    struct world w;
    struct client c;
    open_both(&w, &c);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char nonce[NONCE_TEXT + 1], uri[64];
        set_aor(&c, row[i].user, row[i].host);
        take_nonce(&c, nonce);
        snprintf(uri, sizeof uri, "sip:%s", row[i].host);
        struct answer answer = {.username = row[i].username,
                                .realm = row[i].host,
                                .nonce = nonce,
                                .uri = uri,
                                .algorithm = row[i].algorithm};
        if (try_answer(&c, &answer) != row[i].verdict)
            fail_msg("row %zu, %s: %d, %s", i, row[i].why, (int)c.result.verdict, c.result.cause);
    }
    close_both(&w, &c);
}

static void picks_among_authorizations(void **state)
{
    (void)state;
    struct world w;
    struct client c;
    char nonce[NONCE_TEXT + 1], good[1024], foreign[1024];
    open_both(&w, &c);
    take_nonce(&c, nonce);
    write_answer(&(struct answer){.nonce = nonce}, good);
    write_answer(&(struct answer){.nonce = nonce, .realm = "proxy.example.org"}, foreign);

    assert_int_equal(ask(&c, NULL, NULL), AUTH_CHALLENGE);
    assert_int_equal(ask(&c, "Basic YWxpY2U6d29uZGVy", NULL), AUTH_CHALLENGE);
    assert_int_equal(ask(&c, "Bearer abc.def.ghi", foreign), AUTH_CHALLENGE);
    assert_int_equal(ask(&c, "Digest realm=\"example.com", NULL), AUTH_MALFORMED);
    assert_int_equal(ask(&c, foreign, good), AUTH_OK);
    close_both(&w, &c);
}

static void stale_says_so(void **state)
{
    (void)state;
    static const struct {
        enum transport_kind protocol;
        conn_id conn;
        const char *ip;
        int64_t after_ms;
        enum auth_verdict verdict;
        const char *why;
    } row[] = {
        {TRANSPORT_WSS, 7, "192.0.2.1", 0,      AUTH_OK,    "the same connection"        },
        {TRANSPORT_WSS, 8, "192.0.2.1", 0,      AUTH_STALE, "a phone that reconnected"   },
        {TRANSPORT_WSS, 7, "192.0.2.1", 301000, AUTH_STALE, "too old"                    },
        {TRANSPORT_WSS, 7, "192.0.2.1", -60000, AUTH_STALE, "from the future"            },
        {TRANSPORT_UDP, 0, "192.0.2.1", 0,      AUTH_STALE, "over UDP it is another flow"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct world w;
        struct client c;
        char nonce[NONCE_TEXT + 1];
        open_both(&w, &c);
        take_nonce(&c, nonce);
        c.request.protocol = row[i].protocol;
        c.request.conn = row[i].conn;
        c.request.now_ms += (uint64_t)row[i].after_ms;
        assert_int_equal(net_address_parse(&c.request.source, str_from(row[i].ip), 1), 0);
        if (try_answer(&c, &(struct answer){.nonce = nonce}) != row[i].verdict)
            fail_msg("row %zu, %s: %s", i, row[i].why, c.result.cause);
        if (row[i].verdict == AUTH_STALE && /* says nothing about the password */
            try_answer(&c, &(struct answer){.nonce = nonce, .password = "wunder"}) != AUTH_STALE)
            fail_msg("row %zu: a wrong answer to it", i);
        close_both(&w, &c);
    }
}

static void udp_nonces_belong_to_an_address(void **state)
{
    (void)state;
    struct world w;
    struct client c;
    char nonce[NONCE_TEXT + 1];
    open_both(&w, &c);
    c.request.protocol = TRANSPORT_UDP;
    c.request.conn = 0;
    take_nonce(&c, nonce);
    assert_int_equal(net_address_parse(&c.request.source, STR("192.0.2.1"), 40000), 0);
    assert_int_equal(try_answer(&c, &(struct answer){.nonce = nonce}), AUTH_OK);
    assert_int_equal(net_address_parse(&c.request.source, STR("192.0.2.2"), 5060), 0);
    assert_int_equal(try_answer(&c, &(struct answer){.nonce = nonce, .nc = "00000002"}),
                     AUTH_STALE);
    close_both(&w, &c);
}

static void restart_is_stale(void **state)
{
    (void)state;
    struct world before, after;
    struct client c, later;
    char nonce[NONCE_TEXT + 1];
    open_both(&before, &c);
    take_nonce(&c, nonce);
    close_both(&before, &c);
    open_both(&after, &later);
    assert_int_equal(try_answer(&later, &(struct answer){.nonce = nonce}), AUTH_STALE);
    close_both(&after, &later);
}

static void one_nonce_through_its_life(void **state)
{
    (void)state;
    static const struct {
        struct answer answer;
        enum auth_verdict verdict;
        const char *why;
    } row[] = {
        {{.password = "wunder"},              AUTH_REFUSED, "wrong"                             },
        {{0},                                 AUTH_OK,      "a wrong answer used nothing up"    },
        {{0},                                 AUTH_STALE,   "replayed"                          },
        {{.password = "wunder"},              AUTH_STALE,   "nor can passwords be tried with it"},
        {{.nc = "00000003"},                  AUTH_OK,      "higher"                            },
        {{.nc = "00000002"},                  AUTH_STALE,   "late"                              },
        {{.qop = NO, .nc = NO, .cnonce = NO}, AUTH_STALE,   "RFC 2069 takes fresh ones only"    },
    };
    struct world w;
    struct client c;
    char nonce[NONCE_TEXT + 1];
    open_both(&w, &c);
    take_nonce(&c, nonce);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct answer answer = row[i].answer;
        answer.nonce = nonce;
        if (try_answer(&c, &answer) != row[i].verdict)
            fail_msg("row %zu, %s: %s", i, row[i].why, c.result.cause);
    }
    take_nonce(&c, nonce);
    struct answer rfc2069 = {.nonce = nonce, .qop = NO, .nc = NO, .cnonce = NO};
    assert_int_equal(try_answer(&c, &rfc2069), AUTH_OK);
    assert_int_equal(try_answer(&c, &rfc2069), AUTH_STALE);
    assert_int_equal(try_answer(&c, &(struct answer){.nonce = nonce}), AUTH_STALE);
    close_both(&w, &c);
}

/* ---- Equal work ---------------------------------------------------------------------------- */

static unsigned hashes; /* begun since it was last set */

/* These take the place of the library's, which they call: the executable is searched first. */
int mbedtls_md5_starts(mbedtls_md5_context *context)
{
    static int (*real)(mbedtls_md5_context *);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, MBEDTLS_VERSION_MAJOR < 3 ? "mbedtls_md5_starts_ret"
                                                                     : "mbedtls_md5_starts");
    hashes++;
    return real(context);
}

int mbedtls_sha512_starts(mbedtls_sha512_context *context, int is384)
{
    static int (*real)(mbedtls_sha512_context *, int);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, MBEDTLS_VERSION_MAJOR < 3 ? "mbedtls_sha512_starts_ret"
                                                                     : "mbedtls_sha512_starts");
    hashes++;
    return real(context, is384);
}

static void all_refusals_cost_the_same(void **state)
{
    (void)state;
    static const struct {
        const char *user, *algorithm, *cause;
    } row[] = {
        {"alice",  "MD5",         "wrong password"                            },
        {"nobody", "MD5",         "unknown user"                              },
        {"bob",    "MD5",         "wrong password"                            },
        {"alice",  "SHA-512-256", "wrong password"                            },
        {"nobody", "SHA-512-256", "unknown user"                              },
        {"bob",    "SHA-512-256", "no HA1 of this algorithm in the users file"},
    };
    struct world w;
    struct client c;
    open_both(&w, &c);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char nonce[NONCE_TEXT + 1], text[1024];
        set_aor(&c, row[i].user, "example.com");
        take_nonce(&c, nonce);
        write_answer(&(struct answer){.nonce = nonce,
                                      .username = row[i].user,
                                      .algorithm = row[i].algorithm,
                                      .password = "wunder"},
                     text);
        hashes = 0;
        assert_int_equal(ask(&c, text, NULL), AUTH_REFUSED);
        assert_string_equal(c.result.cause, row[i].cause);
        assert_int_equal(hashes, 2); /* HA2 and the response */
    }
    close_both(&w, &c);
}

/* ---- Challenges ---------------------------------------------------------------------------- */

static void challenges_read_as_browsers_want(void **state)
{
    (void)state;
    static const struct {
        const char *realm, *written;
        bool is_stale;
        const char *end;
    } row[] = {
        {"example.com", "example.com",       false, "qop=\"auth\"\r\n"            },
        {"example.com", "example.com",       true,  "qop=\"auth\", stale=true\r\n"},
        {"a\"b\\c",     "a\\\"b\\\\c",       false, "qop=\"auth\"\r\n"            },
        {"\\\"\"a\\",   "\\\\\\\"\\\"a\\\\", false, "qop=\"auth\"\r\n"            },
    };
    struct world w;
    struct client c;
    open_both(&w, &c);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char memory[1024], expected[1024];
        struct buf b;
        buf_init_fixed(&b, memory, sizeof memory);
        c.request.realm = str_from(row[i].realm);
        auth_put_challenges(w.auth, &b, 0, &c.request, row[i].is_stale);
        buf_put_char(&b, '\0');
        assert_int_equal(b.error, 0);
        const char *nonce = strstr(memory, "nonce=\"") + strlen("nonce=\"");
        int n = snprintf(expected, sizeof expected,
                         "WWW-Authenticate: Digest realm=\"%s\", nonce=\"%.*s\", "
                         "algorithm=SHA-512-256, %s"
                         "WWW-Authenticate: Digest realm=\"%s\", nonce=\"%.*s\", "
                         "algorithm=MD5, %s",
                         row[i].written, NONCE_TEXT, nonce, row[i].end, row[i].written, NONCE_TEXT,
                         nonce, row[i].end);
        assert_true(n > 0 && (size_t)n < sizeof expected);
        assert_string_equal(memory, expected);
    }
    close_both(&w, &c);
}

static void no_room_is_an_error(void **state)
{
    (void)state;
    struct world w;
    struct client c;
    char memory[200];
    struct buf b;
    open_both(&w, &c);
    buf_init_fixed(&b, memory, sizeof memory);
    auth_put_challenges(w.auth, &b, 0, &c.request, false);
    assert_true(b.error < 0);
    close_both(&w, &c);
}

static void refuses_to_be_made_for_nobody(void **state)
{
    (void)state;
    assert_null(auth_new(0, 8 << 20));
    assert_null(auth_new(NONCE_MAX_WORKERS + 1, 8 << 20));
    auth_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_has_its_verdict),
        cmocka_unit_test(other_users_and_realms),
        cmocka_unit_test(picks_among_authorizations),
        cmocka_unit_test(stale_says_so),
        cmocka_unit_test(udp_nonces_belong_to_an_address),
        cmocka_unit_test(restart_is_stale),
        cmocka_unit_test(one_nonce_through_its_life),
        cmocka_unit_test(all_refusals_cost_the_same),
        cmocka_unit_test(challenges_read_as_browsers_want),
        cmocka_unit_test(no_room_is_an_error),
        cmocka_unit_test(refuses_to_be_made_for_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
