#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <aorta/journal.h>
#include <cmocka.h>
#include <pthread.h>

enum { WORKERS = 2, ENTRIES = 8, MAX = 32, LAPS = 20000 };

static struct journal *open_journal(void)
{
    struct journal *j = journal_new(WORKERS, WORKERS * ENTRIES * 64);
    assert_non_null(j);
    return j;
}

static void note(struct journal *j, unsigned worker, struct str aor, enum fact_kind kind,
                 uint64_t time_ms)
{
    struct fact fact = {.kind = kind, .protocol = TRANSPORT_WSS, .time_ms = time_ms, .conn = 7};
    journal_note(j, worker, aor, &fact);
}

static void keeps_what_was_noted(void **state)
{
    (void)state;
    struct journal *j = open_journal();
    struct fact fact = {.kind = FACT_FLOW_CLOSED,
                        .protocol = TRANSPORT_TCP,
                        .time_ms = 1800000000123,
                        .conn = conn_id_make(1, 2, 3),
                        .cause = "the client closed it",
                        .number = 1001},
                found[MAX];
    assert_int_equal(net_address_parse(&fact.source, STR("2001:db8::1"), 5061), 0);
    journal_note(j, 1, STR("a@b"), &fact);
    assert_int_equal(journal_find(j, STR("b@b"), found, MAX), 0);
    assert_int_equal(journal_find(j, STR("a@b"), found, MAX), 1);
    assert_int_equal(found[0].kind, FACT_FLOW_CLOSED);
    assert_int_equal(found[0].protocol, TRANSPORT_TCP);
    assert_int_equal(found[0].time_ms, 1800000000123);
    assert_int_equal(found[0].conn, fact.conn);
    assert_string_equal(found[0].cause, "the client closed it");
    assert_int_equal(found[0].number, 1001);
    assert_int_equal(found[0].times, 1);
    assert_true(net_address_same(&found[0].source, &fact.source));
    journal_free(j);
}

static void puts_rings_in_order_of_time(void **state)
{
    (void)state;
    struct journal *j = open_journal();
    struct fact found[MAX];
    note(j, 1, STR("a@b"), FACT_CHALLENGED, 20);
    note(j, 1, STR("a@b"), FACT_CONNECTED, 10); /* noted late */
    note(j, 1, STR("c@b"), FACT_REFUSED, 25);
    note(j, 0, STR("a@b"), FACT_GRANTED, 30);
    note(j, 1, STR("a@b"), FACT_UNREGISTERED, 40);
    static const enum fact_kind expected[] = {FACT_CONNECTED, FACT_CHALLENGED, FACT_GRANTED,
                                              FACT_UNREGISTERED};
    assert_int_equal(journal_find(j, STR("a@b"), found, MAX), 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(found[i].kind, expected[i]);
    assert_int_equal(journal_find(j, STR("a@b"), found, 2), 2); /* the newest */
    assert_int_equal(found[0].kind, FACT_GRANTED);
    assert_int_equal(found[1].kind, FACT_UNREGISTERED);
    journal_free(j);
}

static void forgets_the_oldest(void **state)
{
    (void)state;
    struct journal *j = open_journal();
    struct fact found[MAX];
    for (unsigned i = 1; i <= ENTRIES; i++)
        note(j, 0, STR("a@b"), FACT_CHALLENGED, i);
    assert_int_equal(journal_begins_ms(j), 0); /* nothing is missing so far */
    for (unsigned i = 1; i <= 3; i++)
        note(j, 0, STR("c@d"), FACT_GRANTED, ENTRIES + i);
    assert_int_equal(journal_find(j, STR("a@b"), found, MAX), ENTRIES - 3);
    assert_int_equal(found[0].time_ms, 4);
    assert_int_equal(journal_find(j, STR("c@d"), found, MAX), 3);
    assert_int_equal(journal_begins_ms(j), 4);
    journal_free(j);
}

static void tells_refreshes_in_a_row_as_one(void **state)
{
    (void)state;
    struct journal *j = open_journal();
    struct fact found[MAX];
    note(j, 0, STR("a@b"), FACT_GRANTED, 1);
    for (unsigned i = 2; i <= 5; i++)
        note(j, 0, STR("a@b"), FACT_REFRESHED, i);
    note(j, 0, STR("a@b"), FACT_CHALLENGED, 6);
    note(j, 0, STR("a@b"), FACT_REFRESHED, 7);
    assert_int_equal(journal_find(j, STR("a@b"), found, MAX), 4);
    assert_int_equal(found[1].kind, FACT_REFRESHED);
    assert_int_equal(found[1].times, 4);
    assert_int_equal(found[1].time_ms, 5); /* the last of them */
    assert_int_equal(found[3].times, 1);
    assert_int_equal(journal_find(j, STR("a@b"), found, 3), 3);
    assert_int_equal(found[0].times, 4); /* all of them, although no more than 3 are wanted */
    journal_free(j);
}

static void may_keep_nothing(void **state)
{
    (void)state;
    struct fact found[MAX];
    struct journal *j = journal_new(WORKERS, 0);
    assert_non_null(j);
    note(j, 1, STR("a@b"), FACT_GRANTED, 1);
    assert_int_equal(journal_find(j, STR("a@b"), found, MAX), 0);
    assert_int_equal(journal_begins_ms(j), 0);
    journal_free(j);
    note(NULL, 0, STR("a@b"), FACT_GRANTED, 1);
}

/* All members of a fact say the same, so that a mixture of two would show. */
static void *write_laps(void *arg)
{
    for (uint32_t i = 1; i <= LAPS; i++) {
        struct fact fact = {
            .kind = FACT_GRANTED, .time_ms = i, .conn = i, .number = i, .protocol = i % 5};
        journal_note(arg, 0, STR("a@b"), &fact);
    }
    return NULL;
}

static void never_shows_half_a_fact(void **state)
{
    (void)state;
    struct journal *j = open_journal();
    struct fact found[MAX];
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, write_laps, j), 0);
    uint64_t last = 0;
    while (last < LAPS) {
        size_t count = journal_find(j, STR("a@b"), found, MAX);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(found[i].conn, found[i].time_ms);
            assert_int_equal(found[i].number, found[i].time_ms);
            assert_int_equal(found[i].protocol, found[i].time_ms % 5);
            assert_true(i == 0 || found[i].time_ms == found[i - 1].time_ms + 1);
        }
        assert_in_range(count, 0, ENTRIES);
        assert_true(count == 0 || found[count - 1].time_ms >= last);
        last = count > 0 ? found[count - 1].time_ms : last;
    }
    pthread_join(writer, NULL);
    journal_free(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_was_noted), cmocka_unit_test(puts_rings_in_order_of_time),
        cmocka_unit_test(forgets_the_oldest),   cmocka_unit_test(tells_refreshes_in_a_row_as_one),
        cmocka_unit_test(may_keep_nothing),     cmocka_unit_test(never_shows_half_a_fact),
    };
    return str_hash_seed() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
