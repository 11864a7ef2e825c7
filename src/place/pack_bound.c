/*
 * Lower bounds that need no search.
 *
 * Volume: in each dimension all items together fill so many bins. L2 (Martello and Toth, "Lower
 * bounds and reduction procedures for the bin packing problem", 1990), in each dimension alone:
 * items over half a bin cannot meet, and what is left beside them holds only so much of the others.
 * Conflicts: items of which no two fit one bin need a bin each; such a set is grown greedily. The
 * last two do not hold where sizes are negative, as a third item can make room for two.
 */
#include <string.h>

#include "place/pack_search.h"

uint32_t pack_volume_bound(const PackProblem *problem)
{
    uint32_t bound = problem->n_items > 0 ? 1 : 0;

    for (uint32_t k = 0; k < problem->n_dims; k++) {
        int64_t sum = 0, of = problem->capacity[k];

        for (uint32_t i = 0; i < problem->n_items; i++) {
            sum += pack_size(problem, i)[k];
        }
        if (of > 0 && sum > 0) {
            int64_t bins = (sum - 1) / of + 1;

            bound = bins > bound ? (uint32_t)bins : bound;
        }
    }
    return bound;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? 1 : x > y ? -1 : 0;
}

/* L2 of sizes in falling order. For each size s up to half a bin: items over `of - s` are alone as
 * far as those of size s and more go, items over a half are apart, and the middle ones fill up. */
static uint32_t l2(const int64_t *sizes, uint32_t n, int64_t of)
{
    uint32_t bound = 0, alone = 0, apart = 0;
    int64_t apart_sum = 0, alone_sum = 0, middle_sum = 0;

    while (apart < n && 2 * sizes[apart] > of) {
        apart_sum += sizes[apart++];
    }
    bound = alone = apart;
    alone_sum = apart_sum;
    for (uint32_t i = apart; i < n && sizes[i] > 0; i++) {
        middle_sum += sizes[i];
        while (alone > 0 && sizes[alone - 1] <= of - sizes[i]) {
            alone_sum -= sizes[--alone];
        }
        int64_t beside = (int64_t)(apart - alone) * of - (apart_sum - alone_sum);
        int64_t more = middle_sum > beside ? (middle_sum - beside - 1) / of + 1 : 0;

        bound = apart + (uint32_t)more > bound ? apart + (uint32_t)more : bound;
    }
    return bound;
}

static bool conflict(const PackProblem *problem, const uint64_t *a, const uint64_t *b)
{
    uint64_t room[PACK_MAX_WORDS];

    for (uint32_t k = 0; k < problem->n_words; k++) {
        room[k] = problem->empty[k] - a[k];
    }
    return !pack_fits(b, room, problem->guard, problem->n_words);
}

/* Items of which no two meet: the candidate that conflicts with most others, again and again. */
static uint32_t clique(const PackProblem *problem, uint32_t *left, uint32_t *degree, uint32_t n)
{
    uint32_t w = problem->n_words, size = 0;

    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (conflict(problem, problem->words + (size_t)i * w, problem->words + (size_t)j * w)) {
                degree[i]++;
                degree[j]++;
            }
        }
        left[i] = i;
    }
    while (n > 0) {
        uint32_t chosen = left[0], kept = 0;

        for (uint32_t i = 1; i < n; i++) {
            chosen = degree[left[i]] > degree[chosen] ? left[i] : chosen;
        }
        for (uint32_t i = 0; i < n; i++) {
            if (left[i] != chosen && conflict(problem, problem->words + (size_t)left[i] * w,
                                              problem->words + (size_t)chosen * w)) {
                left[kept++] = left[i];
            }
        }
        n = kept;
        size++;
    }
    return size;
}

void pack_simple_bounds(PackSearch *search, uint32_t clique_max_items)
{
    const PackProblem *problem = search->problem;
    uint32_t n = problem->n_items;
    PackZone zone = {0};

    if (problem->has_negative || search->n_best <= search->lower_bound) {
        return;
    }
    int64_t *sizes = pack_zone_get(&zone, n, sizeof *sizes);
    uint32_t *left = pack_zone_get(&zone, n, sizeof *left);
    uint32_t *degree = pack_zone_get(&zone, n, sizeof *degree);

    for (uint32_t k = 0; !zone.failed && k < problem->n_dims; k++) {
        if (problem->capacity[k] > 0) {
            for (uint32_t i = 0; i < n; i++) {
                sizes[i] = pack_size(problem, i)[k];
            }
            qsort(sizes, n, sizeof *sizes, compare);
            pack_raise_bound(search, l2(sizes, n, problem->capacity[k]));
        }
    }
    if (!zone.failed && n <= clique_max_items) {
        pack_raise_bound(search, clique(problem, left, degree, n));
    }
    search->no_memory |= zone.failed;
    pack_zone_free(&zone);
}
