/*
 * From the store's keys to the model. Private to src/cluster.
 */
#pragma once

#include "cluster/model.h"

/* Everything is loaded: ties the objects to each other. */
void load_finish(ClusterCore *core);
