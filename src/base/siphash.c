#include "siphash_internal.h"
#include <endian.h>
#include <string.h>

struct state {
    uint64_t a, b, c, d;
};

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void mix(struct state *s)
{
    s->a += s->b;
    s->c += s->d;
    s->b = rotate(s->b, 13) ^ s->a;
    s->d = rotate(s->d, 16) ^ s->c;
    s->a = rotate(s->a, 32);
    s->a += s->d;
    s->c += s->b;
    s->d = rotate(s->d, 21) ^ s->a;
    s->b = rotate(s->b, 17) ^ s->c;
    s->c = rotate(s->c, 32);
}

static void absorb(struct state *s, uint64_t word)
{
    s->d ^= word;
    mix(s);
    s->a ^= word;
}

static uint64_t load_word(const unsigned char *bytes, size_t n)
{
    uint64_t word = 0;
    memcpy(&word, bytes, n);
    return le64toh(word);
}

uint64_t siphash13(const uint64_t key[2], const void *bytes, size_t n)
{
    /* The four constants spell "somepseudorandomlygeneratedbytes". */
    struct state s = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
                      key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573};
    const unsigned char *p = bytes;
    size_t left = n;
    for (; left >= 8; left -= 8, p += 8)
        absorb(&s, load_word(p, 8));

    uint64_t last = (uint64_t)n << 56; /* the length's low byte closes the text */
    if (left > 0 && n >= 8)
        last |= load_word(p + left - 8, 8) >> (64 - 8 * left); /* without those absorbed before */
    else if (left > 0)
        last |= load_word(p, left);
    absorb(&s, last);
    s.c ^= 0xff;
    for (int round = 0; round < 3; round++)
        mix(&s);
    return s.a ^ s.b ^ s.c ^ s.d;
}
