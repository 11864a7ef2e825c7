#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gio/gio.h>

#include "base/error.h"
#include "cli/dev/lab.h"

#define AGAIN_MS 200
#define STOP_MS 3000

struct LabProcess {
    char *name;
    char **argv;
    char *namespace;
    GSubprocess *process; /* NULL between an end and the next start */
    guint again;
    bool stopping;
};

static char *file_of(const char *name, const char *suffix)
{
    return g_strdup_printf(LAB_RUN "/%s.%s", name, suffix);
}

/* Between fork and exec: the namespace, and an end with the one who started it. */
static void set_up_child(gpointer data)
{
    int fd = GPOINTER_TO_INT(data);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (fd >= 0 && setns(fd, CLONE_NEWNET) != 0) {
        _exit(127);
    }
}

static GSubprocess *spawn(const char *const *argv, const char *namespace, const char *log,
                          GSubprocessFlags flags, GError **error)
{
    g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(flags);
    int fd = namespace != NULL ? open(namespace, O_RDONLY | O_CLOEXEC) : -1;
    if (namespace != NULL && fd < 0) {
        berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL, "cannot open %s: %s",
                        namespace, g_strerror(errno));
        return NULL;
    }
    g_subprocess_launcher_set_child_setup(launcher, set_up_child, GINT_TO_POINTER(fd), NULL);
    if (log != NULL) {
        int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        g_subprocess_launcher_take_stdout_fd(launcher, out >= 0 ? dup(out) : -1);
        g_subprocess_launcher_take_stderr_fd(launcher, out);
    }
    GSubprocess *process = g_subprocess_launcher_spawnv(launcher, argv, error);
    if (fd >= 0) {
        close(fd);
    }
    return process;
}

static bool start(LabProcess *process, GError **error);

static gboolean on_again(gpointer data)
{
    LabProcess *process = data;
    g_autoptr(GError) error = NULL;
    process->again = 0;
    if (!start(process, &error)) {
        g_warning("%s is not started: %s", process->name, error->message);
        process->again = g_timeout_add(AGAIN_MS, on_again, process);
    }
    return G_SOURCE_REMOVE;
}

static void on_ended(GObject *source, GAsyncResult *result, gpointer data)
{
    LabProcess *process = data;
    g_autoptr(GError) error = NULL;
    g_subprocess_wait_finish(G_SUBPROCESS(source), result, &error);
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED) || process->stopping) {
        return;
    }
    g_clear_object(&process->process);
    process->again = g_timeout_add(AGAIN_MS, on_again, process);
}

static bool start(LabProcess *process, GError **error)
{
    g_autofree char *log = file_of(process->name, "log");
    g_autofree char *pid_file = file_of(process->name, "pid");
    process->process = spawn((const char *const *)process->argv, process->namespace, log,
                             G_SUBPROCESS_FLAGS_NONE, error);
    if (process->process == NULL) {
        return false;
    }
    g_file_set_contents(pid_file, g_subprocess_get_identifier(process->process), -1, NULL);
    g_subprocess_wait_async(process->process, NULL, on_ended, process);
    return true;
}

LabProcess *lab_process_start(const char *name, const char *const *argv, const char *namespace,
                              GError **error)
{
    LabProcess *process = g_new0(LabProcess, 1);
    process->name = g_strdup(name);
    process->argv = g_strdupv((char **)argv);
    process->namespace = g_strdup(namespace);
    if (!start(process, error)) {
        lab_process_stop(process);
        return NULL;
    }
    return process;
}

pid_t lab_process_pid(const LabProcess *process)
{
    const char *pid =
        process->process != NULL ? g_subprocess_get_identifier(process->process) : NULL;
    return pid != NULL ? (pid_t)g_ascii_strtoll(pid, NULL, 10) : 0;
}

static gboolean on_timeout(gpointer data)
{
    g_subprocess_force_exit(data);
    return G_SOURCE_CONTINUE;
}

void lab_process_stop(LabProcess *process)
{
    if (process == NULL) {
        return;
    }
    process->stopping = true;
    g_clear_handle_id(&process->again, g_source_remove);
    if (process->process != NULL) {
        guint timer = g_timeout_add(STOP_MS, on_timeout, process->process);
        g_subprocess_send_signal(process->process, SIGTERM);
        while (g_subprocess_get_identifier(process->process) != NULL) {
            g_main_context_iteration(NULL, TRUE);
        }
        g_source_remove(timer);
        while (g_main_context_iteration(NULL, FALSE)) {
        }
    }
    g_autofree char *pid_file = file_of(process->name, "pid");
    unlink(pid_file);
    g_clear_object(&process->process);
    g_strfreev(process->argv);
    g_free(process->namespace);
    g_free(process->name);
    g_free(process);
}

bool lab_process_run(const char *const *argv, const char *namespace, GError **error)
{
    g_autoptr(GSubprocess) process =
        spawn(argv, namespace, NULL,
              G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_PIPE, error);
    g_autofree char *said = NULL;
    if (process == NULL ||
        !g_subprocess_communicate_utf8(process, NULL, NULL, NULL, &said, error)) {
        return false;
    }
    return g_subprocess_get_successful(process) ||
           berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL, "%s",
                           said != NULL ? g_strchomp(said) : argv[0]);
}
