/* The Redis client against a real redis-server, which is killed, stopped and told to forget; and
 * against a listener that behaves as no Redis would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "contract/redis_server.h"
#include "net/net_internal.h"
#include <aorta/redis_client.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

enum {
    GIVE_UP_TICKS = 200,
    MAX_ANSWERS = 10000,
    LONG_MS = 10000, /* where no deadline is wanted */
    SHORT_MS = 300,
};

/* ---- What the process writes --------------------------------------------------------------- */

static char logged[16384]; /* zero-terminated */
static size_t logged_bytes;
static unsigned socket_writes;

/* In the place of the C library's: lines of the log are kept, writes of hiredis counted. */
ssize_t write(int fd, const void *bytes, size_t n)
{
    if (fd != STDERR_FILENO) {
        socket_writes++;
        return syscall(SYS_write, fd, bytes, n);
    }
    for (size_t i = 0; i < n && logged_bytes < sizeof logged - 1; i++)
        logged[logged_bytes++] = ((const char *)bytes)[i];
    logged[logged_bytes] = 0;
    return (ssize_t)n;
}

static unsigned count_logged(const char *text)
{
    unsigned count = 0;
    for (const char *at = strstr(logged, text); at; at = strstr(at + 1, text))
        count++;
    return count;
}

/* ---- A loop with a client ------------------------------------------------------------------ */

struct answer {
    int times;
    bool is_none;
    enum redis_type type;
    int64_t integer;
    char text[64];
};

struct fixture {
    struct net_loop *loop;
    struct redis_client *client;
    struct redis_client_options options;
    struct redis_server *server;
    unsigned ticks, ups, downs;
    char run_id[64], why[160];
    size_t pending_at_down;
    int send_at_down;
    void (*on_up)(struct fixture *f);
    void (*on_down)(struct fixture *f);
    void (*on_tick)(struct fixture *f);
    bool (*reached)(struct fixture *f);
    size_t awaited;         /* what `reached` compares with */
    size_t sent, answered;  /* through order() and its kin */
    struct answer *answers; /* MAX_ANSWERS, in the order of sending */
    size_t last_index;      /* of the answers so far */
    bool is_out_of_order;
};

static void check(struct fixture *f)
{
    if (f->reached && f->reached(f))
        net_loop_stop(f->loop);
}

static void on_tick(void *arg)
{
    struct fixture *f = arg;
    f->ticks++;
    if (f->on_tick)
        f->on_tick(f);
    if (f->ticks >= GIVE_UP_TICKS)
        net_loop_stop(f->loop);
    check(f);
}

static void on_woken(void *arg)
{
    (void)arg;
}

static void on_up(void *arg, struct str run_id)
{
    struct fixture *f = arg;
    f->ups++;
    assert_true(redis_client_is_up(f->client));
    snprintf(f->run_id, sizeof f->run_id, "%.*s", STR_ARG(run_id));
    if (f->on_up)
        f->on_up(f);
    check(f);
}

static void on_down(void *arg, const char *why)
{
    struct fixture *f = arg;
    static const struct str ping[] = {STR("PING")};
    f->downs++;
    assert_false(redis_client_is_up(f->client));
    f->pending_at_down = redis_client_pending(f->client);
    f->send_at_down = redis_client_send(f->client, ping, 1, NULL, NULL);
    snprintf(f->why, sizeof f->why, "%s", why);
    if (f->on_down)
        f->on_down(f);
    check(f);
}

static int setup(void **state)
{
    static const struct net_stream_events no_streams;
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    *state = f;
    f->answers = calloc(MAX_ANSWERS, sizeof *f->answers);
    assert_non_null(f->answers);
    f->options = (struct redis_client_options){.host = "127.0.0.1",
                                               .connect_timeout_ms = LONG_MS,
                                               .command_timeout_ms = LONG_MS,
                                               .max_pending = MAX_ANSWERS};
    const struct net_loop_events events = {on_tick, on_woken, f};
    assert_int_equal(net_loop_open(&events, &no_streams, NULL, NULL, NULL, &f->loop, NULL), 0);
    logged_bytes = 0;
    logged[0] = 0;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    redis_client_free(f->client);
    net_loop_close(f->loop);
    redis_server_free(f->server);
    free(f->answers);
    free(f);
    return 0;
}

static void start_client(struct fixture *f)
{
    const struct redis_client_events events = {on_up, on_down, f};
    if (f->server)
        f->options.port = redis_server_port(f->server);
    f->client = redis_client_new(f->loop, &f->options, &events);
    assert_non_null(f->client);
    assert_false(redis_client_is_up(f->client));
}

/* Runs the loop until `reached`; fails when that takes longer than twenty seconds. */
static void run_until(struct fixture *f, bool (*reached)(struct fixture *), size_t awaited)
{
    f->reached = reached;
    f->awaited = awaited;
    f->ticks = 0;
    if (!reached(f))
        net_loop_run(f->loop);
    if (!reached(f))
        fail_msg("up %u times, down %u times (%s), %zu of %zu answered; log: %s", f->ups, f->downs,
                 f->why, f->answered, f->sent, logged);
    f->reached = NULL;
}

static bool is_up_times(struct fixture *f)
{
    return f->ups >= f->awaited;
}

static bool is_down_times(struct fixture *f)
{
    return f->downs >= f->awaited;
}

static bool has_answered(struct fixture *f)
{
    return f->answered >= f->awaited;
}

static bool has_ticked(struct fixture *f)
{
    return f->ticks >= f->awaited;
}

