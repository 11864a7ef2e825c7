#include <string.h>

#include "base/error.h"
#include "host/vm.h"

#define RETRY_MS 1000
#define RETUNE_MS 30000
#define ATTACH_ATTEMPTS 3

static bool must_end(const HostVm *vm)
{
    return vm->kill_wanted || host_is_removed(vm) ||
           (vm->wanted != NULL && vm->process_epoch != vm->wanted->epoch);
}

static bool wants_start(const HostCore *core, const HostVm *vm)
{
    return vm->process == HOST_PROCESS_NONE && !vm->effect.busy && host_wants_on(vm) &&
           !host_is_removed(vm) && !vm->record->ended && core->now_ms >= vm->start_at_ms;
}

/* The record says that a start is under way before anything is started. */
static void arm(HostCore *core, HostVm *vm)
{
    VmRecord *record = vm->record;
    record->last_start_ms = core->now_ms;
    record->cause = POWER_CAUSE_UNSET;
    g_clear_pointer(&record->message, g_free);
    g_free(record->boot_id);
    record->boot_id = g_strdup(core->boot_id);
    vm->armed = true;
    vm->dirty = true;
}

static HostAction *begin(HostCore *core, HostVm *vm, Lane *lane, HostEffectKind kind)
{
    HostAction *action = host_act(core, HOST_ACTION_EFFECT, vm);
    *lane = (Lane){.busy = true,
                   .kind = kind,
                   .serial = ++core->last_serial,
                   .epoch = vm->wanted != NULL ? vm->wanted->epoch : 0,
                   .generation = vm->wanted != NULL ? vm->wanted->generation : 0,
                   .deadline_ms = core->now_ms + core->config.effect_deadline_ms};
    action->effect.kind = kind;
    action->effect.serial = lane->serial;
    action->effect.assignment = assignment_copy(vm->wanted);
    return action;
}

static void begin_persist(HostCore *core, HostVm *vm)
{
    if (!vm->dirty || vm->persist.busy || core->now_ms < vm->persist_retry_ms) {
        return;
    }
    HostAction *action = begin(core, vm, &vm->persist, HOST_EFFECT_PERSIST);
    action->effect.record = vm_record_copy(vm->record);
    action->effect.tombstone = vm->tombstone;
    vm->dirty = false;
    GPtrArray *calls = vm->persist_calls;
    vm->persist_calls = vm->calls;
    vm->calls = calls;
}

/* Something was made for a start that came to nothing, and nobody wants another one. */
static bool is_prepared_in_vain(const HostVm *vm)
{
    return vm->may_be_prepared &&
           (host_is_removed(vm) ||
            (vm->wanted != NULL && (!host_wants_on(vm) || vm->record->ended)));
}

static bool choose_without_process(const HostCore *core, const HostVm *vm, HostEffectKind *ret_kind)
{
    if (is_prepared_in_vain(vm)) {
        *ret_kind = HOST_EFFECT_RELEASE;
        return true;
    }
    if (host_is_removed(vm)) {
        *ret_kind = HOST_EFFECT_CLEAN;
        return true;
    }
    if (!wants_start(core, vm)) {
        return false;
    }
    *ret_kind = vm->prepared ? HOST_EFFECT_LAUNCH : HOST_EFFECT_PREPARE;
    return true;
}

static bool choose_ending(const HostCore *core, const HostVm *vm, HostEffectKind *ret_kind)
{
    bool waits = vm->process == HOST_PROCESS_RUNNING && vm->kill_at_ms > core->now_ms;
    bool asked = vm->process != HOST_PROCESS_RUNNING || vm->kill_at_ms != 0;
    *ret_kind = asked ? HOST_EFFECT_KILL : HOST_EFFECT_POWERDOWN;
    return !waits;
}

static bool may_retune(const HostVm *vm)
{
    return vm->note != NULL && host_wants_on(vm) && !must_end(vm) &&
           (vm->process == HOST_PROCESS_RUNNING || vm->process == HOST_PROCESS_PAUSED);
}

