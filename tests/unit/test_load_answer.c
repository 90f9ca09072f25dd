#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include "bench/load/answer.h"
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#define VIA "Via: SIP/2.0/UDP 127.0.0.1:4;rport=4;branch=z9hG4bK1;received=127.0.0.1\r\n"
#define FROM "From: <sip:u1@d.test>;tag=f1\r\n"
#define TO "To: <sip:u1@d.test>;tag=t\r\n"
#define CALL_ID "Call-ID: c1\r\n"
#define CSEQ "CSeq: 7 REGISTER\r\n"
#define CONTACT "Contact: <sip:u1@h:4>;+sip.instance=\"<urn:uuid:1,2>\";expires=60\r\n"
#define LENGTH "Content-Length: 0\r\n\r\n"
#define ALL VIA FROM TO CALL_ID CSEQ
#define OK "SIP/2.0 200 OK\r\n"

static const struct expected asked = {
    STR("z9hG4bK1"), STR("f1"), STR("c1"), 7, STR("sip:u1@h:4"), 60,
};

/* In memory that ends where the text does, so that the sanitizer sees what is read beyond. */
static char *copy(const char *text, struct str *out)
{
    size_t len = strlen(text);
    char *bytes = malloc(len + 1);
    assert_non_null(bytes);
    char *exact = realloc(memcpy(bytes, text, len), len > 0 ? len : 1);
    assert_non_null(exact);
    *out = (struct str){exact, len};
    return exact;
}

static enum fault judge(const char *text)
{
    struct str message;
    struct answer a;
    char *bytes = copy(text, &message);
    enum fault fault = answer_parse(message, &a);
    if (fault == FAULT_NONE)
        fault = answer_check(&a, &asked);
    free(bytes);
    return fault;
}

