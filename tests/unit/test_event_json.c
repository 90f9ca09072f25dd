/* What an event looks like, whatever is in its texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "events/event_json.h"
#include <cjson/cJSON.h>
#include <cmocka.h>
#include <stdio.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static struct binding make_binding(struct str contact)
{
    struct binding b = {.contact = contact, .protocol = TRANSPORT_WSS};
    assert_int_equal(net_address_parse(&b.source, STR("192.0.2.1"), 5060), 0);
    return b;
}

static void assert_text(const struct buf *b, const char *expected)
{
    assert_int_equal(b->error, 0);
    if (!str_eq(buf_str(b), str_from(expected)))
        fail_msg("%.*s\nnot\n%s", STR_ARG(buf_str(b)), expected);
}

static void says_why(void **state)
{
    (void)state;
    static const struct {
        enum store_change change;
        bool is_flow_dead;
        const char *type, *reason; /* NULL: no event */
    } row[] = {
        {STORE_ADDED,              false, "registered",   "new contact"                    },
        {STORE_RENEWED,            false, "refreshed",    "refreshed by its client"        },
        {STORE_RENEWED,            true,  "refreshed",    "refreshed by its client"        },
        {STORE_REMOVED,            false, "unregistered", "removed by its client"          },
        {STORE_EVICTED,            false, "unregistered", "replaced: registrar.maxContacts"},
        {STORE_EXPIRED,            false, "expired",      "not refreshed in time"          },
        {STORE_EXPIRED,            true,  "expired",      "not refreshed in time"          },
        {STORE_FLOW_CLOSED,        false, "flow-closed",  "its connection closed"          },
        {STORE_FLOW_CLOSED,        true,  "flow-closed",
         "its connection closed; it stays until it expires"                                },
        {STORE_REMOVED_BY_ADMIN,   false, "unregistered", "removed by the admin API"       },
        {STORE_REPLACED_ELSEWHERE, false, NULL,           NULL                             },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        char memory[512], expected[512];
        enum event_type type;
        bool is_event = event_of_change(row[i].change, &type);
        assert_int_equal(is_event, row[i].type != NULL);
        if (!is_event)
            continue;
        assert_true(str_eq(event_type_name(type), str_from(row[i].type)));
        struct binding binding = make_binding(STR("sip:a@h"));
        binding.is_flow_dead = row[i].is_flow_dead;
        struct buf b;
        buf_init_fixed(&b, memory, sizeof memory);
        event_put_change(&b, row[i].change, STR(",\"node\":\"n1\""), STR("a@h"), &binding,
                         1795000000000);
        snprintf(expected, sizeof expected,
                 "{\"type\":\"%s\",\"time\":1795000000000,\"node\":\"n1\",\"aor\":\"a@h\","
                 "\"contact\":\"sip:a@h\",\"protocol\":\"wss\",\"source\":\"192.0.2.1:5060\","
                 "\"reason\":\"%s\"}",
                 row[i].type, row[i].reason);
        assert_text(&b, expected);
    }
}

/* One line, whatever somebody registers; parsed, it is what it was. */
static void escapes_what_comes_from_outside(void **state)
{
    (void)state;
    static const struct {
        struct str contact;
        const char *parsed;
    } row[] = {
        {STR("sip:a@h\r\n\r\ndata: x"),    "sip:a@h\r\n\r\ndata: x"   },
        {STR("sip:\"a\",\"aor\":\"b@h\""), "sip:\"a\",\"aor\":\"b@h\""},
        {STR("sip:\\a\x01@h"),             "sip:\\a\x01@h"            },
        {STR("sip:\xff@h"),                "sip:\xef\xbf\xbd@h"       },
        {STR("sip:\xc3\xa5@h"),            "sip:\xc3\xa5@h"           },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        char memory[512];
        struct buf b;
        struct binding binding = make_binding(row[i].contact);
        buf_init_fixed(&b, memory, sizeof memory);
        event_put_change(&b, STORE_ADDED, STR(",\"node\":\"n\""), row[i].contact, &binding, 1);
        assert_int_equal(b.error, 0);
        assert_null(memchr(b.data, '\n', b.len));
        assert_null(memchr(b.data, '\r', b.len));
        cJSON *json = cJSON_ParseWithLength(b.data, b.len);
        assert_non_null(json);
        assert_string_equal(cJSON_GetObjectItem(json, "contact")->valuestring, row[i].parsed);
        assert_string_equal(cJSON_GetObjectItem(json, "aor")->valuestring, row[i].parsed);
        cJSON_Delete(json);
    }
}

static void tells_of_bans(void **state)
{
    (void)state;
    struct ban ban = {.reason = STR("a \"scanner\"")};
    assert_int_equal(net_network_parse(&ban.net, STR("2001:db8::1")), 0);
    char memory[256];
    struct buf b;
    buf_init_fixed(&b, memory, sizeof memory);
    event_put_ban(&b, STR(",\"node\":\"n\""), &ban, -1, 7);
    assert_text(&b, "{\"type\":\"banned\",\"time\":7,\"node\":\"n\",\"ip\":\"2001:db8::1\","
                    "\"seconds\":-1,\"reason\":\"a \\\"scanner\\\"\"}");
    buf_clear(&b);
    event_put_ban(&b, STR(",\"node\":\"n\""), &ban, 600, 7);
    assert_non_null(memmem(b.data, b.len, ",\"seconds\":600,", 15));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_why),
        cmocka_unit_test(escapes_what_comes_from_outside),
        cmocka_unit_test(tells_of_bans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
