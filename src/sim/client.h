/*
 * Somebody who uses the simulated cluster: makes, changes and removes VMs and apps at random, and
 * remembers what was acknowledged.
 *
 * A create that was acknowledged is owed from then on, until somebody asks to delete it. An answer
 * that never came leaves it open whether the thing exists; the client finds out later by using it.
 *
 * Threading and ownership as world.h.
 */
#pragma once

#include "sim/sim.h"

typedef struct SimClient SimClient;

/* `vms_wanted`: how many VMs it has, about. */
SimClient *sim_client_new(Sim *sim, guint vms_wanted);
void sim_client_free(SimClient *client);

/* Sizes, an image, networks. */
bool sim_client_prepare(SimClient *client, GError **error);

/* One random request; the reply is taken when it comes. */
void sim_client_act(SimClient *client);

/* Is all that is owed in the store? Tells sim_broken otherwise. */
void sim_client_check(SimClient *client);

/* Requests made, and those refused or unanswered. */
typedef struct {
    uint64_t asked, accepted, refused, unanswered, created, no_capacity;
} SimClientFigures;

const SimClientFigures *sim_client_figures(const SimClient *client);
