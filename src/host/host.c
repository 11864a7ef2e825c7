#include "host/host.h"

#include "base/error.h"
#include "base/order.h"
#include "host/vm.h"

static const char *const effect_names[] = {
    [HOST_EFFECT_PERSIST] = "persist",     [HOST_EFFECT_PREPARE] = "prepare",
    [HOST_EFFECT_LAUNCH] = "launch",       [HOST_EFFECT_ATTACH] = "attach",
    [HOST_EFFECT_TUNE] = "tune",           [HOST_EFFECT_RESUME] = "resume",
    [HOST_EFFECT_POWERDOWN] = "powerdown", [HOST_EFFECT_KILL] = "kill",
    [HOST_EFFECT_RELEASE] = "release",     [HOST_EFFECT_CLEAN] = "clean",
};

const char *host_effect_name(HostEffectKind kind)
{
    return effect_names[kind];
}

static void vm_free(void *data)
{
    HostVm *vm = data;
    assignment_free(vm->wanted);
    vm_record_free(vm->record);
    g_ptr_array_unref(vm->calls);
    g_ptr_array_unref(vm->persist_calls);
    keeper_exit_free(vm->exit);
    resources_free(vm->tuning);
    resources_free(vm->applied);
    vm_status_free(vm->reported);
    g_free(vm->note);
    g_free(vm->message);
    g_free(vm->id);
    g_free(vm);
}

#define DEFAULT(field, value)                                                                      \
    (core->config.field = core->config.field > 0 ? core->config.field : (value))

HostCore *host_core_new(const HostConfig *config)
{
    HostCore *core = g_new0(HostCore, 1);
    core->config = config != NULL ? *config : (HostConfig){0};
    core->boot_id = g_strdup(core->config.boot_id);
    core->config.boot_id = NULL;
    DEFAULT(powerdown_grace_ms, 30000);
    DEFAULT(backoff_first_ms, 1000);
    DEFAULT(backoff_max_ms, 300000);
    DEFAULT(backoff_forgive_ms, 600000);
    DEFAULT(on_failure_max_restarts, 10);
    DEFAULT(effect_deadline_ms, 600000);
    DEFAULT(tombstones_kept, 10000);
    core->vms = g_tree_new_full(berth_order_keys, NULL, NULL, vm_free);
    graves_init(core, core->config.forgotten_vm, core->config.forgotten_epoch);
    core->config.forgotten_vm = NULL;
    return core;
}

void host_core_free(HostCore *core)
{
    if (core != NULL) {
        g_tree_unref(core->vms);
        graves_clear(core);
        g_free(core->boot_id);
        g_free(core);
    }
}

static void action_free(void *data)
{
    HostAction *action = data;
    switch (action->kind) {
    case HOST_ACTION_EFFECT:
        assignment_free(action->effect.assignment);
        vm_record_free(action->effect.record);
        break;
    case HOST_ACTION_REPLY:
        g_clear_error(&action->reply.error);
        break;
    case HOST_ACTION_REPORT:
        reported_vm_free(action->report);
        break;
    case HOST_ACTION_FORGET:
    case HOST_ACTION_DROP:
        break;
    }
    g_free(action->vm);
    g_free(action);
}

HostAction *host_act_on(HostCore *core, HostActionKind kind, const char *vm)
{
    HostAction *action = g_new0(HostAction, 1);
    action->kind = kind;
    action->vm = g_strdup(vm);
    g_ptr_array_add(core->actions, action);
    return action;
}

HostAction *host_act(HostCore *core, HostActionKind kind, const HostVm *vm)
{
    return host_act_on(core, kind, vm->id);
}

bool host_is_removed(const HostVm *vm)
{
    int64_t known = vm->wanted != NULL ? vm->wanted->epoch : vm->process_epoch;
    return vm->tombstone > 0 && vm->tombstone >= known;
}

bool host_wants_on(const HostVm *vm)
{
    return vm->wanted != NULL && vm->wanted->power == POWER_WANTED_ON;
}

static HostVm *find(const HostCore *core, const char *id)
{
    return g_tree_lookup(core->vms, id);
}

/* Of a VM that is gone only its tombstone is kept, so that ticks and reports cost what there is,
 * not what there was. */
static void bury(HostCore *core, HostVm *vm)
{
    bool busy = vm->dirty || vm->persist.busy || vm->effect.busy || vm->calls->len > 0;
    if (vm->gone && !busy) {
        graves_add(core, vm->id, vm->tombstone);
        g_tree_remove(core->vms, vm->id);
    }
}

/* That it is gone is no news. */
static void exhume(HostCore *core, HostVm *vm)
{
    vm->tombstone = graves_take(core, vm->id);
    if (vm->tombstone > 0) {
        vm->gone = true;
        vm->reported = status_of(vm, core->now_ms);
        vm->last_power = vm->reported->power;
        vm->since_ms = core->now_ms;
    }
}

