/* aorta/config.h - the configuration as one value, read whole and never changed afterwards.
 * SPEC: README, "Configuration". Made by config_load(); everybody else borrows it read-only. */
#ifndef AORTA_CONFIG_H
#define AORTA_CONFIG_H
#include <aorta/buf.h>
#include <aorta/log.h>
#include <aorta/net_address.h>
#include <aorta/transport_kind.h>

struct config_listener {
    enum transport_kind kind;
    bool is_behind_proxy;       /* ?proxy=v1v2 */
    struct net_address address; /* port 0: the system picks one */
};

enum digest_algorithm { DIGEST_MD5, DIGEST_SHA_256, DIGEST_SHA_512_256, DIGEST_ALGORITHMS };
enum overflow_policy { OVERFLOW_REPLACE_OLDEST, OVERFLOW_REJECT };
enum store_kind { STORE_KIND_MEMORY, STORE_KIND_REDIS };
enum redis_layout { REDIS_LAYOUT_HASH, REDIS_LAYOUT_JAMBONZ };

struct config_list {
    char **item; /* zero-terminated */
    size_t count;
};

/* The customer's server that decides who may register (SPEC: README, "HTTP callback"). */
struct config_callback {
    char *uri;                 /* http:// or https://; NULL: none */
    char *username, *password; /* Basic authentication; NULL: none */
    uint32_t timeout_ms;       /* for the whole of a request */
    uint32_t max_connections;  /* of all workers together */
    char *ca_file;             /* path, already resolved; NULL: the system's CAs only */
};

/* What holds for one SIP domain. */
struct config_realm {
    char *name;  /* in lower case, or "*": any domain that no other entry names */
    char *users; /* path, already resolved; NULL: none of its own */
    struct config_callback callback; /* .uri NULL: none of its own */
    uint32_t max_registrations;      /* bindings over all nodes; 0: no limit */
    bool allow_foreign_aor;
};

struct config_realms {
    struct config_realm *item;
    size_t count;
};

struct config {
    struct config_listener *listen;
    size_t listen_count;
    char *advertise; /* NULL: the first listener's address */
    char *node;      /* never NULL after config_load() */
    uint32_t workers;
    char *user;               /* name of whom root becomes; NULL: nobody */
    char *tls_cert, *tls_key; /* paths, already resolved */
    /* Each for domains without one of their own; a user that the file has is decided by the file.
     */
    char *users; /* path, already resolved; NULL: none */
    struct config_callback callback;
    struct config_realms realms; /* not empty: others than these get 403 */

    enum digest_algorithm algorithms[DIGEST_ALGORITHMS]; /* in the order of the challenges */
    size_t algorithm_count;
    uint32_t nonce_ttl_s;
    bool refresh_cache;
    uint32_t refresh_cache_s;
    bool expose_message; /* the callback's `msg` goes to the client, in a Warning header */

    uint32_t min_expires_s, max_expires_s, default_expires_s, grace_s;
    uint32_t max_contacts;
    uint32_t close_removes; /* bit (1 << enum transport_kind) */
    enum overflow_policy overflow;

    uint32_t nat_expires_s;
    uint32_t nat_transports; /* bit (1 << enum transport_kind) */

    enum store_kind store;
    char *redis_host;
    uint32_t redis_port, redis_db;
    char *redis_username, *redis_password; /* NULL: none */
    char *redis_prefix;                    /* of the keys of AORs */
    enum redis_layout redis_layout;

    uint32_t message_bytes;
    uint32_t header_bytes, header_lines;
    uint32_t vias, contacts, paths; /* of one request */
    uint32_t connections, connections_per_ip;
    uint32_t handshakes; /* under way, of each worker */
    uint32_t handshake_s, first_message_s, authenticate_s;
    uint32_t idle_s;                     /* 0: off */
    uint32_t lag_ms;                     /* 0: nothing is ever refused for load */
    uint32_t unread_bytes;               /* 0: as many as the system lets be */
    uint32_t transactions;               /* of each worker */
    uint32_t requests_per_second_per_ip; /* 0: any number */
    uint32_t failed_auth_per_minute;     /* 0: any number */
    uint32_t ban_s;                      /* what more than so many cost */
    struct config_list scanners;         /* what their User-Agent starts with; may be empty */
    uint32_t replay_bytes, reply_bytes;  /* the second of each worker */
    uint32_t journal_bytes;              /* of all workers together; 0: none */
    struct net_networks never_ban;
    struct net_networks trusted_proxies; /* whose X-Forwarded-For and Forwarded are believed */
    struct config_list ws_origins;
    uint32_t ws_ping_s; /* 0: off */

    char *www;           /* path, already resolved; NULL: no page */
    bool www_is_default; /* nobody set it: the program looks for its own page */
    bool has_admin;
    struct net_address admin; /* plain http */
    char *admin_token;        /* NULL: none asked for */

    uint32_t drain_s;
    enum log_level log_level;
    enum log_format log_format;

    bool demo; /* started with --demo */
};

/* One thing that is wrong, printed as `aorta: FILE:LINE:COLUMN: key.path: what is wrong`. */
struct config_source {
    const char *file;            /* NULL: built-in defaults only */
    const char *const *override; /* the -D arguments, "KEY=VALUE", in order */
    size_t override_count;
    bool demo; /* demo defaults (users, certificate, loopback only) */
};

/* Reads, checks and resolves everything; all that is wrong is appended to `errors`, a line each
 * (not only the first), and -EINVAL returned. The caller frees with config_free(). Does not look
 * into the files it names: certificates and users are checked by who reads them. */
int config_load(const struct config_source *source, struct config **out, struct buf *errors);
/* As config_load(), for a program that runs with `running`: options that only a start can change
 * keep the value that they have there, and their keys are appended to `kept`, "a, b", where the
 * source says otherwise now. */
int config_reload(const struct config_source *source, const struct config *running,
                  struct config **out, struct buf *errors, struct buf *kept);
void config_free(struct config *config);
/* Overwrites and drops the secrets that a reload may replace, for a configuration that is kept for
 * the sake of its other options. */
void config_forget_secrets(struct config *config);
/* The effective configuration as indented JSON, secrets as "***". */
void config_print(const struct config *config, struct buf *out);
/* The table of options as text for --help, and as the Markdown rows of the README. */
void config_print_help(struct buf *out);
void config_print_markdown(struct buf *out);
#endif
