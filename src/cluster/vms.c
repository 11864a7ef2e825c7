#include "cluster/vms.h"

#include <string.h>

#include "base/error.h"
#include "cluster/agents.h"
#include "cluster/apps.h"
#include "cluster/drain.h"
#include "cluster/ends.h"
#include "cluster/devices.h"
#include "cluster/fleet.h"
#include "cluster/hardware.h"
#include "cluster/journal.h"
#include "cluster/keys.h"
#include "cluster/networks.h"
#include "cluster/preempt.h"
#include "cluster/reservations.h"
#include "cluster/rules.h"
#include "cluster/tenants.h"
#include "cluster/txn.h"

/* One card for each network of the spec, with addresses that nobody else has. */
static bool make_nics(ClusterCore *core, const ClusterVm *vm, GPtrArray *nics, GError **error)
{
    for (guint i = 0; i < vm->spec->networks->len; i++) {
        ClusterNetwork *network =
            find_network(core, vm->tenant, vm->spec->networks->pdata[i], error);
        if (network == NULL) {
            return false;
        }
        Nic *nic = network_new_nic(core, network, vm->id, i, error);
        if (nic == NULL) {
            return false;
        }
        g_ptr_array_add(nics, nic);
    }
    return true;
}

/* A host that forgets tombstones one by one takes every VM of an older id for removed, up to the highest
 * epoch among them (src/host/graves.c). A VM whose id was given while it waited may be that old, so
 * its first epoch is above each that was given before. */
static int64_t first_epoch(const ClusterCore *core, bool has_waited)
{
    return has_waited ? txn_revision(core) : 1;
}

static VmPlacement *make_placement(ClusterCore *core, const ClusterVm *vm, const ClusterHost *host,
                                   int64_t epoch, char *why, GError **error)
{
    g_autoptr(VmPlacement) placement = vm_placement_new();
    placement->host = g_strdup(host->id);
    placement->host_name = g_strdup(host->spec->name);
    placement->epoch = epoch;
    placement->overhead = core->overhead;
    placement->placed_ms = core->now_ms;
    placement->why = why;
    if (!make_nics(core, vm, placement->nics, error)) {
        return NULL;
    }
    const ClusterImage *image = g_tree_lookup(core->images, vm->spec->image);
    ImageKind boot = image != NULL ? image->object->kind : IMAGE_KIND_KERNEL;
    const VmSpec *spec = vm->spec;
    placement->hardware =
        hardware_new_for(vm->id, host->facts, spec->max_memory, spec->max_vcpus, spec->max_vcpus,
                         boot, spec->networks->len, spec->resources->disk > 0);
    placement->hardware->mem_merge = spec->trust_domain != NULL;
    for (guint i = 0; i < placement->nics->len; i++) {
        HardwareNic *card = placement->hardware->nics->pdata[i];
        g_free(card->mac);
        card->mac = g_strdup(((Nic *)placement->nics->pdata[i])->mac);
    }
    return g_steal_pointer(&placement);
}

/* The devices that it gets, as the host was found for it; not NULL. */
static GPtrArray *devices_for(ClusterCore *core, const ClusterVm *vm, ClusterHost *host)
{
    EngineRequest request;
    GPtrArray *devices = NULL;
    if (fleet_request(core, vm->tenant, vm->spec, host, &request, NULL)) {
        reservations_look(core, vm->spec, false);
        devices = devices_choose(core, host, &request.request);
        reservations_look_away(core, vm->spec);
    }
    if (devices != NULL) {
        devices = reservations_devices(core, vm->spec, host, &request.request, devices);
    }
    fleet_request_clear(&request);
    return devices != NULL ? devices : devices_none();
}

/* Enters it on its host, with the devices that it claims (NULL: chosen here). Takes `why` over. */
static ClusterVm *enter(ClusterCore *core, const char *tenant, const char *id, VmSpec *spec,
                        ClusterHost *host, const GPtrArray *devices, char *why, bool claiming,
                        GError **error)
{
    ClusterVm *vm =
        model_add_vm(core, id != NULL ? g_strdup(id) : model_new_id(core), tenant, spec);
    vm->placement = make_placement(core, vm, host, first_epoch(core, id != NULL), why, error);
    if (vm->placement == NULL) {
        vm->spec = NULL;
        model_remove_vm(core, vm);
        return NULL;
    }
    vm->placement->claiming = claiming;
    g_autoptr(GPtrArray) chosen = NULL;
    if (devices == NULL && int_map_size(spec->resources->accelerators) > 0) {
        devices = chosen = devices_for(core, vm, host);
    }
    for (guint i = 0; devices != NULL && i < devices->len; i++) {
        g_ptr_array_add(vm->placement->devices, device_held_copy(devices->pdata[i]));
    }
    model_link_vm(core, vm);
    name_take(core, "vm", tenant, spec->name, vm->id, vm);
    save_vm_spec(core, vm);
    save_vm_placement(core, vm);
    agent_mark_vm(core, vm);
    return vm;
}

