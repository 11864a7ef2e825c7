/*
 * What must hold when nothing goes wrong any more and the cluster has come to rest: what runs is
 * what the store says, and nothing else is left anywhere.
 *
 * The rules that hold at every moment are checked where they could break: machine.c (a VM runs
 * once, floors), manager.c (durability), disk.c (transactions), client.c (what was acknowledged),
 * and the cores' own checks after each of their steps.
 *
 * Threading and ownership as world.h.
 */
#pragma once

#include "sim/sim.h"

/* Every program is up and every connection stands. Tells sim_broken of what does not hold. */
void sim_check_rest(Sim *sim);
