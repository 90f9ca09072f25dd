#include "web_internal.h"
#include <aorta/binding_json.h>
#include <aorta/clock.h>
#include <errno.h>
#include <stdlib.h>

enum {
    DEFAULT_LIMIT = 100,
    MAX_LIMIT = 1000,
    PARAM_BYTES = 512,
    ARENA_FIRST_BYTES = 64 << 10,
    ARENA_MAX_BYTES = 64 << 20,
    PAGES_A_REQUEST = 64, /* looked through for one answer; its cursor goes on from there */
};

struct list_query {
    char realm_memory[PARAM_BYTES], aor_memory[PARAM_BYTES];
    char number_memory[2][24];
    struct str realm, aor;
    uint64_t limit, cursor;
};

static int read_number(struct str query, const char *name, char memory[24], uint64_t min,
                       uint64_t max, uint64_t *value)
{
    struct str text;
    int rc = web_query_param(query, name, memory, 24, &text);
    if (rc < 0 || !text.ptr)
        return rc;
    rc = str_to_u64(text, max, value);
    return rc == 0 && *value < min ? -ERANGE : rc;
}

/* NULL, or what is wrong with the query. */
static const char *read_query(struct str text, struct list_query *q)
{
    q->limit = DEFAULT_LIMIT;
    q->cursor = 0;
    if (web_query_param(text, "realm", q->realm_memory, PARAM_BYTES, &q->realm) < 0)
        return "realm is badly escaped or too long";
    if (web_query_param(text, "aor", q->aor_memory, PARAM_BYTES, &q->aor) < 0)
        return "aor is badly escaped or too long";
    if (read_number(text, "limit", q->number_memory[0], 1, MAX_LIMIT, &q->limit) < 0)
        return "limit must be a number from 1 to 1000";
    if (read_number(text, "cursor", q->number_memory[1], 1, UINT64_MAX, &q->cursor) < 0)
        return "cursor must be the one of the page before";
    return NULL;
}

/* ---- A request on its way through the store ------------------------------------------------- */

struct job {
    struct web_later later;
    struct store *store;
    struct arena arena;
    struct list_query query;
    struct binding_json_context ctx;
    size_t count; /* of bindings */
    int pages;
};

/* NULL, and `reply` says so, when there is no memory. */
static struct job *begin_job(const struct web_call *call, struct http_reply *reply)
{
    struct job *job = calloc(1, sizeof *job);
    if (!job || arena_init(&job->arena, ARENA_FIRST_BYTES, ARENA_MAX_BYTES) < 0) {
        free(job);
        web_put_error(reply, 503, "unavailable", "no memory for it now");
        return NULL;
    }
    job->store = call->worker->store;
    const struct web *web = call->worker->web;
    job->ctx = (struct binding_json_context){str_from(web->sbc_address),
                                             str_from(web->info.config->node), clock_now_ms()};
    web_later_begin(&job->later, call, reply);
    return job;
}

static void free_job(struct job *job)
{
    arena_fini(&job->arena);
    free(job);
}

static void end_job(struct job *job)
{
    if (web_later_send(&job->later))
        free_job(job);
}

static void leave_job(struct job *job)
{
    if (web_later_leave(&job->later))
        free_job(job);
}

static void fail_job(struct job *job, int error)
{
    web_put_error(&job->later.answer, 503, "unavailable",
                  error == -EAGAIN ? "the store cannot be reached now"
                                   : "no memory for so much now: ask with a lower limit");
    end_job(job);
}

/* ---- Listing ------------------------------------------------------------------------------- */

static bool is_in_realm(struct str aor, struct str realm)
{
    struct str host = str_slice(aor, str_find(aor, '@') + 1, aor.len);
    return realm.len == 0 || str_eq_nocase(host, realm);
}

static void put_aor(struct job *job, struct str aor, const struct binding *bindings, size_t count)
{
    if (!is_in_realm(aor, job->query.realm))
        return;
    for (size_t i = 0; i < count; i++) {
        if (job->count++ > 0)
            buf_put_char(&job->later.answer.body, ',');
        binding_put_json(&job->later.answer.body, aor, &bindings[i], &job->ctx);
    }
}

static void end_listing(struct job *job)
{
    struct buf *b = &job->later.answer.body;
    if (job->query.cursor)
        buf_printf(b, "],\"cursor\":\"%llu\"}", (unsigned long long)job->query.cursor);
    else
        buf_put_text(b, "],\"cursor\":null}");
    if (b->error)
        fail_job(job, b->error);
    else
        end_job(job);
}

static void on_found(void *arg, int error, const struct binding *bindings, size_t count)
{
    struct job *job = arg;
    if (error) {
        fail_job(job, error);
        return;
    }
    put_aor(job, job->query.aor, bindings, count);
    job->query.cursor = 0;
    end_listing(job);
}

static void ask_page(struct job *job);

static void on_page(void *arg, int error, uint64_t next_cursor, const struct store_aor *aors,
                    size_t count)
{
    struct job *job = arg;
    if (error) {
        fail_job(job, error);
        return;
    }
    for (size_t i = 0; i < count; i++)
        put_aor(job, aors[i].aor, aors[i].bindings, aors[i].count);
    job->query.cursor = next_cursor;
    if (next_cursor == 0 || job->count >= job->query.limit || ++job->pages == PAGES_A_REQUEST)
        end_listing(job);
    else
        ask_page(job);
}

static void ask_page(struct job *job)
{
    arena_reset(&job->arena);
    job->store->ops->list(job->store, job->query.cursor, job->query.limit - job->count, &job->arena,
                          on_page, job);
}

static void ask(struct job *job)
{
    web_begin_json(&job->later.answer);
    buf_put_text(&job->later.answer.body, "{\"registrations\":[");
    if (!job->query.aor.ptr) {
        ask_page(job);
        return;
    }
    job->query.aor = web_canonical_aor(job->query.aor, &job->arena);
    job->store->ops->find(job->store, job->query.aor, &job->arena, on_found, job);
}

void web_list_registrations(const struct web_call *call, struct http_reply *reply)
{
    struct job *job = begin_job(call, reply);
    if (!job)
        return;
    const char *wrong = read_query(call->request->query, &job->query);
    if (wrong) {
        web_put_error(&job->later.answer, 400, "bad_query", wrong);
        end_job(job);
    } else {
        ask(job);
    }
    leave_job(job);
}
