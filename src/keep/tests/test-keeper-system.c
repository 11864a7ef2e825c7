/* One VM's life: exits and their causes, agents that come and go, a keeper that is killed. */
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "lab.h"

static void release(Peer *peer, const KeeperStatus *status)
{
    g_autoptr(RpcMessage) answer = peer_call(peer, KEEPER_METHOD_KEEPER_RELEASE, NULL);
    g_assert_cmpint(answer->kind, ==, RPC_MESSAGE_RESULT);
    lab_wait_ended(status, true);
}

static void test_exit_code_and_last_words(Lab *lab)
{
    lab_set(lab, "console", json_pack("{si}", "fd", 10));
    lab_script(lab, "echo first; read -r -u 10; echo last words >&2; exit 3");
    g_autoptr(KeeperStatus) status = lab_start(lab);
    g_assert_cmpstr(status->vm, ==, "vm-1");
    g_assert_cmpint(status->epoch, ==, 7);
    g_assert_cmpstr(status->launch, ==, "launch-1");
    g_autoptr(Peer) one = lab_peer(lab);
    g_autoptr(Peer) two = lab_peer(lab);
    g_autoptr(KeeperStatus) now = lab_peer_status(one);
    g_assert_cmpint(now->pid, ==, status->pid);
    int console = lab_connect(lab, "console.sock");
    g_assert_cmpint(send(console, "\n", 1, 0), ==, 1);
    close(console);
    g_autoptr(KeeperStatus) exited = lab_peer_exited(one);
    g_autoptr(KeeperStatus) also = lab_peer_exited(two);
    g_autoptr(KeeperStatus) file = lab_read_status(lab, "exit.json");
    g_assert_cmpint(exited->state, ==, KEEPER_RUN_STATE_EXITED);
    g_assert_cmpint(exited->exit->kind, ==, KEEPER_EXIT_KIND_EXITED);
    g_assert_cmpint(exited->exit->code, ==, 3);
    g_assert_false(exited->exit->has_signal);
    g_assert_false(exited->exit->oom_killed);
    g_assert_cmpstr(exited->exit->message, ==, "first\nlast words");
    g_assert_true(keeper_status_equal(exited, also));
    g_assert_true(keeper_status_equal(exited, file));
    release(two, status);
}

static void test_killed_by_a_signal(Lab *lab)
{
    g_autoptr(KeeperStatus) status = lab_start(lab);
    g_autoptr(Peer) peer = lab_peer(lab);
    lab_peer_kill(peer, SIGKILL);
    g_autoptr(KeeperStatus) exited = lab_peer_exited(peer);
    g_assert_cmpint(exited->exit->kind, ==, KEEPER_EXIT_KIND_SIGNALED);
    g_assert_cmpint(exited->exit->signal, ==, SIGKILL);
    g_assert_false(exited->exit->has_code);
    release(peer, status);
}

static void test_release_takes_all_but_the_record(Lab *lab)
{
    lab_set(lab, "console", json_pack("{si}", "fd", 11));
    lab_set(lab, "listeners", json_pack("[{si ss}]", "fd", 10, "name", "qmp-0.sock"));
    g_autoptr(KeeperStatus) status = lab_start(lab);
    g_autoptr(Peer) peer = lab_peer(lab);
    g_autoptr(GError) early = lab_peer_refused(peer, KEEPER_METHOD_KEEPER_RELEASE, NULL);
    g_assert_error(early, BERTH_ERROR, BERTH_ERROR_CONFLICT);
    lab_peer_kill(peer, SIGKILL);
    g_autoptr(KeeperStatus) exited = lab_peer_exited(peer);
    g_autoptr(GError) late =
        lab_peer_refused(peer, KEEPER_METHOD_KEEPER_KILL, json_pack("{si}", "signal", SIGKILL));
    g_assert_error(late, BERTH_ERROR, BERTH_ERROR_CONFLICT);
    release(peer, status);
    g_assert_cmpuint(lab_files(lab), ==, 2);
    g_assert_true(lab_has(lab, "exit.json"));
    g_assert_true(lab_has(lab, "console.ring"));
}

