/* store/aor_table.h - the addresses of record of one shard, found by name and walked in the order
 * of their hashes. That order outlives growing, adding and removing, so a listing can stop at a
 * hash and go on from there later. Its user holds the shard's lock. */
#ifndef AORTA_AOR_TABLE_H
#define AORTA_AOR_TABLE_H
#include <aorta/str.h>

struct binding_record;

struct aor {
    struct aor *next; /* in its slot; hashes rise along the way */
    uint64_t hash;
    struct binding_record *first; /* newest first; at least one while in the table */
    uint32_t name_len;
    char name[];
};

struct aor_table {
    struct aor **slot;
    unsigned slot_bits;
    size_t count;
};

/* The top bits of a hash choose the shard, the next ones the slot. */
enum { AOR_SHARD_BITS = 8 };

/* -ENOMEM, or 0. */
int aor_table_init(struct aor_table *t);
/* The AORs in it belong to their user, who has taken them all out or frees them otherwise. */
void aor_table_fini(struct aor_table *t);

/* Without bindings, and in no table; free with free(). NULL when out of memory. */
struct aor *aor_new(struct str name, uint64_t hash);
/* Cannot fail: without memory to grow, the table only becomes slower. */
void aor_table_insert(struct aor_table *t, struct aor *aor);
/* Takes it out; it is the caller's again. */
void aor_table_remove(struct aor_table *t, struct aor *aor);

struct aor *aor_table_find(const struct aor_table *t, struct str name, uint64_t hash);
/* The first whose hash is not below `hash`; NULL after the last. */
struct aor *aor_table_from(const struct aor_table *t, uint64_t hash);
/* The one after `aor`; NULL after the last. */
struct aor *aor_table_after(const struct aor_table *t, const struct aor *aor);
#endif
