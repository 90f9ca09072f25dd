#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <aorta/bans.h>
#include <aorta/buf.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static struct net_address address(const char *ip)
{
    struct net_address a;
    if (net_address_parse(&a, str_from(ip), 5060) != 0)
        fail_msg("%s is no address", ip);
    return a;
}

static struct ban ban_of(const char *ip, uint64_t until_ms, const char *reason)
{
    struct net_address a = address(ip);
    return (struct ban){net_network_of(&a, NET_IPV6_BITS), until_ms, str_from(reason)};
}

static struct net_network network(const char *ip, unsigned bits)
{
    struct net_network n = {address(ip), bits};
    n.address.v4.sin_port = 0;
    return n;
}

/* ---- Steps, played one after the other ----------------------------------------------------- */

/* "192.0.2.1=60" for each ban, in the order in which they end; "=ever" for ever. */
struct listing {
    struct ban ban[8];
    char reason[8][BAN_REASON_BYTES];
    size_t count;
};

static void take_ban(void *arg, const struct ban *ban)
{
    struct listing *l = arg;
    assert_true(l->count < COUNT(l->ban));
    assert_int_equal(net_address_port(&ban->net.address), 0);
    size_t i = l->count++;
    for (; i > 0 && l->ban[i - 1].until_ms > ban->until_ms; i--)
        l->ban[i] = l->ban[i - 1];
    l->ban[i] = *ban;
}

static void put_ban(struct buf *b, const struct ban *ban)
{
    char text[NET_ADDRESS_TEXT];
    buf_put_str(b, net_network_text(&ban->net, text));
    if (ban->until_ms == BAN_FOR_EVER)
        buf_put_text(b, "=ever");
    else
        buf_printf(b, "=%u", (unsigned)(ban->until_ms / 1000));
}

static void put_all(struct buf *b, struct bans *bans, uint64_t now_ms)
{
    struct listing l = {.count = 0};
    bans_each(bans, now_ms, take_ban, &l);
    assert_int_equal(bans_count(bans, now_ms), l.count);
    for (size_t i = 0; i < l.count; i++) {
        buf_put_text(b, i > 0 ? " " : "");
        put_ban(b, &l.ban[i]);
    }
}

static void put_unpublished(struct buf *b, struct bans *bans)
{
    struct ban ban;
    bool is_lift;
    char memory[BAN_REASON_BYTES];
    for (size_t i = 0; bans_take_unpublished(bans, &ban, &is_lift, memory); i++) {
        buf_put_text(b, i > 0 ? " " : "");
        buf_put_char(b, is_lift ? '-' : '+');
        put_ban(b, &ban);
    }
}

/* Of "192.0.2.1=60 2001:db8::1=ever". */
static size_t read_list(const char *text, struct ban *list, size_t max)
{
    struct str rest = str_from(text), item;
    size_t count = 0;
    while (str_split(&rest, ' ', &item)) {
        assert_true(count < max);
        size_t equals = str_find(item, '=');
        struct str end = str_slice(item, equals + 1, item.len);
        uint64_t until_s = 0;
        list[count] = (struct ban){.until_ms = BAN_FOR_EVER};
        assert_int_equal(net_network_parse(&list[count].net, str_slice(item, 0, equals)), 0);
        if (!str_eq(end, STR("ever"))) {
            assert_int_equal(str_to_u64(end, 100000, &until_s), 0);
            list[count].until_ms = until_s * 1000;
        }
        count++;
    }
    return count;
}

enum step_kind {
    ADD,     /* the first of `bans`; `result` is its errno */
    LIFT,    /* `bans` is an address or a network */
    HAS,     /* an address; `result` is 1 or 0 */
    EXEMPT,  /* 198.51.100.0/24 and 2001:db8:1::/48 from now on */
    TAKE,    /* all that is unpublished: `bans` as "+192.0.2.1=60 -192.0.2.2=60" */
    AGAIN,   /* bans_unpublish_all() */
    REPLACE, /* what is published is `bans` */
    ALL,     /* `bans` is what is in force */
    RISEN,   /* `result`: by how much the generation rose since the step before */
};

