#include "template.h"
#include <errno.h>

static const char *const part_names[PARTS] = {"user",  "slot",   "serial", "cseq",    "port",
                                              "nonce", "opaque", "nc",     "response"};
static const char *const region_names[REGIONS] = {"branch", "from_tag", "call_id", "contact"};

void write_digits(char *out, size_t width, uint64_t n)
{
    while (width > 0) {
        out[--width] = (char)('0' + n % 10);
        n /= 10;
    }
}

static int find_name(struct str name, const char *const *names, int count)
{
    for (int i = 0; i < count; i++)
        if (str_eq(name, str_from(names[i])))
            return i;
    return -EINVAL;
}

static int put(struct template *t, struct str text)
{
    if (text.len > sizeof t->text - t->len)
        return -ENOSPC;
    if (text.len > 0)
        memcpy(t->text + t->len, text.ptr, text.len);
    t->len += text.len;
    return 0;
}

static int put_part(struct template *t, int part, size_t width)
{
    if (t->slot_count == TEMPLATE_MAX_SLOTS || width > sizeof t->text - t->len)
        return -ENOSPC;
    t->slot[t->slot_count].at = (uint16_t)t->len;
    t->slot[t->slot_count].len = (uint16_t)width;
    t->slot[t->slot_count++].part = (uint16_t)part;
    memset(t->text + t->len, '0', width);
    t->len += width;
    return 0;
}

/* What stands between two braces. */
static int put_name(struct template *t, struct str name, const struct template_constant *constants,
                    const size_t widths[PARTS], int *open)
{
    if (str_eq(name, STR(">"))) {
        if (*open < 0)
            return -EINVAL;
        t->region[*open].len = (uint16_t)(t->len - t->region[*open].at);
        *open = -1;
        return 0;
    }
    if (name.len > 0 && name.ptr[0] == '<') {
        if (*open >= 0)
            return -EINVAL;
        *open = find_name(str_slice(name, 1, name.len), region_names, REGIONS);
        if (*open >= 0)
            t->region[*open].at = (uint16_t)t->len;
        return *open < 0 ? *open : 0;
    }
    int part = find_name(name, part_names, PARTS);
    if (part >= 0)
        return put_part(t, part, widths[part]);
    for (const struct template_constant *c = constants; c->name != NULL; c++)
        if (str_eq(name, str_from(c->name)))
            return put(t, c->value);
    return -EINVAL;
}

int template_compile(struct template *t, const char *source,
                     const struct template_constant *constants, const size_t widths[PARTS])
{
    memset(t, 0, sizeof *t);
    struct str rest = str_from(source);
    int open = -1;
    while (!str_is_empty(rest)) {
        size_t brace = str_find(rest, '{');
        int rc = put(t, str_slice(rest, 0, brace));
        if (rc != 0)
            return rc;
        rest = str_slice(rest, brace, rest.len);
        if (str_is_empty(rest))
            break;
        size_t end = str_find(rest, '}');
        if (end == rest.len)
            return -EINVAL;
        rc = put_name(t, str_slice(rest, 1, end), constants, widths, &open);
        if (rc != 0)
            return rc;
        rest = str_slice(rest, end + 1, rest.len);
    }
    return open >= 0 ? -EINVAL : 0;
}

void template_fill(struct template *t, const char *const values[PARTS])
{
    for (size_t i = 0; i < t->slot_count; i++) {
        const char *value = values[t->slot[i].part];
        if (value != NULL)
            memcpy(t->text + t->slot[i].at, value, t->slot[i].len);
    }
}
