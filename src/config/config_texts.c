/* The types of options that hold text: words, names, hosts, URLs, files and folders. None of them
 * repeats the value in its complaint: it may be a secret. */
#include "config_internal.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORD_MAX_BYTES = 255 };

/* ---- What they share ------------------------------------------------------------------------- */

static void text_take(void *object, const struct config_option *option, char *text)
{
    char **member = config_member(object, option);
    if (*member && option->is_secret)
        explicit_bzero(*member, strlen(*member));
    free(*member);
    *member = text;
}

static int text_put(void *object, const struct config_option *option, const char *prefix,
                    struct str text)
{
    size_t start = strlen(prefix);
    char *copy = malloc(start + text.len + 1); /* asprintf() would leave a copy behind */
    if (!copy)
        return -ENOMEM;
    memcpy(copy, prefix, start);
    memcpy(copy + start, text.ptr, text.len);
    copy[start + text.len] = 0;
    text_take(object, option, copy);
    return 0;
}

static void text_print(const void *object, const struct config_option *option, struct buf *out)
{
    const char *text = *(char *const *)config_member_const(object, option);
    if (!text)
        buf_put_text(out, "null");
    else
        buf_put_json(out, option->is_secret ? STR("***") : str_from(text));
}

static void text_clear(void *object, const struct config_option *option)
{
    text_take(object, option, NULL);
}

static int text_keep(void *object, const void *running, const struct config_option *option,
                     bool *is_other)
{
    const char *mine = *(char *const *)config_member_const(object, option);
    const char *theirs = *(char *const *)config_member_const(running, option);
    *is_other = mine && theirs ? strcmp(mine, theirs) != 0 : mine != theirs;
    if (theirs)
        return text_put(object, option, "", str_from(theirs));
    text_clear(object, option);
    return 0;
}

/* ---- Words and other text -------------------------------------------------------------------- */

static bool is_visible_ascii(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
            return false;
    return true;
}

static int word_set(void *object, const struct config_input *in)
{
    struct str text = config_text_of(in->value);
    if (text.len == 0 || text.len > WORD_MAX_BYTES || !is_visible_ascii(text)) {
        config_refuse(in, CONFIG_WHOLE,
                      "must be a string in quotes, of 1 to %d ASCII characters without spaces",
                      WORD_MAX_BYTES);
        return -EINVAL;
    }
    return text_put(object, in->option, "", text);
}

const struct config_type config_type_word = {word_set, text_print, text_clear, text_keep};

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < ' ' || s.ptr[i] == '\x7f')
            return true;
    return false;
}

static int text_set(void *object, const struct config_input *in)
{
    const struct config_option *option = in->option;
    struct str text = config_text_of(in->value);
    if (!text.ptr || text.len < option->min || text.len > option->max || has_control(text) ||
        !str_is_utf8(text)) {
        config_refuse(in, CONFIG_WHOLE,
                      "must be a string in quotes, of %llu to %llu bytes without control "
                      "characters",
                      (unsigned long long)option->min, (unsigned long long)option->max);
        return -EINVAL;
    }
    return text_put(object, option, "", text);
}

const struct config_type config_type_text = {text_set, text_print, text_clear, text_keep};

static int user_name_set(void *object, const struct config_input *in)
{
    struct str text = config_text_of(in->value);
    if (str_find(text, ':') < text.len) {
        config_refuse(in, CONFIG_WHOLE,
                      "must be without a colon, which ends the user name in Basic authentication "
                      "(RFC 7617)");
        return -EINVAL;
    }
    return text_set(object, in);
}

const struct config_type config_type_user_name = {user_name_set, text_print, text_clear, text_keep};

/* Of keys in Redis. They are also looked for by pattern, where some characters are special. */
static int key_prefix_set(void *object, const struct config_input *in)
{
    const struct config_option *option = in->option;
    struct str text = config_text_of(in->value);
    bool is_good = text.ptr && text.len <= option->max && is_visible_ascii(text);
    for (size_t i = 0; i < text.len; i++)
        is_good &= !strchr("*?[]\\", text.ptr[i]);
    if (!is_good) {
        config_refuse(in, CONFIG_WHOLE,
                      "must be a string of at most %llu ASCII characters, without spaces and "
                      "* ? [ ] \\",
                      (unsigned long long)option->max);
        return -EINVAL;
    }
    return text_put(object, option, "", text);
}

const struct config_type config_type_key_prefix = {key_prefix_set, text_print, text_clear,
                                                   text_keep};

/* ---- Hosts and URLs -------------------------------------------------------------------------- */

static int host_port_set(void *object, const struct config_input *in)
{
    struct str text = config_text_of(in->value);
    if (!config_host_port_is_valid(text)) {
        config_refuse(in, CONFIG_WHOLE,
                      "must be a host or host:port, e.g. \"sip.example.com:5060\", "
                      "\"192.0.2.1\" or \"[2001:db8::1]:5060\"");
        return -EINVAL;
    }
    return text_put(object, in->option, "", text);
}

const struct config_type config_type_host_port = {host_port_set, text_print, text_clear, text_keep};

/* Kept as connect() and getaddrinfo() want it: IPv6 without brackets. */
static int host_set(void *object, const struct config_input *in)
{
    char ip[NET_ADDRESS_TEXT];
    struct net_address address;
    struct str text = config_text_of(in->value);
    if (net_address_parse(&address, text, 0) == 0)
        return text_put(object, in->option, "", net_address_ip(&address, ip));
    if (!config_host_is_valid(text)) {
        config_refuse(in, CONFIG_WHOLE,
                      "must be a host name or an IP address without a port, e.g. "
                      "\"redis.example.com\", \"192.0.2.1\" or \"2001:db8::1\"");
        return -EINVAL;
    }
    return text_put(object, in->option, "", text);
}

const struct config_type config_type_host = {host_set, text_print, text_clear, text_keep};

static int url_set(void *object, const struct config_input *in)
{
    struct str url = config_text_of(in->value);
    const char *fault = config_http_url_check(url);
    if (fault) {
        config_refuse(in, CONFIG_WHOLE, "%s", fault);
        return -EINVAL;
    }
    return text_put(object, in->option, "", url);
}

const struct config_type config_type_url = {url_set, text_print, text_clear, text_keep};

/* ---- Files and folders ----------------------------------------------------------------------- */

static int path_put(void *object, const struct config_input *in, const char *what)
{
    struct str path = config_text_of(in->value);
    if (path.len == 0 || path.len >= PATH_MAX) {
        config_refuse(in, CONFIG_WHOLE, "must be %s", what);
        return -EINVAL;
    }
    const char *folder = in->reader->folder;
    bool is_relative = path.ptr[0] != '/';
    return text_put(object, in->option, is_relative && folder ? folder : "", path);
}

static int file_set(void *object, const struct config_input *in)
{
    return path_put(object, in, "a string that names a file");
}

const struct config_type config_type_file = {file_set, text_print, text_clear, text_keep};

static int folder_set(void *object, const struct config_input *in)
{
    if (!config_is_literal(in, false))
        return path_put(object, in, "a string that names a folder, or false");
    text_clear(object, in->option);
    return 0;
}

static void folder_print(const void *object, const struct config_option *option, struct buf *out)
{
    if (*(char *const *)config_member_const(object, option))
        text_print(object, option, out);
    else
        buf_put_text(out, "false");
}

const struct config_type config_type_folder = {folder_set, folder_print, text_clear, text_keep};
