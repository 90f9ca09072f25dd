/* Every option of aorta, one row each: what it is called, takes, defaults to and means. --help,
 * --print-config and the README's table are made from these rows. */
#include "config_internal.h"
#include <stddef.h>

#define MEMBER(name) offsetof(struct config, name)
#define ALL_TRANSPORTS ((1u << TRANSPORT_KINDS) - 1)
#define STREAM_TRANSPORTS (ALL_TRANSPORTS & ~(1u << TRANSPORT_UDP))

enum { DAY_S = 86400, WEEK_S = 7 * DAY_S };

static const char *const algorithm_names[] = {
    [DIGEST_MD5] = "MD5", [DIGEST_SHA_256] = "SHA-256", [DIGEST_SHA_512_256] = "SHA-512-256", NULL};
static const char *const overflow_names[] = {
    [OVERFLOW_REPLACE_OLDEST] = "replaceOldest", [OVERFLOW_REJECT] = "reject", NULL};
static const char *const store_names[] = {[STORE_KIND_MEMORY] = "memory", NULL};
static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARN] = "warn",   [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug", [LOG_LEVEL_TRACE] = "trace", NULL};
static const char *const format_names[] = {
    [LOG_FORMAT_TEXT] = "text", [LOG_FORMAT_JSON] = "json", NULL};

/* Options of one group stand together: --print-config opens each group once. */
/* clang-format off */
const struct config_option config_options[] = {
    {.key = "listen", .type = &config_type_listeners, .offset = MEMBER(listen),
     .fallback = "[\"udp://127.0.0.1:5060\",\"tcp://127.0.0.1:5060\",\"tls://127.0.0.1:5061\","
                 "\"ws://127.0.0.1:8080\",\"wss://127.0.0.1:8443\"]",
     .help = "where to listen: udp, tcp, tls, ws or wss, an IP address (IPv6 as udp://[::1]:5060) "
             "and a port; port 0 lets the system pick one"},
    {.key = "advertise", .type = &config_type_host_port, .offset = MEMBER(advertise),
     .fallback_remark = "first listener's address",
     .help = "host[:port] by which other nodes and the core reach this node over SIP"},
    {.key = "node", .type = &config_type_word, .offset = MEMBER(node),
     .fallback_remark = "host name and process id",
     .help = "this node's id in a cluster"},
    {.key = "workers", .type = &config_type_count, .offset = MEMBER(workers),
     .min = 1, .max = 64, .fallback_remark = "number of CPUs",
     .help = "threads"},
    {.key = "tls.cert", .type = &config_type_file, .offset = MEMBER(tls_cert),
     .fallback = "\"certs/server.crt\"",
     .help = "PEM file with the certificate and its chain, for tls and wss"},
    {.key = "tls.key", .type = &config_type_file, .offset = MEMBER(tls_key),
     .fallback = "\"certs/server.key\"",
     .help = "PEM file with the certificate's private key, not encrypted"},
    {.key = "users", .type = &config_type_file, .offset = MEMBER(users),
     .help = "JSON file of the users and their passwords or digest hashes"},
    {.key = "auth.algorithms", .type = &config_type_algorithms, .offset = MEMBER(algorithms),
     .names = algorithm_names, .fallback = "[\"MD5\"]",
     .help = "digest challenges, one header line each, in this order; MD5 comes last, since "
             "browsers' SIP libraries read only the last one and only MD5"},
    {.key = "auth.nonceTtl", .type = &config_type_count, .offset = MEMBER(nonce_ttl_s),
     .min = 1, .max = DAY_S, .unit = "seconds", .fallback = "300",
     .help = "age at which a nonce turns stale"},
    {.key = "auth.refreshCache", .type = &config_type_flag, .offset = MEMBER(refresh_cache),
     .fallback = "true",
     .help = "grants a refresh that changes nothing without a new challenge"},
    {.key = "auth.refreshCacheSeconds", .type = &config_type_count,
     .offset = MEMBER(refresh_cache_s),
     .min = 1, .max = WEEK_S, .unit = "seconds", .fallback = "3600",
     .help = "for this long after the last real authentication"},
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
     .help = "a binding stays this long past its time, as clients refresh at the last moment"},
    {.key = "registrar.maxContacts", .type = &config_type_count, .offset = MEMBER(max_contacts),
     .min = 1, .max = 1000, .fallback = "10",
     .help = "bindings of one user; a refresh never counts"},
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
     .help = "where bindings are kept"},
    {.key = "limits.messageBytes", .type = &config_type_count, .offset = MEMBER(message_bytes),
     .min = 1024, .max = 1048576, .unit = "bytes", .fallback = "65536",
     .help = "largest SIP message on any transport"},
    {.key = "limits.connections", .type = &config_type_count, .offset = MEMBER(connections),
     .min = 1, .max = 10000000, .fallback = "200000",
     .help = "stream connections at a time"},
    {.key = "limits.connectionsPerIp", .type = &config_type_count,
     .offset = MEMBER(connections_per_ip),
     .min = 1, .max = 10000000, .fallback = "1000",
     .help = "of them, from one IP address"},
    {.key = "limits.handshakeSeconds", .type = &config_type_count, .offset = MEMBER(handshake_s),
     .min = 1, .max = 300, .unit = "seconds", .fallback = "5",
     .help = "deadline for the TLS handshake and the WebSocket upgrade together"},
    {.key = "limits.idleSeconds", .type = &config_type_count, .offset = MEMBER(idle_s),
     .min = 0, .max = DAY_S, .unit = "seconds", .fallback = "0",
     .help = "idle time after which a tcp or tls connection without bindings is closed; 0 never "
             "closes one"},
    {.key = "ws.origins", .type = &config_type_origins, .offset = MEMBER(ws_origins),
     .fallback = "[\"*\"]",
     .help = "pages that may open a WebSocket: https://host, https://*.example.com, or * for any"},
    {.key = "ws.pingSeconds", .type = &config_type_count, .offset = MEMBER(ws_ping_s),
     .min = 0, .max = 3600, .unit = "seconds", .fallback = "25",
     .help = "pings an idle WebSocket; one silent for two pings is closed; 0 never pings"},
    {.key = "http.www", .type = &config_type_folder, .offset = MEMBER(www),
     .fallback = "\"www\"",
     .help = "folder of the status page; false serves none"},
    {.key = "http.admin", .type = &config_type_admin, .offset = MEMBER(admin),
     .fallback = "\"http://127.0.0.1:8081\"",
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
     .names = format_names, .fallback = "\"text\"",
     .help = "one line an event, for people or for machines"},
};
/* clang-format on */

const size_t config_option_count = sizeof config_options / sizeof *config_options;
_Static_assert(sizeof config_options / sizeof *config_options <= CONFIG_OPTIONS_MAX,
               "config_load() keeps an array entry for each option");

const struct config_option *config_option_find(struct str key)
{
    for (size_t i = 0; i < config_option_count; i++)
        if (str_eq(str_from(config_options[i].key), key))
            return &config_options[i];
    return NULL;
}

size_t config_option_index(const struct config_option *option)
{
    return (size_t)(option - config_options);
}

bool config_is_group(struct str key)
{
    for (size_t i = 0; i < config_option_count; i++) {
        struct str name = str_from(config_options[i].key);
        size_t dot = str_find(name, '.');
        if (dot < name.len && str_eq(str_slice(name, 0, dot), key))
            return true;
    }
    return false;
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
