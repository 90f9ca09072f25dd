#include "answer.h"
#include <errno.h>

enum { MAX_HEAD = 65536 };

const char *const fault_names[FAULTS] = {"none",      "malformed", "unexpected",
                                         "call_id",   "cseq",      "branch",
                                         "from_tag",  "contact",   "contact_expires",
                                         "challenge", "timeout",   "refused",
                                         "tls",       "upgrade",   "frame",
                                         "closed",    "system"};

/* ---- Lines --------------------------------------------------------------------------------- */

/* Cuts the next line off `*rest`, without its end. */
static bool next_line(struct str *rest, struct str *line)
{
    if (str_is_empty(*rest))
        return false;
    const char *end = memchr(rest->ptr, '\n', rest->len);
    size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
    *line = (struct str){rest->ptr, len > 0 && end && end[-1] == '\r' ? len - 1 : len};
    size_t used = end ? len + 1 : len;
    *rest = (struct str){rest->ptr + used, rest->len - used};
    return true;
}

static struct str trim(struct str s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = (struct str){s.ptr + 1, s.len - 1};
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static bool split_header(struct str line, struct str *name, struct str *value)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    if (colon == NULL)
        return false;
    size_t at = (size_t)(colon - line.ptr);
    *name = trim((struct str){line.ptr, at});
    *value = trim((struct str){line.ptr + at + 1, line.len - at - 1});
    return true;
}

static bool is_header(struct str name, struct str full, char compact)
{
    return name.len == full.len ? str_eq_nocase(name, full)
                                : name.len == 1 && (name.ptr[0] | 0x20) == compact;
}

/* The value of `;name=` or NULL; ends at what cannot be in a token. */
static bool find_param(struct str value, struct str name, struct str *out)
{
    for (size_t i = 0; i + name.len + 2 <= value.len; i++) {
        const char *p = memchr(value.ptr + i, ';', value.len - i - name.len - 1);
        if (p == NULL)
            return false;
        i = (size_t)(p - value.ptr);
        struct str candidate = {p + 1, name.len};
        if (p[1 + name.len] != '=' || !str_eq_nocase(candidate, name))
            continue;
        size_t from = i + name.len + 2, to = from;
        while (to < value.len && strchr(";, \t>", value.ptr[to]) == NULL)
            to++;
        *out = (struct str){value.ptr + from, to - from};
        return true;
    }
    return false;
}

static bool read_u32(struct str digits, uint32_t *out)
{
    uint64_t n;
    if (str_to_u64(digits, UINT32_MAX, &n) != 0)
        return false;
    *out = (uint32_t)n;
    return true;
}

/* ---- The whole answer ---------------------------------------------------------------------- */

static bool read_status_line(struct str line, int *status)
{
    static const char version[] = "SIP/2.0 ";
    size_t at = sizeof version - 1;
    uint32_t n;
    if (line.len < at + 3 || memcmp(line.ptr, version, at) != 0 ||
        (line.len > at + 3 && line.ptr[at + 3] != ' ') ||
        !read_u32((struct str){line.ptr + at, 3}, &n) || n < 100 || n > 699)
        return false;
    *status = (int)n;
    return true;
}

static bool read_cseq(struct str value, struct answer *out)
{
    size_t space = str_find(value, ' ');
    out->is_register = str_eq(trim(str_slice(value, space, value.len)), STR("REGISTER"));
    return read_u32(str_slice(value, 0, space), &out->cseq);
}

enum { SAW_VIA = 1, SAW_FROM = 2, SAW_TO = 4, SAW_CALL_ID = 8, SAW_CSEQ = 16, SAW_ALL = 31 };

/* False: a header that must be there once is there twice, or cannot be read. */
static bool read_header(struct str name, struct str value, struct answer *out, unsigned *seen,
                        uint32_t *length)
{
    unsigned bit = 0;
    bool is_good = true;
    switch (name.len > 0 ? name.ptr[0] | 0x20 : 0) {
    case 'v':
        if (is_header(name, STR("Via"), 'v')) {
            bit = SAW_VIA;
            is_good = find_param(value, STR("branch"), &out->branch);
        }
        break;
    case 'f':
        if (is_header(name, STR("From"), 'f')) {
            bit = SAW_FROM;
            is_good = find_param(value, STR("tag"), &out->from_tag);
        }
        break;
    case 't':
        if (is_header(name, STR("To"), 't'))
            bit = SAW_TO;
        break;
    case 'i':
    case 'c':
        if (is_header(name, STR("Call-ID"), 'i')) {
            bit = SAW_CALL_ID;
            out->call_id = value;
        } else if (str_eq_nocase(name, STR("CSeq"))) {
            bit = SAW_CSEQ;
            is_good = read_cseq(value, out);
        } else if (str_eq_nocase(name, STR("Content-Length"))) {
            is_good = read_u32(value, length);
        }
        break;
    case 'l':
        if (name.len == 1)
            is_good = read_u32(value, length);
        break;
    default:
        break;
    }
    is_good = is_good && (*seen & bit) == 0;
    *seen |= bit;
    return is_good;
}

