#include "register_world.h"
#include "auth/digest_internal.h"
#include <aorta/binding_json.h>
#include <aorta/clock.h>
#include <aorta/node_state.h>
#include <errno.h>
#include <unistd.h>

enum { ARENA_BYTES = 16 << 10, ARENA_MAX_BYTES = 64 << 20, TEXT_MAX_BYTES = 64 << 20 };

static struct world *world; /* the one that is open */

/* ---- Time ----------------------------------------------------------------------------------- */

static uint64_t now_ms;

uint64_t clock_now_ms(void)
{
    return now_ms;
}

uint64_t clock_now_us(void)
{
    return now_ms * 1000;
}

/* ---- The callback --------------------------------------------------------------------------- */

struct http_lane {
    char not_empty;
};

struct http_lane *http_lane_open(struct http_client *client,
                                 const struct http_lane_options *options)
{
    (void)client, (void)options;
    struct http_lane *lane = malloc(sizeof *lane);
    FUZZ_CHECK(lane);
    return lane;
}

static const struct {
    int error;
    const char *body;
    bool agrees;
} callback_answers[] = {
    {0,             "{\"status\":\"ok\"}",                                                      true },
    {0,             "{\"status\":\"fail\",\"msg\":\"no\\r\\nContact: <sip:x@x>\\\"\"}",         false},
    {0,             "{\"status\":\"ok\",\"expires\":90,\"call_hook\":\"http://h\",\"ttl\":60}", true },
    {0,             "{\"status\":\"fail\",\"blacklist\":60}",                                   false},
    {0,             "{\"status\":\"maybe\"}",                                                   false},
    {0,             "{}",                                                                       false},
    {0,             "",                                                                         false},
    {-ETIMEDOUT,    "",                                                                         false},
    {-ECONNREFUSED, "",                                                                         false},
};

static void give(http_answered_fn *done, void *arg)
{
    unsigned says = world->callback_says % (sizeof callback_answers / sizeof *callback_answers);
    struct http_answer answer = {.error = callback_answers[says].error, .why = ""};
    if (answer.error == 0) {
        answer.status = 200;
        answer.body = str_from(callback_answers[says].body);
    }
    world->callback_agreed |= callback_answers[says].agrees;
    done(arg, &answer);
}

void http_lane_post(struct http_lane *lane, struct str body, http_answered_fn *done, void *arg)
{
    (void)lane;
    fuzz_touch(body);
    if (!world->callback_waits || world->held_count == WORLD_HOLDS)
        give(done, arg);
    else
        world->held[world->held_count++] =
            (struct world_held){.done = done, .arg = arg, .since_ms = now_ms};
}

uint32_t http_lane_wait_ms(const struct http_lane *lane)
{
    (void)lane;
    return 0;
}

struct http_lane_load http_lane_load(const struct http_lane *lane)
{
    (void)lane;
    return (struct http_lane_load){0};
}

void http_lane_close(struct http_lane *lane)
{
    for (size_t i = 0; i < world->held_count; i++) {
        const struct http_answer answer = {.error = -ECANCELED, .why = ""};
        world->held[i].done(world->held[i].arg, &answer);
        buf_fini(&world->held[i].message);
    }
    world->held_count = 0;
    free(lane);
}

/* ---- What is stored ------------------------------------------------------------------------- */

/* A line for each binding, its AOR first. */
struct snapshot {
    struct buf all;   /* everything about them */
    struct buf names; /* contact and instance only */
};

static void put_aor(struct snapshot *s, const struct store_aor *aor)
{
    const struct binding_json_context ctx = {STR("h"), STR("n"), 0};
    for (size_t i = 0; i < aor->count; i++) {
        const struct binding *b = &aor->bindings[i];
        buf_printf(&s->all, "%.*s %llu %llu ", STR_ARG(aor->aor), (unsigned long long)b->expires_ms,
                   (unsigned long long)b->refreshed_ms);
        binding_put_members(&s->all, b, &ctx);
        buf_put_char(&s->all, '\n');
        buf_printf(&s->names, "%.*s %.*s %.*s\n", STR_ARG(aor->aor), STR_ARG(b->contact),
                   STR_ARG(b->instance));
    }
}

