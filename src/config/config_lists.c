/* The types of options that hold a list. Every item that is wrong is complained about, and then
 * the whole list is refused. */
#include "config_internal.h"
#include <errno.h>
#include <stdlib.h>

enum { LISTENERS_MAX = 64, ORIGINS_MAX = 256, ORIGIN_MAX_BYTES = 300, NETWORKS_MAX = 1000 };
enum { STARTS_MAX = 256, START_MAX_BYTES = 64 };

/* A list of strings with at least `min` and at most `max` of them. */
static bool is_list_of_strings(const cJSON *value, int min, int max)
{
    const cJSON *item;
    if (!cJSON_IsArray(value) || cJSON_GetArraySize(value) < min || cJSON_GetArraySize(value) > max)
        return false;
    cJSON_ArrayForEach(item, value)
    {
        if (!cJSON_IsString(item))
            return false;
    }
    return true;
}

/* ---- Listeners ------------------------------------------------------------------------------- */

/* Cuts off "?proxy=v1v2", the one thing that may stand behind an address. */
static const char *cut_options(struct str *address, struct config_listener *out)
{
    size_t mark = str_find(*address, '?');
    if (mark == address->len)
        return NULL;
    struct str options = str_slice(*address, mark + 1, address->len);
    *address = str_slice(*address, 0, mark);
    if (!str_eq(options, STR("proxy=v1v2")))
        return "only ?proxy=v1v2 may follow the port";
    if (!transport_kind_is_stream(out->kind))
        return "?proxy=v1v2 is for tcp, tls, ws and wss";
    out->is_behind_proxy = true;
    return NULL;
}

static bool listener_parse(const struct config_input *in, int index, struct str url,
                           struct config_listener *out)
{
    struct str scheme, rest;
    char quoted[CONFIG_QUOTE];
    config_quote(quoted, url);
    if (!config_url_split(url, &scheme, &rest)) {
        config_refuse(in, index, "%s: write transport://ip:port, e.g. udp://127.0.0.1:5060",
                      quoted);
        return false;
    }
    if (transport_kind_parse(scheme, &out->kind) < 0) {
        config_refuse(in, index, "%s: the transport must be udp, tcp, tls, ws or wss", quoted);
        return false;
    }
    const char *lack = cut_options(&rest, out);
    if (!lack)
        lack = config_socket_parse(rest, &out->address);
    if (lack) {
        const char *name = transport_kind_name(out->kind);
        config_refuse(in, index, "%s: %s, e.g. %s://127.0.0.1:5060 or %s://[::1]:5060", quoted,
                      lack, name, name);
        return false;
    }
    if (in->reader->is_demo && !net_address_is_loopback(&out->address)) {
        config_refuse(in, index, "%s: --demo serves loopback only", quoted);
        return false;
    }
    return true;
}

/* tcp, tls, ws and wss are all TCP: with SO_REUSEPORT two of them would share a port unnoticed. */
static bool is_same_socket(const struct config_listener *a, const struct config_listener *b)
{
    return transport_kind_is_stream(a->kind) == transport_kind_is_stream(b->kind) &&
           net_address_port(&a->address) != 0 && net_address_same(&a->address, &b->address);
}

static bool listener_is_taken(const struct config_input *in, const struct config_listener *all,
                              int index)
{
    char text[NET_ADDRESS_TEXT];
    const struct config_listener *mine = &all[index];
    for (int i = 0; i < index; i++) {
        if (!is_same_socket(&all[i], mine))
            continue;
        struct str address = net_address_host_port(&mine->address, text);
        config_refuse(in, index, "%s://%.*s: another listener has this address already, %s://%.*s",
                      transport_kind_name(mine->kind), STR_ARG(address),
                      transport_kind_name(all[i].kind), STR_ARG(address));
        return true;
    }
    return false;
}

static bool listeners_parse(const struct config_input *in, struct config_listener *all)
{
    bool is_good = true;
    int index = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, in->value)
    {
        if (!listener_parse(in, index, str_from(item->valuestring), &all[index])) {
            all[index] = (struct config_listener){0}; /* no port: like no other */
            is_good = false;
        } else if (listener_is_taken(in, all, index)) {
            is_good = false;
        }
        index++;
    }
    return is_good;
}

