/* Two URIs, a line each: what they are, and whether they are equal. */
#include "fuzz.h"
#include <aorta/sip.h>

static struct str aor_of(const struct sip_uri *uri, char memory[512])
{
    struct buf b;
    buf_init_fixed(&b, memory, 512);
    buf_put_text(&b, "sip:");
    return sip_uri_write_aor(uri, &b) == 0 && !b.error ? buf_str(&b) : STR_NONE;
}

static bool read_uri(struct str text, struct sip_uri *uri)
{
    char memory[512], again[512];
    memset(uri, 0xa5, sizeof *uri);
    if (sip_uri_parse(text, uri) != SIP_URI_OK)
        return false;
    const struct str part[] = {uri->user, uri->password, uri->host, uri->params, uri->headers};
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        FUZZ_CHECK(part[i].len == 0 ||
                   (part[i].ptr >= text.ptr && part[i].ptr + part[i].len <= text.ptr + text.len));
        for (size_t k = 0; k < part[i].len; k++)
            FUZZ_CHECK(part[i].ptr[k] > ' ' && part[i].ptr[k] <= '~');
    }
    FUZZ_CHECK(str_eq(uri->text, text) && uri->host.len > 0);
    struct str value;
    (void)sip_uri_param(uri, STR("transport"), &value);
    (void)sip_uri_param(uri, STR("ob"), &value);

    struct str aor = aor_of(uri, memory);
    struct sip_uri of_aor;
    FUZZ_CHECK(aor.len == 0 || sip_uri_parse(aor, &of_aor) == SIP_URI_OK);
    FUZZ_CHECK(aor.len == 0 || str_eq(aor_of(&of_aor, again), aor));
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = fuzz_copy((struct str){(const char *)data, size});
    struct str rest = {copy, size}, first = STR_NONE;
    struct sip_uri a, b;
    str_split(&rest, '\n', &first);
    bool is_a = read_uri(first, &a), is_b = read_uri(rest, &b);
    FUZZ_CHECK(!is_a || sip_uri_equal(&a, &a));
    if (is_a && is_b) {
        char memory[2][512];
        bool is_equal = sip_uri_equal(&a, &b);
        FUZZ_CHECK(is_equal == sip_uri_equal(&b, &a));
        FUZZ_CHECK(!is_equal || str_eq(aor_of(&a, memory[0]), aor_of(&b, memory[1])));
    }
    free(copy);
    return 0;
}
