#include "sim/agent.h"

#include <string.h>

#include "base/error.h"
#include "base/order.h"
#include "sim/effects.h"

/* A deadline that has passed and does not go away makes an agent spin. */
#define IDLE_TICKS_MAX 20

typedef struct {
    uint64_t connection;
    uint64_t id;
} Call; /* of the manager, under way */

static void on_exited(void *agent, const SimQemu *qemu);
static void on_guest(void *agent, SimQemu *qemu, HostGuestEvent event);

SimAgent *sim_agent_new(SimWorld *world, SimMachine *machine, const SimTrouble *trouble)
{
    SimAgent *agent = g_new0(SimAgent, 1);
    agent->world = world;
    agent->machine = machine;
    agent->trouble = trouble;
    agent->news = g_tree_new_full(berth_order_keys, NULL, NULL, (GDestroyNotify)reported_vm_free);
    agent->calls = g_hash_table_new_full(NULL, NULL, g_free, NULL);
    agent->effects = g_ptr_array_new_with_free_func((GDestroyNotify)sim_effect_unref);
    machine->watch = (SimWatch){on_exited, on_guest};
    return agent;
}

void sim_agent_free(SimAgent *agent)
{
    if (agent != NULL) {
        host_core_free(agent->core);
        g_tree_unref(agent->news);
        g_hash_table_unref(agent->calls);
        g_ptr_array_unref(agent->effects);
        g_free(agent);
    }
}

void sim_agent_set_link(SimAgent *agent, SimLink *link)
{
    agent->link = link;
}

static HostFacts *facts_of(const SimMachine *machine)
{
    HostFacts *facts = host_facts_new();
    facts->capacity = resources_copy(machine->capacity);
    facts->reserve = resources_copy(machine->reserve);
    for (guint i = 0; i < machine->devices->len; i++) {
        g_ptr_array_add(facts->devices, host_device_copy(machine->devices->pdata[i]));
    }
    facts->address = sim_machine_address(machine);
    facts->accelerator = accel_new();
    facts->accelerator->kind = ACCELERATOR_TCG;
    facts->machine = g_strdup("pc-q35-7.2");
    facts->overhead = machine->overhead;
    facts->boot_id = g_strdup(machine->boot_id);
    return facts;
}

static void send_report(SimAgent *agent, AgentReport *report)
{
    report->sequence = ++agent->sequence;
    agent->report_under_way = true;
    SimMessage *message = sim_message_new(SIM_MESSAGE_REPORT, report->sequence);
    message->report = report;
    sim_link_send(agent->link, SIM_END_AGENT, message);
}

static gboolean add_news(void *key, void *value, void *data)
{
    g_ptr_array_add(data, reported_vm_copy(value));
    return FALSE;
}

/* One report at a time; what changes meanwhile is sent when it is answered. */
static void flush_news(SimAgent *agent)
{
    bool has_news = agent->facts_changed || g_tree_nnodes(agent->news) > 0;
    if (!agent->connected || agent->report_under_way || !has_news) {
        return;
    }
    AgentReport *report = agent_report_new();
    report->facts = agent->facts_changed ? facts_of(agent->machine) : NULL;
    agent->facts_changed = false;
    g_tree_foreach(agent->news, add_news, report->vms);
    g_tree_remove_all(agent->news);
    send_report(agent, report);
}

static void take_report(SimAgent *agent, const ReportedVm *reported)
{
    if (agent->full != NULL) {
        g_ptr_array_add(agent->full->vms, reported_vm_copy(reported));
    } else if (agent->connected) {
        ReportedVm *copy = reported_vm_copy(reported);
        g_tree_replace(agent->news, copy->id, copy);
    }
}

static void answer(SimAgent *agent, const Call *call, const GError *error)
{
    if (agent->connected && call->connection == agent->connections) {
        SimMessage *message = sim_message_new(SIM_MESSAGE_ANSWER, call->id);
        message->error = error != NULL ? g_error_copy(error) : NULL;
        message->json = json_object();
        sim_link_send(agent->link, SIM_END_AGENT, message);
    }
}

typedef struct {
    uint64_t incarnation;
    char *vm;
    int64_t epoch;
} Mark;

