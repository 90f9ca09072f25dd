/* A request as libcurl's transfer: how its handle is set up, what is taken of the answer and what
 * is too much, and how libcurl's many ways to fail become our few. */
#include "http_internal.h"
#include <errno.h>
#include <stdlib.h>

enum {
    MAX_HEADER_BYTES = 64 << 10, /* of one answer, with all of 1xx before it and trailers */
    KEPT_BODY_BYTES = 16 << 10,  /* what an exchange may hold on to until the next answer */
    USES_BEFORE_RESET = 100,
    WHY_BYTES = 4608, /* a sentence with the longest file name */
};

/* ---- Target -------------------------------------------------------------------------------- */

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

static int set_headers(struct http_target *target)
{
    /* With the last, libcurl never asks "Expect: 100-continue" before it sends a body. */
    static const char *const lines[] = {"Content-Type: application/json",
                                        "Accept: application/json", "Expect:"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct curl_slist *longer = curl_slist_append(target->headers, lines[i]);
        if (!longer)
            return -ENOMEM;
        target->headers = longer;
    }
    return 0;
}

static int set_flaw(struct http_target *target, struct str why)
{
    target->flaw = strndup(why.ptr, why.len);
    return target->flaw ? 0 : -ENOMEM;
}

/* What is wrong is said without repeating the URL, which may hold a password. */
static int set_url(struct http_target *target)
{
    target->url = curl_url();
    CURLUcode code = target->url ? curl_url_set(target->url, CURLUPART_URL, target->options.url, 0)
                                 : CURLUE_OUT_OF_MEMORY;
    if (code == CURLUE_OUT_OF_MEMORY)
        return -ENOMEM;
    if (code == CURLUE_OK)
        return 0;
    char memory[WHY_BYTES];
    struct buf why;
    buf_init_fixed(&why, memory, sizeof memory);
    buf_printf(&why, "the URL cannot be used: %s", curl_url_strerror(code));
    return set_flaw(target, buf_str(&why));
}

/* A file that cannot be read is a flaw, rather than passed over. */
static int set_trust(struct http_target *target)
{
    if (!str_starts_nocase(str_from(target->options.url), STR("https:")))
        return 0;
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
    if (rc == 0)
        rc = set_headers(target);
    if (rc == 0)
        rc = set_url(target);
    if (rc == 0 && !target->flaw)
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
    curl_slist_free_all(target->headers);
    X509_STORE_free(target->trust);
    free(target->flaw);
}

/* ---- Requests ------------------------------------------------------------------------------ */

uint64_t http_now_ms(void)
{
    return uv_hrtime() / 1000000; /* the loop's own time stands still during a turn */
}

void http_request_fail(const struct http_request *r, int error, const char *why)
{
    const struct http_answer answer = {.error = error,
                                       .why = why,
                                       .took_ms = (uint32_t)(http_now_ms() - r->posted_ms)};
    r->done(r->arg, &answer);
}

/* ---- Receiving ----------------------------------------------------------------------------- */

/* Called with one line each, which may be one of a 1xx answer before the real one, or a trailer. */
static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    struct http_exchange *x = arg;
    const struct str line = {data, size * count};
    if (str_is_empty(str_trim(line)))
        x->has_whole_head = true;
    else if (str_starts_nocase(line, STR("HTTP/")))
        x->has_whole_head = false;
    x->header_bytes += line.len;
    if (x->header_bytes <= MAX_HEADER_BYTES)
        return line.len;
    x->error = -EMSGSIZE;
    return 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct http_exchange *x = arg;
    buf_put(&x->body, data, size * count);
    if (x->body.error == 0)
        return size * count;
    x->error = x->body.error == -ENOSPC ? -EMSGSIZE : -ENOMEM;
    return 0;
}

/* ---- Handles ------------------------------------------------------------------------------- */

/* All that stays the same from request to request. */
static unsigned set_constants(CURL *easy)
{
    static const struct {
        CURLoption option;
        long value;
    } numbers[] = {
        {CURLOPT_NOSIGNAL,     1                      },
        {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1  },
        {CURLOPT_SSLVERSION,   CURL_SSLVERSION_TLSv1_2}, /* or later */
        {CURLOPT_TCP_NODELAY,  1                      },
        {CURLOPT_POST,         1                      },
        {CURLOPT_HTTPAUTH,     CURLAUTH_BASIC         }, /* at once, without waiting for a 401 */
        {CURLOPT_QUICK_EXIT,   1                      }, /* a lookup given up is not waited for */
    };
    static const struct {
        CURLoption option;
        const char *value;
    } texts[] = {
        {CURLOPT_PROTOCOLS_STR, "http,https"          },
        {CURLOPT_PROXY,         ""                    }, /* none, whatever the environment says */
        {CURLOPT_NOPROXY,       ""                    }, /* and do not ask it */
        {CURLOPT_USERAGENT,     "aorta/" AORTA_VERSION},
    };
    unsigned rc = 0;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        rc |= curl_easy_setopt(easy, numbers[i].option, numbers[i].value);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        rc |= curl_easy_setopt(easy, texts[i].option, texts[i].value);
    return rc;
}

