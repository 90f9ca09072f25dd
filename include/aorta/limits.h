/* aorta/limits.h - what is bounded, by which key, and what happens there. Whoever meets a limit
 * says so by limit_reached(), which counts it and, not too often, logs it. */
#ifndef AORTA_LIMITS_H
#define AORTA_LIMITS_H
#include <aorta/net_address.h>

/* One line a limit: its name here, its key (in the log, and as the label of
 * aorta_limit_reached_total) and what happens; the README's table is made of these. */
/* clang-format off */
#define LIMIT_TABLE(ROW)                                                                                                                                     \
    ROW(LIMIT_MESSAGE_BYTES,   "limits.messageBytes",            "513 Message Too Large, and a TCP or TLS connection is closed; over WebSocket closed with 1009") \
    ROW(LIMIT_HEADER_BYTES,    "limits.headerBytes",             "513 Message Too Large, before anything is parsed, and a TCP or TLS connection is closed")      \
    ROW(LIMIT_HEADER_LINES,    "limits.headerLines",             "400 Too many header lines")                                                                   \
    ROW(LIMIT_VIAS,            "limits.viasPerRequest",          "400 Too many Via values")                                                                     \
    ROW(LIMIT_CONTACTS,        "limits.contactsPerRequest",      "400 Too many contacts")                                                                       \
    ROW(LIMIT_PATHS,           "limits.pathsPerRequest",         "400 Too many Path values")                                                                    \
    ROW(LIMIT_CONNECTIONS,     "limits.connections",             "a new connection is closed at once")                                                          \
    ROW(LIMIT_PER_IP,          "limits.connectionsPerIp",        "a new connection is closed at once; behind a trusted proxy its upgrade gets 503")             \
    ROW(LIMIT_HANDSHAKES,      "limits.handshakes",              "newcomers wait in the system's queue until others are through")                               \
    ROW(LIMIT_HANDSHAKE_S,     "limits.handshakeSeconds",        "closed")                                                                                      \
    ROW(LIMIT_FIRST_MESSAGE_S, "limits.firstMessageSeconds",     "closed; a WebSocket with 1008")                                                               \
    ROW(LIMIT_AUTHENTICATE_S,  "limits.authenticateSeconds",     "closed; a WebSocket with 1008")                                                               \
    ROW(LIMIT_IDLE_S,          "limits.idleSeconds",             "closed")                                                                                      \
    ROW(LIMIT_UNREAD_BYTES,    "limits.unreadBytes",             "closed")                                                                                      \
    ROW(LIMIT_TRANSACTIONS,    "limits.transactions",            "503 with Retry-After")                                                                        \
    ROW(LIMIT_REQUEST_RATE,    "limits.requestsPerSecondPerIp",  "503 with Retry-After once a second, and silence otherwise")                                   \
    ROW(LIMIT_FAILED_AUTH,     "limits.failedAuthPerMinute",     "403, and the address (of IPv6 its /64) is banned for limits.banSeconds")                      \
    ROW(LIMIT_SCANNERS,        "limits.scanners",                "no answer over UDP; a connection is closed, a WebSocket with 1008")                           \
    ROW(LIMIT_REPLAY_BYTES,    "limits.replayBytes",             "the oldest nonces go: whoever still uses one gets 401 with stale=true")                       \
    ROW(LIMIT_REPLY_BYTES,     "limits.retransmissionBytes",     "the oldest answers go: a retransmission of theirs is served as a new request")                \
    ROW(LIMIT_FILES,           "RLIMIT_NOFILE",                  "newcomers wait in the system's queue; looked at again every 100 ms")
/* clang-format on */

enum limit {
    LIMIT_NONE,
#define LIMIT_ENUM(name, key, effect) name,
    LIMIT_TABLE(LIMIT_ENUM)
#undef LIMIT_ENUM
        LIMITS
};

struct limit_row {
    const char *key, *effect;
};
extern const struct limit_row limit_rows[LIMITS]; /* that of LIMIT_NONE is empty */

/* Counts it in this worker's block, and logs it at most once in LIMIT_LOG_MS, with the number of
 * times since the line before. `source` NULL: nobody's fault; `m` NULL: nothing happens. */
enum { LIMIT_LOG_MS = 10000 };
struct metrics;
void limit_reached(struct metrics *m, enum limit which, const struct net_address *source,
                   uint64_t now_ms);
#endif
