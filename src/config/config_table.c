/* Every option of aorta, one row each: what it is called, takes, defaults to and means. --help,
 * --print-config and the README's table are made from these rows. */
#include "config_internal.h"
#include <stddef.h>

#define MEMBER(name) offsetof(struct config, name)
#define REALM_MEMBER(name) offsetof(struct config_realm, name)
#define ALL_TRANSPORTS ((1u << TRANSPORT_KINDS) - 1)
#define STREAM_TRANSPORTS (ALL_TRANSPORTS & ~(1u << TRANSPORT_UDP))

enum { DAY_S = 86400, WEEK_S = 7 * DAY_S, TEXT_BYTES = 255, PREFIX_BYTES = 64 };

static const char *const algorithm_names[] = {
    [DIGEST_MD5] = "MD5", [DIGEST_SHA_256] = "SHA-256", [DIGEST_SHA_512_256] = "SHA-512-256", NULL};
static const char *const overflow_names[] = {
    [OVERFLOW_REPLACE_OLDEST] = "replaceOldest", [OVERFLOW_REJECT] = "reject", NULL};
static const char *const store_names[] = {
    [STORE_KIND_MEMORY] = "memory", [STORE_KIND_REDIS] = "redis", NULL};
static const char *const layout_names[] = {
    [REDIS_LAYOUT_HASH] = "hash", [REDIS_LAYOUT_JAMBONZ] = "jambonz", NULL};
