/* hex_internal.h - hexadecimal text to bytes. Pure. */
#ifndef AORTA_HEX_INTERNAL_H
#define AORTA_HEX_INTERNAL_H
#include <aorta/str.h>

/* Without a branch or a table, so that the compiler makes vector code of it. */
static inline uint8_t hex_nibble(char c, uint8_t *is_bad)
{
    uint8_t digit = (uint8_t)(c - '0'), letter = (uint8_t)((c | 0x20) - 'a');
    uint8_t is_digit = digit < 10 ? 0xff : 0, is_letter = letter < 6 ? 0xff : 0;
    *is_bad |= (uint8_t) ~(is_digit | is_letter);
    return (uint8_t)((digit & is_digit) | ((letter + 10) & is_letter));
}

/* False, with anything in `bytes`, unless `hex` is exactly 2 * n digits. */
static inline bool hex_read(struct str hex, uint8_t *restrict bytes, size_t n)
{
    if (hex.len != 2 * n)
        return false;
    const char *restrict text = hex.ptr;
    uint8_t is_bad = 0;
    for (size_t i = 0; i < n; i++) {
        uint8_t high = hex_nibble(text[2 * i], &is_bad), low = hex_nibble(text[2 * i + 1], &is_bad);
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return !is_bad;
}
#endif