static HostVm *find_or_add(HostCore *core, const char *id)
{
    HostVm *vm = find(core, id);
    if (vm == NULL) {
        vm = g_new0(HostVm, 1);
        vm->id = g_strdup(id);
        vm->record = vm_record_new();
        vm->calls = g_ptr_array_new();
        vm->persist_calls = g_ptr_array_new();
        g_tree_insert(core->vms, vm->id, vm);
        exhume(core, vm);
    }
    return vm;
}

/* What was under way when the agent or the host ended. A cause on record is that of an end, which
 * is counted then; only a disk's failure leaves the process. */
static void restore_start(HostCore *core, HostVm *vm)
{
    VmRecord *record = vm->record;
    bool lives_on = record->cause == POWER_CAUSE_UNSET || record->cause == POWER_CAUSE_IO_ERROR;
    bool was_started = record->last_start_ms > 0 && lives_on;
    bool same_boot = g_strcmp0(record->boot_id, core->boot_id) == 0;
    if (vm->process != HOST_PROCESS_NONE) {
        vm->armed = was_started;
        vm->end_counted = vm->kill_wanted = vm->wanted != NULL && !lives_on;
        return;
    }
    vm->may_be_prepared = record->last_start_ms > 0 && same_boot;
    if (was_started && host_wants_on(vm) && !same_boot) {
        restart_decide(core, vm, POWER_CAUSE_HOST_REBOOTED, "the host was restarted");
        vm->end_counted = false;
    }
}

static void on_restore(HostCore *core, const HostEvent *event)
{
    if (event->restore.assignment == NULL && event->restore.process == HOST_PROCESS_NONE &&
        event->restore.tombstone > 0) {
        graves_add(core, event->vm, event->restore.tombstone);
        return;
    }
    HostVm *vm = find_or_add(core, event->vm);
    vm->gone = false;
    g_clear_pointer(&vm->reported, vm_status_free);
    vm->wanted = assignment_copy(event->restore.assignment);
    vm->durable_generation = vm->wanted != NULL ? vm->wanted->generation : 0;
    vm->tombstone = event->restore.tombstone;
    if (event->restore.record != NULL) {
        vm_record_free(vm->record);
        vm->record = vm_record_copy(event->restore.record);
    }
    vm->process = event->restore.process;
    vm->process_epoch = event->restore.epoch;
    vm->restored = vm->process == HOST_PROCESS_LAUNCHED;
    restore_start(core, vm);
    if (vm->process == HOST_PROCESS_ENDED) {
        vm->process = HOST_PROCESS_LAUNCHED;
        life_exited(core, vm, event->restore.exit);
    }
}

static bool refuse_apply(const HostVm *vm, const Assignment *assignment, GError **error)
{
    g_autofree char *epoch = g_strdup_printf("%" G_GINT64_FORMAT, assignment->epoch);
    if (vm->wanted != NULL && assignment->epoch < vm->wanted->epoch) {
        return berth_error_set(error, BERTH_ERROR_PRECONDITION, "epoch", epoch,
                               "the manager that said so is not the current one",
                               "VM %s has epoch %" G_GINT64_FORMAT " here", vm->id,
                               vm->wanted->epoch);
    }
    if (assignment->epoch <= vm->tombstone) {
        return berth_error_set(error, BERTH_ERROR_PRECONDITION, "epoch", epoch,
                               "place the VM again, with a higher epoch",
                               "VM %s was removed up to epoch %" G_GINT64_FORMAT, vm->id,
                               vm->tombstone);
    }
    return true;
}

static int64_t power_generation(const Assignment *assignment)
{
    return assignment->power_generation > 0 ? assignment->power_generation : assignment->generation;
}

/* Whether somebody has asked for power since: only then is a guest started that powered itself off, or
 * one that was given up. */
static bool asks_for_power(const HostVm *vm, const Assignment *assignment)
{
    return assignment->power == POWER_WANTED_ON &&
           (vm->wanted == NULL || assignment->epoch > vm->wanted->epoch ||
            power_generation(assignment) > power_generation(vm->wanted));
}

static void take_assignment(HostVm *vm, const Assignment *assignment)
{
    bool anew = vm->wanted == NULL || assignment->epoch > vm->wanted->epoch ||
                assignment->generation > vm->wanted->generation;
    if (!anew) {
        return;
    }
    if (asks_for_power(vm, assignment)) {
        restart_reset(vm);
    }
    vm->not_before_ms = 0;
    if (vm->wanted == NULL || vm->wanted->epoch != assignment->epoch) {
        vm->durable_generation = 0;
    }
    assignment_free(vm->wanted);
    vm->wanted = assignment_copy(assignment);
    vm->gone = false;
    vm->dirty = true;
}

/* Answered at once if it brings nothing that is not on disk. */
static void answer_when_durable(HostCore *core, HostVm *vm, void *call)
{
    if (vm->dirty) {
        g_ptr_array_add(vm->calls, call);
    } else if (vm->persist.busy) {
        g_ptr_array_add(vm->persist_calls, call);
    } else {
        host_act(core, HOST_ACTION_REPLY, vm)->reply.call = call;
    }
}