ClusterVm *vm_claim(ClusterCore *core, const char *tenant, const char *id, VmSpec *spec,
                    ClusterHost *host, const GPtrArray *devices, char *why, GError **error)
{
    return enter(core, tenant, id, spec, host, devices, why, true, error);
}

ClusterVm *vm_place(ClusterCore *core, const char *tenant, const char *id, VmSpec *spec,
                    ClusterHost *only, GError **error)
{
    char *why = NULL;
    ClusterHost *host = reservations_admit(core, tenant, spec, 1, error)
                            ? fleet_find(core, tenant, spec, only, &why, error)
                            : NULL;
    if (host == NULL) {
        return NULL;
    }
    return enter(core, tenant, id, spec, host, NULL, why, false, error);
}

void model_link_vm(ClusterCore *core, ClusterVm *vm)
{
    vm->host = vm->placement != NULL ? g_tree_lookup(core->hosts, vm->placement->host) : NULL;
    if (vm->host != NULL) {
        preempt_link_vm(core, vm);
        g_tree_insert(vm->host->vms, vm->id, vm);
        network_link_vm(core, vm);
        reservations_vm_comes(core, vm);
        fleet_book(core, vm);
        rules_vm_enters(core, vm);
    }
    ClusterImage *image =
        vm->spec->image != NULL ? g_tree_lookup(core->images, vm->spec->image) : NULL;
    if (image != NULL) {
        image->users++;
    }
    vm->app = vm->spec->app != NULL ? g_tree_lookup(core->apps, vm->spec->app) : NULL;
    if (vm->app != NULL) {
        g_tree_insert(vm->app->vms, vm->id, vm);
    }
    tenant_count_vm(core, vm);
    vm_recount(core, vm);
}

static void uncount(ClusterCore *core, ClusterVm *vm)
{
    if (vm->counted_running) {
        core->vms_running--;
    }
    if (vm->app != NULL) {
        vm->app->settled -= vm->counted_settled;
        vm->app->running -= vm->counted_running;
    }
    vm->counted_running = vm->counted_settled = false;
}

void model_unlink_vm(ClusterCore *core, ClusterVm *vm)
{
    uncount(core, vm);
    tenant_uncount_vm(core, vm);
    if (vm->host != NULL) {
        preempt_unlink_vm(core, vm);
        rules_vm_leaves(core, vm);
        fleet_unbook(core, vm);
        reservations_vm_goes(core, vm);
        network_unlink_vm(core, vm);
        g_tree_remove(vm->host->vms, vm->id);
        vm->host = NULL;
    }
    ClusterImage *image =
        vm->spec->image != NULL ? g_tree_lookup(core->images, vm->spec->image) : NULL;
    if (image != NULL) {
        image->users--;
    }
    if (vm->app != NULL) {
        g_tree_remove(vm->app->vms, vm->id);
        vm->app = NULL;
    }
}

/* Has the host answered what is wanted, for good? */
static bool is_settled(const ClusterVm *vm)
{
    return vm->status != NULL && vm->placement != NULL &&
           vm->status->epoch == vm->placement->epoch &&
           vm->status->generation >= vm->spec->generation && vm->status->settled;
}

void vm_recount(ClusterCore *core, ClusterVm *vm)
{
    uncount(core, vm);
    vm->counted_settled = is_settled(vm);
    vm->counted_running = vm->status != NULL && vm->status->power == POWER_IS_RUNNING;
    core->vms_running += vm->counted_running;
    if (vm->app != NULL) {
        vm->app->settled += vm->counted_settled;
        vm->app->running += vm->counted_running;
    }
}

void vm_changed(ClusterCore *core, ClusterVm *vm)
{
    vm->spec->generation++;
    save_vm_spec(core, vm);
    ends_queue(core, vm);
    fleet_book(core, vm);
    tenant_count_vm(core, vm);
    vm_recount(core, vm);
    agent_mark_vm(core, vm);
}

