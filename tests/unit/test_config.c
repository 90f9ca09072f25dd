#include "unit/config_given.h"

static void has_the_defaults(void **state)
{
    (void)state;
    struct config *c = load_good(&(struct given){.override = {"users=u.json"}}, NULL);
    static const struct {
        enum transport_kind kind;
        uint16_t port;
    } listen[] = {
        {TRANSPORT_UDP, 5060},
        {TRANSPORT_TCP, 5060},
        {TRANSPORT_TLS, 5061},
        {TRANSPORT_WS,  8080},
        {TRANSPORT_WSS, 8443},
    };
    assert_int_equal(c->listen_count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(c->listen[i].kind, listen[i].kind);
        assert_int_equal(net_address_port(&c->listen[i].address), listen[i].port);
        assert_true(net_address_is_loopback(&c->listen[i].address));
    }
    assert_null(c->advertise);
    char node_end[32];
    snprintf(node_end, sizeof node_end, "-%ld", (long)getpid());
    assert_true(str_ends_nocase(str_from(c->node), str_from(node_end)));
    assert_in_range(c->workers, 1, 64);
    assert_string_equal(c->tls_cert, "certs/server.crt");
    assert_string_equal(c->tls_key, "certs/server.key");
    assert_string_equal(c->users, "u.json");
    assert_null(c->callback.uri);
    assert_null(c->callback.username);
    assert_null(c->callback.password);
    assert_int_equal(c->callback.timeout_ms, 3000);
    assert_int_equal(c->callback.max_connections, 64);
    assert_null(c->callback.ca_file);
    assert_int_equal(c->realms.count, 0);
    assert_int_equal(c->algorithm_count, 1);
    assert_int_equal(c->algorithms[0], DIGEST_MD5);
    assert_int_equal(c->nonce_ttl_s, 300);
    assert_true(c->refresh_cache);
    assert_int_equal(c->refresh_cache_s, 3600);
    assert_false(c->expose_message);
    assert_int_equal(c->min_expires_s, 60);
    assert_int_equal(c->max_expires_s, 3600);
    assert_int_equal(c->default_expires_s, 3600);
    assert_int_equal(c->grace_s, 10);
    assert_int_equal(c->max_contacts, 10);
    assert_int_equal(c->close_removes, 1u << TRANSPORT_TCP | 1u << TRANSPORT_TLS |
                                           1u << TRANSPORT_WS | 1u << TRANSPORT_WSS);
    assert_int_equal(c->overflow, OVERFLOW_REPLACE_OLDEST);
    assert_int_equal(c->nat_expires_s, 30);
    assert_int_equal(c->nat_transports, 1u << TRANSPORT_UDP);
    assert_int_equal(c->store, STORE_KIND_MEMORY);
    assert_string_equal(c->redis_host, "127.0.0.1");
    assert_int_equal(c->redis_port, 6379);
    assert_int_equal(c->redis_db, 0);
    assert_null(c->redis_username);
    assert_null(c->redis_password);
    assert_string_equal(c->redis_prefix, "user:");
    assert_int_equal(c->redis_layout, REDIS_LAYOUT_HASH);
    assert_int_equal(c->message_bytes, 65536);
    assert_int_equal(c->connections, 200000);
    assert_int_equal(c->connections_per_ip, 1000);
    assert_int_equal(c->handshake_s, 5);
    assert_int_equal(c->idle_s, 0);
    struct net_address own;
    assert_int_equal(c->never_ban.count, 2);
    assert_int_equal(net_address_parse(&own, STR("127.1.2.3"), 0), 0);
    assert_true(net_networks_have(&c->never_ban, &own));
    assert_int_equal(c->trusted_proxies.count, 0);
    assert_int_equal(c->ws_origins.count, 1);
    assert_string_equal(c->ws_origins.item[0], "*");
    assert_int_equal(c->ws_ping_s, 25);
    assert_string_equal(c->www, "www");
    assert_true(c->www_is_default);
    assert_true(c->has_admin);
    assert_int_equal(net_address_port(&c->admin), 8081);
    assert_null(c->admin_token);
    assert_int_equal(c->drain_s, 5);
    assert_int_equal(c->log_level, LOG_LEVEL_INFO);
    assert_int_equal(c->log_format, LOG_FORMAT_TEXT);
    assert_false(c->demo);
    config_free(c);
}