static bool has_failed_attempts(struct fixture *f)
{
    return count_logged("redis cannot be used") >= f->awaited;
}

static void start_server_and_client(struct fixture *f, const char *const *server_args)
{
    f->server = redis_server_new(server_args);
    start_client(f);
    run_until(f, is_up_times, 1);
}

/* ---- Commands of a test -------------------------------------------------------------------- */

/* cmocka's fixture is one for a test, and so is this. */
static struct fixture *current;

static void on_answer(void *arg, const struct redis_reply *reply)
{
    struct answer *a = arg;
    struct fixture *f = current;
    size_t index = (size_t)(a - f->answers);
    f->is_out_of_order |= f->answered > 0 && index < f->last_index;
    f->last_index = index;
    f->answered++;
    a->times++;
    a->is_none = !reply;
    if (reply) {
        struct str text = redis_reply_text(reply);
        a->type = redis_reply_type(reply);
        a->integer = a->type == REDIS_TYPE_ARRAY ? (int64_t)redis_reply_count(reply)
                                                 : redis_reply_integer(reply);
        snprintf(a->text, sizeof a->text, "%.*s", STR_ARG(text));
    }
    check(f);
}

/* Words of `line` between single spaces. */
static size_t split(char *line, struct str args[16])
{
    size_t count = 0;
    for (char *rest = line, *word; (word = strsep(&rest, " "));)
        args[count++] = str_from(word);
    return count;
}

/* Returns what redis_client_send() says. */
static int try_send(struct fixture *f, const char *line)
{
    char copy[256];
    struct str args[16];
    snprintf(copy, sizeof copy, "%s", line);
    size_t count = split(copy, args);
    size_t answered = f->answered;
    current = f;
    int rc = redis_client_send(f->client, args, count, on_answer, &f->answers[f->sent]);
    memset(copy, '#', sizeof copy); /* it was copied */
    assert_int_equal(f->answered, answered);
    f->sent += rc == 0;
    return rc;
}

static void order(struct fixture *f, const char *line)
{
    assert_int_equal(try_send(f, line), 0);
}

static const struct answer *ask(struct fixture *f, const char *line)
{
    order(f, line);
    run_until(f, has_answered, f->sent);
    return &f->answers[f->sent - 1];
}

static void expect_text(struct fixture *f, const char *line, const char *text)
{
    const struct answer *a = ask(f, line);
    assert_false(a->is_none);
    assert_string_equal(a->text, text);
}

static void expect_each_answered_once(struct fixture *f)
{
    assert_int_equal(f->answered, f->sent);
    for (size_t i = 0; i < f->sent; i++)
        assert_int_equal(f->answers[i].times, 1);
}

/* ---- Answers ------------------------------------------------------------------------------- */

static void kinds_of_answers(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *command;
        enum redis_type type;
        int64_t integer; /* or length of an array */
        const char *text;
    } row[] = {
        {"SET k value",                    REDIS_TYPE_TEXT,    0,         "OK"   },
        {"GET k",                          REDIS_TYPE_TEXT,    0,         "value"},
        {"GET none",                       REDIS_TYPE_NIL,     0,         ""     },
        {"SET empty ",                     REDIS_TYPE_TEXT,    0,         "OK"   },
        {"GET empty",                      REDIS_TYPE_TEXT,    0,         ""     },
        {"STRLEN k",                       REDIS_TYPE_INTEGER, 5,         ""     },
        {"INCRBY n -7",                    REDIS_TYPE_INTEGER, -7,        ""     },
        {"SETRANGE far 9 x",               REDIS_TYPE_INTEGER, 10,        ""     },
        {"HSET h a 1 b 2",                 REDIS_TYPE_INTEGER, 2,         ""     },
        {"HGETALL h",                      REDIS_TYPE_ARRAY,   4,         ""     },
        {"HGETALL none",                   REDIS_TYPE_ARRAY,   0,         ""     },
        {"MGET k none",                    REDIS_TYPE_ARRAY,   2,         ""     },
        {"LPUSH k x",                      REDIS_TYPE_ERROR,   0,
         "WRONGTYPE Operation against a key holding the wrong kind of val"       },
        {"NOSUCHCOMMAND",                  REDIS_TYPE_ERROR,   0,
         "ERR unknown command 'NOSUCHCOMMAND', with args beginning with: "       },
        {"BLPOP none 0.01",                REDIS_TYPE_NIL,     0,         ""     },
        {"INCRBY big 9223372036854775807", REDIS_TYPE_INTEGER, INT64_MAX, ""     },
    };
    start_server_and_client(f, NULL);
    assert_int_equal(strlen(f->run_id), 40);
    for (size_t i = 0; i < COUNT(row); i++) {
        const struct answer *a = ask(f, row[i].command);
        if (a->is_none || a->type != row[i].type || a->integer != row[i].integer ||
            strcmp(a->text, row[i].text) != 0)
            fail_msg("%s: type %d, integer %lld, text %s", row[i].command, (int)a->type,
                     (long long)a->integer, a->text);
    }
    assert_int_equal(redis_client_pending(f->client), 0);
    assert_int_equal(count_logged("redis connected"), 1);
}