static int configure(struct http_exchange *x)
{
    CURL *easy = x->easy;
    const struct http_target *target = x->target;
    const struct http_lane_options *options = &target->options;
    unsigned rc = set_constants(easy);
    rc |= curl_easy_setopt(easy, CURLOPT_CURLU, target->url);
    rc |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, target->headers);
    if (options->username)
        rc |= curl_easy_setopt(easy, CURLOPT_USERNAME, options->username);
    if (options->username && options->password)
        rc |= curl_easy_setopt(easy, CURLOPT_PASSWORD, options->password);
    rc |= curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)options->max_answer_bytes);
    rc |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    rc |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, x);
    rc |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    rc |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, x);
    rc |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, x->why);
    rc |= curl_easy_setopt(easy, CURLOPT_PRIVATE, x);
    rc |= http_wire_set_options(x->wire, easy);
    if (target->trust)
        rc |= http_trust_set_options(target->trust, easy);
    return rc == 0 ? 0 : -ENOMEM;
}

void http_exchange_free(struct http_exchange *x)
{
    curl_easy_cleanup(x->easy);
    buf_fini(&x->body);
    free(x);
}

struct http_exchange *http_exchange_new(const struct http_target *target, struct http_wire *wire)
{
    struct http_exchange *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->target = target;
    x->wire = wire;
    buf_init_heap(&x->body, target->options.max_answer_bytes);
    x->easy = curl_easy_init();
    if (x->easy && configure(x) == 0)
        return x;
    http_exchange_free(x);
    return NULL;
}

struct http_exchange *http_exchange_of(CURL *easy)
{
    char *x = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &x);
    return (struct http_exchange *)(void *)x;
}

int http_exchange_start(struct http_exchange *x, const struct http_request *r, int64_t timeout_ms)
{
    x->request = *r;
    x->error = 0;
    x->header_bytes = 0;
    x->has_whole_head = false;
    x->why[0] = 0;
    buf_clear(&x->body);
    curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS, r->body.len > 0 ? r->body.ptr : "");
    curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len);
    curl_easy_setopt(x->easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    return http_wire_start(x->wire, x->easy);
}

/* ---- Answers ------------------------------------------------------------------------------- */

static long info(const struct http_exchange *x, CURLINFO what)
{
    long value = 0;
    curl_easy_getinfo(x->easy, what, &value);
    return value;
}

static bool has_passed(const struct http_exchange *x, CURLINFO when)
{
    curl_off_t after_us = 0;
    curl_easy_getinfo(x->easy, when, &after_us);
    return after_us > 0;
}

static int error_of(const struct http_exchange *x, CURLcode result)
{
    if (x->error < 0)
        return x->error;
    switch (result) {
    case CURLE_OK: /* also when the server closes within the head */
        return x->has_whole_head && info(x, CURLINFO_RESPONSE_CODE) >= 200 ? 0 : -EIO;
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_FILESIZE_EXCEEDED:
        return -EMSGSIZE;
    case CURLE_OUT_OF_MEMORY: /* also when a header is longer than libcurl's own limit */
        return has_passed(x, CURLINFO_STARTTRANSFER_TIME_T) ? -EMSGSIZE : -ENOMEM;
    case CURLE_COULDNT_CONNECT:
        return info(x, CURLINFO_OS_ERRNO) == ECONNREFUSED ? -ECONNREFUSED : -EIO;
    default:
        return -EIO;
    }
}

static const char *why_of(const struct http_exchange *x, int error, CURLcode result)
{
    if (error == 0)
        return "answered";
    if (error == -EMSGSIZE)
        return "the answer is too long";
    if (result == CURLE_OK)
        return "the answer ends within its head";
    return x->why[0] ? x->why : curl_easy_strerror(result);
}

bool http_exchange_lacks_address(const struct http_exchange *x, CURLcode result)
{
    if (result == CURLE_OPERATION_TIMEDOUT)
        return !has_passed(x, CURLINFO_NAMELOOKUP_TIME_T);
    return result == CURLE_COULDNT_RESOLVE_HOST;
}

void http_exchange_answer(struct http_exchange *x, CURLcode result)
{
    int error = error_of(x, result);
    if (error < 0) {
        http_request_fail(&x->request, error, why_of(x, error, result));
        return;
    }
    const struct http_answer whole = {
        .why = why_of(x, 0, result),
        .status = (int)info(x, CURLINFO_RESPONSE_CODE),
        .body = buf_str(&x->body),
        .took_ms = (uint32_t)(http_now_ms() - x->request.posted_ms),
    };
    x->request.done(x->request.arg, &whole);
}

/* libcurl counts how often a handle found a kept connection dead and took another, over all of its
 * life, and fails what comes after the fifth time. A reset sets that to nought: after each new
 * connection, and now and then, as the other may have been a kept one, too. */
bool http_exchange_renew(struct http_exchange *x, CURLcode result)
{
    if (x->body.cap > KEPT_BODY_BYTES)
        buf_fini(&x->body);
    bool is_plain = result == CURLE_OK && info(x, CURLINFO_NUM_CONNECTS) == 0;
    if (is_plain && ++x->uses < USES_BEFORE_RESET)
        return true;
    x->uses = 0;
    curl_easy_reset(x->easy);
    return configure(x) == 0;
}