static void on_listed(void *arg, int error, uint64_t next, const struct store_aor *aors,
                      size_t count)
{
    FUZZ_CHECK(error == 0 && next == 0);
    for (size_t i = 0; i < count; i++)
        put_aor(arg, &aors[i]);
}

static struct snapshot take_snapshot(void)
{
    struct snapshot s;
    struct arena arena;
    buf_init_heap(&s.all, TEXT_MAX_BYTES);
    buf_init_heap(&s.names, TEXT_MAX_BYTES);
    FUZZ_CHECK(arena_init(&arena, ARENA_BYTES, ARENA_MAX_BYTES) == 0);
    world->store->ops->list(world->store, 0, 100000, &arena, on_listed, &s);
    arena_fini(&arena);
    FUZZ_CHECK(s.all.error == 0 && s.names.error == 0);
    return s;
}

static void free_snapshot(struct snapshot *s)
{
    buf_fini(&s->all);
    buf_fini(&s->names);
}

/* The lines that are not of this AOR. */
static struct buf without(const struct buf *lines, struct str aor)
{
    struct buf out;
    struct str rest = buf_str(lines), line;
    buf_init_heap(&out, TEXT_MAX_BYTES);
    while (str_split(&rest, '\n', &line)) {
        if (str_starts_nocase(line, aor) && line.len > aor.len && line.ptr[aor.len] == ' ')
            continue;
        buf_put_str(&out, line);
        buf_put_char(&out, '\n');
    }
    return out;
}

/* Sets of lines, that is: those of one AOR are in the order of their refreshes. */
static int compare_lines(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    size_t n = x->len < y->len ? x->len : y->len;
    int order = n > 0 ? memcmp(x->ptr, y->ptr, n) : 0;
    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

static size_t sort_lines(const struct buf *lines, struct str out[512])
{
    size_t count = 0;
    struct str rest = buf_str(lines);
    while (count < 512 && str_split(&rest, '\n', &out[count]))
        count++;
    qsort(out, count, sizeof *out, compare_lines);
    return count;
}

static bool are_same_lines(const struct buf *a, const struct buf *b)
{
    static struct str x[512], y[512];
    size_t count = sort_lines(a, x);
    if (count != sort_lines(b, y))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!str_eq(x[i], y[i]))
            return false;
    return true;
}

/* ---- Answers -------------------------------------------------------------------------------- */

/* Where answers to this client are written. */
static struct buf *sent_to(struct world_client *c)
{
    if (c->kind == TRANSPORT_UDP)
        return &fake_net.udp_sent;
    return c->stream ? &c->stream->sent : NULL;
}

static unsigned count_writes(struct world_client *c)
{
    if (c->kind == TRANSPORT_UDP)
        return fake_net.udp_count;
    return c->stream ? c->stream->writes : 0;
}

/* The payload of a server's frame. */
static struct str unframe(struct str frame)
{
    FUZZ_CHECK(frame.len >= 2 && (frame.ptr[0] == '\x81' || frame.ptr[0] == '\x82'));
    unsigned length = (unsigned char)frame.ptr[1], head = 2;
    FUZZ_CHECK(length < 128);
    for (unsigned n = length == 126   ? 2
                      : length == 127 ? 8
                                      : 0,
                  i = length = n ? 0 : length;
         i < n; i++)
        length = length << 8 | (unsigned char)frame.ptr[head++];
    FUZZ_CHECK(frame.len == head + length);
    return str_slice(frame, head, frame.len);
}

static struct str value_of(struct str text, const char *name)
{
    const char *at = memmem(text.ptr, text.len, name, strlen(name));
    if (!at)
        return STR_NONE;
    text = str_slice(text, (size_t)(at - text.ptr) + strlen(name), text.len);
    return str_slice(text, 0, str_find(text, '"'));
}

