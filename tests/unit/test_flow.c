#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "registrar/flow.h"
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* A connection with all that it has registered. That memory is given back is the sanitizer's say.
 */
struct conn {
    conn_id id;
    void *flows;
};

static struct str numbered(unsigned i, char memory[32])
{
    return (struct str){memory, (size_t)snprintf(memory, 32, "user%u@example.com", i)};
}

static void add_range(struct flow_set *set, struct conn *conn, unsigned from, unsigned to)
{
    char memory[32];
    for (unsigned i = from; i < to; i++)
        assert_in_range(flow_add(set, &conn->flows, conn->id, numbered(i, memory)), 0, 1);
}

enum { MOST = 6000 };

static void mark(void *arg, struct str aor)
{
    unsigned char *times = arg;
    unsigned i = (unsigned)strtoul(aor.ptr + strlen("user"), NULL, 10);
    char memory[32];
    assert_in_range(i, 0, MOST - 1);
    assert_true(str_eq(aor, numbered(i, memory)));
    times[i]++;
}

/* All AORs of the range are listed, once each, and no other. */
static void expect_range(const struct conn *conn, unsigned from, unsigned to)
{
    unsigned char times[MOST] = {0};
    flow_each(conn->flows, mark, times);
    for (unsigned i = 0; i < MOST; i++)
        if (times[i] != (i >= from && i < to))
            fail_msg("user%u is listed %u times", i, times[i]);
}

static void drop(struct flow_set *set, struct conn *conn)
{
    flow_drop(set, conn->flows);
    conn->flows = NULL;
}

static void count(void *arg, struct str aor)
{
    (void)aor;
    ++*(unsigned *)arg;
}

static void lists_each_once(void **state)
{
    (void)state;
    const struct {
        conn_id conn;
        struct str aor;
        unsigned listed; /* on that connection, then */
        const char *why;
    } row[] = {
        {1,              STR("a@example.com"),  1, "first"                            },
        {1,              STR("a@example.com"),  1, "a refresh"                        },
        {1,              STR("a@example.comm"), 2, "longer"                           },
        {1,              STR("a@example.co"),   3, "shorter"                          },
        {1,              STR("A@example.com"),  4, "users have a case"                },
        {2,              STR("a@example.com"),  1, "another connection's"             },
        {UINT64_MAX,     STR("a@example.com"),  1, "another connection's"             },
        {1ull << 32 | 1, STR("a@example.com"),  1, "another slot, the same generation"},
        {1,              STR("a@example.com"),  4, "still known"                      },
        {2,              STR("a@example.com"),  1, "still known"                      },
    };
    struct flow_set *set = flow_set_new();
    assert_non_null(set);
    struct conn conns[] = {{.id = 1}, {.id = 2}, {.id = UINT64_MAX}, {.id = 1ull << 32 | 1}};
    for (size_t i = 0; i < COUNT(row); i++) {
        struct conn *conn = conns;
        while (conn->id != row[i].conn)
            conn++;
        unsigned before = 0, listed = 0;
        flow_each(conn->flows, count, &before);
        int is_new = flow_add(set, &conn->flows, conn->id, row[i].aor);
        flow_each(conn->flows, count, &listed);
        assert_int_equal(is_new, listed - before);
        if (listed != row[i].listed)
            fail_msg("row %zu: %s: %u", i, row[i].why, listed);
    }
    for (size_t i = 0; i < COUNT(conns); i++)
        drop(set, &conns[i]);
    flow_set_free(set);
}

static void copies_what_it_lists(void **state)
{
    (void)state;
    struct flow_set *set = flow_set_new();
    struct conn conn = {.id = 1};
    char memory[32];
    struct str aor = numbered(5, memory);
    assert_int_equal(flow_add(set, &conn.flows, conn.id, aor), 1);
    memset(memory, 'x', sizeof memory);
    expect_range(&conn, 5, 6);
    drop(set, &conn);
    flow_set_free(set);
}

static void many_on_one_connection(void **state)
{
    (void)state;
    struct flow_set *set = flow_set_new();
    struct conn conn = {.id = conn_id_make(3, 5, 7)};
    for (int again = 0; again < 2; again++) { /* the second time finds all of them */
        add_range(set, &conn, 0, MOST);
        expect_range(&conn, 0, MOST);
    }
    drop(set, &conn);
    add_range(set, &conn, 10, 20); /* forgotten, so listed anew */
    expect_range(&conn, 10, 20);
    drop(set, &conn);
    flow_set_free(set);
}

static void one_on_many_connections(void **state)
{
    (void)state;
    static struct conn conns[MOST];
    struct flow_set *set = flow_set_new();
    for (unsigned i = 0; i < MOST; i++) {
        conns[i].id = conn_id_make(1, i + 1, i % 3);
        add_range(set, &conns[i], i % 2, i % 2 + 1);
    }
    for (unsigned i = 0; i < MOST; i += 3)
        drop(set, &conns[i]);
    for (unsigned i = 0; i < MOST; i++) {
        add_range(set, &conns[i], i % 2, i % 2 + 1);
        unsigned listed = 0;
        flow_each(conns[i].flows, count, &listed);
        assert_int_equal(listed, 1);
    }
    for (unsigned i = 0; i < MOST; i++)
        drop(set, &conns[i]);
    flow_set_free(set);
}

static void drops_while_it_grows(void **state)
{
    (void)state;
    struct flow_set *set = flow_set_new();
    struct conn stays = {.id = 1}, goes = {.id = 2}, grows = {.id = 3};
    add_range(set, &stays, 0, 200);
    for (unsigned round = 0; round < 20; round++) { /* past every growth from 256 on */
        add_range(set, &goes, round, round + 150);
        add_range(set, &grows, round * 300, (round + 1) * 300);
        expect_range(&goes, round, round + 150);
        drop(set, &goes);
        flow_each(goes.flows, mark, NULL); /* none */
    }
    expect_range(&stays, 0, 200);
    expect_range(&grows, 0, MOST);
    drop(set, &stays);
    add_range(set, &stays, 100, 300);
    expect_range(&stays, 100, 300);
    drop(set, &stays);
    drop(set, &grows);
    flow_set_free(set);
}

static void tells_of_others(void **state)
{
    (void)state;
    struct flow_set *set = flow_set_new();
    struct conn conn = {.id = 7};
    assert_false(flow_has_other(conn.flows, STR("user0@example.com")));
    add_range(set, &conn, 0, 1);
    assert_false(flow_has_other(conn.flows, STR("user0@example.com")));
    assert_true(flow_has_other(conn.flows, STR("user1@example.com")));
    assert_true(flow_has_other(conn.flows, STR_NONE));
    add_range(set, &conn, 1, 2);
    assert_true(flow_has_other(conn.flows, STR("user0@example.com")));
    drop(set, &conn);
    flow_set_free(set);
}

static void nothing_is_fine(void **state)
{
    (void)state;
    struct flow_set *set = flow_set_new();
    flow_drop(set, NULL);
    flow_each(NULL, mark, NULL);
    flow_set_free(set);
    flow_set_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_each_once),        cmocka_unit_test(copies_what_it_lists),
        cmocka_unit_test(many_on_one_connection), cmocka_unit_test(one_on_many_connections),
        cmocka_unit_test(drops_while_it_grows),   cmocka_unit_test(tells_of_others),
        cmocka_unit_test(nothing_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
