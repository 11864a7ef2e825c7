#include "qemu/probe.h"

#include <grp.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "qemu/commandline.h"

/* A working guest ends within a fraction of a second; a host that just boots, or is itself a guest
 * without hardware to help, can take a hundred times as long. What is found holds for the boot, so
 * that being patient costs little, and being hasty a host its KVM. */
#define TIMEOUT_S 60
#define EXIT_PORT_VALUE 0x2a
#define MIB (1024 * 1024)
/* Structures that grow while a guest works: block requests, network queues, display of none. */
#define GROWTH_MIB 16

/* mov dx, 0xf4; mov al, EXIT_PORT_VALUE; out dx, al; hlt; jmp. — the exit device ends QEMU with
 * 2v+1. */
static const unsigned char boot_code[] = {0xba, 0xf4, 0x00, 0xb0, EXIT_PORT_VALUE,
                                          0xee, 0xf4, 0xeb, 0xfd};

typedef struct {
    GMainLoop *loop;
    GSubprocess *process;
    char *out, *err;
    bool timed_out;
} Run;

static gboolean on_timeout(gpointer data)
{
    Run *run = data;
    run->timed_out = true;
    g_subprocess_force_exit(run->process);
    return G_SOURCE_CONTINUE;
}

static void on_ended(GObject *source, GAsyncResult *result, gpointer data)
{
    Run *run = data;
    g_subprocess_communicate_utf8_finish(G_SUBPROCESS(source), result, &run->out, &run->err, NULL);
    g_main_loop_quit(run->loop);
}

static void run_clear(Run *run)
{
    g_clear_object(&run->process);
    g_clear_pointer(&run->out, g_free);
    g_clear_pointer(&run->err, g_free);
}

/* Runs it to its end, in a context of its own. */
static bool run_qemu(const char *const *argv, Run *run, GError **error)
{
    g_autoptr(GMainContext) context = g_main_context_new();
    g_main_context_push_thread_default(context);
    run->loop = g_main_loop_new(context, FALSE);
    run->process = g_subprocess_newv(
        argv, G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE, error);
    if (run->process != NULL) {
        g_autoptr(GSource) timer = g_timeout_source_new_seconds(TIMEOUT_S);
        g_source_set_callback(timer, on_timeout, run, NULL);
        g_source_attach(timer, context);
        g_subprocess_communicate_utf8_async(run->process, NULL, NULL, on_ended, run);
        g_main_loop_run(run->loop);
        g_source_destroy(timer);
    }
    g_main_loop_unref(run->loop);
    g_main_context_pop_thread_default(context);
    return run->process != NULL;
}

/* The last thing that QEMU said, which is why it ended. */
static char *last_line(const char *said)
{
    g_auto(GStrv) lines = g_strsplit(said != NULL ? said : "", "\n", -1);
    const char *last = NULL;
    for (guint i = 0; lines[i] != NULL; i++) {
        last = *g_strstrip(lines[i]) != '\0' ? lines[i] : last;
    }
    return last != NULL ? g_strdup(last) : NULL;
}

static char *write_boot_sector(GError **error)
{
    unsigned char sector[512] = {0};
    memcpy(sector, boot_code, sizeof boot_code);
    sector[510] = 0x55;
    sector[511] = 0xaa;
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("berth-probe-XXXXXX", &path, error);
    if (fd < 0) {
        return NULL;
    }
    bool whole = write(fd, sector, sizeof sector) == sizeof sector;
    close(fd);
    if (!whole) {
        unlink(path);
        berth_error_set(error, BERTH_ERROR_UNAVAILABLE, NULL, NULL,
                        "make room in the temporary directory",
                        "cannot write the probe's boot sector");
        return NULL;
    }
    return g_steal_pointer(&path);
}

gid_t qemu_kvm_group(gid_t otherwise)
{
    const struct group *kvm = getgrnam("kvm");
    return kvm != NULL ? kvm->gr_gid : otherwise;
}