/* What --print-config says of one option is what was understood. */
static void takes_values(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct {
        const char *file_text, *override[2], *printed, *why;
    } row[] = {
        {"{'workers':3}", {NULL}, "'workers': 3,", "from the file"},
        {"{'workers':3}", {"workers=4"}, "'workers': 4,", "-D wins"},
        {NULL, {"workers=4", "workers=5"}, "'workers': 5,", "the later -D wins"},
        {NULL, {"workers=2e1"}, "'workers': 20,", "JSON has many ways to write it"},
        {NULL, {"nat={'expires':9}"}, "'expires': 9,", "a whole group by -D"},
        {NULL, {"node=a=b"}, "'node': 'a=b'", "only the first = counts"},
        {NULL, {"node='b'"}, "'node': 'b'", "a JSON string by -D"},
        {NULL, {"users=null"}, "'users': null", "none is the default"},
        {"{'users':'a'}", {"users=null"}, "'users': null", "back to the default"},
        {NULL, {"listen=['udp://[::1]:0','udp://[::1]:0']"},
         "['udp://[::1]:0', 'udp://[::1]:0']", "port 0 is a new one each time"},
        {NULL, {"listen=['udp://127.0.0.1:5','tcp://127.0.0.1:5']"},
         "['udp://127.0.0.1:5', 'tcp://127.0.0.1:5']", "UDP and TCP have ports of their own"},
        {NULL, {"auth.algorithms=['SHA-512-256','sha-256','MD5']"},
         "['SHA-512-256', 'SHA-256', 'MD5']", "strongest first"},
        {NULL, {"auth.algorithms=['SHA-256']"}, "['SHA-256']", "without MD5"},
        {NULL, {"auth.refreshCache=false"}, "'refreshCache': false", "a flag"},
        {NULL, {"registrar.closeRemoves=[]"}, "'closeRemoves': []", "none"},
        {NULL, {"nat.transports=['wss','udp','udp']"}, "['udp', 'wss']", "a set"},
        {NULL, {"registrar.overflow=reject"}, "'overflow': 'reject'", "a choice"},
        {NULL, {"registrar.maxExpires=600"}, "'defaultExpires': 600",
         "a default that nobody set keeps within its bounds"},
        {NULL, {"registrar.maxExpires=9000", "registrar.minExpires=7000"},
         "'defaultExpires': 7000", "the lower one too"},
        {NULL, {"http.www=false"}, "'www': false", "no page"},
        {NULL, {"http.admin=false"}, "'admin': false", "no admin part"},
        {NULL, {"http.admin=http://[::1]:0"}, "'http://[::1]:0'", "IPv6"},
        {NULL, {"http.adminToken=s3cret"}, "'adminToken': '***'", "a secret"},
        {NULL, {NULL}, "'drainSeconds': 1", "--demo ends fast"},
        {NULL, {"drainSeconds=9"}, "'drainSeconds': 9", "if not told otherwise"},
        {NULL, {"authCallback.uri=http://auth/?a=b@c"}, "'uri': 'http://auth/?a=b@c',",
         "an @ is no user name everywhere"},
        {"{'authCallback':{'url':'HTTPS://[::1]:8443'}}", {NULL}, "'uri': 'HTTPS://[::1]:8443',",
         "the second spelling"},
        {"{'authCallback':{'url':'http://a'}}", {"authCallback.uri=http://b"},
         "'uri': 'http://b',", "-D wins over the other spelling, too"},
        {"{'authCallback':{'uri':'http://a'}}", {"authCallback.url=http://b"},
         "'uri': 'http://b',", "in either direction"},
        {"{'authCallback':{'uri':'http://a','timeoutMs':50,'auth':{'username':'u',"
         "'password':'p'}}}",
         {"authCallback=null"},
         "'authCallback': {\n    'uri': null,\n    'auth': {\n      'username': null,\n"
         "      'password': null\n    },\n    'timeoutMs': 3000,", "a whole group to its defaults"},
        {"{'authCallback':{'uri':'http://a','auth':{'username':'u','password':'p'}}}",
         {"authCallback.auth={'username':'a b\u00e9','password':': \u00e9'}"},
         "'auth': {\n      'username': 'a b\u00e9',\n      'password': '***'\n    },",
         "a group within one, by -D"},
        {"{'authCallback':{'uri':'http://a','auth':{'username':'u','password':''}}}",
         {"authCallback.auth.username=v"}, "'username': 'v',\n      'password': '***'\n",
         "three names by -D; an empty password is one"},
        {"{'authCallback':{'uri':'http://a','caFile':'a.pem'}}",
         {"authCallback.maxConnections=1000"},
         "'maxConnections': 1000,\n    'caFile': 'a.pem'\n", "the rest of it"},
        {"{'authCallback':{'uri':null,'auth':{'username':null,'password':null},'timeoutMs':3000,"
         "'maxConnections':64,'caFile':null}}", {NULL}, "'uri': null,", "what is printed is taken"},
        {NULL, {"store=redis"}, "'store': 'redis',", "another store"},
        {NULL, {"redis.host=[2001:DB8::1]"}, "'host': '2001:db8::1',", "as it is connected to"},
        {NULL, {"redis.host=redis-1.internal"}, "'host': 'redis-1.internal',", "by name"},
        {NULL, {"redis={'port':1,'db':65535,'username':'u v','password':'p w','prefix':''}"},
         "'port': 1,\n    'db': 65535,\n    'username': 'u v',\n    'password': '***',\n"
         "    'prefix': '',", "the rest of it"},
        {NULL, {"redis.layout=jambonz"}, "'maxContacts': 1,", "a default that fits the layout"},
        {NULL, {"redis.layout=jambonz", "registrar.maxContacts=1"}, "'maxContacts': 1,",
         "or just that"},
        {NULL, {"limits.neverBan=[]"}, "'neverBan': []", "none"},
        {NULL, {"limits.scanners=false"}, "'scanners': false,", "off"},
        {NULL, {"limits.scanners=['a','b/1']"}, "'scanners': ['a', 'b/1'],", "others"},
        {NULL, {"trustedProxies=['10.0.0.0/8','::ffff:192.0.2.1','2001:DB8::/32']"},
         "'trustedProxies': ['10.0.0.0/8', '192.0.2.1', '2001:db8::/32'],", "networks"},
        {NULL, {"auth.exposeMessage=true"}, "'exposeMessage': true", "a flag"},
        {NULL, {"advertise=sip.example.com:5070"}, "'sip.example.com:5070'", "a name"},
        {NULL, {"ws.origins=['HTTPS://*.Example.com:443']"}, "['https://*.example.com']",
         "as browsers write it"},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char expected[JSON_MAX];
        to_json(expected, row[i].printed);
        struct given given = {
            row[i].file_text, {row[i].override[0], row[i].override[1]},
             true
        };
        struct config *c = load_good(&given, "aorta.json");
        char *printed = text_of(c);
        if (!strstr(printed, expected))
            fail_msg("row %zu, %s: no %s in\n%s", i, row[i].why, expected, printed);
        free(printed);
        config_free(c);
    }
}

