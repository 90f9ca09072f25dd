/* aorta/sip.h - SIP messages as plain structs, and the answers we write.
 * Everything parsed is a view into the message or into the arena that was passed in, and lives as
 * long as both. Nothing here does I/O, reads a clock or keeps state; any thread. */
#ifndef AORTA_SIP_H
#define AORTA_SIP_H
#include <aorta/arena.h>
#include <aorta/buf.h>
#include <aorta/limits.h>
#include <aorta/net_address.h>
#include <aorta/str.h>

/* The most of one message, whatever is configured; its size is capped by the transport
 * (`limits.messageBytes`). */
enum {
    SIP_MAX_HEADER_LINES = 256, /* after unfolding; one line may carry several values */
    SIP_MAX_CONTACTS = 64,
    SIP_MAX_VIAS = 48, /* RFC 4475 3.1.1.7 has 34 */
    SIP_MAX_PATHS = 16,
    SIP_MAX_AUTHORIZATIONS = 8,
};

/* ---- URIs (RFC 3261 19.1) ------------------------------------------------------------------ */

struct sip_uri {
    struct str text; /* the whole URI, byte for byte */
    bool is_sips;
    struct str user; /* empty when there is none; escapes as they came */
    struct str password;
    struct str host; /* IPv6 without its brackets */
    bool host_is_ip; /* `address` is set */
    struct net_address address;
    uint16_t port;      /* 0: none given */
    struct str params;  /* without the first ';' */
    struct str headers; /* without the '?' */
};

enum sip_uri_error {
    SIP_URI_OK,
    SIP_URI_BAD_SCHEME, /* not sip: or sips:, but a URI */
    SIP_URI_BAD_SYNTAX,
};

/* Strict RFC 3261 25.1 grammar, and stricter where the parsers of JsSIP and SIP.js are: what passes
 * here passes theirs, so no stored contact can make another device's 200 unreadable. Refused are
 * numeric or dotted last host labels, '_' in them, "[::]", zone ids, ports of six digits, quoted
 * or repeated parameters, raw '#' and spaces, escaped users that are no UTF-8, and parameters that
 * only begin like a known one ("transport=tls-sctp", "lrx"). */
enum sip_uri_error sip_uri_parse(struct str text, struct sip_uri *out);
/* RFC 3261 19.1.4, every rule of it: escapes, parameter and header order, the parameters that
 * count even when only one side has them (user, ttl, method, maddr, transport). */
bool sip_uri_equal(const struct sip_uri *a, const struct sip_uri *b);
/* Value of parameter `name` (any case). False when absent; empty value when it has none. */
bool sip_uri_param(const struct sip_uri *uri, struct str name, struct str *value);
/* The address of record of a To URI: user (escapes normalised: needless ones decoded, the rest in
 * upper case hex) '@' host in lower case; no port, no parameters, no password. Written to `b`.
 * -EINVAL when the URI has no user. */
int sip_uri_write_aor(const struct sip_uri *uri, struct buf *b);

/* ---- Requests ------------------------------------------------------------------------------ */

enum sip_method {
    SIP_METHOD_REGISTER,
    SIP_METHOD_OPTIONS,
    SIP_METHOD_ACK,
    SIP_METHOD_CANCEL,
    SIP_METHOD_OTHER
};

struct sip_via {
    struct str text;      /* the whole value, byte for byte */
    struct str transport; /* "UDP", "WSS" … as it came */
    struct str host;      /* sent-by; IPv6 without brackets */
    bool host_is_ip;
    struct net_address address; /* when host_is_ip */
    uint16_t port;              /* 0: none given */
    struct str branch;          /* empty: an RFC 2543 client */
    bool has_rport;             /* parameter present, with or without a value */
};

struct sip_contact {
    struct sip_uri uri;
    struct str instance; /* +sip.instance byte for byte with its quotes, ASCII; empty when absent */
    uint32_t reg_id;     /* 0: absent or without instance (RFC 5626 4.2) */
    int32_t q_milli;     /* 0..1000; -1: absent */
    int64_t expires_s;   /* parameter; -1: absent; capped at UINT32_MAX */
};

struct sip_request {
    enum sip_method method;
    struct str method_text;
    struct sip_uri request_uri;

    size_t via_count;
    struct str from, to; /* whole values, byte for byte */
    /* From may be any URI: of one that is neither sip nor sips only .text is set. */
    struct sip_uri from_uri;
    struct sip_uri to_uri;
    struct str to_tag; /* empty when absent */
    struct str call_id;
    uint32_t cseq;
    struct str cseq_text; /* whole value, byte for byte */

