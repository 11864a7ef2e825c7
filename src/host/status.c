#include <string.h>

#include "host/vm.h"

static PowerIs power_without_process(const HostVm *vm)
{
    if (!host_wants_on(vm)) {
        return POWER_IS_OFF;
    }
    if (!vm->record->ended) {
        return POWER_IS_STARTING;
    }
    return vm->record->cause == POWER_CAUSE_GUEST_POWEROFF ? POWER_IS_OFF : POWER_IS_CRASHED;
}

static PowerIs power_of(const HostVm *vm)
{
    switch (vm->process) {
    case HOST_PROCESS_NONE:
    case HOST_PROCESS_ENDED:
        return power_without_process(vm);
    case HOST_PROCESS_LAUNCHED:
        return vm->restored ? POWER_IS_UNKNOWN : POWER_IS_STARTING;
    default:
        break;
    }
    if (vm->kill_wanted || host_is_removed(vm) || (vm->wanted != NULL && !host_wants_on(vm))) {
        return POWER_IS_STOPPING;
    }
    if (vm->process == HOST_PROCESS_RUNNING) {
        return POWER_IS_RUNNING;
    }
    return vm->begun ? POWER_IS_PAUSED : POWER_IS_STARTING;
}

static Transition transition_of(const HostVm *vm, PowerIs power)
{
    if (host_is_removed(vm)) {
        return vm->gone ? TRANSITION_NONE : TRANSITION_REMOVING;
    }
    if (power == POWER_IS_STARTING) {
        return TRANSITION_STARTING;
    }
    if (power == POWER_IS_STOPPING) {
        return TRANSITION_STOPPING;
    }
    if ((power == POWER_IS_RUNNING || power == POWER_IS_PAUSED) && vm->wanted != NULL &&
        vm->tuned_generation != vm->wanted->generation) {
        return TRANSITION_RESIZING;
    }
    return TRANSITION_NONE;
}

/* Waits for another attempt at what has failed. */
static bool is_stuck(const HostVm *vm, int64_t now_ms)
{
    return vm->message != NULL && MAX(vm->not_before_ms, vm->start_at_ms) > now_ms;
}

static bool waits_to_start(const HostVm *vm, int64_t now_ms)
{
    return vm->process == HOST_PROCESS_NONE && vm->start_at_ms > now_ms && host_wants_on(vm) &&
           !vm->record->ended;
}

/* A start that waits tells how long: several minutes of "starting" look like a fault of ours. */
static char *message_of(const HostVm *vm, int64_t now_ms)
{
    if (waits_to_start(vm, now_ms)) {
        const char *failure = vm->message != NULL ? vm->message : vm->record->message;
        return g_strdup_printf("%s; as it has ended %" G_GINT64_FORMAT
                               " times in a row, the next start is %" G_GINT64_FORMAT
                               " s after that",
                               failure != NULL ? failure : "it has ended", vm->record->failures,
                               (vm->start_delay_ms + 999) / 1000);
    }
    if (vm->message != NULL || vm->note != NULL) {
        return g_strdup(vm->message != NULL ? vm->message : vm->note);
    }
    return vm->record->ended ? g_strdup(vm->record->message) : NULL;
}

VmStatus *status_of(const HostVm *vm, int64_t now_ms)
{
    VmStatus *status = vm_status_new();
    const Assignment *wanted = vm->wanted;
    status->epoch = wanted != NULL ? wanted->epoch : vm->process_epoch;
    status->generation = wanted != NULL ? vm->durable_generation : 0;
    status->power = power_of(vm);
    status->transition = transition_of(vm, status->power);
    status->restarts = vm->record->restarts;
    bool starts_anew = status->power == POWER_IS_STARTING && vm->record->cause == POWER_CAUSE_UNSET;
    status->cause = starts_anew ? vm->restart_cause : vm->record->cause;
    status->since_ms = status->power == vm->last_power ? vm->since_ms : now_ms;
    status->applied = resources_copy(vm->applied);
    status->vcpus_online = vm->vcpus_online;
    status->guest_agent = vm->guest_agent;
    status->message = message_of(vm, now_ms);
    bool crashed = status->power == POWER_IS_CRASHED;
    bool stuck = is_stuck(vm, now_ms);
    bool short_of = vm->note != NULL && vm->guest_agent && status->power == POWER_IS_RUNNING;
    status->settled = wanted != NULL && (status->transition == TRANSITION_NONE || stuck);
    status->failed = status->settled && (crashed || stuck || short_of);
    return status;
}

void status_report(HostCore *core, HostVm *vm, bool always)
{
    if (vm->gone && always) {
        return;
    }
    VmStatus *status = status_of(vm, core->now_ms);
    if (status->power != vm->last_power) {
        vm->last_power = status->power;
        vm->since_ms = core->now_ms;
    }
    bool news = vm->reported == NULL || !vm_status_equal(vm->reported, status);
    vm_status_free(vm->reported);
    vm->reported = status;
    if (!news && !always) {
        return;
    }
    HostAction *action = host_act(core, HOST_ACTION_REPORT, vm);
    ReportedVm *report = action->report = reported_vm_new();
    report->id = g_strdup(vm->id);
    report->name = g_strdup(vm->wanted != NULL ? vm->wanted->name : NULL);
    report->gone = vm->gone;
    report->status = vm_status_copy(status);
    report->assignment = always ? assignment_copy(vm->wanted) : NULL;
}
