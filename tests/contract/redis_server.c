#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "contract/redis_server.h"
#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ARGS = 32, WAIT_MS = 20000, LOOK_EVERY_MS = 5, PORTS_TRIED = 200 };

struct redis_server {
    const char *const *args;
    uint16_t port;
    pid_t pid; /* 0: does not run */
    char folder[64];
    pid_t keeper; /* removes the folder when `lifeline` is closed, or when we are no more */
    int lifeline;
};

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static bool can_bind(uint16_t port)
{
    struct sockaddr_in a = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    bool can = bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
    close(fd);
    return can;
}

/* From the range that the system gives away a client that calls again and again would one day get
 * this very port for itself, and be connected with itself. */
uint16_t redis_server_free_port(void)
{
    for (int i = 0; i < PORTS_TRIED; i++) {
        uint16_t random;
        assert_int_equal(getrandom(&random, sizeof random, 0), sizeof random);
        uint16_t port = (uint16_t)(20000 + random % 12000);
        if (can_bind(port))
            return port;
    }
    fail_msg("no free port");
    return 0;
}

/* ---- Processes ----------------------------------------------------------------------------- */

static void end_with_parent(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
}

static void exec_server(const struct redis_server *server)
{
    char port[8];
    snprintf(port, sizeof port, "%u", server->port);
    const char *argv[MAX_ARGS] = {
        "redis-server", "--port", port,    "--bind",       "127.0.0.1", "--save",    "",
        "--appendonly", "no",     "--dir", server->folder, "--logfile", "redis.log", NULL};
    size_t count = 0;
    while (argv[count])
        count++;
    for (size_t i = 0; server->args && server->args[i] && count < MAX_ARGS - 1; i++)
        argv[count++] = server->args[i];
    execvp(argv[0], (char *const *)argv);
    _exit(127);
}

static void spawn_server(struct redis_server *server)
{
    pid_t parent = getpid();
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid > 0)
        return;
    end_with_parent(parent);
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDOUT_FILENO);
    exec_server(server);
}

static void spawn_keeper(struct redis_server *server)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    server->keeper = fork();
    assert_true(server->keeper >= 0);
    if (server->keeper == 0) {
        dup2(ends[0], STDIN_FILENO);
        execl("/bin/sh", "sh", "-c", "trap '' INT TERM HUP; cat >/dev/null; rm -rf -- \"$1\"", "sh",
              server->folder, (char *)NULL);
        _exit(127);
    }
    close(ends[0]);
    server->lifeline = ends[1];
}

static void reap(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static void end_server(struct redis_server *server, int signal_number)
{
    if (server->pid == 0)
        return;
    kill(server->pid, signal_number);
    reap(server->pid);
    server->pid = 0;
}

static bool has_ended(struct redis_server *server)
{
    if (waitpid(server->pid, NULL, WNOHANG) != server->pid)
        return false;
    server->pid = 0;
    return true;
}

/* ---- Asking -------------------------------------------------------------------------------- */

/* NULL when nobody listens. */
static FILE *connect_to(const struct redis_server *server)
{
    struct sockaddr_in a = loopback(server->port);
    const struct timeval limit = {.tv_sec = WAIT_MS / 1000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        close(fd);
        return NULL;
    }
    FILE *stream = fdopen(fd, "r+");
    assert_non_null(stream);
    return stream;
}

static bool read_text(FILE *stream, size_t len, char *answer, size_t size)
{
    if (len >= size || fread(answer, 1, len, stream) != len)
        return false;
    answer[len] = 0;
    char end[2];
    return fread(end, 1, sizeof end, stream) == sizeof end;
}

static bool read_answer(FILE *stream, char *answer, size_t size)
{
    char line[1024];
    if (!fgets(line, sizeof line, stream))
        return false;
    line[strcspn(line, "\r\n")] = 0;
    if (line[0] == '$' && line[1] != '-')
        return read_text(stream, strtoul(line + 1, NULL, 10), answer, size);
    const char *text = line[0] == '$' ? "(nil)" : line[0] == '-' ? line : line + 1;
    return line[0] != '*' && snprintf(answer, size, "%s", text) < (int)size;
}

static bool ask(const struct redis_server *server, const char *commands, char *answer, size_t size)
{
    FILE *stream = connect_to(server);
    if (!stream)
        return false;
    fprintf(stream, "%s\r\n", commands); /* a lone line feed ends a command as well */
    bool is_answered = fflush(stream) == 0;
    for (const char *at = commands; at && is_answered; at = strchr(at, '\n')) {
        at += *at == '\n';
        is_answered = read_answer(stream, answer, size);
    }
    fclose(stream);
    return is_answered;
}

char *redis_server_ask(struct redis_server *server, const char *commands, char *answer, size_t size)
{
    if (!ask(server, commands, answer, size))
        fail_msg("redis-server does not answer: %s", commands);
    return answer;
}

/* ---- Life ---------------------------------------------------------------------------------- */

static bool is_ready(const struct redis_server *server)
{
    char answer[1024];
    return ask(server, "PING", answer, sizeof answer) && strncmp(answer, "-LOADING", 8) != 0;
}

/* False when it ended instead: somebody took the port. */
static bool wait_until_ready(struct redis_server *server)
{
    const struct timespec pause = {.tv_nsec = LOOK_EVERY_MS * 1000000L};
    for (int waited_ms = 0; waited_ms < WAIT_MS; waited_ms += LOOK_EVERY_MS) {
        if (has_ended(server))
            return false;
        if (is_ready(server))
            return true;
        nanosleep(&pause, NULL);
    }
    return false;
}

void redis_server_start(struct redis_server *server)
{
    assert_int_equal(server->pid, 0);
    spawn_server(server);
    if (!wait_until_ready(server))
        fail_msg("redis-server does not start on port %u (is it installed?)", server->port);
}

static bool start_first_time(struct redis_server *server)
{
    server->port = redis_server_free_port();
    spawn_server(server);
    if (wait_until_ready(server))
        return true;
    end_server(server, SIGKILL);
    return false;
}

struct redis_server *redis_server_new(const char *const *args)
{
    struct redis_server *server = calloc(1, sizeof *server);
    assert_non_null(server);
    *server = (struct redis_server){.args = args, .folder = "/tmp/aorta-redis-XXXXXX"};
    assert_non_null(mkdtemp(server->folder));
    spawn_keeper(server);
    for (int tries = 0; tries < 5; tries++)
        if (start_first_time(server))
            return server;
    redis_server_free(server);
    fail_msg("redis-server does not start (is it installed?)");
    return NULL;
}

void redis_server_free(struct redis_server *server)
{
    if (!server)
        return;
    end_server(server, SIGKILL);
    close(server->lifeline);
    reap(server->keeper);
    free(server);
}

uint16_t redis_server_port(const struct redis_server *server)
{
    return server->port;
}

void redis_server_stop(struct redis_server *server)
{
    end_server(server, SIGTERM);
}

void redis_server_kill(struct redis_server *server)
{
    end_server(server, SIGKILL);
}

void redis_server_pause(struct redis_server *server)
{
    int status;
    kill(server->pid, SIGSTOP);
    assert_int_equal(waitpid(server->pid, &status, WUNTRACED), server->pid);
    assert_true(WIFSTOPPED(status));
}

void redis_server_resume(struct redis_server *server)
{
    kill(server->pid, SIGCONT);
}
