/* fuzz.h - what the fuzz targets have in common. A target is one file with one function that takes
 * bytes of any kind; libFuzzer calls it (preset `fuzz`), and so does replay.c, which feeds it files
 * (every build). What must hold for all bytes is a FUZZ_CHECK. */
#ifndef FUZZ_H
#define FUZZ_H
#include <aorta/str.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(claim)                                                                   \
    do {                                                                                    \
        if (!(claim)) {                                                                     \
            fprintf(stderr, "%s:%d: this does not hold: %s\n", __FILE__, __LINE__, #claim); \
            abort();                                                                        \
        }                                                                                   \
    } while (0)

/* The bytes of an input, taken from its front; zeros when it is used up. */
struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

static inline uint8_t fuzz_byte(struct fuzz_input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

static inline struct str fuzz_rest(const struct fuzz_input *in)
{
    return (struct str){(const char *)in->at, in->left};
}

/* In memory of its own that ends where the text ends, so that the sanitizer sees who reads on. The
 * caller frees. */
static inline char *fuzz_copy(struct str text)
{
    char *copy = malloc(text.len > 0 ? text.len : 1);
    FUZZ_CHECK(copy);
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    return copy;
}

/* Reads every byte of a text, for the sanitizer to look at. */
static inline void fuzz_touch(struct str text)
{
    const volatile char *at = text.ptr;
    for (size_t i = 0; i < text.len; i++)
        (void)at[i];
}

/* Nothing in it could end a header line, or hide what follows. */
static inline bool fuzz_is_one_line(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '\r' || text.ptr[i] == '\n' || text.ptr[i] == '\0')
            return false;
    return true;
}
#endif
