/* Events from those who write to those who read: rings, readers that are too slow, publishers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "events/event_ring.h"
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum { RING_BYTES = 64 << 10, WORKERS = 3 };

/* ---- A process ------------------------------------------------------------------------------ */

struct heard {
    char memory[4096];
    struct buf text; /* "registered:c1 " for each */
    unsigned count;
};

static void clear(struct heard *h)
{
    buf_init_fixed(&h->text, h->memory, sizeof h->memory);
    h->count = 0;
}

/* The contact's user, which the tests number. */
static struct str contact_of(struct str json)
{
    static const char mark[] = ",\"contact\":\"sip:";
    const char *at = memmem(json.ptr, json.len, mark, sizeof mark - 1);
    assert_non_null(at);
    struct str rest = {at + sizeof mark - 1, (size_t)(json.ptr + json.len - at) - sizeof mark + 1};
    return str_slice(rest, 0, str_find(rest, '@'));
}

static void hear(void *arg, enum event_type type, struct str json)
{
    struct heard *h = arg;
    assert_true(json.len > 2 && json.ptr[0] == '{' && json.ptr[json.len - 1] == '}');
    if (type != EVENT_BANNED && h->text.len < 4000)
        buf_printf(&h->text, "%.*s:%.*s ", STR_ARG(event_type_name(type)),
                   STR_ARG(contact_of(json)));
    h->count++;
}

static void assert_heard(struct event_reader *r, const char *expected)
{
    static struct heard h;
    clear(&h);
    assert_int_equal(event_reader_read(r, hear, &h), 0);
    if (!str_eq(buf_str(&h.text), str_from(expected)))
        fail_msg("heard \"%.*s\", not \"%s\"", STR_ARG(buf_str(&h.text)), expected);
}

static void happen(struct events *e, unsigned worker, enum store_change change, unsigned number)
{
    char contact[32];
    snprintf(contact, sizeof contact, "sip:c%u@h", number);
    struct binding b = {.contact = str_from(contact)};
    assert_int_equal(net_address_parse(&b.source, STR("192.0.2.1"), 5060), 0);
    event_writer_changed(events_writer(e, worker), change, STR("a@h"), &b, NULL);
}

static struct events *open_events(void)
{
    struct events *e = events_new(WORKERS, "n1", RING_BYTES);
    assert_non_null(e);
    return e;
}

/* ---- Reading -------------------------------------------------------------------------------- */

static void hands_out_in_the_order_of_all_workers(void **state)
{
    (void)state;
    struct events *e = open_events();
    assert_true(events_add_listener(e));
    happen(e, 0, STORE_ADDED, 1); /* before anybody read */
    struct event_reader *r = event_reader_new(e);
    assert_heard(r, "");
    happen(e, 2, STORE_ADDED, 2);
    happen(e, 0, STORE_RENEWED, 3);
    happen(e, 1, STORE_REPLACED_ELSEWHERE, 4);
    happen(e, 2, STORE_REMOVED, 5);
    happen(e, 1, STORE_FLOW_CLOSED, 6);
    happen(e, 0, STORE_EXPIRED, 7);
    assert_heard(r, "registered:c2 refreshed:c3 unregistered:c5 flow-closed:c6 expired:c7 ");
    assert_heard(r, "");
    happen(e, 1, STORE_EVICTED, 8);
    assert_heard(r, "unregistered:c8 ");
    event_reader_free(r);
    events_free(e);
}

static void tells_a_reader_that_was_overtaken(void **state)
{
    (void)state;
    static struct heard h;
    struct events *e = open_events();
    assert_true(events_add_listener(e));
    struct event_reader *slow = event_reader_new(e), *quick = event_reader_new(e);
    unsigned written = 0, read = 0;
    for (unsigned round = 0; round < 40; round++) {
        for (unsigned i = 0; i < 20; i++)
            happen(e, round % 2, STORE_ADDED, written++);
        clear(&h);
        assert_int_equal(event_reader_read(quick, hear, &h), 0);
        read += h.count;
    }
    assert_int_equal(read, written); /* round the ring's end, more than once */
    assert_true(written * 150 > 2 * RING_BYTES / 2);
    for (unsigned i = 0; i < 600; i++)
        happen(e, 0, STORE_ADDED, i);
    clear(&h);
    assert_int_equal(event_reader_read(slow, hear, &h), -EOVERFLOW);
    assert_int_equal(h.count, 0);
    happen(e, 1, STORE_REMOVED, 9);
    assert_heard(slow, "unregistered:c9 ");
    event_reader_free(slow);
    event_reader_free(quick);
    events_free(e);
}

