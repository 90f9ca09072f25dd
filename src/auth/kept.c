#include "kept_internal.h"
#include <errno.h>
#include <mbedtls_compat.h>
#include <pthread.h>
#include <stdlib.h>

/* A key may stand in any of the WAYS places of its row, and the row is under the lock of its
 * stripe. */
enum { WAYS = 8, ROWS = KEPT_ENTRIES / WAYS, STRIPES = 64, ROWS_PER_STRIPE = ROWS / STRIPES };

struct entry {
    uint64_t ends_ms;
    size_t aor_len, username_len;
    struct kept_answer answer; /* its grant is in `text` */
    char text[];               /* AOR, username, grant */
};

struct stripe {
    pthread_mutex_t lock;
    unsigned sweep; /* the row that is looked at next for what has ended */
};

struct kept {
    struct stripe stripe[STRIPES];
    struct entry *row[ROWS][WAYS];
};

struct kept *kept_new(void)
{
    struct kept *kept = calloc(1, sizeof *kept);
    if (!kept)
        return NULL;
    for (size_t i = 0; i < STRIPES; i++)
        pthread_mutex_init(&kept->stripe[i].lock, NULL);
    return kept;
}

static void drop(struct entry **place)
{
    struct entry *entry = *place;
    if (!entry)
        return;
    mbedtls_platform_zeroize(&entry->answer.ha1s, sizeof entry->answer.ha1s);
    free(entry);
    *place = NULL;
}

void kept_free(struct kept *kept)
{
    if (!kept)
        return;
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < WAYS; j++)
            drop(&kept->row[i][j]);
    for (size_t i = 0; i < STRIPES; i++)
        pthread_mutex_destroy(&kept->stripe[i].lock);
    free(kept);
}

/* ---- Finding ------------------------------------------------------------------------------- */

/* The row of a key, its stripe locked. */
static struct entry **lock_row(struct kept *kept, const struct kept_key *key,
                               struct stripe **stripe)
{
    uint64_t hash = str_hash(key->aor) ^ str_hash(key->username) * 3;
    size_t row = hash % ROWS;
    *stripe = &kept->stripe[row / ROWS_PER_STRIPE];
    pthread_mutex_lock(&(*stripe)->lock);
    return kept->row[row];
}

static bool is_for(const struct entry *entry, const struct kept_key *key)
{
    struct str aor = {entry->text, entry->aor_len};
    struct str username = {entry->text + entry->aor_len, entry->username_len};
    return str_eq(aor, key->aor) && str_eq(username, key->username);
}

static struct entry **find(struct entry **row, const struct kept_key *key)
{
    for (size_t i = 0; i < WAYS; i++)
        if (row[i] && is_for(row[i], key))
            return &row[i];
    return NULL;
}

static void drop_ended(struct entry **row, uint64_t now_ms)
{
    for (size_t i = 0; i < WAYS; i++)
        if (row[i] && row[i]->ends_ms <= now_ms)
            drop(&row[i]);
}

int kept_find(struct kept *kept, const struct kept_key *key, uint64_t now_ms, struct arena *arena,
              struct kept_answer *out)
{
    struct stripe *stripe;
    struct entry **row = lock_row(kept, key, &stripe);
    drop_ended(row, now_ms);
    struct entry **place = find(row, key);
    int rc = place ? 0 : -ENOENT;
    if (place) {
        struct str grant = arena_copy(arena, (*place)->answer.grant);
        if (grant.ptr) {
            *out = (*place)->answer;
            out->grant = grant;
        } else {
            rc = -ENOMEM;
        }
    }
    pthread_mutex_unlock(&stripe->lock);
    return rc;
}

/* ---- Keeping ------------------------------------------------------------------------------- */

static struct entry *entry_new(const struct kept_key *key, const struct kept_answer *answer,
                               uint64_t ends_ms)
{
    size_t names = key->aor.len + key->username.len;
    if (names > KEPT_NAME_BYTES)
        return NULL;
    struct entry *entry = malloc(sizeof *entry + names + answer->grant.len);
    if (!entry)
        return NULL;
    *entry = (struct entry){ends_ms, key->aor.len, key->username.len, *answer};
    struct buf b;
    buf_init_fixed(&b, entry->text, names + answer->grant.len);
    buf_put_str(&b, key->aor);
    buf_put_str(&b, key->username);
    buf_put_str(&b, answer->grant);
    entry->answer.grant.ptr = entry->text + names;
    return entry;
}

/* An empty place of the row, or the one of the entry that is the next to end. */
static struct entry **find_room(struct entry **row)
{
    struct entry **best = &row[0];
    for (size_t i = 0; i < WAYS && *best; i++)
        if (!row[i] || row[i]->ends_ms < (*best)->ends_ms)
            best = &row[i];
    return best;
}

/* One row of the stripe for each entry that is put into it: what nobody asks for again does not lie
 * about for long after its end. */
static void sweep(struct kept *kept, struct stripe *stripe, uint64_t now_ms)
{
    size_t first = (size_t)(stripe - kept->stripe) * ROWS_PER_STRIPE;
    stripe->sweep = (stripe->sweep + 1) % ROWS_PER_STRIPE;
    drop_ended(kept->row[first + stripe->sweep], now_ms);
}

void kept_put(struct kept *kept, const struct kept_key *key, const struct kept_answer *answer,
              uint64_t ends_ms, uint64_t now_ms)
{
    struct entry *entry = entry_new(key, answer, ends_ms);
    if (!entry)
        return;
    struct stripe *stripe;
    struct entry **row = lock_row(kept, key, &stripe);
    sweep(kept, stripe, now_ms);
    drop_ended(row, now_ms);
    struct entry **place = find(row, key);
    if (!place)
        place = find_room(row);
    drop(place);
    *place = entry;
    pthread_mutex_unlock(&stripe->lock);
}

void kept_drop(struct kept *kept, const struct kept_key *key)
{
    struct stripe *stripe;
    struct entry **row = lock_row(kept, key, &stripe);
    struct entry **place = find(row, key);
    if (place)
        drop(place);
    pthread_mutex_unlock(&stripe->lock);
}
