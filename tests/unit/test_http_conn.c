/* HTTP requests and upgrades over a connection that only writes down what they do. Bytes arrive in
 * pieces of any size, each in memory that ends where they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "transport/conn_limit.h"
#include "transport/transport_internal.h"
#include <aorta/node_state.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

enum { SHOWN_BYTES = 24 };

/* ---- A connection, and what conn.c would do -------------------------------------------------- */

struct fixture {
    struct config config;
    struct metrics metrics;
    struct transport t;
    struct conn c;
    _Atomic int node_state;
    char *kept; /* as conn.c keeps what a reader leaves */
    size_t kept_bytes;
    bool wants_write;
    bool has_backlog;
    uint64_t due_ms;
    struct net_address seen; /* remote of the last request */
};

static struct fixture *f;     /* of the test that runs */
static struct buf events;     /* "POST /a(body) 200(ok) linger" */
static char file_text[40000]; /* what /file gives */

static void note(const char *event)
{
    buf_printf(&events, "%s%s", events.len > 0 ? " " : "", event);
}

static void note_text(struct str text)
{
    buf_put_char(&events, '(');
    buf_put_str(&events, str_slice(text, 0, SHOWN_BYTES));
    if (text.len > SHOWN_BYTES)
        buf_printf(&events, "...%zu", text.len);
    buf_put_char(&events, ')');
}

