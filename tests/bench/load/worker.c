#include "worker.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <unistd.h>

enum {
    FIRST_CSEQ = 100000000, /* nine digits for a long time */
    MAX_CHALLENGES = 3,     /* in one registration */
    PARK_MS = 100,
    RESEND_MS = 500, /* RFC 3261 T1 and T2 */
    RESEND_MAX_MS = 4000,
    EVENTS = 256,
    WIDTH_UDP = 256,
    WIDTH_STREAM = 64,
    PROBE_MS = 10,
    GATHER_MS = 10000, /* reconnect: the last ones to lose their connection */
    NAP_NS = 50000,    /* open loop: shorter sleeps would cost more than they tell */
    WAKE_MS = 10,      /* to look at what the first process says */
};

/* ---- Timers: each client has one ------------------------------------------------------------- */

static uint64_t tick_of(uint64_t ns)
{
    return ns / (TICK_MS * NS_PER_MS);
}

static void wheel_init(struct wheel *wheel, uint64_t now)
{
    for (size_t i = 0; i < WHEEL_SLOTS; i++)
        wheel->head[i] = NOBODY;
    wheel->tick = tick_of(now);
    wheel->armed = 0;
}

static void disarm(struct worker *w, uint32_t i)
{
    struct client *c = &w->client[i];
    if (c->wheel_slot == NOBODY)
        return;
    if (c->previous == NOBODY)
        w->wheel.head[c->wheel_slot] = c->next;
    else
        w->client[c->previous].next = c->next;
    if (c->next != NOBODY)
        w->client[c->next].previous = c->previous;
    c->wheel_slot = NOBODY;
    w->wheel.armed--;
}

static void arm(struct worker *w, uint32_t i, uint64_t due_ns)
{
    struct client *c = &w->client[i];
    disarm(w, i);
    uint64_t tick = tick_of(due_ns) + 1, highest = w->wheel.tick + WHEEL_SLOTS - 1;
    if (tick > highest)
        tick = highest; /* fires early, and is armed again */
    c->due_ns = due_ns;
    c->wheel_slot = (int32_t)(tick % WHEEL_SLOTS);
    c->previous = NOBODY;
    c->next = w->wheel.head[c->wheel_slot];
    if (c->next != NOBODY)
        w->client[c->next].previous = (int32_t)i;
    w->wheel.head[c->wheel_slot] = (int32_t)i;
    w->wheel.armed++;
}

static void fire(struct worker *w, uint32_t i);

static void fire_timers(struct worker *w)
{
    uint64_t until = tick_of(w->now);
    for (; w->wheel.tick <= until; w->wheel.tick++) {
        int32_t *head = &w->wheel.head[w->wheel.tick % WHEEL_SLOTS];
        /* Who arms again is put into a later slot: this one runs empty. */
        while (*head != NOBODY) {
            uint32_t i = (uint32_t)*head;
            disarm(w, i);
            if (w->client[i].due_ns > w->now)
                arm(w, i, w->client[i].due_ns);
            else
                fire(w, i);
        }
    }
}

/* ---- What is counted ------------------------------------------------------------------------- */

static bool is_open_loop(const struct worker *w)
{
    return w->options->rate > 0;
}

/* Registrations are measured by when they end; those of an open loop by when they were due. */
static bool is_measured(const struct worker *w, const struct client *c)
{
    int phase = atomic_load_explicit(&w->shared->phase, memory_order_relaxed);
    if (w->options->mode == MODE_IDLE)
        return phase == PHASE_SETUP;
    if (phase != PHASE_RUN)
        return false;
    if (w->options->mode == MODE_RECONNECT)
        return true;
    uint64_t at = is_open_loop(w) ? c->began_ns : w->now;
    return at >= w->shared->measure_ns && at < w->shared->end_ns &&
           (w->share == 0 || w->results->registrations < w->share);
}

void worker_count_fault(struct worker *w, enum fault fault)
{
    if (!w->is_ending)
        w->results->fault[fault]++;
}

/* ---- Messages -------------------------------------------------------------------------------- */

