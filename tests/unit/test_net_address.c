#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <aorta/net_address.h>
#include <cmocka.h>
#include <errno.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static struct net_address address(const char *ip, uint16_t port)
{
    struct net_address a;
    if (net_address_parse(&a, str_from(ip), port) != 0)
        fail_msg("%s is no address", ip);
    return a;
}

static void parses_and_prints(void **state)
{
    (void)state;
    static const struct {
        const char *text, *ip, *host_port;
        socklen_t size;
    } row[] = {
        {"192.0.2.1",                               "192.0.2.1",                               "192.0.2.1:5060",          sizeof(struct sockaddr_in) },
        {"255.255.255.255",                         "255.255.255.255",                         "255.255.255.255:5060",    sizeof(struct sockaddr_in) },
        {"2001:db8::1",                             "2001:db8::1",                             "[2001:db8::1]:5060",      sizeof(struct sockaddr_in6)},
        {"[2001:DB8:0:0::1]",                       "2001:db8::1",                             "[2001:db8::1]:5060",      sizeof(struct sockaddr_in6)},
        {"::",                                      "::",                                      "[::]:5060",               sizeof(struct sockaddr_in6)},
        {"::ffff:192.0.2.1",                        "::ffff:192.0.2.1",                        "[::ffff:192.0.2.1]:5060",
         sizeof(struct sockaddr_in6)                                                                                                                 },
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:5060",                                                                sizeof(struct sockaddr_in6)},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct net_address a = address(row[i].text, 5060);
        char text[NET_ADDRESS_TEXT];
        assert_int_equal(net_address_port(&a), 5060);
        assert_int_equal(net_address_size(&a), row[i].size);
        assert_true(str_eq(net_address_ip(&a, text), str_from(row[i].ip)));
        assert_string_equal(text, row[i].ip);
        assert_true(str_eq(net_address_host_port(&a, text), str_from(row[i].host_port)));
        assert_string_equal(text, row[i].host_port);
    }
}

static void refuses_what_is_no_ip(void **state)
{
    (void)state;
    static const struct str row[] = {
        {"",                                               0 },
        {NULL,                                             0 },
        {"[]",                                             2 },
        {"example.com",                                    11},
        {"192.0.2",                                        7 },
        {"192.0.2.256",                                    11},
        {"192.0.2.01",                                     10},
        {"0x7f.0.0.1",                                     10},
        {"192.0.2.1 ",                                     10},
        {"192.0.2.1:5060",                                 14},
        {"192.0.2.1\0",                                    10},
        {"[192.0.2.1]",                                    11},
        {"[::1",                                           4 },
        {"::1]",                                           4 },
        {"[[::1]]",                                        7 },
        {"fe80::1%eth0",                                   12},
        {"1::2::3",                                        7 },
        {"12345::",                                        7 },
        {"1:2:3:4:5:6:7",                                  13},
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255x", 46},
    };
    struct net_address untouched = address("192.0.2.9", 9), a = untouched;
    for (size_t i = 0; i < COUNT(row); i++)
        if (net_address_parse(&a, row[i], 1) != -EINVAL)
            fail_msg("row %zu: %.*s", i, STR_ARG(row[i]));
    assert_true(net_address_same(&a, &untouched));
}

static void compares(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } row[] = {
        {"192.0.2.1",        "192.0.2.1",        true },
        {"192.0.2.1",        "192.0.2.2",        false},
        {"192.0.2.1",        "::ffff:192.0.2.1", true },
        {"::ffff:192.0.2.1", "::ffff:192.0.2.1", true },
        {"192.0.2.1",        "::192.0.2.1",      false}, /* compatible is not mapped */
        {"2001:db8::1",      "2001:db8:0::1",    true },
        {"2001:db8::1",      "2001:db8::2",      false},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct net_address a = address(row[i].a, 1), b = address(row[i].b, 1);
        struct net_address other_port = address(row[i].b, 2);
        if (net_address_same_ip(&a, &b) != row[i].same ||
            net_address_same_ip(&a, &other_port) != row[i].same ||
            net_address_same(&a, &b) != row[i].same || net_address_same(&a, &other_port))
            fail_msg("row %zu: %s %s", i, row[i].a, row[i].b);
        bool same_hash = net_address_hash_ip(&a) == net_address_hash_ip(&b) &&
                         net_address_hash_ip(&a) == net_address_hash_ip(&other_port);
        assert_int_equal(same_hash, row[i].same);
    }
}

