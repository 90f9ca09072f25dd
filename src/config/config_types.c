/* The types of options that hold a number, a word of several, or the admin listener: how each is
 * read, printed and forgotten. */
#include "config_internal.h"
#include <errno.h>

/* ---- Whole numbers --------------------------------------------------------------------------- */

static bool count_parse(const struct config_input *in, uint32_t *out)
{
    uint64_t n;
    const struct config_option *option = in->option;
    if (in->was_replaced) {
        if (str_to_u64(config_text_of(in->value), option->max, &n) < 0 || n < option->min)
            return false;
        *out = (uint32_t)n;
        return true;
    }
    if (!cJSON_IsNumber(in->value))
        return false;
    double number = in->value->valuedouble;
    if (!(number >= (double)option->min && number <= (double)option->max))
        return false;
    *out = (uint32_t)number;
    return (double)*out == number;
}

static int count_set(void *object, const struct config_input *in)
{
    uint32_t n;
    const struct config_option *option = in->option;
    if (!count_parse(in, &n)) {
        config_refuse(in, CONFIG_WHOLE, "must be a whole number%s%s from %llu to %llu",
                      option->unit ? " of " : "", option->unit ? option->unit : "",
                      (unsigned long long)option->min, (unsigned long long)option->max);
        return -EINVAL;
    }
    *(uint32_t *)config_member(object, option) = n;
    return 0;
}

static void count_print(const void *object, const struct config_option *option, struct buf *out)
{
    buf_put_u64(out, *(const uint32_t *)config_member_const(object, option));
}

static void count_clear(void *object, const struct config_option *option)
{
    *(uint32_t *)config_member(object, option) = 0;
}

static int count_keep(void *object, const void *running, const struct config_option *option,
                      bool *is_other)
{
    uint32_t *mine = config_member(object, option);
    const uint32_t *theirs = config_member_const(running, option);
    *is_other = *mine != *theirs;
    *mine = *theirs;
    return 0;
}

const struct config_type config_type_count = {count_set, count_print, count_clear, count_keep};

/* ---- True and false -------------------------------------------------------------------------- */

bool config_is_literal(const struct config_input *in, bool literal)
{
    if (in->was_replaced)
        return str_eq(config_text_of(in->value), literal ? STR("true") : STR("false"));
    return literal ? cJSON_IsTrue(in->value) : cJSON_IsFalse(in->value);
}

static int flag_set(void *object, const struct config_input *in)
{
    if (!config_is_literal(in, true) && !config_is_literal(in, false)) {
        config_refuse(in, CONFIG_WHOLE, "must be true or false");
        return -EINVAL;
    }
    *(bool *)config_member(object, in->option) = config_is_literal(in, true);
    return 0;
}

static void flag_print(const void *object, const struct config_option *option, struct buf *out)
{
    buf_put_text(out, *(const bool *)config_member_const(object, option) ? "true" : "false");
}

const struct config_type config_type_flag = {flag_set, flag_print, NULL, NULL};

/* ---- One word of several --------------------------------------------------------------------- */

/* The enums are reached by offset, so all of them must be as wide as `unsigned`. */
_Static_assert(sizeof(enum overflow_policy) == sizeof(unsigned), "width of enums");
_Static_assert(sizeof(enum redis_layout) == sizeof(unsigned), "width of enums");
_Static_assert(sizeof(enum store_kind) == sizeof(unsigned), "width of enums");
_Static_assert(sizeof(enum log_level) == sizeof(unsigned), "width of enums");
_Static_assert(sizeof(enum log_format) == sizeof(unsigned), "width of enums");

static int choice_set(void *object, const struct config_input *in)
{
    const struct config_option *option = in->option;
    struct str text = config_text_of(in->value);
    for (unsigned i = 0; text.ptr && option->names[i]; i++) {
        if (str_eq(text, str_from(option->names[i]))) {
            memcpy(config_member(object, option), &i, sizeof i);
            return 0;
        }
    }
    char words[CONFIG_QUOTE];
    struct buf b;
    buf_init_fixed(&b, words, sizeof words);
    config_option_put_range(option, &b);
    config_refuse(in, CONFIG_WHOLE, "must be %.*s", STR_ARG(buf_str(&b)));
    return -EINVAL;
}

static void choice_print(const void *object, const struct config_option *option, struct buf *out)
{
    unsigned i;
    memcpy(&i, config_member_const(object, option), sizeof i);
    buf_put_json(out, str_from(option->names[i]));
}

static int choice_keep(void *object, const void *running, const struct config_option *option,
                       bool *is_other)
{
    void *mine = config_member(object, option);
    const void *theirs = config_member_const(running, option);
    *is_other = memcmp(mine, theirs, sizeof(unsigned)) != 0;
    memcpy(mine, theirs, sizeof(unsigned));
    return 0;
}

const struct config_type config_type_choice = {choice_set, choice_print, NULL, choice_keep};

/* ---- The admin listener ---------------------------------------------------------------------- */

static int admin_parse(const struct config_input *in, struct net_address *out)
{
    static const char example[] = "e.g. http://127.0.0.1:8081 or http://[::1]:8081";
    struct str url = config_text_of(in->value), scheme, rest;
    char quoted[CONFIG_QUOTE];
    if (!url.ptr || !config_url_split(url, &scheme, &rest) || !str_eq(scheme, STR("http"))) {
        config_refuse(in, CONFIG_WHOLE, "must be a string \"http://ip:port\", or false; %s",
                      example);
        return -EINVAL;
    }
    const char *lack = config_socket_parse(rest, out);
    if (lack) {
        config_refuse(in, CONFIG_WHOLE, "%s: %s, %s", config_quote(quoted, url), lack, example);
        return -EINVAL;
    }
    if (in->reader->is_demo && !net_address_is_loopback(out)) {
        config_refuse(in, CONFIG_WHOLE, "%s: --demo serves loopback only",
                      config_quote(quoted, url));
        return -EINVAL;
    }
    return 0;
}

static int admin_set(void *object, const struct config_input *in)
{
    struct config *config = object;
    struct net_address address;
    if (config_is_literal(in, false)) {
        config->has_admin = false;
        return 0;
    }
    int r = admin_parse(in, &address);
    if (r < 0)
        return r;
    config->has_admin = true;
    config->admin = address;
    return 0;
}

static void admin_print(const void *object, const struct config_option *option, struct buf *out)
{
    (void)option;
    const struct config *config = object;
    char text[NET_ADDRESS_TEXT];
    if (config->has_admin)
        buf_printf(out, "\"http://%.*s\"", STR_ARG(net_address_host_port(&config->admin, text)));
    else
        buf_put_text(out, "false");
}

static int admin_keep(void *object, const void *running, const struct config_option *option,
                      bool *is_other)
{
    (void)option;
    struct config *mine = object;
    const struct config *theirs = running;
    *is_other = mine->has_admin != theirs->has_admin ||
                (mine->has_admin && !net_address_same(&mine->admin, &theirs->admin));
    mine->has_admin = theirs->has_admin;
    mine->admin = theirs->admin;
    return 0;
}

const struct config_type config_type_admin = {admin_set, admin_print, NULL, admin_keep};
