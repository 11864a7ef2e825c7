/* RESUME, POWERDOWN, KILL and RELEASE. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/paths.h"
#include "base/error.h"
#include "linux/names.h"
#include "linux/process.h"

#define GROUP_TIMEOUT_MS 2000
#define KEEPER_TIMEOUT_MS 2000
#define LOCK_POLL_US 2000

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
    unsigned nics; /* of the assignment; there may be more, of an older one */
    bool again;
} Release;

static void release_free(gpointer data)
{
    Release *release = data;
    g_free(release->vm);
    g_free(release->directory);
    g_free(release);
}

/* How many NICs the VM has or had: those of an assignment that had more are still there. */
static unsigned count_nics(const Release *release)
{
    unsigned n = MIN(release->nics, NAMES_MAX_NICS);
    char tap[NAMES_SIZE];
    NetLink link;
    while (n < NAMES_MAX_NICS) {
        names_tap(release->vm, n, tap);
        if (!net_read(release->agent->net, tap, &link, NULL)) {
            break;
        }
        n++;
    }
    return n;
}

/* Whether they are there or not: an agent that died here may have come half-way. */
static bool remove_nics(const Release *release, GError **error)
{
    unsigned n = count_nics(release);
    g_autofree char(*names)[NAMES_SIZE] = g_malloc(2 * sizeof *names * MAX(n, 1));
    g_autofree const char **all = g_new(const char *, 2 * MAX(n, 1));
    for (unsigned i = 0; i < n; i++) {
        names_tap(release->vm, i, names[2 * i]);
        names_ifb(release->vm, i, names[2 * i + 1]);
        all[2 * i] = names[2 * i];
        all[2 * i + 1] = names[2 * i + 1];
    }
    if (!net_delete_together(release->agent->net, all, 2 * n, error)) {
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        if (!spoof_remove(release->agent->spoof, names[2 * i], error)) {
            return false;
        }
    }
    return true;
}

/* A keeper holds the lock of its directory while it lives: one that was just dismissed, or one that
 * an agent had begun to start when it died, which nobody knows. The lock is ours in the end, so none
 * can begin there any more. True without a descriptor (-1) where there is no directory. */
static bool outlive_keeper(const Release *release, CgroupVm *group, int *ret_fd, GError **error)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)GROUP_TIMEOUT_MS * 1000;
    int fd = open(release->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool locked = fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0;
    while (!locked && g_get_monotonic_time() < deadline) {
        g_usleep(LOCK_POLL_US);
        locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
        cgroup_vm_kill(group, NULL);
    }
    if (!locked) {
        close(fd);
        return berth_error_set(error, BERTH_ERROR_CONFLICT, NULL, release->directory,
                               "it is tried again; end the process that holds the directory's lock",
                               "a keeper still serves the VM's directory");
    }
    *ret_fd = fd;
    return true;
}

/* QEMU has ended, so whatever is left in the VM's group must not be: it may be a QEMU that nobody
 * recorded. */
static bool release_kernel_things(gpointer data, GError **error)
{
    Release *release = data;
    g_autoptr(CgroupVm) group = cgroup_vm_open(release->agent->cgroups, release->vm);
    int lock = -1;
    if ((!release->again && !remove_nics(release, error)) ||
        !outlive_keeper(release, group, &lock, error)) {
        return false;
    }
    cgroup_vm_kill(group, NULL);
    bool released = cgroup_vm_remove(group, GROUP_TIMEOUT_MS, error) &&
                    directory_remove(release->directory, error);
    if (lock >= 0) {
        close(lock);
    }
    return released;
}

static void released(const GError *error, gpointer data)
{
    Effect *effect = data;
    if (effect_ends_with(effect, error)) {
        return;
    }
    AgentVm *vm = agent_vm_find(effect->agent, effect->vm);
    if (vm != NULL && !effect->again) {
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
    release->nics = effect->assignment != NULL ? effect->assignment->nics->len : 0;
    release->again = effect->again;
    effect->state = release;
    effect->free_state = release_free;
    if (vm->keeper == NULL) {
        keeper_gone(NULL, NULL, effect);
        return;
    }
    rpc_connection_call(vm->keeper, KEEPER_METHOD_KEEPER_RELEASE, NULL, KEEPER_TIMEOUT_MS,
                        keeper_gone, effect);
}
