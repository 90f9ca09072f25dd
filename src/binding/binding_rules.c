#include <aorta/binding.h>
#include <errno.h>

/* One decision in the making. `out` is filled as if the request were granted; whoever finds a
 * reason against it returns another verdict, and what was filled is then forgotten. */
struct plan {
    const struct binding *current;
    size_t count;
    const struct binding_request *request;
    struct str path; /* RFC 3327: of all contacts alike */
    struct binding_decision out;
};

/* ---- Which binding a contact is ------------------------------------------------------------ */

static bool is_outbound(const struct sip_request *sip, const struct sip_contact *contact)
{
    return sip->supports_outbound && !str_is_empty(contact->instance) && contact->reg_id != 0;
}

static bool is_same_uri(const struct sip_uri *uri, struct str other)
{
    struct sip_uri parsed;
    return str_eq(uri->text, other) ||
           (sip_uri_parse(other, &parsed) == SIP_URI_OK && sip_uri_equal(uri, &parsed));
}

static bool is_same_device(const struct sip_request *sip, const struct sip_contact *contact,
                           const struct binding *b)
{
    if (!str_eq_nocase(contact->instance, b->instance))
        return false;
    return !is_outbound(sip, contact) || (b->is_outbound && contact->reg_id == b->reg_id);
}

/* RFC 5626 6: instance (and reg-id, when outbound is in use) name a binding where both sides have
 * one; a reloaded page comes with a new URI and still replaces its own. Else RFC 3261 10.3: the
 * URIs decide. */
static bool is_same_binding(const struct sip_request *sip, const struct sip_contact *contact,
                            const struct binding *b)
{
    if (str_is_empty(contact->instance) || str_is_empty(b->instance))
        return is_same_uri(&contact->uri, b->contact);
    return is_same_device(sip, contact, b);
}

/* ---- For how long -------------------------------------------------------------------------- */

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t shortest_s(const struct binding_request *request)
{
    return request->is_nat ? request->config->nat_expires_s : request->config->min_expires_s;
}

/* RFC 3261 10.2.1.1: the parameter, else the header, else what the registrar likes. */
static uint32_t asked_s(const struct binding_request *request, const struct sip_contact *contact)
{
    if (contact->expires_s >= 0)
        return contact->expires_s < UINT32_MAX ? (uint32_t)contact->expires_s : UINT32_MAX;
    if (request->sip->has_expires)
        return request->sip->expires_s;
    uint32_t likes_s = request->config->default_expires_s;
    return likes_s < shortest_s(request) ? shortest_s(request) : likes_s;
}

/* For asked_s() that are long enough. The authenticator's limit comes last: it may go below
 * minExpires, which bounds what clients ask for, not what they get. */
static uint32_t granted_s(const struct binding_request *request, uint32_t asked)
{
    uint32_t granted = smaller(asked, request->config->max_expires_s);
    if (request->is_nat)
        granted = smaller(granted, request->config->nat_expires_s);
    if (request->expires_limit_s > 0)
        granted = smaller(granted, request->expires_limit_s);
    return granted;
}

/* ---- One contact after the other ----------------------------------------------------------- */

/* The source of a datagram can be forged: a CSeq that came without a proof may be anybody's, and
 * must not shut out whose binding it is. */
static bool is_cseq_forgeable(const struct binding *b)
{
    return !transport_kind_is_stream(b->protocol) && b->authenticated_ms != 0 &&
           b->authenticated_ms < b->refreshed_ms;
}

static bool is_out_of_order(const struct binding_request *request, const struct binding *b)
{
    const struct sip_request *sip = request->sip;
    if (!str_eq(sip->call_id, b->call_id) || sip->cseq > b->cseq)
        return false;
    bool came_later = request->now_ms >= b->refreshed_ms; /* it may have waited for the callback */
    return request->authenticated_ms == 0 || !came_later || !is_cseq_forgeable(b);
}

static struct binding make_binding(const struct plan *p, const struct sip_contact *contact)
{
    const struct binding_request *request = p->request;
    return (struct binding){
        .contact = contact->uri.text,
        .instance = contact->instance,
        .reg_id = contact->reg_id,
        .is_outbound = is_outbound(request->sip, contact),
        .is_nat = request->is_nat,
        .q_milli = contact->q_milli,
        .call_id = request->sip->call_id,
        .cseq = request->sip->cseq,
        .path = p->path,
        .user_agent = request->sip->user_agent,
        .grant = request->grant,
        .protocol = request->protocol,
        .source = request->source,
        .conn = request->conn,
        .refreshed_ms = request->now_ms,
        .authenticated_ms = request->authenticated_ms,
        .expires_limit_s = request->expires_limit_s,
    };
}

