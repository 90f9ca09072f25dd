/* json_scan_internal.h - whether a text is JSON (RFC 8259) and where it is not. Builds nothing. */
#ifndef AORTA_JSON_SCAN_INTERNAL_H
#define AORTA_JSON_SCAN_INTERNAL_H
#include <aorta/str.h>

enum { JSON_SCAN_DEPTH = 32 }; /* arrays and objects in one another; the scan is recursive */

/* NULL if `text` is one JSON value that cJSON can hold too, no object naming a member twice. Else
 * an English phrase for the fault, which stands at offset *at. */
const char *json_scan(struct str text, size_t *at);

struct json_scan_place {
    size_t key, value; /* offsets; an element of an array has its value for a key */
};

/* The place of the value at `path` (member names and array indices), or of the innermost one on
 * the way to it that exists. */
struct json_scan_place json_scan_find(struct str text, const char *const *path, size_t depth);
#endif