static void on_apply(HostCore *core, const HostEvent *event)
{
    HostVm *vm = find_or_add(core, event->vm);
    g_autoptr(GError) error = NULL;
    if (!refuse_apply(vm, event->apply.assignment, &error)) {
        HostAction *action = host_act(core, HOST_ACTION_REPLY, vm);
        action->reply.call = event->apply.call;
        action->reply.error = g_steal_pointer(&error);
        return;
    }
    take_assignment(vm, event->apply.assignment);
    answer_when_durable(core, vm, event->apply.call);
}

static void on_remove(HostCore *core, const HostEvent *event)
{
    HostVm *vm = find_or_add(core, event->vm);
    if (event->remove.epoch > vm->tombstone) {
        vm->tombstone = event->remove.epoch;
        vm->dirty = true;
        vm->not_before_ms = 0;
    }
    answer_when_durable(core, vm, event->remove.call);
    if (vm->gone && vm->reported != NULL) {
        HostAction *action = host_act(core, HOST_ACTION_REPORT, vm);
        action->report = reported_vm_new();
        action->report->id = g_strdup(vm->id);
        action->report->gone = true;
    }
}

static void advance(HostCore *core, HostVm *vm)
{
    life_next(core, vm);
    status_report(core, vm, false);
}

static gboolean tick_one(void *key, void *value, void *data)
{
    HostCore *core = data;
    life_time(core, value);
    advance(core, value);
    return FALSE;
}

static gboolean advance_one(void *key, void *value, void *data)
{
    advance(data, value);
    return FALSE;
}

static gboolean report_one(void *key, void *value, void *data)
{
    status_report(data, value, true);
    return FALSE;
}

static void on_vm_event(HostCore *core, const HostEvent *event)
{
    HostVm *vm = find(core, event->vm);
    if (vm == NULL) {
        return;
    }
    if (event->kind == HOST_EVENT_DONE) {
        life_done(core, vm, event);
    } else if (event->kind == HOST_EVENT_EXITED) {
        life_exited(core, vm, event->exited);
    } else {
        life_guest(core, vm, event->guest);
    }
}

static void dispatch(HostCore *core, const HostEvent *event)
{
    switch (event->kind) {
    case HOST_EVENT_RESTORE:
        on_restore(core, event);
        return;
    case HOST_EVENT_READY:
        core->ready = true;
        graves_ready(core);
        g_tree_foreach(core->vms, advance_one, core);
        return;
    case HOST_EVENT_TICK:
        g_tree_foreach(core->vms, tick_one, core);
        return;
    case HOST_EVENT_REPORT_ALL:
        g_tree_foreach(core->vms, report_one, core);
        return;
    case HOST_EVENT_FORGOTTEN:
        graves_marked(core, event->forgotten);
        return;
    case HOST_EVENT_APPLY:
        on_apply(core, event);
        break;
    case HOST_EVENT_REMOVE:
        on_remove(core, event);
        break;
    default:
        on_vm_event(core, event);
        break;
    }
    HostVm *vm = find(core, event->vm);
    if (vm != NULL) {
        advance(core, vm);
        bury(core, vm);
    }
}

HostActions *host_step(HostCore *core, const HostEvent *event, int64_t now_ms)
{
    core->now_ms = MAX(core->now_ms, now_ms);
    core->actions = g_ptr_array_new_with_free_func(action_free);
    dispatch(core, event);
    return g_steal_pointer(&core->actions);
}

static gboolean earliest(void *key, void *value, void *data)
{
    int64_t *at = data;
    *at = MIN(*at, life_deadline(value));
    return FALSE;
}

int64_t host_next_deadline(const HostCore *core)
{
    int64_t at = INT64_MAX;
    g_tree_foreach(core->vms, earliest, &at);
    return at;
}

const Assignment *host_core_assignment(const HostCore *core, const char *id)
{
    const HostVm *vm = find(core, id);
    return vm != NULL ? vm->wanted : NULL;
}

VmStatus *host_core_status(const HostCore *core, const char *id)
{
    const HostVm *vm = find(core, id);
    return vm != NULL && !vm->gone ? status_of(vm, core->now_ms) : NULL;
}

HostProcess host_core_process(const HostCore *core, const char *id)
{
    const HostVm *vm = find(core, id);
    return vm != NULL ? vm->process : HOST_PROCESS_NONE;
}

GPtrArray *host_core_vms(const HostCore *core)
{
    GPtrArray *ids = g_ptr_array_new_with_free_func(g_free);
    for (GTreeNode *n = g_tree_node_first(core->vms); n != NULL; n = g_tree_node_next(n)) {
        const HostVm *vm = g_tree_node_value(n);
        if (!vm->gone) {
            g_ptr_array_add(ids, g_strdup(vm->id));
        }
    }
    return ids;
}
