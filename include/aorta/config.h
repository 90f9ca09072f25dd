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
    struct net_address address; /* port 0: the system picks one */
};

enum digest_algorithm { DIGEST_MD5, DIGEST_SHA_256, DIGEST_SHA_512_256, DIGEST_ALGORITHMS };
enum overflow_policy { OVERFLOW_REPLACE_OLDEST, OVERFLOW_REJECT };
enum store_kind { STORE_KIND_MEMORY };

struct config_list {
    char **item; /* zero-terminated */
    size_t count;
};

struct config {
    struct config_listener *listen;
    size_t listen_count;
    char *advertise; /* NULL: the first listener's address */
    char *node;      /* never NULL after config_load() */
    uint32_t workers;
    char *tls_cert, *tls_key; /* paths, already resolved */
    char *users;              /* path, already resolved; NULL: none */

    enum digest_algorithm algorithms[DIGEST_ALGORITHMS]; /* in the order of the challenges */
    size_t algorithm_count;
    uint32_t nonce_ttl_s;
    bool refresh_cache;
    uint32_t refresh_cache_s;

    uint32_t min_expires_s, max_expires_s, default_expires_s, grace_s;
    uint32_t max_contacts;
    uint32_t close_removes; /* bit (1 << enum transport_kind) */
    enum overflow_policy overflow;

    uint32_t nat_expires_s;
    uint32_t nat_transports; /* bit (1 << enum transport_kind) */

    enum store_kind store;

    uint32_t message_bytes;
    uint32_t connections, connections_per_ip;
    uint32_t handshake_s, idle_s; /* idle_s 0: off */
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
void config_free(struct config *config);
/* The effective configuration as indented JSON, secrets as "***". */
void config_print(const struct config *config, struct buf *out);
/* The table of options as text for --help, and as the Markdown rows of the README. */
void config_print_help(struct buf *out);
void config_print_markdown(struct buf *out);
#endif
