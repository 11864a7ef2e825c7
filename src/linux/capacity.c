#include "linux/capacity.h"

#include "base/error.h"
#include "linux/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#define KIB_PER_MIB 1024
#define GIB (INT64_C(1) << 30)

/* A file's content without its last newline; NULL where it can't be read. */
static char *read_text(const char *root, const char *path)
{
    g_autofree char *full = g_strconcat(root, path, NULL);
    char *text = NULL;

    return g_file_get_contents(full, &text, NULL, NULL) ? g_strchomp(text) : NULL;
}

static bool exists(const char *root, const char *path)
{
    g_autofree char *full = g_strconcat(root, path, NULL);

    return g_file_test(full, G_FILE_TEST_EXISTS);
}

static bool can_open(const char *root, const char *path, int flags)
{
    g_autofree char *full = g_strconcat(root, path, NULL);
    int fd = open(full, flags | O_CLOEXEC);

    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

int64_t capacity_count_cpu_list(const char *text)
{
    g_auto(GStrv) ranges = NULL;
    int64_t count = 0;

    if (*text == '\0') {
        return 0;
    }
    ranges = g_strsplit(text, ",", -1);
    for (size_t i = 0; ranges[i] != NULL; i++) {
        char *dash = strchr(ranges[i], '-');
        guint64 first = 0;
        guint64 last = 0;

        if (dash != NULL) {
            *dash = '\0';
        }
        if (!g_ascii_string_to_unsigned(ranges[i], 10, 0, G_MAXINT32, &first, NULL) ||
            !g_ascii_string_to_unsigned(dash != NULL ? dash + 1 : ranges[i], 10, first, G_MAXINT32,
                                        &last, NULL)) {
            return -1;
        }
        count += (int64_t)(last - first) + 1;
    }
    return count;
}

/* "MemTotal:  16384 kB" of /proc/meminfo in KiB; 0 where there is none. */
static int64_t meminfo_kib(const char *meminfo, const char *name)
{
    g_auto(GStrv) lines = g_strsplit(meminfo, "\n", -1);
    g_autofree char *start = g_strconcat(name, ":", NULL);

    for (size_t i = 0; lines[i] != NULL; i++) {
        if (g_str_has_prefix(lines[i], start)) {
            return g_ascii_strtoll(lines[i] + strlen(start), NULL, 10);
        }
    }
    return 0;
}

/* What /proc/cpuinfo says after "name :" in `line`; NULL when the line is of another name. */
static const char *cpuinfo_value(const char *line, const char *name)
{
    const char *colon = strchr(line, ':');

    if (colon == NULL || !g_str_has_prefix(line, name) ||
        strspn(line + strlen(name), " \t") != (size_t)(colon - line) - strlen(name)) {
        return NULL;
    }
    return colon + 1 + strspn(colon + 1, " \t");
}

static void read_cpuinfo(Capacity *capacity, const char *root)
{
    g_autofree char *text = read_text(root, "/proc/cpuinfo");
    g_auto(GStrv) lines = g_strsplit(text != NULL ? text : "", "\n", -1);
    g_autoptr(GHashTable) sockets = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GHashTable) cores = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    const char *socket = NULL;

    for (size_t i = 0; lines[i] != NULL; i++) {
        const char *model = cpuinfo_value(lines[i], "model name");
        const char *physical = cpuinfo_value(lines[i], "physical id");
        const char *core = cpuinfo_value(lines[i], "core id");

        if (model != NULL && capacity->cpu_model == NULL) {
            capacity->cpu_model = g_strdup(model);
        }
        if (physical != NULL) {
            socket = physical;
            g_hash_table_add(sockets, (char *)physical);
        }
        if (core != NULL && socket != NULL) {
            g_hash_table_add(cores, g_strconcat(socket, "/", core, NULL));
        }
    }
    if (capacity->cpu_model == NULL) {
        capacity->cpu_model = g_strdup("unknown");
    }
    capacity->sockets = g_hash_table_size(sockets);
    capacity->cores = g_hash_table_size(cores);
}

static int64_t count_online(const char *root)
{
    g_autofree char *list = read_text(root, "/sys/devices/system/cpu/online");
    int64_t count = list != NULL ? capacity_count_cpu_list(list) : 0;

    return count > 0 ? count : sysconf(_SC_NPROCESSORS_ONLN);
}

static int64_t count_allowed(int64_t online)
{
    cpu_set_t *set = CPU_ALLOC(CPU_SETSIZE * 8);
    size_t size = CPU_ALLOC_SIZE(CPU_SETSIZE * 8);
    int64_t allowed = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : online;

    CPU_FREE(set);
    return allowed;
}

static int64_t count_numa_nodes(const char *root)
{
    g_autofree char *list = read_text(root, "/sys/devices/system/node/online");
    int64_t count = list != NULL ? capacity_count_cpu_list(list) : 0;

    return MAX(count, 1);
}

