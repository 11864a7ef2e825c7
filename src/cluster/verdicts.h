/*
 * What the engine says of hosts, as people read it: reasons, refusals, explanations. Private to
 * src/cluster.
 */
#pragma once

#include "cluster/fleet.h"

/* "500m cpu" */
char *verdicts_amount(const ClusterCore *core, int dim, int64_t amount);

/* Each host's verdict with the engine as it shows itself; fleet_explain looks ahead first. */
Explanation *verdicts_explain(ClusterCore *core, const char *tenant, const VmSpec *spec,
                              ClusterHost *only, const ClusterHost *chosen);
