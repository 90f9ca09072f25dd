#include "unit/config_given.h"

static void takes_realms(void **state)
{
    (void)state;
    struct config *c = load_good(
        &(struct given){
            .file_text =
                "{'realms':{"
                "'SIP.Example.com':{'users':'a/users.json','maxRegistrations':100000000},"
                "'b.example':{'allowForeignAor':true,'authCallback':{'url':'http://b:1/x',"
                "'auth':{'username':'${AORTA_TEST_NAME}','password':'p w'},"
                "'timeoutMs':'${AORTA_TEST_NUMBER}00','maxConnections':2,'caFile':'/ca.pem'}},"
                "'2001:DB8::1':{'users':'/u','authCallback':null},"
                "'*':{'users':'u','authCallback':{'uri':'https://c','timeoutMs':50}}}}",
        },
        "sub/aorta.json");
    assert_int_equal(c->realms.count, 4);
    const struct config_realm *realm = c->realms.item;
    assert_string_equal(realm[0].name, "sip.example.com");
    assert_string_equal(realm[0].users, "sub/a/users.json");
    assert_int_equal(realm[0].max_registrations, 100000000);
    assert_false(realm[0].allow_foreign_aor);
    assert_null(realm[0].callback.uri);
    assert_int_equal(realm[0].callback.timeout_ms, 3000); /* defaults are there all the same */
    assert_int_equal(realm[0].callback.max_connections, 64);

    assert_string_equal(realm[1].name, "b.example");
    assert_null(realm[1].users);
    assert_int_equal(realm[1].max_registrations, 0);
    assert_true(realm[1].allow_foreign_aor);
    assert_string_equal(realm[1].callback.uri, "http://b:1/x");
    assert_string_equal(realm[1].callback.username, "edge");
    assert_string_equal(realm[1].callback.password, "p w");
    assert_int_equal(realm[1].callback.timeout_ms, 700);
    assert_int_equal(realm[1].callback.max_connections, 2);
    assert_string_equal(realm[1].callback.ca_file, "/ca.pem");

    assert_string_equal(realm[2].name, "[2001:db8::1]");
    assert_string_equal(realm[2].users, "/u");

    assert_string_equal(realm[3].name, "*");
    assert_string_equal(realm[3].users, "sub/u");
    assert_string_equal(realm[3].callback.uri, "https://c");
    assert_null(c->users); /* the realms do not touch what holds for all others */
    assert_null(c->callback.uri);
    config_free(c);
}

static void takes_them_by_override(void **state)
{
    (void)state;
    struct given given = {
        .file_text = "{'realms':{'a.example':{'users':'a'},'b.example':{'users':'b'}}}",
        .override = {"realms={'C.example':{'users':'${AORTA_TEST_NAME}'}}"},
    };
    struct config *c = load_good(&given, "aorta.json");
    assert_int_equal(c->realms.count, 1); /* as a whole */
    assert_string_equal(c->realms.item[0].name, "c.example");
    assert_string_equal(c->realms.item[0].users, "edge");
    config_free(c);
}

static void prints_them(void **state)
{
    (void)state;
    struct given given = {
        .file_text = "{'realms':{'A.example':{'users':'a'},'*':{'authCallback':{'uri':'http://b',"
                     "'auth':{'username':'u','password':'p'}},'maxRegistrations':5}}}",
    };
    struct config *c = load_good(&given, "aorta.json");
    char expected[JSON_MAX];
    to_json(expected, "\n"
                      "  'realms': {\n"
                      "    'a.example': {\n"
                      "      'users': 'a',\n"
                      "      'authCallback': {\n"
                      "        'uri': null,\n"
                      "        'auth': {\n"
                      "          'username': null,\n"
                      "          'password': null\n"
                      "        },\n"
                      "        'timeoutMs': 3000,\n"
                      "        'maxConnections': 64,\n"
                      "        'caFile': null\n"
                      "      },\n"
                      "      'maxRegistrations': 0,\n"
                      "      'allowForeignAor': false\n"
                      "    },\n"
                      "    '*': {\n"
                      "      'users': null,\n"
                      "      'authCallback': {\n"
                      "        'uri': 'http://b',\n"
                      "        'auth': {\n"
                      "          'username': 'u',\n"
                      "          'password': '***'\n"
                      "        },\n"
                      "        'timeoutMs': 3000,\n"
                      "        'maxConnections': 64,\n"
                      "        'caFile': null\n"
                      "      },\n"
                      "      'maxRegistrations': 5,\n"
                      "      'allowForeignAor': false\n"
                      "    }\n"
                      "  },\n");
    char *printed = text_of(c);
    if (!strstr(printed, expected))
        fail_msg("no%sin\n%s", expected, printed);
    free(printed);
    config_free(c);
}

