#include "keep/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "keep/cgroup.h"
#include "keep/inherit.h"
#include "keep/problem.h"
#include "keep/process.h"
#include "keep/sandbox.h"

#define READY "R"
#define GO "G"

/* The descriptors that the child needs until it executes. */
enum { CHILD_CHANNEL, CHILD_CONSOLE, CHILD_OUTPUT, CHILD_OWN };

static bool in_list(bool done, const char *list, guint i, GError **error)
{
    if (!done) {
        g_autofree char *field = g_strdup_printf("%s[%u]", list, i);
        berth_error_prefix_field(error, field);
    }
    return done;
}

static bool open_all(const KeeperLaunch *launch, GError **error)
{
    for (guint i = 0; i < launch->files->len; i++) {
        const KeeperFile *file = launch->files->pdata[i];
        if (!in_list(keep_inherit_file(file->path, file->writable, (int)file->fd, error), "files",
                     i, error)) {
            return false;
        }
    }
    for (guint i = 0; i < launch->taps->len; i++) {
        const KeeperTap *tap = launch->taps->pdata[i];
        if (!in_list(keep_inherit_tap(tap->name, (int)tap->fd, error), "taps", i, error)) {
            return false;
        }
    }
    for (guint i = 0; i < launch->listeners->len; i++) {
        const KeeperListener *listener = launch->listeners->pdata[i];
        g_autofree char *path = g_build_filename(launch->run_dir, listener->name, NULL);
        if (!in_list(keep_inherit_listener(path, (int)listener->fd, error), "listeners", i,
                     error)) {
            return false;
        }
    }
    return true;
}

static bool place_standard(int output, GError **error)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) {
        return berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, "/dev/null", NULL,
                               "cannot open /dev/null: %s", g_strerror(errno));
    }
    bool placed = keep_inherit_place(null, STDIN_FILENO, error) &&
                  keep_inherit_place(output, STDOUT_FILENO, error) &&
                  keep_inherit_place(output, STDERR_FILENO, error);
    close(null);
    return placed;
}

static bool become_qemu(const KeeperLaunch *launch, int own[CHILD_OWN], GError **error)
{
    setsid();
    keep_sandbox_reset_signals();
    signal(SIGPIPE, SIG_IGN); /* a dead keeper reads nothing: QEMU's next word must not kill it */
    if (chdir("/") < 0) {
        return berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, "/", NULL,
                               "cannot change to the root directory: %s", g_strerror(errno));
    }
    return keep_inherit_begin(own, CHILD_OWN, error) &&
           keep_cgroup_join(launch->cgroup_procs, getpid(), "cgroup-procs", error) &&
           (launch->netns == NULL || keep_sandbox_enter_netns(launch->netns, error)) &&
           open_all(launch, error) &&
           (launch->console == NULL ||
            keep_inherit_place(own[CHILD_CONSOLE], (int)launch->console->fd, error)) &&
           place_standard(own[CHILD_OUTPUT], error) &&
           keep_sandbox_set_limits((int)launch->oom_score_adj, error) &&
           keep_sandbox_drop_root((uint32_t)launch->uid, (uint32_t)launch->gid,
                                  (uint32_t)launch->nofile, error);
}

static char **environment(const KeeperLaunch *launch)
{
    GPtrArray *list = g_ptr_array_new();
    for (size_t i = 0; i < string_map_size(launch->env); i++) {
        g_ptr_array_add(list, g_strdup_printf("%s=%s", string_map_key(launch->env, i),
                                              string_map_value(launch->env, i)));
    }
    g_ptr_array_add(list, NULL);
    return (char **)g_ptr_array_free(list, FALSE);
}

static char **arguments(const KeeperLaunch *launch)
{
    char **argv = g_new0(char *, launch->argv->len + 1);
    for (guint i = 0; i < launch->argv->len; i++) {
        argv[i] = launch->argv->pdata[i];
    }
    return argv;
}

/* The child's life: never returns. Says "R", waits for "G", executes; or says what failed. */
static G_NORETURN void child_main(const KeeperLaunch *launch, int own[CHILD_OWN])
{
    g_autoptr(GError) error = NULL;
    if (become_qemu(launch, own, &error)) {
        char go = 0;
        if (send(own[CHILD_CHANNEL], READY, 1, MSG_NOSIGNAL) != 1 ||
            TEMP_FAILURE_RETRY(recv(own[CHILD_CHANNEL], &go, 1, 0)) != 1) {
            _exit(EXIT_FAILURE);
        }
        char **argv = arguments(launch);
        execve(argv[0], argv, environment(launch));
        berth_error_set(&error, BERTH_ERROR_INTERNAL, "argv[0]", argv[0],
                        "install QEMU, or name a program that the VM's user may execute",
                        "cannot execute: %s", g_strerror(errno));
    }
    g_autofree char *text = keep_problem_write(error);
    (void)send(own[CHILD_CHANNEL], text, strlen(text), MSG_NOSIGNAL);
    _exit(EXIT_FAILURE);
}

