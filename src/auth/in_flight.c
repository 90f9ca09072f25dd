#include "in_flight_internal.h"

void in_flight_init(struct in_flight *set)
{
    pthread_mutex_init(&set->lock, NULL);
    memset(set->bucket, 0, sizeof set->bucket);
}

void in_flight_fini(struct in_flight *set)
{
    pthread_mutex_destroy(&set->lock);
}

static bool is_same(const struct in_flight_entry *a, const struct in_flight_entry *b)
{
    return a->nonce == b->nonce && str_eq(a->username, b->username);
}

/* Where an entry that equals `entry` is linked, or the end of its list. */
static struct in_flight_entry **find(struct in_flight *set, const struct in_flight_entry *entry)
{
    /* A nonce's serial rises by one for each, with the worker above: near ones spread as they are.
     */
    struct in_flight_entry **link =
        &set->bucket[(entry->nonce ^ entry->nonce >> 56) % IN_FLIGHT_BUCKETS];
    while (*link && !is_same(*link, entry))
        link = &(*link)->next;
    return link;
}

bool in_flight_enter(struct in_flight *set, struct in_flight_entry *entry)
{
    pthread_mutex_lock(&set->lock);
    struct in_flight_entry **link = find(set, entry);
    bool is_free = *link == NULL;
    if (is_free) {
        entry->next = NULL;
        *link = entry;
    }
    pthread_mutex_unlock(&set->lock);
    return is_free;
}

void in_flight_leave(struct in_flight *set, struct in_flight_entry *entry)
{
    pthread_mutex_lock(&set->lock);
    *find(set, entry) = entry->next;
    pthread_mutex_unlock(&set->lock);
}
