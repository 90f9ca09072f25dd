/* From defaults, file and command line to one struct config. */
#include "config_internal.h"
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILE_MAX_BYTES = 1 << 20, STRING_MAX_BYTES = 1 << 16, HOST_NAME_BYTES = 256 };

struct loader {
    const struct config_source *source;
    struct config *config;
    struct config_report report;
    char *folder; /* the file's, with a slash at its end; NULL: the working directory */
    /* Of the layer that is being read: */
    enum config_origin origin;
    /* For each option, in the order of the table: */
    struct config_place place[CONFIG_OPTIONS_MAX];
    bool is_wrong[CONFIG_OPTIONS_MAX];
    bool is_guess; /* the file could not be read: nobody knows what was meant */
    int error;     /* -ENOMEM */
};

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
    buf_init_heap(&text, STRING_MAX_BYTES);
    int r = expand_string(in, item, value, &text);
    buf_fini(&text);
    return r;
}

/* In the value itself and in its items, all of them even when one is wrong. */
static int expand(struct config_input *in, cJSON *value)
{
    in->was_replaced = has_variable(value);
    int result = expand_item(in, CONFIG_WHOLE, value);
    int index = 0;
    cJSON *item;
    cJSON_ArrayForEach(item, value)
    {
        int r = expand_item(in, index++, item);
        result = r < 0 ? r : result;
    }
    return result;
}

static int set_option(struct loader *l, struct config_input *in, cJSON *value)
{
    const struct config_option *option = in->option;
    if (cJSON_IsNull(value) && !option->fallback) {
        option->type->clear(l->config, option);
        return 0;
    }
    int r = expand(in, value);
    return r < 0 ? r : option->type->set(l->config, in);
}

static struct json_position locate(const struct loader *l, const struct config_path *path,
                                   bool of_value)
{
    return json_text_locate(l->report.text, path->name, path->depth, of_value);
}

static void take_option(struct loader *l, const struct config_option *option,
                        const struct config_path *path, cJSON *value)
{
    size_t index = config_option_index(option);
    l->place[index] = (struct config_place){.origin = l->origin};
    if (l->origin == CONFIG_FROM_FILE)
        l->place[index].at = locate(l, path, true);
    struct config_input in = {
        .option = option,
        .value = value,
        .folder = l->folder,
        .report = &l->report,
        .origin = l->origin,
        .path = path,
    };
    int r = set_option(l, &in, value);
    l->is_wrong[index] = r < 0;
    if (r == -ENOMEM)
        l->error = r;
}

/* ---- Members of objects ---------------------------------------------------------------------- */

static struct config_place place_of_member(const struct loader *l, const struct config_path *path,
                                           bool of_value)
{
    struct config_place place = {.origin = l->origin};
    if (l->origin == CONFIG_FROM_FILE)
        place.at = locate(l, path, of_value);
    return place;
}

static void complain_unknown(struct loader *l, struct str key, const struct config_path *path)
{
    char near_text[CONFIG_KEY];
    struct config_place place = place_of_member(l, path, false);
    const char *near = config_suggest(key, near_text);
    if (near)
        config_complain(&l->report, &place, key, "unknown key, did you mean \"%s\"?", near);
    else
        config_complain(&l->report, &place, key, "unknown key; aorta --help lists those there are");
}

/* {"tls.cert": …} where {"tls": {"cert": …}} is meant. */
static void complain_flat(struct loader *l, struct str key, const struct config_path *path)
{
    struct config_place place = place_of_member(l, path, false);
    size_t dot = str_find(key, '.');
    config_complain(&l->report, &place, key,
                    "in a file this is written {\"%.*s\": {\"%.*s\": ...}}",
                    STR_ARG(str_slice(key, 0, dot)), STR_ARG(str_slice(key, dot + 1, key.len)));
}

static void take_group(struct loader *l, struct str key, const struct config_path *path,
                       cJSON *value);

