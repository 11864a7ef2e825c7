/*
 * libberth-place: moves between hosts, optimised.
 *
 * What runs on a set of machines is moved so that the whole costs less: no machine above its safe
 * load, resources left over in useful proportions, and few, cheap moves. This is the machine
 * reassignment problem of the Google/ROADEF challenge 2012, with its costs to the last unit
 * (docs/placement.md, "Moving what runs"); it is the base of Berth's balancer.
 *
 *     BerthReassign *problem;
 *     berth_reassign_new(&model, &problem);            (copies the model)
 *     memcpy(assignment, model.initial, n_processes * sizeof *assignment);
 *     BerthReassignOptions options = {.struct_size = sizeof options, .seconds = 10, .seed = 1};
 *     BerthReassignOutcome outcome = {.struct_size = sizeof outcome};
 *     berth_reassign_solve(problem, &options, assignment, &outcome);
 *     berth_reassign_free(problem);
 *
 * An assignment says for each process on which machine it runs: an array of `n_processes` machine
 * numbers. It must hold that
 *
 *   capacity    what the processes of a machine use of a resource is at most its capacity;
 *   transient   for a transient resource that includes what still runs there in the initial
 *               assignment: a process that moves takes its disk space at both ends;
 *   conflict    two processes of a service never share a machine;
 *   spread      a service runs in at least `spread_min` locations;
 *   dependency  where a service runs, the services it needs run in the same neighbourhood.
 *
 * Its cost is the sum of five weighted parts, in BerthReassignCost. All amounts are whole numbers
 * and all arithmetic is exact: a model whose cost might not fit an int64 is refused.
 *
 * Errors, sizes of structs and compatibility: as in place.h, with results of its own. Threads: a
 * problem never changes after its making, so any number of threads may use one, also to solve.
 * berth_reassign_solve starts threads if it is asked to and has ended them when it returns.
 */
#pragma once

#include "place/place.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BERTH_REASSIGN_MAX_MACHINES (UINT32_C(1) << 14)
#define BERTH_REASSIGN_MAX_PROCESSES (UINT32_C(1) << 20)
#define BERTH_REASSIGN_MAX_RESOURCES 64
#define BERTH_REASSIGN_MAX_BALANCES 64
#define BERTH_REASSIGN_MAX_DEPENDENCIES (UINT32_C(1) << 22)
#define BERTH_REASSIGN_MAX_THREADS 64

typedef enum {
    BERTH_REASSIGN_OK = 0,
    BERTH_REASSIGN_VIOLATED = 1,        /* the assignment breaks a constraint */
    BERTH_REASSIGN_ERROR_ARGUMENT = -1, /* a count, number or pointer out of its range */
    BERTH_REASSIGN_ERROR_AMOUNT =
        -2, /* negative, over BERTH_PLACE_MAX_AMOUNT, or cost past int64 */
    BERTH_REASSIGN_ERROR_NO_MEMORY = -7,
    BERTH_REASSIGN_ERROR_UNSUPPORTED = -8, /* made for a newer library than this one */
} BerthReassignResult;

/* One line for a person, without a full stop; never NULL. */
BERTH_PLACE_API const char *berth_reassign_strerror(BerthReassignResult result);

/* `service` runs only in neighbourhoods where `needs` runs too. */
typedef struct {
    uint32_t service;
    uint32_t needs;
} BerthReassignDependency;

/* A machine with A of `resource` left should have target·A of `other` left; each unit less costs
 * `weight`. */
typedef struct {
    uint32_t resource;
    uint32_t other;
    int64_t target;
    int64_t weight;
} BerthReassignBalance;

/* The model in flat arrays. Matrices lie row by row. Amounts and weights: 0 to
 * BERTH_PLACE_MAX_AMOUNT. Arrays of length 0 may be NULL. */
typedef struct {
    uint32_t struct_size;
    uint32_t n_machines;  /* at least 1 */
    uint32_t n_resources; /* at least 1 */
    uint32_t n_services;
    uint32_t n_processes; /* 0: a model without load */
    uint32_t n_dependencies;
    uint32_t n_balances;

    const uint8_t *transient;       /* [resource] 0 or 1 */
    const int64_t *resource_weight; /* [resource] of what is used above the safety capacity */

    const uint32_t *location;      /* [machine] any number; equal ones are the same place */
    const uint32_t *neighbourhood; /* [machine] likewise */
    const int64_t *capacity;       /* [machine][resource] */
    const int64_t *safety;         /* [machine][resource] the load up to which nothing is paid */
    const uint32_t *route_cost;    /* [from][to] of a move between machines; NULL: all 0 */

    const uint32_t *spread_min; /* [service] */
    const BerthReassignDependency *dependencies;

    const uint32_t *service;     /* [process] */
    const int64_t *requirement;  /* [process][resource] */
    const int64_t *process_cost; /* [process] of moving it */
    const uint32_t *initial;     /* [process] where it runs now; may break constraints */

    const BerthReassignBalance *balances;

    int64_t process_move_weight;
    int64_t service_move_weight;
    int64_t machine_move_weight;
} BerthReassignModel;

