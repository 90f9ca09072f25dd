/* siphash_internal.h - SipHash-1-3: a fast keyed hash for tables that strangers fill. */
#ifndef AORTA_SIPHASH_INTERNAL_H
#define AORTA_SIPHASH_INTERNAL_H
#include <stddef.h>
#include <stdint.h>

uint64_t siphash13(const uint64_t key[2], const void *bytes, size_t n);
#endif
