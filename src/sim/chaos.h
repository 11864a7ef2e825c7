/*
 * Everything that goes wrong, at random: programs and machines end, connections break, disks are
 * slow or full, clocks are set, QEMUs die and guests do as they please.
 *
 * What lasts ends by itself after a while; sim_chaos_mend() ends all of it at once.
 *
 * Threading and ownership as world.h.
 */
#pragma once

#include "sim/sim.h"

typedef struct SimChaos SimChaos;

SimChaos *sim_chaos_new(Sim *sim);
void sim_chaos_free(SimChaos *chaos);

/* From now on small things go wrong at their usual rate. */
void sim_chaos_begin(SimChaos *chaos);
/* One fault. */
void sim_chaos_strike(SimChaos *chaos);
/* Everything is up and whole, and nothing goes wrong by itself. */
void sim_chaos_mend(SimChaos *chaos);

uint64_t sim_chaos_strikes(const SimChaos *chaos);
