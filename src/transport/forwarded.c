#include "forwarded.h"
#include <aorta/buf.h>

enum { NODE_BYTES = 80 }; /* an IPv6 address, a port, and escapes that nobody needs */

/* The hops are met from the client's end, but believed from ours: each one that is a proxy we trust
 * leaves what stands before it as it is, any other one makes it worthless. */
struct trail {
    const struct net_networks *trusted;
    const struct net_address *peer;
    struct net_address client;
    bool has_client;
};

static void take_hop(struct trail *trail, const struct net_address *hop)
{
    if (!hop) {
        trail->has_client = false;
    } else if (!trail->has_client || !net_networks_have(trail->trusted, hop)) {
        trail->client = *hop;
        trail->has_client = true;
    }
}

/* ---- One hop: "192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:80", "2001:db8::1" ---------------- */

static bool read_port(struct str text, uint16_t *port)
{
    uint64_t number;
    if (text.len > 1 && text.ptr[0] == '_')
        return true; /* RFC 7239 6.3: obfuscated */
    if (str_to_u64(text, UINT16_MAX, &number) < 0)
        return false;
    *port = (uint16_t)number;
    return true;
}

/* Where the host ends. Of an IPv6 address without brackets all is host. */
static size_t host_end(struct str node)
{
    if (node.len > 0 && node.ptr[0] == '[')
        return str_find(node, ']') + 1;
    size_t colon = str_find(node, ':');
    struct str behind = str_slice(node, colon + 1, node.len);
    return str_find(behind, ':') < behind.len ? node.len : colon;
}

static bool read_node(struct str node, uint16_t port, struct net_address *out)
{
    size_t end = host_end(node);
    if (end < node.len &&
        (node.ptr[end] != ':' || !read_port(str_slice(node, end + 1, node.len), &port)))
        return false;
    if (net_address_parse(out, str_slice(node, 0, end), port) < 0)
        return false; /* also RFC 7239's "unknown" and "_hidden" */
    net_address_unmap(out);
    return true;
}

static void take_node(struct trail *trail, struct str node)
{
    struct net_address hop;
    bool is_read = read_node(node, net_address_port(trail->peer), &hop);
    take_hop(trail, is_read ? &hop : NULL);
}

/* ---- Forwarded ----------------------------------------------------------------------------- */

/* As str_split(), but a separator within quotes is none. */
static bool split_unquoted(struct str *rest, char separator, struct str *head)
{
    if (rest->len == 0)
        return false;
    bool is_quoted = false;
    size_t i = 0;
    for (; i < rest->len && (is_quoted || rest->ptr[i] != separator); i++) {
        if (rest->ptr[i] == '"')
            is_quoted = !is_quoted;
        else if (is_quoted && rest->ptr[i] == '\\')
            i++;
    }
    *head = str_slice(*rest, 0, i);
    *rest = str_slice(*rest, i + 1, rest->len);
    return true;
}

/* A quoted-string without its quotes and escapes. It must end where the value ends: else somebody
 * opened a quote for the next proxy to close. */
static bool unquote(struct str value, struct buf *out)
{
    for (size_t i = 1; i < value.len; i++) {
        if (value.ptr[i] == '"')
            return i + 1 == value.len;
        if (value.ptr[i] == '\\')
            i++;
        if (i < value.len)
            buf_put_char(out, value.ptr[i]);
    }
    return false;
}

static bool read_value(struct str value, struct buf *out)
{
    if (value.len > 0 && value.ptr[0] == '"')
        return unquote(value, out);
    buf_put_str(out, value);
    return value.len > 0 && str_find(value, '"') == value.len;
}

/* for=…;proto=…;by=…: whatever is wrong in it spoils all of it. */
static bool read_element(struct str element, struct buf *node)
{
    bool has_for = false;
    struct str pair;
    while (split_unquoted(&element, ';', &pair)) {
        pair = str_trim(pair);
        if (pair.len == 0)
            continue;
        char memory[NODE_BYTES];
        struct buf other;
        buf_init_fixed(&other, memory, sizeof memory);
        size_t equals = str_find(pair, '=');
        bool is_for = str_eq_nocase(str_slice(pair, 0, equals), STR("for"));
        if (is_for && has_for)
            return false;
        if (!read_value(str_slice(pair, equals + 1, pair.len), is_for ? node : &other))
            return false;
        has_for |= is_for;
    }
    return has_for && node->error == 0;
}