struct requests *worker_requests(struct worker *w, uint32_t i)
{
    return w->stream ? &w->requests : udp_requests(w, i);
}

struct identity worker_identity(struct worker *w, uint32_t i, uint16_t port)
{
    struct client *c = &w->client[i];
    return (struct identity){
        .user = c->user,
        .slot = w->first_slot + i,
        .serial = c->serial,
        .cseq = c->cseq,
        .nc = c->nc,
        .port = port,
        .nonce = {c->nonce,  c->nonce_len },
        .opaque = {c->opaque, c->opaque_len},
        .ha1 = c->ha1,
    };
}

static struct identity identity_of(struct worker *w, uint32_t i)
{
    return worker_identity(w, i, w->stream ? stream_port(w, i) : udp_port(w, i));
}

/* The REGISTER once more, or a new one. */
static void send_again(struct worker *w, uint32_t i)
{
    if (w->stream)
        stream_send(w, i);
    else
        udp_send(w, i);
}

static void ask(struct worker *w, uint32_t i, bool is_authorized)
{
    struct client *c = &w->client[i];
    c->is_authorized = is_authorized;
    c->cseq++;
    c->nc += is_authorized;
    c->state = CLIENT_ASKED;
    c->deadline_ns = w->now + w->options->timeout_ms * NS_PER_MS;
    c->resend_ms = RESEND_MS;
    bool resends = !w->stream && w->options->timeout_ms > RESEND_MS;
    arm(w, i, resends ? w->now + RESEND_MS * NS_PER_MS : c->deadline_ns);
    send_again(w, i);
}

/* ---- One registration ------------------------------------------------------------------------ */

/* A new client has the slot of the one before, and the AOR that comes next. */
static void become_new(struct worker *w, struct client *c)
{
    c->serial++;
    c->has_nonce = false;
    c->user = w->number + w->next_user * w->options->processes;
    if (c->user >= w->options->aors) {
        w->next_user = 0;
        c->user = w->number;
    }
    w->next_user++;
    c->realm_epoch = 0;
}

static void ask_first(struct worker *w, uint32_t i)
{
    struct client *c = &w->client[i];
    enum mode mode = w->options->mode;
    bool shows = mode == MODE_REFRESH && c->has_nonce && w->is_back;
    ask(w, i, shows);
}

static void begin(struct worker *w, uint32_t i, uint64_t began_ns)
{
    struct client *c = &w->client[i];
    /* Who comes back has waited since the server did, however often it had to try. */
    bool returns = w->results->first_ns != 0;
    c->began_ns = returns ? w->results->first_ns : began_ns;
    c->challenges = 0;
    if (w->options->mode == MODE_STORM)
        become_new(w, c);
    if (!w->stream || stream_is_up(w, i)) {
        ask_first(w, i);
        return;
    }
    c->state = CLIENT_OPENS;
    c->has_nonce = false; /* a nonce may belong to its connection */
    arm(w, i, w->now + w->options->timeout_ms * NS_PER_MS);
    stream_connect(w, i);
}

void worker_connected(struct worker *w, uint32_t i)
{
    if (w->client[i].state == CLIENT_OPENS)
        ask_first(w, i);
}

/* Not under way any more: somebody else of the set-up may begin. */
static void leave(struct worker *w, uint32_t i)
{
    struct client *c = &w->client[i];
    disarm(w, i);
    if ((c->state == CLIENT_OPENS || c->state == CLIENT_ASKED) && !c->is_counted &&
        w->under_way > 0)
        w->under_way--;
}

static void go_on(struct worker *w, uint32_t i);

static void park(struct worker *w, uint32_t i)
{
    leave(w, i);
    w->client[i].state = CLIENT_PARKED;
    w->client[i].has_nonce = false;
    arm(w, i, w->now + PARK_MS * NS_PER_MS);
}

static void fail(struct worker *w, uint32_t i, enum fault fault)
{
    worker_count_fault(w, fault);
    if (w->stream && (w->options->mode == MODE_STORM || fault == FAULT_TIMEOUT))
        stream_drop(w, i);
    park(w, i);
}

