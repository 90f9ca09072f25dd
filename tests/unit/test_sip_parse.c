#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <aorta/sip.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

enum { ARENA_BYTES = 16384, MESSAGE_BYTES = 65536 };

static bool is(struct str s, const char *expected)
{
    return str_eq(s, str_from(expected ? expected : ""));
}

/* ---- Whole messages, one a file ------------------------------------------------------------ */

#define UUID_JSSIP "\"<urn:uuid:053413da-a813-4254-80d9-e359b1c23219>\""

static const struct file_row {
    const char *file;
    int status;         /* 0 with a reason: dropped in silence */
    const char *reason; /* NULL: well-formed */
    const char *to_host, *contact, *instance;
    size_t vias, contacts, paths;
    uint32_t cseq;
    int64_t contact_expires_s, expires_s; /* -1: absent */
} files[] = {
  /* what clients send */
    {"jssip_register",                   0,   NULL,                                       "example.com", "sip:bkak02q3@v1h6o7bavf7m.invalid;transport=ws",
     UUID_JSSIP,                                                                                                                                                 1, 1, 0, 1,          600,        600       },
    {"jssip_authorized",                 0,   NULL,                                       "example.com", "sip:bkak02q3@v1h6o7bavf7m.invalid;transport=ws",
     UUID_JSSIP,                                                                                                                                                 1, 1, 0, 2,          600,        600       },
    {"jssip_unregister_all",             0,   NULL,                                       "example.com", NULL,                                             NULL, 1, 0, 0, 3,          -1,         0         },
    {"sipjs_register",                   0,   NULL,                                       "example.com", "sip:pme3ooro@8a6j4cbq0u5t.invalid;transport=ws",
     NULL,                                                                                                                                                       1, 1, 0, 2,          600,        -1        },
    {"sipjs_unregister",                 0,   NULL,                                       "example.com", "sip:pme3ooro@8a6j4cbq0u5t.invalid;transport=ws",
     NULL,                                                                                                                                                       1, 1, 0, 4,          0,          -1        },
    {"baresip_register",                 0,   NULL,                                       "example.com", "sip:bob-0x563f46d046d0@192.0.2.44:55596",
     "\"<urn:uuid:f39f2b8f-10db-a990-5ecd-718ad033336d>\"",                                                                                                      1, 1, 0, 41633,      600,        -1        },
    {"sipp_register",                    0,   NULL,                                       "example.com", "sip:user1@127.0.0.1:5061",                       NULL, 1, 1, 0, 1,          -1,
     3600                                                                                                                                                                                                   },
    {"pjsip_register",                   0,   NULL,                                       "example.com", "sip:carol@198.51.100.20:51734;transport=TCP;ob",
     "\"<urn:uuid:00000000-0000-0000-0000-0000a1b2c3d4>\"",                                                                                                      1, 1, 0, 52114,      -1,         300       },
    {"linphone_register",                0,   NULL,                                       "example.com", "sip:dave@10.0.0.23:40112;transport=tls",
     "\"<urn:uuid:9f9d2a3e-64d5-0018-b91c-6b8d5f5c1a77>\"",                                                                                                      1, 1, 0, 21,         -1,         3600      },
    {"phone_display_name",               0,   NULL,                                       "example.com", "sip:201@10.1.2.3:5062",
     "\"<urn:uuid:12345678-1234-1234-1234-805ec0112233>\"",                                                                                                      1, 1, 0, 1,          -1,         3600      },
    {"proxied_register",                 0,   NULL,                                       "example.com", "sip:erin@[2001:db8::9]:5060",                    NULL, 3, 2, 3, 7,
     100,                                                                                                                                                                                         -1        },
    {"fetch",                            0,   NULL,                                       "example.com", NULL,                                             NULL, 1, 0, 0, 2147483647, -1,         -1        },
    {"options",                          0,   NULL,                                       "example.com", NULL,                                             NULL, 1, 0, 0, 1,          -1,         -1        },
    {"contact_mailto",                   400, "Contact must be a sip or sips URI",        "example.com", NULL,                                             NULL, 3, 2, 3,
     7,                                                                                                                                                                               -1,         -1        },
 /* in the spirit of RFC 4475 */
    {"torture_spacing",                  0,   NULL,                                       "example.com", "sip:jdrosen@example.com",                        NULL, 2, 1, 0, 9,
     UINT32_MAX,                                                                                                                                                                                  -1        },
    {"torture_strange_method",           0,   NULL,                                       "example.com", NULL,                                             NULL, 1, 0, 0, 139122385,  -1,         -1        },
    {"torture_intmeth",                  400, "Control character in header",              NULL,          NULL,                                             NULL, 1, 0, 0, 139122385,
     -1,                                                                                                                                                                                          -1        },
    {"torture_escaped_null",             0,   NULL,                                       "example.com", "sip:%00@host5.example.com",                      NULL, 1, 2, 0,
     14398234,                                                                                                                                                                        -1,         -1        },
    {"torture_semicolon_in_user",        0,   NULL,                                       "example.com", NULL,                                             NULL, 1, 0, 0, 8,          -1,         -1        },
    {"torture_trailing_bytes",           0,   NULL,                                       "example.com", "sip:j.user@host.example.com",                    NULL, 1, 1, 0,
     8,                                                                                                                                                                               -1,         -1        },
    {"torture_contact_question_quoted",  0,   NULL,                                       "example.com",
     "sip:user@example.com?Route=%3Csip:sip.example.com%3E",                                                                                               NULL, 1, 1, 0, 1,          -1,         -1        },
    {"torture_contact_expires_overflow", 0,   NULL,                                       "example.com", "sip:alice@192.0.2.1",                            NULL, 1, 1,
     0,                                                                                                                                                                   1,          UINT32_MAX, UINT32_MAX},
    {"torture_reserved_require",         0,   NULL,                                       "example.com", "sip:alice@192.0.2.1:5060",                       NULL, 1, 1, 0,
     1,                                                                                                                                                                               -1,         -1        },
    {"torture_lower_case_method",        0,   NULL,                                       "example.com", NULL,                                             NULL, 1, 0, 0, 1,          -1,         -1        },
    {"torture_unterminated_quote",       400, "Bad To header",                            NULL,          NULL,                                             NULL, 1, 0, 0, 1,          -1,         -1        },
    {"torture_uri_in_brackets",          400, "Bad Request-URI",                          "example.com", NULL,                                             NULL, 1, 0, 0, 1,          -1,
     -1                                                                                                                                                                                                     },
    {"torture_space_in_uri",             400, "Bad Request-URI",                          "example.com", NULL,                                             NULL, 1, 0, 0, 1,          -1,         -1        },
    {"torture_double_space",             400, "Bad Request-URI",                          "example.com", NULL,                                             NULL, 1, 0, 0, 1,          -1,         -1        },
    {"torture_trailing_space",           400, "Bad request line",                         "example.com", NULL,                                             NULL, 1, 0, 0, 1,          -1,
     -1                                                                                                                                                                                                     },
    {"torture_version_7",                505, "Version Not Supported",                    "example.com", NULL,                                             NULL, 1, 0, 0, 1,          -1,
     -1                                                                                                                                                                                                     },
    {"torture_unknown_scheme",           416, "Unsupported URI Scheme",                   "example.com", NULL,                                             NULL, 1, 0, 0, 1,
     -1,                                                                                                                                                                                          -1        },
    {"torture_to_tel",                   416, "Unsupported URI Scheme",                   NULL,          NULL,                                             NULL, 1, 0, 0, 1,          -1,         -1        },
    {"torture_bad_via_params",           400, "Bad Via header",                           "example.com", NULL,                                             NULL, 2, 0, 0, 1,          -1,
     -1                                                                                                                                                                                                     },
    {"torture_negative_length",          400, "Bad Content-Length header",                "example.com", NULL,                                             NULL, 1, 0,
     0,                                                                                                                                                                   1,          -1,         -1        },
    {"torture_short_body",               400, "Body shorter than Content-Length",         "example.com", NULL,                                             NULL, 1, 0,
     0,                                                                                                                                                                   1,          -1,         -1        },
    {"torture_cseq_overflow",            400, "Bad CSeq header",                          "example.com", NULL,                                             NULL, 1, 0, 0, 0,          -1,
     -1                                                                                                                                                                                                     },
    {"torture_cseq_method",              400, "Method in CSeq differs from request",      "example.com", NULL,                                             NULL,
     1,                                                                                                                                                             0, 0, 8,          -1,         -1        },
    {"torture_no_essentials",            400, "Missing From header",                      NULL,          NULL,                                             NULL, 1, 0, 0, 0,          -1,         -1        },
    {"torture_two_of_each",              400, "Duplicate From header",                    "example.com", NULL,                                             NULL, 1, 0, 0, 1,          -1,
     -1                                                                                                                                                                                                     },
    {"torture_contact_question",         400, "Bad Contact header",                       "example.com", NULL,                                             NULL, 1, 0, 0, 1,
     -1,                                                                                                                                                                                          -1        },
    {"torture_line_feeds_only",          400, "Line ends must be CRLF",                   "example.com", NULL,                                             NULL, 1, 0, 0,
     1,                                                                                                                                                                               -1,         -1        },
    {"torture_no_empty_line",            400, "Missing empty line after headers",         "example.com", NULL,                                             NULL, 1,
     0,                                                                                                                                                                0, 1,          -1,         -1        },
    {"torture_line_without_colon",       400, "Header line without colon",                "example.com", NULL,                                             NULL, 1,
     0,                                                                                                                                                                0, 1,          -1,         -1        },
    {"torture_many_lines",               400, "Too many header lines",                    "example.com", NULL,                                             NULL, 1, 0, 0, 1,          -1,
     -1                                                                                                                                                                                                     },
    {"torture_wildcard_and_contact",     400, "Contact with wildcard and other contacts", "example.com",
     NULL,                                                                                                                                                 NULL, 1, 0, 0, 1,          -1,         -1        },
    {"torture_no_via",                   0,   "Missing Via header",                       "example.com", NULL,                                             NULL, 0, 0, 0, 1,          -1,         -1        },
    {"torture_via_without_host",         0,   "Bad Via header",                           "example.com", NULL,                                             NULL, 0, 0, 0, 1,          -1,
     -1                                                                                                                                                                                                     },
    {"torture_nul_in_via",               0,   "Control character in header",              "example.com", NULL,                                             NULL, 0, 0, 0, 1,
     -1,                                                                                                                                                                                          -1        },
    {"torture_malformed_ack",            0,   "Missing From tag",                         "example.com", NULL,                                             NULL, 1, 0, 0, 1,          -1,         -1        },
    {"torture_response",                 0,   "No SIP request",                           NULL,          NULL,                                             NULL, 0, 0, 0, 0,          -1,         -1        },
    {"torture_http",                     0,   "Bad request line",                         NULL,          NULL,                                             NULL, 0, 0, 0, 0,          -1,         -1        },
    {"torture_tls_hello",                0,   "No SIP request",                           NULL,          NULL,                                             NULL, 0, 0, 0, 0,          -1,         -1        },
    {"torture_keepalive",                0,   "No SIP request",                           NULL,          NULL,                                             NULL, 0, 0, 0, 0,          -1,         -1        },
 /* and of RFC 5118 */
    {"ipv6_register",                    0,   NULL,                                       "example.com", "sip:user@[2001:db8::9:1]",                       NULL, 1, 1, 0, 98176,      -1,
     -1                                                                                                                                                                                                     },
    {"ipv6_port_ambiguous",              0,   NULL,                                       "example.com", "sip:user@[2001:db8::9:1]",                       NULL, 1, 1, 0,
     98176,                                                                                                                                                                           -1,         -1        },
    {"ipv6_received",                    0,   NULL,                                       "example.com", "sip:user@[2001:db8::9:1]",                       NULL, 1, 1, 0, 98176,      -1,
     -1                                                                                                                                                                                                     },
    {"ipv6_received_plain",              0,   NULL,                                       "example.com", "sip:user@[2001:db8::9:1]",                       NULL, 1, 1, 0,
     98176,                                                                                                                                                                           -1,         -1        },
    {"ipv6_mapped",                      0,   NULL,                                       "example.com", "sip:user@[::ffff:192.0.2.1]:5060",               NULL, 1, 1, 0,
     98176,                                                                                                                                                                           -1,         -1        },
    {"ipv6_no_brackets",                 400, "Bad Request-URI",                          "example.com", NULL,                                             NULL, 1, 0, 0, 98176,      -1,         -1        },
    {"ipv6_zone_in_contact",             400, "Bad Contact URI",                          "example.com", NULL,                                             NULL, 1, 0, 0, 98176,      -1,
     -1                                                                                                                                                                                                     },
};