static void entomb(ClusterCore *core, const ClusterVm *vm)
{
    Tombstone *tombstone = tombstone_new();
    tombstone->vm = g_strdup(vm->id);
    tombstone->name = g_strdup(vm->spec->name);
    tombstone->epoch = vm->placement != NULL ? vm->placement->epoch : 1;
    tombstone->host = g_strdup(vm->host != NULL ? vm->host->id : NULL);
    tombstone->at_ms = core->now_ms;
    txn_put(core, key_tombstone(vm->id), &tombstone_type, tombstone);
    g_hash_table_replace(core->tombstones, tombstone->vm, tombstone);
    g_queue_push_tail(&core->tombstone_order, tombstone);
    while ((int64_t)core->tombstone_order.length > core->config.tombstones_kept) {
        Tombstone *oldest = g_queue_pop_head(&core->tombstone_order);
        txn_delete(core, key_tombstone(oldest->vm));
        g_hash_table_remove(core->tombstones, oldest->vm);
    }
}

static void supersede_operations(ClusterCore *core, ClusterVm *vm)
{
    while (vm->operations->len > 0) {
        g_autoptr(GError) error = NULL;
        berth_error_set(&error, BERTH_ERROR_CONFLICT, "vm", vm->spec->name, NULL,
                        "the VM was deleted meanwhile");
        operation_finish(core, vm->operations->pdata[0], g_steal_pointer(&error), "overtaken");
    }
}

void vm_begin_removal(ClusterCore *core, ClusterVm *vm)
{
    if (vm->spec->removing) {
        return;
    }
    supersede_operations(core, vm);
    vm->spec->removing = true;
    entomb(core, vm);
    vm_changed(core, vm);
}

void vm_removed(ClusterCore *core, ClusterVm *vm)
{
    Subject subject = subject_of_vm(vm);
    event_add(core, "vm.removed", &subject, vm->host != NULL ? vm->host->spec->name : NULL, NULL,
              "VM %s is gone", vm->spec->name);
    while (vm->operations->len > 0) {
        operation_finish(core, vm->operations->pdata[0], NULL, "removed");
    }
    txn_delete(core, key_part("vm", vm->tenant, vm->id, "spec"));
    txn_delete(core, key_part("vm", vm->tenant, vm->id, "placement"));
    txn_delete(core, key_part("vm", vm->tenant, vm->id, "status"));
    name_release(core, "vm", vm->tenant, vm->spec->name);
    ClusterApp *app = vm->app;
    ClusterHost *host = vm->host;
    model_unlink_vm(core, vm);
    model_remove_vm(core, vm);
    drain_check(core, host);
    if (app != NULL) {
        app_vm_removed(core, app);
    }
}

static const char *cause_text(PowerCause cause)
{
    switch (cause) {
    case POWER_CAUSE_GUEST_POWEROFF:
        return "the guest powered off";
    case POWER_CAUSE_GUEST_PANIC:
        return "the guest's kernel panicked";
    case POWER_CAUSE_GUEST_RESET:
        return "the guest was reset";
    case POWER_CAUSE_QEMU_EXITED:
        return "QEMU ended";
    case POWER_CAUSE_QEMU_KILLED:
        return "QEMU was killed";
    case POWER_CAUSE_OUT_OF_MEMORY:
        return "the host's kernel killed QEMU for lack of memory";
    case POWER_CAUSE_START_FAILED:
        return "it could not be started";
    case POWER_CAUSE_IO_ERROR:
        return "its disk failed";
    case POWER_CAUSE_HOST_REBOOTED:
        return "the host was restarted";
    default:
        return "as asked";
    }
}

/* One event for each change that a person would want to know of. */
static void tell_changes(ClusterCore *core, const ClusterVm *vm, const VmStatus *before)
{
    const VmStatus *now = vm->status;
    Subject subject = subject_of_vm(vm);
    const char *host = vm->host->spec->name;
    PowerIs was = before != NULL ? before->power : POWER_IS_UNSET;
    int64_t restarts = before != NULL ? before->restarts : 0;
    if (now->restarts > restarts) {
        event_add(core, "vm.restarted", &subject, host, NULL, "VM %s restarts on %s: %s",
                  vm->spec->name, host, cause_text(now->cause));
    }
    if (now->power == was) {
        return;
    }
    if (now->power == POWER_IS_RUNNING) {
        event_add(core, "vm.running", &subject, host, NULL, "VM %s runs on %s", vm->spec->name,
                  host);
    } else if (now->power == POWER_IS_OFF && was != POWER_IS_UNSET) {
        event_add(core, "vm.off", &subject, host, NULL, "VM %s is off: %s", vm->spec->name,
                  cause_text(now->cause));
    } else if (now->power == POWER_IS_CRASHED) {
        event_add(core, "vm.crashed", &subject, host, NULL, "VM %s is down on %s: %s%s%s",
                  vm->spec->name, host, cause_text(now->cause), now->message != NULL ? ": " : "",
                  now->message != NULL ? now->message : "");
    }
}

