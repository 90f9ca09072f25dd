/* One table under one lock. What every packet asks goes without it: first a count, then whether the
 * bucket of this address holds anybody at all. */
#include <aorta/bans.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { BUCKETS = 1 << 20 }; /* at BANS_MAX nine of ten strangers still meet an empty one */

/* An address that is banned, or was until lately and nobody else has been told yet. */
struct entry {
    struct entry *next; /* in its bucket */
    uint64_t hash, until_ms;
    struct net_network net;
    size_t heap_at; /* while it is banned */
    bool is_lifted;
    bool is_known;                           /* to others: we have published it, or they have */
    bool is_listed;                          /* by those whom bans_replace_published() hears */
    struct entry *later_change, **change_at; /* NULL: published, or not ours to publish */
    size_t reason_bytes;
    char reason[BAN_REASON_BYTES];
};

struct bans {
    _Atomic size_t count; /* banned; written under the lock */
    _Atomic uint64_t generation;
    pthread_mutex_t lock;
    struct net_networks never_ban, trusted_proxies;
    size_t lifted_count;
    struct entry *first_change, **changes_end;
    struct entry *heap[BANS_MAX]; /* the next to end first */
    _Atomic(struct entry *) bucket[BUCKETS];
};

static size_t count_of(const struct bans *bans)
{
    return atomic_load_explicit(&bans->count, memory_order_relaxed);
}

static void set_count(struct bans *bans, size_t count)
{
    atomic_store_explicit(&bans->count, count, memory_order_relaxed);
}

/* ---- Who ends next ------------------------------------------------------------------------- */

static void place(struct bans *bans, struct entry *e, size_t at)
{
    bans->heap[at] = e;
    e->heap_at = at;
}

static void sift_up(struct bans *bans, struct entry *e, size_t at)
{
    for (; at > 0 && bans->heap[(at - 1) / 2]->until_ms > e->until_ms; at = (at - 1) / 2)
        place(bans, bans->heap[(at - 1) / 2], at);
    place(bans, e, at);
}

static void sift_down(struct bans *bans, struct entry *e, size_t at)
{
    size_t count = count_of(bans);
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && bans->heap[child + 1]->until_ms < bans->heap[child]->until_ms)
            child++;
        if (bans->heap[child]->until_ms >= e->until_ms)
            break;
        place(bans, bans->heap[child], at);
    }
    place(bans, e, at);
}

static void settle(struct bans *bans, struct entry *e)
{
    sift_up(bans, e, e->heap_at);
    sift_down(bans, e, e->heap_at);
}

static void take_from_heap(struct bans *bans, const struct entry *e)
{
    size_t last = count_of(bans) - 1, at = e->heap_at;
    struct entry *moved = bans->heap[last];
    set_count(bans, last);
    if (at == last)
        return;
    place(bans, moved, at);
    settle(bans, moved);
}

/* ---- Changes that nobody has published yet ------------------------------------------------- */

static void queue_change(struct bans *bans, struct entry *e)
{
    if (e->change_at)
        return;
    e->later_change = NULL;
    e->change_at = bans->changes_end;
    *e->change_at = e;
    bans->changes_end = &e->later_change;
}

static void unqueue_change(struct bans *bans, struct entry *e)
{
    if (!e->change_at)
        return;
    *e->change_at = e->later_change;
    if (e->later_change)
        e->later_change->change_at = e->change_at;
    else
        bans->changes_end = e->change_at;
    e->change_at = NULL;
}

/* ---- Entries ------------------------------------------------------------------------------- */

static _Atomic(struct entry *) *bucket_of(struct bans *bans, uint64_t hash)
{
    return &bans->bucket[hash % BUCKETS];
}

static struct entry *find(struct bans *bans, const struct net_network *net)
{
    uint64_t hash = net_address_hash_ip(&net->address);
    struct entry *e = atomic_load_explicit(bucket_of(bans, hash), memory_order_relaxed);
    while (e && (e->hash != hash || !net_network_same(&e->net, net)))
        e = e->next;
    return e;
}

/* Cut between two characters. */
static void set_reason(struct entry *e, struct str reason)
{
    size_t n = reason.len < BAN_REASON_BYTES ? reason.len : BAN_REASON_BYTES;
    while (n > 0 && n < reason.len && ((unsigned char)reason.ptr[n] & 0xc0) == 0x80)
        n--;
    if (n > 0)
        memcpy(e->reason, reason.ptr, n);
    e->reason_bytes = n;
}

