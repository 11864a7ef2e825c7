/*
 * libberth-place: who is served next among tenants that wait.
 *
 * Dominant resource fairness (Ghodsi et al., "Dominant Resource Fairness: Fair Allocation of Multiple
 * Resource Types", NSDI'11). A tenant's share of a dimension is what it uses of it by what the whole
 * fleet has; its dominant share is the largest of these, divided by the tenant's weight. Progressive
 * filling serves the tenant with the smallest dominant share, counts what it got, and asks again.
 *
 * Requests have a priority too, which goes first: of the waiting requests those of the highest priority
 * are served before all others; among them the tenant with the smallest dominant share; among the
 * requests of one tenant the one that has waited longest. What is asked about and does not fit is passed
 * over, and the next is asked about, so a large request does not block small ones.
 *
 *     berth_fair_new(2, (int64_t[]){9000, 18432}, 2, tenants, &fair);
 *     berth_fair_add(fair, 0, 0, 500, 1700000000000);   // request 0 is of tenant 0
 *     …
 *     while (berth_fair_next(fair, &request)) {
 *         if (it fits, and was placed) {
 *             berth_fair_grant(fair, request, vector);
 *         }
 *     }
 *
 * Shares are IEEE doubles: (use / total) / weight, the largest of all dimensions, computed in this order;
 * a dimension that the fleet has nothing of does not count. Equal shares go to the tenant with the
 * smaller number, equal requests to the one with the smaller number.
 *
 * Cost: each question costs a step over the tenants; a request is asked about once.
 *
 * Threads and errors: as in place.h.
 */
#pragma once

#include "place/place.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BERTH_FAIR_MAX_TENANTS (UINT32_C(1) << 20)
#define BERTH_FAIR_MAX_WEIGHT (UINT32_C(1) << 20)

typedef struct BerthFair BerthFair;

typedef struct {
    const int64_t *usage; /* what the tenant has, `n_dims` amounts, none negative */
    uint32_t weight; /* 1 to BERTH_FAIR_MAX_WEIGHT: of two tenants with weights 2 and 1 the first
                             may have twice the other's share before it comes after it */
} BerthFairTenant;

/* The largest share that a use has of a total, by the weight; `ret_dim` (may be NULL): in which
 * dimension, the first of equals; BERTH_PLACE_NONE when nothing is used. */
BERTH_PLACE_API double berth_dominant_share(uint32_t n_dims, const int64_t *usage,
                                            const int64_t *total, uint32_t weight,
                                            uint32_t *ret_dim);

/* Tenants are numbered from 0 in the order given. All is copied. */
BERTH_PLACE_API BerthPlaceResult berth_fair_new(uint32_t n_dims, const int64_t *total,
                                                uint32_t n_tenants, const BerthFairTenant *tenants,
                                                BerthFair **ret_fair);
BERTH_PLACE_API void berth_fair_free(BerthFair *fair);

/* A waiting request, under a number of the caller's. Only before the first berth_fair_next
 * (ERROR_BUSY). `since` is when it began to wait, in any unit. */
BERTH_PLACE_API BerthPlaceResult berth_fair_add(BerthFair *fair, uint32_t request, uint32_t tenant,
                                                int32_t priority, int64_t since);

/* The request to be tried now; false: all have been. */
BERTH_PLACE_API bool berth_fair_next(BerthFair *fair, uint32_t *ret_request);

/* The request that berth_fair_next gave last got this. ERROR_ARGUMENT for any other request, and the
 * second time. */
BERTH_PLACE_API BerthPlaceResult berth_fair_grant(BerthFair *fair, uint32_t request,
                                                  const int64_t *vector);

/* The tenant's dominant share by its weight, with what it was granted since. */
BERTH_PLACE_API double berth_fair_share(const BerthFair *fair, uint32_t tenant);

#ifdef __cplusplus
}
#endif
