/* aorta/bans.h - addresses, or of IPv6 networks of 64 bits, that are not served. Shared by all
 * workers; any thread. Asking about an address that is not banned costs a few loads. */
#ifndef AORTA_BANS_H
#define AORTA_BANS_H
#include <aorta/net_address.h>

enum { BAN_REASON_BYTES = 120, BANS_MAX = 50000 };
#define BAN_FOR_EVER UINT64_MAX

struct bans;
struct ban {
    struct net_network net; /* one address, or a /64 of IPv6 */
    uint64_t until_ms;      /* clock_now_ms(); BAN_FOR_EVER */
    struct str reason;      /* cut to BAN_REASON_BYTES */
};
/* Can it be banned at all: is it one address, or a /64 of IPv6? */
bool ban_is_possible(const struct net_network *net);

/* NULL when out of memory. Call str_hash_seed() before. */
struct bans *bans_new(void);
void bans_free(struct bans *bans);
/* Networks that nobody can ban: copies. Lifts what they have by now. -ENOMEM, or 0. */
int bans_set_exempt(struct bans *bans, const struct net_networks *never_ban,
                    const struct net_networks *trusted_proxies);

/* What is banned already gets the later end. 0; 1: it had that; -EINVAL: not possible; -EPERM:
 * exempt, or some of it is; -ENOSPC: BANS_MAX (none for ever is pushed out by one for a time; the
 * next to end goes first); -ENOMEM. */
int bans_add(struct bans *bans, const struct ban *ban, uint64_t now_ms);
/* -ENOENT when just that is not banned. */
int bans_lift(struct bans *bans, const struct net_network *net);
/* The hot question, asked for each datagram and connection: it, or the network that it is in. */
bool bans_has(struct bans *bans, const struct net_address *ip, uint64_t now_ms);
/* Rises with each address that becomes banned: who sees another number than before closes the
 * connections of those that are. */
uint64_t bans_generation(const struct bans *bans);

/* Calls `each` for all that are in force, under the lock: `each` calls nothing of this module. */
typedef void bans_each_fn(void *arg, const struct ban *ban);
void bans_each(struct bans *bans, uint64_t now_ms, bans_each_fn *each, void *arg);
size_t bans_count(struct bans *bans, uint64_t now_ms);

/* ---- Sharing with other nodes, through a store that they all write to ------------------------ */

/* What bans_add() and bans_lift() changed here and nobody has published yet, the oldest first:
 * false when there is nothing. `is_lift` tells which. The reason is copied to `memory`. Each change
 * is handed out once; bans_unpublish_all() makes all that are in force count as unpublished again.
 */
bool bans_take_unpublished(struct bans *bans, struct ban *out, bool *is_lift,
                           char memory[BAN_REASON_BYTES]);
void bans_unpublish_all(struct bans *bans);
/* Everything that is published, as others see it: `list` becomes what is in force, but for changes
 * of ours that are not published yet. Exempt addresses are left out. -ENOMEM, or 0. */
int bans_replace_published(struct bans *bans, const struct ban *list, size_t count,
                           uint64_t now_ms);
#endif
