/* One AOR: what is registered and what became of its flows, why it is or is not reachable, and its
 * removal. Connections are known to their own workers only: a job asks the store first and then
 * visits those workers, one after the other, until it comes home with what they said. */
#include "web_internal.h"
#include "why.h"
#include <aorta/binding_json.h>
#include <aorta/clock.h>
#include <aorta/journal.h>
#include <aorta/log.h>
#include <aorta/transport.h>
#include <errno.h>
#include <stdlib.h>

enum {
    AOR_BYTES = 512,
    MAX_FACTS = 32,
    ARENA_FIRST_BYTES = 16 << 10,
    ARENA_MAX_BYTES = 16 << 20,
    MEMBERS_MAX_BYTES = 64 << 10, /* of one binding, as JSON */
};

enum purpose { SHOW, EXPLAIN, REMOVE };

struct aor_job {
    struct web_errand errand; /* the first, so that one is the other */
    struct web_later later;
    struct web_worker *home; /* the worker that was asked */
    enum purpose purpose;
    bool closes_flows; /* REMOVE */
    struct arena arena;
    struct str aor;
    struct why_binding *bindings;
    conn_id *conns;      /* of each; 0: none of this node's */
    struct str *members; /* of each, as JSON */
    size_t count;
    unsigned next_worker; /* to be visited */
    bool is_coming_home;
};

static void free_job(struct aor_job *job)
{
    arena_fini(&job->arena);
    free(job);
}

static void end_job(struct aor_job *job)
{
    if (web_later_send(&job->later))
        free_job(job);
}

static void fail_job(struct aor_job *job, int error)
{
    web_put_error(&job->later.answer, 503, "unavailable",
                  error == -EAGAIN ? "the store cannot be reached now" : "no memory for it now");
    end_job(job);
}

/* ---- The answer ---------------------------------------------------------------------------- */

static void put_time(struct buf *b, struct str member, uint64_t time_ms)
{
    buf_put_str(b, member);
    if (time_ms > 0)
        buf_put_u64(b, time_ms);
    else
        buf_put_text(b, "null");
}

static void put_binding(struct buf *b, struct str members, const struct why_binding *binding)
{
    buf_put_char(b, '{');
    buf_put_str(b, members);
    buf_put_json_text(b, JSON_MEMBER("flowState"), str_from(flow_state_name(binding->state)));
    put_time(b, JSON_MEMBER("heardTime"), binding->heard_ms);
    buf_put_json_number(b, JSON_MEMBER("unansweredPings"), binding->unanswered_pings);
    buf_put_char(b, '}');
}

static void put_fact(struct buf *b, const struct fact *fact)
{
    char memory[512], address[NET_ADDRESS_TEXT];
    struct buf text;
    buf_init_fixed(&text, memory, sizeof memory);
    why_put_fact(&text, fact);
    buf_put_text(b, "{\"time\":");
    buf_put_u64(b, fact->time_ms);
    buf_put_json_text(b, JSON_MEMBER("kind"), str_from(why_fact_kind_name(fact->kind)));
    buf_put_json_text(b, JSON_MEMBER("text"), buf_str(&text));
    buf_put_json_number(b, JSON_MEMBER("times"), fact->times);
    buf_put_json_text(b, JSON_MEMBER("protocol"), str_from(transport_kind_name(fact->protocol)));
    buf_put_text(b, ",\"source\":");
    if (fact->source.any.sa_family != AF_UNSPEC)
        buf_put_json(b, net_address_host_port(&fact->source, address));
    else
        buf_put_text(b, "null");
    binding_put_flow(b, fact->conn);
    buf_put_char(b, '}');
}

static void put_why(struct aor_job *job, struct why *why)
{
    struct buf *b = &job->later.answer.body;
    char memory[4096];
    struct buf sentence;
    struct fact facts[MAX_FACTS];
    const struct web_info *info = &job->home->web->info;
    uint64_t begins_ms = journal_begins_ms(info->journal);
    why->facts = facts;
    why->fact_count = journal_find(info->journal, job->aor, facts, MAX_FACTS);
    why->begins_ms = begins_ms > 0 ? begins_ms : info->started_ms;
    buf_init_fixed(&sentence, memory, sizeof memory);
    why_put_sentence(&sentence, why);
    buf_put_json_text(b, JSON_MEMBER("sentence"), buf_str(&sentence));
    buf_put_text(b, ",\"facts\":[");
    for (size_t i = 0; i < why->fact_count; i++) {
        if (i > 0)
            buf_put_char(b, ',');
        put_fact(b, &facts[i]);
    }
    buf_put_char(b, ']');
}

