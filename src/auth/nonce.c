#include "hex_internal.h"
#include "nonce_internal.h"
#include <aorta/buf.h>
#include <errno.h>
#include <mbedtls_compat.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
    TAG = 0xa1, /* another layout gets another tag */
    START_BYTES = 4,
    MAC_BYTES = 16,
    BLOCK_BYTES = 16, /* of AES */
    /* where the parts begin; numbers are big-endian */
    AT_TAG = 0,
    AT_START = 1,
    AT_TIME = 5,
    AT_SERIAL = 9,
    AT_FLOW = 17,
    AT_MAC = 25,
    SERIAL_WORKER_SHIFT = 56, /* the highest byte of a serial is its worker */
    FUTURE_S = 5,
    CACHE_LINE = 64,
};
_Static_assert(AT_MAC + MAC_BYTES == NONCE_BYTES, "the parts fill a nonce");
_Static_assert(AT_MAC > BLOCK_BYTES && AT_MAC < 2 * BLOCK_BYTES,
               "a full block, and one that is not");

/* AES-CMAC (RFC 4493), its key schedule made and the second subkey worked out. Two AES blocks a
 * nonce, where HMAC-SHA256 took ten times as long. Only read after nonces_new(), so threads share
 * it. */
struct mac_key {
    mbedtls_aes_context aes;
    uint8_t last[BLOCK_BYTES]; /* K2, for a last block that is not full */
};

struct counter {
    _Alignas(CACHE_LINE) uint64_t next; /* a line for each: workers do not slow each other down */
};

struct nonces {
    uint8_t start[START_BYTES]; /* tells the nonces of this run from those before a restart */
    uint8_t flow_secret[16];
    struct mac_key mac;
    unsigned worker_slot_bits; /* each worker's serials walk 2^this slots of their own */
    uint64_t slot_mask;
    struct counter *counter;
    /* Generation of the serial (upper half) and its highest nc; 0: never used. */
    _Atomic uint64_t *slot;
};

/* ---- Making it ----------------------------------------------------------------------------- */

static int draw(void *out, size_t n)
{
    ssize_t got;
    do
        got = getrandom(out, n, 0);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)n ? 0 : -EIO;
}

static int encrypt(const struct mac_key *mac, uint8_t block[BLOCK_BYTES])
{
    /* It asks for a context that it may change, but does not. */
    mbedtls_aes_context *aes = (mbedtls_aes_context *)&mac->aes;
    return mbedtls_aes_crypt_ecb(aes, MBEDTLS_AES_ENCRYPT, block, block) == 0 ? 0 : -EIO;
}

/* RFC 4493 2.3: times x in GF(2^128). */
static void shift_subkey(uint8_t key[BLOCK_BYTES])
{
    uint8_t carry = key[0] >> 7;
    for (size_t i = 0; i < BLOCK_BYTES; i++)
        key[i] = (uint8_t)(key[i] << 1 | (i + 1 < BLOCK_BYTES ? key[i + 1] >> 7 : 0));
    key[BLOCK_BYTES - 1] ^= carry ? 0x87 : 0;
}

static int draw_mac_key(struct mac_key *mac)
{
    uint8_t key[16];
    int rc = draw(key, sizeof key);
    if (rc == 0)
        rc = mbedtls_aes_setkey_enc(&mac->aes, key, 8 * sizeof key) == 0 ? 0 : -EIO;
    mbedtls_platform_zeroize(key, sizeof key);
    memset(mac->last, 0, sizeof mac->last);
    if (rc == 0)
        rc = encrypt(mac, mac->last);
    shift_subkey(mac->last);
    shift_subkey(mac->last);
    return rc;
}

static int draw_secrets(struct nonces *n)
{
    int rc = draw(n->start, sizeof n->start);
    if (rc == 0)
        rc = draw(n->flow_secret, sizeof n->flow_secret);
    if (rc == 0)
        rc = draw_mac_key(&n->mac);
    return rc;
}

static unsigned bits_for(unsigned workers)
{
    unsigned bits = 0;
    while (1u << bits < workers)
        bits++;
    return bits;
}