static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARN] = "warn",   [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug", [LOG_LEVEL_TRACE] = "trace", NULL};
static const char *const format_names[] = {
    [LOG_FORMAT_TEXT] = "text", [LOG_FORMAT_JSON] = "json", NULL};

/* Options of one group stand together: --print-config opens each group once. */
/* clang-format off */

/* The server that decides, for all realms or for one: struct `owner` has it in its `callback`. */
#define CALLBACK_OPTIONS(owner)                                                                    \
    {.key = "authCallback.uri", .other_key = "authCallback.url", .type = &config_type_url,         \
     .offset = offsetof(owner, callback.uri),                                                      \
     .help = "http:// or https:// URL of the server that is asked who may register; a user whom "  \
             "the users file has is decided by the file, all others by this server; "              \
             "authCallback.url is the same"},                                                      \
    {.key = "authCallback.auth.username", .type = &config_type_user_name,                          \
     .offset = offsetof(owner, callback.username), .min = 1, .max = TEXT_BYTES,                    \
     .help = "with the password: Basic authentication at that server"},                            \
    {.key = "authCallback.auth.password", .type = &config_type_text,                               \
     .offset = offsetof(owner, callback.password), .max = TEXT_BYTES, .is_secret = true,           \
     .help = "best written as ${NAME}, from the environment"},                                     \
    {.key = "authCallback.timeoutMs", .type = &config_type_count,                                  \
     .offset = offsetof(owner, callback.timeout_ms),                                               \
     .min = 50, .max = 60000, .unit = "milliseconds", .fallback = "3000",                          \
     .help = "for a whole request, waiting for a free connection included; then the client gets "  \
             "503"},                                                                               \
    {.key = "authCallback.maxConnections", .type = &config_type_count,                             \
     .offset = offsetof(owner, callback.max_connections),                                          \
     .min = 1, .max = 1000, .fallback = "64",                                                      \
     .help = "connections to that server at a time, of all threads together"},                     \
    {.key = "authCallback.caFile", .type = &config_type_file,                                      \
     .offset = offsetof(owner, callback.ca_file),                                                  \
     .help = "PEM file of further CAs that may vouch for that server; the system's always may"}

static const struct config_option options[] = {
    {.key = "listen", .type = &config_type_listeners, .offset = MEMBER(listen),
     .fallback = "[\"udp://127.0.0.1:5060\",\"tcp://127.0.0.1:5060\",\"tls://127.0.0.1:5061\","
                 "\"ws://127.0.0.1:8080\",\"wss://127.0.0.1:8443\"]",
     .is_start_only = true,
     .help = "where to listen: udp, tcp, tls, ws or wss, an IP address (IPv6 as udp://[::1]:5060) "
             "and a port; port 0 lets the system pick one; behind it ?proxy=v1v2 expects the PROXY "
             "protocol from trustedProxies, not for udp"},
    {.key = "advertise", .type = &config_type_host_port, .offset = MEMBER(advertise),
     .fallback_remark = "first listener's address",
     .is_start_only = true,
     .help = "host[:port] by which other nodes and the core reach this node over SIP"},
    {.key = "node", .type = &config_type_word, .offset = MEMBER(node),
     .fallback_remark = "host name and process id",
     .is_start_only = true, .is_found_out = true,
     .help = "this node's id in a cluster"},
    {.key = "workers", .type = &config_type_count, .offset = MEMBER(workers),
     .min = 1, .max = 64, .fallback_remark = "number of CPUs",
     .is_start_only = true, .is_found_out = true,
     .help = "threads"},
    {.key = "user", .type = &config_type_word, .offset = MEMBER(user),
     .is_start_only = true,
     .help = "ordinary user that aorta becomes once its ports are bound, when root starts it"},
    {.key = "tls.cert", .type = &config_type_file, .offset = MEMBER(tls_cert),
     .fallback = "\"certs/server.crt\"",
     .help = "PEM file with the certificate and its chain, for tls and wss"},
    {.key = "tls.key", .type = &config_type_file, .offset = MEMBER(tls_key),
     .fallback = "\"certs/server.key\"",
     .help = "PEM file with the certificate's private key, not encrypted"},
    {.key = "users", .type = &config_type_file, .offset = MEMBER(users),
     .help = "JSON file of the users and their passwords or digest hashes, for every domain that "
             "has no users of its own in realms"},
    CALLBACK_OPTIONS(struct config),
    {.key = "realms", .type = &config_type_realms, .offset = MEMBER(realms), .fallback = "{}",
     .help = "SIP domains, \"*\" for any other, each with users, authCallback (as above, in place "
             "of those above), maxRegistrations and allowForeignAor: {\"example.com\": {\"users\": "
             "\"users.json\"}}; when given, other domains are answered with 403"},
    {.key = "auth.algorithms", .type = &config_type_algorithms, .offset = MEMBER(algorithms),
     .names = algorithm_names, .fallback = "[\"MD5\"]",
     .help = "digest challenges, one header line each, in this order; MD5 comes last, since "
             "browsers' SIP libraries read only the last one and only MD5"},
    {.key = "auth.nonceTtl", .type = &config_type_count, .offset = MEMBER(nonce_ttl_s),
     .min = 1, .max = DAY_S, .unit = "seconds", .fallback = "300",
     .is_start_only = true,
     .help = "age at which a nonce turns stale"},
    {.key = "auth.refreshCache", .type = &config_type_flag, .offset = MEMBER(refresh_cache),
     .fallback = "true",
     .help = "grants a refresh that changes nothing without a new challenge"},
    {.key = "auth.refreshCacheSeconds", .type = &config_type_count,
     .offset = MEMBER(refresh_cache_s),
     .min = 1, .max = WEEK_S, .unit = "seconds", .fallback = "3600",
     .help = "for this long after the last real authentication"},
    {.key = "auth.exposeMessage", .type = &config_type_flag, .offset = MEMBER(expose_message),
     .fallback = "false",
     .help = "sends the callback's msg to the client, in a Warning header"},
    {.key = "registrar.minExpires", .type = &config_type_count, .offset = MEMBER(min_expires_s),
     .min = 1, .max = WEEK_S, .unit = "seconds", .fallback = "60",
     .help = "shortest time that a client may ask for; less is answered with 423"},
    {.key = "registrar.maxExpires", .type = &config_type_count, .offset = MEMBER(max_expires_s),
     .min = 1, .max = WEEK_S, .unit = "seconds", .fallback = "3600",
     .help = "longest time granted; who asks for more gets this"},
    {.key = "registrar.defaultExpires", .type = &config_type_count,
     .offset = MEMBER(default_expires_s),
     .min = 1, .max = WEEK_S, .unit = "seconds", .fallback = "3600",
     .help = "granted to a client that asks for no time; where it is not set it keeps within "
             "minExpires and maxExpires"},
    {.key = "registrar.graceSeconds", .type = &config_type_count, .offset = MEMBER(grace_s),
     .min = 0, .max = 3600, .unit = "seconds", .fallback = "10",
     .is_start_only = true,
     .help = "a binding stays this long past its time, as clients refresh at the last moment"},
    {.key = "registrar.maxContacts", .type = &config_type_count, .offset = MEMBER(max_contacts),
     .min = 1, .max = 1000, .fallback = "10",
     .help = "bindings of one user; a refresh never counts; 1 where redis.layout is jambonz"},
    {.key = "registrar.closeRemoves", .type = &config_type_transports,
     .offset = MEMBER(close_removes),
     .max = STREAM_TRANSPORTS, .fallback = "[\"ws\",\"wss\",\"tcp\",\"tls\"]",
     .help = "transports whose closed connection takes its bindings along"},
    {.key = "registrar.overflow", .type = &config_type_choice, .offset = MEMBER(overflow),
     .names = overflow_names, .fallback = "\"replaceOldest\"",
     .help = "what a binding above maxContacts does: replaces one whose connection is dead or "
             "that was refreshed longest ago, or is answered with 403"},
    {.key = "nat.expires", .type = &config_type_count, .offset = MEMBER(nat_expires_s),
     .min = 1, .max = 3600, .unit = "seconds", .fallback = "30",
     .help = "granted to clients behind NAT, so that their refreshes keep the way open"},
    {.key = "nat.transports", .type = &config_type_transports, .offset = MEMBER(nat_transports),
     .max = ALL_TRANSPORTS, .fallback = "[\"udp\"]",
     .help = "transports where it is looked for"},
    {.key = "store", .type = &config_type_choice, .offset = MEMBER(store),
     .names = store_names, .fallback = "\"memory\"",
     .is_start_only = true,
     .help = "where bindings are kept: in this process, or in a Redis that several nodes share"},
    {.key = "redis.host", .type = &config_type_host, .offset = MEMBER(redis_host),
     .fallback = "\"127.0.0.1\"",
     .is_start_only = true,
     .help = "host name or IP address, without a port"},
    {.key = "redis.port", .type = &config_type_count, .offset = MEMBER(redis_port),
     .min = 1, .max = 65535, .fallback = "6379",
     .is_start_only = true,
     .help = "its port"},
    {.key = "redis.db", .type = &config_type_count, .offset = MEMBER(redis_db),
     .min = 0, .max = 65535, .fallback = "0",
     .is_start_only = true,
     .help = "number of the database"},
    {.key = "redis.username", .type = &config_type_text, .offset = MEMBER(redis_username),
     .min = 1, .max = TEXT_BYTES,
     .is_start_only = true,
     .help = "user of Redis' ACL; without one the password is that of its requirepass"},
    {.key = "redis.password", .type = &config_type_text, .offset = MEMBER(redis_password),
     .min = 1, .max = TEXT_BYTES, .is_secret = true,
     .is_start_only = true,
     .help = "best written as ${NAME}, from the environment"},
    {.key = "redis.prefix", .type = &config_type_key_prefix, .offset = MEMBER(redis_prefix),
     .max = PREFIX_BYTES, .fallback = "\"user:\"",
     .is_start_only = true,
     .help = "what the key of each user's bindings starts with"},
    {.key = "redis.layout", .type = &config_type_choice, .offset = MEMBER(redis_layout),
     .names = layout_names, .fallback = "\"hash\"",
     .is_start_only = true,
     .help = "how bindings are written: jambonz is read by @jambonz/mw-registrar, and holds one "
             "contact for each user"},
    {.key = "limits.messageBytes", .type = &config_type_count, .offset = MEMBER(message_bytes),
     .min = 1024, .max = 1048576, .unit = "bytes", .fallback = "65536",
     .is_start_only = true,
     .help = "largest SIP message on any transport"},
    {.key = "limits.headerBytes", .type = &config_type_count, .offset = MEMBER(header_bytes),
     .min = 512, .max = 1048576, .unit = "bytes", .fallback = "65536",
     .help = "of them, what comes before the body"},
    {.key = "limits.headerLines", .type = &config_type_count, .offset = MEMBER(header_lines),
     .min = 8, .max = 256, .fallback = "256",
     .help = "header lines of a message"},
    {.key = "limits.viasPerRequest", .type = &config_type_count, .offset = MEMBER(vias),
     .min = 1, .max = 48, .fallback = "48",
     .help = "Via values of a request"},
    {.key = "limits.contactsPerRequest", .type = &config_type_count, .offset = MEMBER(contacts),
     .min = 1, .max = 64, .fallback = "64",
     .help = "contacts of a REGISTER; registrar.maxContacts limits those of a user"},
    {.key = "limits.pathsPerRequest", .type = &config_type_count, .offset = MEMBER(paths),
     .min = 1, .max = 16, .fallback = "16",
     .help = "Path values of a REGISTER"},
    {.key = "limits.connections", .type = &config_type_count, .offset = MEMBER(connections),
     .min = 1, .max = 10000000, .fallback = "200000",
     .help = "stream connections at a time"},
    {.key = "limits.connectionsPerIp", .type = &config_type_count,
     .offset = MEMBER(connections_per_ip),
     .min = 1, .max = 10000000, .fallback = "1000",
     .help = "of them, from one IP address (IPv6: from one /64)"},
    {.key = "limits.handshakes", .type = &config_type_count, .offset = MEMBER(handshakes),
     .min = 1, .max = 512, .fallback = "512",
     .help = "TLS handshakes and WebSocket upgrades under way at a time, of each thread"},
    {.key = "limits.handshakeSeconds", .type = &config_type_count, .offset = MEMBER(handshake_s),
     .min = 1, .max = 300, .unit = "seconds", .fallback = "5",
     .help = "deadline for the TLS handshake and the WebSocket upgrade together"},
    {.key = "limits.firstMessageSeconds", .type = &config_type_count,
     .offset = MEMBER(first_message_s),
     .min = 1, .max = 3600, .unit = "seconds", .fallback = "15",
     .help = "deadline from there to the first SIP message"},
    {.key = "limits.authenticateSeconds", .type = &config_type_count,
     .offset = MEMBER(authenticate_s),
     .min = 1, .max = 3600, .unit = "seconds", .fallback = "30",
     .help = "and to the first REGISTER that is granted"},
    {.key = "limits.idleSeconds", .type = &config_type_count, .offset = MEMBER(idle_s),
     .min = 0, .max = DAY_S, .unit = "seconds", .fallback = "0",
     .help = "idle time after which a tcp or tls connection without bindings is closed; 0 never "
             "closes one"},
    {.key = "limits.lagMs", .type = &config_type_count, .offset = MEMBER(lag_ms),
     .min = 0, .max = 60000, .unit = "milliseconds", .fallback = "200",
     .help = "a thread that is later than this lets fewer newcomers in at a time; three times as "
             "late it answers new registrations with 503, ten times as late refreshes too; 0 never"},
    {.key = "limits.unreadBytes", .type = &config_type_count, .offset = MEMBER(unread_bytes),
     .min = 0, .max = 16777216, .unit = "bytes", .fallback = "0",
     .help = "what the system keeps of our answers for a connection whose peer does not read, at "
             "most net.core.wmem_max; 0 leaves it to net.ipv4.tcp_wmem"},
    {.key = "limits.transactions", .type = &config_type_count, .offset = MEMBER(transactions),
     .min = 1, .max = 1000000, .fallback = "8192",
     .help = "REGISTER requests that wait for the callback or Redis, of each thread"},
    {.key = "limits.requestsPerSecondPerIp", .type = &config_type_count,
     .offset = MEMBER(requests_per_second_per_ip),
     .min = 0, .max = 1000000, .fallback = "0",
     .help = "SIP messages of one IP address (IPv6: of one /64); 0 sets no limit"},
    {.key = "limits.failedAuthPerMinute", .type = &config_type_count,
     .offset = MEMBER(failed_auth_per_minute),
     .min = 0, .max = 1000000, .fallback = "30",
     .help = "wrong credentials of one IP address (IPv6: of one /64), not missing or stale ones; "
             "more of them get it banned; 0 sets no limit"},
    {.key = "limits.banSeconds", .type = &config_type_count, .offset = MEMBER(ban_s),
     .min = 1, .max = WEEK_S, .unit = "seconds", .fallback = "300",
     .help = "for so long"},
    {.key = "limits.scanners", .type = &config_type_starts, .offset = MEMBER(scanners),
     .fallback = "[\"friendly-scanner\",\"sipvicious\",\"sundayddr\",\"sip-scan\",\"pplsip\","
                 "\"sipcli\",\"siparmyknife\",\"iWar\",\"sivus\",\"smap\"]",
     .help = "how the User-Agent of known scanners starts, in any case; false turns it off"},
    {.key = "limits.replayBytes", .type = &config_type_count, .offset = MEMBER(replay_bytes),
     .min = 4096, .max = 1073741824, .unit = "bytes", .fallback = "8388608",
     .is_start_only = true,
     .help = "memory for what was used of the latest nonces, 8 bytes each, of all threads "
             "together; rounded down to a power of two"},
    {.key = "limits.retransmissionBytes", .type = &config_type_count,
     .offset = MEMBER(reply_bytes),
     .min = 65536, .max = 1073741824, .unit = "bytes", .fallback = "33554432",
     .is_start_only = true,
     .help = "memory for answers over UDP of the last 32 s, of each thread"},
    {.key = "limits.journalBytes", .type = &config_type_count, .offset = MEMBER(journal_bytes),
     .min = 0, .max = 134217728, .unit = "bytes", .fallback = "16777216",
     .is_start_only = true,
     .help = "memory for the latest facts about AORs, 64 bytes each, of all threads together "
             "(`/api/v1/aors/{aor}/why`); 0 keeps none"},
    {.key = "limits.neverBan", .type = &config_type_networks, .offset = MEMBER(never_ban),
     .fallback = "[\"127.0.0.0/8\",\"::1\"]",
     .help = "networks whose addresses are never blocked, as \"192.0.2.0/24\" or one address"},
    {.key = "trustedProxies", .type = &config_type_networks, .offset = MEMBER(trusted_proxies),
     .fallback = "[]",
     .help = "networks whose Forwarded, X-Forwarded-For, X-Forwarded-Proto and PROXY protocol are believed"},
    {.key = "ws.origins", .type = &config_type_origins, .offset = MEMBER(ws_origins),
     .fallback = "[\"*\"]",
     .help = "pages that may open a WebSocket: https://host, https://*.example.com, or * for any"},
    {.key = "ws.pingSeconds", .type = &config_type_count, .offset = MEMBER(ws_ping_s),
     .min = 0, .max = 3600, .unit = "seconds", .fallback = "25",
     .help = "pings an idle WebSocket; one silent for two pings is closed; 0 never pings"},
    {.key = "http.www", .type = &config_type_folder, .offset = MEMBER(www),
     .fallback = "\"www\"",
     .is_start_only = true,
     .help = "folder of the status page; false serves none"},
    {.key = "http.admin", .type = &config_type_admin, .offset = MEMBER(admin),
     .fallback = "\"http://127.0.0.1:8081\"",
     .is_start_only = true,
     .help = "listener of metrics and the admin API; false for none"},
    {.key = "http.adminToken", .type = &config_type_word, .offset = MEMBER(admin_token),
     .is_secret = true,
     .help = "the admin API asks for it as Authorization: Bearer; required when http.admin is not "
             "on loopback"},
    {.key = "drainSeconds", .type = &config_type_count, .offset = MEMBER(drain_s),
     .min = 0, .max = 3600, .unit = "seconds", .fallback = "5", .fallback_demo = "1",
     .help = "how long ending takes, so that clients do not all come back in one instant"},
    {.key = "logging.level", .type = &config_type_choice, .offset = MEMBER(log_level),
     .names = level_names, .fallback = "\"info\"",
     .help = "how much is logged, on standard error"},
    {.key = "logging.format", .type = &config_type_choice, .offset = MEMBER(log_format),
     .is_start_only = true,
     .names = format_names, .fallback = "\"text\"",
     .help = "one line an event, for people or for machines"},
};

/* What may stand in a realm. */
static const struct config_option realm_options[] = {
    {.key = "users", .type = &config_type_file, .offset = REALM_MEMBER(users),
     .help = "JSON file of this domain's users"},
    CALLBACK_OPTIONS(struct config_realm),
    {.key = "maxRegistrations", .type = &config_type_count,
     .offset = REALM_MEMBER(max_registrations),
     .min = 0, .max = 100000000, .fallback = "0",
     .help = "bindings of all users of the domain together; 0 sets no limit"},
    {.key = "allowForeignAor", .type = &config_type_flag, .offset = REALM_MEMBER(allow_foreign_aor),
     .fallback = "false",
     .help = "lets the callback decide whether one user may register another's address"},
};
/* clang-format on */

_Static_assert(sizeof options / sizeof *options <= CONFIG_OPTIONS_MAX, "room for settings");
_Static_assert(sizeof realm_options / sizeof *realm_options <= CONFIG_OPTIONS_MAX, "likewise");

const struct config_table config_options = {options, sizeof options / sizeof *options};
const struct config_table config_realm_options = {realm_options,
                                                  sizeof realm_options / sizeof *realm_options};

/* ---- Looking around in a table -----------------------------------------------------------------
 */

const struct config_option *config_option_find(const struct config_table *table, struct str key)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct config_option *option = &table->option[i];
        if (str_eq(str_from(option->key), key) ||
            (option->other_key && str_eq(str_from(option->other_key), key)))
            return option;
    }
    return NULL;
}

