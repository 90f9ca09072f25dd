/* A connection and the request on it: connected when there is a first request, kept for the next
 * ones, and connected anew when the server turns out to have closed it meanwhile. */
#include "http_internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    READ_BYTES = 16 << 10,
    KEPT_OUT_BYTES = 16 << 10, /* what an exchange may hold on to until the next request */
};

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

/* ---- Life ---------------------------------------------------------------------------------- */

/* libcurl connects only: names, addresses, TLS. */
static unsigned set_constants(CURL *easy)
{
    static const struct {
        CURLoption option;
        long value;
    } numbers[] = {
        {CURLOPT_CONNECT_ONLY, 1                      },
        {CURLOPT_NOSIGNAL,     1                      },
        {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1  },
        {CURLOPT_SSLVERSION,   CURL_SSLVERSION_TLSv1_2}, /* or later */
        {CURLOPT_TCP_NODELAY,  1                      },
        {CURLOPT_QUICK_EXIT,   1                      }, /* a lookup given up is not waited for */
    };
    static const struct {
        CURLoption option;
        const char *value;
    } texts[] = {
        {CURLOPT_PROTOCOLS_STR, "http,https"},
        {CURLOPT_PROXY,         ""          }, /* none, whatever the environment says */
        {CURLOPT_NOPROXY,       ""          }, /* and do not ask it */
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
    unsigned rc = set_constants(easy);
    rc |= curl_easy_setopt(easy, CURLOPT_CURLU, target->url);
    rc |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, x->why);
    rc |= curl_easy_setopt(easy, CURLOPT_PRIVATE, x);
    rc |= http_wire_set_options(x->wire, easy);
    if (target->trust)
        rc |= http_trust_set_options(target->trust, easy);
    return rc == 0 ? 0 : -ENOMEM;
}

/* Also a connection that is only on its way. */
static void disconnect(struct http_exchange *x)
{
    if (x->is_started)
        http_wire_stop(x->wire, x->easy);
    x->is_started = false;
    x->is_kept = false;
    x->link = NULL;
}

void http_exchange_free(struct http_exchange *x)
{
    if (!x)
        return;
    disconnect(x);
    curl_easy_cleanup(x->easy);
    buf_wipe(&x->out); /* Authorization is in it */
    http_reader_fini(&x->reader);
    free(x);
}

