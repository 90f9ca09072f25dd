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
};

/* Borrows `memory`; never grows. */
void buf_init_fixed(struct buf *b, void *memory, size_t cap);
/* Starts empty and grows on the heap up to `max_bytes`. */
void buf_init_heap(struct buf *b, size_t max_bytes);
/* Frees what it owns; the struct is then an empty heap buffer with the same `max`. */
void buf_fini(struct buf *b);
/* Length 0 and no error; keeps the memory. */
void buf_clear(struct buf *b);

void buf_put(struct buf *b, const void *bytes, size_t n);
void buf_put_str(struct buf *b, struct str s);
void buf_put_text(struct buf *b, const char *zero_terminated);
void buf_put_char(struct buf *b, char c);
void buf_put_u64(struct buf *b, uint64_t n);
void buf_put_hex(struct buf *b, const uint8_t *bytes, size_t n); /* lower case */
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* `s` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD. */
void buf_put_json(struct buf *b, struct str s);

static inline struct str buf_str(const struct buf *b)
{
    return (struct str){b->data, b->len};
}
#endif
