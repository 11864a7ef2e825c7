#include "sim/chaos.h"

#include "sim/cards.h"

struct SimChaos {
    Sim *sim;
    SimCards *cards;
    uint64_t strikes;
    bool calm;
};

static const SimTrouble usual_trouble = {.effect_fails = 0.01,
                                         .call_refused = 0.02,
                                         .qemu_fails_early = 0.01,
                                         .launch_is_slow = 0.02,
                                         .tune_falls_short = 0.02};

SimChaos *sim_chaos_new(Sim *sim)
{
    SimChaos *chaos = g_new0(SimChaos, 1);
    chaos->sim = sim;
    chaos->cards = sim_cards_new(sim);
    return chaos;
}

void sim_chaos_free(SimChaos *chaos)
{
    sim_cards_free(chaos->cards);
    g_free(chaos);
}

void sim_chaos_begin(SimChaos *chaos)
{
    chaos->calm = false;
    sim_cards_set_calm(chaos->cards, false);
    chaos->sim->trouble = usual_trouble;
}

uint64_t sim_chaos_strikes(const SimChaos *chaos)
{
    return chaos->strikes;
}

static SimAgent *any_host(SimChaos *chaos)
{
    GPtrArray *agents = chaos->sim->agents;
    return agents->pdata[sim_between(chaos->sim->world, 0, agents->len - 1)];
}

static void later(SimChaos *chaos, int64_t low_ms, int64_t high_ms, SimFunc func, void *owner)
{
    sim_after(chaos->sim->world, sim_between(chaos->sim->world, low_ms, high_ms), func, owner, NULL,
              NULL);
}

static void start_manager(void *manager, void *data)
{
    sim_manager_start(manager);
}

static void crash_manager(SimChaos *chaos)
{
    sim_manager_crash(chaos->sim->manager);
    later(chaos, 100, sim_chance(chaos->sim->world, 0.2) ? 300000 : 5000, start_manager,
          chaos->sim->manager);
}

static void start_agent(void *agent, void *data)
{
    sim_agent_start(agent);
}

static void crash_agent(SimChaos *chaos)
{
    SimAgent *agent = any_host(chaos);
    sim_agent_crash(agent);
    later(chaos, 50, sim_chance(chaos->sim->world, 0.2) ? 300000 : 3000, start_agent, agent);
}

static void power_on(void *agent, void *data)
{
    sim_agent_power_on(agent);
}

static void power_loss(SimChaos *chaos)
{
    SimAgent *agent = any_host(chaos);
    sim_agent_power_loss(agent);
    later(chaos, 20000, 300000, power_on, agent);
}

static SimQemu *any_qemu(SimChaos *chaos, SimMachine **ret_machine)
{
    SimMachine *machine = *ret_machine = sim_agent_machine(any_host(chaos));
    int n = g_tree_nnodes(machine->qemus);
    if (n == 0) {
        return NULL;
    }
    int64_t skip = sim_between(chaos->sim->world, 0, n - 1);
    GTreeNode *node = g_tree_node_first(machine->qemus);
    while (skip-- > 0) {
        node = g_tree_node_next(node);
    }
    return g_tree_node_value(node);
}

static void end_qemu(SimChaos *chaos)
{
    SimMachine *machine;
    SimQemu *qemu = any_qemu(chaos, &machine);
    /* One that has told of its guest's poweroff would take that knowledge with it. */
    if (qemu != NULL && qemu->exit == NULL && qemu->guest != SIM_GUEST_POWEROFF) {
        bool exits = sim_chance(chaos->sim->world, 0.2);
        sim_log(chaos->sim->world, "%s QEMU of %s dies", machine->name, qemu->vm);
        sim_machine_qemu_ends(machine, qemu,
                              exits ? KEEPER_EXIT_KIND_EXITED : KEEPER_EXIT_KIND_SIGNALED,
                              exits ? 0 : 9, sim_chance(chaos->sim->world, 0.2));
    }
}

