#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "bench/load/template.h"
#include <cmocka.h>
#include <errno.h>

static const struct template_constant constants[] = {
    {"host", STR("h.test")},
    {NULL,   STR_NONE     },
};
static const size_t widths[PARTS] = {[PART_USER] = 3, [PART_CSEQ] = 4, [PART_NONCE] = 2};

static void compiles_and_fills(void **state)
{
    (void)state;
    static struct template t;
    assert_int_equal(template_compile(&t, "a{user}@{host} {<branch}z{cseq}{>};{user}|{nonce}|",
                                      constants, widths),
                     0);
    const char *values[PARTS] = {[PART_USER] = "123", [PART_CSEQ] = "4567"};
    template_fill(&t, values);
    assert_true(str_eq(template_text(&t), STR("a123@h.test z4567;123|00|")));
    assert_true(str_eq(template_region(&t, REGION_BRANCH), STR("z4567")));
    const char *others[PARTS] = {[PART_NONCE] = "xy", [PART_USER] = "009"};
    template_fill(&t, others);
    assert_true(str_eq(template_text(&t), STR("a009@h.test z4567;009|xy|")));
}

static void bad_sources(void **state)
{
    (void)state;
    static const struct {
        const char *source, *why;
    } row[] = {
        {"{nothing}",              "unknown name"           },
        {"{user",                  "brace stays open"       },
        {"{>}",                    "ends what did not begin"},
        {"{<branch}x",             "does not end"           },
        {"{<branch}{<call_id}{>}", "one inside another"     },
        {"{<nowhere}{>}",          "unknown region"         },
        {"{}",                     "no name"                },
    };
    static struct template t;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (template_compile(&t, row[i].source, constants, widths) != -EINVAL)
            fail_msg("%s", row[i].why);
}

static void too_long(void **state)
{
    (void)state;
    static struct template t;
    static char source[TEMPLATE_MAX + 2];
    memset(source, 'x', TEMPLATE_MAX + 1);
    assert_int_equal(template_compile(&t, source, constants, widths), -ENOSPC);
    source[TEMPLATE_MAX] = '\0';
    assert_int_equal(template_compile(&t, source, constants, widths), 0);
    char many[6 * (TEMPLATE_MAX_SLOTS + 1) + 1] = "";
    for (int i = 0; i <= TEMPLATE_MAX_SLOTS; i++)
        memcpy(many + 6 * i, "{user}", 6);
    assert_int_equal(template_compile(&t, many, constants, widths), -ENOSPC);
    size_t wide[PARTS] = {[PART_USER] = TEMPLATE_MAX + 1};
    assert_int_equal(template_compile(&t, "{user}", constants, wide), -ENOSPC);
}

static void digits(void **state)
{
    (void)state;
    char out[5] = "xxxx";
    write_digits(out, 4, 42);
    assert_string_equal(out, "0042");
    write_digits(out, 4, 123456);
    assert_string_equal(out, "3456");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compiles_and_fills),
        cmocka_unit_test(bad_sources),
        cmocka_unit_test(too_long),
        cmocka_unit_test(digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