char *qemu_probe_device(const struct stat *device, gid_t kvm)
{
    bool all = (device->st_mode & 0006) == 0006;
    bool group = (device->st_mode & 0060) == 0060 && device->st_gid == kvm;
    return all || group
               ? NULL
               : g_strdup_printf(
                     "/dev/kvm (mode %o, group %u) is closed to QEMU, which does not run as root: "
                     "give it to the group kvm, with 'chgrp kvm /dev/kvm; chmod 660 "
                     "/dev/kvm', and start the agent again",
                     (unsigned)device->st_mode & 0777, (unsigned)device->st_gid);
}

/* NULL: KVM works; else why not. This runs as root, and guests do not. */
static char *why_not_kvm(const char *qemu)
{
    struct stat device;
    char *closed = NULL;
    if (stat("/dev/kvm", &device) == 0 &&
        (closed = qemu_probe_device(&device, qemu_kvm_group((gid_t)-1))) != NULL) {
        return closed;
    }
    if (access("/dev/kvm", F_OK) != 0) {
        return g_strdup("there is no /dev/kvm: no hardware virtualization, or it is turned off in "
                        "the firmware, "
                        "or the module kvm_intel or kvm_amd is not loaded");
    }
    g_autoptr(GError) error = NULL;
    g_autofree char *sector = write_boot_sector(&error);
    if (sector == NULL) {
        return g_strdup(error->message);
    }
    g_autofree char *drive = g_strdup_printf("file=%s,format=raw,if=ide,snapshot=on", sector);
    const char *argv[] = {qemu,
                          "-accel",
                          "kvm",
                          "-machine",
                          "pc",
                          "-m",
                          "16",
                          "-display",
                          "none",
                          "-nodefaults",
                          "-no-user-config",
                          "-drive",
                          drive,
                          "-device",
                          "isa-debug-exit,iobase=0xf4,iosize=4",
                          NULL};
    Run run = {0};
    char *why = NULL;
    if (!run_qemu(argv, &run, &error)) {
        why = g_strdup(error->message);
    } else if (run.timed_out) {
        why = g_strdup_printf("a tiny guest under KVM did not end within %d seconds", TIMEOUT_S);
    } else if (!g_subprocess_get_if_exited(run.process) ||
               g_subprocess_get_exit_status(run.process) != 2 * EXIT_PORT_VALUE + 1) {
        g_autofree char *said = last_line(run.err);
        why = g_strdup_printf("a tiny guest under KVM failed: %s",
                              said != NULL ? said : "QEMU ended without a word");
    }
    run_clear(&run);
    unlink(sector);
    return why;
}

static char *find_version(const char *qemu, GError **error)
{
    const char *argv[] = {qemu, "--version", NULL};
    Run run = {0};
    char *version = NULL;
    if (run_qemu(argv, &run, error)) {
        g_autoptr(GRegex) regex = g_regex_new("version ([0-9]+\\.[0-9]+\\.[0-9]+)", 0, 0, NULL);
        g_autoptr(GMatchInfo) match = NULL;
        if (run.out != NULL && g_regex_match(regex, run.out, 0, &match)) {
            version = g_match_info_fetch(match, 1);
        } else {
            berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "qemu", qemu,
                            "install qemu-system-x86, 7.2 or later", "it does not say its version");
        }
    }
    run_clear(&run);
    return version;
}

/* "pc-q35-7.2" before "pc-q35-10.0". */
static int compare_machines(const char *a, const char *b)
{
    int a_major = 0, a_minor = 0, b_major = 0, b_minor = 0;
    sscanf(a, "pc-q35-%d.%d", &a_major, &a_minor);
    sscanf(b, "pc-q35-%d.%d", &b_major, &b_minor);
    return a_major != b_major ? a_major - b_major : a_minor - b_minor;
}

