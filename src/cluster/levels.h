/*
 * The levels of the tree of hosts, from the narrowest: the host itself, and labels of hosts that the
 * operator names, such as rack, row and zone. Private to src/cluster.
 */
#pragma once

#include "cluster/model.h"

void levels_init(ClusterCore *core); /* host, rack, zone; in an engine without hosts */
void levels_clear(ClusterCore *core);

guint levels_count(const ClusterCore *core);
const char *levels_name(const ClusterCore *core, guint level);

/* The number of a level; of NULL: the host's. -1: there is none of this name. */
int levels_find(const ClusterCore *core, const char *name);
/* "one of host, rack and zone" */
char *levels_text(const ClusterCore *core);

/* Those above the host, as JSON. */
json_t *levels_names(const ClusterCore *core);

/* As the store has them; before VMs and rules are there. */
void levels_load(ClusterCore *core, const Levels *levels);
