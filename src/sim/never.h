/*
 * What may never hold while a scenario, or one of its events, runs (`never:`). It is looked for at
 * every step of virtual time, so that what holds for a moment is seen too.
 *
 *     - objects: {PATH: {…}}    GET PATH holds this
 *     - event: {…}              such an event is published
 *     - together: [a, b]        two of these VMs are on one host; an app stands for each of its VMs
 *     - on: {web: h1}           the VM, or one of the app, is on this host, or on one of a list
 *
 * Where VMs are is what the store has (whereabouts.h). An object is asked for after each step in which
 * the manager did anything, and its answer comes when what it tells is durable, as for every client.
 *
 * Threading and ownership as world.h. A Never borrows its Sim and its list.
 */
#pragma once

#include "sim/sim.h"

typedef struct Never Never;

/* Is this such a list? The error's field begins with `never`. */
bool never_check(const json_t *list, GError **error);

/* Begins to look, for what a checked list says. Hosts that are not there are refused. */
Never *never_new(Sim *sim, const json_t *list, GError **error);
void never_free(Never *never);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Never, never_free)

/* After each event of the world, and for each that the manager publishes. */
void never_look(Never *never);
void never_take_event(Never *never, const json_t *event);
/* It is over: lets time pass until what was asked is answered. */
void never_end(Never *never);

/* The first that was seen, with when and what; NULL: nothing. Its field begins with
 * `never`. */
const GError *never_seen(const Never *never);
