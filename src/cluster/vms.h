/*
 * VMs: what is wanted of them, where they are, and what becomes of them. Private to src/cluster.
 */
#pragma once

#include "cluster/model.h"

/* Places a VM whose spec is complete and enters it: booked, saved, its host to be told. `id` is the one
 * that it shall have, or NULL; `only` is the one host allowed, or NULL. On failure nothing is changed
 * and `spec` still belongs to the caller. */
ClusterVm *vm_place(ClusterCore *core, const char *tenant, const char *id, VmSpec *spec,
                    ClusterHost *only, GError **error);
/* The same on a host that lacks room still: it books what there is and claims the rest (preempt.h), and
 * the devices, of DeviceHeld, that it will have. Takes `why` over. */
ClusterVm *vm_claim(ClusterCore *core, const char *tenant, const char *id, VmSpec *spec,
                    ClusterHost *host, const GPtrArray *devices, char *why, GError **error);
/* Begins a VM's removal; it is gone when its host says so. */
void vm_begin_removal(ClusterCore *core, ClusterVm *vm);
/* The host holds nothing of it any more. */
void vm_removed(ClusterCore *core, ClusterVm *vm);

/* The host says what the VM is. Saves it, tells of changes, books, ends operations. */
void vm_take_status(ClusterCore *core, ClusterVm *vm, const VmStatus *status);

/* Counts what the VM contributes to its app and the cluster, after a change of spec or status. */
void vm_recount(ClusterCore *core, ClusterVm *vm);

/* The assignment for its host. */
json_t *vm_assignment(ClusterCore *core, const ClusterVm *vm);

/* What is wanted has changed: next generation, saved, its host to be told. */
void vm_changed(ClusterCore *core, ClusterVm *vm);
