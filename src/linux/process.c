#include "linux/process.h"

#include "base/error.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Reads a file of /proc/PID; a process that is gone is NOT_FOUND whichever way the kernel says it.
 */
static bool read_proc(pid_t pid, const char *file, char **ret_text, gsize *ret_length,
                      GError **error)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/%s", (int)pid, file);
    g_autoptr(GError) local = NULL;

    if (g_file_get_contents(path, ret_text, ret_length, &local)) {
        return true;
    }
    if (g_error_matches(local, G_FILE_ERROR, G_FILE_ERROR_NOENT) ||
        strstr(local->message, g_strerror(ESRCH)) != NULL) {
        return berth_error_set(error, BERTH_ERROR_NOT_FOUND, NULL, NULL, NULL,
                               "there is no process %d (%s)", (int)pid, file);
    }
    return berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL, "cannot read %s: %s",
                           path, local->message);
}

bool process_start_ticks(pid_t pid, uint64_t *ret_ticks, GError **error)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) fields = NULL;
    const char *after;

    if (!read_proc(pid, "stat", &text, NULL, error)) {
        return false;
    }
    /* The name, in brackets, may hold anything, brackets and spaces too; field 3 follows the last
     * one. */
    after = strrchr(text, ')');
    fields = g_strsplit(after != NULL ? after + 1 : "", " ", -1);
    if (g_strv_length(fields) < 21 ||
        !g_ascii_string_to_unsigned(fields[20], 10, 0, G_MAXUINT64, ret_ticks, NULL)) {
        return berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL,
                               "/proc/%d/stat has no start time", (int)pid);
    }
    return true;
}

int process_open(pid_t pid, uint64_t start_ticks, GError **error)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    uint64_t found = 0;

    if (fd < 0) {
        berth_error_set(error, errno == ESRCH ? BERTH_ERROR_NOT_FOUND : BERTH_ERROR_INTERNAL, NULL,
                        NULL, NULL, "cannot open process %d: %s", (int)pid, g_strerror(errno));
        return -1;
    }
    if (start_ticks == 0) {
        return fd;
    }
    /* Read after the fd is there: if the time is right now, the fd is of that process. */
    if (!process_start_ticks(pid, &found, error)) {
        close(fd);
        return -1;
    }
    if (found != start_ticks) {
        close(fd);
        berth_error_set(error, BERTH_ERROR_NOT_FOUND, NULL, NULL, NULL,
                        "process %d is another one now: it started at %" G_GUINT64_FORMAT
                        ", not at %" G_GUINT64_FORMAT,
                        (int)pid, found, start_ticks);
        return -1;
    }
    return fd;
}

bool process_signal(int pidfd, int signal, GError **error)
{
    if (syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) == 0 || errno == ESRCH) {
        return true;
    }
    return berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL,
                           "cannot send signal %d: %s", signal, g_strerror(errno));
}

bool process_wait(int pidfd, int timeout_ms)
{
    struct pollfd fd = {.fd = pidfd, .events = POLLIN};
    gint64 deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
    int rc;

    do {
        gint64 left = deadline - g_get_monotonic_time();

        rc = poll(&fd, 1, left > 0 ? (int)((left + 999) / 1000) : 0);
    } while (rc < 0 && errno == EINTR);
    return rc > 0 && (fd.revents & POLLIN) != 0;
}

bool process_has_ended(int pidfd)
{
    return process_wait(pidfd, 0);
}

typedef struct {
    ProcessEnded ended;
    gpointer data;
} Watch;

static gboolean on_ended(int fd, GIOCondition condition, gpointer data)
{
    Watch *watch = data;

    watch->ended(fd, watch->data);
    return G_SOURCE_REMOVE;
}

GSource *process_watch(int pidfd, ProcessEnded ended, gpointer data)
{
    GSource *source = g_unix_fd_source_new(pidfd, G_IO_IN);
    Watch *watch = g_new(Watch, 1);

    *watch = (Watch){.ended = ended, .data = data};
    g_source_set_callback(source, G_SOURCE_FUNC(on_ended), watch, g_free);
    g_source_attach(source, g_main_context_get_thread_default());
    return source;
}

bool process_sched(pid_t pid, pid_t tid, ProcessSched *ret_sched, GError **error)
{
    g_autofree char *file = g_strdup_printf("task/%d/schedstat", (int)tid);
    g_autofree char *text = NULL;
    g_auto(GStrv) fields = NULL;
    ProcessSched sched;

    if (!read_proc(pid, file, &text, NULL, error)) {
        return false;
    }
    fields = g_strsplit(g_strstrip(text), " ", -1);
    if (g_strv_length(fields) != 3) {
        return berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL,
                               "the kernel needs CONFIG_SCHED_INFO",
                               "/proc/%d/%s has no three numbers", (int)pid, file);
    }
    sched.run_nsec = g_ascii_strtoull(fields[0], NULL, 10);
    sched.wait_nsec = g_ascii_strtoull(fields[1], NULL, 10);
    sched.slices = g_ascii_strtoull(fields[2], NULL, 10);
    *ret_sched = sched;
    return true;
}

/* The value of "Name:   123 kB" in bytes; 0 where there is none. */
static int64_t rollup_field(const char *text, const char *name)
{
    g_autofree char *start = g_strdup_printf("\n%s:", name);
    const char *at = strstr(text, start);

    return at != NULL ? g_ascii_strtoll(at + strlen(start), NULL, 10) * 1024 : 0;
}

bool process_memory(pid_t pid, ProcessMemory *ret_memory, GError **error)
{
    g_autofree char *text = NULL;

    if (!read_proc(pid, "smaps_rollup", &text, NULL, error)) {
        return false;
    }
    *ret_memory = (ProcessMemory){
        .rss = rollup_field(text, "Rss"),
        .pss = rollup_field(text, "Pss"),
        .shared = rollup_field(text, "Shared_Clean") + rollup_field(text, "Shared_Dirty"),
        .swap = rollup_field(text, "Swap"),
    };
    return true;
}

bool process_rss(pid_t pid, int64_t *ret_bytes, GError **error)
{
    g_autofree char *text = NULL;
    const char *resident;

    if (!read_proc(pid, "statm", &text, NULL, error)) {
        return false;
    }
    resident = strchr(text, ' ');
    if (resident == NULL) {
        return berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL,
                               "/proc/%d/statm has no second number", (int)pid);
    }
    *ret_bytes = g_ascii_strtoll(resident, NULL, 10) * sysconf(_SC_PAGESIZE);
    return true;
}

char **process_argv(pid_t pid, GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
    gsize length = 0;

    if (!read_proc(pid, "cmdline", &text, &length, error)) {
        return NULL;
    }
    for (gsize at = 0; at < length; at += strlen(text + at) + 1) {
        g_ptr_array_add(argv, g_strdup(text + at));
    }
    g_ptr_array_add(argv, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&argv), FALSE);
}
