/*
 * How much of a host's free devices typical requests could not use, and how much more it would be
 * after a placement: the policy BERTH_PLACE_FRAGMENTATION.
 *
 * Method: Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation
 * Gradient Descent", USENIX ATC 2023. docs/placement.md has the formula.
 *
 * All is whole numbers: a device has FRAGMENT_PARTS parts, which its slices divide evenly for every
 * usual number of them, and requests have whole weights. So sums are exact in any order, and equal
 * hosts have equal scores.
 */
#pragma once

#include "place/inventory.h"

/* Divisible by 1 to 16 and by 1000. */
#define FRAGMENT_PARTS INT64_C(720720000)

/* Increases count in steps of so many parts, a 25th of a device: smaller differences say nothing, and
 * then the order of hosts, which packs, does better. */
#define FRAGMENT_STEP (FRAGMENT_PARTS / 25)

/* Requests that ask for the same devices. */
typedef struct {
    BerthPlaceDevices asked; /* n = 0: none */
    int64_t weight;          /* of all its needs */
    uint32_t first, n;       /* of its needs */
} Ask;

typedef struct Workload {
    uint32_t n_dims;
    uint32_t n_asks, n_needs;
    int64_t weight; /* of all */
    Ask *asks;
    uint32_t *weights; /* of each need */
    int64_t *vectors;  /* of each need, n_dims long */
} Workload;

/* Whether a workload may have this request, whatever else it has. */
BerthPlaceResult workload_check_one(const BerthPlace *place, const BerthPlaceTypical *typical);

/* False when memory runs out. `from` may be NULL. */
bool workload_copy(const Workload *from, Workload **ret_copy);
void workload_free(Workload *workload); /* takes NULL */

/* The fragments on a host as they are, times FRAGMENT_PARTS and the workload's weight. */
int64_t fragments_now(const BerthPlace *place, uint32_t host);

/* By how many steps, rounded up, a placement on a host where it fits raises them, and on which devices, of those that it
 * can have, it does so the least; of equal ones the tightest, then the first. More than one device at
 * once are always the tightest. */
double fragments_increase(const BerthPlace *place, const BerthPlaceRequest *request, uint32_t host,
                          uint64_t *ret_chosen);
