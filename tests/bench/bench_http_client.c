/* bench_http_client [COUNT [IN_FLIGHT]]: what a POST over kept connections costs the client, in CPU
 * time of its process (kernel included), against a server of another process that answers at once.
 * Prints one line of JSON: the median of the rounds, and their extremes. */
#include <aorta/http_client.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 9, EVENTS = 64, REQUEST_BYTES = 8192, GIVE_UP_S = 120 };

/* As long as what the registrar asks. */
#define QUESTION                                                                                  \
    "{\"method\":\"REGISTER\",\"expires\":3600,\"scheme\":\"digest\",\"username\":"               \
    "\"user0000001\","                                                                            \
    "\"realm\":\"sip.example.com\",\"nonce\":\"0123456789abcdef0123456789abcdef01234567\","       \
    "\"uri\":\"sip:sip.example.com\",\"response\":\"0123456789abcdef0123456789abcdef\","          \
    "\"qop\":\"auth\",\"nc\":\"00000001\",\"cnonce\":\"0123456789abcdef\",\"algorithm\":\"MD5\"," \
    "\"aor\":\"user0000001@sip.example.com\",\"source_address\":\"198.51.100.1\","                \
    "\"source_port\":5060,\"protocol\":\"udp\",\"call_id\":\"0123456789@10.0.0.101\"}"
#define ANSWER                                                                        \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n" \
    "{\"status\":\"ok\"}"

/* ---- The server ---------------------------------------------------------------------------- */

static void watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

/* A request is small and arrives whole; there is nothing in it to look at. */
static void serve(int listener)
{
    char request[REQUEST_BYTES];
    struct epoll_event events[EVENTS];
    int epoll = epoll_create1(0);
    watch(epoll, listener);
    alarm(GIVE_UP_S); /* should the client be killed */
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener)
                watch(epoll, accept(listener, NULL, NULL));
            else if (read(fd, request, sizeof request) <= 0 ||
                     write(fd, ANSWER, sizeof ANSWER - 1) < 0)
                close(fd);
        }
    }
}

static int open_listener(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 512) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        return -1;
    *port = ntohs(address.sin_port);
    return fd;
}

/* ---- The client ---------------------------------------------------------------------------- */

struct bench {
    struct net_loop *loop;
    struct http_lane *lane;
    unsigned long unsent, unanswered, failed;
};

static void do_nothing(void *arg)
{
    (void)arg;
}

static void take_answer(void *arg, const struct http_answer *answer);

static void post(struct bench *b)
{
    b->unsent--;
    http_lane_post(b->lane, STR(QUESTION), take_answer, b);
}

static void take_answer(void *arg, const struct http_answer *answer)
{
    struct bench *b = arg;
    b->failed += answer->error < 0 || answer->status != 200 || answer->body.len != 15;
    if (b->unsent > 0)
        post(b);
    if (--b->unanswered == 0)
        net_loop_stop(b->loop);
}

static double cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static double run_round(struct bench *b, unsigned long count, unsigned in_flight)
{
    double begin = cpu_us();
    b->unsent = b->unanswered = count;
    for (unsigned i = 0; i < in_flight; i++)
        post(b);
    net_loop_run(b->loop);
    return (cpu_us() - begin) / (double)count;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int run(struct bench *b, uint16_t port, unsigned long count, unsigned in_flight)
{
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/auth", port);
    const struct http_lane_options options = {.url = url,
                                              .username = "aorta",
                                              .password = "secret",
                                              .timeout_ms = 10000,
                                              .max_in_flight = in_flight,
                                              .max_queued = 1000,
                                              .max_answer_bytes = 65536};
    struct http_client *client = http_client_new(b->loop);
    b->lane = client ? http_lane_open(client, &options) : NULL;
    if (!b->lane)
        return 1;
    double us[ROUNDS];
    for (int i = 0; i < ROUNDS; i++)
        us[i] = run_round(b, count, in_flight);
    http_client_free(client);
    qsort(us, ROUNDS, sizeof *us, by_value);
    printf("{\"requests\":%lu,\"inFlight\":%u,\"cpuUs\":%.1f,\"least\":%.1f,\"most\":%.1f}\n",
           count * ROUNDS, in_flight, us[ROUNDS / 2], us[0], us[ROUNDS - 1]);
    if (b->failed > 0)
        fprintf(stderr, "%lu failed\n", b->failed);
    return b->failed > 0;
}

int main(int argc, char **argv)
{
    unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 20000;
    unsigned long in_flight = argc > 2 ? strtoul(argv[2], NULL, 10) : 32;
    if (in_flight == 0 || in_flight > 256 || count < in_flight || count > 10000000) {
        fprintf(stderr, "usage: bench_http_client [COUNT [IN_FLIGHT]], of each round\n");
        return 2;
    }
    uint16_t port;
    int listener = open_listener(&port);
    pid_t server = listener < 0 ? -1 : fork();
    if (server < 0)
        return 1;
    if (server == 0)
        serve(listener);

    net_init();
    static const struct net_stream_events no_streams;
    const struct net_loop_events events = {do_nothing, do_nothing, NULL};
    char memory[256];
    struct buf error;
    buf_init_fixed(&error, memory, sizeof memory);
    struct bench b = {0};
    int status = 1;
    if (net_loop_open(&events, &no_streams, NULL, NULL, NULL, &b.loop, &error) == 0)
        status = run(&b, port, count, (unsigned)in_flight);
    net_loop_close(b.loop);
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    return status;
}
