/* aorta/str.h - borrowed text: a pointer and a length, never terminated, never owned.
 * It lives as long as what it points into. Comparisons are ASCII; nothing looks at the locale. */
#ifndef AORTA_STR_H
#define AORTA_STR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *ptr;
    size_t len;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_NONE ((struct str){NULL, 0})
/* For printf's "%.*s". */
#define STR_ARG(s) (int)(s).len, (s).ptr

static inline struct str str_from(const char *zero_terminated)
{
    return (struct str){zero_terminated, zero_terminated ? strlen(zero_terminated) : 0};
}

static inline bool str_is_empty(struct str s)
{
    return s.len == 0;
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool str_eq_nocase(struct str a, struct str b);
bool str_starts_nocase(struct str s, struct str prefix);
bool str_ends_nocase(struct str s, struct str suffix);
/* Takes the same time whatever the contents; only the lengths may show. */
bool str_eq_constant_time(struct str a, struct str b);
/* Position of `c`, or s.len. */
static inline size_t str_find(struct str s, char c)
{
    const char *found = s.len > 0 ? memchr(s.ptr, c, s.len) : NULL;
    return found ? (size_t)(found - s.ptr) : s.len;
}
/* s[from..to), both clamped to the text. */
static inline struct str str_slice(struct str s, size_t from, size_t to)
{
    if (to > s.len)
        to = s.len;
    if (from > to)
        from = to;
    return (struct str){from > 0 ? s.ptr + from : s.ptr, to - from}; /* NULL + 0 is no pointer */
}
/* Without spaces, tabs and line ends at either end. */
struct str str_trim(struct str s);
/* Cuts `*rest` at the first `sep`: *head is what came before, *rest what comes after.
 * False when nothing was left to cut: the empty piece in "a,,b" counts, behind "a," is none. */
bool str_split(struct str *rest, char sep, struct str *head);
/* Decimal digits only. -EINVAL: empty or another character. -ERANGE: above `max`. */
int str_to_u64(struct str s, uint64_t max, uint64_t *out);
/* 0..15, or -1 when `c` is no hex digit of either case. */
int str_hex_value(char c);
/* Strict UTF-8 (RFC 3629): no overlong forms, no surrogates. */
bool str_is_utf8(struct str s);
/* SipHash-1-3 with a key drawn once at start, so that strangers cannot choose colliding keys. */
uint64_t str_hash(struct str s);
/* As str_hash() and several times as fast for long texts, but no cryptographer vouches for it: only
 * for numbers that nobody outside gets to see, nor anything that would tell them. */
uint64_t str_quick_hash(struct str s);
/* The same number in every process, for names that several nodes must agree on; no table that
 * strangers fill may go by it. */
uint64_t str_stable_hash(struct str s);
/* Draws that key. Call once before any thread starts; 0 or a negative errno. */
int str_hash_seed(void);
#endif
