#include "callback_internal.h"

/* All but the first. */
#define MEMBER(name) STR(",\"" name "\":")

static void put_text(struct buf *b, struct str member, struct str value)
{
    buf_put_str(b, member);
    buf_put_json(b, value);
}

static void put_number(struct buf *b, struct str member, uint64_t value)
{
    buf_put_str(b, member);
    buf_put_u64(b, value);
}

/* What the client asks for (RFC 3261 10.2.1.1); of several contacts, the first. */
static uint64_t asked_s(const struct sip_request *sip, const struct config *config)
{
    if (sip->contact_is_wildcard)
        return 0;
    if (sip->contact_count > 0 && sip->contacts[0].expires_s >= 0)
        return (uint64_t)sip->contacts[0].expires_s;
    return sip->has_expires ? sip->expires_s : config->default_expires_s;
}

/* Digest values as they were sent, less quotes and escapes; what was not sent is left out. */
static void put_credentials(struct buf *b, const struct sip_credentials *sent)
{
    put_text(b, MEMBER("username"), sent->username);
    put_text(b, MEMBER("realm"), sent->realm);
    put_text(b, MEMBER("nonce"), sent->nonce);
    put_text(b, MEMBER("uri"), sent->uri);
    put_text(b, MEMBER("response"), sent->response);
    if (sent->has_qop) {
        put_text(b, MEMBER("qop"), sent->qop);
        put_text(b, MEMBER("nc"), sent->nc);
        put_text(b, MEMBER("cnonce"), sent->cnonce);
    }
    put_text(b, MEMBER("algorithm"), str_is_empty(sent->algorithm) ? STR("MD5") : sent->algorithm);
    if (!str_is_empty(sent->opaque))
        put_text(b, MEMBER("opaque"), sent->opaque);
}

static void put_contact(struct buf *b, const struct sip_request *sip)
{
    if (sip->contact_is_wildcard)
        put_text(b, MEMBER("contact"), STR("*"));
    else if (sip->contact_count > 0)
        put_text(b, MEMBER("contact"), sip->contacts[0].uri.text);
    else
        buf_put_text(b, ",\"contact\":null");
}

void callback_put_question(struct buf *b, const struct auth_request *request,
                           const struct sip_credentials *sent)
{
    const struct sip_request *sip = request->sip;
    char ip[NET_ADDRESS_TEXT];
    buf_put_text(b, "{\"method\":");
    buf_put_json(b, sip->method_text);
    put_number(b, MEMBER("expires"), asked_s(sip, request->config));
    put_text(b, MEMBER("scheme"), STR("digest"));
    put_credentials(b, sent);
    put_text(b, MEMBER("aor"), request->aor);
    put_contact(b, sip);
    put_text(b, MEMBER("source_address"), net_address_ip(&request->source, ip));
    put_number(b, MEMBER("source_port"), net_address_port(&request->source));
    put_text(b, MEMBER("protocol"), str_from(transport_kind_name(request->protocol)));
    put_text(b, MEMBER("call_id"), sip->call_id);
    put_text(b, MEMBER("user_agent"), sip->user_agent);
    buf_put_char(b, '}');
}
