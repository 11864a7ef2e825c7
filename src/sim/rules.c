#include "sim/rules.h"

#include <string.h>

#include "base/codec.h"
#include "base/error.h"
#include "base/order.h"

/* A VM as the store has it. */
typedef struct {
    VmSpec *spec;
    VmPlacement *placement;
    VmStatus *status;
} Stored;

typedef struct {
    Sim *sim;
    GTree *vms; /* id → Stored */
} Rest;

static void stored_free(void *data)
{
    Stored *stored = data;
    vm_spec_free(stored->spec);
    vm_placement_free(stored->placement);
    vm_status_free(stored->status);
    g_free(stored);
}

/* vm/TENANT/ID/spec, …/placement, …/status */
static void read_vm_key(const char *key, GBytes *value, void *data)
{
    Rest *rest = data;
    g_auto(GStrv) path = g_strsplit(key, "/", -1);
    Stored *stored = g_tree_lookup(rest->vms, path[2]);
    if (stored == NULL) {
        stored = g_new0(Stored, 1);
        g_tree_insert(rest->vms, g_strdup(path[2]), stored);
    }
    if (strcmp(path[3], "spec") == 0) {
        stored->spec = sim_disk_read(&vm_spec_type, value);
    } else if (strcmp(path[3], "placement") == 0) {
        stored->placement = sim_disk_read(&vm_placement_type, value);
    } else {
        stored->status = sim_disk_read(&vm_status_type, value);
    }
}

static PowerWanted wanted_power(const VmSpec *spec)
{
    return spec->preempted ? POWER_WANTED_OFF : spec->power;
}

static void check_assignment(SimWorld *world, const char *id, const Stored *vm,
                             const Assignment *has)
{
    if (has == NULL || has->generation != vm->spec->generation ||
        has->epoch != vm->placement->epoch || has->power != wanted_power(vm->spec) ||
        !resources_equal(has->resources, vm->spec->resources)) {
        sim_broken(world, "VM %s: its host was not told generation %" G_GINT64_FORMAT, id,
                   vm->spec->generation);
    }
}

/* The store's status is the host's. */
static void check_status(SimWorld *world, const char *id, const Stored *vm, const HostCore *core)
{
    g_autoptr(VmStatus) is = host_core_status(core, id);
    if (is == NULL || vm->status == NULL || !vm_status_equal(is, vm->status)) {
        json_t *there = is != NULL ? vm_status_encode(is) : NULL;
        json_t *here = vm->status != NULL ? vm_status_encode(vm->status) : NULL;
        g_autofree char *a = there != NULL ? codec_dump(there) : g_strdup("nothing");
        g_autofree char *b = here != NULL ? codec_dump(here) : g_strdup("nothing");
        sim_broken(world, "VM %s is %s and the store says %s", id, a, b);
        json_decref(there);
        json_decref(here);
    }
}

static void check_process(SimWorld *world, const char *id, const Stored *vm,
                          const SimMachine *machine)
{
    const SimQemu *qemu = sim_machine_qemu(machine, id);
    const SimPrepared *prepared = g_tree_lookup(machine->prepared, id);
    const KeptVm *kept = g_tree_lookup(machine->kept, id);
    bool ended = kept != NULL && kept->record != NULL && kept->record->ended;
    bool should_run = wanted_power(vm->spec) == POWER_WANTED_ON && !ended;
    bool runs = qemu != NULL && qemu->exit == NULL && qemu->guest == SIM_GUEST_RUNNING;
    if (should_run != runs) {
        sim_broken(world, "VM %s should %srun on %s and does%s", id, should_run ? "" : "not ",
                   machine->name, runs ? "" : " not");
    } else if (!runs && qemu != NULL) {
        sim_broken(world, "VM %s should not run on %s and its QEMU is there", id, machine->name);
    } else if (runs && !resources_equal(qemu->limits, vm->spec->resources)) {
        sim_broken(world, "VM %s has limits on %s that nobody wants", id, machine->name);
    } else if (!runs && prepared != NULL && prepared->kernel) {
        sim_broken(world, "VM %s does not run on %s and its taps and groups are there", id,
                   machine->name);
    }
}