static void refuses_one_thing(void **state)
{
    (void)state;
    /* The file is one line long. */
    /* clang-format off */
    static const struct {
        const char *file_text;
        const char *expected; /* after "aorta: aorta.json:" */
    } row[] = {
        {"{'realms':['a']}",
         "1:11: realms: must be an object of at most 10000 domains, such as {\"example.com\": "
         "{\"users\": \"users.json\"}}\n"},
        {"{'realms':null}",
         "1:11: realms: must be an object of at most 10000 domains, such as {\"example.com\": "
         "{\"users\": \"users.json\"}}\n"},
        {"{'realms':{'a':'b.json'}}",
         "1:16: realms.a: must be an object, such as {\"users\": \"users.json\"}\n"},
        {"{'realms':{'a':null}}",
         "1:16: realms.a: must be an object, such as {\"users\": \"users.json\"}\n"},
        {"{'realms':{'a b':{'users':'u'}}}",
         "1:12: \"realms.a b\": must be named by a host name, an IP address, or \"*\" for any "
         "other domain\n"},
        {"{'realms':{'*.a.example':{'users':'u'}}}",
         "1:12: realms.*.a.example: must be named by a host name, an IP address, or \"*\" for any "
         "other domain\n"},
        {"{'realms':{'':{'users':'u'}}}",
         "1:12: realms.: must be named by a host name, an IP address, or \"*\" for any other "
         "domain\n"},
        {"{'realms':{'a.b':{'users':'u'},'A.B':{'users':'u'}}}",
         "1:32: realms.A.B: is the same domain as \"a.b\"\n"},
        {"{'realms':{'[::1]':{'users':'u'},'b':{'users':'u'},'0::1':{'users':'u'}}}",
         "1:52: realms.0::1: is the same domain as \"[::1]\"\n"},
        {"{'realms':{'example.com':{'maxRegistrations':-1}}}",
         "1:46: realms.example.com.maxRegistrations: must be a whole number from 0 to 100000000\n"},
        {"{'realms':{'example.com':{'maxRegistration':1}}}",
         "1:27: realms.example.com.maxRegistration: unknown key, did you mean "
         "\"maxRegistrations\"?\n"},
        {"{'realms':{'Example.com':{'authCallback':{'auth':{'usernam':1}}}}}",
         "1:51: realms.Example.com.authCallback.auth.usernam: unknown key, did you mean "
         "\"authCallback.auth.username\"?\n"},
        {"{'realms':{'a':{'uri':'http://a'}}}",
         "1:17: realms.a.uri: unknown key, did you mean \"authCallback.uri\"?\n"},
        {"{'realms':{'a':{'workers':1}}}",
         "1:17: realms.a.workers: unknown key; aorta --help lists those there are\n"},
        {"{'realms':{'a':{'authCallback.uri':'http://a'}}}",
         "1:17: realms.a.authCallback.uri: in a file this is written {\"authCallback\": {\"uri\": "
         "...}}\n"},
        {"{'realms':{'a':{'users':'${AORTA_TEST_UNSET}'}}}",
         "1:25: realms.a.users: the environment variable AORTA_TEST_UNSET is not set; set it, or "
         "write ${AORTA_TEST_UNSET:-default}\n"},
        {"{'realms':{'a':{'authCallback':{'uri':'a'}}}}",
         "1:39: realms.a.authCallback.uri: must be a URL that starts with http:// or https://\n"},
        {"{'realms':{'a':{'authCallback':{'uri':'http://a','url':'http://b'}}}}",
         "1:50: realms.a.authCallback.url: is another spelling of authCallback.uri, which stands "
         "there too\n"},
        {"{'realms':{'a':{'authCallback':{'uri':'http://a','auth':{'username':'u'}}}}}",
         "1:69: realms.a.authCallback.auth.username: needs authCallback.auth.password too\n"},
        {"{'realms':{'a':{'users':'u','authCallback':{'timeoutMs':50}}}}",
         "1:57: realms.a.authCallback.timeoutMs: needs authCallback.uri too\n"},
        {"{'realms':{'a':{'users':'u'},'B':{},'c':{'maxRegistrations':1}}}",
         "1:30: realms.B: nobody could register: set users or authCallback, here or for all "
         "domains\n"
         "aorta: aorta.json:1:37: realms.c: nobody could register: set users or authCallback, here "
         "or for all domains\n"},
        {"{'realms':{}}",
         " users: nobody could register: name a users file, by \"users\": \"users.json\" or -D "
         "users=users.json, or a server that decides, by authCallback.uri, or have a look with "
         "--demo\n"},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char expected[JSON_MAX];
        bool has_place = row[i].expected[0] != ' ';
        snprintf(expected, sizeof expected, "aorta:%s%s", has_place ? " aorta.json:" : "",
                 row[i].expected);
        assert_refused(&(struct given){.file_text = row[i].file_text}, expected);
    }
}

