#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/digest_internal.h"
#include <mbedtls_compat.h>
#include "auth/nonce_internal.h"
#include <aorta/auth.h>
#include <ctype.h>
#include <dlfcn.h>
#include <stdio.h>

#define NOW_MS UINT64_C(1800000000000)
#define NO "-" /* this parameter is left out */

/* ---- A server and one who asks it ---------------------------------------------------------- */

struct world {
    struct config config;
    struct users *users;
    struct auth *auth;
    struct arena arena;
    struct sip_request sip;
    struct auth_request request;
    struct str own_host[2];
    struct auth_result result;
    unsigned done; /* how often the answer came */
};

#define BOBS_HA1 "cd3f0acc90f1ea0b4a8a9b1c6c5a9e1d" /* of nothing in particular */
static const char users_json[] = "{\"alice@example.com\":{\"password\":\"wonder\"},"
                                 "\"bob@example.com\":{\"ha1\":\"" BOBS_HA1 "\"},"
                                 "\"zo%C3%AB@example.com\":{\"password\":\"wonder\"},"
                                 "\"alice@[2001:db8::1]\":{\"password\":\"wonder\"}}";

static void set_aor(struct world *w, const char *user, const char *host)
{
    static char aor[128], uri[128];
    snprintf(aor, sizeof aor, "%s@%s", user, host);
    snprintf(uri, sizeof uri, "sip:%s", host);
    w->request.aor = str_from(aor);
    w->request.realm = str_slice(w->request.aor, strlen(user) + 1, w->request.aor.len);
    assert_int_equal(sip_uri_parse(str_from(uri), &w->sip.request_uri), SIP_URI_OK);
}

static void world_open(struct world *w)
{
    char memory[256];
    struct buf errors;
    buf_init_fixed(&errors, memory, sizeof memory);
    memset(w, 0, sizeof *w);
    w->config.algorithms[0] = DIGEST_SHA_512_256;
    w->config.algorithms[1] = DIGEST_MD5;
    w->config.algorithm_count = 2;
    w->config.nonce_ttl_s = 300;
    assert_int_equal(users_parse("u", str_from(users_json), &w->users, &errors), 0);
    w->auth = auth_new(&w->config, w->users, 2);
    assert_non_null(w->auth);
    assert_int_equal(arena_init(&w->arena, 4096, 65536), 0);
    w->own_host[0] = STR("sip.example.net");
    w->own_host[1] = STR("2001:db8::5");
    w->sip.method_text = STR("REGISTER");
    w->request.sip = &w->sip;
    w->request.protocol = TRANSPORT_WSS;
    w->request.conn = 7;
    w->request.own_hosts = w->own_host;
    w->request.own_host_count = 2;
    w->request.now_ms = NOW_MS;
    assert_int_equal(net_address_parse(&w->request.source, STR("192.0.2.1"), 5060), 0);
    set_aor(w, "alice", "example.com");
}

static void world_close(struct world *w)
{
    auth_free(w->auth);
    users_free(w->users);
    arena_fini(&w->arena);
}

static void take_nonce(struct world *w, char nonce[NONCE_TEXT + 1])
{
    char memory[1024];
    struct buf b;
    buf_init_fixed(&b, memory, sizeof memory);
    auth_put_challenges(w->auth, &b, 1, &w->request, false);
    buf_put_char(&b, '\0');
    assert_int_equal(b.error, 0);
    const char *at = strstr(memory, "nonce=\"");
    assert_non_null(at);
    memcpy(nonce, at + strlen("nonce=\""), NONCE_TEXT);
    nonce[NONCE_TEXT] = '\0';
}

static void on_checked(void *arg, const struct auth_result *result)
{
    struct world *w = arg;
    w->result = *result;
    w->done++;
}

/* One request with these Authorization values; NULL ends them. */
static enum auth_verdict ask(struct world *w, const char *first, const char *second)
{
    w->sip.authorization_count = 0;
    if (first != NULL)
        w->sip.authorizations[w->sip.authorization_count++] = str_from(first);
    if (second != NULL)
        w->sip.authorizations[w->sip.authorization_count++] = str_from(second);
    w->done = 0;
    auth_check(w->auth, &w->request, &w->arena, on_checked, w);
    assert_int_equal(w->done, 1);
    assert_non_null(w->result.cause);
    arena_reset(&w->arena);
    return w->result.verdict;
}

/* What a client sends; NULL stands for what a good one would send. */
struct answer {
    const char *username, *realm, *nonce, *uri, *qop, *nc, *cnonce, *algorithm;
    const char *password;
    bool is_upper_case; /* the response */
};

static const char *given(const char *value, const char *usual)
{
    return value == NULL ? usual : value;
}

