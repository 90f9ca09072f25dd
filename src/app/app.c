#include "app.h"
#include "demo.h"
#include "own_hosts.h"
#include "privileges.h"
#include "settings_load.h"
#include "worker.h"
#include <aorta/cert.h>
#include <aorta/clock.h>
#include <aorta/log.h>
#include <aorta/node_state.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { ERROR_BYTES = 1 << 20, MAX_LISTENERS = 64 };
enum { SPARE_FILES = 64 }; /* for Redis, files that a reload reads, and the admin part */

struct app {
    const struct config_source *source;
    struct settings *settings; /* in force */
    struct config *config;     /* of the start: what cannot change is looked up there */
    struct demo demo;
    struct own_hosts own_hosts;
    char *www; /* the folder that is served; NULL: none */
    struct worker_shared shared;
    struct sip_traces traces;
    struct worker *workers;
    unsigned worker_count; /* opened so far */
    char *listeners[MAX_LISTENERS];
    size_t listener_count;
    struct net_address first_bound, admin; /* as bound */
    char *sbc_address;
    _Atomic int state;             /* enum node_state */
    _Atomic bool is_told_to_drain; /* by the admin API, and so by a signal of its own */
    bool has_heard_twice;          /* of the drain: from the admin API and by a signal */
    uint64_t files_left;           /* once all listeners are open */
    struct buf error;
    sigset_t signals;
};

/* ---- Checking what the configuration names ------------------------------------------------- */

static bool has_tls(const struct config *config)
{
    for (size_t i = 0; i < config->listen_count; i++)
        if (transport_kind_is_secure(config->listen[i].kind))
            return true;
    return false;
}

static bool is_missing(const char *file)
{
    return access(file, F_OK) < 0 && errno == ENOENT;
}

static int check_certificate(const struct config *config, struct buf *error)
{
    if (!has_tls(config) || (is_missing(config->tls_cert) && is_missing(config->tls_key)))
        return 0; /* none needed, or one will be made */
    buf_put_text(error, "tls.cert: ");
    int rc = cert_check_pair(config->tls_cert, config->tls_key, error);
    if (rc == 0)
        buf_clear(error);
    else
        buf_put_char(error, '\n');
    return rc;
}

/* Are the demo users those who may register? */
static bool has_demo_users(const struct config *config)
{
    return config->demo && !config->users && !config->callback.uri && config->realms.count == 0;
}

/* Takes `config`. */
static int load_settings(const struct app *app, struct config *config, struct settings **out,
                         struct buf *error)
{
    struct users *demo_users = NULL;
    int rc = has_demo_users(config) ? demo_make_users(&app->demo, &demo_users, error) : 0;
    if (rc == 0)
        return settings_load(config, demo_users, out, error);
    config_free(config);
    return rc;
}

/* The page stands beside the program, in the build folder as after an installation; a folder that
 * was asked for is taken as it is. */
static char *find_www(const struct config *config)
{
    static const char *const places[] = {"www", "../share/aorta/www"};
    if (!config->www || !config->www_is_default)
        return config->www ? strdup(config->www) : NULL;
    char program[4096];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    const char *slash = n > 0 ? memrchr(program, '/', (size_t)n) : NULL;
    for (size_t i = 0; slash && i < sizeof places / sizeof *places; i++) {
        char *folder, *page;
        if (asprintf(&folder, "%.*s/%s", (int)(slash - program), program, places[i]) < 0)
            return NULL;
        bool is_there = asprintf(&page, "%s/index.html", folder) >= 0 && !is_missing(page);
        free(page);
        if (is_there)
            return folder;
        free(folder);
    }
    return NULL;
}

/* Each line of `error` with the program's name before it. */
static void print_error(const struct buf *error)
{
    struct str rest = buf_str(error), line;
    while (str_split(&rest, '\n', &line))
        if (line.len > 0)
            fprintf(stderr, "aorta: %.*s\n", STR_ARG(line));
}

int app_check(const struct config *config)
{
    struct buf error;
    struct realms *realms = NULL;
    buf_init_heap(&error, ERROR_BYTES);
    int rc = check_certificate(config, &error);
    int realms_rc = realms_load(config, NULL, &realms, &error);
    int user_rc = privileges_check_user(config, &error);
    realms_free(realms);
    print_error(&error);
    buf_fini(&error);
    return rc < 0 || realms_rc < 0 || user_rc < 0 ? EXIT_UNUSABLE : EXIT_OK;
}

/* ---- Opening, in order --------------------------------------------------------------------- */

