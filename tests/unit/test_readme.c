#include <aorta/config.h>
#include <aorta/json_text.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(readme_has_the_table_of_the_program)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
