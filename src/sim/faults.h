/*
 * `berth-sim faults`: a cluster that is used at random while everything goes wrong that may, in
 * virtual time, held against the rules of the design.
 *
 * Requests and faults come in bursts, since what breaks a cluster manager is what happens at once.
 * Once a day, unless told otherwise, the faults stop, everything is mended, an hour passes, and the
 * cluster must be at rest as rules.h has it; then they begin again. What is lost for good shows only
 * at rest, and only if nothing has brought it back before: many rests find more of that.
 *
 * Besides those who keep VMs there are tenants with jobs for a time, who fill the queue (jobs.h); what they
 * are owed says queue_watch.h.
 */
#pragma once

#include "cluster/cluster.h"
#include "sim/world.h"

typedef struct {
    int64_t hours; /* of the cluster; host-hours are these times hosts */
    uint64_t seed;
    int hosts;
    double bursts_per_host_hour;
    int64_t rest_every_hours; /* at least 2 */
    double jobs;              /* the share of jobs in what is asked for */
    double faults;            /* the share of faults in what happens; 0: nothing goes wrong */
    ClusterBackfill backfill;
    bool json, trace;
} FaultsOptions;

#define FAULTS_HOSTS 5
#define FAULTS_BURSTS_PER_HOST_HOUR 0.4
#define FAULTS_REST_EVERY_HOURS 24
#define FAULTS_JOBS 0.15
#define FAULTS_SHARE 0.4

extern const char *const faults_backfills[]; /* by mode, then NULL */

/* Prints what came of it to standard output. False: a rule is broken. */
bool faults_run(const FaultsOptions *options);
