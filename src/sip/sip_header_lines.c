#include "sip_internal.h"

/* One row a header that aorta reads; RFC 3261 7.3.3 has the compact forms. */
static const struct {
    struct str name;
    char compact;
    enum sip_header header;
} known[] = {
    {STR("Via"),            'v', SIP_HEADER_VIA           },
    {STR("From"),           'f', SIP_HEADER_FROM          },
    {STR("To"),             't', SIP_HEADER_TO            },
    {STR("Call-ID"),        'i', SIP_HEADER_CALL_ID       },
    {STR("CSeq"),           0,   SIP_HEADER_CSEQ          },
    {STR("Contact"),        'm', SIP_HEADER_CONTACT       },
    {STR("Max-Forwards"),   0,   SIP_HEADER_MAX_FORWARDS  },
    {STR("Expires"),        0,   SIP_HEADER_EXPIRES       },
    {STR("Content-Length"), 'l', SIP_HEADER_CONTENT_LENGTH},
    {STR("Path"),           0,   SIP_HEADER_PATH          },
    {STR("Supported"),      'k', SIP_HEADER_SUPPORTED     },
    {STR("Require"),        0,   SIP_HEADER_REQUIRE       },
    {STR("Authorization"),  0,   SIP_HEADER_AUTHORIZATION },
    {STR("User-Agent"),     0,   SIP_HEADER_USER_AGENT    },
};

enum sip_header sip_header_lookup(struct str name)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (name.len == 1 && (name.ptr[0] | 0x20) == known[i].compact)
            return known[i].header;
        if (name.len == known[i].name.len && str_eq_nocase(name, known[i].name))
            return known[i].header;
    }
    return SIP_HEADER_OTHER;
}

static void note_fault(struct sip_lines *lines, const char *reason)
{
    if (!lines->fault)
        lines->fault = reason;
}

/* A line as it stands, without its end. Bare LF ends one too, though that is a fault: the Via
 * behind it is needed to say so. */
static struct str take_physical_line(struct str *rest, struct sip_lines *lines)
{
    const char *lf = memchr(rest->ptr, '\n', rest->len);
    size_t len = lf ? (size_t)(lf - rest->ptr) : rest->len;
    struct str line = {rest->ptr, len};
    size_t taken = lf ? len + 1 : len;
    *rest = (struct str){rest->ptr + taken, rest->len - taken};

    if (lf && len > 0 && line.ptr[len - 1] == '\r')
        line.len--;
    else
        note_fault(lines, lf ? "Line ends must be CRLF" : "Missing empty line after headers");
    return line;
}

static bool continues(struct str rest)
{
    return rest.len > 0 && (rest.ptr[0] == ' ' || rest.ptr[0] == '\t');
}

static struct str trim_right(struct str s)
{
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static size_t continuation_bytes(struct str rest)
{
    size_t whole = rest.len;
    while (continues(rest)) {
        const char *lf = memchr(rest.ptr, '\n', rest.len);
        size_t taken = lf ? (size_t)(lf - rest.ptr) + 1 : rest.len;
        rest = (struct str){rest.ptr + taken, rest.len - taken};
    }
    return whole - rest.len;
}

/* RFC 3261 7.3.1: a line that begins with a blank goes on with the one before; all the blanks round
 * the fold are one space. The pieces together never are longer than the text they came from. */
static struct str unfold(struct str first, struct str *rest, struct arena *arena,
                         struct sip_lines *lines)
{
    char *text = arena_alloc(arena, first.len + continuation_bytes(*rest));
    if (!text) {
        lines->is_out_of_memory = true;
        return first;
    }
    memcpy(text, first.ptr, first.len);
    struct str whole = {text, first.len};
    while (continues(*rest)) {
        struct str piece = str_trim(take_physical_line(rest, lines));
        whole = trim_right(whole);
        text[whole.len++] = ' ';
        memcpy(text + whole.len, piece.ptr, piece.len);
        whole.len += piece.len;
    }
    return whole;
}

static void add_line(struct sip_lines *lines, struct str text)
{
    if (lines->count == SIP_MAX_HEADER_LINES) {
        note_fault(lines, "Too many header lines");
        return;
    }
    size_t colon = str_find(text, ':');
    if (colon == text.len) {
        note_fault(lines, "Header line without colon");
        return;
    }
    struct str name = trim_right((struct str){text.ptr, colon}); /* HCOLON: "Via : " */
    if (!sip_is_all(name, SIP_TOKEN)) {
        note_fault(lines, "Bad header name");
        return;
    }
    struct sip_line *line = &lines->line[lines->count++];
    line->header = sip_header_lookup(name);
    line->value = str_trim((struct str){text.ptr + colon + 1, text.len - colon - 1});
    if (sip_has_control(text)) {
        /* The line is kept, so that a hidden topmost Via is not taken for an absent one. */
        line->value = STR_NONE;
        note_fault(lines, "Control character in header");
    }
}

void sip_lines_cut(struct str message, struct arena *arena, struct sip_lines *out)
{
    out->start = out->body = STR_NONE;
    out->count = 0;
    out->fault = NULL;
    out->is_out_of_memory = false;

    struct str rest = message;
    /* RFC 3261 7.5: line ends before the start line are skipped */
    while (rest.len > 0 && (rest.ptr[0] == '\r' || rest.ptr[0] == '\n'))
        rest = (struct str){rest.ptr + 1, rest.len - 1};
    if (rest.len == 0)
        return;
    out->start = take_physical_line(&rest, out);
    if (sip_has_control(out->start))
        note_fault(out, "Control character in request line");
    while (rest.len > 0) {
        struct str line = take_physical_line(&rest, out);
        if (line.len == 0) {
            out->body = rest;
            return;
        }
        if (continues(rest))
            line = unfold(line, &rest, arena, out);
        add_line(out, line);
    }
    note_fault(out, "Missing empty line after headers");
}
