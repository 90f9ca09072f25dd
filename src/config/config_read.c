/* From a JSON tree to the members of a struct, by way of the struct's table of options. */
#include "config_internal.h"
#include <errno.h>

enum { STRING_MAX_BYTES = 1 << 16 };

/* ---- One value ------------------------------------------------------------------------------- */

static bool has_variable(const cJSON *value)
{
    return cJSON_IsString(value) && strstr(value->valuestring, "${");
}

static int expand_string(const struct config_input *in, int item, cJSON *value, struct buf *text)
{
    char why[CONFIG_QUOTE];
    if (config_expand(str_from(value->valuestring), text, why) < 0) {
        config_refuse(in, item, "%s", why);
        return -EINVAL;
    }
    buf_put_char(text, 0);
    if (text->error == -ENOSPC) {
        config_refuse(in, item, "is longer than %d bytes with its variables", STRING_MAX_BYTES);
        return -EINVAL;
    }
    return text->error || !cJSON_SetValuestring(value, text->data) ? -ENOMEM : 0;
}

/* Replaces ${…} in the value, which is number `item` of its list. */
static int expand_item(const struct config_input *in, int item, cJSON *value)
{
    struct buf text;
    if (!has_variable(value))
        return 0;
    buf_init_secret(&text, STRING_MAX_BYTES);
    int r = expand_string(in, item, value, &text);
    buf_fini(&text);
    return r;
}

/* In the value itself and in its items, all of them even when one is wrong. Members of an object
 * are values of their own. */
static int expand(struct config_input *in)
{
    in->was_replaced = has_variable(in->value);
    int result = expand_item(in, CONFIG_WHOLE, in->value);
    int index = 0;
    for (cJSON *item = cJSON_IsArray(in->value) ? in->value->child : NULL; item;
         item = item->next) {
        int r = expand_item(in, index++, item);
        result = r < 0 ? r : result;
    }
    return result;
}

static int set_option(const struct config_scope *scope, struct config_input *in)
{
    const struct config_option *option = in->option;
    if (cJSON_IsNull(in->value) && !option->fallback) {
        option->type->clear(scope->object, option);
        return 0;
    }
    int r = expand(in);
    return r < 0 ? r : option->type->set(scope->object, in);
}

static struct config_setting *setting_of(const struct config_scope *scope,
                                         const struct config_option *option)
{
    return &scope->setting[config_option_index(scope->table, option)];
}

struct config_setting *config_setting_of(const struct config_scope *scope, const char *key)
{
    return setting_of(scope, config_option_find(scope->table, str_from(key)));
}

/* Under both of its names in one file, or on one command line. */
static bool is_spelt_twice(struct config_reader *reader, const struct config_setting *setting,
                           const struct config_path *path, const char *key)
{
    if (setting->origin != reader->origin || !setting->key || setting->key == key)
        return false;
    config_complain(&reader->report, reader->origin, path, CONFIG_AT_KEY,
                    "is another spelling of %s, which stands there too", setting->key);
    return true;
}

static void read_value(struct config_reader *reader, const struct config_scope *scope,
                       const struct config_option *option, const struct config_path *path,
                       cJSON *value)
{
    struct config_input in = {
        .reader = reader,
        .option = option,
        .value = value,
        .path = path,
    };
    int r = set_option(scope, &in);
    setting_of(scope, option)->is_wrong = r < 0;
    if (r == -ENOMEM)
        reader->error = r;
}

static void read_option(struct config_reader *reader, const struct config_scope *scope,
                        const struct config_option *option, struct str key,
                        const struct config_path *path, cJSON *value)
{
    struct config_setting *setting = setting_of(scope, option);
    bool is_usual = str_eq(key, str_from(option->key));
    const char *spelt = is_usual ? option->key : option->other_key;
    if (is_spelt_twice(reader, setting, path, spelt)) {
        setting->is_wrong = true;
        return;
    }
    *setting = (struct config_setting){.origin = reader->origin, .key = spelt, .value = value};
    read_value(reader, scope, option, path, value);
}

/* ---- Defaults -------------------------------------------------------------------------------- */

static const char *default_of(const struct config_option *option, bool is_demo)
{
    return is_demo && option->fallback_demo ? option->fallback_demo : option->fallback;
}

static void read_default(struct config_reader *reader, const struct config_scope *scope,
                         const struct config_option *option)
{
    struct json_position ignored_where;
    const char *ignored_what;
    const char *text = default_of(option, reader->is_demo);
    *setting_of(scope, option) = (struct config_setting){.origin = CONFIG_FROM_DEFAULT};
    if (!text) {
        option->type->clear(scope->object, option);
        return;
    }
    cJSON *value = json_text_parse(str_from(text), &ignored_where, &ignored_what);
    if (value)
        read_value(reader, scope, option, &(struct config_path){{option->key}, 1}, value);
    else
        reader->error = -ENOMEM;
    cJSON_Delete(value);
}

