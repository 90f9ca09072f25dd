/* events_internal.h - the workers' parts, as writers and readers share them. */
#ifndef AORTA_EVENTS_INTERNAL_H
#define AORTA_EVENTS_INTERNAL_H
#include "event_ring.h"
#include <aorta/ratelimit.h>

struct event_writer {
    _Alignas(64) struct events *events;
    struct event_ring ring;
    event_publish_fn *publish; /* NULL: not published */
    void *publish_arg;
    struct metrics *metrics; /* NULL: not counted */
    struct buf lines;        /* events that are to be published, and that which is being composed */
    size_t begin[EVENT_BATCH]; /* of those in `lines` */
    size_t waiting;            /* how many */
    struct ratelimit at_once;
    struct ratelimit log_limit;
    uint64_t dropped; /* since the last line of the log */
};

struct events {
    unsigned workers;
    struct buf node; /* as a member of JSON */
    _Atomic unsigned listeners;
    _Alignas(64) _Atomic uint64_t next; /* number of an event */
    struct event_writer writer[];       /* one a worker */
};
#endif
