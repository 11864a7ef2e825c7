/*
 * libberth-place: whom to take away so that a request finds room, when none has it.
 *
 * The caller names, for each host that may be asked, the VMs there that may be taken. The answer is one
 * host and the set of its VMs whose leaving makes room: the best set by
 *
 *     1. the number of VMs, smallest;
 *     2. the highest priority among them, lowest;
 *     3. their ages: of two sets the one whose oldest VM is younger, then the one whose second oldest
 *        is, and so on;
 *     4. the host, in the order of the request's candidates.
 *
 * Room means all that berth_place_find asks for once the victims have left: amounts, labels, the
 * caller's filter, and hard rules, which do not count the victims any more, except those that stay (a VM
 * that is only powered off).
 *
 * The search is exact: sets of one VM on all hosts, then sets of two, …, each in order of preference and
 * cut where the amounts left cannot suffice. `node_limit` bounds the work; when it is reached the best
 * set of what a single pass finds (each host's least valuable VMs until it fits, less those that turned
 * out not to be needed) is taken, and `exact` says so.
 *
 * The fleet is changed while the question is asked and is afterwards as before.
 *
 * Threads and errors: as in place.h.
 */
#pragma once

#include "place/devices.h"
#include "place/rules.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BERTH_PREEMPT_MAX_VICTIMS 32 /* of one answer */

typedef BerthPlaceHolding BerthPreemptHolding;

typedef struct {
    int32_t priority;
    int64_t since;         /* when it began to run; the larger, the younger */
    const int64_t *vector; /* what its leaving gives back; no more than is booked for it */
    bool stays;            /* it only gives back amounts, and rules count it as before */
    uint32_t n_groups;     /* with which it entered and leaves */
    const uint32_t *groups;
    uint32_t n_holdings; /* devices that its leaving gives back */
    const BerthPreemptHolding *holdings;
} BerthPreemptVictim;

typedef struct {
    uint32_t host;
    uint32_t n_victims;
    const BerthPreemptVictim *victims;
} BerthPreemptHost;

typedef struct {
    uint32_t struct_size;
    uint32_t host;
    uint32_t n_victims;                          /* 0: it fits as it is */
    uint32_t victims[BERTH_PREEMPT_MAX_VICTIMS]; /* of the host's, in rising order */
    bool exact;
    uint64_t nodes; /* sets looked at, parts of sets included */
} BerthPreemption;

/* NO_HOST when no set of victims makes room. `node_limit` 0: one million. */
BERTH_PLACE_API BerthPlaceResult berth_place_preempt(
    BerthPlace *place, const BerthPlaceRequest *request, uint32_t n_hosts,
    const BerthPreemptHost *hosts, uint64_t node_limit, BerthPreemption *ret_preemption);

#ifdef __cplusplus
}
#endif