static void unmaps(void **state)
{
    (void)state;
    struct net_address mapped = address("::ffff:192.0.2.1", 5060);
    net_address_unmap(&mapped);
    assert_int_equal(mapped.any.sa_family, AF_INET);
    char text[NET_ADDRESS_TEXT];
    net_address_host_port(&mapped, text);
    assert_string_equal(text, "192.0.2.1:5060");

    struct net_address plain = address("2001:db8::1", 5060);
    net_address_unmap(&plain);
    net_address_host_port(&plain, text);
    assert_string_equal(text, "[2001:db8::1]:5060");
}

static void classifies(void **state)
{
    (void)state;
    enum { PUBLIC, PRIVATE, LOOPBACK, WILDCARD };
    static const struct {
        const char *ip;
        int is;
    } row[] = {
        {"192.0.2.1",        PUBLIC  },
        {"9.255.255.255",    PUBLIC  },
        {"10.0.0.0",         PRIVATE },
        {"10.255.255.255",   PRIVATE },
        {"11.0.0.0",         PUBLIC  },
        {"172.15.255.255",   PUBLIC  },
        {"172.16.0.0",       PRIVATE },
        {"172.31.255.255",   PRIVATE },
        {"172.32.0.0",       PUBLIC  },
        {"192.167.255.255",  PUBLIC  },
        {"192.168.0.0",      PRIVATE },
        {"192.168.255.255",  PRIVATE },
        {"192.169.0.0",      PUBLIC  },
        {"100.63.255.255",   PUBLIC  },
        {"100.64.0.0",       PRIVATE },
        {"100.127.255.255",  PRIVATE },
        {"100.128.0.0",      PUBLIC  },
        {"169.253.255.255",  PUBLIC  },
        {"169.254.1.1",      PRIVATE },
        {"169.255.0.0",      PUBLIC  },
        {"126.255.255.255",  PUBLIC  },
        {"127.0.0.1",        LOOPBACK},
        {"127.255.255.255",  LOOPBACK},
        {"128.0.0.0",        PUBLIC  },
        {"0.0.0.0",          WILDCARD},
        {"0.0.0.1",          PUBLIC  },
        {"::",               WILDCARD},
        {"::1",              LOOPBACK},
        {"::2",              PUBLIC  },
        {"fbff::1",          PUBLIC  },
        {"fc00::1",          PRIVATE },
        {"fdff:ffff::1",     PRIVATE },
        {"fe00::1",          PUBLIC  },
        {"fe7f::1",          PUBLIC  },
        {"fe80::1",          PRIVATE },
        {"febf::1",          PRIVATE },
        {"fec0::1",          PUBLIC  },
        {"2001:db8::1",      PUBLIC  },
        {"a00::1",           PUBLIC  }, /* starts like 10.0.0.0 */
        {"::ffff:10.0.0.1",  PRIVATE },
        {"::ffff:127.0.0.1", LOOPBACK},
        {"::ffff:0.0.0.0",   WILDCARD},
        {"::ffff:192.0.2.1", PUBLIC  },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct net_address a = address(row[i].ip, 0);
        if (net_address_is_private(&a) != (row[i].is == PRIVATE) ||
            net_address_is_loopback(&a) != (row[i].is == LOOPBACK) ||
            net_address_is_wildcard(&a) != (row[i].is == WILDCARD))
            fail_msg("row %zu: %s", i, row[i].ip);
    }
}

