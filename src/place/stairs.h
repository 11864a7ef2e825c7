/*
 * First fit where sizes are all unlike: above each 16 positions of an order a node that keeps, for
 * each of some thresholds in the first dimension, the maximum of every dimension over the hosts that
 * have at least the threshold of the first. A maximum over all hosts would say little: one host has
 * the processors, another the memory. A search asks the highest step that its request reaches.
 *
 * Amounts are kept in a byte: the logarithm in sixteenths of an octave, counted down from the largest
 * capacity of the dimension, and rounded up, so that what fits is never missed. The hosts of a block have
 * theirs side by side too, so that a block in which nobody has all that is asked costs a line or two of
 * memory.
 */
#pragma once

#include "place/districts.h"
#include "place/kernels.h"
#include "place/search.h"

#define STAIRS_STEPS KERNELS_STEPS
#define STAIRS_FAN 16
#define STAIRS_LEVELS 6

typedef struct {
    const BerthPlace *place;
    const Kernels *kernels;
    const uint32_t *hosts; /* at each position, or NONE; NULL: positions are host numbers */
    uint32_t n_blocks;     /* of 16 positions */
    int32_t lowest[BERTH_PLACE_MAX_DIMS]; /* of each dimension, what the code 0 would stand for */
    uint8_t thresholds[STAIRS_STEPS];
    uint8_t *codes; /* of the hosts: for each block [dims][FAN] */
    uint32_t n_levels;
    uint8_t *levels[STAIRS_LEVELS]; /* nodes of [STEPS][dims][FAN]; the last level has one node */
    uint32_t swept;                 /* blocks below are in */
} Stairs;

Stairs *stairs_new(const BerthPlace *place, const uint32_t *hosts, uint32_t positions);
void stairs_free(Stairs *stairs);

static inline bool stairs_are_swept(const Stairs *stairs)
{
    return stairs->swept >= stairs->n_blocks;
}

/* Puts in up to so many blocks. */
void stairs_sweep(Stairs *stairs, uint32_t steps);

/* A host came, went or changed. */
void stairs_refresh(Stairs *stairs, uint32_t position);

/* The first host that is taken. `districts` of the same positions, or NULL. */
void stairs_search(const Stairs *stairs, const Districts *districts, Search *search);

const char *stairs_check(const Stairs *stairs);
