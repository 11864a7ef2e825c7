#include "place/fragments.h"

#include <stdlib.h>
#include <string.h>

#include "place/index.h"
#include "place/journal.h"

void workload_free(Workload *workload)
{
    if (workload != NULL) {
        free(workload->asks);
        free(workload->weights);
        free(workload->vectors);
        free(workload);
    }
}

static Workload *workload_new(uint32_t n_dims, uint32_t n_needs)
{
    Workload *workload = calloc(1, sizeof *workload);

    if (workload == NULL) {
        return NULL;
    }
    workload->n_dims = n_dims;
    workload->asks = calloc(n_needs, sizeof *workload->asks);
    workload->weights = calloc(n_needs, sizeof *workload->weights);
    workload->vectors = calloc((size_t)n_needs * n_dims, sizeof *workload->vectors);
    if (workload->asks == NULL || workload->weights == NULL || workload->vectors == NULL) {
        workload_free(workload);
        return NULL;
    }
    return workload;
}

bool workload_copy(const Workload *from, Workload **ret_copy)
{
    if (from == NULL) {
        *ret_copy = NULL;
        return true;
    }
    Workload *copy = workload_new(from->n_dims, from->n_needs);
    if (copy == NULL) {
        return false;
    }
    copy->n_asks = from->n_asks;
    copy->n_needs = from->n_needs;
    copy->weight = from->weight;
    memcpy(copy->asks, from->asks, from->n_asks * sizeof *copy->asks);
    memcpy(copy->weights, from->weights, from->n_needs * sizeof *copy->weights);
    memcpy(copy->vectors, from->vectors,
           (size_t)from->n_needs * from->n_dims * sizeof *copy->vectors);
    *ret_copy = copy;
    return true;
}

static bool asks_alike(const BerthPlaceDevices *one, const BerthPlaceDevices *other)
{
    return one->n == other->n &&
           (one->n == 0 || (one->slices == other->slices && one->models == other->models));
}

BerthPlaceResult workload_check_one(const BerthPlace *place, const BerthPlaceTypical *typical)
{
    BerthPlaceResult result =
        typical->devices.n > 0 ? inventory_check_asked(&typical->devices) : BERTH_PLACE_OK;

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    if (typical->vector == NULL || typical->weight == 0) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    for (uint32_t d = 0; d < place->n_dims; d++) {
        if (typical->vector[d] < 0 || typical->vector[d] > BERTH_PLACE_MAX_AMOUNT) {
            return BERTH_PLACE_ERROR_AMOUNT;
        }
    }
    return BERTH_PLACE_OK;
}

static BerthPlaceResult check_typical(const BerthPlace *place, const BerthPlaceTypical *typical,
                                      uint32_t n)
{
    uint64_t weight = 0;

    if (n > BERTH_PLACE_MAX_TYPICAL || (typical == NULL && n > 0)) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    for (uint32_t i = 0; i < n; i++) {
        BerthPlaceResult result = workload_check_one(place, &typical[i]);
        if (result != BERTH_PLACE_OK) {
            return result;
        }
        weight += typical[i].weight;
    }
    return weight <= BERTH_PLACE_MAX_WEIGHT ? BERTH_PLACE_OK : BERTH_PLACE_ERROR_AMOUNT;
}

/* Whether an earlier request asks for the same devices. */
static bool is_repeated(const BerthPlaceTypical *typical, uint32_t at)
{
    for (uint32_t i = 0; i < at; i++) {
        if (asks_alike(&typical[i].devices, &typical[at].devices)) {
            return true;
        }
    }
    return false;
}

/* The needs of all requests that ask for what request `at` asks for. */
static void add_ask(Workload *workload, const BerthPlaceTypical *typical, uint32_t n, uint32_t at)
{
    Ask *ask = &workload->asks[workload->n_asks++];

    *ask = (Ask){.first = workload->n_needs};
    if (typical[at].devices.n > 0) {
        ask->asked = typical[at].devices;
    }
    for (uint32_t i = at; i < n; i++) {
        if (asks_alike(&typical[i].devices, &ask->asked)) {
            workload->weights[workload->n_needs] = typical[i].weight;
            memcpy(&workload->vectors[(size_t)workload->n_needs * workload->n_dims],
                   typical[i].vector, workload->n_dims * sizeof *workload->vectors);
            workload->n_needs++;
            ask->weight += typical[i].weight;
        }
    }
    ask->n = workload->n_needs - ask->first;
    workload->weight += ask->weight;
}

