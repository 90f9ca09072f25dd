/* "did you mean …": the known name with the fewest typing errors between it and the given one. */
#include "config_internal.h"
#include <stdio.h>

enum { KEY_LETTERS = 48 };

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool is_same_letter(struct str a, size_t i, struct str b, size_t j)
{
    return lower(a.ptr[i]) == lower(b.ptr[j]);
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Letters to insert, delete, replace or swap with their neighbour to make `b` of `a`, in either
 * case; both at most KEY_LETTERS long. */
static unsigned edit_distance(struct str a, struct str b)
{
    unsigned row[3][KEY_LETTERS + 1]; /* of the table of prefixes: the last two and this one */
    for (size_t j = 0; j <= b.len; j++)
        row[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a.len; i++) {
        unsigned *now = row[i % 3];
        const unsigned *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned replace = last[j - 1] + !is_same_letter(a, i - 1, b, j - 1);
            now[j] = least(replace, least(last[j], now[j - 1]) + 1);
            bool is_swap = i > 1 && j > 1 && is_same_letter(a, i - 1, b, j - 2) &&
                           is_same_letter(a, i - 2, b, j - 1);
            if (is_swap)
                now[j] = least(now[j], before[j - 2] + 1);
        }
    }
    return row[a.len % 3][b.len];
}

/* One slip in three letters still looks like a slip. */
static unsigned allowed_slips(struct str key)
{
    size_t letters = config_key_last(key).len;
    return letters < 6 ? 1 : letters < 9 ? 2 : 3;
}

/* The start of just one name of its group: "auth.user" is nearer to "auth.username" than to "user".
 */
static struct str find_cut(const struct config_table *table, struct str key)
{
    struct str found = STR_NONE;
    for (size_t i = 0; i < table->count; i++) {
        struct str name = str_from(table->option[i].key);
        if (!str_starts_nocase(name, key) || config_key_last(key).len < 3 ||
            !str_eq_nocase(config_key_group(name), config_key_group(key)))
            continue;
        if (found.ptr)
            return STR_NONE;
        found = name;
    }
    return found;
}

/* The right name in the wrong group, or in none. */
static struct str find_misplaced(const struct config_table *table, struct str key)
{
    for (size_t i = 0; i < table->count; i++) {
        struct str name = str_from(table->option[i].key);
        if (str_eq_nocase(config_key_last(name), config_key_last(key)))
            return name;
    }
    return STR_NONE;
}

struct search {
    struct str key;
    struct str best;
    unsigned best_slips;
};

static void consider(struct search *search, struct str name)
{
    unsigned slips = edit_distance(search->key, name);
    if (slips < search->best_slips) {
        search->best_slips = slips;
        search->best = name;
    }
}

static struct str find_misspelt(const struct config_table *table, struct str key)
{
    struct search search = {key, STR_NONE, allowed_slips(key) + 1};
    for (size_t i = 0; i < table->count; i++) {
        struct str name = str_from(table->option[i].key);
        for (size_t end = 0; end < name.len; end++)
            if (name.ptr[end] == '.')
                consider(&search, str_slice(name, 0, end)); /* a group */
        consider(&search, name);
    }
    return search.best;
}

const char *config_suggest(const struct config_table *table, struct str key, char text[CONFIG_KEY])
{
    if (key.len > KEY_LETTERS)
        return NULL;
    struct str name = find_cut(table, key);
    if (!name.ptr)
        name = find_misplaced(table, key);
    if (!name.ptr)
        name = find_misspelt(table, key);
    if (!name.ptr)
        return NULL;
    snprintf(text, CONFIG_KEY, "%.*s", STR_ARG(name));
    return text;
}
