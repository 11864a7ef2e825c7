#include "linux/cgroup.h"

#include "base/error.h"
#include "base/order.h"
#include "linux/cgroup_files.h"
#include "linux/cgroup_private.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define DEFAULT_ROOT "/sys/fs/cgroup"
#define DEFAULT_PARENT "berth"

#define BURST_USEC 20000
#define PERIOD_MIN_USEC 20000
#define PERIOD_USUAL_USEC 100000
#define PERIOD_MAX_USEC 1000000 /* the kernel's own bounds */
#define QUOTA_MIN_USEC 1000

#define WEIGHT_MIN 1
#define WEIGHT_MAX 10000
#define WEIGHT_UNIT 100  /* v2's weight of one … */
#define SHARES_UNIT 1024 /* … and v1's */
#define PARENT_WEIGHT 1000

#define REMOVE_POLL_MAX_MS 32

static const char *const tree_names[N_TREES] = {"cpu", "cpuacct", "memory", "unified"};

static bool has_file(const char *directory, const char *file)
{
    g_autofree char *path = g_build_filename(directory, file, NULL);

    return g_file_test(path, G_FILE_TEST_EXISTS);
}

static bool has_word(const char *text, const char *word)
{
    g_auto(GStrv) words = g_strsplit_set(text, " \n", -1);

    return g_strv_contains((const char *const *)words, word);
}

int cgroup_detect(const char *root)
{
    g_autofree char *controllers = NULL;
    g_autofree char *cpu = NULL;
    g_autofree char *memory = NULL;

    root = root != NULL ? root : DEFAULT_ROOT;
    controllers = cgroup_read(root, "cgroup.controllers", NULL);
    if (controllers != NULL) {
        return has_word(controllers, "cpu") && has_word(controllers, "memory") ? 2 : 0;
    }
    cpu = g_build_filename(root, "cpu", NULL);
    memory = g_build_filename(root, "memory", NULL);
    return has_file(cpu, "cpu.shares") && has_file(memory, "memory.usage_in_bytes") ? 1 : 0;
}

Tree cgroup_tree(const CgroupHost *host, Tree wanted)
{
    if (host->version == 2) {
        return TREE_UNIFIED;
    }
    return wanted == TREE_CPUACCT && host->base[TREE_CPUACCT] == NULL ? TREE_CPU : wanted;
}

static bool is_group_name(const char *name)
{
    return *name != '\0' && *name != '.' && strchr(name, '/') == NULL && strlen(name) <= 200 &&
           g_str_is_ascii(name);
}

/* Makes <mount>/<parent>/<name>; with `control`, the children of each get these controllers. */
static char *make_base(const CgroupHost *host, const char *mount, const char *control,
                       GError **error)
{
    g_auto(GStrv) steps = g_strsplit(host->parent, "/", -1);
    g_autofree char *path = g_strdup(mount);
    size_t n_steps = g_strv_length(steps);

    for (size_t i = 0; i <= n_steps; i++) {
        const char *step = i < n_steps ? steps[i] : host->name;
        char *below = NULL;

        if (*step == '\0') {
            continue;
        }
        if (control != NULL &&
            !cgroup_write(path, "cgroup.subtree_control", control, NULL, error)) {
            return NULL;
        }
        below = g_build_filename(path, step, NULL);
        g_free(path);
        path = below;
        if (!cgroup_make(path, error)) {
            return NULL;
        }
    }
    if (control != NULL && !cgroup_write(path, "cgroup.subtree_control", control, NULL, error)) {
        return NULL;
    }
    return g_steal_pointer(&path);
}

static bool same_directory(const char *a, const char *b)
{
    struct stat of_a, of_b;

    return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev &&
           of_a.st_ino == of_b.st_ino;
}

static bool make_bases_v1(CgroupHost *host, GError **error)
{
    g_autofree char *cpu = g_build_filename(host->root, tree_names[TREE_CPU], NULL);

    for (Tree tree = 0; tree < N_TREES; tree++) {
        g_autofree char *mount = g_build_filename(host->root, tree_names[tree], NULL);

        if (tree == TREE_CPUACCT && same_directory(cpu, mount)) {
            continue;
        }
        if (tree == TREE_UNIFIED && !has_file(mount, "cgroup.procs")) {
            continue;
        }
        host->base[tree] = make_base(host, mount, NULL, error);
        if (host->base[tree] == NULL) {
            return false;
        }
    }
    return true;
}

