/*
 * The score of one host for one request, as docs/placement.md fixes it. Every index must agree with
 * this bit for bit.
 */
#pragma once

#include "place/place.h"

/* The score under `policy` of a host with this capacity and availability, where the request fits.
 * Pure; never NaN. */
double berth_place_score(BerthPlacePolicy policy, uint32_t n_dims, const int64_t *request,
                         const int64_t *available, const int64_t *capacity);

/* The same for a request, which may mix policies. */
double score_request(const BerthPlaceRequest *request, uint32_t n_dims, const int64_t *available,
                     const int64_t *capacity);
