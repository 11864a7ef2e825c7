/* A real QEMU under the keeper, started as the agent does it. */
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lab.h"

#define QEMU "qemu-system-x86_64"
#define SANDBOX "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"

static KeeperStatus *start(Lab *lab)
{
    g_autofree char *qemu = g_find_program_in_path(QEMU);
    if (qemu == NULL) {
        g_test_skip("needs " QEMU);
        return NULL;
    }
    lab_set(lab, "argv",
            json_pack("[ssssssssssssssssssss]", qemu, "-sandbox", SANDBOX, "-M", "q35", "-accel",
                      "tcg", "-m", "32", "-S", "-nodefaults", "-nographic", "-chardev",
                      "socket,id=qmp0,fd=10,server=on,wait=off", "-mon",
                      "chardev=qmp0,mode=control", "-chardev", "socket,id=console,fd=11", "-serial",
                      "chardev:console"));
    lab_set(lab, "listeners", json_pack("[{si ss}]", "fd", 10, "name", "qmp-0.sock"));
    lab_set(lab, "console", json_pack("{si}", "fd", 11));
    return lab_start(lab);
}

static void say(int monitor, const char *command)
{
    g_assert_cmpint(send(monitor, command, strlen(command), 0), ==, strlen(command));
}

static int connect_monitor(const Lab *lab)
{
    int monitor = lab_connect(lab, "qmp-0.sock");
    lab_expect(monitor, "{\"QMP\":");
    say(monitor, "{\"execute\":\"qmp_capabilities\"}\n");
    lab_expect(monitor, "{\"return\": {}}");
    return monitor;
}

static void test_it_answers_and_quits(Lab *lab)
{
    g_autoptr(KeeperStatus) status = start(lab);
    if (status == NULL) {
        return;
    }
    int monitor = connect_monitor(lab);
    g_autoptr(Peer) peer = lab_peer(lab);
    say(monitor, "{\"execute\":\"quit\"}\n");
    g_autoptr(KeeperStatus) exited = lab_peer_exited(peer);
    g_assert_cmpint(exited->exit->kind, ==, KEEPER_EXIT_KIND_EXITED);
    g_assert_cmpint(exited->exit->code, ==, 0);
    close(monitor);
}

static void test_it_outlives_its_keeper(Lab *lab)
{
    g_autoptr(KeeperStatus) status = start(lab);
    if (status == NULL) {
        return;
    }
    int monitor = connect_monitor(lab);
    kill((pid_t)status->keeper_pid, SIGKILL);
    lab_wait_ended(status, true);
    say(monitor, "{\"execute\":\"cont\"}\n");
    lab_expect(monitor, "{\"return\": {}}");
    close(monitor);
    monitor = connect_monitor(lab); /* a new agent comes */
    say(monitor, "{\"execute\":\"query-status\"}\n");
    lab_expect(monitor, "\"running\": true");
    say(monitor, "{\"execute\":\"quit\"}\n");
    lab_wait_ended(status, false);
    close(monitor);
}

static void test_it_says_why_it_will_not_start(Lab *lab)
{
    g_autofree char *qemu = g_find_program_in_path(QEMU);
    if (qemu == NULL) {
        g_test_skip("needs " QEMU);
        return;
    }
    lab_set(lab, "argv", json_pack("[sss]", qemu, "-M", "no-such-machine"));
    g_autoptr(KeeperStatus) status = lab_start(lab);
    lab_wait_file(lab, "exit.json");
    g_autoptr(KeeperStatus) file = lab_read_status(lab, "exit.json");
    g_assert_cmpint(file->exit->kind, ==, KEEPER_EXIT_KIND_EXITED);
    g_assert_cmpint(file->exit->code, ==, 1);
    g_assert_nonnull(strstr(file->exit->message, "unsupported machine type"));
}

int main(int argc, char **argv)
{
    lab_init(&argc, &argv);
    lab_add("/keep/qemu/answers-and-quits", test_it_answers_and_quits);
    lab_add("/keep/qemu/outlives-its-keeper", test_it_outlives_its_keeper);
    lab_add("/keep/qemu/says-why-it-will-not-start", test_it_says_why_it_will_not_start);
    return g_test_run();
}
