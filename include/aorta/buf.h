/* aorta/buf.h - text under construction: append freely, check `error` once at the end.
 * After the first error every append is a no-op, so half a text is never taken for a whole one. */
#ifndef AORTA_BUF_H
#define AORTA_BUF_H
#include <aorta/str.h>

struct buf {
    char *data;
    size_t len;
    size_t cap;     /* bytes at `data` */
    size_t max;     /* grows up to here; equal to `cap` for fixed memory */
    int error;      /* 0, -ENOSPC past `max`, or -ENOMEM */
    bool owns_data; /* grown on the heap: buf_fini() frees it */
    bool is_secret; /* nothing of it is left in memory that was given back */
};

/* Borrows `memory`; never grows. */
void buf_init_fixed(struct buf *b, void *memory, size_t cap);
/* Starts empty and grows on the heap up to `max_bytes`. */
void buf_init_heap(struct buf *b, size_t max_bytes);
/* The same for a secret: what it grew out of is overwritten, and all of it by buf_fini(). */
void buf_init_secret(struct buf *b, size_t max_bytes);
/* Frees what it owns; the struct is then an empty buffer of the same kind with the same `max`. */
void buf_fini(struct buf *b);
/* The same for what held a secret in a buffer of any kind: its bytes are overwritten first. Growing
 * may have left copies, but of a buf_init_secret(). */
void buf_wipe(struct buf *b);
/* Length 0 and no error; keeps the memory. */
void buf_clear(struct buf *b);

/* For buf_put(): grows, or sets the error. True when there is room for `n` more bytes. */
bool buf_reserve(struct buf *b, size_t n);
static inline void buf_put(struct buf *b, const void *bytes, size_t n)
{
    if (n == 0 || ((b->error != 0 || n > b->cap - b->len) && !buf_reserve(b, n)))
        return;
    memcpy(b->data + b->len, bytes, n);
    b->len += n;
}
static inline void buf_put_str(struct buf *b, struct str s)
{
    buf_put(b, s.ptr, s.len);
}
static inline void buf_put_text(struct buf *b, const char *zero_terminated)
{
    buf_put_str(b, str_from(zero_terminated)); /* counted by the compiler, mostly */
}
static inline void buf_put_char(struct buf *b, char c)
{
    buf_put(b, &c, 1);
}
void buf_put_u64(struct buf *b, uint64_t n);
void buf_put_hex(struct buf *b, const uint8_t *bytes, size_t n); /* lower case */
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* `s` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD. */
void buf_put_json(struct buf *b, struct str s);
/* A member of a JSON object, any but the first: buf_put_json_number(b, JSON_MEMBER("cseq"), 1). */
#define JSON_MEMBER(name) STR(",\"" name "\":")
static inline void buf_put_json_text(struct buf *b, struct str member, struct str value)
{
    buf_put_str(b, member);
    buf_put_json(b, value);
}
static inline void buf_put_json_number(struct buf *b, struct str member, uint64_t value)
{
    buf_put_str(b, member);
    buf_put_u64(b, value);
}

static inline struct str buf_str(const struct buf *b)
{
    return (struct str){b->data, b->len};
}
#endif
