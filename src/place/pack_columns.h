/*
 * Between column generation (pack_columns.c) and its pricing (pack_pricing.c).
 */
#pragma once

#include "place/pack_master.h"

#define PACK_BIN_MOST 64 /* items of a bin that pricing looks at */

/* What is left to pack: rows are kinds of which there are copies left. */
typedef struct {
    PackSearch *search;
    uint32_t n_rows;
    uint32_t *kind;    /* of each row */
    uint32_t *row;     /* of each kind; PACK_NONE: none left */
    uint32_t *demand;  /* of each row: copies left */
    uint32_t *example; /* a copy of each row */
} PackColumns;

/* Adds for each row the best bin that it begins, if it is worth more than 1; answers how many.
 * `limit` nodes of search each. Whether no search was cut goes to `*ret_exact`; to `*ret_most` what
 * no bin is worth more than, so that value / most bounds the number of bins (Farley, "A note on
 * bounding a class of linear programming problems", 1990). */
uint32_t pack_price(PackColumns *columns, PackMaster *master, uint64_t limit, double end_us,
                    bool *ret_exact, double *ret_most);
