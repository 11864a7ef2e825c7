/*
 * Inner loops over rows of floats, with AVX2 where the processor has it (asked once, at run time).
 * Floats only ever rule out and order; what is decided is decided in integers and doubles.
 */
#pragma once

#include "place/place.h"

#define ROW 32 /* floats a row; loops run over the first `width` of them, a multiple of 8 */

#define KERNELS_STEPS 32

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

/* Coordinates of the forest: the root of a share of the capacity, in 16 bits. Bounds of the share: */
#define SHARE_STEP (1.F / 65535)

static inline float kernels_share_low(int16_t coordinate)
{
    float root = ((float)coordinate + 32767.95F) * SHARE_STEP;

    return root > 0 ? root * root : 0;
}

static inline float kernels_share_high(int16_t coordinate)
{
    float root = ((float)coordinate + 32769.05F) * SHARE_STEP;

    return root * root;
}

/* Of many hosts the sums of the shares differ by less than the coordinates tell. So points of the family
 * of sums have one coordinate more, behind the others: how far the sum itself is below that of the upper
 * bounds of the shares, in so many parts of the furthest that it can be. */
static inline float kernels_depth_step(uint32_t n_dims)
{
    return (float)n_dims * 3.5e-5F / 65535;
}

/* What the sum is at least and at most, by that of the upper bounds: the slack covers floats. */
#define DEPTH_SLACK(n_dims) (4e-7F + 7e-8F * (float)(n_dims))

static inline float kernels_lowest_sum(uint32_t n_dims, float most, int16_t depth)
{
    return (most - ((float)depth + 32769) * kernels_depth_step(n_dims)) * (1 - DEPTH_SLACK(n_dims));
}

static inline float kernels_highest_sum(uint32_t n_dims, float most, int16_t depth)
{
    return (most - ((float)depth + 32768) * kernels_depth_step(n_dims)) * (1 + DEPTH_SLACK(n_dims));
}

/* A corner is min(x, y * factor) of the first two coordinates: its maximum over a box tells whether
 * both can be large in one host. */
#define CORNERS 5
extern const float kernels_corners[CORNERS];

/* The coordinate of a corner that reaches up to so much, in steps. */
static inline int16_t kernels_corner(float most)
{
    int32_t up = (int32_t)most + 1;

    return (int16_t)(up < 65535 ? up - 32768 : INT16_MAX);
}

/* What a policy is made of, of which the forest keeps a range: the extra. */
typedef enum {
    FAMILY_SUM,       /* most-free, least-free: Σ q */
    FAMILY_SQUARES,   /* l2-diff, dot-product: Σ q² */
    FAMILY_DIRECTION, /* cosine: q / |q| */
    FAMILY_RATIO,     /* l2-ratio, l2-ratio-spread: Σ q, but trees by the box alone */
    N_FAMILIES,
} Family;

typedef struct {
    int16_t low[BERTH_PLACE_MAX_DIMS], high[BERTH_PLACE_MAX_DIMS], corner[CORNERS];
    int16_t depth; /* of one point of the family of sums */
    float extra_low[BERTH_PLACE_MAX_DIMS], extra_high[BERTH_PLACE_MAX_DIMS];
} Box;

/* Points in arrays of `stride` for each dimension, of which the first `n` are in use, at least one. */
typedef struct {
    const int16_t *coordinates;
    uint32_t n, stride, n_dims, n_corners;
    Family family;
} Points; /* of the family of sums with the depth as one dimension more */

/* A request as shares of a shape's capacity, and what bounds are made from. */
typedef struct {
    BerthPlacePolicy policy;
    uint32_t n_dims, n_corners;
    float needs[BERTH_PLACE_MAX_DIMS];
    float least[BERTH_PLACE_MAX_DIMS];     /* a little below the needs */
    float direction[BERTH_PLACE_MAX_DIMS]; /* of length 1 */
    float corners[CORNERS];                /* less than these does not fit; in coordinates */
    float sum, squares, length, roots;     /* Σ p, Σ p², its root, (Σ √p)² */
    float n_inverse;                       /* 1 / dimensions with a capacity */
} BoundInput;

/* Boxes in arrays of `stride` for each dimension, corner and extra. Of points low and high are the
 * same, and there are no corners and extras. */
typedef struct {
    const int16_t *low, *high, *corner;
    const float *extra_low, *extra_high;
    bool is_point;
    uint32_t stride; /* also the number of boxes, a multiple of 8 */
} Boxes;

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

    /* Of 16 words those that meet a mask, bit by bit. */
    uint32_t (*meet_words)(const uint32_t *words, uint32_t mask);
    uint32_t (*meet_long_words)(const uint64_t *words, uint64_t mask);

    /* row[i] |= word in the lanes of `sizes`, bit by bit; whether that changed it. */
    bool (*widen)(uint32_t *row, uint32_t sizes, uint32_t word, uint32_t width);

    /* What 16 words with their sizes, or 16 rows that follow each other, make together. */
    void (*unite_words)(const uint32_t *words, const uint32_t *sizes, uint32_t *ret_row,
                        uint32_t width);
    void (*unite_rows)(const uint32_t (*rows)[ROW], uint32_t *ret_row, uint32_t width);

    /* Of 16 columns, of which each row holds a dimension, those in which none is below `least`. */
    uint32_t (*reach_columns)(const uint8_t *rows, uint32_t n_dims, const uint8_t *least);

    /* steps[d] = max(steps[d], codes[d]) in the steps whose threshold codes[0] reaches. */
    void (*raise_steps)(uint8_t (*steps)[KERNELS_STEPS], const uint8_t *thresholds,
                        const uint8_t *codes, uint32_t n_dims);

    /* The box around points; the extra only where it is one number. */
    void (*surround)(const Points *points, Box *ret_box);

    /* For each box an upper bound on the key of what fits in it; -INFINITY if nothing does. */
    void (*bound)(const BoundInput *input, const Boxes *boxes, float *ret_bounds);
} Kernels;

const Kernels *kernels_get(void);

/* How far a key may be from the exact score. */
float kernels_slack(BerthPlacePolicy policy, uint32_t n_dims, float key);
