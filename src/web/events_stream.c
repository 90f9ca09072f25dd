/* GET /api/v1/events: what happens, as Server-Sent Events. The clients of a worker share one reader
 * of all workers' rings, which is looked at on every tick. */
#include "web_internal.h"
#include <aorta/clock.h>
#include <aorta/events.h>
#include <aorta/log.h>
#include <aorta/transport.h>
#include <errno.h>
#include <stdlib.h>

enum {
    HEARTBEAT_MS = 15000, /* of a quiet stream; and for so long its client may take nothing */
    OUT_MAX_BYTES = 4 << 20,
    OUT_KEPT_BYTES = 64 << 10,
    PARAM_BYTES = 512,
    AOR_FIRST_BYTES = 4096,
    AOR_MAX_BYTES = 64 << 10,
};

struct stream {
    conn_id conn;
    unsigned types;    /* bits, by enum event_type */
    struct buf aor;    /* the member as it stands in an event that is wanted; empty: any is */
    struct buf out;    /* what the client is still to be sent, behind the transport's headroom */
    uint64_t taken_ms; /* when it last took something */
};

struct web_streams {
    struct events *events;
    struct transport *transport;
    struct event_reader *reader; /* NULL: no stream */
    struct stream *stream[EVENT_LISTENERS_MAX];
    size_t count;
};

struct web_streams *web_streams_new(struct events *events, struct transport *transport)
{
    struct web_streams *s = calloc(1, sizeof *s);
    if (s)
        *s = (struct web_streams){.events = events, .transport = transport};
    return s;
}

/* ---- Streams come and go -------------------------------------------------------------------- */

static void free_stream(struct stream *stream)
{
    buf_fini(&stream->aor);
    buf_fini(&stream->out);
    free(stream);
}

/* The last one takes its place. */
static void remove_stream(struct web_streams *s, size_t i)
{
    free_stream(s->stream[i]);
    s->stream[i] = s->stream[--s->count];
    events_remove_listener(s->events);
    if (s->count > 0)
        return;
    event_reader_free(s->reader);
    s->reader = NULL;
}

void web_streams_free(struct web_streams *s)
{
    if (!s)
        return;
    while (s->count > 0)
        remove_stream(s, s->count - 1);
    free(s);
}

static void end_all(struct web_streams *s)
{
    while (s->count > 0) {
        transport_http_end(s->transport, s->stream[s->count - 1]->conn);
        remove_stream(s, s->count - 1);
    }
}

/* ---- Out ------------------------------------------------------------------------------------ */

static void put_text(struct stream *stream, struct str text)
{
    static const char headroom[TRANSPORT_HEADROOM];
    if (stream->out.len == 0)
        buf_put(&stream->out, headroom, sizeof headroom);
    buf_put_str(&stream->out, text);
}

static bool wants(const struct stream *stream, enum event_type type, struct str json)
{
    struct str aor = buf_str(&stream->aor);
    return stream->types & 1u << type &&
           (aor.len == 0 || memmem(json.ptr, json.len, aor.ptr, aor.len));
}

static void put_event(void *arg, enum event_type type, struct str json)
{
    struct web_streams *s = arg;
    for (size_t i = 0; i < s->count; i++) {
        struct stream *stream = s->stream[i];
        if (!wants(stream, type, json))
            continue;
        put_text(stream, STR("event: "));
        put_text(stream, event_type_name(type));
        put_text(stream, STR("\ndata: "));
        put_text(stream, json);
        put_text(stream, STR("\n\n"));
    }
}

/* False when the stream is over. */
static bool send_out(struct web_streams *s, struct stream *stream, uint64_t now_ms)
{
    struct buf *out = &stream->out;
    if (out->error) {
        transport_http_drop(s->transport, stream->conn);
        return false;
    }
    if (out->len == 0)
        return transport_is_open(s->transport, stream->conn);
    int rc = transport_http_stream(s->transport, stream->conn, out->data + TRANSPORT_HEADROOM,
                                   out->len - TRANSPORT_HEADROOM);
    if (rc != -EAGAIN) {
        stream->taken_ms = now_ms;
        buf_clear(out);
        if (out->cap > OUT_KEPT_BYTES)
            buf_fini(out);
        return rc == 0;
    }
    if (now_ms - stream->taken_ms < HEARTBEAT_MS)
        return true;
    transport_http_drop(s->transport, stream->conn);
    return false;
}

static void send_all(struct web_streams *s, uint64_t now_ms)
{
    for (size_t i = s->count; i-- > 0;) {
        struct stream *stream = s->stream[i];
        if (stream->out.len == 0 && now_ms - stream->taken_ms >= HEARTBEAT_MS)
            put_text(stream, STR(":\n\n"));
        if (!send_out(s, stream, now_ms))
            remove_stream(s, i);
    }
}