static void remember_challenge(struct world_client *c, const struct answer *answer)
{
    struct str nonce = value_of(answer_value(answer, "WWW-Authenticate", 0), "nonce=\"");
    FUZZ_CHECK(nonce.len > 0 && nonce.len < WORLD_NONCE);
    memcpy(c->nonce, nonce.ptr, nonce.len);
    c->nonce[nonce.len] = 0;
    c->nc = 0;
}

struct found {
    const struct answer *answer;
    size_t count;
};

static void on_found(void *arg, int error, const struct binding *bindings, size_t count)
{
    struct found *f = arg;
    FUZZ_CHECK(error == 0);
    f->count = count;
    FUZZ_CHECK(answer_count(f->answer, "Contact") == count);
    for (size_t i = 0; i < count; i++) {
        const struct binding *b = &bindings[i];
        bool is_listed = false;
        for (size_t k = 0; k < count && !is_listed; k++) {
            struct str line = answer_value(f->answer, "Contact", k);
            struct str uri = str_slice(line, 1, 1 + b->contact.len);
            struct str params = str_slice(line, 1 + b->contact.len, line.len);
            is_listed = str_eq(uri, b->contact) && str_starts_nocase(params, STR(">;expires=")) &&
                        (b->instance.len == 0 ||
                         memmem(params.ptr, params.len, b->instance.ptr, b->instance.len));
        }
        FUZZ_CHECK(is_listed);
    }
}

static void check_contacts(const struct answer *answer, struct str aor)
{
    struct arena arena;
    struct found found = {answer, 0};
    FUZZ_CHECK(arena_init(&arena, ARENA_BYTES, ARENA_MAX_BYTES) == 0);
    world->store->ops->find(world->store, aor, &arena, on_found, &found);
    arena_fini(&arena);
}

/* ---- One message ---------------------------------------------------------------------------- */

/* What holds before a message, for comparison. */
struct before {
    struct snapshot stored;
    unsigned writes;
    uint64_t retransmissions;
    size_t held, sent_bytes;
};

static uint64_t count_retransmissions(void)
{
    return metrics_sum(&world->metrics, 1, METRIC_RETRANSMISSIONS);
}

static struct before look(struct world_client *c)
{
    const struct buf *sent = sent_to(c);
    return (struct before){.stored = take_snapshot(),
                           .writes = count_writes(c),
                           .retransmissions = count_retransmissions(),
                           .held = world->held_count,
                           .sent_bytes = sent && c->kind != TRANSPORT_UDP ? sent->len : 0};
}

static void check_changes(const struct before *before, const struct answer *answer,
                          const struct sip_request *request, bool is_again)
{
    struct snapshot after = take_snapshot();
    bool is_granted = answer && answer->status < 300 && request->method == SIP_METHOD_REGISTER;
    if (!is_granted || is_again) {
        FUZZ_CHECK(str_eq(buf_str(&before->stored.all), buf_str(&after.all)));
        free_snapshot(&after);
        return;
    }
    char memory[1024];
    struct buf aor;
    buf_init_fixed(&aor, memory, sizeof memory);
    FUZZ_CHECK(sip_uri_write_aor(&request->to_uri, &aor) == 0 && aor.error == 0);
    struct buf others_before = without(&before->stored.all, buf_str(&aor));
    struct buf others_after = without(&after.all, buf_str(&aor));
    FUZZ_CHECK(str_eq(buf_str(&others_before), buf_str(&others_after)));
    if (!world->has_proof && !world->callback_agreed)
        FUZZ_CHECK(are_same_lines(&before->stored.names, &after.names));
    check_contacts(answer, buf_str(&aor));
    buf_fini(&others_before);
    buf_fini(&others_after);
    free_snapshot(&after);
}