static struct str hashed(const char *value, const char *usual)
{
    const char *text = given(value, usual);
    return strcmp(text, NO) == 0 ? STR_NONE : str_from(text);
}

static void put_response(struct buf *b, const struct answer *a)
{
    enum digest_algorithm algorithm = DIGEST_MD5;
    (void)digest_parse_name(str_from(given(a->algorithm, "MD5")), &algorithm);
    struct digest_question question = {
        .method = STR("REGISTER"),
        .uri = hashed(a->uri, "sip:example.com"),
        .nonce = hashed(a->nonce, ""),
        .nc = hashed(a->nc, "00000001"),
        .cnonce = hashed(a->cnonce, "0a4f113b"),
        .qop = hashed(a->qop, "auth"),
    };
    uint8_t ha1[DIGEST_MAX_BYTES], response[DIGEST_MAX_BYTES];
    digest_ha1(algorithm, hashed(a->username, "alice"), hashed(a->realm, "example.com"),
               hashed(a->password, "wonder"), ha1);
    digest_response(algorithm, ha1, &question, response);
    buf_put_text(b, ", response=\"");
    size_t from = b->len;
    buf_put_hex(b, response, digest_size(algorithm));
    for (size_t i = from; a->is_upper_case && i < b->len; i++)
        b->data[i] = (char)toupper((unsigned char)b->data[i]);
    buf_put_char(b, '"');
}

static void put_param(struct buf *b, const char *name, const char *value, bool is_quoted)
{
    if (strcmp(value, NO) == 0)
        return;
    buf_printf(b, is_quoted ? ", %s=\"%s\"" : ", %s=%s", name, value);
}

static const char *write_answer(const struct answer *a, char text[1024])
{
    struct buf b;
    buf_init_fixed(&b, text, 1024);
    buf_put_text(&b, "Digest opaque=\"\"");
    put_param(&b, "username", given(a->username, "alice"), true);
    put_param(&b, "realm", given(a->realm, "example.com"), true);
    put_param(&b, "nonce", given(a->nonce, ""), true);
    put_param(&b, "uri", given(a->uri, "sip:example.com"), true);
    put_response(&b, a);
    put_param(&b, "algorithm", given(a->algorithm, "MD5"), false);
    put_param(&b, "cnonce", given(a->cnonce, "0a4f113b"), true);
    put_param(&b, "qop", given(a->qop, "auth"), false);
    put_param(&b, "nc", given(a->nc, "00000001"), false);
    buf_put_char(&b, '\0');
    assert_int_equal(b.error, 0);
    return text;
}

static enum auth_verdict try_answer(struct world *w, const struct answer *a)
{
    char text[1024];
    return ask(w, write_answer(a, text), NULL);
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
    world_open(&w);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char nonce[NONCE_TEXT + 1];
        struct answer answer = row[i].answer;
        take_nonce(&w, nonce);
        answer.nonce = given(answer.nonce, nonce);
        if (try_answer(&w, &answer) != row[i].verdict)
            fail_msg("row %zu, %s: %d, %s", i, row[i].why, (int)w.result.verdict, w.result.cause);
    }
    world_close(&w);
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
    world_open(&w);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char nonce[NONCE_TEXT + 1], uri[64];
        set_aor(&w, row[i].user, row[i].host);
        take_nonce(&w, nonce);
        snprintf(uri, sizeof uri, "sip:%s", row[i].host);
        struct answer answer = {.username = row[i].username,
                                .realm = row[i].host,
                                .nonce = nonce,
                                .uri = uri,
                                .algorithm = row[i].algorithm};
        if (try_answer(&w, &answer) != row[i].verdict)
            fail_msg("row %zu, %s: %d, %s", i, row[i].why, (int)w.result.verdict, w.result.cause);
    }
    world_close(&w);
}

static void picks_among_authorizations(void **state)
{
    (void)state;
    struct world w;
    char nonce[NONCE_TEXT + 1], good[1024], foreign[1024];
    world_open(&w);
    take_nonce(&w, nonce);
    write_answer(&(struct answer){.nonce = nonce}, good);
    write_answer(&(struct answer){.nonce = nonce, .realm = "proxy.example.org"}, foreign);

    assert_int_equal(ask(&w, NULL, NULL), AUTH_CHALLENGE);
    assert_int_equal(ask(&w, "Basic YWxpY2U6d29uZGVy", NULL), AUTH_CHALLENGE);
    assert_int_equal(ask(&w, "Bearer abc.def.ghi", foreign), AUTH_CHALLENGE);
    assert_int_equal(ask(&w, "Digest realm=\"example.com", NULL), AUTH_MALFORMED);
    assert_int_equal(ask(&w, foreign, good), AUTH_OK);
    world_close(&w);
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
        char nonce[NONCE_TEXT + 1];
        world_open(&w);
        take_nonce(&w, nonce);
        w.request.protocol = row[i].protocol;
        w.request.conn = row[i].conn;
        w.request.now_ms += (uint64_t)row[i].after_ms;
        assert_int_equal(net_address_parse(&w.request.source, str_from(row[i].ip), 1), 0);
        if (try_answer(&w, &(struct answer){.nonce = nonce}) != row[i].verdict)
            fail_msg("row %zu, %s: %s", i, row[i].why, w.result.cause);
        if (row[i].verdict == AUTH_STALE && /* says nothing about the password */
            try_answer(&w, &(struct answer){.nonce = nonce, .password = "wunder"}) != AUTH_STALE)
            fail_msg("row %zu: a wrong answer to it", i);
        world_close(&w);
    }
}