static void link_entry(struct bans *bans, struct entry *e, const struct net_network *net)
{
    e->net = net_network_of(&net->address, net->prefix_bits);
    e->hash = net_address_hash_ip(&e->net.address);
    _Atomic(struct entry *) *bucket = bucket_of(bans, e->hash);
    e->next = atomic_load_explicit(bucket, memory_order_relaxed);
    atomic_store_explicit(bucket, e, memory_order_relaxed);
}

static void unlink_entry(struct bans *bans, struct entry *e)
{
    _Atomic(struct entry *) *bucket = bucket_of(bans, e->hash);
    struct entry *at = atomic_load_explicit(bucket, memory_order_relaxed);
    if (at == e) {
        atomic_store_explicit(bucket, e->next, memory_order_relaxed);
        return;
    }
    while (at->next != e)
        at = at->next;
    at->next = e->next;
}

/* Out of everything but the heap. */
static void forget(struct bans *bans, struct entry *e)
{
    if (e->is_lifted)
        bans->lifted_count--;
    unqueue_change(bans, e);
    unlink_entry(bans, e);
    free(e);
}

static void drop(struct bans *bans, struct entry *e)
{
    take_from_heap(bans, e);
    forget(bans, e);
}

static void drop_ended(struct bans *bans, uint64_t now_ms)
{
    while (count_of(bans) > 0 && bans->heap[0]->until_ms <= now_ms)
        drop(bans, bans->heap[0]);
}

/* Who is banned for longer stays: a crowd with brief bans pushes nobody out but its own. */
static int make_room(struct bans *bans, uint64_t until_ms)
{
    if (count_of(bans) < BANS_MAX)
        return 0;
    if (bans->heap[0]->until_ms >= until_ms)
        return -ENOSPC;
    drop(bans, bans->heap[0]);
    return 0;
}

/* There is room. */
static void begin_ban(struct bans *bans, struct entry *e, const struct ban *ban)
{
    e->until_ms = ban->until_ms;
    set_reason(e, ban->reason);
    size_t count = count_of(bans);
    set_count(bans, count + 1);
    sift_up(bans, e, count);
    /* Release: who sees the number sees the ban. */
    atomic_fetch_add_explicit(&bans->generation, 1, memory_order_release);
}

static void change_ban(struct bans *bans, struct entry *e, const struct ban *ban)
{
    e->until_ms = ban->until_ms;
    set_reason(e, ban->reason);
    settle(bans, e);
}

static struct ban view(const struct entry *e)
{
    return (struct ban){
        e->net, e->until_ms, {e->reason, e->reason_bytes}
    };
}

/* ---- Life ---------------------------------------------------------------------------------- */

struct bans *bans_new(void)
{
    struct bans *bans = calloc(1, sizeof *bans); /* large, but untouched until somebody is banned */
    if (!bans)
        return NULL;
    pthread_mutex_init(&bans->lock, NULL); /* cannot fail without attributes */
    bans->changes_end = &bans->first_change;
    return bans;
}

void bans_free(struct bans *bans)
{
    if (!bans)
        return;
    while (count_of(bans) > 0)
        drop(bans, bans->heap[count_of(bans) - 1]);
    while (bans->first_change) /* what was lifted */
        forget(bans, bans->first_change);
    free(bans->never_ban.item);
    free(bans->trusted_proxies.item);
    pthread_mutex_destroy(&bans->lock);
    free(bans);
}

/* ---- Networks that nobody can ban ---------------------------------------------------------- */

static bool is_exempt(const struct bans *bans, const struct net_network *net)
{
    return net_networks_overlap(&bans->never_ban, net) ||
           net_networks_overlap(&bans->trusted_proxies, net);
}

static int copy_networks(const struct net_networks *from, struct net_networks *to)
{
    *to = (struct net_networks){.count = from ? from->count : 0};
    if (to->count == 0)
        return 0;
    to->item = malloc(to->count * sizeof *to->item);
    if (!to->item)
        return -ENOMEM;
    memcpy(to->item, from->item, to->count * sizeof *to->item);
    return 0;
}

typedef bool stays_fn(const struct bans *bans, struct entry *e);

static void keep_only(struct bans *bans, stays_fn *stays)
{
    size_t count = count_of(bans), kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct entry *e = bans->heap[i];
        if (stays(bans, e))
            place(bans, e, kept++);
        else
            forget(bans, e);
    }
    set_count(bans, kept);
    for (size_t i = kept / 2; i-- > 0;)
        sift_down(bans, bans->heap[i], i);
}

static bool is_bannable(const struct bans *bans, struct entry *e)
{
    return !is_exempt(bans, &e->net);
}

