/* The body of the callback's request, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/callback_internal.h"
#include <aorta/json_text.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

enum { ARENA_BYTES = 1 << 20 };

/* The question about the first credentials of a whole message. */
static void put_question(struct str message, enum transport_kind protocol, const char *ip,
                         struct buf *b)
{
    static const struct config config = {.default_expires_s = 1234};
    struct arena arena;
    struct sip_request sip;
    struct sip_fault fault;
    struct sip_credentials sent;
    assert_int_equal(arena_init(&arena, 4096, ARENA_BYTES), 0);
    if (!sip_parse(message, &arena, &sip, &fault))
        fail_msg("%s", fault.reason);
    assert_true(sip.authorization_count > 0);
    assert_int_equal(sip_credentials_parse(sip.authorizations[0], &arena, &sent), 0);
    struct auth_request request = {.config = &config,
                                   .sip = &sip,
                                   .aor = STR("alice@example.com"),
                                   .protocol = protocol};
    assert_int_equal(net_address_parse(&request.source, str_from(ip), 40123), 0);
    callback_put_question(b, &request, &sent);
    arena_fini(&arena);
}

static void check(const char *why, struct str message, enum transport_kind protocol, const char *ip,
                  const char *expected)
{
    char memory[8192];
    struct buf b;
    buf_init_fixed(&b, memory, sizeof memory - 1);
    put_question(message, protocol, ip, &b);
    assert_int_equal(b.error, 0);
    memory[b.len] = '\0';
    if (strcmp(memory, expected) != 0)
        fail_msg("%s:\n%s\ninstead of\n%s", why, memory, expected);
    struct json_position where;
    const char *what;
    struct cJSON *json = json_text_parse(buf_str(&b), &where, &what);
    assert_non_null(json);
    cJSON_Delete(json);
}

/* ---- Real clients --------------------------------------------------------------------------- */

static void messages_of_browsers(void **state)
{
    (void)state;
    static const struct {
        const char *file, *body;
    } row[] = {
        {"jssip_authorized",
         "{\"method\":\"REGISTER\",\"expires\":600,\"scheme\":\"digest\",\"username\":\"alice\","
         "\"realm\":\"example.com\",\"nonce\":\"NjkyMWE0ZjM6MDAwMQ==\","
         "\"uri\":\"sip:example.com\",\"response\":\"0bd8f0b7d4dc2cf1d1b1dc9a17f7b3e2\","
         "\"qop\":\"auth\",\"nc\":\"00000001\",\"cnonce\":\"p1trkaepc4t0\",\"algorithm\":\"MD5\","
         "\"aor\":\"alice@example.com\","
         "\"contact\":\"sip:bkak02q3@v1h6o7bavf7m.invalid;transport=ws\","
         "\"source_address\":\"192.0.2.1\",\"source_port\":40123,\"protocol\":\"wss\","
         "\"call_id\":\"r7vur4j32phhjbmskgi6gl\",\"user_agent\":\"JsSIP 3.13.8\"}"},
        {"sipjs_unregister",
         "{\"method\":\"REGISTER\",\"expires\":0,\"scheme\":\"digest\",\"username\":\"alice\","
         "\"realm\":\"example.com\",\"nonce\":\"NjkyMWE0ZjM6MDAwMg==\","
         "\"uri\":\"sip:example.com\",\"response\":\"e6f1b0ae1e1bd0cd0a8b1b4c4b6ea0f9\","
         "\"qop\":\"auth\",\"nc\":\"00000001\",\"cnonce\":\"bd5c6ce1a2f7\",\"algorithm\":\"MD5\","
         "\"aor\":\"alice@example.com\","
         "\"contact\":\"sip:pme3ooro@8a6j4cbq0u5t.invalid;transport=ws\","
         "\"source_address\":\"192.0.2.1\",\"source_port\":40123,\"protocol\":\"wss\","
         "\"call_id\":\"l6rib5klblracckmdrep\",\"user_agent\":\"SIP.js/0.21.2\"}" },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char file[512];
        struct str message;
        snprintf(file, sizeof file, SIP_FILES "/%s.sip", row[i].file);
        assert_int_equal(json_text_read_file(file, 65536, &message), 0);
        check(row[i].file, message, TRANSPORT_WSS, "192.0.2.1", row[i].body);
        free((char *)message.ptr);
    }
}

