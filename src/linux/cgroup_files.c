#include "linux/cgroup_files.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *remedy_of(int error_number)
{
    switch (error_number) {
    case EACCES:
    case EPERM:
    case EROFS:
        return "run the agent as root; in a container or a systemd unit, delegate its cgroup "
               "(Delegate=yes)";
    case EOPNOTSUPP:
    case EBUSY:
        return "processes are in a cgroup above the VMs'; leave the agent's cgroup parent empty";
    default:
        return NULL;
    }
}

bool cgroup_make(const char *directory, GError **error)
{
    if (mkdir(directory, 0755) == 0 || errno == EEXIST) {
        return true;
    }
    return berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, directory, remedy_of(errno),
                           "cannot make cgroup %s: %s", directory, g_strerror(errno));
}

bool cgroup_unmake(const char *directory, GError **error)
{
    if (rmdir(directory) == 0 || errno == ENOENT) {
        return true;
    }
    if (errno != EBUSY && errno != ENOTEMPTY) {
        berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, directory, remedy_of(errno),
                        "cannot remove cgroup %s: %s", directory, g_strerror(errno));
    }
    return false;
}

bool cgroup_write(const char *directory, const char *file, const char *value, int *ret_errno,
                  GError **error)
{
    g_autofree char *path = g_build_filename(directory, file, NULL);
    size_t length = strlen(value);
    int failed = 0;
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    /* One write: the kernel takes each as a whole command. */
    if (fd < 0 || write(fd, value, length) != (ssize_t)length) {
        failed = errno;
    }
    if (fd >= 0) {
        close(fd);
    }
    if (ret_errno != NULL) {
        *ret_errno = failed;
    }
    return failed == 0 ||
           berth_error_set(error, failed == ENOENT ? BERTH_ERROR_NOT_FOUND : BERTH_ERROR_INTERNAL,
                           file, value, remedy_of(failed), "cannot write to %s: %s", path,
                           g_strerror(failed));
}

char *cgroup_read(const char *directory, const char *file, GError **error)
{
    g_autofree char *path = g_build_filename(directory, file, NULL);
    g_autoptr(GError) local = NULL;
    char *text = NULL;

    if (g_file_get_contents(path, &text, NULL, &local)) {
        return text;
    }
    berth_error_set(error,
                    g_error_matches(local, G_FILE_ERROR, G_FILE_ERROR_NOENT) ||
                            g_error_matches(local, G_FILE_ERROR, G_FILE_ERROR_NODEV)
                        ? BERTH_ERROR_NOT_FOUND
                        : BERTH_ERROR_INTERNAL,
                    file, NULL, NULL, "cannot read %s: %s", path, local->message);
    return NULL;
}

bool cgroup_read_number(const char *directory, const char *file, int64_t *ret_number,
                        GError **error)
{
    g_autofree char *text = cgroup_read(directory, file, error);
    gint64 number = 0;

    if (text == NULL) {
        return false;
    }
    g_strchomp(text);
    if (strcmp(text, "max") == 0) {
        *ret_number = INT64_MAX;
        return true;
    }
    if (!g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, &number, NULL)) {
        return berth_error_set(error, BERTH_ERROR_INTERNAL, file, text, NULL,
                               "%s/%s does not hold a number", directory, file);
    }
    *ret_number = number;
    return true;
}

int64_t cgroup_number_of(const char *text, const char *key, int64_t missing)
{
    size_t length = strlen(key);

    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');

        if (strncmp(line, key, length) == 0 && line[length] == ' ') {
            return g_ascii_strtoll(line + length + 1, NULL, 10);
        }
        line = end != NULL ? end + 1 : NULL;
    }
    return missing;
}
