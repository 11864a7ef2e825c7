#include "keep/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

static bool write_pid(const char *path, pid_t pid)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return false;
    }
    bool written = dprintf(fd, "%d", (int)pid) > 0;
    int failure = errno;
    close(fd);
    errno = failure;
    return written;
}

bool keep_cgroup_join(const GPtrArray *procs, pid_t pid, const char *field, GError **error)
{
    for (guint i = 0; i < procs->len; i++) {
        if (!write_pid(procs->pdata[i], pid)) {
            int failure = errno;
            g_autofree char *name = g_strdup_printf("%s[%u]", field, i);
            return berth_error_set(error, BERTH_ERROR_INTERNAL, name, procs->pdata[i],
                                   "make the cgroup before the launch",
                                   "cannot move the process into its cgroup: %s",
                                   g_strerror(failure));
        }
    }
    return true;
}

char *keep_cgroup_oom_file(const char *procs)
{
    g_autofree char *directory = g_path_get_dirname(procs);
    static const char *const names[] = {"memory.events", "memory.oom_control"};
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = g_build_filename(directory, names[i], NULL);
        if (access(path, R_OK) == 0) {
            return g_steal_pointer(&path);
        }
    }
    return NULL;
}

uint64_t keep_cgroup_oom_kills(const char *file)
{
    g_autofree char *text = NULL;
    if (!g_file_get_contents(file, &text, NULL, NULL)) {
        return 0;
    }
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line != NULL; line++) {
        if (g_str_has_prefix(*line, "oom_kill ")) {
            return g_ascii_strtoull(*line + strlen("oom_kill "), NULL, 10);
        }
    }
    return 0;
}