static void show(struct aor_job *job)
{
    struct buf *b = &job->later.answer.body;
    struct why why = {.bindings = job->bindings,
                      .binding_count = job->count,
                      .now_ms = clock_now_ms()};
    web_begin_json(&job->later.answer);
    buf_put_text(b, "{\"aor\":");
    buf_put_json(b, job->aor);
    buf_put_text(b, why_is_reachable(&why) ? ",\"reachable\":true" : ",\"reachable\":false");
    if (job->purpose == EXPLAIN)
        put_why(job, &why);
    buf_put_text(b, ",\"bindings\":[");
    for (size_t i = 0; i < job->count; i++) {
        if (i > 0)
            buf_put_char(b, ',');
        put_binding(b, job->members[i], &job->bindings[i]);
    }
    buf_put_text(b, "]}");
    if (b->error)
        web_put_error(&job->later.answer, 503, "unavailable", "no memory for it now");
}

static void finish(struct aor_job *job)
{
    if (job->purpose == REMOVE)
        job->later.answer.status = 204;
    else
        show(job);
    end_job(job);
}

/* ---- Visiting workers ----------------------------------------------------------------------- */

static void look(struct aor_job *job, struct web_worker *there)
{
    for (size_t i = 0; i < job->count; i++) {
        struct transport_flow flow;
        if (job->conns[i] == 0 || conn_id_worker(job->conns[i]) != there->index ||
            transport_flow(there->transport, job->conns[i], &flow) < 0)
            continue;
        job->bindings[i].state = FLOW_OPEN;
        job->bindings[i].heard_ms = flow.heard_ms;
        job->bindings[i].unanswered_pings = flow.unanswered_pings;
        if (job->closes_flows)
            transport_turn_away(there->transport, job->conns[i]);
    }
}

static bool has_flow_at(const struct aor_job *job, unsigned worker)
{
    for (size_t i = 0; i < job->count; i++)
        if (job->conns[i] != 0 && conn_id_worker(job->conns[i]) == worker)
            return true;
    return false;
}

/* From `here` to whoever is to be asked next, or home. */
static void go_on(struct aor_job *job, struct web_worker *here)
{
    unsigned workers = here->web->info.workers;
    while (job->next_worker < workers) {
        unsigned worker = job->next_worker++;
        if (!has_flow_at(job, worker))
            continue;
        if (worker != here->index) {
            here->send(here, worker, &job->errand);
            return;
        }
        look(job, here);
    }
    job->is_coming_home = true;
    if (here == job->home)
        finish(job);
    else
        here->send(here, job->home->index, &job->errand);
}

static void arrive(struct web_worker *there, struct web_errand *errand)
{
    struct aor_job *job = (struct aor_job *)errand;
    if (!there) {
        buf_fini(&job->later.answer.body);
        free_job(job);
    } else if (job->is_coming_home) {
        finish(job);
    } else {
        look(job, there);
        go_on(job, there);
    }
}

/* ---- Asking the store ----------------------------------------------------------------------- */

/* What another thread of this node holds comes from Redis with this node's name. */
static bool is_elsewhere(const struct aor_job *job, const struct binding *binding)
{
    struct str own = str_from(job->home->web->info.config->node);
    return !str_is_empty(binding->node) && !str_eq(binding->node, own);
}

static void keep_binding(struct aor_job *job, size_t i, const struct binding *binding)
{
    bool is_stream = transport_kind_is_stream(binding->protocol);
    bool is_other = is_elsewhere(job, binding);
    job->conns[i] = is_other || binding->is_flow_dead ? 0 : binding->conn;
    job->bindings[i] = (struct why_binding){
        .state = is_other    ? FLOW_ELSEWHERE
                 : is_stream ? FLOW_CLOSED
                             : FLOW_DATAGRAM,
        .protocol = binding->protocol,
        .source = binding->source,
        .expires_ms = binding->expires_ms,
        .node = arena_copy(&job->arena, binding->node),
    };
}

static int write_members(struct aor_job *job, size_t i, const struct binding *binding)
{
    const struct web *web = job->home->web;
    const struct binding_json_context ctx = {str_from(web->sbc_address),
                                             str_from(web->info.config->node), clock_now_ms()};
    struct buf b;
    buf_init_heap(&b, MEMBERS_MAX_BYTES);
    binding_put_members(&b, binding, &ctx);
    job->members[i] = b.error ? STR_NONE : arena_copy(&job->arena, buf_str(&b));
    buf_fini(&b);
    return job->members[i].ptr ? 0 : -ENOMEM;
}

