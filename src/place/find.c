#include "place/find.h"

#include <math.h>
#include <string.h>

#include "place/fragments.h"
#include "place/index.h"
#include "place/scan.h"

static BerthPlaceResult check_vector(const BerthPlace *place, const int64_t *vector)
{
    int64_t any = 0;

    for (uint32_t d = 0; d < place->n_dims; d++) {
        if (vector[d] < 0 || vector[d] > BERTH_PLACE_MAX_AMOUNT) {
            return BERTH_PLACE_ERROR_AMOUNT;
        }
        any |= vector[d];
    }
    return any != 0 ? BERTH_PLACE_OK : BERTH_PLACE_ERROR_AMOUNT;
}

/* Numbers of groups or labels: few, small, each once. */
static bool are_names_sound(const uint32_t *names, uint32_t n, uint32_t most, uint32_t limit)
{
    if (n > most || (names == NULL && n > 0)) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (names[k] == names[i]) {
                return false;
            }
        }
        if (names[i] >= limit) {
            return false;
        }
    }
    return true;
}

static bool is_mix_sound(const BerthPlaceRequest *request)
{
    double sum = 0;

    if ((request->policy == BERTH_PLACE_MIX) != (request->mix != NULL)) {
        return false;
    }
    for (uint32_t i = 0; request->mix != NULL && i < BERTH_PLACE_N_MIXED; i++) {
        if (!isfinite(request->mix[i]) || request->mix[i] < 0) {
            return false;
        }
        sum += request->mix[i];
    }
    return request->mix == NULL || (sum > 0 && isfinite(sum));
}

/* The sizes of the structs in their first form. */
#define OLD_REQUEST_SIZE offsetof(BerthPlaceRequest, devices)
#define OLD_DECISION_SIZE offsetof(BerthPlaceDecision, devices)

static BerthPlaceResult check_devices(const BerthPlace *place, const BerthPlaceRequest *request)
{
    if (request->policy == BERTH_PLACE_FRAGMENTATION &&
        (place->inventory == NULL || place->inventory->workload == NULL)) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    return inventory_check_demands(request);
}

static BerthPlaceResult check_request(const BerthPlace *place, const BerthPlaceRequest *request)
{
    if (berth_place_policy_name(request->policy) == NULL || request->vector == NULL ||
        (request->banned == NULL && request->banned_count > 0)) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    if (fleet_is_newer(request, request->struct_size, sizeof *request)) {
        return BERTH_PLACE_ERROR_UNSUPPORTED;
    }
    for (uint32_t i = 1; i < request->banned_count; i++) {
        if (request->banned[i - 1] >= request->banned[i]) {
            return BERTH_PLACE_ERROR_ARGUMENT;
        }
    }
    if (!are_names_sound(request->groups, request->n_groups, BERTH_PLACE_MAX_GROUPS,
                         BERTH_PLACE_MAX_GROUP) ||
        !are_names_sound(request->labels, request->n_labels, BERTH_PLACE_MAX_LABELS,
                         BERTH_PLACE_MAX_LABEL) ||
        !is_mix_sound(request)) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    BerthPlaceResult result = check_devices(place, request);
    return result == BERTH_PLACE_OK ? check_vector(place, request->vector) : result;
}

static BerthPlaceResult begin_early(Filter *filter, const BerthPlace *place,
                                    const BerthPlaceRequest *request)
{
    if (request->struct_size < OLD_REQUEST_SIZE) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    if (request->struct_size < sizeof *request) {
        filter->grown = (BerthPlaceRequest){0};
        memcpy(&filter->grown, request, request->struct_size);
        filter->grown.struct_size = sizeof *request;
        request = &filter->grown;
    }
    filter_fetch_groups(place, request);
    BerthPlaceResult result = check_request(place, request);

    if (result == BERTH_PLACE_OK) {
        filter_begin_early(filter, place, request);
    }
    return result;
}

BerthPlaceResult find_begin(Filter *filter, const BerthPlace *place,
                            const BerthPlaceRequest *request)
{
    BerthPlaceResult result = begin_early(filter, place, request);

    if (result == BERTH_PLACE_OK && !filter_settle(filter)) {
        result = BERTH_PLACE_ERROR_ARGUMENT;
    }
    return result;
}

typedef struct {
    Filter *filter;
    BerthPlaceVerdict best;
} Trial;

static void try_candidate(uint32_t host, void *user_data)
{
    Trial *search = user_data;
    BerthPlaceVerdict verdict;

    if (!fleet_has(search->filter->place, host) || !filter_admits(search->filter, host)) {
        return;
    }
    scan_examine(search->filter, host, &verdict);
    if (verdict.reason == BERTH_PLACE_CANDIDATE &&
        (search->best.host == BERTH_PLACE_NONE ||
         scan_is_better(search->filter, &verdict, &search->best))) {
        search->best =
            verdict; /* NOLINT(clang-analyzer-core.uninitialized.Assign): all of it is set */
    }
}

/* The best host on the present step of the ladder. */
static BerthPlaceVerdict find_on_step(Filter *filter)
{
    Trial search = {.filter = filter, .best.host = BERTH_PLACE_NONE};

    if (!filter_each_candidate(filter, try_candidate, &search) &&
        !index_find(filter, &search.best)) {
        for (uint32_t host = 0; host < filter->place->slots; host++) {
            try_candidate(host, &search);
        }
    }
    return search.best;
}

/* The devices that the request gets on a host where it fits. */
static uint64_t choose(const Filter *filter, uint32_t host)
{
    const BerthPlace *place = filter->place;
    const BerthPlaceRequest *request = filter->request;
    uint64_t chosen = 0;

    if (request->devices == NULL) {
        return 0;
    }
    if (request->policy == BERTH_PLACE_FRAGMENTATION) {
        fragments_increase(place, request, host, &chosen);
        return chosen;
    }
    const Bay *bay = inventory_bay(place, host);
    return inventory_tightest(inventory_devices(place, bay), bay->n, request);
}

BerthPlaceResult berth_place_choose_devices(const BerthPlace *place,
                                            const BerthPlaceRequest *request, uint32_t host,
                                            uint64_t *ret_chosen)
{
    Filter filter;
    BerthPlaceResult result = find_begin(&filter, place, request);

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    if (!fleet_has(place, host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    if (filter_missing_devices(&filter, host) > 0) {
        return BERTH_PLACE_NO_HOST;
    }
    *ret_chosen = choose(&filter, host);
    return BERTH_PLACE_OK;
}

BerthPlaceResult berth_place_find(const BerthPlace *place, const BerthPlaceRequest *request,
                                  BerthPlaceDecision *decision)
{
    Filter filter;
    BerthPlaceResult result = begin_early(&filter, place, request);

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    if (decision->struct_size < OLD_DECISION_SIZE) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    BerthPlaceVerdict best;
    do {
        best = find_on_step(&filter);
        if (!filter_settle(&filter)) {
            return BERTH_PLACE_ERROR_ARGUMENT;
        }
    } while (best.host == BERTH_PLACE_NONE && filter_next(&filter));
    if (best.host == BERTH_PLACE_NONE) {
        return BERTH_PLACE_NO_HOST;
    }
    if (filter.request->n_groups > 0) {
        filter_fetch_entry(&filter, best.host);
    }
    decision->host = best.host;
    decision->score = best.score;
    decision->penalty = best.penalty;
    if (decision->struct_size >= sizeof *decision) {
        decision->devices = choose(&filter, best.host);
    }
    return BERTH_PLACE_OK;
}
