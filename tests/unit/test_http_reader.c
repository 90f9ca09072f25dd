/* Answers whole, in two pieces cut anywhere, and byte by byte: all must be read alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "net/http_reader.h"
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))
#define HEAD "HTTP/1.1 200 OK\r\n"
#define CHUNKED HEAD "Transfer-Encoding: chunked\r\n\r\n"

enum { MOST = 20 };

/* From memory that ends where the piece ends. */
static int take_copy(struct http_reader *r, struct str piece)
{
    char *copy = malloc(piece.len > 0 ? piece.len : 1);
    assert_non_null(copy);
    if (piece.len > 0)
        memcpy(copy, piece.ptr, piece.len);
    int rc = http_reader_take(r, (struct str){copy, piece.len});
    free(copy);
    return rc;
}

/* In pieces of `step` bytes, the first of which may be another; then the server closes, unless the
 * answer is whole before. */
static int read_pieces(struct http_reader *r, struct str answer, size_t first, size_t step)
{
    http_reader_begin(r);
    for (size_t at = 0, end = first; at < answer.len; at = end, end += step) {
        int rc = take_copy(r, str_slice(answer, at, end));
        if (rc < 0)
            return rc;
    }
    return r->is_whole ? 0 : http_reader_end(r);
}

enum { KEEPS = false, ENDS = true };

struct row {
    const char *answer;
    int rc, status;
    const char *body;
    bool ends_connection;
    const char *why;
};

static void check(struct http_reader *r, const struct row *row, size_t first, size_t step)
{
    int rc = read_pieces(r, str_from(row->answer), first, step);
    bool is_same = rc == row->rc;
    if (is_same && rc == 0)
        is_same = r->is_whole && r->status == row->status &&
                  str_eq(buf_str(&r->body), str_from(row->body)) &&
                  r->ends_connection == row->ends_connection;
    else if (is_same)
        is_same = r->why[0] != 0;
    if (!is_same)
        fail_msg("%s, pieces %zu, %zu: %d (%s), status %d, body \"%.*s\", ends %d", row->why, first,
                 step, rc, r->why, r->status, STR_ARG(buf_str(&r->body)), r->ends_connection);
}

static void check_all(const struct row *row, size_t count)
{
    struct http_reader r;
    http_reader_init(&r, MOST);
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(row[i].answer);
        for (size_t first = 1; first <= len; first++)
            check(&r, &row[i], first, len);
        check(&r, &row[i], 1, 1);
    }
    http_reader_fini(&r);
}

