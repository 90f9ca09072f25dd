#include <aorta/sip_traces.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct entry {
    struct sip_trace trace; /* `aor` is in `memory` */
    char memory[SIP_TRACE_AOR_BYTES];
};

struct sip_trace_list {
    pthread_mutex_t lock;
    unsigned count;
    struct entry entry[SIP_TRACES_MAX];
};

int sip_traces_init(struct sip_traces *traces)
{
    struct sip_trace_list *list = calloc(1, sizeof *list);
    if (!list)
        return -ENOMEM;
    pthread_mutex_init(&list->lock, NULL); /* cannot fail without attributes */
    traces->list = list;
    atomic_init(&traces->count, 0);
    return 0;
}

void sip_traces_fini(struct sip_traces *traces)
{
    if (!traces->list)
        return;
    pthread_mutex_destroy(&traces->list->lock);
    free(traces->list);
    traces->list = NULL;
}

static void copy_entry(struct entry *to, const struct sip_trace *trace)
{
    to->trace = *trace;
    if (trace->aor.len > 0)
        memcpy(to->memory, trace->aor.ptr, trace->aor.len);
    to->trace.aor.ptr = to->memory;
}

/* Locks, and drops what has ended. */
static struct sip_trace_list *lock(struct sip_traces *traces, uint64_t now_ms)
{
    struct sip_trace_list *list = traces->list;
    pthread_mutex_lock(&list->lock);
    unsigned kept = 0;
    for (unsigned i = 0; i < list->count; i++) {
        if (list->entry[i].trace.until_ms <= now_ms)
            continue;
        if (kept != i)
            copy_entry(&list->entry[kept], &list->entry[i].trace);
        kept++;
    }
    list->count = kept;
    return list;
}

static void unlock(struct sip_traces *traces)
{
    atomic_store_explicit(&traces->count, traces->list->count, memory_order_relaxed);
    pthread_mutex_unlock(&traces->list->lock);
}

bool sip_traces_have_ip(struct sip_traces *traces, const struct net_address *ip, uint64_t now_ms)
{
    bool has = false;
    struct sip_trace_list *list = lock(traces, now_ms);
    for (unsigned i = 0; i < list->count && !has; i++) {
        const struct sip_trace *trace = &list->entry[i].trace;
        has = str_is_empty(trace->aor) && net_address_same_ip(&trace->ip, ip);
    }
    unlock(traces);
    return has;
}

static struct entry *find_aor(struct sip_trace_list *list, struct str aor)
{
    for (unsigned i = 0; i < list->count; i++)
        if (!str_is_empty(aor) && str_eq(list->entry[i].trace.aor, aor))
            return &list->entry[i];
    return NULL;
}

bool sip_traces_have_aor(struct sip_traces *traces, struct str aor, uint64_t now_ms)
{
    bool has = find_aor(lock(traces, now_ms), aor) != NULL;
    unlock(traces);
    return has;
}

static struct entry *find_same(struct sip_trace_list *list, const struct sip_trace *trace)
{
    if (!str_is_empty(trace->aor))
        return find_aor(list, trace->aor);
    for (unsigned i = 0; i < list->count; i++)
        if (str_is_empty(list->entry[i].trace.aor) &&
            net_address_same_ip(&list->entry[i].trace.ip, &trace->ip))
            return &list->entry[i];
    return NULL;
}

int sip_traces_add(struct sip_traces *traces, const struct sip_trace *trace, uint64_t now_ms)
{
    if (trace->aor.len > SIP_TRACE_AOR_BYTES)
        return -EINVAL;
    int rc = 0;
    struct sip_trace_list *list = lock(traces, now_ms);
    struct entry *entry = find_same(list, trace);
    if (!entry && list->count < SIP_TRACES_MAX)
        entry = &list->entry[list->count++];
    if (entry)
        copy_entry(entry, trace);
    else
        rc = -ENOSPC;
    unlock(traces);
    return rc;
}

unsigned sip_traces_end_all(struct sip_traces *traces, uint64_t now_ms)
{
    struct sip_trace_list *list = lock(traces, now_ms);
    unsigned count = list->count;
    list->count = 0;
    unlock(traces);
    return count;
}

void sip_traces_each(struct sip_traces *traces, uint64_t now_ms, sip_trace_fn *each, void *arg)
{
    struct sip_trace_list *list = lock(traces, now_ms);
    for (unsigned i = 0; i < list->count; i++)
        each(arg, &list->entry[i].trace);
    unlock(traces);
}
