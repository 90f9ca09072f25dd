/* What no value can be blamed for alone. */
#include "config_internal.h"
#include <stdarg.h>
#include <stdio.h>

struct check {
    const struct config *config;
    const struct config_scope *scope;
    struct config_report *report;
};

/* ---- Blaming an option ----------------------------------------------------------------------- */

static bool is_usable(const struct config_scope *scope, const char *key)
{
    return !config_setting_of(scope, key)->is_wrong;
}

static bool is_untouched(const struct config_scope *scope, const char *key)
{
    return config_setting_of(scope, key)->origin == CONFIG_FROM_DEFAULT;
}

__attribute__((format(printf, 4, 5))) static void complain(const struct config_scope *scope,
                                                           struct config_report *report,
                                                           const char *key, const char *format, ...)
{
    char what[2 * CONFIG_QUOTE], names[CONFIG_KEY];
    const struct config_setting *setting = config_setting_of(scope, key);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);

    struct config_path path = scope->path;
    snprintf(names, sizeof names, "%s", setting->key ? setting->key : key);
    for (char *rest = names; rest;) {
        const char *name = strsep(&rest, ".");
        path = config_path_with(&path, name);
    }
    config_complain(report, setting->origin, &path, CONFIG_AT_VALUE, "%s", what);
}

/* ---- Values of the whole configuration ------------------------------------------------------- */

/* `low` must not be above `high`; the one that somebody set is to blame. */
static void check_order(const struct check *c, const char *low_key, uint32_t low,
                        const char *high_key, uint32_t high)
{
    if (low <= high || !is_usable(c->scope, low_key) || !is_usable(c->scope, high_key))
        return;
    bool blame_low = !is_untouched(c->scope, low_key);
    const char *key = blame_low ? low_key : high_key;
    const char *other = blame_low ? high_key : low_key;
    complain(c->scope, c->report, key, "%u is %s %s, which is %u", blame_low ? low : high,
             blame_low ? "above" : "below", other, blame_low ? high : low);
}

static void check_expires(const struct check *c)
{
    const struct config *config = c->config;
    check_order(c, "registrar.minExpires", config->min_expires_s, "registrar.maxExpires",
                config->max_expires_s);
    if (config->min_expires_s > config->max_expires_s)
        return; /* nothing could lie between them */
    check_order(c, "registrar.minExpires", config->min_expires_s, "registrar.defaultExpires",
                config->default_expires_s);
    check_order(c, "registrar.defaultExpires", config->default_expires_s, "registrar.maxExpires",
                config->max_expires_s);
}

static void check_layout(const struct check *c)
{
    static const char key[] = "registrar.maxContacts";
    if (c->config->redis_layout == REDIS_LAYOUT_JAMBONZ && c->config->max_contacts != 1 &&
        is_usable(c->scope, key) && is_usable(c->scope, "redis.layout"))
        complain(c->scope, c->report, key,
                 "%u, but redis.layout \"jambonz\" has room for one contact of each user: write 1, "
                 "or leave it out",
                 c->config->max_contacts);
}

static void check_admin(const struct check *c)
{
    static const char key[] = "http.admin";
    const struct config *config = c->config;
    char text[NET_ADDRESS_TEXT];
    if (!config->has_admin || !is_usable(c->scope, key))
        return;
    struct str address = net_address_host_port(&config->admin, text);
    if (!net_address_is_loopback(&config->admin) && !config->admin_token &&
        is_usable(c->scope, "http.adminToken"))
        complain(c->scope, c->report, key,
                 "%.*s can be reached from other machines: set http.adminToken, or listen "
                 "on 127.0.0.1",
                 STR_ARG(address));
    for (size_t i = 0; i < config->listen_count; i++) {
        const struct config_listener *listener = &config->listen[i];
        if (transport_kind_is_stream(listener->kind) && net_address_port(&config->admin) != 0 &&
            net_address_same(&listener->address, &config->admin))
            complain(c->scope, c->report, key, "%.*s is the address of a %s listener already",
                     STR_ARG(address), transport_kind_name(listener->kind));
    }
}

