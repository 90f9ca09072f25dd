/* What this node tells the others through Redis and hears of them, by worker 0: that it lives (a
 * lease with its epoch, renewed each second), who has died (then the bindings of his connections
 * go), and which addresses are banned. */
#include "store_redis_internal.h"
#include <aorta/log.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    LEASE_MS = 5000,
    RENEW_MS = 1000,
    /* After Redis was away everybody needs a moment to renew his lease. */
    PATIENCE_MS = LEASE_MS,
    SWEEP_AT_ONCE = 200, /* AORs of a dead node that are looked at together */
    NAME_BYTES = 300,
    BAN_JSON_BYTES = 512,
    LIFTS_KEPT = 64,
    BANS_CLEARED = 100, /* that are over, at each reading */
};

/* A dead node whose AORs are gone through; one at a time. */
struct sweep {
    bool is_on;
    char member[NAME_BYTES]; /* "epoch node" */
    char flows_key[2 * NAME_BYTES];
    struct str epoch, node; /* parts of `member` */
    unsigned under_way;
    unsigned failed;
    uint64_t removed;
};

struct redis_node {
    struct redis_store *r;
    uint64_t next_renewal_ms;
    /* When others that are not there count as dead; from the first tick after Redis came up. */
    uint64_t patient_until_ms;
    bool is_patience_set;
    bool is_renewing;
    bool had_lease; /* once, since this process started */
    bool is_leaving;
    struct sweep sweep;
    /* What others have removed: how much of their list was heeded, and the last of that. */
    size_t notes_heeded;
    struct str last_note; /* our copy */
    /* Bans */
    char version[24]; /* that was read last; empty: none */
    bool is_loading_bans;
    struct net_network lift[LIFTS_KEPT]; /* that Redis has not taken yet */
    size_t lift_count;
};

/* A ban or a lift on its way to Redis. */
struct publication {
    struct redis_node *node;
    struct net_network net;
    bool is_lift;
};

static bool is_up(const struct redis_node *n)
{
    return redis_client_is_up(n->r->client);
}

struct redis_node *redis_node_new(struct redis_store *r)
{
    struct redis_node *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    n->r = r;
    return n;
}

void redis_node_free(struct redis_node *n)
{
    if (n)
        free((char *)n->last_note.ptr);
    free(n);
}

/* ---- Bans ---------------------------------------------------------------------------------- */

/* {"until":1795000000000,"reason":"…"}; until null: for ever. */
static void put_ban(struct buf *b, const struct ban *ban)
{
    if (ban->until_ms == BAN_FOR_EVER)
        buf_put_text(b, "{\"until\":null,\"reason\":");
    else
        buf_printf(b, "{\"until\":%llu,\"reason\":", (unsigned long long)ban->until_ms);
    buf_put_json(b, ban->reason);
    buf_put_char(b, '}');
}

static void on_published(void *arg, const struct redis_reply *reply)
{
    struct publication *p = arg;
    struct redis_node *n = p->node;
    bool is_taken = reply && redis_reply_type(reply) == REDIS_TYPE_INTEGER;
    if (!is_taken && !p->is_lift)
        bans_unpublish_all(n->r->cluster->bans);
    if (!is_taken && p->is_lift && n->lift_count < LIFTS_KEPT)
        n->lift[n->lift_count++] = p->net;
    free(p);
}

static int publish(struct redis_node *n, const struct ban *ban, bool is_lift)
{
    char ip_text[NET_ADDRESS_TEXT], json[BAN_JSON_BYTES];
    struct buf b;
    buf_init_fixed(&b, json, sizeof json);
    put_ban(&b, ban);
    struct str key = str_from(n->r->cluster->bans_key), ip = net_network_text(&ban->net, ip_text);
    const struct str set[] = {STR("HSET"), key, ip, buf_str(&b)};
    const struct str lift[] = {STR("HDEL"), key, ip};
    const struct str next[] = {STR("INCR"), str_from(n->r->cluster->bans_version_key)};
    struct publication *p = malloc(sizeof *p);
    if (!p)
        return -ENOMEM;
    *p = (struct publication){n, ban->net, is_lift};
    int rc = is_lift ? redis_client_send(n->r->client, lift, 3, on_published, p)
                     : redis_client_send(n->r->client, set, 4, on_published, p);
    if (rc < 0) {
        on_published(p, NULL);
        return rc;
    }
    (void)redis_client_send(n->r->client, next, 2, NULL, NULL); /* else seen with the next one */
    return 0;
}

