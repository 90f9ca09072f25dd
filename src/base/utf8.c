#include "utf8_internal.h"
#include <string.h>

static const struct {
    unsigned char mask, lead; /* the first byte, and its bits that say how many follow */
    uint32_t min, max;        /* code points that may be written in this many bytes */
} form[] = {
    {0x80, 0x00, 0,       0x7f    },
    {0xe0, 0xc0, 0x80,    0x7ff   },
    {0xf0, 0xe0, 0x800,   0xffff  },
    {0xf8, 0xf0, 0x10000, 0x10ffff},
};

static size_t form_of(unsigned char first)
{
    size_t i = 0;
    while (i < sizeof form / sizeof *form && (first & form[i].mask) != form[i].lead)
        i++;
    return i;
}

size_t utf8_next(struct str s, uint32_t *code)
{
    if (s.len == 0)
        return 0;
    size_t following = form_of((unsigned char)s.ptr[0]);
    if (following >= sizeof form / sizeof *form || following >= s.len)
        return 0;
    uint32_t point = (unsigned char)s.ptr[0] & (unsigned char)~form[following].mask;
    for (size_t i = 1; i <= following; i++) {
        unsigned char byte = (unsigned char)s.ptr[i];
        if ((byte & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (byte & 0x3f);
    }
    bool is_surrogate = point >= 0xd800 && point <= 0xdfff;
    if (point < form[following].min || point > form[following].max || is_surrogate)
        return 0;
    *code = point;
    return following + 1;
}

/* Nearly all of SIP is ASCII: 64 bytes at a time, then eight, then one. */
static size_t skip_ascii(struct str s, size_t from)
{
    static const uint64_t high_bits = 0x8080808080808080u;
    uint64_t chunk, block[8];
    for (; s.len - from >= sizeof block; from += sizeof block) {
        uint64_t all = 0;
        memcpy(block, s.ptr + from, sizeof block);
        for (size_t i = 0; i < sizeof block / sizeof *block; i++)
            all |= block[i];
        if (all & high_bits)
            break;
    }
    for (; s.len - from >= sizeof chunk; from += sizeof chunk) {
        memcpy(&chunk, s.ptr + from, sizeof chunk);
        if (chunk & high_bits)
            break;
    }
    while (from < s.len && (unsigned char)s.ptr[from] < 0x80)
        from++;
    return from;
}

bool str_is_utf8(struct str s)
{
    for (size_t i = skip_ascii(s, 0); i < s.len; i = skip_ascii(s, i)) {
        uint32_t code;
        size_t bytes = utf8_next(str_slice(s, i, s.len), &code);
        if (bytes == 0)
            return false;
        i += bytes;
    }
    return true;
}