static void count_registered(struct worker *w, struct client *c)
{
    if (c->is_counted)
        return;
    c->is_counted = true;
    atomic_fetch_add(&w->results->registered, 1);
    if (w->options->mode == MODE_RECONNECT && w->shared->phase == PHASE_RUN)
        w->results->last_ns = w->now;
}

static void succeed(struct worker *w, uint32_t i)
{
    struct client *c = &w->client[i];
    leave(w, i);
    bool was_asked = c->challenges > 0 && w->options->mode != MODE_STORM &&
                     w->shared->phase == PHASE_RUN && w->options->mode != MODE_RECONNECT;
    if (is_measured(w, c)) {
        w->results->registrations++;
        w->results->challenged += was_asked;
        histogram_add(&w->results->latency, w->now > c->began_ns ? w->now - c->began_ns : 0);
    }
    c->state = CLIENT_IDLE;
    count_registered(w, c);
    if (w->options->mode == MODE_STORM && w->stream)
        stream_drop(w, i);
    go_on(w, i);
}

static void take_challenge(struct worker *w, uint32_t i, const struct answer *a)
{
    struct client *c = &w->client[i];
    struct challenge challenge;
    if (answer_challenge(a, &challenge) != FAULT_NONE) {
        fail(w, i, FAULT_CHALLENGE);
        return;
    }
    if ((c->is_authorized && !challenge.is_stale) || c->challenges == MAX_CHALLENGES) {
        w->results->status[401] += !w->is_ending;
        park(w, i);
        return;
    }
    struct requests *r = worker_requests(w, i);
    if (requests_take_challenge(r, &challenge) != 0) {
        fail(w, i, FAULT_CHALLENGE);
        return;
    }
    if (w->realm_epoch == 0 || w->realm_algorithm != challenge.algorithm ||
        !str_eq(challenge.realm, (struct str){w->realm, w->realm_len})) {
        memcpy(w->realm, challenge.realm.ptr, challenge.realm.len);
        w->realm_len = challenge.realm.len;
        w->realm_algorithm = challenge.algorithm;
        w->realm_epoch++;
    }
    if (c->realm_epoch != w->realm_epoch) {
        char name[256];
        digest_ha1(challenge.algorithm, requests_user_name(w->options, c->user, name),
                   challenge.realm, str_from(w->options->password), c->ha1);
        c->realm_epoch = w->realm_epoch;
    }
    c->challenges++;
    c->nc = 0;
    c->has_nonce = true;
    c->nonce_len = (uint8_t)challenge.nonce.len;
    c->opaque_len = (uint8_t)challenge.opaque.len;
    memcpy(c->nonce, challenge.nonce.ptr, challenge.nonce.len);
    if (challenge.opaque.len > 0)
        memcpy(c->opaque, challenge.opaque.ptr, challenge.opaque.len);
    ask(w, i, true);
}

static void take_answer(struct worker *w, uint32_t i, const struct answer *a)
{
    struct client *c = &w->client[i];
    if (!w->stream && w->results->late + w->results->retransmissions > 0 &&
        (a->cseq < c->cseq || c->state != CLIENT_ASKED)) {
        w->results->late++; /* the second answer to a request that was sent twice */
        return;
    }
    struct identity id = identity_of(w, i);
    struct expected expected = requests_expected(worker_requests(w, i), &id);
    enum fault fault = answer_check(a, &expected);
    if (fault == FAULT_NONE && c->state != CLIENT_ASKED)
        fault = FAULT_UNEXPECTED;
    if (fault == FAULT_UNEXPECTED || (fault != FAULT_NONE && c->state != CLIENT_ASKED)) {
        worker_count_fault(w, fault);
    } else if (fault != FAULT_NONE) {
        fail(w, i, fault);
    } else if (a->status == 200) {
        succeed(w, i);
    } else if (a->status == 401) {
        take_challenge(w, i, a);
    } else if (a->status >= 200) {
        w->results->status[a->status] += !w->is_ending;
        if (w->stream && w->options->mode == MODE_STORM)
            stream_drop(w, i);
        park(w, i);
    }
}

