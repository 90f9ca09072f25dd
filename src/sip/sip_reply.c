#include "sip_internal.h"
#include <aorta/clock.h>
#include <assert.h>

/* Only assert() asks, and not in a release. */
__attribute__((unused)) static bool is_safe_reason(const char *reason)
{
    for (; *reason; reason++)
        if (!sip_is(*reason, SIP_ALPHA | SIP_DIGIT) && !strchr(" .,-", *reason))
            return false;
    return true;
}

static void put_line(struct buf *b, const char *name, struct str value)
{
    buf_put_text(b, name);
    buf_put(b, ": ", 2);
    buf_put_str(b, value);
    buf_put(b, "\r\n", 2);
}

/* RFC 3261 18.2.1, and RFC 3581 4, which wants it with rport even when the addresses agree. */
static bool needs_received(const struct sip_via *via, const struct net_address *source)
{
    return via->has_rport || !via->host_is_ip || !net_address_same_ip(&via->address, source);
}

/* Parameters stay as they came, but rport gets its value, and what a client says about where it was
 * received from is not passed on. */
static void put_via_params(struct buf *b, struct str params, const struct net_address *source)
{
    struct sip_param param;
    bool has_rport = false;
    while (sip_next_param(&params, &param) > 0) {
        bool is_rport = str_eq_nocase(param.name, STR("rport"));
        if (str_eq_nocase(param.name, STR("received")) || (is_rport && has_rport))
            continue;
        if (is_rport) {
            has_rport = true;
            buf_put_text(b, ";rport=");
            buf_put_u64(b, net_address_port(source));
        } else {
            buf_put_str(b, param.text);
        }
    }
    buf_put_str(b, params); /* of a Via that could not be read to its end */
}

static void put_top_via(struct buf *b, const struct sip_via *via, const struct net_address *source)
{
    size_t sent = str_find(via->text, ';');
    buf_put_text(b, "Via: ");
    buf_put_str(b, str_slice(via->text, 0, sent));
    put_via_params(b, str_slice(via->text, sent, via->text.len), source);
    if (needs_received(via, source)) {
        char ip[NET_ADDRESS_TEXT];
        buf_put_text(b, ";received=");
        buf_put_str(b, net_address_ip(source, ip));
    }
    buf_put_text(b, "\r\n");
}

static void put_vias(struct buf *b, const struct sip_reply_context *ctx)
{
    const struct sip_request *request = ctx->request;
    for (size_t i = 0; i < request->via_count; i++) {
        if (i == 0)
            put_top_via(b, &request->via[i], ctx->source);
        else
            put_line(b, "Via", request->via[i].text);
    }
}

static void put_to(struct buf *b, const struct sip_reply_context *ctx)
{
    const struct sip_request *request = ctx->request;
    if (str_is_empty(request->to))
        return;
    buf_put_text(b, "To: ");
    buf_put_str(b, request->to);
    if (str_is_empty(request->to_tag) && !str_is_empty(ctx->to_tag)) {
        buf_put_text(b, ";tag=");
        buf_put_str(b, ctx->to_tag);
    }
    buf_put_text(b, "\r\n");
}

void sip_reply_begin(struct buf *b, const struct sip_reply_context *ctx, int status,
                     const char *reason)
{
    const struct sip_request *request = ctx->request;
    assert(is_safe_reason(reason));
    buf_put_text(b, "SIP/2.0 ");
    buf_put_u64(b, (uint64_t)status);
    buf_put_char(b, ' ');
    buf_put_text(b, reason);
    buf_put_text(b, "\r\n");
    put_vias(b, ctx);
    if (!str_is_empty(request->from))
        put_line(b, "From", request->from);
    put_to(b, ctx);
    if (!str_is_empty(request->call_id))
        put_line(b, "Call-ID", request->call_id);
    if (!str_is_empty(request->cseq_text))
        put_line(b, "CSeq", request->cseq_text);
}

void sip_reply_header(struct buf *b, const char *name, struct str value)
{
    put_line(b, name, value);
}

void sip_reply_end(struct buf *b)
{
    buf_put_text(b, "Content-Length: 0\r\n\r\n");
}

const char *sip_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } row[] = {
        {100, "Trying"                          },
        {200, "OK"                              },
        {400, "Bad Request"                     },
        {401, "Unauthorized"                    },
        {403, "Forbidden"                       },
        {404, "Not Found"                       },
        {405, "Method Not Allowed"              },
        {408, "Request Timeout"                 },
        {413, "Request Entity Too Large"        },
        {416, "Unsupported URI Scheme"          },
        {420, "Bad Extension"                   },
        {423, "Interval Too Brief"              },
        {439, "First Hop Lacks Outbound Support"},
        {480, "Temporarily Unavailable"         },
        {481, "Call Transaction Does Not Exist" },
        {500, "Server Internal Error"           },
        {501, "Not Implemented"                 },
        {503, "Service Unavailable"             },
        {504, "Server Time-out"                 },
        {505, "Version Not Supported"           },
        {513, "Message Too Large"               },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (row[i].status == status)
            return row[i].reason;
    return "Unknown";
}

static void put_two_digits(struct buf *b, unsigned n, char then)
{
    char text[] = {(char)('0' + n / 10), (char)('0' + n % 10), then};
    buf_put(b, text, then ? 3 : 2);
}

void sip_put_date(struct buf *b, uint64_t now_ms)
{
    static const char day[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char month[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct clock_date date;
    clock_split(now_ms, &date);
    buf_put(b, day[date.weekday], 3);
    buf_put(b, ", ", 2);
    put_two_digits(b, date.day, ' ');
    buf_put(b, month[date.month - 1], 3);
    buf_put_char(b, ' ');
    put_two_digits(b, date.year / 100 % 100, '\0');
    put_two_digits(b, date.year % 100, ' ');
    put_two_digits(b, date.hour, ':');
    put_two_digits(b, date.minute, ':');
    put_two_digits(b, date.second, ' ');
    buf_put(b, "GMT", 3);
}
