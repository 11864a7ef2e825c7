/*
 * The exhaustive reference: looks at every host. Slow, short and plainly right; it stays as the
 * oracle that every index is tested against.
 */
#include "place/filter.h"
#include "place/score.h"

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

static BerthPlaceResult check_request(const BerthPlace *place, const BerthPlaceRequest *request)
{
    if (request->struct_size < sizeof *request ||
        berth_place_policy_name(request->policy) == NULL || request->vector == NULL ||
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
    return check_vector(place, request->vector);
}

static void refuse(BerthPlaceVerdict *verdict, BerthPlaceReason reason, uint32_t dim,
                   int64_t missing)
{
    verdict->reason = reason;
    verdict->dim = dim;
    verdict->missing = missing;
}

/* The first reason against a host that exists, or its score. */
static void examine(const Filter *filter, uint32_t host, BerthPlaceVerdict *ret_verdict)
{
    const BerthPlace *place = filter->place;
    const BerthPlaceRequest *request = filter->request;
    const int64_t *capacity = fleet_capacity(place, host);
    const int64_t *available = fleet_available(place, host);
    const int64_t *vector = request->vector;

    *ret_verdict = (BerthPlaceVerdict){.host = host, .reason = BERTH_PLACE_CANDIDATE};
    if (place->states[host] == FLEET_DISABLED) {
        ret_verdict->reason = BERTH_PLACE_DISABLED;
        return;
    }
    if (!filter_is_allowed(filter, host)) {
        ret_verdict->reason = BERTH_PLACE_NOT_ALLOWED;
        return;
    }
    if (filter_is_banned(filter, host)) {
        ret_verdict->reason = BERTH_PLACE_BANNED;
        return;
    }
    for (uint32_t d = 0; d < place->n_dims; d++) {
        if (vector[d] > 0 && capacity[d] == 0) {
            refuse(ret_verdict, BERTH_PLACE_LACKS, d, vector[d] - available[d]);
            return;
        }
    }
    for (uint32_t d = 0; d < place->n_dims; d++) {
        if (vector[d] > 0 && vector[d] > available[d]) {
            refuse(ret_verdict, BERTH_PLACE_SHORT, d, vector[d] - available[d]);
            return;
        }
    }
    ret_verdict->score =
        berth_place_score(request->policy, place->n_dims, vector, available, capacity);
}

static bool is_better(const BerthPlace *place, BerthPlacePolicy policy,
                      const BerthPlaceVerdict *one, const BerthPlaceVerdict *other)
{
    if (one->score != other->score) {
        return berth_place_policy_prefers_high(policy) == (one->score > other->score);
    }
    return fleet_before(place, one->host, other->host);
}

/* The best candidate, its host BERTH_PLACE_NONE when there is none. */
static BerthPlaceVerdict scan(const Filter *filter)
{
    const BerthPlace *place = filter->place;
    BerthPlaceVerdict best = {.host = BERTH_PLACE_NONE}, verdict;

    for (uint32_t host = 0; host < place->slots; host++) {
        if (place->states[host] == FLEET_EMPTY) {
            continue;
        }
        examine(filter, host, &verdict);
        if (verdict.reason == BERTH_PLACE_CANDIDATE &&
            (best.host == BERTH_PLACE_NONE ||
             is_better(place, filter->request->policy, &verdict, &best))) {
            best = verdict;
        }
    }
    return best;
}

BerthPlaceResult berth_place_find(const BerthPlace *place, const BerthPlaceRequest *request,
                                  BerthPlaceDecision *decision)
{
    BerthPlaceResult result = check_request(place, request);

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    if (decision->struct_size < sizeof *decision) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    Filter filter;
    filter_begin(&filter, place, request);
    BerthPlaceVerdict best = scan(&filter);
    if (best.host == BERTH_PLACE_NONE) {
        return BERTH_PLACE_NO_HOST;
    }
    decision->host = best.host;
    decision->score = best.score;
    return BERTH_PLACE_OK;
}

BerthPlaceResult berth_place_examine(const BerthPlace *place, const BerthPlaceRequest *request,
                                     uint32_t host, BerthPlaceVerdict *ret_verdict)
{
    BerthPlaceResult result = check_request(place, request);

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    if (!fleet_has(place, host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    Filter filter;
    filter_begin(&filter, place, request);
    examine(&filter, host, ret_verdict);
    return BERTH_PLACE_OK;
}

BerthPlaceResult berth_place_explain(const BerthPlace *place, const BerthPlaceRequest *request,
                                     BerthPlaceExplainFunc callback, void *user_data)
{
    BerthPlaceResult result = check_request(place, request);

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    Filter filter;
    filter_begin(&filter, place, request);
    BerthPlaceVerdict best = scan(&filter), verdict;
    for (uint32_t host = 0; host < place->slots; host++) {
        if (place->states[host] == FLEET_EMPTY) {
            continue;
        }
        examine(&filter, host, &verdict);
        if (host == best.host) {
            verdict.reason = BERTH_PLACE_CHOSEN;
        }
        if (!callback(&verdict, user_data)) {
            break;
        }
    }
    return best.host != BERTH_PLACE_NONE ? BERTH_PLACE_OK : BERTH_PLACE_NO_HOST;
}
