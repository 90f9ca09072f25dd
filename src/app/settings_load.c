#include "settings_load.h"
#include <errno.h>
#include <stdlib.h>

static void free_settings(struct settings *s)
{
    realms_free((struct realms *)s->realms);
    config_free((struct config *)s->config);
    free(s);
}

static void free_but_config(struct settings *s)
{
    realms_free((struct realms *)s->realms);
    config_forget_secrets((struct config *)s->config);
    free(s);
}

struct config *settings_share_config(struct settings *s)
{
    s->free = free_but_config;
    return (struct config *)s->config;
}

int settings_load(struct config *config, struct users *demo_users, struct settings **out,
                  struct buf *errors)
{
    struct realms *realms = NULL;
    struct settings *s = calloc(1, sizeof *s);
    int rc = realms_load(config, demo_users, &realms, errors);
    if (!s || rc < 0) {
        realms_free(realms);
        config_free(config);
        free(s);
        return rc < 0 ? rc : -ENOMEM;
    }
    *s = (struct settings){.config = config, .realms = realms, .free = free_settings};
    atomic_init(&s->references, 1);
    *out = s;
    return 0;
}
