#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "web/web_internal.h"
#include <aorta/bans.h>
#include <aorta/clock.h>
#include <aorta/events.h>
#include <aorta/log.h>
#include <aorta/realms.h>
#include <aorta/transport.h>
#include <cjson/cJSON.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

/* ---- A store of made-up bindings ----------------------------------------------------------- */

/* AOR number i is user<i>@even.example or @odd.example; every tenth has two bindings. */
enum call_kind { CALL_NONE, CALL_FIND, CALL_LIST, CALL_REMOVE };

struct fake_call {
    enum call_kind kind;
    struct str aor;
    uint64_t cursor;
    size_t limit;
    struct arena *arena;
    store_found_fn *found;
    store_listed_fn *listed;
    void *arg;
};

struct fake_store {
    struct store store;
    struct fake_call waiting;
    bool is_slow; /* answers only by answer_now() */
    int error;    /* of all calls; 0: none */
    size_t aors;
    size_t fails_at;      /* list() cannot go past this AOR; 0: never fails */
    size_t contact_bytes; /* of each binding */
    bool is_away;
};

static void answer_now(struct fake_store *f);

static struct str aor_name(size_t i, char memory[64])
{
    int n = snprintf(memory, 64, "user%zu@%s.example", i, i % 2 ? "odd" : "even");
    return (struct str){memory, (size_t)n};
}

static size_t bindings_of(size_t i)
{
    return i % 10 == 0 ? 2 : 1;
}

static struct store_aor make_aor(const struct fake_store *f, size_t i, struct arena *arena)
{
    static char contact[4 << 20];
    if (!contact[0])
        memset(contact, '"', sizeof contact); /* the worst to print */
    struct binding *both = arena_zalloc(arena, 2 * sizeof *both);
    assert_non_null(both);
    both[0] = (struct binding){
        .contact = {contact, f->contact_bytes},
          .q_milli = -1
    };
    both[0].source.v4.sin_family = AF_INET;
    both[1] = both[0];
    char memory[64];
    return (struct store_aor){arena_copy(arena, aor_name(i, memory)), both, bindings_of(i)};
}

/* Answers at once, or keeps the call for answer_now(). */
static void call(struct fake_store *f, struct fake_call what)
{
    assert_int_equal(f->waiting.kind, CALL_NONE);
    f->waiting = what;
    if (!f->is_slow)
        answer_now(f);
}

static void answer_found(struct fake_store *f, const struct fake_call *call)
{
    char memory[64];
    size_t i = 0;
    while (i < f->aors && !str_eq(call->aor, aor_name(i, memory)))
        i++;
    struct store_aor aor = {0};
    if (i < f->aors)
        aor = make_aor(f, i, call->arena);
    if (f->error)
        call->found(call->arg, f->error, NULL, 0);
    else
        call->found(call->arg, 0, call->kind == CALL_FIND ? aor.bindings : NULL, aor.count);
}

static void answer_page(struct fake_store *f, const struct fake_call *call)
{
    struct store_aor *aors = arena_alloc(call->arena, (f->aors + 1) * sizeof *aors);
    size_t i = (size_t)call->cursor, bindings = 0, count = 0;
    assert_non_null(aors);
    for (; i < f->aors && bindings < call->limit; i++) {
        if (f->error || (f->fails_at && i >= f->fails_at)) {
            call->listed(call->arg, f->error ? f->error : -ENOMEM, 0, NULL, 0);
            return;
        }
        aors[count++] = make_aor(f, i, call->arena);
        bindings += bindings_of(i);
    }
    call->listed(call->arg, 0, i < f->aors ? i : 0, aors, count);
}

static void answer_now(struct fake_store *f)
{
    struct fake_call call = f->waiting;
    f->waiting.kind = CALL_NONE;
    if (call.kind == CALL_LIST)
        answer_page(f, &call);
    else
        answer_found(f, &call);
}

static void fake_find(struct store *s, struct str aor, struct arena *arena, store_found_fn *done,
                      void *arg)
{
    call((struct fake_store *)s,
         (struct fake_call){
             .kind = CALL_FIND, .aor = aor, .arena = arena, .found = done, .arg = arg});
}

static void fake_remove(struct store *s, struct str aor, struct arena *arena, store_found_fn *done,
                        void *arg)
{
    call((struct fake_store *)s,
         (struct fake_call){
             .kind = CALL_REMOVE, .aor = aor, .arena = arena, .found = done, .arg = arg});
}

static void fake_list(struct store *s, uint64_t cursor, size_t limit, struct arena *arena,
                      store_listed_fn *done, void *arg)
{
    call((struct fake_store *)s, (struct fake_call){.kind = CALL_LIST,
                                                    .cursor = cursor,
                                                    .limit = limit,
                                                    .arena = arena,
                                                    .listed = done,
                                                    .arg = arg});
}

static void fake_count(struct store *s, struct store_counts *out)
{
    (void)s;
    *out = (struct store_counts){
        .bindings = {1, 2, 3, 4, 5}
    };
}

static uint64_t fake_count_realm(struct store *s, struct str realm)
{
    (void)s;
    return str_eq(realm, STR("big.example")) ? 9 : 2;
}

static bool fake_is_ready(struct store *s)
{
    return !((struct fake_store *)s)->is_away;
}

static const struct store_ops fake_ops = {
    .name = "fake",
    .find = fake_find,
    .list = fake_list,
    .remove = fake_remove,
    .count = fake_count,
    .count_realm = fake_count_realm,
    .is_ready = fake_is_ready,
};

/* ---- A node around it ---------------------------------------------------------------------- */

struct fixture {
    struct config config;
    struct fake_store store;
    struct metrics metrics[2];
    _Atomic int state;
    struct web *web;
    struct bans *bans;
    struct events *events;
    struct web_worker worker;
    struct http_reply reply; /* the last one; its body ends with a zero */
};

static char node_name[] = "node \"1\"";
static const struct web_demo_user demo[] = {
    {"a@b", "p\"w"},
    {"c@d", "q"   },
};
static const char *const listeners[] = {"udp://127.0.0.1:5060", "wss://[::1]:443"};

static struct fixture *open_web(const char *www, size_t demo_users)
{
    struct fixture *f = aligned_alloc(64, (sizeof *f + 63) / 64 * 64);
    assert_non_null(f);
    memset(f, 0, sizeof *f);
    f->config.node = node_name;
    f->store = (struct fake_store){.store = {.ops = &fake_ops}, .contact_bytes = 8};
    f->state = NODE_RUNNING;
    const struct web_info info = {
        .config = &f->config,
        .metrics = f->metrics,
        .workers = 2,
        .state = &f->state,
        .www = www,
        .demo_users = demo,
        .demo_user_count = demo_users,
        .started_ms = UINT64_C(1700000000250),
    };
    char memory[256];
    struct buf error;
    buf_init_fixed(&error, memory, sizeof memory);
    f->web = web_new(&info, &error);
    assert_non_null(f->web);
    f->bans = bans_new();
    assert_non_null(f->bans);
    f->events = events_new(2, node_name, EVENT_RING_BYTES);
    assert_non_null(f->events);
    f->worker = (struct web_worker){.web = f->web,
                                    .config = &f->config,
                                    .store = &f->store.store,
                                    .bans = f->bans,
                                    .events = events_writer(f->events, 0),
                                    .streams = web_streams_new(f->events, NULL)};
    assert_non_null(f->worker.streams);
    web_set_addresses(f->web, listeners, COUNT(listeners), "192.0.2.1:5060");
    return f;
}

static void close_web(struct fixture *f)
{
    buf_fini(&f->reply.body);
    web_free(f->web);
    bans_free(f->bans);
    web_streams_free(f->worker.streams);
    events_free(f->events);
    free(f);
}

static void end_body(struct fixture *f)
{
    assert_int_equal(f->reply.body.error, 0);
    f->reply.body.max++;
    buf_put_char(&f->reply.body, 0);
}

/* What the transport would send to a client that had to wait. */
static struct fixture *waiting;
static bool is_gone; /* that client */
static unsigned late_replies;

int transport_http_reply(struct transport *t, conn_id conn, struct http_reply *reply)
{
    assert_null(t);
    assert_int_equal(conn, 77);
    late_replies++;
    buf_fini(&waiting->reply.body);
    waiting->reply = *reply;
    end_body(waiting);
    if (is_gone)
        buf_fini(&waiting->reply.body);
    return is_gone ? -ENOTCONN : 0;
}

/* Clients of streams: a connection each, with what it got. */
enum { STREAM_CLIENTS = 40, FIRST_STREAM = 100 };
static struct stream_client {
    struct buf got; /* of one tick or more; emptied by the test */
    bool is_open, is_stuck;
    unsigned dropped, ended;
} stream_client[STREAM_CLIENTS];

static void open_clients(void)
{
    for (size_t i = 0; i < STREAM_CLIENTS; i++) {
        stream_client[i] = (struct stream_client){.is_open = true};
        buf_init_heap(&stream_client[i].got, 64 << 20);
    }
}

static void close_clients(void)
{
    for (size_t i = 0; i < STREAM_CLIENTS; i++)
        buf_fini(&stream_client[i].got);
}

bool transport_is_open(const struct transport *t, conn_id conn)
{
    (void)t;
    return stream_client[conn - FIRST_STREAM].is_open;
}

int transport_http_stream(struct transport *t, conn_id conn, char *data, size_t len)
{
    (void)t;
    struct stream_client *client = &stream_client[conn - FIRST_STREAM];
    if (!client->is_open)
        return -ENOTCONN;
    if (client->is_stuck)
        return -EAGAIN;
    memset(data - TRANSPORT_HEADROOM, 0, TRANSPORT_HEADROOM);
    buf_put(&client->got, data, len);
    return 0;
}

void transport_http_end(struct transport *t, conn_id conn)
{
    (void)t;
    stream_client[conn - FIRST_STREAM].ended++;
    stream_client[conn - FIRST_STREAM].is_open = false;
}

void transport_http_drop(struct transport *t, conn_id conn)
{
    (void)t;
    stream_client[conn - FIRST_STREAM].dropped++;
    stream_client[conn - FIRST_STREAM].is_open = false;
}