struct step {
    uint64_t at_s;
    enum step_kind kind;
    const char *bans;
    int result;
    const char *why;
};

static int play(struct bans *bans, const struct step *step, uint64_t *generation)
{
    static struct net_network never[1], proxies[1];
    uint64_t now_ms = step->at_s * 1000;
    struct ban list[8];
    struct net_address ip;
    struct net_network net;
    char text[512];
    struct buf b;
    buf_init_fixed(&b, text, sizeof text);
    int rc = 0;
    switch (step->kind) {
    case ADD:
        assert_int_equal(read_list(step->bans, list, 1), 1);
        return bans_add(bans, list, now_ms);
    case LIFT:
        assert_int_equal(net_network_parse(&net, str_from(step->bans)), 0);
        return bans_lift(bans, &net);
    case HAS:
        ip = address(step->bans);
        return bans_has(bans, &ip, now_ms);
    case EXEMPT:
        never[0] = network("198.51.100.0", 24);
        proxies[0] = network("2001:db8:1::", 48);
        return bans_set_exempt(bans, &(struct net_networks){never, 1},
                               &(struct net_networks){proxies, 1});
    case AGAIN:
        bans_unpublish_all(bans);
        return 0;
    case REPLACE:
        return bans_replace_published(bans, list, read_list(step->bans, list, COUNT(list)), now_ms);
    case RISEN:
        rc = (int)(bans_generation(bans) - *generation);
        *generation += (uint64_t)rc;
        return rc;
    case TAKE:
        put_unpublished(&b, bans);
        break;
    case ALL:
        put_all(&b, bans, now_ms);
        break;
    }
    if (!str_eq(buf_str(&b), str_from(step->bans)))
        fail_msg("%s: \"%.*s\", not \"%s\"", step->why, STR_ARG(buf_str(&b)), step->bans);
    return 0;
}

static void play_all(const struct step *step, size_t count)
{
    struct bans *bans = bans_new();
    uint64_t generation = 0;
    assert_non_null(bans);
    for (size_t i = 0; i < count; i++) {
        int result = play(bans, &step[i], &generation);
        if (result != step[i].result)
            fail_msg("step %zu: %s: %d, not %d", i, step[i].why, result, step[i].result);
    }
    bans_free(bans);
}
#define PLAY(steps) play_all((steps), COUNT(steps))

#define A "192.0.2.1"
#define B "192.0.2.2"
#define C "2001:db8::1"
#define N "2001:db8::/64" /* where C is */

static void bans_for_a_time(void **state)
{
    (void)state;
    static const struct step step[] = {
        {0,    HAS,   A,                             0,       "nobody is banned"             },
        {0,    ADD,   A "=60",                       0,       "a minute"                     },
        {0,    RISEN, "",                            1,       ""                             },
        {59,   HAS,   A,                             1,       "in its last second"           },
        {59,   HAS,   "::ffff:" A,                   1,       "in an IPv6 socket"            },
        {59,   HAS,   B,                             0,       "a neighbour"                  },
        {60,   HAS,   A,                             0,       "over"                         },
        {60,   ALL,   "",                            0,       "and gone"                     },
        {60,   ADD,   A "=50",                       0,       "of the past"                  },
        {60,   ALL,   "",                            0,       "no ban at all"                },
        {60,   RISEN, "",                            0,       "nor heard of"                 },
        {100,  ADD,   A "=200",                      0,       ""                             },
        {100,  ADD,   A "=150",                      1,       "an earlier end"               },
        {100,  ALL,   A "=200",                      0,       "the later one holds"          },
        {100,  ADD,   A "=300",                      0,       "a later end"                  },
        {100,  RISEN, "",                            1,       "of one that is banned already"},
        {100,  ADD,   C "=ever",                     0,       ""                             },
        {100,  ADD,   C "=400",                      1,       "for ever is later"            },
        {100,  ADD,   "::ffff:" B "=250",            0,       ""                             },
        {100,  ALL,   B "=250 " A "=300 " C "=ever", 0,       ""                             },
        {250,  ALL,   A "=300 " C "=ever",           0,       "the first is over"            },
        {9000, HAS,   C,                             1,       "for ever"                     },
        {9000, LIFT,  C,                             0,       ""                             },
        {9000, HAS,   C,                             0,       ""                             },
        {9000, LIFT,  C,                             -ENOENT, "lifted already"               },
        {9000, LIFT,  B,                             -ENOENT, "over"                         },
        {9000, ADD,   C "=9100",                     0,       "again"                        },
        {9000, HAS,   C,                             1,       ""                             },
        {9000, RISEN, "",                            3,       "two, and one again"           },
    };
    PLAY(step);
}

