/*
 * Packing a batch: the fewest equal bins that hold a set of vectors (vector bin packing).
 *
 * The batch companion of place.h, of the same library, with its conventions: plain C, no globals,
 * no clock and no randomness of its own. Amounts are whole numbers in the caller's units, so that
 * no bin is ever overfull by rounding. Sizes may be negative, as .vbp files allow: an item that
 * brings room. Then only what is in a bin in the end counts, not the order in which it came.
 *
 *     BerthPackProblem problem = {.struct_size = sizeof problem, .n_dims = 2, .n_kinds = 2,
 *                                 .capacity = (int64_t[]){10, 10},
 *                                 .sizes = (int64_t[]){6, 3, 4, 7},
 *                                 .demands = (uint32_t[]){5, 5}};
 *     BerthPackOptions options = {.struct_size = sizeof options, .method = BERTH_PACK_IMPROVE,
 *                                 .max_iterations = 100000};
 *     uint32_t bins[10];
 *     BerthPackAnswer answer = {.struct_size = sizeof answer};
 *     berth_pack(&problem, &options, bins, &answer);   // answer.n_bins == 5
 *
 * A kind of item is a vector and how often it is wanted. Copies are numbered kind after kind: with
 * demands 5 and 5, copies 0 to 4 are of kind 0, 5 to 9 of kind 1. The assignment has one bin number
 * for each copy; bins are numbered from 0 in the order of their first copy, and none is empty.
 *
 * Every answer comes with a proven lower bound: no packing has fewer bins. Where both are equal the
 * answer is optimal. docs/placement.md has the methods and their sources.
 *
 * Errors, struct_size and compatibility are as in place.h; an assignment is written only on success.
 * BERTH_PLACE_NO_HOST says that an item fits in no bin.
 *
 * Threads: pure functions; several may run at once on the same problem.
 */
#pragma once

#include "place/place.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BERTH_PACK_MAX_ITEMS (UINT32_C(1) << 20) /* copies in all */

typedef struct {
    uint32_t struct_size;
    uint32_t n_dims;         /* 1 to BERTH_PLACE_MAX_DIMS */
    uint32_t n_kinds;        /* 0: nothing to pack, no bins */
    const int64_t *capacity; /* of each bin, n_dims, 0 to BERTH_PLACE_MAX_AMOUNT */
    const int64_t *sizes;    /* n_dims a kind, kind after kind, the maximum in magnitude as above */
    const uint32_t *demands; /* a kind; NULL: one of each. 0 is none */
} BerthPackProblem;

/* How to pack. The first eight are the policies of place.h, which choose a bin for each item in
 * turn: the new bin counts as a candidate only when no other takes the item. */
typedef enum {
    BERTH_PACK_MOST_FREE = BERTH_PLACE_MOST_FREE,
    BERTH_PACK_LEAST_FREE = BERTH_PLACE_LEAST_FREE,
    BERTH_PACK_FIRST_FIT = BERTH_PLACE_FIRST_FIT,
    BERTH_PACK_COSINE = BERTH_PLACE_COSINE,
    BERTH_PACK_DOT_PRODUCT = BERTH_PLACE_DOT_PRODUCT,
    BERTH_PACK_L2_DIFF = BERTH_PLACE_L2_DIFF,
    BERTH_PACK_L2_RATIO = BERTH_PLACE_L2_RATIO,
    BERTH_PACK_L2_RATIO_SPREAD = BERTH_PLACE_L2_RATIO_SPREAD,

    BERTH_PACK_FFD_PROD = 100, /* first-fit, decreasing by the product of the shares */
    BERTH_PACK_FFD_SUM = 101,  /* first-fit, decreasing by their weighted sum */

    /* One bin after another: the item of the best score goes in until none fits. Dimensions weigh
     * by the mean share of the items; "dynamic": of those still to pack. */
    BERTH_PACK_FILL_DOT = 102,
    BERTH_PACK_FILL_DOT_DYNAMIC = 103,
    BERTH_PACK_FILL_L2 = 104,
    BERTH_PACK_FILL_L2_DYNAMIC = 105,

    BERTH_PACK_IMPROVE = 106, /* the best of several of these, then search within the budget */
} BerthPackMethod;

/* "ffd-prod", "fill-dot-dynamic", "improve", the names of place.h …; NULL if there is no such. */
BERTH_PLACE_API const char *berth_pack_method_name(BerthPackMethod method);

/* The method of a name, synonyms of place.h included; false when there is none. */
BERTH_PLACE_API bool berth_pack_method_from_name(const char *name, BerthPackMethod *ret_method);

/* The order in which the policies of place.h see the items; the other methods have their own. */
typedef enum {
    BERTH_PACK_ORDER_GIVEN = 0,
    BERTH_PACK_ORDER_DECREASING = 1, /* by the weighted sum of the shares, as ffd-sum */
} BerthPackOrder;

/* Nanoseconds from any origin, not running backwards. */
typedef uint64_t (*BerthPackClockFunc)(void *user_data);

typedef struct {
    uint32_t struct_size;
    BerthPackMethod method;
    BerthPackOrder order;

    /* For BERTH_PACK_IMPROVE, which ends when the bound is reached or a budget is used up, and needs
     * at least one of the two. With a number of iterations the same seed gives the same answer on
     * every machine, unless the clock ends it before. An iteration is about a microsecond. */
    uint64_t seed;
    uint64_t max_iterations;  /* 0: no limit */
    BerthPackClockFunc clock; /* NULL: none */
    uint64_t budget_ns;       /* of the clock, from the call on */

    /* Called at times while it improves, and at each better packing; NULL: not. */
    void (*progress)(uint32_t n_bins, uint32_t lower_bound, void *user_data);
    void *user_data; /* of clock and progress */
} BerthPackOptions;

typedef struct {
    uint32_t struct_size;
    uint32_t n_bins;
    uint32_t lower_bound; /* proven: no packing has fewer bins */
    uint64_t iterations;  /* of the improver, in the unit of max_iterations */
} BerthPackAnswer;

/* How many copies a problem has: the length of an assignment. */
BERTH_PLACE_API BerthPlaceResult berth_pack_n_items(const BerthPackProblem *problem,
                                                    uint32_t *ret_n_items);

/* Packs. `ret_bins` has a place for each copy. */
BERTH_PLACE_API BerthPlaceResult berth_pack(const BerthPackProblem *problem,
                                            const BerthPackOptions *options, uint32_t *ret_bins,
                                            BerthPackAnswer *answer);

/* NULL, or what is wrong with an assignment of a sound problem: computed from the problem alone,
 * apart from everything that packs. */
BERTH_PLACE_API const char *berth_pack_check(const BerthPackProblem *problem, const uint32_t *bins,
                                             uint32_t n_bins);

#ifdef __cplusplus
}
#endif