static struct str read_file(const char *name, char memory[MESSAGE_BYTES])
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.sip", SIP_FILES, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("%s: cannot be read", path);
    size_t len = fread(memory, 1, MESSAGE_BYTES, f);
    fclose(f);
    return (struct str){memory, len};
}

static bool is_as_expected(const struct file_row *row, bool ok, const struct sip_request *r,
                           const struct sip_fault *fault)
{
    const struct sip_contact none = {.expires_s = -1};
    const struct sip_contact *contact = ok && r->contact_count > 0 ? r->contacts : &none;
    return ok == (row->reason == NULL) && fault->status == row->status &&
           is(str_from(fault->reason), row->reason) && is(r->to_uri.host, row->to_host) &&
           is(contact->uri.text, row->contact) && is(contact->instance, row->instance) &&
           r->via_count == row->vias && r->cseq == row->cseq &&
           (!ok || (r->contact_count == row->contacts && r->path_count == row->paths)) &&
           contact->expires_s == row->contact_expires_s &&
           (r->has_expires ? (int64_t)r->expires_s : -1) == row->expires_s;
}

static void reads_files(void **state)
{
    (void)state;
    static char memory[MESSAGE_BYTES];
    for (size_t i = 0; i < COUNT(files); i++) {
        struct arena arena;
        struct sip_request request;
        struct sip_fault fault;
        assert_int_equal(arena_init(&arena, ARENA_BYTES, MESSAGE_BYTES), 0);
        bool ok = sip_parse(read_file(files[i].file, memory), &arena, &request, &fault);
        if (!is_as_expected(&files[i], ok, &request, &fault))
            fail_msg("%s: got %d %s", files[i].file, fault.status,
                     fault.reason ? fault.reason : "(well-formed)");
        arena_fini(&arena);
    }
}

