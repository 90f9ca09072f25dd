#include "web_internal.h"
#include <aorta/transport.h>

void web_later_begin(struct web_later *later, const struct web_call *call, struct http_reply *reply)
{
    *later = (struct web_later){.transport = call->worker->transport,
                                .conn = call->request->conn,
                                .handlers = reply,
                                .answer = {.status = 404}};
    buf_init_heap(&later->answer.body, HTTP_REPLY_MAX_BYTES);
}

bool web_later_leave(struct web_later *later)
{
    later->handlers->is_later = !later->is_sent;
    later->handlers = NULL;
    return later->is_sent;
}

bool web_later_send(struct web_later *later)
{
    later->is_sent = true;
    if (later->handlers) {
        buf_fini(&later->handlers->body);
        *later->handlers = later->answer; /* and its body with it */
        return false;
    }
    /* Who is gone needs no answer. */
    (void)transport_http_reply(later->transport, later->conn, &later->answer);
    return true;
}