enum fault answer_parse(struct str message, struct answer *out)
{
    struct str rest = message, line, name, value;
    memset(out, 0, sizeof *out);
    if (!next_line(&rest, &line) || !read_status_line(line, &out->status))
        return FAULT_MALFORMED;
    out->head.ptr = rest.ptr;
    unsigned seen = 0;
    uint32_t length = UINT32_MAX;
    bool has_end = false;
    while (next_line(&rest, &line)) {
        if (str_is_empty(line)) {
            has_end = true;
            break;
        }
        if (!split_header(line, &name, &value) || !read_header(name, value, out, &seen, &length))
            return FAULT_MALFORMED;
        out->head.len = (size_t)(rest.ptr - out->head.ptr);
    }
    out->body = rest;
    if (!has_end || seen != SAW_ALL || (length != UINT32_MAX && length != rest.len))
        return FAULT_MALFORMED;
    return FAULT_NONE;
}

/* ---- Contacts ------------------------------------------------------------------------------ */

/* The end of the contact that starts at `from`: the next comma outside of quotes and brackets. */
static size_t contact_end(struct str list, size_t from)
{
    bool is_quoted = false, is_bracketed = false;
    for (size_t i = from; i < list.len; i++) {
        char c = list.ptr[i];
        if (c == '\\' && is_quoted)
            i++;
        else if (c == '"')
            is_quoted = !is_quoted;
        else if (!is_quoted && (c == '<' || c == '>'))
            is_bracketed = c == '<';
        else if (c == ',' && !is_quoted && !is_bracketed)
            return i;
    }
    return list.len;
}

static struct str uri_of(struct str contact, struct str *params)
{
    struct str trimmed = trim(contact);
    if (trimmed.len > 0 && trimmed.ptr[0] == '"') { /* a display name may hold brackets */
        size_t quote = 1;
        while (quote < trimmed.len && trimmed.ptr[quote] != '"')
            quote += trimmed.ptr[quote] == '\\' ? 2 : 1;
        contact = str_slice(trimmed, quote + 1, trimmed.len);
    }
    size_t from = str_find(contact, '<'), to = str_find(contact, '>');
    if (from >= to || to == contact.len)
        return STR_NONE;
    *params = str_slice(contact, to + 1, contact.len);
    return str_slice(contact, from + 1, to);
}

/* Looks for `expected->contact` in one Contact line. */
static bool find_contact(struct str list, struct str wanted, struct str *params)
{
    size_t from = 0;
    while (from < list.len) {
        size_t end = contact_end(list, from);
        if (str_eq(uri_of(str_slice(list, from, end), params), wanted))
            return true;
        from = end + 1;
    }
    return false;
}

static enum fault check_contact(const struct answer *a, const struct expected *expected)
{
    struct str rest = a->head, line, name, value, params;
    while (next_line(&rest, &line)) {
        if ((line.ptr[0] | 0x20) != 'c' && (line.ptr[0] | 0x20) != 'm')
            continue;
        if (!split_header(line, &name, &value) || !is_header(name, STR("Contact"), 'm') ||
            !find_contact(value, expected->contact, &params))
            continue;
        struct str text;
        uint32_t expires_s;
        if (!find_param(params, STR("expires"), &text) || !read_u32(text, &expires_s) ||
            expires_s == 0 || expires_s > expected->expires_s)
            return FAULT_CONTACT_EXPIRES;
        return FAULT_NONE;
    }
    return FAULT_CONTACT;
}

enum fault answer_check(const struct answer *a, const struct expected *expected)
{
    if (!str_eq(a->call_id, expected->call_id))
        return FAULT_CALL_ID;
    if (a->cseq != expected->cseq || !a->is_register)
        return FAULT_CSEQ;
    if (!str_eq(a->branch, expected->branch))
        return FAULT_BRANCH;
    if (!str_eq(a->from_tag, expected->from_tag))
        return FAULT_FROM_TAG;
    return a->status == 200 ? check_contact(a, expected) : FAULT_NONE;
}

/* ---- Challenges ---------------------------------------------------------------------------- */

