/* bench_store_memory [COUNT [MOST_BYTES]]: what a binding costs in the memory store, in bytes of
 * resident memory and in time (with that of printing the request). Prints one line of JSON; exit
 * status 1 above MOST_BYTES each. */
#include <aorta/store.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { GRACE_MS = 10000, GRANTED_S = 3600 };
#define EPOCH_MS UINT64_C(1795000000000)

struct bench {
    struct store *store;
    struct config config;
    struct sip_request sip;
    struct arena arena;
    uint64_t refused;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static size_t resident_bytes(void)
{
    char line[128] = "", *resident = line;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fgets(line, sizeof line, f))
        (void)strtoul(line, &resident, 10); /* all pages; the resident ones come next */
    if (f)
        fclose(f);
    return strtoul(resident, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

static void take_outcome(void *arg, const struct store_outcome *outcome)
{
    struct bench *b = arg;
    b->refused += outcome->error || outcome->verdict != BINDING_OK || outcome->count != 1;
}

/* As long as what phones send: a contact of 60 bytes, an instance of 47, a Call-ID of 30. */
static void register_one(struct bench *b, uint32_t n, uint32_t cseq, uint64_t now_ms)
{
    char aor[48], uri[96], instance[64], call_id[48];
    snprintf(aor, sizeof aor, "user%07u@sip.example.com", n);
    snprintf(uri, sizeof uri, "sip:user%07u@198.51.%03u.%03u:5060;line=%016x", n, 100 + n % 100,
             100 + n / 100 % 100, n);
    snprintf(instance, sizeof instance, "\"<urn:uuid:%08x-0000-4000-8000-%012x>\"", n, n);
    snprintf(call_id, sizeof call_id, "%08x%012x@10.0.0.101", n, n);
    struct sip_contact contact = {.instance = str_from(instance), .q_milli = -1, .expires_s = -1};
    contact.uri.text = str_from(uri);
    b->sip.contacts = &contact;
    b->sip.contact_count = 1;
    b->sip.call_id = str_from(call_id);
    b->sip.cseq = cseq;
    b->sip.user_agent = STR("Yealink SIP-T46S 66.86.0.15 805ec0123456");
    struct binding_request request = {
        .aor = str_from(aor),
        .sip = &b->sip,
        .protocol = TRANSPORT_UDP,
        .authenticated_ms = now_ms,
        .config = &b->config,
        .now_ms = now_ms,
    };
    net_address_parse(&request.source, STR("198.51.100.1"), (uint16_t)n);
    b->store->ops->apply(b->store, &request, &b->arena, take_outcome, b);
    arena_reset(&b->arena);
}

static double register_all(struct bench *b, uint32_t count, uint32_t cseq, uint64_t now_ms)
{
    uint64_t begin = now_ns();
    for (uint32_t n = 0; n < count; n++)
        register_one(b, n, cseq, now_ms);
    return (double)(now_ns() - begin) / count;
}

static int run(struct bench *b, uint32_t count, unsigned long most_bytes)
{
    size_t before = resident_bytes();
    double new_ns = register_all(b, count, 1, EPOCH_MS);
    double bytes = ((double)resident_bytes() - (double)before) / count;
    double refresh_ns = register_all(b, count, 2, EPOCH_MS + 60000);

    uint64_t begin = now_ns();
    b->store->ops->tick(b->store, 0, EPOCH_MS + 61000 + UINT64_C(1000) * GRANTED_S + GRACE_MS);
    double expiry_ns = (double)(now_ns() - begin) / count;

    struct store_counts counts;
    b->store->ops->count(b->store, &counts);
    printf("{\"bindings\":%u,\"bytesPerBinding\":%.1f,\"newNs\":%.0f,\"refreshNs\":%.0f,"
           "\"expiryNs\":%.0f}\n",
           count, bytes, new_ns, refresh_ns, expiry_ns);
    if (b->refused > 0 || counts.expired_total != count || counts.aors != 0) {
        fprintf(stderr, "%llu refused, %llu expired\n", (unsigned long long)b->refused,
                (unsigned long long)counts.expired_total);
        return 1;
    }
    return bytes > (double)most_bytes;
}

int main(int argc, char **argv)
{
    unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
    unsigned long most_bytes = argc > 2 ? strtoul(argv[2], NULL, 10) : UINT32_MAX;
    if (count == 0 || count > 10000000) {
        fprintf(stderr, "usage: bench_store_memory [COUNT [MOST_BYTES]], COUNT 1 to 10000000\n");
        return 2;
    }
    struct bench b = {
        .config = {.min_expires_s = 60,
                   .max_expires_s = GRANTED_S,
                   .default_expires_s = GRANTED_S,
                   .max_contacts = 10},
    };
    if (str_hash_seed() < 0 || arena_init(&b.arena, 16384, 1 << 20) < 0)
        return 1;
    b.store = store_memory_open(1, GRACE_MS);
    int status = b.store ? run(&b, (uint32_t)count, most_bytes) : 1;
    store_close(b.store);
    arena_fini(&b.arena);
    return status;
}