static void take_forwarded(struct trail *trail, struct str list)
{
    struct str element;
    while (split_unquoted(&list, ',', &element)) {
        if (str_trim(element).len == 0)
            continue; /* RFC 9110 5.6.1 */
        char memory[NODE_BYTES];
        struct buf node;
        buf_init_fixed(&node, memory, sizeof memory);
        take_node(trail, read_element(element, &node) ? buf_str(&node) : STR_NONE);
    }
}

/* ---- X-Forwarded-For ----------------------------------------------------------------------- */

static void take_x_forwarded_for(struct trail *trail, struct str list)
{
    struct str item;
    while (str_split(&list, ',', &item)) {
        item = str_trim(item);
        if (item.len > 0)
            take_node(trail, item);
    }
}

/* -------------------------------------------------------------------------------------------- */

typedef void take_list_fn(struct trail *trail, struct str list);

/* True when there is any such line. */
static bool follow(struct trail *trail, struct str fields, struct str name, take_list_fn *take)
{
    bool has_any = false;
    struct str line;
    while (str_split(&fields, '\n', &line)) {
        size_t colon = str_find(line, ':');
        if (!str_eq_nocase(str_slice(line, 0, colon), name))
            continue;
        has_any = true;
        take(trail, str_trim(str_slice(line, colon + 1, line.len)));
    }
    return has_any;
}

struct net_address forwarded_client(struct str fields, const struct net_networks *trusted,
                                    const struct net_address *peer)
{
    struct trail trail = {.trusted = trusted, .peer = peer};
    if (!follow(&trail, fields, STR("Forwarded"), take_forwarded))
        follow(&trail, fields, STR("X-Forwarded-For"), take_x_forwarded_for);
    return trail.has_client ? trail.client : *peer;
}

/* ---- What the client came over ------------------------------------------------------------- */

enum proto { PROTO_UNTOLD, PROTO_PLAIN, PROTO_SECURE };

static enum proto read_proto(struct str value)
{
    char memory[NODE_BYTES];
    struct buf text;
    buf_init_fixed(&text, memory, sizeof memory);
    if (!read_value(str_trim(value), &text))
        return PROTO_UNTOLD;
    struct str proto = buf_str(&text);
    bool is_secure = str_eq_nocase(proto, STR("https")) || str_eq_nocase(proto, STR("wss"));
    return is_secure ? PROTO_SECURE : PROTO_PLAIN;
}

static enum proto find_forwarded_proto(struct str list)
{
    struct str element, pair;
    while (split_unquoted(&list, ',', &element)) {
        while (split_unquoted(&element, ';', &pair)) {
            pair = str_trim(pair);
            if (str_starts_nocase(pair, STR("proto=")))
                return read_proto(str_slice(pair, sizeof "proto=" - 1, pair.len));
        }
    }
    return PROTO_UNTOLD;
}

static enum proto find_x_forwarded_proto(struct str list)
{
    return read_proto(str_slice(list, 0, str_find(list, ',')));
}

/* Of the first line of that name that tells. */
static enum proto find_proto(struct str fields, struct str name, enum proto (*find)(struct str))
{
    enum proto proto = PROTO_UNTOLD;
    struct str line;
    while (proto == PROTO_UNTOLD && str_split(&fields, '\n', &line)) {
        size_t colon = str_find(line, ':');
        if (str_eq_nocase(str_slice(line, 0, colon), name))
            proto = find(str_trim(str_slice(line, colon + 1, line.len)));
    }
    return proto;
}

bool forwarded_is_secure(struct str fields)
{
    enum proto proto = find_proto(fields, STR("Forwarded"), find_forwarded_proto);
    if (proto == PROTO_UNTOLD)
        proto = find_proto(fields, STR("X-Forwarded-Proto"), find_x_forwarded_proto);
    return proto == PROTO_SECURE;
}
