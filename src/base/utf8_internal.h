/* utf8_internal.h - where a UTF-8 character ends. */
#ifndef AORTA_UTF8_INTERNAL_H
#define AORTA_UTF8_INTERNAL_H
#include <aorta/str.h>

/* Bytes (1 to 4) of the character that `s` starts with, and its code point in *code. 0 when it is
 * none: a stray or missing byte, an overlong form, a surrogate, above U+10FFFF, or `s` is empty. */
size_t utf8_next(struct str s, uint32_t *code);
#endif