static void take_member(struct loader *l, struct str key, const struct config_path *path,
                        cJSON *value)
{
    const struct config_option *option = config_option_find(key);
    if (option)
        take_option(l, option, path, value);
    else if (config_is_group(key))
        take_group(l, key, path, value);
    else
        complain_unknown(l, key, path);
}

/* `prefix` is the object's own key, empty at the root. */
static void take_object(struct loader *l, struct str prefix, const struct config_path *path,
                        cJSON *object)
{
    cJSON *member;
    cJSON_ArrayForEach(member, object)
    {
        char text[CONFIG_KEY];
        snprintf(text, sizeof text, "%.*s%s%s", STR_ARG(prefix), prefix.len ? "." : "",
                 member->string);
        struct str key = str_from(text);
        struct config_path inner = *path;
        inner.name[inner.depth++] = member->string;
        if (strchr(member->string, '.') && config_option_find(key))
            complain_flat(l, key, &inner);
        else
            take_member(l, key, &inner, member);
    }
}

/* Groups stand at the root only, so that this ends. */
static void take_group(struct loader *l, struct str key, const struct config_path *path,
                       cJSON *value)
{
    if (cJSON_IsObject(value)) {
        take_object(l, key, path, value);
        return;
    }
    struct config_place place = place_of_member(l, path, true);
    config_complain(&l->report, &place, key, "must be an object, such as {\"%.*s\": {...}}",
                    STR_ARG(key));
}

/* ---- Layers ---------------------------------------------------------------------------------- */

static const char *default_of(const struct config_option *option, bool demo)
{
    return demo && option->fallback_demo ? option->fallback_demo : option->fallback;
}

static void load_defaults(struct loader *l)
{
    struct json_position ignored_where;
    const char *ignored_what;
    l->origin = CONFIG_FROM_DEFAULT;
    for (size_t i = 0; i < config_option_count; i++) {
        const char *text = default_of(&config_options[i], l->source->demo);
        if (!text)
            continue;
        cJSON *value = json_text_parse(str_from(text), &ignored_where, &ignored_what);
        if (value)
            take_option(l, &config_options[i], &(struct config_path){0}, value);
        else
            l->error = -ENOMEM;
        cJSON_Delete(value);
    }
}

static void complain_file(struct loader *l, const char *what)
{
    buf_printf(l->report.errors, "aorta: %s: %s\n", l->report.file, what);
    l->report.count++;
    l->is_guess = true;
}

static void complain_syntax(struct loader *l, struct json_position at, const char *what)
{
    buf_printf(l->report.errors, "aorta: %s:%u:%u: %s\n", l->report.file, at.line, at.column, what);
    l->report.count++;
    l->is_guess = true;
}

static void load_file_text(struct loader *l)
{
    struct json_position where;
    const char *what;
    cJSON *root = json_text_parse(l->report.text, &where, &what);
    if (!root) {
        complain_syntax(l, where, what);
        return;
    }
    struct config_path path = {.depth = 0};
    l->origin = CONFIG_FROM_FILE;
    if (cJSON_IsObject(root))
        take_object(l, STR(""), &path, root);
    else
        complain_syntax(l, locate(l, &path, true),
                        "the configuration must be a JSON object, {...}");
    cJSON_Delete(root);
}

static int keep_folder(struct loader *l)
{
    const char *slash = strrchr(l->source->file, '/');
    if (!slash)
        return 0;
    l->folder = strndup(l->source->file, (size_t)(slash - l->source->file) + 1);
    return l->folder ? 0 : -ENOMEM;
}

static void load_file(struct loader *l)
{
    int r = json_text_read_file(l->source->file, FILE_MAX_BYTES, &l->report.text);
    if (r == -ENOMEM)
        l->error = r;
    else if (r == -EFBIG)
        complain_file(l, "is larger than 1 MiB");
    else if (r < 0)
        complain_file(l, strerror(-r));
    else
        load_file_text(l);
}

/* JSON if it parses as JSON, else a string. */
static cJSON *override_value(const char *text)
{
    struct json_position ignored_where;
    const char *ignored_what;
    cJSON *value = json_text_parse(str_from(text), &ignored_where, &ignored_what);
    return value ? value : cJSON_CreateString(text);
}