static void test_exit_before_the_agent_comes(Lab *lab)
{
    lab_set(lab, "argv", json_pack("[s]", "/bin/false"));
    g_autoptr(KeeperStatus) status = lab_start(lab);
    lab_wait_file(lab, "exit.json");
    g_autoptr(Peer) peer = lab_peer(lab);
    g_autoptr(KeeperStatus) now = lab_peer_status(peer);
    g_assert_cmpint(now->state, ==, KEEPER_RUN_STATE_EXITED);
    g_assert_cmpint(now->exit->code, ==, 1);
    release(peer, status);
}

static void test_exit_status_survives_a_caller_that_ignores_sigchld(Lab *lab)
{
    lab->sigchld_ignored = true;
    lab_set(lab, "argv", json_pack("[s]", "/bin/false"));
    g_autoptr(KeeperStatus) status = lab_start(lab);
    lab_wait_file(lab, "exit.json");
    g_autoptr(KeeperStatus) file = lab_read_status(lab, "exit.json");
    g_assert_cmpint(file->exit->code, ==, 1);
}

static void test_agent_goes_and_comes_back(Lab *lab)
{
    g_autoptr(KeeperStatus) status = lab_start(lab);
    for (int i = 0; i < 20; i++) { /* more than there are places for connections */
        g_autoptr(Peer) peer = lab_peer(lab);
        g_autoptr(KeeperStatus) now = lab_peer_status(peer);
        g_assert_true(keeper_status_equal(now, status));
    }
    g_autoptr(KeeperStatus) file = lab_read_status(lab, "launch.json");
    g_assert_cmpint(file->pid, ==, status->pid);
    g_assert_cmpint(file->start_ticks, ==, status->start_ticks);
}

static void test_sigterm_is_passed_on(Lab *lab)
{
    g_autoptr(KeeperStatus) status = lab_start(lab);
    kill((pid_t)status->keeper_pid, SIGINT);
    kill((pid_t)status->keeper_pid, SIGHUP);
    g_autoptr(Peer) peer = lab_peer(lab);
    g_autoptr(KeeperStatus) now = lab_peer_status(peer);
    g_assert_cmpint(now->state, ==, KEEPER_RUN_STATE_RUNNING);
    kill((pid_t)status->keeper_pid, SIGTERM);
    lab_wait_ended(status, true);
    g_autoptr(KeeperStatus) file = lab_read_status(lab, "exit.json");
    g_assert_cmpint(file->exit->signal, ==, SIGTERM);
    g_assert_cmpuint(lab_files(lab), ==, 1);
}

static void test_sigterm_ends_a_keeper_that_nobody_releases(Lab *lab)
{
    lab_set(lab, "argv", json_pack("[s]", "/bin/true"));
    g_autoptr(KeeperStatus) status = lab_start(lab);
    lab_wait_file(lab, "exit.json");
    kill((pid_t)status->keeper_pid, SIGTERM);
    lab_wait_ended(status, true);
}

