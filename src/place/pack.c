/*
 * The public side of packing: names, the check of an answer, and the call itself.
 */
#include "place/pack.h"

#include <math.h>
#include <string.h>

#include "place/fleet.h"
#include "place/pack_search.h"

static const struct {
    const char *name;
    BerthPackMethod method;
} methods[] = {
    {"ffd-prod", BERTH_PACK_FFD_PROD}, {"ffd-sum", BERTH_PACK_FFD_SUM},
    {"fill-dot", BERTH_PACK_FILL_DOT}, {"fill-dot-dynamic", BERTH_PACK_FILL_DOT_DYNAMIC},
    {"fill-l2", BERTH_PACK_FILL_L2},   {"fill-l2-dynamic", BERTH_PACK_FILL_L2_DYNAMIC},
    {"improve", BERTH_PACK_IMPROVE},
};

const char *berth_pack_method_name(BerthPackMethod method)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (methods[i].method == method) {
            return methods[i].name;
        }
    }
    return (unsigned)method < BERTH_PLACE_N_MIXED
               ? berth_place_policy_name((BerthPlacePolicy)method)
               : NULL;
}

bool berth_pack_method_from_name(const char *name, BerthPackMethod *ret_method)
{
    BerthPlacePolicy policy;

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (strcmp(methods[i].name, name) == 0) {
            *ret_method = methods[i].method;
            return true;
        }
    }
    if (!berth_place_policy_from_name(name, &policy) || policy >= BERTH_PLACE_N_MIXED) {
        return false;
    }
    *ret_method = (BerthPackMethod)policy;
    return true;
}

static BerthPlaceResult check_options(const BerthPackOptions *options,
                                      const BerthPackAnswer *answer)
{
    if (options->struct_size < sizeof *options || answer->struct_size < sizeof *answer ||
        berth_pack_method_name(options->method) == NULL ||
        (unsigned)options->order > BERTH_PACK_ORDER_DECREASING) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    if (options->method == BERTH_PACK_IMPROVE && options->max_iterations == 0 &&
        (options->clock == NULL || options->budget_ns == 0)) {
        return BERTH_PLACE_ERROR_ARGUMENT;
    }
    return fleet_is_newer(options, options->struct_size, sizeof *options)
               ? BERTH_PLACE_ERROR_UNSUPPORTED
               : BERTH_PLACE_OK;
}

static BerthPlaceResult search_with(PackSearch *search, const BerthPackOptions *options)
{
    if (search->problem->n_items == 0) {
        search->n_best = 0;
        return BERTH_PLACE_OK;
    }
    if (options->method == BERTH_PACK_IMPROVE) {
        return pack_improve(search);
    }
    BerthPlaceResult result = pack_construct(search, options->method, options->order, INFINITY);

    if (result == BERTH_PLACE_OK) {
        pack_simple_bounds(search, PACK_CLIQUE_MAX_ITEMS);
    }
    return result;
}

BerthPlaceResult berth_pack(const BerthPackProblem *problem, const BerthPackOptions *options,
                            uint32_t *ret_bins, BerthPackAnswer *answer)
{
    BerthPlaceResult result = check_options(options, answer);
    PackProblem folded;
    PackSearch search;

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    result = pack_problem_init(&folded, problem);
    if (result == BERTH_PLACE_OK) {
        result = BERTH_PLACE_ERROR_NO_MEMORY;
        if (pack_search_init(&search, &folded, options)) {
            result = search_with(&search, options);
        }
        if (result == BERTH_PLACE_OK && search.no_memory) {
            result = BERTH_PLACE_ERROR_NO_MEMORY;
        }
        if (result == BERTH_PLACE_OK) {
            memcpy(ret_bins, search.best, folded.n_items * sizeof *ret_bins);
            answer->n_bins = search.n_best;
            answer->lower_bound = search.lower_bound;
            answer->iterations = search.work;
        }
        pack_search_free(&search);
    }
    pack_problem_free(&folded);
    return result;
}

/* Loads and uses of the bins, added up copy by copy. */
static const char *add_up(const BerthPackProblem *problem, const uint32_t *bins, uint32_t n_bins,
                          int64_t *loads, bool *used)
{
    uint32_t at = 0;

    for (uint32_t kind = 0; kind < problem->n_kinds; kind++) {
        uint32_t demand = problem->demands == NULL ? 1 : problem->demands[kind];

        for (uint32_t copy = 0; copy < demand; copy++, at++) {
            if (bins[at] >= n_bins) {
                return "an item is in no bin";
            }
            used[bins[at]] = true;
            for (uint32_t k = 0; k < problem->n_dims; k++) {
                loads[(size_t)bins[at] * problem->n_dims + k] +=
                    problem->sizes[(size_t)kind * problem->n_dims + k];
            }
        }
    }
    return NULL;
}

const char *berth_pack_check(const BerthPackProblem *problem, const uint32_t *bins, uint32_t n_bins)
{
    PackZone zone = {0};
    int64_t *loads = pack_zone_get(&zone, n_bins, problem->n_dims * sizeof *loads);
    bool *used = pack_zone_get(&zone, n_bins, sizeof *used);
    const char *wrong = zone.failed ? "no memory to check" : NULL;

    if (wrong == NULL) {
        wrong = add_up(problem, bins, n_bins, loads, used);
    }
    for (uint32_t b = 0; wrong == NULL && b < n_bins; b++) {
        wrong = used[b] ? NULL : "a bin is empty";
        for (uint32_t k = 0; wrong == NULL && k < problem->n_dims; k++) {
            if (loads[(size_t)b * problem->n_dims + k] > problem->capacity[k]) {
                wrong = "a bin is overfull";
            }
        }
    }
    pack_zone_free(&zone);
    return wrong;
}