/* A new file without a row would be a test that tests nothing. */
static void has_row_for_every_file(void **state)
{
    (void)state;
    DIR *folder = opendir(SIP_FILES);
    assert_non_null(folder);
    struct dirent *entry;
    while ((entry = readdir(folder))) {
        struct str name = str_from(entry->d_name);
        if (!str_ends_nocase(name, STR(".sip")))
            continue;
        bool is_listed = false;
        for (size_t i = 0; i < COUNT(files); i++)
            is_listed |= is(str_slice(name, 0, name.len - 4), files[i].file);
        if (!is_listed)
            fail_msg("%s has no row", entry->d_name);
    }
    closedir(folder);
}

/* ---- One header at a time ------------------------------------------------------------------ */

struct parsed {
    char message[MESSAGE_BYTES];
    struct arena arena;
    struct sip_request request;
    struct sip_fault fault;
    bool ok;
};

/* A REGISTER in which the lines of header `drop` are missing and `add` stands in addition. */
static struct parsed *parse(const char *drop, const char *add)
{
    static const char *const line[] = {
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n",
        "From: <sip:alice@example.com>;tag=1\r\n",
        "To: <sip:alice@example.com>\r\n",
        "Call-ID: a@b\r\n",
        "CSeq: 1 REGISTER\r\n",
        "Contact: <sip:alice@192.0.2.1>\r\n",
    };
    struct parsed *p = calloc(1, sizeof *p);
    assert_non_null(p);
    struct buf b;
    buf_init_fixed(&b, p->message, sizeof p->message);
    buf_put_text(&b, "REGISTER sip:example.com SIP/2.0\r\n");
    for (size_t i = 0; i < COUNT(line); i++)
        if (!drop || strncmp(line[i], drop, strlen(drop)) != 0)
            buf_put_text(&b, line[i]);
    buf_put_text(&b, add);
    buf_put_text(&b, "\r\n");
    assert_int_equal(b.error, 0);
    assert_int_equal(arena_init(&p->arena, ARENA_BYTES, 2 * MESSAGE_BYTES), 0);
    p->ok = sip_parse(buf_str(&b), &p->arena, &p->request, &p->fault);
    return p;
}

