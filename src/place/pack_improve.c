/*
 * The improver: what to try, in which order and for how long.
 *
 * All quick packings first; then ejection, which finds most of what there is to find, for a tenth of
 * the time. Where bins hold few items column generation does better from there on, and proves it.
 */
#include <math.h>

#include "place/pack_search.h"

#define EJECT_FIRST 0.1 /* of the budget before column generation */
#define COLUMNS_UNTIL 0.95
#define SEEN_BINS 20000
#define MOST_ROWS 2000
#define FILL_MAX_ITEMS 20000 /* where no clock ends it: filling bins takes the square of it */
#define CONSTRUCT_UNTIL 0.6  /* of the budget */
#define CLIQUE_PAIRS 50      /* for each microsecond of the budget: about a tenth of it */

/* With very many items not all have their turn: none is begun that would not end in time if it took
 * as long as the one before. */
static BerthPlaceResult construct_all(PackSearch *search)
{
    static const BerthPackMethod methods[] = {
        BERTH_PACK_FFD_SUM, BERTH_PACK_FILL_DOT,        BERTH_PACK_FILL_DOT_DYNAMIC,
        BERTH_PACK_FILL_L2, BERTH_PACK_FILL_L2_DYNAMIC, BERTH_PACK_FFD_PROD,
    };
    bool timed = search->options->max_iterations == 0;
    size_t n = timed || search->problem->n_items <= FILL_MAX_ITEMS
                   ? sizeof methods / sizeof methods[0]
                   : 1;
    BerthPlaceResult result = BERTH_PLACE_OK;
    double end_us = CONSTRUCT_UNTIL * search->total_us, took = 0;

    for (size_t i = 0; i < n && result == BERTH_PLACE_OK; i++) {
        double begun = pack_now(search);

        if (i < 1 || pack_goes_on(search, end_us - took)) {
            result = pack_construct(search, methods[i], BERTH_PACK_ORDER_GIVEN, end_us);
            took = pack_now(search) - begun;
        }
    }
    return result;
}

/* Whether column generation is likely to come to its end in time. The first linear program takes
 * some 3 ns for each third power of its rows where bins hold two or three items, and much longer
 * where they hold more. */
static bool columns_pay(const PackSearch *search)
{
    const PackProblem *problem = search->problem;
    double per_bin = (double)problem->n_items / search->n_best, rows = problem->n_kinds;
    double root_us = 0.003 * rows * rows * rows;

    if (problem->has_negative || problem->n_kinds > MOST_ROWS) {
        return false;
    }
    if (per_bin <= 2.6) {
        return root_us <= search->total_us;
    }
    return (per_bin <= 4.6 || rows <= 130) && 8 * root_us <= search->total_us;
}

static void eject_until(PackSearch *search, double end_us, PackSeen *seen)
{
    while (pack_goes_on(search, end_us) && pack_eject_best(search, end_us, seen)) {
    }
}

BerthPlaceResult pack_improve(PackSearch *search)
{
    BerthPlaceResult result = construct_all(search);
    PackSeen seen;

    if (result != BERTH_PLACE_OK) {
        return result;
    }
    pack_simple_bounds(
        search, (uint32_t)fmin(PACK_CLIQUE_MAX_ITEMS, sqrt(CLIQUE_PAIRS * search->total_us)));
    if (!pack_seen_init(&seen, SEEN_BINS, 16 * SEEN_BINS)) {
        result = BERTH_PLACE_ERROR_NO_MEMORY;
    } else if (search->n_best > search->lower_bound) {
        pack_exact(search);
        eject_until(search, EJECT_FIRST * search->total_us, &seen);
        if (columns_pay(search)) {
            pack_columns(search, COLUMNS_UNTIL * search->total_us, &seen);
        }
        eject_until(search, search->total_us, &seen);
    }
    pack_seen_free(&seen);
    return result;
}
