/* From one message to struct sip_request. First all that an answer is made of is read, wherever it
 * stands, then the rest is judged: so every fault that can be answered is. */
#include "sip_internal.h"
#include <stddef.h>

enum { MAX_FORWARDS_LIMIT = 255 };

/* ---- Start line ---------------------------------------------------------------------------- */

static enum sip_method method_of(struct str name)
{
    static const struct {
        struct str name;
        enum sip_method method;
    } known[] = {
        {STR("REGISTER"), SIP_METHOD_REGISTER},
        {STR("OPTIONS"),  SIP_METHOD_OPTIONS },
        {STR("ACK"),      SIP_METHOD_ACK     },
        {STR("CANCEL"),   SIP_METHOD_CANCEL  },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_eq(name, known[i].name)) /* RFC 3261 7.1: case-sensitive */
            return known[i].method;
    return SIP_METHOD_OTHER;
}

/* "SIP/2.0" in any case (RFC 3261 7.1). */
static void check_version(struct sip_reader *r, struct str version)
{
    if (str_eq_nocase(version, STR("SIP/2.0")))
        return;
    size_t point = str_find(version, '.');
    struct str major = str_slice(version, strlen("SIP/"), point);
    struct str minor = str_slice(version, point + 1, version.len);
    bool is_version = str_starts_nocase(version, STR("SIP/")) && sip_is_all(major, SIP_DIGIT) &&
                      sip_is_all(minor, SIP_DIGIT);
    if (is_version)
        sip_refuse_with(r, 505, "Version Not Supported");
    else
        sip_refuse(r, "Bad request line");
}

/* False: no request at all. The URI is judged later: an answer does without it. */
static bool read_start_line(struct sip_reader *r, struct str *uri)
{
    struct str line = r->lines.start;
    size_t space = str_find(line, ' ');
    struct str method = str_slice(line, 0, space);
    if (space == line.len || !sip_is_all(method, SIP_TOKEN))
        return false; /* a response begins with "SIP/", and that is no token */
    r->request->method_text = method;
    r->request->method = method_of(method);

    size_t last = line.len;
    while (line.ptr[last - 1] != ' ')
        last--;
    check_version(r, str_slice(line, last, line.len));
    *uri = str_slice(line, space + 1, last - 1);
    return true;
}

/* ---- What any request may carry ------------------------------------------------------------ */

static void read_max_forwards(struct sip_reader *r)
{
    const struct sip_line *line =
        sip_single_line(r, SIP_HEADER_MAX_FORWARDS, "Duplicate Max-Forwards header");
    uint64_t hops;
    if (line && str_to_u64(line->value, MAX_FORWARDS_LIMIT, &hops))
        sip_refuse(r, "Bad Max-Forwards header");
}

/* RFC 3261 18.3: what follows the body in a datagram is ignored. */
static void read_body(struct sip_reader *r)
{
    struct str body = r->lines.body;
    const struct sip_line *line =
        sip_single_line(r, SIP_HEADER_CONTENT_LENGTH, "Duplicate Content-Length header");
    uint64_t length = body.len;
    if (line && !sip_read_capped(line->value, UINT32_MAX, &length))
        sip_refuse(r, "Bad Content-Length header");
    else if (length > body.len)
        sip_refuse(r, "Body shorter than Content-Length");
    else
        r->request->body = str_slice(body, 0, (size_t)length);
}

static void read_authorizations(struct sip_reader *r)
{
    const struct sip_line *line = r->lines.first[SIP_HEADER_AUTHORIZATION];
    for (; line; line = line->next) {
        if (r->request->authorization_count == SIP_MAX_AUTHORIZATIONS) {
            sip_refuse(r, "Too many Authorization headers");
            return;
        }
        r->request->authorizations[r->request->authorization_count++] = line->value;
    }
}

static void read_supported(struct sip_reader *r)
{
    struct sip_request *request = r->request;
    struct sip_values values = sip_values_of(r, SIP_HEADER_SUPPORTED);
    struct str tag;
    while (sip_read_value(&values, &tag)) {
        request->supports_outbound |= str_eq_nocase(tag, STR("outbound"));
        request->supports_path |= str_eq_nocase(tag, STR("path"));
        request->supports_gruu |= str_eq_nocase(tag, STR("gruu"));
    }
}

