/* Datagrams over loopback. Sockets of the system are the clients; the loop runs until all that was
 * sent has been received, or gives up after some seconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "net/net_internal.h"
#include <aorta/net.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

enum { MAX_BYTES = 1000, LONGEST = 65507, GIVE_UP_TICKS = 100 };

struct server {
    struct net_loop *loop;
    struct net_udp *udp;
    struct net_address address;
    size_t expected, received; /* datagrams */
    unsigned ticks;
    size_t lengths[512];
    struct net_address local; /* of the last one */
    /* What to do with each; NULL: nothing. */
    void (*answer)(struct server *s, const struct net_datagram *datagram);
    int last_error; /* of what it sent */
};

static void on_tick(void *arg)
{
    struct server *s = arg;
    if (++s->ticks >= GIVE_UP_TICKS)
        net_loop_stop(s->loop);
}

static void on_woken(void *arg)
{
    (void)arg;
}

static void on_datagram(void *arg, const struct net_datagram *datagram)
{
    struct server *s = arg;
    s->lengths[s->received] = datagram->len;
    s->local = datagram->local;
    if (s->answer)
        s->answer(s, datagram);
    if (++s->received == s->expected)
        net_loop_stop(s->loop);
}

static struct net_address address(const char *ip, uint16_t port)
{
    struct net_address a;
    assert_int_equal(net_address_parse(&a, str_from(ip), port), 0);
    return a;
}

/* False without this family on the machine. */
static bool open_server(struct server *s, const char *ip, size_t max_bytes)
{
    static const struct net_stream_events no_streams;
    const struct net_loop_events loop_events = {on_tick, on_woken, s};
    char memory[256];
    struct buf error;
    buf_init_fixed(&error, memory, sizeof memory);
    *s = (struct server){.address = address(ip, 0)};
    assert_int_equal(net_loop_open(&loop_events, &no_streams, NULL, NULL, NULL, &s->loop, &error),
                     0);
    int rc = net_udp_open(s->loop, &s->address, max_bytes, on_datagram, s, &s->udp);
    if (rc == 0) {
        assert_int_not_equal(net_address_port(&s->address), 0);
        return true;
    }
    assert_true(rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL);
    net_loop_close(s->loop);
    return false;
}

static void close_server(struct server *s)
{
    net_udp_close(s->udp);
    net_loop_close(s->loop);
}

static void receive(struct server *s, size_t expected)
{
    s->expected = expected;
    s->received = s->ticks = 0;
    net_loop_run(s->loop);
    assert_int_equal(s->received, expected);
}

static int open_client(const char *ip)
{
    struct net_address a = address(ip, 0);
    int fd = socket(a.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int bytes = 4 << 20;
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), 0);
    assert_int_equal(bind(fd, &a.any, net_address_size(&a)), 0);
    return fd;
}

static void send_to(int fd, const struct net_address *to, const void *data, size_t len)
{
    assert_int_equal(sendto(fd, data, len, 0, &to->any, net_address_size(to)), len);
}

/* -1 when nothing comes. Loopback delivers at once: there is nothing to wait for. */
static ssize_t receive_from(int fd, void *data, size_t max, struct net_address *from)
{
    socklen_t size = sizeof *from;
    return recvfrom(fd, data, max, MSG_DONTWAIT, &from->any, &size);
}

static struct net_address address_of(int fd)
{
    struct net_address a;
    socklen_t size = sizeof a;
    assert_int_equal(getsockname(fd, &a.any, &size), 0);
    return a;
}

/* ---- Receiving ----------------------------------------------------------------------------- */

static void lengths(void **state)
{
    (void)state;
    static const struct {
        size_t sent, received;
    } row[] = {
        {0,             0            },
        {1,             1            },
        {MAX_BYTES - 1, MAX_BYTES - 1},
        {MAX_BYTES,     MAX_BYTES    },
        {MAX_BYTES + 1, MAX_BYTES + 1},
        {MAX_BYTES + 2, MAX_BYTES + 1},
        {LONGEST,       MAX_BYTES + 1},
        {1,             1            }, /* the buffers are in order again */
    };
    static char data[LONGEST];
    struct server s;
    assert_true(open_server(&s, "127.0.0.1", MAX_BYTES));
    int client = open_client("127.0.0.1");
    for (size_t i = 0; i < COUNT(row); i++)
        send_to(client, &s.address, data, row[i].sent);
    receive(&s, COUNT(row));
    for (size_t i = 0; i < COUNT(row); i++)
        if (s.lengths[i] != row[i].received)
            fail_msg("%zu bytes arrive as %zu", row[i].sent, s.lengths[i]);
    close(client);
    close_server(&s);
}

