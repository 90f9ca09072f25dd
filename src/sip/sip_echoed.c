/* What an answer is made of: Via, From, To, Call-ID and CSeq. */
#include "sip_internal.h"
#include <errno.h>

/* The parameters of a Via; false when they cannot be told apart. */
static bool read_via_params(struct str params, struct sip_via *via)
{
    struct sip_param param;
    int status;
    via->branch = STR_NONE;
    via->has_rport = false;
    while ((status = sip_next_param(&params, &param)) > 0) {
        if (str_eq_nocase(param.name, STR("branch")))
            via->branch = param.value;
        else if (str_eq_nocase(param.name, STR("rport")))
            via->has_rport = true;
    }
    return status == 0;
}

static void read_via(struct sip_reader *r, struct str value, struct sip_via *via, bool is_topmost)
{
    size_t sent = str_find(value, ';');
    int error = sip_osip_read_via(str_slice(value, 0, sent), r->arena, via);
    bool has_params = read_via_params(str_slice(value, sent, value.len), via);
    if (error)
        *via = (struct sip_via){.branch = via->branch, .has_rport = via->has_rport};
    via->text = value;
    if (error == -ENOMEM)
        sip_refuse_for_memory(r);
    else if (error || !has_params)
        sip_refuse(r, "Bad Via header");
    if (is_topmost)
        r->is_answerable = error == 0;
}

static void read_vias(struct sip_reader *r)
{
    struct sip_values values = sip_values_of(r, SIP_HEADER_VIA);
    struct str value;
    while (sip_read_value(&values, &value)) {
        size_t i = r->request->via_count;
        if (i == r->limits->vias) {
            sip_refuse_for_limit(r, LIMIT_VIAS, "Too many Via values");
            return;
        }
        read_via(r, value, &r->request->via[i], i == 0);
        if (i == 0 && !r->is_answerable)
            return;
        r->request->via_count += !str_is_empty(value);
    }
    if (r->request->via_count == 0)
        sip_refuse(r, "Missing Via header");
}

/* From and To alike. The URI is judged by the caller, who knows what it may be. */
static bool read_party(struct str value, struct str *uri, struct str *tag)
{
    struct sip_name_addr addr;
    struct sip_param param;
    int status;
    if (!sip_name_addr_cut(value, &addr))
        return false;
    *uri = addr.uri;
    while ((status = sip_next_param(&addr.params, &param)) > 0) {
        if (!str_eq_nocase(param.name, STR("tag")))
            continue;
        if (!str_is_empty(*tag) || !sip_is_all(param.value, SIP_TOKEN))
            return false;
        *tag = param.value;
    }
    return status == 0;
}

static void read_from(struct sip_reader *r)
{
    struct sip_request *request = r->request;
    struct str uri = STR_NONE, tag = STR_NONE;
    const struct sip_line *line = sip_single_line(r, SIP_HEADER_FROM, "Duplicate From header");
    if (!line) {
        sip_refuse(r, "Missing From header");
        return;
    }
    request->from = line->value;
    if (!read_party(line->value, &uri, &tag)) {
        sip_refuse(r, "Bad From header");
        return;
    }
    switch (sip_uri_parse(uri, &request->from_uri)) {
    case SIP_URI_OK:
        break;
    case SIP_URI_BAD_SCHEME:
        request->from_uri.text = uri; /* a tel: may call; it does not get registered */
        break;
    case SIP_URI_BAD_SYNTAX:
        sip_refuse(r, "Bad From URI");
    }
    if (str_is_empty(tag))
        sip_refuse(r, "Missing From tag"); /* RFC 3261 8.1.1.3 */
}

static void read_to(struct sip_reader *r)
{
    struct sip_request *request = r->request;
    struct str uri = STR_NONE;
    const struct sip_line *line = sip_single_line(r, SIP_HEADER_TO, "Duplicate To header");
    if (!line) {
        sip_refuse(r, "Missing To header");
        return;
    }
    request->to = line->value;
    if (!read_party(line->value, &uri, &request->to_tag))
        sip_refuse(r, "Bad To header");
    else if (request->from_uri.host.ptr && str_eq(uri, request->from_uri.text))
        request->to_uri = request->from_uri; /* so it is in most REGISTERs */
    else
        sip_check_uri(r, sip_uri_parse(uri, &request->to_uri), "Bad To URI");
}

/* Wider than RFC 3261 25.1, which has no '=' for one: it is only ever compared and echoed. */
static void read_call_id(struct sip_reader *r)
{
    const struct sip_line *line =
        sip_single_line(r, SIP_HEADER_CALL_ID, "Duplicate Call-ID header");
    if (!line) {
        sip_refuse(r, "Missing Call-ID header");
        return;
    }
    r->request->call_id = line->value;
    if (str_is_empty(line->value) || !sip_is_printable(line->value, '!'))
        sip_refuse(r, "Bad Call-ID header");
}

static void read_cseq(struct sip_reader *r)
{
    const struct sip_line *line = sip_single_line(r, SIP_HEADER_CSEQ, "Duplicate CSeq header");
    if (!line) {
        sip_refuse(r, "Missing CSeq header");
        return;
    }
    struct str value = line->value;
    size_t end = sip_span(value, 0, SIP_DIGIT), begin = sip_skip_blanks(value, end);
    struct str number = str_slice(value, 0, end), method = str_slice(value, begin, value.len);
    uint64_t cseq;
    r->request->cseq_text = value;
    /* RFC 3261 8.1.1.5: below 2**31 */
    if (begin == end || str_to_u64(number, INT32_MAX, &cseq) || !sip_is_all(method, SIP_TOKEN)) {
        sip_refuse(r, "Bad CSeq header");
        return;
    }
    r->request->cseq = (uint32_t)cseq;
    if (!str_eq(method, r->request->method_text))
        sip_refuse(r, "Method in CSeq differs from request");
}

void sip_read_echoed(struct sip_reader *r)
{
    read_vias(r);
    read_from(r);
    read_to(r);
    read_call_id(r);
    read_cseq(r);
}