/* As is_same_binding(), where both stand in the request and so are parsed. */
static bool is_repeated_later(const struct sip_request *sip, size_t i, const struct binding *made)
{
    const struct sip_contact *contact = &sip->contacts[i], *later = contact + 1;
    for (; later < sip->contacts + sip->contact_count; later++) {
        bool have_instances = !str_is_empty(contact->instance) && !str_is_empty(later->instance);
        if (have_instances ? is_same_device(sip, later, made)
                           : sip_uri_equal(&later->uri, &contact->uri))
            return true;
    }
    return false;
}

/* Drops all that the contact stands for (a contact without an instance may be several bindings of
 * equal URI) and tells in *renewed which of them it continues. */
static enum binding_verdict drop_predecessors(struct plan *p, const struct sip_contact *contact,
                                              int *renewed)
{
    const struct sip_request *sip = p->request->sip;
    *renewed = BINDING_NO_CONTACT;
    for (size_t k = 0; k < p->count; k++) {
        if (!is_same_binding(sip, contact, &p->current[k]))
            continue;
        if (is_out_of_order(p->request, &p->current[k])) /* RFC 3261 10.3 step 7 */
            return BINDING_OUT_OF_ORDER;
        if (*renewed == BINDING_NO_CONTACT && !p->out.drop[k])
            *renewed = (int)k;
        p->out.drop[k] = true;
    }
    return BINDING_OK;
}

static enum binding_verdict plan_contact(struct plan *p, size_t i)
{
    const struct binding_request *request = p->request;
    const struct sip_contact *contact = &request->sip->contacts[i];
    struct binding made = make_binding(p, contact);
    /* RFC 3261 does not say what naming a binding twice means; here the last one counts. */
    if (is_repeated_later(request->sip, i, &made))
        return BINDING_OK;

    uint32_t asked = asked_s(request, contact);
    if (asked > 0 && asked < shortest_s(request)) {
        p->out.min_expires_s = shortest_s(request);
        return BINDING_INTERVAL_BRIEF;
    }
    int renewed;
    enum binding_verdict verdict = drop_predecessors(p, contact, &renewed);
    if (verdict != BINDING_OK || asked == 0)
        return verdict;

    made.expires_ms = made.refreshed_ms + UINT64_C(1000) * granted_s(request, asked);
    p->out.replaces[p->out.add_count] = renewed;
    p->out.add[p->out.add_count++] = made;
    return BINDING_OK;
}

/* ---- Room ---------------------------------------------------------------------------------- */

static size_t count_dropped(const struct plan *p)
{
    size_t n = 0;
    for (size_t k = 0; k < p->count; k++)
        n += p->out.drop[k];
    return n;
}

static bool is_any_new(const struct plan *p)
{
    for (size_t i = 0; i < p->out.add_count; i++)
        if (p->out.replaces[i] == BINDING_NO_CONTACT)
            return true;
    return false;
}

static bool goes_before(const struct binding *a, const struct binding *b)
{
    if (a->is_flow_dead != b->is_flow_dead)
        return a->is_flow_dead;
    return a->refreshed_ms < b->refreshed_ms;
}

/* What the request renews is dropped already, so that only others can be hit. */
static void evict_one(struct plan *p)
{
    const struct binding *victim = NULL;
    for (const struct binding *b = p->current; b < p->current + p->count; b++)
        if (!p->out.drop[b - p->current] && (!victim || goes_before(b, victim)))
            victim = b;
    if (victim)
        p->out.drop[victim - p->current] = p->out.is_evicted[victim - p->current] = true;
}

static enum binding_verdict make_room(struct plan *p)
{
    size_t room = p->request->config->max_contacts;
    if (!is_any_new(p)) /* renewals stay possible even where the limit was lowered meanwhile */
        return BINDING_OK;
    if (p->out.add_count > room)
        return BINDING_TOO_MANY;
    size_t wanted = p->count - count_dropped(p) + p->out.add_count;
    if (wanted > room && p->request->config->overflow == OVERFLOW_REJECT)
        return BINDING_TOO_MANY;
    for (; wanted > room; wanted--)
        evict_one(p);
    return BINDING_OK;
}

