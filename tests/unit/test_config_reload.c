#include "unit/config_given.h"

/* Loads `before`, then reloads with `after`. */
static int reload(const struct given *before, const struct given *after, struct config **out,
                  struct buf *errors, struct buf *kept)
{
    struct given_source given;
    struct config *running = load_good(before, "aorta.json");
    prepare(after, "aorta.json", &given);
    int r = config_reload(&given.source, running, out, errors, kept);
    config_free(running); /* the new one must not point into it */
    return r;
}

static void keeps_what_only_a_start_can_change(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        const char *before, *after;
        const char *kept;
        const char *printed; /* of the new one */
    } row[] = {
        {"{}", "{}", "", "'workers'"},
        {"{'workers':3}", "{'workers':4}", "workers", "'workers': 3,"},
        {"{'workers':3}", "{'workers':3}", "", "'workers': 3,"},
        {"{'workers':3}", "{}", "", "'workers': 3,"}, /* nobody asks for another number */
        {"{}", "{'node':'b'}", "node", "'node': '"},
        {"{'node':'a'}", "{'node':'b'}", "node", "'node': 'a',"},
        {"{'node':'a'}", "{}", "", "'node': 'a',"},
        {"{'advertise':'a:1'}", "{}", "advertise", "'advertise': 'a:1',"},
        {"{}", "{'advertise':'a:1'}", "advertise", "'advertise': null,"},
        {"{'listen':['udp://127.0.0.1:1']}", "{'listen':['udp://127.0.0.1:2']}", "listen",
         "'listen': ['udp://127.0.0.1:1'],"},
        {"{'listen':['udp://127.0.0.1:1']}", "{'listen':['tcp://127.0.0.1:1']}", "listen",
         "'listen': ['udp://127.0.0.1:1'],"},
        {"{'listen':['udp://127.0.0.1:1']}", "{}", "listen", "'listen': ['udp://127.0.0.1:1'],"},
        {"{'listen':['udp://127.0.0.1:1']}", "{'listen':[ 'udp://127.0.0.1:1' ]}", "",
         "'listen': ['udp://127.0.0.1:1'],"},
        {"{'auth':{'nonceTtl':1}}", "{'auth':{'nonceTtl':2,'refreshCache':false}}", "auth.nonceTtl",
         "'nonceTtl': 1,\n    'refreshCache': false,"},
        {"{'registrar':{'graceSeconds':1}}", "{}", "registrar.graceSeconds", "'graceSeconds': 1,"},
        {"{'limits':{'messageBytes':2000}}", "{'limits':{'headerBytes':700}}", "limits.messageBytes",
         "'messageBytes': 2000,\n    'headerBytes': 700,"},
        {"{'http':{'www':false}}", "{'http':{'www':'page'}}", "http.www", "'www': false,"},
        {"{'http':{'www':'page'}}", "{'http':{'www':false}}", "http.www", "'www': 'page',"},
        {"{'http':{'admin':false}}", "{}", "http.admin", "'admin': false,"},
        {"{'http':{'admin':'http://127.0.0.1:1'}}", "{'http':{'admin':'http://127.0.0.1:2'}}",
         "http.admin", "'admin': 'http://127.0.0.1:1',"},
        {"{'http':{'admin':'http://127.0.0.1:1'}}",
         "{'http':{'admin':'http://127.0.0.1:1','adminToken':'t'}}",
         "", "'admin': 'http://127.0.0.1:1',\n    'adminToken': '***'"},
        {"{'store':'redis','redis':{'host':'a','port':1,'db':2,'username':'u','password':'p',"
         "'prefix':'x','layout':'jambonz'}}", "{}",
         "store, redis.host, redis.port, redis.db, redis.username, redis.password, redis.prefix, "
         "redis.layout",
         "'store': 'redis',\n  'redis': {\n    'host': 'a',\n    'port': 1,\n    'db': 2,\n"
         "    'username': 'u',\n    'password': '***',\n    'prefix': 'x',\n"
         "    'layout': 'jambonz'\n"},
        /* the rest changes */
        {"{'drainSeconds':9,'trustedProxies':['::1'],'realms':{'a':{'users':'a'}}}",
         "{'realms':{'b':{'users':'b'}}}", "", "'realms': {\n    'b': {"},
        {"{'tls':{'cert':'a'}}", "{'tls':{'cert':'b'}}", "", "'cert': 'b',"},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct given before = {.file_text = row[i].before, .override = {"users=u"}};
        struct given after = {.file_text = row[i].after, .override = {"users=u"}};
        struct buf errors, kept;
        struct config *config = NULL;
        char expected[JSON_MAX];
        buf_init_heap(&errors, OUTPUT_MAX);
        buf_init_heap(&kept, OUTPUT_MAX);
        if (reload(&before, &after, &config, &errors, &kept) != 0)
            fail_msg("row %zu: %.*s", i, STR_ARG(buf_str(&errors)));
        if (!str_eq(buf_str(&kept), str_from(row[i].kept)))
            fail_msg("row %zu: kept %.*s", i, STR_ARG(buf_str(&kept)));
        to_json(expected, row[i].printed);
        char *printed = text_of(config);
        if (!strstr(printed, expected))
            fail_msg("row %zu: no %s in\n%s", i, expected, printed);
        free(printed);
        config_free(config);
        buf_fini(&errors);
        buf_fini(&kept);
    }
}

