/* When memory is given back: long after most clients left, and not while anything goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "app/trim.h"
#include <cmocka.h>

enum { QUIET = 60 };

static void waits_for_quiet(void **state)
{
    (void)state;
    static const struct {
        uint64_t most, left;  /* connections before, and after they went */
        uint64_t a_look;      /* messages */
        uint64_t comes_after; /* looks until one more connects; 0: nobody does */
        unsigned due_after;   /* looks; 0: never */
        const char *why;
    } row[] = {
        {5000, 0,    0,  0,  QUIET,      "all have gone"                        },
        {5000, 2500, 50, 0,  QUIET,      "half of them, and few messages"       },
        {5000, 2501, 0,  0,  0,          "less than half"                       },
        {5000, 0,    51, 0,  0,          "too much goes on"                     },
        {499,  0,    0,  0,  0,          "too few to matter"                    },
        {500,  0,    0,  0,  QUIET,      "just enough"                          },
        {5000, 10,   0,  30, QUIET + 30, "one came meanwhile: quiet begins anew"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct trim trim = {0};
        uint64_t messages = 1000000, connections = row[i].left;
        assert_false(trim_is_due(&trim, row[i].most, messages));
        unsigned due_after = 0;
        for (unsigned look = 1; look <= 4 * QUIET && !due_after; look++) {
            messages += row[i].a_look;
            if (look == row[i].comes_after)
                connections++;
            if (trim_is_due(&trim, connections, messages))
                due_after = look;
        }
        if (due_after != row[i].due_after)
            fail_msg("row %zu, %s: after %u looks", i, row[i].why, due_after);
    }
}

static void once_for_each_wave(void **state)
{
    (void)state;
    struct trim trim = {0};
    unsigned done = 0;
    for (int wave = 0; wave < 3; wave++) {
        done += trim_is_due(&trim, 1000, 0);
        for (int look = 0; look < 10 * QUIET; look++)
            done += trim_is_due(&trim, 0, 0);
    }
    assert_int_equal(done, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_for_quiet),
        cmocka_unit_test(once_for_each_wave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
