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
    SILENT_MS = 200, /* a ClientHello, or a request, comes right behind the connect */
    /* Lost on one tick: a machine that is too busy for its clients, itself or they, gets them
     * in slowly, and a crowd that does nothing holds up the others for a moment only. */
    LOST_A_TICK = OPENING_PLACES / 8,
};

/* limits.handshakes, which a reload may change: so there may be more than places. */
static uint32_t places(const struct transport *t)
{
    uint32_t places = t->deps.config->handshakes;
    return places < OPENING_PLACES ? places : OPENING_PLACES;
}

/* Accept again at so few, so that it pays to watch the listening sockets again. */
static uint32_t room_from(const struct transport *t)
{
    return places(t) * 3 / 4;
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
    if (o->is_paused && o->count <= room_from(c->t))
        resume_listeners(c->t);
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
    uint32_t lost = 0;
    for (uint32_t i = o->count;
         i-- > 0 && lost < LOST_A_TICK;) { /* the last one takes the place of one that goes */
        if (!wastes_place(o->conn[i], patience_ms))
            continue;
        opening_remove(o->conn[i]);
        lost++;
    }
    if (lost > 0)
        LOG_DEBUG("newcomers no longer wait for slow ones", LOG_NUM("slow", lost));
}