static void release(struct parsed *p)
{
    arena_fini(&p->arena);
    free(p);
}

static void names_faults(void **state)
{
    (void)state;
    static const struct {
        const char *drop, *add;
        int status;
        const char *reason; /* NULL: well-formed */
    } row[] = {
        {NULL,      "",                                                                 0,   NULL                                      },
 /* essentials */
        {"From",    "",                                                                 400, "Missing From header"                     },
        {"To",      "",                                                                 400, "Missing To header"                       },
        {"Call-ID", "",                                                                 400, "Missing Call-ID header"                  },
        {"CSeq",    "",                                                                 400, "Missing CSeq header"                     },
        {NULL,      "f: <sip:a@h>;tag=2\r\n",                                           400, "Duplicate From header"                   },
        {NULL,      "t: <sip:a@h>\r\n",                                                 400, "Duplicate To header"                     },
        {NULL,      "I: x\r\n",                                                         400, "Duplicate Call-ID header"                },
        {NULL,      "cseq: 2 REGISTER\r\n",                                             400, "Duplicate CSeq header"                   },
        {NULL,      "Max-Forwards: 1\r\nMax-Forwards: 1\r\n",                           400, "Duplicate Max-Forwards header"           },
        {NULL,      "Expires: 1\r\nExpires: 1\r\n",                                     400, "Duplicate Expires header"                },
        {NULL,      "l: 0\r\nContent-Length: 0\r\n",                                    400, "Duplicate Content-Length header"         },
        {"From",    "From:\r\n",                                                        400, "Bad From header"                         },
        {"From",    "From: <sip:a@h>\r\n",                                              400, "Missing From tag"                        },
        {"From",    "From: <sip:a@h>;tag=\r\n",                                         400, "Bad From header"                         },
        {"From",    "From: <sip:a@h>;tag=1;tag=2\r\n",                                  400, "Bad From header"                         },
        {"From",    "From: <sip:a@h>x;tag=1\r\n",                                       400, "Bad From header"                         },
        {"From",    "From: <sip:a@h;tag=1\r\n",                                         400, "Bad From header"                         },
        {"From",    "From: sip:x@y <sip:a@h>;tag=1\r\n",                                400, "Bad From header"                         },
        {"From",    "From: <sip:a b@h>;tag=1\r\n",                                      400, "Bad From URI"                            },
        {"From",    "From: <tel:+49301234>;tag=1\r\n",                                  0,   NULL                                      },
        {"From",    "From: J\xc3\xb6rg (101) <sip:a@h>;tag=1\r\n",                      0,   NULL                                      },
        {"To",      "To: <sip:a@h..>\r\n",                                              400, "Bad To URI"                              },
        {"To",      "To: <mailto:a@h>\r\n",                                             416, "Unsupported URI Scheme"                  },
        {"Call-ID", "Call-ID:\r\n",                                                     400, "Bad Call-ID header"                      },
        {"Call-ID", "Call-ID: a b\r\n",                                                 400, "Bad Call-ID header"                      },
        {"Call-ID", "Call-ID: \xc3\xa4\r\n",                                            400, "Bad Call-ID header"                      },
        {"CSeq",    "CSeq: 1\r\n",                                                      400, "Bad CSeq header"                         },
        {"CSeq",    "CSeq: REGISTER\r\n",                                               400, "Bad CSeq header"                         },
        {"CSeq",    "CSeq: -1 REGISTER\r\n",                                            400, "Bad CSeq header"                         },
        {"CSeq",    "CSeq: 2147483648 REGISTER\r\n",                                    400, "Bad CSeq header"                         },
        {"CSeq",    "CSeq: 1 REGISTER x\r\n",                                           400, "Bad CSeq header"                         },
        {"CSeq",    "CSeq: 1 register\r\n",                                             400, "Method in CSeq differs from request"     },
        {"CSeq",    "CSeq: \t0000000001 \t REGISTER\r\n",                               0,   NULL                                      },
 /* Via: 0 is silence */
        {"Via",     "",                                                                 0,   "Missing Via header"                      },
        {"Via",     "Via:\r\n",                                                         0,   "Bad Via header"                          },
        {"Via",     "Via: ,SIP/2.0/UDP h\r\n",                                          0,   "Bad Via header"                          },
        {"Via",     "Via: SIP/2.0 h\r\n",                                               0,   "Bad Via header"                          },
        {"Via",     "Via: SIP/2.0/U\"DP h\r\n",                                         0,   "Bad Via header"                          },
        {"Via",     "Via: SIP/2.0/UDP a b\r\n",                                         0,   "Bad Via header"                          },
        {"Via",     "Via: SIP/2.0/UDP h (by me)\r\n",                                   0,   "Bad Via header"                          },
        {"Via",     "Via: SIP/2.0/UDP h:0\r\n",                                         0,   "Bad Via header"                          },
        {"Via",     "Via: SIP/2.0/UDP h:99999\r\n",                                     0,   "Bad Via header"                          },
        {"Via",     "Via: SIP/2.0/UDP h:5060:5061\r\n",                                 0,   "Bad Via header"                          },
        {"Via",     "Via: SIP/2.0/UDP h:\r\n",                                          0,   "Bad Via header"                          },
        {"Via",     "Via: SIP/2.0/UDP 2001:db8::1\r\n",                                 0,   "Bad Via header"                          },
        {"Via",     "Via: SIP/2.0/UDP x[2001:db8::1]y:5060\r\n",                        0,   "Bad Via header"                          },
        {"Via",     "Via: SIP/2.0/UDP [192.0.2.1]\r\n",                                 0,   "Bad Via header"                          },
        {"Via",     "Via: SIP/2.0/UDP h%41\r\n",                                        0,   "Bad Via header"                          },
        {"Via",     "Via: SIP/2.0/UDP h;branch=\"x\r\n",                                400, "Bad Via header"                          },
        {"Via",     "Via: SIP/2.0/UDP h;branch=z9;rport=;x=\"a;b,c\"\r\n",              0,   NULL                                      },
        {"Via",     "Via: SIP\t/ 2.0\t/\tTCP\t [2001:db8::1] \t:\t 5060\t;\trport\r\n", 0,   NULL                                      },
        {NULL,      "Via: nonsense\r\n",                                                400, "Bad Via header"                          },
 /* lines */
        {NULL,      "nonsense\r\n",                                                     400, "Header line without colon"               },
        {NULL,      ": x\r\n",                                                          400, "Bad header name"                         },
        {NULL,      "a b: x\r\n",                                                       400, "Bad header name"                         },
        {NULL,      "X: \x01\r\n",                                                      400, "Control character in header"             },
        {NULL,      "X: \x7f\r\n",                                                      400, "Control character in header"             },
        {NULL,      "X: a\rb\r\n",                                                      400, "Control character in header"             },
        {NULL,      "X: a\r\n b\nY: c\r\n",                                             400, "Line ends must be CRLF"                  },
        {NULL,      "X\t : a\r\n\t\r\n b\r\n",                                          0,   NULL                                      },
 /* any request */
        {NULL,      "Max-Forwards: 0\r\n",                                              0,   NULL                                      },
        {NULL,      "Max-Forwards: 255\r\n",                                            0,   NULL                                      },
        {NULL,      "Max-Forwards: 256\r\n",                                            400, "Bad Max-Forwards header"                 },
        {NULL,      "Max-Forwards: -1\r\n",                                             400, "Bad Max-Forwards header"                 },
        {NULL,      "Max-Forwards:\r\n",                                                400, "Bad Max-Forwards header"                 },
        {NULL,      "Content-Length: 1\r\n",                                            400, "Body shorter than Content-Length"        },
        {NULL,      "Content-Length: 99999999999999999999\r\n",                         400, "Body shorter than Content-Length"        },
        {NULL,      "Content-Length: 0x0\r\n",                                          400, "Bad Content-Length header"               },
        {NULL,      "Require: a b\r\n",                                                 400, "Bad Require header"                      },
        {NULL,      "Expires: 99999999999999999999\r\n",                                0,   NULL                                      },
        {NULL,      "Expires: 1.5\r\n",                                                 400, "Bad Expires header"                      },
        {NULL,      "Expires:\r\n",                                                     400, "Bad Expires header"                      },
        {NULL,      "Expires: -1\r\n",                                                  400, "Bad Expires header"                      },
 /* Contact */
        {"Contact", "Contact:\r\n",                                                     400, "Empty Contact header"                    },
        {"Contact", "Contact: <sip:a@h>,\r\n",                                          400, "Empty Contact header"                    },
        {"Contact", "Contact: *\r\n",                                                   0,   NULL                                      },
        {NULL,      "Contact: *\r\n",                                                   400, "Contact with wildcard and other contacts"},
        {"Contact", "Contact: *, *\r\n",                                                400, "Contact with wildcard and other contacts"},
        {"Contact", "Contact: *;expires=0\r\n",                                         400, "Bad Contact URI"                         },
        {NULL,      "Contact: <tel:1>\r\n",                                             400, "Contact must be a sip or sips URI"       },
        {NULL,      "Contact: <>\r\n",                                                  400, "Bad Contact URI"                         },
        {NULL,      "Contact: <sip:a@h\r\n",                                            400, "Bad Contact header"                      },
        {NULL,      "Contact: < sip:a@h>\r\n",                                          400, "Bad Contact URI"                         },
        {NULL,      "Contact: <sip:a#b@h>\r\n",                                         400, "Bad Contact URI"                         },
        {NULL,      "Contact: \"x\" sip:a@h\r\n",                                       400, "Bad Contact header"                      },
        {NULL,      "Contact: \"x <sip:a@h>\r\n",                                       400, "Bad Contact header"                      },
        {NULL,      "Contact: sip:a@h?x=y\r\n",                                         400, "Bad Contact header"                      },
        {NULL,      "Contact: Bell, A <sip:a@h>\r\n",                                   400, "Bad Contact URI"                         },
        {NULL,      "Contact: <sip:a@h> junk\r\n",                                      400, "Bad Contact header"                      },
        {NULL,      "Contact: <sip:a@h>;\r\n",                                          400, "Bad Contact header"                      },
        {NULL,      "Contact: <sip:a@h>;;q=1\r\n",                                      400, "Bad Contact header"                      },
        {NULL,      "Contact: <sip:a@h>;x=\"y\r\n",                                     400, "Bad Contact header"                      },
        {NULL,      "Contact: <sip:a@h>;expires\r\n",                                   400, "Missing Contact parameter value"         },
        {NULL,      "Contact: <sip:a@h>;expires=\r\n",                                  400, "Missing Contact parameter value"         },
        {NULL,      "Contact: <sip:a@h>;x=\r\n",                                        400, "Missing Contact parameter value"         },
        {NULL,      "Contact: <sip:a@h>;q=;expires=1\r\n",                              400, "Missing Contact parameter value"         },
        {NULL,      "Contact: <sip:a@h>;expires=x\r\n",                                 400, "Bad Contact expires parameter"           },
        {NULL,      "Contact: <sip:a@h>;expires=-1\r\n",                                400, "Bad Contact expires parameter"           },
        {NULL,      "Contact: <sip:a@h>;expires=\"60\"\r\n",                            400, "Bad Contact expires parameter"           },
        {NULL,      "Contact: <sip:a@h>;q=1.001\r\n",                                   400, "Bad Contact q parameter"                 },
        {NULL,      "Contact: <sip:a@h>;q=2\r\n",                                       400, "Bad Contact q parameter"                 },
        {NULL,      "Contact: <sip:a@h>;q=.5\r\n",                                      400, "Bad Contact q parameter"                 },
        {NULL,      "Contact: <sip:a@h>;q=0.1234\r\n",                                  400, "Bad Contact q parameter"                 },
        {NULL,      "Contact: <sip:a@h>;q=0x1\r\n",                                     400, "Bad Contact q parameter"                 },
        {NULL,      "Contact: <sip:a@h>;q=0.-1\r\n",                                    400, "Bad Contact q parameter"                 },
        {NULL,      "Contact: <sip:a@h>;+sip.instance=x\r\n",                           400, "Bad Contact sip.instance parameter"      },
        {NULL,      "Contact: <sip:a@h>;+sip.instance=\"\"\r\n",                        400,
         "Bad Contact sip.instance parameter"                                                                                          },
        {NULL,      "Contact: <sip:a@h>;+sip.instance=\"\xff\"\r\n",                    400,
         "Bad Contact sip.instance parameter"                                                                                          },
        {NULL,      "Contact: <sip:a@h>;+sip.instance=\"a\tb\"\r\n",                    400,
         "Bad Contact sip.instance parameter"                                                                                          },
        {NULL,      "Contact: <sip:a@h>;+sip.instance\r\n",                             400, "Missing Contact parameter value"         },
        {NULL,      "Contact: <sip:a@h>;reg-id=0\r\n",                                  400, "Bad Contact reg-id parameter"            },
        {NULL,      "Contact: <sip:a@h>;reg-id=2147483648\r\n",                         400, "Bad Contact reg-id parameter"            },
        {NULL,      "Contact: <sip:a@h>;q=1;Q=1\r\n",                                   400, "Duplicate Contact parameter"             },
        {NULL,      "Contact: <sip:a@h>;x;x=1\r\n",                                     400, "Duplicate Contact parameter"             },
 /* Path */
        {NULL,      "Path: <sip:p;lr>\r\n",                                             0,   NULL                                      },
        {NULL,      "Path:\r\n",                                                        400, "Bad Path header"                         },
        {NULL,      "Path: sip:p;lr\r\n",                                               400, "Bad Path header"                         },
        {NULL,      "Path: <tel:1>\r\n",                                                400, "Bad Path header"                         },
        {NULL,      "Path: <sip:p;lr>,\r\n",                                            400, "Bad Path header"                         },
        {NULL,      "Path: <sip:p;lr>;x=\r\n",                                          400, "Bad Path header"                         },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        struct parsed *p = parse(row[i].drop, row[i].add);
        if (p->ok != (row[i].reason == NULL) || p->fault.status != row[i].status ||
            !is(str_from(p->fault.reason), row[i].reason))
            fail_msg("%s: got %d %s", row[i].add, p->fault.status,
                     p->fault.reason ? p->fault.reason : "(well-formed)");
        release(p);
    }
}

