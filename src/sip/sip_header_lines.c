#include "sip_internal.h"

/* One row a header that aorta reads. Shorter names stand first: a look-up begins with those of its
 * length and ends behind them. RFC 3261 7.3.3 has the compact forms. */
static const struct {
    struct str name;
    enum sip_header header;
} known[] = {
    {STR("v"),              SIP_HEADER_VIA           },
    {STR("f"),              SIP_HEADER_FROM          },
    {STR("t"),              SIP_HEADER_TO            },
    {STR("i"),              SIP_HEADER_CALL_ID       },
    {STR("m"),              SIP_HEADER_CONTACT       },
    {STR("l"),              SIP_HEADER_CONTENT_LENGTH},
    {STR("k"),              SIP_HEADER_SUPPORTED     },
    {STR("To"),             SIP_HEADER_TO            },
    {STR("Via"),            SIP_HEADER_VIA           },
    {STR("From"),           SIP_HEADER_FROM          },
    {STR("CSeq"),           SIP_HEADER_CSEQ          },
    {STR("Path"),           SIP_HEADER_PATH          },
    {STR("Call-ID"),        SIP_HEADER_CALL_ID       },
    {STR("Contact"),        SIP_HEADER_CONTACT       },
    {STR("Expires"),        SIP_HEADER_EXPIRES       },
    {STR("Require"),        SIP_HEADER_REQUIRE       },
    {STR("Supported"),      SIP_HEADER_SUPPORTED     },
    {STR("User-Agent"),     SIP_HEADER_USER_AGENT    },
    {STR("Max-Forwards"),   SIP_HEADER_MAX_FORWARDS  },
    {STR("Authorization"),  SIP_HEADER_AUTHORIZATION },
    {STR("Content-Length"), SIP_HEADER_CONTENT_LENGTH},
};

/* The first row of each length; lengths without a row lead to the next longer one. */
static const uint8_t first_of_length[] = {0, 0, 7, 8, 9, 12, 12, 12, 16, 16, 17, 18, 18, 19, 20};

enum sip_header sip_header_lookup(struct str name)
{
    if (name.len >= sizeof first_of_length)
        return SIP_HEADER_OTHER;
    for (size_t i = first_of_length[name.len];
         i < sizeof known / sizeof *known && known[i].name.len == name.len; i++)
        if (str_eq(name, known[i].name) || str_eq_nocase(name, known[i].name))
            return known[i].header;
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

/* Behind those of the same header. */
static void append(struct sip_lines *lines, enum sip_header header, struct str value)
{
    struct sip_line *line = &lines->line[lines->count++];
    *line = (struct sip_line){.value = value};
    if (lines->first[header])
        lines->last[header]->next = line;
    else
        lines->first[header] = line;
    lines->last[header] = line;
}

static void add_line(struct sip_lines *lines, struct str text)
{
    if (lines->count == lines->max_lines) {
        lines->has_too_many |= !lines->fault;
        note_fault(lines, "Too many header lines");
        return;
    }
    struct str name = str_slice(text, 0, sip_span(text, 0, SIP_TOKEN));
    size_t colon = sip_skip_blanks(text, name.len); /* HCOLON: "Via : " */
    if (name.len == 0 || colon == text.len || text.ptr[colon] != ':') {
        bool has_colon = str_find(text, ':') < text.len;
        note_fault(lines, has_colon ? "Bad header name" : "Header line without colon");
        return;
    }
    struct str value = str_trim((struct str){text.ptr + colon + 1, text.len - colon - 1});
    if (lines->may_have_control && sip_has_control(text)) {
        /* The line is kept, so that a hidden topmost Via is not taken for an absent one. */
        value = STR_NONE;
        note_fault(lines, "Control character in header");
    }
    append(lines, sip_header_lookup(name), value);
}

void sip_lines_cut(struct str message, size_t max_lines, struct arena *arena, struct sip_lines *out)
{
    out->start = out->body = STR_NONE;
    out->count = 0;
    memset(out->first, 0, sizeof out->first);
    out->fault = NULL;
    out->max_lines = max_lines;
    out->has_too_many = false;
    out->is_out_of_memory = false;
    out->may_have_control = sip_has_stray_control(message);

    struct str rest = message;
    /* RFC 3261 7.5: line ends before the start line are skipped */
    while (rest.len > 0 && (rest.ptr[0] == '\r' || rest.ptr[0] == '\n'))
        rest = (struct str){rest.ptr + 1, rest.len - 1};
    if (rest.len == 0)
        return;
    out->start = take_physical_line(&rest, out);
    if (out->may_have_control && sip_has_control(out->start))
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