static void longest_of_all(void **state)
{
    (void)state;
    static char data[LONGEST];
    struct server s;
    assert_true(open_server(&s, "127.0.0.1", 1 << 20)); /* the highest limits.messageBytes */
    int client = open_client("127.0.0.1");
    send_to(client, &s.address, data, LONGEST);
    receive(&s, 1);
    assert_int_equal(s.lengths[0], LONGEST);
    close(client);
    close_server(&s);
}

/* ---- Answering ----------------------------------------------------------------------------- */

static void echo(struct server *s, const struct net_datagram *datagram)
{
    s->last_error =
        net_udp_send(s->udp, &datagram->remote, &datagram->local, datagram->data, datagram->len);
    memset(datagram->data, '#', datagram->len); /* it was copied */
}

static void batches(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 63, 64, 65, 128, 300}; /* below, at and above one batch */
    struct server s;
    assert_true(open_server(&s, "127.0.0.1", MAX_BYTES));
    s.answer = echo;
    int client = open_client("127.0.0.1");
    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (uint32_t n = 0; n < sizes[i]; n++)
            send_to(client, &s.address, &n, sizeof n);
        receive(&s, sizes[i]);
        for (uint32_t n = 0; n < sizes[i]; n++) {
            uint32_t back = ~n;
            struct net_address from;
            assert_int_equal(receive_from(client, &back, sizeof back, &from), sizeof back);
            assert_int_equal(back, n);
            assert_true(net_address_same(&from, &s.address));
        }
        assert_int_equal(s.last_error, 0);
    }
    close(client);
    close_server(&s);
}

static void answer_at_length(struct server *s, const struct net_datagram *datagram)
{
    static char data[60000];
    memset(data, datagram->data[0], sizeof data);
    s->last_error = net_udp_send(s->udp, &datagram->remote, &datagram->local, data, sizeof data);
}

/* More than is held back for one batch: some go earlier. Each to a client of its own, whose socket
 * has room for it. */
static void long_answers(void **state)
{
    (void)state;
    enum { CLIENTS = 12, BYTES = 60000 };
    static char data[BYTES + 1], expected[BYTES];
    struct server s;
    assert_true(open_server(&s, "127.0.0.1", MAX_BYTES));
    s.answer = answer_at_length;
    int client[CLIENTS];
    for (size_t i = 0; i < CLIENTS; i++) {
        client[i] = open_client("127.0.0.1");
        char letter = (char)('a' + i);
        send_to(client[i], &s.address, &letter, 1);
    }
    receive(&s, CLIENTS);
    for (size_t i = 0; i < CLIENTS; i++) {
        struct net_address from;
        assert_int_equal(receive_from(client[i], data, sizeof data, &from), BYTES);
        memset(expected, (int)('a' + i), BYTES);
        assert_memory_equal(data, expected, BYTES);
        close(client[i]);
    }
    close_server(&s);
}

static bool has_received(int client)
{
    char text[8];
    return recv(client, text, sizeof text, MSG_DONTWAIT) >= 0;
}

/* Until told otherwise, or closed; at once again afterwards. */
static void gathers_when_asked_to(void **state)
{
    (void)state;
    for (int is_closed = 0; is_closed < 2; is_closed++) {
        struct server s;
        assert_true(open_server(&s, "127.0.0.1", MAX_BYTES));
        int client = open_client("127.0.0.1");
        struct net_address to = address_of(client);
        net_udp_gather(s.loop);
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(net_udp_send(s.udp, &to, &s.address, "late", 4), 0);
        assert_false(has_received(client));
        if (is_closed) {
            close_server(&s);
        } else {
            net_udp_send_gathered(s.loop);
            assert_int_equal(net_udp_send(s.udp, &to, &s.address, "soon", 4), 0);
        }
        for (int i = 0; i < 4 - is_closed; i++)
            assert_true(has_received(client));
        assert_false(has_received(client));
        if (!is_closed)
            close_server(&s);
        close(client);
    }
}

/* The address that refuses to be sent to; and one where nobody listens, whose ICMP comes back. */
static struct net_address bad_destination, dead_destination;

static void answer_among_bad_ones(struct server *s, const struct net_datagram *datagram)
{
    (void)net_udp_send(s->udp, &bad_destination, &datagram->local, "bad", 3);
    (void)net_udp_send(s->udp, &dead_destination, &datagram->local, "dead", 4);
    (void)net_udp_send(s->udp, &datagram->remote, &datagram->local, "good", 4);
    (void)net_udp_send(s->udp, &bad_destination, &datagram->local, "bad", 3);
}

