#include "sim/effects.h"

#include "base/error.h"

struct SimEffect {
    SimAgent *agent;
    uint64_t incarnation;
    HostEffectKind kind;
    uint64_t serial;
    char *vm;
    Assignment *assignment;
    VmRecord *record;
    int64_t tombstone;
    bool happened;
    GError *error;
};

static const int64_t typical_ms[] = {
    [HOST_EFFECT_PERSIST] = 3,   [HOST_EFFECT_PREPARE] = 40, [HOST_EFFECT_LAUNCH] = 30,
    [HOST_EFFECT_ATTACH] = 10,   [HOST_EFFECT_TUNE] = 5,     [HOST_EFFECT_RESUME] = 2,
    [HOST_EFFECT_POWERDOWN] = 2, [HOST_EFFECT_KILL] = 5,     [HOST_EFFECT_RELEASE] = 10,
    [HOST_EFFECT_CLEAN] = 20,
};

static void effect_clear(void *data)
{
    SimEffect *effect = data;
    assignment_free(effect->assignment);
    vm_record_free(effect->record);
    g_clear_error(&effect->error);
    g_free(effect->vm);
}

void sim_effect_unref(SimEffect *effect)
{
    g_rc_box_release_full(effect, effect_clear);
}

static bool carry_out(SimEffect *effect, GError **error)
{
    SimMachine *machine = effect->agent->machine;
    switch (effect->kind) {
    case HOST_EFFECT_PERSIST:
        return sim_machine_persist(machine, effect->vm, effect->assignment, effect->record,
                                   effect->tombstone, error);
    case HOST_EFFECT_PREPARE:
        return sim_machine_prepare(machine, effect->assignment, error);
    case HOST_EFFECT_LAUNCH:
        return sim_machine_launch(machine, effect->assignment, error);
    case HOST_EFFECT_ATTACH:
        return true;
    case HOST_EFFECT_TUNE:
        return sim_machine_tune(machine, effect->assignment, error);
    case HOST_EFFECT_RESUME:
        return sim_machine_resume(machine, effect->vm, error);
    case HOST_EFFECT_POWERDOWN:
        return sim_machine_powerdown(machine, effect->vm, error);
    case HOST_EFFECT_KILL:
        return sim_machine_kill(machine, effect->vm, error);
    case HOST_EFFECT_RELEASE:
        return sim_machine_release(machine, effect->vm, error);
    case HOST_EFFECT_CLEAN:
        return sim_machine_clean(machine, effect->vm, error);
    }
    return true;
}

static void set_trouble(SimEffect *effect)
{
    g_clear_error(&effect->error);
    berth_error_set(&effect->error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, "look at the host's log",
                    "%s failed on the host", host_effect_name(effect->kind));
}

static void happen(SimEffect *effect)
{
    SimAgent *agent = effect->agent;
    effect->happened = true;
    bool fails = sim_chance(agent->world, agent->trouble->effect_fails);
    bool late = effect->kind != HOST_EFFECT_LAUNCH && sim_chance(agent->world, 0.5);
    if (fails && !late) {
        set_trouble(effect);
        return;
    }
    if (carry_out(effect, &effect->error) && fails) {
        set_trouble(effect);
    }
    SimQemu *qemu = sim_machine_qemu(agent->machine, effect->vm);
    if (effect->kind == HOST_EFFECT_LAUNCH && effect->error == NULL && qemu != NULL &&
        sim_chance(agent->world, agent->trouble->qemu_fails_early)) {
        sim_machine_qemu_ends(agent->machine, qemu, KEEPER_EXIT_KIND_EXITED, 0, false);
    }
}

/* As query-status has it. */
static bool guest_event_of(SimGuest guest, int *ret_event)
{
    switch (guest) {
    case SIM_GUEST_STOPPED:
        *ret_event = HOST_GUEST_STOPPED;
        return true;
    case SIM_GUEST_IO_ERROR:
        *ret_event = HOST_GUEST_IO_ERROR;
        return true;
    case SIM_GUEST_POWEROFF:
        *ret_event = HOST_GUEST_POWEROFF;
        return true;
    case SIM_GUEST_PANIC:
        *ret_event = HOST_GUEST_PANIC;
        return true;
    default:
        return false;
    }
}