/* Of IPv6 a whole /64, which does not mix with the addresses in it. */
static void bans_networks(void **state)
{
    (void)state;
    static const struct step step[] = {
        {0,  ADD,     N "=60",                                             0,       "the network"                         },
        {0,  HAS,     C,                                                   1,       "is in it"                            },
        {0,  HAS,     "2001:db8::",                                        1,       "its first address"                   },
        {0,  HAS,     "2001:db8:0:0:f::9",                                 1,       "the last one of its kind"            },
        {0,  HAS,     "2001:db8:0:1::1",                                   0,       "the next network"                    },
        {0,  LIFT,    C,                                                   -ENOENT, "not banned alone"                    },
        {0,  LIFT,    "2001:db8::",                                        -ENOENT, "nor is the address with that name"   },
        {0,  ADD,     C "=90",                                             0,       "that one for longer"                 },
        {0,  ADD,     "2001:db8::=ever",                                   0,       "the same bytes, another ban"         },
        {0,  ALL,     N "=60 " C "=90 2001:db8::=ever",                    0,       ""                                    },
        {0,  TAKE,    "+" N "=60 +" C "=90 +2001:db8::=ever",              0,       ""                                    },
        {0,  ADD,     N "=70",                                             0,       "a later end"                         },
        {60, HAS,     "2001:db8::2",                                       1,       ""                                    },
        {70, HAS,     "2001:db8::2",                                       0,       "over"                                },
        {70, HAS,     C,                                                   1,       "is still banned alone"               },
        {70, LIFT,    C,                                                   0,       ""                                    },
        {70, HAS,     C,                                                   0,       ""                                    },
        {70, ADD,     N "=90",                                             0,       ""                                    },
        {70, LIFT,    N,                                                   0,       ""                                    },
        {70, HAS,     C,                                                   0,       ""                                    },
        {70, ADD,     "2001:db8::/63=90",                                  -EINVAL, "neither an address nor a /64"        },
        {70, ADD,     "2001:db8::/128=90",                                 1,       "an address, which is banned for ever"},
        {70, ADD,     "192.0.2.0/24=90",                                   -EINVAL, "none for IPv4"                       },
        {70, REPLACE, "2001:db8:7::/64=90 2001:db8::/32=90 10.0.0.0/8=90", 0,
         "what another version may have written"                                                                          },
        {70, ALL,     "2001:db8:7::/64=90",                                0,       "is left out"                         },
    };
    PLAY(step);
}

static void exempts_networks(void **state)
{
    (void)state;
    static const struct step step[] = {
        {0, ADD,     "198.51.100.7=60",                           0,      "not yet exempt"       },
        {0, ADD,     A "=50",                                     0,      ""                     },
        {0, ADD,     "2001:db8:1::7=70",                          0,      "not yet exempt"       },
        {0, EXEMPT,  "",                                          0,      ""                     },
        {0, ALL,     A "=50",                                     0,      "lifted"               },
        {0, HAS,     "198.51.100.7",                              0,      ""                     },
        {0, ADD,     "198.51.100.0=60",                           -EPERM, "neverBan"             },
        {0, ADD,     "::ffff:198.51.100.255=60",                  -EPERM, "in an IPv6 socket"    },
        {0, ADD,     "2001:db8:1:2::=60",                         -EPERM, "trustedProxies"       },
        {0, ADD,     "2001:db8:1:2::/64=60",                      -EPERM, "all of it is exempt"  },
        {0, ADD,     "198.51.101.0=60",                           0,      "just outside"         },
        {0, REPLACE, "198.51.100.7=60 2001:db8:1::7=60 " B "=40", 0,      ""                     },
        {0, ALL,     B "=40 " A "=50 198.51.101.0=60",            0,      "left out"             },
        {0, TAKE,    "+" A "=50 +198.51.101.0=60",                0,      "nor lifted for others"},
    };
    PLAY(step);
}