/* Is there nobody to answer to, or nothing to say yet? */
static bool is_silence_due(const struct before *before, bool is_parsed,
                           const struct sip_request *request, const struct sip_fault *fault)
{
    return is_parsed ? request->method == SIP_METHOD_ACK || world->held_count > before->held
                     : fault->status == 0;
}

/* `broken_status` is what the transport found wrong with the message; 0: nothing. */
static void check_message(struct world_client *c, const struct before *before, struct str message,
                          int broken_status)
{
    static struct answer answer;
    static struct sip_request request;
    struct sip_fault fault = {.reason = ""};
    struct arena arena;
    FUZZ_CHECK(arena_init(&arena, ARENA_BYTES, 8 << 20) == 0);
    bool is_parsed = sip_parse(message, &arena, &request, &fault);
    bool is_again = count_retransmissions() > before->retransmissions;
    unsigned answers = count_writes(c) - before->writes;
    FUZZ_CHECK(answers <= 1);
    if (answers == 0) {
        FUZZ_CHECK(is_silence_due(before, is_parsed, &request, &fault) || is_again || !sent_to(c));
        check_changes(before, NULL, NULL, false);
    } else {
        FUZZ_CHECK(is_again || !is_silence_due(before, is_parsed, &request, &fault));
        struct str text = buf_str(sent_to(c));
        text = str_slice(text, before->sent_bytes, text.len);
        answer_read(c->kind == TRANSPORT_WS ? unframe(text) : text, &answer);
        answer_check_echo(&answer, &request);
        int expected = broken_status != 0 ? broken_status : is_parsed ? 0 : fault.status;
        FUZZ_CHECK(expected == 0 || answer.status == expected);
        if (answer.status == 401)
            remember_challenge(c, &answer);
        check_changes(before, &answer, &request, is_again);
    }
    arena_fini(&arena);
}

static void keep_held(const struct before *before, const struct sip_source *source,
                      struct str message)
{
    if (world->held_count == before->held)
        return;
    FUZZ_CHECK(world->held_count == before->held + 1);
    struct world_held *held = &world->held[before->held];
    held->source = *source;
    held->has_proof = world->has_proof;
    buf_init_heap(&held->message, TEXT_MAX_BYTES);
    buf_put_str(&held->message, message);
}

static void on_message(void *arg, const struct sip_source *source, struct str message)
{
    (void)arg;
    struct world_client *c = world->speaking;
    FUZZ_CHECK(c && source->kind == c->kind);
    world->messages++;
    world->callback_agreed = false;
    struct str copy = {fuzz_copy(message), message.len};
    struct before before = look(c);
    registrar_on_message(world->registrar, source, message);
    keep_held(&before, source, copy);
    check_message(c, &before, copy, 0);
    free_snapshot(&before.stored);
    free((char *)copy.ptr);
}

static void on_broken(void *arg, const struct sip_source *source, struct str head, int status)
{
    (void)arg;
    struct str copy = {fuzz_copy(head), head.len};
    struct before before = look(world->speaking);
    registrar_on_broken(world->registrar, source, head, status);
    check_message(world->speaking, &before, copy, status);
    free_snapshot(&before.stored);
    free((char *)copy.ptr);
}

static void check_flow_left(void *arg, int error, uint64_t next, const struct store_aor *aors,
                            size_t count)
{
    FUZZ_CHECK(error == 0 && next == 0);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < aors[i].count; k++)
            FUZZ_CHECK(aors[i].bindings[k].conn != *(const conn_id *)arg);
}

static void check_flow_is_gone(conn_id conn)
{
    struct arena arena;
    FUZZ_CHECK(arena_init(&arena, ARENA_BYTES, ARENA_MAX_BYTES) == 0);
    world->store->ops->list(world->store, 0, 100000, &arena, check_flow_left, &conn);
    arena_fini(&arena);
}

static void on_closed(void *arg, enum transport_kind kind, conn_id conn, void *user,
                      const struct transport_end *end)
{
    (void)arg;
    FUZZ_CHECK(end->why);
    registrar_on_closed(world->registrar, kind, conn, user, end);
    check_flow_is_gone(conn);
}

