/* The answer of an HTTP server, in pieces of any size: they make no difference. */
#include "fuzz.h"
#include "net/http_reader.h"
#include <errno.h>

enum { MOST_BODY = 2048 };

struct outcome {
    int rc, status;
    bool ends_connection;
    char body[MOST_BODY];
    size_t body_bytes;
};

/* Takes pieces of `step` bytes. */
static void read_answers(struct str bytes, size_t step, struct outcome *out)
{
    struct http_reader r;
    http_reader_init(&r, MOST_BODY);
    http_reader_begin(&r);
    int rc = 0;
    while (bytes.len > 0 && rc == 0 && !r.is_whole) {
        struct str piece = str_slice(bytes, 0, step);
        char *copy = fuzz_copy(piece);
        rc = http_reader_take(&r, (struct str){copy, piece.len});
        free(copy);
        bytes = str_slice(bytes, piece.len, bytes.len);
    }
    if (rc == 0 && !r.is_whole)
        rc = http_reader_end(&r);
    FUZZ_CHECK(rc == 0 || rc == -EIO || rc == -EMSGSIZE);
    FUZZ_CHECK(rc == 0 ? r.is_whole : r.why && r.why[0]);
    *out = (struct outcome){.rc = rc};
    if (rc == 0) {
        out->status = r.status;
        FUZZ_CHECK(r.status >= 200 && r.status <= 999 && r.body.len <= MOST_BODY);
        out->ends_connection = r.ends_connection;
        out->body_bytes = r.body.len;
        if (r.body.len > 0)
            memcpy(out->body, r.body.data, r.body.len);
    }
    http_reader_fini(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct outcome whole, cut;
    struct fuzz_input in = {data, size};
    size_t step = 1 + fuzz_byte(&in);
    struct str bytes = fuzz_rest(&in);
    read_answers(bytes, bytes.len, &whole);
    read_answers(bytes, step, &cut);
    FUZZ_CHECK(whole.rc == cut.rc && whole.status == cut.status);
    FUZZ_CHECK(
        str_eq((struct str){whole.body, whole.body_bytes}, (struct str){cut.body, cut.body_bytes}));
    return 0;
}
