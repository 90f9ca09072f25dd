/* The only user of libosip2. It cuts Via's sent-by; everything it says is checked here, because it
 * lets nearly anything through. Its other header parsers add nothing: From, To, Contact
 * and Path are promised byte for byte while it unescapes URIs, it takes junk behind '>', and it
 * does not tell "q=" from "q"; and header parameters have to be walked by ourselves to answer a
 * Via. */
#include "sip_internal.h"
#include <errno.h>
#include <osipparser2/headers/osip_via.h>
#include <osipparser2/osip_port.h>
#include <pthread.h>

/* Where libosip2 takes memory from while one of its functions runs on this thread. It all goes with
 * the message, so freeing does nothing. */
static _Thread_local struct {
    struct arena *arena;
    bool has_failed;
} source;

/* In front of each piece, for realloc; 16 bytes, so that the piece stays aligned. */
struct piece {
    _Alignas(16) size_t bytes;
};

static void *take(size_t bytes)
{
    struct piece *piece = NULL;
    if (source.arena && bytes <= SIZE_MAX - sizeof *piece)
        piece = arena_alloc(source.arena, sizeof *piece + bytes);
    if (!piece) {
        source.has_failed = true;
        return NULL;
    }
    piece->bytes = bytes;
    return piece + 1;
}

static void *take_again(void *old, size_t bytes)
{
    void *fresh = take(bytes);
    if (fresh && old) {
        size_t had = ((struct piece *)old - 1)->bytes;
        memcpy(fresh, old, had < bytes ? had : bytes);
    }
    return fresh;
}

static void give_back(void *old)
{
    (void)old;
}

/* Its own trace goes to standard output. */
static void trace_nothing(const char *file, int line, osip_trace_level_t level, const char *format,
                          va_list arguments)
{
    (void)file, (void)line, (void)level, (void)format, (void)arguments;
}

static void set_up(void)
{
    osip_set_allocators(take, take_again, give_back);
    osip_trace_initialize_func(TRACE_LEVEL0, trace_nothing);
}

static void begin(struct arena *arena)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_up);
    source.arena = arena;
    source.has_failed = false;
}

static int end(int osip_status)
{
    source.arena = NULL;
    if (source.has_failed)
        return -ENOMEM;
    return osip_status == 0 ? 0 : -EINVAL;
}

/* A zero-terminated copy with every run of blanks as one space: libosip2 knows no tabs. */
static char *copy_squeezed(struct str s, struct arena *arena)
{
    char *text = arena_alloc(arena, s.len + 1);
    if (!text)
        return NULL;
    size_t len = 0;
    for (size_t i = 0; i < s.len; i++) {
        bool is_blank = s.ptr[i] == ' ' || s.ptr[i] == '\t';
        if (!is_blank)
            text[len++] = s.ptr[i];
        else if (len > 0 && text[len - 1] != ' ')
            text[len++] = ' ';
    }
    text[len] = 0;
    return text;
}

static size_t count_unblank(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text != ' ';
    return n;
}

/* Name and version are not kept: an answer copies the value as it stands. */
static bool is_protocol(struct str text, struct str version)
{
    struct str name = str_trim((struct str){text.ptr, str_find(text, '/')});
    return sip_is_all(name, SIP_TOKEN) && sip_is_all(version, SIP_TOKEN);
}

/* sent-by: host or IPv6 in brackets, and a port. */
static bool take_host(const osip_via_t *via, struct sip_via *out)
{
    out->host = str_from(via->host);
    out->host_is_ip = net_address_parse(&out->address, out->host, 0) == 0;
    /* a name is not judged more strictly: only its sender reads it again */
    if (!out->host_is_ip && !sip_is_all(out->host, SIP_HOST))
        return false;
    out->port = 0;
    if (!via->port)
        return true;
    uint64_t port;
    if (str_to_u64(str_from(via->port), UINT16_MAX, &port) || port == 0)
        return false;
    out->port = (uint16_t)port;
    return true;
}

/* libosip2 skips what it does not understand ("junk[::1]junk:5060"); nothing may be skipped. */
static bool is_all_read(const char *text, const osip_via_t *via)
{
    const char *slash = strchr(text, '/');
    size_t name = (size_t)(slash - text) - (slash > text && slash[-1] == ' ');
    size_t read = name + strlen("//") + strlen(via->version) + strlen(via->protocol);
    read += strlen(via->host) + (strchr(via->host, ':') ? strlen("[]") : 0);
    read += via->port ? strlen(":") + strlen(via->port) : 0;
    return count_unblank(text) == read;
}

int sip_osip_read_via(struct str sent, struct arena *arena, struct sip_via *out)
{
    char *text = copy_squeezed(sent, arena);
    if (!text)
        return -ENOMEM;
    osip_via_t *via;
    begin(arena);
    int status = osip_via_init(&via);
    status = end(status ? status : osip_via_parse(via, text));
    if (status)
        return status;
    if (!via->host || !via->protocol || !via->version || !is_all_read(text, via))
        return -EINVAL;
    out->transport = str_from(via->protocol);
    if (!sip_is_all(out->transport, SIP_TOKEN) ||
        !is_protocol(str_from(text), str_from(via->version)))
        return -EINVAL;
    return take_host(via, out) ? 0 : -EINVAL;
}
