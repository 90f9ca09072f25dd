#include "unit/auth_world.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define USERS_A "{\"alice@a.example\":{\"password\":\"x\"},\"bob@a.example\":{\"password\":\"x\"}}"
#define USERS_G "{\"carol@b.example\":{\"password\":\"x\"}}"

struct setting {
    struct config config;
    struct config_realm realm[4];
    struct realms *realms;
    char errors[1024];
};

static struct config_callback callback_at(char *uri)
{
    return (struct config_callback){.uri = uri, .timeout_ms = 3000, .max_connections = 64};
}

static struct users *demo_users(void)
{
    char memory[64];
    struct buf errors;
    struct users *users;
    buf_init_fixed(&errors, memory, sizeof memory);
    assert_int_equal(users_parse("demo", STR("{\"demo@example.com\":{\"password\":\"x\"}}"), &users,
                                 &errors),
                     0);
    return users;
}

/* With the first `count` of the realms. */
static int load(struct setting *s, size_t count, struct users *demo)
{
    struct buf errors;
    buf_init_fixed(&errors, s->errors, sizeof s->errors - 1);
    s->config.realms.item = s->realm;
    s->config.realms.count = count;
    s->realms = NULL;
    int rc = realms_load(&s->config, demo, &s->realms, &errors);
    s->errors[errors.len] = '\0';
    return rc;
}

static void domains_find_their_realm(void **state)
{
    (void)state;
    static const struct {
        const char *domain, *with_others, *without; /* names; NULL: not served */
    } row[] = {
        {"a.example",     "a.example",     "a.example"    },
        {"A.Example",     "a.example",     "a.example"    },
        {"b.example",     "b.example",     "b.example"    },
        {"[2001:db8::1]", "[2001:db8::1]", "[2001:db8::1]"},
        {"c.example",     "*",             NULL           },
        {"xa.example",    "*",             NULL           },
        {"a.example.",    "*",             NULL           },
        {"a",             "*",             NULL           },
        {"",              "*",             NULL           },
        {"*",             "*",             NULL           },
    };
    struct setting s = {.config.callback = callback_at("http://127.0.0.1:9/")};
    s.realm[0].name = "a.example";
    s.realm[1].name = "b.example";
    s.realm[2].name = "[2001:db8::1]";
    s.realm[3].name = "*";
    for (size_t count = 3; count <= 4; count++) {
        assert_int_equal(load(&s, count, NULL), 0);
        for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
            const struct realm *found = realms_find(s.realms, str_from(row[i].domain));
            const char *expected = count == 4 ? row[i].with_others : row[i].without;
            if ((found == NULL) != (expected == NULL) ||
                (found && !str_eq(found->name, str_from(expected))))
                fail_msg("%s with %zu realms", row[i].domain, count);
        }
        char longest[400];
        memset(longest, 'a', sizeof longest);
        const struct realm *found = realms_find(s.realms, (struct str){longest, sizeof longest});
        assert_int_equal(found != NULL, count == 4);
        realms_free(s.realms);
    }
    realms_free(NULL);
}

static void no_realms_mean_everybody(void **state)
{
    (void)state;
    struct setting s = {.config.callback = callback_at("http://127.0.0.1:9/")};
    assert_int_equal(load(&s, 0, NULL), 0);
    const struct realm *found = realms_find(s.realms, STR("any.example"));
    assert_non_null(found);
    assert_non_null(found->callback);
    assert_null(found->users);
    assert_int_equal(found->max_registrations, 0);
    assert_false(found->allow_foreign_aor);
    assert_ptr_equal(realms_find(s.realms, STR("*")), found);
    realms_free(s.realms);
}

/* What a realm lacks it has from the whole, each for itself; and demo users where all is lacking.
 */
static void what_is_lacking_comes_from_the_whole(void **state)
{
    (void)state;
    char a[64], g[64];
    write_temporary(a, USERS_A);
    write_temporary(g, USERS_G);
    static const struct {
        bool has_own_users, has_own_callback, has_users, has_callback;
        size_t users; /* of the realm's file; 3: the demo's */
        int callback; /* 0: none; 1: its own; 2: the one of the whole */
    } row[] = {
        {false, false, true,  false, 1, 0},
        {false, false, false, true,  0, 2},
        {false, false, true,  true,  1, 2},
        {false, false, false, false, 3, 0},
        {true,  false, true,  false, 2, 0},
        {true,  false, false, true,  2, 2},
        {true,  false, false, false, 2, 0},
        {false, true,  true,  true,  1, 1},
        {false, true,  false, true,  0, 1},
        {false, true,  false, false, 0, 1},
        {true,  true,  true,  true,  2, 1},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct setting s = {0};
        s.realm[0] = (struct config_realm){.name = "a.example",
                                           .max_registrations = 7,
                                           .allow_foreign_aor = true};
        s.realm[1].name = "b.example";
        if (row[i].has_own_users)
            s.realm[0].users = a;
        if (row[i].has_own_callback)
            s.realm[0].callback = callback_at("http://127.0.0.1:1/");
        if (row[i].has_users)
            s.config.users = g;
        if (row[i].has_callback)
            s.config.callback = callback_at("http://127.0.0.1:2/");
        if (load(&s, 2, demo_users()) != 0)
            fail_msg("row %zu: %s", i, s.errors);
        const struct realm *realm = realms_find(s.realms, STR("a.example"));
        const struct realm *other = realms_find(s.realms, STR("b.example"));
        size_t users = realm->users ? users_count(realm->users) : 0;
        if (row[i].users == 3 ? users != 1 || row[i].has_users : users != row[i].users)
            fail_msg("row %zu: %zu users", i, users);
        if ((realm->callback != NULL) != (row[i].callback != 0) ||
            (realm->callback && realm->callback == other->callback) != (row[i].callback == 2))
            fail_msg("row %zu: callback", i);
        assert_int_equal(realm->max_registrations, 7);
        assert_true(realm->allow_foreign_aor);
        assert_int_equal(other->max_registrations, 0);
        realms_free(s.realms);
    }
    unlink(a);
    unlink(g);
}

