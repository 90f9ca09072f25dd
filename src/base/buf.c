#include "utf8_internal.h"
#include <aorta/buf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_HEAP_BYTES = 128 };

void buf_init_fixed(struct buf *b, void *memory, size_t cap)
{
    *b = (struct buf){.data = memory, .cap = cap, .max = cap};
}

void buf_init_heap(struct buf *b, size_t max_bytes)
{
    *b = (struct buf){.max = max_bytes};
}

void buf_init_secret(struct buf *b, size_t max_bytes)
{
    *b = (struct buf){.max = max_bytes, .is_secret = true};
}

void buf_fini(struct buf *b)
{
    if (b->is_secret && b->data)
        explicit_bzero(b->data, b->cap);
    if (b->owns_data)
        free(b->data);
    *b = (struct buf){.max = b->max, .is_secret = b->is_secret};
}

void buf_wipe(struct buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->cap);
    buf_fini(b);
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->error = 0;
}

static size_t grown_cap(const struct buf *b, size_t needed)
{
    size_t cap = b->cap > 0 ? b->cap : FIRST_HEAP_BYTES;
    while (cap < needed)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    return cap < b->max ? cap : b->max;
}

/* Like realloc(), which may leave the old bytes where they are. */
static char *move_secret(const struct buf *b, size_t cap)
{
    char *data = malloc(cap);
    if (!data || !b->data)
        return data;
    memcpy(data, b->data, b->len);
    explicit_bzero(b->data, b->cap);
    free(b->data);
    return data;
}

bool buf_reserve(struct buf *b, size_t n)
{
    if (b->error != 0)
        return false;
    if (n <= b->cap - b->len)
        return true;
    if (n > b->max - b->len) {
        b->error = -ENOSPC;
        return false;
    }
    size_t cap = grown_cap(b, b->len + n);
    char *data = b->is_secret ? move_secret(b, cap) : realloc(b->data, cap);
    if (!data) {
        b->error = -ENOMEM;
        return false;
    }
    b->data = data;
    b->cap = cap;
    b->owns_data = true;
    return true;
}

void buf_put_u64(struct buf *b, uint64_t n)
{
    /* Two at a time: an answer and what is stored of it have a hundred digits or more. */
    static const char pair[] = "00010203040506070809101112131415161718192021222324"
                               "25262728293031323334353637383940414243444546474849"
                               "50515253545556575859606162636465666768697071727374"
                               "75767778798081828384858687888990919293949596979899";
    char digits[20];
    size_t at = sizeof digits;
    for (; n >= 10; n /= 100) {
        digits[--at] = pair[2 * (n % 100) + 1];
        digits[--at] = pair[2 * (n % 100)];
    }
    if (n > 0 || at == sizeof digits)
        digits[--at] = (char)('0' + n);
    buf_put(b, digits + at, sizeof digits - at);
}

static char hex_digit(unsigned nibble)
{
    return (char)(nibble + (nibble < 10 ? '0' : 'a' - 10));
}

void buf_put_hex(struct buf *b, const uint8_t *bytes, size_t n)
{
    if (n > SIZE_MAX / 2)
        n = SIZE_MAX / 2; /* for which there is no room */
    if (!buf_reserve(b, n * 2))
        return;
    char *out = b->data + b->len;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = hex_digit(bytes[i] >> 4);
        out[2 * i + 1] = hex_digit(bytes[i] & 15);
    }
    b->len += n * 2;
}

/* Printed aside first: vsnprintf() ends its text with a zero for which `b` may have no room. */
static void __attribute__((format(printf, 3, 0)))
print_long(struct buf *b, size_t n, const char *format, va_list args)
{
    if (!buf_reserve(b, n))
        return;
    char *text = malloc(n + 1);
    if (!text) {
        b->error = -ENOMEM;
        return;
    }
    vsnprintf(text, n + 1, format, args);
    buf_put(b, text, n);
    free(text);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    char text[256];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(text, sizeof text, format, args);
    if (n < 0)
        b->error = b->error != 0 ? b->error : -EINVAL;
    else if ((size_t)n < sizeof text)
        buf_put(b, text, (size_t)n);
    else
        print_long(b, (size_t)n, format, again);
    va_end(again);
    va_end(args);
}

#define ONES UINT64_C(0x0101010101010101)

/* JSON takes U+2028 and U+2029 as they are, JavaScript of before 2019 took them for line ends. */
static bool needs_escape(uint32_t code)
{
    return code < 0x20 || code == '"' || code == '\\' || code == 0x2028 || code == 0x2029;
}

static void put_json_escape(struct buf *b, uint32_t code)
{
    static const char letter[0x80] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r',
                                      ['\t'] = 't', ['"'] = '"',  ['\\'] = '\\'};
    buf_put_char(b, '\\');
    if (code < sizeof letter && letter[code] != 0) {
        buf_put_char(b, letter[code]);
        return;
    }
    uint8_t big_endian[] = {(uint8_t)(code >> 8), (uint8_t)code};
    buf_put_char(b, 'u');
    buf_put_hex(b, big_endian, sizeof big_endian);
}

static bool is_plain(uint8_t c)
{
    return c < 0x80 && !needs_escape(c);
}

/* 0x80 in each byte of the word that is zero, and perhaps in ones above such a byte. */
static uint64_t find_zero(uint64_t word)
{
    return (word - ONES) & ~word & ONES << 7;
}

/* Mostly eight bytes at a time: behind those that need no look, which are nearly all. */
static size_t skip_plain(struct str s, size_t at)
{
    for (uint64_t word; at + sizeof word <= s.len; at += sizeof word) {
        memcpy(&word, s.ptr + at, sizeof word);
        uint64_t is_control = (word - ONES * 0x20) & ~word, is_beyond_ascii = word;
        uint64_t is_special = find_zero(word ^ ONES * '"') | find_zero(word ^ ONES * '\\');
        if ((is_control | is_beyond_ascii | is_special) & ONES << 7)
            return at;
    }
    while (at < s.len && is_plain((uint8_t)s.ptr[at]))
        at++;
    return at;
}

void buf_put_json(struct buf *b, struct str s)
{
    buf_put_char(b, '"');
    size_t put = 0, at = skip_plain(s, 0); /* what lies between is fine as it is */
    while (at < s.len) {
        uint32_t code = 0;
        size_t n = utf8_next(str_slice(s, at, s.len), &code);
        if (n > 0 && !needs_escape(code)) {
            at += n;
            continue;
        }
        buf_put_str(b, str_slice(s, put, at));
        if (n > 0)
            put_json_escape(b, code);
        else
            buf_put_str(b, STR("\xef\xbf\xbd")); /* U+FFFD */
        at += n > 0 ? n : 1;
        put = at;
        at = skip_plain(s, at);
    }
    buf_put_str(b, str_slice(s, put, s.len));
    buf_put_char(b, '"');
}
