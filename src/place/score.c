#include "place/score.h"

#include <float.h>
#include <math.h>
#include <string.h>

_Static_assert(FLT_EVAL_METHOD == 0, "scores need plain IEEE doubles, without excess precision");

typedef struct {
    const char *name;
    bool prefers_high;
} Policy;

static const Policy policies[BERTH_PLACE_N_POLICIES] = {
    [BERTH_PLACE_MOST_FREE] = {"most-free", true},
    [BERTH_PLACE_LEAST_FREE] = {"least-free", false},
    [BERTH_PLACE_FIRST_FIT] = {"first-fit", false},
    [BERTH_PLACE_COSINE] = {"cosine", true},
    [BERTH_PLACE_DOT_PRODUCT] = {"dot-product", true},
    [BERTH_PLACE_L2_DIFF] = {"l2-diff", false},
    [BERTH_PLACE_L2_RATIO] = {"l2-ratio", true},
    [BERTH_PLACE_L2_RATIO_SPREAD] = {"l2-ratio-spread", false},
    [BERTH_PLACE_MIX] = {"mix", true},
    [BERTH_PLACE_FRAGMENTATION] = {"fragmentation", false},
};

static bool is_policy(BerthPlacePolicy policy)
{
    return (unsigned)policy < BERTH_PLACE_N_POLICIES;
}

const char *berth_place_policy_name(BerthPlacePolicy policy)
{
    return is_policy(policy) ? policies[policy].name : NULL;
}

bool berth_place_policy_from_name(const char *name, BerthPlacePolicy *ret_policy)
{
    static const struct {
        const char *name;
        BerthPlacePolicy policy;
    } aliases[] = {{"best-fit", BERTH_PLACE_MOST_FREE}, {"worst-fit", BERTH_PLACE_LEAST_FREE}};

    for (unsigned i = 0; i < BERTH_PLACE_N_POLICIES; i++) {
        if (strcmp(name, policies[i].name) == 0) {
            *ret_policy = (BerthPlacePolicy)i;
            return true;
        }
    }
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++) {
        if (strcmp(name, aliases[i].name) == 0) {
            *ret_policy = aliases[i].policy;
            return true;
        }
    }
    return false;
}

bool berth_place_policy_prefers_high(BerthPlacePolicy policy)
{
    return is_policy(policy) && policies[policy].prefers_high;
}

/* The mean over the host's dimensions of the share that stays free. */
static double share_left_free(uint32_t n_dims, const int64_t *request, const int64_t *available,
                              const int64_t *capacity)
{
    double sum = 0;
    unsigned n = 0;

    for (uint32_t d = 0; d < n_dims; d++) {
        if (capacity[d] > 0) {
            sum += (double)(available[d] - request[d]) / (double)capacity[d];
            n++;
        }
    }
    return sum / n;
}

typedef struct {
    double dot, request_squared, available_squared, difference_squared;
} Products;

/* Sums over the host's dimensions of products of p, the request, and q, what is available, both as
 * shares of the capacity. */
static Products products(uint32_t n_dims, const int64_t *request, const int64_t *available,
                         const int64_t *capacity)
{
    Products sums = {0};

    for (uint32_t d = 0; d < n_dims; d++) {
        if (capacity[d] > 0) {
            double p = (double)request[d] / (double)capacity[d];
            double q = (double)available[d] / (double)capacity[d];
            double difference = p - q;

            sums.dot += p * q;
            sums.request_squared += p * p;
            sums.available_squared += q * q;
            sums.difference_squared += difference * difference;
        }
    }
    return sums;
}

/* The capacity cancels out. Dimensions not asked for add nothing, so none divides by zero. */
static double ratios(uint32_t n_dims, const int64_t *request, const int64_t *available)
{
    double sum = 0;

    for (uint32_t d = 0; d < n_dims; d++) {
        if (request[d] > 0) {
            sum += (double)request[d] / (double)available[d];
        }
    }
    return sum;
}

double berth_place_score(BerthPlacePolicy policy, uint32_t n_dims, const int64_t *request,
                         const int64_t *available, const int64_t *capacity)
{
    Products sums;

    switch (policy) {
    case BERTH_PLACE_MOST_FREE:
    case BERTH_PLACE_LEAST_FREE:
        return share_left_free(n_dims, request, available, capacity);
    case BERTH_PLACE_FIRST_FIT:
        return 0;
    case BERTH_PLACE_COSINE:
        sums = products(n_dims, request, available, capacity);
        return sums.dot / (sqrt(sums.request_squared) * sqrt(sums.available_squared));
    case BERTH_PLACE_DOT_PRODUCT:
        return products(n_dims, request, available, capacity).dot;
    case BERTH_PLACE_L2_DIFF:
        return products(n_dims, request, available, capacity).difference_squared;
    case BERTH_PLACE_L2_RATIO:
    case BERTH_PLACE_L2_RATIO_SPREAD:
        return ratios(n_dims, request, available);
    case BERTH_PLACE_MIX:
        break; /* mixes what is above */
    case BERTH_PLACE_FRAGMENTATION:
        break; /* a score of devices: fragments.h */
    }
    return 0;
}

double score_request(const BerthPlaceRequest *request, uint32_t n_dims, const int64_t *available,
                     const int64_t *capacity)
{
    if (request->policy != BERTH_PLACE_MIX) {
        return berth_place_score(request->policy, n_dims, request->vector, available, capacity);
    }
    double sum = 0;
    for (unsigned i = 0; i < BERTH_PLACE_N_MIXED; i++) {
        if (request->mix[i] > 0) {
            double part = berth_place_score((BerthPlacePolicy)i, n_dims, request->vector, available,
                                            capacity);
            sum += request->mix[i] * (policies[i].prefers_high ? part : -part);
        }
    }
    return sum;
}
