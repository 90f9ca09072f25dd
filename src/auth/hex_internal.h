/* hex_internal.h - hexadecimal text to bytes. Pure. */
#ifndef AORTA_HEX_INTERNAL_H
#define AORTA_HEX_INTERNAL_H
#include <aorta/str.h>

/* 0..15, or -1 when `c` is no hex digit of either case. */
static inline int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* False, with `bytes` half written, unless `hex` is exactly 2 * n digits. */
static inline bool hex_read(struct str hex, uint8_t *bytes, size_t n)
{
    if (hex.len != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int high = hex_digit(hex.ptr[2 * i]);
        int low = hex_digit(hex.ptr[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
#endif
