/* ATTACH: speak with a QEMU that runs, whoever started it: verify that it is the one, put its
 * threads where they belong, learn what its guest did meanwhile. */
#include "agent/agent.h"
#include "base/error.h"

#define GUEST_STATS_SECONDS 2
#define GA_PING_TIMEOUT_MS 1000
#define GA_RETRY_MS 500
#define GA_RETRY_MAX_MS 10000

static void ga_lost(AgentVm *vm);

static void tell_guest(AgentVm *vm, HostGuestEvent guest)
{
    HostEvent event = {.kind = HOST_EVENT_GUEST, .vm = vm->id};
    event.guest = guest;
    agent_step(vm->agent, &event);
}

static void on_event(Qmp *qmp, const char *name, json_t *data, gint64 at_us, gpointer user_data)
{
    AgentVm *vm = user_data;
    if (strcmp(name, "SHUTDOWN") == 0) {
        tell_guest(vm, HOST_GUEST_POWEROFF);
    } else if (strcmp(name, "GUEST_PANICKED") == 0) {
        tell_guest(vm, HOST_GUEST_PANIC);
    } else if (strcmp(name, "RESET") == 0) {
        ga_lost(vm);
        tell_guest(vm, HOST_GUEST_RESET);
    } else if (strcmp(name, "STOP") == 0) {
        tell_guest(vm, HOST_GUEST_STOPPED);
    } else if (strcmp(name, "RESUME") == 0) {
        tell_guest(vm, HOST_GUEST_RESUMED);
    } else if (strcmp(name, "BLOCK_IO_ERROR") == 0 &&
               g_strcmp0(json_string_value(json_object_get(data, "action")), "stop") == 0) {
        tell_guest(vm, HOST_GUEST_IO_ERROR);
    }
}

static void on_closed(Qmp *qmp, const GError *why, gpointer user_data)
{
    AgentVm *vm = user_data;
    agent_log(vm->id, "its monitor is closed: %s", why->message);
    g_clear_pointer(&vm->qmp, qmp_free);
}

static gboolean ga_try(gpointer data);

/* Unless it is to be asked again already. */
static void ga_again(AgentVm *vm)
{
    if (vm->ga_retry != 0) {
        return;
    }
    guint wait = MIN(GA_RETRY_MS << MIN(vm->ga_attempts / 20, 5), GA_RETRY_MAX_MS);
    vm->ga_attempts++;
    vm->ga_retry = g_timeout_add(wait, ga_try, vm);
}

/* It has gone with its guest or its connection, and is asked for anew as long as QEMU lives. */
static void ga_lost(AgentVm *vm)
{
    vm->ga_up = false;
    vm->ga_attempts = 0;
    if (vm->qmp != NULL) {
        ga_again(vm);
    }
}

static void on_ga_closed(Ga *ga, const GError *why, gpointer data)
{
    AgentVm *vm = data;
    g_clear_pointer(&vm->ga, ga_free);
    ga_lost(vm);
}

static void on_pong(const GError *error, gpointer data)
{
    AgentVm *vm = data;
    if (g_error_matches(error, BERTH_ERROR, BERTH_ERROR_UNAVAILABLE)) {
        return;
    }
    if (error != NULL) {
        ga_again(vm);
        return;
    }
    g_clear_handle_id(&vm->ga_retry, g_source_remove);
    vm->ga_up = true;
    tell_guest(vm, HOST_GUEST_AGENT_UP);
}

static bool ga_dial(AgentVm *vm)
{
    g_autofree char *path = g_build_filename(vm->directory, "agent.sock", NULL);
    g_autoptr(GError) error = NULL;
    vm->ga = ga_connect(path, on_ga_closed, vm, &error);
    if (vm->ga == NULL && vm->ga_attempts == 0) {
        agent_log(vm->id, "no socket of the guest's agent: %s", error->message);
    }
    return vm->ga != NULL;
}

/* Asks until the guest's agent answers; most guests have it up a few seconds after their start. */
static gboolean ga_try(gpointer data)
{
    AgentVm *vm = data;
    vm->ga_retry = 0;
    if (vm->ga != NULL || ga_dial(vm)) {
        ga_ping(vm->ga, GA_PING_TIMEOUT_MS, on_pong, vm);
    } else if (vm->qmp != NULL) {
        ga_again(vm);
    }
    return G_SOURCE_REMOVE;
}