static void replaces_variables(void **state)
{
    (void)state;
    struct config *c = load_good(
        &(struct given){
            .file_text =
                "{\"node\":\"${AORTA_TEST_NAME}-1\",\"workers\":\"${AORTA_TEST_NUMBER}\","
                "\"users\":\"${AORTA_TEST_EMPTY:-fallback.json}\","
                "\"listen\":[\"udp://${AORTA_TEST_UNSET:-127.0.0.1}:506${AORTA_TEST_NUMBER}"
                "\"],\"auth\":{\"refreshCache\":\"${AORTA_TEST_UNSET:-false}\"}}",
            .override = {"http.www=${AORTA_TEST_UNSET:-false}", "tls.cert=$${AORTA_TEST_NAME}$",
                         "tls.key=${AORTA_TEST_NESTED}"},
    },
        "aorta.json");
    assert_string_equal(c->node, "edge-1");
    assert_int_equal(c->workers, 7);
    assert_string_equal(c->users, "fallback.json");
    assert_int_equal(net_address_port(&c->listen[0].address), 5067);
    assert_false(c->refresh_cache);
    assert_null(c->www);
    assert_false(c->www_is_default);
    assert_string_equal(c->tls_cert, "$edge$"); /* "$$" is nothing special */
    assert_string_equal(c->tls_key,
                        "${AORTA_TEST_NAME}"); /* what comes in is not looked at again */
    config_free(c);
}

