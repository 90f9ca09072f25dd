/* Where is somebody registered? With hiredis and cJSON:
 *   cc -o read read.c $(pkg-config --cflags --libs hiredis libcjson) && ./read alice@example.com
 * Host and port of Redis come from REDIS_HOST and REDIS_PORT. One JSON line a contact, the best
 * first. */
#include <cjson/cJSON.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_BINDINGS = 64 };

static const char *from_environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value ? value : otherwise;
}

static double number(const cJSON *binding, const char *name)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(binding, name));
}

/* RFC 3261 16.6: the highest q first; then the one that lives longest. */
static int compare(const void *a, const void *b)
{
    const cJSON *one = *(cJSON *const *)a, *two = *(cJSON *const *)b;
    double by_q = number(two, "q") - number(one, "q");
    double order = by_q != 0 ? by_q : number(two, "expiryTime") - number(one, "expiryTime");
    return order > 0 ? 1 : order < 0 ? -1 : 0;
}

/* Those that have not expired: in its grace, one may be gone any moment. */
static size_t read_living(const redisReply *fields, cJSON *living[MAX_BINDINGS])
{
    double now_ms = (double)time(NULL) * 1000;
    size_t count = 0;
    for (size_t i = 0; i + 1 < fields->elements && count < MAX_BINDINGS; i += 2) {
        if (strncmp(fields->element[i]->str, "binding:", 8) != 0)
            continue;
        cJSON *binding = cJSON_Parse(fields->element[i + 1]->str);
        if (binding && number(binding, "expiryTime") > now_ms)
            living[count++] = binding;
        else
            cJSON_Delete(binding);
    }
    return count;
}

static void print_one(const cJSON *binding)
{
    static const char *const shown[] = {"contact", "protocol", "proxy", "sbcAddress"};
    cJSON *line = cJSON_CreateObject();
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        cJSON_AddItemToObject(line, shown[i],
                              cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(binding, shown[i]),
                                              1));
    char *text = cJSON_PrintUnformatted(line);
    puts(text ? text : "{}");
    free(text);
    cJSON_Delete(line);
}

int main(int argc, char **argv)
{
    redisContext *redis = redisConnect(from_environment("REDIS_HOST", "127.0.0.1"),
                                       atoi(from_environment("REDIS_PORT", "6379")));
    redisReply *fields =
        argc == 2 && redis && !redis->err ? redisCommand(redis, "HGETALL user:%s", argv[1]) : NULL;
    if (!fields || fields->type == REDIS_REPLY_ERROR) {
        fprintf(stderr, "read: %s\n", argc != 2 ? "give an address" : "Redis does not answer");
        return 1;
    }
    cJSON *living[MAX_BINDINGS];
    size_t count = read_living(fields, living);
    qsort(living, count, sizeof *living, compare);
    for (size_t i = 0; i < count; i++) {
        print_one(living[i]);
        cJSON_Delete(living[i]);
    }
    freeReplyObject(fields);
    redisFree(redis);
    return 0;
}