static void every_damage_is_noticed(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        enum fault fault;
        const char *why;
    } row[] = {
        {OK ALL CONTACT LENGTH,                                                           FAULT_NONE,            "good"                  },
        {OK ALL "Contact: <sip:x@y>;expires=9, <sip:u1@h:4>;expires=60\r\n" LENGTH,       FAULT_NONE,
         "second in its line"                                                                                                            },
        {OK ALL "Contact: <sip:x@y>;expires=9\r\n" CONTACT LENGTH,                        FAULT_NONE,            "second line"           },
        {OK ALL "m:<sip:u1@h:4>;q=1;Expires=1\r\n" LENGTH,                                FAULT_NONE,            "compact, any case"     },
        {OK
         "v: SIP/2.0/UDP h;branch=z9hG4bK1\r\nf: <sip:u1@d.test>;tag=f1\r\nt: <sip:u1@d.test>\r\n"
         "i: c1\r\ncseq: 7 REGISTER\r\n" CONTACT "l: 0\r\n\r\n",
         FAULT_NONE,                                                                                             "compact forms"         },
        {"SIP/2.0 401 Unauthorized\r\n" ALL LENGTH,                                       FAULT_NONE,            "a 401 needs no Contact"},

        {OK VIA FROM TO "Call-ID: c2\r\n" CSEQ CONTACT LENGTH,                            FAULT_CALL_ID,         "Call-ID"               },
        {OK VIA FROM TO "Call-ID: c\r\n" CSEQ CONTACT LENGTH,                             FAULT_CALL_ID,         "shorter"               },
        {OK VIA FROM TO CALL_ID "CSeq: 6 REGISTER\r\n" CONTACT LENGTH,                    FAULT_CSEQ,            "number"                },
        {OK VIA FROM TO CALL_ID "CSeq: 7 OPTIONS\r\n" CONTACT LENGTH,                     FAULT_CSEQ,            "method"                },
        {OK "Via: SIP/2.0/UDP h;branch=z9hG4bK2\r\n" FROM TO CALL_ID CSEQ CONTACT LENGTH,
         FAULT_BRANCH,                                                                                           "branch"                },
        {OK VIA "From: <sip:u1@d.test>;tag=f2\r\n" TO CALL_ID CSEQ CONTACT LENGTH,        FAULT_FROM_TAG,
         "From tag"                                                                                                                      },
        {OK ALL LENGTH,                                                                   FAULT_CONTACT,         "no Contact"            },
        {OK ALL "Contact: <sip:u2@h:4>;expires=60\r\n" LENGTH,                            FAULT_CONTACT,         "another's"             },
        {OK ALL "Contact: <sip:u1@h:4;ob>;expires=60\r\n" LENGTH,                         FAULT_CONTACT,         "another URI"           },
        {OK ALL "Contact: \"<sip:u1@h:4>\" <sip:x@y>;expires=60\r\n" LENGTH,              FAULT_CONTACT,
         "only in its name"                                                                                                              },
        {OK ALL "Contact: <sip:u1@h:4>\r\nExpires: 60\r\n" LENGTH,                        FAULT_CONTACT_EXPIRES,
         "in the header only"                                                                                                            },
        {OK ALL "Contact: <sip:u1@h:4>, <sip:x@y>;expires=60\r\n" LENGTH,                 FAULT_CONTACT_EXPIRES,
         "the next one's expires"                                                                                                        },
        {OK ALL "Contact: <sip:u1@h:4>;expires=0\r\n" LENGTH,                             FAULT_CONTACT_EXPIRES, "removed"               },
        {OK ALL "Contact: <sip:u1@h:4>;expires=61\r\n" LENGTH,                            FAULT_CONTACT_EXPIRES,
         "more than asked"                                                                                                               },
        {OK ALL "Contact: <sip:u1@h:4>;expires=6x\r\n" LENGTH,                            FAULT_CONTACT_EXPIRES, "no number"             },

        {"",                                                                              FAULT_MALFORMED,       "empty"                 },
        {"SIP/2.0 200\n",                                                                 FAULT_MALFORMED,       "headers are missing"   },
        {"SIP/2.0 099 X\r\n" ALL CONTACT LENGTH,                                          FAULT_MALFORMED,       "status too low"        },
        {"SIP/2.0 2000 X\r\n" ALL CONTACT LENGTH,                                         FAULT_MALFORMED,       "four digits"           },
        {"SIP/3.0 200 OK\r\n" ALL CONTACT LENGTH,                                         FAULT_MALFORMED,       "version"               },
        {"REGISTER sip:d.test SIP/2.0\r\n" ALL CONTACT LENGTH,                            FAULT_MALFORMED,       "a request"             },
        {OK FROM TO CALL_ID CSEQ CONTACT LENGTH,                                          FAULT_MALFORMED,       "no Via"                },
        {OK VIA TO CALL_ID CSEQ CONTACT LENGTH,                                           FAULT_MALFORMED,       "no From"               },
        {OK VIA FROM CALL_ID CSEQ CONTACT LENGTH,                                         FAULT_MALFORMED,       "no To"                 },
        {OK VIA FROM TO CSEQ CONTACT LENGTH,                                              FAULT_MALFORMED,       "no Call-ID"            },
        {OK VIA FROM TO CALL_ID CONTACT LENGTH,                                           FAULT_MALFORMED,       "no CSeq"               },
        {OK VIA ALL CONTACT LENGTH,                                                       FAULT_MALFORMED,       "two Vias"              },
        {OK ALL CALL_ID CONTACT LENGTH,                                                   FAULT_MALFORMED,       "two Call-IDs"          },
        {OK "Via: SIP/2.0/UDP h\r\n" FROM TO CALL_ID CSEQ CONTACT LENGTH,                 FAULT_MALFORMED,
         "no branch"                                                                                                                     },
        {OK VIA "From: <sip:u1@d.test>\r\n" TO CALL_ID CSEQ CONTACT LENGTH,               FAULT_MALFORMED,
         "no tag"                                                                                                                        },
        {OK ALL CONTACT "Content-Length: 1\r\n\r\n",                                      FAULT_MALFORMED,       "body is missing"       },
        {OK ALL CONTACT LENGTH "x",                                                       FAULT_MALFORMED,       "body is too long"      },
        {OK ALL CONTACT,                                                                  FAULT_MALFORMED,       "no empty line"         },
        {OK ALL "no header at all\r\n" CONTACT LENGTH,                                    FAULT_MALFORMED,       "no colon"              },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        enum fault got = judge(row[i].answer);
        if (got != row[i].fault)
            fail_msg("%s: %s", row[i].why, fault_names[got]);
    }
}

static void no_beginning_is_an_answer(void **state)
{
    (void)state;
    static const char whole[] = OK ALL CONTACT LENGTH;
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        char part[sizeof whole] = "";
        memcpy(part, whole, len);
        if (judge(part) == FAULT_NONE)
            fail_msg("%zu bytes", len);
    }
}