static void resolves_paths(void **state)
{
    (void)state;
    struct given given = {
        .file_text = "{\"users\":\"users.json\",\"tls\":{\"key\":\"/etc/aorta.key\"}}",
        .override = {"http.www=../page"},
    };
    struct config *c = load_good(&given, "sub/aorta.json");
    assert_string_equal(c->users, "sub/users.json");
    assert_string_equal(c->tls_key, "/etc/aorta.key");
    assert_string_equal(c->tls_cert, "sub/certs/server.crt"); /* the default, too */
    assert_string_equal(c->www, "sub/../page");               /* and -D */
    config_free(c);

    c = load_good(&given, "aorta.json");
    assert_string_equal(c->users, "users.json");
    assert_string_equal(c->www, "../page");
    config_free(c);
}

static void refuses_one_thing(void **state)
{
    (void)state;
    /* With --demo, so that users are no matter. The file is one line long. */
    /* clang-format off */
    static const struct {
        const char *file_text;
        const char *expected; /* after "aorta: aorta.json:" */
    } row[] = {
        {"[]", "1:1: the configuration must be a JSON object, {...}\n"},
        {"{'lisen':1}", "1:2: lisen: unknown key, did you mean \"listen\"?\n"},
        {"{'auth':{'noncettl':1}}",
         "1:10: auth.noncettl: unknown key, did you mean \"auth.nonceTtl\"?\n"},
        {"{'maxExpires':1}",
         "1:2: maxExpires: unknown key, did you mean \"registrar.maxExpires\"?\n"},
        {"{'zebra':{}}", "1:2: zebra: unknown key; aorta --help lists those there are\n"},
        {"{'a\\nb':1}", "1:2: \"a\\nb\": unknown key; aorta --help lists those there are\n"},
        {"{'tls.cert':'x'}",
         "1:2: tls.cert: in a file this is written {\"tls\": {\"cert\": ...}}\n"},
        {"{'tls':'x'}", "1:8: tls: must be an object, such as {\"tls\": {...}}\n"},
        {"{'tls':{'cert':''}}", "1:16: tls.cert: must be a string that names a file\n"},
        {"{'tls':{'cert':null}}", "1:16: tls.cert: must be a string that names a file\n"},
        {"{'workers':0}", "1:12: workers: must be a whole number from 1 to 64\n"},
        {"{'workers':1.5}", "1:12: workers: must be a whole number from 1 to 64\n"},
        {"{'workers':1e300}", "1:12: workers: must be a whole number from 1 to 64\n"},
        {"{'workers':'2'}", "1:12: workers: must be a whole number from 1 to 64\n"},
        {"{'workers':'${AORTA_TEST_NAME}'}",
         "1:12: workers: must be a whole number from 1 to 64\n"},
        {"{'drainSeconds':-1}",
         "1:17: drainSeconds: must be a whole number of seconds from 0 to 3600\n"},
        {"{'auth':{'refreshCache':'true'}}", "1:25: auth.refreshCache: must be true or false\n"},
        {"{'logging':{'level':'loud'}}",
         "1:21: logging.level: must be error, warn, info, debug or trace\n"},
        {"{'store':'disk'}", "1:10: store: must be memory or redis\n"},
        {"{'node':'a b'}",
         "1:9: node: must be a string in quotes, of 1 to 255 ASCII characters without spaces\n"},
        {"{'node':'${AORTA_TEST_UNSET}'}",
         "1:9: node: the environment variable AORTA_TEST_UNSET is not set; set it, or write "
         "${AORTA_TEST_UNSET:-default}\n"},
        {"{'node':'${AORTA_TEST_NAME'}", "1:9: node: ${ has no closing }\n"},
        {"{'node':'${a-b}'}",
         "1:9: node: write ${NAME} or ${NAME:-default}, NAME being letters, digits and _\n"},
        {"{'advertise':'::1'}",
         "1:14: advertise: must be a host or host:port, e.g. \"sip.example.com:5060\", "
         "\"192.0.2.1\" or \"[2001:db8::1]:5060\"\n"},
        {"{'listen':[]}",
         "1:11: listen: must be a list of 1 to 64 strings, e.g. [\"udp://127.0.0.1:5060\"]\n"},
        {"{'listen':'udp://127.0.0.1:1'}",
         "1:11: listen: must be a list of 1 to 64 strings, e.g. [\"udp://127.0.0.1:5060\"]\n"},
        {"{'listen':['udp://localhost:1']}",
         "1:12: listen: \"udp://localhost:1\": an IP address is needed, e.g. "
         "udp://127.0.0.1:5060 or udp://[::1]:5060\n"},
        {"{'listen':['ws://127.0.0.1']}",
         "1:12: listen: \"ws://127.0.0.1\": a port is needed, e.g. ws://127.0.0.1:5060 or "
         "ws://[::1]:5060\n"},
        {"{'listen':['tcp://::1:5060']}",
         "1:12: listen: \"tcp://::1:5060\": an IPv6 address needs brackets, e.g. "
         "tcp://127.0.0.1:5060 or tcp://[::1]:5060\n"},
        {"{'listen':['sip://127.0.0.1:1']}",
         "1:12: listen: \"sip://127.0.0.1:1\": the transport must be udp, tcp, tls, ws or wss\n"},
        {"{'listen':['127.0.0.1:1']}",
         "1:12: listen: \"127.0.0.1:1\": write transport://ip:port, e.g. udp://127.0.0.1:5060\n"},
        {"{'listen':['udp://127.0.0.1:9?proxy=v1v2'],'trustedProxies':['10.0.0.1']}",
         "1:12: listen: \"udp://127.0.0.1:9?proxy=v1v2\": ?proxy=v1v2 is for tcp, tls, ws and wss, "
         "e.g. udp://127.0.0.1:5060 or udp://[::1]:5060\n"},
        {"{'listen':['ws://127.0.0.1:9?proxy=v3'],'trustedProxies':['10.0.0.1']}",
         "1:12: listen: \"ws://127.0.0.1:9?proxy=v3\": only ?proxy=v1v2 may follow the port, "
         "e.g. ws://127.0.0.1:5060 or ws://[::1]:5060\n"},
        {"{'listen':['wss://127.0.0.1:9?proxy=v1v2']}",
         "1:11: listen: ?proxy=v1v2 serves trustedProxies only, and there are none: give the "
         "balancer's network there\n"},
        {"{'listen':['ws://127.0.0.1:9','wss://127.0.0.1:9']}",
         "1:31: listen: wss://127.0.0.1:9: another listener has this address already, "
         "ws://127.0.0.1:9\n"},
        {"{'listen':['udp://[::1]:9','udp://0.0.0.0:9']}",
         "1:28: listen: \"udp://0.0.0.0:9\": --demo serves loopback only\n"},
        {"{'http':{'admin':'http://192.0.2.1:9'}}",
         "1:18: http.admin: \"http://192.0.2.1:9\": --demo serves loopback only\n"},
        {"{'http':{'admin':'https://127.0.0.1:9'}}",
         "1:18: http.admin: must be a string \"http://ip:port\", or false; e.g. "
         "http://127.0.0.1:8081 or http://[::1]:8081\n"},
        {"{'http':{'admin':'http://127.0.0.1:8080'}}",
         "1:18: http.admin: 127.0.0.1:8080 is the address of a ws listener already\n"},
        {"{'http':{'www':true}}",
         "1:16: http.www: must be a string that names a folder, or false\n"},
        {"{'auth':{'algorithms':[]}}",
         "1:23: auth.algorithms: must be a list of at least one of \"SHA-512-256\", \"SHA-256\" "
         "and \"MD5\", MD5 last\n"},
        {"{'auth':{'algorithms':['MD4']}}",
         "1:24: auth.algorithms: \"MD4\" is none of MD5, SHA-256 and SHA-512-256\n"},
        {"{'auth':{'algorithms':['MD5','MD5']}}",
         "1:30: auth.algorithms: MD5 stands there twice\n"},
        {"{'auth':{'algorithms':['MD5','SHA-256']}}",
         "1:24: auth.algorithms: MD5 must come last: browsers' SIP libraries (JsSIP, SIP.js) "
         "read only the last challenge, and only MD5\n"},
        {"{'registrar':{'closeRemoves':['udp']}}",
         "1:31: registrar.closeRemoves: \"udp\" is none of \"tcp\", \"tls\", \"ws\", \"wss\"\n"},
        {"{'registrar':{'minExpires':4000}}",
         "1:28: registrar.minExpires: 4000 is above registrar.maxExpires, which is 3600\n"},
        {"{'registrar':{'maxExpires':50}}",
         "1:28: registrar.maxExpires: 50 is below registrar.minExpires, which is 60\n"},
        {"{'registrar':{'defaultExpires':50}}",
         "1:32: registrar.defaultExpires: 50 is below registrar.minExpires, which is 60\n"},
        {"{'registrar':{'defaultExpires':3601}}",
         "1:32: registrar.defaultExpires: 3601 is above registrar.maxExpires, which is 3600\n"},
        {"{'authCallback':{'auth.username':'x'}}",
         "1:18: authCallback.auth.username: in a file this is written {\"authCallback\": "
         "{\"auth\": {\"username\": ...}}}\n"},
        {"{'authCallback':'http://a'}",
         "1:17: authCallback: must be an object, such as {\"authCallback\": {...}}\n"},
        {"{'authCallback':{'auth':'u:p'}}",
         "1:25: authCallback.auth: must be an object, such as {\"auth\": {...}}\n"},
        {"{'authCallback':{'auth':{'user':'u'}}}",
         "1:26: authCallback.auth.user: unknown key, did you mean \"authCallback.auth.username\"?\n"},
        {"{'authCallback':{'auth':{'usernam':'u'}}}",
         "1:26: authCallback.auth.usernam: unknown key, did you mean "
         "\"authCallback.auth.username\"?\n"},
        {"{'authCallback':{'username':'u'}}",
         "1:18: authCallback.username: unknown key, did you mean "
         "\"authCallback.auth.username\"?\n"},
        {"{'authCalback':{'uri':'x'}}", "1:2: authCalback: unknown key, did you mean "
         "\"authCallback\"?\n"},
        {"{'authCallback':{'uri':'http://a','url':'http://a'}}",
         "1:35: authCallback.url: is another spelling of authCallback.uri, which stands there "
         "too\n"},
        {"{'authCallback':{'url':'http://a','uri':'http://a'}}",
         "1:35: authCallback.uri: is another spelling of authCallback.url, which stands there "
         "too\n"},
        {"{'authCallback':{'url':'ftp://a'}}",
         "1:24: authCallback.url: must be a URL that starts with http:// or https://\n"},
        {"{'authCallback':{'uri':'http://u:p@a/'}}",
         "1:24: authCallback.uri: must be without user name and password: these are given as "
         "authCallback.auth.username and authCallback.auth.password\n"},
        {"{'authCallback':{'uri':'http://a','auth':{'username':'a:b','password':'p'}}}",
         "1:54: authCallback.auth.username: must be without a colon, which ends the user name in "
         "Basic authentication (RFC 7617)\n"},
        {"{'authCallback':{'uri':'http://a','auth':{'username':'','password':'p'}}}",
         "1:54: authCallback.auth.username: must be a string in quotes, of 1 to 255 bytes without "
         "control characters\n"},
        {"{'authCallback':{'uri':'http://a','auth':{'username':'u','password':'p\\n'}}}",
         "1:69: authCallback.auth.password: must be a string in quotes, of 0 to 255 bytes without "
         "control characters\n"},
        {"{'authCallback':{'uri':'http://a','auth':{'username':'u'}}}",
         "1:54: authCallback.auth.username: needs authCallback.auth.password too\n"},
        {"{'authCallback':{'uri':'http://a','auth':{'password':'p'}}}",
         "1:54: authCallback.auth.password: needs authCallback.auth.username too\n"},
        {"{'authCallback':{'uri':'http://a','timeoutMs':49}}",
         "1:47: authCallback.timeoutMs: must be a whole number of milliseconds from 50 to 60000\n"},
        {"{'authCallback':{'uri':'http://a','maxConnections':0}}",
         "1:52: authCallback.maxConnections: must be a whole number from 1 to 1000\n"},
        {"{'authCallback':{'timeoutMs':50}}",
         "1:30: authCallback.timeoutMs: needs authCallback.uri too\n"},
        {"{'authCallback':{'caFile':'a.pem'}}",
         "1:27: authCallback.caFile: needs authCallback.uri too\n"},
        {"{'redis':{'host':'a:1'}}",
         "1:18: redis.host: must be a host name or an IP address without a port, e.g. "
         "\"redis.example.com\", \"192.0.2.1\" or \"2001:db8::1\"\n"},
        {"{'redis':{'port':0}}", "1:18: redis.port: must be a whole number from 1 to 65535\n"},
        {"{'redis':{'db':65536}}", "1:16: redis.db: must be a whole number from 0 to 65535\n"},
        {"{'redis':{'password':''}}",
         "1:22: redis.password: must be a string in quotes, of 1 to 255 bytes without control "
         "characters\n"},
        {"{'redis':{'prefix':'user:*'}}",
         "1:20: redis.prefix: must be a string of at most 64 ASCII characters, without spaces and "
         "* ? [ ] \\\n"},
        {"{'redis':{'prefix':'my user:'}}",
         "1:20: redis.prefix: must be a string of at most 64 ASCII characters, without spaces and "
         "* ? [ ] \\\n"},
        {"{'redis':{'prefix':null}}",
         "1:20: redis.prefix: must be a string of at most 64 ASCII characters, without spaces and "
         "* ? [ ] \\\n"},
        {"{'redis':{'layout':'set'}}", "1:20: redis.layout: must be hash or jambonz\n"},
        {"{'redis':{'layout':'jambonz'},'registrar':{'maxContacts':2}}",
         "1:58: registrar.maxContacts: 2, but redis.layout \"jambonz\" has room for one contact of "
         "each user: write 1, or leave it out\n"},
        {"{'limits':{'neverBan':'::1'}}",
         "1:23: limits.neverBan: must be a list of at most 1000 strings, e.g. [\"192.0.2.0/24\", "
         "\"::1\"]\n"},
        {"{'limits':{'scanners':true}}",
         "1:23: limits.scanners: must be false, or a list of 1 to 256 strings of 1 to 64 bytes\n"},
        {"{'limits':{'scanners':['a','']}}",
         "1:23: limits.scanners: must be false, or a list of 1 to 256 strings of 1 to 64 bytes\n"},
        {"{'trustedProxies':['::1','192.0.2.1/24']}",
         "1:26: trustedProxies: \"192.0.2.1/24\": write an IP address, or a network whose address "
         "has only zeros behind its prefix: \"192.0.2.0/24\", \"2001:db8::/32\"\n"},
        {"{'ws':{'origins':['https://a/']}}",
         "1:19: ws.origins: \"https://a/\": write \"*\", https://host or https://*.example.com, "
         "with :port where it is not the usual one, and no path\n"},
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char expected[JSON_MAX];
        snprintf(expected, sizeof expected, "aorta: aorta.json:%s", row[i].expected);
        assert_refused(&(struct given){.file_text = row[i].file_text, .demo = true}, expected);
    }
}

