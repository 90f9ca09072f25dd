#include <aorta/config.h>
#include <aorta/json_text.h>
#include <aorta/limits.h>
#include <aorta/metrics.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* The text between the two comments of README.md. */
static struct str configuration_section(struct str readme)
{
    static const char begin[] = "a test compares it -->\n", end[] = "<!-- end of configuration";
    const char *from = memmem(readme.ptr, readme.len, begin, sizeof begin - 1);
    assert_non_null(from);
    from += sizeof begin - 1;
    const char *to = memmem(from, readme.len - (size_t)(from - readme.ptr), end, sizeof end - 1);
    assert_non_null(to);
    return (struct str){from, (size_t)(to - from)};
}

static void readme_has_the_table_of_the_program(void **state)
{
    (void)state;
    struct str readme;
    struct buf table;
    assert_int_equal(json_text_read_file(AORTA_README, 1 << 20, &readme), 0);
    buf_init_heap(&table, 1 << 20);
    config_print_markdown(&table);
    if (!str_eq(configuration_section(readme), buf_str(&table)))
        fail_msg("README.md differs from the program, which says:\n%.*s", STR_ARG(buf_str(&table)));
    buf_fini(&table);
    free((char *)readme.ptr);
}

/* What stands between `| \`key\` | ` and the next ` |` of the table of all keys. */
static struct str default_of(struct str table, const char *key)
{
    char begin[128];
    struct buf b;
    buf_init_fixed(&b, begin, sizeof begin);
    buf_printf(&b, "| `%s` | ", key);
    const char *row = memmem(table.ptr, table.len, b.data, b.len);
    if (!row)
        return STR("the system's");
    struct str rest = {row + b.len, table.len - (size_t)(row + b.len - table.ptr)};
    const char *end = memmem(rest.ptr, rest.len, " |", 2);
    assert_non_null(end);
    return str_slice(rest, 0, (size_t)(end - rest.ptr));
}

static void readme_has_the_limits_of_the_program(void **state)
{
    (void)state;
    struct str readme;
    struct buf options, table;
    assert_int_equal(json_text_read_file(AORTA_README, 1 << 20, &readme), 0);
    buf_init_heap(&options, 1 << 20);
    config_print_markdown(&options);
    buf_init_heap(&table, 1 << 20);
    buf_put_text(&table, "| key | default | above it |\n| --- | --- | --- |\n");
    for (size_t i = LIMIT_NONE + 1; i < LIMITS; i++) {
        const char *key = limit_rows[i].key;
        struct str fallback = default_of(buf_str(&options), key);
        bool is_list = fallback.len > 1 && fallback.ptr[1] == '['; /* long, and said above */
        buf_printf(&table, "| `%s` | %.*s | %s |\n", key,
                   STR_ARG(is_list ? STR("a list") : fallback), limit_rows[i].effect);
    }
    if (!memmem(readme.ptr, readme.len, table.data, table.len))
        fail_msg("README.md has not the table of the program, which is:\n%.*s",
                 STR_ARG(buf_str(&table)));
    buf_fini(&options);
    buf_fini(&table);
    free((char *)readme.ptr);
}

static void readme_has_the_metrics_of_the_program(void **state)
{
    (void)state;
    static const char *const type[] = {"counter", "gauge", "histogram"};
    struct str readme;
    struct buf table;
    assert_int_equal(json_text_read_file(AORTA_README, 1 << 20, &readme), 0);
    buf_init_heap(&table, 1 << 20);
    buf_put_text(&table, "| metric | type | labels | |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < METRIC_FAMILIES; i++) {
        const struct metric_family_row *row = &metric_families[i];
        buf_printf(&table, "| `%s` | %s | %s | %s |\n", row->name, type[row->type], row->labels,
                   row->help);
    }
    if (!memmem(readme.ptr, readme.len, table.data, table.len))
        fail_msg("README.md has not the table of the program, which is:\n%.*s",
                 STR_ARG(buf_str(&table)));
    buf_fini(&table);
    free((char *)readme.ptr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(readme_has_the_table_of_the_program),
                                       cmocka_unit_test(readme_has_the_limits_of_the_program),
                                       cmocka_unit_test(readme_has_the_metrics_of_the_program)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
