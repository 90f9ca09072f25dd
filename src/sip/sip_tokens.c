#include "sip_internal.h"
#include <errno.h>

enum {
    SHOWN = SIP_VALUE | SIP_DISPLAY,
    MARK = SIP_UNRESERVED | SIP_USER | SIP_PASSWORD | SIP_PARAM | SIP_HEADER | SIP_URIC | SHOWN,
    ALNUM = MARK | SIP_TOKEN | SIP_HOST | SIP_SCHEME,
};

/* SIP_VALUE and SIP_DISPLAY are wider than the RFC: nobody but their sender ever reads them again,
 * so what cannot be mistaken for a delimiter passes, and all of UTF-8 does. ':' stays out of
 * display names, or "sip:a@b <sip:c@d>" would have two readings. SIP_HOST has '_', which the RFC
 * has not: containers and PCs often are named so. */
const uint16_t sip_classes[256] = {
    ['\t'] = SIP_DISPLAY,
    [' '] = SIP_DISPLAY,
    ['!'] = MARK | SIP_TOKEN,
    ['#'] = SHOWN,
    ['$'] = SIP_USER | SIP_PASSWORD | SIP_PARAM | SIP_HEADER | SIP_URIC | SHOWN,
    ['%'] = SIP_TOKEN | SHOWN,
    ['&'] = SIP_USER | SIP_PASSWORD | SIP_PARAM | SIP_URIC | SHOWN,
    ['\''] = MARK | SIP_TOKEN,
    ['('] = MARK,
    [')'] = MARK,
    ['*'] = MARK | SIP_TOKEN,
    ['+'] = SIP_TOKEN | SIP_USER | SIP_PASSWORD | SIP_PARAM | SIP_HEADER | SIP_SCHEME | SIP_URIC |
            SHOWN,
    [','] = SIP_USER | SIP_PASSWORD | SIP_URIC,
    ['-'] = MARK | SIP_TOKEN | SIP_HOST | SIP_SCHEME,
    ['.'] = MARK | SIP_TOKEN | SIP_HOST | SIP_SCHEME,
    ['/'] = SIP_USER | SIP_PARAM | SIP_HEADER | SIP_URIC | SHOWN,
    ['0' ... '9'] = ALNUM | SIP_DIGIT | SIP_HEX,
    [':'] = SIP_PARAM | SIP_HEADER | SIP_URIC | SIP_VALUE,
    [';'] = SIP_USER | SIP_URIC,
    ['='] = SIP_USER | SIP_PASSWORD | SIP_URIC | SHOWN,
    ['?'] = SIP_USER | SIP_HEADER | SIP_URIC | SHOWN,
    ['@'] = SIP_URIC | SHOWN,
    ['A' ... 'F'] = ALNUM | SIP_ALPHA | SIP_HEX,
    ['G' ... 'Z'] = ALNUM | SIP_ALPHA,
    ['['] = SIP_PARAM | SIP_HEADER | SIP_URIC | SHOWN,
    [']'] = SIP_PARAM | SIP_HEADER | SIP_URIC | SHOWN,
    ['^'] = SHOWN,
    ['_'] = MARK | SIP_TOKEN | SIP_HOST,
    ['`'] = SIP_TOKEN | SHOWN,
    ['a' ... 'f'] = ALNUM | SIP_ALPHA | SIP_HEX,
    ['g' ... 'z'] = ALNUM | SIP_ALPHA,
    ['{' ... '}'] = SHOWN,
    ['~'] = MARK | SIP_TOKEN,
    [0x80 ... 0xff] = SHOWN,
};

size_t sip_span(struct str s, size_t from, unsigned classes)
{
    while (from < s.len && sip_is(s.ptr[from], classes))
        from++;
    return from;
}

size_t sip_skip_blanks(struct str s, size_t from)
{
    while (from < s.len && (s.ptr[from] == ' ' || s.ptr[from] == '\t'))
        from++;
    return from;
}

bool sip_is_all(struct str s, unsigned classes)
{
    return s.len > 0 && sip_span(s, 0, classes) == s.len;
}

bool sip_is_escaped(struct str s, unsigned classes)
{
    for (size_t i = 0; i < s.len; i++) {
        if (sip_is(s.ptr[i], classes))
            continue;
        if (s.ptr[i] != '%' || s.len - i < 3)
            return false;
        if (!sip_is(s.ptr[i + 1], SIP_HEX) || !sip_is(s.ptr[i + 2], SIP_HEX))
            return false;
        i += 2;
    }
    return s.len > 0;
}

/* No early way out: so the compiler makes vector code of it, and every byte passes here. */
bool sip_has_control(struct str s)
{
    unsigned char found = 0; /* as wide as a character, so that sixteen are looked at at once */
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        found |= (unsigned char)((c < 0x20) & (c != '\t'));
        found |= (unsigned char)(c == 0x7f);
    }
    return found != 0;
}

bool sip_is_printable(struct str s, char least)
{
    unsigned char span = (unsigned char)('~' - least), found = 0;
    for (size_t i = 0; i < s.len; i++)
        found |= (unsigned char)((unsigned char)(s.ptr[i] - least) > span);
    return !found;
}