static char *find_machine(const char *qemu, GError **error)
{
    const char *argv[] = {qemu, "-machine", "help", NULL};
    Run run = {0};
    g_autofree char *newest = NULL;
    if (!run_qemu(argv, &run, error)) {
        return NULL;
    }
    g_autoptr(GRegex) regex = g_regex_new("^pc-q35-[0-9]+\\.[0-9]+", G_REGEX_MULTILINE, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    g_regex_match(regex, run.out != NULL ? run.out : "", 0, &match);
    for (; g_match_info_matches(match); g_match_info_next(match, NULL)) {
        char *name = g_match_info_fetch(match, 0);
        if (newest == NULL || compare_machines(name, newest) > 0) {
            g_free(newest);
            newest = name;
        } else {
            g_free(name);
        }
    }
    run_clear(&run);
    if (newest == NULL) {
        berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "qemu", qemu,
                        "install qemu-system-x86, 7.2 or later",
                        "it offers no versioned q35 machine");
    }
    return g_steal_pointer(&newest);
}

static int64_t resident_mib(const char *pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%s/statm", pid);
    g_autofree char *text = NULL;
    long size = 0, resident = 0;
    if (g_file_get_contents(path, &text, NULL, NULL)) {
        sscanf(text, "%ld %ld", &size, &resident);
    }
    return resident * sysconf(_SC_PAGESIZE) / MIB;
}

/* An idle QEMU is measured when its monitor greets: by then all of it is there. */
static bool measure_overhead(const char *qemu, const char *machine, Accelerator accelerator,
                             int64_t *ret_mib, GError **error)
{
    g_autofree char *accel = g_strdup_printf(
        accelerator == ACCELERATOR_KVM ? "kvm" : "tcg,tb-size=%d", QEMU_TCG_CACHE_MIB);
    const char *argv[] = {qemu,
                          "-machine",
                          machine,
                          "-accel",
                          accel,
                          "-m",
                          "64",
                          "-S",
                          "-nodefaults",
                          "-no-user-config",
                          "-nographic",
                          "-qmp",
                          "stdio",
                          "-device",
                          "virtio-balloon-pci",
                          "-device",
                          "virtio-serial-pci",
                          "-device",
                          "pvpanic-pci",
                          NULL};
    g_autoptr(GSubprocess) process =
        g_subprocess_newv(argv,
                          G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE |
                              G_SUBPROCESS_FLAGS_STDERR_SILENCE,
                          error);
    if (process == NULL) {
        return false;
    }
    char greeting[256];
    gssize n = g_input_stream_read(g_subprocess_get_stdout_pipe(process), greeting, sizeof greeting,
                                   NULL, error);
    int64_t mib = n > 0 ? resident_mib(g_subprocess_get_identifier(process)) : 0;
    g_subprocess_force_exit(process);
    g_subprocess_wait(process, NULL, NULL);
    if (n < 0) {
        return false;
    }
    if (mib == 0) {
        return berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "qemu", qemu,
                               "start it by hand to see why", "it ends before its monitor greets");
    }
    *ret_mib = mib + GROWTH_MIB + (accelerator == ACCELERATOR_TCG ? QEMU_TCG_CACHE_MIB : 0);
    return true;
}

QemuProbe *qemu_probe(const char *qemu, QemuProbeChoice choice, GError **error)
{
    g_autoptr(QemuProbe) probe = g_new0(QemuProbe, 1);
    probe->version = find_version(qemu, error);
    probe->machine = probe->version != NULL ? find_machine(qemu, error) : NULL;
    if (probe->machine == NULL) {
        return NULL;
    }
    probe->reason = choice == QEMU_PROBE_TCG ? g_strdup("TCG is configured") : why_not_kvm(qemu);
    probe->accelerator = probe->reason == NULL ? ACCELERATOR_KVM : ACCELERATOR_TCG;
    if (choice == QEMU_PROBE_KVM && probe->reason != NULL) {
        berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "accelerator", "kvm",
                        "set accelerator to auto to run without it", "%s", probe->reason);
        return NULL;
    }
    if (!measure_overhead(qemu, probe->machine, probe->accelerator, &probe->overhead_mib, error)) {
        return NULL;
    }
    return g_steal_pointer(&probe);
}

void qemu_probe_free(QemuProbe *probe)
{
    if (probe != NULL) {
        g_free(probe->version);
        g_free(probe->machine);
        g_free(probe->reason);
        g_free(probe);
    }
}
