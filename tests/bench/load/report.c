#include "report.h"

static double per(double total, uint64_t count)
{
    return count > 0 ? total / (double)count : 0;
}

static double latency_ms(const struct report *r, double share)
{
    return (double)histogram_percentile(&r->results->latency, share) / 1e6;
}

static double rate_of(const struct report *r)
{
    return r->seconds > 0 ? (double)r->results->registrations / r->seconds : 0;
}

static double pss_per_client(const struct options *o, const struct report *r)
{
    return ((double)r->pss_kb_after - (double)r->pss_kb_before) * 1024 / o->clients;
}

bool report_is_good(const struct report *r)
{
    return r->results->registrations > 0 && r->not_registered == 0 &&
           results_failures(r->results) == 0;
}

/* ---- For programs -------------------------------------------------------------------------- */

/* "name":1,... or name 1, ... */
static void print_failure(FILE *f, bool is_json, bool *is_first, const char *name, uint64_t count)
{
    if (count == 0)
        return;
    const char *quote = is_json ? "\"" : "";
    fprintf(f, "%s%s%s%s%s%lu",
            *is_first ? ""
            : is_json ? ","
                      : ", ",
            quote, name, quote, is_json ? ":" : " ", count);
    *is_first = false;
}

static void print_failures(FILE *f, const struct report *r, bool is_json)
{
    bool is_first = true;
    for (int i = 0; i < FAULTS; i++)
        print_failure(f, is_json, &is_first, fault_names[i], r->results->fault[i]);
    for (int i = 0; i < STATUSES; i++) {
        char name[24];
        snprintf(name, sizeof name, "status_%d", i);
        print_failure(f, is_json, &is_first, name, r->results->status[i]);
    }
    print_failure(f, is_json, &is_first, "not_registered", r->not_registered);
}

static void print_server(FILE *f, const struct options *o, const struct report *r)
{
    uint64_t n = r->results->registrations;
    if (r->server_cpu_us < 0 && !r->has_pss) {
        fputs("null", f);
        return;
    }
    if (r->server_cpu_us < 0)
        fputs("{\"cpu_us_per_registration\":null,\"user_us\":null,\"system_us\":null", f);
    else
        fprintf(f, "{\"cpu_us_per_registration\":%.2f,\"user_us\":%.2f,\"system_us\":%.2f",
                per(r->server_cpu_us, n), per(r->server_user_us, n), per(r->server_system_us, n));
    if (r->has_pss)
        fprintf(f, ",\"pss_kb_before\":%lu,\"pss_kb_after\":%lu,\"pss_bytes_per_client\":%.0f}",
                r->pss_kb_before, r->pss_kb_after, pss_per_client(o, r));
    else
        fputs(",\"pss_kb_before\":null,\"pss_kb_after\":null,\"pss_bytes_per_client\":null}", f);
}

void report_print_json(FILE *f, const struct options *o, const struct report *r)
{
    const struct results *s = r->results;
    fprintf(f, "{\"transport\":\"%s\",\"mode\":\"%s\",\"clients\":%u,\"processes\":%u,\"rate\":",
            transport_names[o->transport], mode_names[o->mode], o->clients, o->processes);
    if (o->rate > 0)
        fprintf(f, "%g", o->rate);
    else
        fputs("null", f);
    fprintf(f, ",\"seconds\":%.3f,\"registrations\":%lu,\"per_second\":%.1f,\"failures\":{",
            r->seconds, s->registrations, rate_of(r));
    print_failures(f, r, true);
    fprintf(f, "},\"challenged\":%lu,\"retransmissions\":%lu,\"late\":%lu,\"timeouts\":%lu",
            s->challenged, s->retransmissions, s->late, s->fault[FAULT_TIMEOUT]);
    fprintf(f,
            ",\"latency_ms\":{\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"max\":%.3f},"
            "\"server\":",
            latency_ms(r, 0.5), latency_ms(r, 0.9), latency_ms(r, 0.99), latency_ms(r, 0.999),
            (double)s->latency.max_ns / 1e6);
    print_server(f, o, r);
    fprintf(f, ",\"load\":{\"cpu_us_per_registration\":%.2f}}\n",
            per(r->load_cpu_us, s->registrations));
}

/* ---- For people ---------------------------------------------------------------------------- */

void report_print_text(FILE *f, const struct options *o, const struct report *r)
{
    const struct results *s = r->results;
    fprintf(f, "%s %s, %u clients: %lu registrations in %.2f s, %.0f a second\n",
            transport_names[o->transport], mode_names[o->mode], o->clients, s->registrations,
            r->seconds, rate_of(r));
    fputs("failures: ", f);
    if (results_failures(s) == 0 && r->not_registered == 0)
        fputs("none", f);
    print_failures(f, r, false);
    fprintf(f, "; challenged %lu, retransmissions %lu\n", s->challenged, s->retransmissions);
    fprintf(f, "latency: p50 %.2f ms, p90 %.2f, p99 %.2f, p99.9 %.2f, max %.2f\n",
            latency_ms(r, 0.5), latency_ms(r, 0.9), latency_ms(r, 0.99), latency_ms(r, 0.999),
            (double)s->latency.max_ns / 1e6);
    double each_us = per(r->server_cpu_us, s->registrations);
    if (r->server_cpu_us > 0)
        fprintf(f,
                "server: %.1f us of CPU a registration (%.1f user, %.1f system): one core carries "
                "%.0f a second\n",
                each_us, per(r->server_user_us, s->registrations),
                per(r->server_system_us, s->registrations), each_us > 0 ? 1e6 / each_us : 0);
    if (r->has_pss && o->mode == MODE_IDLE)
        fprintf(f, "server: %.1f MB before, %.1f MB after: %.0f bytes a client\n",
                (double)r->pss_kb_before / 1024, (double)r->pss_kb_after / 1024,
                pss_per_client(o, r));
    fprintf(f, "aorta-load itself: %.1f us of CPU a registration\n",
            per(r->load_cpu_us, s->registrations));
}
