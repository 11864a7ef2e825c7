#include "lab.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "keep/process.h"

#define STEP_US 5000

typedef struct {
    pid_t pid;
    int64_t start_ticks;
} Process;

static void on_abort(int number);

void lab_init(int *argc, char ***argv)
{
    g_test_init(argc, argv, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGABRT, on_abort); /* of g_assert */
    signal(SIGTRAP, on_abort); /* of g_error */
}

uid_t lab_uid(void)
{
    return 61000 + (uid_t)getpid() % 4000;
}

static bool alive(const Process *process)
{
    return keep_process_start_ticks(process->pid) == process->start_ticks;
}

unsigned lab_processes(void)
{
    g_autoptr(GDir) proc = g_dir_open("/proc", 0, NULL);
    unsigned n = 0;
    const char *name;
    while ((name = g_dir_read_name(proc)) != NULL) {
        g_autofree char *path = g_build_filename("/proc", name, NULL);
        struct stat st;
        pid_t pid = (pid_t)g_ascii_strtoull(name, NULL, 10);
        n += pid > 0 && stat(path, &st) == 0 && st.st_uid == lab_uid() &&
             keep_process_start_ticks(pid) != 0;
    }
    return n;
}

static Lab *lab_new(void)
{
    Lab *lab = g_new0(Lab, 1);
    lab->directory = g_dir_make_tmp("keep-XXXXXX", NULL);
    g_assert_cmpint(chmod(lab->directory, 0711), ==, 0);
    lab->processes = g_array_new(FALSE, FALSE, sizeof(Process));
    lab->launch = json_pack("{ss si ss ss s[ss] si si}", "vm", "vm-1", "epoch", 7, "launch",
                            "launch-1", "run-dir", lab->directory, "argv", "/bin/sleep", "100000",
                            "uid", (int)lab_uid(), "gid", (int)lab_uid());
    g_assert_nonnull(lab->launch);
    return lab;
}

static void end_processes(Lab *lab)
{
    for (guint i = 0; i < lab->processes->len; i++) {
        const Process *process = &g_array_index(lab->processes, Process, i);
        if (alive(process)) {
            kill(process->pid, SIGKILL);
        }
        while (alive(process)) {
            g_usleep(STEP_US);
        }
    }
}

static void lab_free(Lab *lab)
{
    end_processes(lab);
    g_autoptr(GDir) files = g_dir_open(lab->directory, 0, NULL);
    const char *name;
    while (files != NULL && (name = g_dir_read_name(files)) != NULL) {
        g_autofree char *path = lab_path(lab, name);
        g_assert_cmpint(g_remove(path), ==, 0);
    }
    g_assert_cmpint(g_rmdir(lab->directory), ==, 0);
    g_array_unref(lab->processes);
    json_decref(lab->launch);
    g_free(lab->directory);
    g_free(lab);
}

/* The test that runs now. */
static Lab *running;

/* An assertion that fails ends the program: not without what it started. The signal comes from our
 * own thread, in the middle of nothing, so the handler may do what others must not. */
static void on_abort(int number)
{
    Lab *lab = running;
    running = NULL;
    signal(number, SIG_DFL);
    if (lab != NULL) {
        lab_free(lab);
    }
    raise(number);
}

static bool nothing_runs(gconstpointer data)
{
    return lab_processes() == 0;
}

static void run(gconstpointer data)
{
    if (geteuid() != 0) {
        g_test_skip("needs root: it starts processes as another user");
        return;
    }
    Lab *lab = running = lab_new();
    ((void (*)(Lab *))data)(lab);
    running = NULL;
    lab_free(lab);
    lab_wait(nothing_runs, NULL, "what a script started itself ends");
}

void lab_add(const char *path, void (*test)(Lab *lab))
{
    g_test_add_data_func(path, (gconstpointer)test, run);
}

void lab_set(Lab *lab, const char *key, json_t *value)
{
    g_assert_cmpint(json_object_set_new(lab->launch, key, value), ==, 0);
}

void lab_script(Lab *lab, const char *script)
{
    lab_set(lab, "argv", json_pack("[sss]", "/bin/bash", "-c", script));
}

static void before_exec(gpointer data)
{
    const Lab *lab = data;
    if (lab->sigchld_ignored) {
        signal(SIGCHLD, SIG_IGN);
    }
}

static GSubprocess *spawn(Lab *lab)
{
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE |
                                  G_SUBPROCESS_FLAGS_STDERR_PIPE);
    g_subprocess_launcher_set_child_setup(launcher, before_exec, lab, NULL);
    if (lab->extra_fd > 0) {
        g_subprocess_launcher_take_fd(launcher, lab->extra_fd, lab->extra_fd);
        lab->extra_fd = 0;
    }
    const char *program = g_getenv("BERTH_KEEP");
    g_assert_nonnull(program);
    g_autoptr(GError) error = NULL;
    GSubprocess *process = g_subprocess_launcher_spawn(launcher, &error, program, NULL);
    g_assert_no_error(error);
    return process;
}

static void remember(Lab *lab, pid_t pid)
{
    Process process = {.pid = pid, .start_ticks = keep_process_start_ticks(pid)};
    if (process.start_ticks != 0) {
        g_array_append_val(lab->processes, process);
    }
}

static KeeperStatus *read_answer(const char *text)
{
    g_autoptr(GError) error = NULL;
    json_t *json = codec_parse(text, strlen(text), NULL, &error);
    g_assert_no_error(error);
    KeeperStatus *status = keeper_status_decode(json, CODEC_STRICT, &error);
    g_assert_no_error(error);
    json_decref(json);
    return status;
}

