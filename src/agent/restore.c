/*
 * At start: what was kept and what runs; and what is left over of VMs that are gone.
 *
 * For each VM found on disk or under RUN/vms the core is told what it should be and whether a QEMU
 * lives: launch.json names the process, which counts only if its start time agrees.
 */
#include <sys/stat.h>

#include "agent/agent.h"
#include "agent/paths.h"
#include "base/error.h"
#include "base/order.h"
#include "base/ulid.h"
#include "linux/names.h"
#include "linux/process.h"
#include "linux/shape.h"

static KeptVm *read_kept(Agent *agent, const char *vm, GError **error)
{
    g_autofree char *path = path_kept(agent->state, vm);
    json_t *json = json_file_read(path, error);
    KeptVm *kept = json != NULL ? kept_vm_decode(json, CODEC_TOLERANT, error) : NULL;
    json_decref(json);
    return kept;
}

static KeeperStatus *read_status(const AgentVm *vm, const char *name)
{
    g_autofree char *path = g_build_filename(vm->directory, name, NULL);
    json_t *json = json_file_read(path, NULL);
    KeeperStatus *status = json != NULL ? keeper_status_decode(json, CODEC_TOLERANT, NULL) : NULL;
    json_decref(json);
    return status;
}

static bool is_alive(const KeeperStatus *status)
{
    uint64_t ticks = 0;
    return status->pid > 0 && process_start_ticks((pid_t)status->pid, &ticks, NULL) &&
           ticks == (uint64_t)status->start_ticks;
}

KeeperStatus *restore_running(const AgentVm *vm)
{
    g_autoptr(KeeperStatus) launch = read_status(vm, "launch.json");
    return launch != NULL && is_alive(launch) ? g_steal_pointer(&launch) : NULL;
}

uid_t restore_uid_of(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d", (int)pid);
    struct stat st;
    return stat(path, &st) == 0 ? st.st_uid : 0;
}

/* How the last process of this VM ended, as far as anybody knows. */
static KeeperExit *exit_of(const AgentVm *vm, const KeeperStatus *launch)
{
    g_autoptr(KeeperStatus) last = read_status(vm, "exit.json");
    if (last != NULL && last->exit != NULL &&
        (launch == NULL || g_strcmp0(last->launch, launch->launch) == 0)) {
        return keeper_exit_copy(last->exit);
    }
    KeeperExit *exit = keeper_exit_new();
    exit->kind = KEEPER_EXIT_KIND_SIGNALED;
    exit->signal = 9;
    exit->at_ms = g_get_real_time() / 1000;
    exit->message = g_strdup("its keeper has ended too; the cause is not known");
    return exit;
}

static void restore_one(Agent *agent, const char *id)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KeptVm) kept = read_kept(agent, id, &error);
    if (error != NULL) {
        g_warning("%s: what was kept of it cannot be read, so it is left alone: %s", id,
                  error->message);
    }
    AgentVm *vm = agent_vm(agent, id);
    g_autoptr(KeeperStatus) launch = read_status(vm, "launch.json");
    g_autoptr(KeeperStatus) last = read_status(vm, "exit.json");
    g_autoptr(KeeperExit) exit = NULL;
    HostEvent event = {.kind = HOST_EVENT_RESTORE, .vm = id};
    event.restore.assignment = kept != NULL ? kept->assignment : NULL;
    event.restore.tombstone = kept != NULL ? kept->tombstone : 0;
    event.restore.record = kept != NULL ? kept->record : NULL;
    event.restore.process = HOST_PROCESS_NONE;
    if (launch != NULL && is_alive(launch)) {
        event.restore.process = HOST_PROCESS_LAUNCHED;
        event.restore.epoch = launch->epoch;
        vm->uid = restore_uid_of((pid_t)launch->pid);
        agent_vm_watch(vm, launch, NULL);
    } else if (launch != NULL || last != NULL) {
        event.restore.process = HOST_PROCESS_ENDED;
        event.restore.epoch = launch != NULL ? launch->epoch : last->epoch;
        event.restore.exit = exit = exit_of(vm, launch);
        if (launch != NULL) {
            agent_vm_watch(vm, launch, NULL);
        }
        vm->exit_told = true;
    }
    agent_step(agent, &event);
}