/* No connection is there: aor.test.mjs has real ones. */
int transport_flow(const struct transport *t, conn_id conn, struct transport_flow *out)
{
    (void)t, (void)conn, (void)out;
    return -ENOTCONN;
}

void transport_turn_away(struct transport *t, conn_id conn)
{
    (void)t, (void)conn;
}

static void ask(struct fixture *f, http_handler_fn *handler, struct http_request request)
{
    if (!request.host.ptr)
        request.host = STR("127.0.0.1:8081");
    buf_fini(&f->reply.body);
    f->reply = (struct http_reply){.status = 404};
    buf_init_heap(&f->reply.body, 16 << 20);
    request.conn = request.conn ? request.conn : 77;
    waiting = f;
    handler(&f->worker, &request, &f->reply);
    assert_true(f->reply.is_later == (f->store.waiting.kind != CALL_NONE));
    end_body(f);
}

static void get(struct fixture *f, http_handler_fn *handler, const char *path, const char *query)
{
    ask(f, handler,
        (struct http_request){.method = STR("GET"),
                              .path = str_from(path),
                              .query = str_from(query)});
}

/* The reply's JSON. The caller frees. */
static cJSON *parse(const struct fixture *f)
{
    cJSON *root = cJSON_ParseWithOpts(f->reply.body.data, NULL, true);
    if (!root)
        fail_msg("no JSON: %.200s", f->reply.body.data);
    assert_string_equal(f->reply.content_type, "application/json");
    return root;
}

static double number_at(const cJSON *root, const char *outer, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, outer);
    item = name ? cJSON_GetObjectItemCaseSensitive(item, name) : item;
    assert_true(cJSON_IsNumber(item));
    return item->valuedouble;
}

/* ---- Routes -------------------------------------------------------------------------------- */

static void routes(void **state)
{
    (void)state;
    http_handler_fn *const public = web_handle_public, *const admin = web_handle_admin;
    const struct {
        http_handler_fn *handler;
        struct str method, path;
        int status;
        const char *body; /* begins with */
    } row[] = {
        {public, STR("GET"),     STR("/healthz"),                200, "{\"status\":\"ok\"}"               },
        {public, STR("GET"),     STR("/readyz"),                 200, "{\"status\":\"ready\"}"            },
        {public, STR("GET"),     STR("/api/v1/status"),          200, "{\"version\":"                     },
        {public, STR("GET"),     STR("/api/v1/demo"),            200, "{\"users\":[]}"                    },
        {public, STR("GET"),     STR("/"),                       404, "{\"error\":{\"code\":\"not_found\""},
        {public, STR("GET"),     STR("/api/v1/registrations"),   404,
         "{\"error\":{\"code\":\"not_found\""                                                             },
        {public, STR("GET"),     STR("/api/v1/node"),            404, "{\"error\":{\"code\":\"not_found\""},
        {public, STR("GET"),     STR("/healthz/"),               404, "{\"error\":{\"code\":\"not_found\""},
        {public, STR("GET"),     STR("//healthz"),               404, "{\"error\":{\"code\":\"not_found\""},
        {public, STR("GET"),     STR("/HEALTHZ"),                404, "{\"error\":{\"code\":\"not_found\""},
        {public, STR("POST"),    STR("/healthz"),                405, "{\"error\":{\"code\":\"method_not" },
        {public, STR("get"),     STR("/healthz"),                405, "{\"error\":{\"code\":\"method_not" },
        {public, STR("DELETE"),  STR("/nowhere"),                405, "{\"error\":{\"code\":\"method_not" },
        {admin,  STR("GET"),     STR("/healthz"),                200, "{\"status\":\"ok\"}"               },
        {admin,  STR("GET"),     STR("/readyz"),                 200, "{\"status\":\"ready\"}"            },
        {admin,  STR("GET"),     STR("/api/v1/status"),          200, "{\"version\":"                     },
        {admin,  STR("GET"),     STR("/api/v1/node"),            200, "{\"node\":\"node \\\"1\\\"\","     },
        {admin,  STR("GET"),     STR("/api/v1/registrations"),   200,
         "{\"registrations\":[],\"cursor\":null}"                                                         },
        {admin,  STR("GET"),     STR("/api/v1/demo"),            404, "{\"error\":{\"code\":\"not_found\""},
        {admin,  STR("GET"),     STR("/"),                       404, "{\"error\":{\"code\":\"not_found\""},
        {admin,  STR("POST"),    STR("/nowhere"),                404, "{\"error\":{\"code\":\"not_found\""},
        {admin,  STR("DELETE"),  STR("/api/v1/registrations"),   405,
         "{\"error\":{\"code\":\"method_not"                                                              },
        {admin,  STR("POST"),    STR("/api/v1/registrations/x"), 405,
         "{\"error\":{\"code\":\"method_not"                                                              },
        {admin,  STR("GET"),     STR("/api/v1/registrations/"),  404,
         "{\"error\":{\"code\":\"not_found\""                                                             },
        {admin,  STR("DELETE"),  STR("/api/v1/registrations/"),  404,
         "{\"error\":{\"code\":\"not_found\""                                                             },
        {admin,  STR("PUT"),     STR("/api/v1/bans"),            405, "{\"error\":{\"code\":\"method_not" },
        {admin,  STR("POST"),    STR("/api/v1/bans/1.2.3.4"),    405, "{\"error\":{\"code\":\"method_not" },
        {admin,  STR("DELETE"),  STR("/api/v1/log-level"),       405, "{\"error\":{\"code\":\"method_not" },
        {public, STR("POST"),    STR("/api/v1/bans"),            405, "{\"error\":{\"code\":\"method_not" },
        {public, STR("GET"),     STR("/api/v1/bans"),            404, "{\"error\":{\"code\":\"not_found\""},
        {admin,  STR("OPTIONS"), STR("/api/v1/registrations"),   405,
         "{\"error\":{\"code\":\"method_not"                                                              },
    };
    struct fixture *f = open_web(NULL, 0);
    for (size_t i = 0; i < COUNT(row); i++) {
        ask(f, row[i].handler, (struct http_request){.method = row[i].method, .path = row[i].path});
        if (f->reply.status != row[i].status ||
            strncmp(f->reply.body.data, row[i].body, strlen(row[i].body)) != 0)
            fail_msg("row %zu: %d %s", i, f->reply.status, f->reply.body.data);
        assert_true((f->reply.allow[0] != 0) == (row[i].status == 405));
        cJSON_Delete(parse(f));
    }
    close_web(f);
}

static void readiness(void **state)
{
    (void)state;
    static const struct {
        enum node_state state;
        bool is_away;
        int status;
        const char *body, *name;
    } row[] = {
        {NODE_STARTING, false, 503, "{\"reason\":\"starting\"}",   "\"starting\""},
        {NODE_RUNNING,  false, 200, "{\"status\":\"ready\"}",      "\"running\"" },
        {NODE_RUNNING,  true,  503, "{\"reason\":\"store away\"}", "\"away\""    },
        {NODE_DRAINING, false, 503, "{\"reason\":\"draining\"}",   "\"draining\""},
        {NODE_DRAINING, true,  503, "{\"reason\":\"draining\"}",   "\"draining\""},
    };
    struct fixture *f = open_web(NULL, 0);
    for (size_t i = 0; i < COUNT(row); i++) {
        f->state = row[i].state;
        f->store.is_away = row[i].is_away;
        get(f, web_handle_public, "/readyz", NULL);
        assert_int_equal(f->reply.status, row[i].status);
        assert_string_equal(f->reply.body.data, row[i].body);
        get(f, web_handle_public, "/healthz", NULL);
        assert_int_equal(f->reply.status, 200); /* the process runs */
        get(f, web_handle_public, "/api/v1/status", NULL);
        assert_non_null(strstr(f->reply.body.data, row[i].name));
    }
    close_web(f);
}

static void tokens(void **state)
{
    (void)state;
    static char secret[] = "s3cret";
    const struct {
        char *token;
        struct str authorization;
        int status;
        const char *why;
    } row[] = {
        {NULL,   STR_NONE,                200, "none asked for"      },
        {NULL,   STR("Bearer x"),         200, "none asked for"      },
        {secret, STR_NONE,                401, "none given"          },
        {secret, STR(""),                 401, "empty"               },
        {secret, STR("Bearer s3cret"),    200, "right"               },
        {secret, STR("bearer  s3cret"),   200, "schemes have no case"},
        {secret, STR("Bearer S3cret"),    401, "tokens have"         },
        {secret, STR("Bearer s3cre"),     401, "shorter"             },
        {secret, STR("Bearer s3crets"),   401, "longer"              },
        {secret, STR("Bearer s3cret\0x"), 401, "longer behind a zero"},
        {secret, STR("Bearer s3cret, x"), 401, "more than a token"   },
        {secret, STR("Bearer "),          401, "no token"            },
        {secret, STR("Bearer"),           401, "no token"            },
        {secret, STR("s3cret"),           401, "no scheme"           },
        {secret, STR("Basic s3cret"),     401, "another scheme"      },
        {secret, STR("BearerXs3cret"),    401, "another scheme"      },
    };
    static const char *const paths[] = {"/healthz", "/api/v1/node", "/api/v1/registrations"};
    struct fixture *f = open_web(NULL, 0);
    for (size_t i = 0; i < COUNT(row); i++) {
        f->config.admin_token = row[i].token;
        for (size_t p = 0; p < COUNT(paths); p++) {
            ask(f, web_handle_admin,
                (struct http_request){.method = STR("GET"),
                                      .path = str_from(paths[p]),
                                      .authorization = row[i].authorization});
            if (f->reply.status != row[i].status)
                fail_msg("row %zu: %s: %d", i, row[i].why, f->reply.status);
            assert_true((f->reply.www_authenticate != NULL) == (row[i].status == 401));
            assert_null(strstr(f->reply.body.data, secret));
        }
    }
    f->config.admin_token = secret; /* what there is stays unknown too, and the public part open */
    get(f, web_handle_admin, "/nowhere", NULL);
    assert_int_equal(f->reply.status, 401);
    get(f, web_handle_public, "/healthz", NULL);
    assert_int_equal(f->reply.status, 200);
    close_web(f);
}