int bans_set_exempt(struct bans *bans, const struct net_networks *never_ban,
                    const struct net_networks *trusted_proxies)
{
    struct net_networks never, proxies;
    if (copy_networks(never_ban, &never) < 0)
        return -ENOMEM;
    if (copy_networks(trusted_proxies, &proxies) < 0) {
        free(never.item);
        return -ENOMEM;
    }
    pthread_mutex_lock(&bans->lock);
    free(bans->never_ban.item);
    free(bans->trusted_proxies.item);
    bans->never_ban = never;
    bans->trusted_proxies = proxies;
    keep_only(bans, is_bannable); /* other nodes go by their own configuration: not published */
    pthread_mutex_unlock(&bans->lock);
    return 0;
}

/* ---- Changes made here --------------------------------------------------------------------- */

static int add_new(struct bans *bans, const struct ban *ban)
{
    struct entry *e = calloc(1, sizeof *e);
    if (!e)
        return -ENOMEM;
    int rc = make_room(bans, ban->until_ms);
    if (rc < 0) {
        free(e);
        return rc;
    }
    link_entry(bans, e, &ban->net);
    begin_ban(bans, e, ban);
    queue_change(bans, e);
    return 0;
}

/* Its lifting was not published yet: that it is banned takes the place of it. */
static int revive(struct bans *bans, struct entry *e, const struct ban *ban)
{
    int rc = make_room(bans, ban->until_ms);
    if (rc < 0)
        return rc;
    e->is_lifted = false;
    bans->lifted_count--;
    begin_ban(bans, e, ban);
    return 0;
}

static int add_locked(struct bans *bans, const struct ban *ban, uint64_t now_ms)
{
    if (is_exempt(bans, &ban->net))
        return -EPERM;
    if (ban->until_ms <= now_ms)
        return 0;
    drop_ended(bans, now_ms);
    struct entry *e = find(bans, &ban->net);
    if (!e)
        return add_new(bans, ban);
    if (e->is_lifted)
        return revive(bans, e, ban);
    if (ban->until_ms <= e->until_ms)
        return 1;
    change_ban(bans, e, ban);
    queue_change(bans, e);
    return 0;
}

bool ban_is_possible(const struct net_network *net)
{
    if (net->address.any.sa_family != AF_INET6)
        return net->prefix_bits == NET_IPV4_BITS;
    return net->prefix_bits == NET_IPV6_BITS || net->prefix_bits == NET_CUSTOMER_IPV6_BITS;
}

int bans_add(struct bans *bans, const struct ban *ban, uint64_t now_ms)
{
    if (!ban_is_possible(&ban->net))
        return -EINVAL;
    pthread_mutex_lock(&bans->lock);
    int rc = add_locked(bans, ban, now_ms);
    pthread_mutex_unlock(&bans->lock);
    return rc;
}

/* Others need to hear of it only if they have heard of the ban. */
static void lift(struct bans *bans, struct entry *e)
{
    take_from_heap(bans, e);
    if (!e->is_known || bans->lifted_count == BANS_MAX) {
        forget(bans, e);
        return;
    }
    e->is_lifted = true;
    bans->lifted_count++;
    queue_change(bans, e);
}

int bans_lift(struct bans *bans, const struct net_network *net)
{
    pthread_mutex_lock(&bans->lock);
    struct entry *e = find(bans, net);
    bool is_banned = e && !e->is_lifted;
    if (is_banned)
        lift(bans, e);
    pthread_mutex_unlock(&bans->lock);
    return is_banned ? 0 : -ENOENT;
}

/* ---- Questions ----------------------------------------------------------------------------- */

static bool has_locked(struct bans *bans, const struct net_network *net, uint64_t now_ms)
{
    struct entry *e = find(bans, net);
    if (!e || e->is_lifted)
        return false;
    if (e->until_ms > now_ms)
        return true;
    drop(bans, e);
    return false;
}

static bool has(struct bans *bans, const struct net_network *net, uint64_t now_ms)
{
    uint64_t hash = net_address_hash_ip(&net->address);
    if (!atomic_load_explicit(bucket_of(bans, hash), memory_order_relaxed))
        return false;
    pthread_mutex_lock(&bans->lock);
    bool is_banned = has_locked(bans, net, now_ms);
    pthread_mutex_unlock(&bans->lock);
    return is_banned;
}

bool bans_has(struct bans *bans, const struct net_address *ip, uint64_t now_ms)
{
    if (count_of(bans) == 0)
        return false;
    struct net_network alone = net_network_of(ip, NET_IPV6_BITS);
    struct net_network customer = net_network_of(ip, NET_CUSTOMER_IPV6_BITS);
    return has(bans, &alone, now_ms) ||
           (customer.prefix_bits < alone.prefix_bits && has(bans, &customer, now_ms));
}

