/*
 * Packings made in one pass: items one after another into a bin that a policy chooses, or bins one
 * after another, each filled with the items that suit it best.
 */
#include <math.h>
#include <string.h>

#include "place/pack_search.h"
#include "place/score.h"

static inline __attribute__((always_inline)) uint32_t first_fit(const PackProblem *problem,
                                                                const uint32_t *order, uint32_t n,
                                                                uint64_t *rooms, uint32_t n_bins,
                                                                uint32_t *bins, uint32_t w)
{
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t *item = problem->words + (size_t)order[i] * w;
        uint32_t b = 0;

        while (b < n_bins && !pack_fits(item, rooms + (size_t)b * w, problem->guard, w)) {
            b++;
        }
        if (b == n_bins) {
            memcpy(rooms + (size_t)b * w, problem->empty, w * sizeof *rooms);
            n_bins++;
        }
        for (uint32_t k = 0; k < w; k++) {
            rooms[(size_t)b * w + k] -= item[k];
        }
        bins[order[i]] = b;
    }
    return n_bins;
}

uint32_t pack_first_fit(const PackProblem *problem, const uint32_t *order, uint32_t n,
                        uint64_t *rooms, uint32_t n_bins, uint32_t *bins)
{
    switch (problem->n_words) {
    case 1:
        return first_fit(problem, order, n, rooms, n_bins, bins, 1);
    case 2:
        return first_fit(problem, order, n, rooms, n_bins, bins, 2);
    default:
        return first_fit(problem, order, n, rooms, n_bins, bins, problem->n_words);
    }
}

typedef struct {
    PackSearch *search;
    const PackProblem *problem;
    double end_us;   /* filling ends then */
    uint32_t *bins;  /* of each copy; PACK_NONE: not yet */
    uint32_t *order; /* copies to pack one by one, n_order of them */
    uint32_t n_order;
    uint64_t *rooms; /* n_words a bin */
    uint32_t n_bins;
    double *keys; /* of each copy, for sorting */
    PackZone zone;
} Build;

static void put(Build *build, uint32_t item, uint32_t bin)
{
    uint32_t w = build->problem->n_words;

    for (uint32_t k = 0; k < w; k++) {
        build->rooms[(size_t)bin * w + k] -= build->problem->words[(size_t)item * w + k];
    }
    build->bins[item] = bin;
}

static uint32_t open_bin(Build *build)
{
    uint32_t w = build->problem->n_words;

    memcpy(build->rooms + (size_t)build->n_bins * w, build->problem->empty,
           w * sizeof *build->rooms);
    return build->n_bins++;
}

/* How far a load is over the capacity, in shares of it, with `size` added. */
static double excess(const PackProblem *problem, const int64_t *load, const int64_t *size)
{
    double sum = 0;

    for (uint32_t k = 0; k < problem->n_dims; k++) {
        int64_t over = load[k] + size[k] - problem->capacity[k];

        if (over > 0) {
            sum += (double)over / (double)(problem->capacity[k] > 0 ? problem->capacity[k] : 1);
        }
    }
    return sum;
}

/* A bin for an item that is too large for an empty one, with items of negative size that make it
 * room: each time the one that leaves the least excess. False: there are not enough. */
static bool accompany(Build *build, uint32_t item)
{
    const PackProblem *problem = build->problem;
    const int64_t nothing[BERTH_PLACE_MAX_DIMS] = {0};
    int64_t load[BERTH_PLACE_MAX_DIMS];
    uint32_t bin = open_bin(build);

    memcpy(load, pack_size(problem, item), problem->n_dims * sizeof *load);
    put(build, item, bin);
    for (double left = excess(problem, load, nothing); left > 0;) {
        uint32_t chosen = PACK_NONE;

        for (uint32_t i = 0; i < problem->n_items; i++) {
            if (build->bins[i] == PACK_NONE) {
                double then = excess(problem, load, pack_size(problem, i));

                if (then < left) {
                    left = then;
                    chosen = i;
                }
            }
        }
        if (chosen == PACK_NONE) {
            return false;
        }
        for (uint32_t k = 0; k < problem->n_dims; k++) {
            load[k] += pack_size(problem, chosen)[k];
        }
        put(build, chosen, bin);
    }
    return true;
}

