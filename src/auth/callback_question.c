#include "callback_internal.h"

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
    buf_put_json_text(b, JSON_MEMBER("username"), sent->username);
    buf_put_json_text(b, JSON_MEMBER("realm"), sent->realm);
    buf_put_json_text(b, JSON_MEMBER("nonce"), sent->nonce);
    buf_put_json_text(b, JSON_MEMBER("uri"), sent->uri);
    buf_put_json_text(b, JSON_MEMBER("response"), sent->response);
    if (sent->has_qop) {
        buf_put_json_text(b, JSON_MEMBER("qop"), sent->qop);
        buf_put_json_text(b, JSON_MEMBER("nc"), sent->nc);
        buf_put_json_text(b, JSON_MEMBER("cnonce"), sent->cnonce);
    }
    buf_put_json_text(b, JSON_MEMBER("algorithm"),
                      str_is_empty(sent->algorithm) ? STR("MD5") : sent->algorithm);
    if (!str_is_empty(sent->opaque))
        buf_put_json_text(b, JSON_MEMBER("opaque"), sent->opaque);
}

static void put_contact(struct buf *b, const struct sip_request *sip)
{
    if (sip->contact_is_wildcard)
        buf_put_json_text(b, JSON_MEMBER("contact"), STR("*"));
    else if (sip->contact_count > 0)
        buf_put_json_text(b, JSON_MEMBER("contact"), sip->contacts[0].uri.text);
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
    buf_put_json_number(b, JSON_MEMBER("expires"), asked_s(sip, request->config));
    buf_put_json_text(b, JSON_MEMBER("scheme"), STR("digest"));
    put_credentials(b, sent);
    buf_put_json_text(b, JSON_MEMBER("aor"), request->aor);
    put_contact(b, sip);
    buf_put_json_text(b, JSON_MEMBER("source_address"), net_address_ip(&request->source, ip));
    buf_put_json_number(b, JSON_MEMBER("source_port"), net_address_port(&request->source));
    buf_put_json_text(b, JSON_MEMBER("protocol"), str_from(transport_kind_name(request->protocol)));
    buf_put_json_text(b, JSON_MEMBER("call_id"), sip->call_id);
    buf_put_json_text(b, JSON_MEMBER("user_agent"), sip->user_agent);
    buf_put_char(b, '}');
}
