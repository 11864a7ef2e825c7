/*
 * Tenants: who owns VMs, what they may have, and what they have. Private to src/cluster.
 *
 * A tenant's usage is a fold over its placed VMs: what each wants, without QEMU's overhead, from the
 * step that places it to the step that removes it. Quota and credits are checked and taken in that
 * same step, which is one transaction: requests that come together are decided one after another,
 * one that fails has taken nothing, a move takes nothing, and a resize takes the difference. What a
 * tenant's reservations hold and no VM has come to yet counts against its quota as if it were used,
 * at the time that it is held; what lasts must leave room for the most that is held at any time.
 *
 * A quota that is set below the usage takes nothing away; it only lets nothing grow.
 */
#pragma once

#include "cluster/model.h"

/* Whose a new object is: `asked` (of the body, may be NULL) or that of the request. NULL with
 * FORBIDDEN or NOT_FOUND. */
const char *tenant_for_new(ClusterCore *core, const ClusterRequest *request, const char *asked,
                           GError **error);

/* For lists: the tenant whose objects are shown; NULL: those of all. */
const char *tenant_shown(const ClusterRequest *request);
bool tenant_is_shown(const char *shown, const char *tenant);

/* May the tenant have `count` VMs more that want this? NO_CAPACITY names the quota or the credits,
 * and what is missing. */
bool tenant_allows(ClusterCore *core, const char *tenant, const Resources *resources, int64_t count,
                   GError **error);
/* Could it, if it had none yet? Credits are not asked about. */
bool tenant_could_allow(ClusterCore *core, const char *tenant, const Resources *resources,
                        int64_t count, GError **error);
/* The same from one time to another: what its reservations hold then counts as well. */
bool tenant_allows_over(ClusterCore *core, const char *tenant, const Resources *resources,
                        int64_t count, int64_t from, int64_t to, GError **error);
/* The same for other resources in place of those that the VM has. */
bool tenant_allows_resize(ClusterCore *core, const ClusterVm *vm, const Resources *resources,
                          GError **error);

/* What the VM wants stands in its tenant's usage from here on; again after each change of it. */
void tenant_count_vm(ClusterCore *core, ClusterVm *vm);
void tenant_uncount_vm(ClusterCore *core, ClusterVm *vm);

/* A vector as the API shows it. */
Resources *tenant_resources(const ClusterCore *core, const Vector *vector);

void tenants_load_finish(ClusterCore *core);
/* What a start writes: tenants that the store does not hold yet. */
void tenants_resume(ClusterCore *core);

/* That usage is the fold over placements, and that no quota was passed. */
bool tenants_check(ClusterCore *core, GError **error);
