/*
 * Accelerators that go and come: a card falls off the bus of a running host, a host comes back with fewer of
 * them, with others, or with some that are cut in another way.
 *
 * A host that has lost some has all that it began with again after a while, of minutes or of many hours, so that
 * some are away while the cluster is at rest: the same cards, others in their place, or the same and cut anew,
 * which is put right later. Its manager hears of it by a report of the running agent, or by the first report of
 * one that starts again; now and then the manager is killed in the same instant, or its connection breaks.
 *
 * Threading and ownership as world.h.
 */
#pragma once

#include "sim/sim.h"

typedef struct SimCards SimCards;

SimCards *sim_cards_new(Sim *sim);
void sim_cards_free(SimCards *cards);

/* While all is calm, hosts have what they have. */
void sim_cards_set_calm(SimCards *cards, bool calm);
/* Some devices of a host go, unless it lacks some already. */
void sim_cards_strike(SimCards *cards);