/* Everything that does not fit an empty bin by itself gets its company; the rest is for `order`. */
static BerthPlaceResult build_init(Build *build, PackSearch *search, double end_us)
{
    const PackProblem *problem = search->problem;
    uint32_t n = problem->n_items;

    *build = (Build){.search = search, .problem = problem, .end_us = end_us};
    build->bins = pack_zone_get(&build->zone, n, sizeof *build->bins);
    build->order = pack_zone_get(&build->zone, n, sizeof *build->order);
    build->keys = pack_zone_get(&build->zone, n, sizeof *build->keys);
    build->rooms = pack_zone_get(&build->zone, n, problem->n_words * sizeof *build->rooms);
    if (build->zone.failed) {
        return BERTH_PLACE_ERROR_NO_MEMORY;
    }
    memset(build->bins, 0xff, n * sizeof *build->bins);
    for (uint32_t i = 0; i < n; i++) {
        if (build->bins[i] == PACK_NONE &&
            !pack_fits(problem->words + (size_t)i * problem->n_words, problem->empty,
                       problem->guard, problem->n_words) &&
            (!problem->has_negative || !accompany(build, i))) {
            return BERTH_PLACE_NO_HOST;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        if (build->bins[i] == PACK_NONE) {
            build->order[build->n_order++] = i;
        }
    }
    return BERTH_PLACE_OK;
}

/* The product of the shares; a twentieth more each, so that one empty dimension is not all. */
static double product(const PackProblem *problem, uint32_t item)
{
    const float *share = problem->shares + (size_t)item * problem->n_dims;
    double value = 1;

    for (uint32_t k = 0; k < problem->n_dims; k++) {
        value *= share[k] > 0 ? (double)share[k] + 0.05 : 0.05;
    }
    return value;
}

static bool sort_by(Build *build, bool by_product)
{
    const PackProblem *problem = build->problem;

    for (uint32_t i = 0; i < problem->n_items; i++) {
        build->keys[i] = by_product ? product(problem, i) : problem->weights[i];
    }
    return pack_sort_falling(build->order, build->n_order, build->keys);
}

static void build_first_fit(Build *build)
{
    build->n_bins = pack_first_fit(build->problem, build->order, build->n_order, build->rooms,
                                   build->n_bins, build->bins);
}

/* The bin that the policy prefers, by the score of place.h; the first of equals. */
static uint32_t choose(const Build *build, BerthPlacePolicy policy, uint32_t item,
                       const int64_t *available)
{
    const PackProblem *problem = build->problem;
    uint32_t w = problem->n_words, d = problem->n_dims, chosen = PACK_NONE;
    const uint64_t *words = problem->words + (size_t)item * w;
    bool high = berth_place_policy_prefers_high(policy);
    double best = 0;

    for (uint32_t b = 0; b < build->n_bins; b++) {
        if (!pack_fits(words, build->rooms + (size_t)b * w, problem->guard, w)) {
            continue;
        }
        double score = berth_place_score(policy, d, pack_size(problem, item),
                                         available + (size_t)b * d, problem->capacity);
        if (chosen == PACK_NONE || (high ? score > best : score < best)) {
            chosen = b;
            best = score;
        }
    }
    return chosen;
}

static bool build_by_policy(Build *build, BerthPlacePolicy policy)
{
    const PackProblem *problem = build->problem;
    uint32_t d = problem->n_dims;
    int64_t *available = pack_zone_get(&build->zone, problem->n_items, d * sizeof *available);

    if (available == NULL) {
        return false;
    }
    for (size_t i = 0; i < (size_t)problem->n_items * d; i++) {
        available[i] = problem->capacity[i % d];
    }
    for (uint32_t i = 0; i < problem->n_items; i++) {
        for (uint32_t k = 0; build->bins[i] != PACK_NONE && k < d; k++) {
            available[(size_t)build->bins[i] * d + k] -= pack_size(problem, i)[k];
        }
    }
    for (uint32_t i = 0; i < build->n_order; i++) {
        uint32_t item = build->order[i], bin = choose(build, policy, item, available);

        put(build, item, bin == PACK_NONE ? bin = open_bin(build) : bin);
        for (uint32_t k = 0; k < d; k++) {
            available[(size_t)bin * d + k] -= pack_size(problem, item)[k];
        }
    }
    return true;
}

/* Filling one bin after another. */
typedef struct {
    Build *build;
    bool dot, dynamic;
    uint32_t *left, *fitting; /* copies not packed; those of them that fit the bin */
    uint32_t n_left, n_fitting;
    float total[BERTH_PLACE_MAX_DIMS];  /* shares of those not packed */
    float weight[BERTH_PLACE_MAX_DIMS]; /* of each dimension */
    float room[BERTH_PLACE_MAX_DIMS];   /* shares free in the bin */
} Fill;

/* A dimension weighs by its mean demand. */
static void set_weights(Fill *fill)
{
    const PackProblem *problem = fill->build->problem;

    for (uint32_t k = 0; k < problem->n_dims; k++) {
        float mean = fill->total[k] / (float)fill->n_left;

        fill->weight[k] = !fill->dynamic ? (float)problem->mean[k] : mean > 0 ? mean : 0;
    }
}

static float suits(const Fill *fill, uint32_t item)
{
    uint32_t d = fill->build->problem->n_dims;
    const float *share = fill->build->problem->shares + (size_t)item * d;
    float score = 0;

    for (uint32_t k = 0; fill->dot && k < d; k++) {
        score += fill->weight[k] * fill->room[k] * share[k];
    }
    for (uint32_t k = 0; !fill->dot && k < d; k++) {
        float difference = fill->room[k] - share[k];

        score -= fill->weight[k] * difference * difference;
    }
    return score;
}

/* Drops what no longer fits and answers the best of the rest. */
static uint32_t best_fitting(Fill *fill, const uint64_t *rooms)
{
    const PackProblem *problem = fill->build->problem;
    uint32_t w = problem->n_words, n = 0, chosen = PACK_NONE;
    float best = 0;

    for (uint32_t i = 0; i < fill->n_fitting; i++) {
        uint32_t item = fill->fitting[i];

        if (fill->build->bins[item] != PACK_NONE ||
            !pack_fits(problem->words + (size_t)item * w, rooms, problem->guard, w)) {
            continue;
        }
        fill->fitting[n++] = item;
        float score = suits(fill, item);
        if (chosen == PACK_NONE || score > best) {
            chosen = item;
            best = score;
        }
    }
    fill->n_fitting = n;
    return chosen;
}

static void fill_bin(Fill *fill, uint32_t bin)
{
    Build *build = fill->build;
    const PackProblem *problem = build->problem;
    uint32_t d = problem->n_dims, item;

    set_weights(fill);
    memcpy(fill->fitting, fill->left, fill->n_left * sizeof *fill->left);
    fill->n_fitting = fill->n_left;
    for (uint32_t k = 0; k < d; k++) {
        fill->room[k] = 1;
    }
    while ((item = best_fitting(fill, build->rooms + (size_t)bin * problem->n_words)) !=
           PACK_NONE) {
        put(build, item, bin);
        for (uint32_t k = 0; k < d; k++) {
            fill->room[k] -= problem->shares[(size_t)item * d + k];
            fill->total[k] -= problem->shares[(size_t)item * d + k];
        }
    }
}

/* Filling takes the square of the number of items: where time ends, first fit packs what is left. */
static bool build_by_filling(Build *build, bool dot, bool dynamic)
{
    const PackProblem *problem = build->problem;
    Fill fill = {.build = build, .dot = dot, .dynamic = dynamic, .n_left = build->n_order};

    fill.left = build->order;
    fill.fitting = pack_zone_get(&build->zone, problem->n_items, sizeof *fill.fitting);
    if (fill.fitting == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < build->n_order; i++) {
        for (uint32_t k = 0; k < problem->n_dims; k++) {
            fill.total[k] += problem->shares[(size_t)fill.left[i] * problem->n_dims + k];
        }
    }
    while (fill.n_left > 0 && pack_now(build->search) < build->end_us) {
        uint32_t n = 0;

        fill_bin(&fill, open_bin(build));
        for (uint32_t i = 0; i < fill.n_left; i++) {
            if (build->bins[fill.left[i]] == PACK_NONE) {
                fill.left[n++] = fill.left[i];
            }
        }
        fill.n_left = n;
    }
    build->n_order = fill.n_left;
    if (!sort_by(build, false)) {
        return false;
    }
    build_first_fit(build);
    return true;
}

static bool build_with(Build *build, BerthPackMethod method, BerthPackOrder order)
{
    switch (method) {
    case BERTH_PACK_FFD_PROD:
    case BERTH_PACK_FFD_SUM:
        if (!sort_by(build, method == BERTH_PACK_FFD_PROD)) {
            return false;
        }
        build_first_fit(build);
        return true;
    case BERTH_PACK_FILL_DOT:
    case BERTH_PACK_FILL_DOT_DYNAMIC:
        return build_by_filling(build, true, method == BERTH_PACK_FILL_DOT_DYNAMIC);
    case BERTH_PACK_FILL_L2:
    case BERTH_PACK_FILL_L2_DYNAMIC:
        return build_by_filling(build, false, method == BERTH_PACK_FILL_L2_DYNAMIC);
    default:
        if (order == BERTH_PACK_ORDER_DECREASING && !sort_by(build, false)) {
            return false;
        }
        if (method == BERTH_PACK_FIRST_FIT) {
            build_first_fit(build);
            return true;
        }
        return build_by_policy(build, (BerthPlacePolicy)method);
    }
}

BerthPlaceResult pack_construct(PackSearch *search, BerthPackMethod method, BerthPackOrder order,
                                double end_us)
{
    Build build;
    BerthPlaceResult result = build_init(&build, search, end_us);

    if (result == BERTH_PLACE_OK) {
        if (build_with(&build, method, order)) {
            pack_offer(search, build.bins);
        } else {
            result = BERTH_PLACE_ERROR_NO_MEMORY;
        }
    }
    pack_zone_free(&build.zone);
    return result;
}