/* The last byte that fits, and the first that does not. */
static void keeps_exactly_what_fits(void **state)
{
    (void)state;
    enum { SIZE = 1024, JSON = SIZE / 4 - sizeof(struct event_head) };
    static const char json[JSON];
    struct event_ring ring;
    struct buf out;
    _Atomic uint64_t next = 0;
    event_ring_init(&ring, SIZE);
    buf_init_heap(&out, 1 << 20);
    uint64_t at = event_ring_end(&ring);
    for (int i = 0; i < 4; i++)
        assert_int_equal(event_ring_put(&ring, &next, EVENT_EXPIRED, (struct str){json, JSON}), 0);
    assert_int_equal(event_ring_read(&ring, &at, 3, &out), 0);
    assert_int_equal(out.len, 3 * SIZE / 4); /* the fourth is after the time that was asked for */
    assert_int_equal(at, 3 * SIZE / 4);
    at = 0;
    buf_clear(&out);
    assert_int_equal(event_ring_read(&ring, &at, 4, &out), 0);
    assert_int_equal(out.len, SIZE);
    at = 0;
    assert_int_equal(event_ring_put(&ring, &next, EVENT_EXPIRED, STR("x")), 0);
    assert_int_equal(event_ring_read(&ring, &at, 5, &out), -EOVERFLOW);
    assert_int_equal(at, event_ring_end(&ring));
    buf_fini(&out);
    event_ring_fini(&ring);
}

static void composes_nothing_that_nobody_wants(void **state)
{
    (void)state;
    struct events *e = open_events();
    struct event_reader *r = event_reader_new(e);
    happen(e, 0, STORE_ADDED, 1);
    assert_heard(r, "");
    assert_true(events_add_listener(e));
    happen(e, 0, STORE_ADDED, 2);
    events_remove_listener(e);
    happen(e, 0, STORE_ADDED, 3);
    assert_heard(r, "registered:c2 ");
    event_reader_free(r);
    events_free(e);
}

static void has_so_many_listeners(void **state)
{
    (void)state;
    struct events *e = open_events();
    for (int i = 0; i < EVENT_LISTENERS_MAX; i++)
        assert_true(events_add_listener(e));
    assert_false(events_add_listener(e));
    events_remove_listener(e);
    assert_true(events_add_listener(e));
    assert_false(events_add_listener(e));
    events_free(e);
}

/* ---- Publishing ----------------------------------------------------------------------------- */

struct published {
    int error; /* to be returned */
    unsigned calls, count;
};

static int publish(void *arg, const struct str *json, size_t count)
{
    struct published *p = arg;
    for (size_t i = 0; i < count; i++) {
        assert_true(str_starts_nocase(json[i], STR("{\"type\":\"")));
        assert_true(json[i].ptr[json[i].len - 1] == '}');
    }
    assert_true(count > 0 && count <= EVENT_BATCH);
    p->calls++;
    p->count += (unsigned)count;
    return p->error;
}

static uint64_t dropped(const struct metrics *metrics)
{
    return metrics_sum(metrics, 1, METRIC_EVENTS_DROPPED);
}

/* A few at once; others when there are many, or with the next tick. */
static void publishes_in_batches(void **state)
{
    (void)state;
    struct events *e = open_events();
    struct published p = {0};
    struct event_writer *w = events_writer(e, 1);
    event_writer_set_publisher(w, publish, &p);
    static const struct {
        unsigned at_ms, events, calls, count;
    } row[] = {
        {1000, 20,              20, 20                  },
        {1000, 1,               20, 20                  },
        {1019, 1,               20, 20                  },
        {1020, 1,               21, 23                  },
        {1020, EVENT_BATCH - 1, 21, 23                  },
        {1020, 1,               22, 23 + EVENT_BATCH    },
        {1021, 2 * EVENT_BATCH, 24, 23 + 3 * EVENT_BATCH},
        {9000, 20,              44, 43 + 3 * EVENT_BATCH},
    };
    struct binding b = {.contact = STR("sip:a@h")};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        b.refreshed_ms = row[i].at_ms;
        for (unsigned k = 0; k < row[i].events; k++)
            event_writer_changed(w, STORE_RENEWED, STR("a@h"), &b, NULL);
        if (p.calls != row[i].calls || p.count != row[i].count)
            fail_msg("row %zu: %u calls, %u events", i, p.calls, p.count);
    }
    event_writer_changed(w, STORE_RENEWED, STR("a@h"), &b, NULL);
    event_writer_flush(w);
    assert_int_equal(p.calls, 45);
    event_writer_flush(w); /* nothing waits */
    assert_int_equal(p.calls, 45);
    events_free(e);
}

