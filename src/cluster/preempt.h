/*
 * Preemption: a request of a higher priority takes the place of VMs of lower ones. Private to src/cluster.
 *
 * Who may be taken: VMs on hosts that take VMs, of a priority below the request's, that did not ask to be
 * spared (`preemptible: false`). Whom it hits says place/preempt.h: the fewest, of the lowest priority, the
 * youngest. Nobody of an equal or a higher priority is ever taken, and rules are not broken: a VM that is
 * preempted stays where it is in the eyes of rules.
 *
 * What happens, all in one transaction:
 *
 *     the victim    its spec says `preempted`: its host is told to power it off, the guest first. What is
 *                   booked for it stays booked until its host says that it is off; then all but its
 *                   disk is given up (`released` in its placement), which stays on its host.
 *     the request   is placed, and `claiming`: it books what there is of its need at once, and
 *                   everything that becomes free on its host until it has all of it; only then is the
 *                   host told of it. So nobody else gets in between, and nothing is overdrawn.
 *
 * A preempted VM waits in the queue for room on its own host, where its disk is, in its own priority's
 * order, and is then started again.
 */
#pragma once

#include "cluster/fleet.h"
#include "cluster/model.h"

/* Where one VM would go, and whose place it takes. */
typedef struct {
    ClusterHost *host;
    GPtrArray *victims; /* of ClusterVm, borrowed; empty: there is room */
    GPtrArray *devices; /* of DeviceHeld: those that it will have */
} PreemptStep;

/* For `count` VMs of this spec, one after another; NULL when there is none for all of them. Changes
 * nothing. Borrowed pointers: good until the next change. */
GPtrArray *preempt_plan(ClusterCore *core, const char *tenant, const VmSpec *spec,
                        const ClusterHost *only, int64_t count);
/* "takes the place of a (priority 100) and b (priority 300)"; NULL: of nobody. Where there is a `viewer`, a
 * tenant, only its own VMs are named: "a VM of another tenant (priority 100)". */
char *preempt_text(const PreemptStep *step, const char *viewer);
/* "a (priority 100) and b (priority 300)", likewise. */
char *preempt_victims(const PreemptStep *step, const char *viewer);
/* Who is told of what would be done for `tenant`: NULL for one who may know all VMs. */
const char *preempt_viewer(const ClusterCore *core, const char *tenant);

/* Carries out one step; as vm_place. */
ClusterVm *preempt_place(ClusterCore *core, const char *tenant, const char *id, VmSpec *spec,
                         const PreemptStep *step, GError **error);
/* preempt_plan and preempt_place of one VM; NULL, with `error` as it was, when that is not possible. */
ClusterVm *preempt_for_vm(ClusterCore *core, const char *tenant, const char *id, VmSpec *spec,
                          const ClusterHost *only);

/* A VM's status has changed: is it off, as its preemption asks? */
void preempt_confirm(ClusterCore *core, ClusterVm *vm);
/* At the end of a step: those that have all of their room are told to their hosts. */
void preempt_finish(ClusterCore *core);

/* Starts a preempted VM again; NO_CAPACITY, or UNAVAILABLE, says what keeps it. */
bool preempt_resume(ClusterCore *core, ClusterVm *vm, GError **error);
/* The same question alone. */
bool preempt_can_resume(ClusterCore *core, const ClusterVm *vm, GError **error);

/* What the engine is asked for a VM that is to start again: room on its own host. False: it is not off
 * yet. fleet_request_clear. */
bool preempt_request(ClusterCore *core, const ClusterVm *vm, EngineRequest *ret_request);

/* A VM is tied to its host, or no longer. */
void preempt_link_vm(ClusterCore *core, ClusterVm *vm);
void preempt_unlink_vm(ClusterCore *core, ClusterVm *vm);

/* That what claims room has all that is free on its host, is not told to it, and that nothing is
 * given up before its VM is off. */
bool preempt_check(const ClusterCore *core, GError **error);
