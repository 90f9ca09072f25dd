#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <aorta/arena.h>
#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static void gives_aligned_memory_of_its_own(void **state)
{
    (void)state;
    struct arena a;
    assert_int_equal(arena_init(&a, 256, 100000), 0);
    static const size_t size[] = {0, 1, 15, 16, 17, 63, 64, 65, 250, 256, 257, 1000, 3};
    unsigned char *memory[COUNT(size)];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT(size); i++) {
            memory[i] = arena_alloc(&a, size[i]);
            assert_non_null(memory[i]);
            assert_int_equal((uintptr_t)memory[i] % 16, 0);
            memset(memory[i], (int)i, size[i]);
        }
        for (size_t i = 0; i < COUNT(size); i++)
            for (size_t at = 0; at < size[i]; at++)
                assert_int_equal(memory[i][at], i); /* nobody else wrote here */
        arena_reset(&a);
        assert_int_equal(a.total_bytes, 256);
    }
    arena_fini(&a);
    arena_fini(&a); /* twice is fine */
}

static void keeps_its_first_chunk(void **state)
{
    (void)state;
    struct arena a;
    assert_int_equal(arena_init(&a, 100, 1000), 0); /* 112 with the alignment */
    assert_int_equal(a.total_bytes, 112);
    void *first = arena_alloc(&a, 1);
    assert_non_null(arena_alloc(&a, 500));
    assert_int_equal(a.total_bytes, 112 + 512);
    void *second = arena_alloc(&a, 1);
    assert_ptr_equal((char *)first + 16, second); /* the big one went elsewhere */
    arena_reset(&a);
    assert_ptr_equal(arena_alloc(&a, 1), first);
    arena_fini(&a);
}

static void stops_at_its_limit(void **state)
{
    (void)state;
    static const struct {
        size_t first, max, n[3];
        bool works[3];
        const char *why;
    } row[] = {
        {64,  64,   {64, 1, 0},                       {true, false, false}, "one chunk and no more"             },
        {64,  128,  {64, 64, 1},                      {true, true, false},  "chunk and limit full"              },
        {64,  144,  {60, 16, 64},                     {true, true, false},  "a small request adds a whole chunk"},
        {64,  80,   {64, 16, 1},                      {true, true, false},  "or a small one near the limit"     },
        {64,  1000, {929, 928, 1},                    {false, true, true},  "a failure takes nothing"           },
        {64,  1000, {SIZE_MAX, 1, 1},                 {false, true, true},  "no overflow"                       },
        {64,  1000, {SIZE_MAX - 15, SIZE_MAX / 2, 1}, {false, false, true}, "no overflow"                       },
        {200, 100,  {200, 1, 1},                      {true, false, false}, "the first chunk is always there"   },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct arena a;
        assert_int_equal(arena_init(&a, row[i].first, row[i].max), 0);
        for (size_t k = 0; k < 3; k++)
            if ((arena_alloc(&a, row[i].n[k]) != NULL) != row[i].works[k])
                fail_msg("row %zu, request %zu: %s", i, k, row[i].why);
        assert_true(a.total_bytes <= a.max_bytes);
        arena_fini(&a);
    }
    struct arena a;
    assert_true(arena_init(&a, SIZE_MAX, SIZE_MAX) < 0);
}

static void zeroes_and_copies(void **state)
{
    (void)state;
    struct arena a;
    assert_int_equal(arena_init(&a, 64, 128), 0);
    memset(arena_alloc(&a, 64), 0xff, 64);
    arena_reset(&a);
    unsigned char *zeroed = arena_zalloc(&a, 32);
    for (size_t i = 0; i < 32; i++)
        assert_int_equal(zeroed[i], 0);

    struct str copy = arena_copy(&a, str_slice(STR("sip:alice"), 4, 9));
    assert_int_equal(copy.len, 5);
    assert_string_equal(copy.ptr, "alice");
    assert_string_equal(arena_copy(&a, STR_NONE).ptr, "");
    assert_null(arena_zalloc(&a, 1000));
    assert_null(arena_copy(&a, (struct str){"", SIZE_MAX}).ptr);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_aligned_memory_of_its_own),
        cmocka_unit_test(keeps_its_first_chunk),
        cmocka_unit_test(stops_at_its_limit),
        cmocka_unit_test(zeroes_and_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