static int keep_bindings(struct aor_job *job, const struct binding *bindings, size_t count)
{
    job->bindings = arena_alloc(&job->arena, count * sizeof *job->bindings);
    job->conns = arena_alloc(&job->arena, count * sizeof *job->conns);
    job->members = arena_alloc(&job->arena, count * sizeof *job->members);
    if (!job->bindings || !job->conns || !job->members)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        int rc = write_members(job, i, &bindings[i]);
        if (rc < 0)
            return rc;
        keep_binding(job, i, &bindings[i]);
    }
    job->count = count;
    return 0;
}

static void put_not_registered(struct aor_job *job)
{
    web_put_error(&job->later.answer, 404, "not_found", "nobody is registered as this");
    end_job(job);
}

static void on_removed(void *arg, int error, const struct binding *bindings, size_t count)
{
    (void)bindings;
    struct aor_job *job = arg;
    if (error) {
        fail_job(job, error);
        return;
    }
    if (count == 0) {
        put_not_registered(job);
        return;
    }
    LOG_INFO("registrations removed by admin", LOG_STR("aor", job->aor),
             LOG_NUM("bindings", count));
    if (job->closes_flows)
        go_on(job, job->home);
    else
        finish(job);
}

static void remove_bindings(struct aor_job *job)
{
    struct store *store = job->home->store;
    store->ops->remove(store, job->aor, &job->arena, on_removed, job);
}

static void on_found(void *arg, int error, const struct binding *bindings, size_t count)
{
    struct aor_job *job = arg;
    if (error == 0)
        error = keep_bindings(job, bindings, count);
    if (error)
        fail_job(job, error);
    else if (job->purpose == REMOVE)
        remove_bindings(job);
    else if (count == 0 && job->purpose == SHOW)
        put_not_registered(job);
    else
        go_on(job, job->home);
}

static void find(struct aor_job *job)
{
    struct store *store = job->home->store;
    store->ops->find(store, job->aor, &job->arena, on_found, job);
}

/* ---- Routes -------------------------------------------------------------------------------- */

/* NULL, and `reply` says so, when there is no memory. */
static struct aor_job *begin_job(const struct web_call *call, enum purpose purpose,
                                 struct http_reply *reply)
{
    struct aor_job *job = calloc(1, sizeof *job);
    if (!job || arena_init(&job->arena, ARENA_FIRST_BYTES, ARENA_MAX_BYTES) < 0) {
        free(job);
        web_put_error(reply, 503, "unavailable", "no memory for it now");
        return NULL;
    }
    job->errand.run = arrive;
    job->home = call->worker;
    job->purpose = purpose;
    web_later_begin(&job->later, call, reply);
    return job;
}

static void refuse(struct aor_job *job, const char *code, const char *message)
{
    web_put_error(&job->later.answer, 400, code, message);
    end_job(job);
}

/* False, and the job ends by saying so, when there is none to be read. */
static bool read_aor(struct aor_job *job, struct str param)
{
    char *memory = arena_alloc(&job->arena, AOR_BYTES);
    struct str aor;
    if (!memory || web_decode(param, memory, AOR_BYTES, &aor) < 0) {
        refuse(job, "bad_path", "the AOR is badly escaped or too long");
        return false;
    }
    job->aor = web_canonical_aor(aor, &job->arena);
    return true;
}

static bool read_close(struct aor_job *job, struct str query)
{
    char memory[8];
    struct str value;
    int rc = web_query_param(query, "closeFlow", memory, sizeof memory, &value);
    job->closes_flows = rc == 0 && str_eq(value, STR("true"));
    if (rc == 0 && (!value.ptr || job->closes_flows || str_eq(value, STR("false"))))
        return true;
    refuse(job, "bad_query", "closeFlow must be true or false");
    return false;
}

static void leave_job(struct aor_job *job)
{
    if (web_later_leave(&job->later))
        free_job(job);
}

static void tell_about(const struct web_call *call, enum purpose purpose, struct http_reply *reply)
{
    struct aor_job *job = begin_job(call, purpose, reply);
    if (!job)
        return;
    if (read_aor(job, call->param))
        find(job);
    leave_job(job);
}

void web_show_aor(const struct web_call *call, struct http_reply *reply)
{
    tell_about(call, SHOW, reply);
}

void web_show_why(const struct web_call *call, struct http_reply *reply)
{
    tell_about(call, EXPLAIN, reply);
}

void web_remove_registrations(const struct web_call *call, struct http_reply *reply)
{
    struct aor_job *job = begin_job(call, REMOVE, reply);
    if (!job)
        return;
    if (read_aor(job, call->param) && read_close(job, call->request->query)) {
        if (job->closes_flows)
            find(job);
        else
            remove_bindings(job);
    }
    leave_job(job);
}
