/* What no value can be blamed for alone. */
#include "config_internal.h"

struct check {
    const struct config *config;
    const struct config_place *place;
    const bool *is_wrong;
    struct config_report *report;
};

static bool is_usable(const struct check *c, const char *key)
{
    return !c->is_wrong[config_option_index(config_option_find(str_from(key)))];
}

static const struct config_place *place_of(const struct check *c, const char *key)
{
    return &c->place[config_option_index(config_option_find(str_from(key)))];
}

/* `low` must not be above `high`; the one that somebody set is to blame. */
static void check_order(const struct check *c, const char *low_key, uint32_t low,
                        const char *high_key, uint32_t high)
{
    if (low <= high || !is_usable(c, low_key) || !is_usable(c, high_key))
        return;
    bool blame_low = place_of(c, low_key)->origin != CONFIG_FROM_DEFAULT;
    const char *key = blame_low ? low_key : high_key;
    const char *other = blame_low ? high_key : low_key;
    config_complain(c->report, place_of(c, key), str_from(key), "%u is %s %s, which is %u",
                    blame_low ? low : high, blame_low ? "above" : "below", other,
                    blame_low ? high : low);
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

static void check_admin(const struct check *c)
{
    const struct config *config = c->config;
    char text[NET_ADDRESS_TEXT];
    if (!config->has_admin || !is_usable(c, "http.admin"))
        return;
    struct str address = net_address_host_port(&config->admin, text);
    if (!net_address_is_loopback(&config->admin) && !config->admin_token &&
        is_usable(c, "http.adminToken"))
        config_complain(c->report, place_of(c, "http.admin"), STR("http.admin"),
                        "%.*s can be reached from other machines: set http.adminToken, or listen "
                        "on 127.0.0.1",
                        STR_ARG(address));
    for (size_t i = 0; i < config->listen_count; i++) {
        const struct config_listener *listener = &config->listen[i];
        if (transport_kind_is_stream(listener->kind) && net_address_port(&config->admin) != 0 &&
            net_address_same(&listener->address, &config->admin))
            config_complain(c->report, place_of(c, "http.admin"), STR("http.admin"),
                            "%.*s is the address of a %s listener already", STR_ARG(address),
                            transport_kind_name(listener->kind));
    }
}

static void check_users(const struct check *c)
{
    if (c->config->users || c->config->demo || !is_usable(c, "users"))
        return;
    config_complain(c->report, place_of(c, "users"), STR("users"),
                    "nobody could register: name a users file, by \"users\": \"users.json\" or "
                    "-D users=users.json, or have a look with --demo");
}

void config_check(const struct config *config, const struct config_place *place,
                  const bool *is_wrong, struct config_report *report)
{
    struct check c = {config, place, is_wrong, report};
    check_expires(&c);
    check_admin(&c);
    check_users(&c);
}
