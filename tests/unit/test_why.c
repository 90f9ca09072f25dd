#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "web/why.h"
#include <cmocka.h>

#define NOW UINT64_C(1800000000000)
#define AGO(s) (NOW - (s)*1000ull)

static struct net_address home(void)
{
    struct net_address a;
    assert_int_equal(net_address_parse(&a, STR("192.0.2.1"), 5060), 0);
    return a;
}

static void expect(const struct why *why, bool is_reachable, const char *sentence)
{
    char memory[1024];
    struct buf b;
    buf_init_fixed(&b, memory, sizeof memory - 1);
    why_put_sentence(&b, why);
    buf_put_char(&b, 0);
    assert_int_equal(b.error, 0);
    assert_string_equal(memory, sentence);
    assert_int_equal(why_is_reachable(why), is_reachable);
}

static void says_how_it_can_be_reached(void **state)
{
    (void)state;
    struct why_binding two[] = {
        {FLOW_OPEN,      TRANSPORT_WSS, home(), NOW + 540000,  AGO(3), 0, STR_NONE   },
        {FLOW_ELSEWHERE, TRANSPORT_TCP, home(), NOW + 7200000, 0,      0, STR("sip2")},
    };
    struct why why = {.bindings = two, .binding_count = 1, .now_ms = NOW};
    expect(&why, true, "Reachable: over wss at 192.0.2.1:5060, heard 3 s ago, for another 9 min.");
    why.binding_count = 2;
    expect(&why, true,
           "Reachable: over wss at 192.0.2.1:5060, heard 3 s ago, for another 9 min; and through "
           "node sip2, over tcp, for another 2 h.");
    two[0].unanswered_pings = 1;
    why.binding_count = 1;
    expect(&why, true,
           "Reachable: over wss at 192.0.2.1:5060, heard 3 s ago (1 ping not answered yet), for "
           "another 9 min.");
    two[0] =
        (struct why_binding){.state = FLOW_DATAGRAM, .source = home(), .expires_ms = NOW + 30000};
    expect(&why, true, "Reachable: over udp at 192.0.2.1:5060, for another 30 s.");
}

static void says_why_a_binding_is_no_use(void **state)
{
    (void)state;
    struct why_binding one = {FLOW_CLOSED, TRANSPORT_TLS, home(), NOW + 3 * 86400000ull, 0,
                              0,           STR_NONE};
    struct why why = {.bindings = &one, .binding_count = 1, .now_ms = NOW};
    expect(&why, false,
           "Not reachable: it is registered, but its tls connection is closed; it stays for "
           "another 3 days (registrar.closeRemoves).");
    one.state = FLOW_DATAGRAM;
    one.expires_ms = AGO(4);
    expect(&why, false,
           "Not reachable: its registration ran out 4 s ago and is kept a little for a late "
           "refresh (registrar.graceSeconds).");
}

static void says_what_happened_last(void **state)
{
    (void)state;
    static const struct {
        struct fact fact;
        const char *sentence;
    } row[] = {
        {{.kind = FACT_CHALLENGED, .cause = "no credentials for this realm"},
         "Not registered: challenged (401): no credentials for this realm, 60 s ago; no REGISTER "
         "with credentials followed."                                                                                                           },
        {{.kind = FACT_REFUSED, .cause = "wrong password"},
         "Not registered: refused (403): wrong password, 60 s ago."                                                                             },
        {{.kind = FACT_INVALID, .number = 423, .cause = "Interval Too Brief"},
         "Not registered: not served (423): Interval Too Brief, 60 s ago."                                                                      },
        {{.kind = FACT_UNAVAILABLE, .number = 7, .cause = "the callback is away"},
         "Not registered: told to come again in 7 s (503): the callback is away, 60 s ago; it has "
         "not come back since."                                                                                                                 },
        {{.kind = FACT_UNREGISTERED},                                                 "Not registered: unregistered by its client, 60 s ago."   },
        {{.kind = FACT_EXPIRED},
         "Not registered: expired: it was not refreshed in time, 60 s ago."                                                                     },
        {{.kind = FACT_FLOW_CLOSED, .cause = "the client closed it", .number = 1001},
         "Not registered: its connection closed: the client closed it (close code 1001), 60 s ago; "
         "and took its binding along."                                                                                                          },
        {{.kind = FACT_REMOVED},                                                      "Not registered: removed through the admin API, 60 s ago."},
        {{.kind = FACT_EVICTED},
         "Not registered: a contact had to make room for a newer one (registrar.maxContacts), 60 s "
         "ago."                                                                                                                                 },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct fact facts[] = {
            {.kind = FACT_GRANTED, .time_ms = AGO(600)},
            row[i].fact,
            {.kind = FACT_FETCHED, .time_ms = AGO(1)  }
        };
        facts[1].time_ms = AGO(60);
        struct why why = {.facts = facts, .fact_count = 3, .now_ms = NOW};
        expect(&why, false, row[i].sentence);
    }
    struct why nothing = {.begins_ms = AGO(2 * 86400), .now_ms = NOW};
    expect(&nothing, false,
           "Not registered: in the 2 days that this node remembers, it had nothing to do with this "
           "AOR.");
}

static void says_each_fact(void **state)
{
    (void)state;
    for (int kind = 0; kind < FACT_KINDS; kind++) {
        char memory[256];
        struct buf b;
        struct fact fact = {.kind = (enum fact_kind)kind, .cause = "cause", .times = 3};
        buf_init_fixed(&b, memory, sizeof memory - 1);
        fact.source = home();
        why_put_fact(&b, &fact);
        assert_int_equal(b.error, 0);
        assert_true(b.len > 0);
        assert_true(strlen(why_fact_kind_name(fact.kind)) > 0);
        memory[b.len] = 0;
        if (fact.kind == FACT_REFRESHED)
            assert_non_null(strstr(memory, "3 times in a row"));
        if (fact.kind == FACT_EVICTED)
            assert_non_null(strstr(memory, "from 192.0.2.1:5060"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_how_it_can_be_reached),
        cmocka_unit_test(says_why_a_binding_is_no_use),
        cmocka_unit_test(says_what_happened_last),
        cmocka_unit_test(says_each_fact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