/* A page elsewhere that gives its own name our address gets nothing of users. */
static void names(void **state)
{
    (void)state;
    static char secret[] = "s3cret";
    static const struct {
        struct str host;
        bool is_ours;
    } row[] = {
        {STR("127.0.0.1"),              true },
        {STR("127.0.0.1:8081"),         true },
        {STR("[::1]"),                  true },
        {STR("[::1]:8081"),             true },
        {STR("LocalHost:8081"),         true },
        {STR(""),                       false},
        {STR("evil.example"),           false},
        {STR("evil.example:8081"),      false},
        {STR("127.0.0.1.evil.example"), false},
        {STR("localhost.evil.example"), false},
        {STR("[::1].evil.example"),     false},
    };
    struct fixture *f = open_web(NULL, COUNT(demo));
    for (size_t i = 0; i < COUNT(row); i++) {
        struct http_request request = {.method = STR("GET"), .host = row[i].host};
        int status = row[i].is_ours ? 200 : 403;
        request.path = STR("/api/v1/registrations");
        ask(f, web_handle_admin, request);
        if (f->reply.status != status)
            fail_msg("row %zu: registrations: %d", i, f->reply.status);
        request.path = STR("/api/v1/demo");
        ask(f, web_handle_public, request);
        if (f->reply.status != status)
            fail_msg("row %zu: demo: %d", i, f->reply.status);
        request.path = STR("/readyz"); /* probes name us as they like */
        ask(f, web_handle_admin, request);
        assert_int_equal(f->reply.status, 200);
    }
    f->config.admin_token = secret; /* which that page does not have */
    ask(f, web_handle_admin,
        (struct http_request){.method = STR("GET"),
                              .path = STR("/api/v1/registrations"),
                              .host = STR("sip.example.com"),
                              .authorization = STR("Bearer s3cret")});
    assert_int_equal(f->reply.status, 200);
    close_web(f);
}

static void shows_node_and_demo(void **state)
{
    (void)state;
    struct fixture *f = open_web(NULL, COUNT(demo));
    get(f, web_handle_admin, "/api/v1/node", NULL);
    cJSON *root = parse(f);
    const cJSON *listen = cJSON_GetObjectItemCaseSensitive(root, "listen");
    assert_int_equal(cJSON_GetArraySize(listen), COUNT(listeners));
    for (size_t i = 0; i < COUNT(listeners); i++)
        assert_string_equal(cJSON_GetArrayItem(listen, (int)i)->valuestring, listeners[i]);
    assert_true(number_at(root, "pid", NULL) > 0);
    cJSON_Delete(root);
    get(f, web_handle_public, "/api/v1/demo", NULL);
    assert_string_equal(f->reply.body.data, "{\"users\":[{\"aor\":\"a@b\",\"password\":\"p\\\"w\"},"
                                            "{\"aor\":\"c@d\",\"password\":\"q\"}]}");
    close_web(f);
}

/* ---- Page ---------------------------------------------------------------------------------- */

enum { FOLDER_TEXT = 32 };

static const char *const page_files[][2] = {
    {"index.html", "<p>hi"   },
    {"admin.html", "<p>admin"},
    {"app.js",     "1;"      },
};

static const char *make_page(char folder[FOLDER_TEXT])
{
    snprintf(folder, FOLDER_TEXT, "/tmp/test_web.XXXXXX");
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < COUNT(page_files); i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s", folder, page_files[i][0]);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(page_files[i][1], file);
        fclose(file);
    }
    return folder;
}

static void remove_page(const char *folder)
{
    for (size_t i = 0; i < COUNT(page_files); i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s", folder, page_files[i][0]);
        assert_int_equal(remove(path), 0);
    }
    assert_int_equal(remove(folder), 0);
}

static void if_none_match(void **state)
{
    (void)state;
    static const struct {
        const char *header; /* @ stands for the page's tag, without its quotes */
        int status;
        const char *why;
    } row[] = {
        {NULL,                    200, "asked for the first time"      },
        {"",                      200, "empty"                         },
        {"\"@\"",                 304, "the same"                      },
        {"W/\"@\"",               304, "weakened by a proxy"           },
        {"\"x\", \"@\"",          304, "in a list"                     },
        {"\"x\",W/\"@\"  ,\"y\"", 304, "in a list"                     },
        {"*",                     304, "any"                           },
        {"@",                     200, "without quotes"                },
        {"\"@",                   200, "without its end"               },
        {"\"@\"x",                200, "with more"                     },
        {"\"0000000000000000\"",  200, "an old one"                    },
        {"\"*\"",                 200, "a tag that looks like the star"},
        {"W/",                    200, "nothing weak"                  },
        {",,,",                   200, "an empty list"                 },
    };
    char folder[FOLDER_TEXT];
    struct fixture *f = open_web(make_page(folder), 0);
    get(f, web_handle_public, "/", NULL);
    char tag[32];
    snprintf(tag, sizeof tag, "%.*s", (int)strlen(f->reply.etag) - 2, f->reply.etag + 1);
    for (size_t i = 0; i < COUNT(row); i++) {
        char memory[128];
        struct buf header;
        buf_init_fixed(&header, memory, sizeof memory);
        for (const char *c = row[i].header; c && *c; c++)
            *c == '@' ? buf_put_text(&header, tag) : buf_put_char(&header, *c);
        ask(f, web_handle_public,
            (struct http_request){.method = STR("GET"),
                                  .path = STR("/index.html"),
                                  .if_none_match = row[i].header ? buf_str(&header) : STR_NONE});
        if (f->reply.status != row[i].status)
            fail_msg("row %zu: %s: %d", i, row[i].why, f->reply.status);
        assert_int_equal(f->reply.file.len, f->reply.status == 200 ? strlen("<p>hi") : 0);
        assert_non_null(f->reply.etag); /* RFC 9110 15.4.5: in a 304 too */
        assert_string_equal(f->reply.cache_control, "no-cache");
    }
    get(f, web_handle_public, "/healthz", NULL); /* routes go before files */
    assert_int_equal(f->reply.status, 200);
    close_web(f);
    remove_page(folder);
}

/* The admin listener has a page of its own, which anybody may read who gets there: it asks for the
 * token itself. The public part has not got it. */
static void page_of_the_admin(void **state)
{
    (void)state;
    static char secret[] = "s3cret";
    static const struct {
        http_handler_fn *handler;
        const char *method, *path;
        int status, locked_status;
        const char *file;
    } row[] = {
        {web_handle_admin,  "GET",    "/",            200, 200, "<p>admin"},
        {web_handle_admin,  "GET",    "/admin.html",  200, 200, "<p>admin"},
        {web_handle_admin,  "GET",    "/app.js",      200, 200, "1;"      },
        {web_handle_admin,  "GET",    "/index.html",  404, 401, NULL      },
        {web_handle_admin,  "GET",    "/other.js",    404, 401, NULL      },
        {web_handle_admin,  "GET",    "/../app.js",   404, 401, NULL      },
        {web_handle_admin,  "DELETE", "/app.js",      404, 401, NULL      },
        {web_handle_admin,  "GET",    "/healthz",     200, 401, NULL      },
        {web_handle_admin,  "GET",    "/api/v1/node", 403, 401, NULL      },
        {web_handle_public, "GET",    "/",            200, 200, "<p>hi"   },
        {web_handle_public, "GET",    "/admin.html",  404, 404, NULL      },
    };
    char folder[FOLDER_TEXT];
    struct fixture *f = open_web(make_page(folder), 0);
    for (size_t i = 0; i < 2 * COUNT(row); i++) {
        size_t r = i / 2;
        bool is_locked = i % 2;
        f->config.admin_token = is_locked ? secret : NULL;
        ask(f, row[r].handler,
            (struct http_request){.method = str_from(row[r].method),
                                  .path = str_from(row[r].path),
                                  .host = STR("elsewhere.example")});
        int expected = is_locked ? row[r].locked_status : row[r].status;
        if (f->reply.status != expected)
            fail_msg("%s %s: %d, not %d", row[r].method, row[r].path, f->reply.status, expected);
        assert_true(str_eq(f->reply.file, row[r].file ? str_from(row[r].file) : STR("")));
    }
    close_web(f);
    remove_page(folder);
}

static void no_page_no_web(void **state)
{
    (void)state;
    char memory[256] = {0};
    struct buf error;
    buf_init_fixed(&error, memory, sizeof memory);
    const struct web_info info = {.www = "/nonexistent/www"};
    assert_null(web_new(&info, &error));
    assert_non_null(strstr(memory, "/nonexistent/www: No such file"));
    web_free(NULL);
}

/* ---- Queries ------------------------------------------------------------------------------- */

static void query_params(void **state)
{
    (void)state;
    enum { MAX = 8, ABSENT = -1, BAD = -2 };
    const struct {
        const char *query;
        int len; /* or one of the above */
        const char *value;
    } row[] = {
        {NULL,                   ABSENT, ""        },
        {"",                     ABSENT, ""        },
        {"aa=1",                 ABSENT, ""        },
        {"x=a=1",                ABSENT, ""        },
        {"A=1",                  ABSENT, ""        },
        {"%61=1",                ABSENT, ""        },
        {"a",                    0,      ""        },
        {"a=",                   0,      ""        },
        {"a=1",                  1,      "1"       },
        {"x=2&a=1&y=3",          1,      "1"       },
        {"&&a=1",                1,      "1"       },
        {"a=1&a=2",              1,      "1"       },
        {"a=b=c",                3,      "b=c"     },
        {"a=b?c",                3,      "b?c"     },
        {"a=b+c",                3,      "b+c"     }, /* %20 is a space; + is what users have */
        {"a=%41%6a%6A",          3,      "Ajj"     },
        {"a=%26%3d%25",          3,      "&=%"     },
        {"a=%2541",              3,      "%41"     }, /* once */
        {"a=%0d%0A",             2,      "\r\n"    },
        {"a=x%00y",              3,      "x\0y"    },
        {"a=%ff",                1,      "\xff"    },
        {"a=12345678",           8,      "12345678"},
        {"a=%31%32%33%34%35678", 8,      "12345678"},
        {"a=123456789",          BAD,    ""        },
        {"a=12345678%39",        BAD,    ""        },
        {"a=%",                  BAD,    ""        },
        {"a=%4",                 BAD,    ""        },
        {"a=%4&b=1",             BAD,    ""        },
        {"a=%4g",                BAD,    ""        },
        {"a=%g4",                BAD,    ""        },
        {"a=%+4",                BAD,    ""        },
        {"a=%%41",               BAD,    ""        },
        {"a=% 4",                BAD,    ""        },
        {"a=%\xc1\xc1",          BAD,    ""        },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        size_t n = row[i].query ? strlen(row[i].query) : 0;
        char *query = malloc(n + 1), *memory = malloc(MAX);
        assert_non_null(query);
        assert_non_null(memory);
        if (n > 0)
            memcpy(query, row[i].query, n);
        struct str value;
        int rc = web_query_param((struct str){query, n}, "a", memory, MAX, &value);
        int len = rc < 0 ? BAD : !value.ptr ? ABSENT : (int)value.len;
        if (len != row[i].len || (len > 0 && memcmp(value.ptr, row[i].value, value.len) != 0))
            fail_msg("row %zu: %s: %d", i, row[i].query, len);
        free(query);
        free(memory);
    }
}