    struct sip_contact *contacts; /* in the arena */
    size_t contact_count;
    bool contact_is_wildcard; /* "Contact: *", then contact_count is 0 */
    bool has_expires;
    uint32_t expires_s;              /* Expires header, capped at UINT32_MAX */
    struct str paths[SIP_MAX_PATHS]; /* one Path value each, byte for byte, in order */
    size_t path_count;
    struct str authorizations[SIP_MAX_AUTHORIZATIONS]; /* whole values */
    size_t authorization_count;
    bool supports_outbound, supports_path, supports_gruu;
    struct str unsupported; /* option tags of Require that we do not know, "a, b"; or empty */
    struct str user_agent;
    struct str body;

    /* [0] is the topmost. Only via_count of them are set; last, so that the rest can be zeroed. */
    struct sip_via via[SIP_MAX_VIAS];
};

/* Why a message is not served. `status` 0: nothing can be said to the sender (a response, an ACK,
 * no usable Via, no SIP at all); drop it. Otherwise answer it: the request then holds what could
 * be read, Vias first. `reason` is ours, safe to send. */
struct sip_fault {
    int status; /* 400, 416, 505, 503 (the arena is used up), or 0 */
    const char *reason;
    enum limit limit; /* that the message is above, and refused for that */
};

/* At most what SIP_MAX_... says. */
struct sip_limits {
    uint32_t header_lines, vias, contacts, paths;
};

/* True: a well-formed request of any method, all headers that aorta uses read and checked.
 * False: `fault` says why; `out` is filled as far as reading got. `message` is one whole message
 * (on streams exactly framed; on UDP the datagram). */
bool sip_parse(struct str message, struct arena *arena, struct sip_request *out,
               struct sip_fault *fault);
/* The same, with less allowed than there is room for. */
bool sip_parse_within(const struct sip_limits *limits, struct str message, struct arena *arena,
                      struct sip_request *out, struct sip_fault *fault);

/* ---- Stream framing (RFC 3261 18.3) -------------------------------------------------------- */

enum sip_frame_kind {
    SIP_FRAME_MORE,    /* not whole yet */
    SIP_FRAME_PING,    /* CRLF CRLF: answer with CRLF (RFC 5626 4.4.1); `bytes` long */
    SIP_FRAME_BLANK,   /* line ends to skip (RFC 3261 7.5), a client's pong for one; `bytes` long */
    SIP_FRAME_MESSAGE, /* `bytes` long, head and body */
    SIP_FRAME_TOO_LARGE, /* will pass `max_bytes`; the head is there: answer 513 and close */
    SIP_FRAME_NO_LENGTH, /* a whole head without a usable Content-Length: answer 400 and close */
    SIP_FRAME_GARBAGE,   /* no SIP at all, or a head over `max_bytes`: close */
};
struct sip_frame {
    enum sip_frame_kind kind;
    size_t bytes;      /* from the start of `data` */
    size_t head_bytes; /* of a message: up to and with the empty line */
};
/* Looks at the bytes that a stream has brought so far, which start at a message boundary. */
struct sip_frame sip_frame_next(struct str data, size_t max_bytes);

/* ---- Authorization (RFC 7616 3.4, RFC 2617) ------------------------------------------------ */

struct sip_credentials {
    bool is_digest; /* false: another scheme, and nothing below is set */
    /* Values without quotes and with \-escapes resolved; empty when absent. */
    struct str username, realm, nonce, uri, response, algorithm, cnonce, qop, nc, opaque;
    bool has_qop;
};
/* -EINVAL: not parsable as credentials (unbalanced quotes, no '=', one of the above twice);
 * -ENOMEM. Names in any case, spaces round '=', commas inside quotes and unquoted last values are
 * all fine. */
int sip_credentials_parse(struct str value, struct arena *arena, struct sip_credentials *out);

/* ---- Answers ------------------------------------------------------------------------------- */

struct sip_reply_context {
    const struct sip_request *request;
    const struct net_address *source; /* where the request came from: received and rport */
    struct str to_tag;                /* added to To when the request had none */
};
/* `reason` is ours: letters, digits, spaces and ".,-" only, or browser libraries drop the answer.
 * Status line, Vias (RFC 3261 18.2.1, RFC 3581 4: received when sent-by is another address or rport
 * was asked for; rport filled in), From, To, Call-ID, CSeq. Absent ones are left out. */
void sip_reply_begin(struct buf *b, const struct sip_reply_context *ctx, int status,
                     const char *reason);
void sip_reply_header(struct buf *b, const char *name, struct str value);
/* Content-Length: 0 and the empty line. */
void sip_reply_end(struct buf *b);
/* The usual phrase of a status code, "Unauthorized" for 401. */
const char *sip_reason(int status);
/* RFC 3261 20.17 from the Unix time: "Sun, 22 Nov 2026 15:19:38 GMT". */
void sip_put_date(struct buf *b, uint64_t now_ms);
/* A message for people to read, whole or not: of the headers with credentials or challenges only
 * what anybody may know; the rest of it, nonces too, as ***. Of `n` bytes it makes at most so many.
 */
#define SIP_MASKED_BYTES(n) (4 * (n) + 64)
void sip_put_masked(struct buf *b, struct str message);
#endif