static void refuses_a_flat_key_only_where_it_is_known(void **state)
{
    (void)state;
    assert_refused(&(struct given){.file_text = "{\"tsl.cert\":1}", .demo = true},
                   "aorta: aorta.json:1:2: tsl.cert: unknown key, did you mean \"tls.cert\"?\n");
}

static void tells_every_error(void **state)
{
    (void)state;
    assert_refused(
        &(struct given){
            .file_text = "{\n"
                         "  \"listen\": [\"udp://127.0.0.1:1\", \"udp://x:1\",\n"
                         "             \"tcp://y:1\"],\n"
                         "  \"worker\": 2,\n"
                         "  \"registrar\": {\"minExpires\": 100, \"maxExpires\": 50},\n"
                         "  \"http\": {\"adminToken\": 5, \"admin\": \"http://0.0.0.0:1\"}\n"
                         "}\n",
            .override = {"workers=many", "node", "tsl.cert=x", "tls={\"cert\":5}"},
    },
        "aorta: aorta.json:2:35: listen: \"udp://x:1\": an IP address is needed, e.g. "
        "udp://127.0.0.1:5060 or udp://[::1]:5060\n"
        "aorta: aorta.json:3:14: listen: \"tcp://y:1\": an IP address is needed, e.g. "
        "tcp://127.0.0.1:5060 or tcp://[::1]:5060\n"
        "aorta: aorta.json:4:3: worker: unknown key, did you mean \"workers\"?\n"
        "aorta: aorta.json:6:26: http.adminToken: must be a string in quotes, of 1 to 255 ASCII "
        "characters without spaces\n"
        "aorta: -D workers: must be a whole number from 1 to 64\n"
        "aorta: -D node: a value is missing: write -D KEY=VALUE\n"
        "aorta: -D tsl.cert: unknown key, did you mean \"tls.cert\"?\n"
        "aorta: -D tls.cert: must be a string that names a file\n"
        "aorta: aorta.json:5:31: registrar.minExpires: 100 is above registrar.maxExpires, which is "
        "50\n"
        "aorta: users: nobody could register: name a users file, by \"users\": \"users.json\" or "
        "-D users=users.json, or a server that decides, by authCallback.uri, or have a look with "
        "--demo\n");
}

