/* The HTTP client over loopback, against servers with good and bad manners. The loop runs until all
 * that was posted has been answered, or gives up after some seconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "http_server.h"
#include <aorta/cert.h>
#include <aorta/http_client.h>
#include <cmocka.h>
#include <curl/curl.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))
#define PASSWORD "s3cret"
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}"
#define BODY "{\"status\":\"ok\"}"
#define QUESTION "{\"method\":\"REGISTER\"}"

enum { GIVE_UP_TICKS = 150, RESULTS = 256, TIMEOUT_MS = 10000 };

/* ---- Names --------------------------------------------------------------------------------- */

/* The test's own: libcurl's resolver threads find this one before the system's. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_stuck; /* lookups of stuck.test do not end */
    unsigned lookups, under_way;
} names = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void wait_while_stuck(void)
{
    pthread_mutex_lock(&names.lock);
    names.lookups++;
    names.under_way++;
    while (names.is_stuck)
        pthread_cond_wait(&names.changed, &names.lock);
    names.under_way--;
    pthread_cond_broadcast(&names.changed);
    pthread_mutex_unlock(&names.lock);
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **result)
{
    int (*system_getaddrinfo)(const char *, const char *, const struct addrinfo *,
                              struct addrinfo **);
    *(void **)&system_getaddrinfo = dlsym(RTLD_NEXT, "getaddrinfo");
    if (strcmp(name, "stuck.test") == 0)
        wait_while_stuck();
    bool is_ours = strcmp(name, "stuck.test") == 0 || strcmp(name, "other.test") == 0;
    if (!is_ours)
        return EAI_NONAME;
    struct addrinfo any = *hints;
    any.ai_family = AF_INET;
    return system_getaddrinfo("127.0.0.1", service, &any, result);
}

static void set_stuck(bool is_stuck)
{
    pthread_mutex_lock(&names.lock);
    names.is_stuck = is_stuck;
    if (is_stuck)
        names.lookups = 0;
    pthread_cond_broadcast(&names.changed);
    while (!is_stuck && names.under_way > 0)
        pthread_cond_wait(&names.changed, &names.lock);
    pthread_mutex_unlock(&names.lock);
}

static unsigned lookups(void)
{
    pthread_mutex_lock(&names.lock);
    unsigned n = names.lookups;
    pthread_mutex_unlock(&names.lock);
    return n;
}

/* ---- A client on its loop ------------------------------------------------------------------ */

struct fixture;

struct result {
    struct fixture *f;
    unsigned times;
    size_t order; /* the how manieth of all */
    int error, status;
    uint32_t took_ms;
    char why[512];
    char *body;
    size_t body_len;
};

struct fixture {
    struct net_loop *loop;
    struct http_client *client;
    struct http_lane *lane;
    struct http_server *server;
    char url[128];
    size_t expected, ended;
    unsigned ticks;
    void (*at_tick)(struct fixture *f);
    void (*at_answer)(struct fixture *f, struct result *r); /* within `done` */
    struct result result[RESULTS];
};

static void on_tick(void *arg)
{
    struct fixture *f = arg;
    if (f->at_tick)
        f->at_tick(f);
    if (++f->ticks >= GIVE_UP_TICKS)
        net_loop_stop(f->loop);
}

static void on_woken(void *arg)
{
    (void)arg;
}

static void take_answer(void *arg, const struct http_answer *answer)
{
    struct result *r = arg;
    struct fixture *f = r->f;
    r->times++;
    r->error = answer->error;
    r->status = answer->status;
    r->took_ms = answer->took_ms;
    snprintf(r->why, sizeof r->why, "%s", answer->why);
    assert_null(strstr(answer->why, PASSWORD));
    assert_true(answer->why[0] != 0);
    r->body_len = answer->body.len;
    r->body = malloc(r->body_len + 1);
    if (r->body_len > 0)
        memcpy(r->body, answer->body.ptr, r->body_len);
    r->body[r->body_len] = 0;
    r->order = f->ended;
    if (++f->ended == f->expected)
        net_loop_stop(f->loop);
    if (f->at_answer)
        f->at_answer(f, r);
}

static struct http_lane_options options_of(struct fixture *f, const char *scheme, const char *host)
{
    snprintf(f->url, sizeof f->url, "%s://%s:%u/auth?x=1", scheme, host,
             http_server_port(f->server));
    return (struct http_lane_options){.url = f->url,
                                      .username = "user",
                                      .password = PASSWORD,
                                      .timeout_ms = TIMEOUT_MS,
                                      .max_in_flight = 8,
                                      .max_queued = RESULTS,
                                      .max_answer_bytes = 65536};
}

/* `script` NULL: no server. */
static void open_fixture(struct fixture *f, const struct http_server_script *script)
{
    static const struct net_stream_events no_streams;
    const struct net_loop_events events = {on_tick, on_woken, f};
    char memory[256];
    struct buf error;
    buf_init_fixed(&error, memory, sizeof memory);
    *f = (struct fixture){.server = script ? http_server_start(script) : NULL};
    for (size_t i = 0; i < RESULTS; i++)
        f->result[i].f = f;
    assert_int_equal(net_loop_open(&events, &no_streams, NULL, NULL, NULL, &f->loop, &error), 0);
    f->client = http_client_new(f->loop);
    assert_non_null(f->client);
}

static void open_lane(struct fixture *f, const struct http_lane_options *options)
{
    f->lane = http_lane_open(f->client, options);
    assert_non_null(f->lane);
}

static void open_simple(struct fixture *f, const struct http_server_script *script)
{
    open_fixture(f, script);
    const struct http_lane_options options = options_of(f, "http", "127.0.0.1");
    open_lane(f, &options);
}

static void close_client(struct fixture *f)
{
    http_client_free(f->client);
    net_loop_close(f->loop);
    f->client = NULL;
    f->loop = NULL;
}

