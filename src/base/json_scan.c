#include "json_scan_internal.h"
#include "utf8_internal.h"
#include <aorta/buf.h>
#include <aorta/json_text.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_NUMBER_BYTES = 63 }; /* cJSON reads no further into a number */

struct member_name {
    uint64_t hash;
    size_t at; /* of its first quote */
};

struct scan {
    struct str text;
    size_t at;
    const char *fault; /* the first one; NULL while there is none */
    size_t fault_at;
    unsigned depth;
    struct buf string; /* the last string, its escapes resolved */

    /* Names of the objects that are open, the innermost last; an object is checked as it closes. */
    struct member_name *name;
    size_t names, name_cap;

    /* For json_scan_find(): `found` steps of the path are behind. */
    const char *const *path;
    size_t path_depth, found;
    bool is_path_over; /* its last step that exists was left: other values cannot continue it */
    struct json_scan_place place;
};

const char json_text_no_memory[] = "not enough memory";

static bool fail_at(struct scan *s, size_t at, const char *fault)
{
    if (!s->fault) {
        s->fault = fault;
        s->fault_at = at;
    }
    return false;
}

static struct str remaining(const struct scan *s)
{
    return str_slice(s->text, s->at, s->text.len);
}

/* The next character; 0, which stands nowhere in JSON, at the end. */
static char ahead(const struct scan *s)
{
    return s->at < s->text.len ? s->text.ptr[s->at] : '\0';
}

static bool starts_with(struct str s, const char *start)
{
    return str_eq(str_slice(s, 0, strlen(start)), str_from(start));
}

/* `expected` is not there: says so, or better what people often write in its place. */
static bool fail(struct scan *s, const char *expected)
{
    static const struct {
        const char *start, *fault;
    } mistake[] = {
        {"//",           "a comment is not JSON"                 },
        {"/*",           "a comment is not JSON"                 },
        {"#",            "a comment is not JSON"                 },
        {"'",            "a string stands in double quotes"      },
        {"True",         "true, false and null are in lower case"},
        {"False",        "true, false and null are in lower case"},
        {"+",            "a number starts with a digit or '-'"   },
        {".",            "a number starts with a digit or '-'"   },
        {"\xef\xbb\xbf", "a byte order mark is not JSON"         },
    };
    struct str rest = remaining(s);
    if (rest.len == 0)
        return fail_at(s, s->at, "the text ends before its value is complete");
    for (size_t i = 0; i < sizeof mistake / sizeof *mistake; i++)
        if (starts_with(rest, mistake[i].start))
            return fail_at(s, s->at, mistake[i].fault);
    return fail_at(s, s->at, expected);
}

static bool take(struct scan *s, char c)
{
    if (s->at >= s->text.len || s->text.ptr[s->at] != c)
        return false;
    s->at++;
    return true;
}