static GError *read_error(const char *text)
{
    g_autoptr(GError) error = NULL;
    json_t *json = codec_parse(text, strlen(text), NULL, &error);
    g_assert_no_error(error);
    GError *said = rpc_error_from_json(json);
    json_decref(json);
    return said;
}

KeeperStatus *lab_try(Lab *lab, GError **error)
{
    g_autofree char *text = codec_dump(lab->launch);
    g_autoptr(GSubprocess) process = spawn(lab);
    g_autofree char *out = NULL;
    g_autofree char *err = NULL;
    g_autoptr(GError) failure = NULL;
    g_subprocess_communicate_utf8(process, text, NULL, &out, &err, &failure);
    g_assert_no_error(failure);
    g_assert_true(g_subprocess_get_if_exited(process));
    if (g_subprocess_get_exit_status(process) == 0) {
        g_assert_cmpstr(err, ==, "");
        KeeperStatus *status = read_answer(out);
        remember(lab, (pid_t)status->keeper_pid);
        remember(lab, (pid_t)status->pid);
        return status;
    }
    g_assert_cmpint(g_subprocess_get_exit_status(process), ==, 1);
    g_assert_cmpstr(out, ==, "");
    g_propagate_error(error, read_error(err));
    return NULL;
}

KeeperStatus *lab_start(Lab *lab)
{
    g_autoptr(GError) error = NULL;
    KeeperStatus *status = lab_try(lab, &error);
    g_assert_no_error(error);
    g_assert_cmpint(status->state, ==, KEEPER_RUN_STATE_RUNNING);
    return status;
}

char *lab_path(const Lab *lab, const char *name)
{
    return g_build_filename(lab->directory, name, NULL);
}

bool lab_has(const Lab *lab, const char *name)
{
    g_autofree char *path = lab_path(lab, name);
    return g_file_test(path, G_FILE_TEST_EXISTS);
}

unsigned lab_files(const Lab *lab)
{
    g_autoptr(GDir) files = g_dir_open(lab->directory, 0, NULL);
    unsigned n = 0;
    while (g_dir_read_name(files) != NULL) {
        n++;
    }
    return n;
}

KeeperStatus *lab_read_status(const Lab *lab, const char *name)
{
    g_autofree char *path = lab_path(lab, name);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    return read_answer(text);
}

void lab_wait(bool (*condition)(gconstpointer data), gconstpointer data, const char *what)
{
    int64_t end = g_get_monotonic_time() + LAB_PATIENCE_MS * 1000;
    while (!condition(data)) {
        if (g_get_monotonic_time() > end) {
            g_error("waited for %d ms in vain: %s", LAB_PATIENCE_MS, what);
        }
        g_usleep(STEP_US);
    }
}

static bool gone(gconstpointer data)
{
    return keep_process_start_ticks(*(const pid_t *)data) == 0;
}

void lab_wait_ended(const KeeperStatus *status, bool keeper)
{
    pid_t pid = (pid_t)(keeper ? status->keeper_pid : status->pid);
    lab_wait(gone, &pid, keeper ? "the keeper ends" : "QEMU ends");
}

static bool there(gconstpointer path)
{
    return g_file_test(path, G_FILE_TEST_EXISTS);
}

void lab_wait_file(const Lab *lab, const char *name)
{
    g_autofree char *path = lab_path(lab, name);
    lab_wait(there, path, name);
}

int lab_connect(const Lab *lab, const char *name)
{
    g_autofree char *path = lab_path(lab, name);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_assert_cmpuint(g_strlcpy(address.sun_path, path, sizeof address.sun_path), <,
                     sizeof address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = LAB_PATIENCE_MS / 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    return fd;
}

void lab_expect(int fd, const char *wanted)
{
    g_autoptr(GString) got = g_string_new(NULL);
    while (strstr(got->str, wanted) == NULL) {
        char bytes[512];
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n <= 0) {
            g_error("waited in vain for '%s', got '%s'", wanted, got->str);
        }
        g_string_append_len(got, bytes, n);
    }
}

Peer *lab_peer(const Lab *lab)
{
    g_autofree char *path = lab_path(lab, "keeper.sock");
    return peer_greeted(path, NULL);
}

static KeeperStatus *status_in(const json_t *json)
{
    g_autoptr(GError) error = NULL;
    KeeperStatus *status = keeper_status_decode(json, CODEC_STRICT, &error);
    g_assert_no_error(error);
    return status;
}

KeeperStatus *lab_peer_status(Peer *peer)
{
    g_autoptr(RpcMessage) answer = peer_call(peer, KEEPER_METHOD_KEEPER_STATUS, NULL);
    g_assert_cmpint(answer->kind, ==, RPC_MESSAGE_RESULT);
    return status_in(answer->result);
}

KeeperStatus *lab_peer_exited(Peer *peer)
{
    g_autoptr(RpcMessage) message = peer_hear(peer);
    g_assert_nonnull(message);
    g_assert_cmpint(message->kind, ==, RPC_MESSAGE_NOTIFY);
    g_assert_cmpstr(message->method, ==, KEEPER_METHOD_KEEPER_EXITED);
    return status_in(message->params);
}

void lab_peer_kill(Peer *peer, int number)
{
    g_autoptr(RpcMessage) answer =
        peer_call(peer, KEEPER_METHOD_KEEPER_KILL, json_pack("{si}", "signal", number));
    g_assert_cmpint(answer->kind, ==, RPC_MESSAGE_RESULT);
}

GError *lab_peer_refused(Peer *peer, const char *method, json_t *params)
{
    g_autoptr(RpcMessage) answer = peer_call(peer, method, params);
    g_assert_cmpint(answer->kind, ==, RPC_MESSAGE_ERROR);
    return g_steal_pointer(&answer->error);
}