static struct http_server_counts close_fixture(struct fixture *f)
{
    struct http_server_counts counts = {0};
    close_client(f);
    for (size_t i = 0; i < RESULTS; i++)
        free(f->result[i].body);
    if (f->server)
        counts = http_server_stop(f->server);
    return counts;
}

static struct result *post(struct fixture *f, size_t i)
{
    http_lane_post(f->lane, STR(QUESTION), take_answer, &f->result[i]);
    return &f->result[i];
}

/* Until so many more were answered. */
static void run(struct fixture *f, size_t count)
{
    f->expected = f->ended + count;
    f->ticks = 0;
    net_loop_run(f->loop);
    assert_int_equal(f->ended, f->expected);
}

static void run_ticks(struct fixture *f, unsigned ticks)
{
    f->expected = SIZE_MAX;
    f->ticks = GIVE_UP_TICKS - ticks;
    net_loop_run(f->loop);
}

static struct result *ask(struct fixture *f, size_t i)
{
    struct result *r = post(f, i);
    if (r->times == 0)
        run(f, 1);
    return r;
}

static void assert_ok(const struct result *r)
{
    if (r->error != 0)
        fail_msg("%s", r->why);
    assert_int_equal(r->times, 1);
    assert_int_equal(r->status, 200);
    assert_string_equal(r->body, BODY);
}

static void assert_error(const struct result *r, int error)
{
    if (r->error != error)
        fail_msg("%d, not %d: %s", r->error, error, r->why);
    assert_int_equal(r->times, 1);
    assert_int_equal(r->body_len, 0);
    assert_int_equal(r->status, 0);
}

static const struct http_server_script friendly = {.answer = ANSWER};
static const struct http_server_script silent = {.then = KEEP_OPEN};

/* ---- What is sent -------------------------------------------------------------------------- */

static void asks_byte_by_byte(void **state)
{
    (void)state;
    struct fixture f;
    char expected[1024];
    open_simple(&f, &friendly);
    snprintf(expected, sizeof expected,
             "POST /auth?x=1 HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
             "Authorization: Basic dXNlcjpzM2NyZXQ=\r\nUser-Agent: aorta/" AORTA_VERSION "\r\n"
             "Content-Type: application/json\r\nAccept: application/json\r\n"
             "Content-Length: 21\r\n\r\n" QUESTION,
             http_server_port(f.server));
    assert_ok(ask(&f, 0));
    struct http_server_counts counts = close_fixture(&f);
    counts.last[counts.last_len] = 0;
    assert_string_equal(counts.last, expected);
}

static void sends_no_credentials_without_a_user(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, &friendly);
    struct http_lane_options options = options_of(&f, "http", "127.0.0.1");
    options.username = NULL;
    open_lane(&f, &options);
    assert_ok(ask(&f, 0));
    struct http_server_counts counts = close_fixture(&f);
    assert_null(memmem(counts.last, counts.last_len, "Authorization", 13));
}

static void what_the_url_says(void **state)
{
    (void)state;
    static const struct {
        const char *begin, *end; /* of the URL, around the port */
        const char *username, *password;
        const char *first_line, *authorization;
        const char *why;
    } row[] = {
        {"http://127.0.0.1:",             "",                         NULL,   NULL,     "POST / HTTP/1.1\r\n",       NULL,       "no path"                          },
        {"http://127.0.0.1:",             "?a=b&c",                   NULL,   NULL,     "POST /?a=b&c HTTP/1.1\r\n", NULL,
         "query only"                                                                                                                                               },
        {"http://127.0.0.1:",             "/a%20b/%C3%85?x=%0D#part", NULL,   NULL,
         "POST /a%20b/%C3%85?x=%0D HTTP/1.1\r\n",                                                                    NULL,       "escapes stay, a fragment does not"},
        {"HTTP://u%40x:p%3Aw@127.0.0.1:", "/",                        NULL,   NULL,     "POST / HTTP/1.1\r\n",
         "dUB4OnA6dw==",                                                                                                         "credentials, unescaped"           },
        {"http://u@127.0.0.1:",           "/",                        NULL,   NULL,     "POST / HTTP/1.1\r\n",       "dTo=",     "no password"                      },
        {"http://u:p@127.0.0.1:",         "/",                        "user", "s3cret", "POST / HTTP/1.1\r\n",
         "dXNlcjpzM2NyZXQ=",                                                                                                     "others count more"                },
        {"http://127.0.0.1:",             "/",                        "user", NULL,     "POST / HTTP/1.1\r\n",       "dXNlcjo=", "a user alone"                     },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct fixture f;
        open_fixture(&f, &friendly);
        struct http_lane_options options = options_of(&f, "http", "127.0.0.1");
        snprintf(f.url, sizeof f.url, "%s%u%s", row[i].begin, http_server_port(f.server),
                 row[i].end);
        options.username = row[i].username;
        options.password = row[i].password;
        open_lane(&f, &options);
        assert_ok(ask(&f, 0));
        struct http_server_counts counts = close_fixture(&f);
        counts.last[counts.last_len] = 0;
        char expected[64] = "Authorization";
        if (row[i].authorization)
            snprintf(expected, sizeof expected, "\r\nAuthorization: Basic %s\r\n",
                     row[i].authorization);
        bool has_line = strstr(counts.last, expected) != NULL;
        if (strncmp(counts.last, row[i].first_line, strlen(row[i].first_line)) != 0 ||
            has_line != (row[i].authorization != NULL))
            fail_msg("row %zu: %s: %s", i, row[i].why, counts.last);
    }
}

static void texts_are_copied(void **state)
{
    (void)state;
    struct fixture f;
    char username[] = "user", password[] = PASSWORD;
    open_fixture(&f, &friendly);
    struct http_lane_options options = options_of(&f, "http", "127.0.0.1");
    options.username = username;
    options.password = password;
    open_lane(&f, &options);
    memset(f.url, 'x', sizeof f.url - 1);
    memset(username, 'x', 4);
    memset(password, 'x', 6);
    for (size_t i = 0; i < 20; i++)
        post(&f, i);
    run(&f, 20);
    struct http_server_counts counts = close_fixture(&f);
    assert_non_null(memmem(counts.last, counts.last_len, "Basic dXNlcjpzM2NyZXQ=\r\n", 24));
}