static void wants_a_token_for_other_machines(void **state)
{
    (void)state;
    assert_refused(
        &(struct given){
            .override = {"users=u", "http.admin=http://[::]:8081"}
    },
        "aorta: -D http.admin: [::]:8081 can be reached from other machines: set "
        "http.adminToken, or listen on 127.0.0.1\n");
    struct given given = {
        .override = {"users=u", "http.admin=http://[::]:8081", "http.adminToken=s3cret"}
    };
    struct config *c = load_good(&given, NULL);
    assert_string_equal(c->admin_token, "s3cret");
    config_free(c);
}

/* Where the file is no JSON, nobody can tell what was meant: no further complaints. */
static void says_where_the_syntax_breaks(void **state)
{
    (void)state;
    struct buf errors;
    struct config *config = NULL;
    struct config_source source = {.file = "aorta.json"};
    write_file(source.file, "{\n  \"workers\": oops\n}\n");
    buf_init_heap(&errors, OUTPUT_MAX);
    assert_int_equal(config_load(&source, &config, &errors), -EINVAL);
    assert_true(str_starts_nocase(buf_str(&errors), STR("aorta: aorta.json:2:14: ")));
    assert_int_equal(str_find(buf_str(&errors), '\n'), errors.len - 1);
    buf_fini(&errors);
}

