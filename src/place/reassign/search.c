/*
 * The search: a portfolio of annealing walks, one a thread, that meet after each round and share
 * the best. The first round is one slow cooling with capacities that may be overdrawn and
 * dependencies that may be missing, for growing penalties; the later ones heat the best up again.
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "place/fleet.h"
#include "place/reassign/walk.h"

#define STEPS_AT_ONCE 512
#define PROGRESS_SECONDS 0.1

#define FIRST_SHARE 0.8 /* of the budget is the first round's */
#define LATER_ROUNDS 12

/* Temperatures of the first round: of the large losses, where sizes differ widely far above the
 * median; of the median loss. */
#define FIRST_HOT 1.
#define FIRST_COLD 0.01

/* Penalties a unit, in units of the largest weight of a resource. */
#define SOFT_PENALTY 20.
#define HARD_PENALTY 1e6
#define PENALTY_STEPS 100 /* it rises by so small a part at a time */

/* Penalties of a missing dependency: of the median loss, of the large ones. */
#define SOFT_MISSING 1.
#define HARD_MISSING 1e3

/* Rises from one value to another, ever faster. */
typedef struct {
    double from, to;
} Range;

/* What a walk does from a share of the budget until another. */
typedef struct {
    double begin, end;
    double hot, cold; /* temperatures */
    Range overdraft;  /* penalties: of a unit beyond a capacity, */
    Range missing;    /* of a dependency */
} Round;

typedef struct Search Search;

typedef struct {
    Search *search;
    ReassignWalk *walk;
    Round round;
    uint64_t steps;
    double cpu_used; /* before this round */
    double done;     /* the share of the budget that was used as the last round ended */
    double cpu_from; /* its thread's clock as the round began */
    bool leads;      /* in the caller's thread: tells the progress */
    pthread_t thread;
    bool has_thread;
} Walker;

struct Search {
    const BerthReassign *problem;
    const BerthReassignOptions *options;
    double began; /* monotonic seconds */
    double told;
    int stopped; /* atomic */
    double logs[REASSIGN_LOG_SIZE];
    Walker *walkers;
    uint32_t n_walkers;
    uint32_t *best;
    int64_t best_cost;
    ReassignLosses losses;
};

/* The one clock of this floor: a budget of time that its caller gave. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* What the calling thread has used of a processor. */
static double cpu_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void tell_progress(Walker *walker, double at)
{
    Search *search = walker->search;
    int64_t cost = walker->walk->best_cost;

    if (!walker->leads || search->options->progress == NULL ||
        at - search->told < PROGRESS_SECONDS) {
        return;
    }
    BerthReassignProgress progress = {
        .struct_size = sizeof progress,
        .cost = cost < search->best_cost ? cost : search->best_cost,
        .seconds = at - search->began,
        .iterations = walker->steps * search->n_walkers,
    };
    search->told = at;
    if (!search->options->progress(&progress, search->options->user_data)) {
        __atomic_store_n(&search->stopped, 1, __ATOMIC_RELAXED);
    }
}

static bool is_stopped(const Search *search)
{
    const volatile int *stop = search->options->stop;
    return __atomic_load_n(&search->stopped, __ATOMIC_RELAXED) ||
           (stop != NULL && __atomic_load_n(stop, __ATOMIC_RELAXED));
}

/* The share of the budget that is used: 1 at its end, or when the search was stopped. From the
 * walker's thread, in a round. */
static double used_share(Walker *walker)
{
    const BerthReassignOptions *options = walker->search->options;
    double at = now(), share = 0;

    tell_progress(walker, at);
    if (is_stopped(walker->search)) {
        return 1;
    }
    if (options->seconds > 0) {
        share = (at - walker->search->began) / options->seconds;
    }
    if (options->cpu_seconds > 0) {
        double used = walker->cpu_used + cpu_now() - walker->cpu_from;
        share = fmax(share, used / options->cpu_seconds);
    }
    if (options->iterations > 0) {
        share = fmax(share, (double)walker->steps / (double)options->iterations);
    }
    return fmin(share, 1);
}

static uint32_t steps_left(const Walker *walker)
{
    uint64_t all = walker->search->options->iterations;
    uint64_t left = all > 0 ? all - walker->steps : STEPS_AT_ONCE;
    return left < STEPS_AT_ONCE ? (uint32_t)left : STEPS_AT_ONCE;
}