static void mark_free(void *data)
{
    Mark *mark = data;
    g_free(mark->vm);
    g_free(mark);
}

static void on_forget(void *owner, void *data)
{
    SimAgent *agent = owner;
    const Mark *mark = data;
    if (agent->incarnation != mark->incarnation) {
        return;
    }
    g_autoptr(GError) error = NULL;
    if (sim_chance(agent->world, agent->trouble->effect_fails)) {
        berth_error_set(&error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, NULL, "the write failed");
    } else {
        sim_machine_forget(agent->machine, mark->vm, mark->epoch, &error);
    }
    HostEvent event = {.kind = HOST_EVENT_FORGOTTEN, .forgotten = error};
    sim_agent_step(agent, &event);
}

/* Now and then it is on disk and the agent does not live to hear of it, or hears that it failed. */
static void forget(SimAgent *agent, const char *vm, int64_t epoch)
{
    if (sim_chance(agent->world, 0.3)) {
        sim_machine_forget(agent->machine, vm, epoch, NULL);
    }
    Mark *mark = g_new(Mark, 1);
    *mark = (Mark){agent->incarnation, g_strdup(vm), epoch};
    sim_after(agent->world, sim_delay(agent->world, 5), on_forget, agent, mark, mark_free);
}

static void perform(SimAgent *agent, const HostAction *action)
{
    switch (action->kind) {
    case HOST_ACTION_EFFECT:
        sim_effect_begin(agent, action);
        break;
    case HOST_ACTION_REPLY:
        answer(agent, action->reply.call, action->reply.error);
        g_hash_table_remove(agent->calls, action->reply.call);
        break;
    case HOST_ACTION_REPORT:
        take_report(agent, action->report);
        break;
    case HOST_ACTION_FORGET:
        forget(agent, action->vm, action->forget_epoch);
        break;
    case HOST_ACTION_DROP:
        sim_machine_drop(agent->machine, action->vm);
        break;
    }
}

/* As the agent counts: from what the clock showed when it started, whatever is set since. */
static int64_t clock_steps(const SimAgent *agent)
{
    return agent->machine->stepped_ms - agent->stepped_ms;
}

static void on_tick(void *owner, void *data)
{
    SimAgent *agent = owner;
    if (agent->core == NULL || *(int64_t *)data != agent->tick_ms) {
        return;
    }
    agent->tick_ms = INT64_MAX;
    sim_agent_step(agent, &(HostEvent){.kind = HOST_EVENT_TICK});
}

static void arm_tick(SimAgent *agent)
{
    int64_t deadline = host_next_deadline(agent->core);
    if (deadline == INT64_MAX) {
        agent->tick_ms = INT64_MAX;
        return;
    }
    int64_t wait = MAX(sim_machine_wait(agent->machine, deadline + clock_steps(agent)), 1);
    int64_t at = agent->world->now_ms + wait;
    if (at != agent->tick_ms) {
        agent->tick_ms = at;
        sim_after(agent->world, wait, on_tick, agent, g_memdup2(&at, sizeof at), g_free);
    }
}

static void check(SimAgent *agent, const HostEvent *event, guint n_actions)
{
    g_autoptr(GError) error = NULL;
    if (!host_core_check(agent->core, &error)) {
        g_autofree char *text = berth_error_describe(error);
        sim_broken(agent->world, "host core of %s: %s", agent->machine->name, text);
    }
    agent->idle_ticks =
        event->kind == HOST_EVENT_TICK && n_actions == 0 ? agent->idle_ticks + 1 : 0;
    if (agent->idle_ticks > IDLE_TICKS_MAX) {
        sim_broken(agent->world, "the core of %s wants ticks all the time and does nothing",
                   agent->machine->name);
    }
}

void sim_agent_step(SimAgent *agent, const HostEvent *event)
{
    g_autoptr(GPtrArray) actions =
        host_step(agent->core, event, sim_machine_clock(agent->machine) - clock_steps(agent));
    agent->steps++;
    if (event->kind == HOST_EVENT_RESTORE) {
        return; /* begins nothing; READY follows, and is checked */
    }
    check(agent, event, actions->len);
    for (guint i = 0; i < actions->len; i++) {
        perform(agent, actions->pdata[i]);
    }
    arm_tick(agent);
    if (agent->full == NULL) {
        flush_news(agent);
    }
}