static void an_empty_body_is_sent(void **state)
{
    (void)state;
    struct fixture f;
    open_simple(&f, &friendly);
    http_lane_post(f.lane, STR_NONE, take_answer, &f.result[0]);
    run(&f, 1);
    assert_ok(&f.result[0]);
    struct http_server_counts counts = close_fixture(&f);
    assert_non_null(memmem(counts.last, counts.last_len, "Content-Length: 0\r\n", 19));
}

static void keeps_connections(void **state)
{
    (void)state;
    struct fixture f;
    open_simple(&f, &friendly);
    for (size_t i = 0; i < RESULTS; i++)
        assert_ok(ask(&f, i));
    struct http_server_counts counts = close_fixture(&f);
    assert_int_equal(counts.requests, RESULTS);
    assert_int_equal(counts.connections, 1);
}

static void a_refusal_does_not_spoil_the_credentials(void **state)
{
    (void)state;
    static const struct http_server_script script = {
        .answer = "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x\"\r\n"
                  "Content-Length: 0\r\n\r\n"};
    struct fixture f;
    open_simple(&f, &script);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(ask(&f, i)->status, 401);
    struct http_server_counts counts = close_fixture(&f);
    assert_int_equal(counts.requests, 3);
    assert_non_null(memmem(counts.last, counts.last_len, "Basic dXNlcjpzM2NyZXQ=\r\n", 24));
}

/* ---- How much at once ---------------------------------------------------------------------- */

static void no_more_than_allowed_at_once(void **state)
{
    (void)state;
    static const struct http_server_script script = {.answer = ANSWER, .waits_for_quiet = true};
    struct fixture f;
    open_simple(&f, &script);
    for (size_t i = 0; i < 200; i++)
        post(&f, i);
    run(&f, 200);
    for (size_t i = 0; i < 200; i++)
        assert_ok(&f.result[i]);
    struct http_server_counts counts = close_fixture(&f);
    assert_int_equal(counts.requests, 200);
    assert_int_equal(counts.most_at_once, 8);
    assert_int_equal(counts.connections, 8);
}

static void what_does_not_fit_is_refused_at_once(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, &silent);
    struct http_lane_options options = options_of(&f, "http", "127.0.0.1");
    options.max_in_flight = 1;
    options.max_queued = 2;
    open_lane(&f, &options);
    for (size_t i = 0; i < 5; i++)
        post(&f, i);
    assert_int_equal(f.ended, 2);
    assert_error(&f.result[3], -ENOBUFS);
    assert_error(&f.result[4], -ENOBUFS);
    http_lane_close(f.lane);
    assert_int_equal(f.ended, 5);
    for (size_t i = 0; i < 3; i++)
        assert_error(&f.result[i], -ECANCELED);
    close_fixture(&f);
}

static void the_queue_is_first_in_first_out(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, &friendly);
    struct http_lane_options options = options_of(&f, "http", "127.0.0.1");
    options.max_in_flight = 1;
    options.max_queued = 5; /* goes round its end */
    open_lane(&f, &options);
    for (size_t i = 0; i < 24; i++) {
        post(&f, i);
        if (i % 6 == 5)
            run(&f, i + 1 - f.ended);
    }
    for (size_t i = 0; i < 24; i++) {
        assert_ok(&f.result[i]);
        assert_int_equal(f.result[i].order, i);
    }
    close_fixture(&f);
}

/* Two at a time, and each answer takes 20 ms and more. */
static void tells_how_long_one_would_wait(void **state)
{
    (void)state;
    static const struct http_server_script script = {.answer = ANSWER, .waits_for_quiet = true};
    struct fixture f;
    open_fixture(&f, &script);
    struct http_lane_options options = options_of(&f, "http", "127.0.0.1");
    options.max_in_flight = 2;
    open_lane(&f, &options);
    for (size_t i = 0; i < 10; i++)
        post(&f, i);
    assert_int_equal(http_lane_wait_ms(f.lane), 0); /* nothing is known yet */
    run(&f, 10);
    assert_int_equal(http_lane_wait_ms(f.lane), 0); /* nobody would be before it */
    for (size_t i = 10; i < 12; i++)
        post(&f, i);
    assert_in_range(http_lane_wait_ms(f.lane), 10, 500); /* for half an answer */
    for (size_t i = 12; i < 30; i++)
        post(&f, i);
    assert_in_range(http_lane_wait_ms(f.lane), 190, 9500); /* for nine and a half */
    run(&f, 20);
    close_fixture(&f);
}

/* The server has answered quickly, and now does no more: when the first has waited in vain, there
 * is not enough time left for the second. */
static void what_is_hopeless_is_not_sent(void **state)
{
    (void)state;
    static const struct http_server_script script = {.answer = ANSWER,
                                                     .waits_for_quiet = true,
                                                     .answers = 3};
    struct fixture f;
    open_fixture(&f, &script);
    struct http_lane_options options = options_of(&f, "http", "127.0.0.1");
    options.max_in_flight = 1;
    options.timeout_ms = 500;
    open_lane(&f, &options);
    for (size_t i = 0; i < 3; i++)
        assert_ok(ask(&f, i));
    post(&f, 3);
    post(&f, 4);
    run(&f, 2);
    assert_error(&f.result[3], -ETIMEDOUT);
    assert_error(&f.result[4], -ENOBUFS);
    assert_int_equal(close_fixture(&f).requests, 4);
}

/* ---- Time ---------------------------------------------------------------------------------- */

