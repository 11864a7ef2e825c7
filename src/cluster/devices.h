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
 * The calendar counts devices too. A VM that ends by itself holds its own there until its release; a slot of a
 * reservation and a promise of the queue hold slices, by name, of devices that are cut, and of whole ones only the sum.
 *
 * A VM holds its devices, by name, from its placement until its host has let go of it, or it is stopped or
 * preempted and off. One that claims (preempt.h) holds those that the preempted are still on, and waits for them to
 * go: of both the more counts, so that what is promised beside them stands.
 *
 * A host may lose devices. What a VM has of a lost one it has by name only: nothing is booked for it, and it has it
 * again when the device is back, which nobody else can have got meanwhile. A device that is cut otherwise when it
 * comes back is another device. How each model is cut is stored, so that a manager that starts again sees the same
 * hosts' devices as the one before.
 */
#pragma once

#include "cluster/fleet.h"
#include "place/preempt.h"

typedef struct {
    char *id;
    const char *model; /* borrowed, for as long as the cluster lasts */
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
/* How models were cut before the manager started: before the first host is taken, and after the last. */
void devices_load_cuts(ClusterCore *core);
void devices_load_finish(ClusterCore *core);

/* Sets the accelerators of a capacity to what the host's devices add up to. */
void devices_capacity(const ClusterHost *host, Vector *capacity);

/* What an amount of accelerators asks for. INVALID when it is neither slices of one device nor whole ones. `ret_demands`
 * has room for each accelerator. */
bool devices_demands(const ClusterCore *core, const Vector *vector, BerthPlaceDevices *ret_demands,
                     uint32_t *ret_n, GError **error);

/* Leaves the demands for devices that are only given out whole out of a question about a time to come. Of them
 * sums say enough, and which ones it will be is open until it starts. */
void devices_ask_cut(const ClusterCore *core, EngineRequest *request);

/* "3 of the 7 slices of one gpu/a100 and 1 whole fpga/u250". */
char *devices_demands_text(const ClusterCore *core, const BerthPlaceRequest *request);

/* Could the host hold it if it were empty? */
bool devices_could_hold(const ClusterHost *host, const BerthPlaceRequest *request);

/* What a commitment of the calendar holds, a device each. */
typedef struct {
    uint32_t n;
    BerthPlaceHolding held[BERTH_PLACE_MAX_DEVICES];
} DevicesCommitted;

/* Of DeviceHeld, without what `less` (may be NULL) has of the same devices. False: the host has not all of them, and
 * they are left out. */
bool devices_committed(const ClusterCore *core, const ClusterHost *host, const GPtrArray *devices,
                       const GPtrArray *less, DevicesCommitted *ret_committed);
/* Takes those of them that the host does not have off an amount. */
void devices_deduct_lost(const ClusterCore *core, const ClusterHost *host, const GPtrArray *devices,
                         Vector *amount);
/* All of a VM, as far as the host still has them. */
DevicesCommitted devices_of_timed(const ClusterVm *vm);
/* Are those of a VM that are cut among these? */
bool devices_cover(const ClusterCore *core, const GPtrArray *devices, const GPtrArray *of_vm);
/* Those of whole devices as they are chosen, and of cut ones as many of `slot` as the request asks for. Takes
 * `chosen`. */
GPtrArray *devices_from_slot(const ClusterCore *core, const GPtrArray *slot,
                             const BerthPlaceRequest *request, GPtrArray *chosen);
/* Those of a decision that are cut, as a promise has them. */
GPtrArray *devices_promised(const ClusterCore *core, const ClusterHost *host,
                            const BerthPlaceRequest *request, uint64_t devices);
/* The way back, for the engine; 0 when the host has not all of them. */
uint64_t devices_chosen(const ClusterCore *core, const ClusterHost *host, const GPtrArray *devices);
/* Adds the slices of a VM to those of each device. */
void devices_add(const ClusterVm *vm, int64_t *slices);
/* Do the VMs on the host leave all of these now? */
bool devices_are_left(const ClusterHost *host, const GPtrArray *devices);
/* Does the VM hold what the calendar has promised to others? */
bool devices_are_owed(const ClusterCore *core, const ClusterVm *vm);
GPtrArray *devices_copy(const GPtrArray *devices);
bool devices_equal(const GPtrArray *one, const GPtrArray *other);
GPtrArray *devices_none(void);

/* Of a VM, as far as its host still has them; of a request, from the devices of a decision. */
Holdings devices_of_vm(const ClusterVm *vm);
Holdings devices_of_decision(const ClusterHost *host, const BerthPlaceRequest *request,
                             uint64_t devices);
/* Has its host lost some of them? Then it has them by name, and again when they are back, and nothing is booked for
 * them until then. What hosts have lost is told when it is so, and not again after a start. */
bool devices_are_lost(const ClusterVm *vm);
void devices_note_lost(const ClusterCore *core, ClusterHost *host);
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

/* For a VM that starts, or waits to, when some of its devices are lost: others of its host, if there are. */
bool devices_can_take_others(ClusterCore *core, ClusterVm *vm, GError **error);
bool devices_take_others(ClusterCore *core, ClusterVm *vm, GError **error);

/* After a change of its booking: gives up what it needs no more, takes what it needs again. */
void devices_settle(ClusterCore *core, ClusterVm *vm);
/* The engine hears what is free on a host. */
void devices_refresh(ClusterCore *core, const ClusterHost *host);

/* Is all that a claiming VM holds free of others, and promised to nobody? */
bool devices_are_clear(const ClusterCore *core, const ClusterVm *vm);

/* Rows of DeviceRow: each device, what is free of it, and who holds the rest. */
GPtrArray *devices_rows(const ClusterCore *core, const ClusterHost *host);

/* That no device is given out twice, and that VMs hold what they need. */
bool devices_check(const ClusterCore *core, const ClusterHost *host, GError **error);