/* ---- Credentials in odd writing ------------------------------------------------------------- */

#define HEAD                                            \
    "REGISTER sip:example.com SIP/2.0\r\n"              \
    "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK-1\r\n"   \
    "From: <sip:alice@example.com>;tag=1\r\n"           \
    "To: <sip:alice@example.com>\r\n"                   \
    "Call-ID: 1-4711@127.0.0.1\r\nCSeq: 2 REGISTER\r\n" \
    "Max-Forwards: 70\r\n"
#define CONTACT "Contact: <sip:alice@192.0.2.1:5061>\r\n"
#define END "Content-Length: 0\r\n\r\n"

#define BEFORE(expires) "{\"method\":\"REGISTER\",\"expires\":" expires ",\"scheme\":\"digest\","
#define AFTER_AOR                                                                    \
    "\"aor\":\"alice@example.com\",\"contact\":\"sip:alice@192.0.2.1:5061\","        \
    "\"source_address\":\"2001:db8::7\",\"source_port\":40123,\"protocol\":\"udp\"," \
    "\"call_id\":\"1-4711@127.0.0.1\",\"user_agent\":\"\"}"

static void credentials_in_odd_writing(void **state)
{
    (void)state;
    static const struct {
        const char *why, *authorization, *digest; /* their members */
    } row[] = {
        {"as sipp writes them",
         "Digest username=\"alice\",realm=\"example.com\",cnonce=\"6b8b4567\",nc=00000001,"
         "qop=auth,uri=\"sip:127.0.0.1:5060\",nonce=\"n1\",response=\"r1\",algorithm=MD5", "\"username\":\"alice\",\"realm\":\"example.com\",\"nonce\":\"n1\","
         "\"uri\":\"sip:127.0.0.1:5060\",\"response\":\"r1\",\"qop\":\"auth\",\"nc\":\"00000001\","
         "\"cnonce\":\"6b8b4567\",\"algorithm\":\"MD5\","                              },
        {"RFC 2069: no qop, no algorithm",
         "Digest username=\"alice\", realm=\"example.com\", nonce=\"n1\", uri=\"sip:example.com\", "
         "response=\"r1\"",                                                                "\"username\":\"alice\",\"realm\":\"example.com\",\"nonce\":\"n1\","
         "\"uri\":\"sip:example.com\",\"response\":\"r1\",\"algorithm\":\"MD5\","                                                                     },
        {"no qop, so nc and cnonce mean nothing",
         "Digest username=\"alice\", realm=\"example.com\", nonce=\"n1\", uri=\"sip:example.com\", "
         "response=\"r1\", nc=00000001, cnonce=\"c\"",                                     "\"username\":\"alice\",\"realm\":\"example.com\",\"nonce\":\"n1\","
         "\"uri\":\"sip:example.com\",\"response\":\"r1\",\"algorithm\":\"MD5\","                                          },
        {"commas and escapes in quotes, names in any case, spaces round =, algorithm unquoted and "
         "last",                                   "digest Username = \"a,b \\\"c\\\" \\\\d\" , REALM=\"example.com\",nonce=\"a=b,c\", "
         "uri=\"sip:example.com;x=1,2\", response=\"r1\",opaque=\"o\\\"1\",cnonce=\"c\", "
         "nc=00000002, qop=\"auth\", algorithm=SHA-256",          "\"username\":\"a,b \\\"c\\\" \\\\d\",\"realm\":\"example.com\",\"nonce\":\"a=b,c\","
         "\"uri\":\"sip:example.com;x=1,2\",\"response\":\"r1\",\"qop\":\"auth\","
         "\"nc\":\"00000002\",\"cnonce\":\"c\",\"algorithm\":\"SHA-256\",\"opaque\":\"o\\\"1\","},
        {"an empty opaque, an algorithm as it was written",
         "Digest username=\"alice\",realm=\"example.com\",nonce=\"n1\",uri=\"sip:example.com\","
         "response=\"r1\",opaque=\"\",algorithm=\"md5\"",                                  "\"username\":\"alice\",\"realm\":\"example.com\",\"nonce\":\"n1\","
         "\"uri\":\"sip:example.com\",\"response\":\"r1\",\"algorithm\":\"md5\","                                       },
        {"UTF-8, and what is none",
         "Digest username=\"zo\xc3\xab \xff\",realm=\"example.com\",nonce=\"n1\","
         "uri=\"sip:example.com\",response=\"r1\"",                                        "\"username\":\"zo\xc3\xab \xef\xbf\xbd\",\"realm\":\"example.com\",\"nonce\":\"n1\","
         "\"uri\":\"sip:example.com\",\"response\":\"r1\",\"algorithm\":\"MD5\","                                             },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char message[2048], expected[2048];
        snprintf(message, sizeof message, HEAD CONTACT "Authorization: %s\r\n" END,
                 row[i].authorization);
        snprintf(expected, sizeof expected, BEFORE("1234") "%s" AFTER_AOR, row[i].digest);
        check(row[i].why, str_from(message), TRANSPORT_UDP, "2001:db8::7", expected);
    }
}

