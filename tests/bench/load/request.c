#include "request.h"
#include <errno.h>
#include <stdio.h>

#define CNONCE "k3fq81z0xw5d"

static const char phone_plain[] =
    "REGISTER sip:{domain} SIP/2.0\r\n"
    "Via: SIP/2.0/{via} {host}:{port};rport;branch={<branch}z9hG4bK{run}{slot}{cseq}{>}\r\n"
    "Max-Forwards: 70\r\n"
    "From: <sip:{prefix}{user}@{domain}>;tag={<from_tag}{run}{serial}{>}\r\n"
    "To: <sip:{prefix}{user}@{domain}>\r\n"
    "Call-ID: {<call_id}{run}-{slot}-{serial}@{host}{>}\r\n"
    "CSeq: {cseq} REGISTER\r\n"
    "Contact: <{<contact}sip:{prefix}{user}@{host}:{port};transport={lower}{>}>"
    ";+sip.instance=\"<urn:uuid:7d3f0c52-2b1e-4c7a-9a60-00000{user}>\";expires={expires}\r\n"
    "Expires: {expires}\r\n"
    "Allow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, OPTIONS, INFO\r\n"
    "User-Agent: aorta-load\r\n";

/* As JsSIP 3.13 has it. */
static const char browser_plain[] =
    "REGISTER sip:{domain} SIP/2.0\r\n"
    "Via: SIP/2.0/{via} a9k2m{user}.invalid;branch={<branch}z9hG4bK{run}{slot}{cseq}{>}\r\n"
    "Max-Forwards: 69\r\n"
    "To: <sip:{prefix}{user}@{domain}>\r\n"
    "From: <sip:{prefix}{user}@{domain}>;tag={<from_tag}{run}{serial}{>}\r\n"
    "Call-ID: {<call_id}{run}{slot}{serial}{>}\r\n"
    "CSeq: {cseq} REGISTER\r\n";
static const char browser_rest[] =
    "Expires: {expires}\r\n"
    "Contact: <{<contact}sip:c{user}@a9k2m{user}.invalid;transport=ws{>}>;+sip.ice;reg-id=1"
    ";+sip.instance=\"<urn:uuid:7d3f0c52-2b1e-4c7a-9a60-00000{user}>\";expires={expires}\r\n"
    "Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY,SUBSCRIBE\r\n"
    "Supported: path,gruu,outbound\r\n"
    "User-Agent: aorta-load\r\n";

static const char authorization[] =
    "Authorization: Digest algorithm={algorithm}, username=\"{prefix}{user}\", realm=\"{realm}\", "
    "nonce=\"{nonce}\", uri=\"sip:{domain}\", response=\"{response}\"";
static const char with_qop[] = ", qop=auth, cnonce=\"" CNONCE "\", nc={nc}";
static const char with_opaque[] = ", opaque=\"{opaque}\"";
static const char end[] = "Content-Length: 0\r\n\r\n";

static const char *const via_names[TRANSPORTS] = {"UDP", "TCP", "TLS", "WS", "WSS"};

/* ---- Compiling ----------------------------------------------------------------------------- */

static int compile(struct requests *r, struct template *t, bool is_authorized)
{
    const struct options *o = r->options;
    const char *first = phone_plain, *rest = "";
    if (is_websocket(o->transport)) {
        first = browser_plain;
        rest = browser_rest;
    }
    char source[2 * TEMPLATE_MAX];
    int len =
        snprintf(source, sizeof source, "%s%s%s%s%s%s%s", first, is_authorized ? authorization : "",
                 is_authorized && r->has_qop ? with_qop : "",
                 is_authorized && r->opaque_len > 0 ? with_opaque : "", is_authorized ? "\r\n" : "",
                 rest, end);
    if (len < 0 || (size_t)len >= sizeof source)
        return -ENOSPC;
    char expires[16];
    snprintf(expires, sizeof expires, "%u", o->expires_s);
    const struct template_constant constants[] = {
        {"domain",    str_from(o->domain)                                     },
        {"prefix",    str_from(o->user_prefix)                                },
        {"via",       str_from(via_names[o->transport])                       },
        {"lower",     str_from(transport_names[o->transport])                 },
        {"host",      r->local_host                                           },
        {"run",       str_from(r->run)                                        },
        {"expires",   str_from(expires)                                       },
        {"realm",     requests_realm(r)                                       },
        {"algorithm", r->algorithm == DIGEST_MD5 ? STR("MD5") : STR("SHA-256")},
        {NULL,        STR_NONE                                                },
    };
    const size_t widths[PARTS] = {
        [PART_USER] = USER_DIGITS,
        [PART_SLOT] = SLOT_DIGITS,
        [PART_SERIAL] = SERIAL_DIGITS,
        [PART_CSEQ] = CSEQ_DIGITS,
        [PART_PORT] = PORT_DIGITS,
        [PART_NC] = NC_DIGITS,
        [PART_NONCE] = r->nonce_len,
        [PART_OPAQUE] = r->opaque_len,
        [PART_RESPONSE] = 2 * digest_bytes(r->algorithm),
    };
    return template_compile(t, source, constants, widths);
}