static void times_out_on_the_wire(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, &silent);
    struct http_lane_options options = options_of(&f, "http", "127.0.0.1");
    options.timeout_ms = 150;
    open_lane(&f, &options);
    struct result *r = ask(&f, 0);
    assert_error(r, -ETIMEDOUT);
    assert_in_range(r->took_ms, 150, 2000);
    close_fixture(&f);
}

static void post_second_at_tick(struct fixture *f)
{
    if (f->ticks == 1)
        post(f, 1);
}

/* The second is posted at about 200 ms, and gets a connection when the first gives up at 800: then
 * 200 ms are left to it. */
static void waiting_counts(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, &silent);
    struct http_lane_options options = options_of(&f, "http", "127.0.0.1");
    options.timeout_ms = 800;
    options.max_in_flight = 1;
    open_lane(&f, &options);
    f.at_tick = post_second_at_tick;
    post(&f, 0);
    run(&f, 2);
    assert_error(&f.result[0], -ETIMEDOUT);
    assert_error(&f.result[1], -ETIMEDOUT);
    assert_in_range(f.result[1].took_ms, 800, 1300);
    assert_int_equal(close_fixture(&f).requests, 2);
}

static void times_out_in_the_queue(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, &silent);
    struct http_lane_options options = options_of(&f, "http", "127.0.0.1");
    options.timeout_ms = 150;
    options.max_in_flight = 1;
    open_lane(&f, &options);
    for (size_t i = 0; i < 50; i++)
        post(&f, i);
    run(&f, 50);
    for (size_t i = 0; i < 50; i++) {
        assert_error(&f.result[i], -ETIMEDOUT);
        assert_in_range(f.result[i].took_ms, 150, 2000);
    }
    /* and the lane lives on */
    assert_error(ask(&f, 50), -ETIMEDOUT);
    close_fixture(&f);
}

static void a_silent_server_delays_nobody_else(void **state)
{
    (void)state;
    struct fixture f;
    struct http_server *other = http_server_start(&silent);
    open_simple(&f, &friendly);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", http_server_port(other));
    struct http_lane_options options = options_of(&f, "http", "127.0.0.1");
    options.url = url;
    struct http_lane *quick = f.lane, *slow = http_lane_open(f.client, &options);
    assert_non_null(slow);
    f.lane = slow;
    for (size_t i = 0; i < 20; i++)
        post(&f, i);
    f.lane = quick;
    for (size_t i = 20; i < 60; i++)
        post(&f, i);
    run(&f, 40);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(f.result[i].times, 0);
    for (size_t i = 20; i < 60; i++)
        assert_ok(&f.result[i]);
    http_lane_close(slow);
    for (size_t i = 0; i < 20; i++)
        assert_error(&f.result[i], -ECANCELED);
    close_fixture(&f);
    http_server_stop(other);
}

/* The lane must not take the silence on a kept connection for a name that is not found. */
static void silence_does_not_narrow_the_lane(void **state)
{
    (void)state;
    static const struct http_server_script script = {.answer = ANSWER, .answers = 1};
    struct fixture f;
    open_fixture(&f, &script);
    struct http_lane_options options = options_of(&f, "http", "127.0.0.1");
    options.timeout_ms = 200;
    open_lane(&f, &options);
    assert_ok(ask(&f, 0));
    assert_error(ask(&f, 1), -ETIMEDOUT);
    for (size_t i = 2; i < 10; i++)
        post(&f, i);
    run(&f, 8);
    assert_int_equal(close_fixture(&f).most_at_once, 8);
}

/* ---- Answers ------------------------------------------------------------------------------- */

#define STATUS(line, body) "HTTP/1.1 " line "\r\nContent-Length: " body

