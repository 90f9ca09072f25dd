#include "unit/auth_world.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- The callback --------------------------------------------------------------------------- */

_Thread_local struct fake_http fake;

struct http_lane {
    bool is_open;
};

struct http_lane *http_lane_open(struct http_client *client,
                                 const struct http_lane_options *options)
{
    (void)client;
    struct http_lane *lane = malloc(sizeof *lane);
    assert_non_null(lane);
    lane->is_open = true;
    fake.options = *options;
    fake.open_lanes++;
    return lane;
}

void http_lane_close(struct http_lane *lane)
{
    for (unsigned i = 0; i < fake.count && i < FAKE_POSTS; i++)
        if (fake.post[i].done && fake.post[i].lane == lane)
            fake_give(i, fake_error(-ECANCELED));
    fake.open_lanes--;
    free(lane);
}

void http_lane_post(struct http_lane *lane, struct str body, http_answered_fn *done, void *arg)
{
    struct fake_post *post = &fake.post[fake.count < FAKE_POSTS ? fake.count : FAKE_POSTS - 1];
    fake.count++;
    assert_true(body.len < sizeof post->body);
    *post = (struct fake_post){.lane = lane, .done = done, .arg = arg};
    snprintf(post->body, sizeof post->body, "%.*s", STR_ARG(body));
    if (!fake.is_deferred)
        fake_give((unsigned)(post - fake.post), fake.answer);
}

uint32_t http_lane_wait_ms(const struct http_lane *lane)
{
    (void)lane;
    return fake.wait_ms;
}

struct http_lane_load http_lane_load(const struct http_lane *lane)
{
    (void)lane;
    return (struct http_lane_load){0};
}

void fake_give(unsigned number, struct http_answer answer)
{
    struct fake_post *post = &fake.post[number];
    http_answered_fn *done = post->done;
    assert_non_null(done);
    post->done = NULL;
    done(post->arg, &answer);
}

struct http_answer fake_status(int status, const char *body)
{
    return (struct http_answer){.why = "", .status = status, .body = str_from(body), .took_ms = 10};
}

struct http_answer fake_json(const char *json)
{
    return fake_status(200, json);
}

struct http_answer fake_error(int error)
{
    return (struct http_answer){.error = error, .why = "as the test wants it", .took_ms = 10};
}

/* ---- The server ----------------------------------------------------------------------------- */

