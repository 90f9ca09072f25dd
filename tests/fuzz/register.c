/* REGISTER requests and what may come between them, chosen by the bytes of the input: a grammar
 * whose every choice is the usual one for a zero. What must hold is in register_world.h. */
#include "auth/digest_internal.h"
#include "register_world.h"

enum { STEPS = 24, MESSAGE_MAX_BYTES = 16384, EDITS = 6 };

#define COUNT(table) (sizeof(table) / sizeof *(table))
#define CHOOSE(in, table) (table)[fuzz_byte(in) % COUNT(table)]

/* A request under construction. */
struct draft {
    struct fuzz_input *in;
    struct world *w;
    size_t client;
    const char *method, *user, *domain;
    char uri[128]; /* Request-URI */
    char last[MESSAGE_MAX_BYTES];
    struct buf text;
    bool has_proof;
};

/* One of four requests or so has something odd about this. */
static bool is_odd(struct draft *d)
{
    return fuzz_byte(d->in) >= 0xc0;
}

/* ---- Credentials ---------------------------------------------------------------------------- */

static void put_response(struct buf *b, enum digest_algorithm algorithm, const char *user,
                         const char *realm, const char *password,
                         const struct digest_question *question)
{
    uint8_t ha1[DIGEST_MAX_BYTES], response[DIGEST_MAX_BYTES];
    digest_ha1(algorithm, str_from(user), str_from(realm), str_from(password), ha1);
    digest_response(algorithm, ha1, question, response);
    buf_put_text(b, ",response=\"");
    buf_put_hex(b, response, digest_size(algorithm));
    buf_put_char(b, '"');
}

static void put_authorization(struct draft *d)
{
    static const char *const passwords[] = {WORLD_PASSWORD, WORLD_PASSWORD, WORLD_PASSWORD, "wrong",
                                            ""};
    static const char *const users[] = {"",       "", "", "", "alice", "bob", "alice@example.com",
                                        "%61lice"};
    static const char *const realms[] = {"", "", "", "", "example.com", "cb.example", "x"};
    static const char *const uris[] = {"", "", "", "sip:sip.example.net", "sip:x", "sip:"};
    struct world_client *c = &d->w->client[d->client];
    const char *password = CHOOSE(d->in, passwords), *user = CHOOSE(d->in, users);
    const char *realm = CHOOSE(d->in, realms), *uri = CHOOSE(d->in, uris);
    uint8_t how = fuzz_byte(d->in);
    bool is_md5 = how & 1, is_plain = how & 2, is_replay = (how & 0x30) == 0x30;
    bool is_foreign = (how & 0xc0) == 0xc0;
    char nc[16];
    c->nc += is_replay ? 0 : 1;
    snprintf(nc, sizeof nc, "%08x", c->nc);
    const char *nonce = is_foreign ? d->w->client[(d->client + 1) % WORLD_CLIENTS].nonce : c->nonce;
    user = *user ? user : d->user;
    realm = *realm ? realm : d->domain;
    uri = *uri ? uri : d->uri;
    enum digest_algorithm algorithm = is_md5 ? DIGEST_MD5 : DIGEST_SHA_256;
    struct digest_question question = {.method = str_from(d->method),
                                       .uri = str_from(uri),
                                       .nonce = str_from(nonce)};
    buf_printf(
        &d->text,
        "Authorization: Digest username=\"%s\",realm=\"%s\",nonce=\"%s\",uri=\"%s\",algorithm=%s",
        user, realm, nonce, uri, digest_name(algorithm));
    if (!is_plain) {
        question.nc = str_from(nc);
        question.cnonce = STR("0a4f113b");
        question.qop = STR("auth");
        buf_printf(&d->text, ",qop=auth,cnonce=\"0a4f113b\",nc=%s", nc);
    }
    put_response(&d->text, algorithm, user, realm, password, &question);
    buf_put_text(&d->text, "\r\n");
    d->has_proof |= strcmp(password, WORLD_PASSWORD) == 0;
}

/* ---- Headers -------------------------------------------------------------------------------- */