BerthPlaceResult berth_place_set_workload(BerthPlace *place, const BerthPlaceTypical *typical,
                                          uint32_t n)
{
    BerthPlaceResult result = check_typical(place, typical, n);
    Workload *workload = NULL;

    if (journal_is_open(place)) {
        return BERTH_PLACE_ERROR_BUSY;
    }
    if (result != BERTH_PLACE_OK || (n == 0 && place->inventory == NULL)) {
        return result;
    }
    if (inventory_ensure(place) == NULL ||
        (n > 0 && (workload = workload_new(place->n_dims, n)) == NULL)) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!is_repeated(typical, i)) {
            add_ask(workload, typical, n, i);
        }
    }
    workload_free(place->inventory->workload);
    place->inventory->workload = workload;
    index_workload_changed(place);
    for (uint32_t host = 0; host < place->slots; host++) {
        if (fleet_has(place, host)) {
            place->inventory->bays[host].fragments = 0;
            inventory_host_changed(place, host);
        }
    }
    return BERTH_PLACE_OK;
}

static bool fits(uint32_t n_dims, const int64_t *vector, const int64_t *available)
{
    for (uint32_t d = 0; d < n_dims; d++) {
        if (vector[d] > 0 && vector[d] > available[d]) {
            return false;
        }
    }
    return true;
}

/* For each ask the weight of the needs whose vectors fit. */
static void weigh(const Workload *workload, const int64_t *available, int64_t *ret_fitting)
{
    for (uint32_t i = 0; i < workload->n_asks; i++) {
        const Ask *ask = &workload->asks[i];
        ret_fitting[i] = 0;
        for (uint32_t k = ask->first; k < ask->first + ask->n; k++) {
            if (fits(workload->n_dims, &workload->vectors[(size_t)k * workload->n_dims],
                     available)) {
                ret_fitting[i] += workload->weights[k];
            }
        }
    }
}

static int64_t parts(const BerthPlaceDevice *device)
{
    return (int64_t)device->free * FRAGMENT_PARTS / device->capacity;
}

/* A request that cannot be served sees all that is free as fragments; one that can, what is free on
 * devices that do not do for it. One that needs no device leaves all of them unused. */
static int64_t count_fragments(const Workload *workload, const int64_t *fitting,
                               const BerthPlaceDevice *devices, uint32_t n)
{
    int64_t part[BERTH_PLACE_MAX_DEVICES], idle = 0, sum = 0;

    for (uint32_t i = 0; i < n; i++) {
        part[i] = parts(&devices[i]);
        idle += part[i];
    }
    for (uint32_t k = 0; k < workload->n_asks; k++) {
        const Ask *ask = &workload->asks[k];
        int64_t useless = 0;
        uint32_t usable = 0;

        for (uint32_t i = 0; i < n && ask->asked.n > 0; i++) {
            if (inventory_is_usable(&devices[i], &ask->asked)) {
                usable++;
            } else {
                useless += part[i];
            }
        }
        if (usable > 0 && usable >= ask->asked.n) {
            sum += fitting[k] * useless + (ask->weight - fitting[k]) * idle;
        } else {
            sum += ask->weight * idle;
        }
    }
    return sum;
}

int64_t fragments_now(const BerthPlace *place, uint32_t host)
{
    const Workload *workload = place->inventory->workload;
    const Bay *bay = inventory_bay(place, host);
    int64_t available[BERTH_PLACE_MAX_DIMS], fitting[BERTH_PLACE_MAX_TYPICAL];

    if (bay->n == 0) {
        return 0;
    }
    fleet_available(place, host, available);
    weigh(workload, available, fitting);
    return count_fragments(workload, fitting, inventory_devices(place, bay), bay->n);
}