static void reads_contacts(void **state)
{
    (void)state;
    static const struct {
        const char *contact, *uri, *instance;
        uint32_t reg_id;
        int32_t q_milli;
        int64_t expires_s;
    } row[] = {
        {"<sip:a@h>",                                                 "sip:a@h",          NULL,              0, -1,   -1        },
        {"sip:a@h",                                                   "sip:a@h",          NULL,              0, -1,   -1        },
        {"sip:a@h;expires=60;transport=ws",                           "sip:a@h",          NULL,              0, -1,   60        },
        {"SIPS:a@h",                                                  "SIPS:a@h",         NULL,              0, -1,   -1        },
        {"<sip:%61%2c@H;X=y>;Expires=0",                              "sip:%61%2c@H;X=y", NULL,              0, -1,   0         },
        {"A B.C <sip:a@h>;q=0",                                       "sip:a@h",          NULL,              0, 0,    -1        },
        {"\"<sip:no@no>, \\\" ;\"<sip:a@h>;q=0.5",                    "sip:a@h",          NULL,              0, 500,  -1        },
        {"\xc3\xa4 <sip:a@h>\t;\tq\t=\t1.",                           "sip:a@h",          NULL,              0, 1000, -1        },
        {"<sip:a@h>;q=1.000;expires=4294967296",                      "sip:a@h",          NULL,              0, 1000, UINT32_MAX},
        {"<sip:a@h>;q=0.007",                                         "sip:a@h",          NULL,              0, 7,    -1        },
        {"<sip:a@h>;reg-id=3",                                        "sip:a@h",          NULL,              0, -1,   -1        }, /* nothing without an instance */
        {"<sip:a@h>;reg-id=2147483647;+SIP.instance=\" <x;,> \\\"\"", "sip:a@h",          "\" <x;,> \\\"\"",
         2147483647,                                                                                            -1,   -1        },
        {"<sip:a@h>;+sip.ice;pn-prid=a:b=;x=\"y\"",                   "sip:a@h",          NULL,              0, -1,   -1        },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        char line[256];
        snprintf(line, sizeof line, "m: %s\r\n", row[i].contact);
        struct parsed *p = parse("Contact", line);
        const struct sip_contact *c = p->request.contacts;
        if (!p->ok || p->request.contact_count != 1 || !is(c->uri.text, row[i].uri) ||
            !is(c->instance, row[i].instance) || c->reg_id != row[i].reg_id ||
            c->q_milli != row[i].q_milli || c->expires_s != row[i].expires_s)
            fail_msg("%s: %s", row[i].contact,
                     p->fault.reason ? p->fault.reason : "read otherwise");
        release(p);
    }
}

