#include "json_scan_internal.h"
#include <aorta/json_text.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct json_position position_of(struct str text, size_t offset)
{
    struct json_position position = {1, 1};
    for (size_t i = 0; i < offset; i++) {
        position.column++;
        if (text.ptr[i] == '\n') {
            position.line++;
            position.column = 1;
        }
    }
    return position;
}

struct cJSON *json_text_parse(struct str text, struct json_position *where, const char **what)
{
    /* cJSON lets through much that is not JSON, and says of the rest only where, roughly. */
    size_t at = 0;
    const char *fault = json_scan(text, &at);
    struct cJSON *json = fault ? NULL : cJSON_ParseWithLengthOpts(text.ptr, text.len, NULL, 0);
    if (!json) {
        *where = position_of(text, at);
        *what = fault ? fault : json_text_no_memory;
    }
    return json;
}

static void wipe_texts(struct cJSON *item)
{
    for (; item; item = item->next) {
        if (item->valuestring)
            explicit_bzero(item->valuestring, strlen(item->valuestring));
        wipe_texts(item->child);
    }
}

void json_text_wipe(struct cJSON *json)
{
    wipe_texts(json);
    cJSON_Delete(json);
}

struct json_position json_text_locate(struct str text, const char *const *path, size_t depth,
                                      bool of_value)
{
    struct json_scan_place place = json_scan_find(text, path, depth);
    return position_of(text, of_value ? place.value : place.key);
}

/* Room for all of it at once. */
static int make_room(int fd, struct buf *text)
{
    struct stat about;
    if (fstat(fd, &about) != 0)
        return -errno;
    if (!S_ISREG(about.st_mode))
        return S_ISDIR(about.st_mode) ? -EISDIR : -EINVAL;
    if ((uintmax_t)about.st_size > text->max)
        return -EFBIG;
    buf_reserve(text, (size_t)about.st_size);
    return text->error;
}

/* One byte more than there should be is asked for: it may grow while being read. */
static int read_all(int fd, struct buf *text)
{
    char beyond;
    for (;;) {
        size_t room = text->cap - text->len;
        ssize_t got = read(fd, room > 0 ? text->data + text->len : &beyond, room > 0 ? room : 1);
        if (got == 0)
            return 0;
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got > 0 && room > 0)
            text->len += (size_t)got;
        else if (got > 0)
            buf_put_char(text, beyond);
        if (text->error != 0)
            return text->error == -ENOSPC ? -EFBIG : text->error;
    }
}

int json_text_read_file(const char *file, size_t max_bytes, struct str *out)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold up the start */
    if (fd < 0)
        return -errno;
    struct buf text;
    buf_init_secret(&text, max_bytes);
    int error = make_room(fd, &text);
    if (error == 0)
        error = read_all(fd, &text);
    close(fd);
    if (error == 0)
        *out = buf_str(&text);
    else
        buf_fini(&text);
    return error;
}

void json_text_wipe_file(struct str text)
{
    if (text.ptr)
        explicit_bzero((char *)text.ptr, text.len);
    free((char *)text.ptr);
}
