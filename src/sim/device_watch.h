/*
 * Who has which devices, held against what becomes durable, transaction by transaction, and without a line of the
 * core's own code.
 *
 *     once       the slices of a device that VMs have are never more than it has, and those that reservations and
 *                promises hold, now and at any time to come, are beside them
 *     whole      what a VM has of a model is of one device, or of whole ones, and as much as it asked for
 *     there      a slot or a promise names devices that its host has; one that does not is elsewhere within the
 *                round, or told to be at risk, or a VM has it
 *
 * A device that is cut otherwise when it comes back is another device. Excused is a host on which a VM overstays:
 * what was promised behind that waits. What a round has to put right may be wrong for a while, but not for
 * longer while the manager is up and can write.
 *
 * Threading and ownership as world.h.
 */
#pragma once

#include "sim/sim.h"

typedef struct SimDeviceWatch SimDeviceWatch;

SimDeviceWatch *sim_device_watch_new(Sim *sim);
void sim_device_watch_free(SimDeviceWatch *watch);
