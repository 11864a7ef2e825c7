#include "place/kinds.h"

#include <math.h>
#include <string.h>

/* The need of the largest weight of those after another, in the order of weights and numbers. */
static uint32_t next_need(const Workload *workload, uint32_t after)
{
    uint32_t best = KINDS_NONE, limit = after != KINDS_NONE ? workload->weights[after] : UINT32_MAX;

    for (uint32_t i = 0; i < workload->n_needs; i++) {
        uint32_t weight = workload->weights[i];
        bool is_after = after == KINDS_NONE || weight < limit || (weight == limit && i > after);
        if (is_after && (best == KINDS_NONE || weight > workload->weights[best])) {
            best = i;
        }
    }
    return best;
}

static const BerthPlaceDevices *asked_by(const Workload *workload, uint32_t need)
{
    uint32_t i = 0;

    while (need >= workload->asks[i].first + workload->asks[i].n) {
        i++;
    }
    return &workload->asks[i].asked;
}

void kinds_init(Kinds *kinds, const Workload *workload)
{
    uint32_t n_dims = workload->n_dims;

    *kinds = (Kinds){.n_dims = n_dims};
    for (size_t i = 0; i < (size_t)workload->n_needs * n_dims; i++) {
        kinds->counts[i % n_dims] |= workload->vectors[i] > 0;
    }
    for (uint32_t need = next_need(workload, KINDS_NONE); need != KINDS_NONE && kinds->n < ROW;
         need = next_need(workload, need)) {
        memcpy(kinds->vectors[kinds->n], workload->vectors + (size_t)need * n_dims,
               n_dims * sizeof *workload->vectors);
        kinds->asked[kinds->n++] = *asked_by(workload, need);
    }
}

static bool is_of_kind(const Kinds *kinds, uint32_t lane, const BerthPlaceRequest *request)
{
    const BerthPlaceDevices *asked = &kinds->asked[lane], *devices = request->devices;
    bool is_alike = inventory_n_demands(request) == (asked->n > 0);

    if (is_alike && devices != NULL) {
        is_alike = devices->n == asked->n && devices->slices == asked->slices &&
                   devices->models == asked->models;
    }
    for (uint32_t d = 0; d < kinds->n_dims && is_alike; d++) {
        is_alike = !kinds->counts[d] || request->vector[d] == kinds->vectors[lane][d];
    }
    return is_alike;
}

uint32_t kinds_find(const Kinds *kinds, const BerthPlaceRequest *request)
{
    for (uint32_t lane = 0; lane < kinds->n; lane++) {
        if (is_of_kind(kinds, lane, request)) {
            return lane;
        }
    }
    return KINDS_NONE;
}

static bool fits(const BerthPlace *place, const BerthPlaceRequest *request, uint32_t host,
                 const int64_t *available)
{
    for (uint32_t d = 0; d < place->n_dims; d++) {
        if (request->vector[d] > 0 && request->vector[d] > available[d]) {
            return false;
        }
    }
    return inventory_missing(place, request, host) == 0;
}

void kinds_row(const Kinds *kinds, const BerthPlace *place, uint32_t host, float *ret_row)
{
    int64_t available[BERTH_PLACE_MAX_DIMS];
    uint64_t chosen;

    fleet_available(place, host, available);
    for (uint32_t lane = 0; lane < ROW; lane++) {
        const BerthPlaceRequest request = {.vector = kinds->vectors[lane],
                                           .devices = kinds->asked[lane].n > 0 ? &kinds->asked[lane]
                                                                               : NULL};
        ret_row[lane] = lane < kinds->n && fits(place, &request, host, available)
                            ? -(float)fragments_increase(place, &request, host, &chosen)
                            : -INFINITY;
    }
}
