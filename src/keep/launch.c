#include "keep/launch.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "keep/rundir.h"

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

/* Takes `field`. */
static bool take_fd(GHashTable *taken, int64_t fd, char *field, GError **error)
{
    g_autofree char *owned = field;
    g_autofree char *value = g_strdup_printf("%d", (int)fd);
    return g_hash_table_add(taken, GINT_TO_POINTER((int)fd)) ||
           berth_error_set(error, BERTH_ERROR_INVALID, owned, value, "give each its own number",
                           "two things are to have the same descriptor");
}

static bool check_fds(const KeeperLaunch *launch, GError **error)
{
    g_autoptr(GHashTable) taken = g_hash_table_new(NULL, NULL);
    for (guint i = 0; i < launch->files->len; i++) {
        if (!take_fd(taken, ((KeeperFile *)launch->files->pdata[i])->fd,
                     g_strdup_printf("files[%u].fd", i), error)) {
            return false;
        }
    }
    for (guint i = 0; i < launch->taps->len; i++) {
        if (!take_fd(taken, ((KeeperTap *)launch->taps->pdata[i])->fd,
                     g_strdup_printf("taps[%u].fd", i), error)) {
            return false;
        }
    }
    for (guint i = 0; i < launch->listeners->len; i++) {
        if (!take_fd(taken, ((KeeperListener *)launch->listeners->pdata[i])->fd,
                     g_strdup_printf("listeners[%u].fd", i), error)) {
            return false;
        }
    }
    return launch->console == NULL ||
           take_fd(taken, launch->console->fd, g_strdup("console.fd"), error);
}

/* (uid_t)-1 means "no change" to the kernel, and what does not fit 32 bits could turn into 0: in
 * both cases QEMU would stay root. */
static bool check_id(int64_t id, const char *field, GError **error)
{
    g_autofree char *value = g_strdup_printf("%" G_GINT64_FORMAT, id);
    return (id >= 1 && id < UINT32_MAX) ||
           berth_error_set(error, BERTH_ERROR_INVALID, field, value,
                           "use one of the host's range for VMs, from 1 to 4294967294",
                           "QEMU cannot run as this id");
}

/* What the keeper makes in run-dir itself. */
static bool is_own_name(const char *name)
{
    static const char *const own[] = {KEEP_FILE_CONTROL, KEEP_FILE_CONSOLE, KEEP_FILE_RING,
                                      KEEP_FILE_LAUNCH,  KEEP_FILE_EXIT,    NULL};
    return g_strv_contains(own, name);
}

static bool check_names(const KeeperLaunch *launch, GError **error)
{
    g_autoptr(GHashTable) taken = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < launch->listeners->len; i++) {
        char *name = ((KeeperListener *)launch->listeners->pdata[i])->name;
        if (is_own_name(name) || !g_hash_table_add(taken, name)) {
            g_autofree char *field = g_strdup_printf("listeners[%u].name", i);
            return berth_error_set(error, BERTH_ERROR_INVALID, field, name,
                                   "give each its own name, such as qmp-0.sock",
                                   "the name is taken in run-dir");
        }
    }
    return true;
}

static bool check_env(const KeeperLaunch *launch, GError **error)
{
    for (size_t i = 0; i < string_map_size(launch->env); i++) {
        const char *name = string_map_key(launch->env, i);
        if (*name == '\0' || strchr(name, '=') != NULL) {
            return berth_error_set(error, BERTH_ERROR_INVALID, "env", name,
                                   "use a name that is not empty and has no '='",
                                   "not the name of an environment variable");
        }
    }
    return true;
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
    return check_id(launch->uid, "uid", error) && check_id(launch->gid, "gid", error) &&
           check_fds(launch, error) && check_names(launch, error) && check_env(launch, error);
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
