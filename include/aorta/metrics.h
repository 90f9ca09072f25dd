/* aorta/metrics.h - what the workers count, each for itself, and anybody may sum up.
 * Only a worker's own thread writes to its block; reading is safe from any thread. */
#ifndef AORTA_METRICS_H
#define AORTA_METRICS_H
#include <aorta/histogram.h>
#include <aorta/limits.h>
#include <aorta/transport_kind.h>
#include <stdatomic.h>

/* ---- Families ------------------------------------------------------------------------------- */

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* One line a family of GET /metrics, in its order: name here, its own name, type, labels, and what
 * it tells. The README's table is made of these. All label values are ours, or the configuration's:
 * no client can make a series. */
/* clang-format off */
#define METRIC_FAMILY_TABLE(ROW)                                                                                                                             \
    ROW(FAMILY_BUILD_INFO,       "aorta_build_info",                     GAUGE,     "version, node",      "Always 1")                                        \
    ROW(FAMILY_MESSAGES,         "aorta_messages_total",                 COUNTER,   "",                   "SIP messages received")                           \
    ROW(FAMILY_DROPPED,          "aorta_messages_dropped_total",         COUNTER,   "",                   "SIP messages that could not be answered")         \
    ROW(FAMILY_RETRANSMISSIONS,  "aorta_retransmissions_total",          COUNTER,   "",                   "Requests over UDP that came again, and got the answer that they had") \
    ROW(FAMILY_REQUESTS_REFUSED, "aorta_requests_refused_total",         COUNTER,   "reason",             "Requests that were refused before they were served as a REGISTER") \
    ROW(FAMILY_REGISTERS,        "aorta_registers_total",                COUNTER,   "transport, outcome", "REGISTER requests answered, without retransmissions") \
    ROW(FAMILY_CHALLENGES,       "aorta_challenges_total",               COUNTER,   "reason",             "REGISTER requests answered with 401, by what was wrong with their credentials") \
    ROW(FAMILY_REGISTER_S,       "aorta_register_duration_seconds",      HISTOGRAM, "",                   "From the arrival of a REGISTER request to its answer") \
    ROW(FAMILY_REGISTRATIONS,    "aorta_registrations",                  GAUGE,     "transport",          "Bindings kept; with Redis those of this node")    \
    ROW(FAMILY_REALMS,           "aorta_realm_registrations",            GAUGE,     "realm",              "The same by the domains that the configuration names; the others together as other") \
    ROW(FAMILY_EXPIRED,          "aorta_registrations_expired_total",    COUNTER,   "",                   "Bindings that were not refreshed in time")        \
    ROW(FAMILY_CONNECTIONS,      "aorta_connections",                    GAUGE,     "transport",          "SIP connections open")                            \
    ROW(FAMILY_TLS,              "aorta_tls_handshakes_total",           COUNTER,   "result",             "TLS handshakes")                                  \
    ROW(FAMILY_TLS_FAILURES,     "aorta_tls_handshake_failures_total",   COUNTER,   "reason",             "Those that failed: closed by the peer, not done in time, refused by us (protocol), or by the peer's alert") \
    ROW(FAMILY_UPGRADES,         "aorta_websocket_upgrades_total",       COUNTER,   "result",             "WebSocket upgrades asked for")                    \
    ROW(FAMILY_OPENING,          "aorta_handshakes_pending",             GAUGE,     "worker",             "Newcomers in the middle of their TLS handshake or upgrade, of limits.handshakes") \
    ROW(FAMILY_CALLBACKS,        "aorta_callbacks_total",                COUNTER,   "result",             "Authentication callbacks asked")                  \
    ROW(FAMILY_CALLBACK_S,       "aorta_callback_duration_seconds",      HISTOGRAM, "",                   "From the question to the callback's answer, waiting for a free connection included") \
    ROW(FAMILY_CALLBACK_UP,      "aorta_callback_up",                    GAUGE,     "realm",              "0 when the last question to the callback brought no answer") \
    ROW(FAMILY_CALLBACK_OPEN,    "aorta_callback_circuit_open",          GAUGE,     "realm",              "1 while the callback counts as away, and is asked once a second only") \
    ROW(FAMILY_CALLBACK_WAITING, "aorta_callback_waiting",               GAUGE,     "worker",             "Questions that wait for a free connection to the callback") \
    ROW(FAMILY_CALLBACK_CONNS,   "aorta_callback_connections",           GAUGE,     "worker",             "Connections to the callback, idle ones included") \
    ROW(FAMILY_STORE_UP,         "aorta_store_up",                       GAUGE,     "",                   "1 when bindings can be stored")                   \
    ROW(FAMILY_STORE_LAG,        "aorta_store_lag_seconds",              GAUGE,     "worker",             "For how long Redis owes an answer")               \
    ROW(FAMILY_STORE_PENDING,    "aorta_store_pending",                  GAUGE,     "worker",             "Commands that Redis has not answered yet")        \
    ROW(FAMILY_REDIS_S,          "aorta_redis_duration_seconds",         HISTOGRAM, "",                   "From a command to the answer of Redis")           \
    ROW(FAMILY_TRANSACTIONS,     "aorta_transactions",                   GAUGE,     "worker",             "Requests that wait for the callback or Redis, of limits.transactions") \
    ROW(FAMILY_LOOP_LAG,         "aorta_loop_lag_seconds",               GAUGE,     "worker",             "By how much the thread was late at most, in the last 30 to 60 s")          \
    ROW(FAMILY_BACKLOG,          "aorta_datagram_backlog_ratio",         GAUGE,     "worker",             "How full the fullest socket's buffer for datagrams is, from 0 to 1") \
    ROW(FAMILY_OVERLOAD_LEVEL,   "aorta_overload_level",                 GAUGE,     "worker",             "0 to 3: what is left undone, see Overload")       \
    ROW(FAMILY_OVERLOAD,         "aorta_overload_total",                 COUNTER,   "level",              "Times that a thread went up to a level of overload") \
    ROW(FAMILY_LIMITS,           "aorta_limit_reached_total",            COUNTER,   "key",                "How often a limit was reached, by its key")       \
    ROW(FAMILY_BANS,             "aorta_bans",                           GAUGE,     "",                   "Addresses that are banned")                       \
    ROW(FAMILY_BANNED,           "aorta_addresses_banned_total",         COUNTER,   "reason",             "Addresses banned by this node, the admin API aside") \
    ROW(FAMILY_EVENTS_DROPPED,   "aorta_events_dropped_total",           COUNTER,   "",                   "Events that were not published, or not kept for a listener") \
    ROW(FAMILY_CPU,              "process_cpu_seconds_total",            COUNTER,   "",                   "CPU time, of the kernel too")                     \
    ROW(FAMILY_RESIDENT,         "process_resident_memory_bytes",        GAUGE,     "",                   "Memory that is in use")                           \
    ROW(FAMILY_VIRTUAL,          "process_virtual_memory_bytes",         GAUGE,     "",                   "Address space")                                   \
    ROW(FAMILY_OPEN_FDS,         "process_open_fds",                     GAUGE,     "",                   "Files open, sockets included")                    \
    ROW(FAMILY_MAX_FDS,          "process_max_fds",                      GAUGE,     "",                   "How many there may be")                           \
    ROW(FAMILY_START,            "process_start_time_seconds",           GAUGE,     "",                   "When aorta started, in seconds since 1970")
