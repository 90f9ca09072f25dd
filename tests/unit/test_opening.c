/* Places for peers that are coming in, over listeners and streams that only write down what is done
 * to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "transport/transport_internal.h"
#include <cmocka.h>
#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

enum { CROWD = OPENING_PLACES + 10, SOON_MS = 300, PATIENCE_MS = 2500, LOST_A_TICK = 64 };

struct net_listener {
    bool is_paused;
    unsigned resumed_as; /* which of all that were resumed */
};
struct net_stream {
    bool is_silent;
};

static unsigned resumed;

void net_listener_pause(struct net_listener *l)
{
    l->is_paused = true;
}

void net_listener_resume(struct net_listener *l)
{
    l->is_paused = false;
    l->resumed_as = ++resumed;
}

bool net_stream_is_silent(const struct net_stream *s)
{
    return s->is_silent;
}

/* ---- A worker with one listener of each sort, and a crowd in front of them ------------------ */

static const struct {
    enum transport_kind kind;
    bool is_admin, is_open;
    bool waits;
    const char *why;
} port[] = {
    {TRANSPORT_WSS, false, true,  true,  "TLS and an upgrade"                         },
    {TRANSPORT_WS,  false, true,  true,  "an upgrade"                                 },
    {TRANSPORT_TLS, false, true,  true,  "TLS"                                        },
    {TRANSPORT_TCP, false, true,  false, "no handshake"                               },
    {TRANSPORT_WS,  true,  true,  false, "whoever looks after the node always gets in"},
    {TRANSPORT_TLS, false, false, false, "closed for the drain"                       },
};

struct fixture {
    struct config config;
    struct transport t;
    struct net_listener listener[COUNT(port)];
    struct net_stream stream[CROWD];
    struct conn conn[CROWD];
};

static struct fixture *f;

static int set_up(void **state)
{
    (void)state;
    resumed = 0;
    f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->config.handshakes = OPENING_PLACES;
    f->config.handshake_s = PATIENCE_MS * 2 / 1000;
    f->t.deps.config = &f->config;
    f->t.listener_count = COUNT(port);
    for (size_t i = 0; i < COUNT(port); i++)
        f->t.listener[i] =
            (struct transport_listener){.t = &f->t,
                                        .kind = port[i].kind,
                                        .is_admin = port[i].is_admin,
                                        .socket = port[i].is_open ? &f->listener[i] : NULL};
    for (size_t i = 0; i < CROWD; i++)
        f->conn[i] = (struct conn){.t = &f->t, .kind = TRANSPORT_WSS, .stream = &f->stream[i]};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(f);
    return 0;
}

static void fill_places(void)
{
    for (size_t i = 0; i < OPENING_PLACES; i++)
        opening_add(&f->conn[i]);
}

static void assert_waiting(bool expected)
{
    for (size_t i = 0; i < COUNT(port); i++)
        if (f->listener[i].is_paused != (expected && port[i].waits))
            fail_msg("listener %zu: %s", i, port[i].why);
}

static void last_place_stops_newcomers(void **state)
{
    (void)state;
    for (size_t i = 0; i < OPENING_PLACES; i++) {
        assert_waiting(false);
        opening_add(&f->conn[i]);
    }
    assert_waiting(true);
    for (size_t i = OPENING_PLACES; i < CROWD; i++)
        opening_add(&f->conn[i]); /* let in before they stopped */
    assert_int_equal(f->t.opening.count, OPENING_PLACES);
    for (size_t i = CROWD; i-- > 0;) {
        opening_remove(&f->conn[i]);
        opening_remove(&f->conn[i]); /* heard of, and later closed */
    }
    assert_int_equal(f->t.opening.count, 0);
    assert_waiting(false);
}

/* By halves and quarters, so that a busy port is not taken up and put down for every newcomer. */
static void a_quarter_of_room_lets_in_again(void **state)
{
    (void)state;
    fill_places();
    for (size_t i = 0; i < OPENING_PLACES / 4; i++) {
        assert_waiting(true);
        opening_remove(&f->conn[i * 3]);
    }
    assert_waiting(false);
    assert_int_equal(resumed, 3);
    for (size_t i = 0; i < OPENING_PLACES / 4; i++)
        opening_add(&f->conn[i * 3]);
    assert_waiting(true);
}

static void each_listener_is_first_in_turn(void **state)
{
    (void)state;
    bool was_first[COUNT(port)] = {false};
    for (size_t round = 0; round < COUNT(port); round++) {
        fill_places();
        unsigned before = resumed;
        for (size_t i = 0; i < OPENING_PLACES; i++)
            opening_remove(&f->conn[i]);
        for (size_t i = 0; i < COUNT(port); i++)
            was_first[i] |= f->listener[i].resumed_as == before + 1;
    }
    for (size_t i = 0; i < COUNT(port); i++)
        assert_int_equal(was_first[i], port[i].waits);
}

static void who_needs_no_handshake_takes_no_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(port); i++) {
        f->conn[i].kind = port[i].kind;
        f->conn[i].is_admin = port[i].is_admin;
        opening_add(&f->conn[i]);
    }
    assert_int_equal(f->t.opening.count, 4); /* with one of the port that is closed by now */
}

