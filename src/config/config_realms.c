/* The type of `realms`: SIP domains, each an object with options of its own. */
#include "config_internal.h"
#include <errno.h>
#include <stdlib.h>

enum { REALMS_MAX = 10000, DOMAIN_BYTES = 256 };

static void realms_free(struct config_realms *realms)
{
    for (size_t i = 0; i < realms->count; i++) {
        config_clear(&config_realm_options, &realms->item[i]);
        free(realms->item[i].name);
    }
    free(realms->item);
    *realms = (struct config_realms){0};
}

/* ---- One realm ------------------------------------------------------------------------------- */

static int read_name(const struct config_input *in, const struct config_path *path,
                     const char *written, char **out)
{
    char name[DOMAIN_BYTES];
    struct buf b;
    buf_init_fixed(&b, name, sizeof name);
    if (config_domain_parse(str_from(written), &b) < 0 || b.error) {
        config_complain(&in->reader->report, in->reader->origin, path, CONFIG_AT_KEY,
                        "must be named by a host name, an IP address, or \"*\" for any other "
                        "domain");
        return -EINVAL;
    }
    *out = strndup(name, b.len);
    return *out ? 0 : -ENOMEM;
}

static void read_realm(const struct config_input *in, const struct config_path *path, cJSON *member,
                       struct config_realm *realm)
{
    struct config_setting setting[CONFIG_OPTIONS_MAX] = {0};
    struct config_scope scope = {&config_realm_options, realm, setting, *path};
    if (!cJSON_IsObject(member)) {
        config_complain(&in->reader->report, in->reader->origin, path, CONFIG_AT_VALUE,
                        "must be an object, such as {\"users\": \"users.json\"}");
        return;
    }
    config_read_defaults(in->reader, &scope);
    config_read_object(in->reader, &scope, path, member);
    config_check_callback(&scope, &in->reader->report);
}

/* ---- All of them ----------------------------------------------------------------------------- */

struct name_use {
    const char *name, *written; /* "example.com", and "Example.COM" in the file */
    size_t index;
};

static int compare_uses(const void *a, const void *b)
{
    const struct name_use *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : x->index < y->index ? -1 : 1;
}

static size_t list_uses(const cJSON *object, const struct config_realms *realms,
                        struct name_use *use)
{
    size_t uses = 0, index = 0;
    const cJSON *member;
    cJSON_ArrayForEach(member, object)
    {
        const char *name = realms->item[index].name;
        if (name)
            use[uses++] = (struct name_use){name, member->string, index};
        index++;
    }
    return uses;
}

/* Equal names as they are written were found with the file's syntax. */
static int refuse_repeated(const struct config_input *in, const struct config_realms *realms)
{
    struct name_use *use = calloc(realms->count, sizeof *use);
    if (!use)
        return -ENOMEM;
    size_t uses = list_uses(in->value, realms, use);
    qsort(use, uses, sizeof *use, compare_uses);
    for (size_t i = 1; i < uses; i++) {
        char quoted[CONFIG_QUOTE];
        struct config_path path = config_path_with(in->path, use[i].written);
        if (strcmp(use[i].name, use[i - 1].name) == 0)
            config_complain(&in->reader->report, in->reader->origin, &path, CONFIG_AT_KEY,
                            "is the same domain as %s",
                            config_quote(quoted, str_from(use[i - 1].written)));
    }
    free(use);
    return 0;
}

static int read_realms(const struct config_input *in, struct config_realms *realms)
{
    size_t complaints = in->reader->report.count;
    cJSON *member;
    cJSON_ArrayForEach(member, in->value)
    {
        struct config_realm *realm = &realms->item[realms->count++];
        struct config_path path = config_path_with(in->path, member->string);
        if (read_name(in, &path, member->string, &realm->name) == -ENOMEM)
            return -ENOMEM;
        read_realm(in, &path, member, realm);
    }
    if (realms->count > 1 && refuse_repeated(in, realms) < 0)
        return -ENOMEM;
    return in->reader->report.count > complaints ? -EINVAL : in->reader->error;
}

static int realms_set(void *object, const struct config_input *in)
{
    struct config_realms realms = {0};
    int count = cJSON_GetArraySize(in->value);
    if (!cJSON_IsObject(in->value) || count > REALMS_MAX) {
        config_refuse(in, CONFIG_WHOLE,
                      "must be an object of at most %d domains, such as {\"example.com\": "
                      "{\"users\": \"users.json\"}}",
                      REALMS_MAX);
        return -EINVAL;
    }
    if (count > 0 && !(realms.item = calloc((size_t)count, sizeof *realms.item)))
        return -ENOMEM;
    int r = read_realms(in, &realms);
    if (r < 0) {
        realms_free(&realms);
        return r;
    }
    struct config_realms *member = config_member(object, in->option);
    realms_free(member);
    *member = realms;
    return 0;
}

static void realms_print(const void *object, const struct config_option *option, struct buf *out)
{
    enum { LEVEL = 2 }; /* the option stands in the configuration itself, in no group */
    const struct config_realms *realms = config_member_const(object, option);
    buf_put_char(out, '{');
    for (size_t i = 0; i < realms->count; i++) {
        buf_put_text(out, i == 0 ? "\n    " : ",\n    ");
        buf_put_json(out, str_from(realms->item[i].name));
        buf_put_text(out, ": ");
        config_print_object(&config_realm_options, &realms->item[i], LEVEL, out);
    }
    buf_put_text(out, realms->count > 0 ? "\n  }" : "}");
}

static void realms_clear(void *object, const struct config_option *option)
{
    realms_free(config_member(object, option));
}

const struct config_type config_type_realms = {realms_set, realms_print, realms_clear, NULL};
