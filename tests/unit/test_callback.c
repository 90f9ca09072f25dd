/* Who gets as far as the callback, and what becomes of its answers. */
#include "unit/auth_world.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define USERS "{\"alice@example.com\":{\"password\":\"wonder\"}}"
#define SAYS_OK "{\"status\":\"ok\"}"
#define SAYS_FAIL "{\"status\":\"fail\"}"

static void open_both(struct world *w, struct client *c, struct http_answer answer)
{
    world_open(w, NULL, true);
    client_open(c, w);
    fake.answer = answer;
}

static void close_both(struct world *w, struct client *c)
{
    client_close(c);
    world_close(w);
}

/* ---- One question, one answer --------------------------------------------------------------- */

static void answers_become_results(void **state)
{
    (void)state;
    static const struct {
        const char *json; /* NULL: an outage */
        enum auth_verdict verdict;
        uint32_t expires_limit_s;
        int64_t ban_s;
        const char *grant, *message;
    } row[] = {
        {SAYS_OK,                                                                    AUTH_OK,          0,  0,  "", ""     },
        {"{\"status\":\"ok\",\"expires\":60,\"msg\":\"hello\",\"call_hook\":\"x\"}", AUTH_OK,          60, 0,
         "{\"call_hook\":\"x\"}",                                                                                  "hello"},
        {"{\"status\":\"ok\",\"blacklist\":60}",                                     AUTH_OK,          0,  0,  "", ""     },
        {SAYS_FAIL,                                                                  AUTH_REFUSED,     0,  0,  "", ""     },
        {"{\"status\":\"fail\",\"expires\":60,\"msg\":\"no\",\"x\":1}",              AUTH_REFUSED,     0,  0,  "",
         "no"                                                                                                             },
        {"{\"status\":\"fail\",\"blacklist\":60}",                                   AUTH_REFUSED,     0,  60, "", ""     },
        {"{\"status\":\"maybe\",\"blaclist\":-1}",                                   AUTH_REFUSED,     0,  -1, "", ""     },
        {"{\"msg\":\"no status\"}",                                                  AUTH_UNAVAILABLE, 0,  0,  "", ""     },
        {"",                                                                         AUTH_UNAVAILABLE, 0,  0,  "", ""     },
        {NULL,                                                                       AUTH_UNAVAILABLE, 0,  0,  "", ""     },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct world w;
        struct client c;
        open_both(&w, &c, row[i].json ? fake_json(row[i].json) : fake_error(-ETIMEDOUT));
        enum auth_verdict verdict = try_fresh(&c, "whatever");
        if (verdict != row[i].verdict || c.result.expires_limit_s != row[i].expires_limit_s ||
            c.result.ban_s != row[i].ban_s || strcmp(c.grant, row[i].grant) != 0 ||
            strcmp(c.message, row[i].message) != 0)
            fail_msg("row %zu: %d, %s", i, (int)verdict, c.result.cause);
        assert_int_equal(fake.count, 1);
        assert_true(c.result.was_asked);
        assert_true(c.result.has_decided == (verdict != AUTH_UNAVAILABLE));
        assert_false(c.result.is_source_away);
        if (verdict == AUTH_UNAVAILABLE)
            assert_in_range(c.result.retry_after_s, 5, 15);
        close_both(&w, &c);
    }
}

static void the_question_is_asked_whole(void **state)
{
    (void)state;
    struct world w;
    struct client c;
    char nonce[NONCE_TEXT + 1], expected[1024];
    open_both(&w, &c, fake_json(SAYS_OK));
    take_nonce(&c, nonce);
    assert_int_equal(try_answer(&c, &(struct answer){.nonce = nonce, .response = "abc"}), AUTH_OK);
    snprintf(expected, sizeof expected,
             "{\"method\":\"REGISTER\",\"expires\":3600,\"scheme\":\"digest\","
             "\"username\":\"alice\",\"realm\":\"example.com\",\"nonce\":\"%s\","
             "\"uri\":\"sip:example.com\",\"response\":\"abc\",\"qop\":\"auth\","
             "\"nc\":\"00000001\",\"cnonce\":\"0a4f113b\",\"algorithm\":\"MD5\","
             "\"aor\":\"alice@example.com\",\"contact\":null,\"source_address\":\"192.0.2.1\","
             "\"source_port\":5060,\"protocol\":\"wss\","
             "\"call_id\":\"r7vur4j32phhjbmskgi6gl\",\"user_agent\":\"\"}",
             nonce);
    assert_string_equal(fake.post[0].body, expected);
    close_both(&w, &c);
}

/* ---- What never reaches the customer's server ----------------------------------------------- */