uint64_t bans_generation(const struct bans *bans)
{
    return atomic_load_explicit(&bans->generation, memory_order_acquire);
}

void bans_each(struct bans *bans, uint64_t now_ms, bans_each_fn *each, void *arg)
{
    pthread_mutex_lock(&bans->lock);
    drop_ended(bans, now_ms);
    for (size_t i = 0; i < count_of(bans); i++) {
        struct ban ban = view(bans->heap[i]);
        each(arg, &ban);
    }
    pthread_mutex_unlock(&bans->lock);
}

size_t bans_count(struct bans *bans, uint64_t now_ms)
{
    pthread_mutex_lock(&bans->lock);
    drop_ended(bans, now_ms);
    size_t count = count_of(bans);
    pthread_mutex_unlock(&bans->lock);
    return count;
}

/* ---- Sharing ------------------------------------------------------------------------------- */

bool bans_take_unpublished(struct bans *bans, struct ban *out, bool *is_lift,
                           char memory[BAN_REASON_BYTES])
{
    pthread_mutex_lock(&bans->lock);
    struct entry *e = bans->first_change;
    if (e) {
        *out = view(e);
        memcpy(memory, e->reason, e->reason_bytes);
        out->reason.ptr = memory;
        *is_lift = e->is_lifted;
        unqueue_change(bans, e);
        e->is_known = true;
        if (e->is_lifted)
            forget(bans, e);
    }
    pthread_mutex_unlock(&bans->lock);
    return e != NULL;
}

void bans_unpublish_all(struct bans *bans)
{
    pthread_mutex_lock(&bans->lock);
    for (size_t i = 0; i < count_of(bans); i++)
        queue_change(bans, bans->heap[i]);
    pthread_mutex_unlock(&bans->lock);
}

static bool counts(const struct bans *bans, const struct ban *ban, uint64_t now_ms)
{
    return ban->until_ms > now_ms && ban_is_possible(&ban->net) && !is_exempt(bans, &ban->net);
}

/* As many blank entries as the list has addresses that are new here, so that nothing can fail once
 * the first change is made. */
static int prepare_entries(struct bans *bans, const struct ban *list, size_t count, uint64_t now_ms,
                           struct entry **blank)
{
    for (size_t i = 0; i < count; i++) {
        if (!counts(bans, &list[i], now_ms) || find(bans, &list[i].net))
            continue;
        struct entry *e = calloc(1, sizeof *e);
        if (!e)
            return -ENOMEM;
        e->next = *blank;
        *blank = e;
    }
    return 0;
}

/* What is banned here already: as they say, unless we have yet to tell them of a later end. */
static void hear_of_known(struct bans *bans, const struct ban *ban)
{
    struct entry *e = find(bans, &ban->net);
    if (!e || e->is_lifted)
        return;
    e->is_known = e->is_listed = true;
    if (e->change_at && ban->until_ms <= e->until_ms)
        return;
    unqueue_change(bans, e);
    change_ban(bans, e, ban);
}

static void hear_of_new(struct bans *bans, const struct ban *ban, struct entry **blank)
{
    struct entry *e = *blank;
    if (!e || find(bans, &ban->net) || make_room(bans, ban->until_ms) < 0)
        return;
    *blank = e->next;
    link_entry(bans, e, &ban->net);
    e->is_known = true;
    begin_ban(bans, e, ban);
}

static bool is_listed_or_ours(const struct bans *bans, struct entry *e)
{
    (void)bans;
    e->is_known = e->is_listed;
    e->is_listed = false;
    return e->is_known || e->change_at;
}

static int replace_locked(struct bans *bans, const struct ban *list, size_t count, uint64_t now_ms,
                          struct entry **blank)
{
    drop_ended(bans, now_ms);
    int rc = prepare_entries(bans, list, count, now_ms, blank);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < count; i++)
        if (counts(bans, &list[i], now_ms))
            hear_of_known(bans, &list[i]);
    keep_only(bans, is_listed_or_ours);
    for (size_t i = 0; i < count; i++)
        if (counts(bans, &list[i], now_ms))
            hear_of_new(bans, &list[i], blank);
    return 0;
}

int bans_replace_published(struct bans *bans, const struct ban *list, size_t count, uint64_t now_ms)
{
    struct entry *blank = NULL;
    pthread_mutex_lock(&bans->lock);
    int rc = replace_locked(bans, list, count, now_ms, &blank);
    pthread_mutex_unlock(&bans->lock);
    while (blank) { /* an address that stood there twice, or found no room */
        struct entry *next = blank->next;
        free(blank);
        blank = next;
    }
    return rc;
}
