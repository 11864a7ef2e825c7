/* TUNE: what the VM gets is what was assigned: quota and weight of its CPUs, memory by its balloon,
 * disk and network bandwidth, vCPUs on line.
 *
 * What only the guest can do (vCPUs, balloon) and does not is no failure: the rest stands, and a
 * note says what is missing and why. */
#include "agent/agent.h"
#include "base/error.h"
#include "linux/names.h"
#include "linux/shape.h"

#define EMULATOR_MILLICORES 1000
#define WEIGHT 100
#define GA_TIMEOUT_MS 5000
#define MIB (1024 * 1024)
#define BALLOON_POLLS 30
#define BALLOON_POLL_MS 100
/* What a guest keeps beyond what it uses, so that a balloon never makes it short. */
#define GUEST_MARGIN_MIB 32

typedef struct {
    CgroupVm *group;
    Net *net;
    char *vm;
    int64_t cpu;
    int64_t nic_mbit; /* for each NIC */
    unsigned nics;
    guint disk;     /* the next one to be limited */
    int64_t held;   /* by the guest before, MiB; 0: unknown */
    int64_t target; /* of the balloon, MiB */
    int polls;
} Tune;

static void tune_free(gpointer data)
{
    Tune *tune = data;
    g_clear_pointer(&tune->group, cgroup_vm_free);
    g_free(tune->vm);
    g_free(tune);
}

static bool tune_kernel(gpointer data, GError **error)
{
    const Tune *tune = ((Effect *)data)->state;
    if (!cgroup_vm_set_cpu(tune->group, tune->cpu, WEIGHT, error) ||
        !cgroup_vm_set_emulator(tune->group, EMULATOR_MILLICORES, WEIGHT, error)) {
        return false;
    }
    for (unsigned i = 0; i < tune->nics; i++) {
        char tap[NAMES_SIZE], ifb[NAMES_SIZE];
        names_tap(tune->vm, i, tap);
        names_ifb(tune->vm, i, ifb);
        ShapeRates rates = {.to_guest_mbit = tune->nic_mbit, .from_guest_mbit = tune->nic_mbit};
        if (!shape_set(tune->net, tap, ifb, &rates, error)) {
            return false;
        }
    }
    return true;
}

/* The VM of the effect; NULL, with the effect ended, when its monitor is gone. */
static AgentVm *vm_or_end(Effect *effect)
{
    AgentVm *vm = agent_vm_find(effect->agent, effect->vm);
    if (vm != NULL && vm->qmp != NULL) {
        return vm;
    }
    GError *error = NULL;
    berth_error_set(&error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, "it is tried again",
                    "QEMU's monitor is not connected");
    effect_end(effect, error);
    return NULL;
}

static void on_vcpus(gint64 count, const GError *error, gpointer data)
{
    Effect *effect = data;
    int64_t wanted = effect->assignment->vcpus;
    if (error != NULL) {
        effect_note(effect, "vCPUs on line stay as they are, since the guest's agent fails: %s",
                    error->message);
    } else {
        effect->vcpus_online = count;
        if (count != wanted) {
            effect_note(effect,
                        "the guest has %" G_GINT64_FORMAT
                        " vCPUs on line instead of %" G_GINT64_FORMAT,
                        count, wanted);
        }
    }
    effect_end(effect, NULL);
}

static void tune_vcpus(Effect *effect)
{
    const AgentVm *vm = vm_or_end(effect);
    if (vm == NULL) {
        return;
    }
    const Assignment *a = effect->assignment;
    if (vm->ga_up) {
        ga_set_online(vm->ga, a->vcpus, GA_TIMEOUT_MS, on_vcpus, effect);
        return;
    }
    if (a->vcpus != a->hardware->max_vcpus) {
        effect_note(effect,
                    "%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT
                    " vCPUs are to be on line, which waits for the guest's agent",
                    a->vcpus, a->hardware->max_vcpus);
    }
    effect_end(effect, NULL);
}

static void limit_next_disk(Effect *effect);

static void on_limited(const GError *error, gpointer data)
{
    Effect *effect = data;
    if (!effect_ends_with(effect, error)) {
        limit_next_disk(effect);
    }
}

static void limit_next_disk(Effect *effect)
{
    Tune *tune = effect->state;
    const Assignment *a = effect->assignment;
    if (tune->disk >= a->disks->len) {
        tune_vcpus(effect);
        return;
    }
    const AgentVm *vm = vm_or_end(effect);
    if (vm == NULL) {
        return;
    }
    const AssignedDisk *disk = a->disks->pdata[tune->disk++];
    QmpLimits limits = {.bytes_total = a->resources->disk_bw * 1000000 / (int64_t)a->disks->len};
    qmp_set_limits(vm->qmp, disk->id, &limits, on_limited, effect);
}

static int64_t ram_mib(const Assignment *a)
{
    return a->hardware->ram_kib / 1024;
}