void worker_take_message(struct worker *w, struct str message, int32_t only_client)
{
    struct answer a;
    enum fault fault = answer_parse(message, &a);
    uint32_t slot = 0;
    if (fault == FAULT_NONE && only_client >= 0)
        slot = w->first_slot + (uint32_t)only_client;
    else if (fault == FAULT_NONE && (!requests_find_slot(udp_requests(w, 0), a.call_id, &slot) ||
                                     slot < w->first_slot || slot - w->first_slot >= w->clients))
        fault = FAULT_CALL_ID;
    if (fault == FAULT_NONE)
        take_answer(w, slot - w->first_slot, &a);
    else if (only_client >= 0 && w->client[only_client].state == CLIENT_ASKED)
        fail(w, (uint32_t)only_client, fault);
    else
        worker_count_fault(w, fault);
}

void worker_lost(struct worker *w, uint32_t i, enum fault fault)
{
    struct client *c = &w->client[i];
    bool is_away =
        w->options->mode == MODE_RECONNECT && w->shared->phase == PHASE_RUN && !w->is_back;
    if (is_away && c->state == CLIENT_OPENS) { /* the probe: it tries again */
        leave(w, i);
        c->state = CLIENT_NEW;
        return;
    }
    if (is_away) {
        leave(w, i);
        c->state = CLIENT_NEW;
        if (w->lost_ns == 0)
            w->lost_ns = w->now;
        atomic_fetch_add(&w->results->lost, 1);
        return;
    }
    if (c->state == CLIENT_PARKED)
        return;
    fail(w, i, fault == FAULT_NONE ? FAULT_CLOSED : fault);
}

static void fire(struct worker *w, uint32_t i)
{
    struct client *c = &w->client[i];
    if (c->state == CLIENT_PARKED) {
        c->state = c->is_counted ? CLIENT_IDLE : CLIENT_NEW;
        go_on(w, i);
        return;
    }
    if (w->now >= c->deadline_ns || c->state == CLIENT_OPENS) {
        fail(w, i, FAULT_TIMEOUT);
        return;
    }
    uint64_t resend_ms = c->resend_ms * 2u;
    c->resend_ms = (uint16_t)(resend_ms < RESEND_MAX_MS ? resend_ms : RESEND_MAX_MS);
    uint64_t again = w->now + c->resend_ms * NS_PER_MS;
    arm(w, i, again < c->deadline_ns ? again : c->deadline_ns);
    w->results->retransmissions++;
    send_again(w, i);
}

/* ---- Who begins when ------------------------------------------------------------------------- */

static void put_idle(struct worker *w, uint32_t i)
{
    w->idle[(w->idle_first + w->idle_count++) % w->clients] = (int32_t)i;
}

/* After a registration, or a pause: what this client does next. */
static void go_on(struct worker *w, uint32_t i)
{
    struct client *c = &w->client[i];
    if (w->is_ending)
        return;
    bool runs = w->shared->phase == PHASE_RUN && w->options->mode != MODE_RECONNECT && w->is_back;
    if (!c->is_counted && w->options->mode != MODE_STORM) {
        w->under_way++;
        begin(w, i, w->now);
    } else if (runs && is_open_loop(w)) {
        put_idle(w, i);
    } else if (runs) {
        begin(w, i, w->now);
    }
}

/* Set-up and coming back: the next clients, as many at once as is allowed. */
static void begin_new_ones(struct worker *w)
{
    while (w->next_new < w->clients && w->under_way < w->width) {
        uint32_t i = w->next_new++;
        if (w->client[i].state != CLIENT_NEW)
            continue;
        w->under_way++;
        begin(w, i, w->now);
    }
}

static void begin_due_ones(struct worker *w)
{
    while (w->idle_count > 0 && (double)w->now >= w->next_due_ns &&
           w->next_due_ns < (double)w->shared->end_ns) {
        uint32_t i = (uint32_t)w->idle[w->idle_first];
        w->idle_first = (w->idle_first + 1) % w->clients;
        w->idle_count--;
        begin(w, i, (uint64_t)w->next_due_ns);
        w->next_due_ns += w->interval_ns;
    }
}