bool sip_has_stray_control(struct str message)
{
    unsigned char found = 0;
    for (size_t i = 0; i + 1 < message.len; i++) {
        unsigned char c = (unsigned char)message.ptr[i];
        unsigned char next = (unsigned char)message.ptr[i + 1];
        unsigned char is_control = (unsigned char)((c < 0x20) & (c != '\t') & (c != '\n'));
        unsigned char is_line_end = (unsigned char)((c == '\r') & (next == '\n'));
        found |= (unsigned char)(is_control & ~is_line_end);
        found |= (unsigned char)(c == 0x7f);
    }
    return found || message.len == 0 || message.ptr[message.len - 1] != '\n';
}

/* RFC 3261 25.1: the last label starts with a letter, so that no host is nearly an IPv4 address.
 * The root's dot, which the RFC allows at the end, is more than the browser libraries can read; and
 * they read '_', which the RFC does not have, in all labels but the last. */
bool sip_is_hostname(struct str s)
{
    if (s.len == 0 || s.len > 253 || s.ptr[s.len - 1] == '.')
        return false;
    struct str label = STR_NONE;
    bool starts_with_letter = false;
    while (str_split(&s, '.', &label)) {
        if (!sip_is_all(label, SIP_HOST) || label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
            return false;
        starts_with_letter = sip_is(label.ptr[0], SIP_ALPHA);
    }
    return starts_with_letter && str_find(label, '_') == label.len;
}

size_t sip_quoted_end(struct str s, size_t at)
{
    size_t quote = at + 1 + str_find(str_slice(s, at + 1, s.len), '"');
    size_t i = at + 1 + str_find(str_slice(s, at + 1, quote), '\\');
    for (; i < s.len; i++) { /* from the first escape on, or at the quote when there is none */
        if (s.ptr[i] == '"')
            return i + 1;
        if (s.ptr[i] == '\\')
            i++;
    }
    return 0;
}

/* Where the quotes or angle brackets that open at `at` end; what never closes takes all. */
static size_t enclosed_end(struct str s, size_t at)
{
    if (s.ptr[at] == '"') {
        size_t end = sip_quoted_end(s, at);
        return end ? end : s.len;
    }
    const char *close = memchr(s.ptr + at, '>', s.len - at);
    return close ? (size_t)(close - s.ptr) + 1 : s.len;
}

bool sip_next_value(struct str *rest, struct str *value)
{
    if (!rest->ptr)
        return false;
    size_t i = 0, comma = str_find(*rest, ',');
    if (comma == rest->len)
        i = comma; /* nothing to cut, whatever is quoted in it */
    while (i < rest->len && rest->ptr[i] != ',')
        i = rest->ptr[i] == '"' || rest->ptr[i] == '<' ? enclosed_end(*rest, i) : i + 1;
    *value = str_trim((struct str){rest->ptr, i});
    *rest = i < rest->len ? (struct str){rest->ptr + i + 1, rest->len - i - 1} : STR_NONE;
    return true;
}

int sip_next_param(struct str *rest, struct sip_param *param)
{
    struct str s = *rest;
    size_t i = sip_skip_blanks(s, 0);
    if (i == s.len)
        return 0;
    if (s.ptr[i] != ';')
        return -EINVAL;
    size_t name = sip_skip_blanks(s, i + 1);
    size_t end = sip_span(s, name, SIP_TOKEN);
    if (end == name)
        return -EINVAL;
    *param = (struct sip_param){
        .name = {s.ptr + name, end - name}
    };

    i = sip_skip_blanks(s, end);
    if (i < s.len && s.ptr[i] == '=') {
        size_t value = sip_skip_blanks(s, i + 1);
        bool is_quoted = value < s.len && s.ptr[value] == '"';
        end = is_quoted ? sip_quoted_end(s, value) : sip_span(s, value, SIP_VALUE);
        if (end == 0)
            return -EINVAL;
        param->value = (struct str){s.ptr + value, end - value};
        param->has_equals = true;
    }
    param->text = (struct str){s.ptr, end};
    *rest = (struct str){s.ptr + end, s.len - end};
    return 1;
}

/* RFC 3261 20: without <>, a URI ends at the first ';' and holds no ',' nor '?'. */
static bool cut_addr_spec(struct str value, struct sip_name_addr *out)
{
    size_t end = str_find(value, ';');
    struct str uri = str_trim((struct str){value.ptr, end});
    if (!sip_is_escaped(uri, SIP_URIC) || str_find(uri, ',') < uri.len ||
        str_find(uri, '?') < uri.len)
        return false;
    *out = (struct sip_name_addr){
        uri, {value.ptr + end, value.len - end},
         false
    };
    return true;
}

bool sip_name_addr_cut(struct str value, struct sip_name_addr *out)
{
    bool is_quoted = value.len > 0 && value.ptr[0] == '"';
    size_t open = is_quoted ? sip_quoted_end(value, 0) : sip_span(value, 0, SIP_DISPLAY);
    if (is_quoted)
        open = open ? sip_skip_blanks(value, open) : value.len;
    if (open == value.len || value.ptr[open] != '<')
        return !is_quoted && cut_addr_spec(value, out);

    size_t start = open + 1;
    const char *close = memchr(value.ptr + start, '>', value.len - start);
    if (!close)
        return false;
    size_t end = (size_t)(close - value.ptr);
    *out = (struct sip_name_addr){
        {value.ptr + start, end - start        },
        {close + 1,         value.len - end - 1},
        true,
    };
    return true;
}

bool sip_read_capped(struct str digits, uint64_t max, uint64_t *out)
{
    if (!sip_is_all(digits, SIP_DIGIT))
        return false;
    if (str_to_u64(digits, max, out))
        *out = max;
    return true;
}