static void put_vias(struct draft *d)
{
    static const char *const others[] = {
        "Via: SIP/2.0/UDP p.example.net:5070;branch=z9hG4bKp;received=192.0.2.7\r\n",
        "v: SIP / 2.0 / UDP [2001:db8::9]:5060 ;branch=z9hG4bKq, SIP/2.0/TCP x;branch=z9hG4bKr\r\n",
        "Via: \r\n", "Via: SIP/2.0/UDP\r\n", "Via: SIP/2.0/UDP h;x=\"a, b\"\r\n"};
    static const char *const hosts[] = {"192.0.2.1", "10.0.0.1", "a.invalid", "[2001:db8::1]:5062"};
    static const char *const tails[] = {"", ";rport", ";rport=9;received=10.0.0.9", ";x=\";\"",
                                        ";rport;rport"};
    static const char *const kinds[] = {"UDP", "TCP", "TLS", "WS", "WSS"};
    if (is_odd(d))
        buf_put_text(&d->text, CHOOSE(d->in, others));
    const char *host = CHOOSE(d->in, hosts), *tail = CHOOSE(d->in, tails);
    buf_printf(&d->text, "Via: SIP/2.0/%s %s;branch=z9hG4bK%u%s\r\n",
               kinds[d->w->client[d->client].kind], host, d->w->client[d->client].cseq, tail);
    if (is_odd(d))
        buf_put_text(&d->text, CHOOSE(d->in, others));
}

static void put_parties(struct draft *d)
{
    static const char *const froms[] = {"From: <sip:%s@%s>;tag=1\r\n",
                                        "f: \"A, \\\"B\" <sip:%s@%s>;tag=2\r\n",
                                        "From: sip:%s@%s;tag=3\r\n",
                                        "From: <sip:%s@%s>\r\n",
                                        "From: <tel:%s%s>;tag=4\r\n",
                                        "From:\r\n <sip:%s@%s>\r\n\t;tag=5\r\n"};
    static const char *const tos[] = {"To: <sip:%s@%s>\r\n",           "t: sip:%s@%s\r\n",
                                      "To: <sips:%s@%s:5061;x=y>\r\n", "To: <sip:%s@%s>;tag=6\r\n",
                                      "To: <sip:%%2540%s@%s>\r\n",     "To: %s %s\r\n"};
    const char *from = CHOOSE(d->in, froms), *to = is_odd(d) ? CHOOSE(d->in, tos) : tos[0];
    if (!is_odd(d) || fuzz_byte(d->in) % 2 == 0) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        buf_printf(&d->text, from, d->user, d->domain);
        buf_printf(&d->text, to, d->user, d->domain);
#pragma GCC diagnostic pop
    }
}

static void put_ids(struct draft *d)
{
    struct world_client *c = &d->w->client[d->client];
    unsigned step = fuzz_byte(d->in);
    c->cseq += step < 0xe0 ? 1 : 0;
    if (step >= 0xf0 && c->cseq > 0)
        c->cseq--; /* out of order */
    buf_printf(&d->text, "Call-ID: c%zu-%u\r\n", d->client, fuzz_byte(d->in) / 100u);
    buf_printf(&d->text, "CSeq: %u %s\r\n", c->cseq, is_odd(d) ? "OPTIONS" : d->method);
}

