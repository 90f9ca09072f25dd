/* aorta/log.h - one event, one line on standard error: text for people or JSON for machines.
 *     LOG_INFO("binding granted", LOG_STR("aor", aor), LOG_NUM("expires", 600));
 * Any thread; a line is cut at LOG_LINE_BYTES and written by one write(). Never pass a password, a
 * nonce or a header with credentials. Values from the network may hold anything: they are escaped
 * here. */
#ifndef AORTA_LOG_H
#define AORTA_LOG_H
#include <aorta/str.h>
#include <stdatomic.h>

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARN,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_TRACE
};
enum { LOG_LINE_BYTES = 2048 }; /* with the line end; a cut line says truncated=true */
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log_field {
    const char *key; /* NULL ends the list */
    struct str text; /* the value, unless is_number */
    int64_t number;
    bool is_number;
};

static inline struct log_field log_text(const char *key, struct str text)
{
    return (struct log_field){.key = key, .text = text};
}
static inline struct log_field log_number(const char *key, int64_t number)
{
    return (struct log_field){.key = key, .number = number, .is_number = true};
}
#define LOG_STR(key, s) log_text((key), (s))
#define LOG_TEXT(key, z) log_text((key), str_from(z))
#define LOG_NUM(key, n) log_number((key), (int64_t)(n))

extern _Atomic(enum log_level) log_threshold; /* set by log_configure() and log_set_level() */

static inline bool log_is_on(enum log_level level)
{
    return level <= atomic_load_explicit(&log_threshold, memory_order_relaxed);
}

/* Call before threads start; the level may be set again at any time from any thread. */
void log_configure(enum log_level level, enum log_format format);
void log_set_level(enum log_level level);
static inline enum log_level log_level(void)
{
    return atomic_load_explicit(&log_threshold, memory_order_relaxed);
}
/* "error", "warn", "info", "debug", "trace". */
const char *log_level_name(enum log_level level);
/* -EINVAL when `name` (lower case) is none. */
int log_level_parse(struct str name, enum log_level *out);
/* The connection that this thread is busy with, printed as conn= in every line; 0 for none. */
void log_set_conn(uint64_t conn);
void log_write(enum log_level level, const char *event, const struct log_field *fields);

#define LOG_AT(level, event, ...)                                                     \
    do {                                                                              \
        if (log_is_on(level))                                                         \
            log_write((level), (event),                                               \
                      (struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){.key = NULL}}); \
    } while (0)
#define LOG_ERROR(...) LOG_AT(LOG_LEVEL_ERROR, __VA_ARGS__)
#define LOG_WARN(...) LOG_AT(LOG_LEVEL_WARN, __VA_ARGS__)
#define LOG_INFO(...) LOG_AT(LOG_LEVEL_INFO, __VA_ARGS__)
#define LOG_DEBUG(...) LOG_AT(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define LOG_TRACE(...) LOG_AT(LOG_LEVEL_TRACE, __VA_ARGS__)
#endif
