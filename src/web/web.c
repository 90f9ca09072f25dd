#include "web_internal.h"
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

void web_begin_json(struct http_reply *reply)
{
    reply->status = 200;
    reply->content_type = "application/json";
}

void web_put_error(struct http_reply *reply, int status, const char *code, const char *message)
{
    web_begin_json(reply);
    reply->status = status;
    buf_clear(&reply->body);
    buf_printf(&reply->body, "{\"error\":{\"code\":\"%s\",\"message\":", code);
    buf_put_json(&reply->body, str_from(message));
    buf_put_text(&reply->body, "}}");
}

/* ---- Page ---------------------------------------------------------------------------------- */

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

static void put_not_found(struct http_reply *reply)
{
    web_put_error(reply, 404, "not_found", "there is nothing at this path");
}

/* The page of the admin listener has the operator's part too. */
static const struct str admin_page = {"/admin.html", 11};

static const struct asset *find_file(const struct web *web, struct str path)
{
    return web->assets ? assets_find(web->assets, path) : NULL;
}

static const struct asset *find_admin_file(const struct web_call *call)
{
    struct str path = call->request->path;
    bool is_root = str_eq(path, STR("/"));
    if (!str_eq(call->request->method, STR("GET")) || str_eq(path, STR("/index.html")))
        return NULL;
    return find_file(call->worker->web, is_root ? admin_page : path);
}