static void put_contact(struct draft *d)
{
    static const char *const uris[] = {
        "<sip:a@192.0.2.1:5060>",
        "<sip:a@192.0.2.1:5060>",
        "<sip:b@h.invalid;transport=ws>",
        "\"A, \\\" <B>\" <sip:c@[2001:db8::7]:5062;ob>",
        "sip:d@192.0.2.9",
        "<sip:%61@192.0.2.1:5060>",
        "<sips:e@h.example.net?x=y>",
        "*",
        "<tel:1>",
        "<sip:f@h.123>",
        "<sip:g@h;x=\"y\">",
        "<sip:h@10.1.2.3>, <sip:i@10.1.2.3>",
        "",
    };
    static const char *const expires[] = {"",
                                          "",
                                          ";expires=300",
                                          ";expires=0",
                                          ";expires=60",
                                          ";expires=1",
                                          ";expires=4294967296",
                                          ";expires=x",
                                          ";expires=\"60\""};
    static const char *const params[] = {"",
                                         "",
                                         "",
                                         ";q=0.5",
                                         ";+sip.instance=\"<urn:uuid:1>\"",
                                         ";reg-id=1;+sip.instance=\"<urn:uuid:1>\"",
                                         ";+sip.instance=\"<urn:uuid:2>\";reg-id=2",
                                         ";q=1.5",
                                         ";methods=\"A, B\";x",
                                         ";+sip.instance=\"a\\\"b\"",
                                         ";+sip.instance=x;reg-id=0"};
    const char *name = is_odd(d) ? "m" : "Contact", *uri = CHOOSE(d->in, uris);
    const char *granted = CHOOSE(d->in, expires), *param = CHOOSE(d->in, params);
    buf_printf(&d->text, "%s: %s%s%s\r\n", name, uri, granted, param);
}

static void put_contacts(struct draft *d)
{
    static const uint8_t counts[] = {1, 1, 1, 1, 0, 2, 3, 4, 65};
    for (unsigned n = CHOOSE(d->in, counts); n > 0; n--)
        put_contact(d);
}

static void put_others(struct draft *d)
{
    static const char *const lines[] = {
        "Expires: 300\r\n",
        "Expires: 0\r\n",
        "Expires: 60\r\n",
        "Expires: 99999999999\r\n",
        "Expires: 10\r\n",
        "Expires: -1\r\n",
        "Supported: path, outbound\r\n",
        "k: outbound\r\n",
        "Path: <sip:p.example.net;lr;ob>\r\n",
        "Path: <sip:p1.example.net;lr>, \"x, y\" <sip:p2.example.net;lr;x=1>\r\n",
        "Path: p\r\n",
        "Require: outbound\r\n",
        "Require: rocket, path, a b\r\n",
        "Max-Forwards: 0\r\n",
        "Max-Forwards: x\r\n",
        "User-Agent: a \"b\" \xc3\xa9 \\\r\n",
        "X: y\r\n z\r\n",
        "Contact\r\n",
        "Authorization: Basic YTpi\r\n",
        "Authorization: Digest username=\"alice\r\n",
        "Authorization: Digest x=y\r\n",
        "Content-Type: text/plain\r\n",
    };
    for (unsigned n = fuzz_byte(d->in) % 6; n > 0; n--)
        buf_put_text(&d->text, CHOOSE(d->in, lines));
}

/* ---- Broken on purpose ---------------------------------------------------------------------- */

static void edit(struct draft *d)
{
    static const struct str pieces[] = {STR("\r\n"),
                                        STR("\n"),
                                        STR("\r"),
                                        STR("\0"),
                                        STR(","),
                                        STR(";"),
                                        STR("\""),
                                        STR("<"),
                                        STR(">"),
                                        STR("%"),
                                        STR("\\"),
                                        STR(" "),
                                        STR("\t"),
                                        STR(":"),
                                        STR("\xff"),
                                        STR("\r\n "),
                                        STR("\r\n\r\n"),
                                        STR("\r\nContact: <sip:evil@evil.example>\r\n"),
                                        STR("\r\nContent-Length: 5\r\n"),
                                        STR("@"),
                                        STR("[::1]"),
                                        STR("\x7f"),
                                        STR("*"),
                                        STR("=")};
    unsigned place = fuzz_byte(d->in);
    place = place << 8 | fuzz_byte(d->in);
    size_t at = d->text.len > 0 ? place % d->text.len : 0;
    uint8_t how = fuzz_byte(d->in);
    struct str piece = CHOOSE(d->in, pieces);
    static char many[600];
    memset(many, 'x', sizeof many);
    if (how % 4 == 3)
        piece = (struct str){many, sizeof many}; /* longer than most things may be */
    size_t cut = how % 4 == 0 ? how / 8 : how % 4 == 1;
    if (cut > d->text.len - at)
        cut = d->text.len - at;
    if (how % 4 == 0)
        piece = STR_NONE;
    if (d->text.len - cut + piece.len > MESSAGE_MAX_BYTES)
        return;
    memmove(d->text.data + at + piece.len, d->text.data + at + cut, d->text.len - at - cut);
    if (piece.len > 0)
        memcpy(d->text.data + at, piece.ptr, piece.len);
    d->text.len = d->text.len - cut + piece.len;
}

