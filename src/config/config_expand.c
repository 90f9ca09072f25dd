/* ${NAME} and ${NAME:-default} in strings. */
#include "config_internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAME_MAX_BYTES = 100 };

/* POSIX XBD 8.1, in either case. */
static bool is_variable_name(struct str s)
{
    if (s.len == 0 || s.len > NAME_MAX_BYTES || (s.ptr[0] >= '0' && s.ptr[0] <= '9'))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_word && c != '_')
            return false;
    }
    return true;
}

/* `inside` is what stands between the braces. */
static int put_variable(struct str inside, struct buf *out, char why[CONFIG_QUOTE])
{
    size_t colon = str_find(inside, ':');
    struct str name = str_slice(inside, 0, colon);
    struct str rest = str_slice(inside, colon, inside.len);
    bool has_default = str_starts_nocase(rest, STR(":-"));
    if (!is_variable_name(name) || (rest.len && !has_default)) {
        snprintf(why, CONFIG_QUOTE,
                 "write ${NAME} or ${NAME:-default}, NAME being letters, digits "
                 "and _");
        return -EINVAL;
    }
    char name_z[NAME_MAX_BYTES + 1];
    snprintf(name_z, sizeof name_z, "%.*s", STR_ARG(name));
    struct str value = str_from(getenv(name_z));
    if (!value.ptr && !has_default) {
        snprintf(why, CONFIG_QUOTE,
                 "the environment variable %s is not set; set it, or write ${%s:-default}", name_z,
                 name_z);
        return -EINVAL;
    }
    buf_put_str(out, str_is_empty(value) && has_default ? str_slice(rest, 2, rest.len) : value);
    return 0;
}

int config_expand(struct str s, struct buf *out, char why[CONFIG_QUOTE])
{
    for (size_t at = 0; at < s.len;) {
        struct str rest = str_slice(s, at, s.len);
        if (!str_starts_nocase(rest, STR("${"))) {
            size_t plain = 1 + str_find(str_slice(rest, 1, rest.len), '$');
            buf_put_str(out, str_slice(rest, 0, plain));
            at += plain;
            continue;
        }
        size_t end = str_find(rest, '}');
        if (end == rest.len) {
            snprintf(why, CONFIG_QUOTE, "${ has no closing }");
            return -EINVAL;
        }
        int r = put_variable(str_slice(rest, 2, end), out, why);
        if (r < 0)
            return r;
        at += end + 1;
    }
    return 0;
}
