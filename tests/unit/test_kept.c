#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/kept_internal.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#define NOW_MS UINT64_C(1800000000000)

static struct kept_key key_of(const char *aor, const char *username)
{
    return (struct kept_key){str_from(aor), str_from(username)};
}

static void put(struct kept *kept, struct kept_key key, uint32_t expires_s, uint64_t ends_ms,
                uint64_t now_ms)
{
    struct kept_answer answer = {.algorithms = 1u << DIGEST_MD5,
                                 .expires_limit_s = expires_s,
                                 .grant = STR("{\"a\":1}")};
    memset(answer.ha1s.md5, 7, sizeof answer.ha1s.md5);
    kept_put(kept, &key, &answer, ends_ms, now_ms);
}

/* Its expires_limit_s, which the test has made its name; 0: none. */
static uint32_t find(struct kept *kept, struct kept_key key, uint64_t now_ms)
{
    struct arena arena;
    struct kept_answer found = {0};
    assert_int_equal(arena_init(&arena, 1024, 8192), 0);
    int rc = kept_find(kept, &key, now_ms, &arena, &found);
    if (rc == 0) {
        assert_true(str_eq(found.grant, STR("{\"a\":1}")));
        assert_int_equal(found.algorithms, 1u << DIGEST_MD5);
        assert_int_equal(found.ha1s.md5[15], 7);
    } else {
        assert_int_equal(rc, -ENOENT);
    }
    arena_fini(&arena);
    return rc == 0 ? found.expires_limit_s : 0;
}

static void one_entry_through_its_life(void **state)
{
    (void)state;
    struct kept *kept = kept_new();
    struct kept_key alice = key_of("alice@example.com", "alice");
    assert_non_null(kept);
    assert_int_equal(find(kept, alice, NOW_MS), 0);
    put(kept, alice, 1, NOW_MS + 1000, NOW_MS);
    assert_int_equal(find(kept, alice, NOW_MS), 1);
    assert_int_equal(find(kept, alice, NOW_MS + 999), 1);
    assert_int_equal(find(kept, alice, NOW_MS + 1000), 0);
    assert_int_equal(find(kept, alice, NOW_MS), 0); /* gone for good */

    put(kept, alice, 1, NOW_MS + 1000, NOW_MS);
    put(kept, alice, 2, NOW_MS + 5000, NOW_MS); /* in its place */
    assert_int_equal(find(kept, alice, NOW_MS + 4999), 2);
    kept_drop(kept, &alice);
    assert_int_equal(find(kept, alice, NOW_MS), 0);
    kept_drop(kept, &alice);
    kept_free(kept);
    kept_free(NULL);
}

static void keys_are_whole(void **state)
{
    (void)state;
    static const struct {
        const char *aor, *username;
    } row[] = {
        {"alice@example.com", "alice"            },
        {"alice@example.com", "alice@example.com"},
        {"alice@example.com", "Alice"            },
        {"alice@example.co",  "malice"           },
        {"alice@example.org", "alice"            },
        {"",                  "alice"            },
        {"alice",             ""                 },
    };
    struct kept *kept = kept_new();
    uint32_t count = sizeof row / sizeof *row;
    for (uint32_t i = 0; i < count; i++)
        put(kept, key_of(row[i].aor, row[i].username), i + 1, NOW_MS + 1000, NOW_MS);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(find(kept, key_of(row[i].aor, row[i].username), NOW_MS), i + 1);
    kept_free(kept);
}

static void long_names_are_not_kept(void **state)
{
    (void)state;
    char name[KEPT_NAME_BYTES + 2];
    struct kept *kept = kept_new();
    memset(name, 'a', sizeof name);
    name[KEPT_NAME_BYTES - 3] = '\0';
    put(kept, key_of("a@b", name), 1, NOW_MS + 1000, NOW_MS);
    assert_int_equal(find(kept, key_of("a@b", name), NOW_MS), 1);
    name[KEPT_NAME_BYTES - 3] = 'a';
    name[KEPT_NAME_BYTES - 2] = '\0';
    put(kept, key_of("a@b", name), 1, NOW_MS + 1000, NOW_MS);
    assert_int_equal(find(kept, key_of("a@b", name), NOW_MS), 0);
    kept_free(kept);
}

/* With more than there is room for, those that end later have the better chance. */
static void the_next_to_end_give_way(void **state)
{
    (void)state;
    enum { MANY = 2 * KEPT_ENTRIES };
    struct kept *kept = kept_new();
    unsigned early = 0, late = 0;
    char name[16];
    for (uint32_t i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "u%u", i);
        put(kept, key_of("a@b", name), 1, NOW_MS + 1000 + (i % 2) * 1000, NOW_MS);
    }
    for (uint32_t i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "u%u", i);
        unsigned is_there = find(kept, key_of("a@b", name), NOW_MS);
        late += i % 2 ? is_there : 0;
        early += i % 2 ? 0 : is_there;
    }
    assert_in_range(early + late, KEPT_ENTRIES * 9 / 10, KEPT_ENTRIES);
    assert_true(late > KEPT_ENTRIES * 8 / 10);
    assert_true(early > 0);
    kept_free(kept);
}

/* ---- Many at once --------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 5000, NAMES = 16 };

static void *use(void *arg)
{
    struct kept *kept = arg;
    struct arena arena;
    if (arena_init(&arena, 1024, 8192) != 0)
        return NULL;
    for (unsigned i = 0; i < ROUNDS; i++) {
        char name[16];
        snprintf(name, sizeof name, "u%u", i % NAMES);
        struct kept_key key = key_of("a@b", name);
        struct kept_answer answer = {.algorithms = 1, .grant = STR("{\"grant\":true}")}, found;
        uint64_t now_ms = NOW_MS + i;
        kept_put(kept, &key, &answer, now_ms + 5, now_ms);
        if (kept_find(kept, &key, now_ms, &arena, &found) == 0 &&
            !str_eq(found.grant, answer.grant))
            return NULL;
        if (i % 7 == 0)
            kept_drop(kept, &key);
        arena_reset(&arena);
    }
    arena_fini(&arena);
    return kept;
}

static void threads_share_it(void **state)
{
    (void)state;
    struct kept *kept = kept_new();
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, use, kept), 0);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(thread[i], &result);
        assert_non_null(result);
    }
    kept_free(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_entry_through_its_life), cmocka_unit_test(keys_are_whole),
        cmocka_unit_test(long_names_are_not_kept),    cmocka_unit_test(the_next_to_end_give_way),
        cmocka_unit_test(threads_share_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
