#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <aorta/binding_json.h>
#include <cjson/cJSON.h>
#include <cmocka.h>
#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

enum { MEMBERS = 18 };
static const uint64_t now_ms = 1800000000000;

static struct binding usual(void)
{
    struct binding b = {
        .contact = STR("sip:alice@192.0.2.1:5060"),
        .q_milli = -1,
        .call_id = STR("call"),
        .cseq = 7,
        .user_agent = STR("phone/1.0"),
        .protocol = TRANSPORT_UDP,
        .refreshed_ms = now_ms,
        .expires_ms = now_ms + 3600000,
    };
    assert_int_equal(net_address_parse(&b.source, STR("192.0.2.1"), 5060), 0);
    return b;
}

/* The caller frees. */
static char *print(const struct binding *binding)
{
    const struct binding_json_context ctx = {STR("198.51.100.1:5060"), STR("node \"1\""), now_ms};
    struct buf b;
    buf_init_heap(&b, 1 << 20);
    binding_put_json(&b, STR("alice@example.com"), binding, &ctx);
    buf_put_char(&b, 0);
    assert_int_equal(b.error, 0);
    return b.data;
}

/* One member as compact JSON text, out of the whole, which must be JSON. */
static void expect_member(const struct binding *binding, const char *name, const char *expected,
                          const char *why)
{
    char *text = print(binding);
    cJSON *root = cJSON_ParseWithOpts(text, NULL, true);
    if (!root)
        fail_msg("%s: %s", why, text);
    assert_int_equal(cJSON_GetArraySize(root), MEMBERS);
    char *got = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(root, name));
    if (!got || strcmp(got, expected) != 0)
        fail_msg("%s: %s is %s, expected %s", why, name, got ? got : "missing", expected);
    cJSON_free(got);
    cJSON_Delete(root);
    free(text);
}

static void prints_all_members(void **state)
{
    (void)state;
    struct binding b = usual();
    char *text = print(&b);
    assert_string_equal(text, "{\"aor\":\"alice@example.com\","
                              "\"contact\":\"sip:alice@192.0.2.1:5060\","
                              "\"protocol\":\"udp\","
                              "\"proxy\":\"sip:192.0.2.1:5060\","
                              "\"sbcAddress\":\"198.51.100.1:5060\","
                              "\"expiresIn\":3600,"
                              "\"expiryTime\":1800003600000,"
                              "\"q\":1.000,"
                              "\"callId\":\"call\","
                              "\"cseq\":7,"
                              "\"instance\":null,"
                              "\"regId\":null,"
                              "\"path\":[],"
                              "\"userAgent\":\"phone/1.0\","
                              "\"nat\":false,"
                              "\"node\":\"node \\\"1\\\"\","
                              "\"flow\":null,"
                              "\"grant\":null}");
    free(text);
}

static void numbers(void **state)
{
    (void)state;
    static const struct {
        int64_t left_ms;
        int32_t q_milli;
        uint32_t cseq, reg_id;
        const char *expires_in, *q, *cseq_text, *reg_id_text;
    } row[] = {
        {1,             -1,   0,          0,          "1",          "1",     "0",          "null"      },
        {1000,          0,    1,          1,          "1",          "0",     "1",          "1"         },
        {1001,          1000, 2147483647, 2147483647, "2",          "1",     "2147483647", "2147483647"},
        {0,             500,  1,          0,          "0",          "0.5",   "1",          "null"      },
        {-1,            5,    1,          0,          "0",          "0.005", "1",          "null"      },
        {-10000,        999,  4294967295, 4294967295, "0",          "0.999", "4294967295", "4294967295"},
        {4294967295000, 50,   1,          0,          "4294967295", "0.05",  "1",          "null"      },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct binding b = usual();
        b.expires_ms = now_ms + (uint64_t)row[i].left_ms;
        b.q_milli = row[i].q_milli;
        b.cseq = row[i].cseq;
        b.reg_id = row[i].reg_id;
        expect_member(&b, "expiresIn", row[i].expires_in, "time left");
        expect_member(&b, "q", row[i].q, "q");
        expect_member(&b, "cseq", row[i].cseq_text, "cseq");
        expect_member(&b, "regId", row[i].reg_id_text, "reg-id");
    }
}

static void paths(void **state)
{
    (void)state;
    const struct {
        struct str path;
        const char *json;
    } row[] = {
        {STR(""),                                "[]"                                           },
        {STR("<sip:a;lr>"),                      "[\"<sip:a;lr>\"]"                             },
        {STR("<sip:a;lr>, <sip:b;lr>"),          "[\"<sip:a;lr>\",\"<sip:b;lr>\"]"              },
        {STR("<sip:a>,<sip:b>,<sip:c>"),         "[\"<sip:a>\",\"<sip:b>\",\"<sip:c>\"]"        },
        {STR("<sip:a,b@c>;x=y, <sip:d>"),        "[\"<sip:a,b@c>;x=y\",\"<sip:d>\"]"            },
        {STR("\"A, B\" <sip:a>, <sip:d>"),       "[\"\\\"A, B\\\" <sip:a>\",\"<sip:d>\"]"       },
        {STR("\"<\" <sip:a>, \">\" <sip:b>"),    "[\"\\\"<\\\" <sip:a>\",\"\\\">\\\" <sip:b>\"]"},
        {STR("\"\\\", \\\\\" <sip:a>, <sip:d>"),
         "[\"\\\"\\\\\\\", \\\\\\\\\\\" <sip:a>\",\"<sip:d>\"]"                                 },
        {STR("<sip:\"@a>, <sip:b>"),             "[\"<sip:\\\"@a>\",\"<sip:b>\"]"               },
        {STR("\"never ends, <sip:a>"),           "[\"\\\"never ends, <sip:a>\"]"                },
        {STR("\"\\"),                            "[\"\\\"\\\\\"]"                               },
        {STR("<sip:a, <sip:b"),                  "[\"<sip:a, <sip:b\"]"                         },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct binding b = usual();
        b.path = row[i].path;
        expect_member(&b, "path", row[i].json, "path");
    }
}