static void start_run(struct worker *w)
{
    const struct options *o = w->options;
    w->is_back = true;
    w->interval_ns = o->rate > 0 ? (double)NS_PER_S * o->processes / o->rate : 0;
    w->next_due_ns = (double)w->shared->start_ns + w->interval_ns * w->number / o->processes;
    for (uint32_t i = 0; i < w->clients; i++) {
        if (w->client[i].state == CLIENT_NEW)
            w->client[i].state = CLIENT_IDLE; /* a storm has no set-up */
        if (w->client[i].state == CLIENT_IDLE)
            go_on(w, i);
    }
}

/* What was due before the end and could not even begin has waited at least until now. */
static void count_backlog(struct worker *w)
{
    double due = w->next_due_ns;
    for (; due < (double)w->shared->end_ns && due < (double)w->now; due += w->interval_ns)
        if (due >= (double)w->shared->measure_ns)
            histogram_add(&w->results->latency, w->now - (uint64_t)due);
    w->next_due_ns = (double)w->shared->end_ns;
}

static bool is_drained(const struct worker *w)
{
    for (uint32_t i = 0; i < w->clients; i++)
        if (w->client[i].state == CLIENT_OPENS || w->client[i].state == CLIENT_ASKED)
            return false;
    return true;
}

static void run(struct worker *w)
{
    if (w->now < w->shared->start_ns)
        return;
    if (!w->is_back)
        start_run(w);
    if (is_open_loop(w))
        begin_due_ones(w);
    bool has_all = w->share > 0 && w->results->registrations >= w->share;
    if (w->now < w->shared->end_ns && !has_all)
        return;
    if (is_open_loop(w) && !has_all) {
        if (w->next_due_ns < (double)w->shared->end_ns)
            count_backlog(w);
        if (!is_drained(w))
            return;
    }
    atomic_store(&w->results->is_done, true);
}

/* ---- Coming back ----------------------------------------------------------------------------- */

static void drop_all(struct worker *w)
{
    for (uint32_t i = 0; i < w->clients; i++) {
        if (stream_is_up(w, i))
            atomic_fetch_add(&w->results->lost, 1);
        stream_drop(w, i);
        leave(w, i);
        w->client[i].state = CLIENT_NEW;
    }
}

static void come_back(struct worker *w)
{
    drop_all(w);
    w->is_back = true;
    w->results->first_ns = w->now;
    atomic_store(&w->results->registered, 0);
    for (uint32_t i = 0; i < w->clients; i++)
        w->client[i].is_counted = false;
    w->next_new = 0;
    w->under_way = 0;
    w->width = w->options->width ? w->options->width : w->clients;
}

/* One client knocks; when it is let in, all come. */
static void knock(struct worker *w)
{
    if (stream_is_up(w, 0) || w->client[0].state == CLIENT_ASKED) {
        come_back(w);
        return;
    }
    if (w->client[0].state == CLIENT_OPENS || w->now < w->probe_ns + PROBE_MS * NS_PER_MS)
        return;
    w->probe_ns = w->now;
    begin(w, 0, w->now);
}

static void watch_server(struct worker *w)
{
    if (w->is_back) {
        begin_new_ones(w);
        if (atomic_load(&w->results->registered) == w->clients)
            atomic_store(&w->results->is_done, true);
        return;
    }
    if (atomic_load(&w->shared->come_back)) {
        come_back(w);
        return;
    }
    bool are_gone = w->lost_ns != 0 && (atomic_load(&w->results->lost) >= w->clients ||
                                        w->now > w->lost_ns + GATHER_MS * NS_PER_MS);
    if (!are_gone)
        return;
    if (w->probe_ns == 0)
        drop_all(w);
    knock(w);
}

/* ---- The loop -------------------------------------------------------------------------------- */

static void take_turn(struct worker *w)
{
    int phase = atomic_load_explicit(&w->shared->phase, memory_order_acquire);
    fire_timers(w);
    if (phase == PHASE_SETUP && w->options->mode != MODE_STORM)
        begin_new_ones(w);
    else if (phase == PHASE_RUN && w->options->mode == MODE_RECONNECT)
        watch_server(w);
    else if (phase == PHASE_RUN && w->options->mode != MODE_IDLE)
        run(w);
    w->is_ending = phase == PHASE_END;
}