static void knows_networks(void **state)
{
    (void)state;
    static const struct {
        const char *text, *inside, *outside;
        const char *printed; /* NULL: as it was written */
    } row[] = {
        {"192.0.2.0/24",         "192.0.2.255",      "192.0.3.0",        NULL           },
        {"192.0.2.0/24",         "192.0.2.0",        "192.0.1.255",      NULL           },
        {"192.0.2.1",            "192.0.2.1",        "192.0.2.0",        NULL           },
        {"192.0.2.1/32",         "192.0.2.1",        "192.0.2.3",        "192.0.2.1"    },
        {"192.0.2.128/25",       "192.0.2.128",      "192.0.2.127",      NULL           },
        {"192.0.2.2/31",         "192.0.2.3",        "192.0.2.4",        NULL           },
        {"127.0.0.0/8",          "127.255.0.1",      "128.0.0.1",        NULL           },
        {"0.0.0.0/0",            "255.255.255.255",  "::1",              NULL           },
        {"0.0.0.0/1",            "127.0.0.1",        "128.0.0.0",        NULL           },
        {"::/0",                 "2001:db8::1",      "192.0.2.1",        NULL           },
        {"::1",                  "::1",              "::",               NULL           },
        {"2001:db8::/32",        "2001:db8:ffff::1", "2001:db9::",       NULL           },
        {"2001:DB8:0::/33",      "2001:db8:7fff::",  "2001:db8:8000::",  "2001:db8::/33"},
        {"2001:db8::1/128",      "2001:db8::1",      "2001:db8::2",      "2001:db8::1"  },
        {"a00::/8",              "a00::1",           "10.0.0.1",         NULL           },
 /* an IPv4 address in an IPv6 socket is still that address, on either side */
        {"192.0.2.0/24",         "::ffff:192.0.2.7", "::ffff:192.0.3.7", NULL           },
        {"::ffff:192.0.2.0/120", "192.0.2.7",        "192.0.3.7",        "192.0.2.0/24" },
        {"::ffff:192.0.2.1",     "192.0.2.1",        "192.0.2.2",        "192.0.2.1"    },
        {"::ffff:0:0/96",        "192.0.2.1",        "::1",              "0.0.0.0/0"    },
        {"::/0",                 "::1",              "::ffff:192.0.2.1", NULL           },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct net_network network;
        struct net_networks one = {&network, 1};
        struct net_address inside = address(row[i].inside, 5060);
        struct net_address outside = address(row[i].outside, 5060);
        char text[NET_ADDRESS_TEXT];
        if (net_network_parse(&network, str_from(row[i].text)) != 0)
            fail_msg("row %zu: %s is no network", i, row[i].text);
        if (!net_networks_have(&one, &inside) || net_networks_have(&one, &outside))
            fail_msg("row %zu: %s, %s, %s", i, row[i].text, row[i].inside, row[i].outside);
        struct str printed = net_network_text(&network, text);
        assert_string_equal(text, row[i].printed ? row[i].printed : row[i].text);
        assert_int_equal(printed.len, strlen(text));
    }
}

static void makes_networks(void **state)
{
    (void)state;
    static const struct {
        const char *ip;
        unsigned ipv6_bits;
        const char *network;
    } row[] = {
        {"192.0.2.1",          64,  "192.0.2.1"           },
        {"::ffff:192.0.2.1",   64,  "192.0.2.1"           },
        {"2001:db8:1:2:3::4",  64,  "2001:db8:1:2::/64"   },
        {"2001:db8:1:2:3::4",  128, "2001:db8:1:2:3::4"   },
        {"2001:db8:1:ffff::4", 63,  "2001:db8:1:fffe::/63"},
        {"ff01:db8:1:ffff::4", 1,   "8000::/1"            },
        {"::1",                64,  "::/64"               },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct net_address ip = address(row[i].ip, 5060);
        struct net_network made = net_network_of(&ip, row[i].ipv6_bits), parsed;
        char text[NET_ADDRESS_TEXT];
        net_network_text(&made, text);
        assert_string_equal(text, row[i].network);
        assert_int_equal(net_network_parse(&parsed, str_from(row[i].network)), 0);
        assert_true(net_network_same(&made, &parsed));
        assert_int_equal(net_address_port(&made.address), 0);
    }
}

