#include "web_internal.h"
#include <aorta/log.h>

void web_drain(const struct web_call *call, struct http_reply *reply)
{
    const struct web_info *info = &call->worker->web->info;
    LOG_INFO("told to drain by admin");
    info->drain(info->drain_arg);
    web_begin_json(reply);
    reply->status = 202;
    buf_printf(&reply->body, "{\"state\":\"draining\",\"seconds\":%u}",
               call->worker->config->drain_s);
}
