/*
 * Tenants who have jobs to be done: VMs and apps that run for a time, more of them than there is
 * room for, which wait in the queue by priorities, deadlines and reservations.
 *
 * They have no quota and pay nothing, so that nothing but room keeps a job waiting.
 *
 * Threading and ownership as world.h.
 */
#pragma once

#include "sim/sim.h"

typedef struct SimJobs SimJobs;

SimJobs *sim_jobs_new(Sim *sim);
void sim_jobs_free(SimJobs *jobs);

bool sim_jobs_prepare(SimJobs *jobs, GError **error);

/* One random request. */
void sim_jobs_act(SimJobs *jobs);

/* Is this one of the tenants? */
bool sim_jobs_has_tenant(const char *tenant);