/* clang-format on */

enum metric_family {
#define METRIC_FAMILY_ENUM(name, own, type, labels, help) name,
    METRIC_FAMILY_TABLE(METRIC_FAMILY_ENUM)
#undef METRIC_FAMILY_ENUM
        METRIC_FAMILIES
};

struct metric_family_row {
    const char *name;
    enum metric_type type;
    const char *labels, *help;
};
extern const struct metric_family_row metric_families[METRIC_FAMILIES];

/* ---- Counters ------------------------------------------------------------------------------- */

/* One line a counter: its name here, its family and its label, if it has one. */
/* clang-format off */
#define METRIC_TABLE(ROW)                                                        \
    ROW(METRIC_MESSAGES,            FAMILY_MESSAGES,         "")                        \
    ROW(METRIC_DROPPED,             FAMILY_DROPPED,          "")                        \
    ROW(METRIC_RETRANSMISSIONS,     FAMILY_RETRANSMISSIONS,  "")                        \
    ROW(METRIC_REFUSED_MALFORMED,   FAMILY_REQUESTS_REFUSED, "reason=\"malformed\"")    \
    ROW(METRIC_REFUSED_TOO_LONG,    FAMILY_REQUESTS_REFUSED, "reason=\"too_long\"")     \
    ROW(METRIC_REFUSED_METHOD,      FAMILY_REQUESTS_REFUSED, "reason=\"method\"")       \
    ROW(METRIC_REFUSED_EXTENSION,   FAMILY_REQUESTS_REFUSED, "reason=\"extension\"")    \
    ROW(METRIC_REFUSED_RATE,        FAMILY_REQUESTS_REFUSED, "reason=\"rate\"")         \
    ROW(METRIC_REFUSED_NO_MEMORY,   FAMILY_REQUESTS_REFUSED, "reason=\"no_memory\"")    \
    ROW(METRIC_NO_CREDENTIALS,      FAMILY_CHALLENGES,       "reason=\"no_credentials\"")      \
    ROW(METRIC_OTHER_ALGORITHM,     FAMILY_CHALLENGES,       "reason=\"other_algorithm\"")     \
    ROW(METRIC_NONCE_FOREIGN,       FAMILY_CHALLENGES,       "reason=\"nonce_foreign\"")       \
    ROW(METRIC_NONCE_OLD_START,     FAMILY_CHALLENGES,       "reason=\"nonce_before_restart\"") \
    ROW(METRIC_NONCE_EXPIRED,       FAMILY_CHALLENGES,       "reason=\"nonce_expired\"")       \
    ROW(METRIC_NONCE_OTHER_FLOW,    FAMILY_CHALLENGES,       "reason=\"nonce_of_other_flow\"") \
    ROW(METRIC_NONCE_USED,          FAMILY_CHALLENGES,       "reason=\"nonce_used\"")          \
    ROW(METRIC_TLS_FULL,            FAMILY_TLS,              "result=\"full\"")         \
    ROW(METRIC_TLS_RESUMED,         FAMILY_TLS,              "result=\"resumed\"")      \
    ROW(METRIC_TLS_FAILED,          FAMILY_TLS,              "result=\"failed\"")       \
    ROW(METRIC_TLS_CLOSED,          FAMILY_TLS_FAILURES,     "reason=\"closed\"")       \
    ROW(METRIC_TLS_TIMEOUT,         FAMILY_TLS_FAILURES,     "reason=\"timeout\"")      \
    ROW(METRIC_TLS_PROTOCOL,        FAMILY_TLS_FAILURES,     "reason=\"protocol\"")     \
    ROW(METRIC_TLS_ALERT,           FAMILY_TLS_FAILURES,     "reason=\"alert\"")        \
    ROW(METRIC_UPGRADE_OK,          FAMILY_UPGRADES,         "result=\"ok\"")           \
    ROW(METRIC_UPGRADE_BAD,         FAMILY_UPGRADES,         "result=\"bad_request\"")  \
    ROW(METRIC_UPGRADE_ORIGIN,      FAMILY_UPGRADES,         "result=\"origin\"")       \
    ROW(METRIC_UPGRADE_BANNED,      FAMILY_UPGRADES,         "result=\"banned\"")       \
    ROW(METRIC_UPGRADE_TOO_MANY,    FAMILY_UPGRADES,         "result=\"too_many\"")     \
    ROW(METRIC_UPGRADE_DRAINING,    FAMILY_UPGRADES,         "result=\"draining\"")     \
    ROW(METRIC_CALLBACK_OK,         FAMILY_CALLBACKS,        "result=\"ok\"")           \
    ROW(METRIC_CALLBACK_FAIL,       FAMILY_CALLBACKS,        "result=\"fail\"")         \
    ROW(METRIC_CALLBACK_OUTAGE,     FAMILY_CALLBACKS,        "result=\"outage\"")       \
    ROW(METRIC_OVERLOAD_DELAY,      FAMILY_OVERLOAD,         "level=\"delay\"")         \
    ROW(METRIC_OVERLOAD_REFUSE_NEW, FAMILY_OVERLOAD,         "level=\"refuse_new\"")    \
    ROW(METRIC_OVERLOAD_REFUSE_ALL, FAMILY_OVERLOAD,         "level=\"refuse_all\"")    \
    ROW(METRIC_BANNED_BY_CALLBACK,  FAMILY_BANNED,           "reason=\"callback\"")     \
    ROW(METRIC_BANNED_FOR_FAILURES, FAMILY_BANNED,           "reason=\"failed_auth\"")  \
    ROW(METRIC_EVENTS_DROPPED,      FAMILY_EVENTS_DROPPED,   "")
