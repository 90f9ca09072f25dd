/* The lines that say what is wrong, and where. */
#include "config_internal.h"
#include <stdarg.h>
#include <stdio.h>

const char *config_quote(char text[CONFIG_QUOTE], struct str s)
{
    enum { SHOWN = 60 }; /* a byte takes six when it is escaped */
    struct buf b;
    buf_init_fixed(&b, text, CONFIG_QUOTE - 1);
    buf_put_json(&b, str_slice(s, 0, SHOWN));
    buf_put_text(&b, s.len > SHOWN ? "..." : "");
    text[b.len] = 0;
    return text;
}

struct config_path config_path_with(const struct config_path *path, const char *name)
{
    struct config_path longer = *path;
    if (longer.depth < CONFIG_DEPTH)
        longer.name[longer.depth++] = name;
    return longer;
}

struct str config_path_key(const struct config_path *path, size_t first, char text[CONFIG_KEY])
{
    struct buf b;
    size_t len = 0;
    buf_init_fixed(&b, text, CONFIG_KEY - 1);
    for (size_t i = first; i < path->depth; i++) {
        struct str name = str_from(path->name[i]);
        buf_put_text(&b, i == first ? "" : ".");
        buf_put_str(&b, str_slice(name, 0, CONFIG_KEY - 1 - b.len));
        len = b.len;
    }
    text[len] = 0;
    return (struct str){text, len};
}

static bool is_plain_key(struct str key)
{
    for (size_t i = 0; i < key.len; i++)
        if (key.ptr[i] <= ' ' || key.ptr[i] > '~')
            return false;
    return key.len > 0;
}

static void put_key(struct buf *out, const struct config_path *path)
{
    char text[CONFIG_KEY], quoted[CONFIG_QUOTE];
    struct str key = config_path_key(path, 0, text);
    if (is_plain_key(key))
        buf_put_str(out, key);
    else
        buf_put_text(out, config_quote(quoted, key));
}

/* To find a place the file is read once more from its start. A large one with a fault in each of
 * its realms would take minutes: when this much was read the rest goes without. */
enum { SEARCH_MAX_BYTES = 1 << 25 };

static void put_place(struct config_report *report, const struct config_path *path,
                      enum config_place place)
{
    buf_printf(report->errors, "%s:", report->file);
    report->searched_bytes += report->text.len;
    if (report->searched_bytes <= SEARCH_MAX_BYTES) {
        struct json_position at =
            json_text_locate(report->text, path->name, path->depth, place == CONFIG_AT_VALUE);
        buf_printf(report->errors, "%u:%u:", at.line, at.column);
    }
    buf_put_char(report->errors, ' ');
}

/* `item`: the one of the list that is wrong, by its index; NULL: all of it. Not part of the key. */
__attribute__((format(printf, 6, 0))) static void
complain(struct config_report *report, enum config_origin origin, const struct config_path *path,
         const char *item, enum config_place place, const char *format, va_list arguments)
{
    char what[2 * CONFIG_QUOTE];
    vsnprintf(what, sizeof what, format, arguments);
    buf_put_text(report->errors, "aorta: ");
    if (origin == CONFIG_FROM_FILE) {
        struct config_path with_item = item ? config_path_with(path, item) : *path;
        put_place(report, &with_item, place);
    }
    if (origin == CONFIG_FROM_OVERRIDE)
        buf_put_text(report->errors, "-D ");
    put_key(report->errors, path);
    buf_printf(report->errors, ": %s\n", what);
    report->count++;
}

void config_complain(struct config_report *report, enum config_origin origin,
                     const struct config_path *path, enum config_place place, const char *format,
                     ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(report, origin, path, NULL, place, format, arguments);
    va_end(arguments);
}

void config_refuse(const struct config_input *in, int item, const char *format, ...)
{
    char index[16];
    va_list arguments;
    snprintf(index, sizeof index, "%d", item);
    va_start(arguments, format);
    complain(&in->reader->report, in->reader->origin, in->path, item == CONFIG_WHOLE ? NULL : index,
             CONFIG_AT_VALUE, format, arguments);
    va_end(arguments);
}
