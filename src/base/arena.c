#include <aorta/arena.h>
#include <errno.h>
#include <stdlib.h>

/* The address sanitizer knows what malloc() gave, which is whole chunks. Told of it, it also finds
 * who goes past the end of his piece, or looks at one after the message has gone. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_IS_WATCHED
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_IS_WATCHED
#endif
#ifdef ARENA_IS_WATCHED
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(memory, n) ((void)(memory), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(memory, n) ((void)(memory), (void)(n))
#endif

enum { ALIGNMENT = 16 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* of `data` */
    _Alignas(ALIGNMENT) unsigned char data[];
};

static size_t align_up(size_t n)
{
    return (n + (ALIGNMENT - 1)) & ~(size_t)(ALIGNMENT - 1);
}

static struct arena_chunk *chunk_new(size_t size)
{
    struct arena_chunk *chunk = malloc(sizeof *chunk + size);
    if (!chunk)
        return NULL;
    *chunk = (struct arena_chunk){.size = size};
    ASAN_POISON_MEMORY_REGION(chunk->data, size);
    return chunk;
}

int arena_init(struct arena *a, size_t first_bytes, size_t max_bytes)
{
    if (first_bytes > SIZE_MAX / 2)
        return -ENOMEM;
    size_t size = align_up(first_bytes);
    struct arena_chunk *first = chunk_new(size);
    if (!first)
        return -ENOMEM;
    *a = (struct arena){.first = first, .current = first, .total_bytes = size};
    a->max_bytes = max_bytes > size ? max_bytes : size;
    return 0;
}

void arena_fini(struct arena *a)
{
    if (a->first) {
        arena_reset(a);
        free(a->first);
    }
    *a = (struct arena){0};
}

void arena_reset(struct arena *a)
{
    struct arena_chunk *chunk = a->first->next;
    while (chunk) {
        struct arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    a->first->next = NULL;
    a->current = a->first;
    a->used = 0;
    a->total_bytes = a->first->size;
    ASAN_POISON_MEMORY_REGION(a->first->data, a->first->size);
}

static struct arena_chunk *add_chunk(struct arena *a, size_t size)
{
    if (size > a->max_bytes - a->total_bytes)
        return NULL;
    struct arena_chunk *chunk = chunk_new(size);
    if (!chunk)
        return NULL;
    chunk->next = a->first->next;
    a->first->next = chunk;
    a->total_bytes += size;
    return chunk;
}

/* A big request, or one near the limit, has a chunk to itself; the current one goes on. */
static void *alloc_alone(struct arena *a, size_t n)
{
    struct arena_chunk *chunk = add_chunk(a, n);
    return chunk ? chunk->data : NULL;
}

static void *alloc_aligned(struct arena *a, size_t n)
{
    if (n > a->current->size - a->used) {
        size_t usual = a->first->size;
        struct arena_chunk *chunk = n <= usual / 4 ? add_chunk(a, usual) : NULL;
        if (!chunk)
            return alloc_alone(a, n);
        a->current = chunk;
        a->used = 0;
    }
    void *memory = a->current->data + a->used;
    a->used += n;
    return memory;
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        return NULL;
    void *memory = alloc_aligned(a, n > 0 ? align_up(n) : ALIGNMENT);
    if (memory)
        ASAN_UNPOISON_MEMORY_REGION(memory, n);
    return memory;
}

void *arena_zalloc(struct arena *a, size_t n)
{
    void *memory = arena_alloc(a, n);
    return memory ? memset(memory, 0, n) : NULL;
}

struct str arena_copy(struct arena *a, struct str s)
{
    char *copy = s.len < SIZE_MAX ? arena_alloc(a, s.len + 1) : NULL;
    if (!copy)
        return STR_NONE;
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return (struct str){copy, s.len};
}
