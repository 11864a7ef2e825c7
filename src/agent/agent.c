#include "agent/agent.h"

#include "base/error.h"

void agent_log(const char *vm, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    g_message("%s%s%s", vm != NULL ? vm : "", vm != NULL ? ": " : "", text);
}

static void begin_effect(Agent *agent, const HostAction *action)
{
    static void (*const begin[])(Effect *) = {
        [HOST_EFFECT_PERSIST] = effect_persist,     [HOST_EFFECT_PREPARE] = effect_prepare,
        [HOST_EFFECT_LAUNCH] = effect_launch,       [HOST_EFFECT_ATTACH] = effect_attach,
        [HOST_EFFECT_TUNE] = effect_tune,           [HOST_EFFECT_RESUME] = effect_resume,
        [HOST_EFFECT_POWERDOWN] = effect_powerdown, [HOST_EFFECT_KILL] = effect_kill,
        [HOST_EFFECT_RELEASE] = effect_release,     [HOST_EFFECT_CLEAN] = effect_clean,
    };
    Effect *effect = g_new0(Effect, 1);
    effect->agent = agent;
    effect->vm = g_strdup(action->vm);
    effect->kind = action->effect.kind;
    effect->serial = action->effect.serial;
    effect->assignment = assignment_copy(action->effect.assignment);
    effect->record = vm_record_copy(action->effect.record);
    effect->tombstone = action->effect.tombstone;
    effect->again = action->effect.again;
    effect->begun_us = g_get_monotonic_time();
    begin[effect->kind](effect);
}

static void carry_out(Agent *agent, HostAction *action)
{
    switch (action->kind) {
    case HOST_ACTION_EFFECT:
        begin_effect(agent, action);
        break;
    case HOST_ACTION_REPLY:
        rpc_call_answer(action->reply.call, NULL, action->reply.error);
        break;
    case HOST_ACTION_REPORT:
        uplink_report(agent->uplink, g_steal_pointer(&action->report));
        break;
    case HOST_ACTION_FORGET:
        kept_forget(agent, action->vm, action->forget_epoch);
        break;
    case HOST_ACTION_DROP:
        kept_drop(agent, action->vm);
        break;
    }
}

static gboolean on_tick(gpointer data)
{
    Agent *agent = data;
    agent->tick = 0;
    HostEvent event = {.kind = HOST_EVENT_TICK};
    agent_step(agent, &event);
    return G_SOURCE_REMOVE;
}

/* The wall clock as of the start, and steady from there: a clock that is set meanwhile must not end
 * effects and back-offs before their time. */
static int64_t now_ms(const Agent *agent)
{
    return agent->clock_offset_ms + g_get_monotonic_time() / 1000;
}

static void set_tick(Agent *agent)
{
    g_clear_handle_id(&agent->tick, g_source_remove);
    int64_t at = host_next_deadline(agent->core);
    if (at != INT64_MAX) {
        int64_t wait = CLAMP(at - now_ms(agent), 1, 3600000);
        agent->tick = g_timeout_add((guint)wait, on_tick, agent);
    }
}

void agent_step(Agent *agent, const HostEvent *event)
{
    g_autoptr(GPtrArray) actions = host_step(agent->core, event, now_ms(agent));
    for (guint i = 0; i < actions->len; i++) {
        carry_out(agent, actions->pdata[i]);
    }
    set_tick(agent);
}

static void effect_free(Effect *effect)
{
    if (effect->free_state != NULL && effect->state != NULL) {
        effect->free_state(effect->state);
    }
    if (effect->note != NULL) {
        g_string_free(effect->note, TRUE);
    }
    assignment_free(effect->assignment);
    vm_record_free(effect->record);
    g_free(effect->vm);
    g_free(effect);
}

typedef struct {
    Effect *effect;
    GError *error;
} Ended;

static gboolean tell_done(gpointer data)
{
    Ended *ended = data;
    Effect *effect = ended->effect;
    HostEvent event = {.kind = HOST_EVENT_DONE, .vm = effect->vm};
    event.done.serial = effect->serial;
    event.done.error = ended->error;
    event.done.running = effect->running;
    event.done.guest_event = effect->has_guest_event ? &effect->guest_event : NULL;
    event.done.vcpus_online = effect->vcpus_online;
    event.done.memory = effect->memory;
    event.done.note = effect->note != NULL ? effect->note->str : NULL;
    agent_step(effect->agent, &event);
    effect_free(effect);
    g_clear_error(&ended->error);
    g_free(ended);
    return G_SOURCE_REMOVE;
}

static void log_end(const Effect *effect, double ms)
{
    const char *name = host_effect_name(effect->kind);
    if (effect->qemu_us > 0) {
        agent_log(effect->vm, "%s done in %.1f ms, QEMU's own %.1f", name, ms,
                  (double)effect->qemu_us / 1000);
    } else {
        agent_log(effect->vm, "%s done in %.1f ms", name, ms);
    }
}

void effect_end(Effect *effect, GError *error)
{
    double ms = (double)(g_get_monotonic_time() - effect->begun_us) / 1000;
    if (error != NULL) {
        g_autofree char *text = berth_error_describe(error);
        g_warning("%s: %s failed after %.1f ms: %s", effect->vm, host_effect_name(effect->kind), ms,
                  text);
    } else if (effect->kind != HOST_EFFECT_PERSIST) {
        log_end(effect, ms);
    }
    Ended *ended = g_new0(Ended, 1);
    *ended = (Ended){effect, error};
    g_idle_add_full(G_PRIORITY_DEFAULT, tell_done, ended, NULL);
}

bool effect_ends_with(Effect *effect, const GError *error)
{
    if (error == NULL) {
        return false;
    }
    effect_end(effect, g_error_copy(error));
    return true;
}

void effect_note(Effect *effect, const char *format, ...)
{
    if (effect->note == NULL) {
        effect->note = g_string_new(NULL);
    } else {
        g_string_append(effect->note, "; ");
    }
    va_list args;
    va_start(args, format);
    g_string_append_vprintf(effect->note, format, args);
    va_end(args);
}
