#include "sim/machine.h"

#include <string.h>

#include "base/error.h"
#include "base/order.h"

#define OVERHEAD_MIB 128
#define GUEST_OBEYS_PERCENT 85
#define GUEST_BOOT_MS 8000
#define GUEST_SHUTDOWN_MS 5000
#define GHOSTS_MAX 64

SimFleet *sim_fleet_new(void)
{
    SimFleet *fleet = g_new0(SimFleet, 1);
    fleet->running = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return fleet;
}

void sim_fleet_free(SimFleet *fleet)
{
    if (fleet != NULL) {
        g_hash_table_unref(fleet->running);
        g_free(fleet);
    }
}

static void qemu_free(void *data)
{
    SimQemu *qemu = data;
    keeper_exit_free(qemu->exit);
    resources_free(qemu->limits);
    g_ptr_array_unref(qemu->devices);
    g_free(qemu->vm);
    g_free(qemu);
}

static void new_boot_id(SimMachine *machine)
{
    g_free(machine->boot_id);
    machine->boot_id =
        g_strdup_printf("%s-boot-%" G_GUINT64_FORMAT, machine->name, ++machine->boots);
}

SimMachine *sim_machine_new(SimWorld *world, SimFleet *fleet, const char *name, const char *id,
                            Resources *capacity, Resources *reserve, GPtrArray *devices)
{
    SimMachine *machine = g_new0(SimMachine, 1);
    machine->world = world;
    machine->fleet = fleet;
    machine->name = g_strdup(name);
    machine->id = g_strdup(id);
    machine->capacity = capacity;
    machine->reserve = reserve;
    machine->devices = devices != NULL
                           ? devices
                           : g_ptr_array_new_with_free_func((GDestroyNotify)host_device_free);
    machine->overhead = OVERHEAD_MIB;
    machine->guest_obeys_percent = GUEST_OBEYS_PERCENT;
    machine->kept = g_tree_new_full(berth_order_keys, NULL, g_free, (GDestroyNotify)kept_vm_free);
    machine->qemus = g_tree_new_full(berth_order_keys, NULL, NULL, qemu_free);
    machine->prepared = g_tree_new_full(berth_order_keys, NULL, g_free, g_free);
    machine->networks =
        g_tree_new_full(berth_order_keys, NULL, NULL, (GDestroyNotify)network_assignment_free);
    machine->off = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    machine->removed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    machine->ghosts = g_ptr_array_new_with_free_func((GDestroyNotify)assignment_free);
    machine->clock_from_ms = world->now_ms;
    machine->up = true;
    new_boot_id(machine);
    return machine;
}

void sim_machine_free(SimMachine *machine)
{
    if (machine == NULL) {
        return;
    }
    g_tree_unref(machine->kept);
    g_tree_unref(machine->qemus);
    g_tree_unref(machine->prepared);
    g_tree_unref(machine->networks);
    g_hash_table_unref(machine->off);
    g_hash_table_unref(machine->removed);
    g_ptr_array_unref(machine->ghosts);
    g_free(machine->forgotten_vm);
    resources_free(machine->capacity);
    resources_free(machine->reserve);
    g_ptr_array_unref(machine->devices);
    g_free(machine->boot_id);
    g_free(machine->name);
    g_free(machine->id);
    g_free(machine);
}

char *sim_machine_address(const SimMachine *machine)
{
    return g_strdup_printf("192.0.2.%u", g_str_hash(machine->name) % 250 + 1);
}

static bool knows_better(const SimMachine *machine, const char *network, int64_t generation)
{
    const NetworkAssignment *known = g_tree_lookup(machine->networks, network);
    return known != NULL && known->generation > generation;
}

void sim_machine_apply_network(SimMachine *machine, const NetworkAssignment *network)
{
    if (!knows_better(machine, network->id, network->generation)) {
        NetworkAssignment *copy = network_assignment_copy(network);
        g_tree_replace(machine->networks, copy->id, copy);
    }
}

void sim_machine_remove_network(SimMachine *machine, const NetworkRemove *removal)
{
    if (!knows_better(machine, removal->id, removal->generation)) {
        g_tree_remove(machine->networks, removal->id);
    }
}

void sim_machine_report_networks(const SimMachine *machine, GPtrArray *reported)
{
    for (GTreeNode *n = g_tree_node_first(machine->networks); n != NULL; n = g_tree_node_next(n)) {
        const NetworkAssignment *network = g_tree_node_value(n);
        ReportedNetwork *one = reported_network_new();
        one->id = g_strdup(network->id);
        one->generation = network->generation;
        g_ptr_array_add(reported, one);
    }
}

