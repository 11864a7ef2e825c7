/* The constraints of a whole assignment, each as its definition reads. */
#include "place/reassign/problem.h"

#include <stdlib.h>
#include <string.h>

#include "place/fleet.h"

const char *berth_reassign_constraint_name(BerthReassignConstraint constraint)
{
    switch (constraint) {
    case BERTH_REASSIGN_CAPACITY:
        return "capacity";
    case BERTH_REASSIGN_TRANSIENT:
        return "transient";
    case BERTH_REASSIGN_CONFLICT:
        return "conflict";
    case BERTH_REASSIGN_SPREAD:
        return "spread";
    case BERTH_REASSIGN_DEPENDENCY:
        return "dependency";
    }
    return "unknown";
}

static BerthReassignViolation violation_of(BerthReassignConstraint constraint)
{
    return (BerthReassignViolation){
        .struct_size = sizeof(BerthReassignViolation),
        .constraint = constraint,
        .machine = BERTH_PLACE_NONE,
        .resource = BERTH_PLACE_NONE,
        .process = BERTH_PLACE_NONE,
        .service = BERTH_PLACE_NONE,
        .needs = BERTH_PLACE_NONE,
    };
}

/* What is used, and with `transient` of transient resources alone what they hold. */
static bool within_capacity(const BerthReassign *problem, const uint32_t *assignment,
                            bool transient, int64_t *used, BerthReassignViolation *violation)
{
    uint32_t n = problem->n_resources;

    memset(used, 0, (size_t)problem->n_machines * n * sizeof *used);
    for (uint32_t p = 0; p < problem->n_processes; p++) {
        for (uint32_t r = 0; r < n; r++) {
            int64_t amount = problem->requirement[(size_t)p * n + r];
            used[(size_t)assignment[p] * n + r] += amount;
            if (transient && assignment[p] != problem->initial[p]) {
                used[(size_t)problem->initial[p] * n + r] += amount;
            }
        }
    }
    for (uint32_t m = 0; m < problem->n_machines; m++) {
        for (uint32_t r = 0; r < n; r++) {
            int64_t over = used[(size_t)m * n + r] - problem->capacity[(size_t)m * n + r];
            if (over > 0 && (!transient || problem->transient[r])) {
                *violation =
                    violation_of(transient ? BERTH_REASSIGN_TRANSIENT : BERTH_REASSIGN_CAPACITY);
                violation->machine = m;
                violation->resource = r;
                violation->amount = over;
                return false;
            }
        }
    }
    return true;
}

/* `seen` has a number for each machine; a service marks the machines where it is. */
static bool without_conflict(const BerthReassign *problem, const uint32_t *assignment,
                             uint32_t *seen, BerthReassignViolation *violation)
{
    for (uint32_t s = 0; s < problem->n_services; s++) {
        for (uint32_t i = problem->members.first[s]; i < problem->members.first[s + 1]; i++) {
            uint32_t p = problem->members.items[i];
            if (seen[assignment[p]] == s + 1) {
                *violation = violation_of(BERTH_REASSIGN_CONFLICT);
                violation->machine = assignment[p];
                violation->process = p;
                violation->service = s;
                return false;
            }
            seen[assignment[p]] = s + 1;
        }
    }
    return true;
}

static bool spread_enough(const BerthReassign *problem, const uint32_t *assignment, uint32_t *seen,
                          BerthReassignViolation *violation)
{
    for (uint32_t s = 0; s < problem->n_services; s++) {
        uint32_t locations = 0;
        for (uint32_t i = problem->members.first[s]; i < problem->members.first[s + 1]; i++) {
            uint32_t location = problem->location[assignment[problem->members.items[i]]];
            locations += seen[location] != s + 1;
            seen[location] = s + 1;
        }
        if (locations < problem->spread_min[s]) {
            *violation = violation_of(BERTH_REASSIGN_SPREAD);
            violation->service = s;
            violation->amount = (int64_t)problem->spread_min[s] - locations;
            return false;
        }
    }
    return true;
}

/* The first process of `service` without `needs` in its neighbourhood; `seen` marks the latter's,
 * by `mark`. */
static uint32_t first_without(const BerthReassign *problem, const uint32_t *assignment,
                              uint32_t service, uint32_t needs, uint32_t *seen, uint32_t mark)
{
    const ReassignLists *members = &problem->members;
    for (uint32_t i = members->first[needs]; i < members->first[needs + 1]; i++) {
        seen[problem->neighbourhood[assignment[members->items[i]]]] = mark;
    }
    for (uint32_t i = members->first[service]; i < members->first[service + 1]; i++) {
        if (seen[problem->neighbourhood[assignment[members->items[i]]]] != mark) {
            return members->items[i];
        }
    }
    return BERTH_PLACE_NONE;
}

static bool near_enough(const BerthReassign *problem, const uint32_t *assignment, uint32_t *seen,
                        BerthReassignViolation *violation)
{
    uint32_t mark = 0;
    for (uint32_t s = 0; s < problem->n_services; s++) {
        for (uint32_t i = problem->needs.first[s]; i < problem->needs.first[s + 1]; i++) {
            uint32_t needs = problem->needs.items[i];
            uint32_t p = first_without(problem, assignment, s, needs, seen, ++mark);
            if (p != BERTH_PLACE_NONE) {
                *violation = violation_of(BERTH_REASSIGN_DEPENDENCY);
                violation->machine = assignment[p];
                violation->process = p;
                violation->service = s;
                violation->needs = needs;
                return false;
            }
        }
    }
    return true;
}

static bool holds(const BerthReassign *problem, const uint32_t *assignment, int64_t *used,
                  uint32_t *seen, BerthReassignViolation *violation)
{
    uint32_t n = problem->n_machines; /* locations and neighbourhoods are not more */
    return within_capacity(problem, assignment, false, used, violation) &&
           within_capacity(problem, assignment, true, used, violation) &&
           without_conflict(problem, assignment, seen, violation) &&
           spread_enough(problem, assignment, seen + n, violation) &&
           near_enough(problem, assignment, seen + 2 * (size_t)n, violation);
}

BerthReassignResult berth_reassign_check(const BerthReassign *problem, const uint32_t *assignment,
                                         BerthReassignViolation *ret_violation)
{
    BerthReassignViolation violation;

    if (!reassign_in_range(problem, assignment) ||
        (ret_violation != NULL && ret_violation->struct_size < sizeof violation)) {
        return BERTH_REASSIGN_ERROR_ARGUMENT;
    }
    if (ret_violation != NULL &&
        fleet_is_newer(ret_violation, ret_violation->struct_size, sizeof violation)) {
        return BERTH_REASSIGN_ERROR_UNSUPPORTED;
    }
    int64_t *used = malloc((size_t)problem->n_machines * problem->n_resources * sizeof *used);
    uint32_t *seen = calloc((size_t)problem->n_machines * 3, sizeof *seen);
    if (used == NULL || seen == NULL) {
        free(used);
        free(seen);
        return BERTH_REASSIGN_ERROR_NO_MEMORY;
    }
    bool sound = holds(problem, assignment, used, seen, &violation);
    free(used);
    free(seen);
    if (!sound && ret_violation != NULL) {
        violation.struct_size = ret_violation->struct_size;
        *ret_violation = violation;
    }
    return sound ? BERTH_REASSIGN_OK : BERTH_REASSIGN_VIOLATED;
}
