/*
 * Inner loops over rows of floats, with AVX2 where the processor has it (asked once, at run time).
 * Floats only ever rule out and order; what is decided is decided in integers and doubles.
 */
#pragma once

#include "place/place.h"

#define ROW 32 /* floats a row; loops run over the first `width` of them, a multiple of 8 */

/* What a row of keys is computed from. */
typedef struct {
    BerthPlacePolicy policy;
    uint32_t n_dims;
    uint32_t width;
    const float (*needs)[ROW];             /* for each dimension, of each size */
    float available[BERTH_PLACE_MAX_DIMS]; /* none negative */
    float inverse[BERTH_PLACE_MAX_DIMS];   /* 1 / capacity; 0 without one */
    float n_inverse;                       /* 1 / dimensions with a capacity */
} RowInput;

typedef struct {
    /* The score of each size, rounded, the better the higher; -INFINITY where it does not fit. */
    void (*score)(const RowInput *input, float *ret_row);

    /* to = max(to, row); whether that changed it. */
    bool (*raise)(float *to, const float *row, uint32_t width);

    /* Whether a lane of two rows holds the same finite number. */
    bool (*meet)(const float *a, const float *b, uint32_t width);

    /* The maximum of 16 rows that follow each other. */
    void (*maximum)(const float *rows, float *ret_row, uint32_t width);

    /* The sizes, bit by bit, that no dimension rules out; one that fits is always among them. */
    uint32_t (*fits)(const float (*needs)[ROW], uint32_t n_dims, uint32_t width,
                     const float *available);
} Kernels;

const Kernels *kernels_get(void);

/* How far a key may be from the exact score. */
float kernels_slack(BerthPlacePolicy policy, float key);
