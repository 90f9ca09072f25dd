/* http_reader.h - reads one HTTP/1.x answer to a POST after the other, from bytes in any pieces. No
 * socket and no clock. */
#ifndef AORTA_HTTP_READER_H
#define AORTA_HTTP_READER_H
#include <aorta/buf.h>

enum http_reader_state {
    HTTP_READS_STATUS_LINE,
    HTTP_READS_HEADER,
    HTTP_READS_BODY, /* `left` bytes of it are to come */
    HTTP_READS_BODY_UNTIL_CLOSE,
    HTTP_READS_CHUNK_SIZE,
    HTTP_READS_CHUNK, /* likewise */
    HTTP_READS_CHUNK_END,
    HTTP_READS_TRAILER,
};

/* The first five are for whoever reads; an answer is there when is_whole. */
struct http_reader {
    int status; /* 200 to 999 */
    bool is_whole;
    bool has_begun;       /* at least a byte came */
    bool ends_connection; /* no other answer can follow on it; settled when the answer is whole */
    struct buf body;
    const char *why; /* what was refused, in words */

    enum http_reader_state state;
    struct buf line; /* one that has come in part */
    uint64_t left;   /* bytes of the body, or of its chunk; before that its length */
    size_t header_bytes;
    bool has_length, is_chunked, says_close;
    bool is_framing; /* the last header tells where the answer ends */
};

void http_reader_init(struct http_reader *r, size_t max_body_bytes);
void http_reader_fini(struct http_reader *r);
/* Before each answer. Keeps memory that is small. */
void http_reader_begin(struct http_reader *r);
/* 0, -EIO (that is no HTTP), -EMSGSIZE (body too long, or more than 64 KiB of headers) or -ENOMEM:
 * then nothing else may be read with it before the next beginning. */
int http_reader_take(struct http_reader *r, struct str bytes);
/* The server has closed the connection: 0 if that ends the answer, else -EIO. */
int http_reader_end(struct http_reader *r);
#endif