static void must_list(const SimAgent *agent, GHashTable *listed, const char *vm)
{
    if (!g_hash_table_contains(listed, vm)) {
        sim_broken(agent->world, "%s leaves VM %s out of a full report", agent->machine->name, vm);
    }
}

/* A full report names every VM of which the host has a record or a QEMU: what it leaves out, nobody
 * would hear of. */
static void check_full(const SimAgent *agent)
{
    g_autoptr(GHashTable) listed = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < agent->full->vms->len; i++) {
        g_hash_table_add(listed, ((ReportedVm *)agent->full->vms->pdata[i])->id);
    }
    const SimMachine *machine = agent->machine;
    for (GTreeNode *n = g_tree_node_first(machine->kept); n != NULL; n = g_tree_node_next(n)) {
        if (((KeptVm *)g_tree_node_value(n))->assignment != NULL) {
            must_list(agent, listed, g_tree_node_key(n));
        }
    }
    for (GTreeNode *n = g_tree_node_first(machine->qemus); n != NULL; n = g_tree_node_next(n)) {
        must_list(agent, listed, g_tree_node_key(n));
    }
}

static void agent_up(void *owner)
{
    SimAgent *agent = owner;
    agent->connected = true;
    agent->connections++;
    agent->sequence = 0;
    g_tree_remove_all(agent->news);
    agent->full = agent_report_new();
    agent->full->full = true;
    agent->full->facts = facts_of(agent->machine);
    agent->facts_changed = false;
    sim_machine_report_networks(agent->machine, agent->full->networks);
    sim_agent_step(agent, &(HostEvent){.kind = HOST_EVENT_REPORT_ALL});
    check_full(agent);
    send_report(agent, g_steal_pointer(&agent->full));
}

static void agent_down(void *owner)
{
    SimAgent *agent = owner;
    agent->connected = false;
    agent->report_under_way = false;
    g_tree_remove_all(agent->news);
}

static Call *take_call(SimAgent *agent, uint64_t id)
{
    Call *call = g_new(Call, 1);
    *call = (Call){agent->connections, id};
    g_hash_table_add(agent->calls, call);
    return call;
}

static void unreadable(SimAgent *agent, const SimMessage *message, const GError *error)
{
    g_autofree char *text = berth_error_describe(error);
    sim_broken(agent->world, "%s to %s cannot be read: %s", message->method, agent->machine->name,
               text);
}

/* The agent answers with an error before its core has heard of the call. */
static bool refuses(SimAgent *agent, const SimMessage *message)
{
    if (!sim_chance(agent->world, agent->trouble->call_refused)) {
        return false;
    }
    Call call = {agent->connections, message->id};
    g_autoptr(GError) error = NULL;
    berth_error_set(&error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, NULL,
                    "the agent has no room for another call");
    sim_log(agent->world, "%s refuses %s", agent->machine->name, message->method);
    answer(agent, &call, error);
    return true;
}

static void take_apply(SimAgent *agent, const SimMessage *message)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Assignment) assignment = assignment_decode(message->json, CODEC_STRICT, &error);
    if (assignment == NULL) {
        unreadable(agent, message, error);
        return;
    }
    HostEvent event = {.kind = HOST_EVENT_APPLY,
                       .vm = assignment->id,
                       .apply = {assignment, take_call(agent, message->id)}};
    sim_agent_step(agent, &event);
}

static void take_remove(SimAgent *agent, const SimMessage *message)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(VmRemove) removal = vm_remove_decode(message->json, CODEC_STRICT, &error);
    if (removal == NULL) {
        unreadable(agent, message, error);
        return;
    }
    HostEvent event = {.kind = HOST_EVENT_REMOVE,
                       .vm = removal->id,
                       .remove = {removal->epoch, take_call(agent, message->id)}};
    sim_agent_step(agent, &event);
}

