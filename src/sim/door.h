/*
 * The HTTP door of a simulated manager, without HTTP: requests become what the cluster core takes,
 * and its replies find who asked.
 *
 * Routes, queries and bodies are matched and decoded by the same generated tables as those of
 * berth-manager, strictly; what does not pass is refused here. Every reply is held against its
 * route's schema.
 *
 * Threading and ownership as world.h.
 */
#pragma once

#include "sim/manager.h"

typedef struct SimDoor SimDoor;

/* What a request points to while the core takes it. */
typedef struct SimVisit SimVisit;
void sim_visit_free(SimVisit *visit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SimVisit, sim_visit_free)

SimDoor *sim_door_new(void);
void sim_door_free(SimDoor *door);

/* Fills `request` but for its if_match, and remembers who asks. NULL: refused, and replied to. */
SimVisit *sim_door_enter(SimDoor *door, const char *method, const char *path, const json_t *body,
                         SimReplyFunc reply, void *owner, ClusterRequest *request);
uint64_t sim_door_last(const SimDoor *door); /* the id that was given last */
uint64_t sim_door_nobody(SimDoor *door);     /* an id whose reply nobody waits for */

/* Everything up to this revision was made when the request was taken. */
void sim_door_set_barrier(SimDoor *door, uint64_t request, int64_t revision);
int64_t sim_door_barrier(const SimDoor *door, uint64_t request);

void sim_door_reply(SimDoor *door, SimWorld *world, const ClusterAction *action);
/* There is no manager. */
void sim_door_refuse(SimDoor *door, uint64_t request);
/* False: it is replied to already. */
bool sim_door_forget(SimDoor *door, uint64_t request);
/* The manager has gone: everybody who waits hears of it. */
void sim_door_hang_up(SimDoor *door);
