#include "linux/netns.h"

#include "base/error.h"
#include "base/order.h"
#include "linux/net.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMESPACES "/run/netns"

typedef struct {
    int fd;
    NetNamespaceFunc func;
    gpointer data;
    GError *error;
    bool done;
} Visit;

static gpointer visit_thread(gpointer data)
{
    Visit *visit = data;

    if (setns(visit->fd, CLONE_NEWNET) != 0) {
        berth_error_set(&visit->error, BERTH_ERROR_INTERNAL, NULL, NULL,
                        "run the agent as root, or give it CAP_SYS_ADMIN",
                        "cannot enter a network namespace: %s", g_strerror(errno));
    } else {
        visit->done = visit->func(visit->data, &visit->error);
    }
    return NULL;
}

bool net_namespace_run(int fd, NetNamespaceFunc func, gpointer data, GError **error)
{
    Visit visit = {.fd = fd, .func = func, .data = data};

    if (fd < 0) {
        return func(data, error);
    }
    g_thread_join(g_thread_new("netns", visit_thread, &visit));
    if (visit.error != NULL) {
        g_propagate_error(error, visit.error);
    }
    return visit.done;
}

char *net_namespace_path(const char *name)
{
    return g_build_filename(NAMESPACES, name, NULL);
}

static bool check_name(const char *name, GError **error)
{
    return (*name != '\0' && *name != '.' && strchr(name, '/') == NULL && strlen(name) < 200) ||
           berth_error_set(error, BERTH_ERROR_INVALID, "namespace", name,
                           "use letters, digits and dashes", "not a name for a network namespace");
}

static bool is_mount_point(const char *path)
{
    struct stat file, directory;

    return stat(path, &file) == 0 && stat(NAMESPACES, &directory) == 0 &&
           file.st_dev != directory.st_dev;
}

/* In a thread of its own: leaves it in the new namespace, which `data`, a path, then names. */
static bool make_namespace(gpointer data, GError **error)
{
    const char *path = data;

    if (unshare(CLONE_NEWNET) == 0 &&
        mount("/proc/thread-self/ns/net", path, NULL, MS_BIND, NULL) == 0) {
        return true;
    }
    return berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, path,
                           errno == EPERM ? "run it as root" : NULL,
                           "cannot make network namespace %s: %s", path, g_strerror(errno));
}

static bool bring_up_loopback(const char *path, GError **error)
{
    g_autoptr(Net) net = net_open(path, error);

    return net != NULL && net_set_link(net, "lo", 0, true, error);
}

bool net_ensure_namespace(const char *name, GError **error)
{
    g_autofree char *path = net_namespace_path(name);
    int own = -1;
    int fd = -1;
    bool made = false;

    if (!check_name(name, error)) {
        return false;
    }
    if (is_mount_point(path)) {
        return bring_up_loopback(path, error);
    }
    if (g_mkdir_with_parents(NAMESPACES, 0755) != 0 ||
        (fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0444)) < 0) {
        return berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, path,
                               errno == EACCES || errno == EPERM ? "run it as root" : NULL,
                               "cannot make %s: %s", path, g_strerror(errno));
    }
    close(fd);
    own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    made = own >= 0 ? net_namespace_run(own, make_namespace, path, error)
                    : berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, "mount /proc",
                                      "cannot open this thread's network namespace: %s",
                                      g_strerror(errno));
    if (own >= 0) {
        close(own);
    }
    if (!made) {
        (void)unlink(path);
    }
    return made && bring_up_loopback(path, error);
}

bool net_delete_namespace(const char *name, GError **error)
{
    g_autofree char *path = net_namespace_path(name);

    if (!check_name(name, error)) {
        return false;
    }
    if (umount2(path, MNT_DETACH) != 0 && errno != ENOENT && errno != EINVAL) {
        return berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, path,
                               errno == EPERM ? "run it as root" : NULL,
                               "cannot remove network namespace %s: %s", path, g_strerror(errno));
    }
    return unlink(path) == 0 || errno == ENOENT ||
           berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, path, NULL, "cannot remove %s: %s",
                           path, g_strerror(errno));
}

GPtrArray *net_list_namespaces(const char *prefix, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) local = NULL;
    g_autoptr(GDir) directory = g_dir_open(NAMESPACES, 0, &local);
    const char *name;

    if (directory == NULL && !g_error_matches(local, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
        g_propagate_prefixed_error(error, g_steal_pointer(&local),
                                   "cannot list the network namespaces: ");
        return NULL;
    }
    while (directory != NULL && (name = g_dir_read_name(directory)) != NULL) {
        if (g_str_has_prefix(name, prefix)) {
            g_ptr_array_add(names, g_strdup(name));
        }
    }
    g_ptr_array_sort(names, berth_order_texts);
    return g_steal_pointer(&names);
}
