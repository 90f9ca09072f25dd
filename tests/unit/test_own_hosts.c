#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "app/own_hosts.h"
#include <cmocka.h>
#include <stdio.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static struct own_hosts collect(const char *const *ips, char *advertise)
{
    struct config_listener listen[4];
    struct config config = {.listen = listen, .advertise = advertise};
    for (; config.listen_count < COUNT(listen) && ips[config.listen_count]; config.listen_count++)
        assert_int_equal(net_address_parse(&listen[config.listen_count].address,
                                           str_from(ips[config.listen_count]), 5060),
                         0);
    struct own_hosts hosts = {0};
    assert_int_equal(own_hosts_collect(&config, &hosts), 0);
    return hosts;
}

static bool has(const struct own_hosts *hosts, struct str host)
{
    unsigned times = 0;
    for (size_t i = 0; i < hosts->count; i++)
        times += str_eq_nocase(hosts->host[i], host);
    assert_true(times <= 1);
    return times == 1;
}

static void listeners_and_advertise(void **state)
{
    (void)state;
    static const struct {
        const char *ips[4];
        const char *advertise;
        const char *hosts; /* all of them, and nothing else */
        const char *why;
    } row[] = {
        {{"192.0.2.1"},                           NULL,                   "192.0.2.1",                 "one listener"             },
        {{"127.0.0.1"},                           NULL,                   "127.0.0.1 localhost",       "loopback has a name"      },
        {{"::1", "127.0.0.1"},                    NULL,                   "::1 localhost 127.0.0.1",   "a name once"              },
        {{"127.0.0.1", "127.0.0.1", "127.0.0.1"}, NULL,                   "127.0.0.1 localhost",       "an address once"          },
        {{"192.0.2.1"},                           "sip.example.com",      "192.0.2.1 sip.example.com", "advertised"               },
        {{"192.0.2.1"},                           "sip.example.com:5070", "192.0.2.1 sip.example.com", "with its port"            },
        {{"192.0.2.1"},                           "192.0.2.1:5070",       "192.0.2.1",                 "as it listens"            },
        {{"192.0.2.1"},                           "[2001:db8::1]:5070",   "192.0.2.1 2001:db8::1",     "IPv6 without its brackets"},
        {{"192.0.2.1"},                           "[2001:db8::1]",        "192.0.2.1 2001:db8::1",     "without a port"           },
        {{"127.0.0.1"},                           "LOCALHOST:5070",       "127.0.0.1 localhost",       "in any case"              },
        {{NULL},                                  "sip.example.com",      "sip.example.com",           "no listener"              },
        {{NULL},                                  NULL,                   "",                          "nothing"                  },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        char advertise[64];
        snprintf(advertise, sizeof advertise, "%s", row[i].advertise ? row[i].advertise : "");
        struct own_hosts hosts = collect(row[i].ips, row[i].advertise ? advertise : NULL);
        struct str rest = str_from(row[i].hosts), host;
        size_t expected = 0;
        for (; str_split(&rest, ' ', &host); expected++)
            if (!has(&hosts, host))
                fail_msg("row %zu: %s: no %.*s", i, row[i].why, STR_ARG(host));
        if (hosts.count != expected)
            fail_msg("row %zu: %s: %zu hosts", i, row[i].why, hosts.count);
        own_hosts_fini(&hosts);
        own_hosts_fini(&hosts); /* once more does no harm */
    }
}

static void wildcards_are_all_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *ips[4];
    } wildcards[] = {{{"0.0.0.0"}}, {{"::"}}, {{"0.0.0.0", "::", "127.0.0.1"}}};
    for (size_t i = 0; i < COUNT(wildcards); i++) {
        struct own_hosts hosts = collect(wildcards[i].ips, NULL);
        assert_true(has(&hosts, STR("127.0.0.1")));
        assert_true(has(&hosts, STR("localhost")));
        assert_false(has(&hosts, STR("0.0.0.0")));
        assert_false(has(&hosts, STR("::")));
        own_hosts_fini(&hosts);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listeners_and_advertise),
        cmocka_unit_test(wildcards_are_all_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
