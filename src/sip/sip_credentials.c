/* Authorization values, read without libosip2: its parser keeps the quotes, stops at odd spacing
 * and takes what has no end. */
#include "sip_internal.h"
#include <errno.h>
#include <stddef.h>

#define MEMBER(name) offsetof(struct sip_credentials, name)

static const struct {
    struct str name;
    size_t member;
} known[] = {
    {STR("username"),  MEMBER(username) },
    {STR("realm"),     MEMBER(realm)    },
    {STR("nonce"),     MEMBER(nonce)    },
    {STR("uri"),       MEMBER(uri)      },
    {STR("response"),  MEMBER(response) },
    {STR("algorithm"), MEMBER(algorithm)},
    {STR("cnonce"),    MEMBER(cnonce)   },
    {STR("qop"),       MEMBER(qop)      },
    {STR("nc"),        MEMBER(nc)       },
    {STR("opaque"),    MEMBER(opaque)   },
};

/* Where the value goes; NULL for parameters that nobody asks for. */
static struct str *slot(struct sip_credentials *credentials, struct str name)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_eq_nocase(name, known[i].name))
            return (struct str *)((char *)credentials + known[i].member);
    return NULL;
}

/* What stands between the quotes; copied only if there are escapes to resolve. */
static int unquote(struct str quoted, struct arena *arena, struct str *out)
{
    struct str inner = str_slice(quoted, 1, quoted.len - 1);
    if (str_find(inner, '\\') == inner.len) {
        *out = inner;
        return 0;
    }
    char *text = arena_alloc(arena, inner.len);
    if (!text)
        return -ENOMEM;
    size_t len = 0;
    for (size_t i = 0; i < inner.len; i++) {
        if (inner.ptr[i] == '\\')
            i++; /* never the last: that would have escaped the closing quote */
        text[len++] = inner.ptr[i];
    }
    *out = (struct str){text, len};
    return 0;
}

/* Unquoted values may hold what SIP_VALUE allows: some phones write uri= without quotes. */
static int take_value(struct str *rest, struct arena *arena, struct str *out)
{
    bool is_quoted = rest->len > 0 && rest->ptr[0] == '"';
    size_t end = is_quoted ? sip_quoted_end(*rest, 0) : sip_span(*rest, 0, SIP_VALUE);
    if (end == 0)
        return -EINVAL;
    struct str value = str_slice(*rest, 0, end);
    *rest = str_slice(*rest, end, rest->len);
    if (is_quoted)
        return unquote(value, arena, out);
    *out = value;
    return 0;
}

/* One name=value, up to its comma or the end. */
static int take_param(struct str *rest, struct arena *arena, struct sip_credentials *out)
{
    size_t end = sip_span(*rest, 0, SIP_TOKEN);
    struct str name = str_slice(*rest, 0, end), value;
    size_t equals = sip_skip_blanks(*rest, end);
    if (end == 0 || equals == rest->len || rest->ptr[equals] != '=')
        return -EINVAL;
    *rest = str_slice(*rest, sip_skip_blanks(*rest, equals + 1), rest->len);
    int error = take_value(rest, arena, &value);
    if (error)
        return error;

    struct str *member = slot(out, name);
    if (member && member->ptr)
        return -EINVAL; /* twice: whoever reads the first and whoever reads the last disagree */
    if (member)
        *member = value;
    size_t comma = sip_skip_blanks(*rest, 0);
    if (comma < rest->len && rest->ptr[comma] != ',')
        return -EINVAL;
    *rest = str_slice(*rest, comma + 1, rest->len);
    return 0;
}

int sip_credentials_parse(struct str value, struct arena *arena, struct sip_credentials *out)
{
    struct sip_credentials credentials = {0};
    struct str rest = str_trim(value);
    size_t end = sip_span(rest, 0, SIP_TOKEN);
    if (end == 0 || end == rest.len || (rest.ptr[end] != ' ' && rest.ptr[end] != '\t') ||
        sip_has_control(rest))
        return -EINVAL;
    credentials.is_digest = str_eq_nocase(str_slice(rest, 0, end), STR("Digest"));
    rest = str_slice(rest, sip_skip_blanks(rest, end), rest.len);
    while (credentials.is_digest && rest.len > 0) {
        int error = take_param(&rest, arena, &credentials);
        if (error)
            return error;
        rest = str_slice(rest, sip_skip_blanks(rest, 0), rest.len);
    }
    credentials.has_qop = credentials.qop.ptr != NULL;
    *out = credentials;
    return 0;
}
