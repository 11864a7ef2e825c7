#include "keep/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "keep/process.h"

struct KeepRunDir {
    char *path;
    int fd;
};

static bool check_owner(int fd, const char *path, GError **error)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "run-dir", path,
                               "make it with mode 0711 as the user that runs berth-keep",
                               "the directory can be written by others");
    }
    return true;
}

static bool take_lock(int fd, const char *path, GError **error)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        return true;
    }
    return berth_error_set(error, BERTH_ERROR_CONFLICT, "run-dir", path,
                           "release the keeper that serves keeper.sock there",
                           "another keeper holds the directory");
}

/* Whoever held the lock before may have removed the directory; then nobody would find us. */
static bool check_path(int fd, const char *path, GError **error)
{
    struct stat locked, named;
    if (fstat(fd, &locked) == 0 && stat(path, &named) == 0 && locked.st_ino == named.st_ino &&
        locked.st_dev == named.st_dev) {
        return true;
    }
    return berth_error_set(error, BERTH_ERROR_CONFLICT, "run-dir", path,
                           "make the directory, and launch again",
                           "the directory was removed meanwhile");
}

/* The lock is free, so a process that launch.json names has outlived its keeper. */
static bool check_orphan(const KeepRunDir *dir, GError **error)
{
    g_autofree char *path = keep_run_dir_path(dir, KEEP_FILE_LAUNCH);
    json_t *launch = json_load_file(path, 0, NULL);
    pid_t pid = (pid_t)json_integer_value(json_object_get(launch, "pid"));
    int64_t ticks = json_integer_value(json_object_get(launch, "start-ticks"));
    json_decref(launch);
    if (pid <= 0 || ticks == 0 || keep_process_start_ticks(pid) != ticks) {
        return true;
    }
    return berth_error_set(error, BERTH_ERROR_CONFLICT, "run-dir", path,
                           "adopt or kill it before the next start",
                           "QEMU of an earlier launch still runs as process %d", (int)pid);
}

KeepRunDir *keep_run_dir_open(const char *path, GError **error)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        berth_error_set(error, BERTH_ERROR_INVALID, "run-dir", path,
                        "make the directory before the launch", "cannot open the directory: %s",
                        g_strerror(errno));
        return NULL;
    }
    g_autoptr(KeepRunDir) dir = g_new0(KeepRunDir, 1);
    dir->path = g_strdup(path);
    dir->fd = fd;
    if (!check_owner(fd, path, error) || !take_lock(fd, path, error) ||
        !check_path(fd, path, error) || !check_orphan(dir, error)) {
        return NULL;
    }
    return g_steal_pointer(&dir);
}

void keep_run_dir_free(KeepRunDir *dir)
{
    if (dir != NULL) {
        close(dir->fd);
        g_free(dir->path);
        g_free(dir);
    }
}

char *keep_run_dir_path(const KeepRunDir *dir, const char *name)
{
    return g_build_filename(dir->path, name, NULL);
}

bool keep_run_dir_write(const KeepRunDir *dir, const char *name, const json_t *value,
                        GError **error)
{
    g_autofree char *path = keep_run_dir_path(dir, name);
    g_autofree char *text = json_dumps(value, JSON_COMPACT);
    g_autoptr(GError) failure = NULL;
    if (g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, &failure)) {
        return true;
    }
    return berth_error_set(error, BERTH_ERROR_INTERNAL, "run-dir", path,
                           "make room on the file system of run-dir", "%s", failure->message);
}

void keep_run_dir_remove(const KeepRunDir *dir, const char *name)
{
    unlinkat(dir->fd, name, 0);
}
