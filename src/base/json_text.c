#include "json_scan_internal.h"
#include <aorta/json_text.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
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
        *what = fault ? fault : "not enough memory";
    }
    return json;
}

struct json_position json_text_locate(struct str text, const char *const *path, size_t depth,
                                      bool of_value)
{
    struct json_scan_place place = json_scan_find(text, path, depth);
    return position_of(text, of_value ? place.value : place.key);
}

static int check_file(int fd, size_t max_bytes)
{
    struct stat about;
    if (fstat(fd, &about) != 0)
        return -errno;
    if (!S_ISREG(about.st_mode))
        return S_ISDIR(about.st_mode) ? -EISDIR : -EINVAL;
    return (uintmax_t)about.st_size > max_bytes ? -EFBIG : 0;
}

static int read_all(int fd, struct buf *text)
{
    char piece[16384];
    ssize_t got;
    while ((got = read(fd, piece, sizeof piece)) != 0) {
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got > 0)
            buf_put(text, piece, (size_t)got);
        if (text->error != 0) /* it grew past the limit while being read */
            return text->error == -ENOSPC ? -EFBIG : text->error;
    }
    return 0;
}

int json_text_read_file(const char *file, size_t max_bytes, struct str *out)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold up the start */
    if (fd < 0)
        return -errno;
    struct buf text;
    buf_init_heap(&text, max_bytes);
    int error = check_file(fd, max_bytes);
    if (error == 0)
        error = read_all(fd, &text);
    close(fd);
    if (error == 0)
        *out = buf_str(&text);
    else
        buf_fini(&text);
    return error;
}
