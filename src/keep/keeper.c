#include "keep/keeper.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "base/error.h"
#include "keep/cgroup.h"
#include "keep/console.h"
#include "keep/control.h"
#include "keep/inherit.h"
#include "keep/pace.h"
#include "keep/rundir.h"
#include "keep/spawn.h"
#include "keep/tail.h"
#include "keep/watch.h"

struct Keeper {
    const KeeperLaunch *launch;
    KeepRunDir *dir;
    KeepSpawn qemu;
    KeepControl *control;
    KeepConsole *console; /* NULL without one */
    KeepRing *ring;       /* NULL without a console */
    KeepTail tail;
    KeepPace output_pace;
    KeepWatch output;
    KeepWatch ended;
    KeepWatch signals;
    char *oom_file; /* NULL without a memory controller */
    uint64_t oom_kills_before;
    KeeperExit *exit; /* NULL while QEMU runs */
    bool released;
    bool ends_with_qemu; /* SIGTERM has come */
};

json_t *keeper_status(const Keeper *keeper)
{
    KeeperStatus status = {
        .vm = keeper->launch->vm,
        .epoch = keeper->launch->epoch,
        .launch = keeper->launch->launch,
        .state = keeper->exit != NULL ? KEEPER_RUN_STATE_EXITED : KEEPER_RUN_STATE_RUNNING,
        .keeper_pid = getpid(),
        .has_pid = true,
        .pid = keeper->qemu.pid,
        .has_start_ticks = true,
        .start_ticks = keeper->qemu.start_ticks,
        .exit = keeper->exit,
        .has_console_bytes = keeper->console != NULL,
        .console_bytes = keeper->console != NULL ? (int64_t)keep_console_bytes(keeper->console) : 0,
        .version = (char *)BERTH_VERSION,
    };
    return keeper_status_encode(&status);
}

static bool write_status(const Keeper *keeper, const char *name, GError **error)
{
    json_t *status = keeper_status(keeper);
    bool written = keep_run_dir_write(keeper->dir, name, status, error);
    json_decref(status);
    return written;
}

/* Reads a chunk of what QEMU says; false when there is no more now. */
static bool pull_output(Keeper *keeper)
{
    char chunk[KEEP_TAIL_BYTES];
    ssize_t n = read(keeper->output.fd, chunk, sizeof chunk);
    if (n > 0) {
        keep_tail_add(&keeper->tail, chunk, (size_t)n);
        keep_watch_pause(&keeper->output,
                         keep_pace_spend(&keeper->output_pace, (size_t)n, g_get_monotonic_time()));
        return true;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        keep_watch_stop(&keeper->output);
    }
    return false;
}

static gboolean on_output(int fd, GIOCondition condition, gpointer data)
{
    pull_output(data);
    return G_SOURCE_CONTINUE;
}

/* A descendant that QEMU must not have (its sandbox forbids it) could write on, so the rest is
 * bounded by what a pipe holds. */
static void drain_output(Keeper *keeper)
{
    for (int i = 0; i < 64 && pull_output(keeper); i++) {
    }
    keep_watch_stop(&keeper->output);
}

static KeeperExit *describe_exit(const Keeper *keeper, int status)
{
    KeeperExit *end = keeper_exit_new();
    end->at_ms = g_get_real_time() / 1000;
    if (WIFSIGNALED(status)) {
        end->kind = KEEPER_EXIT_KIND_SIGNALED;
        end->signal = WTERMSIG(status);
        end->has_signal = true;
    } else {
        end->kind = KEEPER_EXIT_KIND_EXITED;
        end->code = WEXITSTATUS(status);
        end->has_code = true;
    }
    end->oom_killed = keeper->oom_file != NULL &&
                      keep_cgroup_oom_kills(keeper->oom_file) > keeper->oom_kills_before;
    end->message = keep_tail_text(&keeper->tail);
    return end;
}

static gboolean on_ended(int fd, GIOCondition condition, gpointer data)
{
    Keeper *keeper = data;
    int status = 0;
    if (TEMP_FAILURE_RETRY(waitpid(keeper->qemu.pid, &status, WNOHANG)) != keeper->qemu.pid) {
        return G_SOURCE_CONTINUE;
    }
    keep_watch_stop(&keeper->ended);
    drain_output(keeper);
    if (keeper->console != NULL) {
        keep_console_finish(keeper->console);
    }
    keeper->exit = describe_exit(keeper, status);
    g_autoptr(GError) error = NULL;
    if (!write_status(keeper, KEEP_FILE_EXIT, &error)) {
        syslog(LOG_ERR, "VM %s: %s", keeper->launch->vm, error->message);
    }
    json_t *ended = keeper_status(keeper);
    keep_control_notify(keeper->control, KEEPER_METHOD_KEEPER_EXITED, ended);
    json_decref(ended);
    return G_SOURCE_CONTINUE;
}

