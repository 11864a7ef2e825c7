#include "sim/cards.h"

#include <string.h>

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)

/* A host, and what it has when all is well. */
typedef struct {
    SimCards *cards;
    SimAgent *agent;
    GPtrArray *whole; /* of HostDevice */
    uint64_t replaced;
    bool lacks;
} Crate;

struct SimCards {
    Sim *sim;
    GPtrArray *crates; /* of Crate */
    bool calm;
};

static GPtrArray *copy_devices(const GPtrArray *devices)
{
    GPtrArray *copy = g_ptr_array_new_with_free_func((GDestroyNotify)host_device_free);
    for (guint i = 0; i < devices->len; i++) {
        g_ptr_array_add(copy, host_device_copy(devices->pdata[i]));
    }
    return copy;
}

static void crate_free(void *data)
{
    Crate *crate = data;
    g_ptr_array_unref(crate->whole);
    g_free(crate);
}

SimCards *sim_cards_new(Sim *sim)
{
    SimCards *cards = g_new0(SimCards, 1);
    cards->sim = sim;
    cards->crates = g_ptr_array_new_with_free_func(crate_free);
    return cards;
}

void sim_cards_free(SimCards *cards)
{
    if (cards != NULL) {
        g_ptr_array_unref(cards->crates);
        g_free(cards);
    }
}

static Crate *crate_of(SimCards *cards, SimAgent *agent)
{
    for (guint i = 0; i < cards->crates->len; i++) {
        Crate *crate = cards->crates->pdata[i];
        if (crate->agent == agent) {
            return crate;
        }
    }
    Crate *crate = g_new0(Crate, 1);
    crate->cards = cards;
    crate->agent = agent;
    crate->whole = copy_devices(sim_agent_machine(agent)->devices);
    g_ptr_array_add(cards->crates, crate);
    return crate;
}

static SimWorld *world_of(const Crate *crate)
{
    return crate->cards->sim->world;
}

void sim_cards_set_calm(SimCards *cards, bool calm)
{
    cards->calm = calm;
}

static void start_agent(void *agent, void *data)
{
    sim_agent_power_on(agent);
}

static void start_manager(void *manager, void *data)
{
    sim_manager_start(manager);
}

/* The host has these from now on, and the manager hears of it in one way or another. */
static void equip(Crate *crate, GPtrArray *devices)
{
    SimWorld *world = world_of(crate);
    SimManager *manager = crate->cards->sim->manager;
    int64_t way = sim_between(world, 0, 9);
    if (way == 0) {
        sim_agent_power_loss(crate->agent);
    } else if (way <= 2) {
        sim_agent_crash(crate->agent);
    }
    sim_agent_set_devices(crate->agent, devices);
    if (way <= 2) {
        sim_after(world, sim_between(world, 50, MINUTE_MS), start_agent, crate->agent, NULL, NULL);
    } else if (way == 3) {
        sim_link_break(sim_agent_link(crate->agent), sim_between(world, 0, MINUTE_MS));
    } else if (way == 4) {
        sim_manager_crash(manager);
        sim_after(world, sim_between(world, 100, MINUTE_MS), start_manager, manager, NULL, NULL);
    }
}

static void make_whole(void *owner, void *data)
{
    Crate *crate = owner;
    sim_log(world_of(crate), "%s has all its devices again", sim_agent_machine(crate->agent)->name);
    crate->lacks = false;
    equip(crate, copy_devices(crate->whole));
}

/* Another card is put in the place of each that is away. */
static void replace_lost(Crate *crate)
{
    const GPtrArray *left = sim_agent_machine(crate->agent)->devices;
    for (guint i = 0; i < crate->whole->len; i++) {
        HostDevice *device = crate->whole->pdata[i];
        bool there = false;
        for (guint k = 0; k < left->len; k++) {
            there = there || strcmp(((HostDevice *)left->pdata[k])->id, device->id) == 0;
        }
        if (!there) {
            g_free(device->id);
            device->id = g_strdup_printf("new%" G_GUINT64_FORMAT, ++crate->replaced);
        }
    }
}

static int64_t how_long(SimWorld *world)
{
    return sim_chance(world, 0.3) ? sim_between(world, HOUR_MS, 40 * HOUR_MS)
                                  : sim_between(world, 1000, 20 * MINUTE_MS);
}

static void come_back(void *owner, void *data)
{
    Crate *crate = owner;
    if (crate->cards->calm) {
        sim_after(world_of(crate), HOUR_MS, come_back, crate, NULL, NULL);
        return;
    }
    if (sim_chance(world_of(crate), 0.25)) {
        replace_lost(crate);
    }
    make_whole(crate, NULL);
}

static bool cut_otherwise(GPtrArray *devices, int64_t slices)
{
    bool any = false;
    for (guint i = 0; i < devices->len; i++) {
        HostDevice *device = devices->pdata[i];
        any = any || device->slices > 1;
        device->slices = device->slices > 1 ? slices : device->slices;
    }
    return any;
}

/* The cards of some hosts are cut in another way; of one, they are those of a stranger to the others. */
static void cut_anew(SimCards *cards)
{
    SimWorld *world = cards->sim->world;
    GPtrArray *agents = cards->sim->agents;
    int64_t slices = sim_chance(world, 0.5) ? 2 : 8;
    bool all = sim_chance(world, 0.4);
    guint only = (guint)sim_between(world, 0, agents->len - 1);
    for (guint i = 0; i < agents->len; i++) {
        Crate *crate = crate_of(cards, agents->pdata[i]);
        g_autoptr(GPtrArray) anew = copy_devices(crate->whole);
        if ((all || i == only) && !crate->lacks && cut_otherwise(anew, slices)) {
            sim_log(world, "%s has its devices cut into %" G_GINT64_FORMAT,
                    sim_agent_machine(crate->agent)->name, slices);
            crate->lacks = true;
            equip(crate, g_steal_pointer(&anew));
            sim_after(world, how_long(world), come_back, crate, NULL, NULL);
        }
    }
}

void sim_cards_strike(SimCards *cards)
{
    SimWorld *world = cards->sim->world;
    GPtrArray *agents = cards->sim->agents;
    if (sim_chance(world, 0.2)) {
        cut_anew(cards);
        return;
    }
    Crate *crate = crate_of(cards, agents->pdata[sim_between(world, 0, agents->len - 1)]);
    if (crate->lacks || crate->whole->len == 0) {
        return;
    }
    g_autoptr(GPtrArray) left = copy_devices(crate->whole);
    int64_t lost = sim_chance(world, 0.7) ? 1 : sim_between(world, 1, left->len);
    crate->lacks = true;
    for (int64_t i = 0; i < lost; i++) {
        guint at = (guint)sim_between(world, 0, left->len - 1);
        const HostDevice *device = left->pdata[at];
        sim_log(world, "%s loses %s", sim_agent_machine(crate->agent)->name, device->id);
        g_ptr_array_remove_index(left, at);
    }
    equip(crate, g_steal_pointer(&left));
    sim_after(world, how_long(world), come_back, crate, NULL, NULL);
}
