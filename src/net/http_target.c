/* What all requests of a lane have in common: where they go, whom to trust there, and the head that
 * stands before each body. */
#include "http_internal.h"
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>

enum {
    WHY_BYTES = 4608, /* a sentence with the longest file name */
    MAX_HEAD_BYTES = 32 << 10,
    MAX_CREDENTIALS = 6 << 10,
};

/* The texts are ours afterwards, also when memory was short for one. */
static int copy_options(struct http_lane_options *options, const struct http_lane_options *from)
{
    *options = *from;
    const char **texts[] = {&options->url, &options->username, &options->password,
                            &options->ca_file};
    int rc = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (*texts[i] && !(*texts[i] = strdup(*texts[i])))
            rc = -ENOMEM;
    return rc;
}

static int set_flaw(struct http_target *target, struct str why)
{
    target->flaw = strndup(why.ptr, why.len);
    return target->flaw ? 0 : -ENOMEM;
}

/* What is wrong is said without repeating the URL, which may hold a password. */
static int check_url(struct http_target *target, CURLUcode code)
{
    if (code == CURLUE_OK)
        return 0;
    if (code == CURLUE_OUT_OF_MEMORY)
        return -ENOMEM;
    char memory[WHY_BYTES];
    struct buf why;
    buf_init_fixed(&why, memory, sizeof memory);
    buf_printf(&why, "the URL cannot be used: %s", curl_url_strerror(code));
    return set_flaw(target, buf_str(&why));
}

static int set_url(struct http_target *target)
{
    target->url = curl_url();
    CURLUcode code = target->url ? curl_url_set(target->url, CURLUPART_URL, target->options.url, 0)
                                 : CURLUE_OUT_OF_MEMORY;
    return check_url(target, code);
}

/* ---- The head ------------------------------------------------------------------------------ */

enum part { SCHEME, USER, PASSWORD, HOST, PORT, PATH, QUERY, PARTS };

/* Those that are there, each to be freed with curl_free(). */
static int get_parts(struct http_target *target, char *part[PARTS])
{
    static const struct {
        CURLUPart part;
        unsigned flags;
        CURLUcode missing;
    } row[PARTS] = {
        [SCHEME] = {CURLUPART_SCHEME,   0,                     CURLUE_NO_SCHEME  },
        [USER] = {CURLUPART_USER,     CURLU_URLDECODE,       CURLUE_NO_USER    },
        [PASSWORD] = {CURLUPART_PASSWORD, CURLU_URLDECODE,       CURLUE_NO_PASSWORD},
        [HOST] = {CURLUPART_HOST,     CURLU_PUNYCODE,        CURLUE_NO_HOST    },
        [PORT] = {CURLUPART_PORT,     CURLU_NO_DEFAULT_PORT, CURLUE_NO_PORT    },
        [PATH] = {CURLUPART_PATH,     0,                     CURLUE_OK         },
        [QUERY] = {CURLUPART_QUERY,    0,                     CURLUE_NO_QUERY   },
    };
    for (size_t i = 0; i < PARTS; i++) {
        CURLUcode code = curl_url_get(target->url, row[i].part, &part[i], row[i].flags);
        if (code != CURLUE_OK && code != row[i].missing)
            return check_url(target, code);
    }
    return 0;
}

/* RFC 7617. */
static void put_basic(struct buf *b, struct str user, struct str password)
{
    unsigned char coded[(MAX_CREDENTIALS + 2) / 3 * 4 + 1];
    char memory[MAX_CREDENTIALS];
    struct buf plain;
    buf_init_fixed(&plain, memory, sizeof memory);
    buf_put_str(&plain, user);
    buf_put_char(&plain, ':');
    buf_put_str(&plain, password);
    int n = EVP_EncodeBlock(coded, (const unsigned char *)plain.data, (int)plain.len);
    buf_put_text(b, "Authorization: Basic ");
    buf_put(b, coded, (size_t)n);
    buf_put_text(b, "\r\n");
    if (plain.error)
        b->error = plain.error;
    explicit_bzero(memory, sizeof memory);
    explicit_bzero(coded, sizeof coded);
}

/* Name and password that are given on their own count more than those of the URL. */
static void put_head(struct http_target *target, char *const part[PARTS])
{
    struct buf *b = &target->head;
    const struct http_lane_options *options = &target->options;
    const char *user = options->username ? options->username : part[USER];
    const char *password =
        options->username && options->password ? options->password : part[PASSWORD];
    buf_printf(b, "POST %s%s%s HTTP/1.1\r\nHost: %s%s%s\r\n", part[PATH], part[QUERY] ? "?" : "",
               part[QUERY] ? part[QUERY] : "", part[HOST], part[PORT] ? ":" : "",
               part[PORT] ? part[PORT] : "");
    if (user || password)
        put_basic(b, str_from(user), str_from(password));
    buf_put_text(b, "User-Agent: aorta/" AORTA_VERSION "\r\nContent-Type: application/json\r\n"
                    "Accept: application/json\r\nContent-Length: ");
}

static int set_head(struct http_target *target)
{
    char *part[PARTS] = {NULL};
    int rc = get_parts(target, part);
    if (rc == 0 && !target->flaw) {
        target->is_tls = strcmp(part[SCHEME], "https") == 0;
        put_head(target, part);
        rc = target->head.error;
    }
    if (rc == -ENOSPC)
        rc = set_flaw(target, STR("the URL cannot be used: it or its password is too long"));
    for (size_t i = 0; i < PARTS; i++)
        curl_free(part[i]);
    return rc;
}

/* ---- The whole ----------------------------------------------------------------------------- */

/* A file that cannot be read is a flaw, rather than passed over. */
static int set_trust(struct http_target *target)
{
    char memory[WHY_BYTES];
    struct buf why;
    buf_init_fixed(&why, memory, sizeof memory);
    int rc = http_trust_load(target->options.ca_file, &target->trust, &why);
    return rc == -EINVAL ? set_flaw(target, buf_str(&why)) : rc;
}

int http_target_init(struct http_target *target, const struct http_lane_options *options)
{
    *target = (struct http_target){0};
    int rc = copy_options(&target->options, options);
    buf_init_secret(&target->head, MAX_HEAD_BYTES);
    if (rc == 0)
        rc = set_url(target);
    if (rc == 0 && !target->flaw)
        rc = set_head(target);
    if (rc == 0 && !target->flaw && target->is_tls)
        rc = set_trust(target);
    return rc;
}

void http_target_fini(struct http_target *target)
{
    struct http_lane_options *options = &target->options;
    if (options->password)
        explicit_bzero((char *)options->password, strlen(options->password));
    free((char *)options->url);
    free((char *)options->username);
    free((char *)options->password);
    free((char *)options->ca_file);
    curl_url_cleanup(target->url);
    buf_wipe(&target->head);
    X509_STORE_free(target->trust);
    free(target->flaw);
}
