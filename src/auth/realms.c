#include "realms_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_NAME_BYTES = 255 };

struct loader {
    const struct config *config;
    struct users *demo_users; /* not yet in a source */
    struct realms *realms;
    struct buf *errors;
    int failure; /* the first one; the rest is read nevertheless, to name all that is wrong */
};

/* What a configuration without realms says, in the shape of one. */
static const struct config_realm everybody = {.name = "*"};

/* ---- Finding ------------------------------------------------------------------------------- */

/* The slot of `name`, or the free one where it belongs: the table is never more than half full. */
static uint32_t *find_slot(const struct realms *realms, struct str name)
{
    size_t i = str_hash(name) & realms->slot_mask;
    while (realms->slot[i] != 0 && !str_eq(realms->realm[realms->slot[i] - 1].name, name))
        i = (i + 1) & realms->slot_mask;
    return &realms->slot[i];
}

const struct realm *realms_find(const struct realms *realms, struct str domain)
{
    char lower[MAX_NAME_BYTES];
    if (domain.len > sizeof lower)
        return realms->others;
    for (size_t i = 0; i < domain.len; i++) {
        char c = domain.ptr[i];
        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
    }
    uint32_t slot = *find_slot(realms, (struct str){lower, domain.len});
    return slot != 0 ? &realms->realm[slot - 1] : realms->others;
}

size_t realms_count(const struct realms *realms)
{
    return realms->count;
}

const struct realm *realms_at(const struct realms *realms, size_t i)
{
    return &realms->realm[i];
}

size_t realms_user_count(const struct realms *realms)
{
    size_t sum = 0;
    for (size_t i = 0; i < realms->source_count; i++)
        if (realms->source[i].users)
            sum += users_count(realms->source[i].users);
    return sum;
}

/* ---- Making and freeing -------------------------------------------------------------------- */

void realms_free(struct realms *realms)
{
    if (!realms)
        return;
    for (size_t i = 0; i < realms->source_count; i++)
        users_free(realms->source[i].users);
    for (size_t i = 0; i < realms->callback_count; i++)
        callback_free(realms->callback[i]);
    free(realms->source);
    free(realms->callback);
    free(realms->realm);
    free(realms->slot);
    free(realms);
}

/* Room for `count` realms, each with users and a callback of its own. */
static struct realms *realms_new(size_t count)
{
    struct realms *realms = calloc(1, sizeof *realms);
    if (!realms)
        return NULL;
    size_t slots = 2;
    while (slots < 2 * count)
        slots *= 2;
    realms->slot_mask = slots - 1;
    realms->slot = calloc(slots, sizeof *realms->slot);
    realms->realm = calloc(count, sizeof *realms->realm);
    realms->source = calloc(count, sizeof *realms->source);
    realms->callback = calloc(count, sizeof(struct callback *));
    if (realms->slot && realms->realm && realms->source && realms->callback)
        return realms;
    realms_free(realms);
    return NULL;
}

static void note_failure(struct loader *l, int rc)
{
    if (rc == -ENOMEM)
        buf_put_text(l->errors, "out of memory\n");
    if (l->failure == 0)
        l->failure = rc;
}

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* ---- Users --------------------------------------------------------------------------------- */

static struct users_source *find_source(const struct realms *realms, const char *path)
{
    for (size_t i = 0; i < realms->source_count; i++)
        if (is_same_text(realms->source[i].path, path))
            return &realms->source[i];
    return NULL;
}

/* The users of the file at `path`, or those of the demo when it is NULL; NULL: none. */
static const struct users *load_users(struct loader *l, const char *path)
{
    struct realms *realms = l->realms;
    const struct users_source *known = find_source(realms, path);
    if (known)
        return known->users;
    struct users_source source = {path, l->demo_users};
    if (path) {
        source.users = NULL;
        int rc = users_load(path, &source.users, l->errors);
        if (rc < 0)
            note_failure(l, rc);
    } else {
        l->demo_users = NULL;
    }
    /* One that could not be read is remembered too, to be complained about once. */
    realms->source[realms->source_count++] = source;
    return source.users;
}

/* ---- Callbacks ----------------------------------------------------------------------------- */

static bool is_same_callback(const struct config_callback *a, const struct config_callback *b)
{
    return strcmp(a->uri, b->uri) == 0 && is_same_text(a->username, b->username) &&
           is_same_text(a->password, b->password) && is_same_text(a->ca_file, b->ca_file) &&
           a->timeout_ms == b->timeout_ms && a->max_connections == b->max_connections;
}

static struct callback *find_callback(const struct realms *realms,
                                      const struct config_callback *config)
{
    for (size_t i = 0; i < realms->callback_count; i++)
        if (is_same_callback(realms->callback[i]->config, config))
            return realms->callback[i];
    return NULL;
}

static void check_ca_file(struct loader *l, const char *file)
{
    if (!file || access(file, R_OK) == 0)
        return;
    int rc = -errno;
    buf_printf(l->errors, "%s: cannot be read: %s\n", file, strerror(-rc));
    note_failure(l, rc);
}

static struct callback *make_callback(struct loader *l, const struct config_callback *config)
{
    struct realms *realms = l->realms;
    if (!config->uri)
        return NULL;
    struct callback *callback = find_callback(realms, config);
    if (callback)
        return callback;
    check_ca_file(l, config->ca_file);
    callback = callback_new(config, realms->callback_count);
    if (!callback)
        note_failure(l, -ENOMEM);
    else
        realms->callback[realms->callback_count++] = callback;
    return callback;
}

/* ---- Realms -------------------------------------------------------------------------------- */

static void add_realm(struct loader *l, const struct config_realm *own)
{
    const struct config *config = l->config;
    struct realms *realms = l->realms;
    struct realm *realm = &realms->realm[realms->count++];
    const char *file = own->users ? own->users : config->users;
    *realm = (struct realm){
        .name = str_from(own->name),
        .callback = make_callback(l, own->callback.uri ? &own->callback : &config->callback),
        .max_registrations = own->max_registrations,
        .allow_foreign_aor = own->allow_foreign_aor,
    };
    if (file || !realm->callback)
        realm->users = load_users(l, file);
    if (str_eq(realm->name, STR("*")))
        realms->others = realm;
    else
        *find_slot(realms, realm->name) = (uint32_t)realms->count;
}

int realms_load(const struct config *config, struct users *demo_users, struct realms **out,
                struct buf *errors)
{
    const struct config_realm *own = config->realms.count > 0 ? config->realms.item : &everybody;
    size_t count = config->realms.count > 0 ? config->realms.count : 1;
    struct loader l = {config, demo_users, realms_new(count), errors, 0};
    if (!l.realms)
        note_failure(&l, -ENOMEM);
    for (size_t i = 0; l.realms && i < count; i++)
        add_realm(&l, &own[i]);
    users_free(l.demo_users);
    if (l.failure == 0)
        *out = l.realms;
    else
        realms_free(l.realms);
    return l.failure;
}
