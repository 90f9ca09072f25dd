#include <aorta/binding_json.h>

/* End of the Path value that starts at `from`: the comma between two stands outside of <> and "".
 */
static size_t path_end(struct str path, size_t from)
{
    bool is_quoted = false, is_bracketed = false;
    size_t i = from;
    for (; i < path.len; i++) {
        char c = path.ptr[i];
        if (is_quoted && c == '\\')
            i++;
        else if (c == '"' && !is_bracketed)
            is_quoted = !is_quoted;
        else if (!is_quoted && (c == '<' || c == '>'))
            is_bracketed = c == '<';
        else if (c == ',' && !is_quoted && !is_bracketed)
            break;
    }
    return i < path.len ? i : path.len;
}

static void put_path(struct buf *b, struct str path)
{
    buf_put_text(b, ",\"path\":[");
    for (size_t from = 0; from < path.len;) {
        size_t end = path_end(path, from);
        if (from > 0)
            buf_put_char(b, ',');
        buf_put_json(b, str_trim(str_slice(path, from, end)));
        from = end + 1;
    }
    buf_put_char(b, ']');
}

static void put_q(struct buf *b, int32_t q_milli)
{
    int32_t q = q_milli < 0 ? 1000 : q_milli; /* none given counts as the highest */
    const char digits[] = {(char)('0' + q / 1000), '.', (char)('0' + q / 100 % 10),
                           (char)('0' + q / 10 % 10), (char)('0' + q % 10)};
    buf_put_text(b, ",\"q\":");
    buf_put(b, digits, sizeof digits);
}

static void put_shortest_hex(struct buf *b, uint32_t n)
{
    char digits[8];
    size_t at = sizeof digits;
    do
        digits[--at] = "0123456789abcdef"[n & 15];
    while ((n >>= 4) > 0);
    buf_put(b, digits + at, sizeof digits - at);
}

void binding_put_flow(struct buf *b, conn_id conn)
{
    if (conn == 0) {
        buf_put_text(b, ",\"flow\":null");
        return;
    }
    buf_put_text(b, ",\"flow\":\"");
    put_shortest_hex(b, conn_id_worker(conn));
    buf_put_char(b, '.');
    put_shortest_hex(b, conn_id_slot(conn));
    buf_put_char(b, '.');
    put_shortest_hex(b, conn_id_generation(conn));
    buf_put_char(b, '"');
}

static void put_proxy(struct buf *b, const struct net_address *source)
{
    char text[NET_ADDRESS_TEXT];
    buf_put_text(b, ",\"proxy\":\"sip:");
    buf_put_str(b, net_address_host_port(source, text));
    buf_put_char(b, '"');
}

static void put_instance(struct buf *b, struct str instance)
{
    if (instance.len < 2) {
        buf_put_text(b, ",\"instance\":null");
        return;
    }
    buf_put_json_text(b, JSON_MEMBER("instance"),
                      str_slice(instance, 1, instance.len - 1)); /* without quotes */
}

static struct str either(struct str a, struct str b)
{
    return str_is_empty(a) ? b : a;
}

static uint64_t left_ms(const struct binding *binding, uint64_t now_ms)
{
    return binding->expires_ms > now_ms ? binding->expires_ms - now_ms : 0;
}

void binding_put_members(struct buf *b, const struct binding *binding,
                         const struct binding_json_context *ctx)
{
    buf_put_text(b, "\"contact\":");
    buf_put_json(b, binding->contact);
    buf_put_json_text(b, JSON_MEMBER("protocol"), str_from(transport_kind_name(binding->protocol)));
    put_proxy(b, &binding->source);
    buf_put_json_text(b, JSON_MEMBER("sbcAddress"), either(binding->sbc_address, ctx->sbc_address));
    if (ctx->now_ms > 0)
        buf_put_json_number(b, JSON_MEMBER("expiresIn"),
                            (left_ms(binding, ctx->now_ms) + 999) / 1000);
    buf_put_json_number(b, JSON_MEMBER("expiryTime"), binding->expires_ms);
    put_q(b, binding->q_milli);
    buf_put_json_text(b, JSON_MEMBER("callId"), binding->call_id);
    buf_put_json_number(b, JSON_MEMBER("cseq"), binding->cseq);
    put_instance(b, binding->instance);
    if (binding->reg_id > 0)
        buf_put_json_number(b, JSON_MEMBER("regId"), binding->reg_id);
    else
        buf_put_text(b, ",\"regId\":null");
    put_path(b, binding->path);
    buf_put_json_text(b, JSON_MEMBER("userAgent"), binding->user_agent);
    buf_put_text(b, binding->is_nat ? ",\"nat\":true" : ",\"nat\":false");
    buf_put_json_text(b, JSON_MEMBER("node"), either(binding->node, ctx->node));
    binding_put_flow(b, binding->is_flow_dead ? 0 : binding->conn);
    buf_put_text(b, ",\"grant\":");
    buf_put_str(b, str_is_empty(binding->grant) ? STR("null") : binding->grant);
}

void binding_put_json(struct buf *b, struct str aor, const struct binding *binding,
                      const struct binding_json_context *ctx)
{
    buf_put_text(b, "{\"aor\":");
    buf_put_json(b, aor);
    buf_put_char(b, ',');
    binding_put_members(b, binding, ctx);
    buf_put_char(b, '}');
}
