/* log_internal.h - an event as one line of text. Pure. */
#ifndef AORTA_LOG_INTERNAL_H
#define AORTA_LOG_INTERNAL_H
#include <aorta/log.h>
#include <aorta/transport_kind.h>

struct log_event {
    uint64_t time_ms;
    enum log_level level;
    conn_id conn;
    const char *words;
    const struct log_field *fields;
};

/* The line with its end, in `memory`. What does not fit is left out, and `truncated` said so. */
struct str log_line(enum log_format format, const struct log_event *event,
                    char memory[LOG_LINE_BYTES]);
#endif