/* The balloon moves by and by: the ledger is told what the guest holds, not what it was asked for.
 */
static void on_balloon_is(guint64 bytes, const GError *error, gpointer data);

static gboolean ask_balloon(gpointer data)
{
    Effect *effect = data;
    const AgentVm *vm = vm_or_end(effect);
    if (vm != NULL) {
        qmp_query_balloon(vm->qmp, on_balloon_is, effect);
    }
    return G_SOURCE_REMOVE;
}

static void on_balloon_is(guint64 bytes, const GError *error, gpointer data)
{
    Effect *effect = data;
    Tune *tune = effect->state;
    const AgentVm *vm = agent_vm_find(effect->agent, effect->vm);
    int64_t ram = ram_mib(effect->assignment);
    int64_t held = error == NULL ? MIN((int64_t)((bytes + MIB - 1) / MIB), ram) : ram;
    bool guest_moves = error == NULL && vm != NULL && vm->ga_up;
    if (held != tune->target && guest_moves && tune->polls++ < BALLOON_POLLS) {
        g_timeout_add(BALLOON_POLL_MS, ask_balloon, effect);
        return;
    }
    effect->memory = held;
    if (held > tune->target) {
        effect_note(effect,
                    "the guest still holds %" G_GINT64_FORMAT " MiB instead of %" G_GINT64_FORMAT
                    " MiB",
                    held, tune->target);
    }
    limit_next_disk(effect);
}

static void on_ballooned(const GError *error, gpointer data)
{
    Effect *effect = data;
    if (!effect_ends_with(effect, error)) {
        ask_balloon(effect);
    }
}

static void set_balloon(Effect *effect, const AgentVm *vm, int64_t target)
{
    ((Tune *)effect->state)->target = target;
    guint64 bytes = target >= ram_mib(effect->assignment)
                        ? (guint64)effect->assignment->hardware->ram_kib * 1024
                        : (guint64)target * MIB;
    qmp_balloon(vm->qmp, bytes, on_ballooned, effect);
}

/* Never below what the guest uses: it would have to kill its own programs. */
static void on_guest_stats(const QmpGuestStats *stats, const GError *error, gpointer data)
{
    Effect *effect = data;
    const AgentVm *vm = vm_or_end(effect);
    if (vm == NULL) {
        return;
    }
    int64_t target = MIN(effect->assignment->resources->memory, ram_mib(effect->assignment));
    const Tune *tune = effect->state;
    if (stats != NULL && stats->updated_s > 0 && stats->available >= 0 && tune->held > 0) {
        int64_t used = tune->held - stats->available / MIB + GUEST_MARGIN_MIB;
        if (target < used) {
            effect_note(effect,
                        "the guest uses %" G_GINT64_FORMAT
                        " MiB, so it keeps that instead of %" G_GINT64_FORMAT " MiB",
                        used, target);
            target = MIN(used, ram_mib(effect->assignment));
        }
    }
    set_balloon(effect, vm, target);
}

static void on_held(guint64 bytes, const GError *error, gpointer data)
{
    Effect *effect = data;
    const AgentVm *vm = vm_or_end(effect);
    if (vm != NULL) {
        ((Tune *)effect->state)->held = error == NULL ? (int64_t)(bytes / MIB) : 0;
        qmp_guest_stats(vm->qmp, on_guest_stats, effect);
    }
}

static void tune_memory(Effect *effect)
{
    AgentVm *vm = vm_or_end(effect);
    if (vm == NULL) {
        return;
    }
    const Assignment *a = effect->assignment;
    bool whole = a->resources->memory >= ram_mib(a);
    if (whole && vm->fresh) {
        effect->memory = ram_mib(a); /* a balloon is empty at first */
        limit_next_disk(effect);
    } else if (whole) {
        set_balloon(effect, vm, ram_mib(a));
    } else {
        qmp_query_balloon(vm->qmp, on_held, effect);
    }
    vm->fresh = false;
}

static void kernel_tuned(const GError *error, gpointer data)
{
    Effect *effect = data;
    if (!effect_ends_with(effect, error)) {
        tune_memory(effect);
    }
}

void effect_tune(Effect *effect)
{
    const Assignment *a = effect->assignment;
    Tune *tune = g_new0(Tune, 1);
    effect->state = tune;
    effect->free_state = tune_free;
    tune->group = cgroup_vm_open(effect->agent->cgroups, effect->vm);
    tune->net = effect->agent->net;
    tune->vm = g_strdup(effect->vm);
    tune->cpu = a->resources->cpu;
    tune->nics = a->nics->len;
    tune->nic_mbit = a->nics->len > 0 ? a->resources->net_bw / (int64_t)a->nics->len : 0;
    work_run(effect->agent->kernel, tune_kernel, kernel_tuned, effect, NULL);
}