static bool write_number(const char *directory, const char *file, int64_t number, GError **error)
{
    g_autofree char *text = g_strdup_printf("%" G_GINT64_FORMAT, number);

    return cgroup_write(directory, file, text, NULL, error);
}

static bool write_weight(const CgroupHost *host, const char *directory, int weight, GError **error)
{
    return host->version == 2
               ? write_number(directory, "cpu.weight", weight, error)
               : write_number(directory, "cpu.shares",
                              MAX((int64_t)weight * SHARES_UNIT / WEIGHT_UNIT, 2), error);
}

/* VMs are what a host is for: all of them together weigh ten times as much as one group beside
 * them. Where that cannot be written the default does too. */
static void favour_vms(const CgroupHost *host)
{
    const char *base = host->base[cgroup_tree(host, TREE_CPU)];
    g_autofree char *parent = g_path_get_dirname(base);

    write_weight(host, parent, PARENT_WEIGHT, NULL);
}

CgroupHost *cgroup_host_new(const char *name, const CgroupPlace *place, GError **error)
{
    g_autoptr(CgroupHost) host = g_new0(CgroupHost, 1);

    if (!is_group_name(name)) {
        berth_error_set(error, BERTH_ERROR_INVALID, "name", name, "use letters, digits and dashes",
                        "not a name for a cgroup");
        return NULL;
    }
    host->root = g_strdup(place != NULL && place->root != NULL ? place->root : DEFAULT_ROOT);
    host->parent =
        g_strdup(place != NULL && place->parent != NULL ? place->parent : DEFAULT_PARENT);
    host->name = g_strdup(name);
    host->version = cgroup_detect(host->root);
    if (host->version == 0) {
        berth_error_set(error, BERTH_ERROR_UNAVAILABLE, NULL, host->root,
                        "mount cgroup2 with the cpu and memory controllers; in a container, "
                        "delegate them",
                        "no cgroup hierarchy with cpu and memory at %s", host->root);
        return NULL;
    }
    if (host->version == 1) {
        if (!make_bases_v1(host, error)) {
            return NULL;
        }
    } else {
        host->base[TREE_UNIFIED] = make_base(host, host->root, "+cpu +memory", error);
        if (host->base[TREE_UNIFIED] == NULL) {
            return NULL;
        }
    }
    favour_vms(host);
    return g_steal_pointer(&host);
}

void cgroup_host_free(CgroupHost *host)
{
    if (host == NULL) {
        return;
    }
    for (Tree tree = 0; tree < N_TREES; tree++) {
        g_free(host->base[tree]);
    }
    g_free(host->root);
    g_free(host->parent);
    g_free(host->name);
    g_free(host);
}

int cgroup_host_version(const CgroupHost *host)
{
    return host->version;
}

GPtrArray *cgroup_host_list(const CgroupHost *host, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (Tree tree = 0; tree < N_TREES; tree++) {
        g_autoptr(GDir) directory = NULL;
        const char *name;

        if (host->base[tree] == NULL) {
            continue;
        }
        directory = g_dir_open(host->base[tree], 0, error);
        if (directory == NULL) {
            g_prefix_error(error, "cannot list the cgroups of VMs: ");
            return NULL;
        }
        while ((name = g_dir_read_name(directory)) != NULL) {
            g_autofree char *path = g_build_filename(host->base[tree], name, NULL);

            if (g_file_test(path, G_FILE_TEST_IS_DIR) && !g_hash_table_contains(seen, name)) {
                g_ptr_array_add(names, g_strdup(name));
                g_hash_table_add(seen, g_ptr_array_index(names, names->len - 1));
            }
        }
    }
    g_ptr_array_sort(names, berth_order_texts);
    return g_steal_pointer(&names);
}