static void reads(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {HEAD "Content-Length: 5\r\n\r\nhello",                                                 0, 200, "hello",                KEEPS, "plain"                                        },
        {HEAD "content-length:5\n\nhello",                                                      0, 200, "hello",                KEEPS, "line ends without CR"                         },
        {HEAD "Content-Length: 0\r\n\r\n",                                                      0, 200, "",                     KEEPS, "empty"                                        },
        {HEAD "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",                            0, 200, "hello",                KEEPS,
         "the same twice"                                                                                                                                                             },
        {HEAD "Content-Length: 20\r\n\r\n12345678901234567890",                                 0, 200, "12345678901234567890",
         KEEPS,                                                                                                                        "as long as is allowed"                        },
        {HEAD "Content-Length: 5\r\nConnection: close\r\n\r\nhello",                            0, 200, "hello",                ENDS,
         "says that it closes"                                                                                                                                                        },
        {HEAD "Content-Length: 5\r\nConnection: x, CLOSE ,keep-alive\r\n\r\nhello",             0, 200, "hello",
         ENDS,                                                                                                                         "among others"                                 },
        {HEAD "\r\nhello",                                                                      0, 200, "hello",                ENDS,  "until the end"                                },
        {HEAD "\r\n",                                                                           0, 200, "",                     ENDS,  "nothing until the end"                        },
        {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",                                   0, 200, "hello",                ENDS,  "HTTP/1.0"                                     },
        {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: Keep-Alive\r\n\r\nhello",         0, 200,
         "hello",                                                                                                               KEEPS, "HTTP/1.0 that stays"                          },
        {"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n",                                           0, 404, "",                     KEEPS, "no phrase"                                    },
        {"HTTP/1.1 204 No\r\n\r\n",                                                             0, 204, "",                     KEEPS, "never a body"                                 },
        {"HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n",                                        0, 304, "",                     KEEPS, "nor here"                                     },
        {"HTTP/1.1 100 C\r\nContent-Length: 9\r\n\r\nHTTP/1.1 103 E\r\nX: y\r\n\r\n" HEAD
         "Content-Length: 5\r\n\r\nhello",                                             0, 200, "hello",                KEEPS, "1xx are passed over"                          },
        {CHUNKED "5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n",                                  0, 200, "hello world",          KEEPS,
         "chunks"                                                                                                                                                                     },
        {CHUNKED "0A \r\n0123456789\r\n00a\r\n0123456789\r\n000\r\nTrailer: x\r\n\r\n",         0, 200,
         "01234567890123456789",                                                                                                KEEPS, "as many as are allowed"                       },
        {CHUNKED "0\r\n\r\n",                                                                   0, 200, "",                     KEEPS, "no chunks"                                    },
        {HEAD "Transfer-Encoding: CHUNKED\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 0,
         200,                                                                                           "hello",                ENDS,  "chunks outdo a length, and are not trusted on"},
        {HEAD "Server: a\r\n folded\r\nContent-Length: 5\r\n\r\nhello",                         0, 200, "hello",                KEEPS,
         "folded where it does not matter"                                                                                                                                            },
        {HEAD "Content-Length: 5\r\n\r\nhello" HEAD,                                            0, 200, "hello",                ENDS,
         "more than was asked for"                                                                                                                                                    },
    };
    check_all(rows, COUNT(rows));
}

