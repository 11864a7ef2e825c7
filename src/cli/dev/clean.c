#include <errno.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "cli/dev/lab.h"
#include "linux/cgroup.h"
#include "linux/dhcp.h"
#include "linux/process.h"

#define WAIT_MS 3000

static bool is_program(pid_t pid, const char *program)
{
    g_auto(GStrv) argv = pid > 1 ? process_argv(pid, NULL) : NULL;
    g_autofree char *name = argv != NULL && argv[0] != NULL ? g_path_get_basename(argv[0]) : NULL;
    return g_strcmp0(name, program) == 0;
}

/* Ends the process if it still is the program that we take it for. */
static void end_program(pid_t pid, const char *program)
{
    int pidfd = is_program(pid, program) ? process_open(pid, 0, NULL) : -1;
    if (pidfd >= 0) {
        process_signal(pidfd, SIGKILL, NULL);
        process_wait(pidfd, WAIT_MS);
        close(pidfd);
    }
}

pid_t lab_running(void)
{
    g_autofree char *text = NULL;
    if (!g_file_get_contents(LAB_PID_FILE, &text, NULL, NULL)) {
        return 0;
    }
    pid_t pid = (pid_t)g_ascii_strtoll(text, NULL, 10);
    return pid != getpid() && is_program(pid, "berth") ? pid : 0;
}

/* The lab's own program first, since it starts again what ends. */
static void end_lab_program(void)
{
    end_program(lab_running(), "berth");
}

static void end_by_pid_files(void)
{
    g_autoptr(GDir) dir = g_dir_open(LAB_RUN, 0, NULL);
    const char *name;
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(LAB_RUN, name, NULL);
        g_autofree char *text = NULL;
        bool of_host = g_str_has_suffix(name, ".pid") && strcmp(name, "lab.pid") != 0;
        if (of_host && g_file_get_contents(path, &text, NULL, NULL)) {
            bool manager = strcmp(name, "manager.pid") == 0;
            end_program((pid_t)g_ascii_strtoll(text, NULL, 10),
                        manager ? "berth-manager" : "berth-agent");
        }
    }
}

static void end_vm(const char *directory)
{
    g_autofree char *path = g_build_filename(directory, "launch.json", NULL);
    json_t *launch = json_load_file(path, 0, NULL);
    pid_t pid = (pid_t)json_integer_value(json_object_get(launch, "pid"));
    uint64_t ticks = (uint64_t)json_integer_value(json_object_get(launch, "start-ticks"));
    int pidfd = pid > 1 && ticks > 0 ? process_open(pid, ticks, NULL) : -1;
    if (pidfd >= 0) {
        process_signal(pidfd, SIGKILL, NULL);
        process_wait(pidfd, WAIT_MS);
        close(pidfd);
    }
    end_program((pid_t)json_integer_value(json_object_get(launch, "keeper-pid")), "berth-keep");
    json_decref(launch);
}

/* Calls `func` with each entry of the directory. */
static void each_in(const char *directory, void (*func)(const char *path))
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name;
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(directory, name, NULL);
        func(path);
    }
}

static void end_dhcp(const char *directory)
{
    dhcp_sweep(directory, NULL);
}

static void end_host(const char *run)
{
    g_autofree char *vms = g_build_filename(run, "vms", NULL);
    g_autofree char *dhcp = g_build_filename(run, "dhcp", NULL);
    each_in(vms, end_vm);
    each_in(dhcp, end_dhcp);
}

static void remove_groups(const char *state)
{
    g_autofree char *name = g_path_get_basename(state);
    CgroupPlace place = {.parent = LAB_CGROUP};
    g_autoptr(CgroupHost) host =
        g_str_has_prefix(name, "host-") ? cgroup_host_new(name, &place, NULL) : NULL;
    g_autoptr(GPtrArray) vms = host != NULL ? cgroup_host_list(host, NULL) : NULL;
    for (guint i = 0; vms != NULL && i < vms->len; i++) {
        g_autoptr(CgroupVm) vm = cgroup_vm_open(host, vms->pdata[i]);
        cgroup_vm_kill(vm, NULL);
        cgroup_vm_remove(vm, WAIT_MS, NULL);
    }
    if (host != NULL) {
        cgroup_host_remove(host, NULL);
    }
}

/* Does not follow links. */
static void remove_tree(const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0) {
        return;
    }
    if (S_ISDIR(st.st_mode)) {
        each_in(path, remove_tree);
        rmdir(path);
    } else {
        unlink(path);
    }
}

void lab_clean(void)
{
    end_lab_program();
    end_by_pid_files();
    each_in(LAB_RUN, end_host);
    each_in(LAB_STATE, remove_groups);
    lab_net_remove();
    remove_tree(LAB_RUN);
    remove_tree(LAB_STATE);
    unlink(LAB_CONTEXT);
}