struct http_exchange *http_exchange_new(const struct http_target *target, struct http_wire *wire)
{
    struct http_exchange *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->target = target;
    x->wire = wire;
    buf_init_secret(&x->out, SIZE_MAX);
    http_reader_init(&x->reader, target->options.max_answer_bytes);
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

/* ---- Connecting ---------------------------------------------------------------------------- */

static enum http_progress fail(struct http_exchange *x, int error, const char *why)
{
    x->error = error;
    if (why != x->why)
        snprintf(x->why, sizeof x->why, "%s", why);
    return HTTP_ENDED;
}

static int connect_anew(struct http_exchange *x)
{
    disconnect(x);
    x->sent = 0;
    x->why[0] = 0;
    int64_t left_ms = http_request_left_ms(&x->request, x->target, http_now_ms());
    curl_easy_setopt(x->easy, CURLOPT_TIMEOUT_MS, (long)(left_ms > 0 ? left_ms : 1));
    int rc = http_wire_start(x->wire, x->easy);
    x->is_started = rc == 0;
    return rc;
}

static bool has_address(const struct http_exchange *x)
{
    curl_off_t after_us = 0;
    curl_easy_getinfo(x->easy, CURLINFO_NAMELOOKUP_TIME_T, &after_us);
    return after_us > 0;
}

static int error_of(const struct http_exchange *x, CURLcode result)
{
    long os_error = 0;
    switch (result) {
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_OUT_OF_MEMORY:
        return -ENOMEM;
    case CURLE_COULDNT_CONNECT:
        curl_easy_getinfo(x->easy, CURLINFO_OS_ERRNO, &os_error);
        return os_error == ECONNREFUSED ? -ECONNREFUSED : -EIO;
    default:
        return -EIO;
    }
}

/* ---- Sending ------------------------------------------------------------------------------- */

static void write_question(struct http_exchange *x)
{
    struct buf *out = &x->out;
    if (out->cap > KEPT_OUT_BYTES)
        buf_wipe(out);
    buf_clear(out);
    buf_put_str(out, buf_str(&x->target->head));
    buf_put_u64(out, x->request.body.len);
    buf_put_text(out, "\r\n\r\n");
    buf_put_str(out, x->request.body);
}

/* What the server has not seen, or not begun to answer on a connection that it had kept for long
 * enough, is sent again: nobody can say whether it was read. */
static enum http_progress lose(struct http_exchange *x, const char *why)
{
    bool is_sent_again = x->is_kept && !x->reader.has_begun;
    if (!is_sent_again)
        return fail(x, -EIO, why);
    return connect_anew(x) == 0 ? HTTP_GOES_ON : fail(x, -ENOMEM, "out of memory");
}

static enum http_progress send_rest(struct http_exchange *x)
{
    while (x->sent < x->out.len) {
        struct str rest = str_slice(buf_str(&x->out), x->sent, x->out.len);
        ssize_t n = http_link_send(x->link, rest);
        if (n == -EAGAIN)
            break;
        if (n < 0)
            return lose(x, "the connection was lost while the question was sent");
        x->sent += (size_t)n;
    }
    http_link_await_room(x->link, x->sent < x->out.len);
    return HTTP_GOES_ON;
}

int http_exchange_start(struct http_exchange *x, const struct http_request *r)
{
    x->request = *r;
    x->is_busy = true;
    x->error = 0;
    x->sent = 0;
    x->lacks_address = false;
    http_reader_begin(&x->reader);
    write_question(x);
    if (x->out.error)
        return -ENOMEM;
    if (!x->link)
        return connect_anew(x);
    return send_rest(x) == HTTP_GOES_ON ? 0 : -ENOMEM;
}

enum http_progress http_exchange_connected(struct http_exchange *x, struct http_link *link,
                                           CURLcode result)
{
    if (link) {
        x->link = link;
        return send_rest(x);
    }
    x->is_started = false;
    x->lacks_address = result == CURLE_COULDNT_RESOLVE_HOST ||
                       (result == CURLE_OPERATION_TIMEDOUT && !has_address(x));
    return fail(x, error_of(x, result), x->why[0] ? x->why : curl_easy_strerror(result));
}

/* ---- Receiving ----------------------------------------------------------------------------- */

static enum http_progress take_end(struct http_exchange *x)
{
    if (x->is_kept && !x->reader.has_begun)
        return lose(x, "");
    int rc = http_reader_end(&x->reader);
    return rc < 0 ? fail(x, rc, x->reader.why) : HTTP_ENDED;
}

static enum http_progress take_whole(struct http_exchange *x)
{
    char byte;
    /* What TLS has read ahead would not show on the socket. */
    if (x->target->is_tls && http_link_receive(x->link, &byte, 1) != -EAGAIN)
        x->reader.ends_connection = true;
    return HTTP_ENDED;
}

static enum http_progress receive(struct http_exchange *x)
{
    char bytes[READ_BYTES];
    for (;;) {
        ssize_t n = http_link_receive(x->link, bytes, sizeof bytes);
        if (n == -EAGAIN)
            return HTTP_GOES_ON;
        if (n < 0)
            return lose(x, "the connection was lost");
        if (n == 0)
            return take_end(x);
        int rc = http_reader_take(&x->reader, (struct str){bytes, (size_t)n});
        explicit_bzero(bytes, (size_t)n);
        if (rc < 0)
            return fail(x, rc, rc == -ENOMEM ? "out of memory" : x->reader.why);
        if (x->reader.is_whole)
            return take_whole(x);
        if ((size_t)n < sizeof bytes && !x->target->is_tls)
            return HTTP_GOES_ON; /* that was all, and more will be told */
    }
}

enum http_progress http_exchange_go_on(struct http_exchange *x, int events)
{
    struct http_link *link = x->link;
    enum http_progress progress = HTTP_GOES_ON;
    if (events & UV_READABLE)
        progress = receive(x);
    if (progress == HTTP_GOES_ON && x->link == link && x->sent < x->out.len)
        progress = send_rest(x);
    return progress;
}

enum http_progress http_exchange_time_out(struct http_exchange *x)
{
    x->lacks_address = !x->link && !has_address(x);
    return fail(x, -ETIMEDOUT,
                x->lacks_address ? "the name was not found in time"
                : !x->link       ? "no connection in time"
                                 : "no answer in time");
}

/* ---- Ended --------------------------------------------------------------------------------- */

void http_exchange_take_answer(struct http_exchange *x, struct buf *body,
                               struct http_answer *answer)
{
    x->is_busy = false;
    if (x->out.len > 0)
        explicit_bzero(x->out.data, x->out.len); /* the password, and what the client sent */
    *answer = (struct http_answer){.error = x->error, .why = x->why};
    answer->took_ms = (uint32_t)(http_now_ms() - x->request.posted_ms);
    if (x->error < 0)
        return;
    const struct buf mine = x->reader.body;
    x->reader.body = *body;
    *body = mine;
    answer->why = "answered";
    answer->status = x->reader.status;
    answer->body = buf_str(body);
}

bool http_exchange_keep(struct http_exchange *x)
{
    x->is_kept = x->error == 0 && x->sent == x->out.len && !x->reader.ends_connection;
    if (!x->is_kept)
        disconnect(x);
    return x->is_kept;
}

bool http_exchange_is_alive(struct http_exchange *x)
{
    char byte;
    return http_link_receive(x->link, &byte, 1) == -EAGAIN;
}