static void answers(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        enum http_server_then then;
        int error, status;
        const char *body;
        const char *why;
    } row[] = {
        {ANSWER,                              KEEP_OPEN,                          0,200, BODY,       "plain"     },
        {ANSWER,                              CLOSE,                              0,200, BODY,       "and closed"},
        {STATUS("204 No Content",             "0\r\n\r\n"),                       KEEP_OPEN,0,   204,        "",           "no body"},
        {STATUS("302 Found",                                   "0\r\nLocation: /elsewhere\r\n\r\n"),                                                    KEEP_OPEN,0,302,"",
         "not followed"},
        {STATUS("307 Over There",                      "0\r\nLocation: http://127.0.0.1:1/\r\n\r\n"),                                                        KEEP_OPEN,0,307,
         "","not followed"},
        {STATUS("404 Not Found",                                  "2\r\n\r\nno"),                                                      KEEP_OPEN,0,404,"no","an answer like others"},
        {STATUS("500 Oops",                                "4\r\n\r\noops"),                                                              KEEP_OPEN,0,       500,                                                                                                                      "oops",                                                                                                                                                "an answer like others"},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" ANSWER,
         KEEP_OPEN,                                                                 0,                     200,BODY,"1xx are passed over"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\nb;x=y\r\n67890123456"
         "\r\n0\r\nTrailer: x\r\n\r\n",                                  KEEP_OPEN, 0,200,"1234567890123456","chunked"                                                                                                                                                                                                                                                                               },
        {"HTTP/1.0 200 OK\r\n\r\nuntil the end",                                  CLOSE,                                                                 0,                                                                       200,                                                                                                                                                                                                                        "until the end",                                                                                                                                                                                                                                                              "HTTP/1.0"},
        {STATUS("200 OK",                                  "20\r\n\r\n12345678901234567890"), KEEP_OPEN,0,200,
         "12345678901234567890","as long as is allowed"},
        {STATUS("200 OK",                          "21\r\n\r\n123456789012345678901"),                                                           KEEP_OPEN,                                                                                                                                             -EMSGSIZE,0,"",
         "longer than that"},
        {STATUS("200 OK","21\r\n\r\n"),KEEP_OPEN,-EMSGSIZE,0,"","already when it says so"},
        {STATUS("200 OK",                     "99999999999999999999999\r\n\r\n123456789012345678901"),                                                                   KEEP_OPEN,
         -EMSGSIZE,                                                                                                                                                                                                                                                                                                                             0,                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                           "",                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          "no number holds it"},
        {STATUS("200 OK",                                   "-1\r\n\r\n1"),                                                       KEEP_OPEN,-EIO,0,"","negative"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n15\r\n123456789012345678901\r\n",
         KEEP_OPEN,                                                 -EMSGSIZE,0,"","chunked and too long"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",                                 KEEP_OPEN,                                                         -EIO,0,"",
         "no number of a chunk"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123",                                 CLOSE,                                             -EIO,0,"",
         "closed within a chunk"                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                             },
        {"HTTP/1.1 200 OK\r\n\r\n123456789012345678901",                                 CLOSE,                                                  -EMSGSIZE,0,"",
         "too long without a length"},
        {STATUS("200 OK",                                 "15\r\n\r\n{\"status\""),                                                 CLOSE,-EIO,0,"","short"},
        {STATUS("200 OK",                                 "15\r\n\r\n{\"status\""),                                             RESET,-EIO,0,"","reset in its body"},
        {"HTTP/1.1 200 OK\r\nContent-Le",                                  RESET,                                                                  -EIO,0,                                                        "",                                                                                                                                                                                            "reset in its head"                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                  },
        {"HTTP/1.1 200 OK\r\nContent-Le",                               CLOSE,                                                                -EIO,                  0,                                                                                    "",                                                                                                                                                                                                                              "closed in its head"                                                                                                                                                                                                                                                                       },
        {"",                               CLOSE,-EIO,0,"","no answer"},
        {"",                               RESET, -EIO,0,"","reset at once"},
        {"hello\r\n",                               CLOSE,                                                                  -EIO,           0,                                                                                                                                        "",                                                                                                                                                                                                                                                                                                                                                                                                                                                                        "no HTTP"                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                            },
        {"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",                               CLOSE,                                                                -EIO,                                                                                 0,                                                                                                                                                                                                                                                                                                               "",                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                      "no HTTP"                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                },
        {"\r\n\r\n\r\n",                               CLOSE,-EIO,0,"","no HTTP"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct fixture f;
        const struct http_server_script script = {.answer = row[i].answer, .then = row[i].then};
        open_fixture(&f, &script);
        struct http_lane_options options = options_of(&f, "http", "127.0.0.1");
        options.max_answer_bytes = 20;
        open_lane(&f, &options);
        struct result *r = ask(&f, 0);
        if (r->error != row[i].error || r->status != row[i].status || r->took_ms >= TIMEOUT_MS ||
            strcmp(r->body, row[i].body) != 0)
            fail_msg("row %zu: %s: error %d (%s), status %d, body \"%s\"", i, row[i].why, r->error,
                     r->why, r->status, r->body);
        assert_int_equal(close_fixture(&f).requests, 1); /* never sent again */
    }
}

static void long_answers(void **state)
{
    (void)state;
    enum { LONG = 1 << 20 };
    static const struct {
        const char *head;
        enum http_server_then then;
    } row[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n", KEEP_OPEN},
        {"HTTP/1.1 200 OK\r\n\r\n",                            CLOSE    },
    };
    char *text = malloc(LONG + 100);
    assert_non_null(text);
    for (size_t i = 0; i < COUNT(row); i++) {
        struct fixture f;
        size_t head = strlen(row[i].head);
        memcpy(text, row[i].head, head);
        for (size_t k = 0; k < LONG; k++)
            text[head + k] = (char)('a' + k % 23);
        text[head + LONG] = 0;
        const struct http_server_script script = {.answer = text, .then = row[i].then};
        open_fixture(&f, &script);
        struct http_lane_options options = options_of(&f, "http", "127.0.0.1");
        options.max_answer_bytes = LONG;
        open_lane(&f, &options);
        for (size_t k = 0; k < 3; k++) {
            struct result *r = ask(&f, k);
            assert_int_equal(r->error, 0);
            assert_int_equal(r->body_len, LONG);
            assert_memory_equal(r->body, text + head, LONG);
        }
        close_fixture(&f);
    }
    free(text);
}

static void endless_answers(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *endless;
        int error;
        const char *why;
    } row[] = {
        {"HTTP/1.1 200 OK\r\n",                                                "X-More: 0123456789012345678901234567890123456789\r\n",                         -EMSGSIZE,
         "headers"                                                                                                                                                                     },
        {"HTTP/1.1 200 OK\r\nX-More: ",                                        "0123456789012345678901234567890123456789",                                     -EMSGSIZE,
         "one header"                                                                                                                                                                  },
        {"",                                                                   "HTTP/1.1 100 Continue\r\nX: 0123456789012345678901234567890123456789\r\n\r\n",
         -EMSGSIZE,                                                                                                                                                       "1xx"        },
        {"HTTP/1.1 200 OK\r\n\r\n",                                            "0123456789012345678901234567890123456789",                                     -EMSGSIZE, "body"       },
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",              "5\r\n12345\r\n",                                                               -EMSGSIZE,
         "chunks"                                                                                                                                                                      },
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
         "X-More: 0123456789012345678901234567890123456789\r\n",                                                                                               -EMSGSIZE, "trailers"   },
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-More: ",
         "0123456789012345678901234567890123456789",                                                                                                           -EIO,      "one trailer"},
        {"",                                                                   "0123456789012345678901234567890123456789",                                     -EIO,      "no HTTP"    },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct fixture f;
        const struct http_server_script script = {.answer = row[i].answer,
                                                  .endless = row[i].endless};
        open_simple(&f, &script);
        struct result *r = ask(&f, 0);
        if (r->error != row[i].error || r->took_ms >= TIMEOUT_MS)
            fail_msg("row %zu: %s: error %d (%s)", i, row[i].why, r->error, r->why);
        assert_int_equal(close_fixture(&f).requests, 1);
    }
}