static void files_and_callbacks_are_shared(void **state)
{
    (void)state;
    char a[64], same[64], other_uri[] = "http://127.0.0.1:2/", uri[] = "http://127.0.0.1:1/",
                          again[] = "http://127.0.0.1:1/";
    struct setting s = {0};
    write_temporary(a, USERS_A);
    memcpy(same, a, sizeof same);
    s.realm[0] = (struct config_realm){.name = "a", .users = a, .callback = callback_at(uri)};
    s.realm[1] = (struct config_realm){.name = "b", .users = same, .callback = callback_at(again)};
    s.realm[2] = (struct config_realm){.name = "c", .users = a, .callback = callback_at(other_uri)};
    s.realm[3] = s.realm[0];
    s.realm[3].name = "d";
    s.realm[3].callback.password = "secret";
    assert_int_equal(load(&s, 4, NULL), 0);
    const struct realm *realm[4];
    for (size_t i = 0; i < 4; i++)
        realm[i] = realms_find(s.realms, str_from(s.realm[i].name));
    for (size_t i = 1; i < 4; i++)
        assert_ptr_equal(realm[i]->users, realm[0]->users);
    assert_int_equal(realms_user_count(s.realms), 2);
    assert_ptr_equal(realm[1]->callback, realm[0]->callback);
    assert_ptr_not_equal(realm[2]->callback, realm[0]->callback);
    assert_ptr_not_equal(realm[3]->callback, realm[0]->callback);

    memset(&fake, 0, sizeof fake);
    struct callback_lanes *lanes = callback_lanes_new(s.realms, NULL, 3);
    assert_non_null(lanes);
    assert_int_equal(fake.open_lanes, 3);
    callback_lanes_free(lanes);
    assert_int_equal(fake.open_lanes, 0);
    callback_lanes_free(NULL);
    realms_free(s.realms);
    unlink(a);
}

static void lanes_are_opened_as_configured(void **state)
{
    (void)state;
    static const struct {
        uint32_t max_connections;
        unsigned workers, in_flight;
    } row[] = {
        {64, 2,  32},
        {64, 3,  21},
        {1,  1,  1 },
        {1,  16, 1 },
    };
    char uri[] = "https://auth.example.com/x", user[] = "u", password[] = "p", ca[64];
    struct setting s = {0};
    write_temporary(ca, "");
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        s.config.callback =
            (struct config_callback){uri, user, password, 1500, row[i].max_connections, ca};
        assert_int_equal(load(&s, 0, NULL), 0);
        memset(&fake, 0, sizeof fake);
        struct callback_lanes *lanes = callback_lanes_new(s.realms, NULL, row[i].workers);
        assert_int_equal(fake.options.max_in_flight, row[i].in_flight);
        assert_string_equal(fake.options.url, uri);
        assert_string_equal(fake.options.username, user);
        assert_string_equal(fake.options.password, password);
        assert_string_equal(fake.options.ca_file, ca);
        assert_int_equal(fake.options.timeout_ms, 1500);
        assert_int_equal(fake.options.max_queued, 1024);
        assert_int_equal(fake.options.max_answer_bytes, 65536);
        callback_lanes_free(lanes);
        realms_free(s.realms);
    }
    unlink(ca);
}

static void all_that_is_wrong_is_named_once(void **state)
{
    (void)state;
    char bad[64], good[64], expected[512];
    struct setting s = {0};
    write_temporary(bad, "{\"alice\":{\"password\":\"x\"}}");
    write_temporary(good, USERS_A);
    s.realm[0] = (struct config_realm){.name = "a", .users = bad};
    s.realm[1] = (struct config_realm){.name = "b", .users = "/nowhere/users.json"};
    s.realm[2] = (struct config_realm){.name = "c", .users = bad};
    s.realm[3] = (struct config_realm){.name = "d", .users = good};
    s.realm[3].callback = callback_at("https://127.0.0.1:9/");
    s.realm[3].callback.ca_file = "/nowhere/ca.pem";
    assert_int_not_equal(load(&s, 4, demo_users()), 0);
    assert_null(s.realms);
    snprintf(expected, sizeof expected,
             "%s:1:2: alice: must be user@domain\n"
             "/nowhere/users.json: cannot be read: No such file or directory\n"
             "/nowhere/ca.pem: cannot be read: No such file or directory\n",
             bad);
    assert_int_equal(strlen(s.errors), strlen(expected));
    for (const char *line = strtok(expected, "\n"); line; line = strtok(NULL, "\n"))
        if (!strstr(s.errors, line))
            fail_msg("%s is not in %s", line, s.errors);
    unlink(bad);
    unlink(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(domains_find_their_realm),
        cmocka_unit_test(no_realms_mean_everybody),
        cmocka_unit_test(what_is_lacking_comes_from_the_whole),
        cmocka_unit_test(files_and_callbacks_are_shared),
        cmocka_unit_test(lanes_are_opened_as_configured),
        cmocka_unit_test(all_that_is_wrong_is_named_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
