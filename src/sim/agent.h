/*
 * A simulated agent: the real host core on a simulated machine.
 *
 * It does what berth-agent does: calls of the manager become events of the core; effects are
 * carried out on the machine, each after a while, and may fail; reports go out one at a time, the
 * first of a connection full, later ones with what has changed since. What its crash loses and what
 * its start finds again is what the real one loses and finds: every effect under way has happened
 * or has not, and the new core is told of what is kept and what runs.
 *
 * After every step of the core its own invariants are checked.
 *
 * Threading and ownership as world.h.
 */
#pragma once

#include "sim/link.h"
#include "sim/machine.h"

/* How badly things go: probabilities. All zero: nothing goes wrong. */
typedef struct {
    double effect_fails;     /* of each effect */
    double call_refused;     /* of each call of the manager: the core does not hear of it */
    double qemu_fails_early; /* of each launch: QEMU ends before it is of use */
    double launch_is_slow;   /* of each PREPARE: minutes, as an image that comes over a thin line */
    double tune_falls_short; /* of each TUNE: done, but for a part */
} SimTrouble;

#define SIM_TOMBSTONES_KEPT 12 /* one by one: few, so that many are forgotten */

typedef struct SimAgent SimAgent;

/* The link is made with the agent and ends at `manager`. Borrows world, machine and trouble. */
SimAgent *sim_agent_new(SimWorld *world, SimMachine *machine, const SimTrouble *trouble);
void sim_agent_free(SimAgent *agent);
/* Fills the agent's part of the ends of its link. */
void sim_agent_ends(SimEnds *ends);
void sim_agent_set_link(SimAgent *agent, SimLink *link);

void sim_agent_start(SimAgent *agent);
/* kill -9. */
void sim_agent_crash(SimAgent *agent);
/* The machine loses power; sim_agent_power_on boots it and starts the agent. */
void sim_agent_power_loss(SimAgent *agent);
void sim_agent_power_on(SimAgent *agent);

/* What was told of a VM that has been removed since is told once more, by a manager that lags. */
void sim_agent_hear_stale(SimAgent *agent);

/* Its machine has other devices (which it takes over); a running agent reports them. */
void sim_agent_set_devices(SimAgent *agent, GPtrArray *devices);

/* A manager that was deposed, and does not know it, asks for something of a VM in an epoch before its present one. */
void sim_agent_hear_older_epoch(SimAgent *agent);

bool sim_agent_is_up(const SimAgent *agent);
SimMachine *sim_agent_machine(const SimAgent *agent);
SimLink *sim_agent_link(const SimAgent *agent);
const HostCore *sim_agent_core(const SimAgent *agent); /* NULL while it is down */
uint64_t sim_agent_steps(const SimAgent *agent);
