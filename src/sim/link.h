/*
 * The connection between the manager and one host's agent, as TLS over TCP gives it.
 *
 * Within a connection messages arrive in order, each way, after a delay. A connection that breaks
 * delivers a part of what was under way and loses the rest, and what is sent into it is lost; each
 * end notices at a time of its own. The agent dials anew after a back-off. The manager may have the
 * new connection before it notices the end of the old, whose last messages then still arrive under
 * their own session. Every connection has a session number that rises.
 *
 * The agent's side learns of its connection by the manager's answer to hello, which precedes
 * everything that the manager sends.
 *
 * Threading and ownership as world.h. A message that is sent belongs to the link.
 */
#pragma once

#include "schema/agent.h"
#include "sim/world.h"

typedef enum { SIM_END_MANAGER, SIM_END_AGENT } SimEnd;

typedef enum {
    SIM_MESSAGE_HELLO,
    SIM_MESSAGE_CALL,          /* of the manager */
    SIM_MESSAGE_ANSWER,        /* of the agent */
    SIM_MESSAGE_REPORT,        /* agent.report */
    SIM_MESSAGE_REPORT_ANSWER, /* it is durable */
    SIM_MESSAGE_MEASURE,
} SimMessageKind;

typedef struct {
    SimMessageKind kind;
    uint64_t id;        /* of the call or report; an answer's is that of what it answers */
    const char *method; /* CALL; a constant */
    json_t *json;       /* params of a CALL, result of an ANSWER */
    GError *error;      /* of an ANSWER */
    AgentReport *report;
    HostMeasure *measure;
} SimMessage;

/* The id of a call to whose answer nobody listens. */
#define SIM_CALL_OF_NOBODY UINT64_MAX

SimMessage *sim_message_new(SimMessageKind kind, uint64_t id);

typedef struct SimLink SimLink;

/* What the two ends do; each takes the owner that it was given. */
typedef struct {
    void (*agent_up)(void *agent);
    void (*agent_down)(void *agent);
    void (*agent_receive)(void *agent, const SimMessage *message);
    void (*manager_up)(void *manager, SimLink *link, uint64_t session);
    void (*manager_down)(void *manager, SimLink *link, uint64_t session, const char *reason);
    void (*manager_receive)(void *manager, SimLink *link, uint64_t session,
                            const SimMessage *message);
} SimEnds;

SimLink *sim_link_new(SimWorld *world, const char *host, const SimEnds *ends, void *manager,
                      void *agent);
void sim_link_free(SimLink *link);

const char *sim_link_host(const SimLink *link); /* id */
void sim_link_set_typical(SimLink *link, int64_t typical_ms);

/* A program at an end begins or ends. `says_so`: its kernel closes the connection; otherwise (its
 * machine has lost power) the other end finds out by itself. */
void sim_link_start(SimLink *link, SimEnd end);
void sim_link_stop(SimLink *link, SimEnd end, bool says_so);

/* Into the end's newest connection; lost if it has none. Takes the message. */
void sim_link_send(SimLink *link, SimEnd from, SimMessage *message);
bool sim_link_is_up(const SimLink *link, SimEnd end);

/* Some of the calls that managers before the present one have sent, whether they arrived or not, arrive now: one that
 * was deposed and has not heard of it still has a connection. False: there are none, or nobody to hear them. */
bool sim_link_hear_deposed(SimLink *link);

/* The connection breaks; none comes about for `outage_ms`. */
void sim_link_break(SimLink *link, int64_t outage_ms);
/* The manager closes the connection. */
void sim_link_close(SimLink *link);
/* Ends an outage. */
void sim_link_mend(SimLink *link);