static void challenges(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        enum fault fault;
        struct challenge wanted;
        const char *why;
    } row[] = {
        {"WWW-Authenticate: Digest realm=\"d.test\", nonce=\"n,1\", algorithm=MD5, "
         "qop=\"auth\"\r\n",                                                                    FAULT_NONE,
         {STR("d.test"), STR("n,1"), STR_NONE, DIGEST_MD5, true, false},
         "aorta's"                                                                                                                                                                       },
        {"WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", opaque=\"o\", stale=true\r\n",
         FAULT_NONE,                                                                                                      {STR("r"), STR("n"), STR("o"), DIGEST_MD5, false, true},
         "RFC 2069, stale"                                                                                                                                                               },
        {"WWW-Authenticate: Digest "
         "realm=\"r\",nonce=\"n\",algorithm=SHA-256,qop=\"auth-int,auth\"\r\n",                 FAULT_NONE,
         {STR("r"), STR("n"), STR_NONE, DIGEST_SHA256, true, false},
         "SHA-256"                                                                                                                                                                       },
        {"WWW-Authenticate: Digest realm=\"r\",nonce=\"1\",algorithm=SHA-256,qop=\"auth\"\r\n"
         "www-authenticate: digest realm=\"r\",nonce=\"2\",algorithm=MD5,qop=\"auth\"\r\n",     FAULT_NONE,
         {STR("r"), STR("2"), STR_NONE, DIGEST_MD5, true, false},
         "MD5 of two"                                                                                                                                                                    },
        {"WWW-Authenticate: Digest realm=\"r\",nonce=\"1\",qop=\"auth\"\r\n"
         "WWW-Authenticate: Digest realm=\"r\",nonce=\"2\",algorithm=SHA-256,qop=\"auth\"\r\n", FAULT_NONE,
         {STR("r"), STR("1"), STR_NONE, DIGEST_MD5, true, false},
         "MD5 comes first"                                                                                                                                                               },
        {"",                                                                                             FAULT_CHALLENGE, {.has_qop = false},                                      "none"},
        {"WWW-Authenticate: Basic realm=\"r\"\r\n",
         FAULT_CHALLENGE,                                                                                                 {.has_qop = false},
         "another scheme"                                                                                                                                                                },
        {"WWW-Authenticate: Digest realm=\"r\", qop=\"auth\"\r\n",
         FAULT_CHALLENGE,                                                                                                 {.has_qop = false},
         "no nonce"                                                                                                                                                                      },
        {"WWW-Authenticate: Digest nonce=\"n\", qop=\"auth\"\r\n",
         FAULT_CHALLENGE,                                                                                                 {.has_qop = false},
         "no realm"                                                                                                                                                                      },
        {"WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=MD5-sess\r\n",
         FAULT_CHALLENGE,                                                                                                 {.has_qop = false},
         "unknown algorithm"                                                                                                                                                             },
        {"WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\"\r\n",
         FAULT_CHALLENGE,                                                                                                 {.has_qop = false},
         "auth-int only"                                                                                                                                                                 },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct challenge c;
        struct answer a = {.head = str_from(row[i].lines)};
        enum fault fault = answer_challenge(&a, &c);
        const struct challenge *w = &row[i].wanted;
        if (fault != row[i].fault ||
            (fault == FAULT_NONE && (!str_eq(c.realm, w->realm) || !str_eq(c.nonce, w->nonce) ||
                                     !str_eq(c.opaque, w->opaque) || c.algorithm != w->algorithm ||
                                     c.has_qop != w->has_qop || c.is_stale != w->is_stale)))
            fail_msg("%s: %s", row[i].why, fault_names[fault]);
    }
}

static void frames(void **state)
{
    (void)state;
    static const char head[] = OK ALL "Content-Length: 3\r\n\r\n";
    enum { HEAD = sizeof head - 1 };
    static const struct {
        const char *data;
        long bytes;
        const char *why;
    } row[] = {
        {OK ALL "Content-Length: 3\r\n\r\nabcSIP", HEAD + 3, "with a body, and more behind"},
        {OK ALL "Content-Length: 3\r\n\r\nab",     0,        "half a body"                 },
        {OK ALL,                                   0,        "half a head"                 },
        {"",                                       0,        "nothing"                     },
        {"\r\n\r\nSIP",                            4,        "pongs"                       },
        {OK ALL "\r\n",                            -EINVAL,  "no length"                   },
        {OK ALL "Content-Length: x\r\n\r\n",       -EINVAL,  "no number"                   },
        {OK ALL "Content-Length: 4000000\r\n\r\n", -EINVAL,  "much too long"               },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct str data;
        char *bytes = copy(row[i].data, &data);
        long got = answer_frame(data);
        free(bytes);
        if (got != row[i].bytes)
            fail_msg("%s: %ld", row[i].why, got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_damage_is_noticed),
        cmocka_unit_test(no_beginning_is_an_answer),
        cmocka_unit_test(challenges),
        cmocka_unit_test(frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
