#include "web_internal.h"
#include <aorta/log.h>
#include <stdlib.h>

struct web *web_new(const struct web_info *info, struct buf *error)
{
    struct web *web = calloc(1, sizeof *web);
    if (!web)
        return NULL;
    web->info = *info;
    if (info->www) {
        web->assets = assets_load(info->www, error);
        if (!web->assets) {
            free(web);
            return NULL;
        }
    }
    return web;
}

void web_free(struct web *web)
{
    if (!web)
        return;
    assets_free(web->assets);
    free(web);
}

void web_set_addresses(struct web *web, const char *const *listeners, size_t listener_count,
                       const char *sbc_address)
{
    web->listeners = listeners;
    web->listener_count = listener_count;
    web->sbc_address = sbc_address;
}

void web_put_error(struct http_reply *reply, int status, const char *code, const char *message)
{
    reply->status = status;
    reply->content_type = "application/json";
    buf_printf(&reply->body, "{\"error\":{\"code\":\"%s\",\"message\":", code);
    buf_put_json(&reply->body, str_from(message));
    buf_put_text(&reply->body, "}}");
}

static void begin_json(struct http_reply *reply)
{
    reply->status = 200;
    reply->content_type = "application/json";
}

/* ---- Public routes ------------------------------------------------------------------------- */

typedef void route_fn(struct web *web, const struct http_request *request,
                      struct http_reply *reply);

struct route {
    struct str path;
    route_fn *serve;
    bool is_private; /* tells of users */
};

static void serve_health(struct web *web, const struct http_request *request,
                         struct http_reply *reply)
{
    (void)web;
    (void)request;
    begin_json(reply);
    buf_put_text(&reply->body, "{\"status\":\"ok\"}");
}

static const char *find_not_ready_reason(const struct web *web)
{
    switch (atomic_load(web->info.state)) {
    case NODE_STARTING:
        return "starting";
    case NODE_DRAINING:
        return "draining";
    default:
        return web->info.store->ops->is_ready(web->info.store) ? NULL : "store away";
    }
}

static void serve_ready(struct web *web, const struct http_request *request,
                        struct http_reply *reply)
{
    (void)request;
    const char *reason = find_not_ready_reason(web);
    begin_json(reply);
    if (!reason) {
        buf_put_text(&reply->body, "{\"status\":\"ready\"}");
        return;
    }
    reply->status = 503;
    buf_printf(&reply->body, "{\"reason\":\"%s\"}", reason);
}

static void serve_status(struct web *web, const struct http_request *request,
                         struct http_reply *reply)
{
    (void)request;
    begin_json(reply);
    web_put_status(web, &reply->body);
}

static void serve_demo(struct web *web, const struct http_request *request,
                       struct http_reply *reply)
{
    (void)request;
    begin_json(reply); /* no users without --demo, which is no error of whoever asks */
    web_put_demo(web, &reply->body);
}

/* RFC 9110 13.1.2: a star, or a list of tags that are compared weakly, since a proxy that
 * compresses on the way weakens ours. */
static bool has_etag(struct str if_none_match, struct str etag)
{
    struct str tag;
    while (str_split(&if_none_match, ',', &tag)) {
        tag = str_trim(tag);
        size_t weak = str_starts_nocase(tag, STR("W/")) ? 2 : 0;
        if (str_eq(tag, STR("*")) || str_eq(str_slice(tag, weak, tag.len), etag))
            return true;
    }
    return false;
}

static void serve_file(struct web *web, const struct http_request *request,
                       struct http_reply *reply)
{
    const struct asset *asset = web->assets ? assets_find(web->assets, request->path) : NULL;
    if (!asset) {
        web_put_error(reply, 404, "not_found", "there is nothing at this path");
        return;
    }
    reply->etag = asset->etag;
    reply->cache_control = "no-cache"; /* kept, but asked for again: after an update it is new */
    if (has_etag(request->if_none_match, str_from(asset->etag))) {
        reply->status = 304;
        return;
    }
    reply->status = 200;
    reply->content_type = asset->content_type;
    reply->file = asset->content;
}