static int listeners_set(void *object, const struct config_input *in)
{
    struct config *config = object;
    if (!is_list_of_strings(in->value, 1, LISTENERS_MAX)) {
        config_refuse(in, CONFIG_WHOLE,
                      "must be a list of 1 to %d strings, e.g. [\"udp://127.0.0.1:5060\"]",
                      LISTENERS_MAX);
        return -EINVAL;
    }
    int count = cJSON_GetArraySize(in->value);
    struct config_listener *all = calloc((size_t)count, sizeof *all);
    if (!all)
        return -ENOMEM;
    if (!listeners_parse(in, all)) {
        free(all);
        return -EINVAL;
    }
    free(config->listen);
    config->listen = all;
    config->listen_count = (size_t)count;
    return 0;
}

static void listeners_print(const void *object, const struct config_option *option, struct buf *out)
{
    (void)option;
    const struct config *config = object;
    char text[NET_ADDRESS_TEXT];
    for (size_t i = 0; i < config->listen_count; i++)
        buf_printf(out, "%s\"%s://%.*s%s\"", i == 0 ? "[" : ", ",
                   transport_kind_name(config->listen[i].kind),
                   STR_ARG(net_address_host_port(&config->listen[i].address, text)),
                   config->listen[i].is_behind_proxy ? "?proxy=v1v2" : "");
    buf_put_char(out, ']');
}

static void listeners_clear(void *object, const struct config_option *option)
{
    (void)option;
    struct config *config = object;
    free(config->listen);
    config->listen = NULL;
    config->listen_count = 0;
}

static bool listeners_are_same(const struct config *a, const struct config *b)
{
    if (a->listen_count != b->listen_count)
        return false;
    for (size_t i = 0; i < a->listen_count; i++)
        if (a->listen[i].kind != b->listen[i].kind ||
            a->listen[i].is_behind_proxy != b->listen[i].is_behind_proxy ||
            !net_address_same(&a->listen[i].address, &b->listen[i].address))
            return false;
    return true;
}

static int listeners_keep(void *object, const void *running, const struct config_option *option,
                          bool *is_other)
{
    (void)option;
    struct config *mine = object;
    const struct config *theirs = running;
    struct config_listener *all = calloc(theirs->listen_count, sizeof *all);
    if (!all)
        return -ENOMEM;
    memcpy(all, theirs->listen, theirs->listen_count * sizeof *all);
    *is_other = !listeners_are_same(mine, theirs);
    free(mine->listen);
    mine->listen = all;
    mine->listen_count = theirs->listen_count;
    return 0;
}

const struct config_type config_type_listeners = {listeners_set, listeners_print, listeners_clear,
                                                  listeners_keep};

/* ---- Digest algorithms ----------------------------------------------------------------------- */

static bool algorithm_parse(const struct config_input *in, int index, struct str name,
                            enum digest_algorithm *out)
{
    char quoted[CONFIG_QUOTE];
    for (unsigned i = 0; i < DIGEST_ALGORITHMS; i++) {
        if (str_eq_nocase(name, str_from(in->option->names[i]))) {
            *out = (enum digest_algorithm)i;
            return true;
        }
    }
    config_refuse(in, index, "%s is none of MD5, SHA-256 and SHA-512-256",
                  config_quote(quoted, name));
    return false;
}

/* Is the list, each item of which is right, right as a whole? */
static bool algorithms_are_in_order(const struct config_input *in,
                                    const enum digest_algorithm *list, int count)
{
    for (int i = 0; i < count; i++)
        for (int earlier = 0; earlier < i; earlier++)
            if (list[earlier] == list[i]) {
                config_refuse(in, i, "%s stands there twice", in->option->names[list[i]]);
                return false;
            }
    for (int i = 0; i + 1 < count; i++)
        if (list[i] == DIGEST_MD5) {
            config_refuse(in, i,
                          "MD5 must come last: browsers' SIP libraries (JsSIP, SIP.js) read "
                          "only the last challenge, and only MD5");
            return false;
        }
    return true;
}

static int algorithms_set(void *object, const struct config_input *in)
{
    struct config *config = object;
    enum digest_algorithm list[DIGEST_ALGORITHMS * 2];
    if (!is_list_of_strings(in->value, 1, DIGEST_ALGORITHMS * 2)) {
        config_refuse(in, CONFIG_WHOLE,
                      "must be a list of at least one of \"SHA-512-256\", \"SHA-256\" and \"MD5\", "
                      "MD5 last");
        return -EINVAL;
    }
    bool is_good = true;
    int count = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, in->value)
    {
        is_good &= algorithm_parse(in, count, str_from(item->valuestring), &list[count]);
        count++;
    }
    if (!is_good || !algorithms_are_in_order(in, list, count))
        return -EINVAL;
    memcpy(config->algorithms, list, (size_t)count * sizeof *list);
    config->algorithm_count = (size_t)count;
    return 0;
}

