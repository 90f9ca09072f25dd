#include "binding_record.h"
#include <errno.h>
#include <stdlib.h>

/* ---- Lengths: seven bits a byte, the low ones first, the top bit says "more follows" ------- */

static size_t length_size(size_t n)
{
    size_t size = 1;
    while (n >>= 7)
        size++;
    return size;
}

static uint8_t *put_length(uint8_t *at, size_t n)
{
    for (; n > 0x7f; n >>= 7)
        *at++ = (uint8_t)(n | 0x80);
    *at++ = (uint8_t)n;
    return at;
}

static const uint8_t *take_length(const uint8_t *at, size_t *n)
{
    unsigned shift = 0;
    for (*n = 0; *at & 0x80; shift += 7)
        *n |= (size_t)(*at++ & 0x7f) << shift;
    *n |= (size_t)*at++ << shift;
    return at;
}

/* ---- Text ---------------------------------------------------------------------------------- */

static size_t text_size(struct str s)
{
    return length_size(s.len) + s.len;
}

static uint8_t *put_text(uint8_t *at, struct str s)
{
    at = put_length(at, s.len);
    if (s.len > 0)
        memcpy(at, s.ptr, s.len);
    return at + s.len;
}

static const uint8_t *take_text(const uint8_t *at, struct str *s)
{
    at = take_length(at, &s->len);
    s->ptr = (const char *)at;
    return at + s->len;
}

/* ---- Addresses: the number of bytes that follow, then port and address as on the wire ------ */

enum {
    PORT_BYTES = sizeof(in_port_t),
    V4_BYTES = PORT_BYTES + sizeof(struct in_addr),
    V6_BYTES = PORT_BYTES + sizeof(struct in6_addr) + sizeof(uint32_t), /* with the scope id */
};

static size_t address_bytes(const struct net_address *a)
{
    switch (a->any.sa_family) {
    case AF_INET:
        return V4_BYTES;
    case AF_INET6:
        return V6_BYTES;
    default:
        return 0;
    }
}

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t n)
{
    memcpy(at, bytes, n);
    return at + n;
}

static const uint8_t *take_bytes(const uint8_t *at, void *bytes, size_t n)
{
    memcpy(bytes, at, n);
    return at + n;
}

static uint8_t *put_address(uint8_t *at, const struct net_address *a)
{
    size_t n = address_bytes(a);
    *at++ = (uint8_t)n;
    if (n == V4_BYTES) {
        at = put_bytes(at, &a->v4.sin_port, PORT_BYTES);
        at = put_bytes(at, &a->v4.sin_addr, sizeof a->v4.sin_addr);
    } else if (n == V6_BYTES) {
        at = put_bytes(at, &a->v6.sin6_port, PORT_BYTES);
        at = put_bytes(at, &a->v6.sin6_addr, sizeof a->v6.sin6_addr);
        at = put_bytes(at, &a->v6.sin6_scope_id, sizeof a->v6.sin6_scope_id);
    }
    return at;
}

static const uint8_t *take_address(const uint8_t *at, struct net_address *a)
{
    memset(a, 0, sizeof *a);
    size_t n = *at++;
    if (n == V4_BYTES) {
        a->v4.sin_family = AF_INET;
        at = take_bytes(at, &a->v4.sin_port, PORT_BYTES);
        at = take_bytes(at, &a->v4.sin_addr, sizeof a->v4.sin_addr);
    } else if (n == V6_BYTES) {
        a->v6.sin6_family = AF_INET6;
        at = take_bytes(at, &a->v6.sin6_port, PORT_BYTES);
        at = take_bytes(at, &a->v6.sin6_addr, sizeof a->v6.sin6_addr);
        at = take_bytes(at, &a->v6.sin6_scope_id, sizeof a->v6.sin6_scope_id);
    }
    return at;
}

/* ---- Records ------------------------------------------------------------------------------- */

static size_t tail_size(const struct binding *b)
{
    return 1 + address_bytes(&b->source) + text_size(b->contact) + text_size(b->instance) +
           text_size(b->call_id) + text_size(b->path) + text_size(b->user_agent) +
           text_size(b->grant);
}

struct binding_record *binding_record_new(const struct binding *b)
{
    /* Not sizeof: the tail begins before the padding at its end. */
    size_t size = offsetof(struct binding_record, tail) + tail_size(b);
    struct binding_record *r = malloc(size > sizeof *r ? size : sizeof *r);
    if (!r)
        return NULL;
    *r = (struct binding_record){
        .refreshed_ms = b->refreshed_ms,
        .expires_ms = b->expires_ms,
        .authenticated_ms = b->authenticated_ms,
        .conn = b->conn,
        .reg_id = b->reg_id,
        .cseq = b->cseq,
        .expires_limit_s = b->expires_limit_s,
        .q_milli = (int16_t)b->q_milli,
        .protocol = (uint8_t)b->protocol,
        .is_outbound = b->is_outbound,
        .is_nat = b->is_nat,
        .is_flow_dead = b->is_flow_dead,
    };
    uint8_t *at = put_address(r->tail, &b->source);
    at = put_text(at, b->contact);
    at = put_text(at, b->instance);
    at = put_text(at, b->call_id);
    at = put_text(at, b->path);
    at = put_text(at, b->user_agent);
    put_text(at, b->grant);
    return r;
}

/* `tail` is the record's own, or a copy of it. */
static struct binding view(const struct binding_record *r, const uint8_t *tail)
{
    struct binding b = {
        .reg_id = r->reg_id,
        .is_outbound = r->is_outbound,
        .is_nat = r->is_nat,
        .is_flow_dead = r->is_flow_dead,
        .q_milli = r->q_milli,
        .cseq = r->cseq,
        .expires_limit_s = r->expires_limit_s,
        .protocol = (enum transport_kind)r->protocol,
        .conn = r->conn,
        .refreshed_ms = r->refreshed_ms,
        .expires_ms = r->expires_ms,
        .authenticated_ms = r->authenticated_ms,
    };
    tail = take_address(tail, &b.source);
    tail = take_text(tail, &b.contact);
    tail = take_text(tail, &b.instance);
    tail = take_text(tail, &b.call_id);
    tail = take_text(tail, &b.path);
    tail = take_text(tail, &b.user_agent);
    take_text(tail, &b.grant);
    return b;
}

struct binding binding_record_view(const struct binding_record *r)
{
    return view(r, r->tail);
}

int binding_record_copy(const struct binding_record *r, struct arena *arena, struct binding *out)
{
    struct binding own = binding_record_view(r);
    size_t size = tail_size(&own);
    uint8_t *tail = arena_alloc(arena, size);
    if (!tail)
        return -ENOMEM;
    memcpy(tail, r->tail, size);
    *out = view(r, tail);
    return 0;
}
