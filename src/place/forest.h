/*
 * Where no two hosts are alike: for each shape a tree of boxes (an R-tree) over what its hosts have
 * available, as shares of the capacity. A node keeps for each of its children the box around all that
 * is below, and a range of what the policy itself is made of (the sum of the shares, the sum of their
 * squares, their direction): boxes alone say little in five dimensions. A search takes the most
 * promising node first, by a bound on the score of anything in its box.
 *
 * Coordinates are kept as square roots in 16 bits, which is finest where shares are small; the bounds
 * allow for the rounding. Two kinds of hosts stay outside of the trees: those of which nothing is
 * taken, since they are all alike (in a heap for each shape), and the few that are in debt or of one
 * shape too many (in a list, looked at one by one).
 */
#pragma once

#include "place/heap.h"
#include "place/kernels.h"

#define FOREST_FAN 16
#define FOREST_LEAF 32
#define FOREST_SHAPES 256

typedef struct {
    uint32_t n, parent, slot, level; /* children of level 1 are leaves */
    uint32_t child[FOREST_FAN];
} Node; /* behind it: low, high [dims][FAN], corner [CORNERS][FAN], extra low, high [extras][FAN] */

typedef struct {
    uint32_t n, parent, slot, shape;
    uint32_t host[FOREST_LEAF];
} Leaf; /* behind it: coordinates [rows][LEAF] */

typedef struct {
    unsigned char *items;
    size_t size; /* of an item */
    uint32_t n, most, spare;
} Pool;

typedef struct {
    uint32_t root, level; /* level 0: the root is a leaf; root NONE: empty */
    uint32_t *idle;       /* a heap of hosts of which nothing is taken */
    uint32_t n_idle, idle_room;
} Tree;

typedef struct {
    const BerthPlace *place;
    const Kernels *kernels;
    Family family;
    uint32_t n_dims, n_corners, n_extra;
    uint32_t n_rows; /* of a leaf: the dimensions, and in a forest of sums the depth */
    /* of coordinates when nodes are chosen and split; the first extra's is 0 if none counts */
    float weight, extra_weights[BERTH_PLACE_MAX_DIMS];
    uint32_t *where; /* of each host: a leaf, or a place in a heap or list with its tag */
    uint32_t n_in_trees;
    Pool nodes, leaves;
    Tree trees[FOREST_SHAPES];
    uint32_t *odd;
    uint32_t n_odd, odd_room;
} Forest;

#define FOREST_NONE UINT32_MAX
#define FOREST_IDLE (UINT32_C(1) << 31)
#define FOREST_ODD (UINT32_C(1) << 30)

Family forest_family(BerthPlacePolicy policy);

Forest *forest_new(const BerthPlace *place, Family family);
void forest_free(Forest *forest);

static inline bool forest_has(const Forest *forest, uint32_t host)
{
    return forest->where[host] != FOREST_NONE;
}

/* False when there is no room or memory: the forest is then of no use. */
bool forest_enter(Forest *forest, uint32_t host);
bool forest_leave(Forest *forest, uint32_t host);

/* A host that is in has changed. */
bool forest_move(Forest *forest, uint32_t host);

void forest_search(const Forest *forest, Search *search);

const char *forest_check(const Forest *forest);

/* Has a node or leaf brought from memory, all of which is needed. Inlined, as gcc drops calls without an
 * effect that it sees. */
static inline __attribute__((always_inline)) void forest_fetch(const Pool *pool, uint32_t item)
{
    const unsigned char *begin = pool->items + item * pool->size;

    for (size_t at = 0; at < pool->size; at += 64) {
        __builtin_prefetch(begin + at);
    }
}

static inline Node *forest_node(const Forest *forest, uint32_t node)
{
    return (Node *)(void *)(forest->nodes.items + node * forest->nodes.size);
}

static inline Leaf *forest_leaf(const Forest *forest, uint32_t leaf)
{
    return (Leaf *)(void *)(forest->leaves.items + leaf * forest->leaves.size);
}

static inline int16_t *node_low(const Node *node)
{
    return (int16_t *)(void *)((unsigned char *)node + sizeof *node);
}

static inline int16_t *node_high(const Forest *forest, const Node *node)
{
    return node_low(node) + (size_t)forest->n_dims * FOREST_FAN;
}

static inline int16_t *node_corner(const Forest *forest, const Node *node)
{
    return node_high(forest, node) + (size_t)forest->n_dims * FOREST_FAN;
}

static inline float *node_extra_low(const Forest *forest, const Node *node)
{
    return (float *)(void *)(node_corner(forest, node) + (size_t)forest->n_corners * FOREST_FAN);
}

static inline float *node_extra_high(const Forest *forest, const Node *node)
{
    return node_extra_low(forest, node) + (size_t)forest->n_extra * FOREST_FAN;
}

static inline int16_t *leaf_coordinates(const Leaf *leaf)
{
    return (int16_t *)(void *)((unsigned char *)leaf + sizeof *leaf);
}
