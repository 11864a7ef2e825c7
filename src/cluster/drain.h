/*
 * Emptying a host: it takes no new VMs, and is drained when none runs there any more.
 *
 * VMs are not moved: they stay until they are stopped or deleted. One that is off stays placed and
 * does not count, as its host can be taken down; it is not turned on there while the drain lasts.
 * The operation host.drain is over when the host is drained; it fails when the host is uncordoned or
 * removed before.
 *
 * Private to src/cluster.
 */
#pragma once

#include "cluster/model.h"

/* What the host is in; UNSET: nobody drains it. */
DrainState drain_state(const ClusterHost *host);
/* VMs that run there, or may. */
int64_t drain_left(const ClusterHost *host);
/* Something of a VM on the host has changed. `host` may be NULL. */
void drain_check(ClusterCore *core, ClusterHost *host);
/* The host takes VMs again, or is removed: `why` ends the operation. */
void drain_end(ClusterCore *core, ClusterHost *host, const char *why);
/* May a VM on this host be turned on? */
bool drain_may_start(const ClusterHost *host, GError **error);
