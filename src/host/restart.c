#include "base/error.h"
#include "host/vm.h"

int64_t restart_delay_ms(const HostConfig *config, int64_t failures)
{
    if (failures <= 1) {
        return 0;
    }
    int64_t delay = config->backoff_first_ms;
    for (int64_t i = 2; i < failures && delay < config->backoff_max_ms; i++) {
        delay *= 2;
    }
    return MIN(delay, config->backoff_max_ms);
}

PowerCause restart_cause_of(const KeeperExit *exit)
{
    if (exit->oom_killed) {
        return POWER_CAUSE_OUT_OF_MEMORY;
    }
    switch (exit->kind) {
    case KEEPER_EXIT_KIND_START_FAILED:
        return POWER_CAUSE_START_FAILED;
    case KEEPER_EXIT_KIND_EXITED:
        return POWER_CAUSE_QEMU_EXITED;
    default:
        return POWER_CAUSE_QEMU_KILLED;
    }
}

static bool gives_up(const HostCore *core, const HostVm *vm)
{
    switch (vm->wanted->restart) {
    case RESTART_POLICY_NEVER:
        return true;
    case RESTART_POLICY_ON_FAILURE:
        return vm->record->failures > core->config.on_failure_max_restarts;
    default:
        return false;
    }
}

void restart_decide(HostCore *core, HostVm *vm, PowerCause cause, const char *message)
{
    VmRecord *record = vm->record;
    bool ran_long = vm->begun && record->last_start_ms > 0 &&
                    core->now_ms - record->last_start_ms >= core->config.backoff_forgive_ms;
    record->failures = ran_long ? 1 : record->failures + 1;
    record->cause = vm->restart_cause = cause;
    g_free(record->message);
    record->message = g_strdup(message);
    vm->dirty = true;
    vm->armed = false;
    vm->end_counted = true;
    if (vm->wanted == NULL || !host_wants_on(vm)) {
        return;
    }
    if (gives_up(core, vm)) {
        record->ended = true;
        return;
    }
    record->restarts++;
    /* What failed before the guest ran will most likely fail again at once. */
    int64_t failures = record->failures + (cause == POWER_CAUSE_START_FAILED ? 1 : 0);
    vm->start_delay_ms = restart_delay_ms(&core->config, failures);
    vm->start_at_ms = core->now_ms + vm->start_delay_ms;
}

void restart_reset(HostVm *vm)
{
    vm->record->failures = 0;
    vm->record->restarts = 0;
    vm->record->ended = false;
    vm->restart_cause = POWER_CAUSE_UNSET;
    vm->start_at_ms = 0;
    vm->not_before_ms = 0;
    vm->effect_failures = 0;
    g_clear_pointer(&vm->message, g_free);
}