static void load_override(struct loader *l, const char *argument)
{
    const struct config_path nowhere = {.depth = 0};
    const char *equals = strchr(argument, '=');
    struct str key = {argument, equals ? (size_t)(equals - argument) : strlen(argument)};
    if (!equals) {
        struct config_place place = place_of_member(l, &nowhere, false);
        config_complain(&l->report, &place, key, "a value is missing: write -D KEY=VALUE");
        return;
    }
    cJSON *value = override_value(equals + 1);
    if (value)
        take_member(l, key, &nowhere, value);
    else
        l->error = -ENOMEM;
    cJSON_Delete(value);
}

static void load_overrides(struct loader *l)
{
    l->origin = CONFIG_FROM_OVERRIDE;
    for (size_t i = 0; i < l->source->override_count; i++)
        load_override(l, l->source->override[i]);
}

/* ---- What is found out rather than written -----------------------------------------------------
 */

static uint32_t count_cpus(void)
{
    cpu_set_t set;
    const struct config_option *workers = config_option_find(STR("workers"));
    bool is_known = sched_getaffinity(0, sizeof set, &set) == 0; /* -EINVAL above 1024 CPUs */
    long count = is_known ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
    if (count < (long)workers->min)
        return (uint32_t)workers->min;
    return count < (long)workers->max ? (uint32_t)count : (uint32_t)workers->max;
}

static char *make_node_name(void)
{
    char host[HOST_NAME_BYTES], *name;
    if (gethostname(host, sizeof host) < 0)
        snprintf(host, sizeof host, "localhost");
    host[sizeof host - 1] = 0;
    return asprintf(&name, "%s-%ld", host, (long)getpid()) < 0 ? NULL : name;
}

static bool is_untouched(const struct loader *l, struct str key)
{
    size_t index = config_option_index(config_option_find(key));
    return l->place[index].origin == CONFIG_FROM_DEFAULT;
}

/* A default that nobody set gives way to the bounds that somebody did. */
static void fit_default_expires(struct loader *l)
{
    struct config *c = l->config;
    if (!is_untouched(l, STR("registrar.defaultExpires")) || c->min_expires_s > c->max_expires_s)
        return;
    if (c->default_expires_s < c->min_expires_s)
        c->default_expires_s = c->min_expires_s;
    if (c->default_expires_s > c->max_expires_s)
        c->default_expires_s = c->max_expires_s;
}

static void complete(struct loader *l)
{
    struct config *c = l->config;
    fit_default_expires(l);
    c->www_is_default = is_untouched(l, STR("http.www"));
    if (c->workers == 0)
        c->workers = count_cpus();
    if (!c->node && !(c->node = make_node_name()))
        l->error = -ENOMEM;
}

/* ---- The whole ------------------------------------------------------------------------------- */

static void load_layers(struct loader *l)
{
    load_defaults(l);
    if (l->source->file)
        load_file(l);
    load_overrides(l);
    complete(l);
    if (!l->is_guess)
        config_check(l->config, l->place, l->is_wrong, &l->report);
}

int config_load(const struct config_source *source, struct config **out, struct buf *errors)
{
    struct loader l = {
        .source = source,
        .config = calloc(1, sizeof *l.config),
        .report = {.file = source->file, .errors = errors},
    };
    int r = -ENOMEM;
    if (!l.config || (source->file && keep_folder(&l) < 0))
        goto fail;
    l.config->demo = source->demo;
    load_layers(&l);
    r = l.error ? l.error : l.report.count ? -EINVAL : 0;
    if (r < 0)
        goto fail;
    *out = l.config;
    l.config = NULL;
fail:
    config_free(l.config);
    free(l.folder);
    free((char *)l.report.text.ptr);
    return r;
}

void config_free(struct config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config_option_count; i++)
        if (config_options[i].type->clear)
            config_options[i].type->clear(config, &config_options[i]);
    free(config);
}
