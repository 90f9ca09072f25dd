/* hex_internal.h - hexadecimal text to bytes. Pure. */
#ifndef AORTA_HEX_INTERNAL_H
#define AORTA_HEX_INTERNAL_H
#include <aorta/str.h>

/* False, with anything in `bytes`, unless `hex` is exactly 2 * n digits. */
static inline bool hex_read(struct str hex, uint8_t *bytes, size_t n)
{
    if (hex.len != 2 * n)
        return false;
    bool is_hex = true;
    for (size_t i = 0; i < n; i++) {
        int high = str_hex_value(hex.ptr[2 * i]);
        int low = str_hex_value(hex.ptr[2 * i + 1]);
        is_hex &= (high | low) >= 0;
        bytes[i] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
    }
    return is_hex;
}
#endif