typedef struct BerthReassign BerthReassign;

/* Checks the model and copies it; the caller frees the problem, which takes NULL. */
BERTH_PLACE_API BerthReassignResult berth_reassign_new(const BerthReassignModel *model,
                                                       BerthReassign **ret_problem);
BERTH_PLACE_API void berth_reassign_free(BerthReassign *problem);

/* The cost of an assignment, weights included. With U what is used and A what is left of the
 * capacity (without what a move leaves behind), and sums over all machines and processes: */
typedef struct {
    uint32_t struct_size;
    int64_t total;
    int64_t load;         /* Σ weight · max(0, U − safety) */
    int64_t balance;      /* Σ weight · max(0, target · A[resource] − A[other]) */
    int64_t process_move; /* weight · Σ process_cost of what is not at its initial machine */
    int64_t service_move; /* weight · the most processes that are moved of one service */
    int64_t machine_move; /* weight · Σ route_cost[initial][assigned] */
} BerthReassignCost;

/* Of any assignment to existing machines, whether or not it breaks constraints. */
BERTH_PLACE_API BerthReassignResult berth_reassign_cost(const BerthReassign *problem,
                                                        const uint32_t *assignment,
                                                        BerthReassignCost *cost);

typedef enum {
    BERTH_REASSIGN_CAPACITY = 0,
    BERTH_REASSIGN_TRANSIENT = 1,
    BERTH_REASSIGN_CONFLICT = 2,
    BERTH_REASSIGN_SPREAD = 3,
    BERTH_REASSIGN_DEPENDENCY = 4,
} BerthReassignConstraint;

/* "capacity", "transient", …; never NULL. */
BERTH_PLACE_API const char *berth_reassign_constraint_name(BerthReassignConstraint constraint);

typedef struct {
    uint32_t struct_size;
    BerthReassignConstraint constraint;
    uint32_t machine;  /* CAPACITY, TRANSIENT, CONFLICT, DEPENDENCY; else BERTH_PLACE_NONE */
    uint32_t resource; /* CAPACITY, TRANSIENT */
    uint32_t process;  /* CONFLICT, DEPENDENCY: the one that may not be there */
    uint32_t service;  /* CONFLICT, SPREAD, DEPENDENCY */
    uint32_t needs;    /* DEPENDENCY: the service that is not in the neighbourhood */
    int64_t amount;    /* CAPACITY, TRANSIENT: units too many; SPREAD: locations too few; else 0 */
} BerthReassignViolation;

/* OK, or VIOLATED with the first violation in the order of the constraints above, then of machines,
 * services and processes. `ret_violation` may be NULL. */
BERTH_PLACE_API BerthReassignResult berth_reassign_check(const BerthReassign *problem,
                                                         const uint32_t *assignment,
                                                         BerthReassignViolation *ret_violation);

typedef struct {
    uint32_t struct_size;
    int64_t cost; /* of the best assignment so far */
    double seconds;
    uint64_t iterations;
} BerthReassignProgress;

/* Called about every tenth of a second from the calling thread; false ends the search. */
typedef bool (*BerthReassignProgressFunc)(const BerthReassignProgress *progress, void *user_data);

typedef struct {
    uint32_t struct_size;
    uint32_t threads;    /* 0: 1 */
    double seconds;      /* of the monotonic clock; 0: no limit */
    uint64_t iterations; /* moves looked at by each thread; 0: no limit. One limit must be there. */
    uint64_t seed;
    BerthReassignProgressFunc progress; /* may be NULL */
    void *user_data;
    const volatile int
        *stop;          /* ends the search once it is not 0 (a signal may set it); may be NULL */
    double cpu_seconds; /* processor time of each thread, which a busy machine does not shorten; 0:
                           no limit */
} BerthReassignOptions;

typedef struct {
    uint32_t struct_size;
    int64_t initial_cost; /* of the assignment that the search began with */
    int64_t cost;
    uint64_t iterations; /* of all threads together */
    double seconds;
    double cpu_seconds; /* of all threads together */
} BerthReassignOutcome;

/* Searches from `assignment` for a cheaper one and leaves the best there: never one that costs more,
 * never one that breaks a constraint. VIOLATED if the one given breaks one (berth_reassign_check
 * tells which); the assignment is then untouched, as on every error. With `iterations` and without
 * `seconds` the same seed and number of threads give the same answer; time makes it depend on the
 * speed of the machine. `outcome` may be NULL. */
BERTH_PLACE_API BerthReassignResult berth_reassign_solve(const BerthReassign *problem,
                                                         const BerthReassignOptions *options,
                                                         uint32_t *assignment,
                                                         BerthReassignOutcome *outcome);

#ifdef __cplusplus
}
#endif