static void only_what_is_worth_asking_is_asked(void **state)
{
    (void)state;
    static const struct {
        struct answer answer; /* to a fresh nonce, unless it brings one */
        bool is_foreign_allowed;
        enum auth_verdict verdict;
        unsigned asked;
        const char *why;
    } row[] = {
        {{0},                                           false, AUTH_OK,        1, "as it should be"                   },
        {{.algorithm = "SHA-512-256"},                  false, AUTH_OK,        1, "the other algorithm"               },
        {{.qop = NO, .nc = NO, .cnonce = NO},           false, AUTH_OK,        1, "RFC 2069"                          },
        {{.username = "alice@example.com"},             false, AUTH_OK,        1, "with its realm"                    },
        {{.username = "%61lice"},                       false, AUTH_OK,        1, "the same user, for others to judge"},
        {{.nonce = "NjkyMWE0ZjM6MDAwMQ=="},             false, AUTH_CHALLENGE, 0, "not a nonce of ours"               },
        {{.realm = "example.org"},                      false, AUTH_CHALLENGE, 0, "for another realm"                 },
        {{.algorithm = "SHA-256"},                      false, AUTH_CHALLENGE, 0, "an algorithm not offered"          },
        {{.nc = "1"},                                   false, AUTH_MALFORMED, 0, "nc"                                },
        {{.response = ""},                              false, AUTH_MALFORMED, 0, "no response"                       },
        {{.uri = "sip:example.org"},                    false, AUTH_REFUSED,   0, "an answer for another server"      },
        {{.username = "bob"},                           false, AUTH_REFUSED,   0, "somebody else"                     },
        {{.username = "bob"},                           true,  AUTH_OK,        1, "allowed: the callback decides"     },
        {{.username = "bob", .realm = "example.org"},
         true,                                                 AUTH_CHALLENGE,
         0,                                                                       "but not of another realm"          },
        {{.username = "bob", .uri = "sip:example.org"},
         true,                                                 AUTH_REFUSED,
         0,                                                                       "nor for another server"            },
        {{.username = ""},                              true,  AUTH_MALFORMED, 0, "nor nobody"                        },
    };
    struct world w;
    struct client c;
    open_both(&w, &c, fake_json(SAYS_OK));
    struct realm foreign = *c.request.policy, own = foreign;
    foreign.allow_foreign_aor = true;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char nonce[NONCE_TEXT + 1];
        struct answer answer = row[i].answer;
        fake.count = 0;
        c.request.policy = row[i].is_foreign_allowed ? &foreign : &own;
        take_nonce(&c, nonce);
        answer.nonce = given(answer.nonce, nonce);
        if (try_answer(&c, &answer) != row[i].verdict || fake.count != row[i].asked)
            fail_msg("row %zu, %s: %s", i, row[i].why, c.result.cause);
        assert_int_equal(c.result.was_asked, row[i].asked > 0);
    }
    close_both(&w, &c);
}

static void nor_do_stale_ones_get_there(void **state)
{
    (void)state;
    struct world w;
    struct client c;
    char nonce[NONCE_TEXT + 1];
    open_both(&w, &c, fake_json(SAYS_OK));
    take_nonce(&c, nonce);
    c.request.now_ms += 301000;
    assert_int_equal(try_answer(&c, &(struct answer){.nonce = nonce}), AUTH_STALE);
    c.request.now_ms = NOW_MS;
    c.request.conn = 8;
    assert_int_equal(try_answer(&c, &(struct answer){.nonce = nonce}), AUTH_STALE);
    c.request.conn = 7;
    assert_int_equal(fake.count, 0);
    assert_int_equal(try_answer(&c, &(struct answer){.nonce = nonce}), AUTH_OK);
    assert_int_equal(try_answer(&c, &(struct answer){.nonce = nonce}), AUTH_STALE);
    assert_int_equal(fake.count, 1);
    assert_int_equal(ask(&c, NULL, NULL), AUTH_CHALLENGE);
    assert_int_equal(ask(&c, "Basic YWxpY2U6d29uZGVy", NULL), AUTH_CHALLENGE);
    assert_int_equal(fake.count, 1);
    close_both(&w, &c);
}

static void credentials_have_a_longest(void **state)
{
    (void)state;
    enum { LONG = 20000 };
    struct world w;
    struct client c;
    char nonce[NONCE_TEXT + 1], text[1024], value[LONG + 1024];
    open_both(&w, &c, fake_json(SAYS_OK));
    take_nonce(&c, nonce);
    int n = snprintf(value, sizeof value, "%s, opaque2=\"x\"",
                     write_answer(&(struct answer){.nonce = nonce}, text));
    char *opaque = strstr(value, "opaque=\"");
    memmove(opaque + LONG, opaque + 8, (size_t)(value + n + 1 - (opaque + 8)));
    memset(opaque + 8, 'o', LONG - 8);
    assert_int_equal(ask(&c, value, NULL), AUTH_MALFORMED);
    assert_int_equal(fake.count, 0);
    assert_int_equal(try_answer(&c, &(struct answer){.nonce = nonce}), AUTH_OK);
    close_both(&w, &c);
}