static int64_t drifted(const SimMachine *machine, int64_t span_ms)
{
    return span_ms + span_ms * machine->drift_ppm / 1000000;
}

int64_t sim_machine_clock(const SimMachine *machine)
{
    int64_t span = machine->world->now_ms - machine->clock_from_ms;
    return machine->clock_from_ms + machine->clock_offset_ms + drifted(machine, span);
}

int64_t sim_machine_wait(const SimMachine *machine, int64_t clock_ms)
{
    int64_t span = clock_ms - sim_machine_clock(machine);
    return span <= 0 ? 0 : span * 1000000 / (1000000 + machine->drift_ppm) + 1;
}

void sim_machine_set_clock(SimMachine *machine, int64_t step_ms, int64_t drift_ppm)
{
    int64_t shows = sim_machine_clock(machine) + step_ms;
    machine->clock_from_ms = machine->world->now_ms;
    machine->clock_offset_ms = shows - machine->clock_from_ms;
    machine->drift_ppm = drift_ppm;
    machine->stepped_ms += step_ms;
}

SimQemu *sim_machine_qemu(const SimMachine *machine, const char *vm)
{
    return g_tree_lookup(machine->qemus, vm);
}

static SimQemu *living(const SimMachine *machine, const char *vm, GError **error)
{
    SimQemu *qemu = sim_machine_qemu(machine, vm);
    if (qemu == NULL || qemu->exit != NULL) {
        berth_error_set(error, BERTH_ERROR_CONFLICT, "vm", vm, NULL, "its QEMU does not run");
        return NULL;
    }
    return qemu;
}

/* Some of what VMs were told before they were told something newer or removed, for those who tell it
 * again. */
static void keep_ghost(SimMachine *machine, const Assignment *assignment)
{
    Assignment *ghost = assignment_copy(assignment);
    if (machine->ghosts->len < GHOSTS_MAX) {
        g_ptr_array_add(machine->ghosts, ghost);
        return;
    }
    int64_t i = sim_between(machine->world, 0, GHOSTS_MAX - 1);
    assignment_free(machine->ghosts->pdata[i]);
    machine->ghosts->pdata[i] = ghost;
}

/* What a host has once kept of a VM is never followed by something older, whatever it hears late. */
static void check_no_older(const SimMachine *machine, const KeptVm *kept,
                           const Assignment *assignment)
{
    const Assignment *before = kept->assignment;
    if (before == NULL && assignment->epoch <= kept->tombstone) {
        sim_broken(machine->world,
                   "%s accepts VM %s in epoch %" G_GINT64_FORMAT
                   ", which was removed there up to %" G_GINT64_FORMAT,
                   machine->name, assignment->id, assignment->epoch, kept->tombstone);
    }
    if (before != NULL &&
        (assignment->epoch < before->epoch ||
         (assignment->epoch == before->epoch && assignment->generation < before->generation))) {
        sim_broken(machine->world,
                   "%s goes back from epoch %" G_GINT64_FORMAT " and generation %" G_GINT64_FORMAT
                   " of VM %s to %" G_GINT64_FORMAT " and %" G_GINT64_FORMAT,
                   machine->name, before->epoch, before->generation, assignment->id,
                   assignment->epoch, assignment->generation);
    }
}

bool sim_machine_persist(SimMachine *machine, const char *vm, const Assignment *assignment,
                         const VmRecord *record, int64_t tombstone, GError **error)
{
    if (machine->disk_full) {
        return berth_error_set(error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, "make room",
                               "the host's disk is full");
    }
    const KeptVm *known = g_tree_lookup(machine->kept, vm);
    if (known != NULL && assignment != NULL) {
        check_no_older(machine, known, assignment);
    }
    if (known != NULL && known->assignment != NULL && assignment != NULL &&
        assignment->generation != known->assignment->generation) {
        keep_ghost(machine, known->assignment);
    }
    KeptVm *kept = kept_vm_new();
    kept->id = g_strdup(vm);
    kept->assignment = assignment_copy(assignment);
    kept->record = vm_record_copy(record);
    kept->tombstone = tombstone;
    g_tree_replace(machine->kept, g_strdup(vm), kept);
    return true;
}