static void put_reply(struct buf *b, const struct redis_reply *reply)
{
    switch (redis_reply_type(reply)) {
    case REDIS_TYPE_NIL:
        buf_put_char(b, '-');
        return;
    case REDIS_TYPE_TEXT:
        buf_put_str(b, redis_reply_text(reply));
        return;
    case REDIS_TYPE_INTEGER:
        buf_printf(b, ":%lld", (long long)redis_reply_integer(reply));
        return;
    case REDIS_TYPE_ERROR:
        buf_printf(b, "!%.*s", STR_ARG(redis_reply_text(reply)));
        return;
    case REDIS_TYPE_ARRAY:
        buf_put_char(b, '[');
        for (size_t i = 0; i < redis_reply_count(reply); i++) {
            put_reply(b, redis_reply_item(reply, i));
            buf_put_char(b, i + 1 < redis_reply_count(reply) ? ' ' : ']');
        }
        return;
    }
}

static char whole_text[256];

static void on_whole(void *arg, const struct redis_reply *reply)
{
    struct fixture *f = arg;
    struct buf b;
    buf_init_fixed(&b, whole_text, sizeof whole_text - 1);
    put_reply(&b, reply);
    whole_text[b.len] = 0;
    f->answered++;
    check(f);
}

static void arrays_in_arrays(void **state)
{
    struct fixture *f = *state;
    start_server_and_client(f, NULL);
    const struct str args[] = {
        STR("EVAL"), STR("return {1, 'a', {false, {2, {'b'}}}, redis.error_reply('E no'), 'c'}"),
        STR("0")};
    assert_int_equal(redis_client_send(f->client, args, 3, on_whole, f), 0);
    run_until(f, has_answered, 1);
    assert_string_equal(whole_text, "[:1 a [- [:2 [b]]] !E no c]");
}

static void long_texts(void **state)
{
    struct fixture *f = *state;
    start_server_and_client(f, NULL);
    enum { BYTES = 1000000 }; /* below the cap for one text */
    char *text = malloc(BYTES);
    assert_non_null(text);
    memset(text, 'x', BYTES);
    const struct str args[] = {
        STR("SET"), STR("k"), {text, BYTES}
    };
    current = f;
    assert_int_equal(redis_client_send(f->client, args, 3, on_answer, &f->answers[f->sent++]), 0);
    free(text);
    run_until(f, has_answered, 1);
    assert_string_equal(f->answers[0].text, "OK");
    for (size_t i = 0; i < 5; i++)
        order(f, "GET k");
    run_until(f, has_answered, 6);
    for (size_t i = 1; i < 6; i++)
        assert_int_equal(f->answers[i].text[62], 'x');
    order(f, "APPEND k 12345");
    for (size_t i = 0; i < 10; i++)
        order(f, "MGET k k k k k k k k k k k"); /* 11 MB: below the cap for one answer */
    run_until(f, has_answered, f->sent);
    assert_int_equal(f->answers[f->sent - 1].integer, 11);
    assert_int_equal(f->downs, 0);
}

/* ---- Pipelining ---------------------------------------------------------------------------- */

static void send_many(struct fixture *f)
{
    for (size_t i = 0; i < MAX_ANSWERS; i++)
        order(f, "INCR n");
    assert_int_equal(redis_client_pending(f->client), MAX_ANSWERS);
    assert_int_equal(try_send(f, "INCR n"), -ENOBUFS);
}

static void ten_thousand_in_order(void **state)
{
    struct fixture *f = *state;
    f->on_up = send_many;
    start_server_and_client(f, NULL);
    run_until(f, has_answered, MAX_ANSWERS);
    for (size_t i = 0; i < MAX_ANSWERS; i++)
        assert_int_equal(f->answers[i].integer, i + 1);
    assert_false(f->is_out_of_order);
    expect_each_answered_once(f);
}

static void one_write_a_turn(void **state)
{
    struct fixture *f = *state;
    start_server_and_client(f, NULL);
    socket_writes = 0;
    for (size_t i = 0; i < 100; i++)
        order(f, "INCR n");
    run_until(f, has_answered, 100);
    assert_int_equal(socket_writes, 1);
}

static void most_pending(void **state)
{
    struct fixture *f = *state;
    static const struct str ping[] = {STR("PING")};
    f->options.max_pending = 3;
    start_server_and_client(f, NULL);
    for (size_t round = 0; round < 5; round++) { /* the ring goes round */
        order(f, "ECHO a");
        assert_int_equal(redis_client_send(f->client, ping, 1, NULL, NULL), 0);
        order(f, "ECHO b");
        assert_int_equal(redis_client_pending(f->client), 3);
        assert_int_equal(redis_client_send(f->client, ping, 1, NULL, NULL), -ENOBUFS);
        assert_int_equal(try_send(f, "ECHO c"), -ENOBUFS);
        run_until(f, has_answered, f->sent);
        assert_int_equal(redis_client_pending(f->client), 0);
        assert_string_equal(f->answers[f->sent - 2].text, "a");
        assert_string_equal(f->answers[f->sent - 1].text, "b");
    }
    expect_each_answered_once(f);
}

static void send_next(void *arg, const struct redis_reply *reply)
{
    static const struct str incr[] = {STR("INCR"), STR("n")};
    struct fixture *f = arg;
    if (redis_reply_integer(reply) < 100)
        assert_int_equal(redis_client_send(f->client, incr, 2, send_next, f), 0);
    else
        f->answered = 1;
    check(f);
}

static void callbacks_send(void **state)
{
    struct fixture *f = *state;
    static const struct str incr[] = {STR("INCR"), STR("n")};
    start_server_and_client(f, NULL);
    assert_int_equal(redis_client_send(f->client, incr, 2, send_next, f), 0);
    run_until(f, has_answered, 1);
    f->sent = 1; /* as far as we count */
    expect_text(f, "GET n", "100");
}

