#include "keep/launch.h"

#include <errno.h>
#include <unistd.h>

#include "base/error.h"
#include "keep/inherit.h"

static bool read_all(int fd, GString *text, GError **error)
{
    char bytes[4096];
    ssize_t n;
    while ((n = TEMP_FAILURE_RETRY(read(fd, bytes, sizeof bytes))) > 0) {
        g_string_append_len(text, bytes, n);
        if (text->len > KEEP_LAUNCH_MAX_BYTES) {
            return berth_error_set(error, BERTH_ERROR_TOO_LARGE, NULL, NULL, "send at most 1 MiB",
                                   "the launch is too large");
        }
    }
    return n == 0 || berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL,
                                     "cannot read the launch: %s", g_strerror(errno));
}

static bool take_fd(GHashTable *taken, int64_t fd, const char *list, guint index, GError **error)
{
    g_autofree char *field = g_strdup_printf("%s[%u].fd", list, index);
    g_autofree char *value = g_strdup_printf("%d", (int)fd);
    return g_hash_table_add(taken, GINT_TO_POINTER((int)fd)) ||
           berth_error_set(error, BERTH_ERROR_INVALID, field, value, "give each its own number",
                           "two things are to have the same descriptor");
}

static bool check_fds(const KeeperLaunch *launch, GError **error)
{
    g_autoptr(GHashTable) taken = g_hash_table_new(NULL, NULL);
    for (guint i = 0; i < launch->files->len; i++) {
        if (!take_fd(taken, ((KeeperFile *)launch->files->pdata[i])->fd, "files", i, error)) {
            return false;
        }
    }
    for (guint i = 0; i < launch->taps->len; i++) {
        if (!take_fd(taken, ((KeeperTap *)launch->taps->pdata[i])->fd, "taps", i, error)) {
            return false;
        }
    }
    for (guint i = 0; i < launch->listeners->len; i++) {
        if (!take_fd(taken, ((KeeperListener *)launch->listeners->pdata[i])->fd, "listeners", i,
                     error)) {
            return false;
        }
    }
    return launch->console == NULL || take_fd(taken, launch->console->fd, "console", 0, error);
}

bool keep_launch_check(const KeeperLaunch *launch, GError **error)
{
    if (!g_path_is_absolute(launch->run_dir)) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "run-dir", launch->run_dir,
                               "give the whole path", "the directory is not absolute");
    }
    if (!g_path_is_absolute(launch->argv->pdata[0])) {
        return berth_error_set(error, BERTH_ERROR_INVALID, "argv[0]", launch->argv->pdata[0],
                               "give the whole path", "the program is not absolute");
    }
    return check_fds(launch, error);
}

KeeperLaunch *keep_launch_read(int fd, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    if (!read_all(fd, text, error)) {
        return NULL;
    }
    json_t *json = codec_parse(text->str, text->len, NULL, error);
    g_autoptr(KeeperLaunch) launch =
        json != NULL ? keeper_launch_decode(json, CODEC_TOLERANT, error) : NULL;
    json_decref(json);
    return launch != NULL && keep_launch_check(launch, error) ? g_steal_pointer(&launch) : NULL;
}
