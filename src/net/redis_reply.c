/* Answers are built by functions of our own, which hiredis' reader calls: an answer is one piece of
 * memory with a cap, used again for the next one. hiredis' own functions would set aside memory for
 * as many items as a server announces. */
#include "redis_internal.h"
#include <errno.h>

enum { FIRST_BYTES = 8192 };

struct redis_reply {
    enum redis_type type;
    union {
        struct str text;
        int64_t integer;
        struct {
            struct redis_reply *items;
            size_t count;
        };
    };
};

/* hiredis aborts the process when a server answers what it was not asked. */
static bool is_asked_for(struct redis_reply_builder *b)
{
    if (b->context->replies.head)
        return true;
    b->fault = "the server sent an answer to nothing";
    return false;
}

static void *alloc(struct redis_reply_builder *b, size_t n)
{
    void *memory = arena_alloc(&b->arena, n);
    if (!memory)
        b->fault = "an answer is too long";
    return memory;
}

/* Where the next piece of an answer goes: into its array, or to the beginning. NULL ends the
 * connection. */
static struct redis_reply *place(const redisReadTask *task)
{
    if (task->parent) {
        struct redis_reply *array = task->parent->obj;
        return &array->items[task->idx];
    }
    struct redis_reply_builder *b = task->privdata;
    arena_reset(&b->arena);
    return is_asked_for(b) ? alloc(b, sizeof(struct redis_reply)) : NULL;
}

static void *create_text(const redisReadTask *task, char *bytes, size_t len)
{
    struct redis_reply_builder *b = task->privdata;
    struct redis_reply *reply = place(task);
    char *copy = reply ? alloc(b, len) : NULL;
    if (!copy)
        return NULL;
    memcpy(copy, bytes, len);
    reply->type = task->type == REDIS_REPLY_ERROR ? REDIS_TYPE_ERROR : REDIS_TYPE_TEXT;
    reply->text = (struct str){copy, len};
    return reply;
}

static void *create_array(const redisReadTask *task, int count)
{
    struct redis_reply_builder *b = task->privdata;
    struct redis_reply *reply = place(task);
    struct redis_reply *items = reply ? alloc(b, (size_t)count * sizeof *items) : NULL;
    if (!items)
        return NULL;
    reply->type = REDIS_TYPE_ARRAY;
    reply->items = items;
    reply->count = (size_t)count;
    return reply;
}

static void *create_integer(const redisReadTask *task, long long integer)
{
    struct redis_reply *reply = place(task);
    if (reply)
        *reply = (struct redis_reply){.type = REDIS_TYPE_INTEGER, .integer = integer};
    return reply;
}

static void *create_nil(const redisReadTask *task)
{
    struct redis_reply *reply = place(task);
    if (reply)
        *reply = (struct redis_reply){.type = REDIS_TYPE_NIL};
    return reply;
}

static void free_nothing(void *reply)
{
    (void)reply; /* its memory is the next one's */
}

int redis_reply_builder_init(struct redis_reply_builder *b, redisAsyncContext *context)
{
    static redisReplyObjectFunctions functions = {
        .createString = create_text,
        .createArray = create_array,
        .createInteger = create_integer,
        .createNil = create_nil,
        .freeObject = free_nothing,
    };
    *b = (struct redis_reply_builder){.context = context};
    if (arena_init(&b->arena, FIRST_BYTES, REDIS_REPLY_MAX_BYTES) < 0)
        return -ENOMEM;
    context->c.reader->fn = &functions;
    context->c.reader->privdata = b;
    return 0;
}

void redis_reply_builder_fini(struct redis_reply_builder *b)
{
    arena_fini(&b->arena);
}

enum redis_type redis_reply_type(const struct redis_reply *reply)
{
    return reply->type;
}

struct str redis_reply_text(const struct redis_reply *reply)
{
    bool has_text = reply->type == REDIS_TYPE_TEXT || reply->type == REDIS_TYPE_ERROR;
    return has_text ? reply->text : STR_NONE;
}

int64_t redis_reply_integer(const struct redis_reply *reply)
{
    return reply->type == REDIS_TYPE_INTEGER ? reply->integer : 0;
}

size_t redis_reply_count(const struct redis_reply *reply)
{
    return reply->type == REDIS_TYPE_ARRAY ? reply->count : 0;
}

const struct redis_reply *redis_reply_item(const struct redis_reply *reply, size_t i)
{
    return &reply->items[i];
}
