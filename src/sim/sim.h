/*
 * A whole cluster in virtual time: one manager and any number of hosts with their agents and links.
 *
 * Threading and ownership as world.h; everything belongs to the Sim.
 */
#pragma once

#include "sim/agent.h"
#include "sim/manager.h"

typedef struct {
    SimWorld *world;
    SimFleet *fleet;
    SimTrouble trouble; /* of all agents; none at first */
    SimManager *manager;
    GPtrArray *agents; /* of SimAgent, as they were added */
} Sim;

/* Begins at 2026-01-01T00:00:00Z with the manager up and no hosts. Zeros of `config` take the
 * core's defaults. */
Sim *sim_new(uint64_t seed, const ClusterConfig *config);
/* The same, at another time. */
Sim *sim_new_at(uint64_t seed, int64_t begins_ms, const ClusterConfig *config);
void sim_free(Sim *sim);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Sim, sim_free)

/* A host joins by a token of its own, as a new machine does, and its agent starts. Takes over
 * `capacity`, `reserve` and `devices` (which may be NULL). Time passes until it has joined. NULL, with the
 * reason, when the manager refuses it. */
SimAgent *sim_add_host(Sim *sim, const char *name, Resources *capacity, Resources *reserve,
                       GPtrArray *devices, GError **error);
/* A host that the store knows already, by this id. */
SimAgent *sim_place_host(Sim *sim, const char *name, const char *id, Resources *capacity,
                         Resources *reserve, GPtrArray *devices);
SimAgent *sim_find_host(const Sim *sim, const char *name); /* NULL: none */
SimAgent *sim_find_host_by_id(const Sim *sim, const char *id);

/* Asks and lets time pass until the answer has come, at most `patience_ms`. Returns the HTTP
 * status, 0 without an answer; `ret_body` is owned and may be NULL. Not from within an event of the
 * world.
 */
int sim_ask_whole(Sim *sim, const char *method, const char *path, const json_t *body,
                  int64_t patience_ms, json_t **ret_body);
/* The same until the answer has come. Its body, owned; NULL with the refusal, or with UNAVAILABLE
 * when nobody answered. */
json_t *sim_ask(Sim *sim, const char *method, const char *path, const json_t *body,
                int64_t patience_ms, GError **error);
/* The same with a body as JSON text, single quotes for double ones. */
json_t *sim_ask_text(Sim *sim, const char *method, const char *path, const char *body,
                     GError **error);
/* An image whose contents are here at once: of kind kernel, named as told. */
bool sim_add_image(Sim *sim, const char *name, GError **error);
/* The same from a request's body. */
json_t *sim_create_image(Sim *sim, const json_t *body, GError **error);