static void registrations(void **state)
{
    (void)state;
    enum { AORS = 100 }; /* with 110 bindings */
    static const struct {
        const char *query;
        int count; /* of bindings; -1: 400 */
        bool goes_on;
    } row[] = {
        {"",                                  101, true }, /* no AOR is torn at the usual limit */
        {"limit=1000",                        110, false},
        {"limit=110",                         110, false},
        {"limit=109",                         109, true },
        {"limit=1",                           2,   true }, /* the first AOR has two: not torn */
        {"limit=1&cursor=1",                  1,   true },
        {"cursor=99",                         1,   false},
        {"cursor=100",                        0,   false},
        {"cursor=18446744073709551615",       0,   false},
        {"realm=odd.example",                 50,  false},
        {"realm=ODD.Example",                 50,  false},
        {"realm=odd.exampl",                  0,   false},
        {"realm=dd.example",                  0,   false},
        {"realm=.example",                    0,   false},
        {"realm=",                            101, true }, /* empty is any */
        {"realm=odd.example&limit=7",         7,   true },
        {"aor=user7%40odd.example",           1,   false},
        {"aor=user7@odd.example",             1,   false},
        {"aor=user7@ODD.example",             1,   false},
        {"aor=sip:user7@odd.example",         1,   false},
        {"aor=sips:user7@odd.example:5061",   1,   false},
        {"aor=%75ser7@odd.example",           1,   false},
        {"aor=user%2537@odd.example",         1,   false}, /* a SIP escape in a URL escape */
        {"aor=user10@even.example",           2,   false},
        {"aor=user10@even.example&limit=1",   2,   false},
        {"aor=User7@odd.example",             0,   false},
        {"aor=user7@even.example",            0,   false},
        {"aor=user7@odd.example&realm=other", 0,   false},
        {"aor=user7",                         0,   false},
        {"aor=",                              0,   false},
        {"aor=@",                             0,   false},
        {"aor=sip:",                          0,   false},
        {"aor=tel:123",                       0,   false},
        {"aor=%00",                           0,   false},
        {"aor=%ff@%0d%0a",                    0,   false},
        {"unknown=1&limit=110",               110, false},
        {"limit=0",                           -1,  false},
        {"limit=1001",                        -1,  false},
        {"limit=-1",                          -1,  false},
        {"limit=",                            -1,  false},
        {"limit=1x",                          -1,  false},
        {"limit=18446744073709551617",        -1,  false},
        {"limit=000000000000000000000000001", -1,  false},
        {"cursor=0",                          -1,  false},
        {"cursor=",                           -1,  false},
        {"cursor=null",                       -1,  false},
        {"cursor=18446744073709551616",       -1,  false},
        {"aor=%4",                            -1,  false},
        {"realm=%zz",                         -1,  false},
    };
    struct fixture *f = open_web(NULL, 0);
    f->store.aors = AORS;
    for (size_t i = 0; i < COUNT(row); i++) {
        get(f, web_handle_admin, "/api/v1/registrations", row[i].query);
        cJSON *root = parse(f);
        const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "registrations");
        const cJSON *cursor = cJSON_GetObjectItemCaseSensitive(root, "cursor");
        int count = f->reply.status == 400 ? -1 : cJSON_GetArraySize(list);
        if (count != row[i].count || (bool)cJSON_IsString(cursor) != row[i].goes_on)
            fail_msg("row %zu: %s: %d, %d: %.200s", i, row[i].query, f->reply.status, count,
                     f->reply.body.data);
        assert_int_equal(f->reply.status, count < 0 ? 400 : 200);
        assert_true(count < 0 || cJSON_IsString(cursor) || cJSON_IsNull(cursor));
        cJSON_Delete(root);
    }
    close_web(f);
}

static void query_values_are_limited(void **state)
{
    (void)state;
    static const char *const names[] = {"aor", "realm"};
    struct fixture *f = open_web(NULL, 0);
    for (size_t i = 0; i < COUNT(names); i++) {
        for (int n = 511; n <= 513; n++) {
            char query[600];
            snprintf(query, sizeof query, "%s=%0*d", names[i], n, 0);
            get(f, web_handle_admin, "/api/v1/registrations", query);
            assert_int_equal(f->reply.status, n <= 512 ? 200 : 400);
        }
        /* The longest when normalised: every character becomes an escape. */
        char query[600], controls[500];
        memset(controls, '\x01', sizeof controls);
        snprintf(query, sizeof query, "%s=%.*s@h", names[i], (int)sizeof controls, controls);
        get(f, web_handle_admin, "/api/v1/registrations", query);
        assert_int_equal(f->reply.status, 200);
    }
    close_web(f);
}

/* Follows the cursor from page to page: every binding once, whatever the limit and the realm. */
static void pages_join_without_a_seam(void **state)
{
    (void)state;
    enum { AORS = 2000 };
    static const struct {
        const char *filter;
        size_t expected, most_pages;
    } row[] = {
        {"limit=1000",                       2200, 3   },
        {"limit=7",                          2200, 315 },
        {"limit=1000&realm=odd.example",     1000, 2   },
        {"limit=1&realm=odd.example",        1000, 1001},
        {"limit=1000&realm=nowhere.example", 0,    2   },
        {"limit=1&realm=nowhere.example",    0,    40  }, /* pages may be empty, but go on */
    };
    struct fixture *f = open_web(NULL, 0);
    f->store.aors = AORS;
    for (size_t i = 0; i < COUNT(row); i++) {
        static unsigned char met[AORS];
        memset(met, 0, sizeof met);
        char query[128];
        snprintf(query, sizeof query, "%s", row[i].filter);
        size_t total = 0, pages = 0;
        for (bool goes_on = true; goes_on; pages++) {
            get(f, web_handle_admin, "/api/v1/registrations", query);
            cJSON *root = parse(f);
            const cJSON *item;
            cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(root, "registrations"))
            {
                const char *aor = cJSON_GetObjectItemCaseSensitive(item, "aor")->valuestring;
                met[strtoul(aor + strlen("user"), NULL, 10)]++;
                total++;
            }
            const cJSON *cursor = cJSON_GetObjectItemCaseSensitive(root, "cursor");
            goes_on = cJSON_IsString(cursor);
            if (goes_on)
                snprintf(query, sizeof query, "%s&cursor=%s", row[i].filter, cursor->valuestring);
            cJSON_Delete(root);
        }
        if (total != row[i].expected || pages > row[i].most_pages)
            fail_msg("row %zu: %zu bindings on %zu pages", i, total, pages);
        for (size_t k = 0; k < AORS; k++)
            assert_true(met[k] <= (k % 10 == 0 ? 2 : 1));
    }
    close_web(f);
}

static void too_much_is_said_so(void **state)
{
    (void)state;
    static const struct {
        size_t aors, fails_at, contact_bytes;
        const char *query;
        int status;
        const char *why;
    } row[] = {
        {12,  0,  1 << 20, "",         503, "more than an answer may hold"},
        {12,  0,  1 << 20, "limit=2",  200, "a part of it"                },
        {1,   0,  4 << 20, "",         200, "the longest that fits, twice"},
        {100, 1,  8,       "",         503, "no memory on the first page" },
        {100, 50, 8,       "limit=80", 503, "no memory in the middle"     },
        {100, 50, 8,       "limit=40", 200, "just before it"              },
    };
    struct fixture *f = open_web(NULL, 0);
    for (size_t i = 0; i < COUNT(row); i++) {
        f->store.aors = row[i].aors;
        f->store.fails_at = row[i].fails_at;
        f->store.contact_bytes = row[i].contact_bytes - (row[i].contact_bytes > 8 ? 4096 : 0);
        get(f, web_handle_admin, "/api/v1/registrations", row[i].query);
        if (f->reply.status != row[i].status)
            fail_msg("row %zu: %s: %d", i, row[i].why, f->reply.status);
        cJSON *root = parse(f); /* nothing is cut off */
        assert_true((cJSON_GetObjectItemCaseSensitive(root, "error") != NULL) ==
                    (row[i].status == 503));
        cJSON_Delete(root);
    }
    close_web(f);
}

/* ---- Later --------------------------------------------------------------------------------- */

