/* config_given.h - for the tests of the configuration: what is given, and what comes of it. The
 * JSON in their tables is written with ' for ". */
#ifndef CONFIG_GIVEN_H
#define CONFIG_GIVEN_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <aorta/config.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OVERRIDES = 4, JSON_MAX = 1024, OUTPUT_MAX = 1 << 20 };

static char test_folder[] = "/tmp/aorta-config-XXXXXX";

/* Every test runs in a folder of its own, and with these variables. */
static inline int enter_folder(void **state)
{
    (void)state;
    setenv("AORTA_TEST_NAME", "edge", 1);
    setenv("AORTA_TEST_NUMBER", "7", 1);
    setenv("AORTA_TEST_EMPTY", "", 1);
    setenv("AORTA_TEST_NESTED", "${AORTA_TEST_NAME}", 1);
    unsetenv("AORTA_TEST_UNSET");
    return mkdtemp(test_folder) && chdir(test_folder) == 0 && mkdir("sub", 0700) == 0 ? 0 : -1;
}

static inline int leave_folder(void **state)
{
    (void)state;
    unlink("aorta.json");
    unlink("sub/aorta.json");
    rmdir("sub");
    return chdir("/") == 0 ? rmdir(test_folder) : -1;
}

static inline void write_file(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    for (; *text; text++)
        assert_int_not_equal(fputc(*text == '\'' ? '"' : *text, f), EOF);
    assert_int_equal(fclose(f), 0);
}

static inline void to_json(char out[JSON_MAX], const char *text)
{
    assert_true(strlen(text) < JSON_MAX);
    strcpy(out, text);
    for (char *c = strchr(out, '\''); c; c = strchr(c, '\''))
        *c = '"';
}

struct given {
    const char *file_text; /* NULL: no file at all */
    const char *override[OVERRIDES];
    bool demo;
};

/* What was given as it is handed in; lives as long as both. */
struct given_source {
    struct config_source source;
    const char *override[OVERRIDES];
    char text[OVERRIDES][JSON_MAX];
};

static inline void prepare(const struct given *given, const char *file, struct given_source *out)
{
    out->source = (struct config_source){.override = out->override, .demo = given->demo};
    for (size_t i = 0; i < OVERRIDES && given->override[i]; i++) {
        to_json(out->text[i], given->override[i]);
        out->override[i] = out->text[i];
        out->source.override_count++;
    }
    if (given->file_text) {
        write_file(file, given->file_text);
        out->source.file = file;
    }
}

static inline struct config *load_good(const struct given *given, const char *file)
{
    struct buf errors;
    struct config *config = NULL;
    struct given_source given_source;
    prepare(given, file, &given_source);
    buf_init_heap(&errors, OUTPUT_MAX);
    int r = config_load(&given_source.source, &config, &errors);
    if (r != 0)
        fail_msg("%d\n%.*s", r, STR_ARG(buf_str(&errors)));
    assert_int_equal(errors.len, 0);
    buf_fini(&errors);
    return config;
}

/* With all errors, a line each. */
static inline void assert_refused(const struct given *given, const char *expected)
{
    struct buf errors;
    struct config *config = NULL;
    struct given_source given_source;
    prepare(given, "aorta.json", &given_source);
    buf_init_heap(&errors, OUTPUT_MAX);
    int r = config_load(&given_source.source, &config, &errors);
    buf_put_char(&errors, 0);
    if (r != -EINVAL || strcmp(errors.data, expected) != 0)
        fail_msg("returned %d\n--- said\n%s--- expected\n%s", r, errors.data, expected);
    assert_null(config);
    buf_fini(&errors);
}

/* As --print-config does; the caller frees. */
static inline char *text_of(const struct config *config)
{
    struct buf b;
    buf_init_heap(&b, OUTPUT_MAX);
    config_print(config, &b);
    buf_put_char(&b, 0);
    assert_int_equal(b.error, 0);
    return b.data;
}
#endif
