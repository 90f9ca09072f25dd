/* SIP over TCP and TLS: messages cut by Content-Length (RFC 3261 18.3), keep-alives between them
 * (RFC 5626 4.4.1). */
#include "transport_internal.h"
#include <aorta/sip.h>

static void send_pong(struct conn *c)
{
    char memory[TRANSPORT_HEADROOM + 2];
    memcpy(memory + TRANSPORT_HEADROOM, "\r\n", 2);
    conn_write(c, memory + TRANSPORT_HEADROOM, 2);
}

static void refuse(struct conn *c, struct str head, int status)
{
    if (status == 513)
        transport_limit_reached(c->t, LIMIT_MESSAGE_BYTES, &c->remote);
    struct sip_source source = conn_source(c);
    c->t->events.broken(c->t->events.arg, &source, head, status);
    conn_set_end(c, "the client sent a message that cannot be cut from the stream");
    conn_linger(c);
}

/* No head is longer than its message. */
static size_t head_max_bytes(const struct conn *c)
{
    const struct config *config = c->t->deps.config;
    bool is_own = config->header_bytes < config->message_bytes;
    return is_own ? config->header_bytes : config->message_bytes;
}

/* Also of a head that is not whole: whatever follows, it will not be short enough any more. */
static bool has_long_head(const struct conn *c, struct str rest, const struct sip_frame *frame)
{
    size_t max_bytes = head_max_bytes(c);
    if (frame->head_bytes > 0 || rest.len < max_bytes)
        return frame->head_bytes > max_bytes;
    struct str begin = str_slice(rest, 0, max_bytes);
    return sip_frame_next(begin, SIZE_MAX).kind == SIP_FRAME_MORE;
}

static void refuse_long_head(struct conn *c, struct str rest)
{
    struct sip_source source = conn_source(c);
    transport_limit_reached(c->t, LIMIT_HEADER_BYTES, &c->remote);
    c->t->events.broken(c->t->events.arg, &source, str_slice(rest, 0, head_max_bytes(c)), 513);
    conn_set_end(c, "the client's message was above limits.headerBytes");
    conn_linger(c);
}

size_t stream_conn_read(struct conn *c, char *data, size_t len)
{
    size_t used = 0;
    while (used < len && c->phase == CONN_STREAM && !c->is_doomed) {
        struct str rest = {data + used, len - used};
        struct sip_frame frame = sip_frame_next(rest, c->t->deps.config->message_bytes);
        if (has_long_head(c, rest, &frame)) {
            refuse_long_head(c, rest);
            return len;
        }
        switch (frame.kind) {
        case SIP_FRAME_MORE:
            return used;
        case SIP_FRAME_PING:
            send_pong(c);
            break;
        case SIP_FRAME_BLANK:
            break;
        case SIP_FRAME_MESSAGE:
            conn_deliver(c, str_slice(rest, 0, frame.bytes));
            break;
        case SIP_FRAME_TOO_LARGE:
        case SIP_FRAME_NO_LENGTH:
            refuse(c, str_slice(rest, 0, frame.head_bytes),
                   frame.kind == SIP_FRAME_TOO_LARGE ? 513 : 400);
            return len;
        case SIP_FRAME_GARBAGE:
            conn_set_end(c, "the client sent what is no SIP");
            conn_close(c);
            return len;
        }
        used += frame.bytes;
    }
    return used;
}