/* Not while the list is on its way: what it does not have yet would be taken for lifted. */
static void publish_all(struct redis_node *n)
{
    if (n->is_loading_bans)
        return;
    char reason[BAN_REASON_BYTES];
    struct ban ban = {.until_ms = 0};
    bool is_lift;
    while (n->lift_count > 0) {
        ban.net = n->lift[--n->lift_count];
        if (publish(n, &ban, true) < 0)
            return;
    }
    while (bans_take_unpublished(n->r->cluster->bans, &ban, &is_lift, reason))
        if (publish(n, &ban, is_lift) < 0)
            return;
}

/* False when somebody else wrote it. */
static bool read_ban(struct str ip, const cJSON *json, struct ban *out)
{
    const cJSON *until = cJSON_GetObjectItemCaseSensitive(json, "until");
    const cJSON *reason = cJSON_GetObjectItemCaseSensitive(json, "reason");
    bool is_for_ever = cJSON_IsNull(until);
    if (!is_for_ever &&
        !(cJSON_IsNumber(until) && until->valuedouble >= 0 && until->valuedouble < 9e15))
        return false;
    *out =
        (struct ban){.until_ms = is_for_ever ? BAN_FOR_EVER : (uint64_t)until->valuedouble,
                     .reason = cJSON_IsString(reason) ? str_from(reason->valuestring) : STR_NONE};
    return net_network_parse(&out->net, ip) == 0 && ban_is_possible(&out->net);
}

static void clear_ended(struct redis_node *n, struct str ip)
{
    const struct str remove[] = {STR("HDEL"), str_from(n->r->cluster->bans_key), ip};
    (void)redis_client_send(n->r->client, remove, 3, NULL, NULL);
}

/* Those in force; reasons live in `arena`. */
static size_t read_bans(struct redis_node *n, const struct redis_reply *reply, struct arena *arena,
                        struct ban *list)
{
    size_t count = 0, cleared = 0;
    for (size_t i = 0; i + 1 < redis_reply_count(reply); i += 2) {
        struct str text = redis_reply_text(redis_reply_item(reply, i + 1));
        cJSON *json = cJSON_ParseWithLength(text.ptr, text.len);
        struct ban *ban = &list[count];
        struct str ip = redis_reply_text(redis_reply_item(reply, i));
        bool is_ban = read_ban(ip, json, ban);
        bool is_over = is_ban && ban->until_ms <= n->r->now_ms;
        if (is_over && cleared++ < BANS_CLEARED)
            clear_ended(n, ip);
        if (is_ban && !is_over) {
            ban->reason = arena_copy(arena, str_slice(ban->reason, 0, BAN_REASON_BYTES));
            count++;
        }
        cJSON_Delete(json);
    }
    return count;
}

static void take_bans(struct redis_node *n, const struct redis_reply *reply)
{
    size_t most = redis_reply_count(reply) / 2;
    struct arena arena;
    struct ban *list = calloc(most + 1, sizeof *list);
    if (!list || arena_init(&arena, 4096, (most + 1) * (BAN_REASON_BYTES + 64)) < 0) {
        free(list);
        return;
    }
    size_t count = read_bans(n, reply, &arena, list);
    if (bans_replace_published(n->r->cluster->bans, list, count, n->r->now_ms) < 0)
        LOG_WARN("bans of other nodes cannot be kept: out of memory");
    arena_fini(&arena);
    free(list);
}

static void on_bans(void *arg, const struct redis_reply *reply)
{
    struct redis_node *n = arg;
    n->is_loading_bans = false;
    if (reply && redis_reply_type(reply) == REDIS_TYPE_ARRAY)
        take_bans(n, reply);
    else
        n->version[0] = 0; /* once more */
}

static void load_bans(struct redis_node *n, struct str version)
{
    const struct str get[] = {STR("HGETALL"), str_from(n->r->cluster->bans_key)};
    if (n->is_loading_bans || redis_client_send(n->r->client, get, 2, on_bans, n) < 0)
        return;
    n->is_loading_bans = true;
    snprintf(n->version, sizeof n->version, "%.*s", STR_ARG(version));
}

static void compare_bans(struct redis_node *n, struct str version)
{
    if (!n->r->cluster->bans)
        return;
    publish_all(n); /* before the list is asked for: then ours are in it */
    bool was_lost = str_is_empty(version) && n->version[0];
    if (was_lost) {
        bans_unpublish_all(n->r->cluster->bans);
        n->version[0] = 0;
    } else if (!str_is_empty(version) && !str_eq(version, str_from(n->version))) {
        load_bans(n, version);
    }
}

