#include "privileges.h"
#include <aorta/log.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* PR_SET_DUMPABLE, which root's setuid() clears anyway, would also keep the user who started
 * aorta from reading its memory figures. */
void privileges_limit(void)
{
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* ---- The user ------------------------------------------------------------------------------- */

struct user {
    struct passwd entry;
    char memory[4096]; /* what `entry` points to */
};

static int look_up(const struct config *config, struct user *user, struct buf *error)
{
    struct passwd *found = NULL;
    int code = getpwnam_r(config->user, &user->entry, user->memory, sizeof user->memory, &found);
    if (found)
        return 0;
    if (code == 0)
        buf_printf(error, "user: there is no user \"%s\" on this machine\n", config->user);
    else
        buf_printf(error, "user: \"%s\" cannot be looked up: %s\n", config->user, strerror(code));
    return -EINVAL;
}

int privileges_check_user(const struct config *config, struct buf *error)
{
    struct user user;
    return config->user ? look_up(config, &user, error) : 0;
}

int privileges_can_become_user(const struct config *config, struct buf *error)
{
    struct user user;
    int rc = config->user ? look_up(config, &user, error) : 0;
    if (rc < 0 || !config->user || geteuid() == 0 || geteuid() == user.entry.pw_uid)
        return rc;
    buf_printf(error, "user: only root can become \"%s\", and this is uid %ld\n", config->user,
               (long)geteuid());
    return -EPERM;
}

int privileges_give_file(const struct config *config, const char *file, struct buf *error)
{
    struct user user;
    if (!config->user || geteuid() != 0)
        return 0;
    int rc = look_up(config, &user, error);
    if (rc == 0 && chown(file, user.entry.pw_uid, user.entry.pw_gid) < 0) {
        rc = -errno;
        buf_printf(error, "%s: cannot be given to user \"%s\": %s\n", file, config->user,
                   strerror(errno));
    }
    return rc;
}

/* ---- Becoming that user --------------------------------------------------------------------- */

/* Groups first: afterwards nobody would let us. */
static int become(const struct passwd *user)
{
    if (initgroups(user->pw_name, user->pw_gid) < 0 ||
        setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
        setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0)
        return -errno;
    return 0;
}

static bool is_for_good(const struct passwd *user)
{
    uid_t uid[3];
    gid_t gid[3];
    if (getresuid(&uid[0], &uid[1], &uid[2]) < 0 || getresgid(&gid[0], &gid[1], &gid[2]) < 0)
        return false;
    for (int i = 0; i < 3; i++)
        if (uid[i] != user->pw_uid || gid[i] != user->pw_gid)
            return false;
    return user->pw_uid == 0 || (setuid(0) < 0 && seteuid(0) < 0 && setgid(0) < 0);
}

static int drop(const struct config *config, struct buf *error)
{
    struct user user;
    int rc = look_up(config, &user, error);
    if (rc < 0)
        return rc;
    rc = become(&user.entry);
    if (rc == 0 && !is_for_good(&user.entry))
        rc = -EPERM;
    if (rc < 0)
        buf_printf(error, "user: becoming \"%s\" failed: %s\n", config->user, strerror(-rc));
    return rc;
}

/* ---- What that user can read ---------------------------------------------------------------- */

static void check_file(const char *file)
{
    if (!file)
        return;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0)
        close(fd);
    else if (errno == EACCES || errno == EPERM)
        LOG_WARN("this user cannot read a file that a reload reads: SIGHUP will change nothing",
                 LOG_TEXT("file", file));
}

static void check_files(const struct config *config, const char *config_file)
{
    check_file(config_file);
    check_file(config->tls_cert);
    check_file(config->tls_key);
    check_file(config->users);
    check_file(config->callback.ca_file);
    for (size_t i = 0; i < config->realms.count; i++) {
        check_file(config->realms.item[i].users);
        check_file(config->realms.item[i].callback.ca_file);
    }
}

int privileges_drop(const struct config *config, const char *config_file, struct buf *error)
{
    if (config->user && geteuid() == 0) {
        int rc = drop(config, error);
        if (rc < 0)
            return rc;
        LOG_INFO("root no more", LOG_TEXT("user", config->user));
        check_files(config, config_file);
    }
    if (geteuid() == 0)
        LOG_WARN("running as root: name an ordinary user by the key \"user\"");
    return 0;
}
