#include <aorta/journal.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { ENTRY_WORDS = 8, ADDRESS_BYTES = 16, CACHE_LINE = 64 };

/* One cache line. Its words are atomic, as it may be read while it is overwritten; then the reader
 * finds out, and takes no notice of what it read. */
struct entry {
    _Atomic uint64_t word[ENTRY_WORDS];
};

/* What the words of an entry are. */
struct packed {
    uint64_t aor_hash;
    uint64_t time_ms;
    conn_id conn;
    const char *cause;
    uint32_t number;
    uint8_t kind, protocol;
    uint16_t family; /* as in a sockaddr, */
    uint16_t port;   /* and so is this */
    uint16_t unused[3];
    uint8_t address[ADDRESS_BYTES];
};
_Static_assert(sizeof(struct packed) == sizeof(struct entry), "an entry holds a packed fact");

struct ring {
    _Alignas(CACHE_LINE) _Atomic uint64_t begun; /* entries that were begun, ever */
    _Atomic uint64_t noted;                      /* and completed */
    struct entry *entry;
};

struct journal {
    unsigned workers;
    uint64_t entries; /* of each ring */
    struct ring ring[];
};

struct journal *journal_new(unsigned workers, size_t bytes)
{
    size_t size = sizeof(struct journal) + workers * sizeof(struct ring);
    struct journal *j =
        aligned_alloc(CACHE_LINE, (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
    if (!j)
        return NULL;
    memset(j, 0, size);
    j->workers = workers;
    j->entries = bytes / workers / sizeof(struct entry);
    for (unsigned i = 0; j->entries > 0 && i < workers; i++) {
        j->ring[i].entry = calloc(j->entries, sizeof(struct entry)); /* touched as it fills */
        if (!j->ring[i].entry) {
            journal_free(j);
            return NULL;
        }
    }
    return j;
}

void journal_free(struct journal *j)
{
    if (!j)
        return;
    for (unsigned i = 0; i < j->workers; i++)
        free(j->ring[i].entry);
    free(j);
}

/* ---- Packing ------------------------------------------------------------------------------- */

static void pack_address(struct packed *p, const struct net_address *address)
{
    p->family = address->any.sa_family;
    if (p->family == AF_INET) {
        memcpy(p->address, &address->v4.sin_addr, sizeof address->v4.sin_addr);
        p->port = address->v4.sin_port;
    } else if (p->family == AF_INET6) {
        memcpy(p->address, &address->v6.sin6_addr, sizeof address->v6.sin6_addr);
        p->port = address->v6.sin6_port;
    }
}

static void unpack_address(const struct packed *p, struct net_address *address)
{
    memset(address, 0, sizeof *address);
    address->any.sa_family = p->family;
    if (p->family == AF_INET) {
        memcpy(&address->v4.sin_addr, p->address, sizeof address->v4.sin_addr);
        address->v4.sin_port = p->port;
    } else if (p->family == AF_INET6) {
        memcpy(&address->v6.sin6_addr, p->address, sizeof address->v6.sin6_addr);
        address->v6.sin6_port = p->port;
    }
}

static void unpack(const struct packed *p, struct fact *fact)
{
    *fact = (struct fact){
        .kind = (enum fact_kind)p->kind,
        .protocol = (enum transport_kind)p->protocol,
        .time_ms = p->time_ms,
        .conn = p->conn,
        .cause = p->cause,
        .number = p->number,
        .times = 1,
    };
    unpack_address(p, &fact->source);
}

/* ---- Noting -------------------------------------------------------------------------------- */

void journal_note(struct journal *j, unsigned worker, struct str aor, const struct fact *fact)
{
    if (!j || j->entries == 0)
        return;
    struct packed p = {
        .aor_hash = str_quick_hash(aor),
        .time_ms = fact->time_ms,
        .conn = fact->conn,
        .cause = fact->cause,
        .number = fact->number,
        .kind = (uint8_t)fact->kind,
        .protocol = (uint8_t)fact->protocol,
    };
    pack_address(&p, &fact->source);
    uint64_t word[ENTRY_WORDS];
    memcpy(word, &p, sizeof word);
    struct ring *ring = &j->ring[worker];
    uint64_t n = atomic_load_explicit(&ring->noted, memory_order_relaxed);
    struct entry *entry = &ring->entry[n % j->entries];
    atomic_store_explicit(&ring->begun, n + 1, memory_order_relaxed);
    atomic_thread_fence(
        memory_order_release); /* whoever sees a word of it sees that it has begun */
    for (int i = 0; i < ENTRY_WORDS; i++)
        atomic_store_explicit(&entry->word[i], word[i], memory_order_relaxed);
    atomic_store_explicit(&ring->noted, n + 1, memory_order_release);
}

/* ---- Looking ------------------------------------------------------------------------------- */

/* The nth entry that was ever noted in this ring. False when another has its place by now. */
static bool read_entry(const struct journal *j, const struct ring *ring, uint64_t n,
                       struct packed *p)
{
    uint64_t word[ENTRY_WORDS];
    const struct entry *entry = &ring->entry[n % j->entries];
    for (int i = 0; i < ENTRY_WORDS; i++)
        word[i] = atomic_load_explicit(&entry->word[i], memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    memcpy(p, word, sizeof *p);
    return atomic_load_explicit(&ring->begun, memory_order_relaxed) - n <= j->entries;
}

static bool is_of(const struct ring *ring, uint64_t entries, uint64_t n, uint64_t aor_hash)
{
    return atomic_load_explicit(&ring->entry[n % entries].word[0], memory_order_relaxed) ==
           aor_hash;
}

static bool is_more_of(const struct fact *earlier, const struct fact *later)
{
    return earlier->kind == FACT_REFRESHED && later->kind == FACT_REFRESHED &&
           earlier->conn == later->conn && net_address_same(&earlier->source, &later->source);
}

/* The newest `max` facts of one ring, the newest first. */
static size_t find_in_ring(const struct journal *j, const struct ring *ring, uint64_t aor_hash,
                           struct fact *out, size_t max)
{
    uint64_t noted = atomic_load_explicit(&ring->noted, memory_order_acquire);
    uint64_t oldest = noted > j->entries ? noted - j->entries : 0;
    size_t count = 0;
    for (uint64_t n = noted; n-- > oldest;) {
        struct packed p;
        struct fact fact;
        if (!is_of(ring, j->entries, n, aor_hash))
            continue;
        if (!read_entry(j, ring, n, &p))
            break;
        unpack(&p, &fact);
        if (count > 0 && is_more_of(&fact, &out[count - 1]))
            out[count - 1].times++;
        else if (count < max)
            out[count++] = fact;
        else
            break;
    }
    return count;
}

/* `list` and `other`, both newest first, to the newest `max` of them in `list`. */
static size_t merge(struct fact *list, size_t count, const struct fact *other, size_t other_count,
                    size_t max, struct fact *scratch)
{
    size_t n = 0, i = 0, k = 0;
    while (n < max && (i < count || k < other_count)) {
        bool takes_list = k == other_count || (i < count && list[i].time_ms >= other[k].time_ms);
        scratch[n++] = takes_list ? list[i++] : other[k++];
    }
    memcpy(list, scratch, n * sizeof *list);
    return n;
}

/* From the newest first to the oldest first. A few facts are noted later than they were. */
static void put_in_order(struct fact *list, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        struct fact fact = list[i];
        list[i] = list[count - 1 - i];
        list[count - 1 - i] = fact;
    }
    for (size_t i = 1; i < count; i++) {
        struct fact fact = list[i];
        size_t at = i;
        for (; at > 0 && list[at - 1].time_ms > fact.time_ms; at--)
            list[at] = list[at - 1];
        list[at] = fact;
    }
}

size_t journal_find(const struct journal *j, struct str aor, struct fact *out, size_t max)
{
    if (j->entries == 0)
        return 0;
    struct fact *memory = calloc(2 * max, sizeof *memory);
    if (!memory)
        return 0;
    uint64_t hash = str_quick_hash(aor);
    size_t count = 0;
    for (unsigned i = 0; i < j->workers; i++) {
        size_t n = find_in_ring(j, &j->ring[i], hash, memory, max);
        count = merge(out, count, memory, n, max, memory + max);
    }
    free(memory);
    put_in_order(out, count);
    return count;
}

uint64_t journal_begins_ms(const struct journal *j)
{
    uint64_t begins_ms = 0;
    for (unsigned i = 0; j->entries > 0 && i < j->workers; i++) {
        const struct ring *ring = &j->ring[i];
        uint64_t noted = atomic_load_explicit(&ring->noted, memory_order_acquire);
        struct packed p;
        if (noted > j->entries && read_entry(j, ring, noted - j->entries, &p) &&
            p.time_ms > begins_ms)
            begins_ms = p.time_ms; /* the latest of them: from there on nothing is missing */
    }
    return begins_ms;
}