static void skip_space(struct scan *s)
{
    while (take(s, ' ') || take(s, '\n') || take(s, '\r') || take(s, '\t'))
        ;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool take_digits(struct scan *s)
{
    size_t start = s->at;
    while (is_digit(ahead(s)))
        s->at++;
    return s->at > start;
}

static bool is_finite(struct str number)
{
    char text[MOST_NUMBER_BYTES + 1];
    memcpy(text, number.ptr, number.len);
    text[number.len] = '\0';
    return isfinite(strtod(text, NULL));
}

static bool scan_whole_part(struct scan *s)
{
    size_t start = s->at;
    if (!take_digits(s))
        return fail(s, "expected a digit");
    if (s->text.ptr[start] == '0' && s->at > start + 1)
        return fail_at(s, start, "a number does not start with 0");
    return true;
}

static bool scan_exponent(struct scan *s)
{
    if (!take(s, 'e') && !take(s, 'E'))
        return true;
    if (!take(s, '+'))
        take(s, '-');
    return take_digits(s) || fail(s, "expected a digit in the exponent");
}

static bool scan_number(struct scan *s)
{
    size_t start = s->at;
    take(s, '-');
    if (!scan_whole_part(s))
        return false;
    if (take(s, '.') && !take_digits(s))
        return fail(s, "expected a digit after the point");
    if (!scan_exponent(s))
        return false;
    struct str number = str_slice(s->text, start, s->at);
    if (number.len > MOST_NUMBER_BYTES)
        return fail_at(s, start, "this number has too many digits");
    return is_finite(number) || fail_at(s, start, "this number is too large");
}

static bool scan_word(struct scan *s)
{
    static const char *const word[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof word / sizeof *word; i++)
        if (starts_with(remaining(s), word[i])) {
            s->at += strlen(word[i]);
            return true;
        }
    return fail(s, "expected a value");
}

static void put_utf8(struct buf *b, uint32_t code)
{
    static const uint8_t lead[] = {0x00, 0xc0, 0xe0, 0xf0};
    unsigned following = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    buf_put_char(b, (char)(lead[following] | code >> 6 * following));
    while (following-- > 0)
        buf_put_char(b, (char)(0x80 | (code >> 6 * following & 0x3f)));
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The UTF-16 unit written as "\uXXXX" ahead, or -1 if there is none. */
static int take_unit(struct scan *s)
{
    struct str rest = remaining(s);
    if (rest.len < 6 || !starts_with(rest, "\\u"))
        return -1;
    int unit = 0;
    for (size_t i = 2; i < 6; i++) {
        int digit = hex_value(rest.ptr[i]);
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    s->at += 6;
    return unit;
}

static bool scan_unicode_escape(struct scan *s)
{
    size_t start = s->at;
    int unit = take_unit(s);
    if (unit < 0)
        return fail(s, "expected four hexadecimal digits after \\u");
    if (unit == 0) /* would end the text for all who read it from cJSON */
        return fail_at(s, start, "\\u0000 is not accepted");
    uint32_t code = (uint32_t)unit;
    if (unit >= 0xd800 && unit <= 0xdfff) {
        int low = unit <= 0xdbff ? take_unit(s) : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return fail_at(s, start, "half of a surrogate pair");
        code = 0x10000 + ((code & 0x3ff) << 10 | ((uint32_t)low & 0x3ff));
    }
    put_utf8(&s->string, code);
    return true;
}

static bool scan_escape(struct scan *s)
{
    static const char meant[] = "\"\\/\b\f\n\r\t";
    struct str rest = remaining(s);
    if (rest.len >= 2 && rest.ptr[1] == 'u')
        return scan_unicode_escape(s);
    size_t which = str_find(STR("\"\\/bfnrt"), rest.len >= 2 ? rest.ptr[1] : '\0');
    if (which == sizeof meant - 1)
        return fail(s, "unknown escape in a string");
    buf_put_char(&s->string, meant[which]);
    s->at += 2;
    return true;
}

static bool scan_character(struct scan *s, size_t start)
{
    char c = ahead(s);
    if (s->at >= s->text.len || c == '\n' || c == '\r')
        return fail_at(s, start, "this string is not closed on its line");
    if (c == '\\')
        return scan_escape(s);
    if ((unsigned char)c < 0x20)
        return fail(s, "a control character in a string must be escaped");
    uint32_t code;
    size_t n = utf8_next(remaining(s), &code);
    if (n == 0)
        return fail(s, "not UTF-8");
    buf_put(&s->string, s->text.ptr + s->at, n);
    s->at += n;
    return true;
}

/* Stands at the first quote. */
static bool scan_string(struct scan *s)
{
    size_t start = s->at++;
    buf_clear(&s->string);
    while (!take(s, '"'))
        if (!scan_character(s, start))
            return false;
    return s->string.error == 0 || fail_at(s, start, json_text_no_memory);
}

static bool remember_name(struct scan *s, size_t at)
{
    if (s->names == s->name_cap) {
        size_t cap = s->name_cap > 0 ? s->name_cap * 2 : 64;
        struct member_name *grown = realloc(s->name, cap * sizeof *grown);
        if (!grown)
            return fail_at(s, at, json_text_no_memory);
        s->name = grown;
        s->name_cap = cap;
    }
    s->name[s->names++] = (struct member_name){str_hash(buf_str(&s->string)), at};
    return true;
}

static int compare_names(const void *a, const void *b)
{
    const struct member_name *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* Equal hashes, so nearly always yes. Written differently they may be the same: "a" and "\u0061".
 */
static bool is_same_name(struct scan *s, size_t one, size_t other)
{
    struct scan again = {.text = s->text, .at = one};
    buf_init_secret(&again.string, s->text.len);
    s->at = other;
    bool is_same = scan_string(&again) && scan_string(s) &&
                   str_eq(buf_str(&again.string), buf_str(&s->string));
    buf_fini(&again.string);
    return is_same;
}

/* The object that ends here. Sorted by hash, not compared in pairs: a users file has many names. */
static bool check_names(struct scan *s, size_t first)
{
    size_t end = s->at, repeated = end, count = s->names - first;
    s->names = first;
    if (count < 2)
        return true;
    struct member_name *name = s->name + first;
    qsort(name, count, sizeof *name, compare_names);
    for (size_t i = 1; i < count; i++)
        if (name[i].hash == name[i - 1].hash && name[i].at < repeated &&
            is_same_name(s, name[i - 1].at, name[i].at))
            repeated = name[i].at;
    s->at = end;
    return repeated == end || fail_at(s, repeated, "this name is already in the object");
}

static bool scan_value(struct scan *s);

static bool is_next_step(const struct scan *s)
{
    return !s->is_path_over && s->found < s->path_depth && s->found + 1 == s->depth;
}

/* A value that is a member or an element. */
static bool scan_child(struct scan *s, size_t key, bool is_on_path)
{
    if (is_on_path) {
        s->found++;
        s->place = (struct json_scan_place){key, s->at};
    }
    if (!scan_value(s))
        return false;
    if (is_on_path)
        s->is_path_over = true;
    return true;
}

static bool scan_member(struct scan *s, size_t index)
{
    (void)index;
    size_t key = s->at;
    if (ahead(s) != '"')
        return fail(s, "expected a member's name in double quotes");
    if (!scan_string(s) || !remember_name(s, key))
        return false;
    bool is_on_path = is_next_step(s) && str_eq(buf_str(&s->string), str_from(s->path[s->found]));
    skip_space(s);
    if (!take(s, ':'))
        return fail(s, "expected ':' after a member's name");
    skip_space(s);
    return scan_child(s, key, is_on_path);
}

static bool scan_element(struct scan *s, size_t index)
{
    uint64_t wanted;
    bool is_on_path = is_next_step(s) &&
                      str_to_u64(str_from(s->path[s->found]), SIZE_MAX, &wanted) == 0 &&
                      wanted == index;
    return scan_child(s, s->at, is_on_path);
}

struct list_kind {
    char close;
    bool (*scan_item)(struct scan *s, size_t index);
    const char *expected;
};

static const struct list_kind object = {'}', scan_member, "expected ',' or '}' after a member"};
static const struct list_kind array = {']', scan_element, "expected ',' or ']' after an element"};

static bool scan_list(struct scan *s, const struct list_kind *kind)
{
    skip_space(s);
    if (take(s, kind->close))
        return true;
    for (size_t index = 0;; index++) {
        if (!kind->scan_item(s, index))
            return false;
        skip_space(s);
        if (take(s, kind->close))
            return true;
        size_t comma = s->at;
        if (!take(s, ','))
            return fail(s, kind->expected);
        skip_space(s);
        if (ahead(s) == kind->close)
            return fail_at(s, comma, "trailing comma");
    }
}

static bool scan_nested(struct scan *s, const struct list_kind *kind)
{
    if (s->depth == JSON_SCAN_DEPTH)
        return fail(s, "nested too deeply");
    size_t first_name = s->names;
    s->at++;
    s->depth++;
    bool is_fine = scan_list(s, kind) && check_names(s, first_name);
    s->depth--;
    return is_fine;
}

static bool scan_value(struct scan *s)
{
    switch (ahead(s)) {
    case '{':
        return scan_nested(s, &object);
    case '[':
        return scan_nested(s, &array);
    case '"':
        return scan_string(s);
    default:
        return is_digit(ahead(s)) || ahead(s) == '-' ? scan_number(s) : scan_word(s);
    }
}

static void scan_text(struct scan *s)
{
    buf_init_secret(&s->string, s->text.len);
    skip_space(s);
    s->place = (struct json_scan_place){s->at, s->at};
    if (scan_value(s)) {
        skip_space(s);
        if (s->at < s->text.len)
            fail(s, "expected nothing more after the value");
    }
    buf_fini(&s->string);
    free(s->name);
}

const char *json_scan(struct str text, size_t *at)
{
    struct scan s = {.text = text};
    scan_text(&s);
    if (s.fault)
        *at = s.fault_at;
    return s.fault;
}

struct json_scan_place json_scan_find(struct str text, const char *const *path, size_t depth)
{
    struct scan s = {.text = text, .path = path, .path_depth = depth};
    scan_text(&s);
    return s.place;
}
