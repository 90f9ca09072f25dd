/* The table of options for people, and the values that are in force. */
#include "config_internal.h"

/* ---- --print-config -------------------------------------------------------------------------- */

static void put_line(unsigned level, struct buf *out)
{
    enum { INDENT = 2 };
    buf_printf(out, "\n%*s", INDENT * (int)level, "");
}

static size_t count_names(struct str key)
{
    size_t count = key.len > 0;
    for (size_t i = 0; i < key.len; i++)
        count += key.ptr[i] == '.';
    return count;
}

/* The first `count` names of a group with more than that. */
static struct str first_names(struct str group, size_t count)
{
    while (count_names(group) > count)
        group = config_key_group(group);
    return group;
}

static size_t count_common_names(struct str a, struct str b)
{
    size_t count = count_names(a);
    while (!str_eq(first_names(a, count), first_names(b, count)))
        count--;
    return count;
}

/* From the members of one group to those of the next: closes what is left, opens what is entered.
 */
static void change_group(struct str from, struct str to, unsigned level, bool is_first,
                         struct buf *out)
{
    size_t common = count_common_names(from, to);
    for (size_t n = count_names(from); n > common; n--) {
        put_line(level + (unsigned)n, out);
        buf_put_char(out, '}');
    }
    buf_put_text(out, is_first ? "" : ",");
    for (size_t n = common + 1; n <= count_names(to); n++) {
        put_line(level + (unsigned)n, out);
        buf_printf(out, "\"%.*s\": {", STR_ARG(config_key_last(first_names(to, n))));
    }
}

void config_print_object(const struct config_table *table, const void *object, unsigned level,
                         struct buf *out)
{
    struct str group = STR("");
    buf_put_char(out, '{');
    for (size_t i = 0; i < table->count; i++) {
        const struct config_option *option = &table->option[i];
        struct str key = str_from(option->key), next = config_key_group(key);
        change_group(group, next, level, i == 0, out);
        put_line(level + 1 + (unsigned)count_names(next), out);
        buf_printf(out, "\"%.*s\": ", STR_ARG(config_key_last(key)));
        option->type->print(object, option, out);
        group = next;
    }
    change_group(group, STR(""), level, true, out);
    put_line(level, out);
    buf_put_char(out, '}');
}

void config_print(const struct config *config, struct buf *out)
{
    config_print_object(&config_options, config, 0, out);
    buf_put_char(out, '\n');
}

/* ---- --help ---------------------------------------------------------------------------------- */

enum { COLUMNS = 100, MARGIN = 2, KEY_WIDTH = 31, FALLBACK_WIDTH = 25 };
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

typedef void put_option_fn(const char *prefix, const struct config_option *option, struct buf *out);

/* A realm's options that are not known from the configuration itself stand behind "realms". */
static void put_options(put_option_fn *put_option, struct buf *out)
{
    for (size_t i = 0; i < config_options.count; i++) {
        const struct config_option *option = &config_options.option[i];
        put_option("", option, out);
        if (option->type != &config_type_realms)
            continue;
        for (size_t j = 0; j < config_realm_options.count; j++) {
            const struct config_option *inner = &config_realm_options.option[j];
            if (!config_option_find(&config_options, str_from(inner->key)))
                put_option("realms.DOMAIN.", inner, out);
        }
    }
}

static void put_help(const char *prefix, const struct config_option *option, struct buf *out)
{
    char key_text[CONFIG_KEY], fallback_text[CONFIG_QUOTE], meaning_text[2 * CONFIG_QUOTE];
    struct buf key, fallback, meaning;
    buf_init_fixed(&key, key_text, sizeof key_text);
    buf_init_fixed(&fallback, fallback_text, sizeof fallback_text);
    buf_init_fixed(&meaning, meaning_text, sizeof meaning_text);
    buf_printf(&key, "%s%s", prefix, option->key);
    put_fallback(option, "none", &fallback);
    put_meaning(option, &meaning);
    put_row(buf_str(&key), buf_str(&fallback), buf_str(&meaning), out);
}

void config_print_help(struct buf *out)
{
    put_row(STR("key"), STR("default"), STR("meaning"), out);
    put_options(put_help, out);
}

/* ---- README ---------------------------------------------------------------------------------- */

static void put_markdown(const char *prefix, const struct config_option *option, struct buf *out)
{
    const char *mark = option->fallback ? "`" : "";
    buf_printf(out, "| `%s%s` | %s", prefix, option->key, mark);
    put_fallback(option, "none", out);
    buf_printf(out, "%s | ", mark);
    put_meaning(option, out);
    buf_put_text(out, " |\n");
}

void config_print_markdown(struct buf *out)
{
    buf_put_text(out, "| key | default | meaning |\n| --- | --- | --- |\n");
    put_options(put_markdown, out);
}
