/* assets.h - the page's files, read once at start and served from memory. */
#ifndef AORTA_ASSETS_H
#define AORTA_ASSETS_H
#include <aorta/buf.h>

struct asset {
    char *path; /* "/app.js" */
    const char *content_type;
    struct str content; /* on the heap */
    char etag[20];      /* with its quotes */
};

struct assets;
/* All plain files of the folder itself, at most 64 of 8 MB. NULL, with a sentence in `error`. */
struct assets *assets_load(const char *folder, struct buf *error);
void assets_free(struct assets *assets);
/* "/" is index.html. NULL when there is none. */
const struct asset *assets_find(const struct assets *assets, struct str path);
#endif
