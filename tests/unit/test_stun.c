#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "transport/stun.h"
#include <cmocka.h>
#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))
#define COOKIE "\x21\x12\xa4\x42"
#define ID "\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae" /* that of RFC 5769 2 */

static struct net_address address(const char *ip, uint16_t port)
{
    struct net_address a;
    assert_int_equal(net_address_parse(&a, str_from(ip), port), 0);
    return a;
}

/* From memory that ends where the text ends. */
static size_t answer_copy(struct str datagram, bool *is_message, char reply[STUN_REPLY_BYTES])
{
    struct net_address remote = address("192.0.2.1", 32853);
    char *copy = malloc(datagram.len > 0 ? datagram.len : 1);
    assert_non_null(copy);
    if (datagram.len > 0)
        memcpy(copy, datagram.ptr, datagram.len);
    *is_message = stun_is_message((struct str){copy, datagram.len});
    size_t n = stun_answer((struct str){copy, datagram.len}, &remote, reply);
    free(copy);
    return n;
}

static void tells_stun_from_sip(void **state)
{
    (void)state;
    enum { ANSWERED = 1, SILENT, OTHER };
    const struct {
        struct str datagram;
        int what;
        const char *why;
    } row[] = {
        {STR("\x00\x01\x00\x00" COOKIE ID),                ANSWERED, "a binding request"                   },
        {STR("\x00\x01\x00\x04" COOKIE ID "\x80\x22\0\0"), ANSWERED, "with an attribute"                   },
        {STR("\x00\x11\x00\x00" COOKIE ID),                SILENT,   "a binding indication"                },
        {STR("\x01\x01\x00\x00" COOKIE ID),                SILENT,   "a response: or two servers ping-pong"},
        {STR("\x01\x11\x00\x00" COOKIE ID),                SILENT,   "an error response"                   },
        {STR("\x00\x03\x00\x00" COOKIE ID),                SILENT,   "TURN's Allocate"                     },
        {STR("\x00\x01\x00\x04" COOKIE ID),                SILENT,   "longer than it is"                   },
        {STR("\x00\x01\xff\xfc" COOKIE ID),                SILENT,   "much longer than it is"              },
        {STR("\x00\x01\x00\x00" COOKIE ID "\x80\x22\0\0"), SILENT,   "shorter than it is"                  },
        {STR("\x00\x01\x00\x03" COOKIE ID "abc"),          SILENT,   "attributes fill multiples of four"   },
        {STR("\x40\x01\x00\x00" COOKIE ID),                OTHER,    "first two bits"                      },
        {STR("\x80\x01\x00\x00" COOKIE ID),                OTHER,    "first two bits"                      },
        {STR("\x00\x01\x00\x00\x21\x12\xa4\x43" ID),       OTHER,    "RFC 3489 had no cookie"              },
        {STR("REGISTER sip:example.com SIP/2.0\r\n"),      OTHER,    "SIP"                                 },
        {STR("REGI" COOKIE "sip:example.com SIP/2.0"),     OTHER,    "letters have the second bit set"     },
        {STR("\0\0\0\0"),                                  OTHER,    "a keep-alive of some phones"         },
        {STR(""),                                          OTHER,    "nothing"                             },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        bool is_message;
        char reply[STUN_REPLY_BYTES];
        size_t n = answer_copy(row[i].datagram, &is_message, reply);
        int what = n > 0 ? ANSWERED : is_message ? SILENT : OTHER;
        if (what != row[i].what)
            fail_msg("row %zu: %s", i, row[i].why);
    }
}

static void no_truncation_is_answered(void **state)
{
    (void)state;
    struct str whole = STR("\x00\x01\x00\x00" COOKIE ID);
    for (size_t n = 0; n < whole.len; n++) {
        bool is_message;
        char reply[STUN_REPLY_BYTES];
        assert_int_equal(answer_copy(str_slice(whole, 0, n), &is_message, reply), 0);
        assert_false(is_message);
    }
}

/* The attributes of the sample responses in RFC 5769 2.2 and 2.3. */
static void answers(void **state)
{
    (void)state;
    const struct {
        const char *ip;
        uint16_t port;
        struct str reply;
    } row[] = {
        {"192.0.2.1",                            32853,
         STR("\x01\x01\x00\x0c" COOKIE ID "\x00\x20\x00\x08\x00\x01\xa1\x47"
             "\xe1\x12\xa6\x43")                                                 },
        {"2001:db8:1234:5678:11:2233:4455:6677", 32853,
         STR("\x01\x01\x00\x18" COOKIE ID "\x00\x20\x00\x14\x00\x02\xa1\x47"
             "\x01\x13\xa9\xfa\xa5\xd3\xf1\x79"
             "\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9")                                 },
        {"33.18.164.66",                         8466,
         STR("\x01\x01\x00\x0c" COOKIE ID "\x00\x20\x00\x08\x00\x01\0\0\0\0\0\0")},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct net_address remote = address(row[i].ip, row[i].port);
        char reply[STUN_REPLY_BYTES];
        size_t n = stun_answer(STR("\x00\x01\x00\x00" COOKIE ID), &remote, reply);
        assert_int_equal(n, row[i].reply.len);
        assert_memory_equal(reply, row[i].reply.ptr, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_stun_from_sip),
        cmocka_unit_test(no_truncation_is_answered),
        cmocka_unit_test(answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