static void reads_several_values(void **state)
{
    (void)state;
    struct parsed *p =
        parse("Contact",
              "Contact: <sip:a@h>;x=\",\",\"a,b\" <sip:b@h>\r\n"
              "X: y\r\n"
              "m: <sip:c@h>\r\n"
              "Via: SIP/2.0/WSS [2001:db8::1]:443;branch=z9;rport=7 , SIP/2.0/TCP c.d.\r\n"
              "Path: <sip:p1;lr> ,\"x, y\" <sip:p2;lr>;z\r\n"
              "Path: <sips:p3>\r\n"
              "k: replaces,OutBound\r\nSupported:\r\nsupported: gruu\r\n"
              "Require: Path , 100rel\r\nrequire: x,gruu,y\r\n"
              "Authorization: Digest username=\"a, b\"\r\n"
              "authorization: Bearer x\r\n"
              "User-Agent: one/1 (\"two\")\r\n"
              "Content-Length: 0\r\n");
    const struct sip_request *r = &p->request;
    assert_true(p->ok);
    assert_int_equal(r->contact_count, 3);
    assert_true(is(r->contacts[1].uri.user, "b"));
    assert_true(is(r->contacts[2].uri.user, "c"));
    assert_int_equal(r->via_count, 3);
    assert_true(is(r->via[0].host, "192.0.2.1") && r->via[0].host_is_ip && r->via[0].port == 0);
    assert_true(is(r->via[0].branch, "z9hG4bK1") && !r->via[0].has_rport);
    assert_true(is(r->via[1].text, "SIP/2.0/WSS [2001:db8::1]:443;branch=z9;rport=7"));
    assert_true(is(r->via[1].transport, "WSS") && is(r->via[1].host, "2001:db8::1"));
    assert_true(r->via[1].host_is_ip && r->via[1].port == 443 && r->via[1].has_rport);
    assert_true(is(r->via[2].host, "c.d.") && !r->via[2].host_is_ip && !r->via[2].has_rport);
    assert_true(is(r->via[2].branch, ""));
    assert_int_equal(r->path_count, 3);
    assert_true(is(r->paths[0], "<sip:p1;lr>"));
    assert_true(is(r->paths[1], "\"x, y\" <sip:p2;lr>;z"));
    assert_true(is(r->paths[2], "<sips:p3>"));
    assert_true(r->supports_outbound && r->supports_gruu && !r->supports_path);
    assert_true(is(r->unsupported, "100rel, x, y"));
    assert_int_equal(r->authorization_count, 2);
    assert_true(is(r->authorizations[0], "Digest username=\"a, b\""));
    assert_true(is(r->authorizations[1], "Bearer x"));
    assert_true(is(r->user_agent, "one/1 (\"two\")"));
    release(p);
}