void config_read_defaults(struct config_reader *reader, const struct config_scope *scope)
{
    for (size_t i = 0; i < scope->table->count; i++)
        read_default(reader, scope, &scope->table->option[i]);
}

/* ---- Members of objects ---------------------------------------------------------------------- */

/* The option that has `key` for a part of its value, as "listen" has "listen.0"; or NULL. */
static const struct config_option *find_whole(const struct config_table *table, struct str key)
{
    for (size_t end = str_find(key, '.'); end < key.len;
         end += 1 + str_find(str_slice(key, end + 1, key.len), '.')) {
        const struct config_option *option = config_option_find(table, str_slice(key, 0, end));
        if (option)
            return option;
    }
    return NULL;
}

static void complain_unknown(struct config_reader *reader, const struct config_scope *scope,
                             struct str key, const struct config_path *path)
{
    char near_text[CONFIG_KEY];
    struct config_report *report = &reader->report;
    const struct config_option *whole = find_whole(scope->table, key);
    const char *near = config_suggest(scope->table, key, near_text);
    if (whole)
        config_complain(report, reader->origin, path, CONFIG_AT_KEY,
                        "unknown key; %s can only be given as a whole", whole->key);
    else if (near)
        config_complain(report, reader->origin, path, CONFIG_AT_KEY,
                        "unknown key, did you mean \"%s\"?", near);
    else
        config_complain(report, reader->origin, path, CONFIG_AT_KEY,
                        "unknown key; aorta --help lists those there are");
}

/* {"tls.cert": …} where {"tls": {"cert": …}} is meant. */
static void complain_flat(struct config_reader *reader, struct str key,
                          const struct config_path *path)
{
    char text[2 * CONFIG_KEY];
    struct buf nested;
    struct str rest = key, name;
    size_t depth = 0;
    buf_init_fixed(&nested, text, sizeof text);
    for (; str_split(&rest, '.', &name); depth++)
        buf_printf(&nested, "{\"%.*s\": ", STR_ARG(name));
    buf_put_text(&nested, "...");
    while (depth-- > 0)
        buf_put_char(&nested, '}');
    config_complain(&reader->report, reader->origin, path, CONFIG_AT_KEY,
                    "in a file this is written %.*s", STR_ARG(buf_str(&nested)));
}

/* null: as if none of the group's options had been set. */
static void read_no_group(struct config_reader *reader, const struct config_scope *scope,
                          struct str key)
{
    for (size_t i = 0; i < scope->table->count; i++) {
        if (config_option_is_in(&scope->table->option[i], key))
            read_default(reader, scope, &scope->table->option[i]);
    }
}

static void read_group(struct config_reader *reader, const struct config_scope *scope,
                       struct str key, const struct config_path *path, cJSON *value)
{
    if (cJSON_IsObject(value))
        config_read_object(reader, scope, path, value);
    else if (cJSON_IsNull(value))
        read_no_group(reader, scope, key);
    else
        config_complain(&reader->report, reader->origin, path, CONFIG_AT_VALUE,
                        "must be an object, such as {\"%.*s\": {...}}",
                        STR_ARG(config_key_last(key)));
}

void config_read_member(struct config_reader *reader, const struct config_scope *scope,
                        const struct config_path *path, cJSON *value)
{
    char text[CONFIG_KEY];
    struct str key = config_path_key(path, scope->path.depth, text);
    const struct config_option *option = config_option_find(scope->table, key);
    if (option)
        read_option(reader, scope, option, key, path, value);
    else if (config_is_group(scope->table, key))
        read_group(reader, scope, key, path, value);
    else
        complain_unknown(reader, scope, key, path);
}

/* Only groups are walked into, which are as deep as the table's keys: this ends. */
void config_read_object(struct config_reader *reader, const struct config_scope *scope,
                        const struct config_path *path, cJSON *object)
{
    cJSON *member;
    cJSON_ArrayForEach(member, object)
    {
        char text[CONFIG_KEY];
        struct config_path inner = config_path_with(path, member->string);
        struct str key = config_path_key(&inner, scope->path.depth, text);
        if (strchr(member->string, '.') && config_option_find(scope->table, key))
            complain_flat(reader, key, &inner);
        else
            config_read_member(reader, scope, &inner, member);
    }
}