static void take_network(SimAgent *agent, const SimMessage *message)
{
    g_autoptr(GError) error = NULL;
    bool removal = strcmp(message->method, AGENT_METHOD_NETWORK_REMOVE) == 0;
    g_autoptr(NetworkAssignment) network =
        removal ? NULL : network_assignment_decode(message->json, CODEC_STRICT, &error);
    g_autoptr(NetworkRemove) gone =
        removal ? network_remove_decode(message->json, CODEC_STRICT, &error) : NULL;
    if (network != NULL) {
        sim_machine_apply_network(agent->machine, network);
    } else if (gone != NULL) {
        sim_machine_remove_network(agent->machine, gone);
    } else {
        unreadable(agent, message, error);
    }
}

/* Networks and the rest concern no core: they work, or they do not. */
static void take_other(SimAgent *agent, const SimMessage *message)
{
    Call call = {agent->connections, message->id};
    g_autoptr(GError) error = NULL;
    if (sim_chance(agent->world, agent->trouble->effect_fails)) {
        berth_error_set(&error, BERTH_ERROR_UNAVAILABLE, NULL, NULL, NULL,
                        "the host's kernel has no memory for it");
    } else if (g_str_has_prefix(message->method, "network.")) {
        take_network(agent, message);
    }
    answer(agent, &call, error);
}

static void agent_receive(void *owner, const SimMessage *message)
{
    SimAgent *agent = owner;
    if (message->kind == SIM_MESSAGE_REPORT_ANSWER) {
        agent->report_under_way = message->id != agent->sequence && agent->report_under_way;
        flush_news(agent);
        return;
    }
    sim_log(agent->world, "%s gets %s %s", agent->machine->name, message->method,
            json_string_value(json_object_get(message->json, "id")));
    if (refuses(agent, message)) {
        return;
    }
    if (strcmp(message->method, AGENT_METHOD_VM_APPLY) == 0) {
        take_apply(agent, message);
    } else if (strcmp(message->method, AGENT_METHOD_VM_REMOVE) == 0) {
        take_remove(agent, message);
    } else {
        take_other(agent, message);
    }
}

void sim_agent_hear_stale(SimAgent *agent)
{
    GPtrArray *ghosts = agent->machine->ghosts;
    if (agent->core == NULL || ghosts->len == 0) {
        return;
    }
    g_autoptr(Assignment) ghost =
        assignment_copy(ghosts->pdata[sim_between(agent->world, 0, ghosts->len - 1)]);
    sim_log(agent->world, "%s gets a stale %s %s", agent->machine->name, AGENT_METHOD_VM_APPLY,
            ghost->id);
    HostEvent event = {.kind = HOST_EVENT_APPLY,
                       .vm = ghost->id,
                       .apply = {ghost, take_call(agent, SIM_CALL_OF_NOBODY)}};
    sim_agent_step(agent, &event);
}

/* One of its VMs that has been placed before, and so has an epoch above the first. NULL: none. */
static const Assignment *any_replaced(const SimAgent *agent)
{
    g_autoptr(GPtrArray) some = g_ptr_array_new();
    GTree *kept = agent->machine->kept;
    for (GTreeNode *n = g_tree_node_first(kept); n != NULL; n = g_tree_node_next(n)) {
        const Assignment *assignment = ((KeptVm *)g_tree_node_value(n))->assignment;
        if (assignment != NULL && assignment->epoch > 1) {
            g_ptr_array_add(some, (void *)assignment);
        }
    }
    return some->len > 0 ? some->pdata[sim_between(agent->world, 0, some->len - 1)] : NULL;
}

/* It goes on to change the VM as it knew it, in the epoch that it knew. */
static void hear_apply_of_older(SimAgent *agent, const Assignment *now)
{
    g_autoptr(Assignment) older = assignment_copy(now);
    older->epoch--;
    older->generation += sim_between(agent->world, -2, 5);
    older->power_generation = older->generation;
    older->power = sim_chance(agent->world, 0.5) ? POWER_WANTED_OFF : POWER_WANTED_ON;
    older->resources->cpu = sim_between(agent->world, 250, 4000);
    HostEvent event = {.kind = HOST_EVENT_APPLY,
                       .vm = older->id,
                       .apply = {older, take_call(agent, SIM_CALL_OF_NOBODY)}};
    sim_agent_step(agent, &event);
}

