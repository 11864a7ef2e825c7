/* The cost of a whole assignment, as its definition reads: the oracle of every difference. */
#include "place/reassign/problem.h"

#include <stdlib.h>

#include "place/fleet.h"

static int64_t overload(const BerthReassign *problem, uint32_t machine, const int64_t *used)
{
    const int64_t *safety = problem->safety + (size_t)machine * problem->n_resources;
    int64_t cost = 0;
    for (uint32_t r = 0; r < problem->n_resources; r++) {
        int64_t over = used[r] - safety[r];
        cost += problem->resource_weight[r] * (over > 0 ? over : 0);
    }
    return cost;
}

static int64_t imbalance(const BerthReassign *problem, uint32_t machine, const int64_t *used)
{
    const int64_t *capacity = problem->capacity + (size_t)machine * problem->n_resources;
    int64_t cost = 0;
    for (uint32_t b = 0; b < problem->n_balances; b++) {
        const BerthReassignBalance *balance = &problem->balances[b];
        int64_t left = capacity[balance->resource] - used[balance->resource];
        int64_t short_by =
            balance->target * left - (capacity[balance->other] - used[balance->other]);
        cost += balance->weight * (short_by > 0 ? short_by : 0);
    }
    return cost;
}

int64_t reassign_machine_cost(const BerthReassign *problem, uint32_t machine, const int64_t *used)
{
    return overload(problem, machine, used) + imbalance(problem, machine, used);
}

bool reassign_in_range(const BerthReassign *problem, const uint32_t *assignment)
{
    for (uint32_t p = 0; p < problem->n_processes; p++) {
        if (assignment[p] >= problem->n_machines) {
            return false;
        }
    }
    return true;
}

static bool load_costs(const BerthReassign *problem, const uint32_t *assignment,
                       BerthReassignCost *cost)
{
    uint32_t n = problem->n_resources;
    int64_t *used = calloc((size_t)problem->n_machines * n, sizeof *used);
    if (used == NULL) {
        return false;
    }
    for (uint32_t p = 0; p < problem->n_processes; p++) {
        for (uint32_t r = 0; r < n; r++) {
            used[(size_t)assignment[p] * n + r] += problem->requirement[(size_t)p * n + r];
        }
    }
    for (uint32_t m = 0; m < problem->n_machines; m++) {
        cost->load += overload(problem, m, used + (size_t)m * n);
        cost->balance += imbalance(problem, m, used + (size_t)m * n);
    }
    free(used);
    return true;
}

static void move_costs(const BerthReassign *problem, const uint32_t *assignment,
                       BerthReassignCost *cost)
{
    uint32_t most = 0;
    for (uint32_t s = 0; s < problem->n_services; s++) {
        uint32_t moved = 0;
        for (uint32_t i = problem->members.first[s]; i < problem->members.first[s + 1]; i++) {
            uint32_t p = problem->members.items[i];
            moved += assignment[p] != problem->initial[p];
        }
        most = moved > most ? moved : most;
    }
    cost->service_move = problem->service_move_weight * most;
    for (uint32_t p = 0; p < problem->n_processes; p++) {
        if (assignment[p] != problem->initial[p]) {
            cost->process_move += problem->process_cost[p];
        }
        cost->machine_move += problem->machine_move_weight *
                              reassign_route(problem, problem->initial[p], assignment[p]);
    }
}

BerthReassignResult berth_reassign_cost(const BerthReassign *problem, const uint32_t *assignment,
                                        BerthReassignCost *cost)
{
    BerthReassignCost sum = {.struct_size = cost->struct_size};

    if (cost->struct_size < sizeof *cost || !reassign_in_range(problem, assignment)) {
        return BERTH_REASSIGN_ERROR_ARGUMENT;
    }
    if (fleet_is_newer(cost, cost->struct_size, sizeof *cost)) {
        return BERTH_REASSIGN_ERROR_UNSUPPORTED;
    }
    if (!load_costs(problem, assignment, &sum)) {
        return BERTH_REASSIGN_ERROR_NO_MEMORY;
    }
    move_costs(problem, assignment, &sum);
    sum.total = sum.load + sum.balance + sum.process_move + sum.service_move + sum.machine_move;
    *cost = sum;
    return BERTH_REASSIGN_OK;
}