static const struct route public_routes[] = {
    {{"/healthz", 8},        serve_health, false},
    {{"/readyz", 7},         serve_ready,  false},
    {{"/api/v1/status", 14}, serve_status, false},
    {{"/api/v1/demo", 12},   serve_demo,   true },
};

/* ---- Admin routes -------------------------------------------------------------------------- */

static void serve_node(struct web *web, const struct http_request *request,
                       struct http_reply *reply)
{
    (void)request;
    begin_json(reply);
    web_put_node(web, &reply->body);
}

static const struct route admin_routes[] = {
    {{"/healthz", 8},               serve_health,           false},
    {{"/readyz", 7},                serve_ready,            false},
    {{"/api/v1/status", 14},        serve_status,           false},
    {{"/api/v1/node", 12},          serve_node,             true },
    {{"/api/v1/registrations", 21}, web_list_registrations, true },
};

static bool has_admin_token(const struct web *web, const struct http_request *request)
{
    const char *token = web->info.config->admin_token;
    struct str scheme = STR("Bearer ");
    if (!token)
        return true;
    if (!str_starts_nocase(request->authorization, scheme))
        return false;
    struct str given =
        str_trim(str_slice(request->authorization, scheme.len, request->authorization.len));
    return str_eq_constant_time(given, str_from(token));
}

/* ---- Dispatch ------------------------------------------------------------------------------ */

static const struct route *find_route(const struct route *routes, size_t count, struct str path)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(routes[i].path, path))
            return &routes[i];
    return NULL;
}

/* A page from elsewhere may give its own name our address and would then be let in as one of ours.
 * Its requests carry that name, so what is not protected otherwise answers only to an address. */
static bool is_named_by_address(const struct http_request *request)
{
    struct str host = request->host;
    struct net_address address;
    bool is_bracketed = host.len > 0 && host.ptr[0] == '[';
    size_t end = is_bracketed ? str_find(host, ']') + 1 : str_find(host, ':');
    if (end < host.len && host.ptr[end] != ':')
        return false;
    host = str_slice(host, 0, end);
    return str_eq_nocase(host, STR("localhost")) || net_address_parse(&address, host, 0) == 0;
}

static void serve_route(struct web *web, const struct route *route, bool is_protected,
                        const struct http_request *request, struct http_reply *reply)
{
    if (route->is_private && !is_protected && !is_named_by_address(request))
        web_put_error(reply, 403, "forbidden", "name this server by its address or as localhost");
    else
        route->serve(web, request, reply);
}

static bool refuse_method(const struct http_request *request, struct http_reply *reply)
{
    if (str_eq(request->method, STR("GET")))
        return false;
    web_put_error(reply, 405, "method_not_allowed", "this path is only read: GET or HEAD");
    reply->allow = "GET, HEAD";
    return true;
}

void web_handle_public(void *arg, const struct http_request *request, struct http_reply *reply)
{
    struct web *web = arg;
    if (refuse_method(request, reply))
        return;
    const struct route *route =
        find_route(public_routes, sizeof public_routes / sizeof *public_routes, request->path);
    if (route)
        serve_route(web, route, false, request, reply);
    else
        serve_file(web, request, reply);
}

void web_handle_admin(void *arg, const struct http_request *request, struct http_reply *reply)
{
    struct web *web = arg;
    if (!has_admin_token(web, request)) {
        web_put_error(reply, 401, "unauthorized",
                      "send Authorization: Bearer with http.adminToken");
        reply->www_authenticate = "Bearer";
        return;
    }
    const struct route *route =
        find_route(admin_routes, sizeof admin_routes / sizeof *admin_routes, request->path);
    if (!route)
        web_put_error(reply, 404, "not_found", "there is nothing at this path");
    else if (!refuse_method(request, reply))
        serve_route(web, route, web->info.config->admin_token, request, reply);
}
