#include "unit/config_given.h"
/* and then */
#include "config/config_internal.h"

enum { COLUMNS = 100 };

/* What is printed is a configuration, and means the same. */
static void reads_what_it_prints(void **state)
{
    (void)state;
    /* clang-format off */
    struct given given = {
        .file_text = "{'users':'/etc/aorta/users.json',"
                     "'tls':{'cert':'/etc/a \\u0022quoted\\u0022.crt','key':'/k'},"
                     "'authCallback':{'url':'https://a/b','auth':{'username':'u v','password':'p'},"
                     "'caFile':'/ca'},"
                     "'realms':{'b.example':{'users':'/b'},"
                     "'A.example':{'authCallback':{'uri':'http://c','timeoutMs':50}},"
                     "'*':{'maxRegistrations':9,'allowForeignAor':true}}}",
        .override = {"http={'www':false,'admin':false}",
                     "ws.origins=['https://a','https://*.b:1']",
                     "auth.algorithms=['SHA-256','MD5']",
                     "redis={'username':'u','password':'p','layout':'jambonz'}"},
    };
    /* clang-format on */
    struct config *first = load_good(&given, "aorta.json");
    char *printed = text_of(first);
    struct config *second = load_good(&(struct given){.file_text = printed}, "sub/aorta.json");
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
    struct given given = {
        .file_text =
            "{'users':'u','http':{'adminToken':'hunter2'},'redis':{'password':'hunter2'},"
            "'authCallback':{'uri':'http://a','auth':{'username':'u','password':'hunter2'}},"
            "'realms':{'a':{'authCallback':{'uri':'http://a','auth':{'username':'u','password':"
            "'hunter2'}}}}}",
    };
    struct config *config = load_good(&given, "aorta.json");
    char *printed = text_of(config);
    assert_string_equal(config->admin_token, "hunter2");
    assert_string_equal(config->callback.password, "hunter2");
    assert_string_equal(config->redis_password, "hunter2");
    assert_string_equal(config->realms.item[0].callback.password, "hunter2");
    assert_null(strstr(printed, "hunter2"));
    size_t hidden = 0;
    for (const char *at = printed; (at = strstr(at, ": \"***\"")); at++)
        hidden++;
    assert_int_equal(hidden, 4);
    free(printed);
    config_free(config);
}

static size_t count_names(const char *key)
{
    size_t count = 1;
    for (; *key; key++)
        count += *key == '.';
    return count;
}

static void check_row(const struct config_table *table, const struct config_option *option)
{
    enum { NAMES_OF_A_REALM = 2, ITEM_OF_A_LIST = 1 };
    size_t deepest = CONFIG_DEPTH - NAMES_OF_A_REALM - ITEM_OF_A_LIST;
    if (config_option_find(table, str_from(option->key)) != option ||
        (option->other_key && config_option_find(table, str_from(option->other_key)) != option))
        fail_msg("%s stands there twice", option->key);
    if (config_is_group(table, str_from(option->key)))
        fail_msg("%s is a group, too", option->key);
    if (count_names(option->key) > deepest)
        fail_msg("%s has too many names", option->key);
    if (!option->fallback && !option->type->clear)
        fail_msg("%s cannot be without a value", option->key);
    if (option->is_start_only && !option->type->keep)
        fail_msg("%s cannot be kept", option->key);
    if (strlen(option->help) < 7 || strpbrk(option->help, "|\n"))
        fail_msg("%s has no help, or one that breaks the table", option->key);
}

static void each_option_has_a_whole_row(void **state)
{
    (void)state;
    static const struct config_table *const table[] = {&config_options, &config_realm_options};
    for (size_t t = 0; t < 2; t++)
        for (size_t i = 0; i < table[t]->count; i++)
            check_row(table[t], &table[t]->option[i]);
}

/* Or --print-config would open a group twice. */
static void groups_stand_together(void **state)
{
    (void)state;
    for (size_t i = 0; i < config_options.count; i++) {
        struct str group = config_key_group(str_from(config_options.option[i].key));
        bool is_left = false;
        for (size_t j = i + 1; group.len > 0 && j < config_options.count; j++) {
            bool is_in = config_option_is_in(&config_options.option[j], group);
            if (is_in && is_left)
                fail_msg("%s is apart from its group", config_options.option[j].key);
            is_left |= !is_in;
        }
    }
}

static void help_fits_a_terminal(void **state)
{
    (void)state;
    struct buf help;
    buf_init_heap(&help, OUTPUT_MAX);
    config_print_help(&help);
    assert_int_equal(help.error, 0);
    struct str rest = buf_str(&help), line;
    while (str_split(&rest, '\n', &line)) {
        if (line.len > COLUMNS || str_ends_nocase(line, STR(" ")))
            fail_msg("\"%.*s\"", STR_ARG(line));
    }
    buf_put_char(&help, 0);
    for (size_t i = 0; i < config_options.count; i++) {
        char start[CONFIG_KEY];
        snprintf(start, sizeof start, "\n  %s ", config_options.option[i].key);
        if (!strstr(help.data, start))
            fail_msg("%s is not there", config_options.option[i].key);
    }
    assert_non_null(strstr(help.data, "\n  realms.DOMAIN.maxRegistrations "));
    assert_null(strstr(help.data, "realms.DOMAIN.users")); /* known from before */
    assert_non_null(strstr(help.data, "(seconds, 1 to\n"));
    buf_fini(&help);
}

static void markdown_has_a_row_for_each(void **state)
{
    (void)state;
    struct buf b;
    size_t rows = 0;
    buf_init_heap(&b, OUTPUT_MAX);
    config_print_markdown(&b);
    for (size_t i = 0; i < b.len; i++)
        rows += b.data[i] == '\n';
    buf_put_char(&b, 0);
    assert_int_equal(b.error, 0);
    assert_int_equal(rows, config_options.count + 4); /* two of a realm, two on top */
    assert_ptr_equal(strstr(b.data, "| key | default | meaning |\n| --- | --- | --- |\n"), b.data);
    assert_non_null(strstr(b.data, "\n| `workers` | number of CPUs | threads (1 to 64) |\n"));
    assert_non_null(strstr(b.data, "\n| `tls.cert` | `\"certs/server.crt\"` | "));
    assert_non_null(strstr(b.data, "\n| `auth.exposeMessage` | `false` | "));
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_it_prints),
        cmocka_unit_test(prints_no_secret),
        cmocka_unit_test(each_option_has_a_whole_row),
        cmocka_unit_test(groups_stand_together),
        cmocka_unit_test(help_fits_a_terminal),
        cmocka_unit_test(markdown_has_a_row_for_each),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
