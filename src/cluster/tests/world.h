/*
 * A cluster core with a store that is a hash table, and hosts that do at once what they are told: for
 * tests that speak to the core as the HTTP door does.
 */
#pragma once

#include "cluster/cluster.h"

typedef struct {
    ClusterConfig config;
    ClusterCore *core;
    GHashTable *store; /* key → GBytes */
    int64_t revision, committed, now;
    uint64_t next_request;
    bool durable;        /* false: COMMIT actions wait */
    GHashTable *replies; /* request → "STATUS BODY" */
    bool obedient;
    GPtrArray *calls;           /* "HOST METHOD SUBJECT" */
    ClusterPrincipal principal; /* of the requests */
} World;

World *world_new(void);
void world_free(World *w);
/* A core from what the store holds; the one before must be freed. */
void world_boot(World *w);

/* A millisecond later than the step before; the invariants are checked after each. */
void world_step(World *w, const ClusterEvent *event);

/* Carries out what a step of the test's own answered; takes it over. */
void world_perform(World *w, ClusterActions *actions);
/* All that is in flight becomes durable, one transaction after the other. */
void world_commit_all(World *w);

/* Sends a request as the HTTP door would; returns "STATUS BODY", or NULL while there is no answer.
 */
const char *ask(World *w, ApiOperation operation, const char *param, const char *body);
/* The same with a query: a struct of the operation's, which it takes over. */
const char *ask_with(World *w, ApiOperation operation, const char *param, void *query,
                     const char *body);
/* A string of the answer's object. */
char *text_of(const char *reply, const char *member);

AgentReport *report_of(const char *vm, int64_t epoch, int64_t generation, PowerIs power,
                       const Resources *applied);
void deliver_report(World *w, const char *host, const AgentReport *report);
void report_up(World *w, const char *host, int64_t cpu, int64_t memory);
/* Returns its id. */
char *add_host(World *w, const char *name, int64_t cpu, int64_t memory);
/* Image demo, size m1 (1000 millicores, 256 MiB), network lan. */
void add_image_and_size(World *w);

/* A host h1 with 4 CPUs, sizes m1 and m3 of one and of three, and tenants blue and red. */
World *world_of_four(void);
/* `more` is further members of the body: ",\"priority\":7". */
const char *create_vm_of(World *w, const char *name, const char *size, const char *more);
/* It stops at its end in room that a reservation has, and goes on only if that is given up. */
void assert_goes_on_only_without(World *w, const char *vm, const char *reservation,
                                 const char *refusal);
/* So many milliseconds after the step before. */
void world_wait(World *w, int64_t ms);

#define VM(name) "{\"name\":\"" name "\",\"size\":\"m1\",\"image\":\"demo\",\"networks\":[\"lan\"]}"

/* Further members: an end without grace, at which it is deleted or stopped. */
#define AT_ITS_END(seconds, what)                                                                  \
    ",\"duration-seconds\":" #seconds ",\"grace-seconds\":0,\"at-end\":\"" what "\""
#define ENDS(seconds) AT_ITS_END(seconds, "delete")
#define STOPS(seconds) AT_ITS_END(seconds, "stop")
