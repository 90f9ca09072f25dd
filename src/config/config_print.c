/* The table of options for people, and the values that are in force. */
#include "config_internal.h"

/* ---- --print-config -------------------------------------------------------------------------- */

static struct str group_of(struct str key)
{
    size_t dot = str_find(key, '.');
    return dot < key.len ? str_slice(key, 0, dot) : STR("");
}

/* From the members of one object to those of the next: closes `from`, opens `to`. */
static void change_group(struct str from, struct str to, bool is_first, struct buf *out)
{
    if (from.len && !str_eq(from, to))
        buf_put_text(out, "\n  }");
    buf_put_text(out, is_first ? "\n" : ",\n");
    if (to.len && !str_eq(from, to))
        buf_printf(out, "  \"%.*s\": {\n", STR_ARG(to));
}

void config_print(const struct config *config, struct buf *out)
{
    struct str group = STR("");
    bool is_first = true; /* in its object */
    buf_put_char(out, '{');
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *option = &config_options[i];
        struct str key = str_from(option->key), next = group_of(key);
        change_group(group, next, is_first, out);
        struct str name = str_slice(key, next.len ? next.len + 1 : 0, key.len);
        buf_printf(out, "%s\"%.*s\": ", next.len ? "    " : "  ", STR_ARG(name));
        option->type->print(config, option, out);
        group = next;
        is_first = false;
    }
    buf_put_text(out, group.len ? "\n  }\n}\n" : "\n}\n");
}

/* ---- --help ---------------------------------------------------------------------------------- */

enum { COLUMNS = 100, MARGIN = 2, KEY_WIDTH = 26, FALLBACK_WIDTH = 26 };
enum { HELP_WIDTH = COLUMNS - MARGIN - KEY_WIDTH - FALLBACK_WIDTH };

static void put_fallback(const struct config_option *option, const char *none, struct buf *out)
{
    if (option->fallback)
        buf_put_text(out, option->fallback);
    else
        buf_put_text(out, option->fallback_remark ? option->fallback_remark : none);
}

static void put_meaning(const struct config_option *option, struct buf *out)
{
    char range[CONFIG_QUOTE];
    struct buf b;
    buf_init_fixed(&b, range, sizeof range);
    config_option_put_range(option, &b);
    buf_put_text(out, option->help);
    bool has_choice = !option->names || option->names[1];
    if (b.len && has_choice)
        buf_printf(out, " (%.*s)", STR_ARG(buf_str(&b)));
}

/* Takes from `rest` what fits into `width`, up to a space or behind a comma. */
static struct str take_line(struct str *rest, size_t width)
{
    *rest = str_trim(*rest);
    size_t end = rest->len;
    if (rest->len > width) {
        end = width;
        while (end > 1 && rest->ptr[end] != ' ' && rest->ptr[end - 1] != ',')
            end--;
        end = end > 1 ? end : width; /* one long word is cut anywhere */
    }
    struct str line = str_slice(*rest, 0, end);
    *rest = str_slice(*rest, end, rest->len);
    return str_trim(line);
}

static void put_row(struct str key, struct str fallback, struct str meaning, struct buf *out)
{
    while (key.len || fallback.len || meaning.len) {
        struct str left = take_line(&key, KEY_WIDTH - 1);
        struct str middle = take_line(&fallback, FALLBACK_WIDTH - 1);
        struct str right = take_line(&meaning, HELP_WIDTH);
        if (right.len)
            buf_printf(out, "%*s%-*.*s%-*.*s%.*s\n", MARGIN, "", KEY_WIDTH, STR_ARG(left),
                       FALLBACK_WIDTH, STR_ARG(middle), STR_ARG(right));
        else
            buf_printf(out, "%*s%-*.*s%.*s\n", MARGIN, "", KEY_WIDTH, STR_ARG(left),
                       STR_ARG(middle));
    }
}

void config_print_help(struct buf *out)
{
    put_row(STR("key"), STR("default"), STR("meaning"), out);
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *option = &config_options[i];
        char fallback_text[CONFIG_QUOTE], meaning_text[2 * CONFIG_QUOTE];
        struct buf fallback, meaning;
        buf_init_fixed(&fallback, fallback_text, sizeof fallback_text);
        buf_init_fixed(&meaning, meaning_text, sizeof meaning_text);
        put_fallback(option, "none", &fallback);
        put_meaning(option, &meaning);
        put_row(str_from(option->key), buf_str(&fallback), buf_str(&meaning), out);
    }
}

/* ---- README ---------------------------------------------------------------------------------- */

void config_print_markdown(struct buf *out)
{
    buf_put_text(out, "| key | default | meaning |\n| --- | --- | --- |\n");
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *option = &config_options[i];
        const char *mark = option->fallback ? "`" : "";
        buf_printf(out, "| `%s` | %s", option->key, mark);
        put_fallback(option, "none", out);
        buf_printf(out, "%s | ", mark);
        put_meaning(option, out);
        buf_put_text(out, " |\n");
    }
}
