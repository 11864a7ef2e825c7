/*
 * The exhaustive search that an index is compared with, as fast as it can reasonably be: hosts by
 * shape, each dimension an array of floats, eight at a time, 512 to a block that is only looked at
 * exactly when its best can matter. It reads all of the fleet's availability for each request, so
 * memory sets its speed.
 */
#pragma once

#include "place/place.h"

typedef struct SimdScan SimdScan;

/* A picture of a fleet whose hosts are enabled, owe nothing and are ordered by number. */
SimdScan *simd_scan_new(const BerthPlace *place, uint32_t n_hosts);
void simd_scan_free(SimdScan *scan);

/* The host that berth_place_find must choose; BERTH_PLACE_NONE. */
uint32_t simd_scan_find(const SimdScan *scan, BerthPlacePolicy policy, const int64_t *vector);
