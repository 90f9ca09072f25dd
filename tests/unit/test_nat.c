#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <aorta/nat.h>
#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static struct sip_uri uri(struct str host)
{
    struct sip_uri u = {.host = host};
    u.host_is_ip = net_address_parse(&u.address, host, 0) == 0;
    return u;
}

static void finds_clients_behind_nat(void **state)
{
    (void)state;
    static const struct {
        const char *via, *contact; /* hosts; NULL: no Contact */
        const char *source;
        bool is_behind;
        const char *why;
    } row[] = {
        {"192.0.2.1",      "192.0.2.1",      "192.0.2.1",   false, "all alike"             },
        {"192.0.2.1",      NULL,             "192.0.2.1",   false, "a fetch"               },
        {"192.0.2.2",      "192.0.2.1",      "192.0.2.1",   true,  "Via elsewhere"         },
        {"192.0.2.2",      NULL,             "192.0.2.1",   true,  "a fetch from elsewhere"},
        {"192.0.2.1",      "192.0.2.2",      "192.0.2.1",   true,  "Contact elsewhere"     },
        {"10.0.0.1",       "10.0.0.1",       "192.0.2.1",   true,  "RFC 1918"              },
        {"10.0.0.1",       "10.0.0.1",       "10.0.0.1",    true,  "private, yet the same" },
        {"100.64.0.9",     "100.64.0.9",     "100.64.0.9",  true,  "RFC 6598"              },
        {"127.0.0.1",      "127.0.0.1",      "127.0.0.1",   false, "loopback is not far"   },
        {"pc.example.com", "pc.example.com", "192.0.2.1",   false, "names may be anywhere" },
        {"x7.invalid",     "192.0.2.1",      "192.0.2.1",   true,  "a browser's Via"       },
        {"192.0.2.1",      "x7.INVALID",     "192.0.2.1",   true,  "a browser's Contact"   },
        {"192.0.2.1",      "x7.invalid.",    "192.0.2.1",   true,  "with the final dot"    },
        {"192.0.2.1",      "x.invalid.com",  "192.0.2.1",   false, "not at the end"        },
        {"192.0.2.1",      "notinvalid",     "192.0.2.1",   false, "not a label"           },
        {"2001:db8::1",    "2001:0db8:0::1", "2001:db8::1", false, "IPv6, spelt otherwise" },
        {"2001:db8::1",    "2001:db8::2",    "2001:db8::1", true,  "IPv6 elsewhere"        },
        {"fd00::1",        "fd00::1",        "fd00::1",     true,  "RFC 4193"              },
        {"192.0.2.1",      "2001:db8::1",    "192.0.2.1",   true,  "another family"        },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        static struct sip_request sip;
        struct net_address source;
        struct sip_contact contacts[2] = {{.uri = uri(STR("harmless.example.com"))}};
        assert_int_equal(net_address_parse(&source, str_from(row[i].source), 5060), 0);
        struct sip_uri via = uri(str_from(row[i].via));
        sip.via[0] = (struct sip_via){.host = via.host,
                                      .host_is_ip = via.host_is_ip,
                                      .address = via.address};
        sip.via_count = 1;
        sip.contacts = contacts;
        sip.contact_count = row[i].contact ? 2 : 0;
        contacts[1].uri = uri(str_from(row[i].contact));
        if (nat_is_behind(&sip, &source) != row[i].is_behind)
            fail_msg("row %zu: %s", i, row[i].why);
    }
}

static void looks_at_the_topmost_via_only(void **state)
{
    (void)state;
    static struct sip_request sip;
    struct net_address source;
    assert_int_equal(net_address_parse(&source, STR("192.0.2.1"), 5060), 0);
    sip.via[0] = (struct sip_via){.host = STR("192.0.2.1"), .host_is_ip = true, .address = source};
    sip.via[1] = (struct sip_via){.host = STR("x.invalid")};
    sip.via_count = 2;
    assert_false(nat_is_behind(&sip, &source));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_clients_behind_nat),
        cmocka_unit_test(looks_at_the_topmost_via_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