struct nonces *nonces_new(unsigned workers, unsigned slot_bits)
{
    if (workers == 0 || workers > NONCE_MAX_WORKERS || bits_for(workers) > slot_bits)
        return NULL;
    struct nonces *n = calloc(1, sizeof *n);
    if (n == NULL)
        return NULL;
    mbedtls_aes_init(&n->mac.aes);
    n->worker_slot_bits = slot_bits - bits_for(workers);
    n->slot_mask = ((uint64_t)1 << slot_bits) - 1;
    n->slot = calloc((size_t)1 << slot_bits, sizeof *n->slot);
    n->counter = aligned_alloc(CACHE_LINE, workers * sizeof *n->counter);
    if (n->slot == NULL || n->counter == NULL || draw_secrets(n) != 0)
        goto fail;
    memset(n->counter, 0, workers * sizeof *n->counter);
    return n;
fail:
    nonces_free(n);
    return NULL;
}

void nonces_free(struct nonces *nonces)
{
    if (nonces == NULL)
        return;
    mbedtls_aes_free(&nonces->mac.aes);
    free(nonces->counter);
    free(nonces->slot);
    mbedtls_platform_zeroize(nonces, sizeof *nonces);
    free(nonces);
}

/* ---- The text ------------------------------------------------------------------------------ */

static void put_number(uint8_t *at, uint64_t value, size_t n)
{
    for (size_t i = n; i-- > 0; value >>= 8)
        at[i] = (uint8_t)value;
}

static uint64_t get_number(const uint8_t *at, size_t n)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++)
        value = value << 8 | at[i];
    return value;
}

uint64_t nonces_flow(const struct nonces *nonces, enum transport_kind protocol, conn_id conn,
                     const struct net_address *source)
{
    /* Not a part of the MAC's key: then a nonce of another flow would look forged, and a phone
     * that connected anew would read the 401 without stale as a wrong password. */
    bool is_stream = transport_kind_is_stream(protocol);
    uint8_t identity[sizeof nonces->flow_secret + 9];
    memcpy(identity, nonces->flow_secret, sizeof nonces->flow_secret);
    identity[sizeof nonces->flow_secret] = is_stream;
    put_number(identity + sizeof nonces->flow_secret + 1,
               is_stream ? conn : net_address_hash_ip(source), 8);
    return str_hash((struct str){(const char *)identity, sizeof identity});
}

/* Of everything before AT_MAC (RFC 4493 2.4). */
static int compute_mac(const struct mac_key *mac, const uint8_t *nonce, uint8_t out[MAC_BYTES])
{
    uint8_t block[BLOCK_BYTES];
    memcpy(block, nonce, BLOCK_BYTES);
    int rc = encrypt(mac, block);
    if (rc != 0)
        return rc;
    for (size_t i = BLOCK_BYTES; i < AT_MAC; i++)
        block[i - BLOCK_BYTES] ^= nonce[i];
    block[AT_MAC - BLOCK_BYTES] ^= 0x80; /* ends what is not a full block */
    for (size_t i = 0; i < BLOCK_BYTES; i++)
        block[i] ^= mac->last[i];
    rc = encrypt(mac, block);
    if (rc == 0)
        memcpy(out, block, MAC_BYTES);
    return rc;
}

int nonces_make(struct nonces *nonces, unsigned worker, uint64_t flow, uint64_t now_ms,
                char text[NONCE_TEXT])
{
    uint64_t serial = (uint64_t)worker << SERIAL_WORKER_SHIFT | nonces->counter[worker].next++;
    uint8_t nonce[NONCE_BYTES];
    nonce[AT_TAG] = TAG;
    memcpy(nonce + AT_START, nonces->start, START_BYTES);
    put_number(nonce + AT_TIME, now_ms / 1000, AT_SERIAL - AT_TIME);
    put_number(nonce + AT_SERIAL, serial, AT_FLOW - AT_SERIAL);
    put_number(nonce + AT_FLOW, flow, AT_MAC - AT_FLOW);
    int rc = compute_mac(&nonces->mac, nonce, nonce + AT_MAC);
    if (rc != 0)
        return rc;

    struct buf b;
    buf_init_fixed(&b, text, NONCE_TEXT);
    buf_put_hex(&b, nonce, sizeof nonce);
    return b.error;
}