static void says_that_the_file_cannot_be_read(void **state)
{
    (void)state;
    static const struct {
        const char *file, *expected;
    } row[] = {
        {"missing.json", "aorta: missing.json: No such file or directory\n"},
        {"sub",          "aorta: sub: Is a directory\n"                    },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct buf errors;
        struct config *config = NULL;
        struct config_source source = {.file = row[i].file};
        buf_init_heap(&errors, 1 << 16);
        assert_int_equal(config_load(&source, &config, &errors), -EINVAL);
        buf_put_char(&errors, 0);
        assert_string_equal(errors.data, row[i].expected);
        buf_fini(&errors);
    }
}

static void caps_what_variables_bring(void **state)
{
    (void)state;
    enum { LARGE = 40000 };
    static char large[LARGE];
    memset(large, 'x', sizeof large - 1);
    setenv("AORTA_TEST_LARGE", large, 1);
    assert_refused(&(struct given){.override = {"node=${AORTA_TEST_LARGE}${AORTA_TEST_LARGE}"},
                                   .demo = true},
                   "aorta: -D node: is longer than 65536 bytes with its variables\n");
    unsetenv("AORTA_TEST_LARGE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_the_defaults),
        cmocka_unit_test(takes_values),
        cmocka_unit_test(replaces_variables),
        cmocka_unit_test(resolves_paths),
        cmocka_unit_test(refuses_one_thing),
        cmocka_unit_test(refuses_a_flat_key_only_where_it_is_known),
        cmocka_unit_test(tells_every_error),
        cmocka_unit_test(wants_a_token_for_other_machines),
        cmocka_unit_test(says_where_the_syntax_breaks),
        cmocka_unit_test(says_that_the_file_cannot_be_read),
        cmocka_unit_test(caps_what_variables_bring),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
