/* hex_internal.h - hexadecimal text to bytes. Pure. */
#ifndef AORTA_HEX_INTERNAL_H
#define AORTA_HEX_INTERNAL_H
#include <aorta/str.h>

/* 0..15, or -1 when `c` is no hex digit of either case. */
static inline int hex_digit(char c)
{
    static const int8_t above[256] = {
        ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
        ['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
        ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12,
        ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
    };
    return above[(unsigned char)c] - 1;
}

/* False, with anything in `bytes`, unless `hex` is exactly 2 * n digits. */
static inline bool hex_read(struct str hex, uint8_t *bytes, size_t n)
{
    if (hex.len != 2 * n)
        return false;
    bool is_hex = true;
    for (size_t i = 0; i < n; i++) {
        int high = hex_digit(hex.ptr[2 * i]);
        int low = hex_digit(hex.ptr[2 * i + 1]);
        is_hex &= (high | low) >= 0;
        bytes[i] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
    }
    return is_hex;
}
#endif
