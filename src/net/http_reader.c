/* An answer as its bytes come in, in whatever pieces (RFC 9112). Strict where two readers could
 * disagree about where an answer ends, for then the next answer on the connection would not be the
 * one to the next question; what only looks odd is passed over. */
#include "http_reader.h"
#include <errno.h>

enum {
    MAX_HEADER_BYTES = 64 << 10, /* of one answer, with all of 1xx before it and trailers */
    MAX_BODY_LINE_BYTES = 4096,  /* of the lines between chunks and behind them */
    KEPT_BODY_BYTES = 16 << 10,  /* what a reader may hold on to until the next answer */
};

static int refuse(struct http_reader *r, const char *why)
{
    r->why = why;
    return -EIO;
}

static int refuse_length(struct http_reader *r)
{
    r->why = "the answer is too long";
    return -EMSGSIZE;
}

/* ---- The head ------------------------------------------------------------------------------ */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* HTTP/1.1 200 OK; the phrase and the space before it may be missing. */
static int read_status(struct http_reader *r, struct str line)
{
    static const struct str version = STR("HTTP/1.");
    const char *p = line.ptr;
    if (line.len < 12 || memcmp(p, version.ptr, version.len) != 0 || (p[7] != '0' && p[7] != '1') ||
        p[8] != ' ' || p[9] < '1' || !is_digit(p[9]) || !is_digit(p[10]) || !is_digit(p[11]) ||
        (line.len > 12 && p[12] != ' '))
        return refuse(r, "the answer is no HTTP");
    r->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
    r->is_chunked = r->has_length = false;
    r->ends_connection = p[7] == '0';
    r->is_framing = true; /* nothing may be folded into this line */
    r->state = HTTP_READS_HEADER;
    return 0;
}

/* The same length twice is one length; a number that nothing holds is too long in any case. */
static int read_length(struct http_reader *r, struct str value)
{
    uint64_t length;
    int rc = str_to_u64(value, INT64_MAX, &length);
    if (rc == -ERANGE)
        return refuse_length(r);
    if (rc < 0 || (r->has_length && length != r->left))
        return refuse(r, "the answer's length makes no sense");
    r->has_length = true;
    r->left = length;
    return 0;
}

static int read_coding(struct http_reader *r, struct str value)
{
    if (r->is_chunked || !str_eq_nocase(value, STR("chunked")))
        return refuse(r, "the answer's transfer coding is unknown");
    r->is_chunked = true;
    return 0;
}

static int read_connection(struct http_reader *r, struct str value)
{
    struct str option;
    while (str_split(&value, ',', &option)) {
        option = str_trim(option);
        if (str_eq_nocase(option, STR("close")))
            r->says_close = true;
        else if (str_eq_nocase(option, STR("keep-alive")))
            r->ends_connection = false;
    }
    return 0;
}

static const struct {
    struct str name;
    int (*read)(struct http_reader *r, struct str value);
} headers[] = {
    {STR("Content-Length"),    read_length    },
    {STR("Transfer-Encoding"), read_coding    },
    {STR("Connection"),        read_connection},
};

/* Folded lines (RFC 9112 5.2) continue headers that nobody here reads, or are refused. */
static int read_header(struct http_reader *r, struct str line)
{
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
        return r->is_framing ? refuse(r, "a header of the answer is folded") : 0;
    struct str name = str_slice(line, 0, str_find(line, ':'));
    if (name.len == 0 || name.len == line.len || str_trim(name).len != name.len)
        return refuse(r, "a header of the answer makes no sense");
    r->is_framing = false;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        if (!str_eq_nocase(name, headers[i].name))
            continue;
        r->is_framing = true;
        return headers[i].read(r, str_trim(str_slice(line, name.len + 1, line.len)));
    }
    return 0;
}

/* RFC 9112 6.3. */
static int end_head(struct http_reader *r)
{
    if (r->status == 101)
        return refuse(r, "the answer changes to another protocol");
    if (r->status < 200) {
        r->state = HTTP_READS_STATUS_LINE;
        return 0;
    }
    /* Who sends both may be a smuggler. */
    r->ends_connection |= r->says_close || (r->is_chunked && r->has_length);
    if (r->status == 204 || r->status == 304) {
        r->is_whole = true;
    } else if (r->is_chunked) {
        r->state = HTTP_READS_CHUNK_SIZE;
    } else if (r->has_length) {
        if (r->left > r->body.max)
            return refuse_length(r);
        r->state = HTTP_READS_BODY;
        r->is_whole = r->left == 0;
    } else {
        r->state = HTTP_READS_BODY_UNTIL_CLOSE;
        r->ends_connection = true;
    }
    return 0;
}

/* ---- Chunks -------------------------------------------------------------------------------- */

/* 1f;extension=that means nothing to us */
static int read_chunk_size(struct http_reader *r, struct str line)
{
    size_t i = 0;
    r->left = 0;
    for (; i < line.len && str_hex_value(line.ptr[i]) >= 0; i++) {
        r->left = r->left * 16 + (unsigned)str_hex_value(line.ptr[i]);
        if (r->left > r->body.max)
            return refuse_length(r);
    }
    struct str behind = str_trim(str_slice(line, i, line.len));
    if (i == 0 || (behind.len > 0 && behind.ptr[0] != ';'))
        return refuse(r, "a chunk of the answer has no size");
    r->header_bytes += behind.len;
    r->state = r->left > 0 ? HTTP_READS_CHUNK : HTTP_READS_TRAILER;
    return 0;
}

