/*
 * The linear program of column generation: which bins, taken how often, cover all items at least.
 *
 *     minimize sum x_c   over columns c, subject to   sum a_rc x_c >= demand_r   for each row r
 *
 * A column is a way to fill a bin: rows (kinds of items), repeated as often as they are in it. The
 * primal simplex method with an explicit dense inverse of the basis, which is quick for the few
 * hundred rows that are solved here. Demands are perturbed by some 1e-5 so that it does not stall;
 * the bound comes from the duals, which are of the true demands.
 *
 * Arithmetic is plain double, without fused multiply-add: the same pivots on every machine.
 */
#pragma once

#include "place/pack_search.h"

typedef struct {
    PackSearch *search;
    uint32_t n_rows;
    const uint32_t *demand; /* of each row */

    uint32_t n_columns, most_columns;
    uint32_t *begin;   /* where each column begins in `entries`; n_columns + 1 of them */
    uint32_t *entries; /* rows */
    uint32_t space;    /* of entries */

    double *inverse;   /* n_rows * n_rows, column after column */
    int32_t *basis;    /* a column, or -1 - r for what row r is covered too much */
    double *amount;    /* x of each basic column */
    double *dual;      /* of each row */
    double *direction; /* scratch */
    double value;      /* sum of demand * dual, duals below 0 taken for 0 */
    PackZone zone;
} PackMaster;

/* Begins with a column of one item for each row. `demand` stays the caller's. */
bool pack_master_init(PackMaster *master, PackSearch *search, const uint32_t *demand,
                      uint32_t n_rows, uint32_t most_columns);
void pack_master_free(PackMaster *master);

/* False if there is no room for it. */
bool pack_master_add(PackMaster *master, const uint32_t *rows, uint32_t n);

/* What a column would save: 1 less the duals of its rows. */
double pack_master_reduced_cost(const PackMaster *master, uint32_t column);

/* Pivots until no column improves, or until `end_us`. */
void pack_master_solve(PackMaster *master, double end_us);
