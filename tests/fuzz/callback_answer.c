/* What a customer's server answers to the question who may register. */
#include "auth/callback_internal.h"
#include "fuzz.h"
#include <cjson/cJSON.h>

static void check_grant(struct str grant)
{
    FUZZ_CHECK(grant.len <= AUTH_GRANT_BYTES);
    if (grant.len == 0)
        return;
    cJSON *json = cJSON_ParseWithLength(grant.ptr, grant.len);
    FUZZ_CHECK(cJSON_IsObject(json));
    cJSON_Delete(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct callback_answer answer;
    char *copy = fuzz_copy((struct str){(const char *)data, size});
    const struct http_answer http = {
        .why = "", .status = 200, .body = {copy, size}
    };
    FUZZ_CHECK(arena_init(&arena, 4096, 1 << 20) == 0);
    memset(&answer, 0xa5, sizeof answer);
    callback_read_answer(&http, &arena, &answer);
    free(copy); /* nothing of it is looked at any more */
    FUZZ_CHECK(answer.cause || answer.said != CALLBACK_SAID_NOTHING);
    if (answer.said == CALLBACK_SAID_OK)
        check_grant(answer.kept.grant);
    if (answer.said != CALLBACK_SAID_NOTHING) {
        fuzz_touch(answer.message);
        FUZZ_CHECK(answer.message.len <= AUTH_MESSAGE_BYTES);
    }
    if (answer.said == CALLBACK_SAID_NO)
        FUZZ_CHECK(answer.ban_s >= -1);
    char memory[256];
    struct buf odd;
    buf_init_fixed(&odd, memory, sizeof memory);
    callback_put_odd(&odd, answer.odd);
    FUZZ_CHECK(odd.error == 0);
    arena_fini(&arena);
    return 0;
}