static void knows_customers(void **state)
{
    (void)state;
    static const struct {
        const char *ip, *customer;
    } row[] = {
        {"192.0.2.1",                  "192.0.2.1"                 },
        {"2001:db8:1:2:3::4",          "2001:db8:1:2::/64"         },
        {"64:ff9b::198.51.100.7",      "64:ff9b::c633:6407"        },
        {"64:ff9b:1:2::1",             "64:ff9b:1:2::1"            },
        {"fd00:1:2:3::4",              "fd00:1:2:3::4"             },
        {"fe80::1",                    "fe80::1"                   },
        {"64:ff9b:0:0:1::1",           "64:ff9b::/64"              },
        {"2001:0:53aa:64c:0:fbff:1:2", "2001:0:53aa:64c:0:fbff:1:2"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct net_address ip = address(row[i].ip, 5060);
        struct net_network customer = net_customer_of(&ip), expected;
        assert_int_equal(net_network_parse(&expected, str_from(row[i].customer)), 0);
        if (!net_network_same(&customer, &expected))
            fail_msg("row %zu: %s", i, row[i].ip);
    }
}

static void knows_overlaps(void **state)
{
    (void)state;
    static const struct {
        const char *one, *other;
        bool overlap;
    } row[] = {
        {"192.0.2.0/24",  "192.0.2.7",         true },
        {"192.0.2.0/24",  "192.0.3.7",         false},
        {"192.0.2.0/24",  "192.0.2.0/24",      true },
        {"2001:db8::/32", "2001:db8:1::/64",   true },
        {"2001:db8::/32", "2001:db9::/64",     false},
        {"2001:db8::/64", "2001:db8:0:1::/64", false},
        {"::/0",          "192.0.2.1",         false},
        {"a00::/8",       "10.0.0.1",          false},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct net_network one, other;
        assert_int_equal(net_network_parse(&one, str_from(row[i].one)), 0);
        assert_int_equal(net_network_parse(&other, str_from(row[i].other)), 0);
        if (net_networks_overlap(&(struct net_networks){&one, 1}, &other) != row[i].overlap ||
            net_networks_overlap(&(struct net_networks){&other, 1}, &one) != row[i].overlap)
            fail_msg("row %zu: %s and %s", i, row[i].one, row[i].other);
        assert_int_equal(net_network_same(&one, &other), strcmp(row[i].one, row[i].other) == 0);
    }
}

static void finds_one_network_of_several(void **state)
{
    (void)state;
    struct net_network item[2];
    struct net_networks none = {NULL, 0}, both = {item, 2};
    struct net_address first = address("192.0.2.1", 1), second = address("::1", 1);
    struct net_address neither = address("::2", 1);
    assert_int_equal(net_network_parse(&item[0], STR("192.0.2.0/24")), 0);
    assert_int_equal(net_network_parse(&item[1], STR("::1")), 0);
    assert_true(net_networks_have(&both, &first));
    assert_true(net_networks_have(&both, &second));
    assert_false(net_networks_have(&both, &neither));
    assert_false(net_networks_have(&none, &first));
}

static void refuses_what_is_no_network(void **state)
{
    (void)state;
    static const char *const row[] = {
        "",
        "/",
        "/8",
        "192.0.2.0/",
        "192.0.2.0/33",
        "192.0.2.0/-1",
        "192.0.2.0/+24",
        "192.0.2.0/ 24",
        "192.0.2.0/24 ",
        " 192.0.2.0/24",
        "192.0.2.0/024",
        "192.0.2.0/24/24",
        "192.0.2.0/24x",
        "192.0.2.0/18446744073709551640",
        "192.0.2.0/255.255.255.0",
        "192.0.2/24",
        "example.com/24",
        "*",
        "[::1]",
        "[::1]/128",
        "::1%lo",
        "::/129",
        "::/00",
        /* bits behind the prefix: whoever wrote it meant another one */
        "192.0.2.1/24",
        "192.0.2.1/31",
        "192.0.2.1/0",
        "128.0.0.0/0",
        "192.0.2.64/25",
        "2001:db8::1/32",
        "2001:db8::1/127",
        "8000::/0",
        "::ffff:192.0.2.1/120",
        "::ffff:0:0/95",
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct net_network network = {.prefix_bits = 77};
        if (net_network_parse(&network, str_from(row[i])) != -EINVAL || network.prefix_bits != 77)
            fail_msg("row %zu: %s", i, row[i]);
    }
    assert_int_equal(net_network_parse(&(struct net_network){0}, STR_NONE), -EINVAL);
    assert_int_equal(net_network_parse(&(struct net_network){0}, STR("::1/1\0")), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_and_prints),
        cmocka_unit_test(refuses_what_is_no_ip),
        cmocka_unit_test(compares),
        cmocka_unit_test(unmaps),
        cmocka_unit_test(classifies),
        cmocka_unit_test(knows_networks),
        cmocka_unit_test(makes_networks),
        cmocka_unit_test(knows_customers),
        cmocka_unit_test(knows_overlaps),
        cmocka_unit_test(finds_one_network_of_several),
        cmocka_unit_test(refuses_what_is_no_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
