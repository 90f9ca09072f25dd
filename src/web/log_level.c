#include "web_internal.h"
#include <aorta/log.h>
#include <cjson/cJSON.h>

void web_show_log_level(const struct web_call *call, struct http_reply *reply)
{
    (void)call;
    web_begin_json(reply);
    buf_printf(&reply->body, "{\"level\":\"%s\"}", log_level_name(log_level()));
}

void web_set_log_level(const struct web_call *call, struct http_reply *reply)
{
    static const char *const members[] = {"level"};
    cJSON *root = web_parse_body(call->request, members, 1, reply);
    if (!root)
        return;
    struct str name = STR_NONE;
    enum log_level level;
    bool is_level = web_take_string(root, "level", &name) && log_level_parse(name, &level) == 0;
    cJSON_Delete(root);
    if (!is_level) {
        web_put_error(reply, 400, "bad_level", "level must be error, warn, info, debug or trace");
        return;
    }
    LOG_INFO("log level set", LOG_TEXT("level", log_level_name(level)));
    log_set_level(level);
    web_show_log_level(call, reply);
}
