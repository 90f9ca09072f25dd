/* aorta/journal.h - the latest facts about the AORs of this node, for whoever asks why one of them
 * is, or is not, reachable. One ring a worker, of fixed size: the oldest facts make room for new
 * ones. Only a worker's own thread notes in its ring, without a lock; any thread may look. */
#ifndef AORTA_JOURNAL_H
#define AORTA_JOURNAL_H
#include <aorta/net_address.h>
#include <aorta/transport_kind.h>

enum fact_kind {
    FACT_CONNECTED,    /* the connection that its first REGISTER came on; when it was opened */
    FACT_CHALLENGED,   /* 401 */
    FACT_REFUSED,      /* 403 */
    FACT_INVALID,      /* another answer that grants nothing; `number`: its status */
    FACT_UNAVAILABLE,  /* 503; `number`: Retry-After */
    FACT_CALLBACK,     /* the callback was asked; `number` ms until it was known what it says */
    FACT_GRANTED,      /* authenticated; `number`: seconds granted */
    FACT_REFRESHED,    /* granted from the refresh cache; likewise */
    FACT_UNREGISTERED, /* its client removed all that it had registered */
    FACT_FETCHED,      /* its client only asked what is registered */
    FACT_EVICTED,      /* made room for the one that came from `source` */
    FACT_EXPIRED,
    FACT_FLOW_CLOSED,  /* `number`: the WebSocket's close code, or 0; `cause` says by whom */
    FACT_DISCONNECTED, /* the same of a connection that carried no binding any more */
    FACT_REMOVED,      /* through the admin API */
    FACT_MOVED,        /* another worker or node has it now */
    FACT_KINDS
};

struct fact {
    enum fact_kind kind;
    enum transport_kind protocol;
    uint64_t time_ms;
    conn_id conn;              /* 0: none */
    const char *cause;         /* constant text, or NULL */
    uint32_t number;           /* as the kind says */
    uint32_t times;            /* by journal_find(): so many like it in a row; this is the last */
    struct net_address source; /* whose doing it was; family AF_UNSPEC: nobody's */
};

struct journal;
/* `bytes` for all workers together; 0 notes nothing. NULL when out of memory. */
struct journal *journal_new(unsigned workers, size_t bytes);
void journal_free(struct journal *j);
/* `worker` is the calling thread's. `times` is not looked at. NULL is fine. */
void journal_note(struct journal *j, unsigned worker, struct str aor, const struct fact *fact);
/* The newest `max` facts about an AOR, oldest first; refreshes in a row on one connection are one.
 * Looks through all rings, a load for each fact that is kept: for people, not for the hot path. */
size_t journal_find(const struct journal *j, struct str aor, struct fact *out, size_t max);
/* The time of the oldest fact that is still there, about whomever; 0: no fact was dropped so far.
 */
uint64_t journal_begins_ms(const struct journal *j);
#endif
