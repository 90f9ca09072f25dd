/* aorta/json_text.h - JSON files that people write: parsed by cJSON, with the line and column of
 * whatever turns out to be wrong in them. Any thread. */
#ifndef AORTA_JSON_TEXT_H
#define AORTA_JSON_TEXT_H
#include <aorta/buf.h>
#include <aorta/str.h>

struct cJSON;

struct json_position {
    unsigned line, column; /* from 1; columns count bytes */
};

/* What json_text_parse() says where the text is not to blame. */
extern const char json_text_no_memory[];
/* A whole JSON text (nothing but white space after the value). NULL when it is none: *where is then
 * the place and *what an English phrase for it. An object that names a member twice is an error
 * too, and so is what cJSON cannot hold (\u0000, more than 63 digits). Free with cJSON_Delete(). */
struct cJSON *json_text_parse(struct str text, struct json_position *where, const char **what);
/* As cJSON_Delete(), of a tree that may hold secrets: its texts are overwritten. NULL is fine. */
void json_text_wipe(struct cJSON *json);
/* Where the member key (or value, when `of_value`) at `path` stands: the names and array indices
 * from the root, "listen", "0". Of a path that leads nowhere, the last step that exists. Text must
 * have been parsed by json_text_parse(). */
struct json_position json_text_locate(struct str text, const char *const *path, size_t depth,
                                      bool of_value);
/* The whole regular file, at most `max_bytes`. 0 or a negative errno (-EFBIG above the limit); the
 * text is on the heap, with no copy of it elsewhere, and belongs to the caller. */
int json_text_read_file(const char *file, size_t max_bytes, struct str *out);
/* Frees such a text, overwritten since it may hold secrets. STR_NONE is fine. */
void json_text_wipe_file(struct str text);
#endif