static void refuses(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"hello\r\n",                                                                      -EIO,      0, "", ENDS, "no HTTP"                    },
        {"\r\n" HEAD "\r\n",                                                               -EIO,      0, "", ENDS, "an empty line first"        },
        {"HTTP/2 200 OK\r\n\r\n",                                                          -EIO,      0, "", ENDS, "another version"            },
        {"HTTP/1.2 200 OK\r\n\r\n",                                                        -EIO,      0, "", ENDS, "another minor one"          },
        {"HTTP/1.1  200 OK\r\n\r\n",                                                       -EIO,      0, "", ENDS, "two spaces"                 },
        {"HTTP/1.1 099 OK\r\n\r\n",                                                        -EIO,      0, "", ENDS, "status below 100"           },
        {"HTTP/1.1 20 OK\r\n\r\n",                                                         -EIO,      0, "", ENDS, "two digits"                 },
        {"HTTP/1.1 2000 OK\r\n\r\n",                                                       -EIO,      0, "", ENDS, "four digits"                },
        {"HTTP/1.1 200OK\r\n\r\n",                                                         -EIO,      0, "", ENDS, "no space"                   },
        {"HTTP/1.1 101 Other\r\n\r\n",                                                     -EIO,      0, "", ENDS, "another protocol"           },
        {HEAD "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",                       -EIO,      0, "", ENDS,
         "two lengths"                                                                                                                          },
        {HEAD "Content-Length: 5, 5\r\n\r\nhello",                                         -EIO,      0, "", ENDS, "a list of lengths"          },
        {HEAD "Content-Length: +5\r\n\r\nhello",                                           -EIO,      0, "", ENDS, "a sign"                     },
        {HEAD "Content-Length: -5\r\n\r\nhello",                                           -EIO,      0, "", ENDS, "negative"                   },
        {HEAD "Content-Length: 0x5\r\n\r\nhello",                                          -EIO,      0, "", ENDS, "not decimal"                },
        {HEAD "Content-Length:\r\n\r\nhello",                                              -EIO,      0, "", ENDS, "none"                       },
        {HEAD "Content-Length: 1\r\n 5\r\n\r\nhello",                                      -EIO,      0, "", ENDS, "folded"                     },
        {HEAD " Content-Length: 5\r\n\r\nhello",                                           -EIO,      0, "", ENDS, "into the status line"       },
        {HEAD "Content-Length : 5\r\n\r\nhello",                                           -EIO,      0, "", ENDS, "space before the colon"     },
        {HEAD "Content-Length\r\n\r\nhello",                                               -EIO,      0, "", ENDS, "no colon"                   },
        {HEAD ": 5\r\n\r\nhello",                                                          -EIO,      0, "", ENDS, "no name"                    },
        {HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",                         -EIO,      0, "", ENDS,
         "not asked for"                                                                                                                        },
        {HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", -EIO,      0,
         "",                                                                                                 ENDS, "chunks of chunks"           },
        {CHUNKED "\r\nhello\r\n0\r\n\r\n",                                                 -EIO,      0, "", ENDS, "a chunk without a size"     },
        {CHUNKED "-5\r\nhello\r\n0\r\n\r\n",                                               -EIO,      0, "", ENDS, "negative"                   },
        {CHUNKED "5 5\r\nhello\r\n0\r\n\r\n",                                              -EIO,      0, "", ENDS, "two sizes"                  },
        {CHUNKED "0x5\r\nhello\r\n0\r\n\r\n",                                              -EIO,      0, "", ENDS, "an odd size"                },
        {CHUNKED "5\r\nhello!\r\n0\r\n\r\n",                                               -EIO,      0, "", ENDS, "longer than it says"        },
        {HEAD "Content-Length: 5\r\n\r\nhell",                                             -EIO,      0, "", ENDS, "closed within the body"     },
        {HEAD "Content-Length: 5\r\n",                                                     -EIO,      0, "", ENDS, "closed within the head"     },
        {"HTTP/1.1 100 Continue\r\n\r\n",                                                  -EIO,      0, "", ENDS, "closed behind a 1xx"        },
        {CHUNKED "5\r\nhello\r\n",                                                         -EIO,      0, "", ENDS, "closed between chunks"      },
        {CHUNKED "5\r\nhello\r\n0\r\n",                                                    -EIO,      0, "", ENDS, "closed before the last line"},
        {"",                                                                               -EIO,      0, "", ENDS, "closed at once"             },
        {HEAD "Content-Length: 21\r\n\r\n",                                                -EMSGSIZE, 0, "", ENDS, "too long"                   },
        {HEAD "Content-Length: 99999999999999999999999\r\n\r\n",                           -EMSGSIZE, 0, "", ENDS,
         "no number holds it"                                                                                                                   },
        {HEAD "\r\n123456789012345678901",                                                 -EMSGSIZE, 0, "", ENDS, "too long without a length"  },
        {CHUNKED "15\r\n",                                                                 -EMSGSIZE, 0, "", ENDS, "a chunk too long"           },
        {CHUNKED "ffffffffffffffffffffffff\r\n",                                           -EMSGSIZE, 0, "", ENDS, "no number holds it"         },
        {CHUNKED "14\r\n12345678901234567890\r\n1\r\n1\r\n",                               -EMSGSIZE, 0, "", ENDS,
         "chunks too long together"                                                                                                             },
    };
    check_all(rows, COUNT(rows));
}

static void refuses_zeros(void **state)
{
    (void)state;
    struct http_reader r;
    http_reader_init(&r, MOST);
    assert_int_equal(read_pieces(&r, STR(HEAD "X: \0\r\nContent-Length: 0\r\n\r\n"), 1, 100), -EIO);
    assert_int_equal(read_pieces(&r, STR("HTTP/1.1 200 O\0K\r\n\r\n"), 1, 100), -EIO);
    assert_int_equal(read_pieces(&r, STR(HEAD "Content-Length: 3\r\n\r\na\0b"), 1, 100), 0);
    assert_int_equal(r.body.len, 3);
    http_reader_fini(&r);
}