static bool choose_running(const HostCore *core, const HostVm *vm, HostEffectKind *ret_kind)
{
    if (!host_wants_on(vm)) {
        return choose_ending(core, vm, ret_kind);
    }
    bool again = may_retune(vm) && core->now_ms >= vm->retune_at_ms;
    if (vm->tuned_generation != vm->wanted->generation || again) {
        *ret_kind = HOST_EFFECT_TUNE;
        return true;
    }
    *ret_kind = HOST_EFFECT_RESUME;
    return vm->process == HOST_PROCESS_PAUSED && !vm->held;
}

static bool choose(const HostCore *core, const HostVm *vm, HostEffectKind *ret_kind)
{
    switch (vm->process) {
    case HOST_PROCESS_NONE:
        return choose_without_process(core, vm, ret_kind);
    case HOST_PROCESS_ENDED:
        *ret_kind = HOST_EFFECT_RELEASE;
        return vm->wanted != NULL || host_is_removed(vm);
    default:
        break;
    }
    if (must_end(vm)) {
        *ret_kind = HOST_EFFECT_KILL;
        return true;
    }
    if (vm->wanted == NULL) {
        return false;
    }
    if (vm->process == HOST_PROCESS_LAUNCHED) {
        *ret_kind = HOST_EFFECT_ATTACH;
        return true;
    }
    return choose_running(core, vm, ret_kind);
}

/* A new process knows nothing of the one before. */
static void forget_process(HostVm *vm)
{
    vm->restored = vm->begun = vm->kill_wanted = vm->end_counted = false;
    vm->guest_agent = vm->held = false;
    vm->tuned_generation = 0;
    vm->kill_at_ms = 0;
    vm->vcpus_online = 0;
    g_clear_pointer(&vm->applied, resources_free);
    g_clear_pointer(&vm->note, g_free);
    g_clear_pointer(&vm->exit, keeper_exit_free);
}

/* Then a release leaves what the next PREPARE would make once more. */
static bool is_started_again(const HostVm *vm)
{
    return host_wants_on(vm) && !host_is_removed(vm) && !vm->record->ended;
}

static void begin_effect(HostCore *core, HostVm *vm, HostEffectKind kind)
{
    if (kind == HOST_EFFECT_LAUNCH) {
        forget_process(vm);
        vm->process_epoch = vm->wanted->epoch;
    } else if (kind == HOST_EFFECT_PREPARE) {
        vm->may_be_prepared = true;
    } else if (kind == HOST_EFFECT_POWERDOWN) {
        vm->kill_at_ms = core->now_ms + core->config.powerdown_grace_ms;
    } else if (kind == HOST_EFFECT_TUNE) {
        resources_free(vm->tuning);
        vm->tuning = resources_copy(vm->wanted->resources);
    } else if (kind == HOST_EFFECT_KILL) {
        vm->kill_wanted = true;
    }
    HostAction *action = begin(core, vm, &vm->effect, kind);
    action->effect.again = vm->effect.again = kind == HOST_EFFECT_RELEASE && is_started_again(vm);
}

void life_next(HostCore *core, HostVm *vm)
{
    if (!core->ready || vm->gone) {
        begin_persist(core, vm);
        return;
    }
    vm->not_before_ms = core->now_ms >= vm->not_before_ms ? 0 : vm->not_before_ms;
    if (wants_start(core, vm) && !vm->armed) {
        vm->start_at_ms = 0;
        arm(core, vm);
    }
    begin_persist(core, vm);
    HostEffectKind kind;
    if (!vm->dirty && !vm->persist.busy && !vm->effect.busy && vm->not_before_ms == 0 &&
        choose(core, vm, &kind)) {
        begin_effect(core, vm, kind);
    }
}