static void udp_nonces_belong_to_an_address(void **state)
{
    (void)state;
    struct world w;
    char nonce[NONCE_TEXT + 1];
    world_open(&w);
    w.request.protocol = TRANSPORT_UDP;
    w.request.conn = 0;
    take_nonce(&w, nonce);
    assert_int_equal(net_address_parse(&w.request.source, STR("192.0.2.1"), 40000), 0);
    assert_int_equal(try_answer(&w, &(struct answer){.nonce = nonce}), AUTH_OK);
    assert_int_equal(net_address_parse(&w.request.source, STR("192.0.2.2"), 5060), 0);
    assert_int_equal(try_answer(&w, &(struct answer){.nonce = nonce, .nc = "00000002"}),
                     AUTH_STALE);
    world_close(&w);
}

static void restart_is_stale(void **state)
{
    (void)state;
    struct world before, after;
    char nonce[NONCE_TEXT + 1];
    world_open(&before);
    take_nonce(&before, nonce);
    world_close(&before);
    world_open(&after);
    assert_int_equal(try_answer(&after, &(struct answer){.nonce = nonce}), AUTH_STALE);
    world_close(&after);
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
    char nonce[NONCE_TEXT + 1];
    world_open(&w);
    take_nonce(&w, nonce);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct answer answer = row[i].answer;
        answer.nonce = nonce;
        if (try_answer(&w, &answer) != row[i].verdict)
            fail_msg("row %zu, %s: %s", i, row[i].why, w.result.cause);
    }
    take_nonce(&w, nonce);
    struct answer rfc2069 = {.nonce = nonce, .qop = NO, .nc = NO, .cnonce = NO};
    assert_int_equal(try_answer(&w, &rfc2069), AUTH_OK);
    assert_int_equal(try_answer(&w, &rfc2069), AUTH_STALE);
    assert_int_equal(try_answer(&w, &(struct answer){.nonce = nonce}), AUTH_STALE);
    world_close(&w);
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
    world_open(&w);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char nonce[NONCE_TEXT + 1], text[1024];
        set_aor(&w, row[i].user, "example.com");
        take_nonce(&w, nonce);
        write_answer(&(struct answer){.nonce = nonce,
                                      .username = row[i].user,
                                      .algorithm = row[i].algorithm,
                                      .password = "wunder"},
                     text);
        hashes = 0;
        assert_int_equal(ask(&w, text, NULL), AUTH_REFUSED);
        assert_string_equal(w.result.cause, row[i].cause);
        assert_int_equal(hashes, 2); /* HA2 and the response */
    }
    world_close(&w);
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
        {"example.com", "example.com", false, "qop=\"auth\"\r\n"            },
        {"example.com", "example.com", true,  "qop=\"auth\", stale=true\r\n"},
        {"a\"b\\c",     "a\\\"b\\\\c", false, "qop=\"auth\"\r\n"            },
    };
    struct world w;
    world_open(&w);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char memory[1024], expected[1024];
        struct buf b;
        buf_init_fixed(&b, memory, sizeof memory);
        w.request.realm = str_from(row[i].realm);
        auth_put_challenges(w.auth, &b, 0, &w.request, row[i].is_stale);
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
    world_close(&w);
}

static void no_room_is_an_error(void **state)
{
    (void)state;
    struct world w;
    char memory[200];
    struct buf b;
    world_open(&w);
    buf_init_fixed(&b, memory, sizeof memory);
    auth_put_challenges(w.auth, &b, 0, &w.request, false);
    assert_true(b.error < 0);
    world_close(&w);
}

static void refuses_to_be_made_for_nobody(void **state)
{
    (void)state;
    struct config config = {.nonce_ttl_s = 300};
    assert_null(auth_new(&config, NULL, 0));
    assert_null(auth_new(&config, NULL, NONCE_MAX_WORKERS + 1));
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