static bool is_in_use(void *arg, conn_id conn, void *user)
{
    (void)arg;
    return registrar_is_in_use(world->registrar, conn, user);
}

void world_answer_held(struct world *w)
{
    if (w->held_count == 0)
        return;
    struct world_held held = w->held[0];
    memmove(&w->held[0], &w->held[1], --w->held_count * sizeof w->held[0]);
    struct world_client *c = NULL;
    for (size_t i = 0; i < WORLD_CLIENTS && !c; i++)
        if (w->client[i].kind == held.source.kind &&
            net_address_same(&w->client[i].remote, &held.source.remote))
            c = &w->client[i];
    FUZZ_CHECK(c);
    w->callback_agreed = false;
    w->has_proof = held.has_proof;
    struct before before = look(c);
    give(held.done, held.arg);
    if (held.source.conn == 0 || transport_is_open(w->transport, held.source.conn)) {
        check_message(c, &before, buf_str(&held.message), 0);
    } else {
        FUZZ_CHECK(count_writes(c) == before.writes); /* nobody is there to hear it */
        check_flow_is_gone(held.source.conn);
    }
    free_snapshot(&before.stored);
    buf_fini(&held.message);
}

/* ---- Clients -------------------------------------------------------------------------------- */

static void drop_closed(struct world *w)
{
    for (size_t i = 0; i < WORLD_CLIENTS; i++) {
        struct world_client *c = &w->client[i];
        if (c->stream && (c->stream->is_closed || c->stream->is_shut))
            c->stream = NULL;
        else if (c->stream && c->stream->sent.len > 1 << 20)
            buf_clear(&c->stream->sent);
    }
}

static void connect_client(struct world_client *c)
{
    c->stream = fake_connect(c->kind == TRANSPORT_WS ? 1 : 0, &c->remote);
    c->nonce[0] = 0;
    if (!c->stream || c->kind != TRANSPORT_WS)
        return;
    fake_receive(c->stream,
                 STR("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Protocol: sip\r\n\r\n"));
    FUZZ_CHECK(str_starts_nocase(buf_str(&c->stream->sent), STR("HTTP/1.1 101 ")));
}

static void put_frame(struct buf *b, struct str message)
{
    const uint8_t head[] = {0x81,
                            0xff,
                            0,
                            0,
                            0,
                            0,
                            0,
                            (uint8_t)(message.len >> 16),
                            (uint8_t)(message.len >> 8),
                            (uint8_t)message.len,
                            0,
                            0,
                            0,
                            0};
    const uint8_t short_head[] = {
        0x81, 0xfe, (uint8_t)(message.len >> 8), (uint8_t)message.len, 0, 0, 0, 0};
    const uint8_t shortest[] = {0x81, (uint8_t)(0x80 | message.len), 0, 0, 0, 0};
    if (message.len < 126)
        buf_put(b, shortest, sizeof shortest);
    else if (message.len < 65536)
        buf_put(b, short_head, sizeof short_head);
    else
        buf_put(b, head, sizeof head);
    buf_put_str(b, message);
}

void world_send(struct world *w, size_t client, struct str message, bool has_proof)
{
    struct world_client *c = &w->client[client % WORLD_CLIENTS];
    drop_closed(w);
    w->speaking = c;
    w->has_proof = has_proof;
    if (c->kind == TRANSPORT_UDP) {
        fake_datagram(&c->remote, message);
    } else {
        if (!c->stream)
            connect_client(c);
        if (c->stream && c->kind == TRANSPORT_WS) {
            struct buf frame;
            buf_init_heap(&frame, TEXT_MAX_BYTES);
            put_frame(&frame, message);
            fake_receive(c->stream, buf_str(&frame));
            buf_fini(&frame);
        } else if (c->stream) {
            fake_receive(c->stream, message);
        }
    }
    w->speaking = NULL;
    drop_closed(w);
}