int64_t life_deadline(const HostVm *vm)
{
    int64_t at = INT64_MAX;
    if (vm->persist.busy) {
        at = MIN(at, vm->persist.deadline_ms);
    } else if (vm->dirty) {
        at = MIN(at, vm->persist_retry_ms);
    }
    if (vm->effect.busy) {
        return MIN(at, vm->effect.deadline_ms);
    }
    if (vm->dirty || vm->persist.busy) {
        return at; /* nothing begins before all is on disk */
    }
    if (vm->not_before_ms > 0) {
        return MIN(at, vm->not_before_ms);
    }
    if (vm->process == HOST_PROCESS_NONE && vm->start_at_ms > 0 && host_wants_on(vm) &&
        !vm->record->ended) {
        at = MIN(at, vm->start_at_ms);
    }
    if (vm->kill_at_ms > 0) {
        at = MIN(at, vm->kill_at_ms);
    }
    return may_retune(vm) ? MIN(at, vm->retune_at_ms) : at;
}

/* What the calls waited for is on disk, or could not be written. */
static void answer_calls(HostCore *core, HostVm *vm, const GError *error)
{
    for (guint i = 0; i < vm->persist_calls->len; i++) {
        HostAction *action = host_act(core, HOST_ACTION_REPLY, vm);
        action->reply.call = vm->persist_calls->pdata[i];
        action->reply.error = error != NULL ? g_error_copy(error) : NULL;
    }
    g_ptr_array_set_size(vm->persist_calls, 0);
}

static void persist_done(HostCore *core, HostVm *vm, const GError *error)
{
    vm->persist.busy = false;
    vm->persist_retry_ms = 0;
    answer_calls(core, vm, error);
    if (error == NULL && vm->wanted != NULL && vm->wanted->epoch == vm->persist.epoch) {
        vm->durable_generation = vm->persist.generation;
    }
    if (error != NULL) {
        vm->dirty = true;
        vm->persist_retry_ms = core->now_ms + RETRY_MS;
    }
}

static void set_message(HostVm *vm, const GError *error)
{
    g_free(vm->message);
    vm->message = error != NULL ? berth_error_describe(error) : NULL;
}

static void retry_later(HostCore *core, HostVm *vm)
{
    int64_t delay = restart_delay_ms(&core->config, vm->effect_failures + 1);
    vm->not_before_ms = core->now_ms + delay;
}

static void effect_failed(HostCore *core, HostVm *vm, HostEffectKind kind, const GError *error)
{
    vm->effect_failures++;
    set_message(vm, error);
    switch (kind) {
    case HOST_EFFECT_POWERDOWN: /* the kill comes anyway */
        break;
    case HOST_EFFECT_PREPARE:
    case HOST_EFFECT_LAUNCH:
        vm->prepared = false;
        if (vm->process == HOST_PROCESS_NONE) {
            restart_decide(core, vm, POWER_CAUSE_START_FAILED, vm->message);
        }
        break;
    case HOST_EFFECT_ATTACH:
        if (!vm->restored && vm->effect_failures >= ATTACH_ATTEMPTS) {
            vm->kill_wanted = true;
            restart_decide(core, vm, POWER_CAUSE_START_FAILED, vm->message);
            break;
        }
        retry_later(core, vm);
        break;
    default:
        retry_later(core, vm);
        break;
    }
}

static void attached(HostCore *core, HostVm *vm, const HostEvent *event)
{
    if (vm->process != HOST_PROCESS_LAUNCHED) {
        return;
    }
    vm->process = event->done.running ? HOST_PROCESS_RUNNING : HOST_PROCESS_PAUSED;
    vm->begun = vm->begun || event->done.running;
    vm->guest_agent = event->done.guest_agent;
    vm->vcpus_online = event->done.vcpus_online;
    if (event->done.guest_event != NULL) {
        life_guest(core, vm, (HostGuestEvent)*event->done.guest_event);
    }
}

