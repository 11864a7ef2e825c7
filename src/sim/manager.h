/*
 * A simulated manager: the real cluster core on a simulated store, with connections to agents and
 * clients.
 *
 * It does what berth-manager does: requests are matched to their routes and decoded strictly, calls
 * go to the agents and come back as answers or time out, transactions go to the store. A crash
 * loses the core, the connections, the clients' requests and what the store had not made durable; a
 * start makes a new core of the durable keys. An ABORT is such a crash with a start right after.
 *
 * Held here: after every step the core's own invariants; every answer fits its route; and nobody
 * sees what is not durable - an answer, an event and a call leave only when every transaction that
 * was made until then is, and a call carries only what the store has.
 *
 * Threading and ownership as world.h.
 */
#pragma once

#include "sim/disk.h"
#include "sim/link.h"

typedef struct SimManager SimManager;

typedef struct {
    uint64_t request;
    int status;          /* HTTP; 0: the manager is not there, or went away, and nobody knows */
    json_t *body;        /* borrowed; NULL with an error or no JSON */
    const GError *error; /* of a refusal, or NULL */
    int64_t revision;    /* for If-Match; -1: none */
} SimReply;

typedef void (*SimReplyFunc)(void *owner, const SimReply *reply);
/* An event is published, as JSON. */
typedef void (*SimEventFunc)(void *owner, const json_t *event);

/* Zeros in `config` take the core's defaults; the seed is made anew for each start. */
SimManager *sim_manager_new(SimWorld *world, const ClusterConfig *config);
void sim_manager_free(SimManager *manager);

/* Fills the manager's part of the ends of a link, which is owned elsewhere and added here. */
void sim_manager_ends(SimEnds *ends);
void sim_manager_add_link(SimManager *manager, SimLink *link);

void sim_manager_start(SimManager *manager);
/* kill -9. */
void sim_manager_crash(SimManager *manager);
bool sim_manager_is_up(const SimManager *manager);
bool sim_manager_can_write(const SimManager *manager);
/* By its own clock. */
int64_t sim_manager_now(const SimManager *manager);

/* A request as the HTTP door takes it: path with query, body as JSON or NULL, revision for If-Match
 * or -1. The reply comes once, from here or later. Returns its id. */
uint64_t sim_manager_ask(SimManager *manager, const char *method, const char *path,
                         const json_t *body, int64_t if_match, SimReplyFunc reply, void *owner);
/* The client goes away. */
void sim_manager_cancel(SimManager *manager, uint64_t request);
/* The content of an image's file has arrived. */
void sim_manager_receive_image(SimManager *manager, const char *image, const char *sha256);

void sim_manager_follow(SimManager *manager, SimEventFunc func, void *owner);

/* The store cannot write, or can again. */
void sim_manager_set_writable(SimManager *manager, bool writable);
/* Its machine's clock is set. */
void sim_manager_step_clock(SimManager *manager, int64_t step_ms);

SimDisk *sim_manager_disk(SimManager *manager);
const ClusterCore *sim_manager_core(const SimManager *manager); /* NULL while it is down */
uint64_t sim_manager_steps(const SimManager *manager);
/* A start after an ABORT that nobody provoked is a broken rule; a provoked one is announced here.
 */
void sim_manager_expect_abort(SimManager *manager);