static void algorithms_print(const void *object, const struct config_option *option,
                             struct buf *out)
{
    const struct config *config = object;
    for (size_t i = 0; i < config->algorithm_count; i++)
        buf_printf(out, "%s\"%s\"", i == 0 ? "[" : ", ", option->names[config->algorithms[i]]);
    buf_put_char(out, ']');
}

const struct config_type config_type_algorithms = {algorithms_set, algorithms_print, NULL, NULL};

/* ---- Sets of transports ---------------------------------------------------------------------- */

static void put_transports(uint32_t set, struct buf *out)
{
    const char *separator = "";
    for (unsigned kind = 0; kind < TRANSPORT_KINDS; kind++) {
        if (!(set & (1u << kind)))
            continue;
        buf_printf(out, "%s\"%s\"", separator, transport_kind_name((enum transport_kind)kind));
        separator = ", ";
    }
}

static bool transport_add(const struct config_input *in, int index, struct str name, uint32_t *set)
{
    enum transport_kind kind;
    char quoted[CONFIG_QUOTE], allowed[CONFIG_QUOTE];
    if (transport_kind_parse(name, &kind) == 0 && (in->option->max & (1u << kind))) {
        *set |= 1u << kind;
        return true;
    }
    struct buf b;
    buf_init_fixed(&b, allowed, sizeof allowed);
    put_transports((uint32_t)in->option->max, &b);
    config_refuse(in, index, "%s is none of %.*s", config_quote(quoted, name),
                  STR_ARG(buf_str(&b)));
    return false;
}

static int transports_set(void *object, const struct config_input *in)
{
    if (!is_list_of_strings(in->value, 0, TRANSPORT_KINDS)) {
        config_refuse(in, CONFIG_WHOLE, "must be a list of transports, e.g. [\"ws\", \"wss\"]");
        return -EINVAL;
    }
    uint32_t set = 0;
    bool is_good = true;
    int index = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, in->value)
    {
        is_good &= transport_add(in, index++, str_from(item->valuestring), &set);
    }
    if (!is_good)
        return -EINVAL;
    *(uint32_t *)config_member(object, in->option) = set;
    return 0;
}

static void transports_print(const void *object, const struct config_option *option,
                             struct buf *out)
{
    buf_put_char(out, '[');
    put_transports(*(const uint32_t *)config_member_const(object, option), out);
    buf_put_char(out, ']');
}

const struct config_type config_type_transports = {transports_set, transports_print, NULL, NULL};

/* ---- Origins --------------------------------------------------------------------------------- */

static void list_free(struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->item[i]);
    free(list->item);
    *list = (struct config_list){0};
}

static int origin_add(const struct config_input *in, struct str pattern, struct config_list *list)
{
    char text[ORIGIN_MAX_BYTES], quoted[CONFIG_QUOTE];
    struct buf b;
    buf_init_fixed(&b, text, sizeof text);
    int index = (int)list->count;
    char **slot = &list->item[list->count++];
    if (config_origin_parse(pattern, &b) < 0 || b.error) {
        config_refuse(in, index,
                      "%s: write \"*\", https://host or https://*.example.com, with :port where it "
                      "is not the usual one, and no path",
                      config_quote(quoted, pattern));
        return -EINVAL;
    }
    *slot = strndup(text, b.len);
    return *slot ? 0 : -ENOMEM;
}

static int origins_set(void *object, const struct config_input *in)
{
    struct config *config = object;
    if (!is_list_of_strings(in->value, 1, ORIGINS_MAX)) {
        config_refuse(
            in, CONFIG_WHOLE,
            "must be a list of 1 to %d strings, e.g. [\"https://*.example.com\"]; [\"*\"] "
            "allows all",
            ORIGINS_MAX);
        return -EINVAL;
    }
    struct config_list list = {calloc((size_t)cJSON_GetArraySize(in->value), sizeof(char *)), 0};
    if (!list.item)
        return -ENOMEM;
    int result = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, in->value)
    {
        int r = origin_add(in, str_from(item->valuestring), &list);
        result = r < 0 ? r : result;
    }
    if (result < 0) {
        list_free(&list);
        return result;
    }
    list_free(&config->ws_origins);
    config->ws_origins = list;
    return 0;
}

static void origins_print(const void *object, const struct config_option *option, struct buf *out)
{
    (void)option;
    const struct config *config = object;
    for (size_t i = 0; i < config->ws_origins.count; i++) {
        buf_put_text(out, i == 0 ? "[" : ", ");
        buf_put_json(out, str_from(config->ws_origins.item[i]));
    }
    buf_put_char(out, ']');
}