void sim_agent_hear_older_epoch(SimAgent *agent)
{
    const Assignment *now = agent->core != NULL ? any_replaced(agent) : NULL;
    if (now == NULL) {
        return;
    }
    sim_log(agent->world, "%s hears of VM %s in an epoch before %" G_GINT64_FORMAT,
            agent->machine->name, now->id, now->epoch);
    if (sim_chance(agent->world, 0.7)) {
        hear_apply_of_older(agent, now);
        return;
    }
    g_autofree char *vm = g_strdup(now->id);
    HostEvent event = {.kind = HOST_EVENT_REMOVE,
                       .vm = vm,
                       .remove = {now->epoch - 1, take_call(agent, SIM_CALL_OF_NOBODY)}};
    sim_agent_step(agent, &event);
}

void sim_agent_ends(SimEnds *ends)
{
    ends->agent_up = agent_up;
    ends->agent_down = agent_down;
    ends->agent_receive = agent_receive;
}

/* What the kernel or the monitor tells of a QEMU, under way to the agent that watches it. */
typedef struct {
    char *vm;
    uint64_t instance, incarnation;
    bool exited;
    HostGuestEvent event;
} Tidings;

static void tidings_free(void *data)
{
    Tidings *tidings = data;
    g_free(tidings->vm);
    g_free(tidings);
}

static void on_tidings(void *owner, void *data)
{
    SimAgent *agent = owner;
    const Tidings *t = data;
    const SimQemu *qemu = sim_machine_qemu(agent->machine, t->vm);
    if (agent->core == NULL || agent->incarnation != t->incarnation || qemu == NULL ||
        qemu->instance != t->instance) {
        return;
    }
    HostEvent event = {.kind = t->exited ? HOST_EVENT_EXITED : HOST_EVENT_GUEST, .vm = t->vm};
    if (t->exited) {
        event.exited = qemu->exit;
    } else {
        event.guest = t->event;
        if (t->event == HOST_GUEST_POWEROFF) {
            sim_machine_heard_poweroff(agent->machine, t->vm);
        }
    }
    sim_agent_step(agent, &event);
}

static void tell(SimAgent *agent, const SimQemu *qemu, int64_t delay_ms, bool exited,
                 HostGuestEvent event)
{
    Tidings *tidings = g_new(Tidings, 1);
    *tidings = (Tidings){g_strdup(qemu->vm), qemu->instance, agent->incarnation, exited, event};
    sim_after(agent->world, delay_ms, on_tidings, agent, tidings, tidings_free);
}

static void on_exited(void *owner, const SimQemu *qemu)
{
    SimAgent *agent = owner;
    tell(agent, qemu, sim_delay(agent->world, 1), true, HOST_GUEST_RESET);
}

static void on_guest(void *owner, SimQemu *qemu, HostGuestEvent event)
{
    SimAgent *agent = owner;
    int64_t now = agent->world->now_ms;
    int64_t heard = now + sim_delay(agent->world, 1);
    qemu->monitor_ms = MAX(qemu->monitor_ms, heard);
    tell(agent, qemu, qemu->monitor_ms - now, false, event);
}

static void restore(SimAgent *agent, const char *vm)
{
    const KeptVm *kept = g_tree_lookup(agent->machine->kept, vm);
    const SimQemu *qemu = sim_machine_qemu(agent->machine, vm);
    HostEvent event = {.kind = HOST_EVENT_RESTORE, .vm = vm};
    if (kept != NULL) {
        event.restore.assignment = kept->assignment;
        event.restore.tombstone = kept->tombstone;
        event.restore.record = kept->record;
    }
    if (qemu != NULL) {
        event.restore.process = qemu->exit != NULL ? HOST_PROCESS_ENDED : HOST_PROCESS_LAUNCHED;
        event.restore.epoch = qemu->epoch;
        event.restore.exit = qemu->exit;
    }
    sim_agent_step(agent, &event);
}