int requests_init(struct requests *r, const struct options *o, const char *run,
                  struct str local_host)
{
    memset(r, 0, sizeof *r);
    r->options = o;
    r->run = run;
    r->local_host = local_host;
    r->uri_len = (size_t)snprintf(r->uri, sizeof r->uri, "sip:%s", o->domain);
    return compile(r, &r->plain, false);
}

struct str requests_realm(const struct requests *r)
{
    return (struct str){r->realm, r->realm_len};
}

int requests_take_challenge(struct requests *r, const struct challenge *c)
{
    if (r->has_shape && r->has_qop == c->has_qop && r->algorithm == c->algorithm &&
        r->nonce_len == c->nonce.len && r->opaque_len == c->opaque.len &&
        str_eq(requests_realm(r), c->realm))
        return 0;
    r->has_qop = c->has_qop;
    r->algorithm = c->algorithm;
    r->nonce_len = c->nonce.len;
    r->opaque_len = c->opaque.len;
    r->realm_len = c->realm.len;
    memcpy(r->realm, c->realm.ptr, c->realm.len);
    digest_ha2(r->algorithm, STR("REGISTER"), (struct str){r->uri, r->uri_len}, r->ha2);
    int rc = compile(r, &r->authorized, true);
    r->has_shape = rc == 0;
    return rc;
}

/* ---- Filling ------------------------------------------------------------------------------- */

struct digits {
    char user[USER_DIGITS], slot[SLOT_DIGITS], serial[SERIAL_DIGITS], cseq[CSEQ_DIGITS],
        port[PORT_DIGITS];
};

static void write_identity(const struct identity *id, struct digits *d, const char *values[PARTS])
{
    write_digits(d->user, sizeof d->user, id->user);
    write_digits(d->slot, sizeof d->slot, id->slot);
    write_digits(d->serial, sizeof d->serial, id->serial);
    write_digits(d->cseq, sizeof d->cseq, id->cseq);
    write_digits(d->port, sizeof d->port, id->port);
    values[PART_USER] = d->user;
    values[PART_SLOT] = d->slot;
    values[PART_SERIAL] = d->serial;
    values[PART_CSEQ] = d->cseq;
    values[PART_PORT] = d->port;
}

struct str requests_plain(struct requests *r, const struct identity *id)
{
    const char *values[PARTS] = {NULL};
    struct digits digits;
    write_identity(id, &digits, values);
    template_fill(&r->plain, values);
    return template_text(&r->plain);
}

static void write_hex32(char out[NC_DIGITS], uint32_t n)
{
    for (int i = NC_DIGITS; i-- > 0; n >>= 4)
        out[i] = "0123456789abcdef"[n & 15];
}

struct str requests_authorized(struct requests *r, const struct identity *id)
{
    const char *values[PARTS] = {NULL};
    struct digits digits;
    char nc[NC_DIGITS], response[DIGEST_MAX_HEX];
    write_identity(id, &digits, values);
    write_hex32(nc, id->nc);
    digest_response(r->algorithm, id->ha1, id->nonce,
                    r->has_qop ? (struct str){nc, sizeof nc} : STR_NONE, STR(CNONCE), r->ha2,
                    response);
    values[PART_NONCE] = id->nonce.ptr;
    values[PART_OPAQUE] = id->opaque.ptr;
    values[PART_NC] = nc;
    values[PART_RESPONSE] = response;
    template_fill(&r->authorized, values);
    return template_text(&r->authorized);
}

struct expected requests_expected(struct requests *r, const struct identity *id)
{
    requests_plain(r, id); /* both templates have the same regions */
    return (struct expected){
        .branch = template_region(&r->plain, REGION_BRANCH),
        .from_tag = template_region(&r->plain, REGION_FROM_TAG),
        .call_id = template_region(&r->plain, REGION_CALL_ID),
        .contact = template_region(&r->plain, REGION_CONTACT),
        .cseq = id->cseq,
        .expires_s = r->options->expires_s,
    };
}

/* ---- Names --------------------------------------------------------------------------------- */

struct str requests_user_name(const struct options *o, uint32_t n, char out[256])
{
    size_t len = strlen(o->user_prefix);
    memcpy(out, o->user_prefix, len);
    write_digits(out + len, USER_DIGITS, n);
    return (struct str){out, len + USER_DIGITS};
}

bool requests_find_slot(const struct requests *r, struct str call_id, uint32_t *slot)
{
    size_t run = strlen(r->run), at = run + !is_websocket(r->options->transport);
    uint64_t n;
    if (call_id.len < at + SLOT_DIGITS || memcmp(call_id.ptr, r->run, run) != 0 ||
        str_to_u64(str_slice(call_id, at, at + SLOT_DIGITS), UINT32_MAX, &n) != 0)
        return false;
    *slot = (uint32_t)n;
    return true;
}