static gboolean check_vm(void *key, void *value, void *data)
{
    const Rest *rest = data;
    const Stored *vm = value;
    SimWorld *world = rest->sim->world;
    if (vm->spec == NULL || vm->placement == NULL) {
        sim_broken(world, "the store has a part of VM %s", (char *)key);
        return TRUE;
    }
    const SimAgent *agent = sim_find_host_by_id(rest->sim, vm->placement->host);
    const HostCore *core = agent != NULL ? sim_agent_core(agent) : NULL;
    if (core == NULL) {
        sim_broken(world, "VM %s is placed where there is no host", (char *)key);
    } else if (vm->spec->removing) {
        sim_broken(world, "VM %s is still being removed", (char *)key);
    } else {
        check_assignment(world, key, vm, host_core_assignment(core, key));
        check_process(world, key, vm, sim_agent_machine(agent));
        check_status(world, key, vm, core);
    }
    return world->broken != NULL;
}

static void leftover(const Rest *rest, const char *id, const SimMachine *machine, const char *what)
{
    const Stored *vm = g_tree_lookup(rest->vms, id);
    if (vm == NULL || vm->placement == NULL || strcmp(vm->placement->host, machine->id) != 0) {
        sim_broken(rest->sim->world, "%s is left on %s of VM %s, which is not there", what,
                   machine->name, id);
    }
}

/* More than the bound only while a mark is under way, or after one that failed. */
static void check_tombstones(const Rest *rest, const SimMachine *machine, int64_t tombstones)
{
    if (tombstones > 2 * SIM_TOMBSTONES_KEPT) {
        sim_broken(rest->sim->world, "%s keeps %" G_GINT64_FORMAT " tombstones", machine->name,
                   tombstones);
    }
}

static void check_leftovers(const Rest *rest, const SimMachine *machine)
{
    int64_t tombstones = 0;
    for (GTreeNode *n = g_tree_node_first(machine->kept); n != NULL; n = g_tree_node_next(n)) {
        if (((KeptVm *)g_tree_node_value(n))->assignment != NULL) {
            leftover(rest, g_tree_node_key(n), machine, "a record");
        } else {
            tombstones++;
        }
    }
    check_tombstones(rest, machine, tombstones);
    for (GTreeNode *n = g_tree_node_first(machine->qemus); n != NULL; n = g_tree_node_next(n)) {
        leftover(rest, g_tree_node_key(n), machine, "a QEMU");
    }
    for (GTreeNode *n = g_tree_node_first(machine->prepared); n != NULL; n = g_tree_node_next(n)) {
        leftover(rest, g_tree_node_key(n), machine, "a disk");
    }
}

/* Does the host know where this card is? */
static bool knows_card(const Rest *rest, const NetworkAssignment *network, const Nic *nic,
                       const char *host)
{
    const SimAgent *agent = sim_find_host_by_id(rest->sim, host);
    g_autofree char *address = agent != NULL ? sim_machine_address(sim_agent_machine(agent)) : NULL;
    for (guint i = 0; i < network->ports->len; i++) {
        const NetworkPort *port = network->ports->pdata[i];
        if (strcmp(port->mac, nic->mac) == 0) {
            return g_strcmp0(port->ipv4, nic->ipv4) == 0 && g_strcmp0(port->host, address) == 0;
        }
    }
    return false;
}

/* What the store has of one network. */
typedef struct {
    const Rest *rest;
    const SimMachine *machine;
    const char *id;
    const NetworkAssignment *network; /* as the machine has it; NULL: it has none */
    guint cards, own;                 /* in the network; of them on the machine */
} Lookup;

static gboolean look_up_cards(void *id, void *value, void *data)
{
    const Stored *vm = value;
    Lookup *lookup = data;
    for (guint i = 0; vm->placement != NULL && i < vm->placement->nics->len; i++) {
        const Nic *nic = vm->placement->nics->pdata[i];
        if (strcmp(nic->network, lookup->id) != 0) {
            continue;
        }
        lookup->cards++;
        lookup->own += strcmp(vm->placement->host, lookup->machine->id) == 0;
        if (lookup->network != NULL &&
            !knows_card(lookup->rest, lookup->network, nic, vm->placement->host)) {
            sim_broken(lookup->rest->sim->world, "%s does not know where VM %s is in network %s",
                       lookup->machine->name, (char *)id, lookup->id);
        }
    }
    return FALSE;
}

