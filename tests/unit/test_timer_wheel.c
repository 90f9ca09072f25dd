#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <aorta/timer_wheel.h>
#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static void count(struct timer *t, void *arg)
{
    (void)t;
    ++*(unsigned *)arg;
}

static void fires_on_time(void **state)
{
    (void)state;
    enum { TICK_MS = 10 };
    static const uint64_t start_ms = 1000003;
    static const struct {
        uint64_t due_in_ms, quiet_until_ms, fires_at_ms; /* since start_ms */
        const char *why;
    } row[] = {
        {1,                    9,              10,                   "rounded up to a tick"   },
        {10,                   9,              10,                   "a whole tick"           },
        {11,                   19,             20,                   "rounded up again"       },
        {0,                    9,              10,                   "now is the next tick"   },
        {630,                  629,            630,                  "last of level 0"        },
        {640,                  639,            640,                  "first of level 1"       },
        {40950,                40949,          40950,                "last of level 1"        },
        {40960,                40959,          40960,                "first of level 2"       },
        {2621440,              2621439,        2621440,              "first of level 3"       },
        {167772150,            167772149,      167772150,            "last of level 3"        },
        {167772160,            167772159,      167772160,            "first beyond"           },
        {1000000000000,        999999999999,   1000000000000,        "30 years"               },
        {7,                    0,              UINT64_MAX - 1000003, "fires once however late"},
        {UINT64_MAX - 1000005, UINT64_MAX / 2, UINT64_MAX - 1000005, "the last whole tick"    },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct timer_wheel w;
        struct timer t = {0};
        unsigned fired = 0;
        timer_wheel_init(&w, TICK_MS, start_ms);
        timer_start(&w, &t, start_ms + row[i].due_in_ms);
        timer_wheel_advance(&w, start_ms + row[i].quiet_until_ms, count, &fired);
        if (fired != 0 || !timer_is_running(&t))
            fail_msg("row %zu: %s: early", i, row[i].why);
        timer_wheel_advance(&w, start_ms, count, &fired); /* a step back changes nothing */
        timer_wheel_advance(&w, start_ms + row[i].fires_at_ms, count, &fired);
        if (fired != 1 || timer_is_running(&t))
            fail_msg("row %zu: %s: not fired", i, row[i].why);
        timer_wheel_advance(&w, UINT64_MAX, count, &fired);
        assert_int_equal(fired, 1);
    }
}

static void past_is_the_next_tick(void **state)
{
    (void)state;
    struct timer_wheel w;
    struct timer t = {0};
    unsigned fired = 0;
    timer_wheel_init(&w, 10, 1000);
    timer_wheel_advance(&w, 2000, count, &fired);
    timer_start(&w, &t, 5); /* before the wheel was made */
    timer_wheel_advance(&w, 2009, count, &fired);
    assert_int_equal(fired, 0);
    timer_wheel_advance(&w, 2010, count, &fired);
    assert_int_equal(fired, 1);
}

static void stops_and_moves(void **state)
{
    (void)state;
    struct timer_wheel w;
    struct timer same_slot[3] = {{0}};
    unsigned fired = 0;
    timer_wheel_init(&w, 10, 0);
    for (size_t i = 0; i < COUNT(same_slot); i++)
        timer_start(&w, &same_slot[i], 50);
    timer_stop(&same_slot[1]);
    timer_stop(&same_slot[1]); /* not running: nothing happens */
    assert_false(timer_is_running(&same_slot[1]));
    timer_start(&w, &same_slot[0], 100);
    timer_wheel_advance(&w, 50, count, &fired);
    assert_int_equal(fired, 1);
    timer_wheel_advance(&w, 100, count, &fired);
    assert_int_equal(fired, 2);
}

struct order {
    uint64_t last_tick;
    unsigned fired;
};

static void note_order(struct timer *t, void *arg)
{
    struct order *order = arg;
    assert_true(t->due_tick >= order->last_tick);
    order->last_tick = t->due_tick;
    order->fired++;
}