bool sim_machine_forget(SimMachine *machine, const char *vm, int64_t epoch, GError **error)
{
    if (machine->disk_full) {
        return berth_error_set(error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, "make room",
                               "the host's disk is full");
    }
    char *copy = g_strdup(vm);
    g_free(machine->forgotten_vm);
    machine->forgotten_vm = copy;
    machine->forgotten_epoch = epoch;
    return true;
}

void sim_machine_drop(SimMachine *machine, const char *vm)
{
    const KeptVm *kept = g_tree_lookup(machine->kept, vm);
    if (kept != NULL && kept->assignment != NULL) {
        sim_broken(machine->world, "%s drops what it keeps of VM %s, which it has", machine->name,
                   vm);
    }
    g_tree_remove(machine->kept, vm);
}

bool sim_machine_prepare(SimMachine *machine, const Assignment *assignment, GError **error)
{
    if (machine->disk_full) {
        return berth_error_set(error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, "make room",
                               "no room for the VM's disk on the host");
    }
    SimPrepared *prepared = g_new0(SimPrepared, 1);
    prepared->kernel = true;
    for (guint i = 0; i < assignment->disks->len; i++) {
        prepared->disk += ((AssignedDisk *)assignment->disks->pdata[i])->size;
    }
    g_tree_replace(machine->prepared, g_strdup(assignment->id), prepared);
    return true;
}

typedef struct {
    int64_t qemus, cpu, memory, disk_bw, net_bw;
} Load;

static gboolean add_load(void *key, void *value, void *data)
{
    const SimQemu *qemu = value;
    Load *load = data;
    if (qemu->exit == NULL) {
        load->qemus++;
        load->cpu += qemu->limits->cpu;
        load->memory += qemu->limits->memory;
        load->disk_bw += qemu->limits->disk_bw;
        load->net_bw += qemu->limits->net_bw;
    }
    return FALSE;
}

/* No floor is overdrawn: what runs fits beside the host's own need. */
static void check_floors(const SimMachine *machine)
{
    static const Resources none;
    const Resources *reserve = machine->reserve != NULL ? machine->reserve : &none;
    Load load = {0};
    g_tree_foreach(machine->qemus, add_load, &load);
    load.memory += load.qemus * machine->overhead;
    const struct {
        const char *name;
        int64_t load, room;
    } rows[] = {
        {"cpu", load.cpu, machine->capacity->cpu - reserve->cpu},
        {"memory", load.memory, machine->capacity->memory - reserve->memory},
        {"disk-bw", load.disk_bw, machine->capacity->disk_bw - reserve->disk_bw},
        {"net-bw", load.net_bw, machine->capacity->net_bw - reserve->net_bw},
    };
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (rows[i].load > 0 && rows[i].load > rows[i].room) {
            sim_broken(machine->world,
                       "what runs on %s takes %" G_GINT64_FORMAT " of %s, and there is room for "
                       "%" G_GINT64_FORMAT,
                       machine->name, rows[i].load, rows[i].name, rows[i].room);
        }
    }
}

static void check_runs_once(const SimMachine *machine, const char *vm)
{
    const SimMachine *other = g_hash_table_lookup(machine->fleet->running, vm);
    if (other != NULL) {
        sim_broken(machine->world, "VM %s is started on %s while it runs on %s", vm, machine->name,
                   other->name);
    }
}

void sim_machine_heard_poweroff(SimMachine *machine, const char *vm)
{
    const KeptVm *kept = g_tree_lookup(machine->kept, vm);
    const SimQemu *qemu = sim_machine_qemu(machine, vm);
    bool wanted =
        kept != NULL && kept->assignment != NULL && kept->assignment->power == POWER_WANTED_ON;
    if (wanted && qemu != NULL && !qemu->asked_off) {
        g_hash_table_insert(machine->off, g_strdup(vm),
                            g_memdup2(&kept->assignment->generation, sizeof(int64_t)));
    }
}

static void check_stays_off(const SimMachine *machine, const Assignment *assignment)
{
    const int64_t *generation = g_hash_table_lookup(machine->off, assignment->id);
    if (generation != NULL && *generation == assignment->generation) {
        sim_broken(
            machine->world,
            "VM %s is started on %s after its guest has powered itself off, and nobody asked",
            assignment->id, machine->name);
    }
}

