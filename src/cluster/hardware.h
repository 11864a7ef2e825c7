/*
 * The virtual hardware of a new VM: the record that is stored with it and never changes by itself.
 * Private to src/cluster.
 *
 * Slots are device numbers on the root bus: 2 balloon, 3 serial, 4–11 network cards, 16 and up
 * disks.
 */
#pragma once

#include "schema/types.h"

/* `id` is the VM's, of which the UUID and the MACs are made. `host` decides accelerator, CPU model
 * and machine. `nics` counts the cards; `disk`: it has a disk of its own, in qcow2. */
Hardware *hardware_new_for(const char *id, const HostFacts *host, int64_t memory_mib, int64_t vcpus,
                           int64_t max_vcpus, ImageKind boot, guint nics, bool disk);

/* The MAC of a VM's card: locally administered, from its id; `attempt` gives another one. */
char *hardware_mac(const char *id, guint nic, guint attempt);