static int end_chunk(struct http_reader *r, struct str line)
{
    r->state = HTTP_READS_CHUNK_SIZE;
    return line.len == 0 ? 0 : refuse(r, "a chunk of the answer is longer than it says");
}

/* ---- Lines --------------------------------------------------------------------------------- */

static int read_line(struct http_reader *r, struct str line)
{
    if (line.len > 0 && memchr(line.ptr, 0, line.len))
        return refuse(r, "a line of the answer's head holds a zero");
    switch (r->state) {
    case HTTP_READS_STATUS_LINE:
        return read_status(r, line);
    case HTTP_READS_HEADER:
        return line.len > 0 ? read_header(r, line) : end_head(r);
    case HTTP_READS_CHUNK_SIZE:
        return read_chunk_size(r, line);
    case HTTP_READS_CHUNK_END:
        return end_chunk(r, line);
    default: /* a trailer, of which nothing is of use but the end */
        r->is_whole = line.len == 0;
        return 0;
    }
}

static bool is_in_head(const struct http_reader *r)
{
    return r->state == HTTP_READS_STATUS_LINE || r->state == HTTP_READS_HEADER;
}

/* What cannot become a status line is not waited for. */
static bool may_be_http(const struct http_reader *r)
{
    struct str begin = str_slice(buf_str(&r->line), 0, 5);
    return r->state != HTTP_READS_STATUS_LINE || memcmp(begin.ptr, "HTTP/", begin.len) == 0;
}

static bool is_too_long(const struct http_reader *r, size_t line_bytes)
{
    return !is_in_head(r) && line_bytes > MAX_BODY_LINE_BYTES;
}

/* A line that has come in part. */
static int keep_piece(struct http_reader *r, struct str piece)
{
    if (is_too_long(r, r->line.len + piece.len))
        return refuse(r, "a line within the answer's body is too long");
    buf_put_str(&r->line, piece);
    if (r->line.error)
        return r->line.error == -ENOSPC ? refuse_length(r) : r->line.error;
    return may_be_http(r) ? 0 : refuse(r, "the answer is no HTTP");
}

static int take_line(struct http_reader *r, struct str *bytes)
{
    size_t end = str_find(*bytes, '\n');
    bool is_whole = end < bytes->len;
    struct str line = str_slice(*bytes, 0, end);
    *bytes = str_slice(*bytes, is_whole ? end + 1 : end, bytes->len);
    if (!is_whole || r->line.len > 0) {
        int rc = keep_piece(r, line);
        if (rc < 0 || !is_whole)
            return rc;
        line = buf_str(&r->line);
    }
    if (is_too_long(r, line.len))
        return refuse(r, "a line within the answer's body is too long");
    if (is_in_head(r) || r->state == HTTP_READS_TRAILER)
        r->header_bytes += line.len + 1;
    if (r->header_bytes > MAX_HEADER_BYTES)
        return refuse_length(r);
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    int rc = read_line(r, line);
    buf_clear(&r->line);
    return rc;
}

/* ---- The body ------------------------------------------------------------------------------ */

static int take_body(struct http_reader *r, struct str *bytes)
{
    bool has_end = r->state != HTTP_READS_BODY_UNTIL_CLOSE;
    size_t n = has_end && r->left < bytes->len ? (size_t)r->left : bytes->len;
    buf_put(&r->body, bytes->ptr, n);
    *bytes = str_slice(*bytes, n, bytes->len);
    if (r->body.error)
        return r->body.error == -ENOSPC ? refuse_length(r) : r->body.error;
    if (!has_end)
        return 0;
    r->left -= n;
    if (r->left == 0 && r->state == HTTP_READS_CHUNK)
        r->state = HTTP_READS_CHUNK_END;
    else
        r->is_whole = r->left == 0;
    return 0;
}

/* ---- The whole ----------------------------------------------------------------------------- */

void http_reader_init(struct http_reader *r, size_t max_body_bytes)
{
    *r = (struct http_reader){.why = ""};
    buf_init_heap(&r->line, MAX_HEADER_BYTES);
    buf_init_secret(&r->body, max_body_bytes); /* it may hold hashes of passwords */
}

void http_reader_fini(struct http_reader *r)
{
    buf_fini(&r->line);
    buf_fini(&r->body);
}

static void empty(struct buf *b)
{
    if (b->cap > KEPT_BODY_BYTES)
        buf_fini(b);
    else
        buf_clear(b);
}

void http_reader_begin(struct http_reader *r)
{
    const struct buf line = r->line, body = r->body;
    *r = (struct http_reader){.why = "", .line = line, .body = body};
    empty(&r->line);
    empty(&r->body);
}

int http_reader_take(struct http_reader *r, struct str bytes)
{
    int rc = 0;
    r->has_begun |= bytes.len > 0;
    while (rc == 0 && bytes.len > 0 && !r->is_whole) {
        bool is_body = r->state == HTTP_READS_BODY || r->state == HTTP_READS_BODY_UNTIL_CLOSE ||
                       r->state == HTTP_READS_CHUNK;
        rc = is_body ? take_body(r, &bytes) : take_line(r, &bytes);
    }
    r->ends_connection |= bytes.len > 0; /* more than was asked for */
    return rc;
}

int http_reader_end(struct http_reader *r)
{
    r->is_whole = r->state == HTTP_READS_BODY_UNTIL_CLOSE;
    if (r->is_whole)
        return 0;
    return refuse(r, !r->has_begun   ? "the server closed the connection without an answer"
                     : is_in_head(r) ? "the answer ends within its head"
                                     : "the answer ends within its body");
}
