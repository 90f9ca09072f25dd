/* Commands as Redis reads them, and the queue of those without an answer. */
#include "redis_internal.h"
#include <errno.h>
#include <stdlib.h>

static void put_line(struct buf *b, char mark, size_t n)
{
    char line[24];
    size_t at = sizeof line;
    line[--at] = '\n';
    line[--at] = '\r';
    do
        line[--at] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    line[--at] = mark;
    buf_put(b, line + at, sizeof line - at);
}

void redis_command_begin(struct buf *b, size_t count)
{
    put_line(b, '*', count);
}

void redis_command_put(struct buf *b, struct str arg)
{
    put_line(b, '$', arg.len);
    buf_put_str(b, arg);
    buf_put(b, "\r\n", 2);
}

void redis_script_init(struct redis_script *script, const char *text)
{
    static const char digit[] = "0123456789abcdef";
    unsigned char digest[20];
    lws_SHA1((const unsigned char *)text, strlen(text), digest);
    script->text = text;
    for (size_t i = 0; i < sizeof digest; i++) {
        script->sha1[2 * i] = digit[digest[i] >> 4];
        script->sha1[2 * i + 1] = digit[digest[i] & 15];
    }
    script->sha1[2 * sizeof digest] = 0;
}

int redis_queue_init(struct redis_queue *q, size_t size)
{
    struct redis_sent *ring = calloc(size, sizeof *ring);
    if (!ring)
        return -ENOMEM;
    *q = (struct redis_queue){.ring = ring, .size = size};
    return 0;
}

void redis_queue_fini(struct redis_queue *q)
{
    free(q->ring);
    *q = (struct redis_queue){0};
}

void redis_queue_push(struct redis_queue *q, const struct redis_sent *sent)
{
    if (q->count == 0)
        q->first = 0; /* the same few pages again */
    size_t at = q->first + q->count++;
    q->ring[at < q->size ? at : at - q->size] = *sent;
}

const struct redis_sent *redis_queue_first(const struct redis_queue *q)
{
    return q->count > 0 ? &q->ring[q->first] : NULL;
}

struct redis_sent redis_queue_pop(struct redis_queue *q)
{
    struct redis_sent sent = q->ring[q->first];
    q->first = q->first + 1 < q->size ? q->first + 1 : 0;
    q->count--;
    return sent;
}
