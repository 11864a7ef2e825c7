/*
 * Reservations whose host cannot keep them. Private to src/cluster.
 *
 * A slot that no VM has is in trouble when its host takes no VMs: it is cordoned or being drained, or its
 * agent has been away for longer than `patience_ms`; or when that has lost a device of which the slot holds slices, or
 * has come to have less of something than is promised of it. It goes to another host that has room over all of
 * the slot's span, as the engine, the calendar and the rules would have it at the reservation's making; the
 * slots of one reservation all at once if that can be, else as many as can. One that has nowhere to
 * go stays where it is, at risk: its object says why, an event has told it once, and each time
 * that room is made it is tried again, before anything in the queue is served.
 *
 *           ┌────── host takes VMs again ◀──────┐
 *           ▼                                   │
 *         safe ── host takes none ─▶ in trouble ┴─ no other has room ─▶ at risk
 *           ▲                            │                                │
 *           └──── on another host ◀──────┴──────────── room is made ◀─────┘
 *
 * A slot that a VM has stays with it.
 */
#pragma once

#include "cluster/reservations.h"

/* Hosts, slots or rules have changed: all slots are looked through at the next round of the queue. */
void rescue_want(ClusterCore *core);
/* Is there anything to be done at a round? */
bool rescue_is_due(const ClusterCore *core);
void rescue_serve(ClusterCore *core);

/* The host is to be removed: all slots go to others, or none does and it is a CONFLICT. */
bool rescue_all_of(ClusterCore *core, ClusterHost *host, GError **error);
