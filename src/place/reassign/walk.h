/*
 * Simulated annealing from one state: random shifts and swaps, taken when they pay or by chance
 * exp(−delta / temperature), and the best assignment met on the way.
 *
 * Ownership: one thread. A walk is a function of its state, its seed and the steps asked for.
 */
#pragma once

#include "place/reassign/state.h"

#define REASSIGN_LOG_SIZE 4096

typedef struct {
    uint64_t s[4];
} ReassignRandom;

typedef struct {
    ReassignState *state;
    ReassignRandom random;
    double temperature;
    int64_t best_cost;
    uint32_t *best; /* [process] */

    /* Where the state may differ from `best`: noted once each, so that both ways of making them
     * equal cost only what changed. */
    uint32_t *changed;
    uint8_t *is_changed;
    uint32_t n_changed;

    const double *logs; /* −ln of numbers spread evenly over 0 … 1 */
} ReassignWalk;

/* −ln((i + ½) / REASSIGN_LOG_SIZE), shared by the walks. */
void reassign_walk_fill_logs(double *logs);

/* `state` becomes the walk's. NULL without memory, which leaves the state the caller's. */
ReassignWalk *reassign_walk_new(ReassignState *state, const double *logs, uint64_t seed);
void reassign_walk_free(ReassignWalk *walk);

/* Looks at `steps` moves. */
void reassign_walk_steps(ReassignWalk *walk, uint32_t steps);

/* Writes the state to `best` if it is better. */
void reassign_walk_keep(ReassignWalk *walk);

/* Goes to another assignment that keeps all constraints. */
void reassign_walk_go_to(ReassignWalk *walk, const uint32_t *assignment);

/* Goes back to `best`. */
void reassign_walk_go_back(ReassignWalk *walk);

/* What random shifts cost that make things worse. */
typedef struct {
    double median;
    double small; /* one in a hundred is smaller */
    double large; /* one in four is larger */
} ReassignLosses;

ReassignLosses reassign_walk_losses(ReassignWalk *walk);