static void refused(void **state)
{
    (void)state;
    struct fixture f;
    open_simple(&f, &friendly);
    http_server_stop(f.server);
    f.server = NULL;
    struct result *r = ask(&f, 0);
    assert_error(r, -ECONNREFUSED);
    assert_in_range(r->took_ms, 0, TIMEOUT_MS / 2);
    close_fixture(&f);
}

/* ---- Kept connections that are gone -------------------------------------------------------- */

static void a_closed_connection_is_replaced(void **state)
{
    (void)state;
    static const struct http_server_script script = {.answer = ANSWER, .then = CLOSE};
    struct fixture f;
    open_simple(&f, &script);
    for (size_t i = 0; i < 10; i++) {
        assert_ok(ask(&f, i));
        run_ticks(&f, 1); /* it has heard of the end */
    }
    struct http_server_counts counts = close_fixture(&f);
    assert_int_equal(counts.requests, 10);
    assert_int_equal(counts.connections, 10);
}

/* The server closes as the next question arrives, which it then has read in vain: that is asked
 * again, however often this happens. */
static void a_question_to_a_dying_connection_is_asked_again(void **state)
{
    (void)state;
    static const struct http_server_script script = {.answer = ANSWER, .answers_a_connection = 1};
    struct fixture f;
    open_simple(&f, &script);
    for (size_t i = 0; i < 20; i++)
        assert_ok(ask(&f, i));
    struct http_server_counts counts = close_fixture(&f);
    assert_int_equal(counts.connections, 20);
    assert_int_equal(counts.requests, 20 + 19);
}

/* But what it has begun to answer is not. */
static void a_question_half_answered_is_not_asked_again(void **state)
{
    (void)state;
    static const struct http_server_script script = {.answer = ANSWER,
                                                     .answers_a_connection = 1,
                                                     .last_words = "HTTP/1.1 200 OK\r\n"};
    struct fixture f;
    open_simple(&f, &script);
    assert_ok(ask(&f, 0));
    assert_error(ask(&f, 1), -EIO);
    assert_ok(ask(&f, 2));
    struct http_server_counts counts = close_fixture(&f);
    assert_int_equal(counts.requests, 3);
    assert_int_equal(counts.connections, 2);
}

/* ---- Life ---------------------------------------------------------------------------------- */

static void post_next(struct fixture *f, struct result *r)
{
    size_t next = (size_t)(r - f->result) + 1;
    if (next < 50)
        post(f, next);
}

static void done_may_post_again(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, &friendly);
    struct http_lane_options options = options_of(&f, "http", "127.0.0.1");
    options.max_in_flight = 1;
    options.max_queued = 0;
    open_lane(&f, &options);
    f.at_answer = post_next;
    post(&f, 0);
    run(&f, 50);
    for (size_t i = 0; i < 50; i++)
        assert_ok(&f.result[i]);
    assert_int_equal(close_fixture(&f).connections, 1);
}

static void close_lane(struct fixture *f, struct result *r)
{
    (void)r;
    http_lane_close(f->lane);
}

static void done_may_close_the_lane(void **state)
{
    (void)state;
    static const struct http_server_script script = {.answer = ANSWER, .waits_for_quiet = true};
    struct fixture f;
    open_simple(&f, &script);
    f.at_answer = close_lane;
    for (size_t i = 0; i < 30; i++)
        post(&f, i);
    run(&f, 30);
    size_t canceled = 0;
    for (size_t i = 0; i < 30; i++) {
        assert_int_equal(f.result[i].times, 1);
        canceled += f.result[i].error == -ECANCELED;
    }
    assert_int_equal(canceled, 29);
    assert_int_equal(close_fixture(&f).most_at_once, 8);
}

static void done_may_close_the_lane_when_it_failed(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, &silent);
    struct http_lane_options options = options_of(&f, "http", "127.0.0.1");
    options.timeout_ms = 100;
    options.max_in_flight = 1;
    options.max_queued = 10;
    open_lane(&f, &options);
    f.at_answer = close_lane;
    for (size_t i = 0; i < 5; i++)
        post(&f, i);
    run(&f, 5);
    size_t canceled = 0;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(f.result[i].times, 1);
        canceled += f.result[i].error == -ECANCELED;
    }
    /* by the time that one has given up, the next may have, too */
    assert_in_range(canceled, 3, 4);
    close_fixture(&f);
}

static void done_may_close_the_lane_when_it_was_refused(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, &silent);
    struct http_lane_options options = options_of(&f, "http", "127.0.0.1");
    options.max_in_flight = 2;
    options.max_queued = 1;
    open_lane(&f, &options);
    f.at_answer = close_lane;
    for (size_t i = 0; i < 4; i++)
        post(&f, i);
    assert_error(&f.result[3], -ENOBUFS);
    for (size_t i = 0; i < 3; i++)
        assert_error(&f.result[i], -ECANCELED);
    close_fixture(&f);
}

/* And read `why` afterwards. */
static void done_may_close_a_broken_lane(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, &silent);
    struct http_lane_options options = options_of(&f, "http", "127.0.0.1");
    options.url = "http://user:" PASSWORD "@[broken/";
    open_lane(&f, &options);
    f.at_answer = close_lane;
    assert_error(post(&f, 0), -EIO);
    assert_non_null(strstr(f.result[0].why, "URL"));
    close_fixture(&f);
}

static void post_when_canceled(struct fixture *f, struct result *r)
{
    if (r == &f->result[0])
        post(f, 100);
}

static void a_closing_lane_takes_nothing(void **state)
{
    (void)state;
    struct fixture f;
    open_simple(&f, &silent);
    f.at_answer = post_when_canceled;
    for (size_t i = 0; i < 20; i++)
        post(&f, i);
    run_ticks(&f, 1); /* now they are under way */
    http_lane_close(f.lane);
    for (size_t i = 0; i < 20; i++)
        assert_error(&f.result[i], -ECANCELED);
    assert_error(&f.result[100], -ECANCELED);
    assert_int_equal(close_fixture(&f).requests, 8);
}