static int fail(struct app *app, const char *what)
{
    if (app->error.len == 0)
        buf_put_text(&app->error, what);
    return -ENOMEM;
}

static int open_certificate(struct app *app)
{
    const struct config *config = app->config;
    if (!has_tls(config))
        return 0;
    app->shared.cert_file = config->tls_cert;
    app->shared.key_file = config->tls_key;
    if (!is_missing(config->tls_cert) || !is_missing(config->tls_key))
        return check_certificate(config, &app->error);
    int rc = cert_make_self_signed(config->tls_cert, config->tls_key, &app->error);
    if (rc == 0)
        LOG_INFO("self-signed certificate made: browsers will ask whether to trust it",
                 LOG_TEXT("cert", config->tls_cert), LOG_TEXT("key", config->tls_key));
    return rc == 0 ? privileges_give_file(config, config->tls_key, &app->error) : rc;
}

/* Once. Whoever told it may go on to send SIGTERM, as an orchestrator does: see is_second(). */
static void drain_as_told(void *arg)
{
    struct app *app = arg;
    if (!atomic_exchange(&app->is_told_to_drain, true))
        kill(getpid(), SIGTERM);
}

static int open_page(struct app *app)
{
    app->www = find_www(app->config);
    if (app->config->www && !app->www)
        LOG_WARN("no status page: it was not built (AORTA_WWW), or http.www is elsewhere");
    const struct web_info info = {
        .config = app->config,
        .metrics = app->shared.metrics,
        .workers = app->config->workers,
        .state = &app->state,
        .www = app->www,
        .demo_users = app->demo.user,
        .demo_user_count = has_demo_users(app->config) ? DEMO_USERS : 0,
        .started_ms = clock_now_ms(),
        .journal = app->shared.journal,
        .traces = &app->traces,
        .drain = drain_as_told,
        .drain_arg = app,
    };
    app->shared.web = web_new(&info, &app->error);
    return app->shared.web ? 0 : fail(app, "out of memory");
}

static int open_store(struct app *app)
{
    const struct config *config = app->config;
    struct worker_shared *shared = &app->shared;
    if (config->store == STORE_KIND_REDIS)
        shared->cluster = redis_cluster_new(config, shared->bans);
    else
        shared->memory_store = store_memory_open(config->workers, config->grace_s * 1000);
    return shared->cluster || shared->memory_store ? 0 : -ENOMEM;
}

static int open_bans(struct app *app)
{
    const struct config *config = app->config;
    app->shared.bans = bans_new();
    if (!app->shared.bans)
        return -ENOMEM;
    return bans_set_exempt(app->shared.bans, &config->never_ban, &config->trusted_proxies);
}

static int open_shared(struct app *app)
{
    const struct config *config = app->config;
    unsigned workers = config->workers;
    if (own_hosts_collect(config, &app->own_hosts) < 0)
        return fail(app, "the addresses of this machine cannot be read");
    if (net_random(app->shared.ticket_key.bytes, sizeof app->shared.ticket_key.bytes) < 0)
        return fail(app, "no random numbers to be had");
    app->shared.workers = workers;
    app->shared.node_state = &app->state;
    app->shared.own_hosts = app->own_hosts.host;
    app->shared.own_host_count = app->own_hosts.count;
    app->shared.auth = auth_new(workers, config->replay_bytes);
    app->shared.journal = journal_new(workers, config->journal_bytes);
    app->shared.limit = conn_limit_new(config->connections, config->connections_per_ip);
    app->shared.request_rates = address_rates_new();
    app->shared.failure_rates = address_rates_new();
    app->shared.metrics = aligned_alloc(_Alignof(struct metrics), workers * sizeof(struct metrics));
    app->shared.events = events_new(workers, config->node, EVENT_RING_BYTES);
    app->workers = calloc(workers, sizeof *app->workers);
    app->shared.all = app->workers;
    app->shared.traces = &app->traces;
    if (sip_traces_init(&app->traces) < 0 || open_bans(app) < 0 || open_store(app) < 0 ||
        !app->shared.auth || !app->shared.journal || !app->shared.limit ||
        !app->shared.request_rates || !app->shared.failure_rates || !app->shared.metrics ||
        !app->shared.events || !app->workers)
        return fail(app, "out of memory");
    memset(app->shared.metrics, 0, workers * sizeof(struct metrics));
    return 0;
}

