#include "log_internal.h"
#include "utf8_internal.h"
#include <aorta/buf.h>
#include <aorta/clock.h>
#include <inttypes.h>

typedef void put_value_fn(struct buf *line, struct str value);

/* What the two formats write around and between the same things. */
struct layout {
    const char *before_time, *before_level, *before_words;
    const char *before_key, *after_key;
    const char *cut, *end;
    const char *level[LOG_LEVEL_TRACE + 1];
    put_value_fn *put_words, *put_value;
};

static put_value_fn put_escaped, put_quoted_if_needed;

static const struct layout layouts[] = {
    [LOG_FORMAT_TEXT] = {.before_time = "",
                         .before_level = " ",
                         .before_words = " ",
                         .before_key = " ",
                         .after_key = "=",
                         .cut = " truncated=true",
                         .end = "\n",
                         .level = {"ERROR", "WARN ", "INFO ", "DEBUG", "TRACE"},
                         .put_words = put_escaped,
                         .put_value = put_quoted_if_needed},
    [LOG_FORMAT_JSON] = {.before_time = "{\"time\":\"",
                         .before_level = "\",\"level\":\"",
                         .before_words = "\",\"event\":",
                         .before_key = ",\"",
                         .after_key = "\":",
                         .cut = ",\"truncated\":true",
                         .end = "}\n",
                         .level = {"error", "warn", "info", "debug", "trace"},
                         .put_words = buf_put_json,
                         .put_value = buf_put_json        },
};

static void put_time(struct buf *line, uint64_t time_ms)
{
    struct clock_date utc;
    clock_split(time_ms, &utc);
    buf_printf(line, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", utc.year, utc.month, utc.day, utc.hour,
               utc.minute, utc.second, (unsigned)(time_ms % 1000));
}

/* Control characters, of which U+009B alone starts a terminal's escape sequence, and those that
 * break a line or turn its direction around. */
static bool is_harmless(uint32_t code)
{
    bool is_control = code < 0x20 || (code >= 0x7f && code <= 0x9f);
    bool is_layout = (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
    return !is_control && !is_layout;
}

static void put_escape(struct buf *line, struct str character)
{
    static const char letter[] = {['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    for (size_t i = 0; i < character.len; i++) {
        uint8_t byte = (uint8_t)character.ptr[i];
        buf_put_char(line, '\\');
        if (byte == '"' || byte == '\\') {
            buf_put_char(line, (char)byte);
        } else if (byte < sizeof letter && letter[byte] != 0) {
            buf_put_char(line, letter[byte]);
        } else {
            buf_put_char(line, 'x');
            buf_put_hex(line, &byte, 1);
        }
    }
}

static void put_escaped(struct buf *line, struct str value)
{
    for (size_t at = 0; at < value.len;) {
        uint32_t code = 0;
        size_t n = utf8_next(str_slice(value, at, value.len), &code);
        struct str character = str_slice(value, at, at + (n > 0 ? n : 1));
        if (n > 0 && is_harmless(code) && code != '"' && code != '\\')
            buf_put_str(line, character);
        else
            put_escape(line, character);
        at += character.len;
    }
}

static bool is_word(struct str value)
{
    for (size_t at = 0; at < value.len;) {
        uint32_t code = 0;
        size_t n = utf8_next(str_slice(value, at, value.len), &code);
        if (n == 0 || !is_harmless(code))
            return false;
        if (code == ' ' || code == '"' || code == '=' || code == '\\')
            return false;
        at += n;
    }
    return value.len > 0;
}

static void put_quoted_if_needed(struct buf *line, struct str value)
{
    if (is_word(value)) {
        buf_put_str(line, value);
        return;
    }
    buf_put_char(line, '"');
    put_escaped(line, value);
    buf_put_char(line, '"');
}

/* The first `len` bytes, or a few less so that no character is cut in two. */
static struct str cut_text(struct str value, size_t len)
{
    enum { MOST_FOLLOWING_BYTES = 3 };
    if (len >= value.len)
        return value;
    size_t cut = len;
    for (int i = 0; i < MOST_FOLLOWING_BYTES && cut > 0; i++, cut--)
        if (((unsigned char)value.ptr[cut] & 0xc0) != 0x80)
            break;
    return str_slice(value, 0, cut);
}

/* As much of `value` as fits; true if that is all. Leaves the error when not even "" does. */
static bool put_fitting(struct buf *line, put_value_fn *put, struct str value)
{
    size_t mark = line->len;
    struct str part = cut_text(value, LOG_LINE_BYTES);
    for (;;) {
        put(line, part);
        if (line->error == 0 || part.len == 0)
            return part.len == value.len;
        line->len = mark;
        line->error = 0;
        part = cut_text(part, part.len - part.len / 8 - 1);
    }
}

/* False if it was cut or left out. */
static bool put_field(struct buf *line, const struct layout *layout, const struct log_field *field)
{
    size_t mark = line->len;
    bool is_whole = true;
    buf_put_text(line, layout->before_key);
    buf_put_text(line, field->key);
    buf_put_text(line, layout->after_key);
    if (field->is_number)
        buf_printf(line, "%" PRId64, field->number);
    else
        is_whole = put_fitting(line, layout->put_value, field->text);
    if (line->error == 0)
        return is_whole;
    line->len = mark;
    line->error = 0;
    return false;
}

static bool put_conn(struct buf *line, const struct layout *layout, conn_id conn)
{
    if (conn == 0)
        return true;
    char memory[32];
    struct buf text;
    buf_init_fixed(&text, memory, sizeof memory);
    buf_printf(&text, "%x.%" PRIx32 ".%" PRIx32, (unsigned)conn_id_worker(conn), conn_id_slot(conn),
               conn_id_generation(conn));
    struct log_field field = LOG_STR("conn", buf_str(&text));
    return put_field(line, layout, &field);
}

static bool put_fields(struct buf *line, const struct layout *layout, const struct log_event *event)
{
    if (!put_conn(line, layout, event->conn))
        return false;
    for (const struct log_field *field = event->fields; field && field->key; field++)
        if (!put_field(line, layout, field))
            return false;
    return true;
}

struct str log_line(enum log_format format, const struct log_event *event,
                    char memory[LOG_LINE_BYTES])
{
    const struct layout *layout = &layouts[format];
    size_t tail = strlen(layout->cut) + strlen(layout->end);
    struct buf line;
    buf_init_fixed(&line, memory, LOG_LINE_BYTES - tail);

    buf_put_text(&line, layout->before_time);
    put_time(&line, event->time_ms);
    buf_put_text(&line, layout->before_level);
    buf_put_text(&line, layout->level[event->level]);
    buf_put_text(&line, layout->before_words);
    bool is_whole = put_fitting(&line, layout->put_words, str_from(event->words)) &&
                    put_fields(&line, layout, event);

    line.cap = line.max = LOG_LINE_BYTES;
    if (!is_whole)
        buf_put_text(&line, layout->cut);
    buf_put_text(&line, layout->end);
    return buf_str(&line);
}
