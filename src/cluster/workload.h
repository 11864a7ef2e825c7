/*
 * What requests are typical: each size as often as there are VMs of it. The policy `fragmentation` keeps
 * devices usable for these. Private to src/cluster.
 */
#pragma once

#include "cluster/model.h"

/* Before a request of that policy is asked. False: the engine has no idea of what is typical, and the policy
 * cannot be used. What is asked within berth_place_begin goes by what was typical before. */
bool workload_refresh(ClusterCore *core);

/* Sizes, or how devices are cut, have changed. */
void workload_changed(ClusterCore *core);