/* A /64 with somebody in it who is never banned cannot be banned, only the others one by one. */
static void exempts_single_addresses(void **state)
{
    (void)state;
    struct net_network alone;
    assert_int_equal(net_network_parse(&alone, STR("2001:db8::7")), 0);
    struct net_networks none = {NULL, 0}, never = {&alone, 1};
    struct bans *bans = bans_new();
    struct ban all = {.until_ms = BAN_FOR_EVER}, other = all;
    assert_int_equal(net_network_parse(&all.net, STR(N)), 0);
    assert_int_equal(net_network_parse(&other.net, STR(C)), 0);
    assert_int_equal(bans_add(bans, &all, 0), 0);
    assert_int_equal(bans_set_exempt(bans, &never, &none), 0);
    assert_int_equal(bans_count(bans, 0), 0);
    assert_int_equal(bans_add(bans, &all, 0), -EPERM);
    assert_int_equal(bans_add(bans, &other, 0), 0);
    assert_false(bans_has(bans, &alone.address, 0));
    bans_free(bans);
}

static void publishes_each_change_once(void **state)
{
    (void)state;
    static const struct step step[] = {
        {0,   TAKE,  "",                                0, "nothing"                           },
        {0,   ADD,   B "=60",                           0, ""                                  },
        {0,   ADD,   A "=50",                           0, ""                                  },
        {0,   ADD,   C "=70",                           0, ""                                  },
        {0,   ADD,   B "=80",                           0, "the change is the same one"        },
        {0,   TAKE,  "+" B "=80 +" A "=50 +" C "=70",   0, "the oldest first"                  },
        {0,   TAKE,  "",                                0, "once"                              },
        {0,   ADD,   A "=40",                           1, "no change"                         },
        {0,   TAKE,  "",                                0, ""                                  },
        {0,   ADD,   A "=90",                           0, "a later end"                       },
        {0,   LIFT,  B,                                 0, ""                                  },
        {0,   TAKE,  "+" A "=90 -" B "=80",             0, ""                                  },
        {0,   LIFT,  A,                                 0, ""                                  },
        {0,   ADD,   A "=95",                           0, "banned again before that was told" },
        {0,   TAKE,  "+" A "=95",                       0, "as it is now"                      },
        {0,   ADD,   B "=60",                           0, ""                                  },
        {0,   LIFT,  B,                                 0, "never told"                        },
        {0,   TAKE,  "",                                0, "nothing to tell"                   },
        {0,   LIFT,  C,                                 0, "known, and changed before"         },
        {0,   ADD,   B "=ever",                         0, ""                                  },
        {0,   AGAIN, "",                                0, ""                                  },
        {0,   AGAIN, "",                                0, "once is enough"                    },
        {0,   TAKE,  "-" C "=70 +" B "=ever +" A "=95", 0, "all in force, and what was waiting"},
        {0,   ADD,   C "=100",                          0, ""                                  },
        {100, ALL,   B "=ever",                         0, "over before it was told"           },
        {100, TAKE,  "",                                0, "then it need not be"               },
    };
    PLAY(step);
}

