/* realm_counts.h - how many bindings each SIP domain has, for maxRegistrations. Domains that had
 * one once are remembered. Any thread, without a lock. */
#ifndef AORTA_REALM_COUNTS_H
#define AORTA_REALM_COUNTS_H
#include <aorta/str.h>
#include <stdatomic.h>

struct realm_counts;
struct realm_counts *realm_counts_new(void); /* NULL when out of memory */
void realm_counts_free(struct realm_counts *counts);
/* The counter of the domain of an AOR ("user@domain"), which lives as long as `counts`. NULL when
 * out of memory. */
_Atomic int64_t *realm_counts_of(struct realm_counts *counts, struct str aor);
/* How many that domain has; 0 when it never had one. */
int64_t realm_counts_read(const struct realm_counts *counts, struct str realm);
/* Adds `change`; false, and nothing added, when that would exceed `most` (0: no limit). */
bool realm_count_change(_Atomic int64_t *count, int64_t change, uint32_t most);
#endif