/* A plain sent-by is read by ourselves, one with blanks in it by the library: to the same end. */
static void reads_via_alike(void **state)
{
    (void)state;
    static const struct {
        const char *by;
        const char *host;
        uint16_t port;
        bool is_ip;
    } row[] = {
        {"h",               "h",            0,     false},
        {"h:5060",          "h",            5060,  false},
        {"h:0005060",       "h",            5060,  false},
        {"a_b.example:1",   "a_b.example",  1,     false},
        {"-.x-",            "-.x-",         0,     false},
        {"192.0.2.1",       "192.0.2.1",    0,     true },
        {"192.0.2.1:65535", "192.0.2.1",    65535, true },
        {"192.0.2.01",      "192.0.2.01",   0,     false},
        {"192.0.2.256",     "192.0.2.256",  0,     false},
        {"1234.invalid",    "1234.invalid", 0,     false},
        {"h:0",             NULL,           0,     false},
        {"h:65536",         NULL,           0,     false},
        {"h:",              NULL,           0,     false},
        {"h:5a",            NULL,           0,     false},
        {"h%41",            NULL,           0,     false},
        {":5060",           NULL,           0,     false},
    };
    static const char *const spelling[] = {"SIP/2.0/UDP ", "SIP / 2.0/\tUDP \t "};
    for (size_t i = 0; i < COUNT(row); i++)
        for (size_t k = 0; k < COUNT(spelling); k++) {
            char line[100];
            snprintf(line, sizeof line, "Via: %s%s;branch=z9\r\n", spelling[k], row[i].by);
            struct parsed *p = parse("Via", line);
            const struct sip_via *via = &p->request.via[0];
            bool is_right =
                !row[i].host ? !p->ok && p->fault.status == 0
                             : p->ok && is(via->transport, "UDP") && is(via->host, row[i].host) &&
                                   via->port == row[i].port && via->host_is_ip == row[i].is_ip;
            if (!is_right)
                fail_msg("%s%s", spelling[k], row[i].by);
            release(p);
        }
}

