/*
 * The effects of a simulated agent, and what the agent is. Private to agent.c and effects.c.
 *
 * An effect happens on the machine after a while, and the core hears of it a little later. When the
 * agent ends in between, it has happened and nobody hears; when it ends before, chance decides.
 * Some effects fail, before they have done anything or when all is done; the core must live with
 * both, as effects are idempotent. A LAUNCH that fails leaves no process, which is what berth-keep
 * promises.
 *
 * What is done through the monitor is heard in the order in which it happened, together with what
 * the guest does: a monitor is one stream. An ATTACH tells the state as of its end, so that nothing
 * that the guest does falls between it and the first event.
 */
#pragma once

#include "sim/agent.h"

struct SimAgent {
    SimWorld *world;
    SimMachine *machine;
    SimLink *link;
    const SimTrouble *trouble;
    HostCore *core; /* NULL: down */
    uint64_t incarnation, steps;
    int64_t tick_ms; /* of the world; INT64_MAX: none is due */
    int idle_ticks;
    int64_t stepped_ms; /* its machine's, when it started */

    bool connected;
    uint64_t connections; /* so far */
    uint64_t sequence;
    bool report_under_way;
    bool facts_changed; /* since they were sent */
    AgentReport *full;  /* while it is made */
    GTree *news;        /* VM id → ReportedVm: not sent yet */
    GHashTable *calls;  /* set of Call, owned: not answered yet */

    GPtrArray *effects; /* of SimEffect: begun, and the core has not heard of their end */
};

typedef struct SimEffect SimEffect;

void sim_agent_step(SimAgent *agent, const HostEvent *event);

void sim_effect_begin(SimAgent *agent, const HostAction *action);
void sim_effect_unref(SimEffect *effect);
/* The agent ends: each has happened or not, and nobody hears. */
void sim_effects_abandon(SimAgent *agent);