static void check_not_removed(const SimMachine *machine, const Assignment *assignment)
{
    const int64_t *epoch = g_hash_table_lookup(machine->removed, assignment->id);
    if (epoch != NULL && *epoch >= assignment->epoch) {
        sim_broken(machine->world,
                   "VM %s is started on %s in epoch %" G_GINT64_FORMAT
                   " and was removed there up to %" G_GINT64_FORMAT,
                   assignment->id, machine->name, assignment->epoch, *epoch);
    }
}

/* Of the device as it was when it was given: one that is cut otherwise is another. */
static int64_t slices_used(const SimMachine *machine, const DeviceHeld *device)
{
    int64_t used = 0;
    for (GTreeNode *n = g_tree_node_first(machine->qemus); n != NULL; n = g_tree_node_next(n)) {
        const SimQemu *qemu = g_tree_node_value(n);
        for (guint i = 0; qemu->exit == NULL && i < qemu->devices->len; i++) {
            const DeviceHeld *held = qemu->devices->pdata[i];
            bool same = strcmp(held->device, device->device) == 0 && held->of == device->of;
            used += same ? held->slices : 0;
        }
    }
    return used;
}

/* It has the accelerators that it may use, and nobody else has them. */
static void check_devices(const SimMachine *machine, const Assignment *assignment)
{
    const IntMap *wanted = assignment->resources->accelerators;
    int64_t sum = 0, needs = 0;
    for (guint i = 0; i < assignment->devices->len; i++) {
        const DeviceHeld *held = assignment->devices->pdata[i];
        sum += held->slices;
        if (held->of > 0 && slices_used(machine, held) > held->of) {
            sim_broken(machine->world, "device %s of %s is given to VM %s and to others",
                       held->device, machine->name, assignment->id);
        }
    }
    for (size_t i = 0; i < int_map_size(wanted); i++) {
        needs += int_map_value(wanted, i);
    }
    if (sum != needs) {
        sim_broken(machine->world,
                   "VM %s is started on %s with %" G_GINT64_FORMAT " slices of devices in place of "
                   "%" G_GINT64_FORMAT,
                   assignment->id, machine->name, sum, needs);
    }
}

static GPtrArray *copy_devices(const GPtrArray *devices)
{
    GPtrArray *copy = g_ptr_array_new_with_free_func((GDestroyNotify)device_held_free);
    for (guint i = 0; i < devices->len; i++) {
        g_ptr_array_add(copy, device_held_copy(devices->pdata[i]));
    }
    return copy;
}

/* What is done to it is of its present epoch, as far as the host knows. */
static void check_epoch(const SimMachine *machine, const Assignment *assignment, const char *what)
{
    const KeptVm *kept = g_tree_lookup(machine->kept, assignment->id);
    if (kept != NULL && kept->assignment != NULL && assignment->epoch < kept->assignment->epoch) {
        sim_broken(machine->world,
                   "%s %s VM %s for one who is deposed: in epoch %" G_GINT64_FORMAT
                   ", and it has %" G_GINT64_FORMAT,
                   machine->name, what, assignment->id, assignment->epoch, kept->assignment->epoch);
    }
}

bool sim_machine_launch(SimMachine *machine, const Assignment *assignment, GError **error)
{
    check_epoch(machine, assignment, "starts");
    check_not_removed(machine, assignment);
    check_runs_once(machine, assignment->id);
    check_stays_off(machine, assignment);
    const SimPrepared *prepared = g_tree_lookup(machine->prepared, assignment->id);
    if (prepared == NULL || !prepared->kernel) {
        sim_broken(machine->world, "VM %s is started on %s with nothing prepared", assignment->id,
                   machine->name);
        return true;
    }
    if (sim_machine_qemu(machine, assignment->id) != NULL) {
        sim_broken(machine->world, "VM %s is started on %s before its last QEMU is released",
                   assignment->id, machine->name);
        return true;
    }
    SimQemu *qemu = g_new0(SimQemu, 1);
    qemu->vm = g_strdup(assignment->id);
    qemu->epoch = assignment->epoch;
    qemu->instance = ++machine->fleet->last_instance;
    qemu->limits = resources_copy(assignment->resources);
    qemu->devices = copy_devices(assignment->devices);
    qemu->vcpus_online = assignment->hardware->vcpus;
    machine->fleet->launches++;
    g_tree_replace(machine->qemus, qemu->vm, qemu);
    g_hash_table_insert(machine->fleet->running, g_strdup(qemu->vm), machine);
    check_floors(machine);
    check_devices(machine, assignment);
    return true;
}