void web_streams_tick(struct web_streams *s, uint64_t now_ms)
{
    if (s->count == 0)
        return;
    int rc = event_reader_read(s->reader, put_event, s);
    send_all(s, now_ms);
    if (rc == 0)
        return;
    LOG_WARN("event streams end: they have missed something", LOG_NUM("streams", s->count),
             LOG_TEXT("why", rc == -EOVERFLOW ? "too much happened in too short a time"
                                              : "out of memory"));
    end_all(s);
}

void web_streams_end(struct web_streams *s, uint64_t now_ms)
{
    web_streams_tick(s, now_ms);
    end_all(s);
}

/* ---- The route ------------------------------------------------------------------------------ */

static bool find_type(struct str name, unsigned *bit)
{
    for (unsigned type = 0; type < EVENT_TYPES; type++) {
        *bit = 1u << type;
        if (str_eq(name, event_type_name((enum event_type)type)))
            return true;
    }
    return false;
}

/* NULL, or what is wrong with it. */
static const char *read_types(struct str query, unsigned *types)
{
    char memory[PARAM_BYTES];
    struct str list, name;
    unsigned bit;
    *types = (1u << EVENT_TYPES) - 1;
    if (web_query_param(query, "type", memory, sizeof memory, &list) < 0)
        return "type is badly escaped or too long";
    if (!list.ptr)
        return NULL;
    for (*types = 0; str_split(&list, ',', &name); *types |= bit)
        if (!find_type(name, &bit))
            return "type is a list of: "
                   "registered,refreshed,unregistered,expired,flow-closed,banned";
    return *types ? NULL : "type names no event";
}

/* As event_json.c writes it: quotes in a text are escaped there, so that no text looks like it. */
static void put_aor_member(struct buf *b, struct str aor)
{
    struct arena arena;
    if (arena_init(&arena, AOR_FIRST_BYTES, AOR_MAX_BYTES) < 0) {
        b->error = -ENOMEM;
        return;
    }
    buf_put_json_text(b, JSON_MEMBER("aor"), web_canonical_aor(aor, &arena));
    arena_fini(&arena);
}

static const char *read_aor(struct str query, struct buf *member)
{
    char memory[PARAM_BYTES];
    struct str aor;
    if (web_query_param(query, "aor", memory, sizeof memory, &aor) < 0)
        return "aor is badly escaped or too long";
    if (aor.ptr)
        put_aor_member(member, aor);
    return NULL;
}

static const char *read_query(struct stream *stream, struct str query)
{
    const char *wrong = read_types(query, &stream->types);
    return wrong ? wrong : read_aor(query, &stream->aor);
}

static struct stream *new_stream(const struct web_call *call)
{
    struct stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return NULL;
    stream->conn = call->request->conn;
    buf_init_heap(&stream->aor, AOR_MAX_BYTES);
    buf_init_heap(&stream->out, OUT_MAX_BYTES);
    return stream;
}

/* Takes it. -ENOSPC: there are enough; -ENOMEM. */
static int add_stream(struct web_streams *s, struct stream *stream)
{
    stream->taken_ms = clock_now_ms();
    web_streams_tick(s, stream->taken_ms); /* what happened before is not for this one */
    int rc = stream->aor.error ? -ENOMEM : events_add_listener(s->events) ? 0 : -ENOSPC;
    if (rc == 0 && !s->reader) {
        s->reader = event_reader_new(s->events);
        if (!s->reader)
            events_remove_listener(s->events);
        rc = s->reader ? 0 : -ENOMEM;
    }
    if (rc == 0)
        s->stream[s->count++] = stream;
    else
        free_stream(stream);
    return rc;
}

static void begin_stream(struct http_reply *reply)
{
    reply->status = 200;
    reply->content_type = "text/event-stream";
    reply->is_stream = true;
    buf_put_text(&reply->body, ":\n\n"); /* so that the client sees that it is listening */
}

void web_stream_events(const struct web_call *call, struct http_reply *reply)
{
    struct web_streams *s = call->worker->streams;
    bool is_draining = atomic_load(call->worker->web->info.state) == NODE_DRAINING;
    struct stream *stream = s && !is_draining ? new_stream(call) : NULL;
    if (!stream) {
        web_put_error(reply, 503, "unavailable",
                      is_draining ? "this node is about to end" : "no memory for it now");
        return;
    }
    const char *wrong = read_query(stream, call->request->query);
    if (wrong) {
        web_put_error(reply, 400, "bad_query", wrong);
        free_stream(stream);
        return;
    }
    int rc = add_stream(s, stream);
    if (rc == 0)
        begin_stream(reply);
    else if (rc == -ENOSPC)
        web_put_error(reply, 503, "full", "as many streams are open as there may be");
    else
        web_put_error(reply, 503, "unavailable", "no memory for it now");
}