static void freeing_the_client_cancels(void **state)
{
    (void)state;
    struct fixture f;
    open_simple(&f, &silent);
    struct http_lane_options options = options_of(&f, "http", "127.0.0.1");
    struct http_lane *first = f.lane;
    open_lane(&f, &options);
    for (size_t i = 0; i < 20; i++)
        post(&f, i);
    f.lane = first;
    for (size_t i = 20; i < 40; i++)
        post(&f, i);
    run_ticks(&f, 1);
    close_client(&f);
    for (size_t i = 0; i < 40; i++)
        assert_error(&f.result[i], -ECANCELED);
    assert_int_equal(close_fixture(&f).requests, 16);
}

static void what_was_posted_just_now_is_canceled_too(void **state)
{
    (void)state;
    struct fixture f;
    open_simple(&f, &friendly);
    post(&f, 0);
    close_client(&f);
    assert_error(&f.result[0], -ECANCELED);
    close_fixture(&f);
    http_client_free(NULL);
    http_lane_close(NULL);
}

static size_t open_files(void)
{
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void a_lane_leaves_no_descriptor(void **state)
{
    (void)state;
    struct fixture f;
    open_simple(&f, &friendly);
    run_ticks(&f, 1);
    size_t before = open_files();
    for (size_t round = 0; round < 10; round++) {
        struct http_lane_options options = options_of(&f, "http", "127.0.0.1");
        http_lane_close(f.lane);
        open_lane(&f, &options);
        for (size_t i = 0; i < 16; i++)
            post(&f, round * 16 + i);
        run(&f, 16);
    }
    http_lane_close(f.lane);
    struct http_lane_options options = options_of(&f, "http", "127.0.0.1");
    open_lane(&f, &options);
    run_ticks(&f, 2); /* the server drops its ends */
    assert_int_equal(open_files(), before);
    close_fixture(&f);
}

/* ---- Names --------------------------------------------------------------------------------- */

static void the_library_looks_names_up_on_threads(void **state)
{
    (void)state;
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    assert_true(info->features & CURL_VERSION_ASYNCHDNS);
    assert_null(info->ares);
}

static void no_such_name(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, &friendly);
    struct http_lane_options options = options_of(&f, "http", "nowhere.test");
    open_lane(&f, &options);
    for (size_t i = 0; i < 20; i++)
        post(&f, i);
    run(&f, 20);
    for (size_t i = 0; i < 20; i++) {
        assert_error(&f.result[i], -EIO);
        assert_non_null(strstr(f.result[i].why, "nowhere.test"));
    }
    close_fixture(&f);
}

/* The loop goes on while a lookup does not end, and lookups given up do not pile up. */
static void a_lookup_that_hangs(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, &friendly);
    struct http_lane_options options = options_of(&f, "http", "stuck.test");
    options.timeout_ms = 200;
    options.max_in_flight = 4;
    open_lane(&f, &options);
    set_stuck(true);
    for (size_t i = 0; i < 9; i++) {
        struct result *r = post(&f, i);
        if (i == 0)
            run(&f, 1);
        if (i == 8)
            run(&f, 8);
        assert_in_range(r->took_ms, 0, 2000);
    }
    for (size_t i = 0; i < 9; i++)
        assert_error(&f.result[i], -ETIMEDOUT);
    assert_in_range(lookups(), 2, 4);
    set_stuck(false);
    assert_ok(ask(&f, 9));
    for (size_t i = 10; i < 18; i++)
        post(&f, i);
    run(&f, 8);
    for (size_t i = 10; i < 18; i++)
        assert_ok(&f.result[i]);
    close_fixture(&f);
}

/* ---- TLS ----------------------------------------------------------------------------------- */

static char folder[] = "/tmp/aorta-http-client-XXXXXX";

static const char *file_in_folder(char memory[128], const char *name)
{
    snprintf(memory, 128, "%s/%s", folder, name);
    return memory;
}

static int make_certificates(void **state)
{
    (void)state;
    char cert[128], key[128], memory[256];
    struct buf error;
    buf_init_fixed(&error, memory, sizeof memory);
    assert_non_null(mkdtemp(folder));
    assert_int_equal(cert_make_self_signed(file_in_folder(cert, "a.crt"),
                                           file_in_folder(key, "a.key"), &error),
                     0);
    assert_int_equal(cert_make_self_signed(file_in_folder(cert, "b.crt"),
                                           file_in_folder(key, "b.key"), &error),
                     0);
    FILE *empty = fopen(file_in_folder(cert, "empty.crt"), "w");
    assert_non_null(empty);
    fclose(empty);
    return 0;
}

static int remove_certificates(void **state)
{
    (void)state;
    static const char *const names_there[] = {"a.crt", "a.key", "b.crt", "b.key", "empty.crt"};
    char file[128];
    for (size_t i = 0; i < COUNT(names_there); i++)
        unlink(file_in_folder(file, names_there[i]));
    return rmdir(folder);
}

