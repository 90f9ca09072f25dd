#include "answer_check.h"
#include "fuzz.h"
#include <ctype.h>

static const char *const known[] = {
    "Via",         "From",        "To",      "Call-ID",     "CSeq",   "WWW-Authenticate",
    "Contact",     "Path",        "Require", "Supported",   "Date",   "Allow",
    "Min-Expires", "Retry-After", "Warning", "Unsupported", "Accept", "Content-Length",
};

static bool is_known(struct str name)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_eq(name, str_from(known[i])))
            return true;
    return false;
}

/* Cuts a line off that ends by CRLF; there is one. */
static struct str take_line(struct str *rest)
{
    const char *end = memmem(rest->ptr, rest->len, "\r\n", 2);
    FUZZ_CHECK(end);
    struct str line = {rest->ptr, (size_t)(end - rest->ptr)};
    *rest = str_slice(*rest, line.len + 2, rest->len);
    FUZZ_CHECK(fuzz_is_one_line(line));
    return line;
}

/* "SIP/2.0 401 Unauthorized" */
static int read_status_line(struct str line)
{
    FUZZ_CHECK(line.len > 12 && memcmp(line.ptr, "SIP/2.0 ", 8) == 0 && line.ptr[11] == ' ');
    uint64_t status;
    FUZZ_CHECK(str_to_u64(str_slice(line, 8, 11), 699, &status) == 0 && status >= 200);
    for (size_t i = 12; i < line.len; i++)
        FUZZ_CHECK(isalnum((unsigned char)line.ptr[i]) || strchr(" .,-", line.ptr[i]));
    return (int)status;
}

static void read_header(struct str line, struct answer *out)
{
    size_t colon = str_find(line, ':');
    FUZZ_CHECK(colon + 1 < line.len && line.ptr[colon + 1] == ' ');
    FUZZ_CHECK(out->count < ANSWER_MAX_HEADERS);
    struct answer_header *header = &out->header[out->count++];
    header->name = str_slice(line, 0, colon);
    header->value = str_slice(line, colon + 2, line.len);
    FUZZ_CHECK(is_known(header->name));
}

void answer_read(struct str text, struct answer *out)
{
    out->count = 0;
    out->status = read_status_line(take_line(&text));
    for (struct str line; (line = take_line(&text)).len > 0;)
        read_header(line, out);
    FUZZ_CHECK(text.len == 0);
    FUZZ_CHECK(answer_count(out, "Content-Length") == 1);
    FUZZ_CHECK(str_eq(answer_value(out, "Content-Length", 0), STR("0")));
}

struct str answer_value(const struct answer *answer, const char *name, size_t index)
{
    for (size_t i = 0; i < answer->count; i++)
        if (str_eq(answer->header[i].name, str_from(name)) && index-- == 0)
            return answer->header[i].value;
    return STR_NONE;
}

size_t answer_count(const struct answer *answer, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < answer->count; i++)
        n += str_eq(answer->header[i].name, str_from(name));
    return n;
}

static void check_same(const struct answer *answer, const char *name, struct str sent)
{
    FUZZ_CHECK(answer_count(answer, name) == (sent.len > 0));
    FUZZ_CHECK(sent.len == 0 || str_eq(answer_value(answer, name, 0), sent));
}

static void check_to(const struct answer *answer, struct str sent)
{
    FUZZ_CHECK(answer_count(answer, "To") == (sent.len > 0));
    if (sent.len == 0)
        return;
    struct str value = answer_value(answer, "To", 0);
    FUZZ_CHECK(str_starts_nocase(value, sent));
    struct str added = str_slice(value, sent.len, value.len);
    FUZZ_CHECK(added.len == 0 || (str_starts_nocase(added, STR(";tag=")) && added.len > 5));
}

void answer_check_echo(const struct answer *answer, const struct sip_request *request)
{
    FUZZ_CHECK(answer_count(answer, "Via") == request->via_count);
    for (size_t i = 0; i < request->via_count; i++) {
        struct str sent = request->via[i].text, said = answer_value(answer, "Via", i);
        if (i == 0)
            sent = str_slice(sent, 0, str_find(sent, ';'));
        FUZZ_CHECK(i > 0 ? str_eq(said, sent) : str_starts_nocase(said, sent));
    }
    check_same(answer, "From", request->from);
    check_to(answer, request->to);
    check_same(answer, "Call-ID", request->call_id);
    check_same(answer, "CSeq", request->cseq_text);
}