/* ---- The request as a whole ---------------------------------------------------------------- */

/* RFC 3261 10.3 step 6. */
static enum binding_verdict plan_wildcard(struct plan *p)
{
    const struct sip_request *sip = p->request->sip;
    if (sip->contact_count > 0 || !sip->has_expires || sip->expires_s != 0)
        return BINDING_BAD_WILDCARD;
    for (size_t k = 0; k < p->count; k++) {
        if (is_out_of_order(p->request, &p->current[k]))
            return BINDING_OUT_OF_ORDER;
        p->out.drop[k] = true;
    }
    return BINDING_OK;
}

/* The URI between the angle brackets of a Path value; a quoted display name may hold some too. */
static struct str path_uri(struct str value)
{
    size_t from = 0;
    if (value.len > 0 && value.ptr[0] == '"')
        for (from = 1; from < value.len && value.ptr[from] != '"'; from++)
            from += value.ptr[from] == '\\';
    value = str_slice(value, from, value.len);
    value = str_slice(value, str_find(value, '<') + 1, value.len);
    return str_slice(value, 0, str_find(value, '>'));
}

/* RFC 5626 6: behind a proxy, outbound works only if that proxy keeps the flow, which it says by
 * `ob` in its Path. */
static bool lacks_outbound_path(const struct sip_request *sip)
{
    bool asks = false;
    for (size_t i = 0; i < sip->contact_count; i++)
        asks = asks || is_outbound(sip, &sip->contacts[i]);
    if (!asks || sip->via_count < 2)
        return false;
    struct sip_uri uri;
    struct str value;
    return sip->path_count == 0 || sip_uri_parse(path_uri(sip->paths[0]), &uri) != SIP_URI_OK ||
           !sip_uri_param(&uri, STR("ob"), &value);
}

static enum binding_verdict make_plan(struct plan *p)
{
    const struct sip_request *sip = p->request->sip;
    if (sip->contact_is_wildcard)
        return plan_wildcard(p);
    if (lacks_outbound_path(sip))
        return BINDING_NO_OUTBOUND_PATH;
    /* More than may be added and removed, of which some may be gone already: not compared with each
     * other, which would take long. */
    if (sip->contact_count > 2 * p->request->config->max_contacts + p->count)
        return BINDING_TOO_MANY;
    for (size_t i = 0; i < sip->contact_count; i++) {
        enum binding_verdict verdict = plan_contact(p, i);
        if (verdict != BINDING_OK)
            return verdict;
    }
    return make_room(p);
}

/* ---- Refreshes without a new proof (SPEC 3 step 5) ----------------------------------------- */

/* Cheap questions first: strangers shall get no work done while an AOR is locked. */
static bool may_be_refresh(const struct plan *p)
{
    const struct sip_request *sip = p->request->sip;
    if (sip->contact_is_wildcard || sip->contact_count == 0 || sip->contact_count > p->count)
        return false;
    for (size_t k = 0; k < p->count; k++)
        if (str_eq(p->current[k].call_id, sip->call_id))
            return true;
    return false;
}

static bool needs_no_proof(const struct binding_request *request)
{
    return request->config->refresh_cache || request->is_proof_away;
}

static bool is_same_flow(const struct binding *a, const struct binding *b)
{
    if (a->protocol != b->protocol || a->conn != b->conn)
        return false;
    return transport_kind_is_stream(a->protocol) || net_address_same(&a->source, &b->source);
}

/* Nobody who has proved nothing changes how long somebody stays. */
static bool is_same_grant(const struct binding *was, const struct binding *now)
{
    return was->expires_ms - was->refreshed_ms == now->expires_ms - now->refreshed_ms;
}

static bool is_unchanged(const struct binding *was, const struct binding *now)
{
    /* An order of CSeq means something within one Call-ID only; drop_predecessors() saw to it. */
    return str_eq(was->contact, now->contact) && str_eq(was->instance, now->instance) &&
           was->reg_id == now->reg_id && was->is_outbound == now->is_outbound &&
           was->is_nat == now->is_nat && was->q_milli == now->q_milli &&
           str_eq(was->path, now->path) && str_eq(was->call_id, now->call_id) &&
           is_same_flow(was, now);
}

