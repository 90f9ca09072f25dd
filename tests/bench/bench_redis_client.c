/* bench_redis_client [COUNT [IN_FLIGHT]]: what a script call through the Redis client costs this
 * process, against a redis-server of its own. Prints one line of JSON; exit status 1 when an answer
 * was not right. */
#include "contract/redis_server.h"
#include <aorta/log.h>
#include <aorta/redis_client.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { LIMIT_MS = 10000, VALUE_BYTES = 400 };

struct bench {
    struct net_loop *loop;
    struct redis_client *client;
    struct redis_script script;
    size_t count, in_flight, sent, answered, wrong;
    double began_s, began_cpu_s, wall_s, cpu_s;
};

static double wall_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_s(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void on_answer(void *arg, const struct redis_reply *reply);

/* As long as what a store writes for a binding. */
static void call_script(struct bench *b)
{
    static char value[VALUE_BYTES];
    char key[48];
    snprintf(key, sizeof key, "user:%07zu@sip.example.com", b->sent % 10000);
    memset(value, 'v', sizeof value);
    const struct str args[] = {
        str_from(key), STR("binding:1"), {value, sizeof value},
          STR("60000")
    };
    b->wrong += redis_client_eval(b->client, &b->script, 1, args, sizeof args / sizeof *args,
                                  on_answer, b) != 0;
    b->sent++;
}

static void on_answer(void *arg, const struct redis_reply *reply)
{
    struct bench *b = arg;
    b->wrong += !reply || redis_reply_type(reply) != REDIS_TYPE_ARRAY;
    if (++b->answered == b->count) {
        b->wall_s = wall_s() - b->began_s;
        b->cpu_s = cpu_s() - b->began_cpu_s;
        net_loop_stop(b->loop);
    } else if (b->sent < b->count) {
        call_script(b);
    }
}

static void on_up(void *arg, struct str run_id)
{
    struct bench *b = arg;
    (void)run_id;
    b->began_s = wall_s();
    b->began_cpu_s = cpu_s();
    while (b->sent < b->in_flight && b->sent < b->count)
        call_script(b);
}

static void on_down(void *arg, const char *why)
{
    (void)arg;
    fprintf(stderr, "bench_redis_client: %s\n", why);
    exit(1);
}

static void nothing(void *arg)
{
    (void)arg;
}

static void run(struct bench *b, const struct redis_server *server)
{
    static const struct net_stream_events no_streams;
    const struct net_loop_events loop_events = {nothing, nothing, b};
    const struct redis_client_events events = {on_up, on_down, b};
    const struct redis_client_options options = {.host = "127.0.0.1",
                                                 .port = redis_server_port(server),
                                                 .connect_timeout_ms = LIMIT_MS,
                                                 .command_timeout_ms = LIMIT_MS,
                                                 .max_pending = b->in_flight};
    if (net_loop_open(&loop_events, &no_streams, NULL, NULL, NULL, &b->loop, NULL) < 0)
        exit(1);
    b->client = redis_client_new(b->loop, &options, &events);
    if (!b->client)
        exit(1);
    net_loop_run(b->loop);
    redis_client_free(b->client);
    net_loop_close(b->loop);
}

int main(int argc, char **argv)
{
    struct bench b = {.count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000,
                      .in_flight = argc > 2 ? strtoul(argv[2], NULL, 10) : 64};
    if (b.count == 0 || b.in_flight == 0)
        return 2;
    net_init();
    log_set_level(LOG_LEVEL_ERROR);
    redis_script_init(&b.script, "local had = redis.call('HGETALL', KEYS[1]) "
                                 "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) "
                                 "redis.call('PEXPIRE', KEYS[1], ARGV[3]) "
                                 "return had");
    struct redis_server *server = redis_server_new(NULL);
    run(&b, server);
    redis_server_free(server);
    printf("{\"calls\":%zu,\"inFlight\":%zu,\"callsPerSecond\":%.0f,\"cpuMicroseconds\":%.2f,"
           "\"wrong\":%zu}\n",
           b.answered, b.in_flight, (double)b.answered / b.wall_s,
           b.cpu_s * 1e6 / (double)b.answered, b.wrong);
    return b.wrong == 0 ? 0 : 1;
}
