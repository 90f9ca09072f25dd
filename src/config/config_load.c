/* From defaults, file and command line to one struct config. */
#include "config_internal.h"
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILE_MAX_MB = 16, FILE_MAX_BYTES = FILE_MAX_MB << 20, HOST_NAME_BYTES = 256 };

struct loader {
    const struct config_source *source;
    const struct config *running; /* NULL: this is a start */
    struct config *config;
    struct config_reader reader;
    struct config_setting setting[CONFIG_OPTIONS_MAX];
    struct config_scope scope; /* the whole of `config` */
    cJSON *trees;              /* an array of all that was read: settings point into them */
    bool is_guess;             /* the file could not be read: nobody knows what was meant */
    bool is_kept[CONFIG_OPTIONS_MAX];
};

/* ---- Layers ---------------------------------------------------------------------------------- */

/* Takes `root`. */
static bool keep_tree(struct loader *l, cJSON *root)
{
    if (root && cJSON_AddItemToArray(l->trees, root))
        return true;
    cJSON_Delete(root);
    l->reader.error = -ENOMEM;
    return false;
}

static void complain_file(struct loader *l, const char *what)
{
    struct config_report *report = &l->reader.report;
    buf_printf(report->errors, "aorta: %s: %s\n", report->file, what);
    report->count++;
    l->is_guess = true;
}

static void complain_syntax(struct loader *l, struct json_position at, const char *what)
{
    struct config_report *report = &l->reader.report;
    buf_printf(report->errors, "aorta: %s:%u:%u: %s\n", report->file, at.line, at.column, what);
    report->count++;
    l->is_guess = true;
}

static void load_file_text(struct loader *l)
{
    struct json_position where;
    const char *what;
    struct str text = l->reader.report.text;
    cJSON *root = json_text_parse(text, &where, &what);
    if (!root) {
        complain_syntax(l, where, what);
        return;
    }
    if (!keep_tree(l, root))
        return;
    if (cJSON_IsObject(root))
        config_read_object(&l->reader, &l->scope, &l->scope.path, root);
    else
        complain_syntax(l, json_text_locate(text, NULL, 0, true),
                        "the configuration must be a JSON object, {...}");
}

static int keep_folder(struct loader *l)
{
    const char *slash = strrchr(l->source->file, '/');
    if (!slash)
        return 0;
    l->reader.folder = strndup(l->source->file, (size_t)(slash - l->source->file) + 1);
    return l->reader.folder ? 0 : -ENOMEM;
}