static void the_file_decides_for_whom_it_has(void **state)
{
    (void)state;
    static const struct {
        const char *user, *username, *password;
        bool is_foreign_allowed;
        enum auth_verdict verdict;
        unsigned asked;
    } row[] = {
        {"alice", "alice", "wonder", false, AUTH_OK,      0},
        {"alice", "alice", "wunder", false, AUTH_REFUSED, 0},
        {"bob",   "bob",   "any",    false, AUTH_OK,      1},
        {"bob",   "alice", "wonder", false, AUTH_REFUSED, 0},
        {"alice", "alice", "wonder", true,  AUTH_OK,      0},
        {"alice", "bob",   "any",    true,  AUTH_REFUSED, 0}, /* never for an AOR of the file */
        {"bob",   "alice", "wonder", true,  AUTH_OK,      1},
    };
    struct world w;
    struct client c;
    world_open(&w, USERS, true);
    client_open(&c, &w);
    fake.answer = fake_json(SAYS_OK);
    struct realm policy = *c.request.policy;
    c.request.policy = &policy;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char nonce[NONCE_TEXT + 1];
        fake.count = 0;
        policy.allow_foreign_aor = row[i].is_foreign_allowed;
        set_aor(&c, row[i].user, "example.com");
        take_nonce(&c, nonce);
        struct answer answer = {.nonce = nonce,
                                .username = row[i].username,
                                .password = row[i].password};
        if (try_answer(&c, &answer) != row[i].verdict || fake.count != row[i].asked)
            fail_msg("row %zu: %s", i, c.result.cause);
    }
    policy.callback = NULL; /* a file alone */
    policy.allow_foreign_aor = true;
    fake.count = 0;
    set_aor(&c, "alice", "example.com");
    char nonce[NONCE_TEXT + 1];
    take_nonce(&c, nonce);
    assert_int_equal(try_answer(&c, &(struct answer){.nonce = nonce, .username = "bob"}),
                     AUTH_REFUSED);
    assert_int_equal(fake.count, 0);
    close_both(&w, &c);
}

/* ---- While it takes its time ---------------------------------------------------------------- */

static void one_nonce_is_asked_about_once_at_a_time(void **state)
{
    (void)state;
    struct world w;
    struct client first, second, third;
    char nonce[NONCE_TEXT + 1], other[NONCE_TEXT + 1];
    open_both(&w, &first, fake_json(SAYS_OK));
    client_open(&second, &w);
    client_open(&third, &w);
    fake.is_deferred = true;
    take_nonce(&first, nonce);
    take_nonce(&first, other);

    begin_answer(&first, &(struct answer){.nonce = nonce});
    assert_int_equal(first.done, 0);
    assert_int_equal(try_answer(&second, &(struct answer){.nonce = nonce}), AUTH_UNAVAILABLE);
    assert_int_equal(second.result.retry_after_s, 1);
    assert_string_equal(second.result.cause, "the same credentials are being decided already");
    assert_false(second.result.was_asked);
    assert_int_equal(try_answer(&second, &(struct answer){.nonce = nonce, .nc = "00000002"}),
                     AUTH_UNAVAILABLE);                     /* whatever nc */
    begin_answer(&third, &(struct answer){.nonce = other}); /* others need not wait */
    assert_int_equal(third.done, 0);
    assert_int_equal(fake.count, 2);

    fake_give(0, fake_json(SAYS_FAIL));
    assert_int_equal(first.done, 1);
    assert_int_equal(first.result.verdict, AUTH_REFUSED);
    begin_answer(&second, &(struct answer){.nonce = nonce}); /* now it may, and nc is unused */
    fake_give(2, fake_error(-ETIMEDOUT));
    assert_int_equal(second.result.verdict, AUTH_UNAVAILABLE);
    begin_answer(&second, &(struct answer){.nonce = nonce});
    fake_give(3, fake_json(SAYS_OK));
    assert_int_equal(second.result.verdict, AUTH_OK);
    assert_int_equal(try_answer(&second, &(struct answer){.nonce = nonce}), AUTH_STALE);
    fake_give(1, fake_json(SAYS_OK));
    assert_int_equal(third.result.verdict, AUTH_OK);
    assert_int_equal(third.done, 1);
    client_close(&third);
    client_close(&second);
    close_both(&w, &first);
}

