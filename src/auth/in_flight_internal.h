/* in_flight_internal.h - who is being decided by a callback right now, on whichever worker. The
 * entries are their owners' memory. Any thread. */
#ifndef AORTA_IN_FLIGHT_INTERNAL_H
#define AORTA_IN_FLIGHT_INTERNAL_H
#include <aorta/str.h>
#include <pthread.h>

enum { IN_FLIGHT_BUCKETS = 1024 };

struct in_flight_entry {
    struct in_flight_entry *next;
    uint64_t nonce; /* its serial */
    struct str username;
};

struct in_flight {
    pthread_mutex_t lock;
    struct in_flight_entry *bucket[IN_FLIGHT_BUCKETS];
};

void in_flight_init(struct in_flight *set);
void in_flight_fini(struct in_flight *set);
/* False, with nothing done, while an equal entry is in. Otherwise `entry` is in, and must stay
 * where it is until it was taken out again. */
bool in_flight_enter(struct in_flight *set, struct in_flight_entry *entry);
void in_flight_leave(struct in_flight *set, struct in_flight_entry *entry);
#endif