static void load_file(struct loader *l)
{
    char too_large[64];
    snprintf(too_large, sizeof too_large, "is larger than %d MiB", FILE_MAX_MB);
    l->reader.origin = CONFIG_FROM_FILE;
    int r = json_text_read_file(l->source->file, FILE_MAX_BYTES, &l->reader.report.text);
    if (r == -ENOMEM)
        l->reader.error = r;
    else if (r < 0)
        complain_file(l, r == -EFBIG ? too_large : strerror(-r));
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

static void take_override(struct loader *l, const struct config_path *path, const char *text)
{
    cJSON *value = override_value(text);
    if (keep_tree(l, value))
        config_read_member(&l->reader, &l->scope, path, value);
}

static void load_override(struct loader *l, const char *argument)
{
    const char *equals = strchr(argument, '=');
    char *key = strndup(argument, equals ? (size_t)(equals - argument) : strlen(argument));
    struct config_path path = {.name = {key}, .depth = 1};
    if (!key)
        l->reader.error = -ENOMEM;
    else if (equals)
        take_override(l, &path, equals + 1);
    else
        config_complain(&l->reader.report, CONFIG_FROM_OVERRIDE, &path, CONFIG_AT_KEY,
                        "a value is missing: write -D KEY=VALUE");
    free(key);
}

static void load_overrides(struct loader *l)
{
    l->reader.origin = CONFIG_FROM_OVERRIDE;
    for (size_t i = 0; i < l->source->override_count; i++)
        load_override(l, l->source->override[i]);
}

/* ---- What a reload leaves as it is -------------------------------------------------------------
 */

static bool is_untouched(const struct loader *l, const char *key)
{
    return config_setting_of(&l->scope, key)->origin == CONFIG_FROM_DEFAULT;
}

static void keep_option(struct loader *l, size_t index)
{
    bool is_other = false;
    const struct config_option *option = &config_options.option[index];
    if (option->type->keep(l->config, l->running, option, &is_other) < 0)
        l->reader.error = -ENOMEM;
    /* the host's name and its CPUs may change: nobody's wish */
    bool is_wish = !option->is_found_out || !is_untouched(l, option->key);
    l->is_kept[index] = is_other && is_wish;
}

static void keep_running(struct loader *l)
{
    for (size_t i = 0; i < config_options.count; i++)
        if (config_options.option[i].is_start_only)
            keep_option(l, i);
}

static void put_kept(const struct loader *l, struct buf *out)
{
    const char *separator = "";
    for (size_t i = 0; i < config_options.count; i++) {
        if (!l->is_kept[i])
            continue;
        buf_printf(out, "%s%s", separator, config_options.option[i].key);
        separator = ", ";
    }
}

/* ---- What is found out rather than written -----------------------------------------------------
 */

static uint32_t count_cpus(void)
{
    cpu_set_t set;
    const struct config_option *workers = config_option_find(&config_options, STR("workers"));
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

/* A default that nobody set gives way to the bounds that somebody did. */
static void fit_default_expires(struct loader *l)
{
    struct config *c = l->config;
    if (!is_untouched(l, "registrar.defaultExpires") || c->min_expires_s > c->max_expires_s)
        return;
    if (c->default_expires_s < c->min_expires_s)
        c->default_expires_s = c->min_expires_s;
    if (c->default_expires_s > c->max_expires_s)
        c->default_expires_s = c->max_expires_s;
}

/* Likewise to the one contact that jambonz reads. */
static void fit_max_contacts(struct loader *l)
{
    if (l->config->redis_layout == REDIS_LAYOUT_JAMBONZ && is_untouched(l, "registrar.maxContacts"))
        l->config->max_contacts = 1;
}

static void complete(struct loader *l)
{
    struct config *c = l->config;
    fit_default_expires(l);
    fit_max_contacts(l);
    c->www_is_default = l->running ? l->running->www_is_default : is_untouched(l, "http.www");
    if (c->workers == 0)
        c->workers = count_cpus();
    if (!c->node && !(c->node = make_node_name()))
        l->reader.error = -ENOMEM;
}

/* ---- The whole ------------------------------------------------------------------------------- */

static void load_layers(struct loader *l)
{
    config_read_defaults(&l->reader, &l->scope);
    if (l->source->file)
        load_file(l);
    load_overrides(l);
    if (l->running)
        keep_running(l);
    complete(l);
    if (!l->is_guess && !l->reader.error)
        config_check(&l->scope, &l->reader.report);
}

static int load(struct loader *l, struct config **out)
{
    l->config = calloc(1, sizeof *l->config);
    l->trees = cJSON_CreateArray();
    if (!l->config || !l->trees || (l->source->file && keep_folder(l) < 0))
        return -ENOMEM;
    l->config->demo = l->source->demo;
    l->scope = (struct config_scope){&config_options, l->config, l->setting, {.depth = 0}};
    load_layers(l);
    if (l->reader.error || l->reader.report.count)
        return l->reader.error ? l->reader.error : -EINVAL;
    *out = l->config;
    l->config = NULL;
    return 0;
}

static void fini(struct loader *l)
{
    config_free(l->config);
    json_text_wipe(l->trees);
    free(l->reader.folder);
    json_text_wipe_file(l->reader.report.text);
}

static struct loader loader_of(const struct config_source *source, struct buf *errors)
{
    return (struct loader){
        .source = source,
        .reader = {.report = {.file = source->file, .errors = errors}, .is_demo = source->demo},
    };
}

int config_load(const struct config_source *source, struct config **out, struct buf *errors)
{
    struct loader l = loader_of(source, errors);
    int r = load(&l, out);
    fini(&l);
    return r;
}

int config_reload(const struct config_source *source, const struct config *running,
                  struct config **out, struct buf *errors, struct buf *kept)
{
    struct loader l = loader_of(source, errors);
    l.running = running;
    int r = load(&l, out);
    if (r == 0)
        put_kept(&l, kept);
    fini(&l);
    return r;
}

static void forget_secrets(const struct config_table *table, void *object)
{
    for (size_t i = 0; i < table->count; i++)
        if (table->option[i].is_secret && !table->option[i].is_start_only)
            table->option[i].type->clear(object, &table->option[i]);
}

void config_forget_secrets(struct config *config)
{
    forget_secrets(&config_options, config);
    for (size_t i = 0; i < config->realms.count; i++)
        forget_secrets(&config_realm_options, &config->realms.item[i]);
}

void config_free(struct config *config)
{
    if (!config)
        return;
    config_clear(&config_options, config);
    free(config);
}