/* clang-format on */

enum metric {
#define METRIC_ENUM(name, family, label) name,
    METRIC_TABLE(METRIC_ENUM)
#undef METRIC_ENUM
        METRICS
};

struct metric_row {
    enum metric_family family;
    const char *label;
};
extern const struct metric_row metric_rows[METRICS];

/* How a REGISTER was answered. */
/* clang-format off */
#define REGISTER_OUTCOME_TABLE(ROW)                                                    \
    ROW(REGISTER_GRANTED,        "granted")        /* 200 */                           \
    ROW(REGISTER_GRANTED_CACHED, "granted_cached") /* 200 without a new authentication */ \
    ROW(REGISTER_GRANTED_AWAY,   "granted_away")   /* 200 while the callback was away */ \
    ROW(REGISTER_CHALLENGED,     "challenged")     /* 401 */                           \
    ROW(REGISTER_REFUSED,        "refused")        /* 403 */                           \
    ROW(REGISTER_INVALID,        "invalid")        /* another 4xx, or 500 */           \
    ROW(REGISTER_UNAVAILABLE,    "unavailable")    /* 503: who decides, or stores, is away */ \
    ROW(REGISTER_OVERLOADED,     "overloaded")     /* 503: there was too much to do */
/* clang-format on */

enum register_outcome {
    REGISTER_NONE, /* no REGISTER, or not answered yet */
#define REGISTER_OUTCOME_ENUM(name, label) name,
    REGISTER_OUTCOME_TABLE(REGISTER_OUTCOME_ENUM)
#undef REGISTER_OUTCOME_ENUM
        REGISTER_OUTCOMES
};
extern const char *const register_outcomes[REGISTER_OUTCOMES]; /* that of REGISTER_NONE is empty */

