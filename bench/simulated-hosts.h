/*
 * Hosts that exist in a store and in a process alone: what bench-manager writes for the manager to
 * find, and what simulated-agents.c then says of them.
 *
 * Their shapes and racks are those of sim/bench_fleet.h.
 */
#pragma once

#include "schema/objects.h"
#include "schema/types.h"

/* How many there are, for the manager's process. */
#define SIMULATED_HOSTS_ENV "BERTH_SIMULATED_HOSTS"

char *simulated_host_id(uint32_t number);
HostSpec *simulated_host_spec(uint32_t number);
HostFacts *simulated_host_facts(uint32_t number);