static void instances(void **state)
{
    (void)state;
    const struct {
        struct str instance;
        const char *json;
    } row[] = {
        {STR(""),                 "null"            },
        {STR("\""),               "null"            },
        {STR("\"\""),             "\"\""            },
        {STR("\"<urn:uuid:1>\""), "\"<urn:uuid:1>\""},
        {STR("\"<a\\\"b>\""),     "\"<a\\\\\\\"b>\""},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct binding b = usual();
        b.instance = row[i].instance;
        expect_member(&b, "instance", row[i].json, "instance");
    }
}

static void flows(void **state)
{
    (void)state;
    static const struct {
        conn_id conn;
        bool is_dead;
        const char *json, *why;
    } row[] = {
        {0,                  false, "null",                   "UDP"                        },
        {0x0000000100000001, false, "\"0.1.1\"",              "worker, slot and generation"},
        {0x1234567890abcdef, false, "\"12.345678.90abcdef\"", "as the log has it"          },
        {UINT64_MAX,         false, "\"ff.ffffff.ffffffff\"", "the last of all"            },
        {0x0000000100000001, true,  "null",                   "its connection is closed"   },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct binding b = usual();
        b.conn = row[i].conn;
        b.is_flow_dead = row[i].is_dead;
        expect_member(&b, "flow", row[i].json, row[i].why);
    }
}

static void text_from_strangers(void **state)
{
    (void)state;
    const struct {
        struct str text;
        const char *json;
    } row[] = {
        {STR(""),                       "\"\""                                  },
        {STR("\",\"grant\":{\"x\":\""), "\"\\\",\\\"grant\\\":{\\\"x\\\":\\\"\""},
        {STR("a\\"),                    "\"a\\\\\""                             },
        {STR("a\r\nb\tc"),              "\"a\\r\\nb\\tc\""                      },
        {STR("\xc3\xa4"),               "\"\xc3\xa4\""                          },
        {STR("\xff\xc3"),               "\"\xef\xbf\xbd\xef\xbf\xbd\""          },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct binding b = usual();
        b.contact = b.call_id = b.user_agent = row[i].text;
        expect_member(&b, "contact", row[i].json, "contact");
        expect_member(&b, "callId", row[i].json, "call id");
        expect_member(&b, "userAgent", row[i].json, "user agent");
    }
}

static void sources_and_protocols(void **state)
{
    (void)state;
    static const struct {
        const char *ip;
        enum transport_kind protocol;
        const char *proxy, *name;
    } row[] = {
        {"192.0.2.1",   TRANSPORT_TCP, "\"sip:192.0.2.1:40000\"",     "\"tcp\""},
        {"2001:db8::1", TRANSPORT_TLS, "\"sip:[2001:db8::1]:40000\"", "\"tls\""},
        {"::1",         TRANSPORT_WS,  "\"sip:[::1]:40000\"",         "\"ws\"" },
        {"127.0.0.1",   TRANSPORT_WSS, "\"sip:127.0.0.1:40000\"",     "\"wss\""},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct binding b = usual();
        assert_int_equal(net_address_parse(&b.source, str_from(row[i].ip), 40000), 0);
        b.protocol = row[i].protocol;
        b.is_nat = true;
        expect_member(&b, "proxy", row[i].proxy, "proxy");
        expect_member(&b, "protocol", row[i].name, "protocol");
        expect_member(&b, "nat", "true", "nat");
    }
}

static void tells_what_others_hold(void **state)
{
    (void)state;
    struct binding b = usual();
    expect_member(&b, "node", "\"node \\\"1\\\"\"", "this node's");
    b.node = STR("node 2");
    expect_member(&b, "node", "\"node 2\"", "another's");
    expect_member(&b, "sbcAddress", "\"198.51.100.1:5060\"", "this node's");
    b.sbc_address = STR("198.51.100.2:5060");
    expect_member(&b, "sbcAddress", "\"198.51.100.2:5060\"", "another's");
    expect_member(&b, "grant", "null", "nothing granted");
    b.grant = STR("{\"call_hook\":\"x\"}");
    expect_member(&b, "grant", "{\"call_hook\":\"x\"}", "what the callback said");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_all_members),
        cmocka_unit_test(numbers),
        cmocka_unit_test(paths),
        cmocka_unit_test(instances),
        cmocka_unit_test(flows),
        cmocka_unit_test(text_from_strangers),
        cmocka_unit_test(sources_and_protocols),
        cmocka_unit_test(tells_what_others_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
