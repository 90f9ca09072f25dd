/* aorta-load: the first process starts the others, says when what begins, and measures. */
#include "proc.h"
#include "report.h"
#include "worker.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The set-up may take SETUP_S, and a second more for each SETUP_PER_S clients. */
enum {
    SETUP_S = 60,
    SETUP_PER_S = 10000,
    SPARE_S = 10,
    AWAY_S = 120,
    POLL_US = 1000,
    START_MS = 5
};

static volatile sig_atomic_t is_interrupted, is_signalled;

static void note_signal(int number)
{
    if (number == SIGUSR1)
        is_signalled = 1;
    else
        is_interrupted = 1;
}

struct run {
    const struct options *options;
    struct shared *shared;
    pid_t child[MAX_PROCESSES];
    uint32_t children;
    bool has_lost_child;
    struct proc_set server, load;
    struct proc_cpu server_cpu, load_cpu; /* when the measured time began */
    bool has_server_cpu;
    uint64_t began_ns;
    struct report report;
};

/* ---- Users file ---------------------------------------------------------------------------- */

static int write_users(const struct options *o)
{
    FILE *f = fopen(o->users_file, "w");
    if (f == NULL) {
        fprintf(stderr, "aorta-load: %s: %s\n", o->users_file, strerror(errno));
        return 1;
    }
    for (uint32_t i = 0; i < o->users_count; i++) {
        char name[256];
        struct str user = requests_user_name(o, i, name);
        fprintf(f, "%s\n\"%.*s@%s\":{\"password\":\"%s\"}", i == 0 ? "{" : ",", STR_ARG(user),
                o->domain, o->password);
    }
    fputs("\n}\n", f);
    bool is_bad = ferror(f) != 0;
    is_bad = fclose(f) != 0 || is_bad;
    if (is_bad)
        fprintf(stderr, "aorta-load: %s: not all could be written\n", o->users_file);
    return is_bad;
}

/* ---- Processes ----------------------------------------------------------------------------- */

static bool start_children(struct run *r)
{
    for (uint32_t i = 0; i < r->options->processes; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(worker_run(r->options, r->shared, i));
        if (pid < 0)
            return false;
        r->child[r->children++] = pid;
        proc_add(&r->load, pid);
    }
    return true;
}

/* True once one has ended that was not told to. */
static bool has_lost_child(struct run *r)
{
    for (uint32_t i = 0; i < r->children && !r->has_lost_child; i++)
        if (r->child[i] > 0 && waitpid(r->child[i], NULL, WNOHANG) == r->child[i]) {
            r->child[i] = 0;
            r->has_lost_child = true;
        }
    return r->has_lost_child;
}

static void end_children(struct run *r)
{
    atomic_store(&r->shared->phase, PHASE_END);
    uint64_t deadline = now_ns() + SPARE_S * NS_PER_S;
    for (uint32_t i = 0; i < r->children; i++) {
        while (r->child[i] > 0 && waitpid(r->child[i], NULL, WNOHANG) == 0) {
            if (now_ns() > deadline)
                kill(r->child[i], SIGKILL);
            usleep(POLL_US);
        }
        r->child[i] = 0;
    }
}

/* ---- Waiting ------------------------------------------------------------------------------- */

static uint32_t count_registered(const struct run *r)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->options->processes; i++)
        n += atomic_load(&r->shared->results[i].registered);
    return n;
}

static bool are_registered(const struct run *r)
{
    return count_registered(r) >= r->options->clients;
}

static bool are_done(const struct run *r)
{
    for (uint32_t i = 0; i < r->options->processes; i++)
        if (!atomic_load(&r->shared->results[i].is_done))
            return false;
    return true;
}

static bool is_never(const struct run *r)
{
    (void)r;
    return false;
}

/* Until `is_enough`, the deadline, a signal, or the end of a process. True: it was enough. */
static bool wait_for(struct run *r, bool (*is_enough)(const struct run *), uint64_t deadline_ns)
{
    while (!is_enough(r)) {
        if (is_interrupted || has_lost_child(r) || now_ns() >= deadline_ns)
            return is_enough(r);
        if (is_signalled)
            atomic_store(&r->shared->come_back, true);
        uint64_t left_us = (deadline_ns - now_ns()) / 1000;
        usleep(left_us < POLL_US ? (useconds_t)left_us : POLL_US);
    }
    return true;
}

/* ---- Measuring ----------------------------------------------------------------------------- */

static void measure_begin(struct run *r)
{
    proc_read_cpu(&r->load, &r->load_cpu);
    r->has_server_cpu = proc_read_cpu(&r->server, &r->server_cpu);
    r->began_ns = now_ns();
}

