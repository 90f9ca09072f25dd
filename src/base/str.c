#include "siphash_internal.h"
#include <aorta/str.h>
#include <errno.h>
#include <sys/random.h>

static uint64_t hash_key[2]; /* zero until str_hash_seed(): good enough for tests */
static uint64_t quick_key[3] = {0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb};

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* Where the first eight bytes that are not the same on both sides begin, or the last few. */
static size_t skip_same(struct str a, struct str b, size_t n)
{
    size_t i = 0;
    for (uint64_t x, y; n - i >= sizeof x; i += sizeof x) {
        memcpy(&x, a.ptr + i, sizeof x);
        memcpy(&y, b.ptr + i, sizeof y);
        if (x != y)
            break;
    }
    return i;
}

bool str_eq_nocase(struct str a, struct str b)
{
    return a.len == b.len && str_starts_nocase(a, b);
}

bool str_starts_nocase(struct str s, struct str prefix)
{
    if (prefix.len > s.len)
        return false;
    for (size_t i = skip_same(s, prefix, prefix.len); i < prefix.len; i++)
        if (s.ptr[i] != prefix.ptr[i] && lower(s.ptr[i]) != lower(prefix.ptr[i]))
            return false;
    return true;
}

bool str_ends_nocase(struct str s, struct str suffix)
{
    if (suffix.len > s.len)
        return false;
    return str_eq_nocase(str_slice(s, s.len - suffix.len, s.len), suffix);
}

bool str_eq_constant_time(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    volatile uint64_t difference = 0; /* volatile: or the compiler may stop at the first */
    size_t i = 0;
    for (uint64_t x, y; a.len - i >= sizeof x; i += sizeof x) {
        memcpy(&x, a.ptr + i, sizeof x);
        memcpy(&y, b.ptr + i, sizeof y);
        difference |= x ^ y;
    }
    for (; i < a.len; i++)
        difference |= (unsigned char)(a.ptr[i] ^ b.ptr[i]);
    return difference == 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
    size_t from = 0, to = s.len;
    while (from < to && is_space(s.ptr[from]))
        from++;
    while (to > from && is_space(s.ptr[to - 1]))
        to--;
    return str_slice(s, from, to);
}

bool str_split(struct str *rest, char sep, struct str *head)
{
    if (rest->len == 0)
        return false;
    size_t cut = str_find(*rest, sep);
    *head = str_slice(*rest, 0, cut);
    *rest = str_slice(*rest, cut < rest->len ? cut + 1 : cut, rest->len);
    return true;
}

int str_to_u64(struct str s, uint64_t max, uint64_t *out)
{
    if (s.len == 0)
        return -EINVAL;
    uint64_t n = 0;
    bool is_above = false; /* remembered: "99x" is no number, however large */
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned char)s.ptr[i] - '0';
        if (digit > 9)
            return -EINVAL;
        if (n > max / 10 || digit > max - n * 10)
            is_above = true;
        else
            n = n * 10 + digit;
    }
    if (is_above)
        return -ERANGE;
    *out = n;
    return 0;
}

int str_hex_value(char c)
{
    static const int8_t above[256] = {
        ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
        ['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
        ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12,
        ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
    };
    return above[(unsigned char)c] - 1;
}

uint64_t str_hash(struct str s)
{
    return siphash13(hash_key, s.ptr, s.len);
}

/* Both halves of the product: each bit of either side has a say in all of them. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t str_quick_hash(struct str s)
{
    enum { WORD = sizeof(uint64_t), STEP = 2 * WORD };
    uint64_t hash = quick_key[0] ^ s.len, word[2];
    for (; s.len >= STEP; s.ptr += STEP, s.len -= STEP) {
        memcpy(word, s.ptr, STEP);
        hash = fold(hash ^ word[0] ^ quick_key[1], word[1] ^ quick_key[2]);
    }
    memset(word, 0, sizeof word);
    if (s.len > 0)
        memcpy(word, s.ptr, s.len);
    hash = fold(hash ^ word[0] ^ quick_key[1], word[1] ^ quick_key[2]);
    return fold(hash, quick_key[0]);
}

uint64_t str_stable_hash(struct str s)
{
    static const uint64_t key[2] = {0x616f727461206964, 0x6f6620612062696e}; /* any two numbers */
    return siphash13(key, s.ptr, s.len);
}

int str_hash_seed(void)
{
    uint64_t key[5];
    ssize_t got;
    do
        got = getrandom(key, sizeof key, 0);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof key)
        return got < 0 ? -errno : -EIO;
    memcpy(hash_key, key, sizeof hash_key);
    memcpy(quick_key, key + 2, sizeof quick_key);
    return 0;
}