/* What may not grow, said again and again; in pieces of a size that divides nothing. */
static void caps(void **state)
{
    (void)state;
    static const struct {
        const char *begin, *again;
        int rc;
    } row[] = {
        {"",                 "0123456789",                 -EIO     },
        {"HTTP/1.1 200 ",    "0123456789",                 -EMSGSIZE},
        {HEAD,               "X: 0123456789\r\n",          -EMSGSIZE},
        {HEAD "X: ",         "0123456789",                 -EMSGSIZE},
        {"",                 "HTTP/1.1 103 Early\r\n\r\n", -EMSGSIZE},
        {HEAD "\r\n",        "0123456789",                 -EMSGSIZE},
        {CHUNKED,            "0",                          -EIO     },
        {CHUNKED "1;",       "0123456789",                 -EIO     },
        {CHUNKED "0\r\n",    "X: 0123456789\r\n",          -EMSGSIZE},
        {CHUNKED "0\r\nX: ", "0123456789",                 -EIO     },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct http_reader r;
        http_reader_init(&r, 100000);
        http_reader_begin(&r);
        int rc = take_copy(&r, str_from(row[i].begin));
        size_t taken = 0;
        for (; rc == 0 && taken < 300000; taken += strlen(row[i].again))
            rc = take_copy(&r, str_from(row[i].again));
        if (rc != row[i].rc)
            fail_msg("row %zu: %d (%s) after %zu bytes", i, rc, r.why, taken);
        assert_true(r.line.cap <= 65536 && r.body.cap <= 100000);
        http_reader_fini(&r);
    }
}

/* Extensions of chunks count among the headers: else a short body could bring any number of them.
 */
static void extensions_count(void **state)
{
    (void)state;
    char line[2100] = "1;";
    memset(line + 2, 'x', 2000);
    strcpy(line + 2002, "\r\na\r\n");
    struct http_reader r;
    http_reader_init(&r, 100000);
    http_reader_begin(&r);
    int rc = take_copy(&r, STR(CHUNKED));
    size_t lines = 0;
    for (; rc == 0 && lines < 100; lines++)
        rc = take_copy(&r, str_from(line));
    assert_int_equal(rc, -EMSGSIZE);
    assert_int_equal(lines, 33);
    http_reader_fini(&r);
}

/* A line between chunks or behind them has its cap however it comes. */
static void lines_in_the_body(void **state)
{
    (void)state;
    enum { MOST_LINE = 4096 };
    static const char *const begin[] = {CHUNKED "1;", CHUNKED "0\r\nX: "};
    for (size_t i = 0; i < COUNT(begin); i++)
        for (size_t bytes = MOST_LINE; bytes <= MOST_LINE + 1; bytes++)
            for (size_t step = 1; step <= 10000; step *= 10) {
                char answer[2 * MOST_LINE];
                const char *line = strrchr(begin[i], '\n') + 1;
                size_t head = strlen(begin[i]), fill = bytes - strlen(line) - strlen("\r");
                memcpy(answer, begin[i], head);
                memset(answer + head, 'x', fill);
                memcpy(answer + head + fill, "\r\n", 2);
                struct str rest = {answer, head + fill + 2};
                struct http_reader r;
                http_reader_init(&r, 100000);
                http_reader_begin(&r);
                int rc = 0;
                for (; rc == 0 && rest.len > 0; rest = str_slice(rest, step, rest.len))
                    rc = http_reader_take(&r, str_slice(rest, 0, step));
                if (rc != (bytes > MOST_LINE ? -EIO : 0))
                    fail_msg("row %zu, %zu bytes in pieces of %zu: %d", i, bytes, step, rc);
                http_reader_fini(&r);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_zeros),
        cmocka_unit_test(caps),
        cmocka_unit_test(extensions_count),
        cmocka_unit_test(lines_in_the_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
