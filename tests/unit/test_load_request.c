#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "bench/load/request.h"
#include <aorta/sip.h>
#include <cmocka.h>

static const struct options base = {.domain = "d.test",
                                    .user_prefix = "u",
                                    .password = "secret",
                                    .expires_s = 600};
static const struct challenge challenge = {STR("d.test"), STR("0123456789"),
                                           STR("opaque"), DIGEST_MD5,
                                           true,          false};

static bool contains(struct str text, const char *part)
{
    return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

/* What is sent must be what aorta reads without a complaint, and what answers are compared with. */
static void are_read_by_the_parser(void **state)
{
    (void)state;
    for (int t = 0; t < TRANSPORTS; t++)
        for (int is_authorized = 0; is_authorized < 2; is_authorized++) {
            static struct requests r;
            struct options o = base;
            o.transport = (enum transport)t;
            uint8_t ha1[DIGEST_MAX_BYTES] = {0};
            struct identity id = {1,  2, 3, 100000001, 1, 40000, challenge.nonce, challenge.opaque,
                                  ha1};
            assert_int_equal(requests_init(&r, &o, "deadbeef", STR("127.0.0.1")), 0);
            assert_int_equal(requests_take_challenge(&r, &challenge), 0);
            struct str text =
                is_authorized ? requests_authorized(&r, &id) : requests_plain(&r, &id);
            struct arena arena;
            assert_int_equal(arena_init(&arena, 4096, 65536), 0);
            static struct sip_request request;
            struct sip_fault fault;
            if (!sip_parse(text, &arena, &request, &fault))
                fail_msg("%s: %s\n%.*s", transport_names[t], fault.reason, STR_ARG(text));
            struct expected e = requests_expected(&r, &id);
            assert_int_equal(request.cseq, e.cseq);
            assert_true(str_eq(request.call_id, e.call_id));
            assert_true(str_eq(request.via[0].branch, e.branch));
            assert_int_equal(request.contact_count, 1);
            assert_true(str_eq(request.contacts[0].uri.text, e.contact));
            assert_int_equal(request.contacts[0].expires_s, 600);
            assert_int_equal(request.authorization_count, is_authorized);
            assert_true(str_eq(request.to_uri.user, STR("u0000001")));
            uint32_t slot = 0;
            assert_true(requests_find_slot(&r, request.call_id, &slot));
            assert_int_equal(slot, 2);
            arena_fini(&arena);
        }
}

static void credentials(void **state)
{
    (void)state;
    static struct requests r;
    uint8_t ha1[DIGEST_MAX_BYTES];
    digest_ha1(DIGEST_MD5, STR("u0000001"), STR("d.test"), STR("secret"), ha1);
    struct identity id = {1, 0, 0, 100000001, 10, 40000, challenge.nonce, challenge.opaque, ha1};
    assert_int_equal(requests_init(&r, &base, "deadbeef", STR("[::1]")), 0);
    assert_int_equal(requests_take_challenge(&r, &challenge), 0);
    struct str text = requests_authorized(&r, &id);
    char ha2[DIGEST_MAX_HEX], response[DIGEST_MAX_HEX + 1] = "";
    digest_ha2(DIGEST_MD5, STR("REGISTER"), STR("sip:d.test"), ha2);
    digest_response(DIGEST_MD5, ha1, challenge.nonce, STR("0000000a"), STR("k3fq81z0xw5d"), ha2,
                    response);
    static const char *const parts[] = {"username=\"u0000001\"", "realm=\"d.test\"",
                                        "nonce=\"0123456789\"",  "nc=0000000a",
                                        "uri=\"sip:d.test\"",    "opaque=\"opaque\"",
                                        "algorithm=MD5,",        "sip:u0000001@[::1]:40000"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!contains(text, parts[i]))
            fail_msg("%s\n%.*s", parts[i], STR_ARG(text));
    assert_true(contains(text, response));

    /* Another shape of challenge. */
    struct challenge old = {STR("other"), STR("n"), STR_NONE, DIGEST_SHA256, false, false};
    assert_int_equal(requests_take_challenge(&r, &old), 0);
    id.nonce = old.nonce;
    text = requests_authorized(&r, &id);
    assert_true(contains(text, "realm=\"other\", nonce=\"n\""));
    assert_true(contains(text, "algorithm=SHA-256"));
    assert_false(contains(text, "qop") || contains(text, "nc=") || contains(text, "opaque"));
}

static void strangers_call_ids(void **state)
{
    (void)state;
    static struct requests r;
    assert_int_equal(requests_init(&r, &base, "deadbeef", STR("h")), 0);
    static const struct {
        struct str call_id;
        bool is_ours;
    } row[] = {
        {STR("deadbeef-0000042-000000000@h"), true },
        {STR("deadbeef-000004"),              false},
        {STR("deadbeee-0000042-000000000@h"), false},
        {STR("deadbeef-00000x2-000000000@h"), false},
        {STR(""),                             false},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        uint32_t slot = 0;
        if (requests_find_slot(&r, row[i].call_id, &slot) != row[i].is_ours)
            fail_msg("%.*s", STR_ARG(row[i].call_id));
        if (row[i].is_ours)
            assert_int_equal(slot, 42);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(are_read_by_the_parser),
        cmocka_unit_test(credentials),
        cmocka_unit_test(strangers_call_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
