/* The types of options that hold one value: how each is read, printed and forgotten. */
#include "config_internal.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORD_MAX_BYTES = 255 };

static struct str text_of(const cJSON *value)
{
    return cJSON_IsString(value) ? str_from(value->valuestring) : STR_NONE;
}

/* ---- Whole numbers --------------------------------------------------------------------------- */

static bool count_parse(const struct config_input *in, uint32_t *out)
{
    uint64_t n;
    const struct config_option *option = in->option;
    if (in->was_replaced) {
        if (str_to_u64(text_of(in->value), option->max, &n) < 0 || n < option->min)
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

static int count_set(struct config *config, const struct config_input *in)
{
    uint32_t n;
    const struct config_option *option = in->option;
    if (!count_parse(in, &n)) {
        config_refuse(in, CONFIG_WHOLE, "must be a whole number%s%s from %llu to %llu",
                      option->unit ? " of " : "", option->unit ? option->unit : "",
                      (unsigned long long)option->min, (unsigned long long)option->max);
        return -EINVAL;
    }
    *(uint32_t *)config_member(config, option) = n;
    return 0;
}

static void count_print(const struct config *config, const struct config_option *option,
                        struct buf *out)
{
    buf_put_u64(out, *(const uint32_t *)config_member_const(config, option));
}

static void count_clear(struct config *config, const struct config_option *option)
{
    *(uint32_t *)config_member(config, option) = 0;
}

const struct config_type config_type_count = {count_set, count_print, count_clear};

/* ---- True and false -------------------------------------------------------------------------- */

/* JSON's own literal, or its text where an environment variable gave that. */
static bool is_literal(const struct config_input *in, bool literal)
{
    if (in->was_replaced)
        return str_eq(text_of(in->value), literal ? STR("true") : STR("false"));
    return literal ? cJSON_IsTrue(in->value) : cJSON_IsFalse(in->value);
}

static int flag_set(struct config *config, const struct config_input *in)
{
    if (!is_literal(in, true) && !is_literal(in, false)) {
        config_refuse(in, CONFIG_WHOLE, "must be true or false");
        return -EINVAL;
    }
    *(bool *)config_member(config, in->option) = is_literal(in, true);
    return 0;
}

static void flag_print(const struct config *config, const struct config_option *option,
                       struct buf *out)
{
    buf_put_text(out, *(const bool *)config_member_const(config, option) ? "true" : "false");
}

const struct config_type config_type_flag = {flag_set, flag_print, NULL};

/* ---- One word of several --------------------------------------------------------------------- */

/* The enums are reached by offset, so all of them must be as wide as `unsigned`. */
_Static_assert(sizeof(enum overflow_policy) == sizeof(unsigned), "width of enums");
_Static_assert(sizeof(enum store_kind) == sizeof(unsigned), "width of enums");
_Static_assert(sizeof(enum log_level) == sizeof(unsigned), "width of enums");
_Static_assert(sizeof(enum log_format) == sizeof(unsigned), "width of enums");

static int choice_set(struct config *config, const struct config_input *in)
{
    const struct config_option *option = in->option;
    struct str text = text_of(in->value);
    for (unsigned i = 0; text.ptr && option->names[i]; i++) {
        if (str_eq(text, str_from(option->names[i]))) {
            memcpy(config_member(config, option), &i, sizeof i);
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

static void choice_print(const struct config *config, const struct config_option *option,
                         struct buf *out)
{
    unsigned i;
    memcpy(&i, config_member_const(config, option), sizeof i);
    buf_put_json(out, str_from(option->names[i]));
}

const struct config_type config_type_choice = {choice_set, choice_print, NULL};

/* ---- Text ------------------------------------------------------------------------------------ */

static int text_keep(struct config *config, const struct config_option *option, const char *prefix,
                     struct str text)
{
    char *copy;
    if (asprintf(&copy, "%s%.*s", prefix, STR_ARG(text)) < 0)
        return -ENOMEM;
    char **member = config_member(config, option);
    free(*member);
    *member = copy;
    return 0;
}

static void text_print(const struct config *config, const struct config_option *option,
                       struct buf *out)
{
    const char *text = *(char *const *)config_member_const(config, option);
    if (!text)
        buf_put_text(out, "null");
    else
        buf_put_json(out, option->is_secret ? STR("***") : str_from(text));
}

static void text_clear(struct config *config, const struct config_option *option)
{
    char **member = config_member(config, option);
    free(*member);
    *member = NULL;
}

static bool is_word(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
            return false;
    return s.len > 0 && s.len <= WORD_MAX_BYTES;
}

/* The value itself stays out of the message: it may be a secret. */
static int word_set(struct config *config, const struct config_input *in)
{
    struct str text = text_of(in->value);
    if (!is_word(text)) {
        config_refuse(in, CONFIG_WHOLE,
                      "must be a string in quotes, of 1 to %d ASCII characters without spaces",
                      WORD_MAX_BYTES);
        return -EINVAL;
    }
    return text_keep(config, in->option, "", text);
}

const struct config_type config_type_word = {word_set, text_print, text_clear};

static int host_port_set(struct config *config, const struct config_input *in)
{
    struct str text = text_of(in->value);
    if (!config_host_port_is_valid(text)) {
        config_refuse(in, CONFIG_WHOLE,
                      "must be a host or host:port, e.g. \"sip.example.com:5060\", "
                      "\"192.0.2.1\" or \"[2001:db8::1]:5060\"");
        return -EINVAL;
    }
    return text_keep(config, in->option, "", text);
}

const struct config_type config_type_host_port = {host_port_set, text_print, text_clear};

/* ---- Files and folders ----------------------------------------------------------------------- */

static int path_keep(struct config *config, const struct config_input *in, const char *what)
{
    struct str path = text_of(in->value);
    if (path.len == 0 || path.len >= PATH_MAX) {
        config_refuse(in, CONFIG_WHOLE, "must be %s", what);
        return -EINVAL;
    }
    bool is_relative = path.ptr[0] != '/';
    return text_keep(config, in->option, is_relative && in->folder ? in->folder : "", path);
}

static int file_set(struct config *config, const struct config_input *in)
{
    return path_keep(config, in, "a string that names a file");
}

const struct config_type config_type_file = {file_set, text_print, text_clear};

static int folder_set(struct config *config, const struct config_input *in)
{
    if (!is_literal(in, false))
        return path_keep(config, in, "a string that names a folder, or false");
    text_clear(config, in->option);
    return 0;
}

static void folder_print(const struct config *config, const struct config_option *option,
                         struct buf *out)
{
    if (*(char *const *)config_member_const(config, option))
        text_print(config, option, out);
    else
        buf_put_text(out, "false");
}

const struct config_type config_type_folder = {folder_set, folder_print, text_clear};

/* ---- The admin listener ---------------------------------------------------------------------- */

static int admin_parse(const struct config *config, const struct config_input *in,
                       struct net_address *out)
{
    static const char example[] = "e.g. http://127.0.0.1:8081 or http://[::1]:8081";
    struct str url = text_of(in->value), scheme, rest;
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
    if (config->demo && !net_address_is_loopback(out)) {
        config_refuse(in, CONFIG_WHOLE, "%s: --demo serves loopback only",
                      config_quote(quoted, url));
        return -EINVAL;
    }
    return 0;
}

static int admin_set(struct config *config, const struct config_input *in)
{
    struct net_address address;
    if (is_literal(in, false)) {
        config->has_admin = false;
        return 0;
    }
    int r = admin_parse(config, in, &address);
    if (r < 0)
        return r;
    config->has_admin = true;
    config->admin = address;
    return 0;
}

static void admin_print(const struct config *config, const struct config_option *option,
                        struct buf *out)
{
    (void)option;
    char text[NET_ADDRESS_TEXT];
    if (config->has_admin)
        buf_printf(out, "\"http://%.*s\"", STR_ARG(net_address_host_port(&config->admin, text)));
    else
        buf_put_text(out, "false");
}

const struct config_type config_type_admin = {admin_set, admin_print, NULL};
