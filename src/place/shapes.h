/*
 * The capacities that occur in a fleet, each kept once. A host holds a number of this table; most
 * fleets have a handful of shapes for thousands of hosts.
 */
#pragma once

#include "place/place.h"

#define SHAPES_NONE UINT32_MAX

typedef struct {
    uint32_t n_dims;
    uint32_t n;     /* numbers given out so far, unused ones included */
    uint32_t size;  /* room, a power of two; the hash has twice as many places */
    uint32_t spare; /* a number to use again, in a chain through `uses`; SHAPES_NONE: none */
    int64_t *capacity;
    uint32_t *uses; /* hosts of this shape */
    uint32_t *hash; /* numbers, SHAPES_NONE in free places */
} Shapes;

bool shapes_init(Shapes *shapes, uint32_t n_dims);
void shapes_clear(Shapes *shapes);

/* `to` is uninitialized. */
bool shapes_copy(Shapes *to, const Shapes *from);

/* The number of a capacity, with one use more; SHAPES_NONE when memory runs out. */
uint32_t shapes_acquire(Shapes *shapes, const int64_t *capacity);
void shapes_release(Shapes *shapes, uint32_t shape);

static inline const int64_t *shapes_capacity(const Shapes *shapes, uint32_t shape)
{
    return shapes->capacity + (size_t)shape * shapes->n_dims;
}

/* A mixing of a vector and a seed into 64 bits. */
static inline uint64_t shapes_hash(const int64_t *vector, uint32_t n_dims, uint64_t seed)
{
    uint64_t hash = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;

    for (uint32_t d = 0; d < n_dims; d++) {
        hash = (hash ^ (uint64_t)vector[d]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return hash * UINT64_C(0xbf58476d1ce4e5b9);
}
