/* sip_internal.h - what the files of src/sip share and nobody else sees. Pure. */
#ifndef AORTA_SIP_INTERNAL_H
#define AORTA_SIP_INTERNAL_H
#include <aorta/sip.h>

/* ---- Characters and tokens (RFC 3261 25.1) ------------------------------------------------- */

/* The rules that a character may stand in. Those of URIs leave out '%': it begins an escape. */
enum sip_class {
    SIP_DIGIT = 1 << 0,
    SIP_ALPHA = 1 << 1,
    SIP_HEX = 1 << 2,
    SIP_TOKEN = 1 << 3,
    SIP_UNRESERVED = 1 << 4,
    SIP_USER = 1 << 5,
    SIP_PASSWORD = 1 << 6,
    SIP_PARAM = 1 << 7,
    SIP_HEADER = 1 << 8, /* name or value in the headers of a URI */
    SIP_HOST = 1 << 9,
    SIP_SCHEME = 1 << 10,
    SIP_URIC = 1 << 11,   /* any URI at all, RFC 2396 */
    SIP_VALUE = 1 << 12,  /* unquoted value of a header parameter */
    SIP_DISPLAY = 1 << 13 /* unquoted display name, with its blanks */
};
extern const uint16_t sip_classes[256];

static inline bool sip_is(char c, unsigned classes)
{
    return (sip_classes[(unsigned char)c] & classes) != 0;
}
/* Where the run of such characters that starts at `from` ends. */
size_t sip_span(struct str s, size_t from, unsigned classes);
size_t sip_skip_blanks(struct str s, size_t from);
/* Non-empty and all of the class. */
bool sip_is_all(struct str s, unsigned classes);
/* The same, with %HH allowed anywhere. */
bool sip_is_escaped(struct str s, unsigned classes);
bool sip_is_hostname(struct str s);
/* ASCII from `least` to '~' and nothing else. */
bool sip_is_printable(struct str s, char least);
/* Any control character but the tab? */
bool sip_has_control(struct str s);
/* May one of its lines have one? So that those of usual messages need not be asked one by one. */
bool sip_has_stray_control(struct str message);

/* Behind the closing quote of the string that opens at `at`; 0 when it never closes. */
size_t sip_quoted_end(struct str s, size_t at);
/* Cuts `*rest` at the first comma outside quotes and <>. False when there is no piece left; an
 * empty piece is one. */
bool sip_next_value(struct str *rest, struct str *value);

enum { SIP_MAX_PARAMS = 64 }; /* of one URI or one header value */

struct sip_param {
    struct str text; /* from the ';' (or the blanks before it) to the end of the value */
    struct str name;
    struct str value; /* with its quotes; empty when there is none */
    bool has_equals;
};
/* Cuts the next ";name=value" off the parameters of a header value. 1, 0 at their end, or -EINVAL;
 * "name=" passes, with an empty value. */
int sip_next_param(struct str *rest, struct sip_param *param);

/* name-addr or addr-spec with what follows it. */
struct sip_name_addr {
    struct str uri;
    struct str params; /* from the first ';' on */
    bool is_bracketed;
};
bool sip_name_addr_cut(struct str value, struct sip_name_addr *out);

/* ---- Header lines -------------------------------------------------------------------------- */

enum sip_header {
    SIP_HEADER_OTHER, /* nothing that aorta looks at */
    SIP_HEADER_VIA,
    SIP_HEADER_FROM,
    SIP_HEADER_TO,
    SIP_HEADER_CALL_ID,
    SIP_HEADER_CSEQ,
    SIP_HEADER_CONTACT,
    SIP_HEADER_MAX_FORWARDS,
    SIP_HEADER_EXPIRES,
    SIP_HEADER_CONTENT_LENGTH,
    SIP_HEADER_PATH,
    SIP_HEADER_SUPPORTED,
    SIP_HEADER_REQUIRE,
    SIP_HEADER_AUTHORIZATION,
    SIP_HEADER_USER_AGENT,
    SIP_HEADERS
};
enum sip_header sip_header_lookup(struct str name);

struct sip_line {
    struct str value;            /* unfolded and trimmed; empty when it held control characters */
    const struct sip_line *next; /* of the same header; NULL: it is the last */
};

/* A message cut into lines. `fault` is the first thing wrong with them, NULL when all is well; the
 * lines that could be read are there in any case. */
struct sip_lines {
    struct str start;
    const struct sip_line *first[SIP_HEADERS]; /* NULL: the header is absent */
    struct str body;                           /* all that follows the empty line */
    const char *fault;
    size_t max_lines;
    bool has_too_many;     /* lines, which is the fault */
    bool is_out_of_memory; /* no room in the arena for an unfolded line */
    bool may_have_control; /* so each line is looked through */
    size_t count;
    struct sip_line *last[SIP_HEADERS]; /* only where there is a first */
    struct sip_line line[SIP_MAX_HEADER_LINES];
};
void sip_lines_cut(struct str message, size_t max_lines, struct arena *arena,
                   struct sip_lines *out);

/* ---- Reading one message ------------------------------------------------------------------- */

struct sip_reader {
    struct sip_request *request;
    struct arena *arena;
    const struct sip_limits *limits;
    struct sip_fault fault; /* the first one; no reason: none yet */
    bool is_answerable;     /* the topmost Via says where to */
    struct sip_lines lines;
};
/* Notes a fault, if it is the first: 400, another status, or no room in the arena. */
void sip_refuse(struct sip_reader *r, const char *reason);
void sip_refuse_with(struct sip_reader *r, int status, const char *reason);
void sip_refuse_for_memory(struct sip_reader *r);
void sip_refuse_for_limit(struct sip_reader *r, enum limit limit, const char *reason);
bool sip_has_fault(const struct sip_reader *r);
/* 416 for another scheme, 400 with `bad_syntax` for no URI. */
void sip_check_uri(struct sip_reader *r, enum sip_uri_error error, const char *bad_syntax);

/* The line of a header that stands at most once; a second one is a fault. NULL: it is absent. */
const struct sip_line *sip_single_line(struct sip_reader *r, enum sip_header header,
                                       const char *duplicate_reason);
/* All values of a header, over commas and lines alike. */
struct sip_values {
    const struct sip_line *next;
    struct str rest; /* of the line before it */
};
struct sip_values sip_values_of(const struct sip_reader *r, enum sip_header header);
bool sip_read_value(struct sip_values *values, struct str *value);

void sip_read_echoed(struct sip_reader *r);
void sip_read_register(struct sip_reader *r);

/* ---- Values -------------------------------------------------------------------------------- */

/* Decimal digits only; what is above `max` counts as `max`. */
bool sip_read_capped(struct str digits, uint64_t max, uint64_t *out);
/* Fills all of `out`. NULL, or the reason why it is refused. */
const char *sip_contact_read(struct str value, struct sip_contact *out);

/* What libosip2 reads; the rest of the folder does not know of it. 0, -EINVAL or -ENOMEM.
 * `sent` is a Via value up to its first ';': fills transport, host, port and address. */
int sip_osip_read_via(struct str sent, struct arena *arena, struct sip_via *out);
#endif
