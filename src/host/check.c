#include "base/error.h"
#include "host/vm.h"

static const char *broken_rule(const HostVm *vm)
{
    bool lives = vm->process == HOST_PROCESS_LAUNCHED || vm->process == HOST_PROCESS_PAUSED ||
                 vm->process == HOST_PROCESS_RUNNING;
    if ((vm->process == HOST_PROCESS_ENDED) != (vm->exit != NULL)) {
        return "an exit is kept exactly while it is not released";
    }
    if (vm->process == HOST_PROCESS_NONE && vm->applied != NULL) {
        return "without a process nothing is applied";
    }
    if (lives && vm->process_epoch <= 0) {
        return "a process has an epoch";
    }
    if (vm->gone &&
        (vm->process != HOST_PROCESS_NONE || vm->wanted != NULL || vm->tombstone <= 0)) {
        return "what is gone has left a tombstone and nothing else";
    }
    if (vm->effect.busy && vm->effect.kind == HOST_EFFECT_PERSIST) {
        return "PERSIST has a lane of its own";
    }
    if (vm->wanted != NULL && vm->wanted->epoch <= vm->tombstone && !host_is_removed(vm)) {
        return "a tombstone removes every epoch up to its own";
    }
    if (lives && vm->record->ended && !vm->kill_wanted) {
        return "a VM that has ended for good runs no process";
    }
    return NULL;
}

bool host_core_check(const HostCore *core, GError **error)
{
    for (GTreeNode *n = g_tree_node_first(core->vms); n != NULL; n = g_tree_node_next(n)) {
        const HostVm *vm = g_tree_node_value(n);
        const char *rule = broken_rule(vm);
        if (rule != NULL) {
            return berth_error_set(error, BERTH_ERROR_INTERNAL, "vm", vm->id, NULL, "broken: %s",
                                   rule);
        }
    }
    return true;
}