bool sim_machine_tune(SimMachine *machine, const Assignment *assignment, GError **error)
{
    check_epoch(machine, assignment, "limits");
    SimQemu *qemu = living(machine, assignment->id, error);
    if (qemu == NULL) {
        return false;
    }
    resources_free(qemu->limits);
    qemu->tuned = true;
    qemu->limits = resources_copy(assignment->resources);
    qemu->vcpus_online = qemu->guest_agent ? assignment->vcpus : qemu->vcpus_online;
    check_floors(machine);
    return true;
}

typedef struct {
    char *vm;
    uint64_t instance;
    HostGuestEvent event;
} Intent; /* of a guest, carried out later if it is the same one */

static void intent_free(void *data)
{
    Intent *intent = data;
    g_free(intent->vm);
    g_free(intent);
}

static void on_intent(void *owner, void *data)
{
    SimMachine *machine = owner;
    const Intent *intent = data;
    SimQemu *qemu = sim_machine_qemu(machine, intent->vm);
    if (qemu != NULL && qemu->instance == intent->instance && qemu->exit == NULL) {
        sim_machine_guest_does(machine, qemu, intent->event);
    }
}

static void guest_intends(SimMachine *machine, const SimQemu *qemu, HostGuestEvent event,
                          int64_t delay_ms)
{
    Intent *intent = g_new(Intent, 1);
    *intent = (Intent){g_strdup(qemu->vm), qemu->instance, event};
    sim_after(machine->world, delay_ms, on_intent, machine, intent, intent_free);
}

bool sim_machine_resume(SimMachine *machine, const char *vm, GError **error)
{
    SimQemu *qemu = living(machine, vm, error);
    if (qemu == NULL) {
        return false;
    }
    if (qemu->guest == SIM_GUEST_POWEROFF || qemu->guest == SIM_GUEST_PANIC) {
        return berth_error_set(error, BERTH_ERROR_CONFLICT, "vm", vm, NULL,
                               "the guest has ended and does not run on without a reset");
    }
    if (qemu->guest == SIM_GUEST_NEW && !qemu->tuned) {
        sim_broken(machine->world, "VM %s runs on %s before it has its limits", vm, machine->name);
    }
    if (qemu->guest == SIM_GUEST_NEW) {
        guest_intends(machine, qemu, HOST_GUEST_AGENT_UP, sim_delay(machine->world, GUEST_BOOT_MS));
    }
    qemu->guest = SIM_GUEST_RUNNING;
    return true;
}

bool sim_machine_powerdown(SimMachine *machine, const char *vm, GError **error)
{
    SimQemu *qemu = living(machine, vm, error);
    if (qemu == NULL) {
        return false;
    }
    qemu->asked_off = true;
    if (sim_between(machine->world, 1, 100) <= machine->guest_obeys_percent) {
        guest_intends(machine, qemu, HOST_GUEST_POWEROFF,
                      sim_delay(machine->world, GUEST_SHUTDOWN_MS));
    }
    return true;
}

void sim_machine_qemu_ends(SimMachine *machine, SimQemu *qemu, KeeperExitKind kind, int signal,
                           bool oom)
{
    if (qemu->exit != NULL) {
        return;
    }
    qemu->exit = keeper_exit_new();
    qemu->exit->kind = kind;
    qemu->exit->has_signal = signal != 0;
    qemu->exit->signal = signal;
    qemu->exit->oom_killed = oom;
    qemu->exit->at_ms = sim_machine_clock(machine);
    qemu->exit->message = g_strdup(signal == 0 ? "qemu: terminating" : NULL);
    qemu->attached = false;
    g_hash_table_remove(machine->fleet->running, qemu->vm);
    if (machine->agent != NULL) {
        machine->watch.exited(machine->agent, qemu);
    }
}

bool sim_machine_kill(SimMachine *machine, const char *vm, GError **error)
{
    SimQemu *qemu = sim_machine_qemu(machine, vm);
    if (qemu != NULL && qemu->exit == NULL) {
        sim_machine_qemu_ends(machine, qemu, KEEPER_EXIT_KIND_SIGNALED, 9, false);
    }
    return true;
}

bool sim_machine_release(SimMachine *machine, const char *vm, GError **error)
{
    const SimQemu *qemu = sim_machine_qemu(machine, vm);
    if (qemu != NULL && qemu->exit == NULL) {
        sim_broken(machine->world, "VM %s is released on %s while its QEMU lives", vm,
                   machine->name);
        return true;
    }
    g_tree_remove(machine->qemus, vm);
    SimPrepared *prepared = g_tree_lookup(machine->prepared, vm);
    if (prepared != NULL) {
        prepared->kernel = false;
    }
    return true;
}