/* ---- What is now ---------------------------------------------------------------------------- */

/* One line a figure that each worker tells on every tick: name here, family, and how many of what
 * is told make one of what is shown. */
/* clang-format off */
#define METRIC_GAUGE_TABLE(ROW)                                             \
    ROW(GAUGE_HANDSHAKES,           FAMILY_OPENING,          1)                    \
    ROW(GAUGE_CALLBACK_WAITING,     FAMILY_CALLBACK_WAITING, 1)                    \
    ROW(GAUGE_CALLBACK_CONNECTIONS, FAMILY_CALLBACK_CONNS,   1)                    \
    ROW(GAUGE_STORE_LAG_MS,         FAMILY_STORE_LAG,        1000)                 \
    ROW(GAUGE_STORE_PENDING,        FAMILY_STORE_PENDING,    1)                    \
    ROW(GAUGE_TRANSACTIONS,         FAMILY_TRANSACTIONS,     1)                    \
    ROW(GAUGE_LOOP_LAG_MS,          FAMILY_LOOP_LAG,         1000)                 \
    ROW(GAUGE_BACKLOG_PERCENT,      FAMILY_BACKLOG,          100)                  \
    ROW(GAUGE_OVERLOAD_LEVEL,       FAMILY_OVERLOAD_LEVEL,   1)
/* clang-format on */

enum metric_gauge {
#define METRIC_GAUGE_ENUM(name, family, divisor) name,
    METRIC_GAUGE_TABLE(METRIC_GAUGE_ENUM)
#undef METRIC_GAUGE_ENUM
        METRIC_GAUGES
};

struct metric_gauge_row {
    enum metric_family family;
    unsigned divisor;
};
extern const struct metric_gauge_row metric_gauges[METRIC_GAUGES];

enum metric_duration { DURATION_REGISTER, DURATION_CALLBACK, DURATION_REDIS, METRIC_DURATIONS };

/* ---- A worker's block ----------------------------------------------------------------------- */

/* What limit_reached() has not logged yet, and when it may. */
struct limit_log {
    uint64_t next_ms, times;
};

/* One for each worker, zeroed. */
struct metrics {
    _Alignas(64) _Atomic uint64_t count[METRICS];
    _Atomic uint64_t registers[TRANSPORT_KINDS][REGISTER_OUTCOMES];
    struct histogram duration[METRIC_DURATIONS];
    _Atomic uint64_t connections[TRANSPORT_KINDS]; /* open now */
    _Atomic uint64_t gauge[METRIC_GAUGES];
    _Atomic uint64_t limit_reached[LIMITS];
    struct limit_log limit_log[LIMITS]; /* for the worker's own thread only */
};

/* One writer: a plain add, made visible without a locked instruction. */
static inline void metrics_raise(_Atomic uint64_t *count)
{
    uint64_t n = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, n + 1, memory_order_relaxed);
}
static inline void metrics_add(struct metrics *m, enum metric which)
{
    metrics_raise(&m->count[which]);
}
static inline void metrics_add_register(struct metrics *m, enum transport_kind kind,
                                        enum register_outcome outcome)
{
    metrics_raise(&m->registers[kind][outcome]);
}
static inline void metrics_add_connection(struct metrics *m, enum transport_kind kind, int change)
{
    uint64_t n = atomic_load_explicit(&m->connections[kind], memory_order_relaxed);
    atomic_store_explicit(&m->connections[kind], n + (uint64_t)change, memory_order_relaxed);
}
static inline void metrics_set(struct metrics *m, enum metric_gauge which, uint64_t value)
{
    atomic_store_explicit(&m->gauge[which], value, memory_order_relaxed);
}

/* Sums of all blocks. */
uint64_t metrics_sum(const struct metrics *blocks, unsigned workers, enum metric which);
uint64_t metrics_registers(const struct metrics *blocks, unsigned workers, enum transport_kind kind,
                           enum register_outcome outcome);
uint64_t metrics_limit_reached(const struct metrics *blocks, unsigned workers, enum limit which);
uint64_t metrics_connections(const struct metrics *blocks, unsigned workers,
                             enum transport_kind kind);
void metrics_duration(const struct metrics *blocks, unsigned workers, enum metric_duration which,
                      struct histogram_sum *out);
#endif