static void measure_end(struct run *r)
{
    struct proc_cpu now;
    struct report *report = &r->report;
    report->seconds = (double)(now_ns() - r->began_ns) / 1e9;
    if (proc_read_cpu(&r->load, &now))
        report->load_cpu_us = (double)(now.ns - r->load_cpu.ns) / 1e3;
    if (!r->has_server_cpu || !proc_read_cpu(&r->server, &now) || now.ns < r->server_cpu.ns)
        return;
    double user = (double)(now.user - r->server_cpu.user);
    double system = (double)(now.system - r->server_cpu.system);
    report->server_cpu_us = (double)(now.ns - r->server_cpu.ns) / 1e3;
    /* Ticks are coarse, but their ratio is what there is. */
    double share = user + system > 0 ? user / (user + system) : 0;
    report->server_user_us = report->server_cpu_us * share;
    report->server_system_us = report->server_cpu_us - report->server_user_us;
}

/* ---- Modes --------------------------------------------------------------------------------- */

static bool set_up(struct run *r)
{
    if (r->options->mode == MODE_STORM)
        return true;
    atomic_store(&r->shared->phase, PHASE_SETUP);
    uint64_t limit_s = SETUP_S + r->options->clients / SETUP_PER_S;
    return wait_for(r, are_registered, now_ns() + limit_s * NS_PER_S);
}

/* Clients that are held: what they cost to register, and in memory. */
static void run_idle(struct run *r)
{
    measure_begin(r);
    set_up(r);
    measure_end(r);
    atomic_store(&r->shared->phase, PHASE_READY);
    wait_for(r, is_never, now_ns() + (uint64_t)(r->options->seconds * 1e9));
}

static void run_reconnect(struct run *r)
{
    if (!set_up(r))
        return;
    fprintf(stderr, "aorta-load: %u clients are registered; waiting for the server to go away\n",
            r->options->clients);
    r->shared->start_ns = r->shared->measure_ns = now_ns();
    r->shared->end_ns = UINT64_MAX;
    atomic_store(&r->shared->phase, PHASE_RUN);
    measure_begin(r);
    wait_for(r, are_done, now_ns() + AWAY_S * NS_PER_S);
    measure_end(r);
}

static void run_loop(struct run *r)
{
    if (!set_up(r))
        return;
    struct shared *s = r->shared;
    s->start_ns = now_ns() + START_MS * NS_PER_MS;
    s->measure_ns = s->start_ns + (uint64_t)(r->options->warmup_s * 1e9);
    s->end_ns = s->measure_ns + (uint64_t)(r->options->seconds * 1e9);
    atomic_store(&s->phase, PHASE_RUN);
    wait_for(r, is_never, s->measure_ns);
    measure_begin(r);
    wait_for(r, are_done, s->end_ns);
    measure_end(r);
    wait_for(r, are_done, s->end_ns + SPARE_S * NS_PER_S); /* answers that are still due */
}

/* ---- All of it ----------------------------------------------------------------------------- */

static void merge(struct run *r, struct results *sum)
{
    const struct options *o = r->options;
    for (uint32_t i = 0; i < o->processes; i++)
        results_merge(sum, &r->shared->results[i]);
    r->report.results = sum;
    if (o->mode == MODE_RECONNECT && sum->last_ns > sum->first_ns)
        r->report.seconds = (double)(sum->last_ns - sum->first_ns) / 1e9;
    if (o->mode != MODE_STORM && sum->registered < o->clients)
        r->report.not_registered = o->clients - sum->registered;
}

static void raise_file_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = note_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
}

static void find_servers(struct run *r)
{
    for (uint32_t i = 0; i < r->options->server_pid_count; i++)
        proc_add_tree(&r->server, r->options->server_pids[i]);
}

static int run(const struct options *o)
{
    static struct run r;
    static struct results sum;
    size_t bytes = sizeof(struct shared) + o->processes * sizeof(struct results);
    r.options = o;
    r.report.server_cpu_us = -1;
    r.shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (r.shared == MAP_FAILED)
        return 1;
    raise_file_limit();
    catch_signals();
    find_servers(&r);
    r.report.has_pss = proc_read_pss(&r.server, &r.report.pss_kb_before);
    if (start_children(&r)) {
        if (o->mode == MODE_IDLE)
            run_idle(&r);
        else if (o->mode == MODE_RECONNECT)
            run_reconnect(&r);
        else
            run_loop(&r);
    }
    r.report.has_pss = r.report.has_pss && proc_read_pss(&r.server, &r.report.pss_kb_after);
    end_children(&r);
    merge(&r, &sum);
    if (!o->json_only)
        report_print_text(stdout, o, &r.report);
    report_print_json(stdout, o, &r.report);
    return report_is_good(&r.report) && !r.has_lost_child ? 0 : 1;
}

int main(int argc, char **argv)
{
    static struct options o;
    switch (options_read(&o, argc, argv)) {
    case OPTIONS_HELP:
        return 0;
    case OPTIONS_BAD:
        return 2;
    case OPTIONS_GO:
        break;
    }
    return o.users_file ? write_users(&o) : run(&o);
}
