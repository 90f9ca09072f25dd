#include "assets.h"
#include <aorta/json_text.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_FILES = 64, MAX_FILE_BYTES = 8 << 20 };

struct assets {
    size_t count;
    struct asset asset[MAX_FILES];
};

static const char *content_type_of(struct str name)
{
    static const struct {
        struct str ending;
        const char *type;
    } row[] = {
        {{".html", 5}, "text/html; charset=utf-8"      },
        {{".css", 4},  "text/css; charset=utf-8"       },
        {{".js", 3},   "text/javascript; charset=utf-8"},
        {{".svg", 4},  "image/svg+xml"                 },
        {{".png", 4},  "image/png"                     },
        {{".txt", 4},  "text/plain; charset=utf-8"     },
        {{".json", 5}, "application/json"              },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (str_ends_nocase(name, row[i].ending))
            return row[i].type;
    return NULL;
}

static int load_file(struct assets *assets, const char *folder, const char *name, struct buf *error)
{
    struct asset *asset = &assets->asset[assets->count];
    char *file;
    if (asprintf(&file, "%s/%s", folder, name) < 0)
        return -ENOMEM;
    int rc = asprintf(&asset->path, "/%s", name) < 0 ? -ENOMEM : 0;
    if (rc == 0)
        rc = json_text_read_file(file, MAX_FILE_BYTES, &asset->content);
    if (rc < 0) {
        buf_printf(error, "%s: %s", file, strerror(-rc));
        free(file);
        free(asset->path);
        return rc;
    }
    free(file);
    asset->content_type = content_type_of(str_from(name));
    snprintf(asset->etag, sizeof asset->etag, "\"%016llx\"",
             (unsigned long long)str_hash(asset->content));
    assets->count++;
    return 0;
}

static int load_folder(struct assets *assets, const char *folder, DIR *dir, struct buf *error)
{
    int rc = 0;
    for (struct dirent *e; rc == 0 && (e = readdir(dir)) != NULL;) {
        if (!content_type_of(str_from(e->d_name)) || e->d_name[0] == '.')
            continue;
        if (assets->count == MAX_FILES) {
            buf_printf(error, "%s: more than %d files", folder, MAX_FILES);
            return -ENOSPC;
        }
        rc = load_file(assets, folder, e->d_name, error);
    }
    return rc;
}

struct assets *assets_load(const char *folder, struct buf *error)
{
    DIR *dir = opendir(folder);
    if (!dir) {
        buf_printf(error, "%s: %s", folder, strerror(errno));
        return NULL;
    }
    struct assets *assets = calloc(1, sizeof *assets);
    int rc = assets ? load_folder(assets, folder, dir, error) : -ENOMEM;
    closedir(dir);
    if (rc == 0 && !assets_find(assets, STR("/"))) {
        buf_printf(error, "%s: no index.html in it", folder);
        rc = -ENOENT;
    }
    if (rc < 0) {
        assets_free(assets);
        return NULL;
    }
    return assets;
}

void assets_free(struct assets *assets)
{
    if (!assets)
        return;
    for (size_t i = 0; i < assets->count; i++) {
        free(assets->asset[i].path);
        free((char *)assets->asset[i].content.ptr);
    }
    free(assets);
}

const struct asset *assets_find(const struct assets *assets, struct str path)
{
    if (str_eq(path, STR("/")))
        path = STR("/index.html");
    for (size_t i = 0; i < assets->count; i++)
        if (str_eq(path, str_from(assets->asset[i].path)))
            return &assets->asset[i];
    return NULL;
}
