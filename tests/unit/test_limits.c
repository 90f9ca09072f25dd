#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <aorta/log.h>
#include <aorta/metrics.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static FILE *lines; /* what standard error becomes while limits are reached */
static int lines_fd, real_fd;

static void reach(struct metrics *m, enum limit which, const struct net_address *source,
                  uint64_t now_ms)
{
    dup2(lines_fd, STDERR_FILENO);
    limit_reached(m, which, source, now_ms);
    dup2(real_fd, STDERR_FILENO);
}

/* The line that was written last, or "" when none was. */
static const char *take_line(void)
{
    static char line[LOG_LINE_BYTES];
    clearerr(lines);
    if (!fgets(line, sizeof line, lines))
        line[0] = 0;
    return line;
}

static void counts_all_and_logs_some(void **state)
{
    (void)state;
    static const struct {
        uint64_t at_ms;
        enum limit which;
        const char *line; /* what is in it; "": none is written */
        const char *why;
    } row[] = {
        {1000,  LIMIT_PER_IP,      "key=limits.connectionsPerIp source=192.0.2.1:5060 times=1",
         "the first time"                                                                                        },
        {1000,  LIMIT_CONNECTIONS, "key=limits.connections source=192.0.2.1:5060 times=1",
         "another limit"                                                                                         },
        {2000,  LIMIT_PER_IP,      "",                                                          "too soon"       },
        {10999, LIMIT_PER_IP,      "",                                                          "still too soon" },
        {11000, LIMIT_PER_IP,      "times=3",                                                   "all since then" },
        {500,   LIMIT_PER_IP,      "times=1",                                                   "the clock moved"},
    };
    static struct metrics m;
    struct net_address source;
    assert_int_equal(net_address_parse(&source, STR("192.0.2.1"), 5060), 0);
    for (size_t i = 0; i < COUNT(row); i++) {
        reach(&m, row[i].which, &source, row[i].at_ms);
        const char *line = take_line();
        if (row[i].line[0] ? !strstr(line, row[i].line) : line[0])
            fail_msg("row %zu: %s: %s", i, row[i].why, line);
    }
    assert_int_equal(metrics_limit_reached(&m, 1, LIMIT_PER_IP), 5);
    assert_int_equal(metrics_limit_reached(&m, 1, LIMIT_CONNECTIONS), 1);
    reach(NULL, LIMIT_PER_IP, &source, 99999); /* nobody counts */
    assert_string_equal(take_line(), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(counts_all_and_logs_some)};
    char name[] = "/tmp/aorta-test-XXXXXX";
    real_fd = dup(STDERR_FILENO);
    lines_fd = mkstemp(name);
    lines = lines_fd < 0 ? NULL : fopen(name, "r"); /* with a place of its own */
    unlink(name);
    if (!lines || real_fd < 0)
        return 1;
    log_configure(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