static int64_t between(Range range, double at, int64_t most)
{
    double value = range.from * pow(range.to / range.from, at * at);
    return (int64_t)fmax(1, fmin(value, (double)most));
}

/* What a unit beyond a capacity costs is written to every machine: only when it changes by much. */
static void set_penalties(Walker *walker, double at)
{
    const BerthReassign *problem = walker->search->problem;
    ReassignState *state = walker->walk->state;
    int64_t overdraft = between(walker->round.overdraft, at, reassign_state_max_penalty(problem));
    int64_t change = overdraft - state->penalty;

    if (change < 0 || change > state->penalty / PENALTY_STEPS) {
        reassign_state_set_penalty(state, overdraft);
    }
    reassign_state_set_missing_penalty(
        state, between(walker->round.missing, at, reassign_state_max_missing_penalty(problem)));
}

static void *walk_round(void *data)
{
    Walker *walker = data;
    ReassignWalk *walk = walker->walk;
    const Round *round = &walker->round;

    walker->cpu_from = cpu_now();
    double share;

    while ((share = used_share(walker)) < round->end) {
        double at = fmax(0, (share - round->begin) / (round->end - round->begin));
        set_penalties(walker, at);
        walk->temperature = round->hot * pow(round->cold / round->hot, at);
        uint32_t steps = steps_left(walker);
        reassign_walk_steps(walk, steps);
        walker->steps += steps;
    }
    reassign_walk_keep(walk);
    walker->cpu_used += cpu_now() - walker->cpu_from;
    walker->done = share;
    return NULL;
}

/* The first round cools slowly, from where most losses are taken to where few are, while the
 * penalty rises ever faster: until half of the way a unit beyond a capacity costs no more than a
 * unit of load in every resource, at its end nothing that is beyond is left. The other rounds look
 * around the best, by turns nearer and farther. */
static Round plan_round(const Search *search, uint32_t number)
{
    double weight = 1;
    for (uint32_t r = 0; r < search->problem->n_resources; r++) {
        weight = fmax(weight, (double)search->problem->resource_weight[r]);
    }
    if (number == 0) {
        return (Round){
            .begin = 0,
            .end = FIRST_SHARE,
            .hot = search->losses.large * FIRST_HOT,
            .cold = search->losses.median * FIRST_COLD,
            .overdraft = {weight * SOFT_PENALTY, weight * HARD_PENALTY},
            .missing = {search->losses.median * SOFT_MISSING, search->losses.large * HARD_MISSING},
        };
    }
    static const double heats[] = {0.01, 0.001, 0.03};
    double share = (1 - FIRST_SHARE) / LATER_ROUNDS;
    double hot = search->losses.median * heats[(number - 1) % 3];
    return (Round){
        .begin = FIRST_SHARE + (number - 1) * share,
        .end = number >= LATER_ROUNDS ? 1 : FIRST_SHARE + number * share,
        .hot = fmax(hot, 1),
        .cold = fmax(0.5, fmin(search->losses.small, hot * 1e-3)),
        .overdraft = {weight * HARD_PENALTY, weight * HARD_PENALTY},
        .missing = {search->losses.large * HARD_MISSING, search->losses.large * HARD_MISSING},
    };
}

static void run_round(Search *search, uint32_t number)
{
    for (uint32_t i = 0; i < search->n_walkers; i++) {
        Walker *walker = &search->walkers[i];
        walker->round = plan_round(search, number);
        walker->has_thread =
            i > 0 && pthread_create(&walker->thread, NULL, walk_round, walker) == 0;
    }
    walk_round(&search->walkers[0]);
    for (uint32_t i = 1; i < search->n_walkers; i++) {
        if (search->walkers[i].has_thread) {
            pthread_join(search->walkers[i].thread, NULL);
        }
    }
}

/* After a round the best goes to all, the smaller number's among equals. */
static void share_best(Search *search)
{
    for (uint32_t i = 0; i < search->n_walkers; i++) {
        const ReassignWalk *walk = search->walkers[i].walk;
        if (walk->best_cost < search->best_cost) {
            search->best_cost = walk->best_cost;
            memcpy(search->best, walk->best, search->problem->n_processes * sizeof *walk->best);
        }
    }
    for (uint32_t i = 0; i < search->n_walkers; i++) {
        reassign_walk_go_to(search->walkers[i].walk, search->best);
    }
}

