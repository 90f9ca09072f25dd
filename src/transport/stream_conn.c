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
    struct sip_source source = conn_source(c);
    c->t->events.broken(c->t->events.arg, &source, head, status);
    conn_linger(c);
}

size_t stream_conn_read(struct conn *c, char *data, size_t len)
{
    size_t used = 0;
    while (used < len && c->phase == CONN_STREAM && !c->is_doomed) {
        struct str rest = {data + used, len - used};
        struct sip_frame frame = sip_frame_next(rest, c->t->deps.config->message_bytes);
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
            conn_close(c);
            return len;
        }
        used += frame.bytes;
    }
    return used;
}