static bool has(struct str text, const char *part)
{
    return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

/* "200(body)", with ! when the connection is to close. */
int conn_write(struct conn *c, char *data, size_t len)
{
    (void)c;
    struct str text = {data, len};
    if (!str_starts_nocase(text, STR("HTTP/1.1 "))) {
        assert_false(f->has_backlog);
        note("more");
        note_text(text);
        return 0;
    }
    const char *end = memmem(data, len, "\r\n\r\n", 4);
    assert_non_null(end);
    struct str head = {data, (size_t)(end - data)};
    char status[8];
    snprintf(status, sizeof status, "%.3s", data + 9);
    note(status);
    if (has(head, "Connection: close"))
        buf_put_char(&events, '!');
    if (!has(head, "Content-Length:") && status[0] != '1')
        note("endless");
    note_text(str_slice(text, head.len + 4, len));
    return 0;
}

void conn_close(struct conn *c)
{
    note("close");
    c->is_doomed = true;
    if (c->id)
        conn_forget_name(c);
}

void conn_linger(struct conn *c)
{
    note("linger");
    c->phase = CONN_LINGER;
    if (c->id)
        conn_forget_name(c);
}

void conn_set_timer(struct conn *c, uint64_t due_ms)
{
    (void)c;
    f->due_ms = due_ms;
}

void conn_begin_sip(struct conn *c, enum conn_phase phase)
{
    note("sip");
    c->phase = phase;
}

bool conn_enter(struct conn *c)
{
    bool is_outermost = !c->is_in_event;
    c->is_in_event = true;
    return is_outermost;
}

void conn_leave(struct conn *c, bool is_outermost)
{
    if (is_outermost)
        c->is_in_event = false;
}

void net_stream_want_write(struct net_stream *s)
{
    (void)s;
    f->wants_write = true;
}

bool net_stream_has_backlog(const struct net_stream *s)
{
    (void)s;
    return f->has_backlog;
}

static void receive(struct str next)
{
    size_t len = f->kept_bytes + next.len;
    char *data = malloc(len > 0 ? len : 1);
    assert_non_null(data);
    if (f->kept_bytes > 0)
        memcpy(data, f->kept, f->kept_bytes);
    if (next.len > 0)
        memcpy(data + f->kept_bytes, next.ptr, next.len);
    size_t used = f->c.phase == CONN_HTTP ? http_conn_read(&f->c, data, len) : len;
    assert_true(used <= len);
    free(f->kept);
    f->kept_bytes = len - used;
    f->kept = malloc(f->kept_bytes + 1);
    assert_non_null(f->kept);
    memcpy(f->kept, data + used, f->kept_bytes);
    free(data);
}

void conn_read_kept(struct conn *c)
{
    assert_ptr_equal(c, &f->c);
    receive(STR_NONE);
}

/* ---- A handler ----------------------------------------------------------------------------- */

static void handle(void *arg, const struct http_request *request, struct http_reply *reply)
{
    assert_ptr_equal(arg, f);
    assert_true(request->conn == f->c.id && request->conn != 0);
    buf_printf(&events, "%s%.*s %.*s", events.len > 0 ? " " : "", STR_ARG(request->method),
               STR_ARG(request->path));
    note_text(request->body);
    f->seen = request->remote;
    if (str_eq(request->path, STR("/later"))) {
        buf_put_text(&reply->body, "never seen");
        reply->is_later = true;
        return;
    }
    reply->status = 200;
    reply->content_type = "text/plain";
    reply->is_stream = str_eq(request->path, STR("/stream"));
    if (str_eq(request->path, STR("/file")))
        reply->file = (struct str){file_text, sizeof file_text};
    else
        buf_put_text(&reply->body, "ok");
}

static void open_conn(void)
{
    static char star[] = "*";
    static char *origins[] = {star};
    f = aligned_alloc(64, (sizeof *f + 63) / 64 * 64);
    assert_non_null(f);
    memset(f, 0, sizeof *f);
    f->node_state = NODE_RUNNING;
    f->config.ws_origins = (struct config_list){origins, 1};
    f->t.now_ms = 1000;
    f->t.deps = (struct transport_deps){.config = &f->config,
                                        .limit = conn_limit_new(10, 2),
                                        .metrics = &f->metrics,
                                        .node_state = &f->node_state,
                                        .public_http = handle,
                                        .admin_http = handle,
                                        .http_arg = f};
    assert_non_null(f->t.deps.limit);
    assert_int_equal(conn_table_grow(&f->t), 0);
    f->c = (struct conn){.t = &f->t, .phase = CONN_HTTP, .kind = TRANSPORT_WS};
    assert_int_equal(net_address_parse(&f->c.remote, STR("10.0.0.1"), 4000), 0);
    assert_int_equal(conn_name(&f->c), 0);
    buf_clear(&events);
}

static void close_conn(void)
{
    if (f->c.id)
        conn_forget_name(&f->c);
    conn_limit_free(f->t.deps.limit);
    free(f->t.slots);
    free(f->kept);
    free(f);
    f = NULL;
}

/* Sends `wire` by `piece` bytes at a time, and takes what is written of files. */
static void feed(struct str wire, size_t piece)
{
    while (wire.len > 0) {
        struct str next = str_slice(wire, 0, piece);
        wire = str_slice(wire, piece, wire.len);
        receive(next);
        while (f->wants_write) {
            f->wants_write = false;
            if (http_answer_writable(&f->c) && http_conn_is_idle(&f->c))
                conn_read_kept(&f->c);
        }
    }
}

static void expect_events(const char *expected, const char *why, size_t piece)
{
    assert_int_equal(events.error, 0);
    if (!str_eq(buf_str(&events), str_from(expected)))
        fail_msg("%s, %zu bytes at a time:\n  %.*s\nexpected\n  %s", why, piece,
                 STR_ARG(buf_str(&events)), expected);
}

static const size_t pieces[] = {SIZE_MAX, 1, 2, 3, 7, 64};

/* ---- Requests ------------------------------------------------------------------------------ */

#define H " HTTP/1.1\r\nHost: h\r\n"
#define LENGTH(n) "Content-Length: " n "\r\n\r\n"

static void requests(void **state)
{
    (void)state;
    const struct {
        struct str wire;
        const char *events, *why;
    } row[] = {
        {STR("GET /a" H "\r\n"),                                                    "GET /a() 200(ok)",                           "no body"                                },
        {STR("HEAD /a" H "\r\n"),                                                   "GET /a() 200()",                             "HEAD is a GET without the answer's body"},
        {STR("POST /a" H LENGTH("5") "hello"),                                      "POST /a(hello) 200(ok)",                     "a body"                                 },
        {STR("PUT /a" H LENGTH("1") "x"),                                           "PUT /a(x) 200(ok)",                          ""                                       },
        {STR("DELETE /a" H "\r\n"),                                                 "DELETE /a() 200(ok)",                        ""                                       },
        {STR("POST /a" H LENGTH("0")),                                              "POST /a() 200(ok)",                          "an empty one"                           },
        {STR("GET /a" H LENGTH("5") "hello"),                                       "GET /a(hello) 200(ok)",                      "one that nobody wants"                  },
        {STR("POST /a" H LENGTH("5") "helloGET /b" H "\r\n"),
         "POST /a(hello) 200(ok) GET /b() 200(ok)",                                                                               "the next request behind it"             },
        {STR("POST /a" H LENGTH("18") "GET / HTTP/1.1\r\n\r\nGET /b" H "\r\n"),
         "POST /a(GET / HTTP/1.1\r\n\r\n) 200(ok) GET /b() 200(ok)",                                                              "a body that looks like a request"       },
        {STR("HEAD /a" H "\r\nGET /a" H "\r\n"),                                    "GET /a() 200() GET /a() 200(ok)",
         "GET is one again"                                                                                                                                                },
        {STR("POST /a" H "Connection: close\r\n" LENGTH("2") "hiGET /b" H "\r\n"),
         "POST /a(hi) 200!(ok) linger",                                                                                           "nothing counts after the last"          },
        {STR("POST /a" H "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
         "411!(Send a body with its Con...37) linger",                                                                            "no length"                              },
        {STR("POST /a" H "Transfer-Encoding: chunked\r\n" LENGTH("2") "hi"),
         "411!(Send a body with its Con...37) linger",                                                                            "two ways to tell a length"              },
        {STR("POST /a" H LENGTH("65537")),                                          "413!(No request here needs so...38) linger",
         "too long"                                                                                                                                                        },
        {STR("POST /a" H LENGTH("18446744073709551615")),
         "413!(No request here needs so...38) linger",                                                                            "2^64 - 1"                               },
        {STR("POST /a" H "Expect: 100-continue\r\n" LENGTH("65537")),
         "413!(No request here needs so...38) linger",                                                                            "not asked for"                          },
        {STR("POST /a" H "Expect: 100-continue\r\n" LENGTH("0")),                   "POST /a() 200(ok)",
         "nothing to ask for"                                                                                                                                              },
        {STR("nonsense\r\n\r\n"),                                                   "400!(This is no HTTP/1.1 requ...48) linger", ""                                       },
        {STR("HEAD /a" H "\r\nnonsense\r\n\r\n"),
         "GET /a() 200() 400!(This is no HTTP/1.1 requ...48) linger",                                                             "a refusal after a HEAD"                 },
        {STR("GET /file" H "\r\nGET /a" H "\r\n"),
         "GET /file() 200() more(ffffffffffffffffffffffff...16384) "
         "more(ffffffffffffffffffffffff...16384) more(ffffffffffffffffffffffff...7232) "
         "GET /a() 200(ok)",                                                                                                      "a file in pieces, then the next"        },
        {STR("HEAD /file" H "\r\nGET /a" H "\r\n"),                                 "GET /file() 200() GET /a() 200(ok)",         ""                                       },
    };
    for (size_t i = 0; i < COUNT(row); i++)
        for (size_t p = 0; p < COUNT(pieces); p++) {
            open_conn();
            feed(row[i].wire, pieces[p]);
            expect_events(row[i].events, row[i].why, pieces[p]);
            close_conn();
        }
}

static void longest_body(void **state)
{
    (void)state;
    struct buf wire;
    buf_init_heap(&wire, 1 << 20);
    buf_put_text(&wire, "POST /a" H LENGTH("65536"));
    for (size_t i = 0; i < HTTP_BODY_MAX_BYTES; i++)
        buf_put_char(&wire, 'b');
    buf_put_text(&wire, "GET /b" H "\r\n");
    open_conn();
    feed(buf_str(&wire), 1000);
    expect_events("POST /a(bbbbbbbbbbbbbbbbbbbbbbbb...65536) 200(ok) GET /b() 200(ok)", "64 KiB",
                  1000);
    close_conn();
    buf_fini(&wire);
}

static void asks_for_the_body(void **state)
{
    (void)state;
    struct str head = STR("POST /a" H "Expect: 100-continue\r\n" LENGTH("5"));
    open_conn();
    feed(head, 7);
    expect_events("100()", "before it comes, once", 7);
    feed(STR("hello"), 1);
    expect_events("100() POST /a(hello) 200(ok)", "then it comes", 1);
    feed(head, SIZE_MAX);
    feed(STR("again"), SIZE_MAX);
    expect_events("100() POST /a(hello) 200(ok) 100() POST /a(again) 200(ok)", "the next one",
                  SIZE_MAX);
    close_conn();

    open_conn();
    feed(STR("POST /a" H "Expect: 100-continue\r\n" LENGTH("5") "he"), SIZE_MAX);
    feed(STR("llo"), 1);
    expect_events("POST /a(hello) 200(ok)", "it did not wait", SIZE_MAX);
    close_conn();
}

/* ---- Answers that come later --------------------------------------------------------------- */

static int answer_later(conn_id conn, const char *text)
{
    struct http_reply reply = {.status = 201, .content_type = "text/plain"};
    buf_init_heap(&reply.body, 1000);
    buf_put_text(&reply.body, text); /* freed by the transport in any case */
    return transport_http_reply(&f->t, conn, &reply);
}

static void answers_later(void **state)
{
    (void)state;
    const struct {
        struct str wire;
        const char *before, *after, *why;
    } row[] = {
        {STR("GET /later" H "\r\n"),                                                         "GET /later()", "GET /later() 201(late)",                                                       "plain"         },
        {STR("HEAD /later" H "\r\n"),                                                        "GET /later()", "GET /later() 201()",                                                           "still a HEAD"  },
        {STR("GET /later" H "Connection: close\r\n\r\n"),                                    "GET /later()",
         "GET /later() 201!(late) linger",                                                                                                                                                   "still the last"},
        {STR("GET /a" H "\r\nPOST /later" H LENGTH("2") "hiGET /b" H "\r\nGET /c" H "\r\n"),
         "GET /a() 200(ok) POST /later(hi)",                                                                 "GET /a() 200(ok) POST /later(hi) 201(late) GET /b() 200(ok) GET /c() 200(ok)",
         "the next ones wait"                                                                                                                                                                                },
        {STR("GET /later" H "\r\nGET /later" H "\r\nGET /b" H "\r\n"),                       "GET /later()",
         "GET /later() 201(late) GET /later()",                                                                                                                                              "one at a time" },
        {STR("GET /later" H "\r\nGET /b" H),                                                 "GET /later()", "GET /later() 201(late)",
         "half a request waits"                                                                                                                                                                              },
    };
    for (size_t i = 0; i < COUNT(row); i++)
        for (size_t p = 0; p < COUNT(pieces); p++) {
            open_conn();
            conn_id id = f->c.id;
            feed(row[i].wire, pieces[p]);
            expect_events(row[i].before, row[i].why, pieces[p]);
            assert_int_equal(f->due_ms, f->t.now_ms + 30000);
            assert_int_equal(answer_later(id, "late"), 0);
            expect_events(row[i].after, row[i].why, pieces[p]);
            close_conn();
        }
}

static void answers_too_late(void **state)
{
    (void)state;
    open_conn();
    conn_id id = f->c.id;
    assert_int_equal(answer_later(id, "nobody asked"), -ENOTCONN);
    feed(STR("GET /later" H "\r\nGET /b" H "\r\n"), SIZE_MAX);
    assert_int_equal(answer_later(id + 1, "another generation"), -ENOTCONN);
    http_conn_give_up(&f->c);
    expect_events("GET /later() 503!(This took too long.\n) linger", "30 s", SIZE_MAX);
    assert_int_equal(answer_later(id, "too late"), -ENOTCONN);
    expect_events("GET /later() 503!(This took too long.\n) linger", "nothing more", SIZE_MAX);
    close_conn();

    open_conn();
    id = f->c.id;
    feed(STR("GET /later" H "\r\n"), SIZE_MAX);
    conn_close(&f->c);
    assert_int_equal(answer_later(id, "gone"), -ENOTCONN);
    close_conn();

    open_conn();
    http_conn_give_up(&f->c);
    expect_events("close", "no request in time", SIZE_MAX);
    close_conn();

    open_conn(); /* keep-alive begins anew after the late answer */
    feed(STR("GET /later" H "\r\n"), SIZE_MAX);
    assert_int_equal(answer_later(f->c.id, "late"), 0);
    assert_int_equal(f->due_ms, f->t.now_ms + 15000);
    http_conn_give_up(&f->c);
    expect_events("GET /later() 201(late) close", "no further request in time", SIZE_MAX);
    close_conn();
}

/* ---- Clients ------------------------------------------------------------------------------- */

#define UPGRADE                                                                              \
    "GET /" H "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: sip\r\n" \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
#define XFF "X-Forwarded-For: 192.0.2.1\r\n"

enum { TRUSTED = 1, BANNED = 2, ADMIN = 4, DRAINING = 8 };

/* 10.0.0.1 asks; with TRUSTED it is a proxy's address, with BANNED 192.0.2.1 is banned. */
static void set_circumstances(unsigned flags, struct net_network *network)
{
    *network = (struct net_network){f->c.remote, 32};
    if (flags & TRUSTED)
        f->config.trusted_proxies = (struct net_networks){network, 1};
    f->node_state = flags & DRAINING ? NODE_DRAINING : NODE_RUNNING;
    f->c.is_admin = (flags & ADMIN) != 0;
    f->t.deps.bans = bans_new();
    assert_non_null(f->t.deps.bans);
    if (flags & BANNED) {
        struct ban ban = {.until_ms = BAN_FOR_EVER};
        assert_int_equal(net_network_parse(&ban.net, STR("192.0.2.1")), 0);
        assert_int_equal(bans_add(f->t.deps.bans, &ban, 0), 0);
    }
}

static void knows_its_clients(void **state)
{
    (void)state;
    const struct {
        unsigned flags;
        struct str wire;
        const char *events, *remote, *why;
    } row[] = {
        {0,                        STR("GET /a" H XFF "\r\n"),                                    "GET /a() 200(ok)",                           "10.0.0.1:4000",  "not believed"            },
        {TRUSTED,                  STR("GET /a" H XFF "\r\n"),                                    "GET /a() 200(ok)",                           "192.0.2.1:4000", "believed"                },
        {TRUSTED,                  STR("GET /a" H "\r\n"),                                        "GET /a() 200(ok)",                           "10.0.0.1:4000",  "says nothing"            },
        {TRUSTED,                  STR("GET /a" H XFF "\r\nGET /b" H "\r\n"),                     "GET /a() 200(ok) GET /b() 200(ok)",
         "10.0.0.1:4000",                                                                                                                                         "each request has its own"},
        {TRUSTED | BANNED,         STR("GET /a" H XFF "\r\n"),                                    "403!(This address is banned.\n) linger",
         NULL,                                                                                                                                                    "banned"                  },
        {TRUSTED | BANNED | ADMIN, STR("GET /a" H XFF "\r\n"),                                    "GET /a() 200(ok)",                           "192.0.2.1:4000",
         "not kept from the admin part"                                                                                                                                                     },
        {BANNED,                   STR("GET /a" H XFF "\r\n"),                                    "GET /a() 200(ok)",                           "10.0.0.1:4000",  "another's name"          },
        {0,                        STR(UPGRADE XFF "\r\n"),                                       "101() sip",                                  "10.0.0.1:4000",  "not believed"            },
        {TRUSTED,                  STR(UPGRADE XFF "\r\n"),                                       "101() sip",                                  "192.0.2.1:4000", "believed"                },
        {TRUSTED,                  STR(UPGRADE "Forwarded: for=\"192.0.2.9:77\"\r\n" XFF "\r\n"), "101() sip",
         "192.0.2.9:77",                                                                                                                                          "with its port"           },
        {TRUSTED,                  STR(UPGRADE "\r\n"),                                           "101() sip",                                  "10.0.0.1:4000",  "says nothing"            },
        {TRUSTED | BANNED,         STR(UPGRADE XFF "\r\n"),                                       "403!(This address is banned.\n) linger",     NULL,
         "banned"                                                                                                                                                                           },
        {ADMIN,                    STR(UPGRADE "\r\n"),                                           "400!(No SIP is spoken on the ...36) linger", NULL,             "admin"                   },
        {DRAINING,                 STR(UPGRADE "\r\n"),                                           "503!(This server is shutting ...30) linger", NULL,
         "draining"                                                                                                                                                                         },
        {0,                        STR(UPGRADE "Content-Length: 1\r\n\r\nx"),                     "400!(A WebSocket upgrade has ...33) linger",
         NULL,                                                                                                                                                    "with a body"             },
    };
    for (size_t i = 0; i < COUNT(row); i++)
        for (size_t p = 0; p < COUNT(pieces); p++) {
            struct net_network network;
            char text[NET_ADDRESS_TEXT];
            open_conn();
            set_circumstances(row[i].flags, &network);
            feed(row[i].wire, pieces[p]);
            expect_events(row[i].events, row[i].why, pieces[p]);
            if (row[i].remote) {
                bool is_sip = f->c.phase == CONN_WS;
                net_address_host_port(is_sip ? &f->c.remote : &f->seen, text);
                if (strcmp(text, row[i].remote) != 0)
                    fail_msg("%s: %s, not %s", row[i].why, text, row[i].remote);
            }
            bans_free(f->t.deps.bans);
            close_conn();
        }
}

static unsigned room_for(const char *ip)
{
    struct net_address address;
    unsigned n = 0;
    assert_int_equal(net_address_parse(&address, str_from(ip), 0), 0);
    while (conn_limit_take_ip(f->t.deps.limit, &address))
        n++;
    for (unsigned i = 0; i < n; i++)
        conn_limit_give_ip(f->t.deps.limit, &address);
    return n;
}

/* limits.connectionsPerIp is 2 here. */
static void counts_the_client_not_the_proxy(void **state)
{
    (void)state;
    static const struct {
        bool is_trusted, was_counted; /* when it connected */
        unsigned others;              /* of 192.0.2.1 that are there already */
        const char *events;
        unsigned client_room, proxy_room;
        const char *why;
    } row[] = {
        {true,  false, 0, "101() sip",                                  1, 2, "in its place"        },
        {true,  false, 1, "101() sip",                                  0, 2, "the last"            },
        {true,  false, 2, "503!(Too many connections fro...66) linger", 0, 2, "one too many"        },
        {false, true,  2, "101() sip",                                  0, 1, "no proxy"            },
        {true,  true,  0, "101() sip",                                  1, 2, "a proxy since lately"},
        {false, false, 0, "101() sip",                                  2, 1, "no proxy any more"   },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct net_network network;
        struct net_address client;
        open_conn();
        assert_int_equal(net_address_parse(&client, STR("192.0.2.1"), 0), 0);
        set_circumstances(row[i].is_trusted ? TRUSTED : 0, &network);
        for (unsigned k = 0; k < row[i].others; k++)
            assert_true(conn_limit_take_ip(f->t.deps.limit, &client));
        if (row[i].was_counted)
            assert_true(conn_limit_take_ip(f->t.deps.limit, &f->c.remote));
        f->c.is_ip_counted = row[i].was_counted;
        feed(STR(UPGRADE XFF "\r\n"), SIZE_MAX);
        expect_events(row[i].events, row[i].why, SIZE_MAX);
        if (room_for("192.0.2.1") != row[i].client_room ||
            room_for("10.0.0.1") != row[i].proxy_room)
            fail_msg("%s: room %u, %u", row[i].why, room_for("192.0.2.1"), room_for("10.0.0.1"));
        if (f->c.is_ip_counted) /* as when it closes */
            conn_limit_give_ip(f->t.deps.limit, &f->c.remote);
        assert_int_equal(room_for("192.0.2.1"), 2 - row[i].others);
        assert_int_equal(room_for("10.0.0.1"), 2);
        bans_free(f->t.deps.bans);
        close_conn();
    }
}

/* ---- Answers that go on ---------------------------------------------------------------------- */

static int stream(conn_id conn, const char *text)
{
    char memory[TRANSPORT_HEADROOM + 32];
    size_t len = strlen(text);
    memcpy(memory + TRANSPORT_HEADROOM, text, len);
    return transport_http_stream(&f->t, conn, memory + TRANSPORT_HEADROOM, len);
}

static void streams(void **state)
{
    (void)state;
    open_conn();
    conn_id id = f->c.id;
    assert_int_equal(stream(id, "before it was asked"), -ENOTCONN);
    f->due_ms = 0;
    timer_wheel_init(&f->t.wheel, 100, 0);
    timer_start(&f->t.wheel, &f->c.timer, 5000);
    feed(STR("GET /stream" H "\r\nGET /b" H "\r\n"), SIZE_MAX);
    assert_false(timer_is_running(&f->c.timer)); /* no deadline of a request */
    assert_int_equal(stream(id, "one"), 0);
    f->has_backlog = true;
    assert_int_equal(stream(id, "not taken"), -EAGAIN);
    f->has_backlog = false;
    assert_int_equal(stream(id, "two"), 0);
    feed(STR("GET /c" H "\r\n"), SIZE_MAX); /* it waits for ever */
    transport_http_end(&f->t, id);
    expect_events("GET /stream() 200! endless(ok) more(one) more(two) linger", "to its end",
                  SIZE_MAX);
    assert_int_equal(stream(id, "after it"), -ENOTCONN);
    close_conn();
}

static void drops_streams_that_nobody_reads(void **state)
{
    (void)state;
    open_conn();
    conn_id id = f->c.id;
    feed(STR("GET /stream" H "\r\n"), SIZE_MAX);
    transport_http_drop(&f->t, id);
    expect_events("GET /stream() 200! endless(ok) close", "dropped", SIZE_MAX);
    assert_int_equal(stream(id, "gone"), -ENOTCONN);
    transport_http_drop(&f->t, id);
    transport_http_end(&f->t, id);
    expect_events("GET /stream() 200! endless(ok) close", "once", SIZE_MAX);
    close_conn();

    open_conn();
    feed(STR("HEAD /stream" H "\r\n"), SIZE_MAX);
    expect_events("GET /stream() 200! endless() linger", "the head alone", SIZE_MAX);
    close_conn();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams),
        cmocka_unit_test(drops_streams_that_nobody_reads),
        cmocka_unit_test(requests),
        cmocka_unit_test(longest_body),
        cmocka_unit_test(asks_for_the_body),
        cmocka_unit_test(answers_later),
        cmocka_unit_test(answers_too_late),
        cmocka_unit_test(knows_its_clients),
        cmocka_unit_test(counts_the_client_not_the_proxy),
    };
    memset(file_text, 'f', sizeof file_text);
    buf_init_heap(&events, 1 << 16);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_fini(&events);
    return failed;
}