static void attach(SimEffect *effect, HostEvent *event, int *guest_event)
{
    SimQemu *qemu = sim_machine_qemu(effect->agent->machine, effect->vm);
    if (qemu == NULL || qemu->exit != NULL) {
        berth_error_set(&effect->error, BERTH_ERROR_UNAVAILABLE, "vm", effect->vm, NULL,
                        "nobody answers at its monitor");
        event->done.error = effect->error;
        return;
    }
    qemu->attached = true;
    event->done.running = qemu->guest == SIM_GUEST_RUNNING;
    event->done.guest_event = guest_event_of(qemu->guest, guest_event) ? guest_event : NULL;
    event->done.guest_agent = qemu->guest_agent;
}

static void on_done(void *owner, void *data)
{
    SimAgent *agent = owner;
    SimEffect *effect = data;
    if (agent->incarnation != effect->incarnation) {
        return;
    }
    HostEvent event = {.kind = HOST_EVENT_DONE,
                       .vm = effect->vm,
                       .done = {.serial = effect->serial, .error = effect->error}};
    int guest_event;
    if (effect->kind == HOST_EFFECT_ATTACH && effect->error == NULL) {
        attach(effect, &event, &guest_event);
    }
    const SimQemu *qemu = sim_machine_qemu(agent->machine, effect->vm);
    event.done.vcpus_online = qemu != NULL ? qemu->vcpus_online : 0;
    if (effect->kind == HOST_EFFECT_TUNE &&
        sim_chance(agent->world, agent->trouble->tune_falls_short)) {
        event.done.note = "the guest does not give the memory back";
    }
    sim_log(agent->world, "%s %s %s%s", agent->machine->name, host_effect_name(effect->kind),
            effect->vm, effect->error != NULL ? " fails" : "");
    g_ptr_array_remove_fast(agent->effects, effect);
    sim_agent_step(agent, &event);
}

static bool is_through_monitor(HostEffectKind kind)
{
    return kind == HOST_EFFECT_ATTACH || kind == HOST_EFFECT_TUNE || kind == HOST_EFFECT_RESUME ||
           kind == HOST_EFFECT_POWERDOWN;
}

static void on_happen(void *owner, void *data)
{
    SimAgent *agent = owner;
    SimEffect *effect = data;
    if (agent->incarnation != effect->incarnation) {
        return;
    }
    happen(effect);
    int64_t now = agent->world->now_ms;
    int64_t heard_ms = now + sim_delay(agent->world, 1);
    SimQemu *qemu = sim_machine_qemu(agent->machine, effect->vm);
    if (qemu != NULL && is_through_monitor(effect->kind)) {
        heard_ms = qemu->monitor_ms = MAX(qemu->monitor_ms, heard_ms);
    }
    sim_after(agent->world, heard_ms - now, on_done, agent, g_rc_box_acquire(effect),
              (GDestroyNotify)sim_effect_unref);
}

static int64_t duration(SimAgent *agent, HostEffectKind kind)
{
    if (kind == HOST_EFFECT_PREPARE && sim_chance(agent->world, agent->trouble->launch_is_slow)) {
        return sim_between(agent->world, 1000, 120000);
    }
    return sim_delay(agent->world, typical_ms[kind]);
}

void sim_effect_begin(SimAgent *agent, const HostAction *action)
{
    SimEffect *effect = g_rc_box_new0(SimEffect);
    effect->agent = agent;
    effect->incarnation = agent->incarnation;
    effect->kind = action->effect.kind;
    effect->serial = action->effect.serial;
    effect->vm = g_strdup(action->vm);
    effect->assignment = assignment_copy(action->effect.assignment);
    effect->record = vm_record_copy(action->effect.record);
    effect->tombstone = action->effect.tombstone;
    g_ptr_array_add(agent->effects, g_rc_box_acquire(effect));
    sim_after(agent->world, duration(agent, effect->kind), on_happen, agent, effect,
              (GDestroyNotify)sim_effect_unref);
}

void sim_effects_abandon(SimAgent *agent)
{
    for (guint i = 0; i < agent->effects->len; i++) {
        SimEffect *effect = agent->effects->pdata[i];
        if (!effect->happened && sim_chance(agent->world, 0.5)) {
            happen(effect);
        }
    }
    g_ptr_array_set_size(agent->effects, 0);
}