size_t config_option_index(const struct config_table *table, const struct config_option *option)
{
    return (size_t)(option - table->option);
}

bool config_option_is_in(const struct config_option *option, struct str group)
{
    struct str key = str_from(option->key);
    return key.len > group.len && key.ptr[group.len] == '.' &&
           str_eq(str_slice(key, 0, group.len), group);
}

bool config_is_group(const struct config_table *table, struct str key)
{
    for (size_t i = 0; i < table->count; i++)
        if (config_option_is_in(&table->option[i], key))
            return true;
    return false;
}

struct str config_key_last(struct str key)
{
    size_t start = key.len;
    while (start > 0 && key.ptr[start - 1] != '.')
        start--;
    return str_slice(key, start, key.len);
}

struct str config_key_group(struct str key)
{
    size_t last = config_key_last(key).len;
    return str_slice(key, 0, last < key.len ? key.len - last - 1 : 0);
}

void config_clear(const struct config_table *table, void *object)
{
    for (size_t i = 0; i < table->count; i++)
        if (table->option[i].type->clear)
            table->option[i].type->clear(object, &table->option[i]);
}

void config_option_put_range(const struct config_option *option, struct buf *out)
{
    if (option->names) {
        for (size_t i = 0; option->names[i]; i++) {
            bool is_last = !option->names[i + 1];
            buf_put_text(out, i == 0 ? "" : is_last ? " or " : ", ");
            buf_put_text(out, option->names[i]);
        }
    } else if (option->type == &config_type_count) {
        buf_printf(out, "%s%s%llu to %llu", option->unit ? option->unit : "",
                   option->unit ? ", " : "", (unsigned long long)option->min,
                   (unsigned long long)option->max);
    }
}