static bool make_walkers(Search *search, const uint32_t *assignment)
{
    uint32_t wanted = search->options->threads > 0 ? search->options->threads : 1;

    search->walkers = calloc(wanted, sizeof *search->walkers);
    search->best = malloc(search->problem->n_processes * sizeof *search->best + 1);
    if (search->walkers == NULL || search->best == NULL) {
        return false;
    }
    memcpy(search->best, assignment, search->problem->n_processes * sizeof *search->best);
    for (uint32_t i = 0; i < wanted; i++) {
        ReassignState *state = reassign_state_new(search->problem, assignment);
        if (state == NULL) {
            return false;
        }
        ReassignWalk *walk =
            reassign_walk_new(state, search->logs, search->options->seed * 1000003 + i);
        if (walk == NULL) {
            reassign_state_free(state);
            return false;
        }
        search->walkers[search->n_walkers++] =
            (Walker){.search = search, .walk = walk, .leads = i == 0};
    }
    search->best_cost = search->walkers[0].walk->best_cost;
    search->losses = reassign_walk_losses(search->walkers[0].walk);
    return true;
}

static void free_search(Search *search)
{
    for (uint32_t i = 0; i < search->n_walkers; i++) {
        reassign_walk_free(search->walkers[i].walk);
    }
    free(search->walkers);
    free(search->best);
    free(search);
}

static BerthReassignResult check_arguments(const BerthReassign *problem,
                                           const BerthReassignOptions *options,
                                           const uint32_t *assignment,
                                           const BerthReassignOutcome *outcome)
{
    if (options->struct_size < sizeof *options || options->threads > BERTH_REASSIGN_MAX_THREADS ||
        !(options->seconds >= 0 && options->seconds <= 1e9) ||
        !(options->cpu_seconds >= 0 && options->cpu_seconds <= 1e9) ||
        (options->seconds == 0 && options->cpu_seconds == 0 && options->iterations == 0) ||
        (outcome != NULL && outcome->struct_size < sizeof *outcome)) {
        return BERTH_REASSIGN_ERROR_ARGUMENT;
    }
    if (fleet_is_newer(options, options->struct_size, sizeof *options) ||
        (outcome != NULL && fleet_is_newer(outcome, outcome->struct_size, sizeof *outcome))) {
        return BERTH_REASSIGN_ERROR_UNSUPPORTED;
    }
    return berth_reassign_check(problem, assignment, NULL);
}

static void search_rounds(Search *search)
{
    for (uint32_t number = 0; search->walkers[0].done < 1; number++) {
        run_round(search, number);
        share_best(search);
    }
}

static void report(const Search *search, int64_t initial_cost, BerthReassignOutcome *outcome)
{
    BerthReassignOutcome sum = {
        .struct_size = outcome->struct_size,
        .initial_cost = initial_cost,
        .cost = search->best_cost,
        .seconds = now() - search->began,
    };
    for (uint32_t i = 0; i < search->n_walkers; i++) {
        sum.iterations += search->walkers[i].steps;
        sum.cpu_seconds += search->walkers[i].cpu_used;
    }
    *outcome = sum;
}

BerthReassignResult berth_reassign_solve(const BerthReassign *problem,
                                         const BerthReassignOptions *options, uint32_t *assignment,
                                         BerthReassignOutcome *outcome)
{
    BerthReassignResult result = check_arguments(problem, options, assignment, outcome);
    if (result != BERTH_REASSIGN_OK) {
        return result;
    }
    Search *search = calloc(1, sizeof *search);
    if (search == NULL) {
        return BERTH_REASSIGN_ERROR_NO_MEMORY;
    }
    search->problem = problem;
    search->options = options;
    search->began = search->told = now();
    reassign_walk_fill_logs(search->logs);
    if (!make_walkers(search, assignment)) {
        free_search(search);
        return BERTH_REASSIGN_ERROR_NO_MEMORY;
    }
    int64_t initial_cost = search->best_cost;
    if (problem->n_processes > 0 && problem->n_machines > 1) {
        search_rounds(search);
    }
    memcpy(assignment, search->best, problem->n_processes * sizeof *assignment);
    if (outcome != NULL) {
        report(search, initial_cost, outcome);
    }
    free_search(search);
    return BERTH_REASSIGN_OK;
}
