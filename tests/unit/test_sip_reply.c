#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <aorta/sip.h>
#include <cmocka.h>
#include <stdio.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

struct reply {
    char text[4096];
    size_t len;
};

/* Answers a REGISTER with these Via lines and this To, whether it is well-formed or not. */
static void answer(const char *vias, const char *to, const char *source, const char *to_tag,
                   struct reply *out)
{
    char message[2048];
    int len = snprintf(message, sizeof message,
                       "REGISTER sip:example.com SIP/2.0\r\n%sf: <sip:a@example.com> ;tag=1\r\n"
                       "%sCall-ID: c@d\r\nCSeq: 1  REGISTER\r\n\r\n",
                       vias, to);
    struct arena arena;
    struct sip_request request;
    struct sip_fault fault;
    struct net_address address;
    struct buf b;
    assert_int_equal(arena_init(&arena, 4096, 65536), 0);
    assert_int_equal(net_address_parse(&address, str_from(source), 49152), 0);
    sip_parse((struct str){message, (size_t)len}, &arena, &request, &fault);
    struct sip_reply_context ctx = {&request, &address, str_from(to_tag)};
    buf_init_fixed(&b, out->text, sizeof out->text - 1);
    sip_reply_begin(&b, &ctx, 200, "OK");
    sip_reply_header(&b, "Date", STR("now"));
    sip_reply_end(&b);
    assert_int_equal(b.error, 0);
    out->text[out->len = b.len] = 0;
    arena_fini(&arena);
}

static void answers(void **state)
{
    (void)state;
    struct reply reply;
    answer("v:  SIP/2.0/UDP h.example.com ;branch=z9hG4bK1\r\n", "t: <sip:a@example.com>\r\n",
           "192.0.2.1", "xyz", &reply);
    assert_string_equal(reply.text,
                        "SIP/2.0 200 OK\r\n"
                        "Via: SIP/2.0/UDP h.example.com ;branch=z9hG4bK1;received=192.0.2.1\r\n"
                        "From: <sip:a@example.com> ;tag=1\r\n"
                        "To: <sip:a@example.com>;tag=xyz\r\n"
                        "Call-ID: c@d\r\n"
                        "CSeq: 1  REGISTER\r\n"
                        "Date: now\r\n"
                        "Content-Length: 0\r\n\r\n");
}

static void says_where_it_came_from(void **state)
{
    (void)state;
    static const struct {
        const char *via, *source, *expected, *why;
    } row[] = {
        {"SIP/2.0/UDP 192.0.2.1:5060;branch=b",                      "192.0.2.1",     "SIP/2.0/UDP 192.0.2.1:5060;branch=b",
         "the same address: nothing to add"                                                                                                                                      },
        {"SIP/2.0/UDP 10.0.0.1;branch=b",                            "192.0.2.1",
         "SIP/2.0/UDP 10.0.0.1;branch=b;received=192.0.2.1",                                                                        "another address"                            },
        {"SIP/2.0/WSS x.invalid;branch=b",                           "192.0.2.1",
         "SIP/2.0/WSS x.invalid;branch=b;received=192.0.2.1",                                                                       "a name"                                     },
        {"SIP/2.0/UDP 192.0.2.1;rport;branch=b",                     "192.0.2.1",
         "SIP/2.0/UDP 192.0.2.1;rport=49152;branch=b;received=192.0.2.1",                                                           "RFC 3581: rport wants received even so"     },
        {"SIP/2.0/UDP 192.0.2.1;branch=b ; RPort = 7 ;x",            "192.0.2.1",
         "SIP/2.0/UDP 192.0.2.1;branch=b;rport=49152 ;x;received=192.0.2.1",                                                        "what the client says of rport is replaced"  },
        {"SIP/2.0/UDP 192.0.2.1;rport;rport=1",                      "192.0.2.1",
         "SIP/2.0/UDP 192.0.2.1;rport=49152;received=192.0.2.1",                                                                    "rport twice"                                },
        {"SIP/2.0/UDP 192.0.2.1;received=6.6.6.6;branch=b",          "192.0.2.1",
         "SIP/2.0/UDP 192.0.2.1;branch=b",                                                                                          "what the client says of received is dropped"},
        {"SIP/2.0/UDP h;Received=6.6.6.6;branch=b;received=[::1]",   "192.0.2.1",
         "SIP/2.0/UDP h;branch=b;received=192.0.2.1",                                                                               "and replaced"                               },
        {"SIP/2.0/UDP [2001:db8::1];branch=b",                       "2001:DB8:0::1",
         "SIP/2.0/UDP [2001:db8::1];branch=b",                                                                                      "IPv6, the same address"                     },
        {"SIP/2.0/UDP [2001:db8::1];branch=b",                       "2001:db8::2",
         "SIP/2.0/UDP [2001:db8::1];branch=b;received=2001:db8::2",                                                                 "IPv6 in received has no brackets"           },
        {"SIP / 2.0 / UDP  h : 5060 ; x=\"a;received=1\" ;branch=b", "192.0.2.1",
         "SIP / 2.0 / UDP  h : 5060 ; x=\"a;received=1\" ;branch=b;received=192.0.2.1",                                             "the rest byte for byte"                     },
        {"SIP/2.0/UDP h;;branch=b",                                  "192.0.2.1",     "SIP/2.0/UDP h;;branch=b;received=192.0.2.1",
         "a 400 for bad parameters goes out too"                                                                                                                                 },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct reply reply;
        char line[256], expected[256];
        snprintf(line, sizeof line, "Via: %s\r\n", row[i].via);
        snprintf(expected, sizeof expected, "SIP/2.0 200 OK\r\nVia: %s\r\nFrom:", row[i].expected);
        answer(line, "To: <sip:a@example.com>\r\n", row[i].source, "", &reply);
        if (!str_starts_nocase((struct str){reply.text, reply.len}, str_from(expected)))
            fail_msg("%s:\n%s", row[i].why, reply.text);
    }
}

