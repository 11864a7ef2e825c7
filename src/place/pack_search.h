/*
 * What the methods that pack share: the best packing so far, the proven bound, the budget and the
 * dice. Each method is one file with its one idea; pack_improve.c calls them in turn.
 *
 * Time is counted in microseconds: of the caller's clock, or, where a number of iterations limits
 * the search, of work done as each method estimates it. So a choice that depends on how long
 * something took is the same on every machine when iterations count.
 */
#pragma once

#include "place/pack_problem.h"

typedef struct {
    const PackProblem *problem;
    const BerthPackOptions *options;
    uint64_t state[2]; /* of the dice */
    uint64_t begun_ns, told_ns;
    uint64_t work;   /* iterations */
    double total_us; /* the budget */

    uint32_t *best; /* bin of each copy */
    uint32_t n_best;
    uint32_t lower_bound;
    bool no_memory;
    PackZone zone;
} PackSearch;

bool pack_search_init(PackSearch *search, const PackProblem *problem,
                      const BerthPackOptions *options);
void pack_search_free(PackSearch *search);

/* Microseconds since the search began; never less than before. */
double pack_now(PackSearch *search);

/* Counts work. */
static inline void pack_work(PackSearch *search, uint64_t iterations)
{
    search->work += iterations;
}

/* Whether to go on until `end_us`: the bound is not reached, time and memory are left. */
bool pack_goes_on(PackSearch *search, double end_us);

/* Keeps a packing if it has fewer bins: any numbers below n_items, bins renumbered by first copy. */
void pack_offer(PackSearch *search, const uint32_t *bins);

void pack_raise_bound(PackSearch *search, double bound);

/* xorshift128+ (Vigna, "Further scramblings of Marsaglia's xorshift generators", 2017). */
static inline uint64_t pack_random(PackSearch *search)
{
    uint64_t a = search->state[0], b = search->state[1];

    search->state[0] = b;
    a ^= a << 23;
    search->state[1] = a ^ b ^ (a >> 17) ^ (b >> 26);
    return search->state[1] + b;
}

/* The low 32 bits of `random` scaled to [0, n). */
static inline uint32_t pack_scale(uint64_t random, uint32_t n)
{
    return (uint32_t)(((random & UINT32_MAX) * n) >> 32);
}

static inline uint32_t pack_below(PackSearch *search, uint32_t n)
{
    return pack_scale(pack_random(search), n);
}

/* Uniform in [0, 1). */
static inline double pack_uniform(PackSearch *search)
{
    return (double)(pack_random(search) >> 11) * 0x1p-53;
}

/* Copies by falling key, equal keys by number; `order` has the copies to sort. */
bool pack_sort_falling(uint32_t *order, uint32_t n, const double *keys);

/* pack_construct.c: one packing by a method other than BERTH_PACK_IMPROVE. A method that fills bins
 * leaves to first fit what is not packed at `end_us`. */
BerthPlaceResult pack_construct(PackSearch *search, BerthPackMethod method, BerthPackOrder order,
                                double end_us);

/* pack_construct.c: first-fit of `n` copies in this order behind the first `n_bins` bins, whose room
 * is `rooms` (space for n more bins); writes `bins` of these copies and returns the number of bins. */
uint32_t pack_first_fit(const PackProblem *problem, const uint32_t *order, uint32_t n,
                        uint64_t *rooms, uint32_t n_bins, uint32_t *bins);

/* pack_bound.c: bounds that need no search. */
#define PACK_CLIQUE_MAX_ITEMS 20000 /* conflicts take the square of the number of items */
uint32_t pack_volume_bound(const PackProblem *problem);
void pack_simple_bounds(PackSearch *search, uint32_t clique_max_items);

/* pack_ejection.c: guided ejection. Takes a packing of the `n` copies in `items` into `n_bins` bins
 * (numbers below n_bins in `bins`, by copy) and looks for one with a bin less until `end_us`. */
typedef struct PackSeen PackSeen;
bool pack_eject(PackSearch *search, const uint32_t *items, uint32_t n, uint32_t *bins,
                uint32_t n_bins, double end_us, PackSeen *seen);

/* The same for the best packing of all, and offers what it finds. */
bool pack_eject_best(PackSearch *search, double end_us, PackSeen *seen);

/* pack_exact.c: sets of items that fill a bin to the last unit, where all bins have to be full. */
void pack_exact(PackSearch *search);

/* pack_columns.c: column generation with dives, and its bound. Not for sizes below 0. */
void pack_columns(PackSearch *search, double end_us, PackSeen *seen);

/* pack_improve.c: BERTH_PACK_IMPROVE. */
BerthPlaceResult pack_improve(PackSearch *search);

/* pack_search.c: bins that some packing had, as sets of kinds, each kept once. */
struct PackSeen {
    uint32_t *bins;   /* where each begins in `items`; n + 1 of them */
    uint32_t *items;  /* kinds */
    uint32_t n, most; /* bins; how many there is room for */
    uint32_t space;   /* of items */
    uint64_t *hashes; /* open table */
    uint32_t mask;
    PackZone zone;
};

bool pack_seen_init(PackSeen *seen, uint32_t most, uint32_t space);
void pack_seen_free(PackSeen *seen);

/* Adds a bin unless it is there, has one item only, or there is no room. */
void pack_seen_add(PackSeen *seen, const uint32_t *kinds, uint32_t n);
