/* redis_args.h - the arguments of one command, put together in an arena. After the first one
 * that there was no memory for, it is not sent. */
#ifndef AORTA_REDIS_ARGS_H
#define AORTA_REDIS_ARGS_H
#include "store_redis_internal.h"

struct redis_args {
    struct arena *arena;
    struct str *arg;
    size_t count, most;
    bool is_out_of_memory;
};

/* For at most `most` arguments. */
void redis_args_init(struct redis_args *c, struct arena *arena, size_t most);
void redis_args_put(struct redis_args *c, struct str s); /* borrows; .ptr NULL: no memory */
void redis_args_put_number(struct redis_args *c, uint64_t n);
void redis_args_put_hex(struct redis_args *c, uint64_t n); /* 16 digits: ids, revisions */
void redis_args_printf(struct redis_args *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* As redis_client_eval(), or -ENOMEM. */
int redis_args_eval(const struct redis_args *c, struct redis_client *client,
                    const struct redis_script *script, size_t key_count, redis_replied_fn *done,
                    void *arg);
#endif
