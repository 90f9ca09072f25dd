/* answer_check.h - reads an answer of aorta's as a strict client would, with none of aorta's code.
 */
#ifndef ANSWER_CHECK_H
#define ANSWER_CHECK_H
#include <aorta/sip.h>

enum { ANSWER_MAX_HEADERS = 512 };

struct answer_header {
    struct str name, value;
};

struct answer {
    int status;
    size_t count;
    struct answer_header header[ANSWER_MAX_HEADERS];
};

/* Aborts unless `text` is a whole answer without a body: status line with a harmless phrase, lines
 * that end by CRLF and hold no other line end, only headers that aorta writes, Content-Length 0. */
void answer_read(struct str text, struct answer *out);
/* The value of the `index`th header of that name; .ptr NULL: there is none. */
struct str answer_value(const struct answer *answer, const char *name, size_t index);
size_t answer_count(const struct answer *answer, const char *name);
/* Aborts unless the answer says what the request said: all Vias but for what RFC 3261 18.2.1 and
 * RFC 3581 4 change in the topmost, From, To with a tag, Call-ID and CSeq, each as it came. */
void answer_check_echo(const struct answer *answer, const struct sip_request *request);
#endif