/* ---- The dead ------------------------------------------------------------------------------ */

static void go_on_sweeping(struct redis_node *n);

static void end_sweep(struct redis_node *n)
{
    struct sweep *s = &n->sweep;
    s->is_on = false;
    if (s->removed > 0)
        LOG_INFO("bindings of a dead node's connections removed", LOG_STR("node", s->node),
                 LOG_NUM("bindings", s->removed));
}

static void on_swept(void *arg, const struct redis_reply *reply)
{
    struct redis_node *n = arg;
    struct sweep *s = &n->sweep;
    int64_t removed =
        reply && redis_reply_type(reply) == REDIS_TYPE_INTEGER ? redis_reply_integer(reply) : -1;
    if (removed < 0) /* no answer, or that node lives again */
        s->failed++;
    else
        s->removed += (uint64_t)removed;
    if (--s->under_way > 0)
        return;
    if (s->failed > 0)
        end_sweep(n); /* the next renewal tells of the dead again */
    else
        go_on_sweeping(n);
}

static void forget_dead(struct redis_node *n)
{
    const struct str remove[] = {STR("SREM"), str_from(n->r->cluster->nodes_key),
                                 str_from(n->sweep.member)};
    (void)redis_client_send(n->r->client, remove, 3, NULL, NULL);
    end_sweep(n);
}

static void on_some(void *arg, const struct redis_reply *reply)
{
    struct redis_node *n = arg;
    struct sweep *s = &n->sweep;
    if (!reply || redis_reply_type(reply) != REDIS_TYPE_ARRAY) {
        end_sweep(n);
        return;
    }
    if (redis_reply_count(reply) == 0) {
        forget_dead(n);
        return;
    }
    s->failed = 0;
    s->under_way = 1; /* of this loop itself */
    for (size_t i = 0; i < redis_reply_count(reply); i++) {
        struct str aor = redis_reply_text(redis_reply_item(reply, i));
        if (redis_patch_dead(n->r, aor, s->node, s->epoch, on_swept, n) == 0)
            s->under_way++;
        else
            s->failed++;
    }
    if (--s->under_way == 0)
        end_sweep(n);
}

static void go_on_sweeping(struct redis_node *n)
{
    char most[16];
    snprintf(most, sizeof most, "%d", SWEEP_AT_ONCE);
    const struct str some[] = {STR("SRANDMEMBER"), str_from(n->sweep.flows_key), str_from(most)};
    if (redis_client_send(n->r->client, some, 3, on_some, n) < 0)
        end_sweep(n);
}

static void begin_sweep(struct redis_node *n, struct str member)
{
    struct sweep *s = &n->sweep;
    if (member.len >= sizeof s->member)
        return;
    *s = (struct sweep){.is_on = true};
    memcpy(s->member, member.ptr, member.len);
    struct str own = {s->member, member.len};
    size_t space = str_find(own, ' ');
    s->epoch = str_slice(own, 0, space);
    s->node = str_slice(own, space + 1, own.len);
    snprintf(s->flows_key, sizeof s->flows_key, "%s%.*s:%.*s", n->r->cluster->flows_prefix,
             STR_ARG(s->epoch), STR_ARG(s->node));
    go_on_sweeping(n);
}

/* An earlier life of this very node is dead for sure; others may just be about to come back. */
static bool is_dead(const struct redis_node *n, struct str member)
{
    struct str node = str_slice(member, str_find(member, ' ') + 1, member.len);
    return str_eq(node, str_from(n->r->cluster->config->node)) ||
           (n->is_patience_set && n->r->now_ms >= n->patient_until_ms);
}

/* ---- The lease ----------------------------------------------------------------------------- */

static void check_held(struct redis_node *n, struct str held)
{
    if (n->r->is_new_server && n->had_lease && n->r->cluster->bans)
        bans_unpublish_all(n->r->cluster->bans); /* it may have been behind, or empty */
    bool was_ours = str_eq(held, str_from(n->r->cluster->epoch));
    bool is_first = !n->had_lease;
    n->had_lease = true;
    if (was_ours || is_first) {
        n->r->is_new_server = false;
        return;
    }
    if (!str_is_empty(held))
        LOG_ERROR("another running node has this node's name: give each its own (node)",
                  LOG_TEXT("node", n->r->cluster->config->node));
    if (!n->r->is_new_server)
        redis_report_loss(n->r, "the lease of this node is gone");
    n->r->is_new_server = false;
    n->is_patience_set = false;
}