static void two_users_of_one_nonce_are_two(void **state)
{
    (void)state;
    struct world w;
    struct client alice, bob;
    char nonce[NONCE_TEXT + 1];
    open_both(&w, &alice, fake_json(SAYS_OK));
    client_open(&bob, &w);
    set_aor(&bob, "bob", "example.com");
    fake.is_deferred = true;
    take_nonce(&alice, nonce);
    begin_answer(&alice, &(struct answer){.nonce = nonce});
    begin_answer(&bob, &(struct answer){.nonce = nonce, .username = "bob"});
    assert_int_equal(fake.count, 2);
    fake_give(1, fake_json(SAYS_OK));
    fake_give(0, fake_json("{\"status\":\"ok\",\"expires\":60,\"x\":1}"));
    assert_int_equal(bob.result.verdict, AUTH_OK);
    assert_int_equal(alice.result.verdict, AUTH_STALE); /* bob was faster with that nc */
    assert_string_equal(alice.grant, "");
    assert_int_equal(alice.result.expires_limit_s, 0);
    client_close(&bob);
    close_both(&w, &alice);
}

static void closing_ends_what_waits(void **state)
{
    (void)state;
    struct world w;
    struct client c;
    char nonce[NONCE_TEXT + 1];
    open_both(&w, &c, fake_json(SAYS_OK));
    fake.is_deferred = true;
    take_nonce(&c, nonce);
    begin_answer(&c, &(struct answer){.nonce = nonce});
    assert_int_equal(c.done, 0);
    callback_lanes_free(w.lanes);
    assert_int_equal(c.done, 1);
    assert_int_equal(c.result.verdict, AUTH_UNAVAILABLE);

    w.lanes = callback_lanes_new(w.realms, NULL, 2); /* a reload, say */
    c.request.lanes = w.lanes;
    fake.is_deferred = false;
    assert_int_equal(try_answer(&c, &(struct answer){.nonce = nonce}), AUTH_OK);
    close_both(&w, &c);
}

/* ---- The breaker ---------------------------------------------------------------------------- */

static void an_outage_is_not_asked_into(void **state)
{
    (void)state;
    enum { SILENT, SAYS, BUSY };
    static const struct {
        int after_ms;
        int answer;
        enum auth_verdict verdict;
        bool is_asked, is_away;
        const char *why;
    } row[] = {
        {0,    SILENT, AUTH_UNAVAILABLE, true,  false, "one"                       },
        {0,    SILENT, AUTH_UNAVAILABLE, true,  false, "two"                       },
        {0,    SILENT, AUTH_UNAVAILABLE, true,  false, "three"                     },
        {0,    SILENT, AUTH_UNAVAILABLE, true,  false, "four"                      },
        {0,    SAYS,   AUTH_REFUSED,     true,  false, "a refusal is an answer"    },
        {0,    SILENT, AUTH_UNAVAILABLE, true,  false, "one again"                 },
        {0,    SILENT, AUTH_UNAVAILABLE, true,  false, "two"                       },
        {0,    BUSY,   AUTH_UNAVAILABLE, true,  false, "our own queue is no outage"},
        {0,    SILENT, AUTH_UNAVAILABLE, true,  false, "three"                     },
        {0,    SILENT, AUTH_UNAVAILABLE, true,  false, "four"                      },
        {0,    SILENT, AUTH_UNAVAILABLE, true,  true,  "five: it opens"            },
        {0,    SAYS,   AUTH_UNAVAILABLE, false, true,  "at once"                   },
        {1000, SAYS,   AUTH_UNAVAILABLE, false, true,
         "the answer took 10 ms: its second is not over"                           },
        {10,   SILENT, AUTH_UNAVAILABLE, true,  true,  "a probe"                   },
        {500,  SAYS,   AUTH_UNAVAILABLE, false, true,  "one a second"              },
        {500,  SAYS,   AUTH_REFUSED,     true,  false, "the next: it is back"      },
        {0,    SAYS,   AUTH_REFUSED,     true,  false, "for all"                   },
    };
    struct world w;
    struct client c;
    open_both(&w, &c, fake_json(SAYS_FAIL));
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        fake.count = 0;
        fake.answer = row[i].answer == SAYS     ? fake_json(SAYS_FAIL)
                      : row[i].answer == SILENT ? fake_error(-ETIMEDOUT)
                                                : fake_error(-ENOBUFS);
        c.request.now_ms += (uint64_t)row[i].after_ms;
        if (try_fresh(&c, "x") != row[i].verdict || (fake.count > 0) != row[i].is_asked ||
            c.result.is_source_away != row[i].is_away)
            fail_msg("row %zu, %s: %s", i, row[i].why, c.result.cause);
        assert_int_equal(c.result.was_asked, row[i].is_asked);
        if (c.result.verdict == AUTH_UNAVAILABLE)
            assert_in_range(c.result.retry_after_s, 5, 15);
    }
    close_both(&w, &c);
}

