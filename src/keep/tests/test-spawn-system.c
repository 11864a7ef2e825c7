/* What the started process is and has, and launches that fail. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "lab.h"

static char *proc_text(int64_t pid, const char *name)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/%s", (int)pid, name);
    g_autoptr(GError) error = NULL;
    char *text = NULL;
    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    return text;
}

static char *proc_link(int64_t pid, const char *name)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/%s", (int)pid, name);
    char *target = g_file_read_link(path, NULL);
    g_assert_nonnull(target);
    return target;
}

/* A line "Name:\tvalue" of /proc/PID/status. */
static void assert_status(int64_t pid, const char *name, const char *value)
{
    g_autofree char *text = proc_text(pid, "status");
    g_autofree char *line = g_strdup_printf("\n%s:\t%s\n", name, value);
    if (strstr(text, line) == NULL) {
        g_error("no%s in\n%s", line, text);
    }
}

static void test_it_has_no_privilege(Lab *lab)
{
    g_autoptr(KeeperStatus) status = lab_start(lab);
    unsigned id = lab_uid();
    g_autofree char *ids = g_strdup_printf("%u\t%u\t%u\t%u", id, id, id, id);
    static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};
    assert_status(status->pid, "Uid", ids);
    assert_status(status->pid, "Gid", ids);
    assert_status(status->pid, "Groups", " ");
    assert_status(status->pid, "NoNewPrivs", "1");
    for (size_t i = 0; i < G_N_ELEMENTS(sets); i++) {
        assert_status(status->pid, sets[i], "0000000000000000");
    }
    assert_status(status->pid, "SigBlk", "0000000000000000");
    assert_status(status->pid, "SigIgn", "0000000000001000"); /* SIGPIPE alone */
}

static void test_it_has_its_limits(Lab *lab)
{
    lab_set(lab, "nofile", json_integer(100));
    lab_set(lab, "oom-score-adj", json_integer(321));
    lab_set(lab, "env", json_pack("{ss}", "ONLY", "this=1"));
    g_autoptr(KeeperStatus) status = lab_start(lab);
    g_autofree char *score = proc_text(status->pid, "oom_score_adj");
    g_assert_cmpstr(score, ==, "321\n");
    g_autofree char *environment = proc_text(status->pid, "environ");
    g_assert_cmpstr(environment, ==, "ONLY=this=1");
    g_autofree char *limits = proc_text(status->pid, "limits");
    g_assert_true(g_regex_match_simple("open files +100 +100 ", limits, 0, 0));
    g_assert_true(g_regex_match_simple("core file size +0 +0 ", limits, 0, 0));
    g_autofree char *directory = proc_link(status->pid, "cwd");
    g_assert_cmpstr(directory, ==, "/");
    g_assert_cmpint(getsid((pid_t)status->pid), ==, status->pid);
    g_assert_cmpint(getsid((pid_t)status->keeper_pid), !=, getsid(0));
}

/* "0 1 2 10 …" */
static char *descriptors(int64_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/fd", (int)pid);
    GString *list = g_string_new(NULL);
    for (int fd = 0; fd < 2000; fd++) {
        g_autofree char *link = g_strdup_printf("%s/%d", path, fd);
        if (g_file_test(link, G_FILE_TEST_IS_SYMLINK)) {
            g_string_append_printf(list, "%s%d", list->len > 0 ? " " : "", fd);
        }
    }
    return g_string_free(list, FALSE);
}

/* Not at once: right after the execution the dynamic loader opens libraries. */
static bool has_descriptors(gconstpointer pid)
{
    g_autofree char *list = descriptors(*(const int64_t *)pid);
    return strcmp(list, "0 1 2 10 12 77 1000") == 0;
}

