/* The lines that say what is wrong. */
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

static bool is_plain_key(struct str key)
{
    for (size_t i = 0; i < key.len; i++)
        if (key.ptr[i] <= ' ' || key.ptr[i] > '~')
            return false;
    return key.len > 0;
}

static void put_key(struct buf *out, struct str key)
{
    char text[CONFIG_QUOTE];
    if (is_plain_key(key))
        buf_put_str(out, str_slice(key, 0, CONFIG_KEY));
    else
        buf_put_text(out, config_quote(text, key));
}

__attribute__((format(printf, 4, 0))) static void complain(struct config_report *report,
                                                           const struct config_place *place,
                                                           struct str key, const char *format,
                                                           va_list arguments)
{
    char what[2 * CONFIG_QUOTE];
    vsnprintf(what, sizeof what, format, arguments);
    buf_put_text(report->errors, "aorta: ");
    if (place->origin == CONFIG_FROM_FILE)
        buf_printf(report->errors, "%s:%u:%u: ", report->file, place->at.line, place->at.column);
    if (place->origin == CONFIG_FROM_OVERRIDE)
        buf_put_text(report->errors, "-D ");
    put_key(report->errors, key);
    buf_printf(report->errors, ": %s\n", what);
    report->count++;
}

void config_complain(struct config_report *report, const struct config_place *place, struct str key,
                     const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    complain(report, place, key, format, arguments);
    va_end(arguments);
}

static struct config_place place_of_item(const struct config_input *in, int item)
{
    struct config_place place = {.origin = in->origin};
    if (in->origin != CONFIG_FROM_FILE)
        return place;
    char index[16];
    struct config_path path = *in->path;
    if (item != CONFIG_WHOLE) {
        snprintf(index, sizeof index, "%d", item);
        path.name[path.depth++] = index;
    }
    place.at = json_text_locate(in->report->text, path.name, path.depth, true);
    return place;
}

void config_refuse(const struct config_input *in, int item, const char *format, ...)
{
    struct config_place place = place_of_item(in, item);
    va_list arguments;
    va_start(arguments, format);
    complain(in->report, &place, str_from(in->option->key), format, arguments);
    va_end(arguments);
}