static bool is_proof_fresh(const struct binding *b, const struct binding_request *request)
{
    if (request->is_proof_away)
        return b->authenticated_ms != 0;
    /* Another thread may have read the clock a moment later than this request did. */
    uint64_t age_ms =
        request->now_ms > b->authenticated_ms ? request->now_ms - b->authenticated_ms : 0;
    return age_ms < UINT64_C(1000) * request->config->refresh_cache_s;
}

/* Does every contact continue one binding as it is, and nothing else happen? */
static bool is_pure_refresh(const struct plan *p)
{
    const struct binding_decision *out = &p->out;
    if (!may_be_refresh(p) || out->add_count != p->request->sip->contact_count ||
        out->add_count != count_dropped(p))
        return false;
    for (size_t i = 0; i < out->add_count; i++)
        if (out->replaces[i] == BINDING_NO_CONTACT ||
            !is_unchanged(&p->current[out->replaces[i]], &out->add[i]))
            return false;
    return true;
}

/* What the last proof said holds on: for the time that it was good for, with what was granted. */
static bool inherit_proof(const struct binding_request *request, const struct binding *was,
                          struct binding *now)
{
    uint64_t limit_ms = now->refreshed_ms + UINT64_C(1000) * was->expires_limit_s;
    if (was->expires_limit_s > 0 && now->expires_ms > limit_ms)
        now->expires_ms = limit_ms;
    if (!is_same_grant(was, now) || !is_proof_fresh(was, request))
        return false;
    now->authenticated_ms = was->authenticated_ms;
    now->expires_limit_s = was->expires_limit_s;
    now->grant = was->grant;
    return true;
}

/* Whatever else may be wrong with the request, a stranger hears of nothing but the missing proof.
 */
static enum binding_verdict plan_unproven(struct plan *p)
{
    if (!needs_no_proof(p->request) || !may_be_refresh(p) || make_plan(p) != BINDING_OK ||
        !is_pure_refresh(p))
        return BINDING_NEEDS_AUTH;
    for (size_t i = 0; i < p->out.add_count; i++)
        if (!inherit_proof(p->request, &p->current[p->out.replaces[i]], &p->out.add[i]))
            return BINDING_NEEDS_AUTH;
    return BINDING_OK;
}

/* ---- Entry --------------------------------------------------------------------------------- */

static int join_path(const struct sip_request *sip, struct arena *arena, struct str *out)
{
    static const struct str separator = STR(", ");
    size_t len = 0;
    for (size_t i = 0; i < sip->path_count; i++)
        len += sip->paths[i].len + separator.len;
    *out = STR_NONE;
    if (len == 0)
        return 0;
    char *memory = arena_alloc(arena, len);
    if (!memory)
        return -ENOMEM;
    struct buf b;
    buf_init_fixed(&b, memory, len);
    for (size_t i = 0; i < sip->path_count; i++) {
        if (i > 0)
            buf_put_str(&b, separator);
        buf_put_str(&b, sip->paths[i]);
    }
    *out = buf_str(&b);
    return b.error;
}

static int plan_init(struct plan *p, struct arena *arena)
{
    size_t contacts = p->request->sip->contact_count;
    p->out.drop = arena_zalloc(arena, 2 * p->count * sizeof *p->out.drop);
    p->out.add = arena_alloc(arena, contacts * sizeof *p->out.add);
    p->out.replaces = arena_alloc(arena, contacts * sizeof *p->out.replaces);
    if (!p->out.drop || !p->out.add || !p->out.replaces)
        return -ENOMEM;
    p->out.is_evicted = p->out.drop + p->count;
    return join_path(p->request->sip, arena, &p->path);
}

static void forget_changes(struct plan *p)
{
    memset(p->out.drop, 0, 2 * p->count * sizeof *p->out.drop);
    p->out.add_count = 0;
    if (p->out.verdict != BINDING_INTERVAL_BRIEF)
        p->out.min_expires_s = 0;
}

int binding_rules_decide(const struct binding *current, size_t count,
                         const struct binding_request *request, struct arena *arena,
                         struct binding_decision *out)
{
    struct plan p = {.current = current, .count = count, .request = request};
    int rc = plan_init(&p, arena);
    if (rc < 0)
        return rc;
    p.out.verdict = request->authenticated_ms == 0 ? plan_unproven(&p) : make_plan(&p);
    if (p.out.verdict != BINDING_OK)
        forget_changes(&p);
    p.out.is_change = p.out.add_count > 0 || count_dropped(&p) > 0;
    p.out.is_refresh = p.out.is_change && is_pure_refresh(&p);
    *out = p.out;
    return 0;
}
