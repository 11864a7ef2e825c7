/*
 * The state from which a scenario begins, of the API's own objects.
 *
 * Hosts, sizes, images, networks, apps and VMs stand in `state` as the API shows them (as `berth
 * support snapshot` writes them), or in the short form in which one asks for them; what waits in the queue
 * stands there as the store keeps it. What has an id
 * is put into the store as it is before the manager starts; the rest is asked for afterwards, in
 * the order sizes, images, networks, VMs, apps. A host needs a name and a capacity.
 *
 * Threading and ownership as world.h.
 */
#pragma once

#include "sim/sim.h"

/* The manager of a new `sim` is up and idle. `state` may be NULL. Returns when everything has been
 * asked for; the error's field is the path within the state. */
bool state_load(Sim *sim, const json_t *state, GError **error);