/* Secrets too, which are printed all alike. */
static void keeps_secrets(void **state)
{
    (void)state;
    static const struct {
        const char *after, *kept;
    } row[] = {
        {"redis.password=first",  ""              },
        {"redis.password=second", "redis.password"},
        {"redis.password=***",    "redis.password"},
        {"redis.password=null",   "redis.password"},
    };
    struct given before = {
        .override = {"users=u", "redis.password=first", "http.adminToken=old"}
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct given after = {
            .override = {"users=u", row[i].after, "http.adminToken=new"}
        };
        struct buf errors, kept;
        struct config *config = NULL;
        buf_init_heap(&errors, OUTPUT_MAX);
        buf_init_heap(&kept, OUTPUT_MAX);
        assert_int_equal(reload(&before, &after, &config, &errors, &kept), 0);
        assert_string_equal(config->redis_password, "first");
        assert_string_equal(config->admin_token, "new");
        assert_true(str_eq(buf_str(&kept), str_from(row[i].kept)));
        config_free(config);
        buf_fini(&errors);
        buf_fini(&kept);
    }
}

static void keeps_whose_page_it_is(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
        bool is_default;
    } row[] = {
        {NULL,           "http.www=www", true },
        {"http.www=www", NULL,           false},
    };
    for (size_t i = 0; i < 2; i++) {
        struct buf errors, kept;
        struct config *config = NULL;
        buf_init_heap(&errors, OUTPUT_MAX);
        buf_init_heap(&kept, OUTPUT_MAX);
        struct given before = {
            .override = {"users=u", row[i].before}
        };
        struct given after = {
            .override = {"users=u", row[i].after}
        };
        assert_int_equal(reload(&before, &after, &config, &errors, &kept), 0);
        assert_string_equal(config->www, "www");
        assert_int_equal(config->www_is_default, row[i].is_default);
        assert_int_equal(kept.len, 0);
        config_free(config);
        buf_fini(&errors);
        buf_fini(&kept);
    }
}

/* What counts is what will be in force, not what the source says of kept options. */
static void checks_what_will_be_in_force(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        struct given before, after;
        int max_contacts; /* of the new configuration; 0: it is refused */
        const char *said;
        const char *why;
    } row[] = {
        {{NULL, {"users=u", "redis.layout=jambonz"}, false}, {NULL, {"users=u"}, false}, 1,
         "redis.layout", "the default fits the layout that stays"},
        {{NULL, {"users=u"}, false}, {NULL, {"users=u", "redis.layout=jambonz"}, false}, 10,
         "redis.layout", "and not the one that does not come"},
        {{NULL, {"users=u"}, false},
         {NULL, {"users=u", "redis.layout=jambonz", "registrar.maxContacts=5"}, false}, 5,
         "redis.layout", "here 5 is right"},
        {{NULL, {"users=u", "redis.layout=jambonz"}, false},
         {NULL, {"users=u", "registrar.maxContacts=5"}, false}, 0,
         "aorta: -D registrar.maxContacts: 5, but redis.layout \"jambonz\" has room for one "
         "contact of each user: write 1, or leave it out\n", "and here it is not"},
        {{NULL, {"users=u", "http.admin=http://[::]:1", "http.adminToken=t"}, false},
         {NULL, {"users=u"}, false}, 0,
         "aorta: http.admin: [::]:1 can be reached from other machines: set http.adminToken, or "
         "listen on 127.0.0.1\n", "a listener that stays needs its token"},
        {{NULL, {"users=u"}, false}, {NULL, {NULL}, false}, 0,
         "aorta: users: nobody could register: name a users file, by \"users\": \"users.json\" or "
         "-D users=users.json, or a server that decides, by authCallback.uri, or have a look with "
         "--demo\n", "users can go"},
        {{NULL, {"users=u"}, false}, {NULL, {"users=u", "store=disk"}, false}, 0,
         "aorta: -D store: must be memory or redis\n", "what is kept must still be right"},
        {{NULL, {"users=u"}, false}, {"{", {"users=u"}, false}, 0, NULL, "no JSON"},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct buf errors, kept;
        struct config *config = NULL;
        buf_init_heap(&errors, OUTPUT_MAX);
        buf_init_heap(&kept, OUTPUT_MAX);
        int r = reload(&row[i].before, &row[i].after, &config, &errors, &kept);
        bool is_good = row[i].max_contacts > 0;
        if (r != (is_good ? 0 : -EINVAL))
            fail_msg("row %zu, %s: %d, %.*s", i, row[i].why, r, STR_ARG(buf_str(&errors)));
        const struct buf *said = is_good ? &kept : &errors;
        if (row[i].said && !str_eq(buf_str(said), str_from(row[i].said)))
            fail_msg("row %zu, %s: %.*s", i, row[i].why, STR_ARG(buf_str(said)));
        if (is_good)
            assert_int_equal(config->max_contacts, row[i].max_contacts);
        else
            assert_true(!config && kept.len == 0); /* outputs are untouched */
        config_free(config);
        buf_fini(&errors);
        buf_fini(&kept);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_only_a_start_can_change),
        cmocka_unit_test(keeps_secrets),
        cmocka_unit_test(keeps_whose_page_it_is),
        cmocka_unit_test(checks_what_will_be_in_force),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