/* What was prepared and is neither kept nor run is swept, as the agent does at its start. */
static void sweep(SimAgent *agent)
{
    g_autoptr(GPtrArray) unknown = g_ptr_array_new();
    GTree *prepared = agent->machine->prepared;
    for (GTreeNode *n = g_tree_node_first(prepared); n != NULL; n = g_tree_node_next(n)) {
        const KeptVm *kept = g_tree_lookup(agent->machine->kept, g_tree_node_key(n));
        if (sim_machine_qemu(agent->machine, g_tree_node_key(n)) == NULL &&
            (kept == NULL || kept->assignment == NULL)) {
            g_ptr_array_add(unknown, g_tree_node_key(n));
        }
    }
    for (guint i = 0; i < unknown->len; i++) {
        g_tree_remove(prepared, unknown->pdata[i]);
    }
}

void sim_agent_start(SimAgent *agent)
{
    if (agent->core != NULL || !agent->machine->up) {
        return;
    }
    sim_log(agent->world, "%s agent starts", agent->machine->name);
    HostConfig config = {.boot_id = agent->machine->boot_id,
                         .tombstones_kept = SIM_TOMBSTONES_KEPT,
                         .forgotten_vm = agent->machine->forgotten_vm,
                         .forgotten_epoch = agent->machine->forgotten_epoch};
    agent->core = host_core_new(&config);
    agent->machine->agent = agent;
    agent->stepped_ms = agent->machine->stepped_ms;
    agent->tick_ms = INT64_MAX;
    sweep(agent);
    for (GTreeNode *n = g_tree_node_first(agent->machine->kept); n; n = g_tree_node_next(n)) {
        restore(agent, g_tree_node_key(n));
    }
    for (GTreeNode *n = g_tree_node_first(agent->machine->qemus); n; n = g_tree_node_next(n)) {
        if (g_tree_lookup(agent->machine->kept, g_tree_node_key(n)) == NULL) {
            restore(agent, g_tree_node_key(n));
        }
    }
    sim_agent_step(agent, &(HostEvent){.kind = HOST_EVENT_READY});
    sim_link_start(agent->link, SIM_END_AGENT);
}

static void end(SimAgent *agent, bool says_so)
{
    g_clear_pointer(&agent->core, host_core_free);
    agent->incarnation++;
    agent->machine->agent = NULL;
    agent_down(agent);
    g_hash_table_remove_all(agent->calls);
    sim_effects_abandon(agent);
    GTree *qemus = agent->machine->qemus;
    for (GTreeNode *n = g_tree_node_first(qemus); n != NULL; n = g_tree_node_next(n)) {
        ((SimQemu *)g_tree_node_value(n))->attached = false;
    }
    sim_link_stop(agent->link, SIM_END_AGENT, says_so);
}

void sim_agent_crash(SimAgent *agent)
{
    if (agent->core != NULL) {
        sim_log(agent->world, "%s agent is killed", agent->machine->name);
        end(agent, true);
    }
}

void sim_agent_power_loss(SimAgent *agent)
{
    if (!agent->machine->up) {
        return;
    }
    sim_log(agent->world, "%s loses power", agent->machine->name);
    if (agent->core != NULL) {
        end(agent, false);
    }
    sim_machine_crash(agent->machine);
}

void sim_agent_power_on(SimAgent *agent)
{
    if (!agent->machine->up) {
        sim_machine_boot(agent->machine);
    }
    sim_agent_start(agent);
}

void sim_agent_set_devices(SimAgent *agent, GPtrArray *devices)
{
    g_ptr_array_unref(agent->machine->devices);
    agent->machine->devices = devices;
    agent->facts_changed = true;
    flush_news(agent);
}

bool sim_agent_is_up(const SimAgent *agent)
{
    return agent->core != NULL;
}

SimMachine *sim_agent_machine(const SimAgent *agent)
{
    return agent->machine;
}

SimLink *sim_agent_link(const SimAgent *agent)
{
    return agent->link;
}

const HostCore *sim_agent_core(const SimAgent *agent)
{
    return agent->core;
}

uint64_t sim_agent_steps(const SimAgent *agent)
{
    return agent->steps;
}
