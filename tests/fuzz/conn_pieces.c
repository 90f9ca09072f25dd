#include "conn_pieces.h"
#include "fake_net.h"
#include "fuzz.h"
#include <aorta/clock.h>
#include <aorta/node_state.h>

enum { MESSAGE_BYTES = 1024, TRANSCRIPT_MAX_BYTES = 256 << 20 };

uint64_t clock_now_ms(void)
{
    return UINT64_C(1800000000000);
}

/* ---- What the transport does, one line after the other --------------------------------------- */

struct world {
    struct config config;
    struct transport *transport;
    struct net_stream *stream;
    _Atomic int node_state;
    struct metrics metrics;
    struct buf transcript;
    conn_id waits; /* for an HTTP answer */
    unsigned closed;
};

static void note(struct world *w, const char *what, struct str text)
{
    buf_printf(&w->transcript, "%s %zu ", what, text.len);
    buf_put_str(&w->transcript, text);
    buf_put_char(&w->transcript, '\n');
}

/* Before anything else is noted, so that the order shows. The 100 depends on when a body comes. */
static void note_writes(struct world *w)
{
    static const struct str go_on = STR("HTTP/1.1 100 Continue\r\n\r\n");
    struct str sent = buf_str(&w->stream->sent);
    struct buf shown;
    buf_init_heap(&shown, TRANSCRIPT_MAX_BYTES);
    for (const char *at; sent.len > 0 && (at = memmem(sent.ptr, sent.len, go_on.ptr, go_on.len));) {
        size_t before = (size_t)(at - sent.ptr);
        buf_put_str(&shown, str_slice(sent, 0, before));
        sent = str_slice(sent, before + go_on.len, sent.len);
    }
    buf_put_str(&shown, sent);
    if (shown.len > 0)
        note(w, "write", buf_str(&shown));
    buf_fini(&shown);
    buf_clear(&w->stream->sent);
}

static void on_message(void *arg, const struct sip_source *source, struct str message)
{
    struct world *w = arg;
    note_writes(w);
    note(w, "message", message);
    FUZZ_CHECK(message.len <= MESSAGE_BYTES && w->closed == 0);
    FUZZ_CHECK(transport_is_open(w->transport, source->conn));
    if (message.len == 0 || message.ptr[0] != 'E')
        return; /* a message that begins with E is answered */
    char answer[TRANSPORT_HEADROOM + 8];
    memcpy(answer + TRANSPORT_HEADROOM, "answered", 8);
    transport_send(w->transport, source, NULL, answer + TRANSPORT_HEADROOM, 8);
}

static void on_broken(void *arg, const struct sip_source *source, struct str head, int status)
{
    (void)source;
    struct world *w = arg;
    note_writes(w);
    FUZZ_CHECK(head.len <= MESSAGE_BYTES);
    note(w, status == 513 ? "too large" : "no length", head);
}

static void on_closed(void *arg, enum transport_kind kind, conn_id conn, void *user,
                      const struct transport_end *end)
{
    (void)kind, (void)user;
    struct world *w = arg;
    FUZZ_CHECK(end->why);
    FUZZ_CHECK(!transport_is_open(w->transport, conn));
    FUZZ_CHECK(++w->closed == 1);
}

static bool is_in_use(void *arg, conn_id conn, void *user)
{
    (void)arg, (void)conn, (void)user;
    return false;
}

static void handle(void *arg, const struct http_request *request, struct http_reply *reply)
{
    static char file[40000];
    struct world *w = arg;
    note_writes(w);
    note(w, "method", request->method);
    note(w, "path", request->path);
    note(w, "query", request->query);
    note(w, "body", request->body);
    fuzz_touch(request->host);
    fuzz_touch(request->authorization);
    fuzz_touch(request->if_none_match);
    fuzz_touch(request->content_type);
    reply->status = 200;
    reply->content_type = "text/plain";
    reply->is_later = str_eq(request->path, STR("/later"));
    if (reply->is_later)
        w->waits = request->conn;
    else if (str_eq(request->path, STR("/file")))
        reply->file = (struct str){file, sizeof file};
    else
        buf_put_text(&reply->body, "ok");
}

/* ---- One connection ------------------------------------------------------------------------- */

