/*
 * The reassignment problem as its own files see it: the caller's model, copied, with numbers dense
 * and with the lists that a search asks for. Never changed after its making.
 *
 * Services that no rule of a kind touches have no row (BERTH_PLACE_NONE) in the tables of that
 * kind: most services of a real cluster are free of most rules, and tables stay small.
 */
#pragma once

#include "place/reassign.h"

/* Lists of numbers one after another: list i is items[first[i]] to items[first[i + 1] - 1]. */
typedef struct {
    uint32_t *first;
    uint32_t *items;
} ReassignLists;

struct BerthReassign {
    uint32_t n_machines, n_resources, n_services, n_processes, n_balances;
    uint32_t n_locations, n_neighbourhoods;
    uint32_t n_conflict_rows, n_spread_rows, n_near_rows;
    uint32_t largest_service; /* in processes */

    uint8_t *transient;
    int64_t *resource_weight;
    uint32_t *location, *neighbourhood; /* dense, from 0 */
    int64_t *capacity, *safety;
    uint32_t *route_cost; /* NULL: all 0 */
    uint32_t *spread_min;
    uint32_t *service;
    int64_t *requirement;
    int64_t *home_requirement; /* what a process adds to its initial machine: transient ones 0, as
                                  they are held there anyway */
    int64_t *process_cost;     /* weight included */
    uint32_t *initial;
    BerthReassignBalance *balances;
    int64_t service_move_weight, machine_move_weight;

    double total_requirement; /* of all resources together */
    uint32_t *by_size;        /* processes, the largest share of what all need first */

    ReassignLists members;   /* service → processes */
    ReassignLists needs;     /* service → services it needs, itself left out */
    ReassignLists needed_by; /* service → services that need it */
    uint32_t *conflict_row;  /* services of two processes or more */
    uint32_t *spread_row;    /* services with spread_min above 1 */
    uint32_t *near_row;      /* services that need one or are needed */
};

static inline uint32_t reassign_route(const BerthReassign *problem, uint32_t from, uint32_t to)
{
    return problem->route_cost == NULL
               ? 0
               : problem->route_cost[(size_t)from * problem->n_machines + to];
}

/* What the load of one machine costs: its overload and its balance. */
int64_t reassign_machine_cost(const BerthReassign *problem, uint32_t machine, const int64_t *used);

/* Whether every process is on a machine that exists. */
bool reassign_in_range(const BerthReassign *problem, const uint32_t *assignment);