static bool say(const void *arg)
{
    return *(const bool *)arg;
}

static void a_long_queue_is_not_joined(void **state)
{
    (void)state;
    static const struct {
        uint32_t wait_ms; /* of 3000 */
        bool is_refresh;
        bool is_asked;
        const char *why;
    } row[] = {
        {0,     false, true,  "nobody waits"                             },
        {1500,  false, true,  "half of its time"                         },
        {1501,  false, false, "more than that"                           },
        {1501,  true,  true,  "who is registered already may"            },
        {2250,  true,  true,  "three quarters of its time"               },
        {2251,  true,  false, "there would be no time left for an answer"},
        {99999, true,  false, ""                                         },
        {1500,  false, true,  "better again"                             },
    };
    struct world w;
    struct client c;
    open_both(&w, &c, fake_json(SAYS_FAIL));
    c.request.is_refresh = say;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        fake.count = 0;
        fake.wait_ms = row[i].wait_ms;
        c.request.refresh_arg = &row[i].is_refresh;
        enum auth_verdict verdict = try_fresh(&c, "x");
        if ((fake.count > 0) != row[i].is_asked ||
            verdict != (row[i].is_asked ? AUTH_REFUSED : AUTH_UNAVAILABLE) ||
            c.result.is_source_busy == row[i].is_asked)
            fail_msg("row %zu, %s: %s", i, row[i].why, c.result.cause);
    }
    fake.answer = fake_error(-ENOBUFS); /* has waited in vain */
    assert_int_equal(try_fresh(&c, "x"), AUTH_UNAVAILABLE);
    assert_true(c.result.is_source_busy);
    fake.answer = fake_error(-ETIMEDOUT);
    assert_int_equal(try_fresh(&c, "x"), AUTH_UNAVAILABLE);
    assert_false(c.result.is_source_busy);
    close_both(&w, &c);
}

static void fleets_are_told_different_times(void **state)
{
    (void)state;
    struct world w;
    struct client c;
    unsigned seen = 0;
    open_both(&w, &c, fake_error(-ECONNREFUSED));
    for (int i = 0; i < 400; i++) {
        assert_int_equal(try_fresh(&c, "x"), AUTH_UNAVAILABLE);
        assert_in_range(c.result.retry_after_s, 5, 15);
        seen |= 1u << c.result.retry_after_s;
    }
    assert_int_equal(seen, 0xffe0); /* each of them */
    assert_int_equal(fake.count, 5);
    close_both(&w, &c);
}

/* ---- HA1s that were left with us ------------------------------------------------------------ */

/* {"status":"ok","ha1":…,"ttl":60,…} for alice's "wonder". */
static const char *says_keep(char text[512], enum digest_algorithm algorithm, const char *more)
{
    static const char *const names[] = {"ha1", "ha1-sha256", "ha1-sha512-256"};
    uint8_t ha1[DIGEST_MAX_BYTES];
    struct buf b;
    buf_init_fixed(&b, text, 512);
    digest_ha1(algorithm, STR("alice"), STR("example.com"), STR("wonder"), ha1);
    buf_printf(&b, "{\"status\":\"ok\",\"ttl\":60,\"%s\":\"", names[algorithm]);
    buf_put_hex(&b, ha1, digest_size(algorithm));
    buf_printf(&b, "\"%s}", more);
    buf_put_char(&b, '\0');
    assert_int_equal(b.error, 0);
    return text;
}

static void kept_ha1s_serve_for_their_time(void **state)
{
    (void)state;
    struct world w;
    struct client c;
    char text[512];
    open_both(&w, &c, fake_json(says_keep(text, DIGEST_MD5, ",\"expires\":90,\"hook\":1")));
    assert_int_equal(try_fresh(&c, "wonder"), AUTH_OK);
    assert_int_equal(fake.count, 1);
    fake.answer = fake_json(SAYS_FAIL); /* not asked, it makes no difference */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(try_fresh(&c, "wonder"), AUTH_OK);
        assert_false(c.result.was_asked);
        assert_int_equal(c.result.expires_limit_s, 90);
        assert_string_equal(c.grant, "{\"hook\":1}");
    }
    c.request.now_ms = NOW_MS + 60009; /* the answer took 10 ms */
    assert_int_equal(try_fresh(&c, "wonder"), AUTH_OK);
    assert_int_equal(fake.count, 1);
    c.request.now_ms = NOW_MS + 60010;
    assert_int_equal(try_fresh(&c, "wonder"), AUTH_REFUSED);
    assert_int_equal(fake.count, 2);
    close_both(&w, &c);
}