static int open_workers(struct app *app)
{
    for (unsigned i = 0; i < app->config->workers; i++) {
        app->worker_count = i + 1;
        int rc = worker_open(&app->workers[i], i, &app->shared, app->settings, &app->error);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* One address in all workers: the first finds the port, the others share it. */
static int listen_everywhere(struct app *app, enum transport_kind kind, enum transport_door door,
                             struct net_address *address)
{
    char text[NET_ADDRESS_TEXT];
    int rc = net_probe_address(address, kind == TRANSPORT_UDP);
    for (unsigned i = 0; rc == 0 && i < app->worker_count; i++)
        rc = transport_listen(app->workers[i].transport, kind, door, address);
    if (rc < 0)
        buf_printf(&app->error, "cannot listen on %s://%.*s: %s\n",
                   door == TRANSPORT_ADMIN ? "http" : transport_kind_name(kind),
                   STR_ARG(net_address_host_port(address, text)), strerror(-rc));
    return rc;
}

static char *print_address(const char *scheme, const struct net_address *address)
{
    char text[NET_ADDRESS_TEXT], *printed;
    struct str host_port = net_address_host_port(address, text);
    return asprintf(&printed, "%s%.*s", scheme, STR_ARG(host_port)) < 0 ? NULL : printed;
}

static int open_listener(struct app *app, const struct config_listener *listener)
{
    struct net_address address = listener->address;
    enum transport_door door =
        listener->is_behind_proxy ? TRANSPORT_BEHIND_PROXY : TRANSPORT_CLIENTS;
    int rc = listen_everywhere(app, listener->kind, door, &address);
    if (rc < 0)
        return rc;
    char scheme[8];
    snprintf(scheme, sizeof scheme, "%s://", transport_kind_name(listener->kind));
    if (app->listener_count == 0)
        app->first_bound = address;
    char *printed = print_address(scheme, &address);
    app->listeners[app->listener_count++] = printed;
    if (!printed)
        return fail(app, "out of memory");
    LOG_INFO("listening", LOG_TEXT("on", printed));
    return 0;
}

static int open_listeners(struct app *app)
{
    int first_error = 0;
    for (size_t i = 0; i < app->config->listen_count; i++) {
        int rc = open_listener(app, &app->config->listen[i]);
        first_error = first_error ? first_error : rc; /* all that are taken are named */
    }
    if (app->config->has_admin) {
        app->admin = app->config->admin;
        int rc = listen_everywhere(app, TRANSPORT_WS, TRANSPORT_ADMIN, &app->admin);
        first_error = first_error ? first_error : rc;
    }
    if (first_error < 0)
        return first_error;
    const char *advertise = app->config->advertise;
    app->sbc_address = advertise ? strdup(advertise) : print_address("", &app->first_bound);
    if (!app->sbc_address || (app->shared.cluster &&
                              redis_cluster_set_address(app->shared.cluster, app->sbc_address) < 0))
        return fail(app, "out of memory");
    web_set_addresses(app->shared.web, (const char *const *)app->listeners, app->listener_count,
                      app->sbc_address);
    return 0;
}

/* What is left of the files once callbacks have theirs, so that connections never take those. */
static uint64_t files_for_connections(const struct app *app, const struct config *config)
{
    uint64_t others = SPARE_FILES + config->callback.max_connections;
    for (size_t i = 0; i < config->realms.count; i++)
        if (config->realms.item[i].callback.uri)
            others += config->realms.item[i].callback.max_connections;
    return app->files_left > 2 * others ? app->files_left - others : app->files_left / 2;
}

/* Who would come when there is no file left is refused before, while those who are there go on. */
static void limit_connections(const struct app *app, const struct config *config)
{
    uint64_t files = files_for_connections(app, config);
    uint32_t connections = config->connections;
    if (connections > files) {
        LOG_WARN("limits.connections does not fit into RLIMIT_NOFILE",
                 LOG_NUM("wanted", connections), LOG_NUM("possible", files));
        connections = (uint32_t)files;
    }
    conn_limit_set(app->shared.limit, connections, config->connections_per_ip);
}

/* ---- Running ------------------------------------------------------------------------------- */

/* The page's address, where a browser is to go: the secure one first. */
static void print_pages(const struct app *app)
{
    static const struct {
        const char *listener, *page;
    } row[] = {
        {"wss://", "https://"},
        {"ws://",  "http://" },
    };
    for (size_t k = 0; k < sizeof row / sizeof *row; k++)
        for (size_t i = 0; i < app->listener_count; i++)
            if (str_starts_nocase(str_from(app->listeners[i]), str_from(row[k].listener)))
                printf("%s%s/\n", row[k].page, app->listeners[i] + strlen(row[k].listener));
}

static void print_demo(const struct app *app)
{
    char text[NET_ADDRESS_TEXT];
    printf("aorta " AORTA_VERSION " demo: open one of these pages in a browser.\n");
    print_pages(app);
    if (app->config->has_admin)
        printf("admin http://%.*s\n", STR_ARG(net_address_host_port(&app->admin, text)));
    for (int i = 0; has_demo_users(app->config) && i < DEMO_USERS; i++)
        printf("%s %s\n", app->demo.user[i].aor, app->demo.user[i].password);
    fflush(stdout);
}

static void command_all(struct app *app, enum worker_command command)
{
    for (unsigned i = 0; i < app->worker_count; i++)
        worker_command(&app->workers[i], command);
}

/* ---- Reloading ----------------------------------------------------------------------------- */

static void log_not_reloaded(const struct buf *error)
{
    struct str rest = error->len > 0 ? buf_str(error) : STR("out of memory"), line;
    while (str_split(&rest, '\n', &line))
        if (line.len > 0)
            LOG_ERROR("configuration not reloaded", LOG_STR("why", line));
}

/* Everything that may fail, before anything changes. */
static int load_again(struct app *app, struct settings **settings,
                      struct net_certificate **certificate, struct buf *kept, struct buf *error)
{
    struct config *config;
    int rc = config_reload(app->source, app->settings->config, &config, error, kept);
    if (rc < 0)
        return rc;
    rc = load_settings(app, config, settings, error);
    if (rc < 0 || !has_tls(app->config))
        return rc;
    rc = check_certificate((*settings)->config, error);
    if (rc == 0)
        rc = net_certificate_load((*settings)->config->tls_cert, (*settings)->config->tls_key,
                                  certificate, error);
    if (rc < 0)
        settings_release(*settings);
    return rc;
}

static void put_in_force(struct app *app, struct settings *settings,
                         struct net_certificate *certificate)
{
    const struct config *config = settings->config;
    log_set_level(config->log_level);
    limit_connections(app, config);
    if (bans_set_exempt(app->shared.bans, &config->never_ban, &config->trusted_proxies) < 0)
        LOG_ERROR("out of memory: limits.neverBan stays as it was");
    for (unsigned i = 0; i < app->worker_count; i++)
        worker_reload(&app->workers[i], settings, certificate);
    settings_release(app->settings);
    app->settings = settings;
}

static void reload(struct app *app)
{
    struct settings *settings;
    struct net_certificate *certificate = NULL;
    struct buf kept, error;
    buf_init_heap(&kept, ERROR_BYTES);
    buf_init_heap(&error, ERROR_BYTES);
    if (load_again(app, &settings, &certificate, &kept, &error) < 0) {
        log_not_reloaded(&error);
    } else {
        put_in_force(app, settings, certificate);
        if (kept.len > 0)
            LOG_WARN("these options change at a restart only", LOG_STR("keys", buf_str(&kept)));
        LOG_INFO("configuration reloaded", LOG_NUM("users", realms_user_count(settings->realms)));
    }
    net_certificate_release(certificate);
    buf_fini(&kept);
    buf_fini(&error);
}

static void set_log_level(enum log_level level)
{
    log_set_level(level);
    LOG_WARN("log level set by a signal", LOG_TEXT("level", log_level_name(level)));
}

static int wait_for_signal(struct app *app)
{
    for (;;) {
        int signal_number;
        if (sigwait(&app->signals, &signal_number) != 0)
            continue;
        switch (signal_number) {
        case SIGHUP:
            reload(app);
            break;
        case SIGUSR1:
            set_log_level(log_level() < LOG_LEVEL_TRACE ? log_level() + 1 : LOG_LEVEL_TRACE);
            break;
        case SIGUSR2:
            set_log_level(app->settings->config->log_level);
            break;
        default:
            return signal_number;
        }
    }
}

/* ---- Ending -------------------------------------------------------------------------------- */

/* The signal that the admin API sends is nobody's: two more end the drain, not one. */
static bool is_second(struct app *app, int signal_number)
{
    if (signal_number != SIGTERM && signal_number != SIGINT)
        return false;
    if (!atomic_load(&app->is_told_to_drain) || app->has_heard_twice)
        return true;
    app->has_heard_twice = true;
    return false;
}

/* Clients leave spread over the drain time; a second signal ends it at once. */
static void drain(struct app *app)
{
    uint32_t drain_s = app->settings->config->drain_s;
    LOG_INFO("draining: a second signal ends at once", LOG_NUM("seconds", drain_s));
    atomic_store(&app->state, NODE_DRAINING);
    command_all(app, WORKER_DRAIN);
    uint64_t end_ms = clock_now_ms() + drain_s * 1000ull;
    for (uint64_t now_ms; (now_ms = clock_now_ms()) < end_ms;) {
        uint64_t left_ms = end_ms - now_ms;
        struct timespec left = {(time_t)(left_ms / 1000), (long)(left_ms % 1000) * 1000000};
        if (is_second(app, sigtimedwait(&app->signals, NULL, &left)))
            return;
    }
}

static int serve(struct app *app)
{
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < app->worker_count; i++)
        rc = worker_start(&app->workers[i]);
    if (rc < 0) {
        buf_printf(&app->error, "a thread cannot start: %s", strerror(-rc));
    } else {
        atomic_store(&app->state, NODE_RUNNING);
        LOG_INFO("running", LOG_TEXT("version", AORTA_VERSION), LOG_TEXT("node", app->config->node),
                 LOG_NUM("workers", app->worker_count),
                 LOG_NUM("users", realms_user_count(app->settings->realms)));
        if (app->config->demo)
            print_demo(app);
        int signal_number = wait_for_signal(app);
        LOG_INFO("ending", LOG_TEXT("signal", strsignal(signal_number)));
        drain(app);
    }
    command_all(app, WORKER_STOP);
    for (unsigned i = 0; i < app->worker_count; i++)
        worker_join(&app->workers[i]);
    return rc;
}

/* ---- From start to end --------------------------------------------------------------------- */

static void close_app(struct app *app)
{
    for (unsigned i = 0; i < app->worker_count; i++)
        worker_close(&app->workers[i]);
    free(app->workers);
    web_free(app->shared.web);
    free(app->shared.metrics);
    journal_free(app->shared.journal);
    sip_traces_fini(&app->traces);
    conn_limit_free(app->shared.limit);
    address_rates_free(app->shared.request_rates);
    address_rates_free(app->shared.failure_rates);
    auth_free(app->shared.auth);
    store_close(app->shared.memory_store);
    redis_cluster_free(app->shared.cluster);
    events_free(app->shared.events);
    bans_free(app->shared.bans);
    settings_release(app->settings);
    config_free(app->config);
    own_hosts_fini(&app->own_hosts);
    for (size_t i = 0; i < app->listener_count; i++)
        free(app->listeners[i]);
    free(app->sbc_address);
    free(app->www);
    buf_fini(&app->error);
}

/* What the configuration names and cannot be used is an unusable configuration; what the machine
 * does not give is a failure. */
static int open_and_serve(struct app *app, struct config *config)
{
    int rc = privileges_can_become_user(config, &app->error);
    if (rc == 0 && config->demo)
        rc = demo_draw(&app->demo, &app->error);
    if (rc < 0) {
        config_free(config);
        return rc == -EINVAL ? EXIT_UNUSABLE : EXIT_FAILED;
    }
    if (load_settings(app, config, &app->settings, &app->error) < 0)
        return EXIT_UNUSABLE;
    app->config = settings_share_config(app->settings);
    if (open_certificate(app) < 0)
        return EXIT_UNUSABLE;
    if (open_shared(app) < 0)
        return EXIT_FAILED;
    if (open_page(app) < 0)
        return EXIT_UNUSABLE;
    if (open_workers(app) < 0 || open_listeners(app) < 0)
        return EXIT_FAILED;
    app->files_left = net_files_left();
    limit_connections(app, app->config);
    if (privileges_drop(app->config, app->source->file, &app->error) < 0 || serve(app) < 0)
        return EXIT_FAILED;
    return EXIT_OK;
}

int app_run(struct config *config, const struct config_source *source)
{
    struct app app = {.source = source, .state = NODE_STARTING};
    buf_init_heap(&app.error, ERROR_BYTES);
    log_configure(config->log_level, config->log_format);
    net_init();
    sigemptyset(&app.signals);
    sigaddset(&app.signals, SIGTERM);
    sigaddset(&app.signals, SIGINT);
    sigaddset(&app.signals, SIGHUP);
    sigaddset(&app.signals, SIGUSR1);
    sigaddset(&app.signals, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &app.signals, NULL);
    int status = open_and_serve(&app, config);
    print_error(&app.error);
    if (status == EXIT_OK)
        LOG_INFO("ended");
    close_app(&app);
    return status;
}
