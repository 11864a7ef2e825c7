#include "place/scan.h"

#include "place/fragments.h"
#include "place/score.h"

static void refuse(BerthPlaceVerdict *verdict, BerthPlaceReason reason, uint32_t dim,
                   int64_t missing)
{
    verdict->reason = reason;
    verdict->dim = dim;
    verdict->missing = missing;
}

static void refuse_by_rule(const Filter *filter, BerthPlaceVerdict *verdict)
{
    for (uint32_t i = 0; i < filter->n_conditions; i++) {
        const Condition *condition = &filter->conditions[i];
        if (condition->weight == 0 && filter_is_broken(filter, condition, verdict->host)) {
            verdict->reason = BERTH_PLACE_RULE;
            verdict->rule = filter_rule(filter, condition, verdict->host);
            return;
        }
    }
    verdict->penalty = filter_penalty(filter, verdict->host);
}

static void refuse_by_amount(const BerthPlace *place, const int64_t *vector,
                             BerthPlaceVerdict *verdict)
{
    const int64_t *capacity = fleet_capacity(place, verdict->host);
    int64_t available[BERTH_PLACE_MAX_DIMS];

    fleet_available(place, verdict->host, available);
    for (uint32_t d = 0; d < place->n_dims; d++) {
        if (vector[d] > 0 && capacity[d] == 0) {
            refuse(verdict, BERTH_PLACE_LACKS, d, vector[d] - available[d]);
            return;
        }
    }
    for (uint32_t d = 0; d < place->n_dims; d++) {
        if (vector[d] > 0 && vector[d] > available[d]) {
            refuse(verdict, BERTH_PLACE_SHORT, d, vector[d] - available[d]);
            return;
        }
    }
}

static double score(const Filter *filter, uint32_t host)
{
    const BerthPlace *place = filter->place;
    int64_t available[BERTH_PLACE_MAX_DIMS];
    uint64_t chosen;

    if (filter->request->policy == BERTH_PLACE_FRAGMENTATION) {
        return fragments_increase(place, filter->request, host, &chosen);
    }
    fleet_available(place, host, available);
    return score_request(filter->request, place->n_dims, available, fleet_capacity(place, host));
}

void scan_examine(const Filter *filter, uint32_t host, BerthPlaceVerdict *ret_verdict)
{
    const BerthPlace *place = filter->place;
    const BerthPlaceRequest *request = filter->request;

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
    ret_verdict->label = filter_missing_label(filter, host);
    if (ret_verdict->label != BERTH_PLACE_NONE) {
        ret_verdict->reason = BERTH_PLACE_LABEL;
        return;
    }
    ret_verdict->label = 0;
    refuse_by_amount(place, request->vector, ret_verdict);
    if (ret_verdict->reason == BERTH_PLACE_CANDIDATE) {
        ret_verdict->missing = filter_missing_devices(filter, host);
        if (ret_verdict->missing > 0) {
            ret_verdict->reason = BERTH_PLACE_DEVICE;
        }
    }
    if (ret_verdict->reason == BERTH_PLACE_CANDIDATE) {
        refuse_by_rule(filter, ret_verdict);
    }
    if (ret_verdict->reason == BERTH_PLACE_CANDIDATE) {
        ret_verdict->score = score(filter, host);
    }
}

bool scan_is_better(const Filter *filter, const BerthPlaceVerdict *one,
                    const BerthPlaceVerdict *other)
{
    if (one->penalty != other->penalty) {
        return one->penalty < other->penalty;
    }
    if (one->score != other->score) {
        return berth_place_policy_prefers_high(filter->request->policy) ==
               (one->score > other->score);
    }
    return fleet_before(filter->place, one->host, other->host);
}

BerthPlaceVerdict scan_find(const Filter *filter)
{
    const BerthPlace *place = filter->place;
    BerthPlaceVerdict best = {.host = BERTH_PLACE_NONE}, verdict;

    for (uint32_t host = 0; host < place->slots; host++) {
        if (place->states[host] == FLEET_EMPTY) {
            continue;
        }
        scan_examine(filter, host, &verdict);
        if (verdict.reason == BERTH_PLACE_CANDIDATE &&
            (best.host == BERTH_PLACE_NONE || scan_is_better(filter, &verdict, &best))) {
            best = verdict;
        }
    }
    return best;
}

BerthPlaceResult berth_place_examine(const BerthPlace *place, const BerthPlaceRequest *request,
                                     uint32_t host, BerthPlaceVerdict *ret_verdict)
{
    Filter filter;
    BerthPlaceResult result = find_begin(&filter, place, request);

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    if (!fleet_has(place, host)) {
        return BERTH_PLACE_ERROR_UNKNOWN_HOST;
    }
    scan_examine(&filter, host, ret_verdict);
    return BERTH_PLACE_OK;
}

BerthPlaceResult berth_place_explain(const BerthPlace *place, const BerthPlaceRequest *request,
                                     BerthPlaceExplainFunc callback, void *user_data)
{
    Filter filter;
    BerthPlaceResult result = find_begin(&filter, place, request);

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    BerthPlaceVerdict best = scan_find(&filter), verdict;
    for (uint32_t host = 0; host < place->slots; host++) {
        if (place->states[host] == FLEET_EMPTY) {
            continue;
        }
        scan_examine(&filter, host, &verdict);
        if (host == best.host) {
            verdict.reason = BERTH_PLACE_CHOSEN;
        }
        if (!callback(&verdict, user_data)) {
            break;
        }
    }
    return best.host != BERTH_PLACE_NONE ? BERTH_PLACE_OK : BERTH_PLACE_NO_HOST;
}
