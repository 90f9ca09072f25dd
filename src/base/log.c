#include "log_internal.h"
#include <aorta/clock.h>
#include <errno.h>
#include <unistd.h>

_Atomic(enum log_level) log_threshold = LOG_LEVEL_INFO;
static enum log_format line_format = LOG_FORMAT_TEXT;
static _Thread_local conn_id busy_with;

void log_configure(enum log_level level, enum log_format format)
{
    line_format = format;
    log_set_level(level);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&log_threshold, level, memory_order_relaxed);
}

static const char *const level_name[] = {"error", "warn", "info", "debug", "trace"};

const char *log_level_name(enum log_level level)
{
    return level_name[level];
}

int log_level_parse(struct str name, enum log_level *out)
{
    for (size_t i = 0; i < sizeof level_name / sizeof *level_name; i++) {
        if (!str_eq(name, str_from(level_name[i])))
            continue;
        *out = (enum log_level)i;
        return 0;
    }
    return -EINVAL;
}

void log_set_conn(uint64_t conn)
{
    busy_with = conn;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    int callers_errno = errno;
    struct log_event logged = {clock_now_ms(), level, busy_with, event, fields};
    char memory[LOG_LINE_BYTES];
    struct str line = log_line(line_format, &logged, memory);
    ssize_t written;
    do
        written = write(STDERR_FILENO, line.ptr, line.len);
    while (written < 0 && errno == EINTR);
    errno = callers_errno; /* a log that cannot be written has nowhere to say so */
}