static void ga_begin(AgentVm *vm)
{
    g_clear_pointer(&vm->ga, ga_free);
    g_clear_handle_id(&vm->ga_retry, g_source_remove);
    vm->ga_attempts = 0;
    ga_try(vm);
}

static bool guest_event_of(QmpStatus status, int *ret_event)
{
    switch (status) {
    case QMP_STATUS_SHUTDOWN:
        *ret_event = HOST_GUEST_POWEROFF;
        return true;
    case QMP_STATUS_GUEST_PANICKED:
        *ret_event = HOST_GUEST_PANIC;
        return true;
    case QMP_STATUS_IO_ERROR:
        *ret_event = HOST_GUEST_IO_ERROR;
        return true;
    case QMP_STATUS_RUNNING:
    case QMP_STATUS_PRELAUNCH:
        return false;
    default:
        *ret_event = HOST_GUEST_STOPPED;
        return true;
    }
}

/* The VM of the effect, if its process still lives. */
static AgentVm *vm_of(Effect *effect)
{
    AgentVm *vm = agent_vm_find(effect->agent, effect->vm);
    return vm != NULL && vm->qmp != NULL ? vm : NULL;
}

static void on_status(QmpStatus status, const char *name, const GError *error, gpointer data)
{
    Effect *effect = data;
    AgentVm *vm = vm_of(effect);
    if (effect_ends_with(effect, error)) {
        return;
    }
    effect->running = status == QMP_STATUS_RUNNING;
    effect->has_guest_event = guest_event_of(status, &effect->guest_event);
    if (vm != NULL) {
        qmp_set_guest_stats_interval(vm->qmp, GUEST_STATS_SECONDS, NULL, NULL);
        ga_begin(vm);
    }
    effect_end(effect, NULL);
}

static void on_vcpus(const QmpVcpu *vcpus, size_t n, const GError *error, gpointer data)
{
    Effect *effect = data;
    AgentVm *vm = vm_of(effect);
    if (effect_ends_with(effect, error) || vm == NULL) {
        return;
    }
    g_autofree pid_t *tids = g_new(pid_t, n + 1);
    for (size_t i = 0; i < n; i++) {
        tids[i] = (pid_t)vcpus[i].thread_id;
    }
    effect->vcpus_online = (int64_t)n;
    GError *failed = NULL;
    vm->cgroup = vm->cgroup != NULL ? vm->cgroup : cgroup_vm_open(vm->agent->cgroups, vm->id);
    if (!cgroup_vm_place_threads(vm->cgroup, tids, n, &failed)) {
        effect_end(effect, failed);
        return;
    }
    qmp_query_status(vm->qmp, on_status, effect);
}

static void on_uuid(const char *text, const GError *error, gpointer data)
{
    Effect *effect = data;
    AgentVm *vm = vm_of(effect);
    if (effect_ends_with(effect, error) || vm == NULL) {
        return;
    }
    effect->qemu_us = g_get_monotonic_time() - effect->begun_us;
    const Hardware *hardware = effect->assignment->hardware;
    if (g_ascii_strcasecmp(text, hardware->uuid) != 0) {
        GError *other = NULL;
        berth_error_set(&other, BERTH_ERROR_CONFLICT, "uuid", text, "look at the host's processes",
                        "the QEMU behind this VM's monitor is another one's");
        effect_end(effect, other);
        return;
    }
    qmp_query_vcpus(vm->qmp, on_vcpus, effect);
}

void effect_attach(Effect *effect)
{
    AgentVm *vm = agent_vm(effect->agent, effect->vm);
    g_autofree char *path = g_build_filename(vm->directory, "qmp-0.sock", NULL);
    QmpHandlers handlers = {.event = on_event, .closed = on_closed, .user_data = vm};
    GError *error = NULL;
    g_clear_pointer(&vm->qmp, qmp_free);
    vm->qmp = qmp_connect(path, &handlers, 0, &error);
    if (vm->qmp == NULL) {
        effect_end(effect, error);
        return;
    }
    qmp_query_uuid(vm->qmp, on_uuid, effect);
}