bool cgroup_host_remove(CgroupHost *host, GError **error)
{
    for (Tree tree = 0; tree < N_TREES; tree++) {
        g_autoptr(GError) local = NULL;
        g_autofree char *parent = NULL;

        if (host->base[tree] == NULL) {
            continue;
        }
        if (!cgroup_unmake(host->base[tree], &local)) {
            if (local != NULL) {
                g_propagate_error(error, g_steal_pointer(&local));
                return false;
            }
            return berth_error_set(error, BERTH_ERROR_CONFLICT, NULL, host->base[tree],
                                   "remove its VMs first", "cgroup %s is still in use",
                                   host->base[tree]);
        }
        /* The parent is shared with other hosts of this machine; the last one takes it along. */
        parent = g_path_get_dirname(host->base[tree]);
        (void)cgroup_unmake(parent, NULL);
    }
    return true;
}

static bool has_subgroups(const CgroupHost *host, Tree tree)
{
    return tree == TREE_CPU || tree == TREE_CPUACCT || host->version == 2;
}

CgroupVm *cgroup_vm_open(CgroupHost *host, const char *vm_id)
{
    CgroupVm *vm = g_new0(CgroupVm, 1);

    vm->host = host;
    vm->id = g_strdup(vm_id);
    for (Tree tree = 0; tree < N_TREES; tree++) {
        if (host->base[tree] == NULL) {
            continue;
        }
        vm->group[tree] = g_build_filename(host->base[tree], vm_id, NULL);
        if (has_subgroups(host, tree)) {
            vm->vcpu[tree] = g_build_filename(vm->group[tree], "vcpu", NULL);
            vm->emulator[tree] = g_build_filename(vm->group[tree], "emulator", NULL);
        }
    }
    return vm;
}

void cgroup_vm_free(CgroupVm *vm)
{
    if (vm == NULL) {
        return;
    }
    for (Tree tree = 0; tree < N_TREES; tree++) {
        g_free(vm->group[tree]);
        g_free(vm->vcpu[tree]);
        g_free(vm->emulator[tree]);
    }
    g_free(vm->id);
    g_free(vm);
}

static bool make_tree(CgroupVm *vm, Tree tree, GError **error)
{
    if (!cgroup_make(vm->group[tree], error)) {
        return false;
    }
    if (vm->vcpu[tree] == NULL) {
        return true;
    }
    if (!cgroup_make(vm->vcpu[tree], error) || !cgroup_make(vm->emulator[tree], error)) {
        return false;
    }
    return vm->host->version == 1 ||
           (cgroup_write(vm->vcpu[tree], "cgroup.type", "threaded", NULL, error) &&
            cgroup_write(vm->emulator[tree], "cgroup.type", "threaded", NULL, error) &&
            cgroup_write(vm->group[tree], "cgroup.subtree_control", "+cpu", NULL, error));
}

