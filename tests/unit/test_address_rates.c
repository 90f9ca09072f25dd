#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <aorta/address_rates.h>
#include <cmocka.h>
#include <stdio.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static struct net_address at(const char *ip)
{
    struct net_address address;
    assert_int_equal(net_address_parse(&address, str_from(ip), 5060), 0);
    return address;
}

static void passes_so_many(void **state)
{
    (void)state;
    enum { PASS = ADDRESS_RATE_PASS, TELL = ADDRESS_RATE_TELL, DROP = ADDRESS_RATE_DROP };
    static const struct {
        const char *ip;
        uint64_t at_ms;
        int verdict;
        const char *why;
    } row[] = {
        {"192.0.2.1",            10000, PASS, "the first"                     },
        {"192.0.2.1",            10000, PASS, "two at once"                   },
        {"192.0.2.1",            10000, TELL, "and no more"                   },
        {"192.0.2.1",            10001, DROP, "told already"                  },
        {"192.0.2.2",            10001, PASS, "somebody else"                 },
        {"192.0.2.1",            10499, DROP, "half a second is not over"     },
        {"192.0.2.1",            10500, PASS, "one each half second"          },
        {"192.0.2.1",            10501, DROP, "and no more"                   },
        {"192.0.2.1",            11001, PASS, "the next half"                 },
        {"192.0.2.1",            11002, TELL, "another second: told once more"},
        {"192.0.2.1",            99000, PASS, "a long time earns"             },
        {"192.0.2.1",            99000, PASS, "a period's share"              },
        {"192.0.2.1",            99000, TELL, "and no more"                   },
        {"192.0.2.1",            50000, TELL, "the clock stepped back"        },
        {"192.0.2.1",            51000, PASS, "for which one period is waited"},
        {"2001:db8::1",          10000, PASS, "IPv6"                          },
        {"2001:db8::2",          10000, PASS, "of the same /64"               },
        {"2001:db8::ffff:0:0:3", 10000, TELL, "counts as one"                 },
        {"2001:db8:0:1::1",      10000, PASS, "and of another /64 as another" },
    };
    struct address_rates *rates = address_rates_new();
    assert_non_null(rates);
    for (size_t i = 0; i < COUNT(row); i++) {
        struct net_address address = at(row[i].ip);
        if ((int)address_rates_take(rates, &address, 2, 1000, row[i].at_ms) != row[i].verdict)
            fail_msg("row %zu: %s", i, row[i].why);
    }
    address_rates_free(rates);
}

static struct net_address numbered(uint32_t n)
{
    struct net_address address = at("10.0.0.0");
    address.v4.sin_addr.s_addr = htonl(ntohl(address.v4.sin_addr.s_addr) + n);
    return address;
}

/* A crowd of strangers makes it forget who was quiet, and never the one who is at it. */
static void forgets_the_quietest(void **state)
{
    (void)state;
    enum { STRANGERS = 200000 };
    struct address_rates *rates = address_rates_new();
    assert_non_null(rates);
    struct net_address busy = at("192.0.2.1");
    unsigned passed = 0;
    for (uint32_t i = 0; i < STRANGERS; i++) {
        struct net_address stranger = numbered(i);
        uint64_t now_ms = 100000 + i / 100;
        assert_int_equal(address_rates_take(rates, &stranger, 10, 1000, now_ms), ADDRESS_RATE_PASS);
        if (i % 100 == 0)
            passed += address_rates_take(rates, &busy, 10, 1000, now_ms) == ADDRESS_RATE_PASS;
    }
    assert_in_range(passed, 29, 31); /* 10 at once, and 10 in each of two seconds */
    address_rates_free(rates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_so_many),
        cmocka_unit_test(forgets_the_quietest),
    };
    if (str_hash_seed() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
