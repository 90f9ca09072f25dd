/* Shared by the readers of a message: its first fault, and finding its header lines. */
#include "sip_internal.h"

void sip_refuse_with(struct sip_reader *r, int status, const char *reason)
{
    if (!r->fault.reason)
        r->fault = (struct sip_fault){.status = status, .reason = reason};
}

void sip_refuse(struct sip_reader *r, const char *reason)
{
    sip_refuse_with(r, 400, reason);
}

void sip_refuse_for_memory(struct sip_reader *r)
{
    sip_refuse_with(r, 503, "Out of memory for this request");
}

void sip_refuse_for_limit(struct sip_reader *r, enum limit limit, const char *reason)
{
    if (!r->fault.reason)
        r->fault = (struct sip_fault){.status = 400, .reason = reason, .limit = limit};
}

bool sip_has_fault(const struct sip_reader *r)
{
    return r->fault.reason != NULL;
}

void sip_check_uri(struct sip_reader *r, enum sip_uri_error error, const char *bad_syntax)
{
    if (error == SIP_URI_BAD_SCHEME)
        sip_refuse_with(r, 416, "Unsupported URI Scheme");
    else if (error)
        sip_refuse(r, bad_syntax);
}

const struct sip_line *sip_single_line(struct sip_reader *r, enum sip_header header,
                                       const char *duplicate_reason)
{
    const struct sip_line *line = r->lines.first[header];
    if (line && line->next)
        sip_refuse(r, duplicate_reason);
    return line;
}

struct sip_values sip_values_of(const struct sip_reader *r, enum sip_header header)
{
    return (struct sip_values){.next = r->lines.first[header]};
}

bool sip_read_value(struct sip_values *values, struct str *value)
{
    while (!sip_next_value(&values->rest, value)) {
        const struct sip_line *line = values->next;
        if (!line)
            return false;
        values->next = line->next;
        values->rest = line->value.ptr ? line->value : STR("");
    }
    return true;
}