static void take(BerthPlaceDevice *devices, uint32_t slices, uint64_t chosen)
{
    for (uint64_t left = chosen; left != 0; left &= left - 1) {
        BerthPlaceDevice *device = &devices[__builtin_ctzll(left)];
        device->free -= slices == BERTH_PLACE_WHOLE ? device->capacity : slices;
    }
}

/* Whether an earlier device would leave the same behind. */
static bool is_tried(const BerthPlaceDevice *devices, uint32_t at)
{
    for (uint32_t i = 0; i < at; i++) {
        if (memcmp(&devices[i], &devices[at], sizeof *devices) == 0) {
            return true;
        }
    }
    return false;
}

/* The fragments after one device was taken, on the device where they are the fewest. */
static int64_t take_best(const Workload *workload, const int64_t *fitting,
                         BerthPlaceDevice *devices, uint32_t n, const BerthPlaceDevices *asked,
                         uint64_t *ret_chosen)
{
    int64_t fewest = INT64_MAX;
    uint32_t best = BERTH_PLACE_NONE;

    for (uint32_t i = 0; i < n; i++) {
        if (!inventory_is_usable(&devices[i], asked) || is_tried(devices, i)) {
            continue;
        }
        BerthPlaceDevice before = devices[i];
        take(devices, asked->slices, UINT64_C(1) << i);
        int64_t after = count_fragments(workload, fitting, devices, n);
        devices[i] = before;
        if (after < fewest || (after == fewest && before.free < devices[best].free)) {
            fewest = after;
            best = i;
        }
    }
    *ret_chosen = best != BERTH_PLACE_NONE ? UINT64_C(1) << best : 0;
    return fewest;
}

static uint64_t of_models(const BerthPlaceDevice *devices, uint32_t n, uint64_t models)
{
    uint64_t found = 0;

    for (uint32_t i = 0; i < n; i++) {
        found |= (models >> devices[i].model & 1) << i;
    }
    return found;
}

double fragments_increase(const BerthPlace *place, const BerthPlaceRequest *request, uint32_t host,
                          uint64_t *ret_chosen)
{
    const Workload *workload = place->inventory->workload;
    const Bay *bay = inventory_bay(place, host);
    BerthPlaceDevice devices[BERTH_PLACE_MAX_DEVICES];
    int64_t available[BERTH_PLACE_MAX_DIMS] = {0}, fitting[BERTH_PLACE_MAX_TYPICAL], after;

    *ret_chosen = 0;
    if (bay->n == 0) {
        return 0;
    }
    fleet_available(place, host, available);
    for (uint32_t d = 0; d < place->n_dims; d++) {
        available[d] -= request->vector[d];
    }
    weigh(workload, available, fitting);
    memcpy(devices, inventory_devices(place, bay), bay->n * sizeof *devices);
    uint32_t demands = inventory_n_demands(request);
    if (demands == 1 && request->devices->n == 1) {
        after = take_best(workload, fitting, devices, bay->n, request->devices, ret_chosen);
    } else {
        *ret_chosen = inventory_tightest(devices, bay->n, request);
        for (uint32_t i = 0; i < demands; i++) {
            take(devices, request->devices[i].slices,
                 *ret_chosen & of_models(devices, bay->n, request->devices[i].models));
        }
        after = count_fragments(workload, fitting, devices, bay->n);
    }
    int64_t increase = after - bay->fragments, step = FRAGMENT_STEP * workload->weight;
    int64_t steps = increase / step + (increase % step > 0);
    return (double)steps;
}

BerthPlaceResult berth_place_fragments(const BerthPlace *place, uint32_t host,
                                       double *ret_fragments)
{
    if (!fleet_has(place, host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    if (place->inventory == NULL || place->inventory->workload == NULL) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    *ret_fragments = (double)inventory_bay(place, host)->fragments /
                     (double)(FRAGMENT_PARTS * place->inventory->workload->weight);
    return BERTH_PLACE_OK;
}