/* It knows all cards of the networks that it has VMs in, and of no other. */
static void check_network(const Rest *rest, const SimMachine *machine, const char *id)
{
    Lookup lookup = {rest, machine, id, g_tree_lookup(machine->networks, id), 0, 0};
    g_tree_foreach(rest->vms, look_up_cards, &lookup);
    if (lookup.own > 0 && lookup.network == NULL) {
        sim_broken(rest->sim->world, "%s was not told of network %s", machine->name, id);
    } else if (lookup.own == 0 && lookup.network != NULL) {
        sim_broken(rest->sim->world, "network %s is left on %s, which has no VM in it", id,
                   machine->name);
    } else if (lookup.network != NULL && lookup.network->ports->len != lookup.cards) {
        sim_broken(rest->sim->world, "%s knows %u cards of network %s, there are %u", machine->name,
                   lookup.network->ports->len, id, lookup.cards);
    }
}

static void check_network_key(const char *key, GBytes *value, void *data)
{
    const Rest *rest = data;
    for (guint i = 0; i < rest->sim->agents->len; i++) {
        check_network(rest, sim_agent_machine(rest->sim->agents->pdata[i]), strrchr(key, '/') + 1);
    }
}

/* It goes on exactly while something runs there. */
static void check_drain(const Rest *rest, const Operation *operation)
{
    const SimAgent *agent = sim_find_host_by_id(rest->sim, operation->subject->id);
    if (agent == NULL || g_tree_nnodes(sim_agent_machine(agent)->qemus) == 0) {
        sim_broken(rest->sim->world, "host %s is empty and its drain goes on",
                   operation->subject->name);
    }
}

/* Of a request that waits for room. */
static bool is_queued(const Sim *sim, const Operation *operation)
{
    g_autofree char *key =
        g_strconcat("queue/", operation->tenant, "/", operation->subject->id, NULL);
    return sim_disk_get(sim_manager_disk(sim->manager), key) != NULL;
}

static void check_operation(const char *key, GBytes *value, void *data)
{
    const Rest *rest = data;
    g_autoptr(Operation) operation = sim_disk_read(&operation_type, value);
    if (operation != NULL && operation->state == OPERATION_STATE_RUNNING &&
        strcmp(operation->kind, "host.drain") == 0) {
        check_drain(rest, operation);
    } else if (operation != NULL && operation->state == OPERATION_STATE_RUNNING &&
               operation->subject != NULL && is_queued(rest->sim, operation)) {
        return;
    } else if (operation == NULL || operation->state == OPERATION_STATE_RUNNING) {
        sim_broken(rest->sim->world, "operation %s (%s of %s) never ends", key,
                   operation != NULL ? operation->kind : "unreadable",
                   operation != NULL && operation->subject != NULL ? operation->subject->name : "");
    }
}

/* A slot may be on a host that takes no VMs for a VM's sake, or because nobody else has room, which is told. */
typedef struct {
    const char *reservation, *host; /* ids */
    bool used;
} SlotUse;

static gboolean uses_slot(void *id, void *value, void *data)
{
    const Stored *vm = value;
    SlotUse *slots = data;
    slots->used = slots->used || (vm->spec != NULL && vm->placement != NULL &&
                                  g_strcmp0(vm->spec->reservation, slots->reservation) == 0 &&
                                  strcmp(vm->placement->host, slots->host) == 0);
    return slots->used;
}

static bool has_device(const SimMachine *machine, const DeviceHeld *held)
{
    for (guint i = 0; i < machine->devices->len; i++) {
        const HostDevice *device = machine->devices->pdata[i];
        if (strcmp(device->id, held->device) == 0) {
            return strcmp(device->model, held->model) == 0 && device->slices == held->of;
        }
    }
    return false;
}