void world_hang_up(struct world *w, size_t client)
{
    struct world_client *c = &w->client[client % WORLD_CLIENTS];
    if (c->stream)
        fake_hang_up(c->stream);
    drop_closed(w);
}

/* authCallback.timeoutMs: nobody waits for longer, lest he is granted what is over by then. */
static void time_out_held(struct world *w, uint64_t by_ms)
{
    enum { TIMEOUT_MS = 3000, SAYS_TIMEOUT = 7 };
    unsigned says = w->callback_says;
    w->callback_says = SAYS_TIMEOUT;
    while (w->held_count > 0 && by_ms - w->held[0].since_ms >= TIMEOUT_MS)
        world_answer_held(w);
    w->callback_says = says;
}

void world_advance(struct world *w, uint64_t ms)
{
    time_out_held(w, now_ms + ms);
    now_ms += ms;
    transport_tick(w->transport, now_ms);
    transport_close_banned(w->transport);
    w->store->ops->tick(w->store, 0, now_ms);
    drop_closed(w);
}

/* ---- The server ----------------------------------------------------------------------------- */

static void keep_settings(struct settings *settings)
{
    (void)settings; /* they are the world's */
}

static void load_config(struct world *w)
{
    static const char users[] = "{\"alice@example.com\":{\"password\":\"" WORLD_PASSWORD "\"},"
                                "\"bob@example.com\":{\"password\":\"" WORLD_PASSWORD "\"}}";
    char path[] = "/tmp/aorta-fuzz-XXXXXX", realms[512];
    int fd = mkstemp(path);
    FUZZ_CHECK(fd >= 0 && write(fd, users, sizeof users - 1) == (ssize_t)sizeof users - 1);
    close(fd);
    snprintf(realms, sizeof realms,
             "realms={\"example.com\":{\"users\":\"%s\"},\"cb.example\":{\"authCallback\":"
             "{\"uri\":\"http://127.0.0.1:9/\"},\"maxRegistrations\":3}}",
             path);
    const char *override[] = {realms,
                              "auth.algorithms=[\"SHA-256\",\"MD5\"]",
                              "auth.exposeMessage=true",
                              "auth.refreshCacheSeconds=600",
                              "registrar.minExpires=60",
                              "registrar.maxExpires=600",
                              "registrar.defaultExpires=300",
                              "registrar.maxContacts=3",
                              "limits.neverBan=[]",
                              "limits.messageBytes=8192",
                              "nat.expires=30"};
    const struct config_source source = {.override = override,
                                         .override_count = sizeof override / sizeof *override};
    struct buf errors;
    struct realms *loaded = NULL;
    buf_init_heap(&errors, 1 << 20);
    int rc = config_load(&source, &w->config, &errors);
    if (rc == 0)
        rc = realms_load(w->config, NULL, &loaded, &errors);
    unlink(path);
    fprintf(rc == 0 ? stdout : stderr, "%.*s", STR_ARG(buf_str(&errors)));
    FUZZ_CHECK(rc == 0);
    buf_fini(&errors);
    w->settings = (struct settings){.config = w->config, .realms = loaded, .free = keep_settings};
    atomic_init(&w->settings.references, 1);
}

static void open_clients(struct world *w)
{
    static const struct {
        enum transport_kind kind;
        const char *ip;
        uint16_t port;
    } row[WORLD_CLIENTS] = {
        {TRANSPORT_UDP, "192.0.2.1",   5060 },
        {TRANSPORT_UDP, "10.0.0.1",    40000},
        {TRANSPORT_TCP, "192.0.2.1",   50000},
        {TRANSPORT_TCP, "2001:db8::1", 50001},
        {TRANSPORT_WS,  "192.0.2.2",   50002},
    };
    for (size_t i = 0; i < WORLD_CLIENTS; i++) {
        w->client[i].kind = row[i].kind;
        FUZZ_CHECK(net_address_parse(&w->client[i].remote, str_from(row[i].ip), row[i].port) == 0);
    }
}

