/* Preloaded into a program, it lets one of its allocations fail, or all from one on. A test tells
 * it when by a small file that both map: FAIL_ALLOC_FILE   the file FAIL_ALLOC_IN     names of
 * modules, separated by colons, whose calls count: "" is the program itself, "cjson" any library
 * with that in its name. Others always succeed. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX_MODULES = 32, FIRST_BYTES = 65536 };

/* In the order and width in which the test reads and writes it, each 8 bytes. */
struct control {
    _Atomic int64_t nth;    /* fail that one from now on; 0: none */
    _Atomic int64_t length; /* how many fail in a row */
    _Atomic int64_t seen, failed;
    _Atomic uint64_t where; /* the first that failed: its caller, from the start of its module */
};

static struct control *control;
static struct {
    uintptr_t start, end, base;
} module[MAX_MODULES];
static size_t module_count;
static void *(*real_malloc)(size_t), *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t);
static void (*real_free)(void *);
/* What dlsym() itself asks for while the real ones are looked up. */
static _Alignas(16) char first_memory[FIRST_BYTES];
static size_t first_used;

static void *first_alloc(size_t size)
{
    size_t at = first_used;
    first_used += (size + 15) & ~(size_t)15;
    return first_used <= sizeof first_memory ? first_memory + at : NULL;
}

static bool is_first(const void *p)
{
    return (const char *)p >= first_memory && (const char *)p < first_memory + FIRST_BYTES;
}

static void look_up(void)
{
    static bool is_under_way;
    if (real_free || is_under_way)
        return;
    is_under_way = true;
    *(void **)&real_malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&real_calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&real_realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&real_free = dlsym(RTLD_NEXT, "free");
}

/* ---- Whose call it is ---------------------------------------------------------------------- */

static bool is_named(const char *name, const char *names)
{
    for (const char *at = names;; at++) {
        size_t n = strcspn(at, ":");
        char one[64] = "";
        snprintf(one, sizeof one, "%.*s", (int)n, at);
        if (n == 0 ? *name == 0 : strstr(name, one) != NULL)
            return true;
        at += n;
        if (*at == 0)
            return false;
    }
}

static int add_module(struct dl_phdr_info *info, size_t size, void *names)
{
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X) || module_count == MAX_MODULES ||
            !is_named(info->dlpi_name, names))
            continue;
        uintptr_t start = info->dlpi_addr + part->p_vaddr;
        module[module_count].base = info->dlpi_addr;
        module[module_count].start = start;
        module[module_count++].end = start + part->p_memsz;
    }
    return 0;
}

__attribute__((constructor)) static void begin(void)
{
    look_up();
    const char *file = getenv("FAIL_ALLOC_FILE"), *names = getenv("FAIL_ALLOC_IN");
    int fd = file ? open(file, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    dl_iterate_phdr(add_module, (void *)(names ? names : ""));
    void *memory = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (memory != MAP_FAILED)
        control = memory;
}

static bool must_fail(const void *caller)
{
    if (!control || atomic_load(&control->nth) == 0)
        return false;
    for (size_t i = 0; i < module_count; i++) {
        if ((uintptr_t)caller < module[i].start || (uintptr_t)caller >= module[i].end)
            continue;
        int64_t n = atomic_fetch_add(&control->seen, 1) + 1, nth = atomic_load(&control->nth);
        if (nth == 0 || n < nth || n >= nth + atomic_load(&control->length))
            return false;
        if (atomic_fetch_add(&control->failed, 1) == 0)
            atomic_store(&control->where, (uintptr_t)caller - module[i].base);
        errno = ENOMEM;
        return true;
    }
    return false;
}

/* ---- In place of the C library's ----------------------------------------------------------- */

#define CALLER __builtin_return_address(0)

void *malloc(size_t size)
{
    look_up();
    if (!real_malloc)
        return first_alloc(size);
    return must_fail(CALLER) ? NULL : real_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    look_up();
    if (!real_calloc)
        return first_alloc(count * size);
    return must_fail(CALLER) ? NULL : real_calloc(count, size);
}

void *realloc(void *p, size_t size)
{
    look_up();
    if (must_fail(CALLER))
        return NULL;
    if (!is_first(p))
        return real_realloc(p, size);
    void *moved = real_malloc(size);
    if (moved)
        memcpy(moved, p, size);
    return moved;
}

void free(void *p)
{
    look_up();
    if (!is_first(p))
        real_free(p);
}

char *strdup(const char *s)
{
    size_t size = strlen(s) + 1;
    char *copy = must_fail(CALLER) ? NULL : real_malloc(size);
    return copy ? memcpy(copy, s, size) : NULL;
}

char *strndup(const char *s, size_t max)
{
    size_t n = strnlen(s, max);
    char *copy = must_fail(CALLER) ? NULL : real_malloc(n + 1);
    if (!copy)
        return NULL;
    copy[n] = 0;
    return memcpy(copy, s, n);
}

int __asprintf_chk(char **out, int flag, const char *format, ...);
int __asprintf_chk(char **out, int flag, const char *format, ...)
{
    (void)flag;
    if (must_fail(CALLER))
        return -1;
    va_list args;
    va_start(args, format);
    int n = vasprintf(out, format, args);
    va_end(args);
    return n;
}

int asprintf(char **out, const char *format, ...)
{
    if (must_fail(CALLER))
        return -1;
    va_list args;
    va_start(args, format);
    int n = vasprintf(out, format, args);
    va_end(args);
    return n;
}
