/*
 * The request vectors that are booked again and again. Most clusters sell a few sizes; an index can
 * keep an answer ready for each. A vector gets a number when it is seen often, and loses it when it
 * is no longer.
 */
#pragma once

#include "place/kernels.h"

#define SIZES_MAX ROW
#define SIZES_NONE UINT32_MAX
#define SIZES_SEEN 64 /* vectors that may get a number, by hash */

typedef struct {
    uint32_t n_dims;
    uint32_t n;
    uint32_t booked; /* since the counts were halved */
    int64_t vectors[SIZES_MAX][BERTH_PLACE_MAX_DIMS];
    uint64_t hashes[SIZES_MAX];
    uint32_t uses[SIZES_MAX];
    float needs[BERTH_PLACE_MAX_DIMS][ROW]; /* INFINITY behind the last size */
    struct {
        uint64_t hash;
        uint32_t count;
    } seen[SIZES_SEEN];
} Sizes;

void sizes_init(Sizes *sizes, uint32_t n_dims);

/* The number of a vector, or SIZES_NONE. */
uint32_t sizes_find(const Sizes *sizes, const int64_t *vector);

/* Counts a booking. The number when the vector got one just now, else SIZES_NONE. */
uint32_t sizes_count(Sizes *sizes, const int64_t *vector);

/* Gives a number at once if one is free or unused; else, or when it has one, SIZES_NONE. */
uint32_t sizes_admit(Sizes *sizes, const int64_t *vector);

/* Sizes as lanes, rounded up for the kernels. */
static inline uint32_t sizes_width(const Sizes *sizes)
{
    return (sizes->n + 7) / 8 * 8;
}