static void earlier_ticks_fire_first(void **state)
{
    (void)state;
    struct timer_wheel w;
    static struct timer t[1000];
    struct order order = {0, 0};
    timer_wheel_init(&w, 10, 0);
    for (size_t i = 0; i < COUNT(t); i++) /* 7919 is prime: all over the place */
        timer_start(&w, &t[i], i * 7919 % COUNT(t) * 1000);
    timer_wheel_advance(&w, UINT64_MAX, note_order, &order);
    assert_int_equal(order.fired, COUNT(t));
}

/* The wheel against a plain list of what is due when, with callbacks that meddle. */
enum { TIMERS = 300, STEPS = 20000, MODEL_TICK_MS = 7 };

struct model {
    struct timer_wheel wheel;
    struct timer timer[TIMERS];
    uint64_t due_tick[TIMERS]; /* 0 when it is not running */
    uint64_t now_ms, now_tick, last_fired_tick;
    uint64_t random;
    unsigned fired, jump_bits;
};

static uint64_t draw(struct model *m)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return m->random;
}

/* As often below 2 as between 2^(bits-1) and 2^bits. */
static uint64_t draw_span(struct model *m, unsigned bits)
{
    return draw(m) >> (63 - draw(m) % bits);
}

static void model_start(struct model *m, size_t i)
{
    uint64_t due_ms = m->now_ms + draw_span(m, 40);
    if (draw(m) % 8 == 0)
        due_ms = m->now_ms / 2;
    uint64_t due_tick = (due_ms + MODEL_TICK_MS - 1) / MODEL_TICK_MS;
    m->due_tick[i] = due_tick > m->now_tick ? due_tick : m->now_tick + 1;
    timer_start(&m->wheel, &m->timer[i], due_ms);
}

static void model_stop(struct model *m, size_t i)
{
    m->due_tick[i] = 0;
    timer_stop(&m->timer[i]);
}

static void model_meddle(struct model *m)
{
    size_t i = draw(m) % TIMERS;
    if (draw(m) % 3 == 0)
        model_stop(m, i);
    else
        model_start(m, i);
}

static void model_fired(struct timer *t, void *arg)
{
    struct model *m = arg;
    size_t i = (size_t)(t - m->timer);
    assert_false(timer_is_running(t));
    assert_true(m->due_tick[i] != 0 && m->due_tick[i] <= m->now_tick);
    assert_true(m->due_tick[i] >= m->last_fired_tick);
    m->last_fired_tick = m->due_tick[i];
    m->due_tick[i] = 0;
    m->fired++;
    if (draw(m) % 2 == 0)
        model_start(m, i);
    for (uint64_t n = draw(m) % 3; n > 0; n--)
        model_meddle(m);
}

static void model_advance(struct model *m)
{
    m->now_ms += draw_span(m, m->jump_bits);
    m->now_tick = m->now_ms / MODEL_TICK_MS;
    m->last_fired_tick = 0;
    timer_wheel_advance(&m->wheel, m->now_ms, model_fired, m);
    for (size_t i = 0; i < TIMERS; i++) {
        assert_true(m->due_tick[i] == 0 || m->due_tick[i] > m->now_tick);
        assert_int_equal(timer_is_running(&m->timer[i]), m->due_tick[i] != 0);
    }
}

static void does_as_a_plain_list_does(void **state)
{
    (void)state;
    static const unsigned jump_bits[] = {4, 10, 16, 22, 30, 44};
    for (size_t i = 0; i < COUNT(jump_bits); i++) {
        static struct model m;
        m = (struct model){.random = 88172645463325252u + i, .jump_bits = jump_bits[i]};
        timer_wheel_init(&m.wheel, MODEL_TICK_MS, 0);
        for (int step = 0; step < STEPS; step++) {
            model_meddle(&m);
            if (draw(&m) % 4 == 0)
                model_advance(&m);
        }
        assert_true(m.fired > 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_on_time),
        cmocka_unit_test(past_is_the_next_tick),
        cmocka_unit_test(stops_and_moves),
        cmocka_unit_test(earlier_ticks_fire_first),
        cmocka_unit_test(does_as_a_plain_list_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
