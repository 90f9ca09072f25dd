/* Stateless: each call looks at the head from its start again. While it is not whole that is one
 * search for the empty line and one look along the first line, so a head of `max_bytes` that comes
 * byte by byte costs about as much to search as its system calls cost to receive. */
#include "sip_internal.h"

/* More than any first line needs; a peer that sends so much without one does not speak SIP. */
enum { MAX_START_LINE_BYTES = 4096, MAX_METHOD_BYTES = 64 };

static struct sip_frame frame(enum sip_frame_kind kind, size_t bytes)
{
    return (struct sip_frame){.kind = kind, .bytes = bytes};
}

static bool is_line_end(char c)
{
    return c == '\r' || c == '\n';
}

/* Between messages. A lone CRLF waits for its neighbour: it may be half of a ping. */
static struct sip_frame between_messages(struct str data)
{
    static const struct str ping = STR("\r\n\r\n");
    size_t same = 0;
    while (same < ping.len && same < data.len && data.ptr[same] == ping.ptr[same])
        same++;
    if (same == ping.len)
        return frame(SIP_FRAME_PING, same);
    if (same == data.len)
        return frame(SIP_FRAME_MORE, 0);
    return frame(SIP_FRAME_BLANK, same >= 2 ? 2 : 1);
}

/* "METHOD " or "SIP/", as far as it is there. */
static bool may_begin_message(struct str data)
{
    static const struct str sip = STR("SIP/");
    if (str_starts_nocase(data, sip))
        return true;
    size_t end = sip_span(str_slice(data, 0, MAX_METHOD_BYTES + 1), 0, SIP_TOKEN);
    if (end > MAX_METHOD_BYTES)
        return false;
    return end == data.len || (end > 0 && data.ptr[end] == ' ');
}

/* HTTP fails here by its version, TLS and other binaries by their first bytes. */
static bool is_garbage(struct str data)
{
    if (!may_begin_message(data))
        return true;
    struct str line = str_slice(data, 0, MAX_START_LINE_BYTES);
    size_t cr = str_find(line, '\r');
    if (sip_has_control(str_slice(line, 0, cr)))
        return true;
    if (cr == line.len)
        return data.len >= MAX_START_LINE_BYTES;
    if (cr + 1 < data.len && data.ptr[cr + 1] != '\n')
        return true;
    size_t end =
        cr; /* blanks behind it are a fault, but one that is answered (RFC 4475 3.1.2.10) */
    while (end > 0 && line.ptr[end - 1] == ' ')
        end--;
    size_t version = end;
    while (version > 0 && line.ptr[version - 1] != ' ')
        version--;
    return !str_starts_nocase(line, STR("SIP/")) &&
           !str_starts_nocase(str_slice(line, version, end), STR("SIP/"));
}

/* The next header line of `head`, with the lines that continue it and without its end. */
static bool take_line(struct str *head, struct str *line)
{
    if (head->len == 0)
        return false;
    size_t end = 0;
    do {
        end += str_find(str_slice(*head, end, head->len), '\n') + 1;
    } while (end < head->len && (head->ptr[end] == ' ' || head->ptr[end] == '\t'));
    *line = str_slice(*head, 0, end);
    *head = str_slice(*head, end, head->len);
    return true;
}

static bool is_content_length(struct str line, struct str *value)
{
    size_t colon = str_find(line, ':');
    struct str name = str_trim(str_slice(line, 0, colon));
    *value = str_trim(str_slice(line, colon + 1, line.len));
    return colon < line.len && sip_header_lookup(name) == SIP_HEADER_CONTENT_LENGTH;
}

/* False: absent, no number, or two that differ, of which each would cut the stream elsewhere. */
static bool read_length(struct str head, uint64_t *length)
{
    struct str line, value;
    bool is_found = false;
    while (take_line(&head, &line)) {
        char first = line.ptr[0] | 0x20;
        if ((first != 'c' && first != 'l') || !is_content_length(line, &value))
            continue;
        uint64_t n;
        if (!sip_read_capped(value, UINT32_MAX, &n) || (is_found && n != *length))
            return false;
        *length = n;
        is_found = true;
    }
    return is_found;
}

struct sip_frame sip_frame_next(struct str data, size_t max_bytes)
{
    if (data.len == 0)
        return frame(SIP_FRAME_MORE, 0);
    if (is_line_end(data.ptr[0]))
        return between_messages(data);
    if (is_garbage(data))
        return frame(SIP_FRAME_GARBAGE, 0);

    struct str visible = str_slice(data, 0, max_bytes);
    const char *end = memmem(visible.ptr, visible.len, "\r\n\r\n", 4);
    if (!end)
        return frame(data.len < max_bytes ? SIP_FRAME_MORE : SIP_FRAME_GARBAGE, 0);

    struct sip_frame result = {.head_bytes = (size_t)(end - data.ptr) + 4};
    uint64_t length = 0;
    if (!read_length(str_slice(data, 0, result.head_bytes), &length))
        result.kind = SIP_FRAME_NO_LENGTH;
    else if (length > max_bytes - result.head_bytes)
        result.kind = SIP_FRAME_TOO_LARGE;
    else if (length > data.len - result.head_bytes)
        result.kind = SIP_FRAME_MORE;
    else
        result.kind = SIP_FRAME_MESSAGE;
    bool is_whole = result.kind == SIP_FRAME_MESSAGE;
    result.bytes = result.head_bytes + (is_whole ? (size_t)length : 0);
    return result;
}
