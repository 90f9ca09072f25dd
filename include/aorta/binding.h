/* aorta/binding.h - what is registered, and the rules by which a REGISTER changes it
 * (RFC 3261 10.3, RFC 5626 6, RFC 3327). Pure: data and time in, decision out; any thread. */
#ifndef AORTA_BINDING_H
#define AORTA_BINDING_H
#include <aorta/arena.h>
#include <aorta/config.h>
#include <aorta/sip.h>
#include <aorta/str.h>
#include <aorta/transport_kind.h>

/* One contact of an AOR. Times are clock_now_ms(). Text is borrowed from wherever it is kept. */
struct binding {
    struct str contact;  /* URI, byte for byte as registered */
    struct str instance; /* with its quotes; empty: none */
    uint32_t reg_id;     /* 0: none. Part of the key only when is_outbound */
    bool is_outbound;    /* the client said Supported: outbound and gave instance and reg-id */
    bool is_nat;         /* found behind NAT when it was registered */
    bool is_flow_dead;   /* its connection has closed, yet it stays (registrar.closeRemoves) */
    int32_t q_milli;     /* -1: none given */
    struct str call_id;
    uint32_t cseq;
    struct str path; /* Path values joined by ", "; empty: none */
    struct str user_agent;
    struct str grant; /* a JSON object: what the callback wants kept; empty: none */
    enum transport_kind protocol;
    struct net_address source; /* printed as proxy: sip:SOURCE:PORT */
    conn_id conn;              /* 0: UDP */
    uint64_t refreshed_ms;     /* when this grant began */
    uint64_t expires_ms;       /* when it ends; kept `grace` longer */
    uint64_t authenticated_ms; /* last time its user proved who he is */
    uint32_t expires_limit_s;  /* the upper bound that the authenticator set then; 0: none */
    /* Who holds it, of another node's, as found in a store that several nodes share: its id and the
     * host:port of its SIP side. Empty: this node. */
    struct str node, sbc_address;
};

/* Who asks, and what one atomic step over an AOR's bindings shall do. */
struct binding_request {
    struct str aor;
    const struct sip_request *sip; /* contacts, wildcard, Expires, Call-ID, CSeq, Path, Supported */
    enum transport_kind protocol;
    struct net_address source;
    conn_id conn;
    bool is_nat;
    /* Now, or 0: not authenticated; then only a refresh that changes nothing, of a binding whose
     * last authentication is younger than refresh_cache_s, is granted (SPEC 3, step 5). */
    uint64_t authenticated_ms;
    uint32_t expires_limit_s; /* the authenticator's upper bound; 0: none */
    struct str grant;         /* of the authenticator, for the bindings of this request */
    /* Whoever could prove him is away: the age of the last proof does not count, nor whether
     * refresh_cache is on. */
    bool is_proof_away;
    uint32_t max_registrations; /* bindings of the AOR's domain; 0: no limit. The store counts. */
    const struct config *config;
    uint64_t now_ms;
};

enum binding_verdict {
    BINDING_OK,               /* 200 */
    BINDING_NEEDS_AUTH,       /* not a pure refresh, and authenticated_ms is 0 */
    BINDING_INTERVAL_BRIEF,   /* 423; min_expires_s is set */
    BINDING_OUT_OF_ORDER,     /* 500: same Call-ID, CSeq not above the stored one */
    BINDING_BAD_WILDCARD,     /* 400: "*" with other contacts or without Expires: 0 */
    BINDING_TOO_MANY,         /* 403: over maxContacts */
    BINDING_NO_OUTBOUND_PATH, /* 439: first hop lacks outbound support (RFC 5626 6) */
    BINDING_REALM_FULL,       /* 503: over max_registrations; said by stores, not by the rules */
};

enum { BINDING_NO_CONTACT = -1 };

/* What to do: nothing at all unless the verdict is BINDING_OK. */
struct binding_decision {
    enum binding_verdict verdict;
    uint32_t min_expires_s;
    bool is_change; /* anything to store */
    /* Every contact continues a binding as it is, on its flow; nothing is removed or new. */
    bool is_refresh;
    /* For each current binding: its record goes away, being removed, renewed (then `add` holds its
     * successor) or evicted. What is not dropped stays as it is. */
    bool *drop;
    bool *is_evicted; /* for each: dropped, and only to make room */
    /* For each contact of the request, in its order, what to store; `add_count` of them. */
    struct binding *add; /* text borrowed from the request */
    int *replaces;       /* for each `add`: index of the binding it renews, or BINDING_NO_CONTACT */
    size_t add_count;
};

/* Decides for the `count` current bindings (those past expiry + grace already left out), allocating
 * the arrays of `out` from `arena`. -ENOMEM, or 0. Every contact is granted its own time:
 * parameter, else Expires, else default; bounded by config, NAT and expires_limit_s. All or
 * nothing: a verdict other than OK changes nothing. */
int binding_rules_decide(const struct binding *current, size_t count,
                         const struct binding_request *request, struct arena *arena,
                         struct binding_decision *out);
#endif