static void test_one_keeper_a_directory(Lab *lab)
{
    g_autoptr(KeeperStatus) status = lab_start(lab);
    g_autoptr(GError) error = NULL;
    g_assert_null(lab_try(lab, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_CONFLICT);
    g_assert_cmpstr(berth_error_field(error), ==, "run-dir");
    g_autoptr(Peer) peer = lab_peer(lab);
    g_autoptr(KeeperStatus) now = lab_peer_status(peer);
    g_assert_true(keeper_status_equal(now, status));
    g_assert_cmpuint(lab_processes(), ==, 1);
}

static bool has_grown(gconstpointer data)
{
    struct stat st;
    return stat(data, &st) == 0 && st.st_size > 40;
}

/* It writes on to standard error, of which nobody reads the other end any more. */
static void test_qemu_outlives_a_killed_keeper(Lab *lab)
{
    g_autofree char *path = lab_path(lab, "steps");
    g_assert_true(g_file_set_contents(path, "", 0, NULL));
    lab_set(lab, "files", json_pack("[{si ss sb}]", "fd", 10, "path", path, "writable", 1));
    lab_set(lab, "console", json_pack("{si}", "fd", 11));
    lab_script(lab, "while :; do echo a >&2; echo b; echo c >&11; echo d >&10; sleep 0.01; done");
    g_autoptr(KeeperStatus) status = lab_start(lab);
    kill((pid_t)status->keeper_pid, SIGKILL);
    lab_wait_ended(status, true);
    g_assert_cmpint(truncate(path, 0), ==, 0);
    lab_wait(has_grown, path, "QEMU goes on");
    g_autoptr(GError) error = NULL;
    g_assert_null(lab_try(lab, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_CONFLICT);
    g_assert_cmpuint(lab_processes(), >=, 1);

    kill((pid_t)status->pid, SIGKILL);
    lab_wait_ended(status, false);
    lab_set(lab, "argv", json_pack("[s]", "/bin/true"));
    g_autoptr(KeeperStatus) next = lab_start(lab); /* over the dead one's sockets */
    lab_wait_file(lab, "exit.json");
}

static void test_a_stopped_keeper_does_not_hold_qemu_up(Lab *lab)
{
    g_autofree char *path = lab_path(lab, "steps");
    g_assert_true(g_file_set_contents(path, "", 0, NULL));
    lab_set(lab, "files", json_pack("[{si ss sb}]", "fd", 10, "path", path, "writable", 1));
    lab_script(lab, "while :; do printf '%70000s' x >&2; echo d >&10; sleep 0.01; done");
    g_autoptr(KeeperStatus) status = lab_start(lab);
    kill((pid_t)status->keeper_pid, SIGSTOP);
    g_assert_cmpint(truncate(path, 0), ==, 0);
    lab_wait(has_grown, path, "QEMU goes on though nobody reads its standard error");
}

static void test_bad_calls_have_answers(Lab *lab)
{
    g_autoptr(KeeperStatus) status = lab_start(lab);
    g_autoptr(Peer) peer = lab_peer(lab);
    g_autoptr(GError) unknown = lab_peer_refused(peer, "keeper.dance", NULL);
    g_assert_error(unknown, BERTH_ERROR, BERTH_ERROR_NOT_FOUND);
    static const int numbers[] = {0, -9, 65};
    for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
        g_autoptr(GError) error = lab_peer_refused(peer, KEEPER_METHOD_KEEPER_KILL,
                                                   json_pack("{si}", "signal", numbers[i]));
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
        g_assert_cmpstr(berth_error_field(error), ==, "signal");
    }
    g_autoptr(KeeperStatus) now = lab_peer_status(peer);
    g_assert_cmpint(now->state, ==, KEEPER_RUN_STATE_RUNNING);
}

int main(int argc, char **argv)
{
    lab_init(&argc, &argv);
    lab_add("/keep/keeper/exit-code-and-last-words", test_exit_code_and_last_words);
    lab_add("/keep/keeper/killed-by-a-signal", test_killed_by_a_signal);
    lab_add("/keep/keeper/release-takes-all-but-the-record", test_release_takes_all_but_the_record);
    lab_add("/keep/keeper/exit-before-the-agent-comes", test_exit_before_the_agent_comes);
    lab_add("/keep/keeper/caller-ignores-sigchld",
            test_exit_status_survives_a_caller_that_ignores_sigchld);
    lab_add("/keep/keeper/agent-goes-and-comes-back", test_agent_goes_and_comes_back);
    lab_add("/keep/keeper/sigterm-is-passed-on", test_sigterm_is_passed_on);
    lab_add("/keep/keeper/sigterm-ends-the-unreleased",
            test_sigterm_ends_a_keeper_that_nobody_releases);
    lab_add("/keep/keeper/one-keeper-a-directory", test_one_keeper_a_directory);
    lab_add("/keep/keeper/qemu-outlives-a-killed-keeper", test_qemu_outlives_a_killed_keeper);
    lab_add("/keep/keeper/stopped-keeper-does-not-hold-qemu-up",
            test_a_stopped_keeper_does_not_hold_qemu_up);
    lab_add("/keep/keeper/bad-calls-have-answers", test_bad_calls_have_answers);
    return g_test_run();
}