static void answers_when_the_store_does(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path, *query;
        int error;
        unsigned store_calls;
        int status;
        const char *body; /* begins with */
    } row[] = {
        {"GET",    "/api/v1/registrations",                         "limit=7",               0,       1,  200,
         "{\"registrations\":[{\"aor\":\"user0@"                                                                                                  },
        {"GET",    "/api/v1/registrations",                         "realm=nowhere",         0,       22, 200,
         "{\"registrations\":[],\"cursor\":null"                                                                                                  },
        {"GET",    "/api/v1/registrations",                         "aor=user7@odd.example", 0,       1,  200,
         "{\"registrations\":[{\"aor\":\"user7@odd"                                                                                               },
        {"GET",    "/api/v1/registrations",                         "aor=x",                 0,       1,  200, "{\"registrations\":[],"           },
        {"GET",    "/api/v1/registrations",                         "",                      -EAGAIN, 1,  503,
         "{\"error\":{\"code\":\"unavailable\",\"message\":\"the store cannot"                                                                    },
        {"GET",    "/api/v1/registrations",                         "aor=x",                 -EAGAIN, 1,  503,
         "{\"error\":{\"code\":\"unavailable\",\"message\":\"the store cannot"                                                                    },
        {"GET",    "/api/v1/registrations",                         "",                      -ENOMEM, 1,  503,
         "{\"error\":{\"code\":\"unavailable\",\"message\":\"no memory"                                                                           },
        {"GET",    "/api/v1/registrations",                         "limit=x",               0,       0,  400,
         "{\"error\":{\"code\":\"bad_query\""                                                                                                     },
        {"DELETE", "/api/v1/registrations/user7@odd.example",       "",                      0,       1,  204, ""                                 },
        {"DELETE", "/api/v1/registrations/sip:user7%40ODD.example", "",                      0,       1,  204, ""                                 },
        {"DELETE", "/api/v1/registrations/%75ser7@odd.example",     "",                      0,       1,  204, ""                                 },
        {"DELETE", "/api/v1/registrations/user7@even.example",      "",                      0,       1,  404,
         "{\"error\":{\"code\":\"not_found\""                                                                                                     },
        {"DELETE", "/api/v1/registrations/a/b",                     "",                      0,       1,  404,
         "{\"error\":{\"code\":\"not_found\""                                                                                                     },
        {"DELETE", "/api/v1/registrations/%4",                      "",                      0,       0,  400, "{\"error\":{\"code\":\"bad_path\""},
        {"DELETE", "/api/v1/registrations/user7@odd.example",       "",                      -EAGAIN, 1,  503,
         "{\"error\":{\"code\":\"unavailable\""                                                                                                   },
    };
    struct fixture *f = open_web(NULL, 0);
    f->store.aors = 2000;
    for (size_t i = 0; i < COUNT(row); i++) {
        for (unsigned how = 0; how < 3; how++) { /* at once; later; later, and nobody waits */
            f->store.error = row[i].error;
            f->store.is_slow = how > 0;
            is_gone = how == 2;
            late_replies = 0;
            ask(f, web_handle_admin,
                (struct http_request){.method = str_from(row[i].method),
                                      .path = str_from(row[i].path),
                                      .query = str_from(row[i].query)});
            unsigned calls = 0;
            for (; f->store.waiting.kind != CALL_NONE; calls++)
                answer_now(&f->store);
            assert_int_equal(late_replies, how > 0 && row[i].store_calls > 0);
            if (how > 0)
                assert_int_equal(calls, row[i].store_calls);
            if (is_gone && late_replies > 0)
                continue;
            if (f->reply.status != row[i].status || f->reply.is_later ||
                strncmp(f->reply.body.data, row[i].body, strlen(row[i].body)) != 0)
                fail_msg("row %zu: %d %.200s", i, f->reply.status, f->reply.body.data);
            if (row[i].status != 204)
                cJSON_Delete(parse(f));
        }
    }
    close_web(f);
}

/* ---- Bans ---------------------------------------------------------------------------------- */

static void send_json(struct fixture *f, const char *method, const char *path, const char *body)
{
    char *copy = strdup(body); /* no longer than it is */
    assert_non_null(copy);
    ask(f, web_handle_admin,
        (struct http_request){.method = str_from(method),
                              .path = str_from(path),
                              .content_type = STR("application/json"),
                              .body = str_from(copy)});
    free(copy);
}

static const char *error_code(const struct fixture *f)
{
    static char code[32];
    cJSON *root = parse(f);
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(root, "error");
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(error, "code");
    const cJSON *message = cJSON_GetObjectItemCaseSensitive(error, "message");
    assert_true(!error || (cJSON_IsString(message) && message->valuestring[0]));
    snprintf(code, sizeof code, "%s", cJSON_IsString(text) ? text->valuestring : "");
    cJSON_Delete(root);
    return code;
}

static void bans_by_order(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int status;
        const char *code; /* or how the ban begins */
    } row[] = {
        {"{\"ip\":\"192.0.2.1\",\"seconds\":60,\"reason\":\"too \\\"fast\\\"\"}", 201,
         "{\"ip\":\"192.0.2.1\",\"expiresIn\":60,\"reason\":\"too \\\"fast\\\"\"}"                                               },
        {"{\"ip\":\"192.0.2.1\",\"seconds\":10,\"reason\":\"x\"}",                201,
         "{\"ip\":\"192.0.2.1\",\"expiresIn\":60,\"reason\":\"too"                                                               },
        {"{\"ip\":\"192.0.2.1\",\"seconds\":-1}",                                 201,
         "{\"ip\":\"192.0.2.1\",\"expiresIn\":null,\"reason\":\"\"}"                                                             },
        {" {\"seconds\":1,\"ip\":\"[2001:DB8::1]\"} ",                            201,
         "{\"ip\":\"2001:db8::1\",\"expiresIn\":1,"                                                                              },
        {"{\"ip\":\"::ffff:192.0.2.9\",\"seconds\":315360000}",                   201,
         "{\"ip\":\"192.0.2.9\",\"expiresIn\":315360000,"                                                                        },
        {"{\"ip\":\"192.0.2.3\",\"seconds\":1e2}",                                201, "{\"ip\":\"192.0.2.3\",\"expiresIn\":100,"},
        {"{\"ip\":\"2001:db8:7::/64\",\"seconds\":60}",                           201,
         "{\"ip\":\"2001:db8:7::/64\",\"expiresIn\":60,"                                                                         },
        {"{\"ip\":\"2001:db8:7::/63\",\"seconds\":60}",                           400, "bad_ip"                                  },
        {"{\"ip\":\"2001:db8:7::1/64\",\"seconds\":60}",                          400, "bad_ip"                                  },
        {"{\"ip\":\"[2001:db8:7::]/64\",\"seconds\":60}",                         400, "bad_ip"                                  },
        {"{\"ip\":\"10.1.2.3\",\"seconds\":60}",                                  409, "exempt"                                  },
        {"",                                                                      400, "bad_json"                                },
        {"{",                                                                     400, "bad_json"                                },
        {"[]",                                                                    400, "bad_json"                                },
        {"\"ip\"",                                                                400, "bad_json"                                },
        {"{} {}",                                                                 400, "bad_json"                                },
        {"{\"ip\":\"192.0.2.5\",\"ip\":\"192.0.2.5\",\"seconds\":1}",             400, "bad_json"                                },
        {"ip=192.0.2.5&seconds=60",                                               400, "bad_json"                                },
        {"{\"ip\":\"192.0.2.5\",\"seconds\":60,\"secs\":1}",                      400, "unknown_member"                          },
        {"{\"ip\":\"192.0.2.5\",\"seconds\":60,\"\":1}",                          400, "unknown_member"                          },
        {"{\"Ip\":\"192.0.2.5\",\"seconds\":60}",                                 400, "unknown_member"                          },
        {"{}",                                                                    400, "bad_ip"                                  },
        {"{\"seconds\":60}",                                                      400, "bad_ip"                                  },
        {"{\"ip\":null,\"seconds\":60}",                                          400, "bad_ip"                                  },
        {"{\"ip\":1,\"seconds\":60}",                                             400, "bad_ip"                                  },
        {"{\"ip\":\"\",\"seconds\":60}",                                          400, "bad_ip"                                  },
        {"{\"ip\":\"192.0.2.0/24\",\"seconds\":60}",                              400, "bad_ip"                                  },
        {"{\"ip\":\"192.0.2.5:80\",\"seconds\":60}",                              400, "bad_ip"                                  },
        {"{\"ip\":\"fe80::1%eth0\",\"seconds\":60}",                              400, "bad_ip"                                  },
        {"{\"ip\":\"example.com\",\"seconds\":60}",                               400, "bad_ip"                                  },
        {"{\"ip\":\"192.0.2.5\"}",                                                400, "bad_seconds"                             },
        {"{\"ip\":\"192.0.2.5\",\"seconds\":0}",                                  400, "bad_seconds"                             },
        {"{\"ip\":\"192.0.2.5\",\"seconds\":-2}",                                 400, "bad_seconds"                             },
        {"{\"ip\":\"192.0.2.5\",\"seconds\":1.5}",                                400, "bad_seconds"                             },
        {"{\"ip\":\"192.0.2.5\",\"seconds\":315360001}",                          400, "bad_seconds"                             },
        {"{\"ip\":\"192.0.2.5\",\"seconds\":1e300}",                              400, "bad_seconds"                             },
        {"{\"ip\":\"192.0.2.5\",\"seconds\":-1e300}",                             400, "bad_seconds"                             },
        {"{\"ip\":\"192.0.2.5\",\"seconds\":\"60\"}",                             400, "bad_seconds"                             },
        {"{\"ip\":\"192.0.2.5\",\"seconds\":true}",                               400, "bad_seconds"                             },
        {"{\"ip\":\"192.0.2.5\",\"seconds\":null}",                               400, "bad_seconds"                             },
        {"{\"ip\":\"192.0.2.5\",\"seconds\":60,\"reason\":1}",                    400, "bad_reason"                              },
        {"{\"ip\":\"192.0.2.5\",\"seconds\":60,\"reason\":null}",                 400, "bad_reason"                              },
    };
    struct fixture *f = open_web(NULL, 0);
    struct net_network private = {.prefix_bits = 8};
    struct net_networks exempt = {&private, 1}, none = {NULL, 0};
    assert_int_equal(net_address_parse(&private.address, STR("10.0.0.0"), 0), 0);
    assert_int_equal(bans_set_exempt(f->bans, &exempt, &none), 0);
    for (size_t i = 0; i < COUNT(row); i++) {
        size_t before = bans_count(f->bans, 0);
        send_json(f, "POST", "/api/v1/bans", row[i].body);
        bool is_fine = f->reply.status == row[i].status;
        if (row[i].status == 201)
            is_fine &= strncmp(f->reply.body.data, row[i].code, strlen(row[i].code)) == 0;
        else
            is_fine &= strcmp(error_code(f), row[i].code) == 0 && bans_count(f->bans, 0) == before;
        if (!is_fine)
            fail_msg("row %zu: %d %s", i, f->reply.status, f->reply.body.data);
        cJSON_Delete(parse(f));
    }
    close_web(f);
}