static bool send_signal(const Keeper *keeper, int number)
{
    return syscall(SYS_pidfd_send_signal, keeper->qemu.pidfd, number, NULL, 0) == 0;
}

static gboolean on_signal(int fd, GIOCondition condition, gpointer data)
{
    Keeper *keeper = data;
    struct signalfd_siginfo info;
    if (read(fd, &info, sizeof info) == sizeof info) {
        keeper->ends_with_qemu = true;
        send_signal(keeper, SIGTERM);
    }
    return G_SOURCE_CONTINUE;
}

static json_t *call_kill(Keeper *keeper, const json_t *params, GError **error)
{
    g_autoptr(KeeperKill) kill_params = keeper_kill_decode(params, CODEC_TOLERANT, error);
    if (kill_params == NULL) {
        return NULL;
    }
    if (keeper->exit != NULL) {
        berth_error_set(error, BERTH_ERROR_CONFLICT, NULL, NULL, "release the keeper",
                        "QEMU has ended already");
        return NULL;
    }
    if (!send_signal(keeper, (int)kill_params->signal) && errno != ESRCH) {
        berth_error_set(error, BERTH_ERROR_INTERNAL, "signal", NULL, NULL,
                        "cannot send the signal: %s", g_strerror(errno));
        return NULL;
    }
    return json_object();
}

static json_t *call_release(Keeper *keeper, GError **error)
{
    if (keeper->exit == NULL) {
        berth_error_set(error, BERTH_ERROR_CONFLICT, NULL, NULL,
                        "end QEMU first, and wait for keeper.exited", "QEMU still runs");
        return NULL;
    }
    keeper->released = true;
    return json_object();
}

static json_t *on_call(const char *method, const json_t *params, gpointer data, GError **error)
{
    Keeper *keeper = data;
    if (strcmp(method, KEEPER_METHOD_KEEPER_STATUS) == 0) {
        return keeper_status(keeper);
    }
    if (strcmp(method, KEEPER_METHOD_KEEPER_KILL) == 0) {
        return call_kill(keeper, params, error);
    }
    if (strcmp(method, KEEPER_METHOD_KEEPER_RELEASE) == 0) {
        return call_release(keeper, error);
    }
    berth_error_set(error, BERTH_ERROR_NOT_FOUND, "method", method,
                    "ask for the keeper's capabilities in its hello", "no such method");
    return NULL;
}

/* Where the kernel allows it, the out-of-memory killer looks elsewhere: with the keeper the exit
 * status would be lost, and the keeper has next to nothing to give. Not worth failing for. */