static void tells_every_error(void **state)
{
    (void)state;
    assert_refused(
        &(struct given){
            .file_text = "{'realms': {\n"
                         "  'one.example': {'users': 1, 'maxRegistrations': 'many'},\n"
                         "  'two.example': [],\n"
                         "  'ONE.example': {'authCallback': {'auth': {'username': 'a:b'}}}\n"
                         "}}\n",
            .override = {"realms.one.example.users=x", "realms={'a':{'users':2},'b':{}}"},
    },
        "aorta: aorta.json:2:28: realms.one.example.users: must be a string that names a file\n"
        "aorta: aorta.json:2:51: realms.one.example.maxRegistrations: must be a whole number from "
        "0 to 100000000\n"
        "aorta: aorta.json:3:18: realms.two.example: must be an object, such as {\"users\": "
        "\"users.json\"}\n"
        "aorta: aorta.json:4:57: realms.ONE.example.authCallback.auth.username: must be without a "
        "colon, which ends the user name in Basic authentication (RFC 7617)\n"
        "aorta: aorta.json:4:3: realms.ONE.example: is the same domain as \"one.example\"\n"
        "aorta: -D realms.one.example.users: unknown key; realms can only be given as a whole\n"
        "aorta: -D realms.a.users: must be a string that names a file\n");
}

/* Who has no source of its own has that of the whole configuration. */
static void needs_somebody_who_decides(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        struct given given;
        bool is_good;
        const char *why;
    } row[] = {
        {{NULL, {NULL}, false}, false, "nobody"},
        {{NULL, {NULL}, true}, true, "--demo has users"},
        {{NULL, {"users=u"}, false}, true, "a file"},
        {{NULL, {"authCallback.uri=http://a"}, false}, true, "a server"},
        {{NULL, {"authCallback.url=http://a", "users=u"}, false}, true, "both"},
        {{NULL, {"realms={'a':{}}"}, false}, false, "a realm alone"},
        {{NULL, {"realms={'a':{}}"}, true}, true, "--demo again"},
        {{NULL, {"realms={'a':{'users':'u'}}"}, false}, true, "a realm with users"},
        {{NULL, {"realms={'a':{'authCallback':{'uri':'http://a'}}}"}, false}, true, "or a server"},
        {{NULL, {"realms={'a':{'users':'u'},'b':{}}"}, false}, false, "but every one needs it"},
        {{NULL, {"realms={'a':{'users':'u'},'b':{}}", "users=u"}, false}, true,
         "from its own or for all"},
        {{NULL, {"realms={'b':{}}", "authCallback.uri=http://a"}, false}, true, "by a server, too"},
        {{"{'users':'u','realms':{'b':{}}}", {"users=null"}, false}, false,
         "what was taken away does not count"},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct buf errors;
        struct config *config = NULL;
        struct given_source given;
        prepare(&row[i].given, "aorta.json", &given);
        buf_init_heap(&errors, OUTPUT_MAX);
        int r = config_load(&given.source, &config, &errors);
        if (r != (row[i].is_good ? 0 : -EINVAL))
            fail_msg("row %zu, %s: %d, %.*s", i, row[i].why, r, STR_ARG(buf_str(&errors)));
        config_free(config);
        buf_fini(&errors);
    }
}

/* `count` realms, each with something wrong if `member` is. */
static char *make_many(size_t count, const char *member)
{
    struct buf b;
    buf_init_heap(&b, 1 << 24);
    buf_put_text(&b, "{\"realms\":{");
    for (size_t i = 0; i < count; i++)
        buf_printf(&b, "%s\n\"customer-%zu.example\":{\"users\":\"u\",\"%s\":1}", i ? "," : "", i,
                   member);
    buf_put_text(&b, "}}");
    buf_put_char(&b, 0);
    assert_int_equal(b.error, 0);
    return b.data;
}

static void takes_many(void **state)
{
    (void)state;
    char *text = make_many(10000, "maxRegistrations");
    struct config *c = load_good(&(struct given){.file_text = text}, "aorta.json");
    assert_int_equal(c->realms.count, 10000);
    assert_string_equal(c->realms.item[9999].name, "customer-9999.example");
    config_free(c);
    free(text);

    text = make_many(10001, "maxRegistrations");
    assert_refused(&(struct given){.file_text = text},
                   "aorta: aorta.json:1:11: realms: must be an object of at most 10000 domains, "
                   "such as {\"example.com\": {\"users\": \"users.json\"}}\n");
    free(text);
}

/* Each place is looked for from the start of the file: not without end. */
static void finds_the_places_of_many_errors_in_time(void **state)
{
    (void)state;
    char *text = make_many(6000, "maxregistration");
    struct buf errors;
    struct config *config = NULL;
    struct config_source source = {.file = "aorta.json"};
    write_file(source.file, text);
    buf_init_heap(&errors, 1 << 24);
    assert_int_equal(config_load(&source, &config, &errors), -EINVAL);
    static const char first[] = "aorta: aorta.json:2:35: realms.customer-0.example.maxregistration";
    static const char last[] = "\naorta: aorta.json: realms.customer-5999.example.maxregistration";
    buf_put_char(&errors, 0);
    assert_true(str_starts_nocase(buf_str(&errors), str_from(first)));
    assert_non_null(strstr(errors.data, last));
    buf_fini(&errors);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_realms),
        cmocka_unit_test(takes_them_by_override),
        cmocka_unit_test(prints_them),
        cmocka_unit_test(refuses_one_thing),
        cmocka_unit_test(tells_every_error),
        cmocka_unit_test(needs_somebody_who_decides),
        cmocka_unit_test(takes_many),
        cmocka_unit_test(finds_the_places_of_many_errors_in_time),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
