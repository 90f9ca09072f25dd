/* A configuration file, or the arguments of -D, a line each. */
#include "fuzz.h"
#include <aorta/config.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

enum { OVERRIDES = 16 };

/* The file is one in memory, the same for all inputs. */
static const char *write_file(struct str text)
{
    static char path[32];
    static int fd = -1;
    if (fd < 0)
        fd = memfd_create("configuration", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && ftruncate(fd, 0) == 0);
    FUZZ_CHECK(pwrite(fd, text.ptr, text.len, 0) == (ssize_t)text.len);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return path;
}

static size_t cut_overrides(char *text, const char *override[OVERRIDES])
{
    size_t count = 0;
    for (char *line = text; line && count < OVERRIDES; count++) {
        char *end = strchr(line, '\n');
        override[count] = line;
        if (end)
            *end++ = 0;
        line = end;
    }
    return count;
}

/* What is printed is JSON, and with nothing hidden in it could be read again. */
static void check_print(const struct config *config)
{
    struct buf b;
    buf_init_heap(&b, 16 << 20);
    config_print(config, &b);
    FUZZ_CHECK(b.error == 0);
    cJSON *json = cJSON_ParseWithLength(b.data, b.len);
    FUZZ_CHECK(cJSON_IsObject(json));
    cJSON_Delete(json);
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *override[OVERRIDES];
    struct config_source source = {.override = override};
    struct config *config = NULL;
    struct buf errors;
    struct str text = {(const char *)data, size};
    char *copy = NULL;
    if (str_starts_nocase(text, STR("-D\n"))) {
        FUZZ_CHECK((copy = malloc(size - 2)));
        memcpy(copy, text.ptr + 3, size - 3);
        copy[size - 3] = 0;
        source.override_count = cut_overrides(copy, override);
    } else {
        source.file = write_file(text);
    }
    buf_init_heap(&errors, 64 << 20);
    int rc = config_load(&source, &config, &errors);
    FUZZ_CHECK(rc == 0 || rc == -EINVAL);
    FUZZ_CHECK((rc == 0) == (config != NULL) && (rc == 0) == (errors.len == 0));
    if (rc == 0)
        check_print(config);
    config_free(config);
    buf_fini(&errors);
    free(copy);
    return 0;
}
