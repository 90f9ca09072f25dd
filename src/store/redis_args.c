#include "redis_args.h"
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

enum { PRINTED_BYTES = 512 };

void redis_args_init(struct redis_args *c, struct arena *arena, size_t most)
{
    *c = (struct redis_args){.arena = arena, .most = most};
    c->arg = arena_alloc(arena, most * sizeof *c->arg);
    c->is_out_of_memory = !c->arg;
}

void redis_args_put(struct redis_args *c, struct str s)
{
    c->is_out_of_memory |= !s.ptr || c->count == c->most;
    if (!c->is_out_of_memory)
        c->arg[c->count++] = s;
}

void redis_args_printf(struct redis_args *c, const char *format, ...)
{
    char text[PRINTED_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    bool is_whole = n >= 0 && (size_t)n < sizeof text;
    redis_args_put(c, is_whole ? arena_copy(c->arena, (struct str){text, (size_t)n}) : STR_NONE);
}

void redis_args_put_number(struct redis_args *c, uint64_t n)
{
    char memory[20];
    struct buf digits;
    buf_init_fixed(&digits, memory, sizeof memory);
    buf_put_u64(&digits, n);
    redis_args_put(c, arena_copy(c->arena, buf_str(&digits)));
}

void redis_args_put_hex(struct redis_args *c, uint64_t n)
{
    char memory[2 * sizeof n];
    uint64_t big_endian = htobe64(n);
    struct buf digits;
    buf_init_fixed(&digits, memory, sizeof memory);
    buf_put_hex(&digits, (const uint8_t *)&big_endian, sizeof big_endian);
    redis_args_put(c, arena_copy(c->arena, buf_str(&digits)));
}

int redis_args_eval(const struct redis_args *c, struct redis_client *client,
                    const struct redis_script *script, size_t key_count, redis_replied_fn *done,
                    void *arg)
{
    return c->is_out_of_memory
               ? -ENOMEM
               : redis_client_eval(client, script, key_count, c->arg, c->count, done, arg);
}