static void publishes_and_counts_what_is_dropped(void **state)
{
    (void)state;
    static char long_text[EVENT_MAX_BYTES];
    struct events *e = open_events();
    struct event_writer *w = events_writer(e, 1);
    struct metrics *metrics = aligned_alloc(64, sizeof *metrics);
    assert_non_null(metrics);
    memset(metrics, 0, sizeof *metrics);
    struct published p = {0};
    event_writer_set_metrics(w, metrics);
    event_writer_set_publisher(w, publish, &p);
    happen(e, 1, STORE_ADDED, 1);
    happen(e, 0, STORE_ADDED, 2); /* another worker's */
    happen(e, 1, STORE_REPLACED_ELSEWHERE, 3);
    event_writer_flush(w);
    assert_int_equal(p.count, 1);
    struct ban ban = {.reason = STR("why")};
    assert_int_equal(net_network_parse(&ban.net, STR("192.0.2.7")), 0);
    event_writer_banned(w, &ban, 60);
    event_writer_flush(w);
    assert_int_equal(p.count, 2);
    assert_int_equal(dropped(metrics), 0);

    p.error = -ENOTCONN;
    happen(e, 1, STORE_ADDED, 4);
    happen(e, 1, STORE_ADDED, 5);
    event_writer_flush(w);
    assert_int_equal(dropped(metrics), 2);
    event_writer_lost(w, 3);
    assert_int_equal(dropped(metrics), 5);
    p.error = 0;
    memset(long_text, 'x', sizeof long_text);
    struct binding b = {
        .contact = {long_text, sizeof long_text}
    };
    happen(e, 1, STORE_ADDED, 6);
    event_writer_changed(w, STORE_ADDED, STR("a@h"), &b, NULL);
    assert_int_equal(dropped(metrics), 6);
    assert_int_equal(p.count, 5); /* the one before it is not lost */
    happen(e, 1, STORE_ADDED, 7); /* and the next one is whole again */
    event_writer_flush(w);
    assert_int_equal(p.count, 6);
    assert_int_equal(dropped(metrics), 6);
    free(metrics);
    events_free(e);
}

/* ---- Threads -------------------------------------------------------------------------------- */

/* Two threads take turns, as workers may at one AOR; the reader must hear of each turn, in order.
 */
enum { TURNS = 10000 };
struct turns {
    struct events *events;
    _Atomic unsigned next;
    unsigned heard, wrong;
};

struct player {
    struct turns *turns;
    unsigned worker;
};

static void *play(void *arg)
{
    const struct player *player = arg;
    struct turns *t = player->turns;
    for (unsigned mine = player->worker; mine < TURNS; mine += 2) {
        while (atomic_load(&t->next) != mine)
            sched_yield();
        happen(t->events, player->worker, STORE_ADDED, mine);
        atomic_store(&t->next, mine + 1);
    }
    return NULL;
}

static void count_turn(void *arg, enum event_type type, struct str json)
{
    (void)type;
    struct turns *t = arg;
    uint64_t number;
    struct str text = contact_of(json);
    assert_int_equal(str_to_u64(str_slice(text, 1, text.len), TURNS, &number), 0);
    t->wrong += number != t->heard;
    t->heard = (unsigned)number + 1;
}

static void keeps_the_order_of_threads(void **state)
{
    (void)state;
    struct turns t = {.events = events_new(2, "n", 16 << 20)};
    struct player player[2] = {
        {&t, 0},
        {&t, 1}
    };
    pthread_t thread[2];
    assert_true(events_add_listener(t.events));
    struct event_reader *r = event_reader_new(t.events);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, play, &player[i]), 0);
    while (t.heard < TURNS)
        assert_int_equal(event_reader_read(r, count_turn, &t), 0);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(t.wrong, 0);
    event_reader_free(r);
    events_free(t.events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hands_out_in_the_order_of_all_workers),
        cmocka_unit_test(tells_a_reader_that_was_overtaken),
        cmocka_unit_test(keeps_exactly_what_fits),
        cmocka_unit_test(composes_nothing_that_nobody_wants),
        cmocka_unit_test(has_so_many_listeners),
        cmocka_unit_test(publishes_in_batches),
        cmocka_unit_test(publishes_and_counts_what_is_dropped),
        cmocka_unit_test(keeps_the_order_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