/* ---- Scripts ------------------------------------------------------------------------------- */

static void eval(struct fixture *f, const struct redis_script *script, const char *key,
                 const char *value)
{
    const struct str args[] = {str_from(key), str_from(value)};
    current = f;
    assert_int_equal(redis_client_eval(f->client, script, 1, args, 2, on_answer,
                                       &f->answers[f->sent++]),
                     0);
}

static long script_calls(struct fixture *f, const char *command)
{
    char answer[8192], field[64];
    redis_server_ask(f->server, "INFO commandstats", answer, sizeof answer);
    snprintf(field, sizeof field, "cmdstat_%s:calls=", command);
    const char *at = strstr(answer, field);
    return at ? strtol(at + strlen(field), NULL, 10) : 0;
}

static void scripts(void **state)
{
    struct fixture *f = *state;
    char answer[64];
    struct redis_script script;
    redis_script_init(&script, "redis.call('SET', KEYS[1], ARGV[1]); return KEYS[1] .. ARGV[1]");
    start_server_and_client(f, NULL);
    static const struct {
        const char *value, *text, *commands; /* of another client, before */
        long evals;                          /* so far */
    } row[] = {
        {"1", "k1", "PING",              1}, /* the server learns it */
        {"2", "k2", "PING",              1}, /* and knows it */
        {"3", "k3", "SCRIPT FLUSH",      2},
        {"4", "k4", "PING",              2},
        {"",  "k",  "PING",              2},
        {"5", "k5", "FUNCTION FLUSH",    2},
        {"6", "k6", "SCRIPT FLUSH SYNC", 3},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        redis_server_ask(f->server, row[i].commands, answer, sizeof answer);
        eval(f, &script, "k", row[i].value);
        run_until(f, has_answered, f->sent);
        assert_string_equal(f->answers[i].text, row[i].text);
        assert_int_equal(script_calls(f, "eval"), row[i].evals);
        assert_string_equal(redis_server_ask(f->server, "GET k", answer, sizeof answer),
                            row[i].value);
    }
    expect_each_answered_once(f);
}

static void scripts_unknown_in_a_crowd(void **state)
{
    struct fixture *f = *state;
    struct redis_script script, broken;
    redis_script_init(&script, "return redis.call('INCR', KEYS[1])");
    redis_script_init(&broken, "return redis.error_reply('NOSCRIPT of its own')");
    f->options.max_pending = 150;
    start_server_and_client(f, NULL);
    for (size_t i = 0; i < 75; i++) {
        eval(f, &script, "n", "");
        order(f, "INCR m");
    }
    assert_int_equal(try_send(f, "INCR m"), -ENOBUFS);
    run_until(f, has_answered, 150);
    for (size_t i = 0; i < 75; i++) {
        assert_int_equal(f->answers[2 * i].integer, i + 1);
        assert_int_equal(f->answers[2 * i + 1].integer, i + 1);
    }
    eval(f, &broken, "n", ""); /* not for ever */
    run_until(f, has_answered, f->sent);
    assert_string_equal(f->answers[150].text, "NOSCRIPT of its own");
    expect_each_answered_once(f);
}

static void sha1_of_a_script(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sha1; /* FIPS 180-4 examples, and of nothing */
    } row[] = {
        {"",                                                         "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
        {"abc",                                                      "a9993e364706816aba3e25717850c26c9cd0d89d"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "84983e441c3bd26ebaae4aa1f95129e5e54670f1"                                                            },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct redis_script script;
        redis_script_init(&script, row[i].text);
        assert_string_equal(script.sha1, row[i].sha1);
        assert_ptr_equal(script.text, row[i].text);
    }
}

/* ---- Handshake ----------------------------------------------------------------------------- */

static void logs_in(void **state)
{
    static const struct {
        const char *args[12];
        const char *username, *password;
        bool has_run_id;
    } row[] = {
        {{NULL},                                                       NULL,  NULL,                true },
        {{"--requirepass", "s3cret"},                                  NULL,  "s3cret",            true },
        {{"--requirepass", "with space \r\n\""},                       NULL,  "with space \r\n\"", true },
        {{"--user", "aor", "on", ">s3cret", "~*", "+@all"},            "aor", "s3cret",            true },
        {{"--user", "aor", "on", "nopass", "~*", "+@all"},             "aor", NULL,                true },
        {{"--user", "aor", "on", ">s3cret", "~*", "+@all", "-info"},   "aor", "s3cret",            false},
        {{"--user", "aor", "on", ">s3cret", "~*", "+@all", "-ping"},   "aor", "s3cret",            true },
        {{"--user", "aor", "on", ">s3cret", "~*", "+@all", "-client"}, "aor", "s3cret",            true },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        setup(state);
        struct fixture *f = *state;
        f->options.username = row[i].username;
        f->options.password = row[i].password;
        start_server_and_client(f, row[i].args);
        assert_int_equal(strlen(f->run_id), row[i].has_run_id ? 40 : 0);
        expect_text(f, "SET k v", "OK");
        if (row[i].args[0])
            assert_int_equal(count_logged("s3cret"), 0);
        teardown(state);
    }
}

static void takes_its_name(void **state)
{
    struct fixture *f = *state;
    start_server_and_client(f, NULL);
    expect_text(f, "CLIENT GETNAME", "aorta");
}