CgroupVm *cgroup_vm_create(CgroupHost *host, const char *vm_id, GError **error)
{
    g_autoptr(CgroupVm) vm = NULL;

    if (!is_group_name(vm_id)) {
        berth_error_set(error, BERTH_ERROR_INVALID, "vm", vm_id, "use the VM's id",
                        "not a name for a cgroup");
        return NULL;
    }
    vm = cgroup_vm_open(host, vm_id);
    for (Tree tree = 0; tree < N_TREES; tree++) {
        if (vm->group[tree] != NULL && !make_tree(vm, tree, error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&vm);
}

char **cgroup_vm_procs_files(const CgroupVm *vm)
{
    g_autoptr(GPtrArray) files = g_ptr_array_new();

    for (Tree tree = 0; tree < N_TREES; tree++) {
        if (vm->group[tree] != NULL) {
            g_ptr_array_add(files, g_build_filename(vm->emulator[tree] != NULL ? vm->emulator[tree]
                                                                               : vm->group[tree],
                                                    "cgroup.procs", NULL));
        }
    }
    g_ptr_array_add(files, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&files), FALSE);
}

bool cgroup_vm_place_threads(CgroupVm *vm, const pid_t *vcpu_tids, size_t n_tids, GError **error)
{
    const char *file = vm->host->version == 2 ? "cgroup.threads" : "tasks";

    for (Tree tree = 0; tree < N_TREES; tree++) {
        for (size_t i = 0; vm->vcpu[tree] != NULL && i < n_tids; i++) {
            g_autofree char *tid = g_strdup_printf("%d", (int)vcpu_tids[i]);
            g_autoptr(GError) local = NULL;
            int failed = 0;

            if (!cgroup_write(vm->vcpu[tree], file, tid, &failed, &local) && failed != ESRCH) {
                g_propagate_error(error, g_steal_pointer(&local));
                return false;
            }
        }
    }
    return true;
}

void cgroup_quota(int64_t millicores, int64_t *ret_period_usec, int64_t *ret_quota_usec)
{
    int64_t period =
        CLAMP(BURST_USEC * 1000 / MAX(millicores, 1), PERIOD_MIN_USEC, PERIOD_USUAL_USEC);

    if (millicores * period < QUOTA_MIN_USEC * 1000) {
        period = MIN(QUOTA_MIN_USEC * 1000 / MAX(millicores, 1), PERIOD_MAX_USEC);
    }
    *ret_period_usec = period;
    *ret_quota_usec = MAX(millicores * period / 1000, QUOTA_MIN_USEC);
}

static bool check_cpu(int64_t quota_millicores, int weight, GError **error)
{
    if (quota_millicores < 0 || quota_millicores > INT64_C(1) << 43) {
        g_autofree char *value = g_strdup_printf("%" G_GINT64_FORMAT, quota_millicores);

        return berth_error_set(error, BERTH_ERROR_INVALID, "cpu", value,
                               "give millicores, or 0 for no limit", "not a CPU quota");
    }
    if (weight < WEIGHT_MIN || weight > WEIGHT_MAX) {
        g_autofree char *value = g_strdup_printf("%d", weight);

        return berth_error_set(error, BERTH_ERROR_INVALID, "weight", value,
                               "give a weight between 1 and 10000; 100 is usual",
                               "not a CPU weight");
    }
    return true;
}

static bool write_quota(const CgroupHost *host, const char *directory, int64_t millicores,
                        GError **error)
{
    g_autofree char *text = NULL;
    int64_t period = 0;
    int64_t quota = 0;

    if (millicores == 0) {
        return host->version == 2 ? cgroup_write(directory, "cpu.max", "max", NULL, error)
                                  : cgroup_write(directory, "cpu.cfs_quota_us", "-1", NULL, error);
    }
    cgroup_quota(millicores, &period, &quota);
    if (host->version == 1) {
        return write_number(directory, "cpu.cfs_period_us", period, error) &&
               write_number(directory, "cpu.cfs_quota_us", quota, error);
    }
    text = g_strdup_printf("%" G_GINT64_FORMAT " %" G_GINT64_FORMAT, quota, period);
    return cgroup_write(directory, "cpu.max", text, NULL, error);
}

bool cgroup_vm_set_cpu(CgroupVm *vm, int64_t quota_millicores, int weight, GError **error)
{
    Tree tree = cgroup_tree(vm->host, TREE_CPU);

    return check_cpu(quota_millicores, weight, error) &&
           write_weight(vm->host, vm->group[tree], weight, error) &&
           write_quota(vm->host, vm->vcpu[tree], quota_millicores, error);
}

bool cgroup_vm_set_emulator(CgroupVm *vm, int64_t quota_millicores, int weight, GError **error)
{
    Tree tree = cgroup_tree(vm->host, TREE_CPU);

    return check_cpu(quota_millicores, weight, error) &&
           write_weight(vm->host, vm->emulator[tree], weight, error) &&
           write_quota(vm->host, vm->emulator[tree], quota_millicores, error);
}

static int compare_pids(gconstpointer a, gconstpointer b)
{
    pid_t left = *(const pid_t *)a;
    pid_t right = *(const pid_t *)b;

    return (left > right) - (left < right);
}

/* Adds the pids of one group; a group that is not there has none. */
static bool add_pids(GArray *pids, const char *directory, GError **error)
{
    g_autoptr(GError) local = NULL;
    g_autofree char *text = NULL;
    char *end = NULL;

    if (directory == NULL) {
        return true;
    }
    text = cgroup_read(directory, "cgroup.procs", &local);
    if (text == NULL) {
        if (g_error_matches(local, BERTH_ERROR, BERTH_ERROR_NOT_FOUND)) {
            return true;
        }
        g_propagate_error(error, g_steal_pointer(&local));
        return false;
    }
    for (const char *at = text;; at = end) {
        pid_t pid = (pid_t)strtol(at, &end, 10);

        if (end == at) {
            return true;
        }
        g_array_append_val(pids, pid);
    }
}

GArray *cgroup_vm_pids(const CgroupVm *vm, GError **error)
{
    g_autoptr(GArray) pids = g_array_new(FALSE, FALSE, sizeof(pid_t));
    guint kept = 0;

    for (Tree tree = 0; tree < N_TREES; tree++) {
        /* At v2 the VM's own file lists the processes of its threaded groups, which refuse the
         * read. */
        bool below = vm->host->version == 1;

        if (!add_pids(pids, vm->group[tree], error) ||
            (below && !add_pids(pids, vm->vcpu[tree], error)) ||
            (below && !add_pids(pids, vm->emulator[tree], error))) {
            return NULL;
        }
    }
    g_array_sort(pids, compare_pids);
    for (guint i = 0; i < pids->len; i++) {
        pid_t pid = g_array_index(pids, pid_t, i);

        if (kept == 0 || g_array_index(pids, pid_t, kept - 1) != pid) {
            g_array_index(pids, pid_t, kept++) = pid;
        }
    }
    g_array_set_size(pids, kept);
    return g_steal_pointer(&pids);
}

bool cgroup_vm_kill(CgroupVm *vm, GError **error)
{
    g_autoptr(GArray) pids = NULL;

    /* Kernels before 5.14 have no cgroup.kill; the list below does it then. */
    if (vm->group[TREE_UNIFIED] != NULL) {
        (void)cgroup_write(vm->group[TREE_UNIFIED], "cgroup.kill", "1", NULL, NULL);
    }
    pids = cgroup_vm_pids(vm, error);
    for (guint i = 0; pids != NULL && i < pids->len; i++) {
        pid_t pid = g_array_index(pids, pid_t, i);

        /* 0 is a process that this pid namespace doesn't see; kill(0) would be our own group. */
        if (pid > 0 && kill(pid, SIGKILL) != 0 && errno != ESRCH) {
            return berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL,
                                   "cannot kill process %d of VM %s: %s", (int)pid, vm->id,
                                   g_strerror(errno));
        }
    }
    return pids != NULL;
}

