/*
 * What the queue owes to those who wait, held against what becomes durable, transaction by
 * transaction, and without a line of the queue's own code.
 *
 *     order      nobody starts before one of the same tenant and priority who waits longer for the
 *                same: as many VMs, as large, for as long, with the same rules
 *     promise    a start that was promised does not become later and is not taken back, and when it
 *                has come what waits for it starts; but by as much as VMs before it have overstayed
 *     leaving    who leaves has become a VM or an app of the same id, or an event says why not; and
 *                nobody waits beyond the time that he said, or past hope of his deadline
 *     list       at rest, and after a restart of the manager, the list is who waits: each once, numbered
 *                from 1, the higher priority first, and of one tenant's the older
 *
 * A promise is excused for good when a host has gone, come or changed after it was made, the manager's
 * clock was set, or something of a higher priority has come (to which a deadline does not yield); or when what
 * overstays has made it so late that it would run into a reservation, since that does not move.
 *
 * Threading and ownership as world.h.
 */
#pragma once

#include "sim/sim.h"

typedef struct SimQueueWatch SimQueueWatch;

SimQueueWatch *sim_queue_watch_new(Sim *sim);
void sim_queue_watch_free(SimQueueWatch *watch);

/* For how long nothing has become of any VM. */
int64_t sim_queue_watch_still_ms(const SimQueueWatch *watch);

/* The cluster is at rest: asks for the list, lets the manager start again, and asks once more. */
void sim_queue_watch_rest(SimQueueWatch *watch);

/* Who came and left, and of these: who was placed, and who started as promised. */
typedef struct {
    uint64_t entered, left, placed, kept, excused;
} SimQueueFigures;

const SimQueueFigures *sim_queue_watch_figures(const SimQueueWatch *watch);