static void origins_clear(void *object, const struct config_option *option)
{
    (void)option;
    struct config *config = object;
    list_free(&config->ws_origins);
}

const struct config_type config_type_origins = {origins_set, origins_print, origins_clear, NULL};

/* ---- What a text starts with ------------------------------------------------------------------
 */

static bool is_list_of_starts(const cJSON *value)
{
    const cJSON *item;
    if (!is_list_of_strings(value, 1, STARTS_MAX))
        return false;
    cJSON_ArrayForEach(item, value)
    {
        size_t bytes = strlen(item->valuestring);
        if (bytes == 0 || bytes > START_MAX_BYTES)
            return false;
    }
    return true;
}

static int starts_copy(const cJSON *value, struct config_list *list)
{
    const cJSON *item;
    list->item = calloc((size_t)cJSON_GetArraySize(value), sizeof(char *));
    if (!list->item)
        return -ENOMEM;
    cJSON_ArrayForEach(item, value)
    {
        char *copy = strdup(item->valuestring);
        if (!copy)
            return -ENOMEM;
        list->item[list->count++] = copy;
    }
    return 0;
}

static int starts_set(void *object, const struct config_input *in)
{
    struct config_list list = {0};
    bool is_none = config_is_literal(in, false);
    if (!is_none && !is_list_of_starts(in->value)) {
        config_refuse(in, CONFIG_WHOLE,
                      "must be false, or a list of 1 to %d strings of 1 to %d bytes", STARTS_MAX,
                      START_MAX_BYTES);
        return -EINVAL;
    }
    if (!is_none && starts_copy(in->value, &list) < 0) {
        list_free(&list);
        return -ENOMEM;
    }
    struct config_list *member = config_member(object, in->option);
    list_free(member);
    *member = list;
    return 0;
}

static void starts_print(const void *object, const struct config_option *option, struct buf *out)
{
    const struct config_list *list = config_member_const(object, option);
    for (size_t i = 0; i < list->count; i++) {
        buf_put_text(out, i == 0 ? "[" : ", ");
        buf_put_json(out, str_from(list->item[i]));
    }
    buf_put_text(out, list->count > 0 ? "]" : "false");
}

static void starts_clear(void *object, const struct config_option *option)
{
    list_free(config_member(object, option));
}

const struct config_type config_type_starts = {starts_set, starts_print, starts_clear, NULL};

/* ---- Networks -------------------------------------------------------------------------------- */

static void networks_free(struct net_networks *networks)
{
    free(networks->item);
    *networks = (struct net_networks){0};
}

static int network_add(const struct config_input *in, struct str text,
                       struct net_networks *networks)
{
    char quoted[CONFIG_QUOTE];
    int index = (int)networks->count;
    if (net_network_parse(&networks->item[networks->count++], text) == 0)
        return 0;
    config_refuse(in, index,
                  "%s: write an IP address, or a network whose address has only zeros behind its "
                  "prefix: \"192.0.2.0/24\", \"2001:db8::/32\"",
                  config_quote(quoted, text));
    return -EINVAL;
}

static int networks_set(void *object, const struct config_input *in)
{
    if (!is_list_of_strings(in->value, 0, NETWORKS_MAX)) {
        config_refuse(in, CONFIG_WHOLE,
                      "must be a list of at most %d strings, e.g. [\"192.0.2.0/24\", \"::1\"]",
                      NETWORKS_MAX);
        return -EINVAL;
    }
    struct net_networks networks = {0};
    size_t count = (size_t)cJSON_GetArraySize(in->value);
    if (count > 0 && !(networks.item = calloc(count, sizeof *networks.item)))
        return -ENOMEM;
    int result = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, in->value)
    {
        int r = network_add(in, str_from(item->valuestring), &networks);
        result = r < 0 ? r : result;
    }
    if (result < 0) {
        networks_free(&networks);
        return result;
    }
    struct net_networks *member = config_member(object, in->option);
    networks_free(member);
    *member = networks;
    return 0;
}

static void networks_print(const void *object, const struct config_option *option, struct buf *out)
{
    char text[NET_ADDRESS_TEXT];
    const struct net_networks *networks = config_member_const(object, option);
    buf_put_char(out, '[');
    for (size_t i = 0; i < networks->count; i++)
        buf_printf(out, "%s\"%.*s\"", i == 0 ? "" : ", ",
                   STR_ARG(net_network_text(&networks->item[i], text)));
    buf_put_char(out, ']');
}

static void networks_clear(void *object, const struct config_option *option)
{
    networks_free(config_member(object, option));
}

const struct config_type config_type_networks = {networks_set, networks_print, networks_clear,
                                                 NULL};