static void shows_and_lifts_bans(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path;
        int status;
        const char *why;
    } row[] = {
        {"GET",    "/api/v1/bans/192.0.2.1",             200, "banned"              },
        {"GET",    "/api/v1/bans/::ffff:192.0.2.1",      200, "in other words"      },
        {"GET",    "/api/v1/bans/2001:db8::1",           200, "IPv6"                },
        {"GET",    "/api/v1/bans/[2001:db8::1]",         200, "in brackets"         },
        {"GET",    "/api/v1/bans/2001%3adb8%3A%3a1",     200, "escaped"             },
        {"GET",    "/api/v1/bans/%5B2001%3Adb8%3A:1%5D", 200, "escaped, in brackets"},
        {"GET",    "/api/v1/bans/192.0.2.2",             404, "not banned"          },
        {"DELETE", "/api/v1/bans/192.0.2.2",             404, "not banned"          },
        {"GET",    "/api/v1/bans/nonsense",              404, "no address"          },
        {"GET",    "/api/v1/bans/192.0.2.1/x",           404, "no address"          },
        {"GET",    "/api/v1/bans/192.0.2.1%00",          404, "no address"          },
        {"GET",    "/api/v1/bans/%4",                    404, "badly escaped"       },
        {"GET",    "/api/v1/bans/192.0.2.7",             404, "over"                },
        {"DELETE", "/api/v1/bans/192.0.2.7",             404, "over"                },
        {"DELETE", "/api/v1/bans/192.0.2.1",             204, ""                    },
        {"DELETE", "/api/v1/bans/192.0.2.1",             404, "twice"               },
        {"DELETE", "/api/v1/bans/%5b2001:db8::1%5d",     204, ""                    },
        {"GET",    "/api/v1/bans/2001:db8:7::%2f64",     200, "a network"           },
        {"GET",    "/api/v1/bans/2001:db8:7::5",         200, "in it"               },
        {"GET",    "/api/v1/bans/2001:db8:8::5",         404, "in another"          },
        {"GET",    "/api/v1/bans/2001:db8::%2f32",       404, "too wide"            },
        {"DELETE", "/api/v1/bans/2001:db8:7::5",         404, "not banned alone"    },
        {"DELETE", "/api/v1/bans/2001:db8:7::%2F64",     204, ""                    },
        {"GET",    "/api/v1/bans/2001:db8:7::5",         404, "in it"               },
    };
    struct fixture *f = open_web(NULL, 0);
    get(f, web_handle_admin, "/api/v1/bans", NULL);
    assert_string_equal(f->reply.body.data, "{\"bans\":[]}");
    send_json(f, "POST", "/api/v1/bans", "{\"ip\":\"192.0.2.1\",\"seconds\":60}");
    send_json(f, "POST", "/api/v1/bans",
              "{\"ip\":\"2001:db8::1\",\"seconds\":-1,\"reason\":\"r\"}");
    send_json(f, "POST", "/api/v1/bans", "{\"ip\":\"2001:db8:7::/64\",\"seconds\":-1}");
    struct ban over = {.until_ms = 1000};
    assert_int_equal(net_network_parse(&over.net, STR("192.0.2.7")), 0);
    assert_int_equal(bans_add(f->bans, &over, 0), 0); /* of 1970 */
    get(f, web_handle_admin, "/api/v1/bans", NULL);
    assert_string_equal(f->reply.body.data,
                        "{\"bans\":[{\"ip\":\"192.0.2.1\",\"expiresIn\":60,\"reason\":\"\"},"
                        "{\"ip\":\"2001:db8::1\",\"expiresIn\":null,\"reason\":\"r\"},"
                        "{\"ip\":\"2001:db8:7::/64\",\"expiresIn\":null,\"reason\":\"\"}]}");
    assert_int_equal(bans_add(f->bans, &over, 0), 0);
    ask(f, web_handle_admin,
        (struct http_request){.method = STR("DELETE"), .path = STR("/api/v1/bans/2001:db8:7::5")});
    assert_string_equal(
        f->reply.body.data,
        "{\"error\":{\"code\":\"not_found\",\"message\":\"this address is not banned "
        "alone, but with all of 2001:db8:7::/64\"}}");
    for (size_t i = 0; i < COUNT(row); i++) {
        ask(f, web_handle_admin,
            (struct http_request){.method = str_from(row[i].method),
                                  .path = str_from(row[i].path)});
        if (f->reply.status != row[i].status)
            fail_msg("row %zu: %s: %d", i, row[i].why, f->reply.status);
        assert_true((f->reply.body.len > 1) == (row[i].status != 204)); /* with its zero */
    }
    assert_int_equal(bans_count(f->bans, 0), 0);
    close_web(f);
}

static void more_bans_than_an_answer(void **state)
{
    (void)state;
    struct fixture *f = open_web(NULL, 0);
    char reason[BAN_REASON_BYTES];
    memset(reason, 1, sizeof reason); /* six characters each */
    struct ban ban = {
        .until_ms = BAN_FOR_EVER, .reason = {reason, sizeof reason}
    };
    assert_int_equal(net_network_parse(&ban.net, STR("192.0.2.1")), 0);
    for (uint32_t i = 0; i < 30000; i++) {
        ban.net.address.v4.sin_addr.s_addr = htonl(0x0a000000 + i);
        assert_int_equal(bans_add(f->bans, &ban, 0), 0);
    }
    get(f, web_handle_admin, "/api/v1/bans", NULL);
    assert_int_equal(f->reply.status, 503);
    assert_string_equal(error_code(f), "unavailable");
    close_web(f);
}

/* ---- Log level ----------------------------------------------------------------------------- */

static void log_levels(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int status;
        const char *code, *level; /* afterwards */
    } row[] = {
        {"{\"level\":\"error\"}",           200, "",               "error"},
        {"{\"level\":\"trace\"}",           200, "",               "trace"},
        {"{\"level\":\"DEBUG\"}",           400, "bad_level",      "trace"},
        {"{\"level\":\"\"}",                400, "bad_level",      "trace"},
        {"{\"level\":3}",                   400, "bad_level",      "trace"},
        {"{}",                              400, "bad_level",      "trace"},
        {"{\"level\":\"warn\",\"for\":60}", 400, "unknown_member", "trace"},
        {"\"warn\"",                        400, "bad_json",       "trace"},
        {"{\"level\":\"warn\"}",            200, "",               "warn" },
    };
    enum log_level before = log_level();
    struct fixture *f = open_web(NULL, 0);
    for (size_t i = 0; i < COUNT(row); i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "{\"level\":\"%s\"}", row[i].level);
        send_json(f, "PUT", "/api/v1/log-level", row[i].body);
        if (f->reply.status != row[i].status || strcmp(error_code(f), row[i].code) != 0)
            fail_msg("row %zu: %d %s", i, f->reply.status, f->reply.body.data);
        assert_true(row[i].status != 200 || strcmp(f->reply.body.data, expected) == 0);
        get(f, web_handle_admin, "/api/v1/log-level", NULL);
        assert_string_equal(f->reply.body.data, expected);
    }
    log_set_level(before);
    close_web(f);
}

/* ---- What changes something ---------------------------------------------------------------- */

static void says_what_is_allowed(void **state)
{
    (void)state;
    static const struct {
        http_handler_fn *handler;
        const char *path, *allow;
    } row[] = {
        {web_handle_public, "/healthz",                "GET, HEAD"        },
        {web_handle_public, "/x",                      "GET, HEAD"        },
        {web_handle_public, "/",                       "GET, HEAD"        },
        {web_handle_admin,  "/api/v1/registrations",   "GET, HEAD"        },
        {web_handle_admin,  "/api/v1/registrations/a", "DELETE"           },
        {web_handle_admin,  "/api/v1/bans",            "GET, HEAD, POST"  },
        {web_handle_admin,  "/api/v1/bans/::1",        "GET, HEAD, DELETE"},
        {web_handle_admin,  "/api/v1/log-level",       "GET, HEAD, PUT"   },
        {web_handle_admin,  "/api/v1/log-level/",      ""                 },
    };
    struct fixture *f = open_web(NULL, 0);
    for (size_t i = 0; i < COUNT(row); i++) {
        ask(f, row[i].handler,
            (struct http_request){.method = STR("PATCH"), .path = str_from(row[i].path)});
        assert_int_equal(f->reply.status, row[i].allow[0] ? 405 : 404);
        if (strcmp(f->reply.allow, row[i].allow) != 0)
            fail_msg("%s: %s", row[i].path, f->reply.allow);
    }
    close_web(f);
}

static void takes_json_from_our_own_only(void **state)
{
    (void)state;
    static char secret[] = "s3cret";
    const struct {
        struct str type, host, authorization;
        char *token;
        int status;
        const char *why;
    } row[] = {
        {STR("application/json"),                  STR("127.0.0.1"),    STR_NONE,             NULL,   201, ""          },
        {STR("Application/JSON"),                  STR("127.0.0.1"),    STR_NONE,             NULL,   201, "no case"   },
        {STR("application/json; charset=utf-8"),   STR("127.0.0.1"),    STR_NONE,             NULL,   201,
         "parameters"                                                                                                  },
        {STR("application/json ;x"),               STR("127.0.0.1"),    STR_NONE,             NULL,   201, "parameters"},
        {STR_NONE,                                 STR("127.0.0.1"),    STR_NONE,             NULL,   415, "none"      },
        {STR(""),                                  STR("127.0.0.1"),    STR_NONE,             NULL,   415, "empty"     },
        {STR("text/plain"),                        STR("127.0.0.1"),    STR_NONE,             NULL,   415, "a form may"},
        {STR("application/x-www-form-urlencoded"), STR("127.0.0.1"),    STR_NONE,             NULL,   415,
         "a form's"                                                                                                    },
        {STR("text/plain; application/json"),      STR("127.0.0.1"),    STR_NONE,             NULL,   415, "a form may"},
        {STR("application/jsonp"),                 STR("127.0.0.1"),    STR_NONE,             NULL,   415, "another"   },
        {STR("application/json"),                  STR("evil.example"), STR_NONE,             NULL,   403, "rebound"   },
        {STR("application/json"),                  STR("127.0.0.1"),    STR_NONE,             secret, 401, "no token"  },
        {STR("application/json"),                  STR("sip.example"),  STR("Bearer s3cret"), secret, 201, "a token"   },
    };
    struct fixture *f = open_web(NULL, 0);
    for (size_t i = 0; i < COUNT(row); i++) {
        f->config.admin_token = row[i].token;
        ask(f, web_handle_admin,
            (struct http_request){.method = STR("POST"),
                                  .path = STR("/api/v1/bans"),
                                  .host = row[i].host,
                                  .authorization = row[i].authorization,
                                  .content_type = row[i].type,
                                  .body = STR("{\"ip\":\"192.0.2.1\",\"seconds\":-1}")});
        if (f->reply.status != row[i].status)
            fail_msg("row %zu: %s: %d", i, row[i].why, f->reply.status);
        assert_int_equal(bans_count(f->bans, 0), row[i].status == 201);
        struct net_network net;
        assert_int_equal(net_network_parse(&net, STR("192.0.2.1")), 0);
        (void)bans_lift(f->bans, &net);
    }
    close_web(f);
}

