#include "redis_save.h"
#include "redis_args.h"
#include <errno.h>

enum {
    KEYS = 7,
    FIXED_ARGS = KEYS + 9 + 3 + 4, /* keys, what all commands have, three numbers of what follows,
                                      the newest binding */
    ARGS_A_BINDING = 4,
    JSON_OWN_BYTES = 2048, /* of a binding: what is not text from outside */
    MOST_ESCAPED = 6,      /* bytes that JSON makes of one */
};

static uint64_t ends_ms(const struct redis_apply *op, const struct binding *b)
{
    return b->expires_ms + op->r->aors->grace_ms;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint64_t redis_save_end(const struct redis_apply *op)
{
    uint64_t latest_ms = 0;
    const struct binding_decision *d = &op->decision;
    for (size_t i = 0; i < d->add_count; i++)
        latest_ms = later(latest_ms, ends_ms(op, &d->add[i]));
    for (size_t k = 0; k < op->count; k++)
        if (!d->drop[k])
            latest_ms = later(latest_ms, ends_ms(op, &op->current[k]));
    return latest_ms;
}

/* ---- What goes and what comes -------------------------------------------------------------- */

static bool is_set_again(const struct redis_apply *op, uint64_t id)
{
    for (const struct binding_record *r = op->fresh; r; r = r->next)
        if (redis_record_id(r) == id)
            return true;
    return false;
}

static void put_deletes(struct redis_args *c, const struct redis_apply *op)
{
    size_t most = op->count + op->stale_count, count = 0;
    uint64_t *id = arena_alloc(c->arena, most * sizeof *id);
    c->is_out_of_memory |= !id;
    for (size_t k = 0; id && k < op->count; k++) {
        op->is_deleted[k] = op->decision.drop[k] && !is_set_again(op, op->ids[k]);
        if (op->is_deleted[k])
            id[count++] = op->ids[k];
    }
    for (size_t k = 0; id && k < op->stale_count; k++)
        if (!is_set_again(op, op->stale[k]))
            id[count++] = op->stale[k];
    redis_args_put_number(c, count);
    for (size_t i = 0; i < count; i++)
        redis_args_put_hex(c, id[i]);
}

static void put_others(struct redis_args *c, const struct redis_apply *op)
{
    size_t count = 0;
    for (size_t k = 0; k < op->count; k++)
        count += op->decision.drop[k] && !op->is_own[k];
    redis_args_put_number(c, count);
    for (size_t k = 0; k < op->count; k++)
        if (op->decision.drop[k] && !op->is_own[k])
            redis_args_put_hex(c, op->ids[k]);
}

static void put_json(struct redis_args *c, const struct redis_apply *op, const struct binding *b)
{
    size_t texts = b->contact.len + b->instance.len + b->call_id.len + b->path.len +
                   b->user_agent.len + 2 * b->grant.len;
    size_t most = JSON_OWN_BYTES + MOST_ESCAPED * texts;
    char *memory = arena_alloc(c->arena, most);
    struct buf json;
    buf_init_fixed(&json, memory, memory ? most : 0);
    redis_put_binding(op->r, &json, b);
    redis_args_put(c, json.error ? STR_NONE : buf_str(&json));
}

/* Whether the AOR has to be listed with those that have connections here. */
static bool brings_flow(const struct redis_apply *op, size_t i)
{
    const struct binding *b = &op->decision.add[i];
    int was = op->decision.replaces[i];
    bool removes = op->r->cluster->config->close_removes & 1u << b->protocol;
    return removes && b->conn != 0 &&
           (was == BINDING_NO_CONTACT || op->current[was].conn != b->conn);
}

static void put_sets(struct redis_args *c, const struct redis_apply *op)
{
    redis_args_put_number(c, op->decision.add_count);
    for (size_t i = 0; i < op->decision.add_count; i++) {
        const struct binding *b = &op->decision.add[i];
        redis_args_put_hex(c, redis_binding_id(b));
        put_json(c, op, b);
        redis_args_put_number(c, ends_ms(op, b));
        redis_args_put(c, brings_flow(op, i) ? STR("1") : STR("0"));
    }
}

static void put_proxy(struct redis_args *c, const struct net_address *source)
{
    char host_port[NET_ADDRESS_TEXT], memory[sizeof "sip:" + NET_ADDRESS_TEXT];
    struct buf proxy;
    buf_init_fixed(&proxy, memory, sizeof memory);
    buf_put_text(&proxy, "sip:");
    buf_put_str(&proxy, net_address_host_port(source, host_port));
    redis_args_put(c, arena_copy(c->arena, buf_str(&proxy)));
}

/* The first contact of a request with several stands for it, as it is listed first. */
static void put_newest(struct redis_args *c, const struct redis_apply *op)
{
    if (op->decision.add_count == 0 || redis_is_jambonz(op->r))
        return;
    const struct binding *b = &op->decision.add[0];
    redis_args_put(c, b->contact);
    redis_args_put(c, str_from(transport_kind_name(b->protocol)));
    redis_args_put(c, str_from(op->r->cluster->sbc_address));
    put_proxy(c, &b->source);
}

/* ---- The command --------------------------------------------------------------------------- */

static void put_revision(struct redis_args *c, const struct redis_aor *a)
{
    if (!a->is_known)
        redis_args_put(c, STR("?")); /* none that is so called: have it told */
    else if (a->revision == 0)
        redis_args_put(c, STR(""));
    else
        redis_args_put_hex(c, a->revision);
}

static void put_all(struct redis_args *c, const struct redis_apply *op)
{
    const struct redis_cluster *cluster = op->r->cluster;
    const struct binding_request *request = op->request;
    redis_args_put(c, redis_aor_key(op->r, request->aor, c->arena));
    redis_args_put(c, redis_realm_key(op->r, request->aor, c->arena));
    redis_args_put(c, str_from(cluster->flows_key));
    redis_args_put(c, str_from(cluster->lease_key));
    redis_args_put(c, STR("active-user"));
    redis_args_put(c, redis_revision_key(op->r, request->aor, c->arena));
    redis_args_put(c, str_from(cluster->nodes_key));
    put_revision(c, op->a);
    redis_args_put_hex(c, op->next_revision);
    redis_args_put_number(c, request->now_ms);
    redis_args_put_number(c, redis_save_end(op));
    redis_args_put_number(c, request->max_registrations);
    redis_args_put(c, request->aor);
    redis_args_put(c, str_from(cluster->member));
    redis_args_put_number(c, op->decision.add_count > 0 ? op->decision.add[0].expires_ms : 0);
    redis_args_put(c, str_from(cluster->gone_prefix));
    put_deletes(c, op);
    put_others(c, op);
    put_sets(c, op);
    put_newest(c, op);
}

/* Many are drawn at once: the system is not asked for each. */
static int draw_revision(struct redis_store *r, uint64_t *out)
{
    enum { DRAWN = sizeof r->drawn / sizeof *r->drawn };
    if (r->drawn_left == 0 && net_random(r->drawn, sizeof r->drawn) < 0)
        return -EIO;
    r->drawn_left = (r->drawn_left > 0 ? r->drawn_left : DRAWN) - 1;
    *out = r->drawn[r->drawn_left];
    *out += *out == 0; /* 0 is no key */
    return 0;
}

int redis_save_send(struct redis_apply *op, redis_replied_fn *done)
{
    if (draw_revision(op->r, &op->next_revision) < 0)
        return -ENOMEM;
    struct redis_args c;
    redis_args_init(&c, op->arena,
                    FIXED_ARGS + 2 * op->count + op->stale_count +
                        ARGS_A_BINDING * op->decision.add_count);
    put_all(&c, op);
    return redis_args_eval(&c, op->r->client, &op->r->cluster->save, KEYS, done, op);
}