/* False without an error: something is still in use. */
static bool try_remove(const CgroupVm *vm, GError **error)
{
    for (Tree tree = 0; tree < N_TREES; tree++) {
        const char *const order[] = {vm->vcpu[tree], vm->emulator[tree], vm->group[tree]};

        for (size_t i = 0; i < G_N_ELEMENTS(order); i++) {
            if (order[i] != NULL && !cgroup_unmake(order[i], error)) {
                return false;
            }
        }
    }
    return true;
}

static char *pids_text(const CgroupVm *vm)
{
    g_autoptr(GArray) pids = cgroup_vm_pids(vm, NULL);
    GString *text = g_string_new(NULL);

    for (guint i = 0; pids != NULL && i < pids->len && i < 8; i++) {
        g_string_append_printf(text, "%s%d", i > 0 ? ", " : "", (int)g_array_index(pids, pid_t, i));
    }
    return g_string_free(text, FALSE);
}

bool cgroup_vm_remove(CgroupVm *vm, unsigned timeout_ms, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
    unsigned pause_ms = 1;

    for (;;) {
        g_autoptr(GError) local = NULL;
        g_autofree char *pids = NULL;

        if (try_remove(vm, &local)) {
            return true;
        }
        if (local != NULL) {
            g_propagate_error(error, g_steal_pointer(&local));
            return false;
        }
        if (g_get_monotonic_time() >= deadline) {
            pids = pids_text(vm);
            return berth_error_set(error, BERTH_ERROR_CONFLICT, NULL, pids,
                                   "end these processes, then remove the VM again",
                                   "the cgroup of VM %s is still in use after %u ms", vm->id,
                                   timeout_ms);
        }
        g_usleep(pause_ms * 1000);
        pause_ms = MIN(pause_ms * 2, REMOVE_POLL_MAX_MS);
    }
}