static void list_into(GTree *ids, const char *directory, const char *suffix)
{
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    const char *name;
    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *id = g_strdup(name);
        if (g_str_has_suffix(id, suffix)) {
            id[strlen(id) - strlen(suffix)] = '\0';
        }
        if (berth_ulid_is_valid(id)) {
            g_tree_insert(ids, g_steal_pointer(&id), NULL);
        }
    }
}

bool restore_all(Agent *agent, GError **error)
{
    g_autofree char *kept = g_build_filename(agent->state, "vms", NULL);
    g_autofree char *run = g_build_filename(agent->run, "vms", NULL);
    g_autoptr(GTree) ids = g_tree_new_full(berth_order_keys, NULL, g_free, NULL);
    list_into(ids, kept, ".json");
    list_into(ids, run, "");
    for (GTreeNode *n = g_tree_node_first(ids); n != NULL; n = g_tree_node_next(n)) {
        restore_one(agent, g_tree_node_key(n));
    }
    HostEvent ready = {.kind = HOST_EVENT_READY};
    agent_step(agent, &ready);
    return true;
}

uid_t restore_free_uid(Agent *agent)
{
    g_autoptr(GHashTable) taken = g_hash_table_new(NULL, NULL);
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, agent->vms);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        g_hash_table_add(taken, GUINT_TO_POINTER(((const AgentVm *)value)->uid));
    }
    uid_t uid = (uid_t)agent->config->uid_first;
    while (g_hash_table_contains(taken, GUINT_TO_POINTER(uid))) {
        uid++;
    }
    return uid;
}

typedef struct {
    Agent *agent;
    GHashTable *vms;  /* ids that hold something here */
    GHashTable *taps; /* names of theirs */
} Sweep;

static void sweep_free(gpointer data)
{
    Sweep *sweep = data;
    g_hash_table_unref(sweep->vms);
    g_hash_table_unref(sweep->taps);
    g_free(sweep);
}

static void sweep_taps(const Sweep *sweep)
{
    g_autoptr(GPtrArray) taps = net_list(sweep->agent->net, names_prefix(NAMES_TAP), NULL);
    for (guint i = 0; taps != NULL && i < taps->len; i++) {
        const char *tap = taps->pdata[i];
        if (!names_is(NAMES_TAP, tap) || g_hash_table_contains(sweep->taps, tap)) {
            continue;
        }
        char ifb[NAMES_SIZE];
        names_ifb_of_tap(tap, ifb);
        shape_remove(sweep->agent->net, ifb, NULL);
        net_delete(sweep->agent->net, tap, NULL);
        spoof_remove(sweep->agent->spoof, tap, NULL);
        agent_log(NULL, "removed a left-over tap %s", tap);
    }
}

static void sweep_groups(const Sweep *sweep)
{
    g_autoptr(GPtrArray) groups = cgroup_host_list(sweep->agent->cgroups, NULL);
    for (guint i = 0; groups != NULL && i < groups->len; i++) {
        if (g_hash_table_contains(sweep->vms, groups->pdata[i])) {
            continue;
        }
        g_autoptr(CgroupVm) group = cgroup_vm_open(sweep->agent->cgroups, groups->pdata[i]);
        g_autoptr(GArray) pids = cgroup_vm_pids(group, NULL);
        if (pids == NULL || pids->len == 0) {
            cgroup_vm_remove(group, 0, NULL);
            agent_log(NULL, "removed a left-over group %s", (const char *)groups->pdata[i]);
        }
    }
}

static bool run_sweep(gpointer data, GError **error)
{
    sweep_taps(data);
    sweep_groups(data);
    return true;
}

void restore_sweep(Agent *agent)
{
    Sweep *sweep = g_new0(Sweep, 1);
    sweep->agent = agent;
    sweep->vms = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    sweep->taps = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GPtrArray) vms = host_core_vms(agent->core);
    for (guint i = 0; i < vms->len; i++) {
        g_hash_table_add(sweep->vms, g_strdup(vms->pdata[i]));
        for (unsigned nic = 0; nic < NAMES_MAX_NICS; nic++) {
            char tap[NAMES_SIZE];
            names_tap(vms->pdata[i], nic, tap);
            g_hash_table_add(sweep->taps, g_strdup(tap));
        }
    }
    work_run(agent->kernel, run_sweep, NULL, sweep, sweep_free);
    images_sweep(agent->images);
}
