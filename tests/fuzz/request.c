/* A message to a struct sip_request, and the answer that is made of it. */
#include "answer_check.h"
#include "fuzz.h"

enum { ARENA_BYTES = 16 << 10, ARENA_MAX_BYTES = 8 << 20 };

static void check_aor(const struct sip_uri *uri)
{
    char memory[1024], again[1024];
    struct buf b, twice;
    buf_init_fixed(&b, memory, sizeof memory);
    buf_put_text(&b, "sip:");
    if (sip_uri_write_aor(uri, &b) < 0 || b.error)
        return;
    struct sip_uri aor;
    FUZZ_CHECK(sip_uri_parse(buf_str(&b), &aor) == SIP_URI_OK);
    buf_init_fixed(&twice, again, sizeof again);
    buf_put_text(&twice, "sip:");
    FUZZ_CHECK(sip_uri_write_aor(&aor, &twice) == 0);
    FUZZ_CHECK(str_eq(buf_str(&b), buf_str(&twice)));
}

static void touch_uri(const struct sip_uri *uri)
{
    const struct str part[] = {uri->text, uri->user,   uri->password,
                               uri->host, uri->params, uri->headers};
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        fuzz_touch(part[i]);
        FUZZ_CHECK(fuzz_is_one_line(part[i]));
    }
}

static void check_contacts(const struct sip_request *request)
{
    FUZZ_CHECK(request->contact_count <= SIP_MAX_CONTACTS);
    FUZZ_CHECK(!request->contact_is_wildcard || request->contact_count == 0);
    for (size_t i = 0; i < request->contact_count; i++) {
        const struct sip_contact *c = &request->contacts[i];
        touch_uri(&c->uri);
        fuzz_touch(c->instance);
        FUZZ_CHECK(c->uri.host.len > 0 && fuzz_is_one_line(c->instance));
        FUZZ_CHECK(c->q_milli >= -1 && c->q_milli <= 1000);
        FUZZ_CHECK(c->expires_s >= -1 && c->expires_s <= UINT32_MAX);
        FUZZ_CHECK(sip_uri_equal(&c->uri, &c->uri));
    }
}

static void check_request(const struct sip_request *request)
{
    FUZZ_CHECK(request->via_count > 0 && request->via_count <= SIP_MAX_VIAS);
    FUZZ_CHECK(request->from.len > 0 && request->to.len > 0 && request->call_id.len > 0);
    touch_uri(&request->request_uri);
    touch_uri(&request->from_uri);
    touch_uri(&request->to_uri);
    check_aor(&request->to_uri);
    check_contacts(request);
    for (size_t i = 0; i < request->path_count; i++)
        FUZZ_CHECK(fuzz_is_one_line(request->paths[i]));
    for (size_t i = 0; i < request->authorization_count; i++)
        FUZZ_CHECK(fuzz_is_one_line(request->authorizations[i]));
    FUZZ_CHECK(fuzz_is_one_line(request->unsupported) && fuzz_is_one_line(request->user_agent));
    fuzz_touch(request->body);
}

static void check_answer(const struct sip_request *request, int status, const char *reason)
{
    static struct answer answer;
    struct net_address source;
    struct buf b;
    net_address_parse(&source, STR("192.0.2.1"), 5060);
    const struct sip_reply_context ctx = {.request = request,
                                          .source = &source,
                                          .to_tag = STR("0123456789abcdef")};
    buf_init_heap(&b, 4 << 20);
    sip_reply_begin(&b, &ctx, status, reason);
    if (request->unsupported.len > 0)
        sip_reply_header(&b, "Unsupported", request->unsupported);
    sip_reply_end(&b);
    FUZZ_CHECK(b.error == 0);
    answer_read(buf_str(&b), &answer);
    FUZZ_CHECK(answer.status == status);
    answer_check_echo(&answer, request);
    buf_fini(&b);
}

/* What is masked stays so, and is no longer than promised. */
static void check_masked(struct str message)
{
    struct buf once, twice;
    buf_init_heap(&once, SIP_MASKED_BYTES(message.len));
    sip_put_masked(&once, message);
    FUZZ_CHECK(once.error == 0);
    buf_init_heap(&twice, SIP_MASKED_BYTES(once.len));
    sip_put_masked(&twice, buf_str(&once));
    FUZZ_CHECK(twice.error == 0 && str_eq(buf_str(&twice), buf_str(&once)));
    buf_fini(&once);
    buf_fini(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    static struct sip_request request;
    struct sip_fault fault = {.status = -1};
    struct str message = {(const char *)data, size};
    char *copy = fuzz_copy(message);
    check_masked((struct str){copy, size});
    FUZZ_CHECK(arena_init(&arena, ARENA_BYTES, ARENA_MAX_BYTES) == 0);
    memset(&request, 0xa5, sizeof request); /* nobody may count on zeros */
    if (sip_parse((struct str){copy, size}, &arena, &request, &fault)) {
        check_request(&request);
        check_answer(&request, 200, "OK");
    } else {
        FUZZ_CHECK(fault.status == 0 || (fault.status >= 400 && fault.status < 600));
        FUZZ_CHECK(fault.reason);
        if (fault.status != 0)
            check_answer(&request, fault.status, fault.reason);
    }
    arena_fini(&arena);
    free(copy);
    return 0;
}