static void whom_to_trust(void **state)
{
    (void)state;
    static const struct {
        const char *system, *file; /* whose certificates are trusted; the server has a's */
        const char *host;
        int error;
        const char *why;
    } row[] = {
        {NULL,    "a.crt", "127.0.0.1",  0,    "by its file"                   },
        {NULL,    "a.crt", "localhost",  0,    "under its name"                },
        {NULL,    "a.crt", "other.test", -EIO, "not under another"             },
        {NULL,    NULL,    "127.0.0.1",  -EIO, "by nobody"                     },
        {NULL,    "b.crt", "127.0.0.1",  -EIO, "by another's file"             },
        {"a.crt", NULL,    "127.0.0.1",  0,    "by the system"                 },
        {"a.crt", "b.crt", "127.0.0.1",  0,    "by the system besides the file"},
        {"b.crt", "a.crt", "127.0.0.1",  0,    "by the file besides the system"},
        {"b.crt", NULL,    "127.0.0.1",  -EIO, "not by the system"             },
        {"a.crt", NULL,    "other.test", -EIO, "not under another name"        },
    };
    char cert[128], key[128], system_file[128], file[128];
    const struct http_server_script script = {.answer = ANSWER,
                                              .cert_file = file_in_folder(cert, "a.crt"),
                                              .key_file = file_in_folder(key, "a.key")};
    for (size_t i = 0; i < COUNT(row); i++) {
        struct fixture f;
        open_fixture(&f, &script);
        struct http_lane_options options = options_of(&f, "https", row[i].host);
        if (row[i].file)
            options.ca_file = file_in_folder(file, row[i].file);
        if (row[i].system)
            setenv("SSL_CERT_FILE", file_in_folder(system_file, row[i].system), 1);
        open_lane(&f, &options);
        unsetenv("SSL_CERT_FILE");
        for (size_t k = 0; k < 3; k++) {
            struct result *r = ask(&f, k);
            if (r->error != row[i].error || (r->error == 0 && r->status != 200))
                fail_msg("row %zu: %s: error %d (%s)", i, row[i].why, r->error, r->why);
        }
        assert_int_equal(close_fixture(&f).requests, row[i].error == 0 ? 3 : 0);
    }
}

static void a_file_that_brings_no_certificate(void **state)
{
    (void)state;
    static const char *const bad[] = {"missing.crt", "empty.crt", "a.key"};
    char file[128];
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct fixture f;
        open_fixture(&f, &friendly);
        struct http_lane_options options = options_of(&f, "https", "127.0.0.1");
        options.ca_file = file_in_folder(file, bad[i]);
        open_lane(&f, &options);
        for (size_t k = 0; k < 2; k++) {
            assert_error(ask(&f, k), -EIO);
            assert_non_null(strstr(f.result[k].why, file));
        }
        assert_int_equal(close_fixture(&f).connections, 0);
    }
}

/* Their tickets come between the answers, and long answers in many records. */
static void keeps_tls_connections(void **state)
{
    (void)state;
    enum { LONG = 100000, ROUNDS = 60 };
    static char text[LONG + 100];
    char cert[128], key[128];
    size_t head = (size_t)sprintf(text, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", LONG);
    memset(text + head, 'x', LONG);
    const char *const answers_there[] = {ANSWER, text};
    for (size_t i = 0; i < COUNT(answers_there); i++) {
        struct fixture f;
        const struct http_server_script script = {.answer = answers_there[i],
                                                  .tls_answers = 20,
                                                  .cert_file = file_in_folder(cert, "a.crt"),
                                                  .key_file = file_in_folder(key, "a.key")};
        open_fixture(&f, &script);
        struct http_lane_options options = options_of(&f, "https", "127.0.0.1");
        options.ca_file = cert;
        options.max_answer_bytes = LONG;
        options.max_in_flight = 1;
        open_lane(&f, &options);
        for (size_t k = 0; k < ROUNDS; k++) {
            struct result *r = ask(&f, k);
            if (r->error != 0 || r->status != 200 || r->body_len != (i == 0 ? strlen(BODY) : LONG))
                fail_msg("answer %zu, %zu: error %d (%s), %zu bytes", i, k, r->error, r->why,
                         r->body_len);
        }
        struct http_server_counts counts = close_fixture(&f);
        assert_int_equal(counts.requests, ROUNDS);
        assert_int_equal(counts.connections, ROUNDS / 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_byte_by_byte),
        cmocka_unit_test(sends_no_credentials_without_a_user),
        cmocka_unit_test(what_the_url_says),
        cmocka_unit_test(texts_are_copied),
        cmocka_unit_test(an_empty_body_is_sent),
        cmocka_unit_test(keeps_connections),
        cmocka_unit_test(a_refusal_does_not_spoil_the_credentials),
        cmocka_unit_test(no_more_than_allowed_at_once),
        cmocka_unit_test(what_does_not_fit_is_refused_at_once),
        cmocka_unit_test(the_queue_is_first_in_first_out),
        cmocka_unit_test(times_out_on_the_wire),
        cmocka_unit_test(tells_how_long_one_would_wait),
        cmocka_unit_test(what_is_hopeless_is_not_sent),
        cmocka_unit_test(waiting_counts),
        cmocka_unit_test(times_out_in_the_queue),
        cmocka_unit_test(a_silent_server_delays_nobody_else),
        cmocka_unit_test(silence_does_not_narrow_the_lane),
        cmocka_unit_test(answers),
        cmocka_unit_test(long_answers),
        cmocka_unit_test(endless_answers),
        cmocka_unit_test(refused),
        cmocka_unit_test(a_closed_connection_is_replaced),
        cmocka_unit_test(a_question_to_a_dying_connection_is_asked_again),
        cmocka_unit_test(a_question_half_answered_is_not_asked_again),
        cmocka_unit_test(done_may_post_again),
        cmocka_unit_test(done_may_close_the_lane),
        cmocka_unit_test(done_may_close_the_lane_when_it_failed),
        cmocka_unit_test(done_may_close_the_lane_when_it_was_refused),
        cmocka_unit_test(done_may_close_a_broken_lane),
        cmocka_unit_test(a_closing_lane_takes_nothing),
        cmocka_unit_test(freeing_the_client_cancels),
        cmocka_unit_test(what_was_posted_just_now_is_canceled_too),
        cmocka_unit_test(a_lane_leaves_no_descriptor),
        cmocka_unit_test(the_library_looks_names_up_on_threads),
        cmocka_unit_test(no_such_name),
        cmocka_unit_test(a_lookup_that_hangs),
        cmocka_unit_test(whom_to_trust),
        cmocka_unit_test(a_file_that_brings_no_certificate),
        cmocka_unit_test(keeps_tls_connections),
    };
    /* No test may go by a proxy, though the environment says so. */
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("HTTPS_PROXY", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    net_init();
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