/* ---- Steps ---------------------------------------------------------------------------------- */

static void write_request(struct draft *d)
{
    static const char *const methods[] = {"REGISTER", "REGISTER", "REGISTER", "REGISTER",
                                          "REGISTER", "REGISTER", "OPTIONS",  "ACK",
                                          "CANCEL",   "INVITE"};
    static const char *const users[] = {"alice", "alice", "bob", "carol", "al%69ce"};
    static const char *const domains[] = {"example.com", "example.com",   "example.com",
                                          "cb.example",  "other.example", "EXAMPLE.com"};
    static const char *const lengths[] = {"Content-Length: 0\r\n",  "l: 7\r\n",
                                          "Content-Length: x\r\n",  "Content-Length: 99999\r\n",
                                          "Content-Length: -1\r\n", ""};
    d->method = CHOOSE(d->in, methods);
    d->user = CHOOSE(d->in, users);
    d->domain = CHOOSE(d->in, domains);
    snprintf(d->uri, sizeof d->uri, "%s:%s", is_odd(d) ? "sips" : "sip", d->domain);
    buf_init_fixed(&d->text, d->last, sizeof d->last);
    buf_printf(&d->text, "%s %s SIP/%s\r\n", d->method, d->uri,
               is_odd(d) && is_odd(d) ? "3.0" : "2.0");
    put_vias(d);
    put_parties(d);
    put_ids(d);
    put_contacts(d);
    put_others(d);
    for (unsigned n = fuzz_byte(d->in) % 4; n > 0 && d->w->client[d->client].nonce[0];
         n = n == 3 ? 1 : 0)
        put_authorization(d);
    const char *length = is_odd(d) ? CHOOSE(d->in, lengths) : lengths[0];
    buf_printf(&d->text, "%s\r\n", length);
    for (unsigned n = is_odd(d) ? fuzz_byte(d->in) % EDITS : 0; n > 0; n--)
        edit(d);
}

static void take_step(struct draft *d)
{
    uint8_t what = fuzz_byte(d->in) % 16;
    d->client = fuzz_byte(d->in) % WORLD_CLIENTS;
    switch (what) {
    case 11: /* once more, perhaps from elsewhere */
        world_send(d->w, d->client, buf_str(&d->text), d->has_proof);
        return;
    case 12:
        world_hang_up(d->w, d->client);
        return;
    case 13:
        world_advance(d->w, (uint64_t)fuzz_byte(d->in) * fuzz_byte(d->in) * 10);
        return;
    case 14:
        d->w->callback_says = fuzz_byte(d->in);
        d->w->callback_waits = fuzz_byte(d->in) % 2;
        return;
    case 15:
        world_answer_held(d->w);
        return;
    default:
        d->has_proof = false;
        write_request(d);
        world_send(d->w, d->client, buf_str(&d->text), d->has_proof);
    }
}

/* Making a world costs a hundred times what an input does, so one serves many; not too many, lest
 * its clock runs out. */
static struct world *take_world(void)
{
    enum { INPUTS_A_WORLD = 10000 };
    static struct world *w;
    static unsigned inputs;
    if (w && ++inputs < INPUTS_A_WORLD)
        return w;
    if (w)
        world_close(w);
    else
        w = aligned_alloc(64, (sizeof *w + 63) / 64 * 64);
    FUZZ_CHECK(w);
    inputs = 0;
    world_open(w);
    return w;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct draft d;
    struct fuzz_input in = {data, size};
    d = (struct draft){.in = &in, .w = take_world()};
    buf_init_fixed(&d.text, d.last, sizeof d.last);
    for (unsigned i = 0; i < STEPS && in.left > 0; i++)
        take_step(&d);
    world_settle(d.w);
    return 0;
}
