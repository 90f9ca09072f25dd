/* A key and its certificate put on disk so that nobody ever finds half of them, or two halves of
 * different pairs: each is written under another name and then linked, the key first. */
#include "cert_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDER_MODE = 0755, CERT_MODE = 0644, KEY_MODE = 0600 };

static int fail(struct buf *error, const char *file, const char *what, int code)
{
    buf_printf(error, "%s: %s: %s", file, what, strerror(code));
    return -code;
}

/* The part of the name up to the last slash, or ".". */
static void folder_of(const char *file, char folder[PATH_MAX])
{
    const char *slash = strrchr(file, '/');
    if (slash)
        snprintf(folder, PATH_MAX, "%.*s", (int)(slash - file) + 1, file);
    else
        snprintf(folder, PATH_MAX, ".");
}

static bool is_folder(const char *name)
{
    struct stat about;
    return stat(name, &about) == 0 && S_ISDIR(about.st_mode);
}

int cert_files_make_folder(const char *file, struct buf *error)
{
    char folder[PATH_MAX];
    folder_of(file, folder);
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(folder, FOLDER_MODE) < 0 && !is_folder(folder))
            return fail(error, folder, "the folder cannot be made", errno);
        *slash = '/';
    }
    return 0;
}

int cert_files_lock(const char *file)
{
    char folder[PATH_MAX];
    folder_of(file, folder);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd >= 0 && flock(fd, LOCK_EX) < 0) {
        if (errno == EINTR)
            continue;
        close(fd); /* network file systems may have no locks */
        return -1;
    }
    return fd;
}

static int write_all(int fd, struct str text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.ptr, text.len);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0)
            text = str_slice(text, (size_t)n, text.len);
    }
    return fsync(fd);
}

static void remove_beside(char *name)
{
    if (name)
        (void)unlink(name);
    free(name);
}

/* A new file next to `file`, safe on disk. Returns its name, which the caller gives to
 * remove_beside(); or NULL, with a sentence in `error`. */
static char *write_beside(const char *file, struct str text, mode_t mode, struct buf *error)
{
    char *name;
    if (asprintf(&name, "%s.XXXXXX", file) < 0) {
        fail(error, file, "cannot be written", ENOMEM);
        return NULL;
    }
    int fd = mkostemp(name, O_CLOEXEC); /* O_EXCL, and nobody else may read it */
    if (fd < 0) {
        fail(error, file, "cannot be written", errno);
        free(name);
        return NULL;
    }
    int code = fchmod(fd, mode) < 0 || write_all(fd, text) < 0 ? errno : 0;
    if (close(fd) < 0 && code == 0)
        code = errno;
    if (code == 0)
        return name;
    fail(error, file, "cannot be written", code);
    remove_beside(name);
    return NULL;
}

/* So that the new names, too, outlive a power failure. Where folders cannot be synced, they
 * cannot. */
static void sync_folder(const char *file)
{
    char folder[PATH_MAX];
    folder_of(file, folder);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

/* link() and not rename(), which would replace what is there. */
static int link_both(const struct cert_pair *pair, const char *cert_name, const char *key_name,
                     struct buf *error)
{
    if (link(key_name, pair->key_file) < 0)
        return fail(error, pair->key_file, "cannot be made", errno);
    if (link(cert_name, pair->cert_file) < 0) {
        int code = errno;
        (void)unlink(pair->key_file); /* ours: no other could be linked there meanwhile */
        return fail(error, pair->cert_file, "cannot be made", code);
    }
    sync_folder(pair->key_file);
    sync_folder(pair->cert_file);
    return 0;
}

int cert_files_place(const struct cert_pair *pair, struct buf *error)
{
    int r = -EIO;
    char *key_name = write_beside(pair->key_file, pair->key_pem, KEY_MODE, error);
    if (!key_name)
        return r;
    char *cert_name = write_beside(pair->cert_file, pair->cert_pem, CERT_MODE, error);
    if (cert_name)
        r = link_both(pair, cert_name, key_name, error);
    remove_beside(cert_name);
    remove_beside(key_name);
    return r;
}
