#include "net_internal.h"
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

void net_websocket_accept(struct str key, char out[NET_WEBSOCKET_ACCEPT_TEXT])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 1.3 */
    unsigned char joined[128], digest[20];
    size_t key_bytes = key.len < 64 ? key.len : 64; /* a valid one has 24 */
    memcpy(joined, key.ptr, key_bytes);
    memcpy(joined + key_bytes, guid, sizeof guid - 1);
    lws_SHA1(joined, key_bytes + sizeof guid - 1, digest);
    /* It ends the text with a zero only where there is room for more than that. */
    char text[NET_WEBSOCKET_ACCEPT_TEXT + 8];
    lws_b64_encode_string((const char *)digest, sizeof digest, text, sizeof text);
    memcpy(out, text, NET_WEBSOCKET_ACCEPT_TEXT - 1);
    out[NET_WEBSOCKET_ACCEPT_TEXT - 1] = 0;
}

void net_limit_unread(int fd, uint32_t max_bytes)
{
    int half = (int)(max_bytes / 2); /* Linux takes twice what it is told, for its own needs */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &half, sizeof half);
}

/* One after the other: a millisecond for every thousand. */
static uint64_t count_files(void)
{
    uint64_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count > 3 ? count - 3 : 0; /* two that are none, and the folder's own */
}

/* Since Linux 6.2 the folder's size is their number. */
uint64_t net_files_open(void)
{
    struct stat folder;
    if (stat("/proc/self/fd", &folder) == 0 && folder.st_size > 0)
        return (uint64_t)folder.st_size;
    return count_files();
}

uint64_t net_files_left(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return UINT64_MAX;
    uint64_t open = net_files_open();
    return files.rlim_cur > open ? files.rlim_cur - open : 0;
}

int net_random(void *bytes, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = getrandom((char *)bytes + done, n - done, 0);
        if (got < 0 && errno != EINTR)
            return -errno;
        done += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

int net_probe_address(const struct net_address *address, bool is_datagram)
{
    int type = (is_datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC;
    int fd = socket(address->any.sa_family, type, 0);
    if (fd < 0)
        return -errno;
    int on = 1;
    if (!is_datagram) /* past connections in TIME_WAIT are no obstacle */
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->any.sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    int rc = bind(fd, &address->any, net_address_size(address)) < 0 ? -errno : 0;
    if (rc == 0 && !is_datagram && listen(fd, 1) < 0)
        rc = -errno;
    close(fd);
    return rc;
}