/* A balancer that nobody trusts could not connect, and nobody else may. */
static void check_proxied(const struct check *c)
{
    static const char key[] = "listen";
    if (!is_usable(c->scope, key) || !is_usable(c->scope, "trustedProxies") ||
        c->config->trusted_proxies.count > 0)
        return;
    for (size_t i = 0; i < c->config->listen_count; i++) {
        if (!c->config->listen[i].is_behind_proxy)
            continue;
        complain(c->scope, c->report, key,
                 "?proxy=v1v2 serves trustedProxies only, and there are none: give the balancer's "
                 "network there");
        return;
    }
}

/* ---- Who may register ------------------------------------------------------------------------ */

static void check_realms(const struct check *c)
{
    const struct config_setting *setting = config_setting_of(c->scope, "realms");
    const struct config_realms *realms = &c->config->realms;
    const cJSON *member = setting->value->child; /* in the same order */
    for (size_t i = 0; i < realms->count; i++, member = member->next) {
        const struct config_realm *realm = &realms->item[i];
        if (realm->users || realm->callback.uri)
            continue;
        struct config_path path = {
            .name = {"realms", member->string},
              .depth = 2
        };
        config_complain(c->report, setting->origin, &path, CONFIG_AT_KEY,
                        "nobody could register: set users or authCallback, here or for all "
                        "domains");
    }
}

/* No configuration lets everyone in; one that lets nobody in is a mistake. */
static void check_sources(const struct check *c)
{
    const struct config *config = c->config;
    bool is_known = is_usable(c->scope, "users") && is_usable(c->scope, "authCallback.uri") &&
                    is_usable(c->scope, "realms");
    if (!is_known || config->users || config->callback.uri || config->demo)
        return;
    if (config->realms.count > 0)
        check_realms(c);
    else
        complain(c->scope, c->report, "users",
                 "nobody could register: name a users file, by \"users\": \"users.json\" or "
                 "-D users=users.json, or a server that decides, by authCallback.uri, or have a "
                 "look with --demo");
}

static bool is_set(const struct config_scope *scope, const char *key)
{
    const struct config_option *option = config_option_find(scope->table, str_from(key));
    return *(char *const *)config_member_const(scope->object, option) != NULL;
}

/* Both or none of the two; `key` is the one that may stand alone by mistake. */
static void check_needs(const struct config_scope *scope, struct config_report *report,
                        const char *key, const char *other)
{
    if (is_set(scope, key) && !is_set(scope, other) && is_usable(scope, other))
        complain(scope, report, key, "needs %s too", other);
}

/* What --print-config says of an option that nobody set is no wish of anybody's. */
static bool is_default(const struct config_scope *scope, const struct config_option *option)
{
    char text[CONFIG_QUOTE];
    struct buf b;
    buf_init_fixed(&b, text, sizeof text);
    option->type->print(scope->object, option, &b);
    struct str fallback = str_from(option->fallback ? option->fallback : "null");
    return b.error == 0 && str_eq(buf_str(&b), fallback);
}

void config_check_callback(const struct config_scope *scope, struct config_report *report)
{
    static const char uri[] = "authCallback.uri";
    static const char username[] = "authCallback.auth.username";
    static const char password[] = "authCallback.auth.password";
    check_needs(scope, report, username, password);
    check_needs(scope, report, password, username);
    if (is_set(scope, uri) || !is_usable(scope, uri))
        return;
    for (size_t i = 0; i < scope->table->count; i++) {
        const struct config_option *option = &scope->table->option[i];
        if (config_option_is_in(option, STR("authCallback")) && is_usable(scope, option->key) &&
            !is_default(scope, option))
            complain(scope, report, option->key, "needs %s too", uri);
    }
}

void config_check(const struct config_scope *scope, struct config_report *report)
{
    struct check c = {scope->object, scope, report};
    check_expires(&c);
    check_layout(&c);
    check_admin(&c);
    check_proxied(&c);
    check_sources(&c);
    config_check_callback(scope, report);
}