static void refused_until_it_is_put_right(void **state)
{
    static const struct {
        const char *args[12];
        const char *username, *password, *why;
        uint32_t db;
        const char *cure; /* by another client */
    } row[] = {
        {{"--requirepass", "other"},
         NULL,                                                                "s3cret",
         "AUTH: WRONGPASS",                                                                                0,
         "AUTH other\nCONFIG SET requirepass s3cret"                                                                                               },
        {{"--requirepass", "other"},
         NULL,                                                                NULL,
         "PING: NOAUTH",                                                                                   0,
         "AUTH other\nCONFIG SET requirepass ''"                                                                                                   },
        {{NULL},
         NULL,                                                                "s3cret",
         "AUTH: ERR AUTH <password> called without any password",                                          0,
         "CONFIG SET requirepass s3cret"                                                                                                           },
        {{NULL},                                                       "aor", "s3cret", "AUTH: WRONGPASS", 0, "ACL SETUSER aor on >s3cret ~* +@all"},
        {{"--user", "aor", "on", ">s3cret", "~*", "+@all", "-select"},
         "aor",                                                               "s3cret",
         "SELECT: NOPERM",                                                                                 2,
         "ACL SETUSER aor +select"                                                                                                                 },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        setup(state);
        struct fixture *f = *state;
        char answer[256];
        f->options.username = row[i].username;
        f->options.password = row[i].password;
        f->options.db = row[i].db;
        f->server = redis_server_new(row[i].args);
        start_client(f);
        run_until(f, has_failed_attempts, 1);
        if (count_logged(row[i].why) != 1)
            fail_msg("row %zu: %s", i, logged);
        run_until(f, has_ticked, 5); /* some attempts more: nothing new to log */
        assert_int_equal(count_logged("redis cannot be used"), 1);
        assert_int_equal(f->ups, 0);
        assert_int_equal(try_send(f, "PING"), -ENOTCONN);
        redis_server_ask(f->server, row[i].cure, answer, sizeof answer);
        assert_string_equal(answer, "OK");
        run_until(f, is_up_times, 1);
        expect_text(f, "PING", "PONG");
        assert_int_equal(f->downs, 0);
        assert_int_equal(count_logged("s3cret"), 0);
        teardown(state);
    }
}

static void selects_the_database(void **state)
{
    struct fixture *f = *state;
    char answer[64];
    f->options.db = 3;
    start_server_and_client(f, NULL);
    expect_text(f, "SET k v", "OK");
    assert_string_equal(redis_server_ask(f->server, "GET k", answer, sizeof answer), "(nil)");
    assert_string_equal(redis_server_ask(f->server, "SELECT 3\nGET k", answer, sizeof answer), "v");
}

static void no_such_database(void **state)
{
    struct fixture *f = *state;
    f->options.db = 99;
    f->server = redis_server_new(NULL);
    start_client(f);
    run_until(f, has_failed_attempts, 1);
    assert_int_equal(count_logged("SELECT: ERR DB index is out of range"), 1);
    assert_int_equal(f->ups + f->downs, 0);
}

static void looks_names_up(void **state)
{
    struct fixture *f = *state;
    f->options.host = "localhost"; /* perhaps ::1 first, where nobody listens */
    start_server_and_client(f, NULL);
    expect_text(f, "PING", "PONG");
    redis_client_reset(f->client, "once more");
    run_until(f, is_up_times, 2);
}

static void no_such_name(void **state)
{
    struct fixture *f = *state;
    /* A label longer than any: answered without a question to anybody. */
    f->options.host = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test";
    f->options.port = 1;
    start_client(f);
    run_until(f, has_failed_attempts, 1);
    run_until(f, has_ticked, 3);
    assert_int_equal(f->ups + f->downs, 0);
}

/* ---- Servers that go ----------------------------------------------------------------------- */

static void killed_with_commands_under_way(void **state)
{
    struct fixture *f = *state;
    char first_run_id[64];
    struct redis_script script;
    redis_script_init(&script, "return 1");
    start_server_and_client(f, NULL);
    snprintf(first_run_id, sizeof first_run_id, "%s", f->run_id);
    order(f, "BLPOP none 0"); /* keeps all behind it waiting */
    for (size_t i = 0; i < 1000; i++)
        order(f, "INCR n");
    eval(f, &script, "k", "v");
    run_until(f, has_ticked, 1); /* they are sent */
    assert_int_equal(f->answered, 0);
    redis_server_kill(f->server);
    run_until(f, is_down_times, 1);
    assert_int_equal(f->pending_at_down, 0);
    assert_int_equal(f->send_at_down, -ENOTCONN);
    expect_each_answered_once(f);
    assert_false(f->is_out_of_order);
    for (size_t i = 0; i < f->sent; i++)
        assert_true(f->answers[i].is_none);
    run_until(f, has_failed_attempts, 1);
    assert_int_equal(count_logged("Connection refused"), 1);
    redis_server_start(f->server);
    run_until(f, is_up_times, 2);
    assert_string_not_equal(f->run_id, first_run_id);
    expect_text(f, "INCR n", "");
    assert_int_equal(f->answers[f->sent - 1].integer, 1);
    assert_int_equal(f->downs, 1);
    assert_int_equal(count_logged("redis lost"), 1);
    assert_int_equal(count_logged("redis connected"), 2);
}

static void stopped_politely(void **state)
{
    struct fixture *f = *state;
    start_server_and_client(f, NULL);
    redis_server_stop(f->server);
    run_until(f, is_down_times, 1);
    assert_string_equal(f->why, "Server closed the connection");
    redis_server_start(f->server);
    run_until(f, is_up_times, 2);
}

