/*
 * A packing problem as the library's own files see it: one entry for each copy of an item, and each
 * vector folded into a few machine words so that a fit is tested in a handful of instructions.
 *
 * Folding: each dimension has a lane of w bits in one of the words; a vector's word is the sum of
 * v_k * 2^shift_k, negative v_k included. A bin's word is that of its free room plus the guard,
 * 2^(w-1) in each lane. The difference then has a lane's top bit set exactly where the item fits,
 * because w is chosen so that no lane can leave [0, 2^w). Five dimensions of capacity 1000 are one
 * word, ten are two: one subtraction tests what would fill a SIMD register otherwise. Equal words
 * are equal vectors, so that exact fits can be looked up by their words. (Lamport, "Multiple byte
 * processing with full-word instructions", 1975.)
 *
 * Dimensions that can never bind (all positive sizes together fit one bin) have no lane.
 */
#pragma once

#include <stdlib.h>

#include "place/pack.h"

#define PACK_MAX_WORDS BERTH_PLACE_MAX_DIMS
#define PACK_NONE UINT32_MAX

/* Allocations of one stage, freed together. A failure is remembered, so that a stage looks once. */
typedef struct PackBlock PackBlock;
typedef struct {
    PackBlock *blocks;
    bool failed;
} PackZone;

void *pack_zone_get(PackZone *zone, size_t count, size_t size); /* zeroed */
void pack_zone_free(PackZone *zone);

typedef struct {
    uint32_t n_dims;
    uint32_t n_items;  /* copies */
    uint32_t n_kinds;  /* different vectors */
    uint32_t n_words;  /* of a vector, at least 1 */
    bool has_negative; /* taking an item out can overfill a bin */
    const int64_t *capacity;
    const int64_t *sizes; /* the caller's, by the caller's kind */
    uint32_t *given;      /* the caller's kind of each copy */
    uint32_t *kind;       /* of each copy: equal for equal vectors, whatever the caller's kind */
    uint32_t *example;    /* a copy of each kind */
    uint32_t *demand;     /* copies of each kind */
    uint64_t *words;      /* n_words a copy */
    uint64_t guard[PACK_MAX_WORDS];
    uint64_t empty[PACK_MAX_WORDS]; /* capacity plus guard */
    float *shares; /* n_dims a copy: size / capacity; 0 where there is no capacity */
    double mean[BERTH_PLACE_MAX_DIMS]; /* mean share, at least 0 */
    double *weights;                   /* of a copy: sum of mean * share */
    PackZone zone;
} PackProblem;

static inline const int64_t *pack_size(const PackProblem *problem, uint32_t item)
{
    return problem->sizes + (size_t)problem->given[item] * problem->n_dims;
}

/* Whether an item fits a bin of this room; `w` is n_words, a constant in the hot loops. */
static inline bool pack_fits(const uint64_t *item, const uint64_t *room, const uint64_t *guard,
                             uint32_t w)
{
    uint64_t missing = 0;

    for (uint32_t i = 0; i < w; i++) {
        /* As many words as were filled: NOLINTNEXTLINE(clang-analyzer-core.*) */
        missing |= ~(room[i] - item[i]) & guard[i];
    }
    return missing == 0;
}

/* Checks and folds; the problem refers to the caller's arrays. Freed by pack_problem_free, also
 * after a failure. */
BerthPlaceResult pack_problem_init(PackProblem *problem, const BerthPackProblem *given);
void pack_problem_free(PackProblem *problem);
