/* What only a REGISTER means something by: Expires, Contact and Path. */
#include "sip_internal.h"

static void read_expires(struct sip_reader *r)
{
    const struct sip_line *line =
        sip_single_line(r, SIP_HEADER_EXPIRES, "Duplicate Expires header");
    uint64_t expires_s;
    if (!line)
        return;
    if (!sip_read_capped(line->value, UINT32_MAX, &expires_s)) {
        sip_refuse(r, "Bad Expires header");
        return;
    }
    r->request->has_expires = true;
    r->request->expires_s = (uint32_t)expires_s;
}

/* Room for as many as there may be: commas inside quotes count too, which does no harm. */
static bool begin_contacts(struct sip_reader *r)
{
    size_t most = 0;
    const struct sip_line *line = r->lines.first[SIP_HEADER_CONTACT];
    for (; line && most < r->limits->contacts; line = line->next) {
        struct str rest = line->value;
        most++;
        for (size_t comma; most < r->limits->contacts && (comma = str_find(rest, ',')) < rest.len;
             rest = str_slice(rest, comma + 1, rest.len))
            most++;
    }
    if (most == 0)
        return false;
    r->request->contacts = arena_alloc(r->arena, most * sizeof(struct sip_contact));
    if (!r->request->contacts)
        sip_refuse_for_memory(r);
    return r->request->contacts != NULL;
}

static void read_contacts(struct sip_reader *r)
{
    struct sip_request *request = r->request;
    struct sip_values values = sip_values_of(r, SIP_HEADER_CONTACT);
    struct str value;
    if (!begin_contacts(r))
        return;
    for (size_t count = 0; sip_read_value(&values, &value); count++) {
        bool is_wildcard = str_eq(value, STR("*"));
        if (count > 0 && (is_wildcard || request->contact_is_wildcard)) {
            sip_refuse(r, "Contact with wildcard and other contacts");
            return;
        }
        request->contact_is_wildcard = is_wildcard;
        if (is_wildcard)
            continue;
        if (request->contact_count == r->limits->contacts) {
            sip_refuse_for_limit(r, LIMIT_CONTACTS, "Too many contacts");
            return;
        }
        const char *reason = sip_contact_read(value, &request->contacts[request->contact_count]);
        if (reason) {
            sip_refuse(r, reason);
            return;
        }
        request->contact_count++;
    }
}

/* RFC 3327 4: a name-addr, so with <>, and like every one that goes on into other people's
 * messages to the letter of the grammar. */
static bool is_path(struct str value)
{
    struct sip_name_addr addr;
    struct sip_param param;
    struct sip_uri uri;
    int status;
    if (!sip_name_addr_cut(value, &addr) || !addr.is_bracketed || sip_uri_parse(addr.uri, &uri))
        return false;
    while ((status = sip_next_param(&addr.params, &param)) > 0)
        if (param.has_equals && param.value.len == 0)
            return false;
    return status == 0;
}

static void read_paths(struct sip_reader *r)
{
    struct sip_request *request = r->request;
    struct sip_values values = sip_values_of(r, SIP_HEADER_PATH);
    struct str value;
    while (sip_read_value(&values, &value)) {
        if (!is_path(value)) {
            sip_refuse(r, "Bad Path header");
            return;
        }
        if (request->path_count == r->limits->paths) {
            sip_refuse_for_limit(r, LIMIT_PATHS, "Too many Path values");
            return;
        }
        request->paths[request->path_count++] = value;
    }
}

void sip_read_register(struct sip_reader *r)
{
    read_expires(r);
    read_contacts(r);
    read_paths(r);
}
