#include "agent/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/error.h"

static bool system_error(GError **error, const char *what, const char *path)
{
    int number = errno;
    BerthErrorCode code = number == ENOSPC || number == EDQUOT || number == EROFS
                              ? BERTH_ERROR_UNAVAILABLE
                              : BERTH_ERROR_INTERNAL;
    const char *remedy = code == BERTH_ERROR_UNAVAILABLE
                             ? "make room on the file system of the agent's state directory"
                             : NULL;
    return berth_error_set(error, code, NULL, NULL, remedy, "cannot %s %s: %s", what, path,
                           g_strerror(number));
}

static bool sync_directory_of(const char *path, GError **error)
{
    g_autofree char *directory = g_path_get_dirname(path);
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        system_error(error, "make durable", directory);
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    close(fd);
    return true;
}

bool json_file_write(const char *path, const json_t *json, GError **error)
{
    g_autofree char *text = codec_dump(json);
    if (!g_file_set_contents_full(path, text, -1,
                                  G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE,
                                  0600, error)) {
        return false;
    }
    return sync_directory_of(path, error);
}

json_t *json_file_read(const char *path, GError **error)
{
    g_autofree char *text = NULL;
    gsize length = 0;
    g_autoptr(GError) failed = NULL;
    if (!g_file_get_contents(path, &text, &length, &failed)) {
        if (!g_error_matches(failed, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
            g_propagate_error(error, g_steal_pointer(&failed));
        }
        return NULL;
    }
    json_t *json = codec_parse(text, length, NULL, error);
    if (json == NULL) {
        g_prefix_error(error, "%s: ", path);
    }
    return json;
}

bool json_file_remove(const char *path, GError **error)
{
    if (unlink(path) != 0) {
        return errno == ENOENT || system_error(error, "remove", path);
    }
    return sync_directory_of(path, error);
}

bool directory_remove(const char *path, GError **error)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        if (unlink(file) != 0 && errno != ENOENT) {
            return system_error(error, "remove", file);
        }
    }
    if (rmdir(path) != 0 && errno != ENOENT) {
        return system_error(error, "remove", path);
    }
    return true;
}

bool directory_make(const char *path, int mode, GError **error)
{
    if (g_mkdir_with_parents(path, mode) != 0 || chmod(path, (mode_t)mode) != 0) {
        return system_error(error, "make the directory", path);
    }
    return true;
}