void write_temporary(char path[64], const char *text)
{
    snprintf(path, 64, "/tmp/aorta-test-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

void world_open(struct world *w, const char *users_json, bool has_callback)
{
    char memory[256];
    struct buf errors;
    buf_init_fixed(&errors, memory, sizeof memory);
    memset(w, 0, sizeof *w);
    memset(&fake, 0, sizeof fake);
    w->config.algorithms[0] = DIGEST_SHA_512_256;
    w->config.algorithms[1] = DIGEST_MD5;
    w->config.algorithm_count = 2;
    w->config.nonce_ttl_s = 300;
    w->config.default_expires_s = 3600;
    if (has_callback)
        w->config.callback = (struct config_callback){
            .uri = "http://user:secret@127.0.0.1:9/auth?token=secret",
            .timeout_ms = 3000,
            .max_connections = 64,
        };
    if (users_json) {
        write_temporary(w->users_file, users_json);
        w->config.users = w->users_file;
    }
    int rc = realms_load(&w->config, NULL, &w->realms, &errors);
    unlink(w->users_file);
    if (rc < 0)
        fail_msg("%.*s", STR_ARG(buf_str(&errors)));
    w->lanes = callback_lanes_new(w->realms, NULL, 2);
    w->auth = auth_new(2, 8 << 20);
    assert_non_null(w->lanes);
    assert_non_null(w->auth);
}

void world_close(struct world *w)
{
    callback_lanes_free(w->lanes);
    auth_free(w->auth);
    realms_free(w->realms);
}

/* ---- A client ------------------------------------------------------------------------------- */

void client_open(struct client *c, struct world *w)
{
    memset(c, 0, sizeof *c);
    c->w = w;
    assert_int_equal(arena_init(&c->arena, 4096, 262144), 0);
    c->own_host[0] = STR("sip.example.net");
    c->own_host[1] = STR("2001:db8::5");
    c->sip.method_text = STR("REGISTER");
    c->sip.call_id = STR("r7vur4j32phhjbmskgi6gl");
    c->request = (struct auth_request){
        .config = &w->config,
        .policy = realms_find(w->realms, STR("example.com")),
        .lanes = w->lanes,
        .sip = &c->sip,
        .protocol = TRANSPORT_WSS,
        .conn = 7,
        .own_hosts = c->own_host,
        .own_host_count = 2,
        .now_ms = NOW_MS,
    };
    assert_int_equal(net_address_parse(&c->request.source, STR("192.0.2.1"), 5060), 0);
    set_aor(c, "alice", "example.com");
}

void client_close(struct client *c)
{
    arena_fini(&c->arena);
}

void set_aor(struct client *c, const char *user, const char *host)
{
    snprintf(c->aor, sizeof c->aor, "sip:%s@%s", user, host);
    struct str uri = str_from(c->aor);
    c->request.aor = str_slice(uri, 4, uri.len);
    c->request.realm = str_slice(uri, 4 + strlen(user) + 1, uri.len);
    assert_int_equal(sip_uri_parse(uri, &c->sip.request_uri), SIP_URI_OK);
}

void take_nonce(struct client *c, char nonce[NONCE_TEXT + 1])
{
    char memory[1024];
    struct buf b;
    buf_init_fixed(&b, memory, sizeof memory);
    auth_put_challenges(c->w->auth, &b, 1, &c->request, false);
    buf_put_char(&b, '\0');
    assert_int_equal(b.error, 0);
    const char *at = strstr(memory, "nonce=\"");
    assert_non_null(at);
    memcpy(nonce, at + strlen("nonce=\""), NONCE_TEXT);
    nonce[NONCE_TEXT] = '\0';
}

static void on_checked(void *arg, const struct auth_result *result)
{
    struct client *c = arg;
    c->result = *result;
    assert_true(result->grant.len < sizeof c->grant && result->message.len < sizeof c->message);
    snprintf(c->grant, sizeof c->grant, "%.*s", STR_ARG(result->grant));
    snprintf(c->message, sizeof c->message, "%.*s", STR_ARG(result->message));
    c->done++;
    assert_non_null(result->cause);
    assert_int_equal(result->retry_after_s > 0, result->verdict == AUTH_UNAVAILABLE);
    bool is_to_try_again = result->verdict == AUTH_CHALLENGE || result->verdict == AUTH_STALE;
    assert_int_equal(result->reason != AUTH_NO_REASON, is_to_try_again);
    arena_reset(&c->arena); /* nobody may touch the attempt any more */
}

void begin(struct client *c, const char *first, const char *second)
{
    c->sip.authorization_count = 0;
    if (first)
        c->sip.authorizations[c->sip.authorization_count++] =
            arena_copy(&c->arena, str_from(first));
    if (second)
        c->sip.authorizations[c->sip.authorization_count++] =
            arena_copy(&c->arena, str_from(second));
    c->done = 0;
    auth_check(c->w->auth, &c->request, &c->arena, on_checked, c);
}

void begin_answer(struct client *c, const struct answer *a)
{
    char text[1024];
    begin(c, write_answer(a, text), NULL);
}

enum auth_verdict ask(struct client *c, const char *first, const char *second)
{
    begin(c, first, second);
    assert_int_equal(c->done, 1);
    return c->result.verdict;
}

enum auth_verdict try_answer(struct client *c, const struct answer *a)
{
    char text[1024];
    return ask(c, write_answer(a, text), NULL);
}

enum auth_verdict try_fresh(struct client *c, const char *password)
{
    char nonce[NONCE_TEXT + 1];
    take_nonce(c, nonce);
    return try_answer(c, &(struct answer){.nonce = nonce, .password = password});
}

/* ---- What it writes ------------------------------------------------------------------------- */

const char *given(const char *value, const char *usual)
{
    return value == NULL ? usual : value;
}

static struct str hashed(const char *value, const char *usual)
{
    const char *text = given(value, usual);
    return strcmp(text, NO) == 0 ? STR_NONE : str_from(text);
}

static void put_response(struct buf *b, const struct answer *a)
{
    enum digest_algorithm algorithm = DIGEST_MD5;
    (void)digest_parse_name(str_from(given(a->algorithm, "MD5")), &algorithm);
    struct digest_question question = {
        .method = STR("REGISTER"),
        .uri = hashed(a->uri, "sip:example.com"),
        .nonce = hashed(a->nonce, ""),
        .nc = hashed(a->nc, "00000001"),
        .cnonce = hashed(a->cnonce, "0a4f113b"),
        .qop = hashed(a->qop, "auth"),
    };
    uint8_t ha1[DIGEST_MAX_BYTES], response[DIGEST_MAX_BYTES];
    digest_ha1(algorithm, hashed(a->username, "alice"), hashed(a->realm, "example.com"),
               hashed(a->password, "wonder"), ha1);
    digest_response(algorithm, ha1, &question, response);
    buf_put_text(b, ", response=\"");
    size_t from = b->len;
    if (a->response)
        buf_put_text(b, a->response);
    else
        buf_put_hex(b, response, digest_size(algorithm));
    for (size_t i = from; a->is_upper_case && i < b->len; i++)
        b->data[i] = (char)toupper((unsigned char)b->data[i]);
    buf_put_char(b, '"');
}

static void put_param(struct buf *b, const char *name, const char *value, bool is_quoted)
{
    if (strcmp(value, NO) == 0)
        return;
    buf_printf(b, is_quoted ? ", %s=\"%s\"" : ", %s=%s", name, value);
}

const char *write_answer(const struct answer *a, char text[1024])
{
    struct buf b;
    buf_init_fixed(&b, text, 1024);
    buf_put_text(&b, "Digest opaque=\"\"");
    put_param(&b, "username", given(a->username, "alice"), true);
    put_param(&b, "realm", given(a->realm, "example.com"), true);
    put_param(&b, "nonce", given(a->nonce, ""), true);
    put_param(&b, "uri", given(a->uri, "sip:example.com"), true);
    put_response(&b, a);
    put_param(&b, "algorithm", given(a->algorithm, "MD5"), false);
    put_param(&b, "cnonce", given(a->cnonce, "0a4f113b"), true);
    put_param(&b, "qop", given(a->qop, "auth"), false);
    put_param(&b, "nc", given(a->nc, "00000001"), false);
    buf_put_char(&b, '\0');
    assert_int_equal(b.error, 0);
    return text;
}