/* ---- Status -------------------------------------------------------------------------------- */

static void status_counts(void **state)
{
    (void)state;
    struct fixture *f = open_web(NULL, 0);
    metrics_add_connection(&f->metrics[0], TRANSPORT_WSS, 1);
    metrics_add_connection(&f->metrics[0], TRANSPORT_WSS, 1);
    metrics_add_connection(&f->metrics[0], TRANSPORT_WSS, -1);
    metrics_add_connection(&f->metrics[1], TRANSPORT_WSS, 1);
    metrics_add_connection(&f->metrics[1], TRANSPORT_TCP, 1);
    get(f, web_handle_public, "/api/v1/status", NULL);
    cJSON *root = parse(f);
    static const struct {
        const char *outer, *name;
        double expected;
    } row[] = {
        {"registrations", "total", 15},
        {"registrations", "udp",   1 },
        {"registrations", "wss",   5 },
        {"connections",   "total", 3 },
        {"connections",   "wss",   2 },
        {"connections",   "tcp",   1 },
        {"connections",   "ws",    0 },
    };
    for (size_t i = 0; i < COUNT(row); i++)
        if (number_at(root, row[i].outer, row[i].name) != row[i].expected)
            fail_msg("%s of %s", row[i].name, row[i].outer);
    const cJSON *connections = cJSON_GetObjectItemCaseSensitive(root, "connections");
    assert_null(cJSON_GetObjectItemCaseSensitive(connections, "udp"));
    cJSON_Delete(root);
    close_web(f);
}

static void has_line(struct fixture *f, const char *line, const char *why)
{
    struct str rest = {f->reply.body.data, f->reply.body.len - 1}, at;
    while (str_split(&rest, '\n', &at))
        if (str_eq(at, str_from(line)))
            return;
    fail_msg("%s: no line \"%s\" in:\n%s", why, line, f->reply.body.data);
}

static void metrics_of_all_workers(void **state)
{
    (void)state;
    static const struct {
        const char *line, *why;
    } row[] = {
        {"# TYPE aorta_registers_total counter",                                      "a type for each family"   },
        {"# TYPE aorta_connections gauge",                                            "what is now is a gauge"   },
        {"# TYPE aorta_register_duration_seconds histogram",                          "a histogram"              },
        {"aorta_build_info{version=\"" AORTA_VERSION "\",node=\"node \\\"1\\\"\"} 1",
         "a label's value is quoted"                                                                             },
        {"aorta_messages_total 2",                                                    "a counter without a label"},
        {"aorta_registers_total{transport=\"wss\",outcome=\"granted\"} 3",
         "the sum of both workers"                                                                               },
        {"aorta_registers_total{transport=\"udp\",outcome=\"refused\"} 0",            "zeros too"                },
        {"aorta_challenges_total{reason=\"nonce_expired\"} 1",                        "a counter with a label"   },
        {"aorta_register_duration_seconds_bucket{le=\"0.0005\"} 1",                   "of the first worker"      },
        {"aorta_register_duration_seconds_bucket{le=\"+Inf\"} 2",                     "of both"                  },
        {"aorta_register_duration_seconds_sum 20.000300",                             "in seconds"               },
        {"aorta_register_duration_seconds_count 2",                                   "as many as +Inf has"      },
        {"aorta_connections{transport=\"wss\"} 1",                                    "connections"              },
        {"aorta_registrations{transport=\"wss\"} 5",                                  "what the store counts"    },
        {"aorta_realm_registrations{realm=\"other\"} 15",                             "no realms: all are others"},
        {"aorta_loop_lag_seconds{worker=\"0\"} 0",                                    "each worker's own"        },
        {"aorta_loop_lag_seconds{worker=\"1\"} 1.234",                                "from milliseconds"        },
        {"aorta_datagram_backlog_ratio{worker=\"0\"} 0.07",                           "from percent"             },
        {"aorta_overload_level{worker=\"1\"} 2",                                      "a number as it is"        },
        {"aorta_store_up 1",                                                          "the store is there"       },
        {"aorta_bans 0",                                                              "nobody is banned"         },
        {"process_start_time_seconds 1700000000.250",                                 "when it started"          },
    };
    struct fixture *f = open_web(NULL, 0);
    metrics_add(&f->metrics[0], METRIC_MESSAGES);
    metrics_add(&f->metrics[1], METRIC_MESSAGES);
    metrics_add_register(&f->metrics[0], TRANSPORT_WSS, REGISTER_GRANTED);
    metrics_add_register(&f->metrics[1], TRANSPORT_WSS, REGISTER_GRANTED);
    metrics_add_register(&f->metrics[1], TRANSPORT_WSS, REGISTER_GRANTED);
    metrics_add(&f->metrics[1], METRIC_NONCE_EXPIRED);
    metrics_add_connection(&f->metrics[1], TRANSPORT_WSS, 1);
    histogram_add(&f->metrics[0].duration[DURATION_REGISTER], 300);
    histogram_add(&f->metrics[1].duration[DURATION_REGISTER], 20000000);
    metrics_set(&f->metrics[1], GAUGE_LOOP_LAG_MS, 1234);
    metrics_set(&f->metrics[0], GAUGE_BACKLOG_PERCENT, 7);
    metrics_set(&f->metrics[1], GAUGE_OVERLOAD_LEVEL, 2);
    get(f, web_handle_admin, "/metrics", NULL);
    assert_int_equal(f->reply.status, 200);
    assert_string_equal(f->reply.content_type, "text/plain; version=0.0.4; charset=utf-8");
    for (size_t i = 0; i < COUNT(row); i++)
        has_line(f, row[i].line, row[i].why);
    get(f, web_handle_public, "/metrics", NULL);
    assert_int_equal(f->reply.status, 404);
    close_web(f);
}

/* Domains that the configuration names, and all others as one. */
static void metrics_tell_of_named_realms_only(void **state)
{
    (void)state;
    static char named[] = "big.example", any[] = "*", uri[] = "http://127.0.0.1:1/";
    struct config_realm own[] = {
        {.name = named, .callback = {.uri = uri}},
        {.name = any            },
    };
    struct fixture *f = open_web(NULL, 0);
    char memory[256];
    struct buf error;
    struct realms *realms;
    buf_init_fixed(&error, memory, sizeof memory);
    f->config.realms.item = own;
    f->config.realms.count = COUNT(own);
    assert_int_equal(realms_load(&f->config, NULL, &realms, &error), 0);
    f->worker.realms = realms;
    get(f, web_handle_admin, "/metrics", NULL);
    has_line(f, "aorta_realm_registrations{realm=\"big.example\"} 9", "named");
    has_line(f, "aorta_realm_registrations{realm=\"other\"} 6", "the rest of 15");
    has_line(f, "aorta_callback_up{realm=\"big.example\"} 1", "nothing else is known");
    has_line(f, "aorta_callback_circuit_open{realm=\"big.example\"} 0", "nothing else is known");
    assert_null(strstr(f->reply.body.data, "realm=\"*\""));
    assert_null(strstr(f->reply.body.data, "aorta_callback_up{realm=\"other\"}"));
    realms_free(realms);
    close_web(f);
}

/* Each family has its text once, and no two lines have one name. */
static void metrics_have_names_of_their_own(void **state)
{
    (void)state;
    struct fixture *f = open_web(NULL, 0);
    get(f, web_handle_admin, "/metrics", NULL);
    struct str rest = {f->reply.body.data, f->reply.body.len - 1}, line, other;
    while (str_split(&rest, '\n', &line)) {
        struct str name = str_slice(line, 0, str_find(line, line.ptr[0] == '#' ? '.' : ' '));
        for (struct str later = rest; line.len > 0 && str_split(&later, '\n', &other);)
            if (other.len > name.len && str_eq(str_slice(other, 0, name.len), name) &&
                (line.ptr[0] == '#' || other.ptr[name.len] == ' '))
                fail_msg("twice: %.*s", STR_ARG(name));
    }
    close_web(f);
}

static void rates(void **state)
{
    (void)state;
    static const struct {
        uint64_t at_ms;
        unsigned registers; /* since the sample before */
        double per_second;
        const char *why;
    } row[] = {
        {1000,  0,    0,    "one sample is no rate"               },
        {1000,  50,   0,    "no time has passed"                  },
        {2000,  50,   100,  "100 in the first second"             },
        {3000,  0,    50,   "100 in two"                          },
        {4000,  11,   37,   "111 in three"                        },
        {5000,  0,    27.7, "tenths are cut off"                  },
        {6000,  0,    22.2, ""                                    },
        {7000,  0,    18.5, ""                                    },
        {8000,  0,    15.8, ""                                    },
        {9000,  0,    13.8, ""                                    },
        {10000, 0,    12.3, "eleven samples"                      },
        {11000, 0,    6.1,  "the first one is forgotten"          },
        {12000, 0,    1.1,  "ten seconds after the 50"            },
        {13000, 0,    1.1,  ""                                    },
        {14000, 0,    0,    "ten seconds after all"               },
        {24000, 1900, 100,  "a late sample: over nineteen seconds"},
    };
    struct fixture *f = open_web(NULL, 0);
    for (size_t i = 0; i < COUNT(row); i++) {
        for (unsigned k = 0; k < row[i].registers; k++)
            metrics_add_register(&f->metrics[k % 2], (enum transport_kind)(k % TRANSPORT_KINDS),
                                 (enum register_outcome)(1 + k % (REGISTER_OUTCOMES - 1)));
        web_sample_rates(f->web, row[i].at_ms);
        get(f, web_handle_public, "/api/v1/status", NULL);
        cJSON *root = parse(f);
        double rate =
            number_at(cJSON_GetObjectItemCaseSensitive(root, "rates"), "registersPerSecond", NULL);
        if (rate != row[i].per_second)
            fail_msg("row %zu: %s: %f", i, row[i].why, rate);
        cJSON_Delete(root);
    }
    close_web(f);
}

