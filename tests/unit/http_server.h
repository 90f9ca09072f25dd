/* http_server.h - a little HTTP server on a thread of its own, with bad manners on demand. Loopback
 * only. */
#ifndef AORTA_TESTS_HTTP_SERVER_H
#define AORTA_TESTS_HTTP_SERVER_H
#include <stdbool.h>
#include <stddef.h>

enum http_server_then { KEEP_OPEN, CLOSE, RESET };

struct http_server_script {
    const char *answer; /* NULL: none, ever, unless `then` or `endless` says more */
    enum http_server_then then;
    const char *endless;  /* sent after `answer` again and again, until the client has had enough */
    bool waits_for_quiet; /* before it answers all that have asked meanwhile */
    unsigned answers_a_connection; /* at the next question it says `last_words` and closes; 0: no
                                      limit */
    const char *last_words;
    unsigned answers;                 /* to all; then it is silent; 0: no limit */
    const char *cert_file, *key_file; /* TLS, one connection after the other; NULL: none */
    unsigned tls_answers;             /* on each of these; 0: one */
};

struct http_server;

enum { HTTP_SERVER_REQUEST_BYTES = 8192 };
struct http_server_counts {
    unsigned connections, requests, answered;
    unsigned most_at_once;                /* requests not yet answered */
    char last[HTTP_SERVER_REQUEST_BYTES]; /* request, whole */
    size_t last_len;
};

/* Fails the test when it cannot be had. Borrows the texts of `script`. */
struct http_server *http_server_start(const struct http_server_script *script);
unsigned http_server_port(const struct http_server *s);
/* Ends the thread and all connections, and frees. */
struct http_server_counts http_server_stop(struct http_server *s);
#endif
