#include "place/search.h"

#include <math.h>

#include "place/fragments.h"
#include "place/kernels.h"
#include "place/score.h"

void search_begin(Search *search, Filter *filter)
{
    *search = (Search){
        .filter = filter,
        .is_filtered = !filter_is_open(filter),
        .policy = filter->request->policy,
        .prefers_high = berth_place_policy_prefers_high(filter->request->policy),
        .areas = UINT64_MAX,
        .best.host = BERTH_PLACE_NONE,
        .threshold = -INFINITY,
    };
}

/* Under the policy that looks at devices hosts are only compared with those that have the same. */
static bool score_host(const Search *search, uint32_t host, const int64_t *available,
                       double *ret_score)
{
    const BerthPlace *place = search->filter->place;
    const BerthPlaceRequest *request = search->filter->request;
    uint64_t chosen;

    if (request->policy != BERTH_PLACE_FRAGMENTATION) {
        *ret_score = score_request(request, place->n_dims, available, fleet_capacity(place, host));
        return true;
    }
    if (filter_missing_devices(search->filter, host) > 0) {
        return false;
    }
    *ret_score = fragments_increase(place, request, host, &chosen);
    return true;
}

bool search_score(const Search *search, uint32_t host, double *ret_score)
{
    const BerthPlace *place = search->filter->place;
    const BerthPlaceRequest *request = search->filter->request;
    int64_t available[BERTH_PLACE_MAX_DIMS];

    if (search->is_filtered) {
        filter_fetch_host(search->filter, host);
    }
    fleet_available(place, host, available);
    for (uint32_t d = 0; d < place->n_dims; d++) {
        if (request->vector[d] > 0 && request->vector[d] > available[d]) {
            return false;
        }
    }
    double score;
    if (!score_host(search, host, available, &score)) {
        return false;
    }
    if (search->best.host != BERTH_PLACE_NONE && score != search->best.score &&
        search->prefers_high != (score > search->best.score)) {
        return false;
    }
    *ret_score = score;
    return true;
}

bool search_take(Search *search, uint32_t host, double score)
{
    if (search->is_filtered && !filter_admits_in(search->filter, host, search->areas)) {
        search->refused++;
        return false;
    }
    BerthPlaceVerdict *best = &search->best;
    if (best->host == BERTH_PLACE_NONE || score != best->score ||
        fleet_before(search->filter->place, host, best->host)) {
        best->host = host;
        best->score = score;
        float key = (float)(search->prefers_high ? score : -score);
        search->threshold = key - kernels_slack(search->policy, search->filter->place->n_dims, key);
    }
    return true;
}

void search_try(Search *search, uint32_t host)
{
    double score;

    if (search_score(search, host, &score)) {
        search_take(search, host, score);
    }
}