static void kept_ha1s_use_up_nonces(void **state)
{
    (void)state;
    struct world w;
    struct client c;
    char text[512], nonce[NONCE_TEXT + 1];
    open_both(&w, &c, fake_json(says_keep(text, DIGEST_MD5, "")));
    assert_int_equal(try_fresh(&c, "wonder"), AUTH_OK);
    take_nonce(&c, nonce);
    assert_int_equal(try_answer(&c, &(struct answer){.nonce = nonce}), AUTH_OK);
    assert_int_equal(try_answer(&c, &(struct answer){.nonce = nonce}), AUTH_STALE);
    assert_int_equal(fake.count, 1);
    close_both(&w, &c);
}

/* One request after the first, which left something with us. */
static void kept_ha1s_are_for_one_user_and_algorithm(void **state)
{
    (void)state;
    static const struct {
        const char *user, *username, *algorithm;
        bool is_asked;
        const char *why;
    } row[] = {
        {"alice", "alice",             "MD5",         false, "the same"         },
        {"alice", "alice@example.com", "MD5",         true,  "spelt differently"},
        {"alice", "alice",             "SHA-512-256", true,  "another algorithm"},
        {"bob",   "bob",               "MD5",         true,  "somebody else"    },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct world w;
        struct client c;
        char text[512], nonce[NONCE_TEXT + 1];
        open_both(&w, &c, fake_json(says_keep(text, DIGEST_MD5, "")));
        assert_int_equal(try_fresh(&c, "wonder"), AUTH_OK);
        fake.answer = fake_json(SAYS_OK);
        fake.count = 0;
        set_aor(&c, row[i].user, "example.com");
        take_nonce(&c, nonce);
        struct answer answer = {.nonce = nonce,
                                .username = row[i].username,
                                .algorithm = row[i].algorithm};
        assert_int_equal(try_answer(&c, &answer), AUTH_OK);
        if ((fake.count > 0) != row[i].is_asked)
            fail_msg("row %zu: %s", i, row[i].why);
        set_aor(&c, "alice", "example.com"); /* and it has spoilt nothing */
        fake.count = 0;
        assert_int_equal(try_fresh(&c, "wonder"), AUTH_OK);
        assert_int_equal(fake.count, 0);
        close_both(&w, &c);
    }
}

static void stronger_ones_are_kept_too(void **state)
{
    (void)state;
    struct world w;
    struct client c;
    char text[512], nonce[NONCE_TEXT + 1];
    open_both(&w, &c, fake_json(says_keep(text, DIGEST_SHA_512_256, "")));
    assert_int_equal(try_fresh(&c, "wonder"), AUTH_OK);
    fake.count = 0;
    take_nonce(&c, nonce);
    struct answer answer = {.nonce = nonce, .algorithm = "SHA-512-256"};
    assert_int_equal(try_answer(&c, &answer), AUTH_OK);
    assert_int_equal(fake.count, 0);
    close_both(&w, &c);
}