static struct timespec time_to_wait(const struct worker *w)
{
    uint64_t until = w->now + WAKE_MS * NS_PER_MS;
    if (w->wheel.armed > 0 && until > w->now + TICK_MS * NS_PER_MS)
        until = w->now + TICK_MS * NS_PER_MS;
    if (w->shared->phase == PHASE_RUN) {
        uint64_t start = w->shared->start_ns, end = w->shared->end_ns;
        if (!w->is_back && start > w->now && start < until)
            until = start;
        if (end > w->now && end < until)
            until = end;
        if (w->is_back && is_open_loop(w) && w->idle_count > 0 && w->next_due_ns < (double)until)
            until = w->next_due_ns > (double)w->now + NAP_NS ? (uint64_t)w->next_due_ns
                                                             : w->now + NAP_NS;
    } else {
        until = w->now + NS_PER_MS; /* the next phase is near */
    }
    uint64_t ns = until - w->now;
    return (struct timespec){(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
}

static void loop(struct worker *w)
{
    struct epoll_event events[EVENTS];
    while (!w->is_ending) {
        w->now = now_ns();
        take_turn(w);
        if (!w->stream)
            udp_flush(w);
        struct timespec wait = time_to_wait(w);
        int n = epoll_pwait2(w->epoll_fd, events, EVENTS, &wait, NULL);
        w->now = now_ns();
        for (int i = 0; i < n; i++, w->now = now_ns()) {
            if (w->stream)
                stream_event(w, events[i].data.u32, events[i].events);
            else
                udp_receive(w, events[i].data.u32);
        }
        if (!w->stream)
            udp_flush(w);
    }
}

static uint32_t share_of(uint64_t total, uint32_t part, uint32_t parts)
{
    return (uint32_t)(total * (part + 1) / parts - total * part / parts);
}

static int init(struct worker *w)
{
    const struct options *o = w->options;
    w->clients = share_of(o->clients, w->number, o->processes);
    w->first_slot = (uint32_t)((uint64_t)o->clients * w->number / o->processes);
    w->share = o->count * (w->number + 1) / o->processes - o->count * w->number / o->processes;
    if (o->count > 0 && w->share == 0)
        w->share = 1;
    w->width = o->width ? o->width : is_stream(o->transport) ? WIDTH_STREAM : WIDTH_UDP;
    uint32_t run;
    if (getrandom(&run, sizeof run, 0) != sizeof run ||
        getrandom(&w->random, sizeof w->random, 0) != sizeof w->random)
        return -EIO;
    w->random |= 1;
    snprintf(w->run, sizeof w->run, "%08x", run);
    w->client = calloc(w->clients, sizeof *w->client);
    w->idle = calloc(w->clients, sizeof *w->idle);
    w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!w->client || !w->idle || w->epoll_fd < 0)
        return -ENOMEM;
    for (uint32_t i = 0; i < w->clients; i++) {
        w->client[i].user = w->first_slot + i;
        w->client[i].cseq = FIRST_CSEQ;
        w->client[i].wheel_slot = NOBODY;
    }
    w->now = now_ns();
    wheel_init(&w->wheel, w->now);
    return is_stream(o->transport) ? streams_open(w) : udp_open(w);
}

int worker_run(const struct options *o, struct shared *shared, uint32_t number)
{
    struct worker *w = calloc(1, sizeof *w);
    if (w == NULL)
        return 1;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_TIMERSLACK, 1);
    signal(SIGINT, SIG_IGN); /* the first process says when it ends */
    signal(SIGTERM, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    w->options = o;
    w->shared = shared;
    w->results = &shared->results[number];
    w->number = number;
    int rc = init(w);
    if (rc == 0)
        loop(w);
    else
        fprintf(stderr, "aorta-load: %s\n", strerror(-rc));
    if (w->stream)
        streams_close(w);
    else
        udp_close(w);
    free(w->client);
    free(w->idle);
    if (w->epoll_fd > 0)
        close(w->epoll_fd);
    free(w);
    return rc == 0 ? 0 : 1;
}
