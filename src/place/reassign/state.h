/*
 * A search's assignment, with what it takes to say at once whether a change keeps the constraints
 * and what it costs: loads and costs of machines, where each service is, how many of its processes
 * are away from home.
 *
 * Conflict and spread always hold. Capacities may be overdrawn and dependencies may be missing, for
 * penalties that the search sets: on full machines the way from one good assignment to another leads
 * through such that do not fit, and two services that need each other go one after the other. Only a
 * state with `overdraft` 0 and `missing` 0 is an answer.
 *
 * A shift takes one process to another machine. A replacement takes one to the machine of another,
 * which goes elsewhere; in a swap, to where the first came from. Both are looked at without changing
 * anything and then done.
 *
 * Ownership: one thread; the problem is only read and outlives the state.
 */
#pragma once

#include "place/reassign/problem.h"

typedef struct {
    const BerthReassign *problem;
    uint32_t *machine_of;       /* [process] */
    int64_t cost;               /* the total of berth_reassign_cost and the penalties */
    int64_t *used;              /* [machine][resource] */
    int64_t *held;              /* the same with what moves leave behind of transient resources */
    int64_t *machine_cost;      /* [machine] overload, imbalance, penalty */
    int64_t penalty;            /* of each unit held beyond a capacity */
    int64_t overdraft;          /* units held beyond capacities; 0: the constraints hold */
    int64_t *machine_overdraft; /* [machine] */
    int64_t missing_penalty;    /* of each dependency that is missing in a neighbourhood */
    int64_t missing;            /* how many are; 0: dependency holds */

    uint64_t *on_machine;  /* [conflict row] bits of machines */
    size_t machine_words;  /* of one row */
    uint32_t *in_location; /* [spread row][location] processes there */
    uint32_t *n_locations; /* [spread row] with a process */
    uint32_t *nearby;      /* [near row][neighbourhood] processes there */

    uint32_t *moved;      /* [service] processes away from home */
    uint32_t *moved_like; /* [count] services that moved that many */
    uint32_t most_moved;

    uint32_t *first_on;              /* [machine] its processes, BERTH_PLACE_NONE: none */
    uint32_t *next_on, *previous_on; /* [process] */
    uint32_t *n_on;                  /* [machine] */
    int64_t *nothing;                /* a vector of zeros */
} ReassignState;

/* Of an assignment that keeps conflict, spread and dependency, with penalties 0; NULL without
 * memory. */
ReassignState *reassign_state_new(const BerthReassign *problem, const uint32_t *assignment);
void reassign_state_free(ReassignState *state);

/* Whether conflict and spread hold after the shift and it changes the cost by at most
 * `limit`; by how much it does is only set then. `to` is not where the process is. */
bool reassign_shift_delta(const ReassignState *state, uint32_t process, uint32_t to, int64_t limit,
                          int64_t *ret_delta);

/* The same for `a` taking the place of `b`, which is on another machine and goes to `to`: the
 * machine of `a` (a swap) or a third one. It writes to the tables, but leaves them as they were. */
bool reassign_replace_delta(ReassignState *state, uint32_t a, uint32_t b, uint32_t to,
                            int64_t limit, int64_t *ret_delta);

/* The largest penalty with which no cost leaves an int64; at least 1. */
int64_t reassign_state_max_penalty(const BerthReassign *problem);

/* Of a unit beyond a capacity, at most reassign_state_max_penalty. */
void reassign_state_set_penalty(ReassignState *state, int64_t penalty);

/* The same of a dependency that is missing. */
int64_t reassign_state_max_missing_penalty(const BerthReassign *problem);
void reassign_state_set_missing_penalty(ReassignState *state, int64_t penalty);

/* Does it, without a check: a sequence may break constraints on its way if its end does not. */
void reassign_shift(ReassignState *state, uint32_t process, uint32_t to);
void reassign_replace(ReassignState *state, uint32_t a, uint32_t b, uint32_t to);
