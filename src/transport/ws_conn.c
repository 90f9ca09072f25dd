/* SIP over WebSocket (RFC 7118): frames to messages. */
#include "transport_internal.h"
#include <errno.h>
#include <stdlib.h>

int ws_conn_send(struct conn *c, enum ws_opcode opcode, char *payload, size_t len)
{
    size_t header = ws_frame_put_header(payload, opcode, len);
    return conn_write(c, payload - header, header + len);
}

static void send_control(struct conn *c, enum ws_opcode opcode, const char *payload, size_t len)
{
    char memory[TRANSPORT_HEADROOM + 125];
    memcpy(memory + TRANSPORT_HEADROOM, payload, len);
    ws_conn_send(c, opcode, memory + TRANSPORT_HEADROOM, len);
}

/* Why it ends when nobody has said so more exactly. */
static const char *why_of(uint16_t code)
{
    switch (code) {
    case WS_CLOSE_GOING_AWAY:
        return "this node was shutting down";
    case WS_CLOSE_BAD_DATA:
        return "the client sent text that is not UTF-8";
    case WS_CLOSE_POLICY:
        return "the client was turned away";
    case WS_CLOSE_TOO_BIG:
        return "the client's message was above limits.messageBytes";
    case WS_CLOSE_INTERNAL:
        return "this node was out of memory";
    case WS_CLOSE_TRY_LATER:
        return "this node had too much to do";
    default:
        return "the client broke the WebSocket protocol";
    }
}

void ws_conn_close(struct conn *c, uint16_t code)
{
    conn_set_end(c, why_of(code));
    if (c->end.ws_code == 0)
        c->end.ws_code = code;
    char payload[2] = {(char)(code >> 8), (char)code};
    send_control(c, WS_CLOSE, payload, sizeof payload);
    conn_linger(c);
}

void ws_conn_free(struct conn *c)
{
    if (!c->message)
        return;
    buf_fini(c->message);
    free(c->message);
    c->message = NULL;
}

/* The peer's close frame is answered by its own code (RFC 6455 5.5.1), or by what was wrong. */
static void on_close_frame(struct conn *c, struct str payload)
{
    conn_set_end(c, "the client closed it");
    if (payload.len == 0) {
        send_control(c, WS_CLOSE, "", 0);
        conn_linger(c);
        return;
    }
    unsigned code = payload.len < 2 ? 0
                                    : (unsigned)(unsigned char)payload.ptr[0] << 8 |
                                          (unsigned char)payload.ptr[1];
    bool is_valid = ws_close_code_is_valid(code);
    if (is_valid && !str_is_utf8(str_slice(payload, 2, payload.len)))
        ws_conn_close(c, WS_CLOSE_BAD_DATA);
    else
        ws_conn_close(c, is_valid ? (uint16_t)code : WS_CLOSE_PROTOCOL_ERROR);
}

static void deliver(struct conn *c, struct str message, bool is_text)
{
    if (is_text && !str_is_utf8(message)) {
        ws_conn_close(c, WS_CLOSE_BAD_DATA);
        return;
    }
    if (str_eq(message, STR("\r\n\r\n"))) { /* RFC 5626 4.4.1, as SIP.js sends it */
        char pong[TRANSPORT_HEADROOM + 2];
        memcpy(pong + TRANSPORT_HEADROOM, "\r\n", 2);
        ws_conn_send(c, WS_TEXT, pong + TRANSPORT_HEADROOM, 2);
        return;
    }
    if (str_trim(message).len > 0)
        conn_deliver(c, message);
}

static int begin_message(struct conn *c, const struct ws_frame *frame)
{
    c->message = malloc(sizeof *c->message);
    if (!c->message)
        return -ENOMEM;
    buf_init_secret(c->message, c->t->deps.config->message_bytes);
    c->message_is_text = frame->opcode == WS_TEXT;
    return 0;
}

static void close_too_big(struct conn *c)
{
    transport_limit_reached(c->t, LIMIT_MESSAGE_BYTES, &c->remote);
    ws_conn_close(c, WS_CLOSE_TOO_BIG);
}

static void on_fragment(struct conn *c, const struct ws_frame *frame)
{
    if (!c->message && begin_message(c, frame) < 0) {
        ws_conn_close(c, WS_CLOSE_INTERNAL);
        return;
    }
    buf_put(c->message, frame->payload, frame->payload_bytes);
    if (c->message->error == -ENOSPC) {
        close_too_big(c);
        return;
    }
    if (c->message->error) {
        ws_conn_close(c, WS_CLOSE_INTERNAL);
        return;
    }
    if (!frame->is_final)
        return;
    struct buf *whole = c->message;
    c->message = NULL;
    deliver(c, buf_str(whole), c->message_is_text);
    buf_fini(whole);
    free(whole);
}

static void on_frame(struct conn *c, const struct ws_frame *frame)
{
    switch (frame->opcode) {
    case WS_PING:
        send_control(c, WS_PONG, frame->payload, frame->payload_bytes);
        break;
    case WS_PONG:
        break; /* that it came is what counts: heard_ms */
    case WS_CLOSE:
        on_close_frame(c, (struct str){frame->payload, frame->payload_bytes});
        break;
    case WS_CONTINUATION:
        if (c->message)
            on_fragment(c, frame);
        else
            ws_conn_close(c, WS_CLOSE_PROTOCOL_ERROR);
        break;
    case WS_TEXT:
    case WS_BINARY:
        if (c->message)
            ws_conn_close(c, WS_CLOSE_PROTOCOL_ERROR);
        else if (frame->is_final)
            deliver(c, (struct str){frame->payload, frame->payload_bytes},
                    frame->opcode == WS_TEXT);
        else
            on_fragment(c, frame);
        break;
    }
}

size_t ws_conn_read(struct conn *c, char *data, size_t len)
{
    size_t used = 0;
    while (used < len && c->phase == CONN_WS && !c->is_doomed) {
        struct ws_frame frame;
        uint16_t close_code;
        enum ws_frame_result result =
            ws_frame_read(data + used, len - used, c->t->deps.config->message_bytes, &frame,
                          &close_code);
        if (result == WS_FRAME_MORE)
            break;
        if (result == WS_FRAME_BAD && close_code == WS_CLOSE_TOO_BIG) {
            close_too_big(c);
            return len;
        }
        if (result == WS_FRAME_BAD) {
            ws_conn_close(c, close_code);
            return len;
        }
        on_frame(c, &frame);
        used += frame.total_bytes;
    }
    return used;
}
