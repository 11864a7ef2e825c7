/* RESUME, POWERDOWN, KILL and RELEASE. */
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

#include "agent/agent.h"
#include "agent/paths.h"
#include "base/error.h"
#include "linux/names.h"
#include "linux/process.h"
#include "linux/shape.h"

#define GROUP_TIMEOUT_MS 2000
#define KEEPER_TIMEOUT_MS 2000

static void on_done(const GError *error, gpointer data)
{
    Effect *effect = data;
    if (!effect_ends_with(effect, error)) {
        effect_end(effect, NULL);
    }
}

static void without_monitor(Effect *effect)
{
    GError *error = NULL;
    berth_error_set(&error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, "it is tried again",
                    "QEMU's monitor is not connected");
    effect_end(effect, error);
}

void effect_resume(Effect *effect)
{
    const AgentVm *vm = agent_vm_find(effect->agent, effect->vm);
    if (vm == NULL || vm->qmp == NULL) {
        without_monitor(effect);
        return;
    }
    qmp_cont(vm->qmp, on_done, effect);
}

void effect_powerdown(Effect *effect)
{
    const AgentVm *vm = agent_vm_find(effect->agent, effect->vm);
    if (vm == NULL || vm->qmp == NULL) {
        without_monitor(effect);
        return;
    }
    qmp_system_powerdown(vm->qmp, on_done, effect);
}

void effect_kill(Effect *effect)
{
    const AgentVm *vm = agent_vm_find(effect->agent, effect->vm);
    GError *error = NULL;
    if (vm != NULL && vm->pidfd >= 0) {
        process_signal(vm->pidfd, SIGKILL, &error);
    }
    effect_end(effect, error);
}

typedef struct {
    Agent *agent;
    char *vm;
    char *directory;
} Release;

static void release_free(gpointer data)
{
    Release *release = data;
    g_free(release->vm);
    g_free(release->directory);
    g_free(release);
}

/* Taps by their prefix: also those of an assignment that had more NICs. */
static bool remove_nics(const Release *release, GError **error)
{
    for (unsigned i = 0; i < NAMES_MAX_NICS; i++) {
        char tap[NAMES_SIZE], ifb[NAMES_SIZE];
        NetLink link;
        names_tap(release->vm, i, tap);
        names_ifb(release->vm, i, ifb);
        if (!net_read(release->agent->net, tap, &link, NULL)) {
            return spoof_remove(release->agent->spoof, tap, error);
        }
        if (!shape_remove(release->agent->net, ifb, error) ||
            !net_delete(release->agent->net, tap, error) ||
            !spoof_remove(release->agent->spoof, tap, error)) {
            return false;
        }
    }
    return true;
}

static bool release_kernel_things(gpointer data, GError **error)
{
    Release *release = data;
    g_autoptr(CgroupVm) group = cgroup_vm_open(release->agent->cgroups, release->vm);
    return remove_nics(release, error) && cgroup_vm_remove(group, GROUP_TIMEOUT_MS, error) &&
           directory_remove(release->directory, error);
}

static void released(const GError *error, gpointer data)
{
    Effect *effect = data;
    if (effect_ends_with(effect, error)) {
        return;
    }
    AgentVm *vm = agent_vm_find(effect->agent, effect->vm);
    if (vm != NULL) {
        vm->uid = 0;
    }
    effect_end(effect, NULL);
}

static bool run_release(gpointer data, GError **error)
{
    return release_kernel_things(((Effect *)data)->state, error);
}

static void keeper_gone(json_t *result, const GError *error, void *data)
{
    Effect *effect = data;
    AgentVm *vm = agent_vm_find(effect->agent, effect->vm);
    if (vm != NULL) {
        agent_vm_forget_process(vm);
    }
    work_run(effect->agent->kernel, run_release, released, effect, NULL);
}

void effect_release(Effect *effect)
{
    AgentVm *vm = agent_vm(effect->agent, effect->vm);
    Release *release = g_new0(Release, 1);
    release->agent = effect->agent;
    release->vm = g_strdup(effect->vm);
    release->directory = g_strdup(vm->directory);
    effect->state = release;
    effect->free_state = release_free;
    if (vm->keeper == NULL) {
        keeper_gone(NULL, NULL, effect);
        return;
    }
    rpc_connection_call(vm->keeper, KEEPER_METHOD_KEEPER_RELEASE, NULL, KEEPER_TIMEOUT_MS,
                        keeper_gone, effect);
}