/* The next word of the child; "" at the end of the channel. Messages keep their bounds (SEQPACKET).
 */
static char *hear(int channel)
{
    char text[4096];
    ssize_t n = TEMP_FAILURE_RETRY(recv(channel, text, sizeof text, 0));
    return g_strndup(text, n > 0 ? (size_t)n : 0);
}

static bool died(GError **error)
{
    return berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL,
                           "look for an out-of-memory kill in the kernel's log",
                           "the process was killed before it became QEMU");
}

/* Two pairs and a pipe: [0] is the keeper's end, [1] the child's. A keeper that does not read must
 * not hold QEMU up either, so QEMU's end of the pipe does not block and loses what does not fit. */
static bool make_pipes(bool with_console, int channel[2], int console[2], int output[2],
                       GError **error)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) == 0 &&
        pipe2(output, O_CLOEXEC) == 0 && g_unix_set_fd_nonblocking(output[1], TRUE, NULL) &&
        (!with_console || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, console) == 0)) {
        return true;
    }
    return berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, "raise the limit of open files",
                           "cannot make pipes: %s", g_strerror(errno));
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

/* Forks the child; `spawn` gets the keeper's ends. */
static bool fork_child(const KeeperLaunch *launch, KeepSpawn *spawn, GError **error)
{
    int channel[2] = {-1, -1};
    int console[2] = {-1, -1};
    int output[2] = {-1, -1};
    bool made = make_pipes(launch->console != NULL, channel, console, output, error);
    spawn->channel = channel[0];
    spawn->console = console[0];
    spawn->output = output[0];
    spawn->pid = made ? fork() : -1;
    if (spawn->pid == 0) {
        int own[CHILD_OWN] = {channel[1], console[1] >= 0 ? console[1] : STDIN_FILENO, output[1]};
        child_main(launch, own);
    }
    if (made && spawn->pid < 0) {
        berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, "raise the limit of processes",
                        "cannot fork: %s", g_strerror(errno));
    }
    close_fd(&channel[1]);
    close_fd(&console[1]);
    close_fd(&output[1]);
    return spawn->pid > 0;
}

bool keep_spawn_prepare(const KeeperLaunch *launch, KeepSpawn *ret_spawn, GError **error)
{
    KeepSpawn spawn = {.pid = -1, .pidfd = -1, .channel = -1, .console = -1, .output = -1};
    if (!fork_child(launch, &spawn, error)) {
        keep_spawn_clear(&spawn);
        return false;
    }
    spawn.pidfd = (int)syscall(SYS_pidfd_open, spawn.pid, 0);
    spawn.start_ticks = keep_process_start_ticks(spawn.pid);
    g_autofree char *word = hear(spawn.channel);
    if (strcmp(word, READY) == 0 && spawn.pidfd >= 0) {
        *ret_spawn = spawn;
        return true;
    }
    if (spawn.pidfd < 0) {
        berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, "Linux 5.3 or later is needed",
                        "cannot open a pidfd of the child");
    } else if (*word == '\0') {
        died(error);
    } else {
        keep_problem_read(word, error);
    }
    keep_spawn_kill(&spawn);
    keep_spawn_clear(&spawn);
    return false;
}

bool keep_spawn_execute(KeepSpawn *spawn, GError **error)
{
    if (send(spawn->channel, GO, 1, MSG_NOSIGNAL) != 1) {
        keep_spawn_kill(spawn);
        return died(error);
    }
    g_autofree char *word = hear(spawn->channel);
    close_fd(&spawn->channel);
    if (*word == '\0') {
        return true;
    }
    keep_spawn_kill(spawn);
    return keep_problem_read(word, error);
}

void keep_spawn_kill(KeepSpawn *spawn)
{
    kill(spawn->pid, SIGKILL); /* our own child, not yet reaped: the pid is still its */
    TEMP_FAILURE_RETRY(waitpid(spawn->pid, NULL, 0));
}

void keep_spawn_clear(KeepSpawn *spawn)
{
    close_fd(&spawn->pidfd);
    close_fd(&spawn->channel);
    close_fd(&spawn->console);
    close_fd(&spawn->output);
}