static void put_count(GString *text, int64_t count, const char *one)
{
    if (count > 0) {
        g_string_append_printf(text, "%s%" G_GINT64_FORMAT " %s%s", text->len > 0 ? ", " : "",
                               count, one, count == 1 ? "" : "s");
    }
}

static char *topology_text(const Capacity *capacity)
{
    GString *text = g_string_new(NULL);

    put_count(text, capacity->sockets, "socket");
    put_count(text, capacity->cores, "core");
    put_count(text, capacity->cpu_online, "thread");
    put_count(text, capacity->numa_nodes, "NUMA node");
    return g_string_free(text, FALSE);
}

static bool has_userfaultfd(const char *root)
{
    int fd;

    if (can_open(root, "/dev/userfaultfd", O_RDWR)) {
        return true;
    }
    if (*root != '\0') {
        return false;
    }
    fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

static void read_features(Capacity *capacity, const char *root)
{
    g_autofree char *cgroups = g_strconcat(root, "/sys/fs/cgroup", NULL);
    g_autofree char *pressure = read_text(root, "/proc/pressure/memory");

    capacity->kvm_device = can_open(root, "/dev/kvm", O_RDWR);
    capacity->cgroup = cgroup_detect(cgroups);
    capacity->ksm = exists(root, "/sys/kernel/mm/ksm/run");
    capacity->zram = exists(root, "/sys/class/zram-control/hot_add");
    capacity->psi = pressure != NULL;
    capacity->userfaultfd = has_userfaultfd(root);
}

static char *kernel_release(const char *root)
{
    char *release = read_text(root, "/proc/sys/kernel/osrelease");
    struct utsname name;

    if (release != NULL) {
        return release;
    }
    return g_strdup(uname(&name) == 0 ? name.release : "unknown");
}

Capacity *capacity_discover(const char *root, GError **error)
{
    g_autoptr(Capacity) capacity = g_new0(Capacity, 1);
    g_autofree char *meminfo = NULL;

    root = root != NULL ? root : "";
    meminfo = read_text(root, "/proc/meminfo");
    if (meminfo == NULL || meminfo_kib(meminfo, "MemTotal") <= 0) {
        berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL,
                        "mount /proc, or state the host's memory in the agent's configuration",
                        "cannot discover how much memory this host has: %s/proc/meminfo %s", root,
                        meminfo == NULL ? "cannot be read" : "has no MemTotal");
        return NULL;
    }
    capacity->memory_mib = meminfo_kib(meminfo, "MemTotal") / KIB_PER_MIB;
    capacity->swap_mib = meminfo_kib(meminfo, "SwapTotal") / KIB_PER_MIB;
    capacity->huge_page_kib = meminfo_kib(meminfo, "Hugepagesize");
    capacity->cpu_online = count_online(root);
    capacity->cpus = *root == '\0' ? MIN(capacity->cpu_online, count_allowed(capacity->cpu_online))
                                   : capacity->cpu_online;
    capacity->numa_nodes = count_numa_nodes(root);
    read_cpuinfo(capacity, root);
    capacity->topology = topology_text(capacity);
    capacity->kernel = kernel_release(root);
    capacity->boot_id = read_text(root, "/proc/sys/kernel/random/boot_id");
    if (capacity->boot_id == NULL) {
        capacity->boot_id = g_strdup("unknown");
    }
    read_features(capacity, root);
    return g_steal_pointer(&capacity);
}

void capacity_free(Capacity *capacity)
{
    if (capacity == NULL) {
        return;
    }
    g_free(capacity->cpu_model);
    g_free(capacity->topology);
    g_free(capacity->kernel);
    g_free(capacity->boot_id);
    g_free(capacity);
}

bool capacity_disk(const char *directory, int64_t *ret_size_gib, int64_t *ret_free_gib,
                   GError **error)
{
    struct statvfs fs;

    if (statvfs(directory, &fs) != 0) {
        return berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, directory,
                               "create the directory, or name another for the pool",
                               "cannot see how large the file system of %s is: %s", directory,
                               g_strerror(errno));
    }
    *ret_size_gib = (int64_t)((unsigned __int128)fs.f_blocks * fs.f_frsize / GIB);
    *ret_free_gib = (int64_t)((unsigned __int128)fs.f_bavail * fs.f_frsize / GIB);
    return true;
}

int64_t capacity_nic_mbit(const char *root, const char *interface)
{
    g_autofree char *path = g_strdup_printf("/sys/class/net/%s/speed", interface);
    g_autofree char *text = NULL;
    gint64 mbit = 0;

    if (strchr(interface, '/') != NULL) {
        return 0;
    }
    text = read_text(root != NULL ? root : "", path);
    /* The kernel writes -1, or refuses the read, where the driver doesn't know. */
    return text != NULL && g_ascii_string_to_signed(text, 10, 1, G_MAXINT32, &mbit, NULL) ? mbit
                                                                                          : 0;
}