static void finish_settled_operations(ClusterCore *core, ClusterVm *vm)
{
    for (guint i = vm->operations->len; i > 0; i--) {
        ClusterOperation *operation = vm->operations->pdata[i - 1];
        if (vm->spec->removing || vm->status->generation < operation->object->generation) {
            continue;
        }
        g_autoptr(GError) error = NULL;
        if (vm->status->failed) {
            berth_error_set(&error, BERTH_ERROR_CONFLICT, NULL, NULL, "see 'berth event list'",
                            "host %s: %s", vm->host->spec->name,
                            vm->status->message != NULL ? vm->status->message
                                                        : cause_text(vm->status->cause));
        }
        const char *message = vm->status->message != NULL ? vm->status->message
                                                          : power_is_to_string(vm->status->power);
        operation_finish(core, operation, g_steal_pointer(&error), message);
    }
}

void vm_take_status(ClusterCore *core, ClusterVm *vm, const VmStatus *status)
{
    if (status->epoch < vm->placement->epoch ||
        (vm->status != NULL && vm_status_equal(vm->status, status))) {
        return;
    }
    g_autoptr(VmStatus) before = g_steal_pointer(&vm->status);
    vm->status = vm_status_copy(status);
    save_vm_status(core, vm);
    tell_changes(core, vm, before);
    fleet_book(core, vm);
    preempt_confirm(core, vm);
    vm_recount(core, vm);
    if (is_settled(vm)) {
        finish_settled_operations(core, vm);
    }
    drain_check(core, vm->host);
    if (vm->app != NULL) {
        app_vm_changed(core, vm->app);
    }
}

json_t *vm_assignment(ClusterCore *core, const ClusterVm *vm)
{
    g_autoptr(Assignment) a = assignment_new();
    a->id = g_strdup(vm->id);
    a->name = g_strdup(vm->spec->name);
    a->epoch = vm->placement->epoch;
    a->generation = vm->spec->generation;
    a->hardware = hardware_copy(vm->placement->hardware);
    a->resources = resources_copy(vm->spec->resources);
    a->vcpus = vm->spec->vcpus;
    a->power_generation = vm->spec->power_generation;
    a->power = vm->spec->preempted ? POWER_WANTED_OFF : vm->spec->power;
    a->restart = vm->spec->restart;
    for (guint i = 0; i < vm->placement->nics->len; i++) {
        g_ptr_array_add(a->nics, nic_copy(vm->placement->nics->pdata[i]));
    }
    for (guint i = 0; i < vm->placement->devices->len; i++) {
        g_ptr_array_add(a->devices, device_held_copy(vm->placement->devices->pdata[i]));
    }
    const ClusterImage *image =
        vm->spec->image != NULL ? g_tree_lookup(core->images, vm->spec->image) : NULL;
    const char *base = NULL;
    if (image != NULL) {
        a->image = assigned_image_new();
        a->image->id = g_strdup(image->id);
        a->image->kind = image->object->kind;
        a->image->cmdline = g_strdup(image->object->cmdline);
        for (guint i = 0; i < image->object->files->len; i++) {
            const ImageFile *file = image->object->files->pdata[i];
            g_ptr_array_add(a->image->files, image_file_copy(file));
            base = file->role == IMAGE_FILE_ROLE_DISK ? file->sha256 : base;
        }
    }
    for (guint i = 0; i < vm->placement->hardware->disks->len; i++) {
        const HardwareDisk *hardware = vm->placement->hardware->disks->pdata[i];
        AssignedDisk *disk = assigned_disk_new();
        disk->id = g_strdup(hardware->id);
        disk->size = MAX(vm->spec->resources->disk, 1);
        disk->base = g_strdup(i == 0 ? base : NULL);
        g_ptr_array_add(a->disks, disk);
    }
    return assignment_encode(a);
}
