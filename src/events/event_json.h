/* events/event_json.h - one event as a line of JSON. Pure. */
#ifndef AORTA_EVENT_JSON_H
#define AORTA_EVENT_JSON_H
#include <aorta/events.h>

/* False when this change is no event: somebody else tells of it. */
bool event_of_change(enum store_change change, enum event_type *type);
/* `node`, here and below, is a whole member with the comma before it. */
void event_put_change(struct buf *b, enum store_change change, struct str node, struct str aor,
                      const struct binding *binding, uint64_t now_ms);
void event_put_ban(struct buf *b, struct str node, const struct ban *ban, int64_t seconds,
                   uint64_t now_ms);
#endif
