/*
 * Accelerators, device by device. Private to src/cluster.
 *
 * A host says which devices it has: each with a model, which is the name of an accelerator, and a number
 * of slices (1: it is only given out whole). The slices of a model add up to a dimension that quotas,
 * policies and the ledger count as any other. Here each device is counted by itself, so that nobody
 * gets two halves for a whole. A plain amount that a host declares is as many devices of one slice.
 *
 * A model is cut alike on every host, so an amount says what is meant anywhere: up to the slices of one
 * device they are slices of one device; more are whole devices, and must be a multiple. A host that cuts a
 * model otherwise than those before it does not offer these devices, and an event says so.
 *
 * A VM holds its devices, by name, from its placement until its host has let go of it, or it is stopped or
 * preempted and off. One that claims (preempt.h) holds those that the preempted are still on; what is
 * free of a device is what nobody holds, and never less than nothing.
 */
#pragma once

#include "cluster/fleet.h"
#include "place/preempt.h"

typedef struct {
    char *id;
    int dim;
    int64_t slices;
} ClusterDevice;

/* What somebody holds, or would, on one host, in the engine's terms; a model each. */
typedef struct {
    uint32_t n;
    BerthPreemptHolding held[MAX_DIMENSIONS - N_FIXED];
} Holdings;

/* Of a host without facts. */
GArray *devices_new(void);
/* After the host's facts have changed, and before it goes. */
void devices_take_facts(ClusterCore *core, ClusterHost *host);
void devices_forget_host(ClusterCore *core, ClusterHost *host);

/* Sets the accelerators of a capacity to what the host's devices add up to. */
void devices_capacity(const ClusterHost *host, Vector *capacity);

/* What an amount of accelerators asks for. INVALID when it is neither slices of one device nor whole ones. `ret_demands`
 * has room for each accelerator. */
bool devices_demands(const ClusterCore *core, const Vector *vector, BerthPlaceDevices *ret_demands,
                     uint32_t *ret_n, GError **error);

/* Is a model in it of which slices are given out? Sums then do not tell whether there is room. */
bool devices_are_cut(const ClusterCore *core, const Vector *vector, const char **ret_model);

/* "3 of the 7 slices of one gpu/a100 and 1 whole fpga/u250". */
char *devices_demands_text(const ClusterCore *core, const BerthPlaceRequest *request);

/* Could the host hold it if it were empty? */
bool devices_could_hold(const ClusterHost *host, const BerthPlaceRequest *request);

/* Of a VM, as far as its host still has them; of a request, from the devices of a decision. */
Holdings devices_of_vm(const ClusterVm *vm);
Holdings devices_of_decision(const ClusterHost *host, const BerthPlaceRequest *request,
                             uint64_t devices);
/* In the engine, for a question. */
void devices_take(ClusterCore *core, const ClusterHost *host, const Holdings *holdings);
void devices_give(ClusterCore *core, const ClusterHost *host, const Holdings *holdings);
/* As a placement has them: of DeviceHeld. */
GPtrArray *devices_name(const ClusterCore *core, const ClusterHost *host, const Holdings *holdings);

/* Those that a request would get on a host now; NULL: they are not free. Empty when it asks for none. */
GPtrArray *devices_choose(const ClusterCore *core, const ClusterHost *host,
                          const BerthPlaceRequest *request);

/* The same of a vector. NULL with INVALID or NO_CAPACITY. */
GPtrArray *devices_find(const ClusterCore *core, const ClusterHost *host, const Vector *vector,
                        GError **error);

/* After a change of its booking: gives up what it needs no more, takes what it needs again. */
void devices_settle(ClusterCore *core, ClusterVm *vm);
/* The engine hears what is free on a host. */
void devices_refresh(ClusterCore *core, const ClusterHost *host);

/* Is all that a claiming VM holds free of others? */
bool devices_are_clear(const ClusterVm *vm);

/* Rows of DeviceRow: each device, what is free of it, and who holds the rest. */
GPtrArray *devices_rows(const ClusterCore *core, const ClusterHost *host);

/* That no device is given out twice, and that VMs hold what they need. */
bool devices_check(const ClusterCore *core, const ClusterHost *host, GError **error);
