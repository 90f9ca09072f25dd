/* The value of an Authorization header. */
#include "fuzz.h"
#include <aorta/sip.h>
#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct sip_credentials c;
    char *copy = fuzz_copy((struct str){(const char *)data, size});
    FUZZ_CHECK(arena_init(&arena, 1024, 1 << 20) == 0);
    memset(&c, 0xa5, sizeof c);
    int rc = sip_credentials_parse((struct str){copy, size}, &arena, &c);
    FUZZ_CHECK(rc == 0 || rc == -EINVAL || rc == -ENOMEM);
    if (rc == 0 && c.is_digest) {
        const struct str value[] = {c.username,  c.realm,  c.nonce, c.uri, c.response,
                                    c.algorithm, c.cnonce, c.qop,   c.nc,  c.opaque};
        for (size_t i = 0; i < sizeof value / sizeof *value; i++) {
            fuzz_touch(value[i]);
            FUZZ_CHECK(value[i].len <= size);
        }
        FUZZ_CHECK(c.has_qop || c.qop.len == 0);
    }
    arena_fini(&arena);
    free(copy);
    return 0;
}
