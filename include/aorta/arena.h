/* aorta/arena.h - memory that lives as long as one message and goes all at once.
 * One thread at a time. */
#ifndef AORTA_ARENA_H
#define AORTA_ARENA_H
#include <aorta/str.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *first;   /* kept over resets */
    struct arena_chunk *current; /* where the next allocation comes from */
    size_t used;                 /* bytes taken in `current` */
    size_t total_bytes;          /* of all chunks */
    size_t max_bytes;            /* no more than this in all */
};

/* -ENOMEM if the first chunk cannot be had. `max_bytes` >= `first_bytes`. */
int arena_init(struct arena *a, size_t first_bytes, size_t max_bytes);
void arena_fini(struct arena *a);
/* Forgets everything and gives all chunks but the first back to the system. */
void arena_reset(struct arena *a);
/* 16-byte aligned, not zeroed. NULL when the system or `max_bytes` has no more. */
void *arena_alloc(struct arena *a, size_t n);
void *arena_zalloc(struct arena *a, size_t n);
/* A copy, zero-terminated for the libraries that ask for it. .ptr is NULL when out of memory. */
struct str arena_copy(struct arena *a, struct str s);
#endif