static void places_are_not_held_for_nothing(void **state)
{
    (void)state;
    static const struct {
        uint64_t age_ms;
        bool is_silent, is_full;
        uint32_t lost;
        const char *why;
    } row[] = {
        {100,         true,  true,  0,           "it may only just have connected"},
        {SOON_MS,     true,  true,  LOST_A_TICK, "it says nothing"                },
        {SOON_MS,     false, true,  0,           "it has begun"                   },
        {PATIENCE_MS, false, true,  LOST_A_TICK, "it does not go on"              },
        {PATIENCE_MS, true,  false, 0,           "it is in nobody's way"          },
        {PATIENCE_MS, false, false, 0,           "neither is this one"            },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        tear_down(NULL);
        set_up(NULL);
        size_t count = row[i].is_full ? OPENING_PLACES : OPENING_PLACES - 1;
        for (size_t j = 0; j < count; j++) {
            f->stream[j].is_silent = row[i].is_silent;
            f->conn[j].heard_ms = 1000;
            opening_add(&f->conn[j]);
        }
        uint32_t before = f->t.opening.count;
        f->t.now_ms = 1000 + row[i].age_ms;
        opening_check(&f->t);
        if (before - f->t.opening.count != row[i].lost)
            fail_msg("row %zu: %s: lost %u", i, row[i].why, before - f->t.opening.count);
    }
}

/* The few that are slow make room for others, and those who do as they should keep their places. */
static void only_the_slow_lose_theirs(void **state)
{
    (void)state;
    for (size_t i = 0; i < OPENING_PLACES; i++)
        f->stream[i].is_silent = i % 3 == 0;
    fill_places();
    f->t.now_ms = SOON_MS;
    for (int tick = 0; tick < 8; tick++)
        opening_check(&f->t);
    for (size_t i = 0; i < OPENING_PLACES; i++)
        if (i % 3 != 0)
            assert_int_not_equal(f->conn[i].opening_place, 0);
    assert_int_equal(f->t.opening.count, OPENING_PLACES * 3 / 4); /* until there is room */
    assert_waiting(false);
}

static void a_busy_worker_has_fewer_places(void **state)
{
    (void)state;
    static const uint32_t places[OVERLOAD_LEVELS] = {OPENING_PLACES, OPENING_PLACES / 4,
                                                     OPENING_PLACES / 16, OPENING_PLACES / 16};
    for (enum overload_level level = 0; level < OVERLOAD_LEVELS; level++) {
        tear_down(NULL);
        set_up(NULL);
        opening_set_level(&f->t, level);
        for (uint32_t i = 0; i < places[level]; i++) {
            assert_waiting(false);
            opening_add(&f->conn[i]);
        }
        assert_waiting(true);
        for (uint32_t i = 0; i < places[level] / 4; i++) {
            assert_waiting(true);
            opening_remove(&f->conn[i]);
        }
        assert_waiting(false);
    }
}

static void places_change_while_some_are_taken(void **state)
{
    (void)state;
    static const struct {
        uint32_t taken;
        enum overload_level level;
        bool waits;
        const char *why;
    } row[] = {
        {100, OVERLOAD_NONE,       false, "as always"                  },
        {100, OVERLOAD_DELAY,      false, "there are 128"              },
        {100, OVERLOAD_REFUSE_NEW, true,  "there are 32"               },
        {100, OVERLOAD_DELAY,      true,  "too few are free to go on"  },
        {90,  OVERLOAD_DELAY,      false, "a quarter"                  },
        {128, OVERLOAD_DELAY,      true,  "the last"                   },
        {128, OVERLOAD_NONE,       false, "all is well again"          },
        {510, OVERLOAD_NONE,       false, ""                           },
        {510, OVERLOAD_REFUSE_ALL, true,  "far more than it has places"},
        {510, OVERLOAD_NONE,       true,  "too few are free to go on"  },
        {24,  OVERLOAD_REFUSE_ALL, false, "a quarter of those 32"      },
    };
    uint32_t taken = 0;
    for (size_t i = 0; i < COUNT(row); i++) {
        for (; taken < row[i].taken; taken++)
            opening_add(&f->conn[taken]);
        for (; taken > row[i].taken; taken--)
            opening_remove(&f->conn[taken - 1]);
        opening_set_level(&f->t, row[i].level);
        if (f->t.opening.is_paused != row[i].waits)
            fail_msg("row %zu: %s", i, row[i].why);
        assert_waiting(row[i].waits);
    }
}

static void a_busy_worker_takes_fewer_places_away(void **state)
{
    (void)state;
    opening_set_level(&f->t, OVERLOAD_REFUSE_NEW);
    for (size_t i = 0; i < OPENING_PLACES / 16; i++) {
        f->stream[i].is_silent = true;
        opening_add(&f->conn[i]);
    }
    f->t.now_ms = SOON_MS;
    opening_check(&f->t);
    assert_int_equal(f->t.opening.count, OPENING_PLACES / 16 * 7 / 8);
}

/* Those who came in while there were more places, and do not go on, are no wall for the others. */
static void a_busy_worker_is_less_patient(void **state)
{
    (void)state;
    for (size_t i = 0; i < 500; i++)
        opening_add(&f->conn[i]);
    opening_set_level(&f->t, OVERLOAD_DELAY);
    assert_waiting(true);
    f->t.now_ms = 499;
    opening_check(&f->t);
    assert_int_equal(f->t.opening.count, 500);
    f->t.now_ms = 500;
    for (int tick = 0; tick < 8; tick++) {
        assert_waiting(true);
        opening_check(&f->t);
    }
    assert_waiting(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(last_place_stops_newcomers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_quarter_of_room_lets_in_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_listener_is_first_in_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_needs_no_handshake_takes_no_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(places_are_not_held_for_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_the_slow_lose_theirs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_busy_worker_has_fewer_places, set_up, tear_down),
        cmocka_unit_test_setup_teardown(places_change_while_some_are_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_busy_worker_takes_fewer_places_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_busy_worker_is_less_patient, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