/* ---- What is asked for ---------------------------------------------------------------------- */

static void expires_and_contact(void **state)
{
    (void)state;
    static const struct {
        const char *why, *headers, *expires, *contact;
    } row[] = {
        {"nothing said",              CONTACT,                                                 "1234",       "\"sip:alice@192.0.2.1:5061\""},
        {"a header",                  CONTACT "Expires: 60\r\n",                               "60",         "\"sip:alice@192.0.2.1:5061\""},
        {"its parameter comes first", "Contact: <sip:a@h>;expires=7\r\nExpires: 60\r\n",       "7",
         "\"sip:a@h\""                                                                                                                     },
        {"of several, the first",     "Contact: <sip:a@h>, <sip:b@h>;expires=7\r\n",           "1234",
         "\"sip:a@h\""                                                                                                                     },
        {"removal of one",            "Contact: <sip:a@h>;expires=0\r\n",                      "0",          "\"sip:a@h\""                 },
        {"removal of all",            "Contact: *\r\nExpires: 0\r\n",                          "0",          "\"*\""                       },
        {"removal of all, badly",     "Contact: *\r\n",                                        "0",          "\"*\""                       },
        {"a question only",           "",                                                      "1234",       "null"                        },
        {"a question with a header",  "Expires: 60\r\n",                                       "60",         "null"                        },
        {"as much as can be",         "Contact: <sip:a@h>;expires=4294967295\r\n",             "4294967295",
         "\"sip:a@h\""                                                                                                                     },
        {"URIs byte for byte",        "Contact: \"A\" <sip:%61;x=y@H:1;transport=ws?s=1>\r\n", "1234",
         "\"sip:%61;x=y@H:1;transport=ws?s=1\""                                                                                            },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char message[2048], expected[2048];
        snprintf(message, sizeof message,
                 HEAD "%sAuthorization: Digest username=\"alice\",realm=\"example.com\","
                      "nonce=\"n1\",uri=\"sip:example.com\",response=\"r1\"\r\n"
                      "User-Agent: a \"phone\"\r\n" END,
                 row[i].headers);
        snprintf(expected, sizeof expected,
                 BEFORE("%s") "\"username\":\"alice\",\"realm\":\"example.com\",\"nonce\":\"n1\","
                              "\"uri\":\"sip:example.com\",\"response\":\"r1\","
                              "\"algorithm\":\"MD5\",\"aor\":\"alice@example.com\",\"contact\":%s,"
                              "\"source_address\":\"192.0.2.1\",\"source_port\":40123,"
                              "\"protocol\":\"tls\",\"call_id\":\"1-4711@127.0.0.1\","
                              "\"user_agent\":\"a \\\"phone\\\"\"}",
                 row[i].expires, row[i].contact);
        check(row[i].why, str_from(message), TRANSPORT_TLS, "192.0.2.1", expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_browsers),
        cmocka_unit_test(credentials_in_odd_writing),
        cmocka_unit_test(expires_and_contact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