static bool is_known_option(struct str tag)
{
    return str_eq_nocase(tag, STR("path")) || str_eq_nocase(tag, STR("gruu")) ||
           str_eq_nocase(tag, STR("outbound"));
}

/* "a, b" takes at most twice what the lines have: each tag but the last had a comma of its own. */
static bool begin_unsupported(struct sip_reader *r, struct buf *out)
{
    size_t bytes = 0;
    const struct sip_line *line = r->lines.first[SIP_HEADER_REQUIRE];
    for (; line; line = line->next)
        bytes += 2 * line->value.len + strlen(", ");
    char *text = bytes > 0 ? arena_alloc(r->arena, bytes) : NULL;
    if (!text && bytes > 0)
        sip_refuse_for_memory(r);
    buf_init_fixed(out, text, text ? bytes : 0);
    return text != NULL;
}

static void read_require(struct sip_reader *r)
{
    struct sip_values values = sip_values_of(r, SIP_HEADER_REQUIRE);
    struct str tag;
    struct buf unsupported;
    if (!begin_unsupported(r, &unsupported))
        return;
    while (sip_read_value(&values, &tag)) {
        if (!sip_is_all(tag, SIP_TOKEN)) {
            sip_refuse(r, "Bad Require header");
            return;
        }
        if (is_known_option(tag))
            continue;
        buf_put_text(&unsupported, unsupported.len > 0 ? ", " : "");
        buf_put_str(&unsupported, tag);
    }
    r->request->unsupported = buf_str(&unsupported);
}

static void read_user_agent(struct sip_reader *r)
{
    const struct sip_line *line = r->lines.first[SIP_HEADER_USER_AGENT];
    if (line)
        r->request->user_agent = line->value;
}

/* ---- The whole ----------------------------------------------------------------------------- */

static void read_rest(struct sip_reader *r, struct str request_uri)
{
    enum sip_method method = r->request->method;
    sip_check_uri(r, sip_uri_parse(request_uri, &r->request->request_uri), "Bad Request-URI");
    read_max_forwards(r);
    read_body(r);
    read_authorizations(r);
    read_supported(r);
    /* RFC 3261 20.32, 9.1: Require says nothing in an ACK or a CANCEL */
    if (method != SIP_METHOD_ACK && method != SIP_METHOD_CANCEL)
        read_require(r);
    if (method == SIP_METHOD_REGISTER && !sip_has_fault(r))
        sip_read_register(r);
}

bool sip_parse(struct str message, struct arena *arena, struct sip_request *out,
               struct sip_fault *fault)
{
    static const struct sip_limits most = {SIP_MAX_HEADER_LINES, SIP_MAX_VIAS, SIP_MAX_CONTACTS,
                                           SIP_MAX_PATHS};
    return sip_parse_within(&most, message, arena, out, fault);
}

bool sip_parse_within(const struct sip_limits *limits, struct str message, struct arena *arena,
                      struct sip_request *out, struct sip_fault *fault)
{
    struct sip_reader r;
    struct str uri;
    memset(out, 0, offsetof(struct sip_request, via));
    r.request = out;
    r.arena = arena;
    r.limits = limits;
    r.fault = *fault = (struct sip_fault){0};
    r.is_answerable = false;

    sip_lines_cut(message, limits->header_lines, arena, &r.lines);
    if (!read_start_line(&r, &uri)) {
        fault->reason = "No SIP request";
        return false;
    }
    if (r.lines.is_out_of_memory)
        sip_refuse_for_memory(&r);
    if (r.lines.has_too_many)
        sip_refuse_for_limit(&r, LIMIT_HEADER_LINES, r.lines.fault);
    else if (r.lines.fault)
        sip_refuse(&r, r.lines.fault);
    read_user_agent(&r); /* also of what is refused: a scanner gets no answer at all */
    sip_read_echoed(&r);
    if (!sip_has_fault(&r))
        read_rest(&r, uri);
    if (!sip_has_fault(&r))
        return true;
    bool is_silent = !r.is_answerable || out->method == SIP_METHOD_ACK; /* RFC 3261 17.1.1.3 */
    *fault = r.fault;
    if (is_silent)
        fault->status = 0;
    return false;
}
