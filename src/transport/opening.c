/* How many peers may be in the middle of coming in. When all clients of a node come back at once,
 * each of them must get through before its deadline: handshakes that are all begun together would
 * all end together, and late. So a worker has a number of places; while they are taken, newcomers
 * wait in the listening socket's queue, first come, first served, where no deadline of ours runs.
 *
 * Nobody can keep the others out by taking a place and doing nothing with it: who says nothing at
 * all loses it soon, who stops halfway a little later. Such a connection goes on, and its deadline
 * with it, but no longer stands in anybody's way. */
#include "transport_internal.h"
#include <aorta/log.h>

enum {
    SILENT_MS = 200,        /* a ClientHello, or a request, comes right behind the connect */
    BUSY_PATIENCE_MS = 500, /* where places are few: who is slower than that costs little work */
};

/* limits.handshakes, of which a worker that is late with everything has fewer, for the others'
 * sake. A reload or another level may leave more taken than there are. */
static uint32_t places(const struct transport *t)
{
    static const uint32_t share[OVERLOAD_LEVELS] = {
        [OVERLOAD_NONE] = 1,
        [OVERLOAD_DELAY] = 4,
        [OVERLOAD_REFUSE_NEW] = 16,
        [OVERLOAD_REFUSE_ALL] = 16,
    };
    uint32_t most = t->deps.config->handshakes;
    most = most < OPENING_PLACES ? most : OPENING_PLACES;
    return (most + share[t->opening.level] - 1) / share[t->opening.level];
}

/* Accept again from this many on, so that it pays to watch the listening sockets again. */
static bool has_room(const struct transport *t)
{
    return t->opening.count <= places(t) * 3 / 4;
}

/* Places lost on one tick: a machine that is too busy for its clients, itself or they, gets them in
 * slowly, and a crowd that does nothing holds up the others for a moment only. */
static uint32_t lost_a_tick(const struct transport *t)
{
    uint32_t most = places(t);
    bool had_more = t->opening.count > most;
    uint32_t lost = (had_more ? OPENING_PLACES : most) / 8;
    return lost > 0 ? lost : 1;
}

static bool is_held_up(const struct transport_listener *l)
{
    return l->socket && !l->is_admin && transport_has_opening(l->kind);
}

static void pause_listeners(struct transport *t)
{
    t->opening.is_paused = true;
    transport_limit_reached(t, LIMIT_HANDSHAKES, NULL);
    for (size_t i = 0; i < t->listener_count; i++)
        if (is_held_up(&t->listener[i]))
            net_listener_pause(t->listener[i].socket);
}

/* Another one is first each time, or the last ones would find all places taken again. */
static void resume_listeners(struct transport *t)
{
    t->opening.is_paused = false;
    t->opening.turn++;
    for (size_t i = 0; i < t->listener_count; i++) {
        struct transport_listener *l = &t->listener[(t->opening.turn + i) % t->listener_count];
        if (is_held_up(l))
            net_listener_resume(l->socket);
    }
}

void opening_add(struct conn *c)
{
    struct opening *o = &c->t->opening;
    if (c->is_admin || !transport_has_opening(c->kind))
        return;
    if (o->count < places(c->t)) {
        o->conn[o->count++] = c;
        c->opening_place = (uint16_t)o->count;
    }
    if (o->count >= places(c->t) && !o->is_paused)
        pause_listeners(c->t);
}

void opening_remove(struct conn *c)
{
    struct opening *o = &c->t->opening;
    if (c->opening_place == 0)
        return;
    struct conn *last = o->conn[--o->count];
    o->conn[c->opening_place - 1] = last;
    last->opening_place = c->opening_place;
    c->opening_place = 0;
    if (o->is_paused && has_room(c->t))
        resume_listeners(c->t);
}

void opening_set_level(struct transport *t, enum overload_level level)
{
    struct opening *o = &t->opening;
    o->level = level;
    if (!o->is_paused && o->count >= places(t))
        pause_listeners(t);
    else if (o->is_paused && has_room(t))
        resume_listeners(t);
}

static bool wastes_place(const struct conn *c, uint64_t patience_ms)
{
    uint64_t age_ms = c->t->now_ms - c->heard_ms;
    return age_ms >= patience_ms || (age_ms >= SILENT_MS && net_stream_is_silent(c->stream));
}

void opening_check(struct transport *t)
{
    struct opening *o = &t->opening;
    if (!o->is_paused)
        return;
    uint64_t patience_ms = t->deps.config->handshake_s * 1000ull / 2;
    if (o->level > OVERLOAD_NONE && patience_ms > BUSY_PATIENCE_MS)
        patience_ms = BUSY_PATIENCE_MS;
    uint32_t lost = 0, most = lost_a_tick(t);
    for (uint32_t i = o->count;
         i-- > 0 && lost < most;) { /* the last one takes the place of one that goes */
        if (!wastes_place(o->conn[i], patience_ms))
            continue;
        opening_remove(o->conn[i]);
        lost++;
    }
    if (lost > 0)
        LOG_DEBUG("newcomers no longer wait for slow ones", LOG_NUM("slow", lost));
}