static void test_it_finds_its_descriptors_and_no_others(Lab *lab)
{
    g_autofree char *path = lab_path(lab, "disk");
    g_assert_true(g_file_set_contents(path, "x", 1, NULL));
    lab_set(lab, "files",
            json_pack("[{si ss} {si ss sb}]", "fd", 1000, "path", path, "fd", 12, "path", path,
                      "writable", 1));
    lab_set(lab, "listeners", json_pack("[{si ss}]", "fd", 10, "name", "qmp-0.sock"));
    lab_set(lab, "console", json_pack("{si}", "fd", 77));
    g_autoptr(KeeperStatus) status = lab_start(lab);
    lab_wait(has_descriptors, &status->pid, "QEMU has 0 1 2 10 12 77 1000 and no others");
    g_autofree char *in = proc_link(status->pid, "fd/0");
    g_assert_cmpstr(in, ==, "/dev/null");
    g_autofree char *disk = proc_link(status->pid, "fd/1000");
    g_assert_cmpstr(disk, ==, path);
    g_autofree char *readable = proc_text(status->pid, "fdinfo/1000");
    g_autofree char *writable = proc_text(status->pid, "fdinfo/12");
    g_assert_true(g_regex_match_simple("flags:\\t0?[0-7]*0\\n", readable, 0, 0));
    g_assert_true(g_regex_match_simple("flags:\\t0?[0-7]*2\\n", writable, 0, 0));
    struct stat st;
    g_autofree char *socket = lab_path(lab, "qmp-0.sock");
    g_assert_cmpint(stat(socket, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 07777, ==, 0600);
    g_autofree char *control = lab_path(lab, "keeper.sock");
    g_assert_cmpint(stat(control, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 07777, ==, 0600);
}

/* The caller may have left anything open: it is closed when the launch is done. */
static void test_the_keeper_holds_nothing_of_its_caller(Lab *lab)
{
    int ends[2];
    g_assert_cmpint(pipe2(ends, O_CLOEXEC), ==, 0);
    lab->extra_fd = ends[1];
    g_autoptr(KeeperStatus) status = lab_start(lab);
    struct pollfd ready = {.fd = ends[0], .events = POLLIN};
    g_assert_cmpint(poll(&ready, 1, LAB_PATIENCE_MS), ==, 1);
    g_assert_cmpint(ready.revents, ==, POLLHUP);
    close(ends[0]);
    g_autofree char *directory = proc_link(status->keeper_pid, "cwd");
    g_assert_cmpstr(directory, ==, "/");
}

/* A group of the test's own: of the pids or memory controller on v1, of the one tree on v2. */
static char *make_cgroup(const char *name)
{
    static const char *const roots[] = {"/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids",
                                        "/sys/fs/cgroup"};
    for (size_t i = 0; i < G_N_ELEMENTS(roots); i++) {
        g_autofree char *procs = g_build_filename(roots[i], "cgroup.procs", NULL);
        g_autofree char *path =
            g_strdup_printf("%s/berth-keep-test-%d-%s", roots[i], getpid(), name);
        if (access(procs, W_OK) == 0 && g_mkdir(path, 0755) == 0) {
            return g_steal_pointer(&path);
        }
    }
    return NULL;
}

static bool removed(gconstpointer path)
{
    return g_rmdir(path) == 0;
}

static void test_both_join_their_cgroups(Lab *lab)
{
    g_autofree char *group = make_cgroup("vm");
    g_autofree char *keepers = make_cgroup("keeper");
    if (group == NULL || keepers == NULL) {
        g_test_skip("no cgroup can be made here");
        return;
    }
    lab_set(lab, "cgroup-procs", json_pack("[s+]", group, "/cgroup.procs"));
    lab_set(lab, "keeper-cgroup-procs", json_pack("[s+]", keepers, "/cgroup.procs"));
    g_autoptr(KeeperStatus) status = lab_start(lab);
    g_autofree char *qemu_groups = proc_text(status->pid, "cgroup");
    g_autofree char *keeper_groups = proc_text(status->keeper_pid, "cgroup");
    g_autofree char *name = g_path_get_basename(group);
    g_autofree char *keepers_name = g_path_get_basename(keepers);
    g_assert_nonnull(strstr(qemu_groups, name));
    g_assert_nonnull(strstr(keeper_groups, keepers_name));
    g_assert_null(strstr(keeper_groups, name));
    g_autoptr(Peer) peer = lab_peer(lab);
    lab_peer_kill(peer, SIGKILL);
    g_autoptr(KeeperStatus) exited = lab_peer_exited(peer);
    kill((pid_t)status->keeper_pid, SIGTERM);
    lab_wait(removed, group, "QEMU's cgroup is empty");
    lab_wait(removed, keepers, "the keeper's cgroup is empty");
}

static bool limit_memory(const char *group)
{
    static const char *const limits[] = {"memory.limit_in_bytes", "memory.max"};
    static const char *const swaps[] = {"memory.memsw.limit_in_bytes", "memory.swap.max"};
    bool limited = false;
    for (size_t i = 0; i < G_N_ELEMENTS(limits); i++) {
        g_autofree char *path = g_build_filename(group, limits[i], NULL);
        FILE *file = fopen(path, "re+");
        limited = (file != NULL && fputs("33554432", file) >= 0 && fclose(file) == 0) || limited;
        g_autofree char *swap = g_build_filename(group, swaps[i], NULL);
        file = fopen(swap, "re+");
        if (file != NULL) {
            fputs(i == 0 ? "33554432" : "0", file);
            fclose(file);
        }
    }
    return limited;
}

static void test_an_out_of_memory_kill_is_named(Lab *lab)
{
    g_autofree char *group = make_cgroup("oom");
    if (group == NULL || !limit_memory(group)) {
        g_test_skip("no cgroup that limits memory can be made here");
        if (group != NULL) {
            g_rmdir(group);
        }
        return;
    }
    lab_set(lab, "cgroup-procs", json_pack("[s+]", group, "/cgroup.procs"));
    lab_script(lab, "a=x; while :; do a=$a$a; done");
    g_autoptr(KeeperStatus) status = lab_start(lab);
    lab_wait_file(lab, "exit.json");
    g_autoptr(KeeperStatus) file = lab_read_status(lab, "exit.json");
    g_assert_cmpint(file->exit->kind, ==, KEEPER_EXIT_KIND_SIGNALED);
    g_assert_cmpint(file->exit->signal, ==, SIGKILL);
    g_assert_true(file->exit->oom_killed);
    lab_wait(removed, group, "QEMU's cgroup is empty");
}

/* A network namespace with a persistent tap in it, "keep0"; the caller stays in its own. -1: not
 * here. */
static int make_netns(void)
{
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (unshare(CLONE_NEWNET) < 0) {
        close(home);
        return -1;
    }
    int there = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    struct ifreq request = {.ifr_name = "keep0", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    bool made =
        tun >= 0 && ioctl(tun, TUNSETIFF, &request) == 0 && ioctl(tun, TUNSETPERSIST, 1) == 0;
    if (tun >= 0) {
        close(tun);
    }
    g_assert_cmpint(setns(home, CLONE_NEWNET), ==, 0);
    close(home);
    if (!made) {
        close(there);
        return -1;
    }
    return there;
}

static void test_it_enters_its_network(Lab *lab)
{
    int there = make_netns();
    if (there < 0) {
        g_test_skip("no network namespace with a tap can be made here");
        return;
    }
    g_autofree char *path = g_strdup_printf("/proc/%d/fd/%d", getpid(), there);
    lab_set(lab, "taps", json_pack("[{si ss}]", "fd", 20, "name", "keep0"));
    g_autoptr(GError) error = NULL;
    g_assert_null(lab_try(lab, &error)); /* not in ours */
    g_assert_cmpstr(berth_error_field(error), ==, "taps[0].name");
    lab_set(lab, "netns", json_string(path));
    g_autoptr(KeeperStatus) status = lab_start(lab);
    g_autofree char *its = proc_link(status->pid, "ns/net");
    g_autofree char *ours = proc_link(getpid(), "ns/net");
    g_autofree char *keepers = proc_link(status->keeper_pid, "ns/net");
    g_assert_cmpstr(its, !=, ours);
    g_assert_cmpstr(keepers, ==, ours);
    g_autofree char *tap = proc_text(status->pid, "fdinfo/20");
    g_assert_nonnull(strstr(tap, "iff:\tkeep0\n"));
    close(there);
}

typedef struct {
    const char *key, *value; /* put into the launch, as JSON */
    const char *field;       /* of the error */
} BadLaunch;

static const BadLaunch bad_launches[] = {
    {"files", "[{\"fd\":12,\"path\":\"/nonexistent/disk\"}]", "files[0].path"},
    {"files", "[{\"fd\":12,\"path\":\"/dev/null\"},{\"fd\":13,\"path\":\"/proc\"}]",
     "files[1].path"},
    {"netns", "\"/run/netns/keep-test-missing\"", "netns"},
    {"netns", "\"/dev/null\"", "netns"},
    {"taps", "[{\"fd\":12,\"name\":\"keeptestnone\"}]", "taps[0].name"},
    {"argv", "[\"/nonexistent/qemu\"]", "argv[0]"},
    {"argv", "[\"/etc/passwd\"]", "argv[0]"},
    {"cgroup-procs", "[\"/sys/fs/cgroup/keep-test-missing/cgroup.procs\"]", "cgroup-procs[0]"},
    {"keeper-cgroup-procs", "[\"/nonexistent/cgroup.procs\"]", "keeper-cgroup-procs[0]"},
    {"uid", "4294967295", "uid"},
    {"run-dir", "\"/nonexistent\"", "run-dir"},
    {"listeners", "[{\"fd\":12,\"name\":\"keeper.sock\"}]", "listeners[0].name"},
};

/* With a console and a listener before the thing that fails, which must go again. */
static void test_a_bad_launch_leaves_nothing(Lab *lab)
{
    for (size_t i = 0; i < G_N_ELEMENTS(bad_launches); i++) {
        const BadLaunch *bad = &bad_launches[i];
        g_test_message("%s: %s", bad->key, bad->value);
        json_t *right = json_deep_copy(lab->launch);
        lab_set(lab, "console", json_pack("{si}", "fd", 11));
        lab_set(lab, "listeners", json_pack("[{si ss}]", "fd", 10, "name", "qmp-0.sock"));
        lab_set(lab, bad->key, json_loads(bad->value, JSON_DECODE_ANY, NULL));
        g_autoptr(GError) error = NULL;
        g_assert_null(lab_try(lab, &error));
        g_assert_nonnull(error);
        g_assert_cmpstr(berth_error_field(error), ==, bad->field);
        g_assert_nonnull(berth_error_remedy(error));
        g_assert_cmpuint(lab_files(lab), ==, 0);
        g_assert_cmpuint(lab_processes(), ==, 0);
        g_assert_cmpuint(if_nametoindex("keeptestnone"), ==, 0);
        json_decref(lab->launch);
        lab->launch = right;
    }
    g_autoptr(KeeperStatus) status = lab_start(lab); /* the directory is as good as new */
}

static void test_what_is_no_socket_stays(Lab *lab)
{
    g_autofree char *path = lab_path(lab, "qmp-0.sock");
    g_assert_true(g_file_set_contents(path, "precious", -1, NULL));
    lab_set(lab, "listeners", json_pack("[{si ss}]", "fd", 10, "name", "qmp-0.sock"));
    g_autoptr(GError) error = NULL;
    g_assert_null(lab_try(lab, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_EXISTS);
    g_assert_cmpuint(lab_files(lab), ==, 1);
    g_assert_true(lab_has(lab, "qmp-0.sock"));
}

static void test_a_directory_of_others_is_refused(Lab *lab)
{
    g_assert_cmpint(chmod(lab->directory, 0777), ==, 0);
    g_autoptr(GError) error = NULL;
    g_assert_null(lab_try(lab, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_assert_cmpstr(berth_error_field(error), ==, "run-dir");
    g_assert_cmpint(chmod(lab->directory, 0711), ==, 0);
    g_assert_cmpint(chown(lab->directory, lab_uid(), lab_uid()), ==, 0);
    g_clear_error(&error);
    g_assert_null(lab_try(lab, &error));
    g_assert_cmpstr(berth_error_field(error), ==, "run-dir");
    g_assert_cmpuint(lab_files(lab), ==, 0);
}

int main(int argc, char **argv)
{
    lab_init(&argc, &argv);
    lab_add("/keep/spawn/has-no-privilege", test_it_has_no_privilege);
    lab_add("/keep/spawn/has-its-limits", test_it_has_its_limits);
    lab_add("/keep/spawn/descriptors-and-no-others", test_it_finds_its_descriptors_and_no_others);
    lab_add("/keep/spawn/nothing-of-the-caller", test_the_keeper_holds_nothing_of_its_caller);
    lab_add("/keep/spawn/both-join-their-cgroups", test_both_join_their_cgroups);
    lab_add("/keep/spawn/out-of-memory-kill-is-named", test_an_out_of_memory_kill_is_named);
    lab_add("/keep/spawn/enters-its-network", test_it_enters_its_network);
    lab_add("/keep/spawn/bad-launch-leaves-nothing", test_a_bad_launch_leaves_nothing);
    lab_add("/keep/spawn/what-is-no-socket-stays", test_what_is_no_socket_stays);
    lab_add("/keep/spawn/directory-of-others-is-refused", test_a_directory_of_others_is_refused);
    return g_test_run();
}
