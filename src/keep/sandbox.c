#include "keep/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"

static bool fail(GError **error, const char *field, const char *tried)
{
    return berth_error_set(error, BERTH_ERROR_INTERNAL, field, NULL, "run berth-keep as root",
                           "cannot %s: %s", tried, g_strerror(errno));
}

void keep_sandbox_reset_signals(void)
{
    /* By the system call: the C library keeps two signals to itself, which a caller may have
     * ignored too. */
    struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        uint64_t mask;
    } standard = {0};
    for (int number = 1; number < NSIG; number++) {
        syscall(SYS_rt_sigaction, number, &standard, NULL, sizeof standard.mask);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

bool keep_sandbox_set_limits(int oom_score_adj, GError **error)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && dprintf(fd, "%d", oom_score_adj) > 0;
    if (!written) {
        fail(error, "oom-score-adj", "set the OOM score");
    }
    if (fd >= 0) {
        close(fd);
    }
    if (!written) {
        return false;
    }
    if (setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) < 0) {
        return fail(error, NULL, "forbid core dumps");
    }
    umask(077);
    return true;
}

bool keep_sandbox_enter_netns(const char *path, GError **error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    bool entered = fd >= 0 && setns(fd, CLONE_NEWNET) == 0;
    if (!entered) {
        berth_error_set(error, BERTH_ERROR_INTERNAL, "netns", path,
                        "make the network namespace before the launch",
                        "cannot enter the network namespace: %s", g_strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    return entered;
}

/* Until the kernel says that there is no capability of that number. */
static bool empty_bounding_set(void)
{
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
            return false;
        }
    }
    return true;
}

static bool empty_capability_sets(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0 &&
           syscall(SYS_capset, &header, none) == 0;
}

bool keep_sandbox_drop_root(uint32_t uid, uint32_t gid, uint32_t nofile, GError **error)
{
    struct rlimit limit = {0};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max = MIN(limit.rlim_max, nofile);
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return fail(error, "nofile", "limit the number of open files");
    }
    if (!empty_bounding_set()) {
        return fail(error, NULL, "empty the capability bounding set");
    }
    if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0) {
        return fail(error, "gid", "become the group");
    }
    if (setresuid(uid, uid, uid) < 0) {
        return fail(error, "uid", "become the user");
    }
    if (!empty_capability_sets()) {
        return fail(error, NULL, "give up all capabilities");
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return fail(error, NULL, "set no_new_privs");
    }
    return true;
}