static void caps_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *drop, *line;
        size_t most;
        const char *reason;
    } row[] = {
        {"Contact", "Contact: <sip:a@h>\r\n",        SIP_MAX_CONTACTS,         "Too many contacts"    },
        {"Via",     "Via: SIP/2.0/UDP h\r\n",        SIP_MAX_VIAS,             "Too many Via values"  },
        {NULL,      "Path: <sip:p;lr>\r\n",          SIP_MAX_PATHS,            "Too many Path values" },
        {NULL,      "Authorization: Digest a=b\r\n", SIP_MAX_AUTHORIZATIONS,
         "Too many Authorization headers"                                                             },
        {NULL,      "X: y\r\n",                      SIP_MAX_HEADER_LINES - 6, "Too many header lines"},
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        for (size_t extra = 0; extra < 2; extra++) {
            char lines[16384];
            struct buf b;
            buf_init_fixed(&b, lines, sizeof lines);
            for (size_t n = 0; n < row[i].most + extra; n++)
                buf_put_text(&b, row[i].line);
            buf_put_char(&b, 0);
            struct parsed *p = parse(row[i].drop, lines);
            if (!is(str_from(p->fault.reason), extra ? row[i].reason : NULL))
                fail_msg("%s with %zu extra: %s", row[i].reason, extra,
                         p->fault.reason ? p->fault.reason : "(well-formed)");
            release(p);
        }
    }
}

/* What an answer needs is read, wherever it stands and whatever else is wrong. */
static void reads_on_after_fault(void **state)
{
    (void)state;
    struct arena arena;
    struct sip_request r;
    struct sip_fault fault;
    assert_int_equal(arena_init(&arena, ARENA_BYTES, ARENA_BYTES), 0);
    assert_false(sip_parse(STR("REGISTER tel:1 SIP/3.0\r\nnonsense\r\nMax-Forwards: x\r\n"
                               "To: \"broken\r\nCSeq: x\r\nX: \001\r\nCall-ID: c d\n"
                               "From: <sip:a@h>\r\nVia: SIP/2.0/UDP h;rport\r\n"),
                           &arena, &r, &fault));
    assert_int_equal(fault.status, 505);
    assert_true(r.method == SIP_METHOD_REGISTER && r.via_count == 1 && r.via[0].has_rport);
    assert_true(is(r.from, "<sip:a@h>") && is(r.to, "\"broken"));
    assert_true(is(r.call_id, "c d") && is(r.cseq_text, "x"));
    arena_fini(&arena);
}

static void reads_body(void **state)
{
    (void)state;
    static const struct {
        const char *tail, *body; /* NULL: refused */
    } row[] = {
        {"\r\nabc",                         "abc"},
        {"Content-Length: 2\r\n\r\nabc",    "ab" },
        {"Content-Length: 0003\r\n\r\nabc", "abc"},
        {"Content-Length: 4\r\n\r\nabc",    NULL },
    };
    for (size_t i = 0; i < COUNT(row); i++) {
        char message[512];
        struct arena arena;
        struct sip_request r;
        struct sip_fault fault;
        int len =
            snprintf(message, sizeof message,
                     "OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@h>;tag=1\r\n"
                     "To: <sip:h>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n%s",
                     row[i].tail);
        assert_int_equal(arena_init(&arena, ARENA_BYTES, ARENA_BYTES), 0);
        bool ok = sip_parse((struct str){message, (size_t)len}, &arena, &r, &fault);
        if (ok != (row[i].body != NULL) || !is(r.body, row[i].body))
            fail_msg("%s", row[i].tail);
        arena_fini(&arena);
    }
}

/* Every place where the arena may run dry is survived, and said. */
static void survives_small_arena(void **state)
{
    (void)state;
    static char memory[MESSAGE_BYTES];
    static const char *const file[] = {"torture_spacing", "proxied_register",
                                       "torture_reserved_require"};
    for (size_t i = 0; i < COUNT(file); i++) {
        struct str message = read_file(file[i], memory);
        bool ok = false;
        for (size_t max = 16; !ok; max += 16) {
            struct arena arena;
            struct sip_request request;
            struct sip_fault fault;
            assert_true(max < ARENA_BYTES);
            assert_int_equal(arena_init(&arena, 16, max), 0);
            ok = sip_parse(message, &arena, &request, &fault);
            assert_true(ok || fault.status == 503 || fault.status == 0);
            arena_fini(&arena);
        }
    }
}

/* Whatever is cut off or overwritten: no crash, no fault without a reason, and no reason that
 * browser libraries would drop. The sanitizers look on. */
static void survives_damage(void **state)
{
    (void)state;
    static char memory[MESSAGE_BYTES], copy[MESSAGE_BYTES];
    static const char damage[] = "\0\r\n\t :;,\"<>@%\\*[](=?/-9a\xff";
    for (size_t i = 0; i < COUNT(files); i++) {
        struct str message = read_file(files[i].file, memory);
        for (size_t at = 0; at < message.len; at++) {
            struct arena arena;
            struct sip_request request;
            struct sip_fault fault;
            memcpy(copy, message.ptr, message.len);
            copy[at] = damage[(at + i) % (sizeof damage - 1)];
            assert_int_equal(arena_init(&arena, ARENA_BYTES, MESSAGE_BYTES), 0);
            for (size_t len = at; len <= message.len; len += message.len - at) {
                bool ok = sip_parse((struct str){copy, len}, &arena, &request, &fault);
                assert_true(ok == (fault.reason == NULL));
                assert_true(ok || !strpbrk(fault.reason, "\"<>%\r\n"));
                assert_true(fault.status == 0 || request.via_count > 0);
            }
            sip_frame_next((struct str){copy, message.len}, MESSAGE_BYTES);
            arena_fini(&arena);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_files),          cmocka_unit_test(has_row_for_every_file),
        cmocka_unit_test(names_faults),         cmocka_unit_test(reads_contacts),
        cmocka_unit_test(reads_several_values), cmocka_unit_test(caps_numbers),
        cmocka_unit_test(reads_via_alike),      cmocka_unit_test(reads_on_after_fault),
        cmocka_unit_test(reads_body),           cmocka_unit_test(survives_small_arena),
        cmocka_unit_test(survives_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
