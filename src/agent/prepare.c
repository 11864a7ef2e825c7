/* PREPARE: everything that exists before a process: images, disks, directory, group, taps, guards.
 */
#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "agent/agent.h"
#include "agent/paths.h"
#include "base/error.h"
#include "linux/names.h"

typedef struct {
    const char *state;
    char *run_dir;
    CgroupHost *cgroups;
    Net *net;
    Spoof *spoof;
    uid_t uid;
    GPtrArray *bridges;           /* of char *, for each NIC */
    GArray *mtus;                 /* of unsigned */
    GArray *vlans;                /* of unsigned */
    const Assignment *assignment; /* the effect's */
} Prepare;

static void prepare_free(gpointer data)
{
    Prepare *prepare = data;
    g_free(prepare->run_dir);
    g_ptr_array_unref(prepare->bridges);
    g_array_unref(prepare->mtus);
    g_array_unref(prepare->vlans);
    g_free(prepare);
}

static bool run_qemu_img(const char *path, int64_t gib, GError **error)
{
    g_autofree char *size = g_strdup_printf("%" G_GINT64_FORMAT "G", gib);
    g_autoptr(GSubprocess) process =
        g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_PIPE, error,
                         "qemu-img", "create", "-q", "-f", "qcow2", path, size, NULL);
    if (process == NULL) {
        return false;
    }
    g_autofree char *said = NULL;
    if (!g_subprocess_communicate_utf8(process, NULL, NULL, NULL, &said, error)) {
        return false;
    }
    if (!g_subprocess_get_successful(process)) {
        return berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "disk", NULL,
                               "make room in the agent's state directory", "cannot make a disk: %s",
                               g_strchomp(said));
    }
    return true;
}

/* A disk that exists is the VM's data and is never made anew. */
static bool make_disk(const char *state, const char *vm, const AssignedDisk *disk, GError **error)
{
    g_autofree char *path = path_disk(state, vm, disk->id);
    if (g_file_test(path, G_FILE_TEST_EXISTS)) {
        return true;
    }
    g_autofree char *directory = path_disks(state, vm);
    g_autofree char *partial = g_strconcat(path, ".partial", NULL);
    if (!directory_make(directory, 0700, error) || !run_qemu_img(partial, disk->size, error)) {
        return false;
    }
    if (rename(partial, path) != 0) {
        return berth_error_set(error, BERTH_ERROR_INTERNAL, NULL, NULL, NULL, "cannot name %s: %s",
                               path, g_strerror(errno));
    }
    return true;
}

static bool make_files(gpointer data, GError **error)
{
    const Prepare *prepare = data;
    const Assignment *a = prepare->assignment;
    for (guint i = 0; i < a->disks->len; i++) {
        if (!make_disk(prepare->state, a->id, a->disks->pdata[i], error)) {
            return false;
        }
    }
    return directory_make(prepare->run_dir, 0711, error);
}

static bool make_nic(const Prepare *prepare, guint index, GError **error)
{
    const Nic *nic = prepare->assignment->nics->pdata[index];
    char tap[NAMES_SIZE];
    names_tap(prepare->assignment->id, index, tap);
    const char *addresses[] = {nic->ipv4, NULL};
    const char *addresses6[] = {nic->ipv6, NULL};
    SpoofRules rules = {.mac = nic->mac,
                        .ipv4 = nic->ipv4 != NULL ? addresses : NULL,
                        .ipv6 = nic->ipv6 != NULL ? addresses6 : NULL,
                        .any_address = nic->ipv4 == NULL};
    const char *bridge = prepare->bridges->pdata[index];
    unsigned mtu = g_array_index(prepare->mtus, unsigned, index);
    unsigned vlan = g_array_index(prepare->vlans, unsigned, index);
    return spoof_ensure_tap(prepare->spoof, tap, &rules, error) &&
           net_ensure_tap(prepare->net, tap, prepare->uid, error) &&
           net_attach_tap(prepare->net, tap, bridge, mtu, error) &&
           (vlan == 0 || net_ensure_port(prepare->net, tap, bridge, vlan, error));
}

static bool make_kernel_things(gpointer data, GError **error)
{
    const Prepare *prepare = data;
    g_autoptr(CgroupVm) group = cgroup_vm_create(prepare->cgroups, prepare->assignment->id, error);
    if (group == NULL) {
        return false;
    }
    for (guint i = 0; i < prepare->assignment->nics->len; i++) {
        if (!make_nic(prepare, i, error)) {
            return false;
        }
    }
    return true;
}

static void kernel_done(const GError *error, gpointer data)
{
    Effect *effect = data;
    if (!effect_ends_with(effect, error)) {
        effect_end(effect, NULL);
    }
}

static bool run_kernel(gpointer data, GError **error)
{
    return make_kernel_things(((Effect *)data)->state, error);
}

static void files_done(const GError *error, gpointer data)
{
    Effect *effect = data;
    if (!effect_ends_with(effect, error)) {
        work_run(effect->agent->kernel, run_kernel, kernel_done, effect, NULL);
    }
}

static bool run_files(gpointer data, GError **error)
{
    return make_files(((Effect *)data)->state, error);
}

static void images_here(const GError *error, gpointer data)
{
    Effect *effect = data;
    if (!effect_ends_with(effect, error)) {
        work_run(effect->agent->files, run_files, files_done, effect, NULL);
    }
}

/* What the kernel thread must know of the VM's networks, taken from the model here. */
static bool look_up_networks(Agent *agent, Prepare *prepare, GError **error)
{
    for (guint i = 0; i < prepare->assignment->nics->len; i++) {
        const Nic *nic = prepare->assignment->nics->pdata[i];
        const NetworkAssignment *network = networks_find(agent->networks, nic->network);
        if (network == NULL) {
            return berth_error_set(error, BERTH_ERROR_UNAVAILABLE, "network", nic->network,
                                   "it is tried again when the manager has told of it",
                                   "this host does not know the network yet");
        }
        unsigned mtu = networks_mtu(agent->networks, network);
        unsigned vlan = (unsigned)network->vlan;
        g_ptr_array_add(prepare->bridges, networks_bridge(network));
        g_array_append_val(prepare->mtus, mtu);
        g_array_append_val(prepare->vlans, vlan);
    }
    return true;
}

void effect_prepare(Effect *effect)
{
    Agent *agent = effect->agent;
    AgentVm *vm = agent_vm(agent, effect->vm);
    Prepare *prepare = g_new0(Prepare, 1);
    effect->state = prepare;
    effect->free_state = prepare_free;
    prepare->bridges = g_ptr_array_new_with_free_func(g_free);
    prepare->mtus = g_array_new(FALSE, FALSE, sizeof(unsigned));
    prepare->vlans = g_array_new(FALSE, FALSE, sizeof(unsigned));
    g_autoptr(GError) error = NULL;
    prepare->assignment = effect->assignment;
    if (!look_up_networks(agent, prepare, &error)) {
        effect_end(effect, g_steal_pointer(&error));
        return;
    }
    if (vm->uid == 0) {
        vm->uid = restore_free_uid(agent);
    }
    prepare->state = agent->state;
    prepare->run_dir = g_strdup(vm->directory);
    prepare->cgroups = agent->cgroups;
    prepare->net = agent->net;
    prepare->spoof = agent->spoof;
    prepare->uid = vm->uid;
    images_ensure(agent->images, effect->assignment->image, images_here, effect);
}