bool sim_machine_clean(SimMachine *machine, const char *vm, GError **error)
{
    if (sim_machine_qemu(machine, vm) != NULL) {
        sim_broken(machine->world, "VM %s is cleaned on %s before it is released", vm,
                   machine->name);
        return true;
    }
    g_tree_remove(machine->prepared, vm);
    KeptVm *kept = g_tree_lookup(machine->kept, vm);
    if (kept != NULL && kept->assignment != NULL && kept->assignment->epoch > kept->tombstone) {
        sim_broken(machine->world,
                   "%s removes VM %s, which it has in epoch %" G_GINT64_FORMAT
                   ", for one who said so of epoch %" G_GINT64_FORMAT,
                   machine->name, vm, kept->assignment->epoch, kept->tombstone);
    }
    if (kept != NULL) {
        g_hash_table_insert(machine->removed, g_strdup(vm),
                            g_memdup2(&kept->tombstone, sizeof(int64_t)));
        if (kept->assignment != NULL) {
            keep_ghost(machine, kept->assignment);
        }
        g_clear_pointer(&kept->assignment, assignment_free);
        g_clear_pointer(&kept->record, vm_record_free);
    }
    return true;
}

static bool take_guest_event(SimQemu *qemu, HostGuestEvent event)
{
    bool runs = qemu->guest == SIM_GUEST_RUNNING;
    switch (event) {
    case HOST_GUEST_POWEROFF:
        qemu->guest = runs ? SIM_GUEST_POWEROFF : qemu->guest;
        break;
    case HOST_GUEST_PANIC:
        qemu->guest = runs ? SIM_GUEST_PANIC : qemu->guest;
        break;
    case HOST_GUEST_STOPPED:
        qemu->guest = runs ? SIM_GUEST_STOPPED : qemu->guest;
        break;
    case HOST_GUEST_IO_ERROR:
        qemu->guest = runs ? SIM_GUEST_IO_ERROR : qemu->guest;
        break;
    case HOST_GUEST_RESUMED:
        runs = qemu->guest == SIM_GUEST_STOPPED;
        qemu->guest = runs ? SIM_GUEST_RUNNING : qemu->guest;
        break;
    case HOST_GUEST_AGENT_UP:
        qemu->guest_agent = runs;
        break;
    case HOST_GUEST_RESET:
        qemu->guest_agent = runs ? false : qemu->guest_agent;
        break;
    }
    return runs;
}

bool sim_machine_guest_does(SimMachine *machine, SimQemu *qemu, HostGuestEvent event)
{
    if (!take_guest_event(qemu, event)) {
        return false;
    }
    sim_log(machine->world, "%s guest %s does %d", machine->name, qemu->vm, event);
    if (event == HOST_GUEST_RESET) {
        guest_intends(machine, qemu, HOST_GUEST_AGENT_UP, sim_delay(machine->world, GUEST_BOOT_MS));
    }
    if (machine->agent != NULL && qemu->attached) {
        machine->watch.guest(machine->agent, qemu, event);
    }
    return true;
}

/* What was heard and not written down is forgotten with the QEMU that could tell it again. */
static gboolean is_unwritten(void *vm, void *generation, void *data)
{
    const SimMachine *machine = data;
    const KeptVm *kept = g_tree_lookup(machine->kept, vm);
    return kept == NULL || kept->record == NULL || !kept->record->ended;
}

void sim_machine_crash(SimMachine *machine)
{
    machine->up = false;
    g_hash_table_foreach_remove(machine->off, is_unwritten, machine);
    for (GTreeNode *n = g_tree_node_first(machine->qemus); n != NULL; n = g_tree_node_next(n)) {
        const SimQemu *qemu = g_tree_node_value(n);
        if (qemu->exit == NULL) {
            g_hash_table_remove(machine->fleet->running, qemu->vm);
        }
    }
    g_tree_remove_all(machine->qemus);
    for (GTreeNode *n = g_tree_node_first(machine->prepared); n != NULL; n = g_tree_node_next(n)) {
        ((SimPrepared *)g_tree_node_value(n))->kernel = false;
    }
}

void sim_machine_boot(SimMachine *machine)
{
    machine->up = true;
    new_boot_id(machine);
}