static void move_guest(SimChaos *chaos)
{
    static const HostGuestEvent events[] = {
        HOST_GUEST_POWEROFF, HOST_GUEST_POWEROFF, HOST_GUEST_PANIC,   HOST_GUEST_RESET,
        HOST_GUEST_STOPPED,  HOST_GUEST_RESUMED,  HOST_GUEST_IO_ERROR};
    SimMachine *machine;
    SimQemu *qemu = any_qemu(chaos, &machine);
    if (qemu != NULL && qemu->exit == NULL) {
        int64_t i = sim_between(chaos->sim->world, 0, G_N_ELEMENTS(events) - 1);
        sim_machine_guest_does(machine, qemu, events[i]);
    }
}

static void break_link(SimChaos *chaos)
{
    SimLink *link = sim_agent_link(any_host(chaos));
    int64_t longest = sim_chance(chaos->sim->world, 0.3) ? 600000 : 3000;
    sim_link_break(link, sim_between(chaos->sim->world, 0, longest));
}

static void quick_link(void *link, void *data)
{
    sim_link_set_typical(link, 1);
}

static void slow_link(SimChaos *chaos)
{
    SimLink *link = sim_agent_link(any_host(chaos));
    sim_link_set_typical(link, sim_between(chaos->sim->world, 50, 2000));
    later(chaos, 5000, 120000, quick_link, link);
}

static void quick_disk(void *disk, void *data)
{
    sim_disk_set_typical(disk, SIM_DISK_USUAL_MS);
}

static void slow_disk(SimChaos *chaos)
{
    SimDisk *disk = sim_manager_disk(chaos->sim->manager);
    sim_disk_set_typical(disk, sim_between(chaos->sim->world, 50, 1000));
    later(chaos, 5000, 60000, quick_disk, disk);
}

static void fail_transaction(SimChaos *chaos)
{
    if (sim_manager_is_up(chaos->sim->manager)) {
        sim_manager_expect_abort(chaos->sim->manager);
        sim_disk_fail_next(sim_manager_disk(chaos->sim->manager));
    }
}

static void make_writable(void *manager, void *data)
{
    sim_manager_set_writable(manager, true);
}

static void stop_writes(SimChaos *chaos)
{
    sim_manager_set_writable(chaos->sim->manager, false);
    later(chaos, 1000, 60000, make_writable, chaos->sim->manager);
}

static void free_host_disk(void *machine, void *data)
{
    ((SimMachine *)machine)->disk_full = false;
}

static void fill_host_disk(SimChaos *chaos)
{
    SimMachine *machine = sim_agent_machine(any_host(chaos));
    machine->disk_full = true;
    later(chaos, 1000, 300000, free_host_disk, machine);
}

static void set_clock(SimChaos *chaos)
{
    SimWorld *world = chaos->sim->world;
    if (sim_chance(world, 0.3)) {
        int64_t reach = sim_chance(world, 0.1) ? 600000 : 3000;
        sim_manager_step_clock(chaos->sim->manager, sim_between(world, -reach, reach));
        return;
    }
    int64_t reach = sim_chance(world, 0.1) ? 3600000 : 3000;
    sim_machine_set_clock(sim_agent_machine(any_host(chaos)), sim_between(world, -reach, reach),
                          sim_between(world, -300, 300));
}

static void end_trouble(void *owner, void *data)
{
    SimChaos *chaos = owner;
    if (!chaos->calm) {
        chaos->sim->trouble = usual_trouble;
    }
}

static void bring_trouble(SimChaos *chaos)
{
    chaos->sim->trouble.effect_fails = 0.3;
    chaos->sim->trouble.call_refused = 0.3;
    chaos->sim->trouble.qemu_fails_early = 0.2;
    later(chaos, 5000, 60000, end_trouble, chaos);
}