/* What a check that failed leads to; then the old password once more. */
static void a_failed_check_asks_again(void **state)
{
    (void)state;
    static const struct {
        const char *json; /* the answer to the wrong password; NULL: an outage */
        enum auth_verdict verdict;
        bool is_asked_after;
        const char *why;
    } row[] = {
        {SAYS_FAIL, AUTH_REFUSED,     true,  "wrong there too: forgotten"                    },
        {SAYS_OK,   AUTH_OK,          true,  "a new password: forgotten"                     },
        {NULL,      AUTH_UNAVAILABLE, false, "an outage decides nothing: what was kept stays"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct world w;
        struct client c;
        char text[512];
        open_both(&w, &c, fake_json(says_keep(text, DIGEST_MD5, "")));
        assert_int_equal(try_fresh(&c, "wonder"), AUTH_OK);
        fake.count = 0;
        fake.answer = row[i].json ? fake_json(row[i].json) : fake_error(-ETIMEDOUT);
        if (try_fresh(&c, "new") != row[i].verdict || fake.count != 1)
            fail_msg("row %zu, %s: %s", i, row[i].why, c.result.cause);
        fake.count = 0;
        fake.answer = fake_json(SAYS_OK);
        assert_int_equal(try_fresh(&c, "wonder"), AUTH_OK);
        if ((fake.count > 0) != row[i].is_asked_after)
            fail_msg("row %zu: %s", i, row[i].why);
        close_both(&w, &c);
    }
}

static void a_refusal_forgets(void **state)
{
    (void)state;
    struct world w;
    struct client c;
    char text[512], nonce[NONCE_TEXT + 1];
    open_both(&w, &c, fake_json(says_keep(text, DIGEST_MD5, "")));
    assert_int_equal(try_fresh(&c, "wonder"), AUTH_OK);
    fake.answer = fake_json(SAYS_FAIL); /* this user is blocked by now */
    take_nonce(&c, nonce);
    struct answer answer = {.nonce = nonce, .algorithm = "SHA-512-256"};
    assert_int_equal(try_answer(&c, &answer), AUTH_REFUSED);
    assert_int_equal(try_fresh(&c, "wonder"), AUTH_REFUSED);
    assert_int_equal(fake.count, 3);
    close_both(&w, &c);
}

static void kept_ha1s_serve_in_an_outage(void **state)
{
    (void)state;
    struct world w;
    struct client c;
    char text[512];
    open_both(&w, &c, fake_json(says_keep(text, DIGEST_MD5, "")));
    assert_int_equal(try_fresh(&c, "wonder"), AUTH_OK);
    fake.answer = fake_error(-ECONNREFUSED);
    for (int i = 0; i < 6; i++)
        assert_int_equal(try_fresh(&c, "wunder"), AUTH_UNAVAILABLE);
    assert_true(c.result.is_source_away);
    assert_int_equal(try_fresh(&c, "wonder"), AUTH_OK);
    assert_int_equal(fake.count, 6); /* five and the first */
    close_both(&w, &c);
}

/* ---- The log -------------------------------------------------------------------------------- */

/* What is printed from here to end_log(). */
static int begin_log(FILE *log)
{
    fflush(stderr);
    int before = dup(STDERR_FILENO);
    assert_true(before >= 0 && dup2(fileno(log), STDERR_FILENO) >= 0);
    return before;
}

static void end_log(FILE *log, int before, char text[8192])
{
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    close(before);
    rewind(log);
    text[fread(text, 1, 8191, log)] = '\0';
    fclose(log);
}

static void the_log_says_what_happened_and_no_secret(void **state)
{
    (void)state;
    static const char *const said[] = {
        "callback=http://127.0.0.1:9 why=\"the callback did not answer in time\"",
        "callback away",
        "callback back",
        "msg=\"no such user\"",
        "members=\"blacklist, msg\"",
    };
    struct world w;
    struct client c;
    char nonce[NONCE_TEXT + 1], text[8192];
    open_both(&w, &c, fake_error(-ETIMEDOUT));
    take_nonce(&c, nonce);
    struct answer answer = {.nonce = nonce, .response = "0123456789abcdef0123456789abcdef"};
    FILE *log = tmpfile();
    assert_non_null(log);
    int before = begin_log(log);
    for (int i = 0; i < 5; i++)
        try_answer(&c, &answer);
    c.request.now_ms += 2000;
    fake.answer = fake_json("{\"status\":\"fail\",\"msg\":\"no such user\"}");
    try_answer(&c, &answer);
    fake.answer = fake_json("{\"status\":\"fail\",\"msg\":1,\"blacklist\":\"1\"}");
    try_answer(&c, &answer);
    end_log(log, before, text);
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        if (!strstr(text, said[i]))
            fail_msg("%s is not in\n%s", said[i], text);
    assert_null(strstr(text, nonce));
    assert_null(strstr(text, answer.response));
    assert_null(strstr(text, "secret")); /* in the URI of the callback */
    close_both(&w, &c);
}

static void strangers_cannot_fill_the_log(void **state)
{
    (void)state;
    struct world w;
    struct client c;
    char text[8192];
    unsigned lines = 0;
    open_both(&w, &c, fake_json("{\"status\":\"fail\",\"msg\":\"no such user\"}"));
    FILE *log = tmpfile();
    assert_non_null(log);
    int before = begin_log(log);
    for (int i = 0; i < 1000; i++)
        try_fresh(&c, "x");
    end_log(log, before, text);
    for (const char *at = text; (at = strstr(at, "no such user")) != NULL; at++)
        lines++;
    assert_int_equal(lines, 10);
    close_both(&w, &c);
}

/* ---- Memory --------------------------------------------------------------------------------- */

static void too_little_memory_admits_nobody(void **state)
{
    (void)state;
    struct world w;
    struct client c;
    char text[512], nonce[NONCE_TEXT + 1];
    open_both(&w, &c, fake_json(says_keep(text, DIGEST_MD5, ",\"hook\":\"h\"")));
    unsigned admitted = 0;
    for (size_t bytes = 2048; bytes < 8192; bytes += 16) {
        arena_fini(&c.arena);
        assert_int_equal(arena_init(&c.arena, bytes, bytes), 0);
        take_nonce(&c, nonce);
        enum auth_verdict verdict = try_answer(&c, &(struct answer){.nonce = nonce});
        assert_true(verdict == AUTH_OK || verdict == AUTH_UNAVAILABLE);
        assert_true(verdict != AUTH_OK || strcmp(c.grant, "{\"hook\":\"h\"}") == 0);
        admitted += verdict == AUTH_OK;
    }
    assert_true(admitted > 0);
    close_both(&w, &c);
}

/* ---- Threads -------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 300 };

struct worker {
    struct world *w;
    char (*nonce)[NONCE_TEXT + 1]; /* the same for all */
    pthread_barrier_t *start;
    unsigned ok, stale, busy, other, refused;
    pthread_t thread;
};

