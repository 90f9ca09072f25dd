/* AORs as people and programs write them. */
#include "web_internal.h"
#include <aorta/sip.h>

/* Escapes may make it so much longer. */
enum { ESCAPED = 3 };

static struct str as_uri(struct str text, struct arena *arena)
{
    if (str_starts_nocase(text, STR("sip:")) || str_starts_nocase(text, STR("sips:")))
        return text;
    char *memory = arena_alloc(arena, text.len + 4);
    if (!memory)
        return text;
    memcpy(memory, "sip:", 4);
    memcpy(memory + 4, text.ptr, text.len);
    return (struct str){memory, text.len + 4};
}

struct str web_canonical_aor(struct str text, struct arena *arena)
{
    struct sip_uri uri;
    struct buf b;
    size_t max = ESCAPED * text.len + 1;
    char *memory = arena_alloc(arena, max);
    if (!memory || sip_uri_parse(as_uri(text, arena), &uri) != SIP_URI_OK)
        return text;
    buf_init_fixed(&b, memory, max);
    return sip_uri_write_aor(&uri, &b) == 0 && !b.error ? buf_str(&b) : text;
}