static void replaces_what_is_published(void **state)
{
    (void)state;
    static const struct step step[] = {
        {0, REPLACE, A "=60 " B "=50",   0, "of other nodes"                      },
        {0, ALL,     B "=50 " A "=60",   0, ""                                    },
        {0, RISEN,   "",                 2, "two that were not"                   },
        {0, TAKE,    "",                 0, "nothing of ours"                     },
        {0, REPLACE, A "=60 " B "=50",   0, "the same"                            },
        {0, RISEN,   "",                 0, ""                                    },
        {0, REPLACE, A "=40 " C "=ever", 0, "earlier; gone; new"                  },
        {0, ALL,     A "=40 " C "=ever", 0, ""                                    },
        {0, RISEN,   "",                 1, ""                                    },
        {0, ADD,     B "=70",            0, "ours, not published"                 },
        {0, ADD,     A "=80",            0, "theirs, longer"                      },
        {0, REPLACE, A "=40",            0, ""                                    },
        {0, ALL,     B "=70 " A "=80",   0, "ours stay"                           },
        {0, REPLACE, A "=90 " A "=90",   0, "later than ours"                     },
        {0, TAKE,    "+" B "=70",        0, "so ours need not be told"            },
        {0, REPLACE, "",                 0, "all gone, ours too: it was published"},
        {0, ALL,     "",                 0, ""                                    },
        {0, REPLACE, A "=60",            0, ""                                    },
        {0, LIFT,    A,                  0, "not told yet"                        },
        {0, REPLACE, A "=60",            0, "so they still have it"               },
        {0, ALL,     "",                 0, "which does not count"                },
        {0, TAKE,    "-" A "=60",        0, ""                                    },
        {0, REPLACE, A "=60 " B "=1",    0, "after that it does"                  },
        {1, ALL,     A "=60",            0, ""                                    },
        {9, REPLACE, A "=60 " B "=9",    0, "over when it comes"                  },
        {9, ALL,     A "=60",            0, ""                                    },
        {9, ADD,     A "=70",            0, "longer"                              },
        {9, REPLACE, "",                 0, "lifted by others meanwhile"          },
        {9, LIFT,    A,                  0, "then nobody else has it"             },
        {9, TAKE,    "",                 0, ""                                    },
    };
    PLAY(step);
}

/* ---- Reasons ------------------------------------------------------------------------------- */

static void cuts_reasons_between_characters(void **state)
{
    (void)state;
    static const struct {
        const char *unit;
        size_t count, kept_bytes;
    } row[] = {
        {"x",                       0,   0  },
        {"x",                       120, 120},
        {"x",                       121, 120},
        {"\xc3\xa4",                60,  120},
        {"\xc3\xa4",                61,  120},
        {"\xe2\x82\xac",            41,  120},
        {"x\xc3\xa4",               41,  120},
        {"xx\xc3\xa4",              31,  120},
        {"xxx\xc3\xa4",             25,  120},
        {"\xf0\x9f\x98\x80x",       25,  120},
        {"xxxxxxx\xf0\x9f\x98\x80", 12,  117},
        {"\x80",                    200, 0  }, /* not UTF-8: nothing to cut at */
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct bans *bans = bans_new();
        struct buf reason;
        buf_init_heap(&reason, 4096);
        for (size_t k = 0; k < row[i].count; k++)
            buf_put_text(&reason, row[i].unit);
        struct ban ban = ban_of(A, BAN_FOR_EVER, NULL), got;
        ban.reason = buf_str(&reason);
        assert_int_equal(bans_add(bans, &ban, 0), 0);
        char memory[BAN_REASON_BYTES];
        bool is_lift;
        assert_true(bans_take_unpublished(bans, &got, &is_lift, memory));
        if (got.reason.len != row[i].kept_bytes ||
            !str_eq(got.reason, str_slice(ban.reason, 0, row[i].kept_bytes)))
            fail_msg("row %zu: %zu bytes", i, got.reason.len);
        buf_fini(&reason);
        bans_free(bans);
    }
}

static void take_reason(void *arg, const struct ban *ban)
{
    assert_true(str_eq(ban->reason, str_from(arg)));
}

static void a_later_end_brings_its_reason(void **state)
{
    (void)state;
    struct bans *bans = bans_new();
    struct ban first = ban_of(A, 5000, "first"), brief = ban_of(A, 4000, "brief"),
               longer = ban_of(A, 6000, "longer");
    char expected_first[] = "first", expected_longer[] = "longer";
    assert_int_equal(bans_add(bans, &first, 0), 0);
    assert_int_equal(bans_add(bans, &brief, 0), 1);
    bans_each(bans, 0, take_reason, expected_first);
    assert_int_equal(bans_add(bans, &longer, 0), 0);
    bans_each(bans, 0, take_reason, expected_longer);
    bans_free(bans);
    bans_free(NULL);
}