static void tuned(HostCore *core, HostVm *vm, int64_t generation, const HostEvent *event)
{
    if (vm->process != HOST_PROCESS_PAUSED && vm->process != HOST_PROCESS_RUNNING) {
        return;
    }
    vm->tuned_generation = generation;
    resources_free(vm->applied);
    vm->applied = g_steal_pointer(&vm->tuning);
    if (event->done.memory > 0 && vm->applied != NULL) {
        vm->applied->memory = event->done.memory;
    }
    if (event->done.vcpus_online > 0) {
        vm->vcpus_online = event->done.vcpus_online;
    }
    g_free(vm->note);
    vm->note = g_strdup(event->done.note);
    vm->retune_at_ms = core->now_ms + RETUNE_MS;
}

static void resumed(HostVm *vm)
{
    if (vm->process != HOST_PROCESS_PAUSED || vm->kill_wanted) {
        return;
    }
    vm->process = HOST_PROCESS_RUNNING;
    vm->begun = true;
    if (vm->record->cause == POWER_CAUSE_IO_ERROR) {
        vm->record->cause = POWER_CAUSE_UNSET;
    }
}

static void effect_worked(HostCore *core, HostVm *vm, const Lane *lane, const HostEvent *event)
{
    vm->not_before_ms = 0;
    switch (lane->kind) {
    case HOST_EFFECT_PREPARE:
        vm->prepared = true;
        break;
    case HOST_EFFECT_LAUNCH:
        if (vm->process == HOST_PROCESS_NONE) {
            vm->process = HOST_PROCESS_LAUNCHED;
        }
        break;
    case HOST_EFFECT_ATTACH:
        attached(core, vm, event);
        break;
    case HOST_EFFECT_TUNE:
        tuned(core, vm, lane->generation, event);
        break;
    case HOST_EFFECT_RESUME:
        resumed(vm);
        break;
    case HOST_EFFECT_KILL: /* the end itself comes as EXITED; if it does not, once more */
        if (vm->process != HOST_PROCESS_ENDED) {
            vm->not_before_ms = core->now_ms + RETRY_MS;
        }
        break;
    case HOST_EFFECT_RELEASE:
        vm->process = HOST_PROCESS_NONE;
        vm->prepared = false;
        vm->may_be_prepared = lane->again;
        forget_process(vm);
        break;
    case HOST_EFFECT_CLEAN:
        vm->gone = true;
        vm->prepared = false;
        g_clear_pointer(&vm->wanted, assignment_free);
        break;
    default:
        break;
    }
    if (lane->kind != HOST_EFFECT_KILL && lane->kind != HOST_EFFECT_POWERDOWN) {
        vm->effect_failures = 0;
    }
    if (vm->process == HOST_PROCESS_RUNNING || vm->process == HOST_PROCESS_NONE) {
        set_message(vm, NULL);
    }
}

void life_done(HostCore *core, HostVm *vm, const HostEvent *event)
{
    if (vm->persist.busy && event->done.serial == vm->persist.serial) {
        persist_done(core, vm, event->done.error);
        return;
    }
    if (!vm->effect.busy || event->done.serial != vm->effect.serial) {
        return;
    }
    Lane lane = vm->effect;
    vm->effect.busy = false;
    if (event->done.error != NULL) {
        effect_failed(core, vm, lane.kind, event->done.error);
    } else {
        effect_worked(core, vm, &lane, event);
    }
}

static void record_end(HostVm *vm, PowerCause cause, const char *message, bool for_good)
{
    VmRecord *record = vm->record;
    record->cause = cause;
    record->ended = for_good;
    g_free(record->message);
    record->message = g_strdup(message);
    vm->dirty = true;
    vm->armed = false;
    vm->end_counted = true;
}

static bool end_is_requested(const HostVm *vm)
{
    return vm->kill_wanted || vm->kill_at_ms > 0 || host_is_removed(vm) ||
           (vm->wanted != NULL && !host_wants_on(vm));
}