/* ---- Events -------------------------------------------------------------------------------- */

static struct http_reply open_stream(struct fixture *f, conn_id conn, const char *query)
{
    struct http_request request = {.method = STR("GET"),
                                   .path = STR("/api/v1/events"),
                                   .query = str_from(query),
                                   .conn = FIRST_STREAM + conn};
    ask(f, web_handle_admin, request);
    return f->reply;
}

static void happen(struct fixture *f, enum store_change change, const char *aor)
{
    struct binding b = {.contact = STR("sip:\",\"aor\":\"bob@h\",@h")};
    assert_int_equal(net_address_parse(&b.source, STR("192.0.2.1"), 5060), 0);
    event_writer_changed(events_writer(f->events, 1), change, str_from(aor), &b, NULL);
}

/* How many events came, all of them whole. */
static unsigned take_events(conn_id conn)
{
    struct buf *got = &stream_client[conn].got;
    struct str rest = buf_str(got), line;
    unsigned count = 0;
    while (str_split(&rest, '\n', &line)) {
        if (!str_starts_nocase(line, STR("event: ")))
            continue;
        struct str data = STR_NONE, empty = STR("x");
        assert_true(str_split(&rest, '\n', &data) && str_split(&rest, '\n', &empty));
        assert_true(str_starts_nocase(data, STR("data: {\"type\":\"")));
        assert_int_equal(empty.len, 0);
        cJSON *json = cJSON_ParseWithLength(data.ptr + 6, data.len - 6);
        assert_non_null(json);
        assert_true(str_eq(str_slice(line, 7, line.len),
                           str_from(cJSON_GetObjectItem(json, "type")->valuestring)));
        cJSON_Delete(json);
        count++;
    }
    buf_clear(got);
    return count;
}

static void streams_what_is_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        unsigned events; /* of the six below */
    } row[] = {
        {"",                            6},
        {"type=registered",             2},
        {"type=registered,flow-closed", 4},
        {"type=banned",                 1},
        {"aor=alice%40h",               3},
        {"aor=sip%3Aalice@H",           3},
        {"aor=bob@h",                   2}, /* not those whose contact looks like it */
        {"aor=carol@h",                 0},
        {"aor=bob@h&type=registered",   1},
        {"aor=alice%40h&type=banned",   0},
    };
    struct fixture *f = open_web(NULL, 0);
    open_clients();
    for (conn_id i = 0; i < COUNT(row); i++) {
        struct http_reply reply = open_stream(f, i, row[i].query);
        assert_int_equal(reply.status, 200);
        assert_true(reply.is_stream);
        assert_string_equal(reply.content_type, "text/event-stream");
        assert_string_equal(reply.body.data, ":\n\n");
    }
    struct ban ban = {.reason = STR("why")};
    assert_int_equal(net_network_parse(&ban.net, STR("192.0.2.7")), 0);
    happen(f, STORE_ADDED, "alice@h");
    happen(f, STORE_ADDED, "bob@h");
    happen(f, STORE_RENEWED, "alice@h");
    event_writer_banned(f->worker.events, &ban, 60);
    happen(f, STORE_FLOW_CLOSED, "alice@h");
    happen(f, STORE_FLOW_CLOSED, "bob@h");
    web_streams_tick(f->worker.streams, clock_now_ms());
    for (conn_id i = 0; i < COUNT(row); i++)
        if (take_events(i) != row[i].events)
            fail_msg("%s: not %u events", row[i].query, row[i].events);
    close_web(f);
    close_clients();
}

static void refuses_streams_that_make_no_sense(void **state)
{
    (void)state;
    static const char *const queries[] = {"type=",     "type=,", "type=registered,,banned",
                                          "type=gone", "type=%", "aor=%4"};
    struct fixture *f = open_web(NULL, 0);
    open_clients();
    for (size_t i = 0; i < COUNT(queries); i++)
        if (open_stream(f, 1, queries[i]).status != 400)
            fail_msg("%s: %d", queries[i], f->reply.status);
    f->state = NODE_DRAINING;
    assert_int_equal(open_stream(f, 1, "").status, 503);
    f->state = NODE_RUNNING;
    for (conn_id i = 0; i < EVENT_LISTENERS_MAX; i++)
        assert_int_equal(open_stream(f, i, "").status, 200);
    assert_int_equal(open_stream(f, EVENT_LISTENERS_MAX, "").status, 503);
    stream_client[3].is_open = false; /* one goes, and there is room again */
    assert_int_equal(open_stream(f, EVENT_LISTENERS_MAX, "").status, 200);
    assert_int_equal(open_stream(f, EVENT_LISTENERS_MAX + 1, "").status, 503);
    close_web(f);
    close_clients();
}

/* One that takes nothing is dropped, after a while or when too much waits for it; others go on. */
static void waits_for_no_reader(void **state)
{
    (void)state;
    struct fixture *f = open_web(NULL, 0);
    open_clients();
    uint64_t now_ms = clock_now_ms();
    for (conn_id i = 0; i < 3; i++)
        assert_int_equal(open_stream(f, i, "").status, 200);
    stream_client[1].is_stuck = true;
    happen(f, STORE_ADDED, "a@h");
    web_streams_tick(f->worker.streams, now_ms += 100);
    assert_int_equal(take_events(0), 1);
    stream_client[1].is_stuck = false;
    happen(f, STORE_RENEWED, "a@h");
    web_streams_tick(f->worker.streams, now_ms += 100);
    assert_int_equal(take_events(0), 1);
    assert_int_equal(take_events(1), 2); /* nothing was lost */

    stream_client[1].is_stuck = true;
    happen(f, STORE_RENEWED, "a@h");
    web_streams_tick(f->worker.streams, now_ms += 100);
    web_streams_tick(f->worker.streams, now_ms += 14000);
    assert_int_equal(stream_client[1].dropped, 0);
    web_streams_tick(f->worker.streams, now_ms += 1500);
    assert_int_equal(stream_client[1].dropped, 1);

    stream_client[2].is_stuck = true;
    unsigned happened = 0, got = take_events(0);
    while (stream_client[2].dropped == 0 && happened < 100000) {
        for (int i = 0; i < 1000; i++, happened++)
            happen(f, STORE_RENEWED, "a@h");
        web_streams_tick(f->worker.streams, ++now_ms);
        got += take_events(0);
    }
    assert_int_equal(stream_client[2].dropped, 1);
    assert_true(happened > 4000 && happened < 50000);
    assert_int_equal(got, happened + 1);
    assert_int_equal(stream_client[0].dropped, 0);
    close_web(f);
    close_clients();
}

static void ends_streams(void **state)
{
    (void)state;
    struct fixture *f = open_web(NULL, 0);
    open_clients();
    uint64_t now_ms = clock_now_ms();
    assert_int_equal(open_stream(f, 0, "").status, 200);
    web_streams_tick(f->worker.streams, now_ms + 14000);
    assert_int_equal(stream_client[0].got.len, 0);
    web_streams_tick(f->worker.streams, now_ms + 16000);
    assert_true(str_eq(buf_str(&stream_client[0].got), STR(":\n\n"))); /* a heartbeat */
    buf_clear(&stream_client[0].got);

    for (int i = 0; i < 10000; i++) /* more than the ring holds, between two ticks */
        happen(f, STORE_RENEWED, "a@h");
    web_streams_tick(f->worker.streams, now_ms + 16001);
    assert_int_equal(stream_client[0].ended, 1);
    assert_int_equal(take_events(0), 0);

    assert_int_equal(open_stream(f, 1, "").status, 200);
    happen(f, STORE_ADDED, "a@h");
    web_streams_end(f->worker.streams, now_ms + 17000);
    assert_int_equal(take_events(1), 1); /* the last word */
    assert_int_equal(stream_client[1].ended, 1);
    for (conn_id i = 2; i < EVENT_LISTENERS_MAX + 2; i++)
        assert_int_equal(open_stream(f, i, "").status, 200); /* they had been counted off */
    close_web(f);
    close_clients();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes),
        cmocka_unit_test(readiness),
        cmocka_unit_test(tokens),
        cmocka_unit_test(names),
        cmocka_unit_test(shows_node_and_demo),
        cmocka_unit_test(if_none_match),
        cmocka_unit_test(page_of_the_admin),
        cmocka_unit_test(no_page_no_web),
        cmocka_unit_test(query_params),
        cmocka_unit_test(registrations),
        cmocka_unit_test(query_values_are_limited),
        cmocka_unit_test(pages_join_without_a_seam),
        cmocka_unit_test(too_much_is_said_so),
        cmocka_unit_test(answers_when_the_store_does),
        cmocka_unit_test(bans_by_order),
        cmocka_unit_test(shows_and_lifts_bans),
        cmocka_unit_test(more_bans_than_an_answer),
        cmocka_unit_test(log_levels),
        cmocka_unit_test(says_what_is_allowed),
        cmocka_unit_test(takes_json_from_our_own_only),
        cmocka_unit_test(status_counts),
        cmocka_unit_test(metrics_of_all_workers),
        cmocka_unit_test(metrics_tell_of_named_realms_only),
        cmocka_unit_test(metrics_have_names_of_their_own),
        cmocka_unit_test(rates),
        cmocka_unit_test(streams_what_is_asked_for),
        cmocka_unit_test(refuses_streams_that_make_no_sense),
        cmocka_unit_test(waits_for_no_reader),
        cmocka_unit_test(ends_streams),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
