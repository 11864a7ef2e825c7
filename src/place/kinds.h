/*
 * The typical requests of a workload (fragments.h) that have a lane each in the tournament of the policy
 * BERTH_PLACE_FRAGMENTATION: those of the largest weight. The score of a host depends on a request's
 * devices, and on its vector only in the dimensions that some typical request asks for; so a request
 * that is equal in these has the lane's score, whatever else it wants.
 */
#pragma once

#include "place/bank.h"
#include "place/fragments.h"

typedef struct {
    uint32_t n_dims, n;
    bool counts[BERTH_PLACE_MAX_DIMS]; /* dimensions that a typical request asks for */
    int64_t vectors[ROW][BERTH_PLACE_MAX_DIMS];
    BerthPlaceDevices asked[ROW]; /* n = 0: none */
} Kinds;

#define KINDS_NONE UINT32_MAX

void kinds_init(Kinds *kinds, const Workload *workload);

/* The lane of a request, or KINDS_NONE. */
uint32_t kinds_find(const Kinds *kinds, const BerthPlaceRequest *request);

/* The keys of a host: scores below 0, so that the highest key is the best; -INFINITY where it has not what
 * the lane asks for. Other dimensions are not looked at. */
void kinds_row(const Kinds *kinds, const BerthPlace *place, uint32_t host, float *ret_row);

/* Kinds as lanes, rounded up for the kernels. */
static inline uint32_t kinds_width(const Kinds *kinds)
{
    return (kinds->n + 7) / 8 * 8;
}