static void mute_for_a_while(void **state)
{
    struct fixture *f = *state;
    char first_run_id[64];
    f->options.command_timeout_ms = f->options.connect_timeout_ms = SHORT_MS;
    start_server_and_client(f, NULL);
    snprintf(first_run_id, sizeof first_run_id, "%s", f->run_id);
    run_until(f, has_ticked, 2 * SHORT_MS / NET_LOOP_TICK_MS); /* no command: no deadline */
    assert_int_equal(f->downs, 0);
    redis_server_pause(f->server);
    order(f, "INCR n");
    order(f, "INCR n");
    run_until(f, is_down_times, 1);
    assert_string_equal(f->why, "a command was not answered in time");
    expect_each_answered_once(f);
    assert_true(f->answers[0].is_none && f->answers[1].is_none);
    run_until(f, has_failed_attempts, 1); /* the system connects us, the server says nothing */
    assert_int_equal(count_logged("no connection in time"), 1);
    redis_server_resume(f->server);
    run_until(f, is_up_times, 2);
    assert_string_equal(f->run_id, first_run_id);
    assert_int_equal(f->downs, 1);
}

/* Longer than the deadline. That is our own doing, and no reason to give the server up. */
static void sleep_long(void)
{
    const struct timespec pause = {.tv_nsec = 2 * SHORT_MS * 1000000L};
    nanosleep(&pause, NULL);
}

static void sleep_before_writing(struct fixture *f)
{
    if (f->ticks != 1)
        return;
    for (size_t i = 0; i < 5000; i++)
        order(f, "INCR n");
    sleep_long();
}

static void sleep_before_reading(struct fixture *f)
{
    if (f->ticks == 1)
        for (size_t i = 0; i < 5000; i++)
            order(f, i ? "INCR n" : "BLPOP none 0.15"); /* longer than a tick */
    if (f->ticks == 2)
        sleep_long();
}

static void held_up_ourselves(void **state)
{
    struct fixture *f = *state;
    void (*const sleeper[])(struct fixture *) = {sleep_before_writing, sleep_before_reading};
    f->options.command_timeout_ms = SHORT_MS;
    start_server_and_client(f, NULL);
    for (size_t i = 0; i < COUNT(sleeper); i++) {
        f->on_tick = sleeper[i];
        run_until(f, has_answered, (i + 1) * 5000);
    }
    assert_int_equal(f->downs, 0);
    expect_each_answered_once(f);
    assert_int_equal(f->answers[9999].integer, 9999);
}

static void a_command_behind_another(void **state)
{
    struct fixture *f = *state;
    f->options.command_timeout_ms = SHORT_MS;
    start_server_and_client(f, NULL);
    for (size_t i = 0; i < 10; i++) { /* each in time, all together far beyond it */
        order(f, "BLPOP none 0.1");
        run_until(f, has_answered, f->sent);
    }
    assert_int_equal(f->downs, 0);
    order(f, "BLPOP none 0.1");
    order(f, "BLPOP none 0");
    run_until(f, is_down_times, 1);
    assert_false(f->answers[10].is_none);
    assert_true(f->answers[11].is_none);
}

static void started_later(void **state)
{
    struct fixture *f = *state;
    f->server = redis_server_new(NULL);
    redis_server_stop(f->server);
    start_client(f);
    assert_int_equal(try_send(f, "PING"), -ENOTCONN);
    run_until(f, has_failed_attempts, 1);
    run_until(f, has_ticked, 5);
    assert_int_equal(f->ups + f->downs, 0);
    redis_server_start(f->server);
    run_until(f, is_up_times, 1);
    expect_text(f, "PING", "PONG");
}

/* ---- Reset and free ------------------------------------------------------------------------ */

static void reset(void **state)
{
    struct fixture *f = *state;
    start_server_and_client(f, NULL);
    char first_run_id[64];
    snprintf(first_run_id, sizeof first_run_id, "%s", f->run_id);
    order(f, "INCR n");
    redis_client_reset(f->client, "the data is odd");
    assert_int_equal(f->downs, 1);
    assert_string_equal(f->why, "the data is odd");
    assert_true(f->answers[0].is_none);
    redis_client_reset(f->client, "twice");
    assert_int_equal(f->downs, 1);
    run_until(f, is_up_times, 2);
    assert_string_equal(f->run_id, first_run_id);
    expect_text(f, "PING", "PONG");
}

static void reset_in_answer(void *arg, const struct redis_reply *reply)
{
    struct fixture *f = arg;
    static const struct str ping[] = {STR("PING")};
    assert_non_null(reply);
    redis_client_reset(f->client, "first");
    redis_client_reset(f->client, "second");
    assert_int_equal(f->downs, 0);
    assert_false(redis_client_is_up(f->client));
    assert_int_equal(redis_client_send(f->client, ping, 1, NULL, NULL), -ENOTCONN);
}

static void reset_from_a_callback(void **state)
{
    struct fixture *f = *state;
    static const struct str ping[] = {STR("PING")};
    start_server_and_client(f, NULL);
    assert_int_equal(redis_client_send(f->client, ping, 1, reset_in_answer, f), 0);
    order(f, "PING"); /* its answer comes with the other one */
    run_until(f, is_down_times, 1);
    assert_string_equal(f->why, "first");
    assert_true(f->answers[0].is_none);
    run_until(f, is_up_times, 2);
    expect_text(f, "PING", "PONG");
}