/* ---- Limits -------------------------------------------------------------------------------- */

static struct net_address numbered(uint32_t n)
{
    struct net_address a = address("10.0.0.0");
    a.v4.sin_addr.s_addr = htonl(0x0a000000 + n);
    return a;
}

static struct net_network numbered_net(uint32_t n)
{
    struct net_address ip = numbered(n);
    return net_network_of(&ip, NET_IPV6_BITS);
}

static bool has_numbered(struct bans *bans, uint32_t n)
{
    struct net_address ip = numbered(n);
    return bans_has(bans, &ip, 0);
}

static int add_numbered(struct bans *bans, uint32_t n, uint64_t until_ms)
{
    struct ban ban = {numbered_net(n), until_ms, STR("many")};
    return bans_add(bans, &ban, 0);
}

/* The next to end makes room, but not for one that would end before it. */
static void holds_so_many(void **state)
{
    (void)state;
    struct bans *bans = bans_new();
    for (uint32_t n = 0; n < BANS_MAX; n++) /* ends in no order: 7919 is a prime */
        assert_int_equal(add_numbered(bans, n, 1000 + n * 7919 % BANS_MAX), 0);
    assert_int_equal(bans_count(bans, 0), BANS_MAX);
    assert_int_equal(add_numbered(bans, BANS_MAX, 1000), -ENOSPC);
    assert_false(has_numbered(bans, BANS_MAX));
    assert_true(has_numbered(bans, 0)); /* ends first */
    assert_int_equal(add_numbered(bans, BANS_MAX, 1001), 0);
    assert_false(has_numbered(bans, 0));
    assert_true(has_numbered(bans, BANS_MAX));
    assert_int_equal(add_numbered(bans, 1, BAN_FOR_EVER), 0); /* there already: needs no room */
    assert_int_equal(bans_count(bans, 0), BANS_MAX);
    for (uint32_t n = 0; n < BANS_MAX; n++)
        assert_int_equal(add_numbered(bans, n, BAN_FOR_EVER), n == 1);
    assert_false(has_numbered(bans, BANS_MAX)); /* pushed out */
    assert_int_equal(add_numbered(bans, BANS_MAX, BAN_FOR_EVER - 1), -ENOSPC);
    assert_int_equal(add_numbered(bans, BANS_MAX, BAN_FOR_EVER), -ENOSPC);
    for (uint32_t n = 0; n < BANS_MAX; n++) {
        struct net_network net = numbered_net(n);
        assert_true(bans_has(bans, &net.address, BAN_FOR_EVER - 1));
        assert_int_equal(bans_lift(bans, &net), 0);
    }
    assert_int_equal(bans_count(bans, 0), 0);
    bans_free(bans);
}

static void ends_in_order(void **state)
{
    (void)state;
    enum { MANY = 5000 };
    struct bans *bans = bans_new();
    for (uint32_t n = 0; n < MANY; n++)
        assert_int_equal(add_numbered(bans, n, 1 + n * 7919 % MANY), 0);
    for (uint32_t n = 0; n < MANY; n += 3) /* out of the middle of the order */
        assert_int_equal(bans_lift(bans, &(struct net_network[]){numbered_net(n)}[0]), 0);
    for (uint64_t now_ms = 0; now_ms <= MANY; now_ms += 100) {
        size_t expected = 0;
        for (uint32_t n = 0; n < MANY; n++)
            expected += n % 3 != 0 && 1 + n * 7919 % MANY > now_ms;
        assert_int_equal(bans_count(bans, now_ms), expected);
    }
    bans_free(bans);
}