static void hide_from_oom_killer(void)
{
    (void)g_file_set_contents_full("/proc/self/oom_score_adj", "-999", -1,
                                   G_FILE_SET_CONTENTS_ONLY_EXISTING, 0, NULL);
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

/* All that the launch makes, or that a keeper left which was killed: it holds the lock no more, so
 * nobody serves them. What is no socket stays; the rest is removed all the same. */
static bool remove_sockets(const Keeper *keeper, GError **error)
{
    const GPtrArray *listeners = keeper->launch->listeners;
    bool removed = true;
    for (guint i = 0; i < listeners->len + 2; i++) {
        const char *name = i == 0   ? KEEP_FILE_CONTROL
                           : i == 1 ? KEEP_FILE_CONSOLE
                                    : ((const KeeperListener *)listeners->pdata[i - 2])->name;
        g_autofree char *path = keep_run_dir_path(keeper->dir, name);
        removed = keep_remove_socket(path, removed ? error : NULL) && removed;
    }
    return removed;
}

static bool open_ring(Keeper *keeper, GError **error)
{
    if (keeper->launch->console == NULL) {
        return true;
    }
    g_autofree char *path = keep_run_dir_path(keeper->dir, KEEP_FILE_RING);
    keeper->ring = keep_ring_new(path, (size_t)keeper->launch->console->ring_kib * 1024, error);
    return keeper->ring != NULL;
}

static bool open_sockets(Keeper *keeper, int *ret_control, int *ret_console, GError **error)
{
    g_autofree char *control = keep_run_dir_path(keeper->dir, KEEP_FILE_CONTROL);
    *ret_control = keep_listen(control, error);
    if (*ret_control < 0 || keeper->launch->console == NULL) {
        return *ret_control >= 0;
    }
    g_autofree char *console = keep_run_dir_path(keeper->dir, KEEP_FILE_CONSOLE);
    *ret_console = keep_listen(console, error);
    return *ret_console >= 0;
}

/* Our own sockets first, so that a launch that fails later takes them away again. */
static bool start(Keeper *keeper, int *ret_control, int *ret_console, GError **error)
{
    if (keeper->launch->keeper_cgroup_procs->len > 0 &&
        !keep_cgroup_join(keeper->launch->keeper_cgroup_procs, getpid(), "keeper-cgroup-procs",
                          error)) {
        return false;
    }
    keep_run_dir_remove(keeper->dir, KEEP_FILE_EXIT);
    if (!remove_sockets(keeper, error) || !open_sockets(keeper, ret_control, ret_console, error) ||
        !keep_spawn_prepare(keeper->launch, &keeper->qemu, error)) {
        return false;
    }
    if (!write_status(keeper, KEEP_FILE_LAUNCH, error)) {
        keep_spawn_kill(&keeper->qemu);
        return false;
    }
    return keep_spawn_execute(&keeper->qemu, error);
}

/* Before the launch: a SIGTERM in the middle of it waits until there is a QEMU to pass it on to. */
static int watch_signals(void)
{
    sigset_t mask;
    signal(SIGCHLD,
           SIG_DFL); /* ignored, as a caller may leave it, it would take away the exit status */
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    return signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void find_oom_file(Keeper *keeper)
{
    const GPtrArray *procs = keeper->launch->cgroup_procs;
    for (guint i = 0; i < procs->len && keeper->oom_file == NULL; i++) {
        keeper->oom_file = keep_cgroup_oom_file(procs->pdata[i]);
    }
    keeper->oom_kills_before =
        keeper->oom_file != NULL ? keep_cgroup_oom_kills(keeper->oom_file) : 0;
}

static void serve(Keeper *keeper, int control, int console)
{
    keeper->control = keep_control_new(control, on_call, keeper);
    if (keeper->launch->console != NULL) {
        keeper->console =
            keep_console_new(keeper->qemu.console, console, g_steal_pointer(&keeper->ring));
        keeper->qemu.console = -1;
    }
    g_unix_set_fd_nonblocking(keeper->qemu.output, TRUE, NULL);
    keeper->output = (KeepWatch){.fd = keeper->qemu.output, .ready = on_output, .data = keeper};
    keeper->ended = (KeepWatch){.fd = keeper->qemu.pidfd, .ready = on_ended, .data = keeper};
    keeper->signals.ready = on_signal;
    keeper->signals.data = keeper;
    keep_watch_set(&keeper->output, G_IO_IN);
    keep_watch_set(&keeper->ended, G_IO_IN);
    keep_watch_set(&keeper->signals, G_IO_IN);
    hide_from_oom_killer();
}

Keeper *keeper_new(const KeeperLaunch *launch, GError **error)
{
    KeepRunDir *dir = keep_run_dir_open(launch->run_dir, error);
    if (dir == NULL) {
        return NULL;
    }
    Keeper *keeper = g_new0(Keeper, 1);
    keeper->launch = launch;
    keeper->dir = dir;
    keeper->qemu = (KeepSpawn){.pid = -1, .pidfd = -1, .channel = -1, .console = -1, .output = -1};
    keeper->signals.fd = watch_signals();
    int control = -1;
    int console = -1;
    find_oom_file(keeper);
    if (!open_ring(keeper, error) || !start(keeper, &control, &console, error)) {
        close_fd(control);
        close_fd(console);
        if (keeper->ring != NULL) {
            keep_run_dir_remove(dir, KEEP_FILE_RING);
        }
        keeper_free(keeper);
        return NULL;
    }
    serve(keeper, control, console);
    return keeper;
}

void keeper_free(Keeper *keeper)
{
    if (keeper == NULL) {
        return;
    }
    keep_watch_stop(&keeper->output);
    keep_watch_stop(&keeper->ended);
    keep_watch_stop(&keeper->signals);
    close_fd(keeper->signals.fd);
    g_clear_pointer(&keeper->control, keep_control_free);
    g_clear_pointer(&keeper->console, keep_console_free);
    g_clear_pointer(&keeper->ring, keep_ring_free);
    keep_spawn_clear(&keeper->qemu);
    remove_sockets(keeper, NULL);
    keep_run_dir_remove(keeper->dir, KEEP_FILE_LAUNCH);
    keep_run_dir_free(keeper->dir);
    keeper_exit_free(keeper->exit);
    g_free(keeper->oom_file);
    g_free(keeper);
}

void keeper_run(Keeper *keeper)
{
    while (keeper->exit == NULL || !(keeper->released || keeper->ends_with_qemu)) {
        g_main_context_iteration(NULL, TRUE);
    }
}