static void reset_when_up(struct fixture *f)
{
    if (f->ups == 1)
        redis_client_reset(f->client, "at once");
}

static void reset_from_up(void **state)
{
    struct fixture *f = *state;
    f->on_up = reset_when_up;
    start_server_and_client(f, NULL);
    run_until(f, is_up_times, 2);
    assert_int_equal(f->downs, 1);
    expect_text(f, "PING", "PONG");
}

static void count_handle(uv_handle_t *handle, void *arg)
{
    *(unsigned *)arg += !uv_is_closing(handle);
}

static unsigned open_handles(struct fixture *f)
{
    unsigned count = 0;
    uv_walk(&f->loop->uv, count_handle, &count);
    return count;
}

static void free_client(struct fixture *f, unsigned handles_before)
{
    redis_client_free(f->client);
    f->client = NULL;
    assert_int_equal(open_handles(f), handles_before);
    assert_int_equal(f->downs, 0);
}

static void freed_with_commands_under_way(void **state)
{
    struct fixture *f = *state;
    unsigned before = open_handles(f);
    struct redis_script script;
    redis_script_init(&script, "return 1");
    start_server_and_client(f, NULL);
    order(f, "BLPOP none 0");
    order(f, "INCR n");
    eval(f, &script, "k", "v");
    run_until(f, has_ticked, 1);
    order(f, "INCR n"); /* and one that was not written yet */
    free_client(f, before);
    expect_each_answered_once(f);
    for (size_t i = 0; i < f->sent; i++)
        assert_true(f->answers[i].is_none);
}

static void freed_at_any_time(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost", "::1"};
    for (size_t i = 0; i < COUNT(hosts); i++)
        for (unsigned ticks = 0; ticks < 3; ticks++) {
            setup(state);
            struct fixture *f = *state;
            unsigned before = open_handles(f);
            f->options.host = hosts[i];
            f->options.port = redis_server_free_port();
            start_client(f);
            run_until(f, has_ticked, ticks);
            free_client(f, before);
            teardown(state);
        }
    redis_client_free(NULL);
}

/* ---- A listener that is no Redis ----------------------------------------------------------- */

struct fake {
    int listener;
    pthread_t thread;
    const char *bytes; /* sent to everybody who connects */
    size_t filler;     /* bytes behind them */
    bool closes;       /* then; else it waits for the other's end */
};

static void fake_serve(const struct fake *fake, int fd)
{
    static char filler[65536];
    memset(filler, 'x', sizeof filler);
    bool is_open = sendto(fd, fake->bytes, strlen(fake->bytes), MSG_NOSIGNAL, NULL, 0) >= 0;
    for (size_t left = fake->filler; left > 0 && is_open;) {
        size_t n = left < sizeof filler ? left : sizeof filler;
        is_open = sendto(fd, filler, n, MSG_NOSIGNAL, NULL, 0) == (ssize_t)n;
        left -= n;
    }
    char bin[4096];
    while (!fake->closes && is_open && recv(fd, bin, sizeof bin, 0) > 0)
        ;
    close(fd);
}

static void *fake_run(void *arg)
{
    struct fake *fake = arg;
    int fd;
    while ((fd = accept(fake->listener, NULL, NULL)) >= 0)
        fake_serve(fake, fd);
    return NULL;
}

static uint16_t fake_start(struct fake *fake)
{
    struct net_address a;
    uint16_t port = redis_server_free_port();
    assert_int_equal(net_address_parse(&a, STR("127.0.0.1"), port), 0);
    fake->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fake->listener, &a.any, net_address_size(&a)), 0);
    assert_int_equal(listen(fake->listener, 8), 0);
    assert_int_equal(pthread_create(&fake->thread, NULL, fake_run, fake), 0);
    return port;
}

static void fake_stop(struct fake *fake)
{
    shutdown(fake->listener, SHUT_RDWR);
    pthread_join(fake->thread, NULL);
    close(fake->listener);
}