static void takes_a_list_of_any_length(void **state)
{
    (void)state;
    struct bans *bans = bans_new();
    struct ban *list = calloc(BANS_MAX + 10, sizeof *list);
    assert_non_null(list);
    for (uint32_t n = 0; n < BANS_MAX + 10; n++)
        list[n] = (struct ban){.net = numbered_net(n), .until_ms = 1000 + n};
    assert_int_equal(bans_replace_published(bans, list, BANS_MAX + 10, 0), 0);
    assert_int_equal(bans_count(bans, 0), BANS_MAX);
    assert_false(has_numbered(bans, 9));
    assert_true(has_numbered(bans, BANS_MAX + 9));
    /* A full table, of which the first to end stands twice among newer ones. */
    list[0] = list[10];
    assert_int_equal(bans_replace_published(bans, list, BANS_MAX + 10, 0), 0);
    assert_int_equal(bans_count(bans, 0), BANS_MAX);
    assert_int_equal(bans_replace_published(bans, list, 1, 0), 0);
    assert_int_equal(bans_count(bans, 0), 1);
    assert_true(has_numbered(bans, 10));
    free(list);
    bans_free(bans);
}

/* ---- Threads ------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 20000, ADDRESSES = 64 };

struct crowd {
    struct bans *bans;
    atomic_uint next, faults;
};

static void see_ban(void *arg, const struct ban *ban)
{
    struct crowd *crowd = arg;
    if (ban->until_ms == 0 || !str_eq(ban->reason, STR("many")))
        atomic_fetch_add(&crowd->faults, 1);
}

static void publish(struct crowd *crowd)
{
    struct ban ban;
    bool is_lift;
    char memory[BAN_REASON_BYTES];
    while (bans_take_unpublished(crowd->bans, &ban, &is_lift, memory))
        see_ban(crowd, &ban);
    struct ban list[2] = {
        {numbered_net(0), BAN_FOR_EVER, STR("many")},
        {numbered_net(1), 100,          STR("many")}
    };
    if (bans_replace_published(crowd->bans, list, COUNT(list), 50) != 0)
        atomic_fetch_add(&crowd->faults, 1);
}

/* Number 0 is banned throughout, and must always be found. */
static void *come_and_go(void *arg)
{
    struct crowd *crowd = arg;
    unsigned me = atomic_fetch_add(&crowd->next, 1);
    uint64_t generation = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t n = 3 + (i * 31 + me * 17) % ADDRESSES;
        struct net_network net = numbered_net(n);
        struct net_address zero = numbered(0);
        bool is_fine = bans_has(crowd->bans, &zero, 50);
        if (i % 3 == me % 3)
            is_fine &= add_numbered(crowd->bans, n, 60 + i % 50) >= 0;
        else
            (void)bans_lift(crowd->bans, &net);
        (void)bans_has(crowd->bans, &net.address, i % 120);
        if (me == 1 && i % 50 == 0)
            publish(crowd);
        if (i % 500 == 0)
            bans_each(crowd->bans, 50, see_ban, crowd);
        uint64_t seen = bans_generation(crowd->bans);
        is_fine &= seen >= generation;
        generation = seen;
        if (!is_fine)
            atomic_fetch_add(&crowd->faults, 1);
    }
    return NULL;
}

static void stands_many_threads(void **state)
{
    (void)state;
    struct crowd crowd = {.bans = bans_new()};
    pthread_t thread[THREADS];
    assert_non_null(crowd.bans);
    assert_int_equal(add_numbered(crowd.bans, 0, BAN_FOR_EVER), 0);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, come_and_go, &crowd), 0);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    assert_int_equal(crowd.faults, 0);
    bans_free(crowd.bans);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bans_for_a_time),
        cmocka_unit_test(bans_networks),
        cmocka_unit_test(exempts_networks),
        cmocka_unit_test(exempts_single_addresses),
        cmocka_unit_test(publishes_each_change_once),
        cmocka_unit_test(replaces_what_is_published),
        cmocka_unit_test(cuts_reasons_between_characters),
        cmocka_unit_test(a_later_end_brings_its_reason),
        cmocka_unit_test(holds_so_many),
        cmocka_unit_test(ends_in_order),
        cmocka_unit_test(takes_a_list_of_any_length),
        cmocka_unit_test(stands_many_threads),
    };
    if (str_hash_seed() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
