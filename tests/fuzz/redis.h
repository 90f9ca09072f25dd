/* redis.h - what a Redis server says, read as the store reads it. */
#ifndef FUZZ_REDIS_H
#define FUZZ_REDIS_H
#include <aorta/str.h>

/* `resp` is what the server sends, in pieces of `step` bytes. Each whole answer is read as what the
 * key of an AOR holds, in the layout; each binding found must be fit to be told to clients, and be
 * the same when it is written and read again. */
void redis_try(struct str resp, size_t step, bool is_jambonz);
#endif
