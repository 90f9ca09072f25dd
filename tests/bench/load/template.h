/* template.h - a text whose changing parts have fixed widths, so that they are patched in place. */
#ifndef LOAD_TEMPLATE_H
#define LOAD_TEMPLATE_H
#include <aorta/str.h>

enum { TEMPLATE_MAX = 2048, TEMPLATE_MAX_SLOTS = 48 };

/* What changes from message to message. */
enum part {
    PART_USER,   /* number of the AOR */
    PART_SLOT,   /* number of the client */
    PART_SERIAL, /* which of the clients that had this number one after the other */
    PART_CSEQ,
    PART_PORT, /* local */
    PART_NONCE,
    PART_OPAQUE,
    PART_NC,
    PART_RESPONSE,
    PARTS
};
enum {
    USER_DIGITS = 7,
    SLOT_DIGITS = 7,
    SERIAL_DIGITS = 9,
    CSEQ_DIGITS = 9,
    PORT_DIGITS = 5,
    NC_DIGITS = 8
};

/* Stretches that an answer must give back. */
enum region { REGION_BRANCH, REGION_FROM_TAG, REGION_CALL_ID, REGION_CONTACT, REGIONS };

struct template
{
    char text[TEMPLATE_MAX];
    size_t len;
    struct {
        uint16_t at, len, part;
    } slot[TEMPLATE_MAX_SLOTS];
    size_t slot_count;
    struct {
        uint16_t at, len;
    } region[REGIONS];
};

/* A name of the source text that stands for the same text in every message. */
struct template_constant {
    const char *name;
    struct str value;
};

/* `source` holds {name} of a constant or a part ({user}, {slot}, {serial}, {cseq}, {port}, {nonce},
 * {opaque}, {nc}, {response}), and {<branch} {<from_tag} {<call_id} {<contact} with {>} around the
 * regions. `constants` ends with a name of NULL; `widths` are those of the parts. -EINVAL: unknown
 * name or unbalanced braces; -ENOSPC. Parts hold '0' until they are filled. */
int template_compile(struct template *t, const char *source,
                     const struct template_constant *constants, const size_t widths[PARTS]);
/* Writes values[part], as wide as it was compiled; a NULL leaves what is there. */
void template_fill(struct template *t, const char *const values[PARTS]);

static inline struct str template_text(const struct template *t)
{
    return (struct str){t->text, t->len};
}
static inline struct str template_region(const struct template *t, enum region r)
{
    return (struct str){t->text + t->region[r].at, t->region[r].len};
}

/* `n` in `width` decimal digits, the lowest ones when it has more. */
void write_digits(char *out, size_t width, uint64_t n);
#endif
