/* aorta/binding_json.h - a binding as other programs see it. Pure; any thread. */
#ifndef AORTA_BINDING_JSON_H
#define AORTA_BINDING_JSON_H
#include <aorta/binding.h>

/* What a binding of this node does not know itself. */
struct binding_json_context {
    struct str sbc_address; /* host:port by which others reach this node */
    struct str node;
    uint64_t now_ms; /* 0: no "expiresIn" */
};
/* "contact":…,"grant":…: the members that every view of a binding has, without braces. */
void binding_put_members(struct buf *b, const struct binding *binding,
                         const struct binding_json_context *ctx);
/* ,"flow":… of a connection, by the name that the log prints as conn=; null for 0. */
void binding_put_flow(struct buf *b, conn_id conn);
/* One object of GET /api/v1/registrations. */
void binding_put_json(struct buf *b, struct str aor, const struct binding *binding,
                      const struct binding_json_context *ctx);
#endif