static void open_transport(struct world *w)
{
    static struct conn_limit *limit; /* so large that it is made once, as are these */
    static struct address_rates *request_rates;
    struct net_address address;
    if (!limit) {
        limit = conn_limit_new(100, 100);
        request_rates = address_rates_new();
    }
    FUZZ_CHECK(limit && request_rates);
    w->node_state = NODE_RUNNING;
    w->bans = bans_new();
    const struct transport_deps deps = {.config = w->config,
                                        .limit = limit,
                                        .bans = w->bans,
                                        .request_rates = request_rates,
                                        .metrics = &w->metrics,
                                        .node_state = &w->node_state};
    const struct transport_events events = {on_message, on_broken, on_closed, is_in_use, NULL};
    w->transport = transport_new(&deps);
    FUZZ_CHECK(w->bans && w->transport);
    transport_set_events(w->transport, &events);
    FUZZ_CHECK(net_address_parse(&address, STR("127.0.0.1"), 5060) == 0);
    FUZZ_CHECK(transport_listen(w->transport, TRANSPORT_TCP, TRANSPORT_CLIENTS, &address) == 0);
    FUZZ_CHECK(transport_listen(w->transport, TRANSPORT_WS, TRANSPORT_CLIENTS, &address) == 0);
    FUZZ_CHECK(transport_listen(w->transport, TRANSPORT_UDP, TRANSPORT_CLIENTS, &address) == 0);
}

static void open_registrar(struct world *w)
{
    static const struct str own[] = {STR("sip.example.net")};
    static struct address_rates *failure_rates;
    static struct journal *journal;
    static struct sip_traces traces; /* nobody is traced */
    if (!journal)
        journal = journal_new(1, 64 * 256);
    if (!failure_rates)
        failure_rates = address_rates_new();
    FUZZ_CHECK(failure_rates && journal);
    w->auth = auth_new(1, w->config->replay_bytes);
    w->store = store_memory_open(1, w->config->grace_s * 1000);
    FUZZ_CHECK(w->auth && w->store);
    const struct registrar_deps deps = {.auth = w->auth,
                                        .bans = w->bans,
                                        .failure_rates = failure_rates,
                                        .store = w->store,
                                        .workers = 1,
                                        .transport = w->transport,
                                        .metrics = &w->metrics,
                                        .journal = journal,
                                        .traces = &traces,
                                        .own_hosts = own,
                                        .own_host_count = 1};
    w->registrar = registrar_new(&deps, &w->settings);
    FUZZ_CHECK(w->registrar);
}

void world_open(struct world *w)
{
    memset(w, 0, sizeof *w);
    world = w;
    now_ms = UINT64_C(1800000000000);
    log_set_level(LOG_LEVEL_ERROR);
    load_config(w);
    open_transport(w);
    open_clients(w);
    open_registrar(w);
}

void world_settle(struct world *w)
{
    while (w->held_count > 0)
        world_answer_held(w);
    FUZZ_CHECK(registrar_is_idle(w->registrar));
    for (size_t i = 0; i < WORLD_CLIENTS; i++) {
        struct world_client *c = &w->client[i];
        world_hang_up(w, i);
        *c = (struct world_client){.kind = c->kind, .remote = c->remote};
    }
    w->callback_says = 0;
    w->callback_waits = false;
    struct store_counts counts;
    world_advance(w, 3600 * 1000); /* longer than any grant, any ban, and what is remembered */
    w->store->ops->count(w->store, &counts);
    FUZZ_CHECK(counts.aors == 0);
    fake_net_free_closed();
}

void world_close(struct world *w)
{
    world_settle(w);
    fake_net_end();
    transport_close(w->transport);
    registrar_cancel(w->registrar);
    registrar_free(w->registrar);
    store_close(w->store);
    transport_free(w->transport);
    bans_free(w->bans);
    auth_free(w->auth);
    realms_free((struct realms *)w->settings.realms);
    config_free(w->config);
}
