/*
 * The hosts as the placement engine sees them, and the ledger. Private to src/cluster.
 *
 * Bookings are kept per VM and summed per host, exactly; the engine holds capacity and what is left
 * of it. It knows no ratios: availability is capacity − reserve − Σ booked, and never below zero.
 */
#pragma once

#include "cluster/model.h"
#include "cluster/rules.h"
#include "place/devices.h"
#include "place/rules.h"

void fleet_init(ClusterCore *core);
void fleet_clear(ClusterCore *core);

/* The named dimension's index; -1: the fleet has no such accelerator yet. */
int fleet_dimension(const ClusterCore *core, const char *name);

/* The dimension of an accelerator, which it gets when it is new; false with NO_CAPACITY when the fleet has
 * MAX_DIMENSIONS already. */
bool fleet_accelerator(ClusterCore *core, const char *name, int *ret_dim, GError **error);

const char *fleet_dimension_name(const ClusterCore *core, int dim);
/* "500m", "2GiB", "3": to be freed. */
char *fleet_amount_text(int dim, int64_t amount);

/* A resource vector as amounts. An accelerator that is new gets a dimension; false with NO_CAPACITY
 * when the fleet has MAX_DIMENSIONS already. */
bool fleet_vector(ClusterCore *core, const Resources *resources, Vector *ret_vector,
                  GError **error);

/* The same of a vector that was accepted before; kinds of accelerator that are one too many are left
 * out. */
Vector fleet_amounts(ClusterCore *core, const Resources *resources);

/* A new engine for other levels, with all that the one before knows. CONFLICT, and nothing has changed, when rules
 * cannot hold together at these levels. */
bool fleet_rebuild(ClusterCore *core, GError **error);

void fleet_add_host(ClusterCore *core, ClusterHost *host);
void fleet_remove_host(ClusterCore *core, ClusterHost *host);
/* After a change of facts, spec or connection: capacity, reserve, and whether it takes VMs. */
void fleet_update_host(ClusterCore *core, ClusterHost *host);

/* Sets what `vm` books on its host to what its spec and status now say; on no host, nothing. */
void fleet_book(ClusterCore *core, ClusterVm *vm);
/* The host has come to have other devices: what is booked for VMs that have some is booked anew. */
void fleet_devices_changed(ClusterCore *core, ClusterHost *host);
/* The host may have come to have less than is promised of it. What is too much now is borne until it is less. */
void fleet_tolerate_excess(ClusterCore *core, ClusterHost *host);
/* Has the host promised more than it has, of a dimension of which this wants some, and not only because somebody
 * overstays? */
bool fleet_falls_short(ClusterCore *core, const ClusterHost *host, const Vector *wanted,
                       int *ret_dim);
/* The same, when the host says that it was told `told` last: it may have given the VM that much. */
void fleet_book_told(ClusterCore *core, ClusterVm *vm, const Resources *told);
/* As it was booked before fleet_unbook. */
void fleet_rebook(ClusterCore *core, ClusterVm *vm, Vector booked);
void fleet_unbook(ClusterCore *core, ClusterVm *vm);

/* Preemption (preempt.h). What the VM's leaving gives back: all but its disk. */
Vector fleet_gain(ClusterCore *core, const ClusterVm *vm);
/* What it needs beside what is booked for it, to start again. */
Vector fleet_lacks(ClusterCore *core, const ClusterVm *vm);
/* Has its host done all that is wanted, and is it off? */
bool fleet_is_off(const ClusterVm *vm);
/* Is as much booked as it needs? Of a VM that claims: has it all of its room? */
bool fleet_has_all(const ClusterCore *core, const ClusterVm *vm);
/* Is something free on its host of which it has too little? */
bool fleet_leaves_gap(const ClusterCore *core, const ClusterVm *vm);
/* Is there room for all that it needs, beside the disk that it kept? */
bool fleet_can_resume(ClusterCore *core, const ClusterVm *vm, GError **error);
/* What a VM wants: what it was created with or resized to, and of one that was stopped at its end, its
 * disk. */
Vector fleet_wanted(ClusterCore *core, const ClusterVm *vm);

/* Can the host's reserve be this, beside what is booked? NO_CAPACITY names the dimension. */
bool fleet_can_reserve(ClusterCore *core, const ClusterHost *host, const Resources *reserve,
                       GError **error);

/* Would the VM still fit its host with these resources in place of its own? NO_CAPACITY names the
 * dimension and the amount missing. */
bool fleet_can_grow(ClusterCore *core, const ClusterVm *vm, const Resources *resources,
                    GError **error);

/* A request to the engine, with the storage that it points to. */
typedef struct {
    BerthPlaceRequest request;
    Vector vector;
    uint64_t *allowed;
    uint32_t groups[RULES_MAX_GROUPS], labels[BERTH_PLACE_MAX_LABELS];
    BerthPlaceDevices devices[MAX_DIMENSIONS - N_FIXED];
    double mix[BERTH_PLACE_N_MIXED];
} EngineRequest;

/* What the engine is asked for a spec; it is cleared, also after a failure. It must not be copied: it
 * points into itself. */
bool fleet_request(ClusterCore *core, const char *tenant, const VmSpec *spec,
                   const ClusterHost *only, EngineRequest *ret_request, GError **error);
void fleet_request_clear(EngineRequest *request);

/* Why no host takes a request: NO_CAPACITY. */
void fleet_refuse(ClusterCore *core, const EngineRequest *request, const ClusterHost *only,
                  GError **error);

/* The host for a request by its policy; NULL with NO_CAPACITY, whose message sums up the reasons.
 * `only` (may be NULL) is the one host allowed. Nothing is booked. */
ClusterHost *fleet_find(ClusterCore *core, const char *tenant, const VmSpec *spec,
                        ClusterHost *only, char **ret_why, GError **error);

/* Where `count` VMs of this spec would go, one after another: their hosts, as ClusterHost. Changes
 * nothing. All or NULL with NO_CAPACITY, which says how many fit; then `ret_refusal` (may be NULL)
 * is each host's verdict about the first that does not. */
GPtrArray *fleet_try(ClusterCore *core, const char *tenant, const VmSpec *spec, ClusterHost *only,
                     int64_t count, Explanation **ret_refusal, GError **error);

/* Each host's verdict about the request, were it made now. `chosen` may be NULL. */
Explanation *fleet_explain(ClusterCore *core, const char *tenant, const VmSpec *spec,
                           ClusterHost *only, const ClusterHost *chosen);

/* What all hosts together have, as far as they have said so. */
Vector fleet_total(ClusterCore *core);

/* Is there a host that would take such a VM if it were empty? */
bool fleet_could_hold(ClusterCore *core, const char *tenant, const VmSpec *spec,
                      const ClusterHost *only);

/* Rows of a host's ledger, of LedgerRow. */
GPtrArray *fleet_ledger(ClusterCore *core, const ClusterHost *host);

/* That Σ booked is what hosts and engine say, and that no ledger is overdrawn by placement. */
bool fleet_check(ClusterCore *core, GError **error);