/* A host whose cards are cut otherwise than those of others does not offer them, for as long as that is so. */
static bool is_cut_unlike(const Rest *rest, const DeviceHeld *held)
{
    for (guint a = 0; a < rest->sim->agents->len; a++) {
        const SimMachine *machine = sim_agent_machine(rest->sim->agents->pdata[a]);
        for (guint i = 0; i < machine->devices->len; i++) {
            const HostDevice *device = machine->devices->pdata[i];
            if (strcmp(device->model, held->model) == 0 && device->slices != held->of) {
                return true;
            }
        }
    }
    return false;
}

static bool may_be_refused(const Rest *rest, const ReservationSlot *slot)
{
    for (guint i = 0; i < slot->devices->len; i++) {
        if (is_cut_unlike(rest, slot->devices->pdata[i])) {
            return true;
        }
    }
    return false;
}

/* Has its host lost a device of which the slot holds slices? */
static bool lacks_device(const Rest *rest, const ReservationSlot *slot)
{
    const SimAgent *agent = sim_find_host_by_id(rest->sim, slot->host);
    for (guint i = 0; agent != NULL && i < slot->devices->len; i++) {
        if (!has_device(sim_agent_machine(agent), slot->devices->pdata[i])) {
            return true;
        }
    }
    return false;
}

/* Of devices that are only given out whole a slot holds a number, and there may be fewer of them than that. */
static bool wants_whole(const Reservation *reservation)
{
    int64_t slices = 0;
    return reservation->resources != NULL &&
           int_map_get(reservation->resources->accelerators, "gpu/whole", &slices) && slices > 0;
}

static void check_slot(const Rest *rest, const Reservation *reservation,
                       const ReservationSlot *slot)
{
    g_autofree char *key = g_strdup_printf("host/%s/spec", slot->host);
    GBytes *value = sim_disk_get(sim_manager_disk(rest->sim->manager), key);
    g_autoptr(HostSpec) host = sim_disk_read(&host_spec_type, value);
    SlotUse slots = {reservation->id, slot->host, false};
    g_tree_foreach(rest->vms, uses_slot, &slots);
    if (host == NULL) {
        sim_broken(rest->sim->world, "reservation %s is on a host that is no more",
                   reservation->name);
    } else if (lacks_device(rest, slot) && slot->risk == NULL && !slots.used) {
        sim_broken(rest->sim->world,
                   "reservation %s is on a device that %s has lost, and is not at risk",
                   reservation->name, host->name);
    } else if (!host->cordoned && !lacks_device(rest, slot) && !wants_whole(reservation) &&
               !may_be_refused(rest, slot) && slot->risk != NULL) {
        sim_broken(rest->sim->world, "reservation %s is told to be at risk on %s and is not",
                   reservation->name, host->name);
    } else if (host->cordoned && slot->risk == NULL && !slots.used) {
        sim_broken(rest->sim->world,
                   "reservation %s is on %s, which takes no VMs, and is not at risk",
                   reservation->name, host->name);
    }
}

static void check_reservation(const char *key, GBytes *value, void *data)
{
    g_autoptr(Reservation) reservation = sim_disk_read(&reservation_type, value);
    for (guint i = 0; reservation != NULL && i < reservation->slots->len; i++) {
        check_slot(data, reservation, reservation->slots->pdata[i]);
    }
}

void sim_check_rest(Sim *sim)
{
    SimDisk *disk = sim_manager_disk(sim->manager);
    Rest rest = {sim, g_tree_new_full(berth_order_keys, NULL, g_free, stored_free)};
    sim_disk_each(disk, "vm/", read_vm_key, &rest);
    g_tree_foreach(rest.vms, check_vm, &rest);
    for (guint i = 0; i < sim->agents->len; i++) {
        check_leftovers(&rest, sim_agent_machine(sim->agents->pdata[i]));
    }
    sim_disk_each(disk, "network/", check_network_key, &rest);
    sim_disk_each(disk, "operation/", check_operation, &rest);
    sim_disk_each(disk, "reservation/", check_reservation, &rest);
    g_tree_unref(rest.vms);
}
