/* A users file. */
#include "auth/users_internal.h"
#include "fuzz.h"
#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct users *users = NULL;
    struct buf errors;
    char *copy = fuzz_copy((struct str){(const char *)data, size});
    buf_init_heap(&errors, 16 << 20);
    int rc = users_parse("users.json", (struct str){copy, size}, &users, &errors);
    free(copy);
    FUZZ_CHECK(rc == 0 || rc == -EINVAL);
    FUZZ_CHECK((rc == 0) == (users != NULL) && (rc == 0) == (errors.len == 0));
    const uint8_t *ha1;
    for (unsigned i = 0; rc == 0 && i < DIGEST_ALGORITHMS; i++)
        if (users_find_ha1(users, STR("alice@example.com"), SPELLING_PLAIN,
                           (enum digest_algorithm)i, &ha1) == USERS_FOUND)
            fuzz_touch((struct str){(const char *)ha1, i == DIGEST_MD5 ? 16 : 32});
    FUZZ_CHECK(rc < 0 || users_count(users) <= size);
    users_free(users);
    buf_fini(&errors);
    return 0;
}