void life_exited(HostCore *core, HostVm *vm, const KeeperExit *exit)
{
    bool launching = vm->effect.busy && vm->effect.kind == HOST_EFFECT_LAUNCH;
    if (vm->process == HOST_PROCESS_ENDED || (vm->process == HOST_PROCESS_NONE && !launching)) {
        return;
    }
    vm->process = HOST_PROCESS_ENDED;
    keeper_exit_free(vm->exit);
    vm->exit = keeper_exit_copy(exit);
    vm->guest_agent = false;
    vm->not_before_ms = 0;
    if (!vm->end_counted) {
        if (end_is_requested(vm)) {
            record_end(vm, POWER_CAUSE_REQUESTED, NULL, false);
        } else {
            restart_decide(core, vm, restart_cause_of(exit), exit->message);
        }
    }
    vm->kill_at_ms = 0;
}

static void guest_poweroff(HostVm *vm)
{
    if (end_is_requested(vm)) {
        record_end(vm, POWER_CAUSE_REQUESTED, NULL, false);
    } else {
        record_end(vm, POWER_CAUSE_GUEST_POWEROFF, "the guest has powered itself off", true);
    }
    vm->kill_wanted = true;
    vm->not_before_ms = 0;
}

static void guest_panic(HostCore *core, HostVm *vm)
{
    if (end_is_requested(vm)) {
        record_end(vm, POWER_CAUSE_REQUESTED, NULL, false);
    } else {
        restart_decide(core, vm, POWER_CAUSE_GUEST_PANIC, "the guest's kernel has panicked");
    }
    vm->kill_wanted = true;
    vm->not_before_ms = 0;
}

static void guest_io_error(HostCore *core, HostVm *vm)
{
    vm->held = false;
    vm->record->cause = POWER_CAUSE_IO_ERROR;
    g_free(vm->message);
    vm->message = g_strdup(
        "a disk of the VM failed, on this host; it is paused and goes on when the disk works: "
        "look at free space and health of the host's disks");
    vm->not_before_ms = core->now_ms + RETRY_MS;
}

void life_guest(HostCore *core, HostVm *vm, HostGuestEvent guest)
{
    if (vm->process != HOST_PROCESS_RUNNING && vm->process != HOST_PROCESS_PAUSED) {
        return;
    }
    switch (guest) {
    case HOST_GUEST_POWEROFF:
        vm->process = HOST_PROCESS_PAUSED;
        guest_poweroff(vm);
        break;
    case HOST_GUEST_PANIC:
        vm->process = HOST_PROCESS_PAUSED;
        guest_panic(core, vm);
        break;
    case HOST_GUEST_RESET:
        vm->guest_agent = false;
        break;
    case HOST_GUEST_STOPPED:
        if (vm->process == HOST_PROCESS_RUNNING || (vm->restored && !vm->begun)) {
            vm->process = HOST_PROCESS_PAUSED;
            vm->held = vm->begun = true;
        }
        break;
    case HOST_GUEST_RESUMED:
        if (!vm->kill_wanted) {
            vm->process = HOST_PROCESS_RUNNING;
            vm->held = false;
            vm->begun = true;
        }
        break;
    case HOST_GUEST_IO_ERROR:
        vm->process = HOST_PROCESS_PAUSED;
        vm->begun = true;
        guest_io_error(core, vm);
        break;
    case HOST_GUEST_AGENT_UP:
        vm->guest_agent = true;
        vm->retune_at_ms = core->now_ms;
        break;
    }
}

void life_time(HostCore *core, HostVm *vm)
{
    g_autoptr(GError) error = NULL;
    berth_error_set(&error, BERTH_ERROR_TIMEOUT, NULL, NULL, "look at the host's log",
                    "no end of it was seen in %" G_GINT64_FORMAT " ms",
                    core->config.effect_deadline_ms);
    if (vm->persist.busy && core->now_ms >= vm->persist.deadline_ms) {
        persist_done(core, vm, error);
    }
    if (vm->effect.busy && core->now_ms >= vm->effect.deadline_ms) {
        vm->effect.busy = false;
        effect_failed(core, vm, vm->effect.kind, error);
    }
    if (vm->kill_at_ms > 0 && core->now_ms >= vm->kill_at_ms && host_wants_on(vm)) {
        vm->kill_at_ms = 0;
    }
}
