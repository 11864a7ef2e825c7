#include "keep/inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"

#define LISTEN_BACKLOG 16
/* Room above KEEP_INHERIT_LAST for what the process itself needs. */
#define NOFILE_WHILE_PREPARING (KEEP_INHERIT_LAST + 24)

static bool fail(GError **error, const char *field, const char *value, const char *remedy,
                 const char *tried)
{
    return berth_error_set(error, BERTH_ERROR_INTERNAL, field, value, remedy, "cannot %s: %s",
                           tried, g_strerror(errno));
}

bool keep_inherit_begin(int *own, size_t n, GError **error)
{
    /* The hard limit is only ever raised: to lower and raise it again takes a capability. */
    struct rlimit limit = {0};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = NOFILE_WHILE_PREPARING;
    limit.rlim_max = MAX(limit.rlim_max, NOFILE_WHILE_PREPARING);
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return fail(error, "nofile", NULL, "run berth-keep as root",
                    "raise the limit of open files");
    }
    for (size_t i = 0; i < n; i++) {
        own[i] = fcntl(own[i], F_DUPFD_CLOEXEC, KEEP_INHERIT_LAST + 1);
        if (own[i] < 0) {
            return fail(error, NULL, NULL, NULL, "move a descriptor");
        }
    }
    if (close_range(3, KEEP_INHERIT_LAST, 0) < 0 ||
        close_range(KEEP_INHERIT_LAST + 1, UINT_MAX, CLOSE_RANGE_CLOEXEC) < 0) {
        return fail(error, NULL, NULL, NULL, "close inherited descriptors");
    }
    return true;
}

bool keep_inherit_place(int fd, int number, GError **error)
{
    return dup2(fd, number) == number ||
           fail(error, "fd", NULL, NULL, "place a descriptor at its number");
}

/* Non-blocking at first: the wrong thing at the path, such as a pipe, must not hold the launch up.
 */
static int open_file(const char *path, bool writable, GError **error)
{
    int flags = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd = open(path, flags);
    if (fd < 0) {
        fail(error, "path", path, "make the file before the launch",
             writable ? "open for reading and writing" : "open for reading");
        return -1;
    }
    struct stat st;
    if (fstat(fd, &st) < 0 ||
        !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) || S_ISCHR(st.st_mode))) {
        close(fd);
        berth_error_set(error, BERTH_ERROR_INVALID, "path", path, "name a regular file or a device",
                        "neither a file nor a device");
        return -1;
    }
    if (fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0) {
        fail(error, "path", path, NULL, "set the file's flags");
        close(fd);
        return -1;
    }
    return fd;
}

static bool place_and_close(int fd, int number, GError **error)
{
    bool placed = fd >= 0 && keep_inherit_place(fd, number, error);
    if (fd >= 0) {
        close(fd);
    }
    return placed;
}

bool keep_inherit_file(const char *path, bool writable, int number, GError **error)
{
    return place_and_close(open_file(path, writable, error), number, error);
}

/* TUNSETIFF would make a tap that does not exist, so its existence is asked first. */
static int open_tap(const char *name, GError **error)
{
    if (if_nametoindex(name) == 0) {
        fail(error, "name", name, "make the tap in the network namespace before the launch",
             "find the tap");
        return -1;
    }
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        fail(error, "name", name, "load the kernel module tun", "open /dev/net/tun");
        return -1;
    }
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    g_strlcpy(request.ifr_name, name, sizeof request.ifr_name);
    if (ioctl(fd, TUNSETIFF, &request) < 0) {
        fail(error, "name", name, "the tap must be persistent, of one queue, and free",
             "attach to the tap");
        close(fd);
        return -1;
    }
    return fd;
}

bool keep_inherit_tap(const char *name, int number, GError **error)
{
    return place_and_close(open_tap(name, error), number, error);
}

bool keep_inherit_listener(const char *path, int number, GError **error)
{
    return place_and_close(keep_listen(path, error), number, error);
}

int keep_listen(const char *path, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (g_strlcpy(address.sun_path, path, sizeof address.sun_path) >= sizeof address.sun_path) {
        berth_error_set(error, BERTH_ERROR_INVALID, "run-dir", path, "use a shorter directory",
                        "the socket's path is longer than the %zu bytes that the kernel allows",
                        sizeof address.sun_path - 1);
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mode_t umask_before = umask(0177);
    bool listening = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                     listen(fd, LISTEN_BACKLOG) == 0;
    umask(umask_before);
    if (listening) {
        return fd;
    }
    fail(error, "run-dir", path, NULL, "listen on the socket");
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

bool keep_remove_socket(const char *path, GError **error)
{
    struct stat st;
    if (lstat(path, &st) < 0) {
        return errno == ENOENT || fail(error, "run-dir", path, NULL, "look for an old socket");
    }
    if (!S_ISSOCK(st.st_mode)) {
        return berth_error_set(error, BERTH_ERROR_EXISTS, "run-dir", path, "remove it",
                               "something that is no socket lies where a socket must be");
    }
    return unlink(path) == 0 || fail(error, "run-dir", path, NULL, "remove an old socket");
}
