/* report.h - what is printed in the end. */
#ifndef LOAD_REPORT_H
#define LOAD_REPORT_H
#include "options.h"
#include "results.h"
#include <stdio.h>

struct report {
    double seconds;       /* measured */
    double server_cpu_us; /* in all; below 0: not known */
    double server_user_us, server_system_us;
    double load_cpu_us;
    bool has_pss;
    uint64_t pss_kb_before, pss_kb_after;
    uint32_t not_registered; /* clients that never were */
    const struct results *results;
};
/* Exit status 0 only if this is true. */
bool report_is_good(const struct report *r);
void report_print_text(FILE *f, const struct options *o, const struct report *r);
void report_print_json(FILE *f, const struct options *o, const struct report *r);
#endif