static void put_file(const struct asset *asset, const struct http_request *request,
                     struct http_reply *reply)
{
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

static void serve_file(const struct web_call *call, struct http_reply *reply)
{
    const struct http_request *request = call->request;
    const struct asset *asset = find_file(call->worker->web, request->path);
    if (asset && !str_eq(request->path, admin_page))
        put_file(asset, request, reply);
    else
        put_not_found(reply);
}

/* ---- Routes -------------------------------------------------------------------------------- */

enum {
    PRIVATE = 1,    /* tells of users, or changes something */
    TAKES_JSON = 2, /* the body, and its Content-Type has to say so */
    NO_FORM = 4,    /* a page from elsewhere could send it as a form, and must not */
};

struct route {
    const char *method;
    const char *path; /* a {name} in it stands for whatever is there, but not for nothing */
    web_route_fn *serve;
    unsigned flags;
};

static const struct route public_routes[] = {
    {"GET", "/healthz",       web_serve_health, 0      },
    {"GET", "/readyz",        web_serve_ready,  0      },
    {"GET", "/api/v1/status", web_serve_status, 0      },
    {"GET", "/api/v1/demo",   web_serve_demo,   PRIVATE},
    {"GET", "/",              serve_file,       0      },
    {"GET", "/{file}",        serve_file,       0      },
};

static const struct route admin_routes[] = {
    {"GET",    "/healthz",                    web_serve_health,         0                   },
    {"GET",    "/readyz",                     web_serve_ready,          0                   },
    {"GET",    "/api/v1/status",              web_serve_status,         0                   },
    {"GET",    "/metrics",                    web_serve_metrics,        0                   },
    {"GET",    "/api/v1/node",                web_serve_node,           PRIVATE             },
    {"GET",    "/api/v1/registrations",       web_list_registrations,   PRIVATE             },
    {"DELETE", "/api/v1/registrations/{aor}", web_remove_registrations, PRIVATE             },
    {"GET",    "/api/v1/aors/{aor}/why",      web_show_why,             PRIVATE             },
    {"GET",    "/api/v1/aors/{aor}",          web_show_aor,             PRIVATE             },
    {"POST",   "/api/v1/drain",               web_drain,                PRIVATE | NO_FORM   },
    {"GET",    "/api/v1/trace",               web_list_traces,          PRIVATE             },
    {"POST",   "/api/v1/trace",               web_begin_trace,          PRIVATE | TAKES_JSON},
    {"DELETE", "/api/v1/trace",               web_end_traces,           PRIVATE             },
    {"GET",    "/api/v1/bans",                web_list_bans,            PRIVATE             },
    {"POST",   "/api/v1/bans",                web_add_ban,              PRIVATE | TAKES_JSON},
    {"GET",    "/api/v1/bans/{ip}",           web_show_ban,             PRIVATE             },
    {"DELETE", "/api/v1/bans/{ip}",           web_lift_ban,             PRIVATE             },
    {"GET",    "/api/v1/events",              web_stream_events,        PRIVATE             },
    {"GET",    "/api/v1/log-level",           web_show_log_level,       PRIVATE             },
    {"PUT",    "/api/v1/log-level",           web_set_log_level,        PRIVATE | TAKES_JSON},
};

struct route_table {
    const struct route *route;
    size_t count;
};

static const struct route_table public_table = {public_routes,
                                                sizeof public_routes / sizeof *public_routes};
static const struct route_table admin_table = {admin_routes,
                                               sizeof admin_routes / sizeof *admin_routes};

static bool is_at(const struct route *route, struct str path, struct str *param)
{
    struct str pattern = str_from(route->path);
    size_t brace = str_find(pattern, '{');
    struct str end = str_slice(pattern, str_find(pattern, '}') + 1, pattern.len);
    size_t param_end = path.len > end.len ? path.len - end.len : 0;
    *param = str_slice(path, brace, param_end);
    if (!str_eq(str_slice(path, 0, brace), str_slice(pattern, 0, brace)))
        return false;
    if (brace == pattern.len)
        return path.len == brace;
    return param->len > 0 && str_eq(str_slice(path, param_end, path.len), end);
}

/* NULL when this method has none there. */
static const struct route *find_route(const struct route_table *table, struct str method,
                                      struct str path, struct str *param)
{
    for (size_t i = 0; i < table->count; i++)
        if (str_eq(str_from(table->route[i].method), method) &&
            is_at(&table->route[i], path, param))
            return &table->route[i];
    return NULL;
}

static void refuse_method(const struct route_table *table, struct str path,
                          struct http_reply *reply)
{
    static const char *const methods[][2] = {
        {"GET",    "GET, HEAD"},
        {"POST",   "POST"     },
        {"PUT",    "PUT"      },
        {"DELETE", "DELETE"   },
    };
    struct buf allow;
    struct str param;
    buf_init_fixed(&allow, reply->allow, sizeof reply->allow - 1);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (find_route(table, str_from(methods[i][0]), path, &param))
            buf_printf(&allow, "%s%s", allow.len > 0 ? ", " : "", methods[i][1]);
    reply->allow[allow.len] = 0;
    if (allow.len > 0)
        web_put_error(reply, 405, "method_not_allowed", "not with this method: see Allow");
    else
        put_not_found(reply);
}

/* ---- Who may ------------------------------------------------------------------------------- */

static bool has_admin_token(const struct web_worker *worker, const struct http_request *request)
{
    const char *token = worker->config->admin_token;
    struct str scheme = STR("Bearer ");
    if (!token)
        return true;
    if (!str_starts_nocase(request->authorization, scheme))
        return false;
    struct str given =
        str_trim(str_slice(request->authorization, scheme.len, request->authorization.len));
    return str_eq_constant_time(given, str_from(token));
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

/* A page from elsewhere may send us a form, but not this without asking first, which is refused. */
static bool is_json(struct str content_type)
{
    struct str type = str_trim(str_slice(content_type, 0, str_find(content_type, ';')));
    return str_eq_nocase(type, STR("application/json"));
}

/* Browsers name the page that they send something for; a token is none that they would add. */
static bool is_form(const struct route *route, bool is_protected,
                    const struct http_request *request)
{
    return route->flags & NO_FORM && !is_protected && request->origin.len > 0;
}

/* ---- Dispatch ------------------------------------------------------------------------------ */

static void dispatch(const struct route_table *table, bool is_protected, struct web_call *call,
                     struct http_reply *reply)
{
    const struct http_request *request = call->request;
    const struct route *route = find_route(table, request->method, request->path, &call->param);
    if (!route)
        refuse_method(table, request->path, reply);
    else if (route->flags & PRIVATE && !is_protected && !is_named_by_address(request))
        web_put_error(reply, 403, "forbidden", "name this server by its address or as localhost");
    else if ((route->flags & TAKES_JSON || is_form(route, is_protected, request)) &&
             !is_json(request->content_type))
        web_put_error(reply, 415, "unsupported_media_type",
                      "send the body with Content-Type: application/json");
    else
        route->serve(call, reply);
}

void web_handle_public(void *arg, const struct http_request *request, struct http_reply *reply)
{
    struct web_call call = {.worker = arg, .request = request};
    dispatch(&public_table, false, &call, reply);
}

void web_handle_admin(void *arg, const struct http_request *request, struct http_reply *reply)
{
    struct web_call call = {.worker = arg, .request = request};
    const struct asset *file = find_admin_file(&call);
    if (file) { /* without a token: the page asks for it, and there is no secret in it */
        put_file(file, request, reply);
        return;
    }
    if (has_admin_token(call.worker, request)) {
        dispatch(&admin_table, call.worker->config->admin_token, &call, reply);
        return;
    }
    web_put_error(reply, 401, "unauthorized", "send Authorization: Bearer with http.adminToken");
    reply->www_authenticate = "Bearer";
}
