#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "contract/register_steps.h"
#include <cmocka.h>

struct config register_config(void)
{
    return (struct config){
        .min_expires_s = 60,
        .max_expires_s = 3600,
        .default_expires_s = 3600,
        .grace_s = REGISTER_GRACE_MS / 1000,
        .max_contacts = 10,
        .overflow = OVERFLOW_REPLACE_OLDEST,
        .nat_expires_s = 30,
        .nat_transports = 1 << TRANSPORT_UDP,
        .refresh_cache = true,
        .refresh_cache_s = 3600,
    };
}

static void put_lines(struct buf *b, const char *lines)
{
    for (; *lines; lines++) {
        if (*lines == '\n')
            buf_put_char(b, '\r');
        buf_put_char(b, *lines);
    }
}

const struct sip_request *register_request(struct arena *arena, const struct register_step *step)
{
    enum { MESSAGE_BYTES = 16384 };
    struct buf b;
    char *memory = arena_alloc(arena, MESSAGE_BYTES);
    assert_non_null(memory);
    buf_init_fixed(&b, memory, MESSAGE_BYTES);
    buf_put_text(&b, "REGISTER sip:example.com SIP/2.0\r\n"
                     "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"
                     "From: <sip:a@example.com>;tag=1\r\n"
                     "To: <sip:a@example.com>\r\n");
    buf_printf(&b, "Call-ID: %s\r\nCSeq: %u REGISTER\r\n", step->call_id, step->cseq);
    put_lines(&b, step->headers);
    buf_put_text(&b, "Content-Length: 0\r\n\r\n");
    assert_int_equal(b.error, 0);

    struct sip_fault fault;
    struct sip_request *sip = arena_alloc(arena, sizeof *sip);
    assert_non_null(sip);
    if (!sip_parse(buf_str(&b), arena, sip, &fault))
        fail_msg("%s: %s", step->headers, fault.reason);
    return sip;
}

struct binding_request register_binding_request(const struct config *config,
                                                const struct register_step *step,
                                                const struct sip_request *sip)
{
    struct binding_request request = {
        .aor = step->aor ? str_from(step->aor) : STR("a@example.com"),
        .sip = sip,
        .protocol = step->conn ? TRANSPORT_WSS : TRANSPORT_UDP,
        .conn = step->conn,
        .is_nat = step->is_nat,
        .is_proof_away = step->is_proof_away,
        .expires_limit_s = step->limit_s,
        .max_registrations = step->room,
        .config = config,
        .now_ms = REGISTER_EPOCH_MS + 1000 * step->at_s,
    };
    request.authenticated_ms = step->is_stranger ? 0 : request.now_ms;
    net_address_parse(&request.source, STR("192.0.2.1"), step->port ? step->port : 5060);
    return request;
}

void register_put_bindings(struct buf *b, const struct binding *bindings, size_t count,
                           uint64_t now_ms)
{
    for (size_t i = 0; i < count; i++)
        buf_printf(b, "%s%.*s=%lld", i > 0 ? " " : "", STR_ARG(bindings[i].contact),
                   ((long long)bindings[i].expires_ms - (long long)now_ms) / 1000);
}

static void check(const struct register_step *step, const struct register_result *result,
                  uint64_t now_ms)
{
    if (result->error)
        fail_msg("%s: error %d", step->why, result->error);
    if (result->verdict != step->verdict)
        fail_msg("%s: verdict %d, not %d", step->why, (int)result->verdict, (int)step->verdict);
    if (result->min_expires_s != step->brief_s)
        fail_msg("%s: Min-Expires %u, not %u", step->why, result->min_expires_s, step->brief_s);

    char text[4096];
    struct buf b;
    buf_init_fixed(&b, text, sizeof text);
    register_put_bindings(&b, result->bindings, result->count, now_ms);
    assert_int_equal(b.error, 0);
    if (!str_eq(buf_str(&b), str_from(step->bindings ? step->bindings : "")))
        fail_msg("%s: \"%.*s\"", step->why, STR_ARG(buf_str(&b)));
}

void register_steps_play(const struct config *config, const struct register_step *steps,
                         size_t count, register_apply_fn *apply, void *arg)
{
    for (const struct register_step *step = steps; step < steps + count; step++) {
        struct arena arena;
        assert_int_equal(arena_init(&arena, 65536, 1 << 20), 0);
        const struct sip_request *sip = register_request(&arena, step);
        struct binding_request request = register_binding_request(config, step, sip);
        struct register_result result = apply(arg, &request, &arena);
        check(step, &result, request.now_ms);
        arena_fini(&arena);
    }
}
