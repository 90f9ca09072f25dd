#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <aorta/sip_traces.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

static struct sip_trace of_aor(const char *aor, uint64_t until_ms)
{
    return (struct sip_trace){.aor = str_from(aor), .until_ms = until_ms};
}

static struct sip_trace of_ip(const char *ip, uint64_t until_ms)
{
    struct sip_trace trace = {.until_ms = until_ms};
    assert_int_equal(net_address_parse(&trace.ip, str_from(ip), 0), 0);
    return trace;
}

static void count(void *arg, const struct sip_trace *trace)
{
    (void)trace;
    ++*(unsigned *)arg;
}

static void traces_until_their_time(void **state)
{
    (void)state;
    struct sip_traces traces;
    assert_int_equal(sip_traces_init(&traces), 0);
    assert_false(sip_traces_any(&traces));
    struct sip_trace alice = of_aor("alice@example.com", 1000), home = of_ip("192.0.2.1", 500);
    assert_int_equal(sip_traces_add(&traces, &alice, 0), 0);
    assert_int_equal(sip_traces_add(&traces, &home, 0), 0);
    assert_true(sip_traces_any(&traces));
    struct net_address other = of_ip("192.0.2.2", 0).ip;
    assert_true(sip_traces_have_ip(&traces, &home.ip, 499));
    assert_false(sip_traces_have_ip(&traces, &other, 499));
    assert_true(sip_traces_have_aor(&traces, STR("alice@example.com"), 499));
    assert_false(sip_traces_have_aor(&traces, STR("bob@example.com"), 499));
    assert_false(sip_traces_have_aor(&traces, STR(""), 499)); /* one of an address has no AOR */
    assert_false(sip_traces_have_ip(&traces, &home.ip, 500));
    assert_true(sip_traces_have_aor(&traces, STR("alice@example.com"), 999));
    assert_false(sip_traces_have_aor(&traces, STR("alice@example.com"), 1000));
    assert_false(sip_traces_any(&traces));
    sip_traces_fini(&traces);
}

static void the_latest_of_one_counts(void **state)
{
    (void)state;
    struct sip_traces traces;
    assert_int_equal(sip_traces_init(&traces), 0);
    struct sip_trace first = of_aor("a@b", 10), second = of_aor("a@b", 99);
    struct sip_trace ip_first = of_ip("::1", 10), ip_second = of_ip("::1", 99);
    sip_traces_add(&traces, &first, 0);
    sip_traces_add(&traces, &second, 0);
    sip_traces_add(&traces, &ip_first, 0);
    sip_traces_add(&traces, &ip_second, 0);
    unsigned n = 0;
    sip_traces_each(&traces, 50, count, &n);
    assert_int_equal(n, 2);
    assert_int_equal(sip_traces_end_all(&traces, 50), 2);
    assert_false(sip_traces_any(&traces));
    sip_traces_fini(&traces);
}

static void are_only_so_many(void **state)
{
    (void)state;
    struct sip_traces traces;
    char name[16], longest[SIP_TRACE_AOR_BYTES + 2];
    assert_int_equal(sip_traces_init(&traces), 0);
    for (unsigned i = 0; i < SIP_TRACES_MAX; i++) {
        snprintf(name, sizeof name, "u%u@b", i);
        struct sip_trace trace = of_aor(name, i == 3 ? 10 : 1000);
        assert_int_equal(sip_traces_add(&traces, &trace, 0), 0);
    }
    struct sip_trace more = of_aor("more@b", 1000);
    assert_int_equal(sip_traces_add(&traces, &more, 9), -ENOSPC);
    assert_int_equal(sip_traces_add(&traces, &more, 10), 0);     /* one has ended */
    assert_true(sip_traces_have_aor(&traces, STR("u15@b"), 10)); /* and the others moved */
    assert_true(sip_traces_have_aor(&traces, STR("more@b"), 10));
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = 0;
    struct sip_trace too_long = of_aor(longest, 1000);
    assert_int_equal(sip_traces_add(&traces, &too_long, 10), -EINVAL);
    sip_traces_fini(&traces);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traces_until_their_time),
        cmocka_unit_test(the_latest_of_one_counts),
        cmocka_unit_test(are_only_so_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