static void echoes_all_vias(void **state)
{
    (void)state;
    struct reply reply;
    answer("Via: SIP/2.0/UDP 192.0.2.1;branch=1 , SIP/2.0/UDP b;branch=2;received=9.9.9.9;rport\r\n"
           "X: y\r\nv: SIP/2.0/TCP\r\n c;branch=3\r\n",
           "To: <sip:a@example.com>\r\n", "192.0.2.1", "", &reply);
    assert_non_null(strstr(reply.text, "OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=1\r\n"
                                       "Via: SIP/2.0/UDP b;branch=2;received=9.9.9.9;rport\r\n"
                                       "Via: SIP/2.0/TCP c;branch=3\r\nFrom:"));
}

static void tags_to(void **state)
{
    (void)state;
    static const struct {
        const char *to, *tag, *expected, *why;
    } row[] = {
        {"To: <sip:a@h>\r\n",           "x", "\r\nTo: <sip:a@h>;tag=x\r\n",     "added"                            },
        {"To: <sip:a@h> ; Tag = y\r\n", "x", "\r\nTo: <sip:a@h> ; Tag = y\r\n", "kept"                             },
        {"To: sip:a@h\r\n",             "x", "\r\nTo: sip:a@h;tag=x\r\n",       "without brackets too"             },
        {"To: <sip:a@h>\r\n",           "",  "\r\nTo: <sip:a@h>\r\n",           "none to add"                      },
        {"To: \"a\r\n",                 "x", "\r\nTo: \"a;tag=x\r\n",           "broken, but echoed"               },
        {"",                            "x", ";tag=1\r\nCall-ID:",              "absent"                           },
        {"To: \001\r\n",                "x", ";tag=1\r\nCall-ID:",              "control characters are not echoed"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct reply reply;
        answer("Via: SIP/2.0/UDP h;branch=b\r\n", row[i].to, "192.0.2.1", row[i].tag, &reply);
        if (!strstr(reply.text, row[i].expected))
            fail_msg("%s:\n%s", row[i].why, reply.text);
    }
}

static void has_phrases(void **state)
{
    (void)state;
    assert_string_equal(sip_reason(200), "OK");
    assert_string_equal(sip_reason(401), "Unauthorized");
    assert_string_equal(sip_reason(423), "Interval Too Brief");
    assert_string_equal(sip_reason(799), "Unknown");
    for (int status = 100; status < 700; status++)
        assert_int_equal(strspn(sip_reason(status), " .,-0123456789abcdefghijklmnopqrstuvwxyz"
                                                    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
                         strlen(sip_reason(status)));
}

static void writes_dates(void **state)
{
    (void)state;
    static const struct {
        uint64_t now_ms;
        const char *expected;
    } row[] = {
        {0,             "Thu, 01 Jan 1970 00:00:00 GMT"},
        {1795360778999, "Sun, 22 Nov 2026 15:19:38 GMT"},
        {1709164800000, "Thu, 29 Feb 2024 00:00:00 GMT"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        char memory[64];
        struct buf b;
        buf_init_fixed(&b, memory, sizeof memory);
        sip_put_date(&b, row[i].now_ms);
        if (!str_eq(buf_str(&b), str_from(row[i].expected)))
            fail_msg("%s: %.*s", row[i].expected, STR_ARG(buf_str(&b)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),         cmocka_unit_test(says_where_it_came_from),
        cmocka_unit_test(echoes_all_vias), cmocka_unit_test(tags_to),
        cmocka_unit_test(has_phrases),     cmocka_unit_test(writes_dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
