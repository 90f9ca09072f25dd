#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config_internal.h"
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TEXT_MAX = 1 << 16, COLUMNS = 100 };

static struct config *load(const char *file, const char *const *override, size_t count)
{
    struct buf errors;
    struct config *config = NULL;
    struct config_source source = {.file = file, .override = override, .override_count = count};
    buf_init_heap(&errors, TEXT_MAX);
    if (config_load(&source, &config, &errors) != 0)
        fail_msg("%.*s", STR_ARG(buf_str(&errors)));
    buf_fini(&errors);
    return config;
}

static char *text_of(const struct config *config)
{
    struct buf b;
    buf_init_heap(&b, TEXT_MAX);
    config_print(config, &b);
    buf_put_char(&b, 0);
    assert_int_equal(b.error, 0);
    return b.data;
}

/* What is printed is a configuration, and means the same. */
static void reads_what_it_prints(void **state)
{
    (void)state;
    static const char *const override[] = {
        "users=/etc/aorta/users.json",
        "tls={\"cert\":\"/etc/a \\\"quoted\\\".crt\",\"key\":\"/k\"}",
        "http={\"www\":false,\"admin\":false}",
        "ws.origins=[\"https://a\",\"https://*.b:1\"]",
        "auth.algorithms=[\"SHA-256\",\"MD5\"]",
        "logging={\"level\":\"trace\",\"format\":\"json\"}"};
    struct config *first = load(NULL, override, sizeof override / sizeof *override);
    char *printed = text_of(first);

    char file[] = "/tmp/aorta-config-XXXXXX";
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, printed, strlen(printed)), strlen(printed));
    close(fd);
    struct config *second = load(file, NULL, 0);
    unlink(file);

    char *again = text_of(second);
    assert_string_equal(printed, again);
    free(printed);
    free(again);
    config_free(first);
    config_free(second);
}

static void prints_no_secret(void **state)
{
    (void)state;
    static const char *const override[] = {"users=u", "http.adminToken=hunter2"};
    struct config *config = load(NULL, override, 2);
    char *printed = text_of(config);
    assert_string_equal(config->admin_token, "hunter2");
    assert_null(strstr(printed, "hunter2"));
    assert_non_null(strstr(printed, "\"adminToken\": \"***\""));
    free(printed);
    config_free(config);
}

static void each_option_has_a_whole_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *option = &config_options[i];
        if (config_option_find(str_from(option->key)) != option)
            fail_msg("%s stands there twice", option->key);
        if (!option->fallback && !option->type->clear)
            fail_msg("%s cannot be without a value", option->key);
        if (strlen(option->help) < 7 || strpbrk(option->help, "|\n"))
            fail_msg("%s has no help, or one that breaks the table", option->key);
    }
}

static void help_fits_a_terminal(void **state)
{
    (void)state;
    struct buf help;
    buf_init_heap(&help, TEXT_MAX);
    config_print_help(&help);
    assert_int_equal(help.error, 0);
    struct str rest = buf_str(&help), line;
    while (str_split(&rest, '\n', &line)) {
        if (line.len > COLUMNS || str_ends_nocase(line, STR(" ")))
            fail_msg("\"%.*s\"", STR_ARG(line));
    }
    buf_put_char(&help, 0);
    for (size_t i = 0; i < config_option_count; i++) {
        char start[CONFIG_KEY];
        snprintf(start, sizeof start, "\n  %s ", config_options[i].key);
        if (!strstr(help.data, start))
            fail_msg("%s is not there", config_options[i].key);
    }
    assert_non_null(strstr(help.data, "(seconds, 1\n"));
    buf_fini(&help);
}

static void markdown_has_a_row_for_each(void **state)
{
    (void)state;
    struct buf b;
    size_t rows = 0;
    buf_init_heap(&b, TEXT_MAX);
    config_print_markdown(&b);
    for (size_t i = 0; i < b.len; i++)
        rows += b.data[i] == '\n';
    buf_put_char(&b, 0);
    assert_int_equal(b.error, 0);
    assert_int_equal(rows, config_option_count + 2);
    assert_ptr_equal(strstr(b.data, "| key | default | meaning |\n| --- | --- | --- |\n"), b.data);
    assert_non_null(strstr(b.data, "\n| `workers` | number of CPUs | threads (1 to 64) |\n"));
    assert_non_null(strstr(b.data, "\n| `tls.cert` | `\"certs/server.crt\"` | "));
    assert_non_null(strstr(b.data, "\n| `store` | `\"memory\"` | where bindings are kept |\n"));
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_it_prints),        cmocka_unit_test(prints_no_secret),
        cmocka_unit_test(each_option_has_a_whole_row), cmocka_unit_test(help_fits_a_terminal),
        cmocka_unit_test(markdown_has_a_row_for_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