static void bad_destinations_harm_nobody_else(void **state)
{
    (void)state;
    struct server s;
    assert_true(open_server(&s, "127.0.0.1", MAX_BYTES));
    int client = open_client("127.0.0.1"), dead = open_client("127.0.0.1");
    bad_destination = address("255.255.255.255", 9); /* broadcast was never allowed */
    dead_destination = address_of(dead);
    close(dead);
    assert_int_equal(net_udp_send(s.udp, &bad_destination, &s.address, "x", 1), -ENOBUFS);
    s.answer = answer_among_bad_ones;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned n = 0; n < 40; n++) /* their answers fill more than a batch */
            send_to(client, &s.address, "?", 1);
        receive(&s, 40);
        for (unsigned n = 0; n < 40; n++) {
            char back[8];
            struct net_address from;
            assert_int_equal(receive_from(client, back, sizeof back, &from), 4);
            assert_memory_equal(back, "good", 4);
        }
    }
    close(client);
    close_server(&s);
}

static void sends_unasked(void **state)
{
    (void)state;
    static char data[LONGEST + 1];
    static const struct {
        size_t len;
        int rc;
    } row[] = {
        {0,           0        },
        {5,           0        },
        {LONGEST,     0        },
        {LONGEST + 1, -EMSGSIZE},
        {SIZE_MAX,    -EMSGSIZE},
    };
    struct server s;
    assert_true(open_server(&s, "127.0.0.1", MAX_BYTES));
    int client = open_client("127.0.0.1");
    struct net_address to = address_of(client);
    for (size_t i = 0; i < COUNT(row); i++) {
        struct net_address from;
        assert_int_equal(net_udp_send(s.udp, &to, &s.address, data, row[i].len), row[i].rc);
        ssize_t got = receive_from(client, data, sizeof data, &from); /* sent before it returned */
        assert_int_equal(got, row[i].rc < 0 ? -1 : (ssize_t)row[i].len);
    }
    close(client);
    close_server(&s);
}

/* ---- Wildcards ----------------------------------------------------------------------------- */

static void answers_from_where_it_was_asked(void **state)
{
    (void)state;
    static const struct {
        const char *bound, *client, *asked;
    } row[] = {
        {"0.0.0.0", "127.0.0.1", "127.0.0.2"},
        {"0.0.0.0", "127.0.0.3", "127.0.0.1"},
        {"::",      "::1",       "::1"      },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct server s;
        if (!open_server(&s, row[i].bound, MAX_BYTES))
            continue;
        s.answer = echo;
        int client = open_client(row[i].client);
        struct net_address asked = address(row[i].asked, net_address_port(&s.address));
        for (unsigned n = 0; n < 100; n++) /* the room for addresses is there for each again */
            send_to(client, &asked, "?", 1);
        receive(&s, 100);
        assert_true(net_address_same_ip(&s.local, &asked));
        for (unsigned n = 0; n < 100; n++) {
            char back[8];
            struct net_address from;
            assert_int_equal(receive_from(client, back, sizeof back, &from), 1);
            if (!net_address_same(&from, &asked))
                fail_msg("row %zu: asked %s", i, row[i].asked);
        }
        close(client);
        close_server(&s);
    }
}

/* ---- Opening and closing ------------------------------------------------------------------- */

static void a_port_is_free_at_once(void **state)
{
    (void)state;
    struct server s;
    assert_true(open_server(&s, "127.0.0.1", MAX_BYTES));
    struct net_address same = s.address;
    struct net_udp *second;
    assert_int_equal(net_udp_open(s.loop, &same, MAX_BYTES, on_datagram, &s, &second), 0);
    assert_true(net_address_same(&same, &s.address)); /* as workers share it */
    net_udp_close(second);
    net_udp_close(s.udp);
    assert_int_equal(net_probe_address(&s.address, true), 0);
    s.udp = NULL;
    close_server(&s); /* NULL is fine */
}

static void what_cannot_be_bound(void **state)
{
    (void)state;
    struct server s;
    assert_true(open_server(&s, "127.0.0.1", MAX_BYTES));
    struct net_address elsewhere = address("192.0.2.1", 5060), before = elsewhere;
    struct net_udp *none = s.udp;
    assert_int_equal(net_udp_open(s.loop, &elsewhere, MAX_BYTES, on_datagram, &s, &none),
                     -EADDRNOTAVAIL);
    assert_ptr_equal(none, s.udp);
    assert_true(net_address_same(&elsewhere, &before));
    close_server(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths),
        cmocka_unit_test(longest_of_all),
        cmocka_unit_test(batches),
        cmocka_unit_test(long_answers),
        cmocka_unit_test(gathers_when_asked_to),
        cmocka_unit_test(bad_destinations_harm_nobody_else),
        cmocka_unit_test(sends_unasked),
        cmocka_unit_test(answers_from_where_it_was_asked),
        cmocka_unit_test(a_port_is_free_at_once),
        cmocka_unit_test(what_cannot_be_bound),
    };
    net_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