static void never_up(void **state)
{
    static const struct {
        const char *bytes;
        bool closes;
        const char *why;
    } row[] = {
        {"",                                                                    true,  "why="                               },
        {"",                                                                    false, "no connection in time"              },
        {"+OK\r\n",                                                             false, "no connection in time"              },
        {"+OK\r\n+OK\r\n+PO",                                                   false, "no connection in time"              },
        {"HTTP/1.1 400 Bad Request\r\n\r\n",                                    false, "Protocol error, got \\\"H\\\""      },
        {"\r\n",                                                                false, "Protocol error"                     },
        {"\x16\x03\x01",                                                        false, "Protocol error"                     },
        {"$-2\r\n",                                                             false, "Bulk string length out of range"    },
        {"*99999999999\r\n",                                                    false, "Multi-bulk length out of range"     },
        {"*2147483647\r\n",                                                     false, "an answer is too long"              },
        {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",              false, "depth > 7"                          },
        {":12x\r\n",                                                            false, "Bad integer value"                  },
        {"*1\r\n:1\r\n",                                                        false, "AUTH: an answer that makes no sense"},
        {":1\r\n",                                                              false, "AUTH: an answer that makes no sense"},
        {"$-1\r\n",                                                             false, "AUTH: an answer that makes no sense"},
        {"+NO\r\n",                                                             false, "AUTH: an answer that makes no sense"},
        {"-ERR max number of clients reached\r\n",                              true,  "AUTH: ERR max number of clients"    },
        {"-ERR unknown command 'AUTH', with args beginning with: 's3c",         false,
         "no connection in time"                                                                                            },
        {"-ERR unknown command `AUTH`, with args beginning with: `s3cret`\r\n", false,
         "AUTH: refused"                                                                                                    },
        {"-ERR what is s3cret?\r\n",                                            false, "AUTH: refused"                      },
        {"-\r\n",                                                               false, "AUTH: "                             },
        {"+OK\r\n-ERR no\r\n",                                                  false, "SELECT: ERR no"                     },
        {"+OK\r\n+OK\r\n-ERR\r\n-LOADING Redis is loading\r\n$0\r\n\r\n",       false,
         "PING: LOADING Redis is loading"                                                                                   },
        {"+OK\r\n+OK\r\n-ERR\r\n-MASTERDOWN Link with MASTER is down\r\n",      false,
         "PING: MASTERDOWN"                                                                                                 },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        setup(state);
        struct fixture *f = *state;
        struct fake fake = {.bytes = row[i].bytes, .closes = row[i].closes};
        f->options.port = fake_start(&fake);
        f->options.password = "s3cret";
        f->options.db = 1;
        f->options.connect_timeout_ms = SHORT_MS;
        start_client(f);
        run_until(f, has_failed_attempts, 1);
        run_until(f, has_ticked, 2);
        if (count_logged(row[i].why) == 0 || count_logged("s3c") != 0)
            fail_msg("row %zu: %s", i, logged);
        assert_int_equal(f->ups + f->downs, 0);
        redis_client_free(f->client);
        f->client = NULL;
        fake_stop(&fake);
        teardown(state);
    }
}

static void send_one(struct fixture *f)
{
    order(f, "GET k");
}

/* The handshake goes well: names, PONG, no INFO. */
#define GREETING "+OK\r\n+PONG\r\n-NOPERM\r\n"

static void up_and_then(void **state)
{
    static const struct {
        const char *bytes;
        size_t filler;
        bool closes, asks;
        const char *why;
        size_t answers; /* that are none */
    } row[] = {
        {GREETING,                            0,       true,  false, "",                                   0},
        {GREETING,                            0,       true,  true,  "",                                   1},
        {GREETING "x",                        0,       false, true,  "Protocol error",                     1},
        {GREETING "+OK\r\n",                  0,       false, false, "an answer to nothing",               0},
        {GREETING "*1\r\n",                   0,       false, false, "an answer to nothing",               0},
        {GREETING ":1\r\n:2\r\n",             0,       false, true,  "an answer to nothing",               0},
        {GREETING "-ERR bye\r\n",             0,       false, false, "an answer to nothing",               0},
        {GREETING "*2147483647\r\n",          0,       false, true,  "an answer is too long",              1},
        {GREETING "*2\r\n*2147483647\r\n",    0,       false, true,  "an answer is too long",              1},
        {GREETING "*600000\r\n",              0,       false, true,  "a command was not answered in time", 1},
        {GREETING "$2000000\r\n",             2000000, false, true,  "an answer is too long",              1},
        {GREETING "$9223372036854775807\r\n", 2000000, false, true,  "an answer is too long",              1},
        {GREETING "+",                        2000000, false, true,  "an answer is too long",              1},
        {GREETING "$5\r\n",                   2000000, false, true,  "Protocol error",                     0},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        setup(state);
        struct fixture *f = *state;
        struct fake fake = {.bytes = row[i].bytes,
                            .filler = row[i].filler,
                            .closes = row[i].closes};
        f->options.port = fake_start(&fake);
        f->options.command_timeout_ms = 2 * SHORT_MS;
        f->on_up = row[i].asks ? send_one : NULL;
        start_client(f);
        run_until(f, is_down_times, 1);
        assert_int_equal(f->ups, 1);
        assert_string_equal(f->run_id, "");
        size_t none = 0;
        for (size_t n = 0; n < f->sent; n++)
            none += f->answers[n].is_none;
        if (!strstr(f->why, row[i].why) || none != row[i].answers)
            fail_msg("row %zu: %s, %zu unanswered", i, f->why, none);
        expect_each_answered_once(f);
        run_until(f, is_up_times, 3); /* for ever */
        redis_client_free(f->client);
        f->client = NULL;
        fake_stop(&fake);
        teardown(state);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(kinds_of_answers),
        TEST(arrays_in_arrays),
        TEST(long_texts),
        TEST(ten_thousand_in_order),
        TEST(one_write_a_turn),
        TEST(most_pending),
        TEST(callbacks_send),
        TEST(scripts),
        TEST(scripts_unknown_in_a_crowd),
        cmocka_unit_test(sha1_of_a_script),
        cmocka_unit_test(logs_in),
        TEST(takes_its_name),
        cmocka_unit_test(refused_until_it_is_put_right),
        TEST(selects_the_database),
        TEST(no_such_database),
        TEST(looks_names_up),
        TEST(no_such_name),
        TEST(killed_with_commands_under_way),
        TEST(stopped_politely),
        TEST(mute_for_a_while),
        TEST(held_up_ourselves),
        TEST(a_command_behind_another),
        TEST(started_later),
        TEST(reset),
        TEST(reset_from_a_callback),
        TEST(reset_from_up),
        TEST(freed_with_commands_under_way),
        cmocka_unit_test(freed_at_any_time),
        cmocka_unit_test(never_up),
        cmocka_unit_test(up_and_then),
    };
    net_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