static void measure(SimChaos *chaos)
{
    SimMessage *message = sim_message_new(SIM_MESSAGE_MEASURE, 0);
    message->measure = host_measure_new();
    message->measure->cpu = 1234;
    sim_link_send(sim_agent_link(any_host(chaos)), SIM_END_AGENT, message);
}

static void hear_stale(SimChaos *chaos)
{
    sim_agent_hear_stale(any_host(chaos));
}

/* What it has sent, or would have: nobody obeys. */
static void hear_deposed(SimChaos *chaos)
{
    SimAgent *agent = any_host(chaos);
    if (sim_chance(chaos->sim->world, 0.5) || !sim_link_hear_deposed(sim_agent_link(agent))) {
        sim_agent_hear_older_epoch(agent);
    }
}

static void lose_devices(SimChaos *chaos)
{
    sim_cards_strike(chaos->cards);
}

static void ignore_reply(void *owner, const SimReply *reply)
{
}

static void set_cordon(Sim *sim, const char *host, bool cordoned)
{
    g_autofree char *path = g_strconcat("/v1/hosts/", host, NULL);
    json_t *body = json_pack("{s:b}", "cordoned", cordoned);
    sim_manager_ask(sim->manager, "PATCH", path, body, -1, ignore_reply, NULL);
    json_decref(body);
}

static void uncordon(void *sim, void *host)
{
    set_cordon(sim, host, false);
}

/* Somebody looks after a host, for a while. */
static void cordon(SimChaos *chaos)
{
    Sim *sim = chaos->sim;
    const char *host = sim_agent_machine(any_host(chaos))->name;
    set_cordon(sim, host, true);
    sim_after(sim->world, sim_between(sim->world, 60000, 14400000), uncordon, sim, g_strdup(host),
              g_free);
}

void sim_chaos_strike(SimChaos *chaos)
{
    static const struct {
        int64_t weight;
        void (*strike)(SimChaos *chaos);
    } kinds[] = {{8, crash_manager},    {15, crash_agent}, {5, power_loss},     {20, end_qemu},
                 {20, move_guest},      {12, break_link},  {5, slow_link},      {5, slow_disk},
                 {2, fail_transaction}, {2, stop_writes},  {4, fill_host_disk}, {5, set_clock},
                 {3, bring_trouble},    {3, measure},      {4, hear_stale},     {4, cordon},
                 {6, lose_devices},     {6, hear_deposed}};
    int64_t total = 0;
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        total += kinds[i].weight;
    }
    int64_t at = sim_between(chaos->sim->world, 0, total - 1);
    chaos->strikes++;
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (at < kinds[i].weight) {
            kinds[i].strike(chaos);
            return;
        }
        at -= kinds[i].weight;
    }
}

static void let_guests_run(SimMachine *machine)
{
    for (GTreeNode *n = g_tree_node_first(machine->qemus); n != NULL; n = g_tree_node_next(n)) {
        SimQemu *qemu = g_tree_node_value(n);
        if (qemu->guest == SIM_GUEST_STOPPED && qemu->exit == NULL) {
            sim_machine_guest_does(machine, qemu, HOST_GUEST_RESUMED);
        }
    }
}

void sim_chaos_mend(SimChaos *chaos)
{
    Sim *sim = chaos->sim;
    chaos->calm = true;
    sim_cards_set_calm(chaos->cards, true);
    sim->trouble = (SimTrouble){0};
    quick_disk(sim_manager_disk(sim->manager), NULL);
    for (guint i = 0; i < sim->agents->len; i++) {
        SimAgent *agent = sim->agents->pdata[i];
        sim_link_mend(sim_agent_link(agent));
        quick_link(sim_agent_link(agent), NULL);
        free_host_disk(sim_agent_machine(agent), NULL);
        sim_agent_power_on(agent);
        let_guests_run(sim_agent_machine(agent));
    }
    sim_manager_start(sim->manager);
    make_writable(sim->manager, NULL);
}