/* Cuts `name=value` or `name="value"` off a list with commas; the value without its quotes. */
static bool next_pair(struct str *rest, struct str *name, struct str *value)
{
    *rest = trim(*rest);
    size_t equals = str_find(*rest, '=');
    if (equals == rest->len)
        return false;
    *name = trim(str_slice(*rest, 0, equals));
    *rest = trim(str_slice(*rest, equals + 1, rest->len));
    bool is_quoted = rest->len > 0 && rest->ptr[0] == '"';
    if (is_quoted)
        *rest = str_slice(*rest, 1, rest->len);
    size_t end = str_find(*rest, is_quoted ? '"' : ',');
    *value = trim(str_slice(*rest, 0, end));
    *rest = str_slice(*rest, end, rest->len);
    size_t comma = str_find(*rest, ',');
    *rest = str_slice(*rest, comma + 1, rest->len);
    return true;
}

/* Whether `auth` is among the values. */
static bool offers_auth(struct str qop)
{
    struct str head;
    while (str_split(&qop, ',', &head))
        if (str_eq_nocase(trim(head), STR("auth")))
            return true;
    return false;
}

static bool read_challenge(struct str value, struct challenge *out)
{
    static const struct str digest = {"Digest ", 7};
    struct challenge c = {.algorithm = DIGEST_MD5};
    if (!str_starts_nocase(value, digest))
        return false;
    struct str rest = str_slice(value, digest.len, value.len), name, text;
    bool is_known = true, has_qop = false;
    while (next_pair(&rest, &name, &text)) {
        if (str_eq_nocase(name, STR("realm")))
            c.realm = text;
        else if (str_eq_nocase(name, STR("nonce")))
            c.nonce = text;
        else if (str_eq_nocase(name, STR("opaque")))
            c.opaque = text;
        else if (str_eq_nocase(name, STR("stale")))
            c.is_stale = str_eq_nocase(text, STR("true"));
        else if (str_eq_nocase(name, STR("qop"))) {
            has_qop = true;
            c.has_qop = offers_auth(text);
        } else if (str_eq_nocase(name, STR("algorithm"))) {
            is_known = str_eq_nocase(text, STR("MD5")) || str_eq_nocase(text, STR("SHA-256"));
            c.algorithm = text.len == 3 ? DIGEST_MD5 : DIGEST_SHA256;
        }
    }
    if (!is_known || has_qop != c.has_qop || c.realm.len == 0 || c.nonce.len == 0 ||
        c.realm.len > CHALLENGE_MAX_REALM || c.nonce.len > CHALLENGE_MAX_NONCE ||
        c.opaque.len > CHALLENGE_MAX_OPAQUE)
        return false;
    *out = c;
    return true;
}

enum fault answer_challenge(const struct answer *a, struct challenge *out)
{
    struct str rest = a->head, line, name, value;
    bool is_found = false;
    while (next_line(&rest, &line)) {
        if ((line.ptr[0] | 0x20) != 'w' || !split_header(line, &name, &value) ||
            !str_eq_nocase(name, STR("WWW-Authenticate")))
            continue;
        struct challenge c;
        if (!read_challenge(value, &c))
            continue;
        if (!is_found || c.algorithm == DIGEST_MD5)
            *out = c;
        is_found = true;
        if (c.algorithm == DIGEST_MD5)
            break;
    }
    return is_found ? FAULT_NONE : FAULT_CHALLENGE;
}

/* ---- Streams ------------------------------------------------------------------------------- */

static long content_length(struct str head)
{
    struct str line, name, value;
    uint32_t length;
    while (next_line(&head, &line)) {
        if (line.len == 0 || ((line.ptr[0] | 0x20) != 'c' && (line.ptr[0] | 0x20) != 'l'))
            continue;
        if (split_header(line, &name, &value) && is_header(name, STR("Content-Length"), 'l'))
            return read_u32(value, &length) && length <= MAX_HEAD ? (long)length : -EINVAL;
    }
    return -EINVAL;
}

long answer_frame(struct str data)
{
    size_t blank = 0;
    while (blank < data.len && (data.ptr[blank] == '\r' || data.ptr[blank] == '\n'))
        blank++;
    if (blank > 0 || data.len == 0)
        return (long)blank;
    const char *end = memmem(data.ptr, data.len, "\r\n\r\n", 4);
    if (end == NULL)
        return data.len > MAX_HEAD ? -EINVAL : 0;
    size_t head = (size_t)(end - data.ptr) + 4;
    long length = content_length((struct str){data.ptr, head});
    if (length < 0)
        return length;
    return head + (size_t)length <= data.len ? (long)(head + (size_t)length) : 0;
}
