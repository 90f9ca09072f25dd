/* Contact values (RFC 3261 20.10, RFC 5626 4.2, RFC 5627), read without libosip2: URI and
 * +sip.instance are promised byte for byte. */
#include "sip_internal.h"

static const char *const missing_value = "Missing Contact parameter value";

static const char *read_expires(struct str value, struct sip_contact *out)
{
    uint64_t expires_s;
    if (!sip_read_capped(value, UINT32_MAX, &expires_s))
        return "Bad Contact expires parameter";
    out->expires_s = (int64_t)expires_s;
    return NULL;
}

/* RFC 3261 25.1: qvalue, 0 to 1 with at most three decimals. */
static const char *read_q(struct str value, struct sip_contact *out)
{
    static const char *const bad = "Bad Contact q parameter";
    static const int32_t scale[] = {1000, 100, 10, 1};
    if (value.len > strlen("0.000") || (value.ptr[0] != '0' && value.ptr[0] != '1'))
        return bad;
    if (value.len > 1 && value.ptr[1] != '.')
        return bad;
    int32_t milli = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (i == 1)
            continue; /* the point */
        if (!sip_is(value.ptr[i], SIP_DIGIT))
            return bad;
        milli += (value.ptr[i] - '0') * scale[i > 0 ? i - 1 : 0];
    }
    if (milli > 1000)
        return bad;
    out->q_milli = milli;
    return NULL;
}

/* Every device of the AOR gets it back in its 200, so it has to be text that all of them can read:
 * RFC 5626 4.1 has a URN in it, which is ASCII. */
static const char *read_instance(struct str value, struct sip_contact *out)
{
    bool is_quoted = value.ptr[0] == '"' && value.len > strlen("\"\"");
    if (!is_quoted || !sip_is_printable(value, ' '))
        return "Bad Contact sip.instance parameter";
    out->instance = value;
    return NULL;
}

static const char *read_reg_id(struct str value, struct sip_contact *out)
{
    uint64_t reg_id;
    if (str_to_u64(value, INT32_MAX, &reg_id) || reg_id == 0)
        return "Bad Contact reg-id parameter";
    out->reg_id = (uint32_t)reg_id;
    return NULL;
}

static const struct {
    struct str name;
    const char *(*read)(struct str value, struct sip_contact *out);
} known[] = {
    {STR("expires"),       read_expires },
    {STR("q"),             read_q       },
    {STR("+sip.instance"), read_instance},
    {STR("reg-id"),        read_reg_id  },
};

/* The order matters: a value that is not there is not judged. */
static const char *read_param(const struct sip_param *param, struct sip_contact *out)
{
    if (param->has_equals && param->value.len == 0)
        return missing_value;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_eq_nocase(param->name, known[i].name))
            return param->has_equals ? known[i].read(param->value, out) : missing_value;
    return NULL;
}

static const char *read_params(struct str params, struct sip_contact *out)
{
    struct str seen[SIP_MAX_PARAMS];
    struct sip_param param;
    size_t count = 0;
    int status;
    while ((status = sip_next_param(&params, &param)) > 0) {
        if (count == SIP_MAX_PARAMS)
            return "Too many Contact parameters";
        for (size_t i = 0; i < count; i++)
            if (str_eq_nocase(seen[i], param.name))
                return "Duplicate Contact parameter";
        seen[count++] = param.name;
        const char *reason = read_param(&param, out);
        if (reason)
            return reason;
    }
    return status < 0 ? "Bad Contact header" : NULL;
}

static const char *read_uri(struct str text, struct sip_uri *out)
{
    switch (sip_uri_parse(text, out)) {
    case SIP_URI_OK:
        return NULL;
    case SIP_URI_BAD_SCHEME:
        return "Contact must be a sip or sips URI";
    case SIP_URI_BAD_SYNTAX:
        break;
    }
    return "Bad Contact URI";
}

const char *sip_contact_read(struct str value, struct sip_contact *out)
{
    struct sip_name_addr addr;
    if (str_is_empty(value))
        return "Empty Contact header";
    if (!sip_name_addr_cut(value, &addr))
        return "Bad Contact header";

    struct sip_contact contact = {.q_milli = -1, .expires_s = -1};
    const char *reason = read_uri(addr.uri, &contact.uri);
    if (!reason)
        reason = read_params(addr.params, &contact);
    if (reason)
        return reason;
    if (str_is_empty(contact.instance))
        contact.reg_id = 0; /* RFC 5626 6: without an instance it says nothing */
    *out = contact;
    return NULL;
}