/* What could not be noted as heeded is read again, which does no harm. */
static void heed_notes(struct redis_node *n, const struct redis_reply *notes)
{
    size_t count = redis_reply_count(notes);
    for (size_t i = 0; i < count; i++)
        redis_gone_hear(n->r, redis_reply_text(redis_reply_item(notes, i)));
    free((char *)n->last_note.ptr);
    struct str last = count > 0 ? redis_reply_text(redis_reply_item(notes, count - 1)) : STR_NONE;
    char *copy = last.len > 0 ? malloc(last.len) : NULL;
    if (copy)
        memcpy(copy, last.ptr, last.len);
    n->last_note = (struct str){copy, copy ? last.len : 0};
    n->notes_heeded = copy ? count : 0;
    /* There may be more of them than one renewal brings: on with the next tick. */
    if (count > 0)
        n->next_renewal_ms = 0;
}

static void on_renewed(void *arg, const struct redis_reply *reply)
{
    struct redis_node *n = arg;
    bool is_held =
        reply && redis_reply_type(reply) == REDIS_TYPE_ARRAY && redis_reply_count(reply) >= 3;
    n->is_renewing = false;
    atomic_store(&n->r->cluster->has_lease, is_held && !n->is_leaving);
    if (reply && !is_held)
        redis_report_trouble(n->r, "lease", redis_reply_text(reply));
    if (!is_held || n->is_leaving)
        return;
    check_held(n, redis_reply_text(redis_reply_item(reply, 0)));
    compare_bans(n, redis_reply_text(redis_reply_item(reply, 1)));
    heed_notes(n, redis_reply_item(reply, 2));
    for (size_t i = 3; i < redis_reply_count(reply) && !n->sweep.is_on; i++) {
        struct str member = redis_reply_text(redis_reply_item(reply, i));
        if (is_dead(n, member))
            begin_sweep(n, member);
    }
}

static void renew(struct redis_node *n)
{
    const struct redis_cluster *c = n->r->cluster;
    char life[16], now[24], heeded[24];
    snprintf(life, sizeof life, "%d", LEASE_MS);
    snprintf(now, sizeof now, "%llu", (unsigned long long)n->r->now_ms);
    snprintf(heeded, sizeof heeded, "%zu", n->notes_heeded);
    const struct str args[] = {
        str_from(c->lease_key),
        str_from(c->nodes_key),
        str_from(c->bans_version_key),
        redis_is_jambonz(n->r) ? STR("active-user") : STR(""),
        str_from(c->gone_key),
        str_from(c->epoch),
        str_from(life),
        str_from(c->member),
        str_from(c->lease_prefix),
        str_from(now),
        str_from(heeded),
        n->last_note,
    };
    n->next_renewal_ms = n->r->now_ms + RENEW_MS;
    n->is_renewing = redis_client_eval(n->r->client, &c->lease, 5, args, sizeof args / sizeof *args,
                                       on_renewed, n) == 0;
}

void redis_node_on_up(struct redis_node *n)
{
    n->is_patience_set = false;
    renew(n);
}

void redis_node_on_down(struct redis_node *n)
{
    n->sweep.is_on = false;
    n->is_renewing = false;
    n->is_loading_bans = false;
    atomic_store(&n->r->cluster->has_lease, false);
}

void redis_node_tick(struct redis_node *n, uint64_t now_ms)
{
    if (!is_up(n) || n->is_leaving)
        return;
    if (!n->is_patience_set) {
        n->patient_until_ms = now_ms + PATIENCE_MS;
        n->is_patience_set = true;
    }
    if (!n->is_renewing && now_ms >= n->next_renewal_ms)
        renew(n);
    if (n->r->cluster->bans && atomic_load(&n->r->cluster->has_lease))
        publish_all(n);
}

void redis_node_leave(struct redis_node *n)
{
    n->is_leaving = true;
    atomic_store(&n->r->cluster->has_lease, false);
    if (!is_up(n))
        return;
    /* Not that of a next life, which may have begun already. */
    const struct str remove[] = {
        STR("EVAL"),
        STR("if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end"),
        STR("1"),
        str_from(n->r->cluster->lease_key),
        str_from(n->r->cluster->epoch),
    };
    (void)redis_client_send(n->r->client, remove, 5, NULL, NULL);
}
