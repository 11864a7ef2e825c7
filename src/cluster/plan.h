/*
 * What if: questions to the live engine, with changes that are rolled back. Private to src/cluster.
 */
#pragma once

#include "cluster/model.h"

/* How many more VMs of this spec fit, one after another by its policy; so that afterwards any `survive`
 * hosts could be lost at once and all of their VMs, old and new, would find a place, as plan_moves finds
 * them (0: that is not asked). Each set of so many hosts is tried; TOO_LARGE when there are more sets
 * than a few thousand. */
PlanFit *plan_fit(ClusterCore *core, const char *tenant, const VmSpec *spec, int64_t survive,
                  GError **error);

/* Where the VMs of these hosts (of ClusterHost, in the order of their ids) would go if the hosts were
 * lost at once, or drained: one VM after another, the largest first; a drained host keeps a VM until
 * it has gone. */
PlanMoves *plan_moves(ClusterCore *core, const GPtrArray *hosts, bool drain, GError **error);