/* Ours are in lower case only, so that a nonce has one spelling. */
static bool read_nonce(struct str text, uint8_t nonce[NONCE_BYTES])
{
    unsigned char is_upper = 0;
    for (size_t i = 0; i < NONCE_TEXT; i++)
        is_upper |= (unsigned char)((text.ptr[i] >= 'A') & (text.ptr[i] <= 'F'));
    return !is_upper && hex_read(text, nonce, NONCE_BYTES) && nonce[AT_TAG] == TAG;
}

static bool has_right_mac(const struct nonces *nonces, const uint8_t *nonce)
{
    uint8_t mac[MAC_BYTES];
    if (compute_mac(&nonces->mac, nonce, mac) != 0)
        return false;
    return str_eq_constant_time((struct str){(const char *)mac, MAC_BYTES},
                                (struct str){(const char *)nonce + AT_MAC, MAC_BYTES});
}

enum nonce_verdict nonces_check(const struct nonces *nonces, struct str text, uint64_t flow,
                                uint64_t now_ms, uint32_t ttl_s, uint64_t *serial)
{
    uint8_t nonce[NONCE_BYTES];
    if (text.len != NONCE_TEXT || !read_nonce(text, nonce))
        return NONCE_FOREIGN;
    if (memcmp(nonce + AT_START, nonces->start, START_BYTES) != 0)
        return NONCE_OLD_START;
    if (!has_right_mac(nonces, nonce))
        return NONCE_FOREIGN;

    uint64_t made_s = get_number(nonce + AT_TIME, AT_SERIAL - AT_TIME);
    uint64_t now_s = now_ms / 1000;
    if (made_s > now_s + FUTURE_S || now_s > made_s + ttl_s)
        return NONCE_EXPIRED;
    if (get_number(nonce + AT_FLOW, AT_MAC - AT_FLOW) != flow)
        return NONCE_OTHER_FLOW;
    *serial = get_number(nonce + AT_SERIAL, AT_FLOW - AT_SERIAL);
    return NONCE_GOOD;
}

/* ---- What was used ------------------------------------------------------------------------- */

static _Atomic uint64_t *slot_of(const struct nonces *n, uint64_t serial)
{
    uint64_t worker = serial >> SERIAL_WORKER_SHIFT;
    uint64_t own = serial & (((uint64_t)1 << n->worker_slot_bits) - 1);
    return &n->slot[(worker << n->worker_slot_bits | own) & n->slot_mask];
}

/* What the slot will hold: how often the worker's serials have been round, from 1, above the nc.
 * With 256 workers 32 bits last for 2^44 nonces each, which is years of nothing but challenges. */
static uint64_t slot_value(const struct nonces *n, const struct nonce_use *use)
{
    uint64_t count = use->serial & (((uint64_t)1 << SERIAL_WORKER_SHIFT) - 1);
    uint64_t generation = (count >> n->worker_slot_bits) + 1;
    return generation << 32 | (use->is_whole ? UINT32_MAX : use->nc);
}

/* May `next` follow on what the slot holds? A nonce that a newer one pushed out never may, since
 * its nc are forgotten. */
static bool may_follow(uint64_t held, uint64_t next, bool is_whole)
{
    return is_whole ? held >> 32 < next >> 32 : held < next;
}

bool nonces_is_unused(const struct nonces *nonces, const struct nonce_use *use)
{
    uint64_t held = atomic_load_explicit(slot_of(nonces, use->serial), memory_order_relaxed);
    return may_follow(held, slot_value(nonces, use), use->is_whole);
}

bool nonces_is_forgotten(const struct nonces *nonces, const struct nonce_use *use)
{
    uint64_t held = atomic_load_explicit(slot_of(nonces, use->serial), memory_order_relaxed);
    return held >> 32 > slot_value(nonces, use) >> 32;
}

bool nonces_use(struct nonces *nonces, const struct nonce_use *use)
{
    _Atomic uint64_t *slot = slot_of(nonces, use->serial);
    uint64_t next = slot_value(nonces, use);
    /* Relaxed: the slot stands for itself, no other memory is published by it. */
    uint64_t held = atomic_load_explicit(slot, memory_order_relaxed);
    do
        if (!may_follow(held, next, use->is_whole))
            return false;
    while (!atomic_compare_exchange_weak_explicit(slot, &held, next, memory_order_relaxed,
                                                  memory_order_relaxed));
    return true;
}
