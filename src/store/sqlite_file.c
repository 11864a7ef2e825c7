#include "store/sqlite_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "store/sqlite_table.h"

char *sqlite_file_resolve(const char *path)
{
    char real[PATH_MAX];
    return g_strdup(realpath(path, real) != NULL ? real : path);
}

/* "process 17", or what can be said of one that found no room to write its pid down. */
static char *holder(int fd)
{
    char pid[32] = "";
    ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
    pid[MAX(n, 0)] = '\0';
    g_strstrip(pid);
    return pid[0] != '\0' ? g_strconcat("process ", pid, NULL) : g_strdup("another process");
}

static bool locked(int fd, const char *path, GError **error)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        return true;
    }
    if (errno != EWOULDBLOCK) {
        return berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "path", path,
                               "put the store on a local file system", "cannot lock the store: %s",
                               g_strerror(errno));
    }
    g_autofree char *who = holder(fd);
    return berth_error_set(error, BERTH_ERROR_CONFLICT, "path", path, "end that process first",
                           "%s has this store open", who);
}

int sqlite_file_lock(const char *path, GError **error)
{
    g_autofree char *name = g_strconcat(path, ".lock", NULL);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "path", name,
                        "see that its directory exists and can be written",
                        "cannot open the store's lock: %s", g_strerror(errno));
        return -1;
    }
    if (!locked(fd, path, error)) {
        close(fd);
        return -1;
    }
    if (ftruncate(fd, 0) != 0 || dprintf(fd, "%d\n", (int)getpid()) < 0) {
        /* A full disk: the lock holds all the same, it only does not say by whom. */
        g_debug("the lock %s does not say who holds it", name);
    }
    return fd;
}

static bool sync_path(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    int number = errno;
    if (fd >= 0) {
        close(fd);
    }
    errno = number;
    return synced;
}

/* Gives a finished file its name, which nothing has yet, and makes both durable. */
static bool publish(const char *temporary, const char *path, GError **error)
{
    g_autofree char *directory = g_path_get_dirname(path);
    if (sync_path(temporary) &&
        renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) == 0) {
        if (sync_path(directory)) {
            return true;
        }
        int number = errno;
        unlink(path);
        errno = number;
    }
    if (errno == EEXIST) {
        return berth_error_set(error, BERTH_ERROR_EXISTS, "path", path, "name a new file",
                               "there is something already");
    }
    return berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "path", path,
                           "make room on its file system, or make it writable",
                           "cannot make the file durable: %s", g_strerror(errno));
}

/* An empty file beside `path`, readable by its owner alone. */
static char *make_temporary(const char *path, GError **error)
{
    g_autofree char *temporary = g_strconcat(path, ".XXXXXX", NULL);
    int fd = g_mkstemp_full(temporary, O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "path", path,
                        "see that its directory exists and can be written",
                        "cannot make a file: %s", g_strerror(errno));
        return NULL;
    }
    close(fd);
    return g_steal_pointer(&temporary);
}

/* Always the same name, under the store's lock: what a kill left of an earlier attempt goes. */
static bool create(const char *path, GError **error)
{
    g_autofree char *temporary = g_strconcat(path, ".new", NULL);
    g_autofree char *journal = g_strconcat(temporary, "-journal", NULL);
    unlink(temporary);
    unlink(journal);
    int fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "path", temporary,
                               "see that its directory can be written", "cannot make a store: %s",
                               g_strerror(errno));
    }
    close(fd);
    bool created = sqlite_table_fill_new(temporary, error) && publish(temporary, path, error);
    if (!created) {
        unlink(temporary);
    }
    return created;
}

/* SQLite would take an empty file for a new database, and throw its log away. */
bool sqlite_file_create_if_absent(const char *path, GError **error)
{
    struct stat file, log;
    g_autofree char *log_path = g_strconcat(path, "-wal", NULL);
    if (stat(path, &file) == 0) {
        return file.st_size > 0 ||
               berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "path", path,
                               "restore it from a backup; if a new store is meant, remove the file",
                               "the store's file is damaged: it is empty");
    }
    if (errno != ENOENT) {
        return berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "path", path,
                               "see that its directory exists and can be read",
                               "cannot open the store: %s", g_strerror(errno));
    }
    if (stat(log_path, &log) == 0 && log.st_size > 0) {
        return berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "path", path,
                               "put the file back, or restore it from a backup and remove the log; "
                               "if a new store is meant, remove the log",
                               "the store's file is missing, but its log %s is there", log_path);
    }
    return create(path, error);
}

bool sqlite_file_copy(const char *from, const char *to, GError **error)
{
    if (access(to, F_OK) == 0) {
        return berth_error_set(error, BERTH_ERROR_EXISTS, "path", to, "name a new file",
                               "there is something already");
    }
    g_autofree char *temporary = make_temporary(to, error);
    if (temporary == NULL) {
        return false;
    }
    bool copied = sqlite_table_copy(from, temporary, error) && publish(temporary, to, error);
    if (!copied) {
        unlink(temporary);
    }
    return copied;
}