/* Each worker answers the same challenges, with its own lanes; now and then one is refused, or its
 * server silent. */
static void *answer_all(void *arg)
{
    struct worker *worker = arg;
    struct client c;
    char keep[512];
    client_open(&c, worker->w);
    c.request.lanes = callback_lanes_new(worker->w->realms, NULL, THREADS);
    says_keep(keep, DIGEST_MD5, ",\"x\":1");
    pthread_barrier_wait(worker->start);
    for (unsigned i = 0; i < ROUNDS; i++) {
        fake.answer = i % 3 == 0   ? fake_json(SAYS_OK)
                      : i % 7 == 0 ? fake_error(-ETIMEDOUT)
                                   : fake_json(keep);
        fake.count = 0;
        c.request.now_ms = NOW_MS + i * 50;
        begin_answer(&c, &(struct answer){.nonce = worker->nonce[i],
                                          .password = i % 5 == 0 ? "wunder" : "wonder"});
        worker->ok += c.result.verdict == AUTH_OK;
        worker->stale += c.result.verdict == AUTH_STALE;
        worker->busy += c.result.verdict == AUTH_UNAVAILABLE;
        worker->other += c.done != 1;
    }
    callback_lanes_free((struct callback_lanes *)c.request.lanes);
    client_close(&c);
    return NULL;
}

static void of_equal_answers_one_is_right(void **state)
{
    (void)state;
    static char nonce[ROUNDS][NONCE_TEXT + 1];
    struct world w;
    struct client c;
    struct worker worker[THREADS];
    pthread_barrier_t start;
    open_both(&w, &c, fake_json(SAYS_OK));
    for (unsigned i = 0; i < ROUNDS; i++)
        take_nonce(&c, nonce[i]);
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        worker[i] = (struct worker){.w = &w, .nonce = nonce, .start = &start};
        assert_int_equal(pthread_create(&worker[i].thread, NULL, answer_all, &worker[i]), 0);
    }
    unsigned ok = 0, sum = 0, other = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(worker[i].thread, NULL);
        ok += worker[i].ok;
        sum += worker[i].ok + worker[i].stale + worker[i].busy;
        other += worker[i].other;
    }
    pthread_barrier_destroy(&start);
    assert_int_equal(other, 0);
    assert_int_equal(sum, THREADS * ROUNDS);
    assert_in_range(ok, 1, ROUNDS);     /* no nonce twice */
    c.request.now_ms = NOW_MS + 100000; /* nothing is kept any more, and the callback is probed */
    for (unsigned i = 0; i < ROUNDS; i++) { /* and none of the used ones ever again */
        fake.count = 0;
        fake.answer = fake_json(SAYS_OK);
        enum auth_verdict verdict = try_answer(&c, &(struct answer){.nonce = nonce[i]});
        ok += verdict == AUTH_OK;
    }
    assert_int_equal(ok, ROUNDS);
    close_both(&w, &c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_become_results),
        cmocka_unit_test(the_question_is_asked_whole),
        cmocka_unit_test(only_what_is_worth_asking_is_asked),
        cmocka_unit_test(nor_do_stale_ones_get_there),
        cmocka_unit_test(credentials_have_a_longest),
        cmocka_unit_test(the_file_decides_for_whom_it_has),
        cmocka_unit_test(one_nonce_is_asked_about_once_at_a_time),
        cmocka_unit_test(two_users_of_one_nonce_are_two),
        cmocka_unit_test(closing_ends_what_waits),
        cmocka_unit_test(an_outage_is_not_asked_into),
        cmocka_unit_test(a_long_queue_is_not_joined),
        cmocka_unit_test(fleets_are_told_different_times),
        cmocka_unit_test(kept_ha1s_serve_for_their_time),
        cmocka_unit_test(kept_ha1s_use_up_nonces),
        cmocka_unit_test(kept_ha1s_are_for_one_user_and_algorithm),
        cmocka_unit_test(stronger_ones_are_kept_too),
        cmocka_unit_test(a_failed_check_asks_again),
        cmocka_unit_test(a_refusal_forgets),
        cmocka_unit_test(kept_ha1s_serve_in_an_outage),
        cmocka_unit_test(the_log_says_what_happened_and_no_secret),
        cmocka_unit_test(strangers_cannot_fill_the_log),
        cmocka_unit_test(too_little_memory_admits_nobody),
        cmocka_unit_test(of_equal_answers_one_is_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