static void open_world(struct world *w, enum transport_kind kind)
{
    static char star[] = "*";
    static char *origins[] = {star};
    static struct conn_limit *limit;
    struct net_address address = {0};
    memset(w, 0, sizeof *w);
    w->config.message_bytes = MESSAGE_BYTES;
    w->config.header_bytes = MESSAGE_BYTES;
    w->config.handshakes = 512;
    w->config.handshake_s = 5;
    w->config.first_message_s = 15;
    w->config.authenticate_s = 30;
    w->config.ws_origins = (struct config_list){origins, 1};
    w->node_state = NODE_RUNNING;
    if (!limit)
        limit = conn_limit_new(10, 10); /* so large that it is made once */
    buf_init_heap(&w->transcript, TRANSCRIPT_MAX_BYTES);
    const struct transport_deps deps = {.config = &w->config,
                                        .limit = limit,
                                        .metrics = &w->metrics,
                                        .node_state = &w->node_state,
                                        .public_http = handle,
                                        .admin_http = handle,
                                        .http_arg = w};
    const struct transport_events events = {on_message, on_broken, on_closed, is_in_use, w};
    w->transport = transport_new(&deps);
    FUZZ_CHECK(limit && w->transport);
    transport_set_events(w->transport, &events);
    FUZZ_CHECK(net_address_parse(&address, STR("127.0.0.1"), 1) == 0);
    FUZZ_CHECK(transport_listen(w->transport, kind, TRANSPORT_CLIENTS, &address) == 0);
    FUZZ_CHECK(net_address_parse(&address, STR("192.0.2.1"), 4000) == 0);
    w->stream = fake_connect(0, &address);
    FUZZ_CHECK(w->stream);
}

static void answer_later(struct world *w)
{
    while (w->waits != 0) {
        conn_id conn = w->waits;
        struct http_reply reply = {.status = 201, .content_type = "text/plain"};
        w->waits = 0;
        note_writes(w);
        buf_init_heap(&reply.body, 64);
        buf_put_text(&reply.body, "later");
        transport_http_reply(w->transport, conn, &reply);
        fake_let_write(w->stream);
    }
}

static void receive(struct world *w, struct str piece)
{
    fake_receive(w->stream, piece);
    fake_let_write(w->stream);
    answer_later(w);
}

static void close_world(struct world *w)
{
    transport_tick(w->transport, clock_now_ms() + 60000); /* every deadline has passed */
    note_writes(w);
    fake_net_end();
    FUZZ_CHECK(w->closed == 1);
    transport_close(w->transport);
    transport_free(w->transport);
    for (unsigned kind = 0; kind < TRANSPORT_KINDS; kind++)
        FUZZ_CHECK(metrics_connections(&w->metrics, 1, (enum transport_kind)kind) == 0);
}

static struct buf run(enum transport_kind kind, struct str before, struct str bytes, size_t step)
{
    struct world *w = aligned_alloc(64, (sizeof *w + 63) / 64 * 64);
    FUZZ_CHECK(w);
    open_world(w, kind);
    receive(w, before);
    while (bytes.len > 0) {
        struct str piece = str_slice(bytes, 0, step);
        bytes = str_slice(bytes, piece.len, bytes.len);
        receive(w, piece);
    }
    note_writes(w);
    note(w, w->stream->is_closed ? "closed" : w->stream->is_shut ? "shut" : "open", STR_NONE);
    close_world(w);
    FUZZ_CHECK(w->transcript.error == 0);
    struct buf transcript = w->transcript;
    free(w);
    return transcript;
}

void conn_pieces_try(enum transport_kind kind, struct str before, const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    size_t step = 1 + fuzz_byte(&in);
    struct buf whole = run(kind, before, fuzz_rest(&in), SIZE_MAX);
    struct buf cut = run(kind, before, fuzz_rest(&in), step);
    if (!str_eq(buf_str(&whole), buf_str(&cut))) {
        fprintf(stderr, "in one piece:\n%.*s\n%zu bytes at a time:\n%.*s\n",
                STR_ARG(buf_str(&whole)), step, STR_ARG(buf_str(&cut)));
        abort();
    }
    buf_fini(&whole);
    buf_fini(&cut);
}
